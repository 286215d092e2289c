//! What is made of what was seen. Each check is a function of that alone.

use super::host::{Channel, Daemon, Directory, Family, Host, Kvm};
use super::{Check, State};
use crate::text::Bytes;

/// Less is not enough for an ordinary image while it is made.
const LITTLE_SPACE: u64 = 4 << 30;
/// Less is not enough for any.
const NO_SPACE: u64 = 256 << 20;

/// All checks, in the order in which they are told.
pub(super) fn all(host: &Host) -> Vec<Check> {
    let mut checks = vec![version(host), settings(host)];
    checks.extend(host.directories.iter().map(directory));
    checks.extend([space(host), reflinks(host), qemu(host), kvm(&host.kvm), vsock(host), kernel(host)]);
    checks.extend([catalogs(host), credentials(host), daemon(host)]);
    checks
}

fn check(name: &'static str, purpose: &'static str, state: State, found: impl Into<String>) -> Check {
    Check { name, state, found: found.into(), purpose, remedies: Vec::new() }
}

impl Check {
    /// What can be done, where something is to be done.
    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        if self.state != State::Ok {
            self.remedies.push(remedy.into());
        }
        self
    }
}

fn version(host: &Host) -> Check {
    let found = format!("{} for {}", host.version, host.architecture);
    check("banger", "it is what this is about", State::Ok, found)
}

fn settings(host: &Host) -> Check {
    let purpose = "registries, catalogs and the kernel of images are set there";
    match &host.settings {
        Ok(found) => check("settings", purpose, State::Ok, found),
        Err(error) => check("settings", purpose, State::Missing, error)
            .remedy("nothing is done before the file can be understood; banger-config(5) says what can stand in it"),
    }
}

fn directory(directory: &Directory) -> Check {
    let Directory { name, purpose, path, is_needed, trouble, option } = directory;
    match trouble {
        None => check(name, purpose, State::Ok, path),
        Some(trouble) => {
            let state = if *is_needed { State::Missing } else { State::Warning };
            check(name, purpose, state, format!("{path}: {trouble}"))
                .remedy(format!("make it a directory that you may write, or name another with {option}"))
        }
    }
}

fn space(host: &Host) -> Check {
    let purpose = "an image takes up its content and a little more, and its layers once more in the cache";
    let Some(free) = host.free else {
        return check("space", purpose, State::Warning, "it cannot be found out how much is free");
    };
    let state = match free {
        ..NO_SPACE => State::Missing,
        NO_SPACE..LITTLE_SPACE => State::Warning,
        _ => State::Ok,
    };
    check("space", purpose, state, format!("{} free", Bytes(free)))
        .remedy("`banger prune` removes what nothing needs, `banger df` says what takes up how much")
}

fn reflinks(host: &Host) -> Check {
    let purpose = "files are copied at once and take up nothing where the file system can share their content";
    match host.reflinks {
        Some(true) => check("reflinks", purpose, State::Ok, "the file system shares content"),
        Some(false) => check("reflinks", purpose, State::Warning, "the file system cannot share content: it is copied")
            .remedy("keep images on btrfs, bcachefs or XFS (with reflink=1); --root DIR names a directory there"),
        None => check("reflinks", purpose, State::Warning, "this cannot be tried where nothing can be written"),
    }
}

fn qemu(host: &Host) -> Check {
    let purpose = "`banger run` starts machines with it";
    match &host.qemu {
        Ok(path) => check("QEMU", purpose, State::Ok, path),
        Err(error) => {
            let is_arm = host.architecture == "arm64";
            let [debian, fedora, alpine] = if is_arm {
                ["qemu-system-arm", "qemu-system-aarch64-core", "qemu-system-aarch64"]
            } else {
                ["qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86_64"]
            };
            installed(check("QEMU", purpose, State::Missing, error), host, debian, fedora, alpine)
        }
    }
}

/// The command that installs a package here; or on the systems that we know, where it is not known what this is.
fn installed(check: Check, host: &Host, debian: &str, fedora: &str, alpine: &str) -> Check {
    let (apt, dnf, apk) =
        (format!("apt install {debian}"), format!("dnf install {fedora}"), format!("apk add {alpine}"));
    match host.family {
        Family::Debian => check.remedy(apt),
        Family::Fedora => check.remedy(dnf),
        Family::Alpine => check.remedy(apk),
        Family::Other => {
            check.remedy(format!("Debian: {apt}")).remedy(format!("Fedora: {dnf}")).remedy(format!("Alpine: {apk}"))
        }
    }
}

