//! Descriptors: how one document refers to another, or to a blob.
//!
//! descriptor.md of the image specification. A [`Descriptor`] has been checked: its digest follows the grammar, its
//! size is one that a file can have, and its content is not to be fetched from somewhere else (`urls`).

use crate::artifact::{self, Artifact};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::go;
use crate::media_type::{DocumentClass, MediaType, document_class};
use crate::platform::Platform;
use std::collections::BTreeMap;

/// The annotation that names an image in a layout's `index.json`.
pub(crate) const REF_NAME: &str = oci_spec::image::ANNOTATION_REF_NAME;
/// The annotation in which containerd and Docker keep the full name next to it.
pub(crate) const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The annotation by which BuildKit marks an index entry that says something about another entry.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// A checked reference to content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What the content is said to be.
    pub media_type: MediaType,
    /// The content's digest.
    pub digest: Digest,
    /// The content's size in bytes.
    pub size: u64,
    /// In an index: the platform of the image. `None` also where os or architecture is empty.
    pub platform: Option<Platform>,
    /// What the manifest is, where that is something else than an image.
    pub artifact_type: Option<String>,
    /// Annotations, by key.
    pub annotations: BTreeMap<String, String>,
}

/// A descriptor as it stands in a document, before it is checked. What is missing or null is empty.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RawDescriptor {
    #[serde(deserialize_with = "go::or_zero")]
    media_type: String,
    #[serde(deserialize_with = "go::or_zero")]
    digest: String,
    #[serde(deserialize_with = "go::or_zero")]
    size: i64,
    #[serde(deserialize_with = "go::list")]
    urls: Vec<String>,
    #[serde(deserialize_with = "go::or_zero")]
    platform: RawPlatform,
    artifact_type: Option<String>,
    #[serde(deserialize_with = "go::texts")]
    annotations: BTreeMap<String, String>,
}

/// What a descriptor says of the platform. The other fields of the specification are for other systems than Linux.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct RawPlatform {
    #[serde(deserialize_with = "go::or_zero")]
    os: String,
    #[serde(deserialize_with = "go::or_zero")]
    architecture: String,
    variant: Option<String>,
}

impl Descriptor {
    /// A descriptor that says of its content what it must, and nothing else.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Descriptor { media_type, digest, size, platform: None, artifact_type: None, annotations: BTreeMap::new() }
    }

    /// Checks a descriptor as parsed. `what` names the document it stands in.
    ///
    /// # Errors
    /// A digest that is not accepted, a size that no file has, or content that is to be fetched elsewhere.
    pub fn check(parsed: &RawDescriptor, what: &str) -> Result<Self> {
        let digest: Digest = parsed.digest.parse().map_err(|source| Error::Digest { what: what.to_owned(), source })?;
        let Ok(size) = u64::try_from(parsed.size) else {
            return Err(Error::malformed(what, format!("{digest} is said to have {} bytes", parsed.size)));
        };
        if let Some(url) = parsed.urls.first() {
            let url = crate::digest::shorten(url);
            return Err(Error::unsupported(
                what,
                format!("the content of {digest} is to be fetched from {url:?}, which is never done"),
            ));
        }
        let RawPlatform { os, architecture, variant } = &parsed.platform;
        let artifact_type = parsed.artifact_type.as_deref().filter(|text| artifact::tells(text));
        Ok(Descriptor {
            media_type: parsed.media_type(),
            digest,
            size,
            platform: platform_of_parts(os, architecture, variant.as_deref()),
            artifact_type: artifact_type.map(str::to_owned),
            annotations: parsed.annotations.clone(),
        })
    }

    /// The name of an image in a layout's `index.json`.
    pub fn ref_name(&self) -> Option<&str> {
        self.annotations.get(REF_NAME).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Whether an index's entry says something about an image (provenance, a bill of materials) instead of being one.
    pub fn is_attestation(&self) -> bool {
        self.annotations.contains_key(REFERENCE_TYPE) || self.platform.as_ref().is_some_and(Platform::is_unknown)
    }

    /// What an index's entry is by its own account, where that is neither an image nor an index.
    pub fn artifact(&self) -> Option<Artifact> {
        if self.is_attestation() {
            return Some(artifact::attestation());
        }
        let is_other = document_class(&self.media_type) == DocumentClass::Other;
        let own = is_other.then(|| self.media_type.as_ref());
        (is_other || self.artifact_type.is_some())
            .then(|| artifact::describe(self.artifact_type.as_deref().into_iter().chain(own)))
    }
}

impl RawDescriptor {
    /// What the content is said to be.
    pub fn media_type(&self) -> MediaType {
        MediaType::from(&*self.media_type)
    }

