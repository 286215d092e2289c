//! Progress where nobody watches: one line for each thing that is done.

use std::io::Write;

use banger_registry::Event as Pulled;
use banger_rootfs::Event as Built;

use super::Task;
use super::layers::{self, Layers};
use super::waits::Waits;

/// What must be known for the lines to come.
#[derive(Debug)]
pub(crate) struct Lines {
    task: Task,
    layers: Layers,
    waits: Waits,
    is_over: bool,
}

impl Lines {
    pub(super) fn new(task: Task) -> Self {
        Self { task, layers: Layers::default(), waits: Waits::default(), is_over: false }
    }

    pub(super) fn image(&mut self, name: &str) {
        self.layers = Layers::default();
        say(name);
    }

    /// Nothing more is shown: threads that nobody waits for may still tell something.
    pub(super) fn finish(&mut self) {
        self.is_over = true;
    }

    pub(super) fn built(&mut self, event: Built<'_>) {
        match event {
            Built::Resolved { layers } => {
                self.layers.set(layers.iter().cloned());
                say(&self.layers.overview());
            }
            Built::Started { .. } => {}
            Built::Advanced { layer, bytes } => self.layers.advance(layer, bytes),
            Built::Finished { layer, entries } => say(&self.layers.read_line(layer, entries)),
            Built::Stage(stage) => say(super::stage(stage)),
            Built::Warning(text) => say(&super::warning(&text)),
        }
    }

    pub(super) fn pulled(&mut self, event: Pulled<'_>) {
        if self.is_over {
            return;
        }
        match event {
            Pulled::Layers { layers } => {
                self.layers.announce(layers);
                if self.task == Task::Fetch {
                    self.layers.set_to_blobs(layers);
                    say(&self.layers.overview());
                }
            }
            Pulled::Started { .. } | Pulled::Received { .. } | Pulled::Restarted { .. } => {}
            Pulled::Fetched { digest } => {
                // The line of a build comes when the layer has been read too.
                if self.task == Task::Fetch
                    && let Some(layer) = self.layers.of_blob(&digest.to_string())
                {
                    say(&self.layers.fetched_line(layer));
                }
            }
            Pulled::Shared { digest } => say(&layers::shared(&digest.to_string())),
            Pulled::Waiting { host, delay, asked, reason } => {
                if let Some(line) = self.waits.line(host, delay, asked, reason) {
                    say(&line);
                }
            }
            Pulled::Warning(text) => say(&super::warning(&text)),
        }
    }
}

/// A line that cannot be written is lost, and the work goes on.
fn say(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}
