//! Image manifests (manifest.md of the image specification; Docker's version 2, schema 2).

use crate::artifact::{self, Artifact};
use crate::descriptor::{Descriptor, RawDescriptor};
use crate::document::{self, Shape};
use crate::error::{Error, Result};
use crate::go;
use crate::index::Index;
use crate::limits::{CONFIG_BYTES, LAYERS};
use crate::media_type::{LayerClass, MediaType, is_image_config, layer_class};

/// A checked image manifest: a config, and layers that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The image's config.
    pub config: Descriptor,
    /// The layers, the lowest first. An image without layers is an empty file system.
    pub layers: Vec<Descriptor>,
    /// What it is besides an image, as its author says.
    pub artifact_type: Option<String>,
    /// Whether it says that it belongs to another manifest, as signatures do.
    pub has_subject: bool,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields {
    #[serde(deserialize_with = "go::or_zero")]
    config: RawDescriptor,
    #[serde(deserialize_with = "go::list")]
    layers: Vec<RawDescriptor>,
    artifact_type: Option<String>,
    subject: Option<serde::de::IgnoredAny>,
}

impl Fields {
    /// What it is, if it is something else than a container image.
    fn artifact(&self) -> Artifact {
        let layers = self.layers.iter().map(RawDescriptor::media_type);
        let others = layers.filter(|media_type| layer_class(media_type) == LayerClass::Other);
        let types: Vec<MediaType> = std::iter::once(self.config.media_type()).chain(others).collect();
        artifact::describe(self.artifact_type.as_deref().into_iter().chain(types.iter().map(AsRef::as_ref)))
    }
}

impl Manifest {
    /// Whether it claims to be nothing but an image: no artifact of some type, and nobody's signature.
    pub(crate) fn is_only_image(&self) -> bool {
        !self.has_subject && self.artifact_type.as_deref().is_none_or(|text| !artifact::tells(text))
    }

    /// Parses and checks a manifest. `what` names it in errors; `found_as` is the media type under which it was found.
    ///
    /// # Errors
    /// It is not, or not clearly, a manifest; it is not of a container image; a layer is of a kind that cannot be
    /// read; there are too many layers.
    pub fn parse(bytes: &[u8], what: &str, found_as: Option<&MediaType>) -> Result<Self> {
        if document::shape(bytes, what, found_as)? != Shape::Manifest {
            return Err(Error::malformed(what, "it is an index where a manifest is needed"));
        }
        let fields: Fields =
            serde_json::from_slice(bytes).map_err(|source| Error::Json { what: what.to_owned(), source })?;
        let config = Descriptor::check(&fields.config, what)?;
        let no_image = || Error::Artifact { what: what.to_owned(), artifact: fields.artifact() };
        if !is_image_config(&config.media_type) {
            return Err(no_image());
        }
        if config.size > CONFIG_BYTES {
            return Err(Error::Limit {
                what: format!("the config of {what}"),
                actual: config.size,
                limit: CONFIG_BYTES,
                unit: "bytes",
            });
        }
        let layers = &fields.layers;
        if layers.len() > LAYERS {
            return Err(too_many_layers(what, layers.len()));
        }
        // Signatures of cosign have the config of an image.
        if layers.iter().any(|layer| layer_class(&layer.media_type()) == LayerClass::Other) {
            return Err(no_image());
        }
        let layers = layers
            .iter()
            .map(|layer| {
                // A non-distributable layer comes with `urls`; its media type says better why it is refused.
                check_layer(layer, what)?;
                Descriptor::check(layer, what)
            })
            .collect::<Result<_>>()?;
        Ok(Manifest { config, layers, artifact_type: fields.artifact_type, has_subject: fields.subject.is_some() })
    }
}

