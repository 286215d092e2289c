//! A managed image as an artifact.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use banger_disk::{Observer, Silent as Unobserved};
use banger_distribution::{Artifact, Error, ErrorKind, Package, artifact, recognise};
use banger_oci::cache::Cache;
use banger_oci::{Digest, MediaType, Platform};
use banger_registry::{Event, Platforms, Progress, Pull, Registry as Pulls, Silent};

use crate::files::{archive, facts, noise};
use crate::registry::{Registry, USER, ask, client, judges, watched};

fn package(bundle: &Path, kernel: Option<&Path>) -> Package {
    artifact::make(&facts(), bundle, kernel, &Unobserved).expect("made")
}

/// What the registry has by a name, as `image.pull` finds and fetches it: the bundle, and the kernel's archive.
fn pull(registry: &Registry, name: &str, platform: &str, cache: &Path) -> (Vec<u8>, Option<Vec<u8>>) {
    let platform = Platform::parse(platform).unwrap();
    let cache = Cache::open(cache).unwrap();
    let pulls = Pulls::new(client(None), cache.clone(), Pull::Always, Arc::new(Silent));
    let reference = registry.reference(name);
    let resolved = pulls.resolve(&reference, Some(&platform)).expect("it is there");
    let image = resolved.image.expect("for this platform");
    let found = recognise(Some(&image.manifest), Some(&image.config)).expect("known");
    let Artifact { bundle, kernel } = found.expect("it is an artifact");
    pulls.fetch(&reference, &Platforms::One(Some(platform)), &reference.to_string()).expect("fetched");
    let read = |blob| {
        let mut bytes = Vec::new();
        let mut reader = cache.blob(&blob).unwrap().expect("in the cache");
        std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
        bytes
    };
    (read(bundle), kernel.map(read))
}

#[test]
fn what_is_pushed_comes_back() {
    if !judges("what_is_pushed_comes_back", &["docker-registry", "skopeo"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let bundle = archive(directory.path(), "bundle", &noise(3 << 20, 1));
    let kernel = archive(directory.path(), "kernel", &noise(1 << 20, 2));
    let registry = Registry::open();
    let package = package(&bundle, Some(&kernel));
    let reference = registry.reference("team/debian:bookworm");
    let pushed = package.push(&client(None), &reference).expect("pushed");
    assert_eq!((pushed.digest, pushed.size, pushed.sent), (package.digest(), package.size(), package.size()));
    // The second time there is nothing to send.
    let again = package.push(&client(None), &reference).expect("pushed");
    assert_eq!((again.digest, again.sent), (pushed.digest, 0));

    let (bundle, kernel) = (std::fs::read(bundle).unwrap(), std::fs::read(kernel).unwrap());
    let came = pull(&registry, "team/debian:bookworm", "linux/amd64", &directory.path().join("cache"));
    assert_eq!(came, (bundle.clone(), Some(kernel.clone())));

    let docker = registry.docker("team/debian:bookworm");
    let said = ask("skopeo", &["inspect", "--tls-verify=false", &docker]);
    for part in [r#""Architecture": "amd64""#, r#""Os": "linux""#, "debian-bookworm", &pushed.digest.to_string()] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let raw = ask("skopeo", &["inspect", "--tls-verify=false", "--raw", &docker]);
    assert_eq!(raw.as_bytes(), package.manifest());
    let layout = directory.path().join("layout");
    registry.copy("team/debian:bookworm", &layout);
    for bytes in [bundle, kernel] {
        assert_eq!(std::fs::read(layout.join(Digest::sha256(&bytes).blob_path())).unwrap(), bytes);
    }
}

#[test]
fn an_index_of_platforms_leads_to_the_right_one() {
    if !judges("an_index_of_platforms_leads_to_the_right_one", &["docker-registry"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::open();
    let client = client(None);
    let mut entries = Vec::new();
    let mut bundles = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let bundle = archive(directory.path(), architecture, architecture.as_bytes());
        let mut facts = facts();
        facts.platform = Platform::new("linux", architecture, None);
        let package = artifact::make(&facts, &bundle, None, &Unobserved).expect("made");
        let by_digest = registry.reference(&format!("team/debian@{}", package.digest()));
        package.push(&client, &by_digest).expect("pushed");
        entries.push(format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{},
                "artifactType":"{}","platform":{{"os":"linux","architecture":"{architecture}"}}}}"#,
            package.digest(),
            package.manifest().len(),
            artifact::TYPE
        ));
        bundles.push(std::fs::read(bundle).unwrap());
    }
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
        entries.join(",")
    );
    client
        .push_manifest(&registry.reference("team/debian:all"), &MediaType::ImageIndex, index.as_bytes())
        .expect("pushed");
    for (platform, bundle) in ["linux/amd64", "linux/arm64"].into_iter().zip(bundles) {
        let came = pull(&registry, "team/debian:all", platform, &directory.path().join("cache"));
        assert_eq!(came, (bundle, None), "{platform}");
    }
}

