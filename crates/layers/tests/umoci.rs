//! Random stacks of layers, merged by the product and unpacked by umoci, the reference of the field.
//!
//! umoci applies everything in the archive's order, markers too. Where that order decides, the rules here are other
//! ones on purpose (`docs/layers.md`), so the stacks keep to what both define alike: markers stand at the
//! beginning of their layer, in directories that lower layers have, and nothing else of the layer touches the way
//! to those.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod common;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use common::layer::{Item, Record, What, archive, listing, merge, parse};
use sha2::{Digest, Sha256};

/// Stacks that are compared. One takes umoci a tenth of a second.
const STACKS: u64 = 80;

#[test]
fn umoci_unpacks_what_we_merge() {
    if !judge() {
        return;
    }
    let mut compared = 0;
    for seed in 1..=STACKS {
        let layers = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).layers();
        compared += compare(&layers, &format!("seed {seed}"));
    }
    assert!(compared as u64 > STACKS * 5, "only {compared} names in all");
}

/// The rules that umoci is the judge of, one by one.
#[test]
fn umoci_unpacks_the_odd_cases_as_we_do() {
    if !judge() {
        return;
    }
    let stacks: [&[&str]; 11] = [
        &["d usr/lib\n l lib -> usr/lib", "f lib/x =1\n f lib/y/z =2\n h lib/h -> lib/x"],
        &["d tmp mode=1777 time=5\n f a/../b =1\n d ./x/\n f /x/y", "f tmp/f\n d x mode=700 uid=5 gid=6"],
        &["l a -> /b/../../../c\n l up -> ../../..", "f a/f\n f up/g"],
        &["f d/f\n d e/e\n l l -> d\n f f", "f d =now a file\n f e\n d l\n d f"],
        &["f a =1\n h b -> a\n h c -> b\n l s -> a\n h t -> s", "f .wh.a", "f b =2"],
        &["f d/a\n f d/b\n d d/s/t", "f d/.wh..wh..opq\n f d/b =2\n f d/s/u"],
        &["f a\n d b\n f b/c", "f .wh.a\n f .wh.b\n f .wh.nothing\n f b/d"],
        &[
            "c null 1,3 mode=666\n b sda 8,17 mode=660 gid=6\n p fifo\n f big uid=4000000000 gid=65536\n f suid mode=6755",
        ],
        &["f run/a\n l var/run -> /run", "d var/run\n f var/run/.wh..wh..opq\n f var/run/b"],
        &["f a", "d a\n f a/.wh..wh..opq\n f a/f"],
        &["d . mode=700 uid=3 gid=4 time=77\n f \\xff\\xfe =1\n f old time=-86400\n f new time=5000000000.123456789"],
    ];
    for (number, stack) in stacks.iter().enumerate() {
        let layers: Vec<_> = stack.iter().enumerate().map(|(layer, text)| parse(layer + 1, text)).collect();
        compare(&layers, &format!("stack {number}"));
    }
}

/// Whether umoci is here and can give files away. It must be, where judges are required.
fn judge() -> bool {
    let umoci = Command::new("umoci").arg("--version").output().is_ok_and(|output| output.status.success());
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if umoci && root {
        return true;
    }
    let required =
        std::env::var_os("CI").is_some() || std::env::var("BANGER_JUDGES").is_ok_and(|how| how == "required");
    assert!(!required, "umoci, or root for it, is missing");
    eprintln!("SKIPPED: umoci needs to be installed and to be root");
    false
}

