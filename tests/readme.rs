//! README.md, followed by a machine: every command of it in order, by a user with a fresh home, and what it says that they print.
//!
//! A block `sh` has commands, one a line. A block `console` has commands after `$ `, and below each what it prints: every line of
//! that must be printed, in order, with any numbers, sizes and digests. A block `toml` is a file of settings. What is not run stands
//! in [`NOT_RUN`], what stands in for something that a machine without Docker Hub and docker has not in [`Stage`] and [`INSTEAD`].

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::args;
use crate::judges;
use crate::support::corpus::repository;
use crate::support::managed::kernel_package;
use crate::support::program::PROGRAM;
use crate::support::registry::Debian;
use crate::support::{Corpus, Layout, Machines, Managed, Run, Tar, judge, scratch};

/// Commands that are not run, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("make demo", "it compiles everything once more; the commands of its script stand in README, too"),
    (
        "cargo install --locked --path crates/cli",
        "it compiles everything once more, from the lock file that the tests use",
    ),
    (
        "make uninstall",
        "it would remove what is installed on this machine; `what_is_installed_is_removed` runs its script",
    ),
    ("cargo uninstall banger", "nothing was installed by cargo"),
];

/// What is written in the place of words of README: hosts that are examples.
const INSTEAD: &[(&str, &str)] = &[("registry.example", "the registry that the test starts")];

/// `docker`, of which two commands are in README: archives as it would write them.
const DOCKER: &str = r#"#!/bin/sh
case $1 in
    save) exec skopeo copy --quiet oci:images/small:latest "docker-archive:/dev/stdout:$2" ;;
    export) exec tar -c -C images/tree . ;;
esac
exit 64
"#;

/// The images of the corpus that stand in for images in registries. For nginx it is a busybox that ends at once.
const IMAGES: [(&str, &str); 2] = [("debian-min", "library/debian:bookworm"), ("scratch", "owner/image:1.2")];

/// Seconds after which a command has hung.
const LIMIT: &str = "600";

/// A command of README, and the lines that it is said to print.
#[derive(Debug)]
struct Step {
    line: usize,
    command: String,
    prints: Vec<String>,
}

/// What README has.
#[derive(Debug, Default)]
struct Readme {
    steps: Vec<Step>,
    settings: Vec<String>,
}

impl Readme {
    fn read() -> Self {
        let text = std::fs::read_to_string(repository().join("README.md")).unwrap();
        let mut readme = Self::default();
        let mut block: Option<&str> = None;
        for (number, line) in text.lines().enumerate() {
            assert!(!line.starts_with("    ") || block.is_some(), "README:{}: a block without a fence", number + 1);
            match (block, line.strip_prefix("```")) {
                (None, Some(kind)) => {
                    assert!(["sh", "console", "toml", "text"].contains(&kind), "README:{}: {kind}", number + 1);
                    block = Some(kind);
                    if kind == "toml" {
                        readme.settings.push(String::new());
                    }
                }
                (Some(_), Some(_)) => block = None,
                (Some(kind), None) => readme.take(kind, number + 1, line),
                (None, None) => {}
            }
        }
        readme
    }

    fn take(&mut self, kind: &str, line: usize, text: &str) {
        let step = |command: &str| Step { line, command: command.to_owned(), prints: Vec::new() };
        match (kind, text.strip_prefix("$ ")) {
            ("sh", _) => self.steps.push(step(text)),
            ("console", Some(command)) => self.steps.push(step(command)),
            ("console", None) => self.steps.last_mut().unwrap().prints.push(text.to_owned()),
            ("toml", _) => self.settings.last_mut().unwrap().push_str(&format!("{text}\n")),
            _ => {}
        }
    }
}

/// The machine that README is followed on.
struct Stage {
    machines: Machines,
    registry: Debian,
    work: PathBuf,
}

impl Stage {
    fn new() -> Option<Self> {
        for needed in ["skopeo", "docker-registry", "jq", "tar", "busybox"] {
            if !judge::is_here(needed) {
                judge::missing(needed, "README");
                return None;
            }
        }
        let machines = Machines::with_vsock()?;
        let registry = Debian::plain();
        for (corpus, name) in IMAGES {
            registry.push(&Corpus::get(corpus)?.layout, "latest", name);
        }
        let config = json!({ "config": { "Cmd": ["/bin/busybox", "true"], "ExposedPorts": { "80/tcp": {} } } });
        let busybox = std::fs::read(judge::find("busybox").unwrap()).unwrap();
        let files = Tar::new().entry("bin/busybox", b'0', 0o755, "", &busybox);
        let nginx = Layout::of_config(machines.path("nginx"), config, [files]);
        registry.push(nginx.path(), "latest", "library/nginx:latest");
        let work = machines.path("work");
        let stage = Self { machines, registry, work };
        stage.furnish();
        Some(stage)
    }

    /// The files that README speaks of, settings that make the registry stand in for others, and a `docker`.
    fn furnish(&self) {
        let images = self.work.join("images");
        std::fs::create_dir_all(images.join("tree/etc")).unwrap();
        std::fs::write(images.join("tree/etc/hostname"), "container\n").unwrap();
        let corpus = |name: &str| Corpus::get(name).unwrap().layout;
        std::os::unix::fs::symlink(corpus("debian-min"), images.join("debian")).unwrap();
        std::os::unix::fs::symlink(corpus("scratch"), images.join("small")).unwrap();
        let [from, to] = [corpus("debian-min"), images.join("debian.tar")].map(|path| path.display().to_string());
        let copy = ["copy", "--quiet", &format!("oci:{from}:latest"), &format!("oci-archive:{to}:latest")];
        judge::ask("skopeo", copy).ok();

        let host = self.registry.host();
        let mirrors: String = ["docker.io", "ghcr.io"]
            .iter()
            .map(|registry| format!("[registry.\"{registry}\"]\nmirrors = [\"{host}\"]\n"))
            .collect();
        let config = self.machines.path("home-config/banger/config.toml");
        std::fs::create_dir_all(config.parent().unwrap()).unwrap();
        std::fs::write(config, mirrors).unwrap();

        let docker = self.work.join("bin/docker");
        std::fs::create_dir_all(docker.parent().unwrap()).unwrap();
        std::fs::write(&docker, DOCKER).unwrap();
        Run::of(Command::new("chmod").args(args!["755", docker])).ok();
    }

