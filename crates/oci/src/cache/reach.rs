//! What an image consists of: from an entry of `index.json` to all the blobs that it leads to.
//!
//! Others may have put things into the layout that banger cannot build (artifacts, layers of other kinds). What they
//! need is kept all the same, so documents are read more leniently here than where an image is opened.

use super::Cache;
use crate::descriptor::{Descriptor, RawDescriptor};
use crate::digest::Digest;
use crate::error::Result;
use crate::go;
use crate::limits::{INDEX_NESTING, MANIFEST_BYTES};
use crate::media_type::{DocumentClass, document_class};
use std::collections::{BTreeSet, HashMap};

/// What an entry leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// All blobs that are named on the way, there or not.
    pub(super) blobs: BTreeSet<Digest>,
    /// Whether an image can be read: all of it is there; of an index at least one image, and nothing half of any.
    pub(super) complete: bool,
}

/// Follows entries. Remembers the documents that it has read, which many images may share.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    cache: &'a Cache,
    documents: HashMap<Digest, Option<Document>>,
}

/// What a document names.
#[derive(Clone, Debug)]
enum Document {
    Index(Vec<Descriptor>),
    Manifest {
        blobs: Vec<Descriptor>,
        /// Whether something in it cannot be in a cache: of an unknown digest, or kept elsewhere.
        foreign: bool,
    },
}

#[derive(serde::Deserialize)]
struct Fields {
    manifests: Option<Vec<Option<RawDescriptor>>>,
    config: Option<RawDescriptor>,
    #[serde(default, deserialize_with = "go::list")]
    layers: Vec<RawDescriptor>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(cache: &'a Cache) -> Self {
        Walk { cache, documents: HashMap::new() }
    }

    /// What one entry of `index.json` leads to.
    pub(super) fn reach(&mut self, entry: &Descriptor) -> Result<Reach> {
        let mut reach = Reach::default();
        // The file itself is the outermost index.
        reach.complete = self.visit(entry, 1, &mut reach.blobs)?;
        Ok(reach)
    }

    /// What several entries lead to.
    pub(super) fn reach_all<'b>(
        &mut self,
        entries: impl IntoIterator<Item = &'b Descriptor>,
    ) -> Result<BTreeSet<Digest>> {
        let mut blobs = BTreeSet::new();
        for entry in entries {
            self.visit(entry, 1, &mut blobs)?;
        }
        Ok(blobs)
    }

    /// Adds what a descriptor leads to; `level` counts the indexes around it. Whether an image is complete there.
    fn visit(&mut self, descriptor: &Descriptor, level: usize, blobs: &mut BTreeSet<Digest>) -> Result<bool> {
        blobs.insert(descriptor.digest);
        match document_class(&descriptor.media_type) {
            DocumentClass::Index if level >= INDEX_NESTING => return Ok(false),
            DocumentClass::Index | DocumentClass::Manifest => {}
            DocumentClass::Schema1 | DocumentClass::Other => return Ok(self.cache.contains(descriptor)),
        }
        match self.document(descriptor)? {
            None => Ok(false),
            Some(Document::Manifest { blobs: named, foreign }) => {
                blobs.extend(named.iter().map(|blob| blob.digest));
                Ok(!foreign && named.iter().all(|blob| self.cache.contains(blob)))
            }
            Some(Document::Index(entries)) => {
                let mut images = 0_usize;
                let mut complete = true;
                for entry in &entries {
                    // A platform that was never fetched is not missing.
                    if self.cache.contains(entry) {
                        complete &= self.visit(entry, level.saturating_add(1), blobs)?;
                        images = images.saturating_add(usize::from(entry.artifact().is_none()));
                    }
                }
                Ok(complete && images > 0)
            }
        }
    }

    /// Reads a document, if it is there and intact.
    fn document(&mut self, descriptor: &Descriptor) -> Result<Option<Document>> {
        if let Some(known) = self.documents.get(&descriptor.digest) {
            return Ok(known.clone());
        }
        let bytes = if descriptor.size > MANIFEST_BYTES { None } else { self.cache.peek(descriptor)? };
        let document = bytes.as_deref().and_then(parse);
        self.documents.insert(descriptor.digest, document.clone());
        Ok(document)
    }
}

fn parse(bytes: &[u8]) -> Option<Document> {
    let fields: Fields = serde_json::from_slice(bytes).ok()?;
    let check = |parsed: &RawDescriptor| Descriptor::check(parsed, "").ok();
    if let Some(manifests) = fields.manifests {
        return Some(Document::Index(manifests.iter().flatten().filter_map(check).collect()));
    }
    let named: Vec<_> = fields.config.iter().chain(&fields.layers).collect();
    let blobs: Vec<_> = named.iter().copied().filter_map(check).collect();
    Some(Document::Manifest { foreign: blobs.len() < named.len(), blobs })
}
