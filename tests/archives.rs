//! Every source gives the same tree: layouts, archives of three kinds, and what skopeo makes of them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::args;
use crate::judges;
use crate::support::corpus::repository;
use crate::support::image::{Report, assert_same, build, plain};
use crate::support::judge::{ask, e2fsck};
use crate::support::layout::{host_platform, sha256};
use crate::support::program::{Run, banger, command, source};
use crate::support::{Corpus, Layout, Tar, listing, scratch};

#[test]
fn what_skopeo_makes_comes_out_as_expected() {
    judges!("skopeo", "python3", "e2fsck");
    let Some(corpus) = Corpus::get("debian-edit") else { return };
    let scratch = scratch();
    let from = format!("oci:{}:latest", corpus.layout.display());
    let image = scratch.path().join("image");
    for (scheme, name) in [
        ("oci", "copied:latest"),
        ("oci-archive", "archive.tar:latest"),
        ("docker-archive", "docker.tar:example.org/debian/edit:1.2"),
    ] {
        let to = format!("{scheme}:{}", scratch.path().join(name).display());
        ask("skopeo", ["copy", "--quiet", "--insecure-policy", &from, &to]).ok();
        plain(&to, &image, args!["--force"]);
        e2fsck(&image, &[]);
        listing::check_ls(&image, &corpus.expected);
    }
}

/// The oracle's listing is what umoci unpacks, and `corpus` compares with that listing.
#[test]
fn umoci_unpacks_what_the_oracle_expects() {
    judges!("root", "umoci", "python3");
    for name in ["debian-min", "debian-edit"] {
        let Some(corpus) = Corpus::get(name) else { return };
        let directory = corpus.layout.parent().unwrap();
        Run::of(Command::new(repository().join("tests/corpus/check-oracle.sh")).args(args![directory, name])).ok();
    }
}

fn layers() -> [Tar; 2] {
    [
        Tar::new().directory("etc", 0o755).file("etc/one", b"one").file("etc/both", b"from one"),
        Tar::new().file("etc/both", b"from two").file("etc/two", b"two"),
    ]
}

/// What `docker save` wrote until version 25: a directory for each layer, and no manifest of OCI's.
fn old_docker_archive(names: &[&str]) -> Vec<u8> {
    let layers = layers().map(Tar::finish);
    let config = config(&layers);
    let mut archive = Tar::new();
    let mut paths = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        let directory = format!("{number}").repeat(64);
        archive = archive.directory(&format!("{directory}/"), 0o755).file(&format!("{directory}/VERSION"), b"1.0");
        archive = archive.file(&format!("{directory}/layer.tar"), layer);
        paths.push(format!("{directory}/layer.tar"));
    }
    let config_name = format!("{}.json", sha256(&config));
    let manifest = json!([{ "Config": config_name, "RepoTags": names, "Layers": paths }]);
    archive.file(&config_name, &config).file("manifest.json", manifest.to_string()).finish()
}

/// What it writes since: an OCI layout, with the old manifest beside it.
fn new_docker_archive(names: &[&str]) -> Vec<u8> {
    let layers = layers().map(Tar::finish);
    let config = config(&layers);
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", sha256(bytes));
    let descriptor = |media_type: &str, bytes: &[u8]| json!({ "mediaType": media_type, "digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len() });
    let oci = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": layers.iter().map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer)).collect::<Vec<_>>(),
    });
    let oci = oci.to_string().into_bytes();
    let mut top = descriptor("application/vnd.oci.image.manifest.v1+json", &oci);
    top["annotations"] = json!({ "io.containerd.image.name": format!("docker.io/{}", names[0]), "org.opencontainers.image.ref.name": "1" });
    let index = json!({ "schemaVersion": 2, "manifests": [top] });
    let manifest =
        json!([{ "Config": blob(&config), "RepoTags": names, "Layers": layers.each_ref().map(|layer| blob(layer)) }]);

    let mut archive = Tar::new().directory("blobs/", 0o755).directory("blobs/sha256/", 0o755);
    for bytes in [&oci, &config].into_iter().chain(&layers) {
        archive = archive.file(&blob(bytes), bytes);
    }
    archive
        .file("index.json", index.to_string())
        .file("manifest.json", manifest.to_string())
        .file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
        .finish()
}

fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    let platform = host_platform();
    let (os, architecture) = platform.split_once('/').unwrap();
    let diff_ids: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", sha256(layer))).collect();
    let rootfs = json!({ "type": "layers", "diff_ids": diff_ids });
    json!({ "architecture": architecture, "os": os, "rootfs": rootfs }).to_string().into_bytes()
}

#[track_caller]
fn check_layers(image: &Path) {
    e2fsck(image, &[]);
    for (path, content) in [("/etc/one", "one"), ("/etc/both", "from two"), ("/etc/two", "two")] {
        assert_eq!(banger(args!["cat", image, path]).ok().stdout(), content, "{path}");
    }
}

/// Builds from standard input.
#[track_caller]
fn build_from_stdin(scheme: &str, archive: &Path, image: &Path) -> Report {
    let mut command = command();
    command.args(args!["build", format!("{scheme}:-"), "-o", image, "--json", "--force"]);
    Report::of(&Run::of(command.stdin(std::fs::File::open(archive).unwrap())).ok())
}

