//! What was built boots: Debian with systemd, under QEMU without KVM, to the end of its start-up and without a failed unit.

use std::process::Command;

use crate::args;
use crate::judges;
use crate::support::corpus::repository;
use crate::support::image::build;
use crate::support::program::source;
use crate::support::{Corpus, Run, scratch};

#[test]
fn debian_boots_to_multi_user() {
    judges!("qemu-system-x86_64", "busybox", "apt-get", "dpkg-deb");
    let Some(corpus) = Corpus::get("debian-boot") else { return };
    let scripts = repository().join("tests/boot");
    let kernel = repository().join("target/kernel");
    Run::of(Command::new(scripts.join("fetch-kernel.sh")).arg(&kernel)).ok();
    Run::of(Command::new(scripts.join("make-initrd.sh")).arg(&kernel)).ok();

    let scratch = scratch();
    let image = scratch.path().join("image");
    // The probe is a unit that says on the console what systemd thinks of the boot.
    let probe = format!("{}:/", scripts.join("probe").display());
    build(source("oci", &corpus.layout), &image, args!["--add", probe]);
    let expected = "banger-probe: state=running multi-user=active";
    let arguments = args!["--fail", "banger-probe: state=degraded", kernel, image, expected];
    Run::of(Command::new(scripts.join("boot-check.sh")).args(arguments)).ok();
}