/// Asserts that both make the same of the layers; returns the number of names.
fn compare(layers: &[Vec<Item>], label: &str) -> usize {
    let ours = merge(layers).unwrap();
    let dir = tempfile::tempdir().unwrap();
    write_layout(layers, dir.path());
    let start = fs::metadata(dir.path()).unwrap();
    let start = (start.mtime(), start.mtime_nsec() as u32);
    let bundle = dir.path().join("bundle");
    let image = format!("{}:x", dir.path().join("layout").display());
    let output = Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle).output().unwrap();
    let text: String = layers.iter().map(|items| format!("--- layer\n{}", entries(items))).collect();
    assert!(output.status.success(), "{label}: {}\n{text}", String::from_utf8_lossy(&output.stderr));

    let mut theirs = Vec::new();
    read_tree(&bundle.join("rootfs"), &[], &mut theirs, &mut HashMap::new());
    // umoci leaves the time of the day on directories that no entry describes, and on those that it reached through
    // a symlink, where it should put the old time back.
    for (their, own) in theirs.iter_mut().zip(&ours) {
        their.implied = own.implied;
        if their.item.what == What::Dir && their.item.time >= start {
            their.item.time = own.item.time;
        }
    }
    let (ours, theirs) = (listing(&ours), listing(&theirs));
    assert_eq!(ours, theirs, "{label}\nours:\n{ours}\numoci's:\n{theirs}\n{text}");
    ours.lines().count()
}

fn entries(items: &[Item]) -> String {
    let record = |item: &Item| Record { item: item.clone(), links: 1, first: Vec::new(), implied: false };
    listing(&items.iter().map(record).collect::<Vec<_>>())
}

