//! What the program prints, word for word: help, messages, listings.

use crate::args;
use crate::judges;
use crate::support::image::plain;
use crate::support::program::{PROGRAM, Run, banger, command, source};
use crate::support::snapshot::check;
use crate::support::{Layout, Tar, scratch};

#[test]
fn help_of_each_command() {
    check("help", &banger(["--help"]).ok().stdout());
    for command in ["build", "run", "fetch", "resolve", "login", "logout", "cache", "ls", "cat", "stat"] {
        check(&format!("help-{command}"), &banger([command, "--help"]).ok().stdout());
    }
    for command in ["ls", "rm", "prune", "verify"] {
        check(&format!("help-cache-{command}"), &banger(["cache", command, "--help"]).ok().stdout());
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
    check("messages", &text);
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

#[test]
fn manual_pages_for_each_command() {
    let scratch = scratch();
    banger(args!["man", scratch.path()]).ok();
    let names = crate::support::scratch::names(scratch.path());
    for name in ["build", "run", "fetch", "resolve", "login", "cache", "cache-prune", "ls", "cat", "stat"] {
        assert!(names.contains(&format!("banger-{name}.1")), "{name} is not among {names:?}");
    }
    let page = std::fs::read_to_string(scratch.path().join("banger-build.1")).unwrap();
    assert!(page.contains("docker save my\\-app | banger build"), "examples are in the page");
    let page = banger(["man"]).ok().stdout();
    assert!(page.starts_with(".ie") && page.contains("Exit codes"), "{page}");
}
