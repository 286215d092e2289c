//! `banger cache`, and building from what is there. The cache is an image layout, so a layout will do for one: no registry is asked.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::args;
use crate::support::image::{Report, assert_same};
use crate::support::layout::{host_platform, sha256};
use crate::support::program::{command, source};
use crate::support::scratch::names;
use crate::support::{Layout, Run, Tar, scratch};

/// Somebody in whose cache there are two images, which share a layer.
struct Home {
    scratch: tempfile::TempDir,
    layout: Layout,
}

const ONE: &str = "docker.io/library/one:latest";
const TWO: &str = "registry.test:5000/some/two:v2";

impl Home {
    fn new() -> Self {
        let scratch = scratch();
        let cache = scratch.path().join("home/.cache/banger/oci");
        std::fs::create_dir_all(cache.parent().unwrap()).unwrap();
        let shared = || Tar::new().file("shared", noise(40_000, 1));
        let layout = Layout::new(cache).image(ONE, &host_platform(), [shared()]).image(
            TWO,
            &host_platform(),
            [shared(), Tar::new().file("own", noise(70_000, 2))],
        );
        Self { scratch, layout }
    }

    fn cache(&self) -> &Path {
        self.layout.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        Run::of(command().env("HOME", self.path("home")).current_dir(self.scratch.path()).args(arguments))
    }

    fn blobs(&self) -> Vec<String> {
        names(&self.cache().join("blobs/sha256"))
    }

