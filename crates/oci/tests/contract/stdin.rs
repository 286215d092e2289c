//! Archives on standard input. The test starts itself again, with the archive there.

use crate::support::*;
use serde_json::json;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::{Command, Stdio};

const SOURCE: &str = "BANGER_TEST_SOURCE";

/// Not a test by itself: prints what it reads from the source named by the environment.
#[test]
#[ignore = "started by the others"]
fn child() {
    let image = open(&std::env::var(SOURCE).unwrap()).unwrap();
    let sizes: Vec<Option<u64>> = image.layers().iter().map(|layer| layer.size()).collect();
    for layer in contents(&image) {
        println!("layer: {}", String::from_utf8(layer).unwrap());
    }
    println!("sizes: {sizes:?}");
    let again = image.layers()[0].open().map(|mut reader| {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    println!("again: {again:?}");
}

/// Runs the child, with bytes coming through a pipe or with a file as its standard input.
fn run(source: &str, bytes: &[u8], file: Option<File>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "stdin::child", "--ignored", "--nocapture"]).env(SOURCE, source);
    let is_file = file.is_some();
    command.stdin(file.map_or_else(Stdio::piped, Stdio::from)).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    if !is_file {
        child.stdin.take().unwrap().write_all(bytes).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{source}");
    String::from_utf8(output.stdout).unwrap()
}

fn file_of(bytes: &[u8], position: u64) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(position)).unwrap();
    file
}

#[test]
fn archives_of_images() {
    let layout = simple().archive().finish();
    let mut docker = Tar::default();
    let diff_id = banger_oci::Digest::sha256(b"the only layer").to_string();
    let config = json!({ "rootfs": { "type": "layers", "diff_ids": [diff_id] } });
    docker.file("c", config.to_string().as_bytes()).file("l", b"the only layer");
    docker.file("manifest.json", json!([{ "Config": "c", "Layers": ["l"] }]).to_string().as_bytes());
    let docker = docker.finish();
    for (source, bytes) in [("oci-archive:-", layout), ("docker-archive:-", docker)] {
        let behind = [b"something before", &bytes[..]].concat();
        for (way, output) in [
            ("pipe", run(source, &bytes, None)),
            ("compressed pipe", run(source, &gzip(&bytes), None)),
            ("file", run(source, b"", Some(file_of(&bytes, 0)))),
            ("rest of a file", run(source, b"", Some(file_of(&behind, 16)))),
        ] {
            assert!(output.contains("layer: the only layer\nsizes: [Some(14)]\n"), "{source} {way}: {output}");
            assert!(output.contains("again: Ok(\"the only layer\")"), "{source} {way}: {output}");
        }
    }
}

#[test]
fn a_flat_archive() {
    let output = run("tar:-", b"files", None);
    assert!(output.contains("layer: files\nsizes: [None]\nagain: Err("), "{output}");
    assert!(output.contains("can be read only once"), "{output}");
    let output = run("tar:-", b"", Some(file_of(b"before files", 7)));
    assert!(output.contains("layer: files\nsizes: [Some(5)]\nagain: Ok(\"files\")"), "{output}");
}

#[test]
fn a_flat_archive_in_a_file() {
    let file = save(b"files");
    let image = open(&format!("tar:{}", file.path().display())).unwrap();
    assert_eq!(contents(&image), [b"files"]);
    assert_eq!(contents(&image), [b"files"]);
    assert!(image.config().is_none() && image.manifest_digest().is_none() && image.platform().is_none());
    let layer = &image.layers()[0];
    assert!(layer.diff_id().is_none() && layer.digest().is_none() && layer.media_type().is_none());

    let empty = save(b"");
    let error = open(&format!("tar:{}", empty.path().display())).unwrap_err();
    assert!(error.to_string().ends_with("it is empty"), "{error}");
    let error = open(&format!("tar:{}", std::env::temp_dir().display())).unwrap_err();
    assert!(error.to_string().contains("it is a directory"), "{error}");
    assert_eq!(open("tar:/nonexistent").unwrap_err().kind(), banger_oci::ErrorKind::NotFound);
}