#[test]
fn docker_archives_old_and_new_from_a_file_and_a_pipe() {
    judges!("e2fsck", "cat");
    let scratch = scratch();
    let [image, piped] = ["image", "piped"].map(|name| scratch.path().join(name));
    for (form, bytes) in [("old", old_docker_archive(&["my/app:1"])), ("new", new_docker_archive(&["my/app:1"]))] {
        let archive = scratch.path().join(format!("{form}.tar"));
        std::fs::write(&archive, bytes).unwrap();
        let expected = build(source("docker-archive", &archive), &image, args!["--force"]);
        check_layers(&image);
        for name in ["my/app:1", "docker.io/my/app:1"] {
            let named = format!("docker-archive:{}:{name}", archive.display());
            assert_eq!(build(named, &image, args!["--force"]).content_id(), expected.content_id(), "{form} {name}");
        }
        // A file as standard input can be read twice; a pipe cannot.
        assert_eq!(build_from_stdin("docker-archive", &archive, &image).content_id(), expected.content_id(), "{form}");
        let mut cat = Command::new("cat").arg(&archive).stdout(Stdio::piped()).spawn().unwrap();
        let mut command = command();
        command.args(args!["build", "docker-archive:-", "-o", piped, "--json", "--force"]);
        let run = Run::of(command.stdin(cat.stdout.take().unwrap())).ok();
        assert!(cat.wait().unwrap().success());
        assert_eq!(Report::of(&run).content_id(), expected.content_id(), "{form} from a pipe");
        assert_same(&image, &piped);
        banger(args!["build", format!("docker-archive:{}:other:1", archive.display()), "-o", image, "--force"])
            .expect(3)
            .says("my/app:1");
    }
}

#[test]
fn a_flat_archive_from_a_file_and_a_pipe() {
    judges!("tar", "python3", "cat", "gzip");
    let Some(corpus) = Corpus::get("debian-min") else { return };
    let scratch = scratch();
    let [image, piped, archive] = ["image", "piped", "flat.tar"].map(|name| scratch.path().join(name));
    // The only layer of debian-min is a flat root file system.
    let manifest = first_manifest(&corpus.layout);
    let digest = manifest["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
    let layer = corpus.layout.join("blobs").join(digest);
    let unpacked = ask("gzip", args!["-dc", layer]).ok();
    std::fs::write(&archive, unpacked.output.stdout).unwrap();

    let expected = plain(source("tar", &archive), &image, []);
    assert_eq!(expected.0["manifest_digest"], Value::Null);
    e2fsck(&image, &[]);
    listing::check_ls(&image, &corpus.expected);

    let mut cat = Command::new("cat").arg(&archive).stdout(Stdio::piped()).spawn().unwrap();
    let mut command = command();
    command.args(args!["build", "tar:-", "-o", piped, "--json", "--guest", "none"]).stdin(cat.stdout.take().unwrap());
    let report = Report::of(&Run::of(&mut command).ok());
    assert!(cat.wait().unwrap().success());
    assert_eq!(report.content_id(), expected.content_id());
    assert_same(&image, &piped);
    // A compressed archive holds the same tree.
    plain(source("tar", &layer), &image, args!["--force"]);
    listing::check_ls(&image, &corpus.expected);
}

/// Cloud Hypervisor and Kata map an image as persistent memory, in pages of 2 MiB.
#[test]
fn a_size_that_is_chosen_is_a_multiple_of_large_pages() {
    const MIB: u64 = 1 << 20;
    judges!("tar");
    let scratch = scratch();
    let content = scratch.path().join("content");
    let mut file = std::fs::File::create(&content).unwrap();
    let mib = vec![b'x'; 1 << 20];
    for _ in 0..840 {
        file.write_all(&mib).unwrap();
    }
    let mut tar = Command::new("tar");
    let mut tar = tar.args(args!["-c", "-C", scratch.path(), "content"]).stdout(Stdio::piped()).spawn().unwrap();
    let image = scratch.path().join("image");
    let mut command = command();
    command.args(args!["build", "tar:-", "-o", image, "--json", "--guest", "none"]).stdin(tar.stdout.take().unwrap());
    let report = Report::of(&Run::of(&mut command).ok());
    assert!(tar.wait().unwrap().success());
    // A quarter more than the content is 1,050 MiB and a little; in steps of 1 MiB it would be 1,051.
    assert_eq!(report.0["size"], 1052 * MIB);
    assert_eq!(std::fs::metadata(&image).unwrap().len(), 1052 * MIB);
}

/// The first manifest of a layout on the disk.
fn first_manifest(layout: &Path) -> Value {
    let document = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let index = document(&layout.join("index.json"));
    document(&layout.join("blobs").join(index["manifests"][0]["digest"].as_str().unwrap().replace(':', "/")))
}

#[test]
fn a_platform_is_chosen_from_an_index() {
    let scratch = scratch();
    let file = |content: &str| Tar::new().file("platform", content);
    let host = host_platform();
    let other = if host == "linux/arm64" { "linux/amd64" } else { "linux/arm64" };
    let layout = Layout::new(scratch.path().join("layout")).index(
        "latest",
        [("linux/arm/v7", file("v7")), ("linux/arm/v6", file("v6")), (other, file("other")), (&host, file("host"))],
    );
    let image = scratch.path().join("image");
    let check = |options: &[&str], content: &str| {
        let arguments = args!["build", source("oci", layout.path()), "-o", image, "--force", "--quiet"];
        // The agent is for one architecture.
        Run::of(command().args(arguments).args(["--guest", "none"]).args(options)).ok();
        assert_eq!(banger(args!["cat", image, "/platform"]).ok().stdout(), content, "{options:?}");
    };
    check(&[], "host");
    check(&["--platform", &host], "host");
    check(&["--platform", other], "other");
    check(&["--platform", "linux/arm/v7"], "v7");
    check(&["--platform", "linux/arm/v6"], "v6");
}
