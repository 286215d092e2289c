//! QEMU's command line for a machine.
//!
//! The machine is `q35` with virtio devices on PCI: the disk as `/dev/vda`, the config disk as `/dev/vdb`, a network card in QEMU's user
//! network (which has DHCP, and needs no privilege), entropy, and what leads to the agent. There is no display, and no device that is not
//! asked for. The first serial port is the console, and goes to a file.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use banger_protocol::SERIAL_PORTS;

use crate::accel::Accelerator;
use crate::error::{Error, Result};
use crate::forward::Forward;

/// The machine for which this program was built.
#[cfg(target_arch = "aarch64")]
mod platform {
    pub(super) const PROGRAM: &str = "qemu-system-aarch64";
    pub(super) const MACHINE: &str = "virt,gic-version=max";
    pub(super) const CONSOLE: &str = "ttyAMA0";
    /// Kernel arguments of an emulated machine.
    pub(super) const EMULATED: &str = "";
}
#[cfg(not(target_arch = "aarch64"))]
mod platform {
    pub(super) const PROGRAM: &str = "qemu-system-x86_64";
    pub(super) const MACHINE: &str = "q35";
    pub(super) const CONSOLE: &str = "ttyS0";
    /// Kernel arguments of an emulated machine.
    pub(super) const EMULATED: &str = "no_timer_check";
}

/// Where Red Hat and its relatives have a QEMU of their own.
const OTHER: &str = "/usr/libexec/qemu-kvm";

/// QEMU for machines like this one.
///
/// # Errors
/// It is not installed.
pub fn program() -> Result<PathBuf> {
    let other = Some(PathBuf::from(OTHER)).filter(|path| path.is_file());
    find(Path::new(platform::PROGRAM))
        .or(other)
        .ok_or_else(|| Error::NoProgram { program: platform::PROGRAM.to_owned() })
}

/// Where a program is.
pub(crate) fn find(name: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// What QEMU is told.
#[derive(Clone, Debug)]
pub(crate) struct Devices<'a> {
    pub(crate) accelerator: Accelerator,
    pub(crate) cpus: u32,
    /// In bytes.
    pub(crate) memory: u64,
    pub(crate) kernel: &'a Path,
    pub(crate) initrd: &'a Path,
    pub(crate) command_line: &'a str,
    /// A qcow2 image.
    pub(crate) disk: &'a Path,
    /// Whether the disk need not outlast a crash of the host.
    pub(crate) throw_away: bool,
    /// The config disk.
    pub(crate) config: &'a Path,
    pub(crate) forwards: &'a [Forward],
    pub(crate) log: &'a Path,
    pub(crate) wire: &'a Wire,
}

/// What leads to the agent, on QEMU's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// The host kernel's vsock; the guest's context id.
    Vhost(u32),
    /// The socket of a vhost-user device; and a socket for each serial port.
    VhostUser(PathBuf, Vec<PathBuf>),
    /// A socket for each serial port.
    Serial(Vec<PathBuf>),
}

impl Devices<'_> {
    /// QEMU's arguments.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut line = Line::default();
        line.flags(&["-nodefaults", "-no-user-config", "-no-reboot", "-display none", "-monitor none"]);
        let memory = self.memory.div_ceil(1 << 20);
        match self.wire {
            // The other program reads and writes the guest's memory.
            Wire::VhostUser(..) => {
                line.option("-machine", [platform::MACHINE, ",memory-backend=memory"]);
                line.option("-object", [format!("memory-backend-memfd,id=memory,size={memory}M,share=on")]);
            }
            _ => line.option("-machine", [platform::MACHINE]),
        }
        line.option("-accel", [self.accelerator.argument()]);
        line.option("-cpu", ["max"]);
        line.option("-smp", [self.cpus.to_string()]);
        line.option("-m", [format!("{memory}M")]);
        line.path("-kernel", self.kernel);
        line.path("-initrd", self.initrd);
        line.option("-append", [self.command_line]);

        let cache = if self.throw_away { "unsafe" } else { "writeback" };
        line.with_path("-drive", &format!("id=disk,if=none,format=qcow2,discard=unmap,cache={cache},file="), self.disk);
        line.option("-device", ["virtio-blk-pci,drive=disk"]);
        line.with_path("-drive", "id=config,if=none,format=raw,readonly=on,file=", self.config);
        line.option("-device", ["virtio-blk-pci,drive=config"]);

        let mut network = "user,id=network".to_owned();
        for forward in self.forwards {
            network.push_str(&format!(",hostfwd={forward}"));
        }
        line.option("-netdev", [network]);
        // No `romfile`: nothing is booted from the network.
        line.option("-device", ["virtio-net-pci,netdev=network,romfile="]);
        line.option("-device", ["virtio-rng-pci"]);
        line.with_path("-chardev", "file,id=console,path=", self.log);
        line.option("-serial", ["chardev:console"]);

        match self.wire {
            Wire::Vhost(cid) => line.option("-device", [format!("vhost-vsock-pci,guest-cid={cid}")]),
            Wire::VhostUser(socket, sockets) => {
                line.with_path("-chardev", "socket,id=vsock,path=", socket);
                line.option("-device", ["vhost-user-vsock-pci,chardev=vsock"]);
                line.serial_ports(sockets);
            }
            Wire::Serial(sockets) => line.serial_ports(sockets),
        }
        line.arguments
    }
}