pub(super) fn kvm(kvm: &Kvm) -> Check {
    let purpose = "machines run some twenty times faster with it";
    let name = "KVM";
    match kvm {
        Kvm::Works => check(name, purpose, State::Ok, "a guest runs"),
        Kvm::NotTried => check(name, purpose, State::Warning, "/dev/kvm opens; it is QEMU that would try it")
            .remedy("install QEMU first"),
        Kvm::Missing => check(name, purpose, State::Warning, "there is no /dev/kvm")
            .remedy("load the module: `modprobe kvm_intel` or `modprobe kvm_amd`")
            .remedy(
                "switch virtualisation on in the firmware; in a cloud, take a machine that has it nested, or metal",
            ),
        Kvm::Denied(error) => check(name, purpose, State::Warning, format!("/dev/kvm: {error}"))
            .remedy("let yourself use it: `sudo usermod -aG kvm $USER`, then log in again"),
        Kvm::Broken => check(name, purpose, State::Warning, "/dev/kvm opens, but no guest runs with it")
            .remedy("this is a virtual machine, perhaps, of which the host does not let guests be nested"),
    }
}

fn vsock(host: &Host) -> Check {
    let purpose = "the agent in a machine is reached by it";
    match host.channel {
        Channel::Vhost => check("vsock", purpose, State::Ok, "by this machine's kernel (/dev/vhost-vsock)"),
        Channel::VhostUser => check("vsock", purpose, State::Ok, "by the program vhost-device-vsock"),
        Channel::Serial => check("vsock", purpose, State::Warning, "there is none: serial ports stand in for it")
            .remedy("load the module and let yourself use it: `modprobe vhost_vsock`, group kvm")
            .remedy("or install the program: `cargo install vhost-device-vsock`"),
    }
}

fn kernel(host: &Host) -> Check {
    let purpose = "every image is started with one";
    let name = "kernel";
    match (&host.kernels, &host.boot_kernel) {
        (Ok(kept), _) if !kept.is_empty() => check(name, purpose, State::Ok, format!("kept here: {}", kept.join(", "))),
        (Ok(_), Ok(kernel)) => check(name, purpose, State::Ok, format!("that of this machine: {kernel}")),
        (Err(error), _) => {
            check(name, purpose, State::Missing, format!("it cannot be read which are kept here: {error}"))
        }
        (Ok(_), Err(error)) => check(name, purpose, State::Missing, format!("none is kept here, and {error}"))
            .remedy("`banger kernel pull debian` gets one")
            .remedy("`banger kernel import --from` takes one from a directory or from Debian packages"),
    }
}

fn catalogs(host: &Host) -> Check {
    let purpose = "images and kernels can be had from them by name";
    match &host.catalogs {
        Err(error) => check("catalogs", purpose, State::Warning, error),
        Ok((offers, warnings)) if warnings.is_empty() => {
            check("catalogs", purpose, State::Ok, format!("{offers} offered"))
        }
        Ok((_, warnings)) => {
            let found = check("catalogs", purpose, State::Warning, warnings.join("; "));
            found.remedy("what is here already can be used all the same; a catalog by URL needs the network")
        }
    }
}

fn credentials(host: &Host) -> Check {
    let purpose = "registries are shown them; without any, they are asked as by anybody";
    match &host.credentials {
        Ok(found) => check("credentials", purpose, State::Ok, found),
        Err(error) => check("credentials", purpose, State::Warning, error)
            .remedy("`banger login` writes the file anew; --authfile FILE names another"),
    }
}

