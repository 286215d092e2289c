//! What the cache says that it holds, and what goes when something is removed.

use crate::cache::{Scratch, begin, descriptor, layer, names, noise, store};
use crate::support::chain;
use banger_oci::cache::{Cache, ImageUsage, Removed};
use banger_oci::{Descriptor, Digest, ErrorKind, MediaType, Platform};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// An image in the cache.
struct Stored {
    manifest: Descriptor,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

fn to_json(descriptor: &Descriptor) -> Value {
    json!({
        "mediaType": descriptor.media_type.to_string(),
        "digest": descriptor.digest.to_string(),
        "size": descriptor.size,
    })
}

fn document(cache: &Cache, media_type: MediaType, content: &Value) -> Descriptor {
    let bytes = content.to_string().into_bytes();
    let descriptor = descriptor(media_type, &bytes);
    cache.add(&descriptor, &bytes).unwrap();
    descriptor
}

fn image(cache: &Cache, author: &str, layers: &[&[u8]]) -> Stored {
    let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::sha256(layer).to_string()).collect();
    let config = json!({
        "os": "linux", "architecture": "amd64", "author": author,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = document(cache, MediaType::ImageConfig, &config);
    let layers: Vec<Descriptor> = layers.iter().map(|content| store(cache, content)).collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::ImageManifest.to_string(),
        "config": to_json(&config), "layers": layers.iter().map(to_json).collect::<Vec<_>>(),
    });
    Stored { manifest: document(cache, MediaType::ImageManifest, &manifest), config, layers }
}

fn index(cache: &Cache, entries: &[(&Descriptor, &str)]) -> Descriptor {
    let entry = |(descriptor, platform): &(&Descriptor, &str)| {
        let platform = Platform::parse(platform).unwrap();
        let mut entry = to_json(descriptor);
        entry["platform"] = json!({ "os": platform.os(), "architecture": platform.architecture() });
        entry
    };
    let index = json!({
        "schemaVersion": 2, "mediaType": MediaType::ImageIndex.to_string(),
        "manifests": entries.iter().map(entry).collect::<Vec<_>>(),
    });
    document(cache, MediaType::ImageIndex, &index)
}

/// What files take up, as the system says.
fn on_disk(scratch: &Scratch, blobs: &[&Descriptor]) -> u64 {
    blobs.iter().map(|blob| scratch.blob_file(&blob.digest).metadata().unwrap().blocks() * 512).sum()
}

