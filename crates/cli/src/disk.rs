//! What is done with an image's root file system in this process: what is read there is nobody else's business.

use std::sync::Arc;

use banger_api::{Event, Observer};

/// Is told what happens to a disk image.
pub(crate) struct Watching<'a>(pub(crate) &'a Arc<dyn Observer>);

impl banger_disk::Observer for Watching<'_> {
    fn advanced(&self, done: u64, total: u64) {
        self.0.event(Event::Advanced { done, total });
    }

    fn lost(&self, file: &[u8], what: &'static str) {
        self.0.event(Event::Warning { message: format!("{}: {what}", String::from_utf8_lossy(file)) });
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}
