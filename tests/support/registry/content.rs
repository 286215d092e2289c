//! What a registry of the tests' own holds, and how it answers when nobody has told it otherwise.
//!
//! Every repository holds everything: names are the client's business.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::http::{Answer, Request, Server};
use crate::support::layout::{host_platform, sha256};

pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Blobs, and documents under the names that they are asked for by.
#[derive(Clone, Default)]
pub(crate) struct Content {
    blobs: BTreeMap<String, Vec<u8>>,
    /// By tag and by digest: media type and bytes.
    documents: BTreeMap<String, (String, Vec<u8>)>,
}

impl Content {
    /// What is in a layout, under its names.
    pub(crate) fn of(layout: &Path) -> Self {
        let mut content = Self::default();
        content.read_blobs(layout);
        for entry in content_index(layout)["manifests"].as_array().unwrap() {
            let bytes = content.blobs[entry["digest"].as_str().unwrap()].clone();
            let tag = entry["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap();
            content.raw(tag, entry["mediaType"].as_str().unwrap(), bytes);
        }
        content
    }

    /// The same, with the first entry alone, which may have no name, as `first`.
    pub(crate) fn of_first(layout: &Path) -> Self {
        let mut content = Self::default();
        content.read_blobs(layout);
        let entry = &content_index(layout)["manifests"][0];
        let bytes = content.blobs[entry["digest"].as_str().unwrap()].clone();
        content.raw("first", entry["mediaType"].as_str().unwrap(), bytes);
        content
    }

    fn read_blobs(&mut self, layout: &Path) {
        for entry in std::fs::read_dir(layout.join("blobs/sha256")).unwrap() {
            let entry = entry.unwrap();
            let digest = format!("sha256:{}", entry.file_name().into_string().unwrap());
            self.blobs.insert(digest, std::fs::read(entry.path()).unwrap());
        }
    }

    /// Adds a blob, and describes it.
    pub(crate) fn blob(&mut self, media_type: &str, bytes: impl Into<Vec<u8>>) -> Value {
        let bytes = bytes.into();
        let digest = format!("sha256:{}", sha256(&bytes));
        let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
        self.blobs.insert(digest, bytes);
        descriptor
    }

    /// Adds a config for this machine whose layers have these diff IDs.
    pub(crate) fn config(&mut self, diff_ids: &[&Value]) -> Value {
        let platform = host_platform();
        let (os, architecture) = platform.split_once('/').unwrap();
        let rootfs = json!({ "type": "layers", "diff_ids": diff_ids });
        let config = json!({ "architecture": architecture, "os": os, "rootfs": rootfs });
        self.blob(CONFIG, config.to_string())
    }

    /// Adds a document under its digest and a tag, and describes it. Its media type is the one that it names.
    pub(crate) fn document(&mut self, tag: &str, document: &Value) -> Value {
        let media_type = document["mediaType"].as_str().unwrap_or(MANIFEST);
        self.raw(tag, media_type, document.to_string().into_bytes())
    }

    /// Adds bytes as a document.
    pub(crate) fn raw(&mut self, tag: &str, media_type: &str, bytes: Vec<u8>) -> Value {
        self.documents.insert(tag.to_owned(), (media_type.to_owned(), bytes.clone()));
        self.blob(media_type, bytes)
    }

    /// Adds what `other` holds, and what it has under `tag` as `name`.
    pub(crate) fn add(&mut self, other: &Self, tag: &str, name: &str) {
        self.blobs.extend(other.blobs.clone());
        self.documents.insert(name.to_owned(), other.documents[tag].clone());
    }

    /// The digest of what a tag stands for.
    pub(crate) fn digest(&self, tag: &str) -> String {
        format!("sha256:{}", sha256(&self.documents[tag].1))
    }

    /// The document behind a tag.
    pub(crate) fn json(&self, tag: &str) -> Value {
        serde_json::from_slice(&self.documents[tag].1).unwrap()
    }

    /// Digests of the config and the layers of the image behind a tag, the config first.
    pub(crate) fn blobs_of(&self, tag: &str) -> Vec<String> {
        let manifest = self.json(tag);
        let layers = manifest["layers"].as_array().unwrap().iter();
        [&manifest["config"]]
            .into_iter()
            .chain(layers)
            .map(|blob| blob["digest"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The bytes of a blob.
    pub(crate) fn bytes(&self, digest: &str) -> &[u8] {
        &self.blobs[digest]
    }

    /// Serves it, as a registry should.
    pub(crate) fn serve(self) -> Server {
        Server::start(move |request| self.answer(request))
    }

    /// Serves it, but asks `script` first what to say.
    pub(crate) fn serve_with(self, script: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Server {
        Server::start(move |request| script(request).unwrap_or_else(|| self.answer(request)))
    }

    /// The right answer.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        if let Some(reference) = request.manifest() {
            // A manifest is stored as a blob, too: whoever knows its digest gets it.
            let stored = self.documents.get(reference).map(|(media_type, bytes)| (media_type.clone(), bytes));
            let stored = stored.or_else(|| self.blobs.get(reference).map(|bytes| (media_type_of(bytes), bytes)));
            return match stored {
                Some((media_type, bytes)) => Answer::new(200, bytes.clone())
                    .header("Content-Type", &media_type)
                    .header("Docker-Content-Digest", &format!("sha256:{}", sha256(bytes))),
                None => Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            };
        }
        if let Some(digest) = request.blob() {
            return match self.blobs.get(digest) {
                Some(bytes) => range(bytes, request),
                None => Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
            };
        }
        if matches!(request.path(), "/v2/" | "/v2") {
            return Answer::new(200, "{}");
        }
        Answer::error(404, "UNSUPPORTED", "no such endpoint")
    }
}

/// The `index.json` of a layout.
fn content_index(layout: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap()
}

/// All of it, or the part that is asked for.
fn range(bytes: &[u8], request: &Request) -> Answer {
    let total = bytes.len();
    let Some(first) = request.offset() else {
        return Answer::new(200, bytes).header("Accept-Ranges", "bytes");
    };
    if first >= total {
        return Answer::error(416, "RANGE_INVALID", "invalid range")
            .header("Content-Range", &format!("bytes */{total}"));
    }
    let last = request.header("range").and_then(|range| range.rsplit_once('-')).and_then(|(_, last)| last.parse().ok());
    let last = last.unwrap_or(total - 1).min(total - 1);
    Answer::new(206, &bytes[first..=last]).header("Content-Range", &format!("bytes {first}-{last}/{total}"))
}

fn media_type_of(bytes: &[u8]) -> String {
    let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
    document["mediaType"].as_str().unwrap_or(MANIFEST).to_owned()
}
