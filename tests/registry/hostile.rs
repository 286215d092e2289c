//! Servers that lie: what they send is refused, the error says what and where, and nothing of it is to be seen later.

use std::path::Path;

use serde_json::{Value, json};

use super::case::{Case, check};
use super::{IMAGE, Sample, noise};
use crate::args;
use crate::judges;
use crate::support::judge::ask;
use crate::support::registry::content::{CONFIG, INDEX, LAYER, MANIFEST};
use crate::support::registry::{Answer, Content, User};

/// Words of an error about content that is not what its digest says.
const DAMAGED: &str = "is damaged or was tampered with";

/// A document with something changed.
fn changed(content: &Content, change: impl FnOnce(&mut Content, &mut Value)) -> Content {
    let mut content = content.clone();
    let mut manifest = content.json("latest");
    change(&mut content, &mut manifest);
    content.document("latest", &manifest);
    content
}

/// An index of these entries in place of the manifest.
fn index(content: &Content, entries: impl Into<Value>) -> Content {
    let mut content = content.clone();
    let entries: Value = entries.into();
    content.document("latest", &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }));
    content
}

/// The descriptor of the sample's manifest.
fn manifest_of(content: &Content) -> Value {
    let manifest = content.json("latest").to_string();
    json!({ "mediaType": MANIFEST, "digest": content.digest("latest"), "size": manifest.len() })
}

fn digest_of_zeros() -> String {
    format!("sha256:{}", "0".repeat(64))
}

#[test]
fn documents_that_are_too_large() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let good = &sample.content;
    let limit = "4194304 bytes";
    let layers = |number: usize| {
        changed(good, |_, manifest| {
            let layer = manifest["layers"][0].clone();
            manifest["layers"] = vec![layer; number].into();
        })
    };
    let entry = |number: usize| json!({ "mediaType": MANIFEST, "digest": format!("sha256:{number:064x}"), "size": 1 });
    let entries = |number: usize| index(good, (0..number).map(entry).collect::<Vec<_>>());
    let padded = changed(good, |_, manifest| manifest["annotations"] = json!({ "x": "x".repeat(5 << 20) }));
    let endless = || Some(Answer::endless().header("Content-Type", MANIFEST));
    check(
        &sample,
        vec![
            Case::new("a manifest of 5 MiB", &padded).fails(6, &["some/image", limit]),
            Case::new("a manifest without an end", good)
                .answers(move |request| endless().filter(|_| request.is_get() && request.manifest().is_some()))
                .fails(6, &["some/image", limit]),
            // Only a GET is believed.
            Case::new("a manifest of which HEAD says that it has 3 GiB", good)
                .answers(|request| {
                    let is_head = request.method == "HEAD";
                    let head = Answer::new(200, "").header("Content-Type", MANIFEST);
                    let head = head.header("Docker-Content-Digest", &digest_of_zeros());
                    is_head.then(|| head.header("Content-Length", "3221225472"))
                })
                .works(&[]),
            Case::new("a config of 9 MiB", &changed(good, |_, manifest| manifest["config"]["size"] = json!(9 << 20)))
                .fails(6, &["config", "at most 8388608 are allowed"]),
            Case::new("513 layers", &layers(513)).fails(6, &["513 layers"]),
            Case::new("an index of 20,000 entries", &entries(20_000)).fails(6, &["20000 "]),
            Case::new("an index of 100,000 entries", &entries(100_000)).fails(6, &[limit]),
        ],
    );
}

