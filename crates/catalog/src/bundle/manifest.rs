//! `manifest.json` of a bundle: what the root file system beside it is.

use banger_oci::{Algorithm, Digest, Platform};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::limits::{MANIFEST_BYTES, ROOTFS_BYTES};
use crate::name::is_name;

/// The version of the format that is read and written.
pub const VERSION: u32 = 1;

/// What a bundle's image is. No clock has a place in it: the same image makes the same bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// The image's name.
    pub name: String,
    /// What it is for: `os/arch[/variant]`.
    pub platform: String,
    /// The distribution that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distro: Option<String>,
    /// What it was made from: a reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Digest of the manifest of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Digest of everything that the root file system's bytes depend on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
    /// How it boots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// The name of the kernel that it is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_ref: Option<String>,
    /// The version of the kernel whose modules are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_version: Option<String>,
    /// The label of the file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The root file system.
    pub rootfs: Rootfs,
    /// The config that came with the image (OCI image specification).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<serde_json::Value>,
    /// The layers that it was made from, the lowest first, where they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
}

/// A layer that an image was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Digest of the decompressed archive.
    pub diff_id: String,
    /// Bytes of the compressed blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Bytes of the decompressed archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpacked: Option<u64>,
}

/// How an image boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// What becomes of process 1.
    pub mode: String,
    /// What that was seen from, in words.
    pub why: String,
}

/// The root file system's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// How many they are, holes included.
    pub size: u64,
    /// Their digest: 64 hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// The manifest of an image of which nothing else is known. The root file system is filled in when the bundle is written.
    pub fn new(name: impl Into<String>, platform: impl Into<String>) -> Self {
        Self {
            version: VERSION,
            name: name.into(),
            platform: platform.into(),
            distro: None,
            source: None,
            digest: None,
            content_id: None,
            boot: None,
            kernel_ref: None,
            kernel_version: None,
            label: None,
            rootfs: Rootfs::default(),
            config: None,
            layers: Vec::new(),
        }
    }

    /// What it runs on, as image indexes name it.
    pub fn architecture(&self) -> String {
        Platform::parse(&self.platform).map(|platform| platform.architecture().to_owned()).unwrap_or_default()
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// It is none, of another version, or says what cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        /// Of any version.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let json = |source| Error::Json { what: WHAT.to_owned(), source };
        let Version { version } = serde_json::from_slice(bytes).map_err(json)?;
        if version != VERSION {
            let reason = format!("it is of version {version}; this program reads version {VERSION}");
            return Err(Error::malformed(WHAT, reason));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(json)?;
        manifest.check()?;
        manifest.rootfs.digest()?;
        Ok(manifest)
    }

    /// The same bytes for the same manifest.
    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        let json = |source| Error::Json { what: WHAT.to_owned(), source };
        let mut bytes = serde_json::to_vec_pretty(self).map_err(json)?;
        bytes.push(b'\n');
        if bytes.len() as u64 > MANIFEST_BYTES {
            return Err(Error::Limit { what: WHAT.to_owned(), limit: MANIFEST_BYTES, unit: "bytes" });
        }
        Ok(bytes)
    }

    pub(super) fn check(&self) -> Result<()> {
        let malformed = |reason: String| Err(Error::malformed(WHAT, reason));
        for name in [Some(&self.name), self.kernel_ref.as_ref()].into_iter().flatten() {
            if !is_name(name) {
                return malformed(format!("{:?} is no name", name.chars().take(100).collect::<String>()));
            }
        }
        if !Platform::parse(&self.platform).is_ok_and(|platform| platform.os() == "linux") {
            let shown: String = self.platform.chars().take(100).collect();
            return malformed(format!("{shown:?} is not a platform of Linux"));
        }
        match self.rootfs.size {
            size if size > ROOTFS_BYTES => {
                malformed(format!("a root file system of {size} bytes has more than {ROOTFS_BYTES}"))
            }
            _ => Ok(()),
        }
    }
}

impl Rootfs {
    pub(super) fn digest(&self) -> Result<Digest> {
        let digest = format!("{}:{}", Algorithm::Sha256, self.sha256).parse();
        digest.map_err(|_| {
            Error::malformed(WHAT, "the root file system's sha256 is not 64 hexadecimal digits in lower case")
        })
    }
}

/// What it is called in errors.
const WHAT: &str = "the bundle's manifest.json";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn example() -> Value {
        json!({
            "version": 1, "name": "debian", "platform": "linux/amd64",
            "rootfs": { "size": 4096, "sha256": Digest::sha256(b"x").hex() }
        })
    }

    #[test]
    fn manifests_that_are_none() {
        let rootfs = |size: Value, sha256: &str| json!({ "size": size, "sha256": sha256 });
        let digest = Digest::sha256(b"x").hex();
        let cases = [
            ("version", json!(2), "version 2"),
            ("version", json!("1"), "invalid type"),
            ("name", json!("Debian"), "no name"),
            ("name", json!("../x"), "no name"),
            ("name", json!(1), "invalid type"),
            ("kernel_ref", json!("a/b"), "no name"),
            ("platform", json!("windows/amd64"), "not a platform"),
            ("platform", json!("a/b/c/d"), "not a platform"),
            ("rootfs", json!(null), "invalid type"),
            ("rootfs", rootfs(json!(-1), &digest), "invalid value"),
            ("rootfs", rootfs(json!(ROOTFS_BYTES + 1), &digest), "has more than"),
            ("rootfs", rootfs(json!(1), &digest.to_uppercase()), "64 hexadecimal"),
            ("rootfs", rootfs(json!(1), "x"), "64 hexadecimal"),
        ];
        for (key, value, message) in cases {
            let mut json = example();
            json[key] = value;
            let error = Manifest::parse(json.to_string().as_bytes()).expect_err(message);
            assert!(crate::source::told(&error).contains(message), "{}", crate::source::told(&error));
        }
        for text in ["", "[]", "{}", r#"{"version":1,"version":1}"#] {
            Manifest::parse(text.as_bytes()).expect_err(text);
        }
        let twice = example().to_string().replacen('{', r#"{"name":"other","#, 1);
        assert!(crate::source::told(&Manifest::parse(twice.as_bytes()).unwrap_err()).contains("duplicate field"));
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        let mut json = example();
        json["later"] = json!({});
        let manifest = Manifest::parse(json.to_string().as_bytes()).unwrap();
        assert_eq!(manifest.architecture(), "amd64");
        assert_eq!(Manifest::parse(&manifest.to_json().unwrap()).unwrap(), manifest);
    }
}
