//! What to do about a machine that does not start.

use std::io::ErrorKind;
use std::net::SocketAddr;

use banger_vm::{Error, Trouble};

use crate::failure::Failure;

/// An error of a machine, with what can be done about it.
pub(super) fn of(error: &Error) -> Failure {
    let failure = Failure::of(error.kind().into(), error);
    match error {
        Error::NoProgram { program } if program.starts_with("qemu") => failure
            .hint("install QEMU: Debian's package is qemu-system-x86, Fedora's qemu-kvm, Alpine's qemu-system-x86_64"),
        Error::NoProgram { program } if program.starts_with("vhost-device") => {
            failure.hint("`cargo install vhost-device-vsock` installs it; --channel serial does without")
        }
        Error::NoKernel { .. } => failure
            .hint("`banger kernel pull debian` gets one, and keeps it for every machine")
            .hint("--kernel FILE names one of your own, --modules DIR its modules"),
        Error::Modules(_) => failure.hint("--modules DIR names the modules of the kernel, as /lib/modules/VERSION"),
        Error::DiskSize { .. } => failure.hint("--disk-size +SIZE says how much larger than the image it is to be"),
        Error::Port { address, source } => failure.hint(for_port(*address, source.kind())),
        Error::Qemu { trouble, .. } => match for_trouble(*trouble) {
            Some(hint) => failure.hint(hint),
            None => failure,
        },
        Error::Silent { .. } => failure.hint("--console shows what it says; --boot-timeout SECONDS gives it more time"),
        Error::Stopped { .. } => failure.hint("--console shows what it says when it boots"),
        _ => failure,
    }
}

fn for_port(address: SocketAddr, kind: ErrorKind) -> String {
    match kind {
        ErrorKind::AddrInUse => {
            format!("another program has port {}: take another one, as in --port {}", address.port(), other(address))
        }
        ErrorKind::PermissionDenied => {
            format!("ports below 1024 are for root: take another one, as in --port {}", other(address))
        }
        ErrorKind::AddrNotAvailable => format!("{} is no address of this host: `ip address` shows them", address.ip()),
        _ => "--port [ADDRESS:]HOST:GUEST forwards a port of this host to one of the guest".to_owned(),
    }
}

/// A port that any user may have, and probably no other program has.
fn other(address: SocketAddr) -> String {
    let port = address.port();
    let other = if port < 1024 { port.saturating_add(8000) } else { port.checked_add(1).unwrap_or(8080) };
    format!("{other}:GUEST")
}

fn for_trouble(trouble: Trouble) -> Option<&'static str> {
    match trouble {
        Trouble::Port => Some("take another port of this host: --port [ADDRESS:]HOST:GUEST"),
        Trouble::Memory => Some("give the machine less: --memory 256M"),
        Trouble::Kernel => Some("name a Linux kernel for this machine's architecture with --kernel FILE"),
        Trouble::Initrd => Some("--memory gives it more room; without --initrd banger makes a small one"),
        Trouble::Locked => Some("end the machine or program that uses the image, or boot a copy of it"),
        Trouble::Kvm => Some("--accel tcg does without; `banger doctor` says what is missing"),
        Trouble::Cpus => Some("give the machine fewer: --cpus 4"),
        Trouble::Firmware => Some("install it: Debian's package is seabios, Fedora's seabios-bin"),
        _ => None,
    }
}
