//! What stands beside images: signatures, bills of materials, charts. It is never taken for the image, and never in its way.
//!
//! Each layout is read as it is, and from a registry that has the same.

use serde_json::{Value, json};

use crate::args;
use crate::support::image::plain;
use crate::support::layout::host_platform;
use crate::support::program::{banger, source};
use crate::support::registry::{Content, User};
use crate::support::{Layout, Tar, scratch};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const HELM: &str = "application/vnd.cncf.helm.config.v1+json";
const SBOM: &str = "application/spdx+json";
const COSIGN: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// Makes artifacts in a layout.
struct Maker(Layout);

impl Maker {
    fn new(directory: std::path::PathBuf) -> Self {
        Self(Layout::new(directory))
    }

    /// The image that is meant.
    fn image(&self, platform: &str) -> Value {
        self.0.put_image(platform, Tar::new().file("who", "the image"))
    }

    /// An artifact with this config and this layer. `more` are further fields of its manifest.
    fn artifact(&self, config: &str, layer: &str, more: Value) -> Value {
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.0.blob(config, b"{}"),
            "layers": [self.0.blob(layer, b"not a file system")],
        });
        manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.0.blob(MANIFEST, manifest.to_string().as_bytes())
    }
}

/// The same with another field.
fn with(mut entry: Value, field: &str, value: Value) -> Value {
    entry[field] = value;
    entry
}

fn without_platform(mut image: Value) -> Value {
    image.as_object_mut().unwrap().remove("platform");
    image
}

fn platform(text: &str) -> Value {
    let (os, architecture) = text.split_once('/').unwrap();
    json!({ "os": os, "architecture": architecture })
}

/// The only file says which image was taken.
#[track_caller]
fn assert_taken(image: &std::path::Path, what: &str) {
    assert_eq!(banger(args!["cat", image, "/who"]).ok().stdout(), "the image", "{what}");
}

#[test]
fn what_is_no_image_is_passed_over_in_an_index() {
    let host = host_platform();
    type Entries = fn(&Maker, &str) -> Vec<Value>;
    let cases: [(&str, Entries); 9] = [
        ("a bill of materials that says so", |make, host| {
            let sbom = make.artifact(EMPTY, SBOM, json!({ "artifactType": SBOM }));
            vec![with(sbom, "artifactType", json!(SBOM)), without_platform(make.image(host))]
        }),
        ("a chart that says nothing", |make, host| {
            vec![
                make.artifact(HELM, "application/vnd.cncf.helm.chart.content.v1.tar+gzip", json!({})),
                without_platform(make.image(host)),
            ]
        }),
        ("a signature with an image's config and platform", |make, host| {
            let signature = make.artifact(CONFIG, COSIGN, json!({}));
            vec![with(signature, "platform", platform(host)), make.image(host)]
        }),
        ("a SOCI index for the platform", |make, host| {
            let soci = "application/vnd.amazon.soci.index.v2+json";
            let index = make.artifact(EMPTY, "application/octet-stream", json!({ "artifactType": soci }));
            let index = with(with(index, "artifactType", json!(soci)), "platform", platform(host));
            vec![index, make.image(host)]
        }),
        ("an image in another format for the platform", |make, host| {
            let nydus = make.artifact(CONFIG, "application/vnd.oci.image.layer.nydus.blob.v1", json!({}));
            vec![with(nydus, "platform", platform(host)), make.image(host)]
        }),
        ("a module for another platform", |make, host| {
            let module = make.artifact("application/vnd.wasm.config.v0+json", "application/wasm", json!({}));
            vec![with(module, "platform", platform("wasip1/wasm")), make.image(host)]
        }),
        ("a statement that is no manifest", |make, host| {
            vec![make.0.blob("application/vnd.in-toto+json", b"{}"), without_platform(make.image(host))]
        }),
        ("files that belong to the image", |make, host| {
            let image = make.image(host);
            // All of an image, but by its own account somebody's attachment.
            let digest = make.0.blob(LAYER, &Tar::new().file("who", "an attachment").finish());
            let rootfs = json!({ "type": "layers", "diff_ids": [digest["digest"]] });
            let config = make.0.blob(CONFIG, json!({ "rootfs": rootfs }).to_string().as_bytes());
            let manifest = json!({
                "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x-files", "subject": image,
                "config": config, "layers": [digest],
            });
            vec![make.0.blob(MANIFEST, manifest.to_string().as_bytes()), without_platform(image)]
        }),
        ("an attestation and the image in an index inside", |make, host| {
            let attestation = make.artifact(CONFIG, "application/vnd.in-toto+json", json!({}));
            let attestation = with(attestation, "platform", platform("unknown/unknown"));
            let sbom = make.artifact(EMPTY, SBOM, json!({}));
            vec![sbom, make.0.put_index(&[attestation, make.image(host)])]
        }),
    ];
    let scratch = scratch();
    let image = scratch.path().join("image");
    for (number, (name, entries)) in cases.into_iter().enumerate() {
        let make = Maker::new(scratch.path().join(number.to_string()));
        let index = make.0.put_index(&entries(&make, &host));
        let layout = make.0.entry(Some("latest"), index);
        plain(source("oci", layout.path()), &image, args!["--force"]);
        assert_taken(&image, name);
        let server = Content::of(layout.path()).serve();
        let user = User::new();
        user.build(&server.reference("some/image"), "image", &["--guest", "none"]).ok();
        assert_taken(&user.path("image"), name);
    }
}

