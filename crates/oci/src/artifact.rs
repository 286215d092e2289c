//! What stands beside images in registries and layouts: signatures, bills of materials, attestations, charts, modules.
//!
//! They are manifests like those of images (image specification 1.1, manifest.md, "Guidelines for Artifact Usage"). No
//! single field tells them apart: `artifactType` is left out by older tools, and cosign's signatures have the config of
//! an image. What decides is whether the config and the layers are those of a file system; the media types here only
//! say what it is instead.

use crate::media_type::{MediaType, is_image_config};

/// What a manifest is that is not one of a container image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// What it is, with its article: "a Helm chart".
    pub sort: &'static str,
    /// The media type that says so, shortened.
    pub media_type: String,
}

impl std::fmt::Display for Artifact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.sort, self.media_type)
    }
}

/// What the media types begin with that are known by a name.
const KNOWN: [(&str, &str); 34] = [
    ("application/vnd.cncf.helm.", "a Helm chart"),
    ("application/vnd.dev.cosign.simplesigning.", "a signature of cosign"),
    ("application/vnd.dev.cosign.artifact.sig.", "a signature of cosign"),
    ("application/vnd.dev.cosign.artifact.sbom.", SBOM),
    ("application/vnd.dev.cosign.", "an artifact of cosign"),
    ("application/vnd.dev.sigstore.bundle", "a signature of Sigstore"),
    ("application/vnd.cncf.notary.", "a signature of Notary"),
    ("application/vnd.in-toto", ATTESTATION),
    ("application/vnd.dsse.envelope.", ATTESTATION),
    ("application/vnd.docker.attestation.", ATTESTATION),
    ("application/spdx", SBOM),
    ("text/spdx", SBOM),
    ("application/vnd.cyclonedx", SBOM),
    ("application/vnd.syft", SBOM),
    ("application/sarif+json", "a report of a scanner"),
    ("application/vnd.security.vuln.report", "a report of a scanner"),
    ("application/vnd.aquasec.trivy.", "a database of Trivy"),
    ("application/vnd.amazon.soci.", "a SOCI index"),
    ("application/vnd.oci.image.layer.nydus.", NYDUS),
    ("application/vnd.nydus.", NYDUS),
    ("application/vnd.wasm.", WASM),
    ("application/vnd.module.wasm.", WASM),
    ("application/wasm", WASM),
    ("application/vnd.bytecodealliance.wasm.", WASM),
    ("application/vnd.sylabs.sif.", "a Singularity image"),
    ("application/vnd.buildkit.cacheconfig.", "a build cache of BuildKit"),
    ("application/vnd.docker.plugin.", "a Docker plugin"),
    ("application/vnd.docker.compose.", "a Compose project"),
    ("application/vnd.docker.ai.", MODEL),
    ("application/vnd.cncf.model.", MODEL),
    ("application/vnd.ollama.", MODEL),
    ("application/vnd.cncf.openpolicyagent.", "a policy of Open Policy Agent"),
    ("application/vnd.cncf.flux.", "an artifact of Flux"),
    ("application/vnd.cncf.kubernetes.", "an artifact of Kubernetes"),
];
const ATTESTATION: &str = "an attestation";
const SBOM: &str = "a bill of materials (SBOM)";
const NYDUS: &str = "an image in Nydus's own format";
const WASM: &str = "a WebAssembly module";
const MODEL: &str = "a model";
const OTHER: &str = "an artifact";

/// The empty config of artifacts, which says nothing (image specification 1.1).
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Says what it is that has these media types, the most telling first. An image's own types tell nothing.
pub(crate) fn describe<'a>(types: impl IntoIterator<Item = &'a str>) -> Artifact {
    let mut first = None;
    for media_type in types.into_iter().filter(|text| tells(text)) {
        if let Some(sort) = sort(media_type) {
            return Artifact { sort, media_type: crate::digest::shorten(media_type) };
        }
        first = first.or(Some(media_type));
    }
    Artifact { sort: OTHER, media_type: crate::digest::shorten(first.unwrap_or(EMPTY)) }
}

/// Whether an `artifactType` says more than that it is an image. A descriptor repeats the type of the config there
/// (image specification 1.1, descriptor.md).
pub(crate) fn tells(artifact_type: &str) -> bool {
    !artifact_type.is_empty() && artifact_type != EMPTY && !is_image_config(&MediaType::from(artifact_type))
}

fn sort(media_type: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(prefix, _)| media_type.starts_with(prefix)).map(|(_, sort)| *sort)
}

/// An entry of an index that its platform or BuildKit's annotation marks as an attestation.
pub(crate) fn attestation() -> Artifact {
    Artifact { sort: ATTESTATION, media_type: "of an image in the same index".to_owned() }
}

/// Whether a name is one that artifacts have which belong to an image: the image's digest with a dash, and perhaps a
/// suffix (cosign's `sha256-HEX.sig`, `.att` and `.sbom`; the distribution specification's tag for referrers).
pub(crate) fn is_companion_name(name: &str) -> bool {
    let tag = name.rsplit_once(':').map_or(name, |(_, tag)| tag);
    let Some(rest) = tag.strip_prefix("sha256-").or_else(|| tag.strip_prefix("sha512-")) else { return false };
    let hex = rest.split('.').next().unwrap_or_default();
    hex.len() >= 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_telling_type_counts() {
        let config = "application/vnd.oci.image.config.v1+json";
        for (types, expected) in [
            (&[EMPTY, "application/spdx+json"][..], "a bill of materials (SBOM) (application/spdx+json)"),
            (
                &[config, "application/vnd.dev.cosign.simplesigning.v1+json"],
                "a signature of cosign (application/vnd.dev.cosign.simplesigning.v1+json)",
            ),
            (&["application/x-mine", "application/vnd.in-toto+json"], "an attestation (application/vnd.in-toto+json)"),
            (&["", "application/x-mine", "text/plain"], "an artifact (application/x-mine)"),
            (&["application/vnd.cncf.helm.config.v1+json"], "a Helm chart (application/vnd.cncf.helm.config.v1+json)"),
            (&[EMPTY], "an artifact (application/vnd.oci.empty.v1+json)"),
        ] {
            assert_eq!(describe(types.iter().copied()).to_string(), expected);
        }
    }

    #[test]
    fn names_of_companions() {
        let hex = "0".repeat(64);
        for (name, expected) in [
            (format!("sha256-{hex}.sig"), true),
            (format!("registry.example:5000/app:sha256-{hex}.att"), true),
            (format!("sha256-{hex}"), true),
            (format!("sha256-{hex}x"), false),
            ("sha256-1.sig".to_owned(), false),
            ("latest".to_owned(), false),
        ] {
            assert_eq!(is_companion_name(&name), expected, "{name}");
        }
    }
}
