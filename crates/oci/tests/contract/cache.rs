//! The cache: what is in it is right, and what goes wrong is told with its path. Other files have its names between
//! processes, its maintenance and its judges.

use crate::support::chain;
use banger_oci::cache::{Cache, Ingest, Partial};
use banger_oci::{Algorithm, Descriptor, Digest, Error, ErrorKind, MediaType, Mismatch};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A cache in a temporary directory.
pub(crate) struct Scratch {
    directory: tempfile::TempDir,
    pub(crate) cache: Cache,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(&directory.path().join("cache")).unwrap();
        Scratch { directory, cache }
    }

    pub(crate) fn path(&self) -> &Path {
        self.cache.path()
    }

    /// A path beside the cache.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn blob_file(&self, digest: &Digest) -> PathBuf {
        self.path().join(digest.blob_path())
    }

    pub(crate) fn partial_file(&self, digest: &Digest) -> PathBuf {
        self.path().join(format!("ingest/{}-{}", digest.algorithm(), digest.hex()))
    }

    /// Names of the blobs, and of what is left of blobs.
    pub(crate) fn files(&self) -> (Vec<String>, Vec<String>) {
        let blobs = names(&self.path().join("blobs/sha256"));
        let partials = names(&self.path().join("ingest")).into_iter().filter(|name| !name.contains("lock"));
        (blobs, partials.collect())
    }
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        directory.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn descriptor(media_type: MediaType, content: &[u8]) -> Descriptor {
    Descriptor::new(media_type, Digest::sha256(content), content.len() as u64)
}

pub(crate) fn layer(content: &[u8]) -> Descriptor {
    descriptor(MediaType::ImageLayer, content)
}

/// Bytes that no compression or hole can make smaller, the same each time.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Begins to write a blob that must not be there.
pub(crate) fn begin(cache: &Cache, descriptor: &Descriptor) -> Partial {
    match cache.ingest(descriptor, &mut || panic!("nobody else writes it")).unwrap() {
        Ingest::Begin(partial) => partial,
        Ingest::Present(_) => panic!("it is there"),
    }
}

/// Writes a blob.
pub(crate) fn store(cache: &Cache, content: &[u8]) -> Descriptor {
    let descriptor = layer(content);
    cache.add(&descriptor, content).unwrap();
    descriptor
}

fn read(cache: &Cache, descriptor: &Descriptor) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    cache.blob(descriptor).unwrap()?.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

#[test]
fn a_blob_is_seen_when_it_has_been_committed() {
    let scratch = Scratch::new();
    let content = noise(300_000, 1);
    let blob = layer(&content);
    let mut partial = begin(&scratch.cache, &blob);
    assert!(!partial.was_resumed());
    for piece in content.chunks(65_536) {
        assert!(read(&scratch.cache, &blob).is_none());
        partial.append(piece).unwrap();
    }
    let file = partial.file();
    assert_eq!(partial.length(), blob.size);
    partial.verify().unwrap();
    assert!(!scratch.cache.contains(&blob));
    partial.publish().unwrap();
    assert!(scratch.cache.contains(&blob));
    assert_eq!(read(&scratch.cache, &blob).unwrap(), content);
    assert_eq!(scratch.files(), (vec![blob.digest.hex()], vec![]));

    // Who read it while it grew still can.
    let mut head = [0; 10];
    file.read_exact_at(&mut head, 0).unwrap();
    assert_eq!(head, content[..10]);
    let Ingest::Present(file) = scratch.cache.ingest(&blob, &mut || panic!("nothing to wait for")).unwrap() else {
        panic!("it is there");
    };
    file.read_exact_at(&mut head, 0).unwrap();
    assert_eq!(head, content[..10]);
}

#[test]
fn blobs_of_sha512_and_of_no_bytes_are_blobs() {
    let scratch = Scratch::new();
    let long = Descriptor { digest: Digest::of(Algorithm::Sha512, b"long"), ..layer(b"long") };
    scratch.cache.add(&long, b"long").unwrap();
    assert_eq!(read(&scratch.cache, &long).unwrap(), b"long");
    let empty = store(&scratch.cache, b"");
    assert_eq!(read(&scratch.cache, &empty).unwrap(), b"");
    assert_eq!(scratch.files(), (vec![empty.digest.hex()], vec![]));
}