/// What the whole cache takes up, as the system says.
fn whole_cache(scratch: &Scratch) -> u64 {
    let output = Command::new("du").args(["--block-size=1", "--summarize"]).arg(scratch.path()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

fn usage_of(cache: &Cache, name: &str) -> ImageUsage {
    cache.usage().unwrap().images.into_iter().find(|image| image.name.as_deref() == Some(name)).unwrap()
}

fn never() -> impl FnMut() {
    || panic!("nobody else uses the cache")
}

#[test]
fn what_images_share_is_counted_once() {
    let scratch = Scratch::new();
    let cache = &scratch.cache;
    let (base, top, other) = (noise(300_000, 1), noise(200_000, 2), noise(100_000, 3));
    let one = image(cache, "one", &[&base, &top, &base]);
    let two = image(cache, "two", &[&base, &other]);
    cache.name_image("one", &one.manifest).unwrap();
    cache.name_image("two", &two.manifest).unwrap();

    let shared = on_disk(&scratch, &[&one.layers[0]]);
    let unique = on_disk(&scratch, &[&one.manifest, &one.config, &one.layers[1]]);
    assert!(shared >= 300_000 && unique >= 200_000);
    let expected = ImageUsage {
        name: Some("one".into()),
        digest: one.manifest.digest,
        size: shared + unique,
        shared,
        unique,
        complete: true,
    };
    assert_eq!(usage_of(cache, "one"), expected);
    let usage = cache.usage().unwrap();
    assert_eq!(usage.images.len(), 2);
    assert_eq!((usage.blobs.count, usage.unneeded.count, usage.partials.count), (7, 0, 0));
    let two_alone = on_disk(&scratch, &[&two.manifest, &two.config, &two.layers[1]]);
    assert_eq!(usage.blobs.bytes, shared + unique + two_alone);

    // By a second name nothing of it is its own.
    cache.name_image("again", &one.manifest).unwrap();
    assert_eq!((usage_of(cache, "one").shared, usage_of(cache, "one").unique), (shared + unique, 0));
    assert_eq!(cache.remove(&["again"], false, &mut never()).unwrap(), {
        Removed { images: vec!["again".into()], ..Removed::default() }
    });

    let before = whole_cache(&scratch);
    let dry = cache.remove(&["one"], true, &mut never()).unwrap();
    assert_eq!(dry, Removed { images: vec!["one".into()], blobs: 3, partials: 0, bytes: unique });
    assert_eq!(whole_cache(&scratch), before);
    assert_eq!(usage_of(cache, "one"), expected);

    assert_eq!(cache.remove(&["one"], false, &mut never()).unwrap(), dry);
    assert_eq!(before - whole_cache(&scratch), unique);
    assert!(cache.image("one").unwrap().is_none());
    assert!(usage_of(cache, "two").complete);
    assert_eq!(usage_of(cache, "two").shared, 0);
}

#[test]
fn two_images_removed_together_take_what_they_share_along() {
    let scratch = Scratch::new();
    let cache = &scratch.cache;
    for name in ["one", "two", "three"] {
        let image = image(cache, name, &[b"base", name.as_bytes()]);
        cache.name_image(name, &image.manifest).unwrap();
    }
    let removed = cache.remove(&["one", "two"], false, &mut never()).unwrap();
    assert_eq!((removed.images.len(), removed.blobs), (2, 6));
    let removed = cache.remove(&["three"], false, &mut never()).unwrap();
    assert_eq!((removed.images.len(), removed.blobs), (1, 4));
    assert_eq!(scratch.files(), (vec![], vec![]));
}

#[test]
fn images_are_removed_by_any_of_their_names() {
    let scratch = Scratch::new();
    let cache = &scratch.cache;
    let blob = store(cache, b"x");
    let digest = blob.digest.to_string();
    for (name, asked) in [
        ("docker.io/library/debian:latest", "debian"),
        ("docker.io/library/debian:latest", "docker.io/library/debian:latest"),
        ("v1", "v1"),
        ("docker.io/library/debian:12", digest.as_str()),
    ] {
        cache.name_image("other", &layer(b"y")).unwrap();
        cache.name_image(name, &blob).unwrap();
        assert_eq!(cache.remove(&[asked], false, &mut never()).unwrap().images, [name]);
    }
    for unknown in ["debian", "no name at all", digest.as_str()] {
        let error = cache.remove(&["other", unknown], false, &mut never()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().ends_with("there are: other"), "{error}");
        // All or nothing.
        assert!(cache.image("other").unwrap().is_some());
    }
}

#[test]
fn platforms_that_were_never_fetched_are_not_missing() {
    let scratch = Scratch::new();
    let cache = &scratch.cache;
    let here = image(cache, "here", &[b"here"]);
    let elsewhere = descriptor(MediaType::ImageManifest, b"never fetched");
    let inner = index(cache, &[(&here.manifest, "linux/amd64"), (&elsewhere, "linux/arm64")]);
    let outer = index(cache, &[(&inner, "linux/amd64"), (&elsewhere, "linux/s390x")]);
    cache.name_image("all", &outer).unwrap();
    cache.name_image("none", &index(cache, &[(&elsewhere, "linux/arm64")])).unwrap();
    assert!(usage_of(cache, "all").complete);
    assert_eq!(usage_of(cache, "all").size, {
        on_disk(&scratch, &[&outer, &inner, &here.manifest, &here.config, &here.layers[0]])
    });
    assert!(!usage_of(cache, "none").complete);
    assert_eq!(cache.verify(&mut |_, _| {}).unwrap().damaged, []);
    assert_eq!(cache.prune(false, false, &mut never()).unwrap(), Removed::default());

    // Of one that was fetched, everything must be there.
    fs::remove_file(scratch.blob_file(&here.layers[0].digest)).unwrap();
    assert!(!usage_of(cache, "all").complete);
    cache.add(&here.layers[0], b"here").unwrap();
    fs::remove_file(scratch.blob_file(&here.config.digest)).unwrap();
    assert!(!usage_of(cache, "all").complete);
}

#[test]
fn prune_removes_what_no_image_needs() {
    let scratch = Scratch::new();
    let cache = &scratch.cache;
    let kept = image(cache, "kept", &[b"kept"]);
    cache.name_image("kept", &kept.manifest).unwrap();
    let nameless = image(cache, "nameless", &[&noise(100_000, 1)]);
    let (left, held) = (layer(&noise(100_000, 2)), layer(&noise(100_000, 3)));
    begin(cache, &left).append(&noise(50_000, 2)).unwrap();
    begin(cache, &left).file().sync_all().unwrap();
    let mut writer = begin(cache, &held);
    writer.append(&noise(50_000, 3)).unwrap();
    // Not banger's.
    fs::write(scratch.path().join("blobs/sha256/README"), "").unwrap();

    // A kill before anything came.
    fs::write(scratch.partial_file(&layer(b"nothing").digest), "").unwrap();
    // A kill while the names were written.
    let half = scratch.path().join("ingest/index.json");
    fs::write(&half, vec![b'{'; 10_000]).unwrap();

    let usage = cache.usage().unwrap();
    assert_eq!((usage.unneeded.count, usage.partials.count), (3, 3));
    let unneeded = on_disk(&scratch, &[&nameless.manifest, &nameless.config, &nameless.layers[0]]);
    assert_eq!(usage.unneeded.bytes, unneeded);
    let before = scratch.files();
    let dry = cache.prune(false, true, &mut never()).unwrap();
    let left: u64 =
        [scratch.partial_file(&left.digest), half].iter().map(|file| file.metadata().unwrap().blocks() * 512).sum();
    assert_eq!(dry, Removed { images: vec![], blobs: 3, partials: 2, bytes: unneeded + left });
    assert_eq!(scratch.files(), before);

    assert_eq!(cache.prune(false, false, &mut never()).unwrap(), dry);
    assert_eq!(scratch.files().1, [scratch.partial_file(&held.digest).file_name().unwrap().to_str().unwrap()]);
    assert!(usage_of(cache, "kept").complete);
    assert_eq!(cache.prune(false, false, &mut never()).unwrap(), Removed::default());
    writer.append(&noise(100_000, 3)[50_000..]).unwrap();
    writer.commit().unwrap();

    let dry = cache.prune(true, true, &mut never()).unwrap();
    assert_eq!((&dry.images[..], dry.blobs), (&["kept".to_owned()][..], 4));
    assert_eq!(cache.prune(true, false, &mut never()).unwrap(), dry);
    assert_eq!(cache.images().unwrap(), []);
    assert_eq!(scratch.files(), (vec!["README".to_owned()], vec![]));
}

#[test]
fn what_others_keep_in_the_layout_is_needed_too() {
    let scratch = Scratch::new();
    let cache = &scratch.cache;
    let chart = store(cache, b"a chart");
    let config = descriptor(MediaType::Other("application/vnd.cncf.helm.config.v1+json".into()), b"{}");
    cache.add(&config, b"{}").unwrap();
    let artifact = json!({ "schemaVersion": 2, "config": to_json(&config), "layers": [to_json(&chart)] });
    let artifact = document(cache, MediaType::ImageManifest, &artifact);
    let plain = store(cache, b"a blob that is named as it is");
    let entries = json!({ "schemaVersion": 2, "manifests": [to_json(&artifact), to_json(&plain)] });
    fs::write(scratch.path().join("index.json"), entries.to_string()).unwrap();
    assert_eq!(cache.prune(false, false, &mut never()).unwrap(), Removed::default());
    assert!(cache.usage().unwrap().images.iter().all(|image| image.complete && image.name.is_none()));
    let removed = cache.remove(&[artifact.digest.to_string()], false, &mut never()).unwrap();
    assert_eq!((removed.images, removed.blobs), (vec![artifact.digest.to_string()], 3));
}

#[test]
fn blobs_with_another_name_elsewhere_do_not_become_free() {
    let scratch = Scratch::new();
    let blob = store(&scratch.cache, &noise(100_000, 1));
    fs::hard_link(scratch.blob_file(&blob.digest), scratch.beside("link")).unwrap();
    let removed = scratch.cache.prune(false, false, &mut never()).unwrap();
    assert_eq!((removed.blobs, removed.bytes), (1, 0));
}

#[test]
fn nothing_is_removed_while_an_image_is_in_use() {
    let scratch = Scratch::new();
    let cache = &scratch.cache;
    let in_use = cache.lock_shared().unwrap();
    let blob = store(cache, b"not named yet");
    // To look needs no waiting.
    assert_eq!(cache.prune(false, true, &mut never()).unwrap().blobs, 1);
    let waits = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let prune = scope.spawn(|| cache.prune(false, false, &mut || waits.store(true, Ordering::SeqCst)).unwrap());
        while !waits.load(Ordering::SeqCst) {
            assert!(!prune.is_finished());
            std::thread::yield_now();
        }
        assert!(cache.contains(&blob));
        cache.name_image("named now", &blob).unwrap();
        drop(in_use);
        assert_eq!(prune.join().unwrap(), Removed::default());
    });
    assert!(cache.contains(&blob));
}

