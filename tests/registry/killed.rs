//! A pull that is killed leaves what it had, and the next one goes on from there.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::{IMAGE, Sample, noise, random};
use crate::args;
use crate::judges;
use crate::support::concurrent::{all_at_once, wait_until};
use crate::support::registry::User;
use crate::support::registry::http::Server;
use crate::support::registry::user::{assert_sound, blobs, images};
use crate::support::scratch::names;
use crate::support::{Tar, judge};

/// How many pulls are killed.
const KILLS: usize = 20;

/// How many at a time.
const AT_ONCE: usize = 4;

/// What the moments are made of. Another number gives other moments.
const SEED: u64 = 3;

/// How long a pull takes at the server's rate.
const PULL: Duration = Duration::from_millis(1500);

/// Layers of several sizes, so that some are complete when others have just begun.
fn layers() -> impl Iterator<Item = Tar> {
    [200_000, 1_700_000, 40_000, 900_000, 600_000, 1_200_000].into_iter().enumerate().map(|(number, bytes)| {
        Tar::new().file(&format!("file-{number}"), noise(number as u64, bytes)).whiteout("file-2")
    })
}

/// Bytes of partial blobs in a cache, by digest.
fn partial(cache: &Path) -> BTreeMap<String, u64> {
    let directory = cache.join("ingest");
    if !directory.exists() {
        return BTreeMap::new();
    }
    let of = |name: String| {
        let digest = name.strip_prefix("sha256-")?.split('.').next()?;
        Some((format!("sha256:{digest}"), directory.join(&name).metadata().ok()?.len()))
    };
    names(&directory).into_iter().filter_map(of).filter(|(_, bytes)| *bytes > 0).collect()
}

#[test]
fn killed_at_any_moment_and_run_again() {
    judges!("kill", "cmp", "skopeo");
    let sample = Sample::of(layers());
    let total: u64 =
        sample.content.blobs_of("latest").iter().map(|digest| sample.content.bytes(digest).len() as u64).sum();
    let mut state = SEED;
    let moments: Vec<_> =
        (0..KILLS).map(|_| Duration::from_millis(random(&mut state) % (PULL.as_millis() as u64 * 11 / 10))).collect();
    let resumed = std::sync::atomic::AtomicUsize::new(0);
    for moments in moments.chunks(AT_ONCE) {
        all_at_once(moments, |&moment| {
            let server = sample.content.clone().serve();
            server.limit_rate(total * 1000 / PULL.as_millis() as u64);
            let count = kill_and_continue(&sample, &server, moment, total);
            resumed.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
        });
    }
    let resumed = resumed.into_inner();
    assert!(resumed > KILLS, "only {resumed} blobs were continued");
}

