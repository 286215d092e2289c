//! `--sshd`: an SSH server is installed at first boot, once, by whichever package manager the image has.
//!
//! No network is needed here: Debian's packages come from a mirror inside of the image, and the other package managers are stand-ins.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::args;
use crate::judges;
use crate::support::image::build;
use crate::support::judge::ask;
use crate::support::machine::{Running, free_port};
use crate::support::program::source;
use crate::support::{Corpus, Machines, Run};

/// Waits for a line, so that the machine stays until the test has seen enough.
const STAY: &str = "echo here; read -r line; $line";

/// A package manager that notes what it is asked for, and fails until it is told otherwise.
const STAND_IN: &str = include_str!("package-manager.sh");

#[test]
fn apt_installs_a_server_that_takes_the_key() {
    judges!("ssh", "ssh-keygen");
    let Some(machines) = Machines::with_vsock() else { return };
    let Some(corpus) = Corpus::get("debian-mirror") else { return };
    let key = machines.path("key");
    ask("ssh-keygen", args!["-q", "-t", "ed25519", "-N", "", "-f", key]).ok();
    let image = machines.path("image");
    let public = key.with_extension("pub");
    build(source("oci", &corpus.layout), &image, args!["--sshd", "--ssh-key", public]);

    let port = free_port();
    let mut machine = machines.start(args!["--port", format!("{port}:22"), image, "--", "sh", "-c", STAY]);
    let first_boot = wait_for_first_boot(&mut machine);
    assert_eq!(first_boot["state"], "done", "{first_boot:#}\n{machine}");
    let mut ssh = Command::new("ssh");
    ssh.args(args!["-i", key, "-p", port.to_string()]).env_clear();
    for option in ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=60"] {
        ssh.args(["-o", option]);
    }
    let run = Run::of(ssh.args(["root@127.0.0.1", "id -u"])).ok();
    assert_eq!(run.stdout().trim(), "0");
    machine.say("exit 0\n");
    machine.end().expect(0);
    machines.disk_is_clean();
}

#[test]
fn a_failure_is_seen_and_tried_again_at_the_next_boot() {
    let Some(machines) = Machines::with_vsock() else { return };
    let Some(image) = image(&machines, "apk", "ID=alpine\n", false) else { return };
    let mut machine = machines.start(args![image, "--", "sh", "-c", STAY]);
    let first_boot = wait_for_first_boot(&mut machine);
    assert_eq!(first_boot["state"], "failed", "{first_boot:#}");
    assert_eq!(first_boot["attempts"], 1, "{first_boot:#}");
    assert!(first_boot["error"].as_str().unwrap().contains("apk"), "{first_boot:#}");
    assert_eq!(machine.agent().json("/healthz")["status"], "degraded");
    machine.say("touch /etc/mirrors-work\n");
    machine.end().expect(0);

    let second = Machines::with_vsock().unwrap();
    let disk = machines.disk();
    let mut machine = second.start(args![disk, "--", "sh", "-c", STAY]);
    let first_boot = wait_for_first_boot(&mut machine);
    assert_eq!(first_boot["state"], "done", "{first_boot:#}\n{machine}");
    assert_eq!(first_boot["attempts"], 2, "{first_boot:#}");
    assert_eq!(machine.agent().json("/healthz")["status"], "running");
    machine.say("cat /etc/asked\n");
    let asked = machine.end().expect(0).stdout;
    assert!(asked.contains("apk add"), "{asked}");
    assert!(asked.contains("openssh"), "{asked}");
}

#[test]
fn other_families_have_other_package_managers() {
    let families = [
        ("dnf", "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
        ("pacman", "ID=manjaro\nID_LIKE=arch\n"),
        ("zypper", "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n"),
    ];
    for (manager, release) in families {
        let Some(machines) = Machines::with_vsock() else { return };
        let Some(image) = image(&machines, manager, release, true) else { return };
        let mut machine = machines.start(args![image, "--", "sh", "-c", STAY]);
        let first_boot = wait_for_first_boot(&mut machine);
        assert_eq!(first_boot["state"], "done", "{manager}: {first_boot:#}\n{machine}");
        machine.say("cat /etc/asked\n");
        let asked = machine.end().expect(0).stdout;
        assert!(asked.contains(manager) && asked.contains("openssh"), "{manager}: {asked}");
    }
}

/// busybox as an image of a distribution that has this package manager.
fn image(machines: &Machines, manager: &str, release: &str, works: bool) -> Option<OsString> {
    let corpus = Corpus::get("busybox")?;
    let tree = machines.path("tree");
    write(&tree.join("etc/os-release"), release, 0o644);
    write(&tree.join("bin").join(manager), STAND_IN, 0o755);
    if works {
        write(&tree.join("etc/mirrors-work"), "", 0o644);
    }
    let image = machines.path("image");
    let add = format!("{}:/", tree.display());
    build(source("oci", &corpus.layout), &image, args!["--sshd", "--add", add]);
    Some(image.into())
}

fn write(path: &Path, content: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// What the agent says of the first boot once it has ended, well or badly.
#[track_caller]
fn wait_for_first_boot(machine: &mut Running<'_>) -> Value {
    machine.wait_for("here");
    let mut found = Value::Null;
    machine.wait_until("an end of the first boot", |machine| {
        found = machine.agent().json("/healthz")["first_boot"].clone();
        found["state"] == "done" || found["state"] == "failed"
    });
    found
}
