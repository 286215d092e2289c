//! Image configs (config.md of the image specification; Docker's `container.image.v1`).
//!
//! Read more leniently than the specification's own types do, because what a disk needs of a config is little, and
//! configs in the field are odd: Docker leaves `diff_ids` out of an image without layers, and old builders wrote
//! commands as strings. What cannot be read and is not needed becomes a [`Warning`].

use crate::descriptor::platform_of_parts;
use crate::digest::{Digest, shorten};
use crate::error::{Error, Result};
use crate::image::Warning;
use crate::limits::LAYERS;
use crate::platform::Platform;
use crate::timestamp::Timestamp;

/// The only kind of root file system that exists.
const ROOTFS_LAYERS: &str = "layers";

/// An image's config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    raw: Vec<u8>,
    digest: Digest,
    created: Option<Timestamp>,
    platform: Option<Platform>,
    diff_ids: Vec<Digest>,
    runtime: Option<oci_spec::image::Config>,
}

#[derive(serde::Deserialize)]
struct Fields {
    created: Option<String>,
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    rootfs: Option<RootFs>,
    config: Option<serde_json::Value>,
}

#[derive(serde::Deserialize)]
struct RootFs {
    r#type: Option<String>,
    diff_ids: Option<Vec<String>>,
}

impl Config {
    /// Parses a config. `what` names it in errors. The warnings are about what could not be read and is not needed.
    ///
    /// # Errors
    /// It is not JSON of the right form, has a diff ID that is not a digest, or describes something else than layers.
    pub fn parse(raw: Vec<u8>, what: &str) -> Result<(Self, Vec<Warning>)> {
        let fields: Fields =
            serde_json::from_slice(&raw).map_err(|source| Error::Json { what: what.to_owned(), source })?;
        let (kind, diff_ids) = match fields.rootfs {
            Some(rootfs) => (rootfs.r#type.unwrap_or_default(), rootfs.diff_ids.unwrap_or_default()),
            None => (String::new(), Vec::new()),
        };
        if !kind.is_empty() && kind != ROOTFS_LAYERS {
            let reason = format!("its root file system is of type {:?}, only \"layers\" exists", shorten(&kind));
            return Err(Error::unsupported(what, reason));
        }
        if diff_ids.len() > LAYERS {
            return Err(Error::Limit {
                what: what.to_owned(),
                actual: diff_ids.len() as u64,
                limit: LAYERS as u64,
                unit: "diff IDs",
            });
        }
        let diff_ids = diff_ids
            .iter()
            .map(|text| text.parse().map_err(|source| Error::Digest { what: what.to_owned(), source }))
            .collect::<Result<_>>()?;

        let mut warnings = Vec::new();
        let created = fields.created.filter(|text| !text.is_empty()).and_then(|text| {
            let created = Timestamp::parse_rfc3339(&text);
            if created.is_none() {
                warnings.push(Warning::Created { text: shorten(&text) });
            }
            created
        });
        let runtime = fields.config.and_then(|value| {
            serde_json::from_value::<Option<oci_spec::image::Config>>(value).unwrap_or_else(|reason| {
                warnings.push(Warning::Runtime { reason: reason.to_string() });
                None
            })
        });
        let platform = platform_of_parts(
            fields.os.as_deref().unwrap_or_default(),
            fields.architecture.as_deref().unwrap_or_default(),
            fields.variant.as_deref(),
        );
        let digest = Digest::sha256(&raw);
        Ok((Config { raw, digest, created, platform, diff_ids, runtime }, warnings))
    }

    /// The config's bytes, as they were found.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The sha256 digest of those bytes: the image's ID, as Docker calls it.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// When the image was made, by its own account.
    pub fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// The platform that the image is for. `None` where os or architecture is missing.
    pub fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// The digests of the unpacked layers, the lowest first.
    pub fn diff_ids(&self) -> &[Digest] {
        &self.diff_ids
    }

    /// How a container of the image would be run: environment, command, user, labels.
    pub fn runtime(&self) -> Option<&oci_spec::image::Config> {
        self.runtime.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_error::ErrorKind;

    fn parse(json: &str) -> Result<(Config, Vec<Warning>)> {
        Config::parse(json.as_bytes().to_vec(), "the config")
    }

    #[test]
    fn a_usual_config() {
        let diff_id = Digest::sha256(b"layer");
        let (config, warnings) = parse(&format!(
            r#"{{"created":"2025-01-01T00:00:00Z","architecture":"amd64","os":"linux",
                "config":{{"Env":["A=b"],"Cmd":["/bin/sh"],"Labels":null,"ExposedPorts":{{"80/tcp":{{}}}}}},
                "rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}},"history":[{{"empty_layer":true}}]}}"#
        ))
        .expect("parsed");
        assert_eq!(warnings, []);
        assert_eq!(config.created(), Some(Timestamp { seconds: 1_735_689_600, nanoseconds: 0 }));
        assert_eq!(config.platform(), Some(&Platform::new("linux", "amd64", None)));
        assert_eq!(config.diff_ids(), [diff_id]);
        assert_eq!(config.runtime().and_then(|r| r.cmd().clone()), Some(vec!["/bin/sh".to_owned()]));
        assert_eq!(*config.digest(), Digest::sha256(config.raw()));
    }

    #[test]
    fn odd_configs_of_the_field_are_read() {
        // JSON, and the number of warnings.
        let cases = [
            ("{}", 0),
            (r#"{"rootfs":{"type":"layers"},"os":"linux","architecture":"amd64"}"#, 0),
            (r#"{"rootfs":{"type":"layers","diff_ids":null},"config":null,"created":null}"#, 0),
            (r#"{"rootfs":{"diff_ids":[]},"created":"yesterday"}"#, 1),
            (r#"{"config":{"Cmd":"/bin/sh -c true"}}"#, 1),
            (r#"{"os":"","architecture":"amd64","created":"0001-01-01T00:00:00Z"}"#, 0),
        ];
        for (json, expected) in cases {
            let (config, warnings) = parse(json).expect(json);
            assert_eq!(warnings.len(), expected, "{json}: {warnings:?}");
            assert!(config.diff_ids().is_empty());
        }
    }

    #[test]
    fn what_is_no_config_is_refused() {
        let many = format!(r#"{{"rootfs":{{"diff_ids":[{}"x"]}}}}"#, r#""x","#.repeat(LAYERS));
        let cases = [
            ("", ErrorKind::Integrity),
            ("[]", ErrorKind::Integrity),
            (r#"{"rootfs":{"diff_ids":["sha256:../../etc/passwd"]}}"#, ErrorKind::Integrity),
            (r#"{"rootfs":{"diff_ids":[1]}}"#, ErrorKind::Integrity),
            (r#"{"rootfs":{"diff_ids":[]},"rootfs":{}}"#, ErrorKind::Integrity),
            (r#"{"rootfs":{"type":"layers+base"}}"#, ErrorKind::Unsupported),
            (&many, ErrorKind::Integrity),
        ];
        for (json, kind) in cases {
            let error = parse(json).expect_err(json);
            assert_eq!(error.kind(), kind, "{json}: {error}");
        }
    }
}
