//! The first boot, in a root of its own with package managers of the tests' own: what they are called with, that it happens once, and that it
//! is tried again when it failed.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// A guest's root: this machine's libraries for the agent, a static busybox, and nothing else.
struct Guest(tempfile::TempDir);

impl Guest {
    fn new(os_release: &str, mode: &str) -> Self {
        let guest = Self(tempfile::tempdir().unwrap());
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/first_boot/root.sh");
        let agent = env!("CARGO_BIN_EXE_banger-vsock-agent");
        let status = Command::new("sh").arg(here).arg(guest.0.path()).arg(agent).status().unwrap();
        assert!(status.success());
        guest.write("etc/os-release", os_release);
        let settings = json!({"version": 1, "boot": {"mode": mode, "why": "a test"}, "sshd": true, "ssh_keys": ["ssh-ed25519 AAAA me"]});
        guest.write("usr/local/lib/banger/guest.json", &settings.to_string());
        guest.program(
            "usr/bin/ssh-keygen",
            "echo keygen \"$@\" >>/calls; mkdir -p /etc/ssh; echo k >/etc/ssh/ssh_host_rsa_key",
        );
        guest
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn program(&self, name: &str, script: &str) {
        self.write(name, &format!("#!/bin/sh\n{script}\n"));
        let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        fs::set_permissions(self.0.path().join(name), mode).unwrap();
    }

    /// A package manager that installs a server which notes that it was started; and fails for as long as there is no mirror.
    fn manager(&self, name: &str) {
        let script = format!(
            "echo {name} \"$@\" >>/calls\n[ -e /mirror ] || {{ echo 'no mirror' >&2; exit 9; }}\n\
             mkdir -p /usr/sbin; printf '#!/bin/sh\\necho sshd \"$@\" >>/calls\\n' >/usr/sbin/sshd; chmod 755 /usr/sbin/sshd"
        );
        self.program(&format!("usr/bin/{name}"), &script);
    }

    /// Boots once: whether it went well, and what was called since the last boot.
    fn boot(&self) -> (bool, Vec<String>) {
        let calls = self.0.path().join("calls");
        // It was not there in the first boot.
        let _ = fs::remove_file(&calls);
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "chroot"]).arg(self.0.path());
        let status = command.arg("/usr/local/libexec/banger-first-boot").status().unwrap();
        let calls = fs::read_to_string(calls).unwrap_or_default();
        (status.success(), calls.lines().map(|line| line.trim_end().to_owned()).collect())
    }

    fn record(&self) -> Value {
        serde_json::from_slice(&fs::read(self.0.path().join("var/lib/banger/first-boot.json")).unwrap()).unwrap()
    }
}

#[test]
fn each_family_has_its_call_and_it_happens_once() {
    if !support::judges(&["unshare", "chroot", "busybox", "ldd"]) {
        return;
    }
    for (os_release, manager, calls) in [
        (
            "ID=debian\n",
            "apt-get",
            &["apt-get -q update", "apt-get -q -y --no-install-recommends install openssh-server"][..],
        ),
        ("ID=alpine\n", "apk", &["apk add --no-cache openssh"]),
        ("ID=rocky\nID_LIKE=\"rhel fedora\"\n", "dnf", &["dnf -y install openssh-server"]),
        ("ID=arch\n", "pacman", &["pacman -Sy --noconfirm openssh"]),
        ("ID=opensuse-leap\nID_LIKE=\"suse\"\n", "zypper", &["zypper --non-interactive install openssh"]),
    ] {
        let guest = Guest::new(os_release, "workload");
        guest.manager(manager);
        guest.write("mirror", "");
        let (well, called) = guest.boot();
        let expected: Vec<&str> = calls.iter().copied().chain(["keygen -A", "sshd"]).collect();
        assert_eq!((well, called), (true, expected.iter().map(|&call| call.to_owned()).collect()), "{os_release}");
        assert_eq!((&guest.record()["state"], &guest.record()["attempts"]), (&json!("done"), &json!(1)));
        let keys = fs::read_to_string(guest.0.path().join("root/.ssh/authorized_keys")).unwrap();
        assert_eq!(keys, "ssh-ed25519 AAAA me\n");
        assert_eq!(
            guest.boot(),
            (true, vec!["sshd".to_owned()]),
            "the server is started at each boot, as no init does it"
        );
        assert_eq!(guest.record()["attempts"], 1);
    }
}

#[test]
fn what_failed_is_remembered_and_tried_again() {
    if !support::judges(&["unshare", "chroot", "busybox", "ldd"]) {
        return;
    }
    let guest = Guest::new("ID=alpine\n", "openrc");
    guest.manager("apk");
    for program in ["rc-update", "rc-service"] {
        guest.program(&format!("sbin/{program}"), &format!("echo {program} \"$@\" >>/calls"));
    }
    for attempt in 1..=2 {
        assert_eq!(guest.boot(), (false, vec!["apk add --no-cache openssh".to_owned()]));
        let record = guest.record();
        assert_eq!((&record["state"], &record["attempts"]), (&json!("failed"), &json!(attempt)));
        assert_eq!(record["error"], "apk add --no-cache openssh: exit status: 9: no mirror");
    }
    guest.write("mirror", "");
    let calls =
        ["apk add --no-cache openssh", "keygen -A", "rc-update add sshd default", "rc-service --nodeps sshd start"];
    assert_eq!(guest.boot(), (true, calls.map(str::to_owned).to_vec()));
    assert_eq!((&guest.record()["state"], &guest.record()["attempts"]), (&json!("done"), &json!(3)));
    assert_eq!(guest.record().get("error"), None);
    assert_eq!(guest.boot(), (true, Vec::new()));
}

#[test]
fn a_server_that_the_image_has_is_used() {
    if !support::judges(&["unshare", "chroot", "busybox", "ldd"]) {
        return;
    }
    let guest = Guest::new("ID=debian\n", "systemd");
    guest.manager("apt-get");
    guest.program("usr/bin/systemctl", "echo systemctl \"$@\" >>/calls");
    guest.program("usr/sbin/sshd", "echo sshd >>/calls");
    guest.write("etc/systemd/system/ssh.service", "");
    let calls = [
        "keygen -A",
        "systemctl daemon-reload",
        "systemctl enable ssh.service",
        "systemctl start --no-block ssh.service",
    ];
    assert_eq!(guest.boot(), (true, calls.map(str::to_owned).to_vec()));
}

#[test]
fn a_distribution_that_nobody_knows_is_named() {
    if !support::judges(&["unshare", "chroot", "busybox", "ldd"]) {
        return;
    }
    let guest = Guest::new("ID=nixos\n", "workload");
    assert_eq!(guest.boot(), (false, Vec::new()));
    assert_eq!(guest.record()["error"], "no package manager is known for nixos");
}
