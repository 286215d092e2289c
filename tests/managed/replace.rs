//! Pulling again: a name that is taken, moved to what its source means now, refreshed with all the others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::bench::{SMALL, import, keep, layers, site};
use crate::support::fault::{Fault, Strike, steps};
use crate::support::managed::files_of;
use crate::support::registry::{Answer, Content, Server};
use crate::support::{Layout, Managed};
use crate::{args, judges};

/// A registry whose tag `latest` stands for one image and then, once it is told, for another.
struct Moving {
    server: Server,
    moved: Arc<AtomicBool>,
    /// Digests of both images.
    digests: [String; 2],
}

impl Moving {
    fn new(managed: &Managed) -> Self {
        let content = |seed: u64| {
            Content::of(Layout::of(managed.user.path(&format!("layout-{seed}")), layers(seed, 50_000)).path())
        };
        let (before, mut after) = (content(11), content(12));
        let digests = [before.digest("latest"), after.digest("latest")];
        // What had the tag before is still there by its digest.
        after.add(&before, "latest", "before");
        let moved = Arc::new(AtomicBool::new(false));
        let is_moved = Arc::clone(&moved);
        let server =
            Server::start(
                move |request| {
                    if is_moved.load(Ordering::SeqCst) { after.answer(request) } else { before.answer(request) }
                },
            );
        Self { server, moved, digests }
    }

    fn reference(&self) -> String {
        self.server.reference("some/image:latest")
    }

    fn move_on(&self) {
        self.moved.store(true, Ordering::SeqCst);
    }
}

fn pull<'a>(reference: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    [&["pull", reference, "--name", "web", "--no-kernel"][..], &SMALL, options].concat()
}