#[test]
fn the_image_among_its_signatures_is_the_one() {
    let scratch = scratch();
    let image = scratch.path().join("image");
    let make = Maker::new(scratch.path().join("layout"));
    let [signature, referrer] = [make.artifact(CONFIG, COSIGN, json!({})), make.artifact(EMPTY, SBOM, json!({}))];
    let referrers = make.0.put_index(std::slice::from_ref(&referrer));
    let meant = make.image(&host_platform());
    let tag = meant["digest"].as_str().unwrap().replace(':', "-");
    let layout = make
        .0
        .entry(Some(&format!("{tag}.sig")), signature)
        .entry(Some(&tag), referrers)
        .entry(None, referrer)
        .entry(Some("1.0"), meant);
    let plain_source = source("oci", layout.path());
    plain(&plain_source, &image, args!["--force"]);
    assert_taken(&image, "without a name");
    // As an archive it is the same.
    let archive = scratch.path().join("archive.tar");
    crate::support::Run::of(std::process::Command::new("tar").args(args!["-C", layout.path(), "-cf", &archive, "."]))
        .ok();
    plain(source("oci-archive", &archive), &image, args!["--force"]);
    assert_taken(&image, "in an archive");
    // What is named is what is meant, also where that is no image.
    let mut named = plain_source;
    named.push(format!(":{tag}.sig"));
    banger(args!["build", named, "-o", image, "--force"]).expect(1).says("a signature of cosign");
}

#[test]
fn platforms_are_those_of_images_alone() {
    let scratch = scratch();
    let image = scratch.path().join("image");
    for (number, (entries, code, says)) in [
        (["sbom", "image"], 3, "; there are: linux/s390x"),
        (
            ["sbom", "chart"],
            3,
            "holds no image; there are: a bill of materials (SBOM) (application/spdx+json), a Helm chart",
        ),
        (["chart", "attestation"], 1, "is not a container image, but a Helm chart"),
    ]
    .into_iter()
    .enumerate()
    {
        let make = Maker::new(scratch.path().join(number.to_string()));
        let entries = entries.map(|name| match name {
            "image" => make.image("linux/s390x"),
            "chart" => make.artifact(HELM, "application/x-chart", json!({})),
            "attestation" => with(
                make.artifact(CONFIG, "application/vnd.in-toto+json", json!({})),
                "platform",
                platform("unknown/unknown"),
            ),
            _ => with(
                with(make.artifact(EMPTY, SBOM, json!({})), "platform", platform("linux/riscv64")),
                "artifactType",
                json!(SBOM),
            ),
        });
        let index = make.0.put_index(&entries);
        let layout = make.0.entry(Some("latest"), index);
        let run = banger(args!["build", source("oci", layout.path()), "-o", image]).expect(code).says(says);
        assert!(!run.stderr().contains("riscv64"), "{run}");
        let server = Content::of(layout.path()).serve();
        let run = User::new().build(&server.reference("some/image"), "image", &[]).expect(code).says(says);
        assert!(!run.stderr().contains("riscv64"), "{run}");
    }
}

#[test]
fn an_artifact_that_is_named_says_what_it_is() {
    let scratch = scratch();
    let make = Maker::new(scratch.path().join("layout"));
    let chart = make.artifact(HELM, "application/vnd.cncf.helm.chart.content.v1.tar+gzip", json!({}));
    let layout = make.0.entry(Some("latest"), chart);
    let says = format!("is not a container image, but a Helm chart ({HELM})");
    banger(args!["build", source("oci", layout.path()), "-o", scratch.path().join("image")]).expect(1).says(&says);
    let server = Content::of(layout.path()).serve();
    let user = User::new();
    let reference = server.reference("some/chart");
    user.build(&reference, "image", &[]).expect(1).says(&says);
    user.fetch(&reference, &[]).expect(1).says(&says);
    user.run(["resolve", &reference]).expect(1).says(&says);
}

/// The index knows the platform by which the image was built; the config may be that of a wrong base.
#[test]
fn the_index_counts_where_the_config_says_another_platform() {
    let scratch = scratch();
    let image = scratch.path().join("image");
    let make = Maker::new(scratch.path().join("layout"));
    let host = host_platform();
    let entry = with(make.image("linux/s390x"), "platform", platform(&host));
    let index = make.0.put_index(&[entry]);
    let layout = make.0.entry(Some("latest"), index);
    let says =
        format!("warning: the index says that the image is for {host}, its config says linux/s390x; the index counts");
    // With the guest layer, which is for this machine alone.
    banger(args!["build", source("oci", layout.path()), "-o", image]).ok().says(&says);
    assert_taken(&image, "from a layout");
    let server = Content::of(layout.path()).serve();
    let user = User::new();
    user.build(&server.reference("some/image"), "image", &[]).ok().says(&says);
    assert_taken(&user.path("image"), "from a registry");
    banger(args!["build", source("oci", layout.path()), "-o", image, "--force", "--platform", "linux/s390x"]).expect(3);
}