#[test]
fn other_content_never_appears() {
    let content = noise(100_000, 2);
    let blob = layer(&content);
    let mut other = content.clone();
    other[50_000] ^= 1;
    type Check = fn(&Mismatch) -> bool;
    let cases: [(&[u8], Check); 3] = [
        (&other, |mismatch| matches!(mismatch, Mismatch::Digest { .. })),
        (&content[..99_999], |mismatch| matches!(mismatch, Mismatch::Size { actual: 99_999, .. })),
        (b"", |mismatch| matches!(mismatch, Mismatch::Size { actual: 0, .. })),
    ];
    for (bytes, expected) in cases {
        let scratch = Scratch::new();
        let mut partial = begin(&scratch.cache, &blob);
        partial.append(bytes).unwrap();
        let file = partial.file();
        let Err(Error::Integrity { source, .. }) = partial.verify() else { panic!("it is other content") };
        assert!(expected(&source), "{source}");
        assert!(partial.append(b"").is_err());
        assert!(partial.publish().is_err());
        assert_eq!(scratch.files(), (vec![], vec![]));
        // Who has read some of it is told by whoever wrote it, not by a file that ends.
        assert_eq!(file.metadata().unwrap().len(), bytes.len() as u64);
        // The next begins from nothing.
        assert_eq!(begin(&scratch.cache, &blob).length(), 0);
    }
}

#[test]
fn bytes_beyond_the_end_are_not_taken() {
    let scratch = Scratch::new();
    let blob = layer(b"content");
    let mut partial = begin(&scratch.cache, &blob);
    partial.append(b"cont").unwrap();
    let error = partial.append(b"ent!").unwrap_err();
    assert!(matches!(error, Error::Integrity { source: Mismatch::Longer { expected: 7 }, .. }), "{error}");
    assert_eq!(partial.length(), 4);
    partial.append(b"ent").unwrap();
    partial.commit().unwrap();
    assert_eq!(read(&scratch.cache, &blob).unwrap(), b"content");
}

#[test]
fn what_was_left_is_continued() {
    let scratch = Scratch::new();
    let content = noise(3_000_000, 3);
    let blob = layer(&content);
    for part in [0..1, 1..65_536, 65_536..2_500_000, 2_500_000..2_500_000] {
        let mut partial = begin(&scratch.cache, &blob);
        assert_eq!(partial.length(), part.start as u64);
        assert_eq!(partial.was_resumed(), part.start > 0);
        partial.append(&content[part]).unwrap();
    }
    let mut partial = begin(&scratch.cache, &blob);
    partial.append(&content[2_500_000..]).unwrap();
    partial.commit().unwrap();
    assert_eq!(read(&scratch.cache, &blob).unwrap(), content);
    assert_eq!(scratch.files(), (vec![blob.digest.hex()], vec![]));
}

#[test]
fn what_was_left_and_was_damaged_since_is_found_out() {
    let scratch = Scratch::new();
    let content = noise(200_000, 4);
    let blob = layer(&content);
    begin(&scratch.cache, &blob).append(&content[..100_000]).unwrap();
    fs::OpenOptions::new().write(true).open(scratch.partial_file(&blob.digest)).unwrap().write_at(b"x", 7).unwrap();

    let mut partial = begin(&scratch.cache, &blob);
    assert!(partial.was_resumed());
    partial.append(&content[100_000..]).unwrap();
    assert!(matches!(partial.commit(), Err(Error::Integrity { .. })));
    let mut partial = begin(&scratch.cache, &blob);
    assert!(!partial.was_resumed());
    partial.append(&content).unwrap();
    partial.commit().unwrap();
}

#[test]
fn what_was_left_and_is_too_long_is_thrown_away() {
    let scratch = Scratch::new();
    let blob = layer(b"content");
    fs::write(scratch.partial_file(&blob.digest), b"contents").unwrap();
    let partial = begin(&scratch.cache, &blob);
    assert_eq!((partial.length(), partial.was_resumed()), (0, false));
    assert_eq!(partial.file().metadata().unwrap().len(), 0);
}

#[test]
fn a_restart_forgets_what_came() {
    let scratch = Scratch::new();
    let blob = layer(b"content");
    begin(&scratch.cache, &blob).append(b"con").unwrap();
    let mut partial = begin(&scratch.cache, &blob);
    assert!(partial.was_resumed());
    partial.append(b"xxxx").unwrap();
    partial.restart().unwrap();
    assert_eq!((partial.length(), partial.was_resumed()), (0, false));
    assert_eq!(partial.file().metadata().unwrap().len(), 0);
    partial.append(b"content").unwrap();
    partial.commit().unwrap();
    assert_eq!(read(&scratch.cache, &blob).unwrap(), b"content");
}

