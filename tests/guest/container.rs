//! What an image that is written for a container runtime finds in a machine: each row of the table in docs/guest.md, by one boot.
//!
//! The image's command (`container.sh`) says what it can see by itself. The rest is asked from outside, while it runs and when it ends.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::args;
use crate::support::agent::Agent;
use crate::support::corpus::repository;
use crate::support::image::build;
use crate::support::program::source;
use crate::support::{Corpus, Machines};

/// Rows that the command reports, and what they must say.
const REPORTED: &[(&str, &str)] = &[
    ("PID", "1"),
    ("other processes", "0"),
    ("/proc", "proc rw,nosuid,nodev,noexec"),
    ("masked paths", "0"),
    ("read-only paths", "example.org"),
    ("/sys", "sysfs rw,nosuid,nodev,noexec"),
    ("/sys/fs/cgroup", "cgroup2 rw,nosuid,nodev,noexec,nsdelegate, 0::/"),
    ("/dev", "devtmpfs rw,nosuid"),
    ("device nodes", "null 666 1:3 zero 666 1:5 full 666 1:7 random 666 1:8 urandom 666 1:9 tty 666 5:0"),
    ("/dev/pts, /dev/ptmx", "devpts rw,nosuid,noexec,gid=5,mode=620,ptmxmode=666, 666"),
    ("/dev/console", "root 600"),
    ("links in /dev", "/proc/self/fd /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/kcore"),
    ("/dev/shm", "tmpfs rw,nosuid,nodev,noexec, 64 MiB or more"),
    ("/dev/mqueue", "mqueue rw,nosuid,nodev,noexec"),
    ("/", "ext4 rw, 1 shared"),
    ("/run", "not mounted, 1000:1000 2750, from the image"),
    ("/tmp, /var/run, /var/lock", "not mounted, 1777, /run /run/lock"),
    ("host name", "box box box"),
    ("/etc/hosts", "10.0.2.15, 127.0.0.1"),
    ("/etc/resolv.conf", "1"),
    ("environment", "COLOUR=green HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin"),
    ("directory, umask", "/ 0022"),
    ("standard input", "/dev/null"),
    ("open files", "0 1 2"),
    ("session, process group", "1 1"),
    ("signals", "blocked 0000000000000000, ignored 0000000000000000"),
    ("nofile", "1048576 1048576 1048576"),
    ("nproc, core", "unlimited unlimited unlimited unlimited"),
    ("memlock", "8192 8192"),
    ("other limits", "stack 8192 unlimited, fsize unlimited"),
    ("oom_score_adj", "0"),
    ("capabilities", "all, inheritable 0000000000000000, ambient 0000000000000000"),
    ("no_new_privs, seccomp", "0 0"),
    ("AppArmor, SELinux", "unconfined"),
    ("session keyring", "_uid_ses.0"),
    ("user namespace", "0 0 4294967295"),
    ("IPv6", "1"),
    ("net.ipv4.ip_unprivileged_port_start", "0"),
    ("net.ipv4.ping_group_range", "0 2147483647"),
    ("vm.max_map_count", "1048576"),
    ("vm.overcommit_memory", "0"),
    ("fs.inotify.max_user_watches", "524288"),
    ("fs.inotify.max_user_instances", "1024"),
    ("/.dockerenv", "missing"),
];

/// What is set by `--sysctl` and `--ulimit`: of the image, of the machine, and of both.
const SET: [(&str, &str); 3] = [("net.core.somaxconn", "1234"), ("vm.swappiness", "33"), ("sigpending", "77 88")];

/// Rows that are asked from outside.
const ASKED: [&str; 7] =
    ["exec", "terminal", "/dev/stdout by name", "privileged ports", "supervisors", "zombies", "stop signal"];

#[test]
fn every_row_of_the_table_holds() {
    let documented = documented();
    let known: BTreeSet<String> = REPORTED.iter().map(|(name, _)| *name).chain(ASKED).map(str::to_owned).collect();
    assert_eq!(documented, known, "the table in docs/guest.md and this test have different rows");

    let Some(machines) = Machines::with_vsock() else { return };
    let Some(corpus) = Corpus::get("debian-supervisors") else { return };
    let image = machines.path("image");
    let script = repository().join("tests/guest/container.sh");
    let options = args![
        "--add",
        format!("{}:/container.sh", script.display()),
        "--cmd",
        "/container.sh",
        "--env",
        "COLOUR=green",
        "--sysctl",
        "net.core.somaxconn=1",
        "--sysctl",
        "vm.swappiness=33",
        "--ulimit",
        "sigpending=77:88"
    ];
    build(source("oci", &corpus.layout), &image, options);
    let settings = args!["--hostname", "box", "--sysctl", "net.core.somaxconn=1234", "--sysctl", "net.no.such=1"];
    let mut machine = machines.start(args![image].into_iter().chain(settings));
    machine.wait_for("all rows");
    let output = machine.stdout();
    let reported: BTreeMap<&str, &str> = output
        .lines()
        .filter_map(|line| line.strip_prefix("row ")?.split_once(": "))
        .map(|(name, value)| (name, value.trim_end()))
        .collect();
    let expected: BTreeMap<&str, &str> = REPORTED.iter().copied().chain(SET).collect();
    assert_eq!(reported, expected, "{machine}");
    assert!(output.contains("through a link\n"), "{machine}");

    let agent = machine.agent();
    let health = agent.json("/healthz");
    assert_eq!(health["status"], "degraded", "{health:#}");
    assert_eq!(health["problems"].as_array().map(Vec::len), Some(1), "{health:#}");
    assert!(health["problems"][0].as_str().unwrap().contains("sysctl net.no.such: "), "{health:#}");
    assert!(health["workload"]["pid"].as_u64().unwrap() > 1, "the machine's own number: {health:#}");
    machine.wait_until("the problem is shown", |machine| machine.stderr().contains("sysctl net.no.such: "));

    commands_join_the_workload(&agent);
    streams_can_be_opened_by_name(&agent);
    a_user_may_listen_and_ping(&agent);
    supervisors_are_content(&agent);

    // The workload ignores what it has no handler for. All that is with it ends with it.
    let mut beside = agent.start(&json!({ "argv": ["sh", "-c", "echo runs; exec sleep 1000"] }));
    beside.wait_for("runs");
    assert_eq!(agent.ask("POST", "/shutdown", b"{}").status, 202);
    assert_eq!(beside.end().status, 128 + 9);
    machine.end().expect(128 + 9);
    assert!(machines.serial_log().contains("banger: workload was killed by signal 9"), "{}", machines.serial_log());
    machines.disk_is_clean();
}

