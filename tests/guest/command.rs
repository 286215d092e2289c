//! What a machine runs, and as whom: an image's command, that of `banger run`, and what `--user`, `--workdir`, `--env`, `--entrypoint` and `--init`
//! change. One image serves all of it: a base that brings an init, and an application for a user.

use serde_json::json;

use crate::args;
use crate::support::image::build;
use crate::support::machine::value;
use crate::support::program::source;
use crate::support::{Layout, Machines, Tar, judge};

/// Says as whom and where it runs.
const START: &str = "#!/bin/sh\necho \"runs $0 $*\"\necho \"ids $(id)\"\necho \"directory $(pwd)\"\necho \"colour $COLOUR\"\n\
    echo \"more $MORE\"\necho \"passed $PASSED\"\necho \"home $HOME\"\necho \"init $(cat /proc/1/comm)\"\n";

/// What an image is prepared with before its init starts.
const PREPARE: &str = "#!/bin/sh\necho \"$$ $COLOUR $container $(pwd)\" >/prepared\nexec \"$@\"\n";

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n";
const GROUP: &str = "root:x:0:\nwheel:x:10:root\napp:x:1000:\nvideo:x:44:app\n";

/// Debian's static busybox under a few names, with an init that is not meant.
fn base() -> Tar {
    let busybox = std::fs::read("/bin/busybox").or_else(|_| std::fs::read("/usr/bin/busybox")).unwrap();
    let tar = Tar::new()
        .entry("bin/busybox", b'0', 0o755, "", &busybox)
        .entry("start.sh", b'0', 0o755, "", START.as_bytes())
        .entry("prepare.sh", b'0', 0o755, "", PREPARE.as_bytes())
        .file("etc/passwd", PASSWD)
        .file("etc/group", GROUP)
        .file("etc/inittab", "::sysinit:/bin/true\n::shutdown:/bin/true\n")
        .symlink("sbin/init", "../bin/busybox")
        .symlink("opt/init", "../bin/busybox");
    let applets = ["sh", "cat", "id", "pwd", "true", "grep", "poweroff", "reboot"];
    applets.into_iter().fold(tar, |tar, applet| tar.symlink(&format!("bin/{applet}"), "busybox"))
}

#[test]
fn an_images_programs_run_as_its_config_says_unless_others_are_named() {
    let Some(machines) = Machines::with_vsock() else { return };
    if !judge::is_here("busybox") {
        return judge::missing("busybox", "an image with a user");
    }
    // The architecture is that of a wrong base: the index, which says that of this machine, counts.
    let config = json!({"architecture": "s390x", "config": {"Entrypoint": ["/start.sh"], "Cmd": ["serve"], "User": "app:",
        "WorkingDir": "/srv/made", "Env": ["PATH=/bin", "COLOUR=green"]}});
    let layout = Layout::of_config(machines.path("layout"), config, [base()]);
    let image = machines.path("image");
    let report = build(source("oci", layout.path()), &image, []);
    let why = "runs /start.sh serve; it is no init, so /sbin/init (/bin/busybox) does not run";
    assert_eq!((&report.0["boot"]["mode"], &report.0["boot"]["why"]), (&json!("workload"), &json!(why)));
    let app = "uid=1000(app) gid=1000(app) groups=44(video),1000(app)";

    // The application, not the init of its base; `app:` is the user app.
    let run = machines.run(args![image, "--rm", "--cmd", "other words"]).expect(0);
    let out = run.stdout();
    assert_eq!(value(&out, "runs"), "/start.sh other words", "{run}");
    assert_eq!((value(&out, "ids"), value(&out, "directory")), (app, "/srv/made"), "{run}");
    assert_eq!((value(&out, "colour"), value(&out, "home")), ("green", "/home/app"), "{run}");

    // A command that is named is no other user's.
    let run = machines.run(args![image, "--rm", "--", "sh", "-c", "/start.sh \"$@\"; exit 7", "sh", "a b"]).expect(7);
    let out = run.stdout();
    assert_eq!(value(&out, "runs"), "/start.sh a b", "{run}");
    assert_eq!((value(&out, "ids"), value(&out, "directory")), (app, "/srv/made"), "{run}");
    assert_eq!((value(&out, "colour"), value(&out, "home")), ("green", "/home/app"), "{run}");

    // As whom and where it was said, with an init that was chosen for this machine.
    let variables = machines.path("variables");
    std::fs::write(&variables, "# ours\nMORE=of it\nCOLOUR=red\n").unwrap();
    let named = args![
        image,
        "--rm",
        "-u",
        "1000:wheel",
        "-w",
        "/other/made",
        "-e",
        "COLOUR=blue",
        "--env",
        "BANGER_NOT_SET_HERE"
    ];
    let more =
        args!["--env-file", variables, "--init", "/opt/init", "--entrypoint", "/start.sh one", "--", "two words"];
    let run = machines.run(named.iter().chain(&more)).expect(0);
    let out = run.stdout();
    assert_eq!(value(&out, "runs"), "/start.sh one two words", "{run}");
    let ids = "uid=1000(app) gid=10(wheel) groups=10(wheel)";
    assert_eq!((value(&out, "ids"), value(&out, "directory")), (ids, "/other/made"), "{run}");
    assert_eq!((value(&out, "colour"), value(&out, "more")), ("blue", "of it"), "{run}");
    assert_eq!(value(&out, "init"), "init", "{run}");
    run.says("init, --init /opt/init: there is /opt/init");

    // What cannot be is said before anything boots.
    for (options, text) in [
        (args!["--init", "systemd"], "the image has no init systemd"),
        (args!["--init", "/etc/passwd"], "the image has no init /etc/passwd"),
        // The agent stands there, as the image runs an application.
        (args!["--init", "/sbin/init"], "build or pull it again with this --init"),
        (args!["--entrypoint", ""], "leaves no command to run"),
    ] {
        machines.run(named.iter().chain(&options)).expect(2).says(text);
    }
}

/// An entrypoint that prepares something and becomes the init that its arguments name is process 1 of the machine, as in a container.
#[test]
fn an_entrypoint_prepares_what_its_init_boots() {
    let Some(machines) = Machines::without_vsock() else { return };
    if !judge::is_here("busybox") {
        return judge::missing("busybox", "an image with an init");
    }
    let config = json!({"config": {"Entrypoint": ["/prepare.sh", "/sbin/init"], "WorkingDir": "/tmp/work",
        "Env": ["PATH=/bin", "COLOUR=green", "container=docker"]}});
    let layout = Layout::of_config(machines.path("layout"), config, [base()]);
    let image = machines.path("image");
    let report = build(source("oci", layout.path()), &image, []);
    assert_eq!(report.0["boot"]["mode"], "init", "{}", report.0["boot"]);
    assert_eq!(report.0["boot"]["why"], "the command /prepare.sh /sbin/init starts /bin/busybox");
    let script = "echo prepared $(cat /prepared); echo init $(cat /proc/1/comm); echo ids $(id -u)";
    let run = machines.run(args![image, "--rm", "--", "sh", "-c", script]).expect(0);
    let out = run.stdout();
    // Process 1, with the image's variables, but not in a container.
    assert_eq!(value(&out, "prepared"), "1 green /tmp/work", "{run}");
    assert_eq!((value(&out, "init"), value(&out, "ids")), ("init", "0"), "{run}");
}
