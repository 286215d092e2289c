//! A store in a directory of its own, images to put into it, and what must hold of it at any moment.

use banger_store::image::{Boot, Kernel, ROOTFS, Row, Stage, Staging};
use banger_store::{Error, Result, Store, kernel};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

pub(crate) const CREATED: &str = "2026-01-02T03:04:05Z";

pub(crate) struct Scratch {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        Self { directory, store }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    pub(crate) fn entries(&self, area: &str) -> Vec<String> {
        entries(&self.root().join(area))
    }
}

/// An id that begins with a digit of one's choice.
pub(crate) fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// Names in a directory, in order.
pub(crate) fn entries(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What the root file system of an image holds: its id, as often as it takes.
pub(crate) fn content(id: &str) -> Vec<u8> {
    id.repeat(200).into_bytes()
}

/// A row of an image with everything that there can be. What [`fill`] makes belongs to it.
pub(crate) fn row(id: &str) -> Row {
    Row {
        id: id.to_owned(),
        name: String::new(),
        source: "docker.io/library/debian:bookworm".to_owned(),
        digest: Some(format!("sha256:{id}")),
        platform: Some("linux/amd64".to_owned()),
        boot: Some(Boot { mode: "systemd".to_owned(), why: "/sbin/init is systemd".to_owned() }),
        kernel: Some(Kernel {
            name: Some("linux-6.1".to_owned()),
            version: Some("6.1.0-32-amd64".to_owned()),
            digest: id.to_owned(),
            image: "vmlinux".into(),
            initrd: Some("initrd.img".into()),
            modules: Some("modules".into()),
        }),
        content_id: Some(id.to_owned()),
        size: content(id).len() as u64,
        allocated: 0,
        created: CREATED.to_owned(),
        request: Some("{}".to_owned()),
        managed: true,
        rootfs: ROOTFS.into(),
    }
}

/// Puts the files of an image into a directory.
pub(crate) fn fill(directory: &Path, id: &str) {
    fs::write(directory.join(ROOTFS), content(id)).unwrap();
    fs::write(directory.join("vmlinux"), "kernel").unwrap();
    fs::write(directory.join("initrd.img"), "initrd").unwrap();
    fs::create_dir_all(directory.join("modules/kernel")).unwrap();
    fs::write(directory.join("modules/kernel/virtio.ko"), "module").unwrap();
}

/// Makes an image, or takes the one that is there.
pub(crate) fn make(store: &Store, name: &str, id: &str) -> Result<Row> {
    let reservation = store.reserve(name)?;
    match store.stage(id, &|| true)? {
        Stage::New(staging) => {
            fill(staging.path(), id);
            staging.publish(reservation, &row(id))
        }
        Stage::Ready(shared) => store.add_name(reservation, &shared, &row(id)),
    }
}

/// Moves a name to an image, which is made or taken.
pub(crate) fn replace(store: &Store, name: &str, id: &str) -> Result<Row> {
    let reservation = store.reserve_replacing(name)?;
    match store.stage(id, &|| true)? {
        Stage::New(staging) => {
            fill(staging.path(), id);
            staging.publish(reservation, &row(id))
        }
        Stage::Ready(shared) => store.add_name(reservation, &shared, &row(id)),
    }
}

pub(crate) fn new(stage: Stage) -> Staging {
    match stage {
        Stage::New(staging) => staging,
        Stage::Ready(shared) => panic!("{} is there", shared.key()),
    }
}

/// A row of an image whose files are elsewhere.
pub(crate) fn elsewhere(id: &str, directory: &Path) -> Row {
    Row { rootfs: directory.join("rootfs.img"), kernel: None, managed: false, ..row(id) }
}

pub(crate) fn kernel_row() -> kernel::Row {
    kernel::Row {
        name: String::new(),
        version: Some("6.1.0-32-amd64".to_owned()),
        architecture: "amd64".to_owned(),
        format: "bzimage".to_owned(),
        digest: id('7'),
        size: 0,
        source: "/boot/linux-image.deb".to_owned(),
        created: CREATED.to_owned(),
        image: "bzImage".into(),
        initrd: None,
        modules: Some("modules".into()),
    }
}

pub(crate) fn make_kernel(store: &Store, name: &str) -> Result<kernel::Row> {
    let staging = store.stage_kernel(store.reserve_kernel(name)?)?;
    fs::write(staging.path().join("bzImage"), name.repeat(1000)).unwrap();
    fs::create_dir(staging.path().join("modules")).unwrap();
    fs::write(staging.path().join("modules/a.ko"), "module").unwrap();
    staging.publish(&kernel_row())
}

/// Each row has its files, and each directory that nobody holds has its row. To be true at any moment, whoever works with the
/// store.
pub(crate) fn check_now(store: &Store) {
    for row in store.images().unwrap() {
        if row.managed {
            // It may have been removed meanwhile; what is there is whole.
            match store.image(&row.id) {
                Ok(Some(shared)) => check_files(shared.path(), &row.id),
                Ok(None) => assert!(store.names_of(&row.id).unwrap().is_empty() || store.image(&row.id).is_ok()),
                Err(error) => panic!("{}: {error}", row.name),
            }
        }
    }
    for row in store.kernels().unwrap() {
        match store.kernel(&row.name) {
            Ok(Some((row, shared))) => assert_eq!(row.image, shared.path().join("bzImage")),
            Ok(None) => {}
            Err(error) => panic!("{}: {error}", row.name),
        }
    }
    assert_eq!(store.check_database().unwrap(), Vec::<String>::new());
}

fn check_files(directory: &Path, id: &str) {
    assert_eq!(fs::read(directory.join(ROOTFS)).unwrap(), content(id));
    assert_eq!(entries(directory), ["initrd.img", "modules", ROOTFS, "vmlinux"]);
    assert_eq!(fs::read(directory.join("modules/kernel/virtio.ko")).unwrap(), b"module");
}

/// The same when nobody else works with it: nothing is there but what is listed.
pub(crate) fn check_still(store: &Store) {
    check_now(store);
    let images: BTreeSet<String> =
        store.images().unwrap().into_iter().filter(|row| row.managed).map(|row| row.id).collect();
    assert_eq!(entries(&store.root().join("images")), images.into_iter().collect::<Vec<_>>());
    let kernels: Vec<String> = store.kernels().unwrap().into_iter().map(|row| row.name).collect();
    assert_eq!(entries(&store.root().join("kernels")), kernels);
    assert_eq!(entries(&store.root().join("reserved")), Vec::<String>::new());
    assert_eq!(store.leftovers().unwrap(), []);
}

/// Names of all images, in order.
pub(crate) fn names(store: &Store) -> Vec<String> {
    store.images().unwrap().into_iter().map(|row| row.name).collect()
}

/// Makes a file that occupies its length.
pub(crate) fn write_synced(path: &Path, length: usize) {
    fs::write(path, vec![7; length]).unwrap();
    File::open(path).unwrap().sync_all().unwrap();
}

/// What an error is, without what it tells.
pub(crate) fn sort(error: &Error) -> String {
    let debug = format!("{error:?}");
    debug.split(|character: char| !character.is_alphanumeric()).next().unwrap().to_owned()
}