/// Kills a pull after a while and runs it again. How many blobs were continued.
fn kill_and_continue(sample: &Sample, server: &Server, moment: Duration, total: u64) -> usize {
    let user = User::new();
    let reference = server.reference(IMAGE);
    let image = user.path("image");
    let mut command = user.bare_command();
    command.args(args!["build", reference, "-o", image]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    std::thread::sleep(moment);
    let _ = judge::ask("kill", ["-KILL", &child.id().to_string()]);
    let was_killed = !child.wait().unwrap().success();

    // Nothing half done is visible.
    if image.exists() {
        // The signal came when the work was done.
        sample.assert_built(&image);
    } else {
        assert!(was_killed, "{moment:?}: there is no image");
    }
    let cache = user.cache();
    assert_sound(&cache);
    let complete = blobs(&cache);
    let wanted = sample.content.blobs_of("latest");
    let mut left = partial(&cache);
    // A config is fetched in one piece, and again where it was not published.
    left.remove(&wanted[0]);
    assert!(left.keys().all(|digest| !complete.contains(digest)), "{moment:?}: partial and complete");
    if was_killed && cache.join("index.json").exists() {
        assert!(images(&cache).is_empty() || left.is_empty(), "{moment:?}: named before it is complete");
    }

    server.limit_rate(0);
    server.settle();
    server.forget();
    let run = user.build(&reference, "image", &[]).ok();
    sample.assert_built(&image);
    let mut sent = 0;
    for request in server.blobs() {
        let digest = request.blob().unwrap();
        assert!(!complete.iter().any(|blob| blob == digest), "{moment:?}: {digest} again: {run}");
        sent += request.sent();
    }
    let mut continued = 0;
    for (digest, bytes) in &left {
        let requests: Vec<_> = server.blobs().into_iter().filter(|request| request.blob() == Some(digest)).collect();
        // All of it may have been there already, and only its check was missing.
        if *bytes < sample.content.bytes(digest).len() as u64 {
            assert_eq!(requests.len(), 1, "{moment:?}: {digest}: {run}");
            assert_eq!(requests[0].offset(), Some(usize::try_from(*bytes).unwrap()), "{moment:?}: {digest}: {run}");
            continued += 1;
        }
    }
    let whole = complete.iter().filter(|digest| wanted.contains(digest));
    let here: u64 = whole.map(|digest| sample.content.bytes(digest).len() as u64).chain(left.values().copied()).sum();
    assert_eq!(sent, total - here, "{moment:?}: not a byte twice: {run}");
    assert_sound(&cache);
    assert_eq!(partial(&cache), BTreeMap::new());
    user.run(["cache", "verify"]).ok();
    let image = format!("oci:{}:{reference}", cache.display());
    judge::ask("skopeo", ["inspect", &image]).ok();
    continued
}

/// Ctrl-C keeps what is there, like a kill, and says nothing that looks like a bug.
#[test]
fn interrupted_and_run_again() {
    judges!("kill", "cmp");
    let sample = Sample::of(layers());
    let server = sample.content.clone().serve();
    server.limit_rate(3_000_000);
    let user = User::new();
    let mut child =
        user.bare_command().args(["fetch", &server.reference(IMAGE)]).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("a part is here", || server.sent() >= 1_000_000);
    let _ = judge::ask("kill", ["-INT", &child.id().to_string()]);
    assert!(!child.wait().unwrap().success());
    assert_sound(&user.cache());
    assert!(!partial(&user.cache()).is_empty());
    server.forget();
    server.limit_rate(0);
    sample.check(&user, &server.reference(IMAGE), &[]);
    assert!(server.blobs().iter().any(|request| request.offset().is_some()));
}

/// What was left of a pull is not what belongs there: that is found, and the blob is fetched from its beginning.
#[test]
fn a_partial_blob_that_is_damaged() {
    judges!("kill", "cmp");
    let sample = Sample::of(layers());
    for damage in ["other bytes", "too long"] {
        let server = sample.content.clone().serve();
        server.limit_rate(3_000_000);
        let user = User::new();
        let mut child =
            user.bare_command().args(["fetch", &server.reference(IMAGE)]).stderr(Stdio::null()).spawn().unwrap();
        wait_until("a part is here", || partial(&user.cache()).values().any(|bytes| *bytes >= 100_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let (digest, _) = partial(&user.cache()).into_iter().find(|(_, bytes)| *bytes >= 100_000).unwrap();
        let directory = user.cache().join("ingest");
        let name = names(&directory).into_iter().find(|name| name.starts_with(&digest.replace(':', "-"))).unwrap();
        let file = directory.join(name);
        let mut bytes = std::fs::read(&file).unwrap();
        match damage {
            "too long" => bytes.resize(8_000_000, b'x'),
            _ => bytes[50_000] ^= 1,
        }
        std::fs::write(&file, bytes).unwrap();
        server.limit_rate(0);
        server.forget();
        sample.check(&user, &server.reference(IMAGE), &[]);
        assert!(
            server.blobs().iter().any(|request| request.blob() == Some(&digest) && request.offset().unwrap_or(0) == 0),
            "{damage}: {:#?}",
            server.blobs()
        );
        assert_sound(&user.cache());
        user.run(["cache", "verify"]).ok();
    }
}
