//! A managed image as an artifact: an image manifest whose layers are the image's bundle and, where it has one, the archive
//! of its kernel (image specification 1.1, "Guidelines for Artifact Usage").
//!
//! Config and layers are of the types that container images have, so that registries take it and programs for such images
//! can copy and inspect it. What tells it apart is its `artifactType`; what tells the layers apart is an annotation. The
//! number in the type is that of the format: another one is not guessed at.
//!
//! A copy may lose the type (a docker archive has no manifest), and its layers their compression. The config stays as it
//! was, and its history says what the layers are: such a copy is recognised and refused, since its files would otherwise
//! be taken for those of a root file system.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use banger_disk::Observer;
use banger_oci::{Config, Descriptor, Manifest, MediaType};

use crate::document::TITLE;
use crate::error::{Error, Result};
use crate::measure;
use crate::package::{Facts, Layer, Package};

/// What the manifest says that it is.
pub const TYPE: &str = "application/vnd.banger.image.v1";

/// What the types of all versions begin with; the number follows.
const TYPES: &str = "application/vnd.banger.image.v";

/// The annotation of a layer that says what it is.
pub const CONTENT: &str = "vnd.banger.content";

/// The layer that is the image's bundle; it is the first.
pub const BUNDLE: &str = "bundle";

/// The layer that is the archive of the image's kernel.
pub const KERNEL: &str = "kernel";

/// What the history in the config calls the layers.
const BUNDLE_HISTORY: &str = "image bundle";
const KERNEL_HISTORY: &str = "kernel archive";

/// Digits of a digest in the name of a file.
const DIGITS: usize = 16;

/// A managed image in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its bundle.
    pub bundle: Descriptor,
    /// The archive of its kernel.
    pub kernel: Option<Descriptor>,
}

/// Says whether an image is a managed one, by its manifest, as far as its source has one, and its config. `None` is any
/// other image.
///
/// # Errors
/// It calls itself one, but is of another version, or not as that version has it; or it is a copy that lost its type.
pub fn recognise(manifest: Option<&Manifest>, config: Option<&Config>) -> Result<Option<Artifact>> {
    let found = manifest.map(of_manifest).transpose()?.flatten();
    match found {
        None if config.is_some_and(is_made_here) => Err(Error::Altered),
        found => Ok(found),
    }
}

/// Whether the history says that the layers are a bundle and the archive of a kernel.
fn is_made_here(config: &Config) -> bool {
    #[derive(serde::Deserialize)]
    struct Fields {
        history: Vec<Entry>,
    }
    #[derive(serde::Deserialize)]
    struct Entry {
        created_by: String,
    }
    let Ok(Fields { history }) = serde_json::from_slice(config.raw()) else { return false };
    let made: Vec<&str> = history.iter().map(|entry| entry.created_by.as_str()).collect();
    matches!(made[..], [BUNDLE_HISTORY] | [BUNDLE_HISTORY, KERNEL_HISTORY])
}

fn of_manifest(manifest: &Manifest) -> Result<Option<Artifact>> {
    let Some(artifact_type) = manifest.artifact_type.as_deref() else { return Ok(None) };
    let Some(version) = artifact_type.strip_prefix(TYPES) else { return Ok(None) };
    if artifact_type != TYPE {
        let is_number = (1..=9).contains(&version.len()) && version.bytes().all(|byte| byte.is_ascii_digit());
        return Err(if is_number {
            Error::Newer { artifact_type: artifact_type.to_owned(), known: TYPE }
        } else {
            Error::malformed(format!("{:?} is no version of the format", shown(version)))
        });
    }
    let (first, rest) = manifest.layers.split_first().ok_or_else(|| Error::malformed("it has no layers"))?;
    let bundle = layer(first, BUNDLE)?;
    let kernel = match rest {
        [] => None,
        [kernel] => Some(layer(kernel, KERNEL)?),
        more => return Err(Error::malformed(format!("it has {} layers", more.len().saturating_add(1)))),
    };
    Ok(Some(Artifact { bundle, kernel }))
}

fn layer(descriptor: &Descriptor, expected: &str) -> Result<Descriptor> {
    let content = descriptor.annotations.get(CONTENT).map(String::as_str);
    if content != Some(expected) {
        let content = content.map_or("nothing".to_owned(), |content| format!("{:?}", shown(content)));
        return Err(Error::malformed(format!("a layer says that it is {content} instead of {expected:?}")));
    }
    if descriptor.media_type != MediaType::ImageLayerZstd {
        let media_type = shown(descriptor.media_type.as_ref());
        return Err(Error::malformed(format!("the {expected} is of type {media_type:?}")));
    }
    Ok(descriptor.clone())
}

/// As much of a foreign text as an error shows.
fn shown(text: &str) -> String {
    const SHOWN: usize = 80;
    text.chars().take(SHOWN).collect()
}

