//! What `docker save` writes: a tar archive with a `manifest.json`.
//!
//! `manifest.json` lists the images, each with the names of its config and of its layers in the archive. Old Docker
//! calls them `ID.json` and `ID/layer.tar`, where a layer that occurred before is a link to it; newer Docker, whose
//! archives are layouts as well, `blobs/sha256/HEX`; other tools have names of their own. A layer may be compressed.
//!
//! There are no sizes and no digests of layers, except where a member is named by its digest. What is always there
//! are the diff IDs of the config, so every layer is checked once it is unpacked; and the config itself is checked
//! where its name is its digest, as it is in every archive that Docker, Podman or skopeo wrote.

use super::archive::{Archive, Extent};
use super::{OpenOptions, Selector};
use crate::config::Config;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::go;
use crate::image::{Image, Layer, Opener, Warning};
use crate::limits::{ARCHIVE_MANIFEST_BYTES, CONFIG_BYTES, LAYERS};
use crate::reference::Reference;
use crate::select::Wanted;
use crate::verify::Verifier;

const MANIFEST: &str = "manifest.json";

/// An image of the archive, as `manifest.json` lists it.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default, deserialize_with = "go::list")]
    repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "go::list")]
    layers: Vec<String>,
}

impl Entry {
    fn tags(&self) -> &[String] {
        &self.repo_tags
    }
}

/// Opens an image of an archive.
pub(crate) fn open(archive: Archive, image: &Selector, options: &OpenOptions) -> Result<Image> {
    let entries = read_manifest(&archive)?;
    let entry = pick(&archive, &entries, image)?;
    let name = entry.tags().first().cloned();
    let (config, warnings) = read_config(&archive, &entry.config)?;
    let layers = layers(&archive, entry, &config)?;

    let mut image = Image {
        source: archive.name().to_owned(),
        name,
        manifest_digest: Some(image_digest(&config)),
        manifest: None,
        platform: config.platform().cloned(),
        config: Some(config),
        layers,
        warnings,
    };
    check_platform(&mut image, options)?;
    Ok(image)
}

fn read_manifest(archive: &Archive) -> Result<Vec<Entry>> {
    let what = archive.member_name(MANIFEST);
    let Some(bytes) = archive.read(MANIFEST, ARCHIVE_MANIFEST_BYTES)? else {
        if archive.has("oci-layout") {
            let reason = "it has no manifest.json, but is an image layout: name it as oci-archive:FILE";
            return Err(Error::unsupported(archive.name(), reason));
        }
        return Err(Error::Missing {
            what: format!("the file {MANIFEST}, which every archive of `docker save` has,"),
            place: archive.name().to_owned(),
        });
    };
    serde_json::from_slice(&bytes).map_err(|source| Error::Json { what, source })
}

/// Finds the one image that is meant.
fn pick<'a>(archive: &Archive, entries: &'a [Entry], image: &Selector) -> Result<&'a Entry> {
    let names = |entries: &[(usize, &Entry)]| -> Vec<String> {
        let own_names = |(place, entry): &(usize, &Entry)| match entry.tags() {
            [] => vec![format!("@{place}")],
            tags => tags.to_vec(),
        };
        entries.iter().flat_map(own_names).collect()
    };
    let all: Vec<(usize, &Entry)> = entries.iter().enumerate().collect();
    let mut candidates = all.clone();
    if let Some(position) = image.position {
        candidates.retain(|(place, _)| *place == position);
    }
    if let Some(name) = &image.name {
        let wanted = Reference::parse(name)?;
        let is_wanted = |tag: &String| Reference::parse(tag).is_ok_and(|tag| tag == wanted);
        candidates.retain(|(_, entry)| entry.tags().iter().any(is_wanted));
    }
    if let Some(digest) = &image.digest {
        let mut matching = Vec::new();
        for (place, entry) in candidates {
            if read_config(archive, &entry.config)?.0.digest() == digest {
                matching.push((place, entry));
            }
        }
        candidates = matching;
    }
    match candidates.split_first() {
        None if all.is_empty() => Err(Error::Empty { what: archive.name().to_owned(), artifacts: Vec::new() }),
        None => Err(Error::NoImage {
            what: archive.name().to_owned(),
            wanted: image.to_string().trim_start_matches(':').to_owned(),
            images: names(&all),
        }),
        // The same image may be listed once for each of its names.
        Some(((_, first), others)) if others.iter().all(|(_, entry)| is_same_image(entry, first)) => Ok(first),
        Some(_) => Err(Error::SeveralImages { what: archive.name().to_owned(), images: names(&candidates) }),
    }
}

