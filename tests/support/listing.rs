//! What is in an image, by the kernel and by `banger ls`, compared with the oracle's listing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::corpus::repository;
use super::judge::ask;
use super::mount::Mount;
use super::program::{Run, banger};
use crate::args;

/// A kernel mount of the image must show what the listing says.
#[track_caller]
pub(crate) fn check_mount(image: &Path, expected: &Path) {
    let found = image.with_extension("mount.jsonl");
    let mount = Mount::image(image, "ro");
    oracle(args!["tree", mount.path(), found]).ok();
    mount.unmount();
    oracle(args!["diff", expected, found]).ok();
}

/// `banger ls` must show what the listing says.
#[track_caller]
pub(crate) fn check_ls(image: &Path, expected: &Path) {
    let found = image.with_extension("ls.jsonl");
    let listing = banger(args!["ls", image, "-R", "--json", "--sha256"]).ok();
    std::fs::write(&found, as_oracle(&listing.stdout())).unwrap();
    oracle(args!["diff", expected, found]).ok();
}

/// Runs the oracle.
#[track_caller]
pub(crate) fn oracle<const N: usize>(arguments: [std::ffi::OsString; N]) -> Run {
    let script = repository().join("tests/corpus/oracle.py").into_os_string();
    ask("python3", [script].into_iter().chain(arguments))
}

/// Our listing in the form of the oracle's: other escapes, and groups of hardlinks in place of inode numbers.
fn as_oracle(listing: &str) -> String {
    let records: Vec<Value> = listing.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let mut paths: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
    for record in &records {
        paths.entry(record["inode"].as_u64().unwrap()).or_default().push(name(record, "path").unwrap());
    }
    paths.values_mut().for_each(|paths| paths.sort());
    let mut lines = String::new();
    for record in &records {
        writeln!(lines, "{}", one_as_oracle(record, &paths[&record["inode"].as_u64().unwrap()])).unwrap();
    }
    lines
}

fn one_as_oracle(record: &Value, same_inode: &[Vec<u8>]) -> Value {
    let mut found = Map::new();
    found.insert("path".into(), escaped(&name(record, "path").unwrap()).into());
    let mut copied = vec!["type", "mode", "uid", "gid", "mtime_ns"];
    match record["type"].as_str().unwrap() {
        "directory" => {}
        "file" => copied.extend(["links", "size", "sha256"]),
        "char" | "block" => copied.extend(["links", "rdev"]),
        _ => copied.push("links"),
    }
    for field in copied {
        found.insert(field.into(), record[field].clone());
    }
    if record["type"] != "directory" && same_inode.len() > 1 {
        found.insert("hardlink".into(), escaped(&same_inode[0]).into());
    }
    if let Some(target) = name(record, "link") {
        found.insert("link".into(), escaped(&target).into());
    }
    if let Some(xattrs) = record.get("xattrs") {
        let xattrs = xattrs.as_object().unwrap().iter().map(|(name, value)| {
            let value = from_base64(value.as_str().unwrap());
            let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            (escaped(name.as_bytes()), json!(hex))
        });
        found.insert("xattrs".into(), xattrs.collect::<Map<_, _>>().into());
    }
    found.into()
}

/// The bytes of a name, whether it is UTF-8 or not.
fn name(record: &Value, field: &str) -> Option<Vec<u8>> {
    match record.get(field) {
        Some(text) => Some(text.as_str().unwrap().as_bytes().to_owned()),
        None => record.get(format!("{field}_b64")).map(|text| from_base64(text.as_str().unwrap())),
    }
}

/// What is not printable ASCII, and `%`, as `%XX`.
fn escaped(name: &[u8]) -> String {
    name.iter().fold(String::new(), |mut text, &byte| {
        match byte {
            b'%' => text.push_str("%25"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02X}").unwrap(),
        }
        text
    })
}

fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |byte| ALPHABET.iter().position(|&other| other == byte).expect("a digit of base64") as u32;
    let mut bytes = Vec::new();
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = group.iter().fold(0, |bits, &byte| bits << 6 | digit(byte)) << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}
