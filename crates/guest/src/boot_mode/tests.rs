use super::*;
use crate::testing::tree;

/// A program at a path, and a file that is none.
const PROGRAM: &str = "x";
const FILE: &str = "-";

type Names = &'static [(&'static str, &'static str)];

/// Decides by these names, the text of /etc/inittab, and a command.
fn decided(names: &[(&str, &str)], inittab: &[u8], command: &[&str], init: &Init) -> Result<Boot, DecideError> {
    let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
    let read = |_, _, _| Ok(inittab.to_vec());
    decide(Image { tree: &tree(names), read: &read, command: &command, is_explicit: false, path: None, init })
}

#[track_caller]
fn auto(names: &[(&str, &str)], command: &[&str]) -> Boot {
    decided(names, ALPINE, command, &Init::Auto).unwrap()
}

/// Names with what they are (`x`, `-`, `/` for a directory, else a link's target), then mode, why, and init.
type Case = (Names, BootMode, &'static str, Option<&'static str>);

const NO_INIT: &str = "there is no command to run; there is no init";

const CASES: [Case; 16] = [
    (&[], BootMode::Workload, "(/sbin/init, /etc/init, /bin/init)", None),
    (
        &[("lib/systemd/systemd", PROGRAM), ("sbin/init", "/lib/systemd/systemd")],
        BootMode::Systemd,
        "/sbin/init leads to /lib/systemd/systemd",
        Some("/sbin/init"),
    ),
    (
        &[
            ("sbin", "usr/sbin"),
            ("lib", "usr/lib"),
            ("usr/lib/systemd/systemd", PROGRAM),
            ("usr/sbin/init", "../../lib/systemd/systemd"),
        ],
        BootMode::Systemd,
        "/sbin/init leads to /usr/lib/systemd/systemd",
        Some("/sbin/init"),
    ),
    // A link that would leave the image stays in it.
    (
        &[("systemd", PROGRAM), ("sbin/init", "../../../../systemd")],
        BootMode::Systemd,
        "/sbin/init leads to /systemd",
        Some("/sbin/init"),
    ),
    (
        &[("sbin/openrc-init", PROGRAM), ("sbin/init", "openrc-init")],
        BootMode::Openrc,
        "/sbin/init leads to /sbin/openrc-init",
        Some("/sbin/init"),
    ),
    (
        &[("bin/busybox", PROGRAM), ("sbin/init", "/bin/busybox"), ("sbin/openrc", PROGRAM), ("etc/inittab", FILE)],
        BootMode::Openrc,
        "/sbin/init leads to /bin/busybox, and there are /sbin/openrc and /etc/inittab",
        Some("/sbin/init"),
    ),
    (
        &[("sbin/init", PROGRAM), ("sbin/openrc", PROGRAM), ("etc/init.d", "/")],
        BootMode::Openrc,
        "there is /sbin/init, and there are /sbin/openrc and /etc/init.d",
        Some("/sbin/init"),
    ),
    (&[("sbin/init", PROGRAM)], BootMode::Init, "there is /sbin/init", Some("/sbin/init")),
    (&[("etc/init", PROGRAM)], BootMode::Init, "there is /etc/init", Some("/etc/init")),
    (&[("bin/init", PROGRAM), ("sbin/init", "gone")], BootMode::Init, "there is /bin/init", Some("/bin/init")),
    (&[("sbin/init", "gone")], BootMode::Workload, "/sbin/init leads to nothing", None),
    (&[("sbin/init", "init")], BootMode::Workload, "/sbin/init leads to nothing", None),
    (&[("sbin/init", FILE)], BootMode::Workload, "/sbin/init is no program", None),
    (&[("sbin/init", "/")], BootMode::Workload, "/sbin/init is no program", None),
    // `/bin/sh` is what the kernel would try last.
    (&[("bin/sh", PROGRAM)], BootMode::Workload, "(/sbin/init, /etc/init, /bin/init)", None),
    (
        &[("usr/local/bin/banger-vsock-agent", PROGRAM), ("sbin/init", "/usr/local/bin/banger-vsock-agent")],
        BootMode::Workload,
        "/sbin/init is the agent",
        None,
    ),
];

