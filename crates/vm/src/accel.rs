//! Whether KVM works here, which only a guest can tell: `/dev/kvm` opens on machines that then do not get an ordinary guest past its
//! first page table.
//!
//! So a tiny one is started. It does what every kernel does at first (`accel/probe.S`), and tells by the exit status of QEMU
//! (`isa-debug-exit`) that it got there.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;

use rustix::fs::MemfdFlags;

use crate::limits::PROBE;

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU: some twenty times slower.
    Tcg,
}

/// The guest's code, for the front of its firmware.
const CODE: &[u8] = include_bytes!("accel/probe.bin");
/// Bytes of the firmware, which ends at 4 GiB.
const FIRMWARE: usize = 64 << 10;
/// Where the processor begins, in the firmware.
const RESET: usize = FIRMWARE - 16;
/// There: a jump to the front, `jmp 0x0` of 16 bits.
const JUMP: [u8; 3] = [0xe9, 0x0d, 0x00];
/// What the guest writes to the device, N, is 2 × N + 1 for who started QEMU.
const DONE: i32 = 42 * 2 + 1;
/// What QEMU says when KVM gives a guest up.
const GIVEN_UP: &[u8] = b"KVM internal error";
/// Bytes that are read of what it says.
const SAID_BYTES: u64 = 64 << 10;

impl Accelerator {
    /// The best that works. What is found out holds as long as this process.
    pub fn best(qemu: &Path) -> Self {
        static KVM: OnceLock<bool> = OnceLock::new();
        if *KVM.get_or_init(|| kvm_is_there() && runs_a_guest(qemu, Self::Kvm)) { Self::Kvm } else { Self::Tcg }
    }

    /// As QEMU's `-accel` has it.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg,thread=multi",
        }
    }
}

impl std::fmt::Display for Accelerator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "software emulation",
        })
    }
}

/// Whether it makes sense to try. The guest is one for x86: elsewhere nobody can tell.
fn kvm_is_there() -> bool {
    cfg!(target_arch = "x86_64") && OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok()
}

/// Whether the guest gets to its end in time.
fn runs_a_guest(qemu: &Path, accelerator: Accelerator) -> bool {
    let Ok(firmware) = firmware() else { return false };
    let mut command = Command::new(qemu);
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35", "-m", "16"]);
    command.args(["-accel", accelerator.argument(), "-cpu", "max", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    command.args(["-bios".to_owned(), format!("/proc/{}/fd/{}", std::process::id(), firmware.as_raw_fd())]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else { return false };
    let Some(errors) = child.stderr.take() else { return false };
    let (tell, told) = sync_channel(1);
    std::thread::spawn(move || {
        // Nobody listens any more when the time is over.
        let _ = tell.send(ends(errors));
    });
    if told.recv_timeout(PROBE) != Ok(true) {
        // It is the kernel's fault, if anybody's, when this fails.
        let _ = child.kill();
    }
    child.wait().ok().and_then(|status| status.code()) == Some(DONE)
}

/// Reads what QEMU has to say, until it ends: false where it will never, because it waits for somebody who looks at a guest that KVM gave up.
fn ends(errors: impl Read) -> bool {
    let lines = BufReader::new(errors.take(SAID_BYTES)).split(b'\n');
    !lines.map_while(Result::ok).any(|line| line.starts_with(GIVEN_UP))
}

/// The firmware, in a file that only exists in memory.
fn firmware() -> std::io::Result<File> {
    let mut firmware = CODE.to_vec();
    firmware.resize(RESET, 0);
    firmware.extend_from_slice(&JUMP);
    firmware.resize(FIRMWARE, 0);
    let mut file = File::from(rustix::fs::memfd_create("banger-probe", MemfdFlags::CLOEXEC)?);
    file.write_all(&firmware)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu;

    #[test]
    fn the_guest_gets_to_its_end_where_it_can_run() {
        let Ok(qemu) = qemu::program() else {
            assert!(std::env::var_os("CI").is_none(), "QEMU is missing, and judges are required here");
            return eprintln!("SKIPPED: needs QEMU");
        };
        assert!(runs_a_guest(&qemu, Accelerator::Tcg));
        assert!(!runs_a_guest(Path::new("/bin/true"), Accelerator::Tcg), "only the guest's own word counts");
        assert!(!runs_a_guest(Path::new("/no/such"), Accelerator::Tcg));
        assert!(ends(&b"a warning\nanother"[..]));
        assert!(!ends(&b"a warning\nKVM internal error. Suberror: 1\nmore"[..]));
    }
}
