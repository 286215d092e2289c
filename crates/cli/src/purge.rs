//! `banger purge`: removes all that banger keeps for a user.
//!
//! What is in use is found out before anything goes: a machine that runs, an image that another process reads. In the root only
//! what banger makes there is removed, since `--root` may name any directory. Settings stay, as the user wrote them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use banger_catalog::download::Downloads;
use banger_config::Directories;
use banger_operations::access::open_cache;
use banger_operations::problem::of_store;
use banger_store::{Store, completion};
use banger_vm::directory;

use crate::args::{Purge, ServiceOptions};
use crate::daemon;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::say;
use crate::password;
use crate::text::{Bytes, counted};

/// Bytes that `st_blocks` counts in, whatever the file system.
const STAT_BLOCK: u64 = 512;
/// The database in the root.
const DATABASE: &str = "banger.db";
/// Files that banger makes in the root.
const FILES: [&str; 5] = [DATABASE, "banger.db-wal", "banger.db-shm", "banger.db-journal", "bangerd.log"];
/// Endings of the daemon's socket, and of the locks beside it.
const SOCKETS: [&str; 3] = ["", ".lock", ".start"];
/// Directories that banger makes in the root, and that are empty when everything in them is removed.
const DIRECTORIES: [&str; 4] = ["images", "kernels", "machines", "reserved"];

/// Where things are kept.
struct Places {
    root: PathBuf,
    machines: PathBuf,
    cache: PathBuf,
    layers: PathBuf,
    socket: PathBuf,
    settings: Option<PathBuf>,
}

impl Places {
    fn find(options: &ServiceOptions) -> Result<Self, Failure> {
        let directories = Directories::of_process(options.root.as_deref())?;
        Ok(Self {
            root: directories.root()?,
            machines: directories.machines()?,
            cache: directories.cache()?,
            layers: directories.layers()?,
            socket: directories.socket()?,
            settings: directories.config().filter(|path| path.exists()),
        })
    }

    /// What is there, one line for each place.
    fn list(&self) -> Vec<String> {
        let names = completion::names(&self.root);
        let machines = directory::ended(&self.machines, false).unwrap_or_default();
        let mut lines = Vec::new();
        let kept = [DATABASE, "images", "kernels", "machines", "bangerd.log"];
        if kept.iter().any(|name| self.root.join(name).exists()) {
            lines.push(format!(
                "'{}': {}, {}, {}; {}",
                self.root.display(),
                counted(names.images.len() as u64, "image", "images"),
                counted(names.kernels.len() as u64, "kernel", "kernels"),
                counted(machines.len() as u64, "machine that has ended", "machines that have ended"),
                Bytes(DIRECTORIES.iter().map(|name| disk_usage(&self.root.join(name))).fold(0, u64::saturating_add))
            ));
        }
        if self.cache.exists() {
            let size = Bytes(disk_usage(&self.cache));
            lines.push(format!("'{}': the cache of layers and downloads; {size}", self.cache.display()));
        }
        lines
    }
}

pub(crate) fn run(purge: &Purge, options: &ServiceOptions) -> Result<(), Failure> {
    let places = Places::find(options)?;
    let lines = places.list();
    if lines.is_empty() {
        daemon::stop(&places.socket, false)?;
        say("there is nothing to remove");
        return Ok(());
    }
    let removes = if purge.dry_run { "would remove" } else { "removes" };
    lines.iter().for_each(|line| say(&format!("{removes} {line}")));
    if let Some(settings) = &places.settings {
        say(&format!("keeps '{}': your settings", settings.display()));
    }
    if purge.dry_run {
        return Ok(());
    }
    if !purge.yes && !password::is_attended() {
        let what = "`banger purge` removes all images, kernels and machines, and there is no terminal to ask on";
        return Err(Failure::new(Exit::Usage, what).hint("`banger purge --yes` does not ask"));
    }
    if !purge.yes && !password::confirm("Remove all this? [y/N] ")? {
        say("nothing was removed");
        return Ok(());
    }
    remove(&places)?;
    say("everything was removed");
    Ok(())
}