#[test]
fn without_a_command_the_tree_decides() {
    for (names, mode, why, init) in CASES {
        let boot = auto(names, &[]);
        assert_eq!((boot.mode, boot.init.as_deref()), (mode, init), "{names:?}: {boot:?}");
        assert!(boot.args.is_empty() && !boot.entrypoint, "{boot:?}");
        match mode {
            BootMode::Workload => assert!(boot.why.starts_with(NO_INIT) && boot.why.ends_with(why), "{boot:?}"),
            _ => assert_eq!(boot.why, why),
        }
    }
}

#[test]
fn a_shell_alone_decides_nothing() {
    for command in [
        &["/bin/bash"][..],
        &["bash"],
        &["/bin/sh"],
        &["sh", "-l"],
        &["/usr/bin/zsh", "-i"],
        &["busybox", "sh"],
        &["/bin/sh", "-c", "/bin/bash"],
        &["/bin/sh", "-c", "exec bash -l"],
        &["/bin/sh", "-c", ""],
    ] {
        for (names, mode, why, init) in CASES {
            let boot = auto(names, command);
            // A busybox that would start nothing is not meant, see below.
            assert_eq!((boot.mode, boot.init.as_deref()), (mode, init), "{names:?} {command:?}: {boot:?}");
            assert!(boot.why.contains(why), "{boot:?}");
        }
    }
}

/// A base with systemd, as Rocky Linux, UBI and CentOS have it, with a few programs.
const SYSTEMD_BASE: Names = &[
    ("sbin", "usr/sbin"),
    ("bin", "usr/bin"),
    ("lib", "usr/lib"),
    ("usr/lib/systemd/systemd", PROGRAM),
    ("usr/sbin/init", "../lib/systemd/systemd"),
    ("usr/bin/bash", PROGRAM),
    ("usr/bin/sh", "bash"),
    ("usr/bin/python3", PROGRAM),
    ("usr/bin/tini", PROGRAM),
    ("start.sh", PROGRAM),
    ("init", PROGRAM),
    ("usr/local/bin/entrypoint", PROGRAM),
];

/// A base with Debian's sysvinit, and one with busybox under many names.
const SYSVINIT_BASE: Names = &[("sbin/init", PROGRAM), ("bin/sh", PROGRAM), ("usr/bin/app", PROGRAM)];
const BUSYBOX_BASE: Names = &[
    ("bin/busybox", PROGRAM),
    ("bin/sh", "/bin/busybox"),
    ("bin/httpd", "/bin/busybox"),
    ("sbin/init", "/bin/busybox"),
    ("sbin/getty", "/bin/busybox"),
    ("etc/inittab", FILE),
];

#[test]
fn an_application_runs_whatever_init_its_base_brings() {
    for (names, command) in [
        (SYSTEMD_BASE, &["/start.sh", "serve"][..]),
        (SYSTEMD_BASE, &["python3"]),
        (SYSTEMD_BASE, &["bash", "-c", "echo $HOME"]),
        (SYSTEMD_BASE, &["/bin/sh", "-c", "python3 -m http.server"]),
        (SYSTEMD_BASE, &["/bin/bash", "/start.sh"]),
        (SYSTEMD_BASE, &["tini", "--", "bash"]),
        // s6-overlay's, which is a process 1 among its services and not the machine's.
        (SYSTEMD_BASE, &["/init"]),
        (SYSTEMD_BASE, &["/init", "python3"]),
        // Programs that are not there are an error when they are run.
        (SYSTEMD_BASE, &["/no/such"]),
        (SYSTEMD_BASE, &["init/", "init"]),
        (SYSVINIT_BASE, &["app", "init"]),
        (BUSYBOX_BASE, &["httpd", "-f"]),
        (BUSYBOX_BASE, &["busybox", "httpd", "-f"]),
        (BUSYBOX_BASE, &["busybox"]),
        (&[], &["/sbin/init"]),
    ] {
        let boot = auto(names, command);
        assert_eq!((boot.mode, &boot.init), (BootMode::Workload, &None), "{command:?}: {boot:?}");
        assert!(boot.why.starts_with(&format!("runs {}; ", command.join(" "))), "{boot:?}");
    }
    let why = "runs /start.sh serve; it is no init, so /sbin/init (/usr/lib/systemd/systemd) does not run";
    assert_eq!(auto(SYSTEMD_BASE, &["/start.sh", "serve"]).why, why);
    assert_eq!(auto(&[], &["/app"]).why, "runs /app; there is no init (/sbin/init, /etc/init, /bin/init)");
    let long = auto(&[], &["/app", &"ä\n".repeat(40)]).why;
    assert!(long.starts_with("runs /app ä\\nä") && long.contains("...; there"), "{long}");
}