#[test]
fn the_same_files_make_the_same_artifact() {
    let made = [1, 2].map(|_| {
        let directory = tempfile::tempdir().unwrap();
        let bundle = archive(directory.path(), "bundle", b"bundle");
        let kernel = archive(directory.path(), "kernel", b"kernel");
        package(&bundle, Some(&kernel)).manifest().to_vec()
    });
    assert_eq!(String::from_utf8_lossy(&made[0]), String::from_utf8_lossy(&made[1]));
}

#[test]
fn files_that_no_artifact_is_made_of() {
    let directory = tempfile::tempdir().unwrap();
    let whole = std::fs::read(archive(directory.path(), "whole", &noise(100_000, 1))).unwrap();
    let mut longer = whole.clone();
    longer.extend(b"more");
    let cases: [(&str, &[u8]); 5] = [
        ("empty", b""),
        ("text", b"no archive at all"),
        ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
        ("truncated", &whole[..whole.len() / 2]),
        ("longer", &longer),
    ];
    for (name, content) in cases {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = artifact::make(&facts(), &path, None, &Unobserved).expect_err(name);
        assert!(matches!(error, Error::Archive { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }
    let missing = directory.path().join("missing");
    let error = artifact::make(&facts(), &missing, None, &Unobserved).expect_err("missing");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = artifact::make(&facts(), directory.path(), None, &Unobserved).expect_err("a directory");
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
}

#[test]
fn who_may_not_push_is_told() {
    if !judges("who_may_not_push_is_told", &["docker-registry"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let package = package(&archive(directory.path(), "bundle", b"bundle"), None);
    let registry = Registry::with_password();
    let reference = registry.reference("team/debian:1");
    for password in [None, Some("wrong")] {
        let error = package.push(&client(password), &reference).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
        assert!(error.to_string().contains("an upload to"), "{error}");
    }
    package.push(&client(Some(USER.1)), &reference).expect("pushed");
}

/// Somebody who wants no more when half of it is done.
#[derive(Debug, Default)]
struct Halfway(AtomicBool);

impl Observer for Halfway {
    fn advanced(&self, done: u64, total: u64) {
        if done * 2 > total {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Progress for Halfway {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Sent { .. }) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn it_ends_when_nobody_wants_it() {
    if !judges("it_ends_when_nobody_wants_it", &["docker-registry"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let bundle = archive(directory.path(), "bundle", &noise(8 << 20, 1));
    let error = artifact::make(&facts(), &bundle, None, &Halfway::default()).expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");

    let registry = Registry::open();
    let reference = registry.reference("team/debian:1");
    let error =
        package(&bundle, None).push(&watched(None, Arc::new(Halfway::default())), &reference).expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
    client(None).head(&reference).expect_err("there is no such image");
}
