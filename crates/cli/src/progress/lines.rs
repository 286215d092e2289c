//! Progress where nobody watches: one line for each thing that is done.

use std::io::Write;

use banger_rootfs::{Event, LayerSummary};

/// The layers, and how much of each has been read.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    layers: Vec<LayerSummary>,
    read: Vec<u64>,
}

impl Lines {
    pub(super) fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Resolved { layers } => {
                self.layers = layers.to_vec();
                self.read = vec![0; layers.len()];
                say(&super::resolved(layers));
            }
            Event::Started { .. } => {}
            Event::Advanced { layer, bytes } => {
                if let Some(read) = self.read.get_mut(layer) {
                    *read = read.saturating_add(bytes);
                }
            }
            Event::Finished { layer, entries } => {
                let read = self.read.get(layer).copied().unwrap_or_default();
                say(&super::finished(layer, &self.layers, read, entries));
            }
            Event::Stage(stage) => say(super::stage(stage)),
            Event::Warning(text) => say(&super::warning(&text)),
        }
    }
}

/// A line that cannot be written is lost, and the build goes on.
fn say(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}
