//! Images without an init: the agent is process 1, and the image's command is what the machine is for.

use crate::args;
use crate::support::image::build;
use crate::support::machine::value;
use crate::support::program::source;
use crate::support::{Corpus, Layout, Machines, Tar};

/// One static program and nothing else, not even a directory.
#[test]
fn scratch_runs_its_command_as_its_config_says() {
    let Some(machines) = Machines::with_vsock() else { return };
    let Some(corpus) = Corpus::get("scratch") else { return };
    let run = machines.run(args![source("oci", &corpus.layout), "--env", "MORE=1"]).expect(7);
    let out = run.stdout();
    assert_eq!(value(&out, "uid"), "1234");
    assert_eq!(value(&out, "gid"), "5678");
    assert_eq!(value(&out, "directory"), "/made/for/it");
    assert_eq!(value(&out, "argument 0"), "/report");
    assert_eq!(value(&out, "argument 1"), "7");
    assert!(out.contains("\nvariable COLOUR=green\n"), "{out}");
    assert!(out.contains("\nvariable MORE=1\n"), "{out}");
    assert_eq!(value(&out, "pid"), "1");
    assert_eq!(value(&out, "orphan"), "adopted");
    assert_eq!(run.stderr().matches("this goes to standard error").count(), 1, "{run}");
    assert!(run.stderr().contains(": runs /report 7 (the image has no init)\n"), "{run}");
    assert!(run.stderr().contains("\nCtrl-C ends it\n"), "{run}");
    assert!(!out.contains("standard error"), "{run}");
    assert!(machines.serial_log().contains("banger: workload exited with status 7"), "{}", machines.serial_log());
    machines.disk_is_clean();
}

/// A dynamic program with its libraries: no shell, no passwd. The machine is told to end.
#[test]
fn distroless_is_stopped_by_its_own_signal() {
    let Some(machines) = Machines::with_vsock() else { return };
    let Some(corpus) = Corpus::get("distroless") else { return };
    let mut machine = machines.start(args![source("oci", &corpus.layout)]);
    machine.wait_for("waiting");
    let agent = machine.agent();
    let health = agent.json("/healthz");
    assert_eq!(health["boot"]["mode"], "workload", "{health:#}");
    assert_eq!(health["status"], "running", "{health:#}");
    assert_eq!(health["workload"]["state"], "running", "{health:#}");
    assert!(health["uptime"].as_f64().unwrap() > 0.0, "{health:#}");
    let answer = agent.ask("POST", "/shutdown", b"{}");
    assert_eq!(answer.status, 202, "{answer}");
    let ended = machine.end().expect(0);
    assert_eq!(value(&ended.stdout, "uid"), "65532");
    assert_eq!(value(&ended.stdout, "directory"), "/tmp");
    // SIGUSR1, as the config says.
    assert_eq!(value(&ended.stdout, "signal"), "10");
    machines.disk_is_clean();
}

/// What is set when the image is built is there at boot; a command by name is found by the image's PATH.
#[test]
fn debian_without_systemd_runs_the_command_it_was_built_with() {
    let Some(machines) = Machines::with_vsock() else { return };
    let Some(corpus) = Corpus::get("debian-min") else { return };
    let image = machines.path("image");
    let command = r#"["sh", "-c", "echo host $(hostname); echo colour $COLOUR; kill -9 $$; exit 9"]"#;
    let options = args!["--cmd", command, "--env", "COLOUR=green", "--hostname", "built"];
    let report = build(source("oci", &corpus.layout), &image, options);
    assert_eq!(report.0["boot"]["mode"], "workload", "{:#}", report.0);
    // The kernel protects PID 1 of a namespace from signals of its own.
    let run = machines.run(args![image]).expect(9);
    assert_eq!(value(&run.stdout(), "host"), "built", "{run}");
    assert_eq!(value(&run.stdout(), "colour"), "green", "{run}");
    assert!(machines.serial_log().contains("banger: workload exited with status 9"), "{}", machines.serial_log());
    machines.disk_is_clean();
}

/// It builds, and says what is missing when it is booted.
#[test]
fn without_an_init_and_a_command_there_is_an_error_at_boot() {
    let Some(machines) = Machines::with_vsock() else { return };
    let layout = Layout::of(machines.path("layout"), [Tar::new().file("etc/motd", "nothing to run")]);
    let image = machines.path("image");
    build(source("oci", layout.path()), &image, []);
    let run = machines.run(args![image]);
    assert!(run.code().is_some_and(|code| code != 0), "{run}");
    run.says("no command");
}