    /// `banger cache ls --json`, by name.
    fn listed(&self) -> Vec<Value> {
        let run = self.run(["cache", "ls", "--json"]).ok();
        assert_eq!(run.stderr(), "");
        run.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Bytes that no file system stores in less room.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}

/// Bytes that a file takes up on the disk.
fn room(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    path.metadata().unwrap().blocks() * 512
}

#[test]
fn images_are_built_from_the_cache() {
    crate::judges!("cmp");
    let home = Home::new();
    let local = |name: &str| format!("oci:{}:{name}", home.cache().display());
    for (name, written) in [(ONE, "one"), (ONE, "docker://docker.io/one:latest"), (TWO, TWO)] {
        let report = |source: &str, image: &str| {
            Report::of(&home.run(["build", source, "-o", image, "--json", "--no-sync", "--force", "--offline"]).ok())
        };
        let expected = report(&local(name), "expected");
        let found = report(written, "found");
        assert_eq!(found.content_id(), expected.content_id());
        assert_same(&home.path("found"), &home.path("expected"));
    }
    // What was understood is told.
    let run = home.run(["build", "one", "-o", "found", "--force", "--no-sync", "--pull", "never"]).ok();
    run.says(&format!("{ONE}\n1 layer, ")).says(" in the cache\nlayer 1/1 sha256:");
    let run = home.run(["build", "three", "-o", "three", "--offline"]).expect(3);
    run.says("docker.io/library/three:latest").says("hint: without --offline it is downloaded from docker.io");
    assert!(!home.path("three").exists());
}

#[test]
fn what_is_there_can_be_looked_at_offline() {
    let home = Home::new();
    let run = home.run(["resolve", TWO, "--offline", "--json"]).ok();
    let found: Value = serde_json::from_str(&run.stdout()).unwrap();
    let manifest = std::fs::read(home.cache().join("index.json")).unwrap();
    let manifest: Value = serde_json::from_slice::<Value>(&manifest).unwrap()["manifests"][1].clone();
    for (field, expected) in
        [("reference", &Value::from(TWO)), ("digest", &manifest["digest"]), ("size", &manifest["size"])]
    {
        assert_eq!(&found[field], expected, "{field}");
    }
    assert_eq!(found["media_type"], manifest["mediaType"]);
    assert_eq!(found["image"]["manifest"], manifest["digest"]);
    assert_eq!(found["image"]["platform"], host_platform());
    let layers = found["image"]["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    assert_eq!(found["size_total"], layers.iter().map(|layer| layer["size"].as_u64().unwrap()).sum::<u64>());
    let shown = home.run(["resolve", TWO, "--offline"]).ok();
    assert!(shown.stdout().lines().all(|line| line.len() <= 80), "{shown}");
    home.run(["resolve", "three", "--offline"]).expect(3);
    // What is complete need not be fetched.
    let run = home.run(["fetch", TWO, "one", "--offline", "--quiet"]).ok();
    assert_eq!(run.stdout().lines().count(), 2);
    assert_eq!(run.stdout().lines().next(), manifest["digest"].as_str());
}

#[test]
fn listings_are_honest() {
    let home = Home::new();
    let [one, two] = home.listed().try_into().unwrap();
    assert_eq!((&one["name"], &two["name"]), (&ONE.into(), &TWO.into()));
    let total: u64 = home.blobs().iter().map(|blob| room(&home.cache().join("blobs/sha256").join(blob))).sum();
    let number = |image: &Value, field: &str| image[field].as_u64().unwrap();
    for image in [&one, &two] {
        assert_eq!(image["complete"], true);
        assert_eq!(number(image, "size"), number(image, "shared") + number(image, "unique"));
        assert!(number(image, "shared") >= 40_000);
    }
    assert_eq!(number(&one, "shared") + number(&one, "unique") + number(&two, "unique"), total);

    let run = home.run(["cache", "ls"]).ok();
    assert!(run.stdout().starts_with("name "), "{run}");
    assert_eq!(run.stdout().lines().count(), 3);
    assert!(run.stderr().starts_with("2 images, 6 blobs, "), "{run}");

    // A layer that is missing, and one that belongs to nobody.
    let layer = home.layout.first_manifest()["layers"][0].clone();
    std::fs::remove_file(home.layout.blob_path(&layer)).unwrap();
    std::fs::write(home.cache().join("blobs/sha256").join(sha256(b"stray")), "stray").unwrap();
    assert!(home.listed().iter().all(|image| image["complete"] == false));
    home.run(["cache", "ls"]).ok().says(&format!("{ONE} (incomplete)")).says("1 of the blobs is needed by no image");
}

#[test]
fn what_is_said_to_go_goes() {
    let home = Home::new();
    let before = (home.blobs(), home.listed());
    let free = before.1[1]["unique"].as_u64().unwrap();
    let would = home.run(["cache", "rm", TWO, "--dry-run"]).ok().says(&format!("would remove {TWO}\n"));
    assert_eq!(before, (home.blobs(), home.listed()));
    let did = home.run(["cache", "rm", TWO]).ok().says("removed 3 blobs");
    let told = would.stderr().replace("would remove", "removed").replace("would become", "became");
    assert_eq!(told, did.stderr(), "what was told is what was done");
    let room_of = |names: &[String]| names.iter().filter(|name| before.0.contains(name)).count();
    assert_eq!((home.blobs().len(), room_of(&home.blobs())), (3, 3));
    assert!(free >= 70_000);
    assert_eq!(home.listed().len(), 1);
    home.run(["build", "one", "-o", "one", "--offline", "--no-sync"]).ok();

    // By a short name; of several nothing goes unless all are there.
    let run = home.run(["cache", "rm", "one", "nosuch"]).expect(3).says("nosuch");
    run.says("hint: `banger cache ls` lists the images that there are");
    assert_eq!(home.listed().len(), 1);
    home.run(["cache", "rm", "one"]).ok();
    assert_eq!((home.blobs().len(), home.listed().len()), (0, 0));
    home.run(["cache", "ls"]).ok().says("0 images, 0 blobs, 0 B");
}

#[test]
fn prune_removes_what_nobody_needs() {
    let home = Home::new();
    let all = home.blobs();
    let stray = sha256(b"stray");
    std::fs::write(home.cache().join("blobs/sha256").join(&stray), "stray").unwrap();
    home.run(["cache", "prune", "--dry-run"]).ok().says("would remove 1 blob; ");
    assert!(home.blobs().contains(&stray));
    home.run(["cache", "prune"]).ok().says("removed 1 blob; ");
    assert_eq!(home.blobs(), all);
    home.run(["cache", "prune", "--all", "--dry-run"]).ok().says(ONE).says(TWO).says("would remove 6 blobs; ");
    assert_eq!(home.blobs(), all);
    home.run(["cache", "prune", "--all"]).ok();
    assert_eq!(home.blobs(), Vec::<String>::new());
}

#[test]
fn verify_removes_what_is_damaged() {
    let home = Home::new();
    let run = home.run(["cache", "verify"]).ok();
    assert!(run.stderr().starts_with("6 blobs, ") && run.stdout().is_empty(), "{run}");
    let layer = home.layout.first_manifest()["layers"][0].clone();
    let digest = layer["digest"].as_str().unwrap();
    let blob = home.layout.blob_path(&layer);
    let good = std::fs::read(&blob).unwrap();
    for json in [false, true] {
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        std::fs::write(&blob, bad).unwrap();
        let options: &[&str] = if json { &["--json"] } else { &[] };
        let run = home.run(["cache", "verify"].iter().chain(options)).expect(6).says("1 of 6 blobs is damaged");
        assert!(!blob.exists());
        if json {
            let found: Value = serde_json::from_str(&run.stdout()).unwrap();
            assert_eq!((&found["blobs"], &found["removed"]), (&6.into(), &1.into()));
            let damaged = &found["damaged"][0];
            assert_eq!((&damaged["digest"], &damaged["removed"]), (&digest.into(), &true.into()));
            assert_eq!(damaged["images"], serde_json::json!([ONE, TWO]));
        } else {
            assert!(run.stdout().starts_with(digest), "{run}");
        }
    }
    home.run(["cache", "verify", "--json"]).ok();
}

#[test]
fn a_cache_that_is_not_there() {
    let scratch = scratch();
    let home = scratch.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let run =
        |arguments: &[&str]| Run::of(command().env("HOME", &home).current_dir(&home).args(["cache"]).args(arguments));
    for arguments in [&["ls"][..], &["prune"], &["prune", "--all"], &["verify"]] {
        let run = run(arguments).ok();
        assert_eq!(run.stdout(), "");
        assert_eq!(names(&home), Vec::<String>::new(), "to look at nothing makes nothing");
    }
    run(&["rm", "one"]).expect(3);
    // One that is named must be there, and must be one.
    run(&["ls", "--cache", "nosuch"]).expect(3).says("nosuch");
    std::fs::create_dir(home.join("precious")).unwrap();
    std::fs::write(home.join("precious/file"), "text").unwrap();
    let refused = run(&["prune", "--all", "--cache", "precious"]);
    assert_ne!(refused.code(), Some(0), "{refused}");
    assert_eq!(names(&home.join("precious")), ["file"]);

    let mut homeless = command();
    Run::of(homeless.args(["cache", "ls"])).expect(2).says("hint: name one with --cache DIR");
}

#[test]
fn the_place_of_the_cache_can_be_chosen() {
    let home = Home::new();
    let scratch = scratch();
    let [xdg, named] = ["xdg", "named"].map(|name| scratch.path().join(name));
    for (cache, name) in [(xdg.join("banger/oci"), "registry.test/xdg:1"), (named.clone(), "registry.test/named:1")] {
        std::fs::create_dir_all(cache.parent().unwrap()).unwrap();
        let _ = Layout::new(cache).image(name, &host_platform(), [Tar::new()]);
    }
    let list = |environment: &[(&str, &Path)], options: &[&std::ffi::OsStr]| {
        let mut command = command();
        command.env("HOME", home.path("home")).envs(environment.iter().copied()).args(["cache", "ls"]).args(options);
        Run::of(&mut command).ok().stdout()
    };
    assert!(list(&[], &[]).contains(TWO));
    assert!(list(&[("XDG_CACHE_HOME", &xdg)], &[]).contains("registry.test/xdg:1"));
    assert!(list(&[("XDG_CACHE_HOME", Path::new("relative"))], &[]).contains(TWO));
    let options = ["--cache".as_ref(), named.as_os_str()];
    assert!(list(&[("XDG_CACHE_HOME", &xdg)], &options).contains("registry.test/named:1"));
    // It is a layout for everybody else, too.
    let image = home.path("image");
    home.run(args!["build", source("oci", &named), "-o", image, "--no-sync"]).ok();
}

/// References that no registry could have, and images that are on this machine.
#[test]
fn only_references_can_be_fetched() {
    let home = Home::new();
    for text in ["oci:layout", "a/../b", ":tag", "Debian", "", "https://registry.test/x", "debian:bookworm:slim"] {
        for command in ["fetch", "resolve"] {
            home.run([command, text, "--offline"]).expect(2).says("hint: ");
        }
    }
    for to in ["layout", "oci:", "oci-archive:x.tar", "oci:layout:@0"] {
        home.run(["fetch", "one", "--offline", "--to", to]).expect(2);
    }
    let two = ["fetch", "one:v1", "two:v1", "--offline", "--to", "oci:layout"];
    home.run(two).expect(2).says("would both be called \"v1\"");
    assert!(!home.path("layout").exists());
    for options in [
        &["--offline", "--pull", "always"][..],
        &["--all-platforms", "--platform", "linux/arm"],
        &["--quiet", "--json"],
    ] {
        home.run(["fetch", "one"].iter().chain(options)).expect(2).says("cannot be used with");
    }
}
