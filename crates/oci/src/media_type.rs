//! Media types: what a descriptor says that its blob is.
//!
//! The image specification's types and Docker's equivalents are accepted alike (media-types.md, "Compatibility
//! Matrix"). Layers that may not be distributed, that are encrypted, or that are no layers at all are told apart, so
//! that the refusal can say which.

pub use oci_spec::image::MediaType;

const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";
const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1";
/// What some registries and old builders say of a config when they know nothing better.
const UNKNOWN_BYTES: &str = "application/octet-stream";

/// How the bytes of a layer are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all: a plain tar archive.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Compression {
    /// Bytes that [`Compression::detect`] wants to see.
    pub const MAGIC_BYTES: usize = 4;

    /// What the first bytes of a blob say. Anything that is not known to be compressed is taken to be plain.
    pub fn detect(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            // A zstd stream may begin with a skippable frame.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "plain tar",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }
}

/// What a document's media type says that the document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DocumentClass {
    Index,
    Manifest,
    /// Docker's image manifest version 2, schema 1.
    Schema1,
    Other,
}

pub(crate) fn document_class(media_type: &MediaType) -> DocumentClass {
    match media_type {
        MediaType::ImageIndex => DocumentClass::Index,
        MediaType::ImageManifest => DocumentClass::Manifest,
        MediaType::Other(text) => match text.as_str() {
            DOCKER_INDEX => DocumentClass::Index,
            DOCKER_MANIFEST => DocumentClass::Manifest,
            text if text.starts_with(DOCKER_SCHEMA_1) => DocumentClass::Schema1,
            _ => DocumentClass::Other,
        },
        _ => DocumentClass::Other,
    }
}

/// Whether content of this type is an index or a manifest: registries keep those apart from blobs.
pub fn is_document(media_type: &MediaType) -> bool {
    document_class(media_type) != DocumentClass::Other
}

/// Whether a config of this type describes a container image.
pub fn is_image_config(media_type: &MediaType) -> bool {
    match media_type {
        MediaType::ImageConfig => true,
        MediaType::Other(text) => matches!(text.as_str(), DOCKER_CONFIG | UNKNOWN_BYTES),
        _ => false,
    }
}

/// What a layer's media type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayerClass {
    Layer(Compression),
    NonDistributable,
    Encrypted,
    Other,
}

pub(crate) fn layer_class(media_type: &MediaType) -> LayerClass {
    match media_type {
        MediaType::ImageLayer => LayerClass::Layer(Compression::None),
        MediaType::ImageLayerGzip => LayerClass::Layer(Compression::Gzip),
        MediaType::ImageLayerZstd => LayerClass::Layer(Compression::Zstd),
        MediaType::ImageLayerNonDistributable
        | MediaType::ImageLayerNonDistributableGzip
        | MediaType::ImageLayerNonDistributableZstd => LayerClass::NonDistributable,
        MediaType::Other(text) if text.ends_with("+encrypted") => LayerClass::Encrypted,
        MediaType::Other(text) if text.starts_with(DOCKER_FOREIGN_LAYER) => LayerClass::NonDistributable,
        MediaType::Other(text) => match text.strip_prefix(DOCKER_LAYER) {
            Some("") => LayerClass::Layer(Compression::None),
            Some(".gzip") => LayerClass::Layer(Compression::Gzip),
            Some(".zstd") => LayerClass::Layer(Compression::Zstd),
            _ => LayerClass::Other,
        },
        _ => LayerClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_told_by_the_first_bytes() {
        let cases: [(&[u8], Compression); 6] = [
            (&[0x1f, 0x8b, 8, 0], Compression::Gzip),
            (&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd),
            (&[0x5a, 0x2a, 0x4d, 0x18], Compression::Zstd),
            (b"./et", Compression::None),
            (&[0x1f], Compression::None),
            (&[], Compression::None),
        ];
        for (head, expected) in cases {
            assert_eq!(Compression::detect(head), expected, "{head:?}");
        }
    }

    #[test]
    fn docker_media_types_mean_the_same_as_the_specifications() {
        assert_eq!(document_class(&DOCKER_INDEX.into()), DocumentClass::Index);
        assert_eq!(document_class(&DOCKER_MANIFEST.into()), DocumentClass::Manifest);
        for schema_1 in ["+json", "+prettyjws"] {
            assert_eq!(document_class(&format!("{DOCKER_SCHEMA_1}{schema_1}").as_str().into()), DocumentClass::Schema1);
        }
        assert_eq!(document_class(&"text/html".into()), DocumentClass::Other);
        assert!(is_image_config(&DOCKER_CONFIG.into()));
        assert!(!is_image_config(&"application/vnd.cncf.helm.config.v1+json".into()));
    }

    #[test]
    fn layers_are_told_from_what_cannot_be_one() {
        let cases = [
            ("application/vnd.oci.image.layer.v1.tar", LayerClass::Layer(Compression::None)),
            ("application/vnd.oci.image.layer.v1.tar+gzip", LayerClass::Layer(Compression::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+zstd", LayerClass::Layer(Compression::Zstd)),
            ("application/vnd.docker.image.rootfs.diff.tar", LayerClass::Layer(Compression::None)),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", LayerClass::Layer(Compression::Gzip)),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", LayerClass::NonDistributable),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar", LayerClass::NonDistributable),
            ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", LayerClass::Encrypted),
            ("application/vnd.in-toto+json", LayerClass::Other),
            ("application/vnd.docker.image.rootfs.diff.tar.lzma", LayerClass::Other),
        ];
        for (text, expected) in cases {
            assert_eq!(layer_class(&text.into()), expected, "{text}");
        }
    }
}