    fn run(&self, command: &str) -> Run {
        let mut command = command.to_owned();
        for (example, _) in INSTEAD {
            command = command.replace(example, &self.registry.host());
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let programs = Path::new(PROGRAM).parent().unwrap();
        let path = format!("{}:{}:{path}", self.work.join("bin").display(), programs.display());
        let mut shell = Command::new("timeout");
        shell.args([
            "--foreground",
            "--signal=TERM",
            "--kill-after=20",
            LIMIT,
            "bash",
            "-o",
            "pipefail",
            "-c",
            &command,
        ]);
        shell.current_dir(&self.work).env_clear().envs(self.machines.environment()).stdin(Stdio::null());
        shell
            .env("XDG_CONFIG_HOME", self.machines.path("home-config"))
            .env("XDG_CACHE_HOME", self.machines.path("cache"));
        shell.env("PATH", path).env("TOKEN", "secret").env("BANGER_IDLE", "20");
        Run::of(&mut shell)
    }
}

/// A line without what differs from machine to machine and from day to day: numbers, digests, spaces.
fn masked(line: &str) -> String {
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        let is_number = word.bytes().any(|byte| byte.is_ascii_digit());
        words.push(if is_number { "#" } else { word });
    }
    words.join(" ")
}

/// The first of these lines that is not printed in its turn.
fn missing<'a>(expected: &'a [String], printed: &str) -> Option<&'a String> {
    let mut lines = printed.lines().map(masked);
    expected.iter().filter(|line| line.as_str() != "...").find(|line| !lines.any(|found| found == masked(line)))
}

#[test]
fn every_command_works_in_its_turn() {
    let Some(stage) = Stage::new() else { return };
    if kernel_package().is_none() {
        return;
    }
    let readme = Readme::read();
    let mut wrong = Vec::new();
    let mut not_run: Vec<&str> = NOT_RUN.iter().map(|(command, _)| *command).collect();
    for Step { line, command, prints } in &readme.steps {
        if NOT_RUN.iter().any(|(listed, _)| listed == command) {
            not_run.retain(|listed| listed != command);
            continue;
        }
        let run = stage.run(command);
        println!("README:{line}: {command}\n{run}");
        let printed = format!("{}{}", run.stdout(), run.stderr());
        if run.code() != Some(0) {
            wrong.push(format!("README:{line}: {command}: fails: {run}"));
        } else if let Some(text) = missing(prints, &printed) {
            wrong.push(format!("README:{line}: {command}: does not print {text:?}: {run}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(readme.steps.len() > 30, "{readme:?}");
    assert_eq!(not_run, [""; 0], "these are not in README any more");
    // The last of it has removed everything.
    for place in ["state/banger", "cache/banger"] {
        assert!(!stage.machines.path(place).exists(), "{place}");
    }
}

#[test]
fn settings_are_what_the_program_reads() {
    let readme = Readme::read();
    assert_eq!(readme.settings.len(), 1);
    let user = Managed::new();
    user.user.write(".config/banger/company.pem", "");
    user.user.configure(&readme.settings[0]);
    user.run(["image", "ls"]).ok();
    user.run(["cache", "ls"]).ok();
    // A name that no one knows is an error, so the names in README are known.
    user.user.configure(&readme.settings[0].replace("timeout", "time_out"));
    user.run(["pull", "demo:", "--no-kernel"]).expect(2).says("time_out");
}

#[test]
fn no_line_of_it_is_wider_than_a_terminal_and_no_kernel_has_a_version() {
    let text = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let is_table = |line: &str| line.starts_with('|');
    let wide: Vec<&str> = text.lines().filter(|line| !is_table(line) && line.chars().count() > 100).collect();
    assert_eq!(wide, [""; 0]);
    for word in text.split(|c: char| c.is_whitespace() || c == '`') {
        let digits =
            word.strip_prefix("linux-image-").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        assert!(!digits, "{word}: Debian removes a version within months");
    }
}

#[test]
fn what_is_installed_is_removed() {
    judges!("install", "find");
    let scratch = scratch();
    let release = scratch.path().join("target/release");
    std::fs::create_dir_all(&release).unwrap();
    for program in ["banger", "bangerd"] {
        std::os::unix::fs::symlink(Path::new(PROGRAM).with_file_name(program), release.join(program)).unwrap();
    }
    let destination = scratch.path().join("package");
    let own = destination.join("usr/local/bin/other");
    let script = |name: &str| {
        let mut command = Command::new(repository().join("scripts").join(name));
        command.env("CARGO_TARGET_DIR", scratch.path().join("target")).env("DESTDIR", &destination);
        command.env("HOME", scratch.path()).env_remove("XDG_RUNTIME_DIR").env_remove("BANGER_ROOT");
        Run::of(&mut command).ok()
    };
    script("install.sh");
    std::fs::write(&own, "not from banger").unwrap();
    let files = || {
        let found = judge::ask("find", args![&destination, "-type", "f"]).ok().stdout();
        found.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(files().len() > 40, "{:?}", files());
    let count = files().len() - 1;
    script("uninstall.sh").says(&format!("removed {count} files below "));
    assert_eq!(files(), [own.display().to_string()]);
}
