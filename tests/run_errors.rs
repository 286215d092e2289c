//! `banger run`, where it comes to no machine: what is wrong is said before anything takes long, and nothing is left behind.

use std::path::Path;

use crate::judges;
use crate::support::image::plain;
use crate::support::program::{PROGRAM, command, source};
use crate::support::scratch::names;
use crate::support::{Layout, Run, Tar, scratch};

/// Runs it for a user whose home is `home`, who has the programs of this machine.
fn run(home: &Path, arguments: &[&str]) -> Run {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut command = command();
    Run::of(command.arg("run").args(arguments).env("HOME", home).env("PATH", path).current_dir(home))
}

/// Nothing of a machine is there any more.
#[track_caller]
fn nothing_is_left(home: &Path) {
    let machines = home.join(".local/state/banger/machines");
    if machines.exists() {
        assert_eq!(names(&machines), ["lock"]);
    }
}

#[test]
fn options_are_checked_first() {
    let scratch = scratch();
    for (options, text) in [
        (&["--cpus", "0"][..], "--cpus"),
        (&["--memory", "512"], "64M at least"),
        (&["--memory", "1GB"], "can mean two things"),
        (&["--disk-size", "++1G"], "--disk-size"),
        (&["--port", "80"], "wanted [ADDRESS:]HOST:GUEST"),
        (&["--port", "a:1:2"], "wanted [ADDRESS:]HOST:GUEST"),
        (&["--env", "=A"], "wanted NAME=VALUE"),
        (&["--workdir", "srv"], "wanted an absolute path"),
        (&["--init", "upstart"], "wanted auto, systemd, openrc, none"),
        (&["--hostname", "-"], "wanted a host name"),
        (&["--accel", "xen"], "--accel"),
        (&["--initrd", "a", "--modules", "b"], "cannot be used with"),
        (&["--boot-timeout", "0"], "--boot-timeout"),
    ] {
        let arguments: Vec<&str> = ["demo:"].iter().chain(options).copied().collect();
        run(scratch.path(), &arguments).expect(2).says(text);
    }
    run(scratch.path(), &[]).expect(2);
    // What follows the image is no command without the dashes.
    run(scratch.path(), &["demo:", "sh"]).expect(2);
    nothing_is_left(scratch.path());
}

#[test]
fn what_is_not_installed_is_named() {
    let scratch = scratch();
    // The program under test is named by its path; it finds no other in this one.
    let mut alone = std::process::Command::new(PROGRAM);
    let none =
        Run::of(alone.args(["run", "demo:"]).env_clear().env("HOME", scratch.path()).env("PATH", scratch.path()));
    if !Path::new("/usr/libexec/qemu-kvm").exists() {
        none.expect(3).says("error: there is no qemu-system-").says("hint: install QEMU");
    }
    judges!("qemu-system-x86_64");
    let missing = run(scratch.path(), &["demo:", "--kernel", "vmlinuz"]).expect(3);
    missing.says("there is no file vmlinuz, and no kernel of that name is kept here");
    run(scratch.path(), &["demo:", "--kernel", "./vmlinuz"]).expect(3).says("cannot read the kernel ./vmlinuz");
    std::fs::write(scratch.path().join("vmlinuz"), "a kernel that says no version").unwrap();
    let arguments = ["demo:", "--kernel", "vmlinuz", "--channel", "vhost-user"];
    run(scratch.path(), &arguments).says("vhost-device-vsock").expect(3);
    run(scratch.path(), &["demo:", "--kernel", "vmlinuz", "--modules", "modules"]).expect(3).says("modules");
    std::fs::create_dir(scratch.path().join("modules")).unwrap();
    run(scratch.path(), &["demo:", "--kernel", "vmlinuz"]).expect(1).says("there are no kernel modules in");
    nothing_is_left(scratch.path());
}

