//! Fixtures: layouts and archives made on the spot, and how to look at what comes of them.

use banger_oci::{Digest, Error, Image, OpenOptions, Platform, Source, Verified};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A layout in a temporary directory.
pub(crate) struct Layout {
    directory: tempfile::TempDir,
}

impl Layout {
    /// A layout whose `index.json` is not yet there.
    pub(crate) fn new() -> Self {
        let layout = Layout { directory: tempfile::tempdir().unwrap() };
        layout.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        layout
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Stores a blob and gives its descriptor.
    pub(crate) fn blob(&self, media_type: &str, content: &[u8]) -> Value {
        let digest = Digest::sha256(content);
        self.write(&digest.blob_path(), content);
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": content.len() })
    }

    /// Stores a JSON document and gives its descriptor.
    pub(crate) fn document(&self, media_type: &str, content: &Value) -> Value {
        self.blob(media_type, content.to_string().as_bytes())
    }

    /// Stores an image for a platform, of plain layers, and gives its manifest's descriptor without the platform.
    pub(crate) fn image(&self, platform: &str, layers: &[&[u8]]) -> Value {
        let descriptors: Vec<Value> = layers.iter().map(|layer| self.blob(LAYER, layer)).collect();
        let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::sha256(layer).to_string()).collect();
        let mut config = platform_of(platform);
        config["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
        config["created"] = json!("2025-01-01T00:00:00Z");
        self.manifest(self.document(CONFIG, &config), &descriptors)
    }

    /// Stores a manifest and gives its descriptor.
    pub(crate) fn manifest(&self, config: Value, layers: &[Value]) -> Value {
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        self.document(MANIFEST, &manifest)
    }

    /// Stores an index of these entries and gives its descriptor.
    pub(crate) fn nested(&self, entries: &[Value]) -> Value {
        self.document(INDEX, &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }))
    }

    /// Writes `index.json` with these entries.
    pub(crate) fn index(&self, entries: &[Value]) {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        self.write("index.json", index.to_string().as_bytes());
    }

    /// Opens the layout, with what follows the directory in the source.
    pub(crate) fn open(&self, image: &str) -> Result<Image, Error> {
        open(&format!("oci:{}{image}", self.path().display()))
    }

    /// Opens the layout for a platform.
    pub(crate) fn open_for(&self, image: &str, platform: &str) -> Result<Image, Error> {
        let options = OpenOptions { platform: Some(Platform::parse(platform).unwrap()), ..OpenOptions::default() };
        Source::parse(format!("oci:{}{image}", self.path().display())).unwrap().open(&options)
    }

    /// The file of the blob behind a descriptor.
    pub(crate) fn blob_file(&self, descriptor: &Value) -> PathBuf {
        self.path().join(digest_of(descriptor).blob_path())
    }

    /// All files of the layout, as an archive.
    pub(crate) fn archive(&self) -> Tar {
        let mut tar = Tar::default();
        add_files(&mut tar, self.path(), self.path());
        tar
    }
}

fn add_files(tar: &mut Tar, root: &Path, directory: &Path) {
    let mut paths: Vec<PathBuf> = directory.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        if path.is_dir() {
            tar.entry(name, b'5', "", b"");
            add_files(tar, root, &path);
        } else {
            tar.file(name, &std::fs::read(&path).unwrap());
        }
    }
}

/// A layout with one image of one layer for the host, without a name.
pub(crate) fn simple() -> Layout {
    let layout = Layout::new();
    layout.index(&[layout.image(&host(), &[b"the only layer"])]);
    layout
}

/// Adds a name to a descriptor.
pub(crate) fn with_name(mut descriptor: Value, name: &str) -> Value {
    descriptor["annotations"] = json!({ REF_NAME: name });
    descriptor
}

/// Adds a platform to a descriptor.
pub(crate) fn with_platform(mut descriptor: Value, platform: &str) -> Value {
    descriptor["platform"] = platform_of(platform);
    descriptor
}