#[test]
fn a_command_that_is_an_init_boots_the_machine() {
    let exec = "exec /usr/sbin/init --show-status=false";
    let wrapper = "mkdir -p /run/x && exec /sbin/init \"$@\"";
    for (names, command, mode, init, args) in [
        (SYSTEMD_BASE, &["/sbin/init"][..], BootMode::Systemd, "/sbin/init", &[][..]),
        (SYSTEMD_BASE, &["/usr/sbin/init"], BootMode::Systemd, "/usr/sbin/init", &[]),
        (SYSTEMD_BASE, &["init"], BootMode::Systemd, "/usr/sbin/init", &[]),
        (SYSTEMD_BASE, &["/lib/systemd/systemd"], BootMode::Systemd, "/lib/systemd/systemd", &[]),
        (
            SYSTEMD_BASE,
            &["/usr/lib/systemd/systemd", "--system", "--unit=web.target"],
            BootMode::Systemd,
            "/usr/lib/systemd/systemd",
            &["--system", "--unit=web.target"],
        ),
        (SYSTEMD_BASE, &["/bin/sh", "-c", "/sbin/init"], BootMode::Systemd, "/sbin/init", &[]),
        (SYSTEMD_BASE, &["sh", "-c", "exec init 3"], BootMode::Systemd, "/usr/sbin/init", &["3"]),
        // As kindest/node has it.
        (
            SYSTEMD_BASE,
            &["/usr/local/bin/entrypoint", "/sbin/init"],
            BootMode::Systemd,
            "/usr/local/bin/entrypoint",
            &["/sbin/init"],
        ),
        (SYSTEMD_BASE, &["/bin/sh", "-c", exec], BootMode::Systemd, "/bin/sh", &["-c", exec]),
        (SYSTEMD_BASE, &["/bin/bash", "-c", wrapper], BootMode::Systemd, "/bin/bash", &["-c", wrapper]),
        // Where nothing at /sbin/init leads to it.
        (
            &[("lib/systemd/systemd", PROGRAM)],
            &["/lib/systemd/systemd"],
            BootMode::Systemd,
            "/lib/systemd/systemd",
            &[],
        ),
        (SYSVINIT_BASE, &["/sbin/init", "2"], BootMode::Init, "/sbin/init", &["2"]),
        (&[("sbin/runit-init", PROGRAM)], &["runit-init"], BootMode::Init, "/sbin/runit-init", &[]),
        (&[("sbin/finit", PROGRAM)], &["/sbin/finit"], BootMode::Init, "/sbin/finit", &[]),
        (&[("sbin/openrc-init", PROGRAM)], &["/sbin/openrc-init"], BootMode::Openrc, "/sbin/openrc-init", &[]),
        (
            &[("sbin/init", PROGRAM), ("sbin/openrc", PROGRAM), ("etc/init.d", "/")],
            &["/sbin/init"],
            BootMode::Openrc,
            "/sbin/init",
            &[],
        ),
        // Busybox is an init by this name, though it would start nothing.
        (BUSYBOX_BASE, &["/sbin/init"], BootMode::Init, "/sbin/init", &[]),
        (BUSYBOX_BASE, &["busybox", "init"], BootMode::Init, "/bin/busybox", &["init"]),
    ] {
        let boot = auto(names, command);
        assert_eq!((boot.mode, boot.init.as_deref()), (mode, Some(init)), "{command:?}: {boot:?}");
        assert_eq!(boot.args, args, "{command:?}");
        let is_entrypoint = ["/usr/local/bin/entrypoint", "/bin/sh", "/bin/bash"].contains(&init);
        assert_eq!(boot.entrypoint, is_entrypoint, "{command:?}");
        assert!(boot.why.starts_with("the command "), "{boot:?}");
    }
    let why = "the command /usr/sbin/init is an init: /usr/sbin/init leads to /usr/lib/systemd/systemd";
    assert_eq!(auto(SYSTEMD_BASE, &["/usr/sbin/init"]).why, why);
    let why = "the command /usr/local/bin/entrypoint /sbin/init starts /usr/lib/systemd/systemd";
    assert_eq!(auto(SYSTEMD_BASE, &["/usr/local/bin/entrypoint", "/sbin/init"]).why, why);
    // What the agent has replaced is no init of the image.
    let agent = &[("usr/local/bin/banger-vsock-agent", PROGRAM), ("sbin/init", "/usr/local/bin/banger-vsock-agent")];
    assert_eq!(auto(agent, &["/sbin/init"]).mode, BootMode::Workload);
}

