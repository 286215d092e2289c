//! Small OCI image layouts, made on the spot.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::tar::Tar;

/// An OCI image layout on the disk.
pub(crate) struct Layout {
    directory: PathBuf,
    manifests: Vec<Value>,
    /// What configs have besides the fields that each needs.
    config: Value,
}

impl Layout {
    /// An empty layout.
    pub(crate) fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        std::fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let layout = Self { directory, manifests: Vec::new(), config: json!({}) };
        layout.write_index();
        layout
    }

    /// A layout with one image for this machine, named `latest`.
    pub(crate) fn of(directory: impl Into<PathBuf>, layers: impl IntoIterator<Item = Tar>) -> Self {
        Self::new(directory).image("latest", &host_platform(), layers)
    }

    /// A layout with one image for this machine, named `latest`: of each layer the archive and what zstd made of it.
    pub(crate) fn of_zstd<const N: usize>(directory: impl Into<PathBuf>, layers: [(Vec<u8>, Vec<u8>); N]) -> Self {
        let mut layout = Self::new(directory);
        let diff_ids = layers.each_ref().map(|(archive, _)| json!(format!("sha256:{}", sha256(archive))));
        let layers = layers.map(|(_, blob)| layout.blob(LAYER_ZSTD, &blob));
        let mut manifest = layout.manifest_of(&host_platform(), &layers, &diff_ids);
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
        layout.manifests.push(manifest);
        layout.write_index();
        layout
    }

    /// A layout with one image for this machine, named `latest`, whose config has these fields, too.
    pub(crate) fn of_config(
        directory: impl Into<PathBuf>,
        config: Value,
        layers: impl IntoIterator<Item = Tar>,
    ) -> Self {
        Self { config, ..Self::new(directory) }.image("latest", &host_platform(), layers)
    }

    /// Puts another manifest in the place of the first image's: what `change` makes of it.
    pub(crate) fn change_manifest(&mut self, change: impl FnOnce(&mut Value)) {
        let mut manifest = self.first_manifest();
        change(&mut manifest);
        let blob = self.blob(MANIFEST, manifest.to_string().as_bytes());
        for field in ["digest", "size"] {
            self.manifests[0][field] = blob[field].clone();
        }
        self.write_index();
    }

    /// Changes the first entry of `index.json`.
    pub(crate) fn change_entry(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.manifests[0]);
        self.write_index();
    }

    /// Adds an image of uncompressed layers.
    pub(crate) fn image(mut self, name: &str, platform: &str, layers: impl IntoIterator<Item = Tar>) -> Self {
        let layers: Vec<_> = layers.into_iter().map(|layer| self.blob(LAYER, &layer.finish())).collect();
        let mut manifest = self.manifest(platform, &layers);
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        self.manifests.push(manifest);
        self.write_index();
        self
    }

    /// Adds one name that stands for an index of several platforms.
    pub(crate) fn index<const N: usize>(mut self, name: &str, platforms: [(&str, Tar); N]) -> Self {
        let manifests = Vec::from(platforms.map(|(platform, layer)| {
            let layer = self.blob(LAYER, &layer.finish());
            self.manifest(platform, &[layer])
        }));
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        let mut descriptor = self.blob(INDEX, index.to_string().as_bytes());
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        self.manifests.push(descriptor);
        self.write_index();
        self
    }

    /// Adds an entry of any kind to `index.json`; under a name, where one is given.
    pub(crate) fn entry(mut self, name: Option<&str>, descriptor: Value) -> Self {
        let mut descriptor = descriptor;
        if let Some(name) = name {
            descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        }
        self.manifests.push(descriptor);
        self.write_index();
        self
    }

    /// Writes an index of these entries, without adding it, and describes it.
    pub(crate) fn put_index(&self, entries: &[Value]) -> Value {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        self.blob(INDEX, index.to_string().as_bytes())
    }

    /// Writes an image of one layer, without adding it, and describes it with its platform.
    pub(crate) fn put_image(&self, platform: &str, layer: Tar) -> Value {
        let layer = self.blob(LAYER, &layer.finish());
        self.manifest(platform, &[layer])
    }

    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    /// The file of the blob with this descriptor.
    pub(crate) fn blob_path(&self, descriptor: &Value) -> PathBuf {
        let digest = descriptor["digest"].as_str().unwrap();
        self.directory.join("blobs").join(digest.replace(':', "/"))
    }

    /// The manifest of the first image.
    pub(crate) fn first_manifest(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.blob_path(&self.manifests[0])).unwrap()).unwrap()
    }

    fn manifest(&self, platform: &str, layers: &[Value]) -> Value {
        // The layers are not compressed: a diff ID is the digest.
        let diff_ids: Vec<_> = layers.iter().map(|layer| layer["digest"].clone()).collect();
        self.manifest_of(platform, layers, &diff_ids)
    }

    fn manifest_of(&self, platform: &str, layers: &[Value], diff_ids: &[Value]) -> Value {
        let mut parts = platform.split('/');
        let (os, architecture) = (parts.next().unwrap(), parts.next().unwrap());
        let mut platform = json!({ "architecture": architecture, "os": os });
        if let Some(variant) = parts.next() {
            platform["variant"] = json!(variant);
        }
        let mut config = platform.clone();
        config["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
        for (name, value) in self.config.as_object().unwrap() {
            config[name] = value.clone();
        }
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let mut descriptor = self.blob(MANIFEST, manifest.to_string().as_bytes());
        descriptor["platform"] = platform;
        descriptor
    }

    /// Writes a blob, and describes it.
    pub(crate) fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = sha256(bytes);
        std::fs::write(self.directory.join("blobs/sha256").join(&digest), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() })
    }

    fn write_index(&self) {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": self.manifests });
        std::fs::write(self.directory.join("index.json"), index.to_string()).unwrap();
    }
}

const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// This machine, as an image's config names it.
pub(crate) fn host_platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("linux/{architecture}")
}

/// The digest in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