#[test]
fn documents_that_are_not_what_they_should_be() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let good = &sample.content;
    let raw = |media_type: &'static str, bytes: &[u8]| {
        let mut content = good.clone();
        content.raw("latest", media_type, bytes.to_vec());
        content
    };
    let manifest = good.json("latest");
    let mut both = manifest.clone();
    both["manifests"] = json!([manifest_of(good)]);
    let schema_1 = json!({ "schemaVersion": 1, "name": "some/image", "tag": "latest", "fsLayers": [], "history": [] });
    let contradiction = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest_of(good)] });
    let unknown = "application/x-unheard-of+json";
    let layer_of =
        |media_type: &str| changed(good, |_, manifest| manifest["layers"][1]["mediaType"] = json!(media_type));
    check(
        &sample,
        vec![
            Case::new("nothing", &raw(MANIFEST, b"")).fails(6, &["manifest"]),
            Case::new("no JSON", &raw(MANIFEST, b"<html>Sign in to use this network</html>")).fails(6, &["manifest"]),
            Case::new("a web page", &raw("text/html", b"<html>Sign in to use this network</html>")).fails(6, &["HOST"]),
            Case::new("a hundred thousand brackets", &raw(MANIFEST, "[".repeat(100_000).as_bytes()))
                .fails(6, &["manifest"]),
            Case::new("half a document", &raw(MANIFEST, &manifest.to_string().as_bytes()[..200]))
                .fails(6, &["manifest"]),
            Case::new("both manifest and index", &raw(MANIFEST, both.to_string().as_bytes()))
                .fails(6, &["both an index and a manifest"]),
            Case::new("an index called a manifest", &raw(MANIFEST, contradiction.to_string().as_bytes())).fails(6, &[]),
            Case::new("schema 1", &raw(SCHEMA_1, schema_1.to_string().as_bytes())).fails(UNSUPPORTED, &["schema 1"]),
            Case::new("an unknown type", &raw(unknown, manifest.to_string().as_bytes())).fails(UNSUPPORTED, &[unknown]),
            Case::new("a layer of an unknown type", &layer_of("application/x-unheard-of"))
                .fails(UNSUPPORTED, &["application/x-unheard-of"]),
            Case::new("an encrypted layer", &layer_of(&format!("{LAYER}+encrypted")))
                .fails(UNSUPPORTED, &["encrypted"]),
            Case::new(
                "no image but a chart",
                &changed(good, |_, manifest| {
                    manifest["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json");
                }),
            )
            .fails(UNSUPPORTED, &["helm"]),
        ],
    );
}

/// What the program cannot do anything with, though it may be right.
const UNSUPPORTED: i32 = 1;

const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

#[test]
fn indexes_that_lead_nowhere() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let good = &sample.content;
    let mut nested = good.clone();
    let mut inner = manifest_of(good);
    for _ in 0..5 {
        inner = nested.document("latest", &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [inner] }));
    }
    // It says that it contains the very image that was asked for, and whatever is asked for, that is the answer.
    let itself = index(good, json!([{ "mediaType": INDEX, "digest": digest_of_zeros(), "size": 300 }]));
    let document = itself.json("latest").to_string();
    let sized = index(good, json!([{ "mediaType": INDEX, "digest": digest_of_zeros(), "size": document.len() }]));
    let document = sized.json("latest").to_string();
    let platforms = |platforms: &[(&str, &str)]| {
        let entries = platforms.iter().enumerate().map(|(number, (os, architecture))| {
            let platform = json!({ "os": os, "architecture": architecture });
            json!({ "mediaType": MANIFEST, "digest": format!("sha256:{number:064x}"), "size": 1, "platform": platform })
        });
        index(good, entries.collect::<Vec<_>>())
    };
    check(
        &sample,
        vec![
            Case::new("five indexes deep", &nested).fails(6, &["index"]),
            Case::new("an index in itself", &sized)
                .answers(move |request| {
                    let is_asked = request.is_get() && request.manifest().is_some_and(|name| name == digest_of_zeros());
                    is_asked.then(|| Answer::new(200, document.as_bytes()).header("Content-Type", INDEX))
                })
                .fails(6, &[DAMAGED]),
            Case::new(
                "not for this machine",
                &platforms(&[("linux", "s390x"), ("windows", "amd64"), ("linux", "riscv64")]),
            )
            .fails(3, &["linux/s390x", "linux/riscv64", "hint: choose one of them, such as --platform "]),
            Case::new("nothing but attestations", &platforms(&[("unknown", "unknown")])).fails(3, &[]),
            Case::new("no entries", &index(good, json!([]))).fails(3, &[]),
            Case::new(
                "an entry that is not there",
                &index(
                    good,
                    json!([
                        { "mediaType": MANIFEST, "digest": digest_of_zeros(), "size": 100 }
                    ]),
                ),
            )
            .fails(3, &["000000"]),
        ],
    );
}