#[test]
fn a_shell_that_was_set_is_meant() {
    let (command, init) = (["bash".to_owned()], Init::Auto);
    let tree = tree(SYSTEMD_BASE);
    let image = Image {
        tree: &tree,
        read: &|_, _, _| Ok(Vec::new()),
        command: &command,
        is_explicit: true,
        path: None,
        init: &init,
    };
    assert_eq!(decide(image).unwrap().mode, BootMode::Workload);
    assert_eq!(decide(Image { is_explicit: false, ..image }).unwrap().mode, BootMode::Systemd);
}

#[test]
fn programs_are_looked_for_in_the_images_path() {
    let (command, init) = (["start".to_owned()], Init::Auto);
    let tree = tree(&[("opt/bin/start", "/lib/systemd/systemd"), ("lib/systemd/systemd", PROGRAM)]);
    let image = Image {
        tree: &tree,
        read: &|_, _, _| Ok(Vec::new()),
        command: &command,
        is_explicit: false,
        path: Some("relative:/usr/bin:/opt/bin/"),
        init: &init,
    };
    assert_eq!(decide(image).unwrap().init.as_deref(), Some("/opt/bin/start"));
    assert_eq!(decide(Image { path: None, ..image }).unwrap().mode, BootMode::Workload);
}

#[test]
fn an_init_can_be_chosen() {
    let chosen = |names: Names, init: &str, command: &[&str]| decided(names, ALPINE, command, &init.parse().unwrap());
    for (names, init, command, mode, path, why) in [
        (SYSTEMD_BASE, "none", &["/sbin/init"][..], BootMode::Workload, None, "--init none: runs /sbin/init"),
        (SYSTEMD_BASE, "none", &[], BootMode::Workload, None, "--init none: there is no command to run"),
        (
            SYSTEMD_BASE,
            "systemd",
            &["/start.sh"],
            BootMode::Systemd,
            Some("/sbin/init"),
            "--init systemd: /sbin/init leads to /usr/lib/systemd/systemd",
        ),
        (
            &[("lib/systemd/systemd", PROGRAM), ("sbin/init", PROGRAM)],
            "systemd",
            &[],
            BootMode::Systemd,
            Some("/lib/systemd/systemd"),
            "--init systemd: there is /lib/systemd/systemd",
        ),
        (
            &[("sbin/openrc-init", PROGRAM), ("sbin/init", PROGRAM)],
            "openrc",
            &[],
            BootMode::Openrc,
            Some("/sbin/openrc-init"),
            "--init openrc: there is /sbin/openrc-init",
        ),
        (
            &[("bin/busybox", PROGRAM), ("sbin/init", "/bin/busybox"), ("sbin/openrc", PROGRAM), ("etc/inittab", FILE)],
            "openrc",
            &["/app"],
            BootMode::Openrc,
            Some("/sbin/init"),
            "--init openrc: /sbin/init leads to /bin/busybox, and there are /sbin/openrc and /etc/inittab",
        ),
        (SYSTEMD_BASE, "/init", &["/app"], BootMode::Init, Some("/init"), "--init /init: there is /init"),
        (
            SYSTEMD_BASE,
            "/usr/sbin/init",
            &["/app"],
            BootMode::Systemd,
            Some("/usr/sbin/init"),
            "--init /usr/sbin/init: /usr/sbin/init leads to /usr/lib/systemd/systemd",
        ),
        (
            BUSYBOX_BASE,
            "/sbin/init",
            &["sh"],
            BootMode::Init,
            Some("/sbin/init"),
            "--init /sbin/init: /sbin/init leads to /bin/busybox",
        ),
    ] {
        let boot = chosen(names, init, command).unwrap();
        assert_eq!((boot.mode, boot.init.as_deref(), &*boot.why), (mode, path, why));
        assert!(boot.args.is_empty() && !boot.entrypoint, "{boot:?}");
    }
    for (names, init, error) in [
        (SYSVINIT_BASE, "systemd", "the image has no init systemd: none of these leads to it: /sbin/init, "),
        (SYSTEMD_BASE, "openrc", "the image has no init openrc: none of these leads to it: /sbin/init, "),
        (SYSTEMD_BASE, "/no/such", "the image has no init /no/such: it is no program: /no/such"),
        (BUSYBOX_BASE, "/etc/inittab", "the image has no init /etc/inittab: it is no program: /etc/inittab"),
    ] {
        let found = chosen(names, init, &[]).unwrap_err();
        assert!(matches!(found, DecideError::NoInit(..)) && found.to_string().starts_with(error), "{found}");
    }
}

