//! What builds and registries tell, as events.

use std::fmt;
use std::sync::Arc;

use banger_api::Observer;
use banger_api::event::{Event, File, Layer, Step};
use banger_registry::Event as Pulled;
use banger_rootfs::{Event as Built, Stage};

/// Tells an observer what a build, a registry, or both tell.
#[derive(Clone)]
pub struct Telling(Arc<dyn Observer>);

impl Telling {
    /// Tells this one.
    pub fn new(observer: &Arc<dyn Observer>) -> Self {
        Self(Arc::clone(observer))
    }
}

impl fmt::Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telling").finish_non_exhaustive()
    }
}

impl banger_rootfs::Progress for Telling {
    fn event(&self, event: Built<'_>) {
        self.0.event(match event {
            Built::Resolved { layers } => Event::Layers {
                layers: layers.iter().map(|layer| Layer { name: layer.name.clone(), size: layer.size }).collect(),
            },
            Built::Started { layer } => Event::LayerStarted { layer },
            Built::Advanced { layer, bytes } => Event::LayerAdvanced { layer, bytes },
            Built::Finished { layer, entries } => Event::LayerFinished { layer, entries },
            Built::Stage(stage) => {
                let step = match stage {
                    Stage::Metadata => Step::Metadata,
                    Stage::Sync => Step::Sync,
                    Stage::Checksum => Step::Checksum,
                };
                Event::Step { step, subject: String::new() }
            }
            Built::Warning(message) => Event::Warning { message },
        });
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl banger_registry::Progress for Telling {
    fn event(&self, event: Pulled<'_>) {
        self.0.event(match event {
            Pulled::Layers { layers } => {
                let file = |blob: &banger_registry::BlobSummary| File {
                    digest: blob.digest.to_string(),
                    size: blob.size,
                    cached: blob.cached,
                };
                Event::Downloads { files: layers.iter().map(file).collect() }
            }
            Pulled::Started { digest, resumed } => Event::Downloading { digest: digest.to_string(), resumed },
            Pulled::Received { digest, bytes } => Event::Downloaded { digest: digest.to_string(), bytes },
            Pulled::Restarted { digest } => Event::Restarted { digest: digest.to_string() },
            Pulled::Fetched { digest } => Event::Complete { digest: digest.to_string() },
            Pulled::Shared { digest } => Event::Shared { digest: digest.to_string() },
            Pulled::Sent { digest, position } => Event::Sent { digest: digest.to_string(), position },
            Pulled::Waiting { host, delay, asked, reason } => Event::Waiting {
                host: host.to_owned(),
                milliseconds: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                asked,
                reason: reason.to_owned(),
            },
            Pulled::Answered { host, mirror_of } => {
                Event::Answered { host: host.to_owned(), mirror_of: mirror_of.map(str::to_owned) }
            }
            Pulled::Warning(message) => Event::Warning { message },
        });
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}