/// Neither a path nor a request is ever made of a digest that is none.
#[test]
fn digests_that_are_none() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let good = &sample.content;
    let upper = good.digest("latest").to_uppercase().replace("SHA256", "sha256");
    let mut cases = Vec::new();
    for digest in [
        "sha256:../../etc/passwd",
        "sha256:../../../../../../../../../../../../../../../../../../../../etc/passwd",
        "../../etc/passwd",
        &upper,
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:",
        "sha256:e3b0c4",
        "",
        &"x".repeat(100_000),
        "sha256:\u{1b}[2Jcleared",
    ] {
        let shown: String = digest.chars().take(40).collect();
        let layer = changed(good, |_, manifest| manifest["layers"][1]["digest"] = json!(digest));
        let config = changed(good, |_, manifest| manifest["config"]["digest"] = json!(digest));
        let entry = index(good, json!([{ "mediaType": MANIFEST, "digest": digest, "size": 100 }]));
        let places = [("layer", layer), ("config", config), ("entry", entry)];
        // They are read by the same code: what is peculiar is tried at one of them.
        let count = if digest.contains("passwd") { places.len() } else { 1 };
        for (what, content) in places.into_iter().take(count) {
            let case = Case::new(format!("{shown:?} as the digest of a {what}"), &content);
            let place = if what == "entry" { "index sha256:" } else { "manifest sha256:" };
            cases.push(case.fails(6, &[place]).also(|server, run| {
                for request in server.requests() {
                    assert!(request.blob().is_none() || !request.target.contains(".."), "{request:?}: {run}");
                }
            }));
        }
        if digest.len() < 1000 && !digest.chars().any(char::is_control) {
            // A header that says nothing is as good as none.
            let digest = digest.to_owned();
            let case = Case::new(format!("{shown:?} as a header"), good).answers(move |request| {
                let is_head = request.method == "HEAD";
                let answer = Answer::new(200, "").header("Content-Type", MANIFEST);
                is_head.then(|| answer.header("Docker-Content-Digest", &digest))
            });
            cases.push(case.works(&[]));
        }
    }
    check(&sample, cases);
}

#[test]
fn content_that_is_not_what_its_digest_says() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let good = &sample.content;
    let blobs = good.blobs_of("latest");
    let mut cases = vec![
        Case::new("a manifest of other bytes", good)
            .answers(|request| {
                let asked = request.is_get() && request.manifest().is_some_and(|name| name.starts_with("sha256:"));
                asked.then(|| Answer::new(200, br#"{"schemaVersion":2}"#).header("Content-Type", MANIFEST))
            })
            .fails(6, &[DAMAGED]),
    ];
    for (what, digest) in
        [("config", blobs[0].clone()), ("small layer", blobs[1].clone()), ("large layer", blobs[2].clone())]
    {
        let bytes = good.bytes(&digest).to_owned();
        let replaced = |how: &str, bytes: Vec<u8>| {
            let digest = digest.clone();
            Case::new(format!("a {what}, {how}"), good)
                .answers(move |request| (request.blob() == Some(&digest)).then(|| Answer::new(200, bytes.clone())))
        };
        let shown = digest[..20].to_owned();
        let flipped = |at: usize| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            bytes
        };
        cases.push(replaced("its first byte changed", flipped(0)).fails(6, &[DAMAGED, &shown]));
        cases.push(replaced("its last byte changed", flipped(bytes.len() - 1)).fails(6, &[DAMAGED, &shown]));
        cases.push(replaced("longer by a byte", [&bytes[..], b"x"].concat()).fails(6, &[&shown]));
        cases.push(replaced("shorter by a byte", bytes[..bytes.len() - 1].to_vec()).fails(6, &[&shown]));
        cases.push(replaced("empty", Vec::new()).fails(6, &[&shown]));
        let digest = digest.clone();
        cases.push(
            Case::new(format!("a {what} without an end"), good)
                .answers(move |request| (request.blob() == Some(&digest)).then(Answer::endless))
                .fails(6, &[&shown])
                .also(|server, run| {
                    let sent = server.sent();
                    assert!(sent < 64 << 20, "{sent} bytes were read: {run}");
                }),
        );
    }
    check(&sample, cases);
}

