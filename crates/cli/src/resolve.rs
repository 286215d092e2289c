//! `banger resolve`

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use banger_api::Observer;
use banger_oci::Descriptor;
use banger_oci::select::Selected;
use banger_operations::hints::{self, Asked, Place};
use banger_registry::Resolved;
use serde::Serialize;

use crate::args::{Pull, Resolve};
use crate::failure::Failure;
use crate::output::{json, print};
use crate::progress::{Shown, Task, short};
use crate::registry;
use crate::table::Table;
use crate::text::{Bytes, Line};

/// Prints what a reference stands for.
pub(crate) fn run(resolve: &Resolve) -> Result<(), Failure> {
    let reference = hints::reference(&resolve.reference)?;
    let progress = Arc::new(Shown::new(Task::Fetch, false));
    let access = registry::access(&resolve.registry, &[&reference], Pull::Always)?;
    let observer: Arc<dyn Observer> = Arc::<Shown>::clone(&progress);
    let registry = access.registry(&[&reference], None, &observer)?;
    let resolved = registry.resolve(&reference, resolve.platform.as_ref());
    progress.finish();
    let resolved = resolved.map_err(|error| {
        let place = Place::Registry(&reference);
        hints::for_image(&error, &Asked { text: &resolve.reference, place, said: access.said })
    })?;
    let answer = Answer { from: progress.hosts(), ..Answer::new(reference.to_string(), &resolved) };
    if resolve.json { print(&json(&answer)?) } else { print(answer.to_string().trim_end()) }
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Answer {
    reference: String,
    digest: String,
    media_type: String,
    size: u64,
    platforms: Vec<PlatformOf>,
    image: Option<ImageOf>,
    /// Bytes of all layers of the image, each counted once.
    #[serde(skip_serializing_if = "Option::is_none")]
    size_total: Option<u64>,
    /// The hosts that answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    from: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PlatformOf {
    platform: Option<String>,
    digest: String,
    size: u64,
}

/// The image for the platform that was asked for.
#[derive(Debug, Serialize)]
struct ImageOf {
    platform: Option<String>,
    manifest: String,
    config: String,
    layers: Vec<LayerOf>,
}

#[derive(Debug, Serialize)]
struct LayerOf {
    digest: String,
    size: u64,
    media_type: String,
}

impl Answer {
    fn new(reference: String, resolved: &Resolved) -> Self {
        let platform = |entry: &Descriptor| PlatformOf {
            platform: entry.platform.as_ref().map(ToString::to_string),
            digest: entry.digest.to_string(),
            size: entry.size,
        };
        Self {
            reference,
            digest: resolved.descriptor.digest.to_string(),
            media_type: resolved.descriptor.media_type.to_string(),
            size: resolved.descriptor.size,
            platforms: resolved.platforms.iter().map(platform).collect(),
            image: resolved.image.as_ref().map(ImageOf::new),
            size_total: resolved.image.as_ref().map(|image| size_of(&image.manifest.layers)),
            from: Vec::new(),
        }
    }
}

impl ImageOf {
    fn new(image: &Selected) -> Self {
        let layer = |layer: &Descriptor| LayerOf {
            digest: layer.digest.to_string(),
            size: layer.size,
            media_type: layer.media_type.to_string(),
        };
        Self {
            platform: image.platform.as_ref().map(ToString::to_string),
            manifest: image.descriptor.digest.to_string(),
            config: image.manifest.config.digest.to_string(),
            layers: image.manifest.layers.iter().map(layer).collect(),
        }
    }
}

fn size_of(layers: &[Descriptor]) -> u64 {
    let mut seen = HashSet::new();
    layers.iter().filter(|layer| seen.insert(layer.digest)).fold(0, |sum, layer| sum.saturating_add(layer.size))
}

/// For people: fits into 80 columns, which only one digest in full does on a line.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.reference)?;
        writeln!(f, "digest {}", self.digest)?;
        writeln!(f, "type   {}", Line(&self.media_type))?;
        let mut table = Table::new(["platform", "manifest", ">size"]);
        for platform in &self.platforms {
            let name = platform.platform.as_deref().unwrap_or("-");
            table.row([Line(name).to_string(), short(&platform.digest), Bytes(platform.size).to_string()]);
        }
        write!(f, "\n{table}")?;
        let Some(image) = &self.image else { return Ok(()) };
        let mut table = Table::new(["layer", "digest", ">size"]);
        for (number, layer) in (1u64..).zip(&image.layers) {
            table.row([number.to_string(), short(&layer.digest), Bytes(layer.size).to_string()]);
        }
        table.row(["all".to_owned(), String::new(), Bytes(self.size_total.unwrap_or_default()).to_string()]);
        write!(f, "\n{}:\n{table}", image.platform.as_deref().unwrap_or("image"))
    }
}
