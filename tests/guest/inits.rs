//! Images with an init of their own that is not systemd: it stays process 1, and the agent is there besides.

use crate::args;
use crate::support::machine::value;
use crate::support::program::source;
use crate::support::{Corpus, Machines};

/// What any guest with a shell can say of itself.
const PROBE: &str = include_str!("inits.sh");

#[test]
fn busybox_with_an_init_of_its_own() {
    // Without vsock: the same HTTP goes over a virtio-serial port.
    let Some(machines) = Machines::without_vsock() else { return };
    let Some(corpus) = Corpus::get("busybox") else { return };
    let options = args!["--sysctl", "vm.swappiness=33", "--ulimit", "nofile=77:88"];
    let arguments = args![source("oci", &corpus.layout)].into_iter().chain(options);
    let ended = machines.run(arguments.chain(args!["--", "sh", "-c", PROBE])).expect(5);
    let out = ended.stdout();
    assert_eq!(value(&out, "process-1"), "init", "{out}");
    assert_eq!(value(&out, "zombies"), "0", "{out}");
    // What was asked for holds with an init, too; what the image has in /run is there, in memory.
    assert_eq!((value(&out, "swappiness"), value(&out, "files")), ("33", "77 88"), "{out}");
    assert_eq!(value(&out, "run"), "tmpfs 1000:1000 2750 from the image", "{out}");
    assert!(value(&out, "agent").starts_with("/proc/"), "{out}");
    let log = machines.serial_log();
    assert!(log.contains("busybox: rc ran as process"), "{log}");
    assert!(log.contains("busybox: init ends"), "the image's own init switches off: {log}");
    machines.disk_is_clean();
}

#[test]
fn openrc() {
    let Some(machines) = Machines::with_vsock() else { return };
    let Some(corpus) = Corpus::get("debian-openrc") else { return };
    let ended = machines.run(args![source("oci", &corpus.layout), "--", "sh", "-c", PROBE]).expect(5);
    let out = ended.stdout();
    assert_eq!(value(&out, "process-1"), "init", "{out}");
    assert_eq!(value(&out, "zombies"), "0", "{out}");
    assert!(out.lines().any(|line| line.contains("banger-vsock-agent") && line.contains("started")), "{out}");
    assert!(!out.contains("crashed"), "{out}");
    machines.disk_is_clean();
}