#[test]
fn blobs_in_a_coding_that_nobody_asked_for() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let large = sample.content.blobs_of("latest")[2].clone();
    let bytes = sample.content.bytes(&large).to_owned();
    let mut cases = Vec::new();
    for coding in ["gzip", "br", "zstd", "x-unheard-of"] {
        let (large, bytes) = (large.clone(), bytes.clone());
        cases.push(
            Case::new(coding, &sample.content)
                .answers(move |request| {
                    let answer = Answer::new(200, bytes.clone()).header("Content-Encoding", coding);
                    (request.blob() == Some(&large)).then_some(answer)
                })
                .fails(6, &[coding])
                .also(|server, _| {
                    for request in server.blobs() {
                        assert_eq!(request.header("accept-encoding"), Some("identity"));
                    }
                }),
        );
    }
    check(&sample, cases);
}

#[test]
fn layers_that_are_not_what_the_config_says() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let good = &sample.content;
    let with_diff_ids = |change: &dyn Fn(&mut Vec<Value>)| {
        changed(good, |content, manifest| {
            let mut ids: Vec<_> =
                manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].clone()).collect();
            change(&mut ids);
            manifest["config"] = content.config(&ids.iter().collect::<Vec<_>>());
        })
    };
    check(
        &sample,
        vec![
            Case::new("one more", &with_diff_ids(&|ids| ids.push(json!(digest_of_zeros()))))
                .fails(6, &["3 layers", "4 diff IDs"]),
            Case::new("one less", &with_diff_ids(&|ids| drop(ids.pop()))).fails(6, &["3 layers", "2 diff IDs"]),
            Case::new("another", &with_diff_ids(&|ids| ids[1] = json!(digest_of_zeros())))
                .fails(6, &["diff ID"])
                .build_only(),
            Case::new("the wrong order", &with_diff_ids(&|ids| ids.reverse())).fails(6, &["diff ID"]).build_only(),
            Case::new("a bad one", &with_diff_ids(&|ids| ids[1] = json!("sha256:../../etc/passwd")))
                .fails(6, &["config"]),
            Case::new(
                "a layer larger than it says",
                &changed(good, |_, manifest| {
                    manifest["layers"][1]["size"] = json!(manifest["layers"][1]["size"].as_u64().unwrap() - 512);
                }),
            )
            .fails(6, &[]),
            Case::new(
                "a layer smaller than it says",
                &changed(good, |_, manifest| {
                    manifest["layers"][1]["size"] = json!(manifest["layers"][1]["size"].as_u64().unwrap() + 512);
                }),
            )
            .fails(6, &[]),
            Case::new(
                "a layer of more bytes than there are",
                &changed(good, |_, manifest| {
                    manifest["layers"][1]["size"] = json!(u64::MAX);
                }),
            )
            .fails(6, &[]),
            Case::new(
                "a layer that is no archive",
                &changed(good, |content, manifest| {
                    manifest["layers"][1] = content.blob(LAYER, noise(3, 50_000));
                    let ids = [
                        &manifest["layers"][0]["digest"],
                        &manifest["layers"][1]["digest"],
                        &manifest["layers"][2]["digest"],
                    ];
                    manifest["config"] = content.config(&ids);
                }),
            )
            .fails(6, &[])
            .build_only(),
        ],
    );
}

