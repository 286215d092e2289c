//! Several pulls of one image at once, in one cache: each blob is fetched once, and all get it.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::{IMAGE, Sample, layers, noise};
use crate::args;
use crate::judges;
use crate::support::Tar;
use crate::support::concurrent::wait_until;
use crate::support::registry::User;
use crate::support::registry::http::Server;
use crate::support::registry::user::assert_sound;

/// How often each blob has been asked for.
fn counts(server: &Server) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in server.blobs() {
        *counts.entry(request.blob().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

/// Each blob of the sample has been asked for once.
#[track_caller]
fn assert_once(sample: &Sample, server: &Server) {
    let expected: BTreeMap<_, _> = sample.content.blobs_of("latest").into_iter().map(|digest| (digest, 1)).collect();
    assert_eq!(counts(server), expected);
    let sent = server.sent();
    let total: usize = expected.keys().map(|digest| sample.content.bytes(digest).len()).sum();
    assert_eq!(sent, total as u64);
}

/// Eight builds of eight threads each.
#[test]
fn each_blob_is_fetched_once() {
    judges!("cmp");
    let sample = Sample::of(layers(2_000_000));
    let server = sample.content.clone().serve();
    // All of them are there before the first is done.
    server.limit_rate(2_000_000);
    let user = User::new();
    let reference = server.reference(IMAGE);
    let children: Vec<Child> = (0..8)
        .map(|number| {
            let image = user.path(&format!("image-{number}"));
            let mut command = user.command();
            command.args(args!["build", reference, "-o", image, "--jobs", "8", "--no-sync"]);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for number in 0..8 {
        sample.assert_built(&user.path(&format!("image-{number}")));
    }
    assert_once(&sample, &server);
    assert_sound(&user.cache());
}

/// Two `fetch`es, and one of them by several names of the same image.
#[test]
fn by_several_names() {
    let sample = Sample::of(layers(1_000_000));
    let server = sample.content.clone().serve();
    server.limit_rate(2_000_000);
    let user = User::new();
    let names = ["one/image:latest", "two/image:latest", "three:latest"].map(|name| server.reference(name));
    let fetch = |names: &[String]| user.command().arg("fetch").args(names).stderr(Stdio::null()).spawn().unwrap();
    let mut children = [fetch(&names), fetch(&names[..1])];
    assert!(children.iter_mut().all(|child| child.wait().unwrap().success()));
    assert_once(&sample, &server);
    assert_sound(&user.cache());
}

/// The one that downloads is killed: the one that waits takes over where it was.
#[test]
fn the_one_that_waits_takes_over() {
    judges!("cmp");
    let sample = Sample::of([Tar::new().file("large", noise(7, 3_000_000))]);
    let server = sample.content.clone().serve();
    server.limit_rate(1_500_000);
    let user = User::new();
    let reference = server.reference(IMAGE);
    let begun = |bytes: u64| wait_until("a part is here", || server.sent() >= bytes);
    let mut first = user.bare_command().args(["fetch", &reference]).stderr(Stdio::null()).spawn().unwrap();
    begun(100_000);
    let image = user.path("image");
    let mut second = user.command();
    second.args(args!["build", reference, "-o", image, "--no-sync"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let second = second.spawn().unwrap();
    begun(1_500_000);
    first.kill().unwrap();
    first.wait().unwrap();
    let output = second.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    sample.assert_built(&image);
    let large = sample.content.blobs_of("latest")[1].clone();
    let requests: Vec<_> = server.blobs().into_iter().filter(|request| request.blob() == Some(&large)).collect();
    assert_eq!(requests.len(), 2, "{requests:#?}");
    assert!(requests[1].offset().is_some_and(|offset| offset > 500_000), "{requests:#?}");
}

/// A layer that an image has twice is one blob.
#[test]
fn the_same_layer_twice() {
    judges!("cmp");
    let layer = || Tar::new().file("large", noise(9, 500_000));
    let sample = Sample::of([layer(), Tar::new().whiteout("large"), layer()]);
    let server = sample.content.clone().serve();
    sample.check(&User::new(), &server.reference(IMAGE), &["--jobs", "8"]);
    assert!(counts(&server).values().all(|count| *count == 1), "{:#?}", counts(&server));
}

/// Layers that the registry has compressed arrive at several connections at once, as many as `--jobs` says.
#[test]
fn several_blobs_at_once() {
    let sample = Sample::of((0..12).map(|number| Tar::new().file(&format!("file-{number}"), noise(number, 100_000))));
    for jobs in [1, 3] {
        let (now, most) = <(std::sync::Arc<std::sync::atomic::AtomicUsize>, std::sync::Arc<_>)>::default();
        let (count, record) = (now.clone(), std::sync::Arc::<std::sync::atomic::AtomicUsize>::clone(&most));
        let server = sample.content.clone().serve_with(move |request| {
            use std::sync::atomic::Ordering::SeqCst;
            if request.is_get() && request.blob().is_some() {
                record.fetch_max(count.fetch_add(1, SeqCst) + 1, SeqCst);
                std::thread::sleep(Duration::from_millis(60));
                count.fetch_sub(1, SeqCst);
            }
            None
        });
        User::new().fetch(&server.reference(IMAGE), &["--jobs", &jobs.to_string()]).ok();
        assert_eq!(most.load(std::sync::atomic::Ordering::SeqCst), jobs);
    }
}
