//! What to do about a machine that does not start.

use banger_vm::Error;

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
        Error::Silent { .. } => failure.hint("--console shows what it says; --boot-timeout SECONDS gives it more time"),
        Error::Stopped { .. } => failure.hint("--console shows what it says when it boots"),
        _ => failure,
    }
}