fn platform_of(text: &str) -> Value {
    let mut parts = text.split('/');
    let mut platform = json!({ "os": parts.next().unwrap(), "architecture": parts.next().unwrap() });
    if let Some(variant) = parts.next() {
        platform["variant"] = json!(variant);
    }
    platform
}

pub(crate) fn host() -> String {
    Platform::host().to_string()
}

/// A platform that is not the host's.
pub(crate) fn foreign() -> &'static str {
    if Platform::host().architecture() == "s390x" { "linux/amd64" } else { "linux/s390x" }
}

pub(crate) fn digest_of(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

pub(crate) fn open(source: &str) -> Result<Image, Error> {
    Source::parse(source).unwrap().open(&OpenOptions::default())
}

/// The bytes of every layer, each checked against its digest and size where it has them.
pub(crate) fn contents(image: &Image) -> Vec<Vec<u8>> {
    let layers = image.layers().iter();
    let read = layers.map(|layer| {
        let mut bytes = Vec::new();
        let reader = layer.open().unwrap();
        match (layer.digest(), layer.size()) {
            (Some(digest), Some(size)) => Verified::new(reader, *digest, size).read_to_end(&mut bytes).unwrap(),
            _ => { reader }.read_to_end(&mut bytes).unwrap(),
        };
        bytes
    });
    read.collect()
}

/// An error with all its causes, as a user sees it.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A tar archive, written header by header.
#[derive(Clone, Default)]
pub(crate) struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    pub(crate) fn file(&mut self, name: &str, content: &[u8]) -> &mut Self {
        self.entry(name, b'0', "", content)
    }

    pub(crate) fn symlink(&mut self, name: &str, target: &str) -> &mut Self {
        self.entry(name, b'2', target, b"")
    }

    pub(crate) fn hardlink(&mut self, name: &str, target: &str) -> &mut Self {
        self.entry(name, b'1', target, b"")
    }

    /// An entry of any type, with a header as POSIX.1-1988 has it and its content. Long names get a GNU header.
    pub(crate) fn entry(&mut self, name: &str, kind: u8, target: &str, content: &[u8]) -> &mut Self {
        if name.len() > 100 {
            self.header("././@LongLink", b'L', "", name.len() as u64 + 1);
            self.content(&[name.as_bytes(), b"\0"].concat());
        }
        self.header(&name[..name.len().min(100)], kind, target, content.len() as u64);
        self.content(content)
    }

    /// A PAX header of these `key=value` records for the next entry.
    pub(crate) fn pax(&mut self, records: &[&str]) -> &mut Self {
        let record = |record: &&str| {
            // The length counts its own digits, of which two are enough here.
            let length = record.len() + 4;
            assert!((10..100).contains(&length));
            format!("{length} {record}\n")
        };
        let records: String = records.iter().map(record).collect();
        self.entry("pax", b'x', "", records.as_bytes())
    }

    /// Only a header, whose size may be a lie.
    pub(crate) fn header(&mut self, name: &str, kind: u8, target: &str, size: u64) -> &mut Self {
        let mut header = [0u8; 512];
        let mut put = |offset: usize, bytes: &[u8]| header[offset..offset + bytes.len()].copy_from_slice(bytes);
        put(0, name.as_bytes());
        put(100, b"0000644\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{size:011o}\0").as_bytes());
        put(136, b"00000000000\0");
        put(148, b"        ");
        put(156, &[kind]);
        put(157, target.as_bytes());
        put(257, if kind == b'L' { b"ustar  \0" } else { b"ustar\x0000" });
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend_from_slice(&header);
        self
    }

    /// Content with its padding.
    pub(crate) fn content(&mut self, content: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// The archive with its end.
    pub(crate) fn finish(&self) -> Vec<u8> {
        [&self.bytes[..], &[0; 1024]].concat()
    }

    /// The archive as far as it was written.
    pub(crate) fn unfinished(&self) -> &[u8] {
        &self.bytes
    }

    /// The archive as a file.
    pub(crate) fn save(&self) -> tempfile::NamedTempFile {
        save(&self.finish())
    }
}

pub(crate) fn save(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}
