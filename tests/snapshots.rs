//! What the program prints, word for word: help, messages, listings.

use crate::args;
use crate::judges;
use crate::support::image::plain;
use crate::support::program::{PROGRAM, Run, banger, command, source};
use crate::support::snapshot::check;
use crate::support::{Layout, Tar, scratch};

/// All commands, with those that are parts of them.
const COMMANDS: &[(&str, &[&str])] = &[
    ("pull", &[]),
    ("run", &[]),
    ("image", &["ls", "show", "rm", "rename", "history", "diff", "register", "promote", "export", "push"]),
    ("kernel", &["ls", "show", "pull", "import", "export", "rm"]),
    ("catalog", &["ls", "add"]),
    ("bundle", &["make"]),
    ("build", &[]),
    ("fetch", &[]),
    ("resolve", &[]),
    ("tags", &[]),
    ("login", &[]),
    ("logout", &[]),
    ("cache", &["ls", "rm", "prune", "verify"]),
    ("ls", &[]),
    ("cat", &[]),
    ("stat", &[]),
    ("df", &[]),
    ("prune", &[]),
    ("purge", &[]),
    ("info", &[]),
    ("job", &["ls", "show", "watch", "cancel"]),
    ("daemon", &["stop"]),
    ("doctor", &[]),
    ("completion", &[]),
];

#[test]
fn help_of_each_command() {
    check("help", &banger(["--help"]).ok().stdout());
    for (command, parts) in COMMANDS {
        check(&format!("help-{command}"), &banger([command, "--help"]).ok().stdout());
        for part in *parts {
            check(&format!("help-{command}-{part}"), &banger([command, part, "--help"]).ok().stdout());
        }
    }
}

#[test]
fn version() {
    let version = format!("banger {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(banger(["--version"]).ok().stdout(), version);
}

/// Messages as they appear in a directory with an image layout `images`, one after the other.
#[test]
fn messages() {
    let scratch = scratch();
    let layer = || Tar::new().file("etc/motd", "hello\n".repeat(3000));
    let layout = Layout::new(scratch.path().join("images"))
        .image("bookworm", "linux/amd64", [layer()])
        .index("several", [("linux/s390x", layer()), ("linux/arm/v7", layer())]);
    std::fs::write(scratch.path().join("there"), b"").unwrap();
    std::fs::write(scratch.path().join("odd.tar"), Tar::new().hardlink("a\x1b[31m", "../b").finish()).unwrap();
    std::fs::write(scratch.path().join("config.toml"), "[registry.\"docker.io\"]\nmirors = []\n").unwrap();
    let mut text = String::new();
    for line in [
        "",
        "bild",
        "build oci:images:bookworm",
        "build oci:images:bookworm -o disk --siz 1G",
        "build oci:images:bookworm -o disk --size 2GB",
        "build oci:images:bookworm -o disk --uuid 1",
        "build oci:images:bookworm -o disk --quiet --json",
        "build oci:images:bookworm -o disk --color=sometimes",
        "build images -o disk --offline --cache cache",
        "build debian:bookworm -o disk --offline --cache cache",
        "build debian:bookworm -o disk",
        "build Debian:bookworm -o disk",
        "build oci:images -o disk",
        "build oci:images:trixie -o disk",
        "build oci:missing -o disk",
        "build oci:cache/ingest -o disk",
        "build oci:images:several -o disk --platform linux/riscv64",
        "build oci:images:bookworm -o there",
        "build oci:images:bookworm -o .",
        "build oci:images:bookworm -o no/such/directory/disk",
        "build oci:images:bookworm -o disk --size 1M",
        "build oci:images:bookworm -o disk --add missing:/etc/x",
        "build tar:odd.tar -o disk",
        "ls there",
        "ls missing",
        "fetch",
        "fetch oci:images:bookworm",
        "fetch debian --offline --pull always",
        "fetch debian --pull sometimes",
        "fetch debian --to layout",
        "fetch debian:12 alpine:12 --to oci:layout",
        "fetch debian --insecure https://registry.test",
        "fetch debian --creds somebody --cache cache",
        "fetch debian --config missing.toml --cache cache",
        "fetch debian --config config.toml --cache cache",
        "fetch debian --cache images/blobs",
        "resolve a/../b",
        "resolve debian --pull never --cache cache",
        "cache",
        "cache ls",
        "cache ls --cache missing",
        "cache rm debian --cache cache",
        "pull",
        "pull Debian:bookworm --no-daemon --root root",
        "pull debian:bookworm --no-daemon --root root --initrd initrd",
        "pull debian:bookworm --no-daemon --root root --no-kernel --kernel-ref linux",
        "image",
        "image show nothing --no-daemon --root root",
        "image rm nothing other --no-daemon --root root",
        "image export nothing -o - --format raw --no-daemon --root root",
        "image push nothing oci:layout --no-daemon --root root",
        "kernel show nothing --no-daemon --root root",
        "kernel import --from there --no-daemon --root root",
        "catalog add catalog.json there",
        "catalog add catalog.json /dev/null",
        "job ls --no-daemon --root root",
        "job show 1 --root root",
        "completion tcsh",
    ] {
        let run = Run::of(command().args(line.split_whitespace()).current_dir(scratch.path()));
        assert_eq!(run.stdout(), "", "{run}");
        // Lines of progress come before the message, and are none of it.
        let messages = run.stderr();
        let begin = messages.find("error: ").unwrap_or(0);
        text += &format!("$ banger {line}\n{}[exit {}]\n\n", &messages[begin..], run.code().unwrap());
    }
    let layer = layout.blob_path(&layout.first_manifest()["layers"][0]);
    std::fs::write(&layer, vec![b'x'; layer.metadata().unwrap().len() as usize]).unwrap();
    let run = Run::of(command().args(["build", "oci:images:bookworm", "-o", "disk"]).current_dir(scratch.path()));
    let messages = run.stderr();
    let begin = messages.find("error: ").unwrap();
    text += &format!("$ banger build a-tampered-layer\n{}[exit {}]\n", &messages[begin..], run.code().unwrap());
    // Whoever does the work may be elsewhere, and is told absolute paths.
    check("messages", &text.replace(scratch.path().to_str().unwrap(), "[HERE]"));
}

/// One of everything, under odd names too.
fn everything() -> Tar {
    Tar::new()
        .entry("bin/su", b'0', 0o4755, "", b"#!/bin/sh\n")
        .directory("dir", 0o2775)
        .directory("tmp", 0o1777)
        .file("file", vec![b'x'; 10_000])
        .hardlink("linked", "file")
        .symlink("link", "/usr/lib/\x1b[31mred")
        .entry("fifo", b'6', 0o600, "", b"")
        .file("line\nbreak", b"")
        .file("back\\slash 'quoted' \"twice\"", b"")
        .file("grün", b"")
        .file("right-to-left-\u{202e}gnp.exe", b"")
        .file("control-\x07\x1b[2J", b"")
}

#[test]
fn listings() {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [everything()]);
    let image = scratch.path().join("image");
    plain(source("oci", layout.path()), &image, []);
    check("ls", &banger(args!["ls", image]).ok().stdout());
    check("ls-recursive", &banger(args!["ls", image, "-R"]).ok().stdout());
    check("ls-json", &banger(args!["ls", image, "--json"]).ok().stdout());
    check("ls-color", &banger(args!["ls", image, "--color", "always"]).ok().stdout());
    let mut text = String::new();
    for path in ["/", "file", "link", "fifo", "bin/su"] {
        text += &banger(args!["stat", image, path]).ok().stdout();
        text += "\n";
    }
    check("stat", &text);
    check("stat-json", &banger(args!["stat", image, "/file", "--json", "--sha256"]).ok().stdout());
    // A link on the command line stands for the directory behind it, a name that is no directory for itself.
    assert_eq!(banger(args!["ls", image, "/bin/su"]).ok().stdout().lines().count(), 1);
}