/// Makes an artifact of an image's bundle and the archive of its kernel, which stay where they are. The observer is told how
/// much of them has been read.
///
/// # Errors
/// A file cannot be read, or is not compressed with zstd; or it was cancelled.
pub fn make(facts: &Facts, bundle: &Path, kernel: Option<&Path>, observer: &dyn Observer) -> Result<Package> {
    let mut files = vec![(bundle, BUNDLE, BUNDLE_HISTORY)];
    files.extend(kernel.map(|kernel| (kernel, KERNEL, KERNEL_HISTORY)));
    let mut opened = Vec::new();
    let mut total = 0_u64;
    for (path, content, what) in files {
        let file = File::open(path).map_err(Error::io("open", path))?;
        total = total.saturating_add(Layer::length(&file, path)?);
        opened.push((file, path, content, what));
    }
    let mut layers = Vec::new();
    let mut before = 0_u64;
    for (file, path, content, what) in opened {
        let measured = measure::archive(&file, path, (before, total), observer)?;
        before = before.saturating_add(measured.size);
        let digits: String = measured.digest.hex().chars().take(DIGITS).collect();
        let name = if content == BUNDLE { facts.name.clone() } else { format!("{}-{content}", facts.name) };
        let title = format!("{name}-{digits}.tar.zst");
        let annotations = BTreeMap::from([(CONTENT.to_owned(), content.to_owned()), (TITLE.to_owned(), title)]);
        let blob = Descriptor::new(MediaType::ImageLayerZstd, measured.digest, measured.size);
        let descriptor = Descriptor { annotations, ..blob };
        layers.push(Layer { descriptor, diff_id: measured.diff_id, what, file });
    }
    Package::new(Some(TYPE), facts, layers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

    fn manifest(artifact_type: &str, layers: &[(&str, Option<&str>)]) -> Manifest {
        let digest = banger_oci::Digest::sha256(b"x");
        let layers: Vec<_> = layers
            .iter()
            .map(|(media_type, content)| {
                let annotations = content.map(|content| format!(r#","annotations":{{"{CONTENT}":"{content}"}}"#));
                format!(
                    r#"{{"mediaType":"{media_type}","digest":"{digest}","size":1{}}}"#,
                    annotations.unwrap_or_default()
                )
            })
            .collect();
        let text = format!(
            r#"{{"schemaVersion":2,{artifact_type}"config":{{"mediaType":"application/vnd.oci.image.config.v1+json",
                "digest":"{digest}","size":1}},"layers":[{}]}}"#,
            layers.join(",")
        );
        Manifest::parse(text.as_bytes(), "the manifest", None).expect("a manifest")
    }

    fn typed(artifact_type: &str) -> String {
        format!(r#""artifactType":"{artifact_type}","#)
    }

    #[test]
    fn ours_are_recognised_and_others_are_not() {
        let bundle = (ZSTD, Some(BUNDLE));
        let kernel = (ZSTD, Some(KERNEL));
        let with = of_manifest(&manifest(&typed(TYPE), &[bundle, kernel])).expect("ours").expect("ours");
        assert!(with.kernel.is_some());
        let without = of_manifest(&manifest(&typed(TYPE), &[bundle])).expect("ours").expect("ours");
        assert!(without.kernel.is_none());
        for other in [
            "",
            &typed("application/vnd.example"),
            &typed("application/vnd.banger.kernel.v1"),
            r#""artifactType":null,"#,
        ] {
            assert_eq!(of_manifest(&manifest(other, &[bundle, kernel])).expect("another"), None, "{other}");
        }
    }

    #[test]
    fn a_copy_without_its_type_is_known_by_its_history() {
        let config = |history: &str| {
            let text = format!(r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers"}}{history}}}"#);
            Config::parse(text.into_bytes(), "the config").expect("a config").0
        };
        let ours = config(r#","history":[{"created_by":"image bundle"},{"created_by":"kernel archive"}]"#);
        let plain = manifest("", &[(GZIP, None), (GZIP, None)]);
        assert!(matches!(recognise(None, Some(&ours)), Err(Error::Altered)));
        assert!(matches!(recognise(Some(&plain), Some(&ours)), Err(Error::Altered)));
        let typed = manifest(&typed(TYPE), &[(ZSTD, Some(BUNDLE)), (ZSTD, Some(KERNEL))]);
        assert!(recognise(Some(&typed), Some(&ours)).expect("ours").is_some());
        for history in
            ["", r#","history":[{"created_by":"/bin/sh"},{"created_by":"image bundle"}]"#, r#","history":[]"#]
        {
            assert_eq!(recognise(Some(&plain), Some(&config(history))).expect("another"), None, "{history}");
        }
    }

    #[test]
    fn what_only_calls_itself_ours_is_refused() {
        let (bundle, kernel) = ((ZSTD, Some(BUNDLE)), (ZSTD, Some(KERNEL)));
        type Case<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)], &'a str);
        let cases: [Case<'_>; 10] = [
            ("application/vnd.banger.image.v2", &[bundle], "made by a newer banger"),
            ("application/vnd.banger.image.v10", &[], "made by a newer banger"),
            ("application/vnd.banger.image.v1beta", &[bundle], "no version of the format"),
            ("application/vnd.banger.image.v", &[bundle], "no version of the format"),
            (TYPE, &[], "no layers"),
            (TYPE, &[kernel, bundle], "says that it is \"kernel\" instead of \"bundle\""),
            (TYPE, &[bundle, bundle], "instead of \"kernel\""),
            (TYPE, &[bundle, kernel, kernel], "it has 3 layers"),
            (TYPE, &[(ZSTD, None)], "says that it is nothing"),
            (TYPE, &[(GZIP, Some(BUNDLE))], "is of type"),
        ];
        for (artifact_type, layers, reason) in cases {
            let error = of_manifest(&manifest(&typed(artifact_type), layers)).expect_err(reason);
            assert!(error.to_string().contains(reason), "{error}");
            assert_eq!(error.kind(), crate::ErrorKind::Integrity);
        }
    }
}
