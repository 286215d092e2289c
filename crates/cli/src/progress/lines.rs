//! Progress where nobody watches: one line for each thing that is done.

use std::io::Write;
use std::time::Duration;

use banger_api::Event;
use banger_api::event::Step;

use super::Task;
use super::layers::{self, Layers};
use super::waits::Waits;
use crate::text::Line;

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
        say(&Line(name).to_string());
    }

    /// Nothing more is shown: threads that nobody waits for may still tell something.
    pub(super) fn finish(&mut self) {
        self.is_over = true;
    }

    pub(super) fn event(&mut self, event: Event) {
        if self.is_over {
            return;
        }
        match event {
            Event::Step { step: Step::Resolve, subject } => self.image(&subject),
            Event::Step { step, subject } => super::step(step, &subject).into_iter().for_each(|line| say(&line)),
            Event::Downloads { files } => {
                self.layers.announce(&files);
                if self.task == Task::Fetch {
                    self.layers.set_to_blobs(&files);
                    say(&self.layers.overview());
                }
            }
            Event::Complete { digest } => {
                // The line of a build comes when the layer has been read too.
                if self.task == Task::Fetch
                    && let Some(layer) = self.layers.of_blob(&digest)
                {
                    say(&self.layers.fetched_line(layer));
                }
            }
            Event::Shared { digest } => say(&layers::shared(&digest)),
            Event::Layers { layers } => {
                self.layers.set(layers);
                say(&self.layers.overview());
            }
            Event::LayerAdvanced { layer, bytes } => self.layers.advance(layer, bytes),
            Event::LayerFinished { layer, entries } => say(&self.layers.read_line(layer, entries)),
            Event::Waiting { host, milliseconds, asked, reason } => {
                let delay = Duration::from_millis(milliseconds);
                if let Some(line) = self.waits.line(&host, delay, asked, &reason) {
                    say(&line);
                }
            }
            Event::Answered { host, mirror_of } => {
                super::answered(&host, mirror_of.as_deref()).into_iter().for_each(|line| say(&line));
            }
            Event::Warning { message } => say(&super::warning(&message)),
            Event::Downloading { .. }
            | Event::Downloaded { .. }
            | Event::Restarted { .. }
            | Event::Sent { .. }
            | Event::LayerStarted { .. }
            | Event::Advanced { .. } => {}
        }
    }
}

/// A line that cannot be written is lost, and the work goes on.
fn say(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}