/// The first column of the table, without the marks of code.
fn documented() -> BTreeSet<String> {
    let text = std::fs::read_to_string(repository().join("docs/guest.md")).unwrap();
    let (_, table) = text.split_once("| setting | docker | banger | why |\n").expect("there is no such table");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').nth(1).unwrap().trim().replace('`', "")).collect()
}

fn commands_join_the_workload(agent: &Agent) {
    let ran = agent.exec(&json!({ "argv": ["ps", "-p", "1", "-o", "comm="] }));
    assert_eq!((&*ran.stdout, ran.status), ("sleep\n", 0), "{ran:?}");
    let ran = agent.exec(&json!({ "argv": ["pwd"], "directory": "/run/app", "user": "app" }));
    assert_eq!(ran.stdout, "/run/app\n", "{ran:?}");
    // This PID 1 waits for no process, and nothing does it in its place.
    let script = "sh -c 'sleep 0 & exit 0'; sleep 1; ps -e -o stat= -o ppid= -o comm=";
    let ran = agent.exec(&json!({ "argv": ["sh", "-c", script] }));
    let zombies = ran.stdout.lines().filter(|line| line.starts_with('Z') && line.contains(" 1 sleep")).count();
    assert!(zombies >= 1, "{ran:?}");
}

fn streams_can_be_opened_by_name(agent: &Agent) {
    let script = "echo out >/dev/stdout; echo log >>/var/log/app.log; echo err >/dev/stderr; : </dev/stdin && echo in";
    let root =
        format!("{script}; exec setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'echo less >/dev/stdout'");
    for (user, script, last) in [("app", script, ""), ("1234:5678", script, ""), ("root", &root, "less\n")] {
        for stdin in [false, true] {
            let exec = json!({ "argv": ["sh", "-c", script], "user": user, "stdin": stdin });
            let ran = agent.exec(&exec);
            let expected = format!("out\nlog\nin\n{last}");
            assert_eq!((&*ran.stdout, &*ran.stderr, ran.status), (&*expected, "err\n", 0), "{exec}");
        }
        let terminal = "echo $TERM $(stat -c %u $(tty)) $(stat -L -c %u /dev/stdout); : </dev/tty";
        let script = format!("{terminal}; echo out >/dev/stdout; echo err >/dev/stderr; echo log >>/var/log/app.log");
        let exec = json!({ "argv": ["sh", "-c", script], "user": user, "terminal": { "rows": 24, "columns": 80 } });
        let ran = agent.exec(&exec);
        let uid = match user {
            "app" => 1000,
            "root" => 0,
            _ => 1234,
        };
        assert_eq!(ran.stdout, format!("xterm {uid} {uid}\r\nout\r\nerr\r\nlog\r\n"), "{exec}");
    }
}

fn a_user_may_listen_and_ping(agent: &Agent) {
    let program = r#"use Socket; use IO::Socket::INET;
        IO::Socket::INET->new(Listen => 1, LocalPort => 80) or die "listening: $!";
        socket(my $ping, AF_INET, SOCK_DGRAM, 1) or die "a socket for ping: $!"; print "both\n";"#;
    let ran = agent.exec(&json!({ "argv": ["perl", "-e", program], "user": "app" }));
    assert_eq!((&*ran.stdout, &*ran.stderr), ("both\n", ""));
}

/// Each is PID 1 of a namespace of its own, beside the workload.
fn supervisors_are_content(agent: &Agent) {
    for name in ["tini", "dumb-init", "catatonit"] {
        let script = "cat /proc/1/comm; sh -c 'sleep 0 & exit 0'; sleep 1; ps -e -o stat= | grep -c ^Z; exit 7";
        let ran = agent.exec(&json!({ "argv": [name, "--", "sh", "-c", script], "init": true }));
        let expected = (format!("{name}\n0\n"), String::new(), 7);
        assert_eq!((ran.stdout, ran.stderr, ran.status), expected, "{name}");
    }
    let service = "mkdir -p /srv/$0/app && printf '#!/bin/sh\necho served by $(cat /proc/1/comm)\nexec sleep 1000\n' \
        >/srv/$0/app/run && chmod 755 /srv/$0/app/run && exec $0 /srv/$0";
    for name in ["s6-svscan", "runsvdir"] {
        let mut supervisor = agent.start(&json!({ "argv": ["sh", "-c", service, name], "init": true }));
        supervisor.wait_for(&format!("served by {name}"));
        supervisor.signal(15);
        // What it leaves behind ends with it.
        supervisor.end();
    }
}