fn is_same_image(one: &Entry, other: &Entry) -> bool {
    one.config == other.config && one.layers == other.layers
}

fn read_config(archive: &Archive, member: &str) -> Result<(Config, Vec<Warning>)> {
    let what = archive.member_name(member);
    let missing = || Error::Missing {
        what: format!("the config {}", crate::digest::shorten(member)),
        place: archive.name().to_owned(),
    };
    let bytes = archive.read(member, CONFIG_BYTES)?.ok_or_else(missing)?;
    if let Some(expected) = config_digest(member) {
        let mut verifier = Verifier::new(expected.algorithm());
        verifier.update(&bytes);
        verifier.finish(&expected, None).map_err(|source| Error::Integrity { what: what.clone(), source })?;
    }
    Config::parse(bytes, &what)
}

/// The digest that a config's name states: `HEX.json`, `sha256:HEX` or `blobs/ALGORITHM/HEX`.
fn config_digest(member: &str) -> Option<Digest> {
    blob_digest(member).or_else(|| member.parse().ok()).or_else(|| {
        let hex = member.strip_suffix(".json")?;
        format!("sha256:{hex}").parse().ok()
    })
}

/// The digest of a member that is named as a layout names blobs.
fn blob_digest(member: &str) -> Option<Digest> {
    let (algorithm, hex) = member.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

fn layers(archive: &Archive, entry: &Entry, config: &Config) -> Result<Vec<Layer>> {
    let members = &entry.layers;
    let what = || archive.member_name(MANIFEST);
    if members.len() > LAYERS {
        return Err(Error::Limit { what: what(), actual: members.len() as u64, limit: LAYERS as u64, unit: "layers" });
    }
    if members.len() != config.diff_ids().len() {
        let diff_ids = config.diff_ids().len();
        return Err(Error::DiffIds { what: what(), layers: members.len(), diff_ids });
    }
    let layer = |(member, diff_id): (&String, &Digest)| -> Result<Layer> {
        let Extent { offset, size } = archive.find(member)?.ok_or_else(|| Error::Missing {
            what: format!("the layer {}", crate::digest::shorten(member)),
            place: archive.name().to_owned(),
        })?;
        Ok(Layer {
            media_type: None,
            size: Some(size),
            digest: blob_digest(member),
            diff_id: Some(*diff_id),
            opener: Opener::Range(archive.file().clone(), offset),
        })
    };
    members.iter().zip(config.diff_ids()).map(layer).collect()
}

/// The digest that stands for the image: see [`Image::manifest_digest`].
fn image_digest(config: &Config) -> Digest {
    let mut text = format!("docker-archive\n{}\n", config.digest());
    for diff_id in config.diff_ids() {
        text.push_str(&format!("{diff_id}\n"));
    }
    Digest::sha256(text.as_bytes())
}

/// Holds the image against the platform, by the rule of [`crate::select`] for images that were named directly.
fn check_platform(image: &mut Image, options: &OpenOptions) -> Result<()> {
    let wanted = Wanted::new(options.platform.clone());
    let Some(found) = image.platform.clone().filter(|found| !wanted.platform.accepts(found)) else { return Ok(()) };
    if wanted.explicit {
        return Err(Error::NoPlatform { what: image.source.clone(), wanted: wanted.platform, available: vec![found] });
    }
    image.warnings.push(Warning::Platform { found, wanted: wanted.platform });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_in_names() {
        let digest = Digest::sha256(b"x");
        let hex = digest.hex();
        for member in [format!("{hex}.json"), format!("sha256:{hex}"), format!("blobs/sha256/{hex}")] {
            assert_eq!(config_digest(&member), Some(digest), "{member}");
        }
        for member in ["config.json".to_owned(), format!("{hex}/json"), format!("blobs/md5/{hex}"), hex.clone()] {
            assert_eq!(config_digest(&member), None, "{member}");
        }
        assert_eq!(blob_digest(&format!("blobs/sha256/{hex}")), Some(digest));
        assert_eq!(blob_digest(&format!("{hex}/layer.tar")), None);
    }
}
