//! The documents of an image as they are written (image specification 1.1, manifest.md and config.md): fields in the order
//! of the specification, maps by their keys, no time, so that the same image makes the same bytes.

use std::collections::BTreeMap;

use banger_oci::{Descriptor, Digest, Platform};
use serde::Serialize;

use crate::error::{Error, Result};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// What an annotation calls the file that a blob is: programs that fetch artifacts give it that name.
pub(crate) const TITLE: &str = "org.opencontainers.image.title";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    config: Reference<'a>,
    layers: Vec<Reference<'a>>,
    annotations: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference<'a> {
    media_type: &'a str,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Config<'a> {
    architecture: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
    os: &'a str,
    config: Runtime<'a>,
    rootfs: RootFs,
    history: Vec<History<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Runtime<'a> {
    labels: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct RootFs {
    r#type: &'static str,
    diff_ids: Vec<String>,
}

#[derive(Serialize)]
struct History<'a> {
    created_by: &'a str,
}

/// A layer: where it is, and the digest of what is in it.
pub(crate) struct Layer<'a> {
    pub(crate) descriptor: &'a Descriptor,
    pub(crate) diff_id: Digest,
    /// What it is, for the history.
    pub(crate) what: &'a str,
}

/// The config and the manifest of an image of these layers.
pub(crate) fn write(
    artifact_type: Option<&str>,
    name: &str,
    platform: &Platform,
    layers: &[Layer<'_>],
) -> Result<(Vec<u8>, Vec<u8>)> {
    let config = Config {
        architecture: platform.architecture(),
        variant: platform.variant(),
        os: platform.os(),
        config: Runtime { labels: BTreeMap::from([(TITLE, name)]) },
        rootfs: RootFs { r#type: "layers", diff_ids: layers.iter().map(|layer| layer.diff_id.to_string()).collect() },
        history: layers.iter().map(|layer| History { created_by: layer.what }).collect(),
    };
    let config = json(&config)?;
    let none = BTreeMap::new();
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST,
        artifact_type,
        config: Reference {
            media_type: CONFIG,
            digest: Digest::sha256(&config).to_string(),
            size: config.len() as u64,
            annotations: &none,
        },
        layers: layers.iter().map(|layer| reference(layer.descriptor)).collect(),
        annotations: BTreeMap::from([(TITLE, name)]),
    };
    Ok((config, json(&manifest)?))
}

fn reference(descriptor: &Descriptor) -> Reference<'_> {
    Reference {
        media_type: descriptor.media_type.as_ref(),
        digest: descriptor.digest.to_string(),
        size: descriptor.size,
        annotations: &descriptor.annotations,
    }
}

fn json(document: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|source| Error::Document { source })
}
