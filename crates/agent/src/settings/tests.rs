use std::fs;

use banger_protocol::disk;
use banger_protocol::settings::StaticNetwork;

use super::*;
use crate::network::plan::How;

/// A guest's tree, in which files stand and one disk may be.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[(&str, &str)], machine: Option<&Machine>) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        if let Some(machine) = machine {
            fs::create_dir_all(root.path().join("sys/block/vdb")).unwrap();
            fs::create_dir_all(root.path().join("dev")).unwrap();
            fs::write(root.path().join("dev/vdb"), disk::encode(machine)).unwrap();
        }
        Self(root)
    }

    fn settings(&self) -> Settings {
        Settings::merge(Found::read(self.0.path()))
    }
}

const IMAGE: &str = r#"{"config":{"Env":["A=image","B=image","PATH=/bin"],"Entrypoint":["/entry"],"Cmd":["image"],
    "WorkingDir":"/work","User":"app","StopSignal":"SIGINT"}}"#;
const GUEST: &str = r#"{"version":1,"boot":{"mode":"workload","why":"no init"},"hostname":"built","ssh_keys":["one"],
    "env":{"B":"guest","C":"guest"},"command":["built"],"sshd":true}"#;

fn env(settings: &Settings) -> Vec<(&str, &str)> {
    settings.env.iter().map(|(name, value)| (&**name, &**value)).collect()
}

#[test]
fn the_image_alone() {
    let files = [
        (paths::IMAGE, IMAGE),
        (paths::GUEST, r#"{"version":1,"boot":{"mode":"workload","why":"no init"}}"#),
        ("/proc/cmdline", "quiet\n"),
    ];
    let settings = Tree::new(&files, None).settings();
    assert_eq!(settings.argv, ["/entry", "image"]);
    assert_eq!(env(&settings), [("A", "image"), ("B", "image"), ("PATH", "/bin")]);
    assert_eq!((settings.user.as_deref(), settings.directory.as_deref()), (Some("app"), Some("/work")));
    assert_eq!((settings.stop_signal, settings.hold, settings.wait), (libc::SIGINT, false, None));
    assert_eq!((settings.hostname, settings.network.how), (None, How::Automatic));
    assert_eq!(settings.problems, Vec::<String>::new());
}

/// A registry may deliver a config of this size, so the guest must read one.
#[test]
fn a_long_history_hides_no_command() {
    let history = format!(r#"{{"history":[{{"created_by":"{}"}}],"#, "x".repeat(7 << 20));
    let image = IMAGE.replacen('{', &history, 1);
    let files = [(paths::IMAGE, &*image), (paths::GUEST, GUEST), ("/proc/cmdline", "")];
    let settings = Tree::new(&files, None).settings();
    assert_eq!(settings.argv, ["/entry", "built"]);
    assert_eq!(settings.problems, Vec::<String>::new());
}

#[test]
fn what_is_set_later_goes_before_what_was_set_earlier() {
    let machine = Machine {
        hostname: Some("machine".into()),
        network: Some(StaticNetwork { address: "10.0.0.2/24".into(), gateway: None, dns: vec![] }),
        ssh_keys: vec!["two".into()],
        env: BTreeMap::from([("C".into(), "machine".into())]),
        command: Some(vec!["told".into()]),
        ports: vec![80],
        ..Machine::default()
    };
    let files = |line| [(paths::IMAGE, IMAGE), (paths::GUEST, GUEST), ("/proc/cmdline", line)];
    let built = Tree::new(&files(""), None).settings();
    assert_eq!(
        (&*built.argv, built.hostname.as_deref()),
        (&["/entry".to_owned(), "built".to_owned()][..], Some("built"))
    );
    let told = Tree::new(&files("quiet"), Some(&machine)).settings();
    assert_eq!(told.argv, ["/entry", "told"]);
    assert_eq!(env(&told), [("A", "image"), ("B", "guest"), ("C", "machine"), ("PATH", "/bin")]);
    assert_eq!(
        (told.hostname.as_deref(), told.ssh_keys, told.sshd),
        (Some("machine"), vec!["one".to_owned(), "two".to_owned()], true)
    );
    assert!(matches!(told.network.how, How::Static(..)));
    assert_eq!(told.ports, [80]);
    assert_eq!((told.user.as_deref(), told.directory.as_deref()), (Some("app"), Some("/work")));
    assert_eq!(told.boot.mode, BootMode::Workload);
    let line = Tree::new(&files("banger.hostname=line ip=dhcp banger.hold banger.wait=3"), Some(&machine)).settings();
    assert_eq!((line.hostname.as_deref(), line.network.how), (Some("line"), How::Dhcp));
    assert_eq!((line.hold, line.wait), (true, Some(Duration::from_secs(3))));
}

#[test]
fn a_command_is_run_as_the_last_one_says_who_sets_it() {
    let guest = r#"{"version":1,"boot":{"mode":"workload","why":"no init"},"entrypoint":["/built","-x"],"user":"built","directory":"/built"}"#;
    let files = [(paths::IMAGE, IMAGE), (paths::GUEST, guest), ("/proc/cmdline", "")];
    let built = Tree::new(&files, None).settings();
    assert_eq!(built.argv, ["/built", "-x"], "the image's Cmd is not for another entrypoint");
    assert_eq!((built.user.as_deref(), built.directory.as_deref()), (Some("built"), Some("/built")));
    let boot: Boot = serde_json::from_str(r#"{"mode":"systemd","why":"told","init":"/lib/systemd/systemd"}"#).unwrap();
    let machine = Machine {
        boot: Some(boot.clone()),
        entrypoint: Some(Vec::new()),
        command: Some(vec!["told".into()]),
        user: Some("0:44".into()),
        directory: Some(String::new()),
        ..Machine::default()
    };
    let told = Tree::new(&files, Some(&machine)).settings();
    assert_eq!((told.argv, told.boot), (vec!["told".to_owned()], boot));
    assert_eq!((told.user.as_deref(), told.directory), (Some("0:44"), None), "an empty directory is /");
}

#[test]
fn what_cannot_be_understood_is_told_and_left_out() {
    let files = [
        (paths::IMAGE, "not json"),
        (paths::GUEST, r#"{"version":2,"boot":{"mode":"systemd","why":""}}"#),
        ("/proc/cmdline", "ip=nonsense banger.hostname=-bad-"),
    ];
    let tree = Tree::new(&files, Some(&Machine { version: 9, ..Machine::default() }));
    let settings = tree.settings();
    assert_eq!((settings.boot.mode, settings.argv, settings.hostname), (BootMode::Workload, vec![], None));
    for part in ["image.json: ", "guest.json has version 2", "has version 9", "ip=nonsense", "\"-bad-\"", "usable"] {
        assert!(settings.problems.iter().any(|problem| problem.contains(part)), "{part}: {:?}", settings.problems);
    }
}

#[test]
fn without_any_file_there_is_a_guest_that_can_be_asked_why() {
    let settings = Tree::new(&[("/proc/cmdline", "")], None).settings();
    assert!(settings.runs_workload());
    assert_eq!(settings.stop_signal, libc::SIGTERM);
    assert_eq!(settings.problems.len(), 1, "{:?}", settings.problems);
}

#[test]
fn host_names_are_plain() {
    for name in ["a", "box-1.example", "A_b", &"x".repeat(64)] {
        assert!(is_hostname(name), "{name}");
    }
    for name in ["", "-a", ".a", "a b", "a\n", "ä", &"x".repeat(65)] {
        assert!(!is_hostname(name), "{name}");
    }
}
