//! Debian's `docker-registry`: the image is the one that a layout gives, and nothing is fetched twice.

use std::path::Path;

use serde_json::Value;

use super::{Sample, layers};
use crate::args;
use crate::judges;
use crate::support::image::Report;
use crate::support::layout::{host_platform, sha256};
use crate::support::program::banger;
use crate::support::registry::debian::CREDENTIALS;
use crate::support::registry::tls::Authority;
use crate::support::registry::user::assert_sound;
use crate::support::registry::{Content, Debian, Proxy, User};
use crate::support::{Corpus, Layout, Tar, judge, scratch};

/// Digests of config and layers of a layout's image, sorted.
fn blobs_of(layout: &Path) -> Vec<String> {
    let mut blobs = Content::of(layout).blobs_of("latest");
    blobs.sort();
    blobs
}

#[test]
fn a_real_image_is_the_one_that_its_layout_gives() {
    judges!("docker-registry", "skopeo", "cmp");
    for name in ["debian-min", "debian-edit"] {
        let Some(corpus) = Corpus::get(name) else { return };
        let registry = Debian::plain();
        registry.push(&corpus.layout, "latest", "some/debian:12");
        let user = User::new();
        let source = format!("oci:{}", corpus.layout.display());
        let expected = Report::of(&user.build(&source, "expected", &["--json"]).ok());

        let reference = registry.reference("some/debian:12");
        let mark = registry.mark();
        let report = Report::of(&user.build(&reference, "image", &["--json"]).ok());
        for key in ["content_id", "manifest_digest"] {
            assert_eq!(report.0[key], expected.0[key], "{name}");
        }
        crate::support::image::assert_same(&user.path("expected"), &user.path("image"));
        assert_eq!(registry.blobs(mark), blobs_of(&corpus.layout), "{name}: each blob once");
        assert_sound(&user.cache());

        // Again, by each way there is: no layer is transferred.
        let mark = registry.mark();
        for pull in ["missing", "always", "never"] {
            user.build(&reference, "again", &["--pull", pull]).ok();
            crate::support::image::assert_same(&user.path("expected"), &user.path("again"));
        }
        user.fetch(&reference, &[]).ok();
        assert_eq!(registry.blobs(mark), Vec::<String>::new(), "{name}: the second time");
        user.run(["cache", "verify"]).ok();
    }
}

#[test]
fn what_is_fetched_can_be_built_without_the_registry() {
    judges!("docker-registry", "skopeo", "cmp");
    let sample = Sample::small();
    let registry = Debian::plain();
    registry.push(&sample.layout, "latest", "some/image");
    let reference = registry.reference("some/image");
    let user = User::new();
    // Nothing is there yet.
    for options in [&["--offline"][..], &["--pull", "never"]] {
        user.build(&reference, "image", options).expect(3).says("some/image");
        assert!(!user.path("image").exists());
    }
    let mark = registry.mark();
    user.fetch(&reference, &[]).ok();
    assert_eq!(registry.blobs(mark), blobs_of(&sample.layout));
    drop(registry);
    for options in [&["--offline"][..], &["--pull", "never"], &["--pull", "missing"]] {
        sample.check(&user, &reference, options);
    }
    // Asking is what it cannot do now.
    user.build(&reference, "image", &["--pull", "always"]).expect(5);
    user.fetch(&reference, &["--offline"]).ok();
}

#[test]
fn a_changed_top_layer_is_all_that_is_fetched() {
    judges!("docker-registry", "skopeo", "cmp");
    let [bottom, middle, top] = layers(300_000);
    let before = Sample::of([bottom.clone(), middle.clone(), top]);
    let after = Sample::of([bottom, middle, Tar::new().file("etc/new", "another top")]);
    let registry = Debian::plain();
    let reference = registry.reference("some/image:1");
    let user = User::new();
    registry.push(&before.layout, "latest", "some/image:1");
    before.check(&user, &reference, &[]);
    // The same tag, now another image.
    registry.push(&after.layout, "latest", "some/image:1");
    before.check(&user, &reference, &["--pull", "missing"]);
    let mark = registry.mark();
    after.check(&user, &reference, &["--pull", "always"]);
    let changed: Vec<_> =
        blobs_of(&after.layout).into_iter().filter(|blob| !blobs_of(&before.layout).contains(blob)).collect();
    assert_eq!(changed.len(), 2, "config and top layer");
    assert_eq!(registry.blobs(mark), changed);
    assert_sound(&user.cache());
    // The tag has moved in the cache, too.
    after.check(&user, &reference, &["--offline"]);
}