/// Everything that an index or a manifest refers to, whatever that is: what a copy of it must have too.
///
/// # Errors
/// It is not, or not clearly, one of both; a descriptor breaks a rule of [`Descriptor`]; there are too many of them.
pub fn references(bytes: &[u8], what: &str, found_as: Option<&MediaType>) -> Result<Vec<Descriptor>> {
    if document::shape(bytes, what, found_as)? == Shape::Index {
        return Ok(Index::parse(bytes, what, found_as)?.entries);
    }
    let fields: Fields =
        serde_json::from_slice(bytes).map_err(|source| Error::Json { what: what.to_owned(), source })?;
    let layers = fields.layers;
    if layers.len() > LAYERS {
        return Err(too_many_layers(what, layers.len()));
    }
    std::iter::once(&fields.config).chain(&layers).map(|entry| Descriptor::check(entry, what)).collect()
}

fn too_many_layers(what: &str, layers: usize) -> Error {
    Error::Limit { what: what.to_owned(), actual: layers as u64, limit: LAYERS as u64, unit: "layers" }
}

fn check_layer(layer: &RawDescriptor, what: &str) -> Result<()> {
    let digest = crate::digest::shorten(layer.digest());
    let refuse = |reason: &str| Err(Error::unsupported(what, format!("layer {digest} {reason}")));
    match layer_class(&layer.media_type()) {
        LayerClass::Layer(_) | LayerClass::Other => Ok(()),
        LayerClass::NonDistributable => {
            refuse("is not distributable: its content is kept elsewhere, and is never fetched from there")
        }
        LayerClass::Encrypted => refuse("is encrypted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_error::ErrorKind;

    const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

    fn descriptor(media_type: &str, extra: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"sha256:{}","size":1{extra}}}"#, "0".repeat(64))
    }

    fn manifest(config: &str, layers: &[String]) -> Result<Manifest> {
        let json = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, layers.join(","));
        Manifest::parse(json.as_bytes(), "the manifest", None)
    }

    #[test]
    fn no_layers_are_valid() {
        let config = descriptor(CONFIG, "");
        assert!(manifest(&config, &[]).expect("valid").layers.is_empty());
        for json in [format!(r#"{{"config":{config},"layers":null}}"#), format!(r#"{{"config":{config}}}"#)] {
            assert!(Manifest::parse(json.as_bytes(), "the manifest", None).expect("valid").layers.is_empty());
        }
    }

    #[test]
    fn the_number_of_layers_is_limited() {
        let config = descriptor(CONFIG, "");
        let layer = descriptor(LAYER, "");
        assert_eq!(manifest(&config, &vec![layer.clone(); LAYERS]).expect("at the limit").layers.len(), LAYERS);
        let error = manifest(&config, &vec![layer; LAYERS + 1]).expect_err("over the limit");
        assert!(matches!(error, Error::Limit { unit: "layers", .. }), "{error}");
    }

    #[test]
    fn what_is_no_container_image_is_refused_by_name() {
        let config = descriptor(CONFIG, "");
        let large = config.replace(r#""size":1"#, r#""size":8388609"#);
        let urls = r#","urls":["http://169.254.169.254/latest/meta-data"]"#;
        let cases = [
            (descriptor("application/vnd.cncf.helm.config.v1+json", ""), vec![], ErrorKind::Unsupported, "helm"),
            (large, vec![], ErrorKind::Integrity, "8388609 bytes"),
            (config.clone(), vec![descriptor(LAYER, urls)], ErrorKind::Unsupported, "never done"),
            (descriptor(CONFIG, urls), vec![], ErrorKind::Unsupported, "never done"),
            (
                config.clone(),
                vec![descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", urls)],
                ErrorKind::Unsupported,
                "not distributable",
            ),
            (config.clone(), vec![descriptor(&format!("{LAYER}+encrypted"), "")], ErrorKind::Unsupported, "encrypted"),
            (config.clone(), vec![descriptor("application/x-unheard-of", "")], ErrorKind::Unsupported, "unheard-of"),
        ];
        for (config, layers, kind, text) in cases {
            let error = manifest(&config, &layers).expect_err(text);
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