/// Where nobody watches: a line for each thing that is done, and a summary.
#[test]
fn progress() {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [everything(), Tar::new().whiteout("file")]);
    // The digests of an image with the agent in it are others whenever the agent is another.
    let build = args!["build", source("oci", layout.path()), "--guest", "none", "-o"];
    let run = |arguments: &[&str]| Run::of(command().args(&build).args(arguments).current_dir(scratch.path())).ok();
    let shown = run(&["disk.ext4", "--jobs", "1", "--checksum"]);
    assert_eq!(shown.stdout(), "");
    // How long it took and how the host stores holes is not the same everywhere.
    let messages = shown.stderr();
    let lines = messages.lines().map(|line| match line.strip_prefix("disk.ext4: 1.0 GiB, ") {
        Some(rest) => {
            let rest = rest.split(", ").nth(1).unwrap();
            format!("disk.ext4: 1.0 GiB, [ALLOCATED], {} in [TIME]\n", rest.split(" in ").next().unwrap())
        }
        None => format!("{line}\n"),
    });
    check("progress", &lines.collect::<String>());
    let quiet = run(&["image", "--quiet"]);
    assert_eq!(quiet.stderr(), "");
    let json = run(&["image", "--json", "--force"]);
    let report: serde_json::Value = serde_json::from_str(&json.stdout()).unwrap();
    assert_eq!(report["content_id"].as_str(), quiet.stdout().lines().next());
    assert_eq!(report["path"], "image");
    assert_eq!(report["entries"], 13);
    assert!(report.get("checksum").is_none());
    for stage in ["resolve", "layers", "metadata", "sync", "checksum", "total"] {
        assert!(report["seconds"][stage].as_f64().is_some_and(|seconds| seconds >= 0.0), "{stage}");
    }
}

