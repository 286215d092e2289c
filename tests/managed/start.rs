//! What `banger run` starts, and with which kernel, as far as that shows before anything runs: the kernels here are none.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::bench::{SMALL, layers};
use crate::args;
use crate::judges;
use crate::support::debian::Repository;
use crate::support::program::source;
use crate::support::scratch::names;
use crate::support::terminal::at_terminal;
use crate::support::{Layout, Managed, Run, Tar, judge, kernel};

/// Options with which a machine is given up at once.
const BRIEFLY: [&str; 10] =
    ["--rm", "--accel", "tcg", "--memory", "64M", "--channel", "serial", "--boot-timeout", "1", "--cpus=1"];

/// Somebody who can run QEMU, and who sees no kernel in `/boot`.
struct Bare {
    managed: Managed,
}

impl Bare {
    fn new() -> Option<Self> {
        let mut managed = Managed::new();
        managed.user = managed.user.with("PATH", std::env::var("PATH").unwrap());
        let has_kernel = names(Path::new("/boot")).iter().any(|name| name.starts_with("vmlinuz-"));
        if has_kernel && !judge::is_here("root") {
            judge::missing("root", "a machine without kernels in /boot");
            return None;
        }
        Some(Self { managed })
    }

    /// `banger run` with these arguments.
    fn command(&self, arguments: &[&str]) -> Command {
        let program = self.managed.command(["run"]);
        let mut command = if judge::is_here("root") {
            let mut command = Command::new(judge::find("unshare").unwrap());
            let script = "mount -t tmpfs none /boot && exec \"$@\"";
            command.args(["--mount", "sh", "-c", script, "sh"]).arg(program.get_program());
            command
        } else {
            Command::new(program.get_program())
        };
        command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.args(program.get_args()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// Keeps a kernel of that version without modules.
    fn keep(&self, version: &str, name: &str) {
        let directory = self.managed.user.path(&format!("kernel-{name}"));
        kernel::write(&directory, version);
        self.managed.run(args!["kernel", "import", "--from", directory, "--name", name, "--quiet"]).ok();
    }

    /// Keeps an image under a name, and returns its id.
    fn pull(&self, name: &str, options: &[&str]) -> String {
        let layout = Layout::of(self.managed.user.path(&format!("layout-{name}")), layers(1, 1000));
        let arguments = args!["pull", source("oci", layout.path()), "--name", name, "--quiet"];
        Run::of(self.managed.command(arguments).args(SMALL).args(options)).ok();
        self.managed.show(name)["id"].as_str().unwrap().to_owned()
    }
}

/// The name is resolved first: there is no kernel here, and that is never what is said of a name that means nothing.
#[test]
fn what_a_name_is_not_is_said_before_anything_of_kernels() {
    judges!("qemu-system-x86_64");
    let Some(bare) = Bare::new() else { return };
    let id = bare.pull("app-v8", &["--no-kernel"]);
    let home = bare.managed.user.home();
    std::fs::write(home.join("disk.img"), "no image").unwrap();
    let path = |name: &str| home.join(name).to_str().unwrap().to_owned();
    let machine = bare.managed.root().join("machines/0123abcd");
    std::fs::create_dir_all(&machine).unwrap();
    std::fs::write(machine.join("serial.log"), "").unwrap();
    let cases: &[(&str, i32, &[&str])] = &[
        (&path("nofile"), 3, &["error: there is no such file: "]),
        ("./nofile", 3, &["error: there is no such file: ./nofile"]),
        ("../no/such/dir/", 3, &["error: there is no such file: ../no/such/dir/"]),
        (&path("disk.imf"), 3, &["error: there is no such file: ", "hint: perhaps ", "disk.img is meant"]),
        (&path("disk.img"), 2, &["hint: there is such a path"]),
        ("oci:missing", 3, &["hint: there is no directory missing"]),
        ("tar:missing.tar", 3, &["missing.tar"]),
        (
            "app-v9",
            3,
            &[
                "error: there is no file and no image app-v9 here, and docker.io/library/app-v9:latest cannot be had",
                "hint: images that are kept here and named like it: app-v8",
            ],
        ),
        ("app:v9", 3, &["docker.io/library/app:v9", "hint: images that are kept here and named like it: app-v8"]),
        ("deadbeef", 3, &["error: there is no file and no image deadbeef here"]),
        ("host.example/team/app:v9", 3, &["host.example/team/app:v9"]),
        ("0123abcd", 2, &["error: 0123abcd is a machine, not an image", "hint: `banger run IMAGE`"]),
    ];
    for (name, code, said) in cases {
        let run = bare.run(&[name, "--offline"]).expect(*code);
        let run = said.iter().fold(run, |run, text| run.says(text));
        assert!(!run.stderr().contains("no kernel"), "{run}");
    }
    // A registry that cannot be reached is no registry that has it; what is here is named all the same.
    let managed = Managed { user: bare.managed.user.with("HTTPS_PROXY", "http://127.0.0.1:1") };
    let bare = Bare { managed };
    let run = bare.run(&["app-v9"]).expect(5).says("error: there is no file and no image app-v9 here");
    assert!(run.stderr().contains("app-v8") && !run.stderr().contains("no kernel"), "{run}");
    // What means something gets as far as to need a kernel.
    for name in ["app-v8", &id, &id[..8], "demo:"] {
        let run = bare.run(&[name]).expect(3).says("error: there is no kernel to start: none for ");
        let run = run.says("hint: `banger kernel pull debian` gets one");
        assert!(!run.stderr().contains("dpkg-deb") && !run.stderr().contains("linux-image"), "{run}");
    }
    bare.managed.assert_sound();
}

/// A name that nothing has is said with those that are near it, whatever is to be done.
#[test]
fn names_near_by_are_proposed() {
    let Some(bare) = Bare::new() else { return };
    bare.pull("app-v8", &["--no-kernel"]);
    bare.keep("6.1.0-one", "stable");
    let cases: &[&[&str]] = &[
        &["image", "show", "app-v9"],
        &["image", "rm", "app-v9"],
        &["image", "export", "app-v9", "-o", "x.ext4"],
        &["image", "push", "app-v9", "127.0.0.1:1/x:1"],
        &["image", "history", "app-v9"],
        &["image", "rename", "app-v9", "other"],
        &["image", "diff", "app-v9", "app-v8"],
        &["bundle", "make", "app-v9"],
    ];
    for case in cases {
        bare.managed.run(*case).expect(3).says("there is no image \"app-v9\"").says("hint: perhaps app-v8 is meant");
    }
    for case in [["kernel", "show", "stabel"], ["kernel", "rm", "stabel"], ["kernel", "export", "stabel"]] {
        bare.managed.run(case).expect(3).says("there is no kernel \"stabel\"").says("hint: perhaps stable is meant");
    }
    bare.managed.assert_sound();
}

/// Named, the image's own, that of the settings, the newest that is kept: each goes before those that follow.
#[test]
fn a_machine_gets_its_kernel_as_an_image_does() {
    judges!("qemu-system-x86_64");
    let Some(bare) = Bare::new() else { return };
    let disk = bare.managed.user.path("disk.ext4");
    bare.managed.run(args!["build", "demo:", "-o", &disk, "--quiet"]).ok();
    let disk = disk.to_str().unwrap();
    let file = bare.managed.user.path("own");
    kernel::write(&file, "5.0.0-file");
    let file = file.join(kernel::name());
    let file = file.to_str().unwrap();
    bare.keep("6.1.0-old", "stable");
    bare.pull("with-kernel", &["--kernel-ref", "stable"]);
    bare.pull("without", &["--no-kernel"]);
    bare.keep("6.2.0-new", "newest");
    let set = "kernel = \"stable\"\n";
    let cases: &[(&str, &[&str], &str, &str)] = &[
        (disk, &[], "", "6.2.0-new"),
        ("without", &[], "", "6.2.0-new"),
        (disk, &[], set, "6.1.0-old"),
        ("with-kernel", &[], "kernel = \"newest\"\n", "6.1.0-old"),
        ("with-kernel", &["--kernel", "newest"], set, "6.2.0-new"),
        (disk, &["--kernel", file], set, "5.0.0-file"),
        ("demo:", &["--kernel", "stable"], "", "6.1.0-old"),
    ];
    for (image, options, settings, version) in cases {
        bare.managed.user.configure(settings);
        let run = bare.run(&[&[*image][..], &BRIEFLY, options].concat()).expect(1);
        assert!(run.stderr().contains(&format!(": Linux {version}, ")), "{settings:?}: {run}");
    }
    // One that is named and not there is not replaced by another.
    bare.managed.user.configure("");
    let run = bare.run(&[disk, "--kernel", "stabel"]).expect(3);
    run.says("there is no file stabel, and no kernel of that name is kept here").says("hint: perhaps stable is meant");
    bare.managed.user.configure("kernel = \"gone\"\n");
    bare.run(&[disk]).expect(3).says("there is no kernel \"gone\" here, and no catalog has it");
    // And each is checked as when an image is made with it.
    bare.managed.user.configure("");
    let kept = bare.managed.root().join("kernels/newest").join(kernel::name());
    let mut bytes = std::fs::read(&kept).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::remove_file(&kept).unwrap();
    std::fs::write(&kept, bytes).unwrap();
    bare.run(&[disk]).expect(6).says("hint: remove it, and get it again: banger kernel rm newest");
}

/// A person at a terminal is offered a kernel; a script is told the command.
#[test]
fn on_a_terminal_a_kernel_is_offered() {
    judges!("qemu-system-x86_64", "python3", "apt-get", "dpkg-deb");
    let Some(bare) = Bare::new() else { return };
    let directory = tempfile::tempdir().unwrap();
    let repository = Repository::new(directory.path().join("debian"));
    let version = repository.kernel("7.0.1");
    let user = bare.managed.user.with("APT_CONFIG", repository.config().to_str().unwrap());
    let bare = Bare { managed: Managed { user } };
    let command = bare.command(&[&["demo:"][..], &BRIEFLY].concat());
    let question = json!({ "expect": "Get Debian's? It is some 40 MB. [Y/n] " });
    let (shown, status) = at_terminal(&command, &[question.clone(), json!({ "send": "n\n" })]);
    assert_eq!(status, Some(3), "{shown}");
    assert!(shown.contains("hint: `banger kernel pull debian` gets one"), "{shown}");
    // Nobody is asked about what cannot be run anyway.
    let absent = bare.command(&["app-v9", "--offline"]);
    let (shown, status) = at_terminal(&absent, &[]);
    assert_eq!(status, Some(3), "{shown}");
    assert!(!shown.contains("[Y/n]"), "{shown}");
    let (shown, status) = at_terminal(&command, &[question, json!({ "send": "\n" })]);
    assert!(shown.contains(&format!(": Linux {version}, ")), "{shown}");
    assert_eq!(status, Some(1), "no machine comes of a kernel that is none: {shown}");
    let name = format!("linux-{}", version.replace('+', "-"));
    assert_eq!(bare.managed.run(["kernel", "ls", "--quiet"]).ok().stdout(), format!("{name}\n"));
}

/// An image for another machine is no matter of kernels, and only what can be started is said to start.
#[test]
fn what_cannot_be_started_is_not_said_to_start() {
    let managed = Managed::new();
    let (foreign, number) = if cfg!(target_arch = "aarch64") { ("amd64", 62) } else { ("arm64", 183) };
    let platform = format!("linux/{foreign}");
    let layout = Layout::new(managed.user.path("foreign")).image("latest", &platform, layers(1, 1000));
    let foreign_source = source("oci", layout.path());
    let pull = |options: &[&str]| {
        let mut command = managed.command(args!["pull", &foreign_source, "--platform", &platform, "--name", "foreign"]);
        Run::of(command.args(SMALL).args(options))
    };
    let run = pull(&[]).expect(2).says(&format!("the image is for {platform}")).says("--guest none --no-kernel");
    assert!(!run.stderr().contains("there is no kernel"), "{run}");
    let run = pull(&["--guest", "none", "--no-kernel"]).ok();
    let run = run.says(&format!("it is for {foreign}, so `banger run` cannot start it on this machine"));
    assert!(!run.stderr().contains("start it with"), "{run}");

    // What an image that is registered is for, its programs say.
    let program = |number: u8| [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[2, 0, number, 0], &[0; 100]].concat();
    let register = |name: &str, shell: Vec<u8>| {
        let layout = Layout::of(managed.user.path(name), [Tar::new().file("bin/sh", shell)]);
        let disk = managed.user.path(&format!("{name}.ext4"));
        let layout = source("oci", layout.path());
        managed.run(args!["build", layout, "-o", &disk, "--guest", "none", "--size", "64M", "--quiet"]).ok();
        managed.run(args!["image", "register", name, disk, "--no-kernel"]).ok()
    };
    let own = if foreign == "amd64" { 183 } else { 62 };
    let run = register("ours", program(own));
    let run = run.says("it has no agent: `banger run ours --console` starts it and shows its console");
    assert!(!run.stderr().contains("start it with"), "{run}");
    let run = register("theirs", program(number)).says(&format!("it is for {foreign}, so "));
    assert!(!run.stderr().contains("start it with"), "{run}");
    assert_eq!(managed.show("theirs")["platform"].as_str(), Some(platform.as_str()));
    managed.run(["image", "show", "theirs"]).ok().says(&platform);
    managed.assert_sound();
}