/// The file of Alpine's base image: OpenRC is not in that image.
const ALPINE: &[u8] = b"# /etc/inittab\n\n::sysinit:/sbin/openrc sysinit\n::wait:/sbin/openrc default\n\
    tty1::respawn:/sbin/getty 38400 tty1\n::ctrlaltdel:/sbin/reboot\n::shutdown:/sbin/openrc shutdown\n";

#[test]
fn a_shell_runs_where_busybox_would_start_nothing() {
    let names = &[("bin/busybox", PROGRAM), ("sbin/init", "/bin/busybox"), ("sbin/getty", "/bin/busybox")][..];
    let with_file = [names, &[("etc/inittab", FILE)]].concat();
    let with_script = [names, &[("etc/init.d/rcS", PROGRAM)]].concat();
    let busybox = "/sbin/init leads to /bin/busybox";
    let idle = "runs /bin/sh; /sbin/init leads to /bin/busybox, which has nothing to start: ";
    for (names, text, command, mode, why) in [
        (
            &with_file[..],
            ALPINE,
            &["/bin/sh"][..],
            BootMode::Workload,
            format!("{idle}/etc/inittab wants /sbin/openrc, which is not there"),
        ),
        (&with_file, ALPINE, &[], BootMode::Init, busybox.to_owned()),
        (
            &with_file,
            b"::sysinit:/bin/busybox mount -a\n",
            &["sh"],
            BootMode::Init,
            format!("{busybox}, and the command sh is a shell and nothing else"),
        ),
        (
            &with_file,
            b"::once:-busybox sh\n",
            &["/bin/sh"],
            BootMode::Init,
            format!("{busybox}, and the command /bin/sh is a shell and nothing else"),
        ),
        (
            &with_file,
            b"#::sysinit:/bin/busybox\nrubbish\n",
            &["/bin/sh"],
            BootMode::Workload,
            format!("{idle}/etc/inittab wants nothing"),
        ),
        (
            names,
            b"",
            &["/bin/sh"],
            BootMode::Workload,
            format!("{idle}there is neither /etc/inittab nor /etc/init.d/rcS"),
        ),
        (
            &with_script,
            b"",
            &["/bin/sh"],
            BootMode::Init,
            format!("{busybox}, and the command /bin/sh is a shell and nothing else"),
        ),
    ] {
        let boot = decided(names, text, command, &Init::Auto).unwrap();
        assert_eq!((boot.mode, &*boot.why), (mode, &*why), "{names:?} {command:?}");
    }
}
