//! Debian's kernels in a repository of their own: packages by dpkg-deb, in the shape of Debian's, which apt reads.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::kernel::{self, module};
use super::layout::{host_platform, sha256};
use super::program::Run;

/// What is built in (`modules.builtin`): enough for an initial RAM disk.
const BUILTIN: &[u8] = b"kernel/fs/ext4/ext4.ko\nkernel/drivers/block/virtio_blk.ko\n";

/// A repository, and a system of apt that knows no other.
pub(crate) struct Repository {
    directory: PathBuf,
}

impl Repository {
    /// An empty one in a new directory.
    pub(crate) fn new(directory: PathBuf) -> Self {
        for below in ["pool", "lists/partial", "cache/archives/partial", "made"] {
            std::fs::create_dir_all(directory.join(below)).unwrap();
        }
        let repository = Self { directory };
        let path = |name: &str| repository.directory.join(name).display().to_string();
        let source = format!("deb [trusted=yes] file:{} ./\n", path("pool"));
        std::fs::write(path("sources.list"), source).unwrap();
        std::fs::write(path("status"), "").unwrap();
        let config = format!(
            "Dir::Etc::SourceList \"{}\";\nDir::Etc::SourceParts \"-\";\nDir::State::Lists \"{}\";\nDir::State::Status \"{}\";\nDir::Cache \"{}\";\n",
            path("sources.list"),
            path("lists"),
            path("status"),
            path("cache"),
        );
        std::fs::write(path("apt.conf"), config).unwrap();
        // Every list of Debian's has it.
        repository.package("apt", "1", &[], &[]);
        repository.index();
        repository
    }

    /// The configuration, for `APT_CONFIG`.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.join("apt.conf")
    }

    /// Where the packages are.
    pub(crate) fn pool(&self) -> PathBuf {
        self.directory.join("pool")
    }

    /// A kernel as Debian has had it since 6.19: in four packages, and with metapackages that depend on it.
    pub(crate) fn kernel(&self, upstream: &str) -> String {
        let (kernel, version) = (format!("{upstream}+deb14-cloud-{}", architecture()), format!("{upstream}-1"));
        let [image, binary, modules, base] =
            ["image", "binary", "modules", "base"].map(|part| format!("linux-{part}-{kernel}"));
        let below = |file: &str| format!("usr/lib/modules/{kernel}/{file}");
        self.package(&image, &version, &[&base, &binary, &modules], &[]);
        self.package(&binary, &version, &[&base], &[(below("vmlinuz"), kernel::image(&kernel))]);
        self.package(&modules, &version, &[&base], &[(below("kernel/a.ko"), module(&kernel, ""))]);
        self.package(&base, &version, &[], &[(below("modules.builtin"), BUILTIN.to_vec())]);
        let meta = |part: &str| format!("linux-{part}-cloud-{}", architecture());
        self.package(&meta("base"), &version, &[&base], &[]);
        self.package(&meta("image"), &version, &[&meta("base"), &image], &[]);
        self.index();
        kernel
    }

    /// A kernel as Debian had it before: in one package, of the flavour for any machine.
    pub(crate) fn old_kernel(&self, upstream: &str) -> String {
        let (kernel, version) = (format!("{upstream}-9-{}", architecture()), format!("{upstream}-9"));
        let image = format!("linux-image-{kernel}");
        let files = [
            (format!("boot/vmlinuz-{kernel}"), kernel::image(&kernel)),
            (format!("lib/modules/{kernel}/kernel/a.ko"), module(&kernel, "")),
        ];
        self.package(&image, &version, &[], &files);
        self.package(&format!("linux-image-{}", architecture()), &version, &[&image], &[]);
        self.index();
        kernel
    }

    /// Removes all packages whose names begin like this, and leaves the index as it is.
    pub(crate) fn remove(&self, start: &str) {
        for name in super::scratch::names(&self.pool()) {
            if name.starts_with(start) {
                std::fs::remove_file(self.pool().join(name)).unwrap();
            }
        }
    }

    /// Has the system's own lists updated, as its administrator does.
    pub(crate) fn update(&self) {
        let mut command = Command::new("apt-get");
        Run::of(command.args(["-q", "update"]).env("APT_CONFIG", self.config())).ok();
    }

    fn package(&self, name: &str, version: &str, depends: &[&str], files: &[(String, Vec<u8>)]) {
        let root = self.directory.join("made").join(name);
        let depends: Vec<String> = depends.iter().map(|other| format!("{other} (= {version})")).collect();
        let depends = ["kmod | other".to_owned()].into_iter().chain(depends).collect::<Vec<_>>().join(", ");
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {}\nMaintainer: nobody <n@b.de>\nDepends: {depends}\nDescription: a part\n",
            architecture()
        );
        write(&root.join("DEBIAN/control"), control.as_bytes());
        for (path, bytes) in files {
            write(&root.join(path), bytes);
        }
        let file = self.pool().join(format!("{name}_{version}_{}.deb", architecture()));
        let mut command = Command::new("dpkg-deb");
        Run::of(command.args(["--root-owner-group", "-Znone", "-b"]).arg(&root).arg(&file)).ok();
        std::fs::remove_dir_all(&root).unwrap();
    }

    /// Writes the index of all packages (`Packages`).
    fn index(&self) {
        let mut index = String::new();
        for name in super::scratch::names(&self.pool()).iter().filter(|name| name.ends_with(".deb")) {
            let file = self.pool().join(name);
            let control = Run::of(Command::new("dpkg-deb").arg("-f").arg(&file)).ok().stdout();
            let bytes = std::fs::read(&file).unwrap();
            write!(index, "{control}Filename: ./{name}\nSize: {}\nSHA256: {}\n\n", bytes.len(), sha256(&bytes))
                .unwrap();
        }
        std::fs::write(self.pool().join("Packages"), index).unwrap();
    }
}

fn architecture() -> String {
    host_platform().split_once('/').unwrap().1.to_owned()
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
