//! A store with something in it, and a pull that adds something: what failures are tried on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::args;
use crate::registry::noise;
use crate::support::layout::sha256;
use crate::support::managed::files_of;
use crate::support::program::source;
use crate::support::registry::user::soundness;
use crate::support::registry::{Content, Server};
use crate::support::{Layout, Managed, Run, Tar, kernel};

/// The version of all kernels here.
pub(super) const VERSION: &str = "6.1.0-test";

/// Options that keep images small.
pub(super) const SMALL: [&str; 2] = ["--size", "64M"];

/// Files by path, with their length and a digest of what is not zero in them.
type Files = BTreeMap<PathBuf, (usize, String)>;

/// Bytes that are looked at together.
const BLOCK: usize = 4096;

/// Somebody who has an image named `kept`, a kernel named `linux`, and somewhere to pull from.
pub(super) struct Bench {
    pub(super) managed: Managed,
    pub(super) server: Server,
    /// What makes the image named `new`.
    pub(super) pull: Vec<String>,
    before: Files,
}

/// Two layers, of which the second has so many bytes without a pattern.
pub(super) fn layers(seed: u64, bytes: usize) -> [Tar; 2] {
    let etc = Tar::new().directory("etc", 0o755).file("etc/hostname", "here\n").symlink("lib", "usr/lib");
    [etc, Tar::new().directory("usr", 0o755).file("usr/noise", noise(seed, bytes))]
}

/// A directory with a small kernel.
pub(super) fn kernel_directory(managed: &Managed) -> PathBuf {
    let directory = managed.user.path("kernel");
    kernel::write(&directory, VERSION);
    directory
}

/// Keeps a kernel.
#[track_caller]
pub(super) fn import(managed: &Managed, name: &str) {
    managed.run(args!["kernel", "import", "--from", kernel_directory(managed), "--name", name, "--quiet"]).ok();
}

/// Keeps an image of these layers.
#[track_caller]
pub(super) fn keep(managed: &Managed, name: &str, layers: impl IntoIterator<Item = Tar>, options: &[&str]) {
    let layout = Layout::of(managed.user.path(&format!("layout-{name}")), layers);
    let mut command = managed.command(args!["pull", source("oci", layout.path()), "--name", name, "--quiet"]);
    Run::of(command.args(SMALL).args(options)).ok();
}

/// Everything in a directory.
fn files(directory: &Path, into: &mut Files) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.insert(path.clone(), content(&path).unwrap());
        }
    }
}

/// What is in a file. Most of an image is zeros, which a digest of all of it would spend most of its time on.
fn content(path: &Path) -> std::io::Result<(usize, String)> {
    let bytes = std::fs::read(path)?;
    let mut some = Vec::new();
    for (number, block) in bytes.chunks(BLOCK).enumerate().filter(|(_, block)| **block != [0; BLOCK][..block.len()]) {
        some.extend(number.to_le_bytes());
        some.extend(block);
    }
    Ok((bytes.len(), sha256(&some)))
}

impl Bench {
    /// `new` is built of two layers, which a registry has.
    pub(super) fn layers(managed: Managed) -> Self {
        let layout = Layout::of(managed.user.path("layout"), layers(2, 100_000));
        let server = Content::of(layout.path()).serve();
        Self::of_layers(managed, server)
    }

    /// The same, from this registry.
    pub(super) fn of_layers(managed: Managed, server: Server) -> Self {
        let reference = server.reference("some/image:latest");
        let pull = ["pull", &reference, "--name", "new", "--kernel-ref", "linux", "--jobs", "2", "--quiet"];
        let pull = pull.into_iter().chain(SMALL).map(str::to_owned).collect();
        Self::new(managed, server, pull)
    }

    /// `new` is the bundle `web` of a catalog, which has the kernel that it names, too.
    pub(super) fn bundle(managed: Managed) -> Self {
        let site = site(&managed);
        let server = files_of(&site);
        Self::of_bundle(managed, server)
    }

    /// The same, from this server.
    pub(super) fn of_bundle(managed: Managed, server: Server) -> Self {
        managed.user.configure(&format!("[[catalog]]\nurl = \"http://{}/catalog.json\"\n", server.host()));
        let pull = ["pull", "web", "--name", "new", "--quiet"].map(str::to_owned).to_vec();
        Self::new(managed, server, pull)
    }

    fn new(managed: Managed, server: Server, pull: Vec<String>) -> Self {
        import(&managed, "linux");
        keep(&managed, "kept", layers(1, 10_000), &[]);
        let mut before = Files::new();
        files(&managed.root().join("images"), &mut before);
        files(&managed.root().join("kernels"), &mut before);
        assert!(before.len() >= 6, "{:?}", before.keys());
        Self { managed, server, pull, before }
    }

    pub(super) fn arguments(&self) -> Vec<&str> {
        self.pull.iter().map(String::as_str).collect()
    }

    /// Pulls.
    pub(super) fn run(&self) -> Run {
        self.managed.run(&self.pull)
    }

    /// What must hold after whatever has happened: what was there is there to the byte, what is listed is whole, nothing else is
    /// there. Whether `new` is.
    #[track_caller]
    pub(super) fn judge(&self, context: &str) -> bool {
        // The first command is the next start.
        let images = self.managed.images();
        if let Err(reason) = self.managed.soundness() {
            panic!("{context}: {reason}");
        }
        assert_eq!(images.iter().filter(|name| *name == "kept").count(), 1, "{context}: {images:?}");
        let unknown: Vec<&String> = images.iter().filter(|name| !["kept", "new"].contains(&name.as_str())).collect();
        assert!(unknown.is_empty(), "{context}: {unknown:?}");
        for (path, before) in &self.before {
            assert!(content(path).is_ok_and(|now| now == *before), "{context}: {} is another", path.display());
        }
        if let Err(reason) = soundness(&self.managed.user.cache()) {
            panic!("{context}: {reason}");
        }
        let reserved = self.managed.root().join("reserved");
        assert_eq!(crate::support::scratch::names(&reserved), [""; 0], "{context}: names are still reserved");
        images.iter().any(|name| name == "new")
    }

    /// As it was before the first pull, but for what the store has learnt.
    #[track_caller]
    pub(super) fn reset(&self) {
        if self.managed.images().iter().any(|name| name == "new") {
            self.managed.run(["image", "rm", "new", "--quiet"]).ok();
        }
        for kernel in self.managed.json(["kernel", "ls"]) {
            if kernel["name"] != "linux" {
                self.managed.run(["kernel", "rm", kernel["name"].as_str().unwrap(), "--quiet"]).ok();
            }
        }
        match std::fs::remove_dir_all(self.managed.user.home().join(".cache")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
    }
}

/// A directory as a web server has it: a catalog, the bundle `web`, and the kernel `remote` that it names.
pub(super) fn site(managed: &Managed) -> PathBuf {
    let builder = Managed::new();
    import(&builder, "remote");
    keep(&builder, "web", layers(3, 100_000), &["--kernel-ref", "remote"]);
    let site = managed.user.path("site");
    std::fs::create_dir(&site).unwrap();
    let bundle = builder.json(args!["bundle", "make", "web", "-o", &site]).remove(0);
    let archive = builder.json(args!["kernel", "export", "remote", "-o", &site]).remove(0);
    for file in [&bundle, &archive] {
        builder.run(args!["catalog", "add", site.join("catalog.json"), file["path"].as_str().unwrap()]).ok();
    }
    site
}