fn daemon(host: &Host) -> Check {
    let purpose = "it does what takes long, for several at once; without it each command does everything itself";
    match &host.daemon {
        Daemon::Answers(version) if *version == host.version => {
            check("daemon", purpose, State::Ok, format!("{}: bangerd {version}", host.socket))
        }
        Daemon::Answers(version) => check(
            "daemon",
            purpose,
            State::Warning,
            format!("{}: bangerd {version}, and this is {}", host.socket, host.version),
        )
        .remedy("it ends by itself when it has nothing to do, and the next command starts the new one"),
        Daemon::Silent => {
            check("daemon", purpose, State::Ok, format!("{}: nobody answers; the next command starts it", host.socket))
        }
        Daemon::Trouble(error) => check("daemon", purpose, State::Warning, format!("{}: {error}", host.socket))
            .remedy("--no-daemon does without"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which all is as it should be.
    fn healthy() -> Host {
        Host {
            version: "1.0.0",
            architecture: "amd64".to_owned(),
            family: Family::Debian,
            settings: Ok("none: /h/config.toml is not there".to_owned()),
            directories: vec![Directory {
                name: "images",
                purpose: "images are kept there",
                path: "/r".to_owned(),
                is_needed: true,
                trouble: None,
                option: "--root DIR",
            }],
            free: Some(100 << 30),
            reflinks: Some(true),
            qemu: Ok("/usr/bin/qemu-system-x86_64".to_owned()),
            kvm: Kvm::Works,
            channel: Channel::Vhost,
            kernels: Ok(vec!["linux-6.1".to_owned()]),
            boot_kernel: Err("none".to_owned()),
            catalogs: Ok((1, Vec::new())),
            credentials: Ok("none".to_owned()),
            socket: "/r/s".to_owned(),
            daemon: Daemon::Silent,
        }
    }

    #[test]
    fn nothing_is_said_against_a_healthy_machine() {
        for check in all(&healthy()) {
            assert_eq!(check.state, State::Ok, "{check:?}");
        }
    }

    type Change = fn(&mut Host);

    /// One thing is wrong with a machine: one check says so, and what can be done.
    #[test]
    fn each_trouble_has_its_check_and_its_remedy() {
        let cases: &[(&str, State, &str, Change)] = &[
            ("settings", State::Missing, "banger-config(5)", |host| host.settings = Err("x".to_owned())),
            ("images", State::Missing, "--root DIR", |host| host.directories[0].trouble = Some("denied".to_owned())),
            ("images", State::Warning, "--root DIR", |host| {
                host.directories[0].trouble = Some("denied".to_owned());
                host.directories[0].is_needed = false;
            }),
            ("space", State::Warning, "banger prune", |host| host.free = Some(1 << 30)),
            ("space", State::Missing, "banger prune", |host| host.free = Some(1 << 20)),
            ("reflinks", State::Warning, "btrfs", |host| host.reflinks = Some(false)),
            ("QEMU", State::Missing, "apt install qemu-system-x86", |host| host.qemu = Err("none".to_owned())),
            ("QEMU", State::Missing, "dnf install qemu-system-aarch64-core", |host| {
                host.qemu = Err("none".to_owned());
                (host.architecture, host.family) = ("arm64".to_owned(), Family::Fedora);
            }),
            ("QEMU", State::Missing, "Alpine: apk add qemu-system-x86_64", |host| {
                host.qemu = Err("none".to_owned());
                host.family = Family::Other;
            }),
            ("KVM", State::Warning, "modprobe", |host| host.kvm = Kvm::Missing),
            ("KVM", State::Warning, "usermod -aG kvm", |host| host.kvm = Kvm::Denied("denied".to_owned())),
            ("KVM", State::Warning, "nested", |host| host.kvm = Kvm::Broken),
            ("KVM", State::Warning, "install QEMU", |host| host.kvm = Kvm::NotTried),
            ("vsock", State::Warning, "modprobe vhost_vsock", |host| host.channel = Channel::Serial),
            ("kernel", State::Missing, "banger kernel pull debian", |host| host.kernels = Ok(Vec::new())),
            ("catalogs", State::Warning, "network", |host| host.catalogs = Ok((1, vec!["no route".to_owned()]))),
            ("credentials", State::Warning, "banger login", |host| host.credentials = Err("x".to_owned())),
            ("daemon", State::Warning, "ends by itself", |host| host.daemon = Daemon::Answers("0.9.0".to_owned())),
            ("daemon", State::Warning, "--no-daemon", |host| host.daemon = Daemon::Trouble("x".to_owned())),
        ];
        for (name, state, remedy, change) in cases {
            let mut host = healthy();
            change(&mut host);
            let wrong: Vec<_> = all(&host).into_iter().filter(|check| check.state != State::Ok).collect();
            let [check] = &wrong[..] else { panic!("{name}: {wrong:?}") };
            assert_eq!((check.name, check.state), (*name, *state));
            assert!(check.remedies.iter().any(|found| found.contains(remedy)), "{remedy}: {check:?}");
        }
    }

    #[test]
    fn a_kernel_of_this_machine_will_do() {
        let mut host = healthy();
        (host.kernels, host.boot_kernel) = (Ok(Vec::new()), Ok("/boot/vmlinuz-6.1".to_owned()));
        assert_eq!(kernel(&host).state, State::Ok);
        // A store that cannot be read is no store without kernels.
        host.kernels = Err("damaged".to_owned());
        assert_eq!(kernel(&host).state, State::Missing);
    }
}
