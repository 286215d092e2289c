//! Progress on a terminal: a bar for each layer that is being read, one for all of them, and a line for what is done.

use std::time::Duration;

use banger_rootfs::{Event, LayerSummary};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the terminal is drawn at most, per second.
const FRAME_RATE: u8 = 12;

/// How often a spinner turns while nothing else happens.
const TICK: Duration = Duration::from_millis(120);

/// Columns of a layer's name.
const NAME_WIDTH: usize = 22;

/// The bars of a build.
#[derive(Debug)]
pub(crate) struct Bars {
    screen: MultiProgress,
    colored: bool,
    layers: Vec<LayerSummary>,
    bars: Vec<Option<ProgressBar>>,
    total: Option<ProgressBar>,
    stage: Option<ProgressBar>,
}

impl Bars {
    pub(super) fn new(colored: bool) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(FRAME_RATE));
        Self { screen, colored, layers: Vec::new(), bars: Vec::new(), total: None, stage: None }
    }

    pub(super) fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Resolved { layers } => {
                self.layers = layers.to_vec();
                self.bars = layers.iter().map(|_| None).collect();
                self.say(&super::resolved(layers));
                if layers.len() > 1 {
                    let total = self.bar(super::total(layers), "all layers");
                    self.total = Some(self.screen.add(total));
                }
            }
            Event::Started { layer } => self.start(layer),
            Event::Advanced { layer, bytes } => {
                for bar in [self.bars.get(layer).and_then(Option::as_ref), self.total.as_ref()].into_iter().flatten() {
                    bar.inc(bytes);
                }
            }
            Event::Finished { layer, entries } => {
                let bar = self.bars.get_mut(layer).and_then(Option::take);
                let read = bar.as_ref().map_or(0, ProgressBar::position);
                self.say(&super::finished(layer, &self.layers, read, entries));
                if let Some(bar) = bar {
                    bar.finish_and_clear();
                    self.screen.remove(&bar);
                }
            }
            Event::Stage(stage) => {
                self.finish();
                let spinner = self.screen.add(ProgressBar::new_spinner());
                spinner.set_message(super::stage(stage));
                spinner.enable_steady_tick(TICK);
                self.stage = Some(spinner);
            }
            Event::Warning(text) => self.say(&super::warning(&text)),
        }
    }

    /// Removes everything that moves.
    pub(super) fn finish(&mut self) {
        let bars = self.bars.iter_mut().filter_map(Option::take);
        for bar in bars.chain(self.total.take()).chain(self.stage.take()) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }

    fn start(&mut self, layer: usize) {
        let Some(summary) = self.layers.get(layer) else { return };
        let bar = self.bar(summary.size, &super::short(&summary.name));
        let bar = match &self.total {
            Some(total) => self.screen.insert_before(total, bar),
            None => self.screen.add(bar),
        };
        if let Some(place) = self.bars.get_mut(layer) {
            *place = Some(bar);
        }
    }

    fn bar(&self, size: Option<u64>, name: &str) -> ProgressBar {
        let bar = match size {
            Some(size) => ProgressBar::new(size),
            None => ProgressBar::no_length(),
        };
        let gauge = match (size.is_some(), self.colored) {
            (false, _) => "{spinner}",
            (true, false) => "[{bar:28}]",
            (true, true) => "[{bar:28.cyan}]",
        };
        let bytes = if size.is_some() { "{binary_bytes}/{binary_total_bytes}" } else { "{binary_bytes}" };
        let template = format!("{{prefix:{NAME_WIDTH}!}} {gauge} {bytes} {{binary_bytes_per_sec}}");
        // A template that indicatif does not like costs the looks, never the build.
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.with_style(style.progress_chars("=> ")).with_prefix(crate::text::Line(name).to_string())
    }

    /// A line above the bars. It is lost when the terminal is, and the build goes on.
    fn say(&self, line: &str) {
        let _ = self.screen.println(line);
    }
}