#[test]
fn a_platform_is_chosen_and_the_others_are_left() {
    judges!("docker-registry", "skopeo");
    let scratch = scratch();
    let host = host_platform();
    let file = |content: &str| Tar::new().file("platform", content);
    let layout = Layout::new(scratch.path().join("layout"))
        .index("latest", [("linux/arm/v7", file("v7")), ("linux/arm/v6", file("v6")), (&host, file("host"))]);
    let registry = Debian::plain();
    registry.push(layout.path(), "latest", "some/image");
    let reference = registry.reference("some/image");
    for (options, content) in [
        (&[][..], "host"),
        (&["--platform", &host], "host"),
        // The agent is for this machine's architecture alone.
        (&["--guest", "none", "--platform", "linux/arm/v7"], "v7"),
        (&["--guest", "none", "--platform", "linux/arm/v6"], "v6"),
    ] {
        let user = User::new();
        let mark = registry.mark();
        user.build(&reference, "image", options).ok();
        assert_eq!(banger(args!["cat", user.path("image"), "/platform"]).ok().stdout(), content);
        assert_eq!(registry.blobs(mark).len(), 2, "{options:?}: one config, one layer");
    }
    let user = User::new();
    user.build(&reference, "image", &["--platform", "linux/s390x"]).expect(3).says("linux/arm/v7");
    let mark = registry.mark();
    user.fetch(&reference, &["--all-platforms"]).ok();
    assert_eq!(registry.blobs(mark).len(), 6, "three configs, three layers");
    // Of the configs nothing is shown: they are no layers.
    let to = format!("oci:{}", user.path("copy").display());
    let told = user.fetch(&reference, &["--all-platforms", "--to", &to]).ok().stderr();
    let layers: Vec<&str> = told.lines().filter(|line| line.starts_with("layer ")).collect();
    assert_eq!((told.contains("3 layers, "), layers.len()), (true, 3), "{told}");
    drop(registry);
    for platform in ["linux/arm/v7", "linux/arm/v6", &host] {
        user.build(&reference, "image", &["--offline", "--guest", "none", "--platform", platform]).ok();
    }
    assert_sound(&user.cache());
}

#[test]
fn a_password_is_asked_for() {
    judges!("docker-registry", "skopeo", "cmp");
    let sample = Sample::small();
    let registry = Debian::with_password();
    registry.push(&sample.layout, "latest", "some/image");
    let reference = registry.reference("some/image");
    for options in [&[][..], &["--creds", "somebody:wrong"], &["--creds", "nobody:correct horse"]] {
        let user = User::new();
        let run = user.build(&reference, "image", options).expect(4).says(&registry.host());
        assert!(!run.stderr().contains("wrong") && !run.stderr().contains("horse"), "a password is shown: {run}");
        assert!(!user.path("image").exists());
    }
    sample.check(&User::new(), &reference, &["--creds", CREDENTIALS]);
}