#[test]
fn nothing_is_left_of_an_attempt_that_brought_nothing() {
    let scratch = Scratch::new();
    drop(begin(&scratch.cache, &layer(b"content")));
    assert_eq!(scratch.files(), (vec![], vec![]));
}

#[test]
fn what_was_left_is_removed_when_the_blob_came_another_way() {
    let scratch = Scratch::new();
    let blob = layer(b"content");
    let writer = begin(&scratch.cache, &blob);
    let waiter = std::thread::spawn({
        let (cache, blob) = (scratch.cache.clone(), blob.clone());
        move || {
            let mut waited = 0;
            let ingest = cache.ingest(&blob, &mut || waited += 1).unwrap();
            (matches!(ingest, Ingest::Present(_)), waited)
        }
    });
    std::thread::sleep(std::time::Duration::from_millis(60));
    // As skopeo would do it, which knows of no locks.
    let file = scratch.blob_file(&blob.digest);
    fs::write(file.with_extension("new"), b"content").unwrap();
    fs::rename(file.with_extension("new"), file).unwrap();
    assert_eq!(waiter.join().unwrap(), (true, 1));
    drop(writer);
    assert_eq!(scratch.files().1, [""; 0]);
}

#[test]
fn eight_threads_write_a_blob_once() {
    let scratch = Scratch::new();
    let content = noise(500_000, 5);
    let blob = layer(&content);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (cache, blob, content) = (scratch.cache.clone(), blob.clone(), content.clone());
            std::thread::spawn(move || match cache.ingest(&blob, &mut || {}).unwrap() {
                Ingest::Present(_) => 0,
                Ingest::Begin(mut partial) => {
                    assert_eq!(partial.length(), 0);
                    for piece in content.chunks(50_000) {
                        partial.append(piece).unwrap();
                        std::thread::sleep(std::time::Duration::from_millis(5));
                    }
                    partial.commit().unwrap();
                    1
                }
            })
        })
        .collect();
    assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<i32>(), 1);
    assert_eq!(read(&scratch.cache, &blob).unwrap(), content);
    assert_eq!(scratch.files(), (vec![blob.digest.hex()], vec![]));
}

#[test]
fn only_what_is_damaged_is_discarded() {
    let scratch = Scratch::new();
    let (good, bad) = (store(&scratch.cache, b"good"), store(&scratch.cache, b"bad"));
    assert!(!scratch.cache.discard(&good.digest).unwrap());
    fs::write(scratch.blob_file(&bad.digest), b"bat").unwrap();
    assert!(scratch.cache.contains(&bad));
    assert!(scratch.cache.discard(&bad.digest).unwrap());
    // Gone already, perhaps by another process.
    assert!(scratch.cache.discard(&bad.digest).unwrap());
    assert_eq!(scratch.files(), (vec![good.digest.hex()], vec![]));
    assert_eq!(read(&scratch.cache, &good).unwrap(), b"good");
}

#[test]
fn a_blob_that_became_shorter_or_longer_is_removed_and_can_be_written_anew() {
    for damaged in [b"conten".as_slice(), b"contents", b""] {
        let scratch = Scratch::new();
        let blob = store(&scratch.cache, b"content");
        fs::write(scratch.blob_file(&blob.digest), damaged).unwrap();
        assert!(!scratch.cache.contains(&blob));
        assert!(scratch.cache.blob(&blob).unwrap().is_none());
        assert_eq!(scratch.files(), (vec![], vec![]));
        scratch.cache.add(&blob, b"content").unwrap();
        assert_eq!(read(&scratch.cache, &blob).unwrap(), b"content");

        // Also where nobody has looked before.
        fs::write(scratch.blob_file(&blob.digest), damaged).unwrap();
        scratch.cache.add(&blob, b"content").unwrap();
        assert_eq!(read(&scratch.cache, &blob).unwrap(), b"content");
    }
}

#[test]
fn a_descriptor_that_lies_about_the_size_damages_nothing() {
    let scratch = Scratch::new();
    let blob = store(&scratch.cache, b"content");
    let lie = Descriptor { size: 8, ..blob.clone() };
    assert!(scratch.cache.blob(&lie).unwrap().is_none());
    assert!(scratch.cache.document(&lie, 100, "the manifest").unwrap().is_none());
    let mut partial = begin(&scratch.cache, &lie);
    partial.append(b"content").unwrap();
    assert!(matches!(partial.commit(), Err(Error::Integrity { .. })));
    assert_eq!(read(&scratch.cache, &blob).unwrap(), b"content");
}

