//! What is left on the disk: counted, listed, asked about, removed; several images all together or not at all; sizes that are known.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::bench::{SMALL, import, keep, layers};
use crate::args;
use crate::judges;
use crate::support::registry::user::{document, images};
use crate::support::registry::{Content, Debian};
use crate::support::scratch::names;
use crate::support::{Layout, Managed, Run, judge};

/// A machine that has ended, as `banger run` without --rm leaves it.
fn ended_machine(managed: &Managed, image: &str) -> &'static str {
    let id = "0123456789ab";
    let directory = managed.root().join("machines").join(id);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("lock"), "").unwrap();
    std::fs::write(directory.join("overlay.qcow2"), vec![1; 100_000]).unwrap();
    let record = serde_json::json!({ "remove": false, "image": image, "sockets": directory.join("sockets") });
    std::fs::write(directory.join("machine.json"), record.to_string()).unwrap();
    id
}

/// Uses an image's files, as a machine does: its directory is locked.
fn in_use(managed: &Managed, name: &str) -> File {
    let rootfs = managed.show(name)["rootfs"].as_str().unwrap().to_owned();
    let directory = File::open(Path::new(&rootfs).parent().unwrap()).unwrap();
    directory.lock_shared().unwrap();
    directory
}

#[test]
fn what_prune_would_remove_is_counted_and_listed() {
    for managed in [Managed::new(), Managed::with_daemon()] {
        let server = Content::of(Layout::of(managed.user.path("layout"), layers(4, 50_000)).path()).serve();
        let reference = server.reference("some/image:latest");
        managed.run(args!["pull", reference, "--no-kernel", "--quiet", "--size", "64M"]).ok();
        let machine = ended_machine(&managed, "image-latest");
        let part = |name: &str| managed.json(["df"]).into_iter().find(|part| part["part"] == name).unwrap();
        for (name, least) in [("machines", 100_000), ("layers", 50_000)] {
            let part = part(name);
            assert!(part["reclaimable"].as_u64().unwrap() >= least, "{part}");
            assert_eq!((&part["count"], &part["reclaimable"]), (&1.into(), &part["size"]));
        }
        assert_eq!(part("images")["reclaimable"], 0);

        let listed = managed.run(["prune", "--all", "--dry-run"]).ok();
        let year = "20";
        let listed = listed.says(&format!("machine: {machine}, image-latest, {year}"));
        listed.says(&format!("layer: {reference}, {year}")).says("would remove 1 layer, 1 machine");

        // Nothing but leftovers goes unasked where everything is to go.
        for arguments in [&["prune", "--all"][..], &["prune", "--all", "--json"]] {
            let refused = managed.run(arguments).expect(2);
            refused.says("there is no terminal to ask on").says("banger prune --all --yes");
        }
        assert!(managed.root().join("machines").join(machine).exists());
        managed.run(["prune"]).ok().says("there is nothing to remove");
        managed.run(["prune", "--all", "--yes"]).ok().says("removed 1 layer, 1 machine");
        assert!(!managed.root().join("machines").join(machine).exists());
        assert_eq!(part("machines")["size"], 0);
        assert_eq!(part("layers")["reclaimable"], 0);
        managed.assert_sound();
    }
}

#[test]
fn several_images_go_all_together_or_not_at_all() {
    for managed in [Managed::new(), Managed::with_daemon()] {
        for (seed, name) in [(21, "one"), (22, "two"), (23, "three")] {
            keep(&managed, name, layers(seed, 1000), &["--no-kernel"]);
        }
        let everything = ["one", "three", "two"];
        let refused = managed.run(["image", "rm", "one", "nosuch", "two"]).expect(3);
        refused.says("none of these images was removed: there is no image \"nosuch\"");
        assert_eq!(managed.images(), everything);

        let held = in_use(&managed, "two");
        let refused = managed.run(["image", "rm", "one", "two"]).expect(1);
        refused.says("none of these images was removed: image \"two\" is in use");
        assert_eq!(managed.images(), everything);
        drop(held);

        let removed = managed.json(["image", "rm", "one", "two", "one"]).remove(0);
        assert_eq!(removed["names"], serde_json::json!(["one", "two"]));
        assert_eq!(managed.images(), ["three"]);
        managed.assert_sound();
    }
}

