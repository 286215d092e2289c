//! What is in the cache need not be fetched, unless it is damaged; and what is not wanted there goes.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;

use super::{IMAGE, Sample, layers};
use crate::args;
use crate::judges;
use crate::support::concurrent::all_at_once;
use crate::support::judge::ask;
use crate::support::registry::user::{assert_sound, blob_path, blobs, images};
use crate::support::registry::{Content, User};
use crate::support::scratch::names;
use crate::support::{Run, Tar};

/// Every way in which a file can be other than it was.
const DAMAGES: [&str; 5] = ["first byte", "last byte", "shorter", "longer", "empty"];

fn damage(path: &Path, how: &str) {
    let mut bytes = std::fs::read(path).unwrap();
    let last = bytes.len() - 1;
    match how {
        "first byte" => bytes[0] ^= 1,
        "last byte" => bytes[last] ^= 1,
        "shorter" => bytes.truncate(last),
        "longer" => bytes.push(b'x'),
        _ => bytes.clear(),
    }
    // A cached blob may be read-only.
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout()).unwrap_or_else(|error| panic!("{error}: {run}"))
}

#[test]
fn a_damaged_blob_is_found_and_fetched_anew() {
    judges!("cmp", "cp");
    let sample = Sample::small();
    let server = sample.content.clone().serve();
    let reference = server.reference(IMAGE);
    let digests = sample.content.blobs_of("latest");
    let user = User::new();
    user.fetch(&reference, &[]).ok();
    let blobs = [&sample.content.digest("latest"), &digests[0], &digests[1], &digests[2]];
    let rows: Vec<_> = blobs.into_iter().flat_map(|digest| DAMAGES.map(|how| (digest, how))).collect();
    for rows in rows.chunks(5) {
        all_at_once(rows, |&(digest, how)| {
            let server = sample.content.clone().serve();
            let reference = server.reference(IMAGE);
            let name = format!("{}-{how}", &digest[7..20]);
            let cache = user.path(&name);
            // A copy costs less than another fetch; its name for the image is that of this server.
            ask("cp", args!["-r", user.cache(), cache]).ok();
            rename(&cache, &reference);
            damage(&blob_path(&cache, digest), how);
            let cache = cache.display().to_string();
            let image = format!("image-{name}");
            user.build(&reference, &image, &["--cache", &cache]).ok();
            sample.assert_built(&user.path(&image));
            let again = server.requests().into_iter().filter(|request| request.is_get());
            let again: Vec<_> = again.map(|request| request.path().rsplit('/').next().unwrap().to_owned()).collect();
            assert_eq!(again, std::slice::from_ref(digest), "{how}: that one and no other");
            assert_sound(Path::new(&cache));
            user.run(["cache", "verify", "--cache", &cache]).ok();
        });
    }
}