fn write_layout(layers: &[Vec<Item>], dir: &Path) {
    let layout = dir.join("layout");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let add = |media_type: &str, bytes: &[u8]| {
        let digest = Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        fs::write(blobs.join(&digest), bytes).unwrap();
        let media_type = format!("application/vnd.oci.image.{media_type}");
        let size = bytes.len();
        let descriptor = format!(r#""mediaType":"{media_type}","digest":"sha256:{digest}","size":{size}"#);
        (digest, descriptor)
    };
    let blobs: Vec<_> = layers.iter().map(|items| add("layer.v1.tar", &archive(items))).collect();
    let diff_ids: Vec<_> = blobs.iter().map(|(digest, _)| format!(r#""sha256:{digest}""#)).collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    );
    let (_, config) = add("config.v1+json", config.as_bytes());
    let layers: Vec<_> = blobs.iter().map(|(_, descriptor)| format!("{{{descriptor}}}")).collect();
    let manifest = format!(r#"{{"schemaVersion":2,"config":{{{config}}},"layers":[{}]}}"#, layers.join(","));
    let (_, manifest) = add("manifest.v1+json", manifest.as_bytes());
    let name = r#""annotations":{"org.opencontainers.image.ref.name":"x"}"#;
    fs::write(layout.join("index.json"), format!(r#"{{"schemaVersion":2,"manifests":[{{{manifest},{name}}}]}}"#))
        .unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// What is on the disk, in the order of our walk. `seen` has the first path of each inode.
fn read_tree(path: &Path, name: &[u8], records: &mut Vec<Record>, seen: &mut HashMap<u64, Vec<u8>>) {
    let metadata = fs::symlink_metadata(path).unwrap();
    let kind = metadata.file_type();
    let device = metadata.rdev();
    let numbers = ((device >> 8) as u32 & 0xfff, (device as u32 & 0xff) | (device >> 12) as u32 & 0xf_ff00);
    let what = if kind.is_dir() {
        What::Dir
    } else if kind.is_symlink() {
        What::Symlink(fs::read_link(path).unwrap().into_os_string().into_vec())
    } else if kind.is_file() {
        What::File(fs::read(path).unwrap())
    } else if kind.is_char_device() {
        What::Char(numbers.0, numbers.1)
    } else if kind.is_block_device() {
        What::Block(numbers.0, numbers.1)
    } else {
        What::Fifo
    };
    let directory = kind.is_dir();
    let links = if directory { 1 } else { metadata.nlink() as u32 };
    let first = seen.entry(metadata.ino()).or_insert_with(|| name.to_vec()).clone();
    let item = Item {
        path: name.to_vec(),
        what,
        mode: metadata.mode() as u16 & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        time: (metadata.mtime(), metadata.mtime_nsec() as u32),
        xattrs: Vec::new(),
    };
    let first = if links > 1 { first } else { Vec::new() };
    let links = if name.is_empty() { 0 } else { links };
    records.push(Record { item, links, first, implied: false });
    if directory {
        let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for kid in names {
            read_tree(&path.join(&kid), &join(name, kid.as_bytes()), records, seen);
        }
    }
}

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }

    fn path(&mut self, longest: u64) -> String {
        let length = 1 + self.below(longest);
        let mut names = Vec::new();
        for _ in 0..length {
            names.push(["a", "b", "c", "d", "e"][self.below(5) as usize]);
        }
        names.join("/")
    }

    fn target(&mut self) -> String {
        let before = ["", "", "", "/", "../", "../../", "./"][self.below(7) as usize];
        format!("{before}{}", self.path(2))
    }

    fn layers(&mut self) -> Vec<Vec<Item>> {
        let mut layers: Vec<Vec<Item>> = Vec::new();
        for number in 1..=2 + self.below(3) {
            layers.push(Vec::new());
            let markers = if number > 1 { self.below(4) } else { 0 };
            for position in 0..markers + 4 + self.below(10) {
                let line = if position < markers { self.marker() } else { self.entry() };
                let last = layers.len() - 1;
                layers[last].push(parse(number as usize, &line).remove(0));
                // What we refuse is refused elsewhere too, or not: not the business of this test.
                if merge(&layers).is_err() || ambiguous(&layers) {
                    layers[last].pop();
                }
            }
        }
        layers
    }

    fn marker(&mut self) -> String {
        let parent = if self.below(3) == 0 { String::new() } else { format!("{}/", self.path(2)) };
        let name = [".wh.a", ".wh.b", ".wh.c", ".wh.d", ".wh..wh..opq"][self.below(5) as usize];
        format!("f {parent}{name}")
    }

    fn entry(&mut self) -> String {
        let path = self.path(3);
        let time = self.below(1_700_000_000);
        let owner = format!("uid={} gid={} time={time}.{}", self.below(3), self.below(3), self.below(1_000_000_000));
        match self.below(20) {
            // No setgid: the kernel hands it on to directories without an entry, which have to be 0755 0:0.
            0..6 => format!("d {path} mode={:o} {owner}", self.below(0o10000) & !0o2000),
            6..12 => format!("f {path} ={time} mode={:o} {owner}", self.below(0o10000)),
            12..16 => format!("l {path} -> {} {owner}", self.target()),
            // umoci removes a directory before it looks for a target that is in it.
            16..19 => match self.path(2) {
                target if is_within(target.as_bytes(), path.as_bytes()) => format!("d {path} {owner}"),
                target => format!("h {path} -> {target}"),
            },
            _ => format!("p {path} {owner}"),
        }
    }
}

/// Whether the archive's order decides what a marker of the last layer means.
fn ambiguous(layers: &[Vec<Item>]) -> bool {
    let Some((last, lower_layers)) = layers.split_last() else { return false };
    let lower = merge(lower_layers).unwrap();
    let symlink = |path: &[u8]| {
        lower.iter().any(|record| record.item.path == path && matches!(record.item.what, What::Symlink(_)))
    };
    let homes: Vec<_> = last.iter().filter_map(|item| marker(&item.path)).collect();
    let replaced = |item: &Item| item.what == What::Dir && symlink(&item.path);
    let leads_through = |path: &[u8]| homes.iter().any(|(home, _)| is_within(home, path));
    // umoci does not make the directory of a marker.
    let there = |home: &[u8]| {
        let probe = Item { path: join(home, b"probe"), ..parse(1, "f probe").remove(0) };
        merge(&[lower_layers, &[vec![probe]]].concat()).is_ok_and(|records| records.len() == lower.len() + 1)
    };
    if !homes.iter().all(|(home, _)| there(home)) {
        return true;
    }
    // A directory in the place of a symlink that a marker leads through, or a marker in what another one removes.
    last.iter().any(|item| replaced(item) && leads_through(&item.path))
        || homes.iter().any(|(home, name)| match *name {
            b".wh..wh..opq" => homes.iter().any(|(other, _)| other != home && is_within(other, home)),
            _ => leads_through(&join(home, &name[4..])),
        })
}

/// The directory of a marker, and its name.
fn marker(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let (home, name) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&b""[..], path),
    };
    name.starts_with(b".wh.").then_some((home, name))
}

fn is_within(path: &[u8], dir: &[u8]) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, name].join(&b'/') }
}
