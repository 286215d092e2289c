//! What QEMU means when it does not start a machine. It says so for those who wrote its command line, and that is us.

use std::fmt;

/// Why QEMU did not start a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// A port of the host cannot be forwarded.
    Port,
    /// There is not enough memory on the host.
    Memory,
    /// The kernel is none that QEMU can load.
    Kernel,
    /// The initial RAM disk is not there, or does not fit into the memory.
    Initrd,
    /// Another program uses a disk.
    Locked,
    /// KVM does not work.
    Kvm,
    /// The machine cannot have so many CPUs.
    Cpus,
    /// A file of QEMU itself is not installed.
    Firmware,
    /// The host's disk is full.
    Space,
}

/// Words that are all in one line of what QEMU says (7.2 to 10.0), lower case, and what they mean.
const TABLE: &[(&[&str], Trouble)] = &[
    (&["could not set up host forwarding rule"], Trouble::Port),
    (&["cannot set up guest memory"], Trouble::Memory),
    (&["cannot allocate memory"], Trouble::Memory),
    (&["invalid kernel header"], Trouble::Kernel),
    (&["could not open kernel file"], Trouble::Kernel),
    (&["could not load kernel"], Trouble::Kernel),
    (&["error loading", "kernel"], Trouble::Kernel),
    (&["linux kernel too old"], Trouble::Kernel),
    (&["error reading initrd"], Trouble::Initrd),
    (&["could not load", "ramdisk"], Trouble::Initrd),
    (&["initrd is too large"], Trouble::Initrd),
    (&["failed to get", "lock"], Trouble::Locked),
    (&["could not access kvm"], Trouble::Kvm),
    (&["failed to initialize kvm"], Trouble::Kvm),
    (&["invalid accelerator kvm"], Trouble::Kvm),
    (&["kvm internal error"], Trouble::Kvm),
    (&["invalid smp cpus"], Trouble::Cpus),
    (&["could not load pc bios"], Trouble::Firmware),
    (&["could not find rom image"], Trouble::Firmware),
    (&["failed to find romfile"], Trouble::Firmware),
    (&["no space left on device"], Trouble::Space),
];

impl Trouble {
    /// What QEMU's last words mean, where they are known.
    pub(crate) fn of(words: &str) -> Option<Self> {
        let words = words.to_lowercase();
        let found = |marks: &[&str]| words.lines().any(|line| marks.iter().all(|mark| line.contains(mark)));
        TABLE.iter().find(|(marks, _)| found(marks)).map(|&(_, trouble)| trouble)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Port => "a port of this host cannot be forwarded",
            Self::Memory => "this host does not have so much memory for a machine",
            Self::Kernel => "the kernel cannot be loaded: it is no Linux kernel for this architecture",
            Self::Initrd => "the initramfs cannot be loaded",
            Self::Locked => "another program uses the disk",
            Self::Kvm => "KVM does not work here",
            Self::Cpus => "a machine cannot have so many CPUs",
            Self::Firmware => "QEMU's firmware is not installed",
            Self::Space => "the host's disk is full",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_qemu_says_has_a_meaning() {
        for (words, trouble) in [
            (
                "qemu-system-x86_64: -netdev user,id=network,hostfwd=tcp:127.0.0.1:1-:80: Could not set up host forwarding rule 'tcp:127.0.0.1:1-:80'",
                Some(Trouble::Port),
            ),
            ("qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory", Some(Trouble::Memory)),
            ("qemu: invalid kernel header", Some(Trouble::Kernel)),
            ("qemu: could not open kernel file '/k': No such file or directory", Some(Trouble::Kernel)),
            ("qemu-system-x86_64: Error loading uncompressed kernel without PVH ELF Note", Some(Trouble::Kernel)),
            ("qemu: initrd is too large, cannot support.(max: 66945023, need 104857600)", Some(Trouble::Initrd)),
            (
                "qemu: error reading initrd /i: Failed to open file “/i”: open() failed: No such file",
                Some(Trouble::Initrd),
            ),
            (
                "qemu-system-x86_64: -drive file=d: Failed to get \"write\" lock\nIs another process using the image [d]?",
                Some(Trouble::Locked),
            ),
            ("Could not access KVM kernel module: Permission denied", Some(Trouble::Kvm)),
            (
                "qemu-system-x86_64: Invalid SMP CPUs 300. The max CPUs supported by machine 'pc-q35-7.2' is 288",
                Some(Trouble::Cpus),
            ),
            ("qemu: could not load PC BIOS 'bios-256k.bin'", Some(Trouble::Firmware)),
            ("failed to\nget a lock", None),
            ("Kernel panic - not syncing", None),
            ("", None),
        ] {
            assert_eq!(Trouble::of(words), trouble, "{words}");
        }
    }
}