/// Gives the only image of a layout another name.
fn rename(layout: &Path, name: &str) {
    let index = layout.join("index.json");
    let mut content: Value = serde_json::from_slice(&std::fs::read(&index).unwrap()).unwrap();
    content["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] = name.into();
    std::fs::write(index, content.to_string()).unwrap();
}

#[test]
fn a_damaged_blob_is_an_error_where_nobody_can_be_asked() {
    let sample = Sample::small();
    let server = sample.content.clone().serve();
    let reference = server.reference(IMAGE);
    let digests = sample.content.blobs_of("latest");
    for digest in [&digests[0], &digests[2], &sample.content.digest("latest")] {
        for options in [&["--offline"][..], &["--pull", "never"]] {
            for how in ["last byte", "empty"] {
                let user = User::new();
                user.fetch(&reference, &[]).ok();
                server.forget();
                damage(&blob_path(&user.cache(), digest), how);
                let run = user.build(&reference, "image", options);
                // A layer is found to be damaged when it is read. What was seen at once, and thrown away, is not there.
                let is_read = *digest == digests[2] && how == "last byte";
                assert_eq!(run.code(), Some(if is_read { 6 } else { 3 }), "{how}: {run}");
                assert!(run.stderr().contains(&digest[..20]), "{how}: {run}");
                assert!(!user.path("image").exists());
                assert_eq!(server.requests().len(), 0);
            }
        }
    }
}

#[test]
fn verify_finds_what_is_damaged() {
    judges!("cmp");
    let sample = Sample::small();
    let server = sample.content.clone().serve();
    let user = User::new();
    user.fetch(&server.reference(IMAGE), &[]).ok();
    let run = user.run(["cache", "verify", "--json"]).ok();
    assert_eq!(json(&run)["blobs"], 5, "a manifest, a config, three layers: {run}");
    let digest = &sample.content.blobs_of("latest")[2];
    damage(&blob_path(&user.cache(), digest), "first byte");
    user.run(["cache", "verify"]).expect(6).says(&digest[..20]);
    // It has been removed: nothing bad is left, and the next build fetches that one.
    assert!(!blob_path(&user.cache(), digest).exists());
    server.forget();
    sample.check(&user, &server.reference(IMAGE), &[]);
    assert_eq!(server.blobs().len(), 1);
    user.run(["cache", "verify"]).ok();
}

/// Room that the files of a directory take on the disk.
fn room(directory: &Path) -> u64 {
    let files = names(directory).into_iter().map(|name| directory.join(name).metadata().unwrap());
    files.map(|metadata| metadata.blocks() * 512).sum()
}

#[test]
fn what_is_listed_is_what_goes() {
    judges!("skopeo");
    let [bottom, middle, top] = layers(200_000);
    let first = Sample::of([bottom.clone(), middle.clone(), top]);
    let second = Sample::of([bottom, middle, Tar::new().file("other", "another top")]);
    let mut content = first.content.clone();
    content.add(&second.content, "latest", "second");
    let server = content.serve();
    let [one, two] = ["some/image:latest", "some/image:second"].map(|name| server.reference(name));
    let user = User::new();
    user.run(["cache", "ls"]).ok();
    user.run(["fetch", &one, &two]).ok();
    let listed = user.run(["cache", "ls"]).ok();
    for name in [&one, &two] {
        assert!(listed.stdout().contains(name.as_str()), "{listed}");
    }
    let blob_directory = user.cache().join("blobs/sha256");
    let all = blobs(&user.cache());
    assert_eq!(all.len(), 5 + 3, "two layers are shared");

    // Nothing goes by saying what would.
    for arguments in
        [&["cache", "rm", &one, "--dry-run"][..], &["cache", "prune", "--all", "--dry-run"], &["cache", "prune"]]
    {
        user.run(arguments).ok();
        assert_eq!(blobs(&user.cache()), all, "{arguments:?}");
        assert_eq!(images(&user.cache()).len(), 2, "{arguments:?}");
    }
    // The shared layers stay, as long as somebody has them.
    user.run(["cache", "rm", &one]).ok();
    assert_sound(&user.cache());
    assert_eq!(images(&user.cache()).len(), 1);
    user.run(["cache", "prune"]).ok();
    assert_eq!(blobs(&user.cache()).len(), 5);
    second.check(&user, &two, &["--offline"]);
    user.build(&one, "image-1", &["--offline"]).expect(3);
    user.run(["cache", "rm", "registry.test/no/such:image"]).expect(3).says("registry.test/no/such:image");
    ask("skopeo", ["inspect", &format!("oci:{}:{two}", user.cache().display())]).ok();

    assert!(room(&blob_directory) > 200_000);
    user.run(["cache", "prune", "--all"]).ok();
    assert_eq!(blobs(&user.cache()), Vec::<String>::new());
    assert_eq!(images(&user.cache()).len(), 0);
    user.run(["cache", "verify"]).ok();
    first.check(&user, &one, &[]);
}

/// What a broken pull has left is kept for the next, until it is pruned.
#[test]
fn partial_blobs_go_when_pruned() {
    let sample = Sample::small();
    let digest = sample.content.blobs_of("latest")[2].clone();
    let bytes = sample.content.bytes(&digest).to_owned();
    let server = sample.content.clone().serve_with(move |request| {
        use crate::support::registry::Answer;
        let rest = bytes.len() / 2;
        (request.blob() == Some(&digest)).then(|| match request.offset() {
            None => Answer::cut(200, &bytes[..rest], bytes.len()),
            Some(_) => Answer::error(400, "UNKNOWN", "out of order"),
        })
    });
    let user = User::new();
    user.fetch(&server.reference(IMAGE), &[]).expect(5);
    let ingest = user.cache().join("ingest");
    let partial = || names(&ingest).into_iter().filter(|name| name.starts_with("sha256-")).count();
    assert!(partial() >= 1, "{:?}", names(&ingest));
    assert!(images(&user.cache()).is_empty());
    user.run(["cache", "prune"]).ok();
    assert_eq!(partial(), 0, "{:?}", names(&ingest));
    assert_eq!(blobs(&user.cache()), Vec::<String>::new(), "nothing has a name");
}

/// Another place for the cache, and one that cannot be made.
#[test]
fn the_cache_is_where_it_is_said_to_be() {
    let sample = Sample::small();
    let server = sample.content.clone().serve();
    let reference = server.reference(IMAGE);
    let user = User::new();
    let other = user.path("other").display().to_string();
    user.fetch(&reference, &["--cache", &other]).ok();
    assert!(!user.cache().exists());
    sample.check(&user, &reference, &["--cache", &other, "--offline"]);
    user.build(&reference, "image-1", &["--offline"]).expect(3);

    let directory = user.path("xdg").display().to_string();
    let user = user.with("XDG_CACHE_HOME", directory);
    user.fetch(&reference, &[]).ok();
    assert_eq!(blobs(&user.path("xdg").join("banger/oci")).len(), 5);

    let file = user.write("file", "not a directory").display().to_string();
    user.fetch(&reference, &["--cache", &format!("{file}/cache")]).expect(1).says(&file);
}

/// An index that is damaged is not overwritten: names are in it that nobody else knows.
#[test]
fn an_index_that_cannot_be_read() {
    let sample = Sample::small();
    let server = sample.content.clone().serve();
    let user = User::new();
    user.fetch(&server.reference(IMAGE), &[]).ok();
    let index = user.cache().join("index.json");
    for content in ["", "no JSON", "[]", "{}"] {
        std::fs::write(&index, content).unwrap();
        let run = user.build(&server.reference(IMAGE), "image", &[]);
        if content == "{}" {
            continue;
        }
        let run = run.expect(6).says("index.json");
        assert_eq!(std::fs::read_to_string(&index).unwrap(), content, "{run}");
    }
}

/// With `--json` each image has a line of its own, with what it has cost.
#[test]
fn fetch_tells_what_it_has_done() {
    let sample = Sample::small();
    let server = sample.content.clone().serve();
    let reference = server.reference(IMAGE);
    let user = User::new();
    let digest = sample.content.digest("latest");
    let total: usize =
        Content::blobs_of(&sample.content, "latest").iter().map(|blob| sample.content.bytes(blob).len()).sum();
    let first = user.fetch(&reference, &["--json"]).ok();
    assert_eq!(first.stdout().lines().count(), 1, "{first}");
    let first = json(&first);
    assert_eq!(
        (&first["reference"], &first["digest"]),
        (&Value::from(reference.as_str()), &Value::from(digest.as_str()))
    );
    let fetched = first["fetched"]["bytes"].as_u64().unwrap();
    assert!(fetched >= total as u64 && fetched < total as u64 + 2000, "{first}");
    assert_eq!(first["cached"]["blobs"], 0);
    let second = json(&user.fetch(&reference, &["--json"]).ok());
    assert_eq!((&second["fetched"]["blobs"], &second["fetched"]["bytes"]), (&0.into(), &0.into()));
    assert_eq!(second["cached"]["bytes"], fetched);
    assert_eq!(user.fetch(&reference, &["--quiet"]).ok().stdout(), format!("{digest}\n"));
}
