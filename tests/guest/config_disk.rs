//! A machine that banger did not start: its settings come from a disk that `tar` has made, and from the kernel's command line.
//!
//! The initial RAM disk is that of the tests too: the agent is process 1 because the image has no other init.

use std::process::Command;

use crate::args;
use crate::judges;
use crate::support::corpus::repository;
use crate::support::image::build;
use crate::support::judge::ask;
use crate::support::program::source;
use crate::support::{Corpus, Machines, Run};

const SETTINGS: &str = r#"{
    "version": 1,
    "hostname": "named-by-disk",
    "network": { "address": "10.0.2.77/24", "gateway": "10.0.2.2", "dns": ["10.0.2.3"] },
    "env": { "FROM": "the disk" },
    "command": ["3"]
}"#;

#[test]
fn settings_come_from_a_disk_and_from_the_command_line() {
    judges!("tar", "busybox", "qemu-system-x86_64");
    let Some(machines) = Machines::new() else { return };
    let Some(corpus) = Corpus::get("scratch") else { return };
    let image = machines.path("image");
    build(source("oci", &corpus.layout), &image, []);
    let config = machines.path("config.img");
    std::fs::create_dir_all(machines.path("banger")).unwrap();
    std::fs::write(machines.path("banger/machine.json"), SETTINGS).unwrap();
    ask("tar", args!["-C", machines.path(""), "--format=ustar", "-cf", config, "banger/machine.json"]).ok();

    let scripts = repository().join("tests/boot");
    let kernel = repository().join("target/kernel");
    Run::of(Command::new(scripts.join("make-initrd.sh")).arg(&kernel)).ok();
    let boot = |options: &[&str], expected: &[&str]| {
        let _permit = machines.permit();
        let mut check = Command::new(scripts.join("boot-check.sh"));
        check.args(options).args(args!["--disk", config, kernel, image]).args(expected);
        Run::of(&mut check).ok();
    };
    let from_disk = [
        "uid 1234",
        "hostname named-by-disk",
        "address eth0 10.0.2.77",
        "argument 1 3",
        "variable COLOUR=green",
        "variable FROM=the disk",
        "banger: workload exited with status 3",
    ];
    boot(&[], &from_disk);
    // What the kernel is told goes before what the disk says.
    let words = "ip=10.0.2.88::10.0.2.2:255.255.255.0::eth0:off banger.hostname=named-by-kernel";
    boot(&["--append", words], &["hostname named-by-kernel", "address eth0 10.0.2.88", "argument 1 3"]);
}
