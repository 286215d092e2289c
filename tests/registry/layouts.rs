//! The cache, and what `fetch --to` makes, are layouts that other tools read.

use serde_json::Value;

use super::Sample;
use crate::judges;
use crate::support::judge::ask;
use crate::support::registry::user::{assert_sound, images};
use crate::support::registry::{Debian, User};

/// What skopeo and umoci have to say about an image of a layout.
#[track_caller]
fn check(layout: &str, name: &str, digest: &str) {
    let inspected = ask("skopeo", ["inspect", &format!("oci:{layout}:{name}")]).ok();
    let inspected: Value = serde_json::from_str(&inspected.stdout()).unwrap();
    assert_eq!(inspected["Digest"], digest, "{name} in {layout}");
    let listed = ask("umoci", ["ls", "--layout", layout]).ok();
    assert!(listed.stdout().lines().any(|line| line == name), "{name:?} is not there: {listed}");
    ask("umoci", ["stat", "--image", &format!("{layout}:{name}"), "--json"]);
}

#[test]
fn the_cache_is_a_layout() {
    judges!("docker-registry", "skopeo", "umoci", "cmp");
    let sample = Sample::small();
    let registry = Debian::plain();
    for name in ["some/image:1", "some/image:2.0", "other"] {
        registry.push(&sample.layout, "latest", name);
    }
    let user = User::new();
    let digest = sample.content.digest("latest");
    let pinned = registry.reference(&format!("some/image@{digest}"));
    let [one, two, other] = ["some/image:1", "some/image:2.0", "other:latest"].map(|name| registry.reference(name));
    sample.check(&user, &one, &[]);
    user.fetch(&two, &[]).ok();
    user.fetch(&registry.reference("other"), &[]).ok();
    user.fetch(&pinned, &[]).ok();
    let cache = user.cache().display().to_string();
    for name in [&one, &two, &other] {
        check(&cache, name, &digest);
    }
    assert_eq!(images(&user.cache()).len(), 4);
    assert_sound(&user.cache());
    // Somebody else's tool has copied it out, and it is the same image.
    let copy = user.path("copy").display().to_string();
    let arguments = ["copy", "--quiet", "--insecure-policy", "--preserve-digests"].map(str::to_owned);
    ask("skopeo", arguments.into_iter().chain([format!("oci:{cache}:{one}"), format!("oci:{copy}:copy")])).ok();
    sample.check(&user, &format!("oci:{copy}:copy"), &[]);
    sample.check(&user, &format!("oci:{cache}:{two}"), &[]);
}

#[test]
fn an_image_is_mirrored_into_a_layout() {
    judges!("docker-registry", "skopeo", "umoci", "cmp");
    let sample = Sample::small();
    let registry = Debian::plain();
    registry.push(&sample.layout, "latest", "some/image:1");
    let reference = registry.reference("some/image:1");
    let digest = sample.content.digest("latest");
    let user = User::new();
    let target = user.path("mirror").display().to_string();
    let mark = registry.mark();
    user.fetch(&reference, &["--to", &format!("oci:{target}:first")]).ok();
    let fetched = registry.blobs(mark).len();
    assert_eq!(fetched, sample.content.blobs_of("latest").len());
    check(&target, "first", &digest);
    let mark = registry.mark();
    user.fetch(&reference, &["--to", &format!("oci:{target}:second")]).ok();
    assert_eq!(registry.blobs(mark), Vec::<String>::new(), "what is there is not fetched again");
    for name in ["first", "second"] {
        check(&target, name, &digest);
        sample.check(&user, &format!("oci:{target}:{name}"), &[]);
    }
    // Without a name the layout has the reference's.
    let unnamed = user.path("unnamed").display().to_string();
    user.fetch(&reference, &["--to", &format!("oci:{unnamed}")]).ok();
    ask("skopeo", ["inspect", &format!("oci:{unnamed}")]).ok();
    assert_eq!(images(&user.path("unnamed")).len(), 1);
    sample.check(&user, &format!("oci:{unnamed}"), &[]);
}

/// Something of the user's is not taken for a cache.
#[test]
fn a_directory_of_something_else_is_left_alone() {
    let sample = Sample::small();
    let server = sample.content.clone().serve();
    let user = User::new();
    user.write("precious/letter.txt", "dear somebody");
    let directory = user.home().join("precious");
    let to = format!("oci:{}", directory.display());
    user.fetch(&server.reference("some/image"), &["--to", &to]).expect(1).says("precious");
    assert_eq!(crate::support::scratch::names(&directory), ["letter.txt"]);
    let options = ["--cache", directory.to_str().unwrap()];
    user.build(&server.reference("some/image"), "image", &options).expect(1).says("precious");
    assert_eq!(crate::support::scratch::names(&directory), ["letter.txt"]);
}