fn remove(places: &Places) -> Result<(), Failure> {
    let running = directory::running(&places.machines).map_err(|error| Failure::of(Exit::Other, &error))?;
    if !running.is_empty() {
        let what = format!("nothing was removed: a machine is running: {}", running.join(", "));
        return Err(Failure::new(Exit::Other, what).hint("end it with Ctrl-C where `banger run` was started"));
    }
    daemon::stop(&places.socket, false)?;
    if places.root.join(DATABASE).exists() {
        remove_store(&places.root)?;
    }
    directory::ended(&places.machines, true).map_err(|error| Failure::of(Exit::Other, &error))?;
    remove_file(&places.machines.join("lock"))?;
    let reserved = places.root.join("reserved");
    if reserved.exists() {
        fs::remove_dir_all(&reserved).map_err(|error| Failure::file("remove", &reserved, &error))?;
    }
    for name in FILES {
        remove_file(&places.root.join(name))?;
    }
    for ending in SOCKETS {
        let mut path = places.socket.clone().into_os_string();
        path.push(ending);
        remove_file(Path::new(&path))?;
    }
    for name in DIRECTORIES {
        remove_directory(&places.root.join(name))?;
    }
    remove_cache(places)?;
    remove_directory(&places.root)?;
    match places.socket.parent() {
        Some(parent) if parent != places.root => remove_directory(parent),
        _ => Ok(()),
    }
}

/// Removes all images, or none if one is in use, and all kernels.
fn remove_store(root: &Path) -> Result<(), Failure> {
    let failed = |error: banger_store::Error| Failure::from(of_store(&error));
    let store = Store::open(root).map_err(failed)?;
    let images = store.images().map_err(failed)?;
    store.remove(&images.iter().map(|row| row.name.as_str()).collect::<Vec<_>>()).map_err(failed)?;
    for kernel in store.kernels().map_err(failed)? {
        store.remove_kernel(&kernel.name).map_err(failed)?;
    }
    Ok(())
}

fn remove_cache(places: &Places) -> Result<(), Failure> {
    if places.layers.is_dir() {
        // Waits for processes that use it.
        let mut waiting = || say("waiting for another process that uses the cache");
        let removed = open_cache(&places.layers)?.prune(true, false, &mut waiting);
        removed.map_err(|error| Failure::of(Exit::from(&error), &error))?;
    }
    let downloads = Downloads::new(&places.cache);
    let failed = |error: &banger_catalog::Error| Failure::of(error.kind().into(), error);
    for kept in downloads.kept().map_err(|error| failed(&error))? {
        if !downloads.remove(&kept).map_err(|error| failed(&error))? {
            let what = format!("the download {} is in use", kept.sha256);
            return Err(
                Failure::new(Exit::Other, what).hint("end the process that uses it, and run `banger purge` again")
            );
        }
    }
    match fs::remove_dir_all(&places.cache) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::file("remove", &places.cache, &error)),
        _ => Ok(()),
    }
}

fn remove_file(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::file("remove", path, &error)),
        _ => Ok(()),
    }
}

/// Removes a directory that is empty. One that has what banger did not make stays, and is named.
fn remove_directory(path: &Path) -> Result<(), Failure> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            say(&format!("keeps '{}': there is something in it that banger did not make", path.display()));
            Ok(())
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::file("remove", path, &error)),
        _ => Ok(()),
    }
}

/// Bytes that everything below a directory takes up; a file with several names counts once. What cannot be read counts nothing.
fn disk_usage(path: &Path) -> u64 {
    fn walk(path: &Path, seen: &mut HashSet<(u64, u64)>) -> u64 {
        let Ok(metadata) = path.symlink_metadata() else { return 0 };
        if !seen.insert((metadata.dev(), metadata.ino())) {
            return 0;
        }
        let own = metadata.blocks().saturating_mul(STAT_BLOCK);
        if !metadata.is_dir() {
            return own;
        }
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| walk(&entry.path(), seen)).fold(own, u64::saturating_add)
    }
    walk(path, &mut HashSet::new())
}