/// A terminal sees bars move, and in the end the same lines as everyone.
#[test]
fn progress_on_a_terminal() {
    judges!("script");
    let scratch = scratch();
    let large = || Tar::new().file("large", vec![b'x'; 8 << 20]);
    let layout = Layout::of(scratch.path().join("layout"), [large(), large().file("small", b"x")]);
    let on_terminal = |options: &str| {
        let image = scratch.path().join("image");
        let line = format!("{PROGRAM} build oci:{} -o {} --force {options}", layout.path().display(), image.display());
        let mut script = std::process::Command::new("script");
        // Not `--quiet --return --command`: what is short is understood by all versions.
        script.args(["-qec", &line, "/dev/null"]).env_clear().env("TERM", "xterm").stdin(std::process::Stdio::null());
        Run::of(&mut script).ok().stdout()
    };
    let shown = on_terminal("");
    for text in
        ["2 layers, 16.0 MiB", "layer 1/2 sha256:", "layer 2/2 sha256:", "all layers", "MiB/s", "content id sha256:"]
    {
        assert!(shown.contains(text), "{text:?} is not in {shown:?}");
    }
    const CYAN: &str = "\x1b[36m";
    assert!(shown.contains(CYAN), "{shown:?}");
    assert!(!on_terminal("--color never").contains(CYAN));
    let quiet = on_terminal("--quiet");
    assert!(quiet.starts_with("sha256:") && quiet.lines().count() == 1, "{quiet:?}");
}

#[test]
fn colour_where_it_is_wanted() {
    let escape = '\x1b';
    let colored = |variable: &str, options: &[&str]| {
        let mut command = command();
        command.args(["ls", "/no/such/image"]).args(options).env(variable, "1");
        Run::of(&mut command).expect(3).stderr().contains(escape)
    };
    assert!(!colored("NOTHING", &[]), "a pipe is no terminal");
    assert!(colored("NOTHING", &["--color", "always"]));
    assert!(colored("NO_COLOR", &["--color=always"]), "who asks for it gets it");
    assert!(!colored("CLICOLOR_FORCE", &["--color=never"]));
    assert!(!colored("NO_COLOR", &[]));
}

/// On a machine where no program is found: what is missing is named, with what it is for and how to get it.
#[test]
fn the_doctor_says_what_is_missing() {
    let scratch = scratch();
    let doctor = |arguments: &[&str]| {
        let mut command = std::process::Command::new(PROGRAM);
        command.args(["doctor", "--root", "root"]).args(arguments).current_dir(scratch.path()).env_clear();
        Run::of(command.env("HOME", scratch.path()).env("PATH", scratch.path())).expect(1)
    };
    let checks: Vec<serde_json::Value> =
        doctor(&["--json"]).stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let state = |name: &str| {
        let check = checks.iter().find(|check| check["name"] == name);
        check.unwrap_or_else(|| panic!("no {name}: {checks:?}"))["state"].as_str().unwrap()
    };
    for name in ["banger", "settings", "images", "cache", "credentials", "daemon"] {
        assert_eq!(state(name), "ok", "{checks:?}");
    }
    assert_eq!(state("QEMU"), "missing");
    let text = doctor(&[]).says("missing  QEMU: ").says("`banger run` starts machines with it").stdout();
    assert!(text.contains("qemu-system"), "{text}");
    // Settings that cannot be understood are found where they stand.
    std::fs::write(scratch.path().join("bad.toml"), "kernel = 1\n").unwrap();
    doctor(&["--config", "bad.toml"]).says("missing  settings: bad.toml:1:10: ");
}

#[test]
fn manual_pages_for_each_command() {
    let scratch = scratch();
    banger(args!["man", scratch.path()]).ok();
    let names = crate::support::scratch::names(scratch.path());
    let mut expected = vec!["banger.1".to_owned(), "banger-config.5".to_owned(), "bangerd.8".to_owned()];
    for (command, parts) in COMMANDS {
        expected.push(format!("banger-{command}.1"));
        expected.extend(parts.iter().map(|part| format!("banger-{command}-{part}.1")));
    }
    // The other way to say `banger pull`.
    expected.push("banger-image-pull.1".to_owned());
    expected.sort();
    assert_eq!(names, expected);
    let page = std::fs::read_to_string(scratch.path().join("banger-build.1")).unwrap();
    assert!(page.contains("docker save my\\-app | banger build"), "examples are in the page");
    let page = banger(["man"]).ok().stdout();
    assert!(page.starts_with(".ie") && page.contains("Exit codes"), "{page}");
    judges!("mandoc");
    for name in names {
        Run::of(std::process::Command::new("mandoc").args(["-Tlint", "-Werror"]).arg(scratch.path().join(name))).ok();
    }
}

/// The page of the daemon is written by hand: it names every option that there is, and no other.
#[test]
fn the_page_of_the_daemon_has_its_options() {
    let scratch = scratch();
    banger(args!["man", scratch.path()]).ok();
    let page = std::fs::read_to_string(scratch.path().join("bangerd.8")).unwrap().replace("\\-", "-");
    let help = Run::of(std::process::Command::new(env!("CARGO_BIN_EXE_bangerd")).arg("--help")).ok().stdout();
    let options = |text: &str| {
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, '[' | ']' | '"' | '\\' | '~'));
        words.filter(|word| word.starts_with("--")).map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    let mut found = options(&page);
    // Those of other commands that it speaks of.
    for other in ["--no-daemon", "--user", "--now", "--unix-socket"] {
        found.remove(other);
    }
    assert_eq!(found, options(&help));
}
