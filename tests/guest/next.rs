//! Debian's next release where least comes with systemd: no udev, no kmod, no libkmod, and systemd-resolved for names. Two machines of one
//! image, which has a kernel's modules, as `banger pull` puts them in.

use std::thread;

use crate::args;
use crate::support::corpus::repository;
use crate::support::image::build;
use crate::support::machine::value;
use crate::support::program::source;
use crate::support::{Corpus, Machines};

/// What the guest says of itself.
const PROBE: &str = include_str!("next.sh");

/// The id that the image has by accident.
const SHARED: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn systemd_without_kmod_comes_up_whole_and_machines_of_one_image_differ() {
    let (Some(one), Some(other)) = (Machines::with_vsock(), Machines::with_vsock()) else { return };
    let other = other.without_modules_in("kernel/net/vmw_vsock");
    let Some(corpus) = Corpus::get("debian-next") else { return };
    let kernel = repository().join("target/kernel");
    let image = one.path("image");
    build(source("oci", &corpus.layout), &image, args!["--modules", kernel.join("modules")]);

    let probe = |word: &str| args!["--", "sh", "-c", PROBE, "probe", word];
    // The second gets its name server from the command line, and comes up by an initramfs that knows nothing of vsock.
    let line = "ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:off:10.0.2.15";
    let foreign = args!["--append", line, image];
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| one.run(args![image].into_iter().chain(probe("look"))));
        let second = scope.spawn(|| other.run(foreign.into_iter().chain(probe("serve"))));
        (first.join().unwrap().expect(3).stdout(), second.join().unwrap().expect(3).stdout())
    });
    for (machines, out) in [(&one, &first), (&other, &second)] {
        assert_eq!(value(out, "state"), "running", "{out}");
        assert!(!out.lines().any(|line| line.starts_with("failed ")), "{out}");
        assert_eq!(value(out, "static-nodes"), "no", "there are modules and no kmod: {out}");
        assert_eq!(value(out, "vsock"), "1", "{out}");
        assert_eq!(value(out, "stub"), "../run/systemd/resolve/stub-resolv.conf 1", "{out}");
        assert_eq!(value(out, "id").len(), 32, "{out}");
        assert_eq!(value(out, "id-of-dbus"), value(out, "id"), "{out}");
        assert_ne!(value(out, "id"), SHARED, "{out}");
        machines.disk_is_clean();
    }
    assert_ne!(value(&first, "id"), value(&second, "id"));
    assert!(value(&first, "asked").contains("10.0.2.3"), "{first}");
    assert!(value(&second, "asked").contains("10.0.2.15"), "{second}");
    assert!(value(&second, "answer").starts_with("192.0.2.77"), "{second}");
}