/// What `banger login` writes, skopeo reads, and the other way round.
#[test]
fn login_and_logout() {
    judges!("docker-registry", "skopeo", "cmp");
    let sample = Sample::small();
    let registry = Debian::with_password();
    registry.push(&sample.layout, "latest", "some/image");
    let (host, reference) = (registry.host(), registry.reference("some/image"));
    let user = User::new();
    let (name, password) = CREDENTIALS.split_once(':').unwrap();
    let login = |password: &str| {
        let file = user.path("password");
        std::fs::write(&file, format!("{password}\n")).unwrap();
        let mut command = user.command();
        command.args(["login", &host, "-u", name, "--password-stdin"]).stdin(std::fs::File::open(file).unwrap());
        crate::support::Run::of(&mut command)
    };
    login("wrong").expect(4);
    user.build(&reference, "image", &[]).expect(4);
    let run = login(password).ok();
    assert!(!run.stdout().contains(password) && !run.stderr().contains(password), "{run}");
    sample.check(&user, &reference, &[]);

    let file = user.home().join(".docker/config.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "others may read the password");
    let image = format!("docker://{reference}");
    judge::ask("skopeo", args!["inspect", "--tls-verify=false", "--authfile", file, image]).ok();

    user.run(["logout", &host]).ok();
    user.build(&reference, "image", &["--pull", "always"]).expect(4);
    let theirs = user.path("auth.json");
    let arguments = ["login", "--tls-verify=false", "-u", name, "-p", password, "--authfile"];
    judge::ask("skopeo", arguments.into_iter().map(Into::into).chain(args![theirs, host])).ok();
    sample.check(&user, &reference, &["--authfile", theirs.to_str().unwrap(), "--pull", "always"]);
}

/// Behind a proxy the registry has a name that nobody takes for this machine: its certificate has to be right.
#[test]
fn certificates_are_checked() {
    judges!("docker-registry", "skopeo", "openssl", "cmp");
    let sample = Sample::small();
    let authority = Authority::for_server("registry.test");
    let stranger = Authority::for_server("registry.test");
    let registry = Debian::with_tls(&authority);
    registry.push(&sample.layout, "latest", "some/image");
    let host = registry.host();
    let proxy = Proxy::start(&[("registry.test:443", &host), ("other.test:443", &host), ("registry.test:80", &host)]);
    let user = || User::new().behind(&proxy);
    let ca = authority.trusted().display().to_string();
    let reference = "registry.test/some/image";

    for (reference, options) in [
        (reference, &[][..]),
        (reference, &["--ca", stranger.trusted().to_str().unwrap()]),
        ("other.test/some/image", &["--ca", &ca]),
    ] {
        let user = user();
        user.build(reference, "image", options).expect(5).says("certificate");
        assert!(!user.path("image").exists());
    }
    sample.check(&user(), reference, &["--ca", &ca]);
    sample.check(&user(), reference, &["--insecure", "registry.test"]);
    sample.check(&user(), "other.test/some/image", &["--insecure", "other.test"]);
    let configured = user();
    configured.configure(&format!("[registry.\"registry.test\"]\nca = {ca:?}\n"));
    sample.check(&configured, reference, &[]);
    let insecure = user();
    insecure.configure("[registry.\"registry.test\"]\ninsecure = true\n");
    sample.check(&insecure, reference, &[]);
    assert_eq!(proxy.asked(), ["other.test:443", "registry.test:443"]);
    // Nobody can stand between this machine and itself.
    sample.check(&User::new(), &registry.reference("some/image"), &[]);
}

#[test]
fn resolve_says_what_skopeo_says() {
    judges!("docker-registry", "skopeo");
    let scratch = scratch();
    let host = host_platform();
    let [first, second] = ["one", "two"].map(|content| Tar::new().file("platform", content));
    let layout = Layout::new(scratch.path().join("layout"))
        .index("several", [("linux/s390x", first), (&host, second.clone())])
        .image("one", &host, [second, Tar::new().file("another", "layer")]);
    let registry = Debian::plain();
    for name in ["several", "one"] {
        registry.push(layout.path(), name, &format!("some/image:{name}"));
        let reference = registry.reference(&format!("some/image:{name}"));
        let user = User::new();
        let mark = registry.mark();
        let run = user.run(["resolve", "--json", &reference]).ok();
        // Only the config may have been looked at.
        assert!(registry.blobs(mark).len() <= 1, "{name}: layers are not fetched to say what they are");
        let found: Value = serde_json::from_str(&run.stdout()).unwrap();
        let raw = registry.inspect(&format!("some/image:{name}"), &["--raw"]).output.stdout;
        assert_eq!(found["digest"], format!("sha256:{}", sha256(&raw)), "{name}");
        assert_eq!(found["size"], raw.len(), "{name}");
        assert_eq!(found["reference"], reference, "{name}");
        let raw: Value = serde_json::from_slice(&raw).unwrap();
        assert_eq!(found["media_type"], raw["mediaType"], "{name}");

        // skopeo looks at this machine's image, too.
        let theirs: Value =
            serde_json::from_str(&registry.inspect(&format!("some/image:{name}"), &[]).stdout()).unwrap();
        let layers: Vec<_> =
            found["image"]["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].clone()).collect();
        assert_eq!(Value::from(layers), theirs["Layers"], "{name}");
        assert_eq!(found["image"]["platform"], host, "{name}");
        if let Some(entries) = raw["manifests"].as_array() {
            let digests = |entries: &[Value]| entries.iter().map(|entry| entry["digest"].clone()).collect::<Vec<_>>();
            assert_eq!(digests(found["platforms"].as_array().unwrap()), digests(entries), "{name}");
            assert_eq!(found["image"]["manifest"], entries[1]["digest"], "{name}");
        }
        let pinned = registry.reference(&format!("some/image@{}", found["digest"].as_str().unwrap()));
        let again = user.run(["resolve", "--json", &pinned]).ok();
        let again: Value = serde_json::from_str(&again.stdout()).unwrap();
        assert_eq!(again["digest"], found["digest"], "{name}");
    }
    for missing in ["some/image:nosuch", "no/such/image:latest"] {
        User::new().run(["resolve", &registry.reference(missing)]).expect(3).says(missing.split(':').next().unwrap());
    }
}
