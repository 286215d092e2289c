//! Image configs (config.md of the image specification; Docker's `container.image.v1`).
//!
//! Read as Go's decoder does it, because programs in Go write configs and read them: null is what is empty, and the name of a
//! field counts in any case. Yet a field that is there twice is refused: another reader may take the other one. What a
//! disk needs of a config is little, and what cannot be read and is not needed becomes a [`Warning`].

use crate::descriptor::platform_of_parts;
use crate::digest::{Digest, shorten};
use crate::error::{Error, Result};
use crate::go;
use crate::image::Warning;
use crate::limits::LAYERS;
use crate::platform::Platform;
use crate::timestamp::Timestamp;
use banger_protocol::image::Runtime;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use std::fmt;

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
    runtime: Option<Runtime>,
}

/// Of a config what is needed here.
#[derive(Default)]
struct Fields {
    created: Option<String>,
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    rootfs: Option<RootFs>,
    config: Option<serde_json::Value>,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an image's config")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let name = key.to_ascii_lowercase();
            match &*name {
                "created" => fields.created = map.next_value()?,
                "os" => fields.os = map.next_value()?,
                "architecture" => fields.architecture = map.next_value()?,
                "variant" => fields.variant = map.next_value()?,
                "rootfs" => fields.rootfs = map.next_value()?,
                "config" => fields.config = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            }
            if seen.contains(&name) {
                return Err(A::Error::custom(format_args!("the field {key:?} is there twice")));
            }
            seen.push(name);
        }
        Ok(fields)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RootFs {
    #[serde(deserialize_with = "go::or_zero")]
    r#type: String,
    #[serde(deserialize_with = "go::list")]
    diff_ids: Vec<String>,
}

impl Config {
    /// Parses a config. `what` names it in errors. The warnings are about what could not be read and is not needed.
    ///
    /// # Errors
    /// It is not JSON of the right form, has a diff ID that is not a digest, or describes something else than layers.
    pub fn parse(raw: Vec<u8>, what: &str) -> Result<(Self, Vec<Warning>)> {
        let fields: Fields =
            serde_json::from_slice(&raw).map_err(|source| Error::Json { what: what.to_owned(), source })?;
        let RootFs { r#type: kind, diff_ids } = fields.rootfs.unwrap_or_default();
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
            let runtime = serde_json::from_value(value);
            runtime.map_err(|reason| warnings.push(Warning::Runtime { reason: reason.to_string() })).ok()
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

    /// How a container of the image would be run: environment, command, user.
    pub fn runtime(&self) -> Option<&Runtime> {
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
        assert_eq!(config.runtime().map(|runtime| &*runtime.cmd), Some(&["/bin/sh".to_owned()][..]));
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
            (r#"{"config":{"Cmd":"/bin/sh -c true"}}"#, 0),
            (r#"{"config":{"Cmd":{}}}"#, 1),
            (r#"{"config":[]}"#, 1),
            (
                r#"{"config":{"ExposedPorts":{"80/tcp":null},"Volumes":{"/data":null},"Labels":{"a":null},"Env":null}}"#,
                0,
            ),
            (
                r#"{"config":{"Env":[null],"Healthcheck":{"Test":null},"OnBuild":null,"Shell":null,"StopSignal":null}}"#,
                0,
            ),
            (r#"{"os":null,"architecture":null,"variant":null,"os.version":null,"os.features":null,"author":null}"#, 0),
            (r#"{"history":null,"rootfs":null,"container_config":null,"docker_version":null,"id":null}"#, 0),
            (r#"{"history":[null,{"created":null,"empty_layer":null}],"rootfs":{"type":null,"diff_ids":[]}}"#, 0),
            (r#"{"RootFS":{"diff_ids":[]},"Config":{"cmd":["sh"]},"OS":"linux"}"#, 0),
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
            (r#"{"rootfs":{"diff_ids":[]},"RootFS":{}}"#, ErrorKind::Integrity),
            (r#"{"rootfs":{"diff_ids":[null]}}"#, ErrorKind::Integrity),
            (r#"{"rootfs":{"type":"layers+base"}}"#, ErrorKind::Unsupported),
            (&many, ErrorKind::Integrity),
        ];
        for (json, kind) in cases {
            let error = parse(json).expect_err(json);
            assert_eq!(error.kind(), kind, "{json}: {error}");
        }
    }
}