#[test]
fn images_that_cannot_be_run_are_refused() {
    judges!("qemu-system-x86_64");
    let scratch = scratch();
    std::fs::write(scratch.path().join("vmlinuz"), "a kernel that says no version").unwrap();
    let layout = Layout::of(scratch.path().join("layout"), [Tar::new().file("etc/motd", "hello")]);
    plain(source("oci", layout.path()), &scratch.path().join("plain"), []);
    let refused = |arguments: &[&str], code: i32| {
        let all: Vec<&str> = ["--kernel", "vmlinuz", "--channel", "serial"].iter().chain(arguments).copied().collect();
        run(scratch.path(), &all).expect(code)
    };
    refused(&["plain"], 2).says("plain has no agent").says("hint: build it without --guest none");
    refused(&["oci:missing"], 3).says("hint: there is no directory missing");
    refused(&["./vmlinuz"], 2).says("hint: there is such a path");
    refused(&["demo:", "--disk-size", "1M"], 2).says("smaller than the image").says("--disk-size +SIZE");
    refused(&["demo:", "--initrd", "missing"], 3).says("cannot open missing");
    nothing_is_left(scratch.path());
}

/// A port that another program has is seen before anything takes long, and it is said what to do.
#[test]
fn a_port_that_is_taken_is_named() {
    judges!("qemu-system-x86_64");
    let scratch = scratch();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = run(scratch.path(), &["demo:", "--port", &format!("{port}:80")]).expect(1);
    refused.says(&format!("error: cannot forward 127.0.0.1:{port}\n  caused by: Address already in use")).says(
        &format!(
            "hint: another program has port {port}: take another one, as in --port {}:GUEST",
            port.wrapping_add(1)
        ),
    );
    run(scratch.path(), &["demo:", "--port", "192.0.2.1:8080:80"])
        .expect(1)
        .says("hint: 192.0.2.1 is no address of this host");
    nothing_is_left(scratch.path());
}

/// QEMU says why it does not start, and that is passed on in words that its user knows, with what to do.
#[test]
fn what_qemu_says_is_told() {
    judges!("qemu-system-x86_64");
    let scratch = scratch();
    std::fs::write(scratch.path().join("vmlinuz"), "a kernel that says no version").unwrap();
    let arguments = ["demo:", "--rm", "--kernel", "vmlinuz", "--channel", "serial", "--accel", "tcg"];
    run(scratch.path(), &arguments)
        .expect(1)
        .says("error: the kernel cannot be loaded")
        .says("hint: name a Linux kernel");
    let large = [&arguments[..], &["--memory", "90000G"]].concat();
    run(scratch.path(), &large).expect(1).says("does not have so much memory").says("hint: give the machine less");
    nothing_is_left(scratch.path());
    // Without --rm it stays, for whoever wants to know more.
    let kept = run(scratch.path(), &arguments.map(|word| if word == "--rm" { "--quiet" } else { word })).expect(1);
    let machines = scratch.path().join(".local/state/banger/machines");
    let machine = names(&machines).into_iter().find(|name| name != "lock");
    let log = machines.join(machine.unwrap_or_else(|| panic!("nothing is kept: {kept}"))).join("qemu.log");
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.starts_with("qemu"), "{said}");
}

/// KVM that does not work is said at once, in the words of `banger doctor`.
#[test]
fn kvm_that_does_not_work_is_no_surprise() {
    judges!("qemu-system-x86_64");
    let scratch = scratch();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let doctor = Run::of(command().args(["doctor", "--json"]).env("HOME", scratch.path()).env("PATH", path)).stdout();
    let mut checks = doctor.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let kvm = checks.find(|check| check["name"] == "KVM").unwrap();
    // No kernel is looked for before.
    let started = run(scratch.path(), &["demo:", "--accel", "kvm", "--kernel", "missing"])
        .expect(if kvm["state"] == "ok" { 3 } else { 1 });
    if kvm["state"] == "ok" {
        started.says("missing");
    } else {
        started
            .says(&format!("error: KVM does not work here: {}", kvm["found"].as_str().unwrap()))
            .says(&format!("hint: {}", kvm["remedies"][0].as_str().unwrap()));
    }
    nothing_is_left(scratch.path());
}