/// The kernel's command line.
///
/// - `rw`: images have no fstab that would remount the root.
/// - `panic=-1`: a kernel that panics ends the machine at once, instead of waiting for somebody to look at it.
/// - `net.ifnames=0`: the card is `eth0` in every guest.
/// - `random.trust_cpu=on`: nobody waits for entropy.
/// - `cryptomgr.notests`: the kernel's tests of its own cryptography take long by emulation, and have been seen to hang there.
/// - `no_timer_check`, for x86 by emulation: the kernel counts the timer's interrupts for some milliseconds, and panics ("IO-APIC + timer doesn't
///   work!") where the emulator was not scheduled in that time. With KVM the kernel leaves the check out by itself.
pub(crate) fn command_line(accelerator: Accelerator, init: Option<&str>, wait: Option<u64>, more: &str) -> String {
    let console = platform::CONSOLE;
    let mut line =
        format!("console={console} root=/dev/vda rw net.ifnames=0 panic=-1 random.trust_cpu=on cryptomgr.notests");
    if accelerator == Accelerator::Tcg && !platform::EMULATED.is_empty() {
        line.push(' ');
        line.push_str(platform::EMULATED);
    }
    if let Some(seconds) = wait {
        line.push_str(&format!(" banger.wait={seconds}"));
    }
    if let Some(init) = init {
        line.push_str(&format!(" init={init}"));
    }
    for words in [more].iter().filter(|words| !words.is_empty()) {
        line.push(' ');
        line.push_str(words);
    }
    line
}

/// A command line that grows.
#[derive(Debug, Default)]
struct Line {
    arguments: Vec<OsString>,
}

impl Line {
    /// Options with at most one word after them.
    fn flags(&mut self, flags: &[&str]) {
        self.arguments.extend(flags.iter().flat_map(|flag| flag.split(' ')).map(OsString::from));
    }

    fn option<S: AsRef<str>>(&mut self, option: &str, value: impl IntoIterator<Item = S>) {
        let value: String = value.into_iter().map(|part| part.as_ref().to_owned()).collect();
        self.arguments.extend([option.into(), value.into()]);
    }

    fn path(&mut self, option: &str, path: &Path) {
        self.arguments.extend([option.into(), path.into()]);
    }

    /// The ports that the agent answers on where there is no vsock, or before there is.
    fn serial_ports(&mut self, sockets: &[PathBuf]) {
        self.option("-device", ["virtio-serial-pci"]);
        for (name, socket) in SERIAL_PORTS.iter().zip(sockets) {
            self.with_path("-chardev", &format!("socket,id={name},server=on,wait=off,path="), socket);
            self.option("-device", [format!("virtserialport,chardev={name},name={name}")]);
        }
    }

    /// In a list of properties, a comma of a path is written twice.
    fn with_path(&mut self, option: &str, properties: &str, path: &Path) {
        let mut value = properties.as_bytes().to_vec();
        for &byte in path.as_os_str().as_bytes() {
            value.push(byte);
            if byte == b',' {
                value.push(byte);
            }
        }
        self.arguments.extend([OsStr::new(option).to_owned(), OsString::from_vec(value)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn only_an_emulated_kernel_does_not_check_its_timer() {
        let line = |accelerator| command_line(accelerator, Some("/init"), Some(5), "quiet");
        let has = |line: &str| line.split(' ').any(|word| word == "no_timer_check");
        assert!(has(&line(Accelerator::Tcg)));
        assert!(!has(&line(Accelerator::Kvm)));
        assert!(line(Accelerator::Kvm).ends_with(" cryptomgr.notests banger.wait=5 init=/init quiet"));
    }
}