#[test]
fn history_has_sizes_without_the_cache() {
    judges!("skopeo", "docker-registry");
    let managed = Managed::new();
    let layout = Layout::of(managed.user.path("layout"), layers(8, 300_000)).path().to_owned();
    // skopeo compresses the layers on the way.
    let compressed = managed.user.path("compressed");
    let [from, to] = [&layout, &compressed].map(|layout| format!("oci:{}:latest", layout.display()));
    judge::ask("skopeo", ["copy", "--quiet", &from, &to]).ok();
    let server = Content::of(&compressed).serve();
    let reference = server.reference("some/image:latest");
    let pull = args!["pull", reference, "--name", "web", "--no-kernel", "--quiet"];
    Run::of(managed.command(pull).args(SMALL)).ok();
    managed.run(["prune", "--all", "--yes"]).ok();
    let steps = managed.json(["image", "history", "web"]);
    let sizes = layout_sizes(&compressed);
    let shown: Vec<u64> = steps.iter().map(|step| step["size"].as_u64().unwrap()).collect();
    assert_eq!(shown, sizes, "{steps:?}");
    let unpacked: Vec<u64> = steps.iter().map(|step| step["unpacked"].as_u64().unwrap()).collect();
    assert_eq!(unpacked, layout_sizes(&layout), "{steps:?}");
    managed.run(["image", "history", "web"]).ok().says("unpacked");

    // They go with the image to another machine.
    let registry = Debian::plain();
    let there = registry.reference("team/web:1");
    managed.run(args!["image", "push", "web", there, "--quiet"]).ok();
    managed.run(args!["image", "rm", "web", "--quiet"]).ok();
    managed.run(args!["pull", there, "--name", "back", "--no-kernel", "--quiet"]).ok();
    let back: Vec<u64> =
        managed.json(["image", "history", "back"]).iter().map(|step| step["size"].as_u64().unwrap()).collect();
    assert_eq!(back, sizes);
}

/// Sizes of the layers of the only image in a layout, the newest first.
fn layout_sizes(layout: &Path) -> Vec<u64> {
    let manifest = document(layout, images(layout)[0]["digest"].as_str().unwrap());
    manifest["layers"].as_array().unwrap().iter().rev().map(|layer| layer["size"].as_u64().unwrap()).collect()
}

#[test]
fn a_registered_image_has_the_size_that_it_has_where_it_is() {
    let managed = Managed::new();
    keep(&managed, "kept", layers(9, 100_000), &["--no-kernel"]);
    let disk = managed.user.path("disk.ext4");
    managed.run(args!["image", "export", "kept", "-o", &disk, "--quiet"]).ok();
    let registered = managed.run(args!["image", "register", "mine", &disk, "--no-kernel"]).ok();
    registered.says("on disk (external)");
    let allocated = || disk.metadata().unwrap().blocks() * 512;
    assert!(allocated() >= 100_000);
    assert_eq!(managed.show("mine")["allocated"], allocated());
    // It is what it is now, not what it was.
    std::fs::OpenOptions::new().append(true).open(&disk).unwrap().set_len(0).unwrap();
    assert_eq!(managed.show("mine")["allocated"], 0);
    managed.run(["image", "ls"]).ok().says("(external)").says("mine (registered)");
}

#[test]
fn purge_removes_all_that_is_kept_and_nothing_else() {
    for managed in [Managed::new(), Managed::with_daemon()] {
        let server = Content::of(Layout::of(managed.user.path("layout"), layers(31, 50_000)).path()).serve();
        let reference = server.reference("some/image:latest");
        let nothing = managed.run(["purge", "--yes"]).ok();
        nothing.says("there is nothing to remove");

        import(&managed, "linux");
        managed.run(args!["pull", reference, "--quiet", "--name", "web", "--size", "64M"]).ok();
        ended_machine(&managed, "web");
        managed.user.configure("kernel = \"linux\"\n");
        let settings = managed.user.home().join(".config/banger/config.toml");
        let own = managed.root().join("notes");
        std::fs::write(&own, "mine").unwrap();

        let listed = managed.run(["purge", "--dry-run"]).ok();
        listed.says("would remove '").says("1 image, 1 kernel, 1 machine that has ended; ").says("your settings");
        managed.run(["purge"]).expect(2).says("banger purge --yes");
        assert_eq!(managed.images(), ["web"]);

        let held = in_use(&managed, "web");
        managed.run(["purge", "--yes"]).expect(1).says("image \"web\" is in use");
        assert_eq!(managed.images(), ["web"]);
        managed.assert_sound();
        drop(held);

        managed.run(["purge", "--yes"]).ok().says("keeps '").says("everything was removed");
        assert_eq!(names(&managed.root()), ["notes"]);
        assert!(!managed.user.home().join(".cache/banger").exists());
        assert!(settings.exists() && own.exists());
        // What is pulled afterwards is kept as before.
        managed.run(args!["pull", "demo:", "--no-kernel", "--quiet", "--size", "64M"]).ok();
        managed.run(["daemon", "stop"]).ok();
        managed.run(["daemon", "stop"]).ok().says("no daemon is running");
        std::fs::remove_file(&own).unwrap();
        managed.run(["purge", "--yes"]).ok();
        assert!(!managed.root().exists());
    }
}