#[test]
fn damaged_blobs_are_reported_with_who_needs_them_and_removed() {
    let scratch = Scratch::new();
    let cache = &scratch.cache;
    let base = noise(3_000_000, 1);
    let one = image(cache, "one", &[&base, b"one"]);
    let two = image(cache, "two", &[&base, b"two"]);
    cache.name_image("one", &one.manifest).unwrap();
    cache.name_image("two", &two.manifest).unwrap();
    let mut told = Vec::new();
    let intact = cache.verify(&mut |read, total| told.push((read, total))).unwrap();
    let bytes: u64 =
        [&one.manifest, &one.config, &one.layers[0], &one.layers[1], &two.manifest, &two.config, &two.layers[1]]
            .iter()
            .map(|blob| blob.size)
            .sum();
    assert_eq!((intact.blobs, intact.bytes, intact.removed, intact.damaged), (7, bytes, 0, vec![]));
    assert!(told.is_sorted() && told.iter().all(|(_, total)| *total == bytes));
    assert_eq!(told.last(), Some(&(bytes, bytes)));

    let mut damaged = base.clone();
    damaged[1_500_000] ^= 1;
    fs::write(scratch.blob_file(&one.layers[0].digest), damaged).unwrap();
    fs::write(scratch.blob_file(&two.manifest.digest), "").unwrap();
    let found = cache.verify(&mut |_, _| {}).unwrap();
    assert_eq!((found.blobs, found.removed, found.damaged.len()), (7, 2, 2));
    let of = |digest| found.damaged.iter().find(|damaged| damaged.digest == digest).unwrap();
    assert_eq!(of(one.layers[0].digest).images, ["one"]);
    assert_eq!(of(two.manifest.digest).images, ["two"]);
    assert!(found.damaged.iter().all(|damaged| damaged.removed && damaged.reason.contains("digest sha256:")));
    assert!(!scratch.blob_file(&one.layers[0].digest).exists() && !scratch.blob_file(&two.manifest.digest).exists());

    let again = cache.verify(&mut |_, _| {}).unwrap();
    assert_eq!((again.blobs, again.removed, again.damaged), (5, 0, vec![]));
    assert!(!usage_of(cache, "one").complete);
}