fn id(managed: &Managed, name: &str) -> String {
    managed.show(name)["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_taken_name_says_whether_it_is_up_to_date() {
    for managed in [Managed::new(), Managed::with_daemon()] {
        let moving = Moving::new(&managed);
        let reference = moving.reference();
        managed.run(pull(&reference, &["--quiet"])).ok();
        moving.server.forget();
        let taken = managed.run(pull(&reference, &[])).expect(1);
        let taken = taken.says("error: there is an image named \"web\" already");
        let taken = taken.says(&format!("it is up to date: {reference} still is {}", moving.digests[0]));
        taken.says(&format!("banger pull {reference} --name web --replace"));
        assert_eq!(moving.server.blobs().len(), 0, "nothing is downloaded");

        moving.move_on();
        let taken = managed.run(pull(&reference, &[])).expect(1);
        let words = format!("{reference} means another image now: {}; the one here is ", moving.digests[1]);
        taken.says(&words).says(&format!("banger pull {reference} --name web --replace"));
        assert_eq!(managed.images(), ["web"]);

        // Something else by that name.
        let layout = Layout::of(managed.user.path("other"), layers(3, 1000)).path().to_owned();
        let source = format!("oci:{}", layout.display());
        managed.run(pull(&source, &[])).expect(1).says(&format!("it came from {reference}, not from {source}"));
        // A registry that cannot be asked changes nothing of it.
        let gone = Server::start(|_| Answer::error(500, "UNKNOWN", "broken"));
        let other = gone.reference("some/image:latest");
        managed.run(pull(&other, &[])).expect(1).says("cannot tell whether it is up to date: ");
        managed.run(pull(&reference, &["--offline"])).expect(1).says("there is an image named \"web\" already");
        managed.assert_sound();
    }
}

#[test]
fn a_name_moves_and_the_old_image_stays_until_nothing_needs_it() {
    for managed in [Managed::new(), Managed::with_daemon()] {
        let moving = Moving::new(&managed);
        let reference = moving.reference();
        // Where there is nothing to replace it is a pull like any other.
        managed.run(pull(&reference, &["--replace", "--quiet"])).ok();
        let old = id(&managed, "web");
        let again = managed.json(pull(&reference, &["--replace"])).remove(0);
        assert_eq!((again["id"].as_str(), again["replaced"].as_str()), (Some(&*old), Some(&*old)));
        managed.run(pull(&reference, &["--replace"])).ok().says("web was up to date: nothing has changed");

        moving.move_on();
        managed.run(pull(&reference, &["--replace"])).ok().says(&format!("web was {}, which stays", &old[..12]));
        let new = id(&managed, "web");
        assert_ne!(new, old);
        assert_eq!(managed.images(), [&*old, "web"], "the old one is listed by its id");
        managed.run(["image", "ls"]).ok().says(&format!("{} (replaced)", &old[..12]));
        assert_eq!(managed.show(&old[..8])["id"], old.as_str());
        managed.assert_sound();

        // What reads it keeps it: an export that waits for its reader.
        let images = managed.json(["df"]).into_iter().find(|part| part["part"] == "images").unwrap();
        assert_eq!(images["count"], 2);
        assert!(images["reclaimable"].as_u64().unwrap() > 50_000, "{images}");
        let dry = managed.run(["prune", "--dry-run"]).ok();
        dry.says(&format!("image: {old}, {reference}, 20")).says("would remove 1 image");
        managed.run(["prune"]).ok().says("removed 1 image");
        assert_eq!(managed.images(), ["web"]);
        assert_eq!(id(&managed, "web"), new);
        managed.assert_sound();
    }
}

#[test]
fn an_old_image_is_removed_by_its_id_or_named_again() {
    let managed = Managed::new();
    let moving = Moving::new(&managed);
    let reference = moving.reference();
    managed.run(pull(&reference, &["--quiet"])).ok();
    let old = id(&managed, "web");
    moving.move_on();
    managed.run(pull(&reference, &["--replace", "--quiet"])).ok();
    managed.run(["image", "rename", &old[..12], "web-before"]).ok();
    assert_eq!(managed.images(), ["web", "web-before"]);
    managed.run(["prune"]).ok();
    assert_eq!(managed.images(), ["web", "web-before"], "what has a name stays");
    let by_digest = reference.replace(":latest", &format!("@{}", moving.digests[1]));
    managed.run(args!["pull", by_digest, "--name", "web-before", "--replace", "--no-kernel", "--size", "64M"]).ok();
    assert_eq!(managed.images(), [&*old, "web", "web-before"]);
    managed.run(["image", "rm", &old[..12]]).ok();
    assert_eq!(managed.images(), ["web", "web-before"]);
    managed.assert_sound();
}

/// Killed at each call that changes files, the name stands for the old image or for the new one, and both are whole.
#[test]
fn no_kill_leaves_a_name_without_an_image() {
    judges!("strace");
    let managed = Managed::new();
    let moving = Moving::new(&managed);
    let reference = moving.reference();
    managed.run(pull(&reference, &["--quiet"])).ok();
    let old = id(&managed, "web");
    moving.move_on();
    let arguments = pull(&reference, &["--replace", "--quiet", "--jobs", "1"]);
    let log = managed.user.path("log");
    let calls = ["rename", "pwrite64", "fdatasync", "unlink", "fsync"];
    let steps = steps(&managed.user, &log, &calls, &arguments);
    let new = id(&managed, "web");
    assert_ne!(new, old);
    let back = reference.replace(":latest", &format!("@{}", moving.digests[0]));
    let mut seen = [0, 0];
    for (call, number) in steps {
        managed.run(args!["pull", back, "--name", "web", "--replace", "--no-kernel", "--size", "64M", "--quiet"]).ok();
        managed.run(["prune"]).ok();
        assert_eq!((managed.images(), id(&managed, "web")), (vec!["web".to_owned()], old.clone()));
        let strike = Strike { call, fault: Fault::Kill, number };
        let context = format!("{strike}: {}", strike.run(&managed.user, &log, &arguments).run);
        let images = managed.images();
        let now = id(&managed, "web");
        let is_moved = now == new;
        assert!(is_moved || now == old, "{context}: {now}");
        assert_eq!(images.contains(&old), is_moved, "{context}: {images:?}");
        seen[usize::from(is_moved)] += 1;
        managed.assert_sound();
    }
    assert!(seen[0] >= 5, "{seen:?}");
}

/// Two images of a registry, one of a catalog, one of a file, one that is registered, the demonstration.
#[test]
fn all_images_are_refreshed() {
    for managed in [Managed::new(), Managed::with_daemon()] {
        import(&managed, "linux");
        let moving = Moving::new(&managed);
        let reference = moving.reference();
        let still = Content::of(Layout::of(managed.user.path("still"), layers(5, 1000)).path());
        let is_down = Arc::new(AtomicBool::new(false));
        let down = Arc::clone(&is_down);
        let still =
            still.serve_with(move |_| down.load(Ordering::SeqCst).then(|| Answer::error(404, "NAME_UNKNOWN", "gone")));
        let catalog = files_of(&site(&managed));
        managed.user.configure(&format!("[[catalog]]\nurl = \"http://{}/catalog.json\"\n", catalog.host()));
        let options = ["--hostname", "here", "--quiet", "--env", "A=b c"];
        managed.run(pull(&reference, &options)).ok();
        let reference_of_still = still.reference("some/image:latest");
        managed.run(args!["pull", reference_of_still, "--name", "still", "--quiet", "--size", "64M"]).ok();
        managed.run(args!["pull", "web", "--name", "bundle", "--quiet"]).ok();
        managed.run(args!["pull", "demo:", "--quiet", "--no-kernel", "--size", "64M"]).ok();
        keep(&managed, "file", layers(6, 1000), &[]);
        let disk = managed.show("file")["rootfs"].as_str().unwrap().to_owned();
        managed.run(args!["image", "register", "mine", disk, "--no-kernel"]).ok();
        let names = ["bundle", "demo", "file", "mine", "still", "web"];
        let ids = || names.map(|name| id(&managed, name));
        let before = ids();

        let run = managed.run(["pull", "--all", "--replace"]).ok();
        let run = run.says("6 images: 0 changed, 4 up to date, 2 passed over\n");
        let run = run.says("file: passed over: it was made from a file or directory of this machine");
        run.says("mine: passed over: it is registered").says(&format!("web: up to date: {reference}\n"));
        assert_eq!(ids(), before);

        moving.move_on();
        is_down.store(true, Ordering::SeqCst);
        let run = managed.run(["pull", "--all", "--replace"]).expect(3);
        let run = run.says("6 images: 1 changed, 2 up to date, 2 passed over, 1 failed; `banger prune`");
        run.says("still: failed, and is as it was").says("error: ").says("web: changed, from ");
        let after = ids();
        assert_eq!(after[..5], before[..5]);
        assert_ne!(after[5], before[5]);
        // The options of the first pull still hold.
        let request = managed.show("web")["request"].clone();
        assert_eq!((&request["build"]["hostname"], &request["build"]["env"]["A"]), (&"here".into(), &"b c".into()));
        assert_eq!(request["kernel"]["none"], true);
        let direct = managed.run(pull(&reference, &["--hostname", "here", "--env", "A=b c", "--replace"])).ok();
        direct.says("web was up to date");
        is_down.store(false, Ordering::SeqCst);
        let lines = managed.json(["pull", "--all", "--replace", "--quiet"].iter().filter(|word| **word != "--quiet"));
        let outcomes: Vec<(&str, &str)> =
            lines.iter().map(|line| (line["name"].as_str().unwrap(), line["outcome"].as_str().unwrap())).collect();
        assert_eq!(
            outcomes,
            [
                ("bundle", "up_to_date"),
                ("demo", "up_to_date"),
                ("file", "passed_over"),
                ("mine", "passed_over"),
                ("still", "up_to_date"),
                ("web", "up_to_date"),
            ]
        );
        managed.run(["image", "rm", "mine"]).ok();
        managed.assert_sound();
    }
}

#[test]
fn all_and_a_source_do_not_go_together() {
    let managed = Managed::new();
    for arguments in [
        &["pull"][..],
        &["pull", "--all"],
        &["pull", "--all", "--replace", "debian"],
        &["pull", "--all", "--replace", "--name", "x"],
        &["pull", "--all", "--replace", "--hostname", "x"],
        &["pull", "--all", "--replace", "--init", "none"],
        &["pull", "--all", "--replace", "--user", "x"],
    ] {
        managed.run(arguments).expect(2);
    }
    managed.run(["pull", "--all", "--replace"]).ok().says("0 images: 0 changed, 0 up to date");
}

/// Several at once move one name; while they do, it always stands for an image.
#[test]
fn a_name_is_there_at_any_moment() {
    let managed = Managed::new();
    let moving = Moving::new(&managed);
    let reference = moving.reference();
    managed.run(pull(&reference, &["--quiet"])).ok();
    let digests = moving.digests.clone().map(|digest| reference.replace(":latest", &format!("@{digest}")));
    moving.move_on();
    managed.run(pull(&reference, &["--replace", "--quiet"])).ok();
    let done = AtomicBool::new(false);
    let looks = Mutex::new(0);
    let runs = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let listed: Vec<Value> = managed.json(["image", "ls"]);
                assert!(listed.iter().any(|image| image["name"] == "web"), "{listed:?}");
                *looks.lock().unwrap() += 1;
            }
        });
        let runs: Vec<_> =
            (0..6).map(|round| managed.run(pull(&digests[round % 2], &["--replace", "--quiet"]))).collect();
        done.store(true, Ordering::SeqCst);
        looking.join().unwrap();
        runs
    });
    runs.into_iter().for_each(|run| drop(run.ok()));
    assert!(looks.into_inner().unwrap() >= 3);
    managed.assert_sound();
}