/// What is to be fetched from somewhere else is not fetched at all.
#[test]
fn descriptors_that_point_elsewhere() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let good = &sample.content;
    let elsewhere = good.clone().serve();
    let secret = elsewhere.reference("latest/meta-data");
    let urls = || json!([format!("http://{secret}"), "http://169.254.169.254/latest/meta-data"]);
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let at = |what: &'static str, position: &str| {
        changed(good, |_, manifest| {
            let descriptor = manifest.pointer_mut(position).unwrap();
            descriptor["urls"] = urls();
            if what == "foreign" {
                descriptor["mediaType"] = json!(foreign);
            }
        })
    };
    check(
        &sample,
        vec![
            Case::new("a layer", &at("layer", "/layers/1")).fails(UNSUPPORTED, &["never done"]),
            Case::new("a config", &at("config", "/config")).fails(UNSUPPORTED, &["never done"]),
            Case::new("a foreign layer", &at("foreign", "/layers/1")).fails(UNSUPPORTED, &["not distributable"]),
            Case::new(
                "an entry of an index",
                &index(
                    good,
                    json!([
                        { "mediaType": MANIFEST, "digest": good.digest("latest"), "size": 100, "urls": urls() }
                    ]),
                ),
            )
            .fails(UNSUPPORTED, &["never done"]),
        ],
    );
    assert_eq!(elsewhere.requests().len(), 0, "the other server has been asked");
}

/// A reference that is none is an error of the command line; nobody is asked.
#[test]
fn references_that_are_none() {
    let sample = Sample::small();
    let server = sample.content.clone().serve();
    let user = User::new();
    let long = "a".repeat(300);
    let upper = format!("a@{}", digest_of_zeros().replace('0', "A"));
    let long_tag = format!("a:{}", "t".repeat(129));
    for name in [
        "a/../b",
        "../b",
        "a//b",
        "/a",
        "a/",
        ".",
        "..",
        ":tag",
        "a:",
        "a:.b",
        "a:b:c",
        "a:b c",
        "a b",
        "A/b",
        "a\nb",
        "a@sha256:../../etc/passwd",
        "a@md5:d41d8cd98f00b204e9800998ecf8427e",
        "a@sha256:",
        "a@",
        "a?b",
        "a#b",
        "a%2e%2e",
        &upper,
        &long,
        &long_tag,
    ] {
        let reference = server.reference(name);
        for arguments in [&["build", &reference, "-o", "image"][..], &["fetch", &reference], &["resolve", &reference]] {
            let run = crate::support::Run::of(user.command().args(arguments).current_dir(user.home()));
            let run = run.expect(2);
            assert!(run.stderr().len() < 2000, "too many words: {run}");
        }
    }
    for reference in [":tag", "@sha256:00", "", "a/../b", &long] {
        user.run(["fetch", reference]).expect(2);
    }
    assert_eq!(server.requests().len(), 0);
    assert!(!user.home().join("image").exists());
}

/// A config that is not JSON, or not that of a container, in a blob that is as its digest says.
#[test]
fn configs_that_are_none() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let cases = [("nothing", ""), ("no JSON", "no"), ("a list", "[]"), ("no root file system", "{}")];
    let cases = cases.map(|(name, config)| {
        let content = changed(&sample.content, |content, manifest| manifest["config"] = content.blob(CONFIG, config));
        Case::new(name, &content).fails(6, &["config"])
    });
    check(&sample, cases.into());
}

/// The server of these tests is a registry like others when nobody tells it to be different.
#[test]
fn skopeo_has_nothing_against_the_server() {
    judges!("skopeo", "diff");
    let sample = Sample::small();
    let server = sample.content.clone().serve();
    let user = User::new();
    let [from, to] = [format!("docker://{}", server.reference(IMAGE)), format!("oci:{}", user.path("copy").display())];
    let arguments =
        ["copy", "--quiet", "--insecure-policy", "--preserve-digests", "--src-tls-verify=false", &from, &to];
    ask("skopeo", arguments).ok();
    let blobs = |layout: &Path| layout.join("blobs").into_os_string();
    ask("diff", args!["-r", blobs(&sample.layout), blobs(&user.path("copy"))]).ok();
}