/// A small file system, or nothing where one cannot be mounted.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(test: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(directory.path()).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Small(directory));
        }
        crate::judges::missing(test, "the right to mount (root)");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn assert_full(error: &banger_oci::Error, path: &Path) {
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{}", chain(error));
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_that_can_be_seen() {
    let Some(small) = Small::mount("a_full_disk_is_told_and_leaves_nothing_that_can_be_seen") else { return };
    let path = small.0.path().join("cache");
    let cache = Cache::open(&path).unwrap();
    let named = store(&cache, b"content");
    cache.name_image("named", &named).unwrap();

    let content = noise(2 << 20, 1);
    let blob = layer(&content);
    let mut partial = begin(&cache, &blob);
    let error = content.chunks(100_000).find_map(|piece| partial.append(piece).err()).unwrap();
    assert_full(&error, &path);
    assert!(partial.length() > 0 && partial.length() < 1 << 20);
    assert_eq!(names(&path.join("blobs/sha256")), [named.digest.hex()]);

    // Now that not a byte is left, the names stay as they are.
    fs::write(path.join("filler"), noise(1 << 20, 2)).unwrap_err();
    assert_full(&cache.name_image("new", &blob).unwrap_err(), &path);
    assert_eq!(cache.images().unwrap().len(), 1);
    fs::remove_file(path.join("filler")).unwrap();
    cache.name_image("new", &named).unwrap();

    // What came is of use when there is space again, and it is what prune finds.
    let length = partial.length();
    drop(partial);
    assert_eq!(begin(&cache, &blob).length(), length);
    let removed = cache.prune(false, false, &mut never()).unwrap();
    assert_eq!(removed.partials, 1);
    assert!(removed.bytes >= length);
    store(&cache, &noise(900_000, 3));
}

#[test]
fn a_cache_that_cannot_be_written_to_can_be_read() {
    let Some(small) = Small::mount("a_cache_that_cannot_be_written_to_can_be_read") else { return };
    let path = small.0.path().join("cache");
    let cache = Cache::open(&path).unwrap();
    let blob = store(&cache, b"content");
    cache.name_image("named", &blob).unwrap();
    drop(cache.lock_shared().unwrap());
    let status = Command::new("mount").args(["-o", "remount,ro"]).arg(small.0.path()).status().unwrap();
    assert!(status.success());

    let cache = Cache::open(&path).unwrap();
    let _guard = cache.lock_shared().unwrap();
    assert!(cache.blob(&blob).unwrap().is_some());
    assert_eq!(cache.image("named").unwrap().unwrap().digest, blob.digest);
    assert_eq!(cache.usage().unwrap().images.len(), 1);
    assert_eq!(cache.verify(&mut |_, _| {}).unwrap().damaged, []);
    let errors = [
        cache.ingest(&layer(b"new"), &mut || {}).unwrap_err(),
        cache.name_image("new", &blob).unwrap_err(),
        cache.prune(false, false, &mut || {}).unwrap_err(),
    ];
    for error in errors {
        let told = chain(&error);
        assert!(told.contains(path.to_str().unwrap()) && told.contains("Read-only"), "{told}");
        assert_eq!(error.kind(), ErrorKind::Other);
    }
}