#[test]
fn documents_are_checked_and_removed_when_damaged() {
    let scratch = Scratch::new();
    let manifest = descriptor(MediaType::ImageManifest, b"{}");
    assert!(scratch.cache.document(&manifest, 10, "the manifest").unwrap().is_none());
    scratch.cache.add(&manifest, b"{}").unwrap();
    assert_eq!(scratch.cache.document(&manifest, 10, "the manifest").unwrap().unwrap(), b"{}");
    let error = scratch.cache.document(&manifest, 1, "the manifest").unwrap_err();
    assert!(matches!(&error, Error::Limit { what, actual: 2, limit: 1, .. } if what == "the manifest"), "{error}");

    fs::write(scratch.blob_file(&manifest.digest), b"[]").unwrap();
    assert!(scratch.cache.document(&manifest, 10, "the manifest").unwrap().is_none());
    assert_eq!(scratch.files(), (vec![], vec![]));
    let error = scratch.cache.add(&manifest, b"[]").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert_eq!(scratch.files(), (vec![], vec![]));
    scratch.cache.add(&manifest, b"{}").unwrap();
    // What is there is not written again.
    let inode = scratch.blob_file(&manifest.digest).metadata().unwrap().ino();
    scratch.cache.add(&manifest, b"{}").unwrap();
    assert_eq!(scratch.blob_file(&manifest.digest).metadata().unwrap().ino(), inode);
}

#[test]
fn names_are_given_replaced_and_removed() {
    let scratch = Scratch::new();
    let (one, two) = (layer(b"one"), layer(b"two"));
    let cache = &scratch.cache;
    assert_eq!(cache.images().unwrap(), []);
    for (name, image) in [("a:1", &one), ("b:1", &one), ("a:1", &two)] {
        cache.name_image(name, image).unwrap();
        let named = cache.image(name).unwrap().unwrap();
        assert_eq!((named.digest, named.size, named.ref_name()), (image.digest, image.size, Some(name)));
    }
    assert_eq!(cache.images().unwrap().len(), 2);
    assert_eq!(cache.image("a:1").unwrap().unwrap().digest, two.digest);
    assert_eq!(cache.image("a").unwrap(), None);
    // Two names of one image.
    cache.name_image("a:1", &one).unwrap();
    assert!(cache.unname("a:1").unwrap());
    assert!(!cache.unname("a:1").unwrap());
    assert_eq!(cache.image("b:1").unwrap().unwrap().digest, one.digest);
    assert_eq!(cache.image("a:1").unwrap(), None);

    // Nothing is written where nothing changes.
    let inode = || scratch.path().join("index.json").metadata().unwrap().ino();
    let before = inode();
    cache.name_image("b:1", &one).unwrap();
    assert_eq!(inode(), before);
}

#[test]
fn a_cache_is_opened_again_and_made_whole() {
    let scratch = Scratch::new();
    let blob = store(&scratch.cache, b"content");
    scratch.cache.name_image("a", &blob).unwrap();
    fs::remove_dir_all(scratch.path().join("ingest")).unwrap();
    fs::remove_dir_all(scratch.path().join("blobs/sha512")).unwrap();
    let again = Cache::open(scratch.path()).unwrap();
    assert_eq!(again.image("a").unwrap().unwrap().digest, blob.digest);
    assert_eq!(read(&again, &blob).unwrap(), b"content");
    store(&again, b"more");
    let _guard = again.lock_shared().unwrap();
}

#[test]
fn a_layout_that_another_tool_made_is_a_cache() {
    let layout = crate::support::simple();
    let cache = Cache::open(layout.path()).unwrap();
    let [image] = &cache.images().unwrap()[..] else { panic!("one image") };
    assert_eq!(image.ref_name(), None);
    cache.name_image("mine", &image.clone()).unwrap();
    assert_eq!(cache.images().unwrap().len(), 2);
    assert!(layout.open(":mine").is_ok());
}

#[test]
fn directories_that_can_become_a_cache() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    // Nothing at all, nothing in it, what a kill leaves, a new file system, a link.
    fs::create_dir_all(path("empty")).unwrap();
    fs::create_dir_all(path("killed/ingest")).unwrap();
    fs::write(path("killed/ingest/oci-layout"), "{").unwrap();
    fs::create_dir_all(path("mounted/lost+found")).unwrap();
    std::os::unix::fs::symlink("empty", path("link")).unwrap();
    for name in ["new/and/deep", "empty", "killed", "mounted", "link"] {
        let cache = Cache::open(&path(name)).unwrap_or_else(|error| panic!("{name}: {}", chain(&error)));
        assert_eq!(cache.images().unwrap(), [], "{name}");
        let marker = fs::read(path(name).join("oci-layout")).unwrap();
        assert_eq!(marker, br#"{"imageLayoutVersion":"1.0.0"}"#);
    }
}

