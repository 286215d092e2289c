//! Somebody who keeps images: with a store, caches and settings of their own, and no daemon unless one is asked for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::corpus::repository;
use super::program::Run;
use super::registry::{Answer, Server, User};
use super::scratch::names;
use super::{judge, kernel};
use crate::args;

/// A user's images.
pub(crate) struct Managed {
    pub(crate) user: User,
}

impl Managed {
    /// Everything is done in the process that is asked.
    pub(crate) fn new() -> Self {
        Self { user: User::new().with("BANGER_NO_DAEMON", "1") }
    }

    /// Everything is done by a daemon, which ends soon when nobody needs it.
    pub(crate) fn with_daemon() -> Self {
        Self { user: User::new().with("BANGER_IDLE", "20") }
    }

    /// Where images and kernels are kept.
    pub(crate) fn root(&self) -> PathBuf {
        self.user.home().join(".local/state/banger")
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.user.command();
        command.args(arguments);
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        self.user.run(arguments)
    }

    /// Runs something that must succeed, and gives the JSON objects that it prints.
    #[track_caller]
    pub(crate) fn json<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Vec<Value> {
        let mut command = self.command(arguments);
        let run = Run::of(command.arg("--json")).ok();
        let lines = run.stdout();
        lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// The names of all images.
    #[track_caller]
    pub(crate) fn images(&self) -> Vec<String> {
        self.run(["image", "ls", "--quiet"]).ok().stdout().lines().map(str::to_owned).collect()
    }

    /// One image.
    #[track_caller]
    pub(crate) fn show(&self, name: &str) -> Value {
        self.json(["image", "show", name]).remove(0)
    }

    /// A kernel named `linux` is kept here: a small one, which nothing could be started with.
    #[track_caller]
    pub(crate) fn import_kernel(&self) {
        let directory = self.user.path("linux");
        kernel::write(&directory, "6.1.0-test");
        self.run(args!["kernel", "import", "--from", directory, "--name", "linux", "--quiet"]).ok();
    }

    /// What is in the directories of images and kernels, whether it is listed or not.
    pub(crate) fn files(&self) -> Vec<String> {
        let area = |area: &str| {
            let directory = self.root().join(area);
            if directory.exists() { names(&directory) } else { Vec::new() }
        };
        [area("images"), area("kernels")].concat()
    }

    /// Each image that is listed is whole, and nothing is there that is not listed.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        if let Err(reason) = self.soundness() {
            panic!("{}: {reason}", self.root().display());
        }
    }

    /// Whether that is so.
    pub(crate) fn soundness(&self) -> Result<(), String> {
        let mut ids = Vec::new();
        for image in self.json(["image", "ls"]) {
            let path = |value: &Value| PathBuf::from(value.as_str().unwrap_or_default());
            let rootfs = path(&image["rootfs"]);
            let size = rootfs.metadata().map_err(|error| format!("{image}: {error}"))?.len();
            if Some(size) != image["size"].as_u64() {
                return Err(format!("{image}: the root file system has {size} bytes"));
            }
            for part in ["image", "initrd", "modules"] {
                let part = &image["kernel"][part];
                if !part.is_null() && !path(part).exists() {
                    return Err(format!("{image}: {part} is not there"));
                }
            }
            if image["managed"] == true {
                ids.push(image["id"].as_str().unwrap().to_owned());
                judge::e2fsck(&rootfs, &[]);
            }
        }
        ids.sort();
        ids.dedup();
        let mut known: Vec<String> = ids;
        known.extend(self.json(["kernel", "ls"]).iter().map(|kernel| kernel["name"].as_str().unwrap().to_owned()));
        let found = self.files();
        if found == known { Ok(()) } else { Err(format!("{found:?} is there, and {known:?} should be")) }
    }
}

/// Debian's package of a kernel. None where it cannot be had, and need not be.
pub(crate) fn kernel_package() -> Option<PathBuf> {
    for needed in ["apt-get", "dpkg-deb"] {
        if !judge::is_here(needed) {
            judge::missing(needed, "a kernel");
            return None;
        }
    }
    let directory = repository().join("target/kernel");
    Run::of(Command::new(repository().join("tests/boot/fetch-kernel.sh")).arg(&directory)).ok();
    Some(directory.join("package.deb"))
}

/// Bytes on the disk of everything below a directory, as `du` counts them: what has several names once.
#[track_caller]
pub(crate) fn disk_usage(directory: &Path) -> u64 {
    let run = judge::ask("du", args!["-s", "--block-size=1", directory]).ok();
    run.stdout().split_whitespace().next().unwrap().parse().unwrap()
}

/// A server of the files in a directory, which answers as web servers do: whole files, and parts of them.
pub(crate) fn files_of(directory: &Path) -> Server {
    let directory = directory.to_owned();
    Server::start(move |request| {
        let path = directory.join(request.path().trim_start_matches('/'));
        let Ok(bytes) = std::fs::read(path) else { return Answer::new(404, "no such file") };
        match request.offset() {
            Some(offset) if offset < bytes.len() => {
                let range = format!("bytes {offset}-{}/{}", bytes.len() - 1, bytes.len());
                Answer::new(206, &bytes[offset..]).header("Content-Range", &range)
            }
            _ => Answer::new(200, bytes),
        }
    })
}