    /// The digest as it was written.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// A platform from the fields of a document, which may be empty.
pub(crate) fn platform_of_parts(os: &str, architecture: &str, variant: Option<&str>) -> Option<Platform> {
    (!os.is_empty() && !architecture.is_empty()).then(|| Platform::new(os, architecture, variant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_error::ErrorKind;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn check(json: &str) -> Result<Descriptor> {
        Descriptor::check(&serde_json::from_str(json).expect("JSON of a descriptor"), "the index")
    }

    #[test]
    fn a_descriptor_with_everything() {
        let json = format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{HEX}","size":7,
                "platform":{{"os":"linux","architecture":"arm","variant":"v6"}},"urls":[],
                "annotations":{{"org.opencontainers.image.ref.name":"latest"}}}}"#
        );
        let descriptor = check(&json).expect("checked");
        assert_eq!(descriptor.platform, Some(Platform::new("linux", "arm", Some("v6"))));
        assert_eq!(descriptor.ref_name(), Some("latest"));
        assert!(!descriptor.is_attestation());
    }

    #[test]
    fn attestations_are_recognised() {
        for extra in [
            r#""platform":{"os":"unknown","architecture":"unknown"}"#,
            r#""annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#,
        ] {
            let json = format!(r#"{{"mediaType":"x","digest":"sha256:{HEX}","size":7,{extra}}}"#);
            assert!(check(&json).expect("checked").is_attestation(), "{extra}");
        }
    }

    #[test]
    fn artifacts_say_what_they_are() {
        let manifest = "application/vnd.oci.image.manifest.v1+json";
        for (media_type, artifact_type, expected) in [
            (manifest, "application/spdx+json", Some("a bill of materials (SBOM)")),
            (manifest, "application/vnd.oci.image.config.v1+json", None),
            (manifest, "", None),
            ("application/vnd.oci.artifact.manifest.v1+json", "application/x-mine", Some("an artifact")),
            ("application/vnd.in-toto+json", "", Some("an attestation")),
        ] {
            let json = format!(
                r#"{{"mediaType":"{media_type}","digest":"sha256:{HEX}","size":7,"artifactType":"{artifact_type}"}}"#
            );
            let artifact = check(&json).expect("checked").artifact();
            assert_eq!(artifact.map(|artifact| artifact.sort), expected, "{media_type} {artifact_type}");
        }
    }

    #[test]
    fn foreign_content_odd_sizes_and_digests_are_refused() {
        let cases = [
            (format!(r#""digest":"sha256:{HEX}","size":7,"urls":["http://10.0.0.1/x"]"#), ErrorKind::Unsupported),
            (format!(r#""digest":"sha256:{HEX}","size":-1"#), ErrorKind::Integrity),
            (r#""digest":"md5:d41d8cd98f00b204e9800998ecf8427e","size":7"#.to_owned(), ErrorKind::Integrity),
            (r#""digest":null,"size":7"#.to_owned(), ErrorKind::Integrity),
            (r#""size":7"#.to_owned(), ErrorKind::Integrity),
        ];
        for (fields, kind) in cases {
            let error = check(&format!(r#"{{"mediaType":"x",{fields}}}"#)).expect_err(&fields);
            assert_eq!(error.kind(), kind, "{error}");
        }
        for size in [u64::MAX.to_string(), "7.5".to_owned(), "\"7\"".to_owned()] {
            let json = format!(r#"{{"mediaType":"x","digest":"sha256:{HEX}","size":{size}}}"#);
            assert!(serde_json::from_str::<RawDescriptor>(&json).is_err(), "{json}");
        }
    }

    #[test]
    fn nulls_are_what_go_takes_them_for() {
        let bare = check(&format!(r#"{{"digest":"sha256:{HEX}"}}"#)).expect("checked");
        assert_eq!((bare.size, bare.platform.as_ref(), bare.media_type.as_ref()), (0, None, ""));
        for fields in [
            r#""mediaType":null,"size":null,"urls":null,"platform":null,"annotations":null,"data":null,"artifactType":null"#,
            r#""platform":{"os":null,"architecture":null,"variant":null,"os.version":null,"os.features":null,"features":null}"#,
            r#""platform":{},"annotations":{},"unheard-of":{"of":[null]}"#,
            r#""platform":{"os":"linux"}"#,
        ] {
            let json = format!(r#"{{"digest":"sha256:{HEX}",{fields}}}"#);
            assert_eq!(check(&json).expect(&json), bare, "{json}");
        }
        let annotated = check(&format!(r#"{{"digest":"sha256:{HEX}","annotations":{{"a":null,"b":"c"}}}}"#));
        let annotations: Vec<_> = annotated.expect("checked").annotations.into_iter().collect();
        assert_eq!(annotations, [("a", ""), ("b", "c")].map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}