#[test]
fn directories_that_cannot_are_named_with_the_reason() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    fs::write(path("file"), "").unwrap();
    fs::create_dir_all(path("photos")).unwrap();
    fs::write(path("photos/cat.jpg"), "").unwrap();
    for (name, marker) in [("version", r#"{"imageLayoutVersion":"2.0.0"}"#), ("garbage", "?"), ("large", "")] {
        fs::create_dir_all(path(name)).unwrap();
        let marker = if name == "large" { " ".repeat(5000) } else { marker.to_owned() };
        fs::write(path(name).join("oci-layout"), marker).unwrap();
    }
    fs::create_dir_all(path("blobs/blobs")).unwrap();
    fs::write(path("blobs/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(path("blobs/blobs/sha256"), "").unwrap();
    for (name, kind, text) in [
        ("file", ErrorKind::Integrity, "it is not a directory"),
        ("file/below", ErrorKind::Other, "Not a directory"),
        ("photos", ErrorKind::Unsupported, "cat.jpg"),
        ("version", ErrorKind::Unsupported, "2.0.0"),
        ("garbage", ErrorKind::Integrity, "cannot be understood"),
        ("large", ErrorKind::Integrity, "too large"),
        ("blobs", ErrorKind::Integrity, "blobs/sha256: it is not a directory"),
    ] {
        let error = Cache::open(&path(name)).unwrap_err();
        let told = chain(&error);
        assert!(told.contains(text) && told.contains(path(name).to_str().unwrap()), "{name}: {told}");
        assert_eq!(error.kind(), kind, "{told}");
    }
    // Where not even root may make anything.
    let error = Cache::open(Path::new("/proc/self/cache")).unwrap_err();
    assert!(chain(&error).contains("cannot create /proc/self/cache"), "{}", chain(&error));
}

#[test]
fn an_index_that_is_garbage_is_told_and_left_alone() {
    let huge = format!(r#"{{"manifests":[],"x":"{}"}}"#, "x".repeat(5 << 20));
    for garbage in ["", "?", "[]", r#"{"manifests":[{}]}"#, r#"{"manifests":[],"layers":[]}"#, &huge] {
        let scratch = Scratch::new();
        let index = scratch.path().join("index.json");
        fs::write(&index, garbage).unwrap();
        let cache = Cache::open(scratch.path()).unwrap();
        let errors = [
            cache.images().unwrap_err(),
            cache.name_image("a", &layer(b"x")).unwrap_err(),
            cache.usage().unwrap_err(),
            cache.prune(true, false, &mut || {}).unwrap_err(),
        ];
        for error in errors {
            let told = chain(&error);
            assert!(told.contains(index.to_str().unwrap()) && told.contains("if it is removed"), "{told}");
            assert_eq!(error.kind(), ErrorKind::Integrity);
        }
        assert_eq!(fs::read_to_string(&index).unwrap(), garbage);
        // As the error says.
        fs::remove_file(&index).unwrap();
        assert_eq!(Cache::open(scratch.path()).unwrap().images().unwrap(), []);
    }
}

#[test]
fn odd_things_in_the_place_of_a_blob_are_named() {
    let scratch = Scratch::new();
    let blob = layer(b"content");
    fs::create_dir(scratch.blob_file(&blob.digest)).unwrap();
    for error in [scratch.cache.blob(&blob).unwrap_err(), scratch.cache.ingest(&blob, &mut || {}).unwrap_err()] {
        assert!(error.to_string().contains(&blob.digest.hex()), "{error}");
    }
    let other = layer(b"other");
    let fifo = scratch.blob_file(&other.digest);
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert!(scratch.cache.blob(&other).unwrap_err().to_string().contains(&other.digest.hex()));
}

#[test]
fn files_have_the_permissions_that_the_umask_allows() {
    let scratch = Scratch::new();
    let blob = store(&scratch.cache, b"content");
    scratch.cache.name_image("a", &blob).unwrap();
    let plain = scratch.beside("plain");
    fs::write(&plain, "").unwrap();
    fs::create_dir(scratch.beside("directory")).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
    for name in ["oci-layout", "index.json", "ingest/index.lock", &blob.digest.blob_path()] {
        assert_eq!(mode(&scratch.path().join(name)), mode(&plain), "{name}");
    }
    for name in ["", "blobs", "blobs/sha256", "ingest"] {
        assert_eq!(mode(&scratch.path().join(name)), mode(&scratch.beside("directory")), "{name}");
    }
}
