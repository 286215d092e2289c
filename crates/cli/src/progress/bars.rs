//! Progress on a terminal: a bar for each layer that is on its way, one for all of them, and a line for what is done.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use banger_api::Event;
use banger_api::event::Step;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Task;
use super::layers::{self, Layers};
use super::waits::Waits;
use crate::text::Line;

/// How often the terminal is drawn at most, per second.
const FRAME_RATE: u8 = 12;

/// How often a spinner turns while nothing else happens.
const TICK: Duration = Duration::from_millis(120);

/// Columns of a layer's name: its number and a shortened digest. With it and all else a bar fits into 80.
const NAME_WIDTH: usize = 25;
/// The same on a narrow terminal, which also does without the speed and the time that is left.
const NARROW_NAME_WIDTH: usize = 18;
/// Narrower than this there is room for no more than a percentage.
const LEAST: usize = 50;

/// The bars of a command.
#[derive(Debug)]
pub(crate) struct Bars {
    task: Task,
    screen: MultiProgress,
    colored: bool,
    layers: Layers,
    waits: Waits,
    /// Of blobs that are received, by digest.
    received: HashMap<String, ProgressBar>,
    /// Blobs of which nothing has been received yet.
    still: HashSet<String>,
    /// Of layers that are read from what is here.
    read: HashMap<usize, ProgressBar>,
    total: Option<ProgressBar>,
    stage: Option<ProgressBar>,
    is_over: bool,
}

impl Bars {
    pub(super) fn new(task: Task, colored: bool) -> Self {
        Self {
            task,
            screen: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(FRAME_RATE)),
            colored,
            layers: Layers::default(),
            waits: Waits::default(),
            received: HashMap::new(),
            still: HashSet::new(),
            read: HashMap::new(),
            total: None,
            stage: None,
            is_over: false,
        }
    }

    pub(super) fn image(&mut self, name: &str) {
        self.clear();
        self.layers = Layers::default();
        self.say(&Line(name).to_string());
    }

    pub(super) fn event(&mut self, event: Event) {
        if self.is_over {
            return;
        }
        match event {
            Event::Step { step, subject } => self.step(step, &subject),
            Event::Advanced { done, total } => self.advance_step(done, total),
            Event::Downloads { files } => {
                self.layers.announce(&files);
                if self.task == Task::Fetch {
                    self.layers.set_to_blobs(&files);
                    self.begin();
                }
            }
            Event::Downloading { digest, resumed } => self.start(&digest, resumed),
            Event::Downloaded { digest, bytes } => self.receive(&digest, bytes),
            Event::Restarted { digest } => self.start(&digest, 0),
            Event::Complete { digest } => {
                self.remove(|bars| bars.received.remove(&digest));
                if let (Task::Fetch, Some(layer)) = (self.task, self.layers.of_blob(&digest)) {
                    // Whoever fetched it: nothing more will be told about it.
                    self.layers.begin(&digest, self.layers.size(layer).unwrap_or_default());
                    self.say(&self.layers.fetched_line(layer));
                    self.show_total();
                }
            }
            Event::Sent { digest, position } => {
                let bar = match self.received.remove(&digest) {
                    Some(bar) => bar,
                    None => {
                        let place = self.layers.place_of_blob(&digest);
                        self.add(place, self.bar(self.layers.blob_size(&digest), place, &digest))
                    }
                };
                bar.set_position(position);
                self.received.insert(digest, bar);
            }
            Event::Shared { digest } => {
                self.layers.leave_to_another(&digest);
                self.remove(|bars| bars.received.remove(&digest));
                self.say(&layers::shared(&digest));
            }
            Event::Layers { layers } => {
                self.layers.set(layers);
                self.begin();
            }
            Event::LayerStarted { .. } => {}
            Event::LayerAdvanced { layer, bytes } => self.advance(layer, bytes),
            Event::LayerFinished { layer, entries } => {
                self.say(&self.layers.read_line(layer, entries));
                self.remove(|bars| bars.read.remove(&layer));
            }
            Event::Waiting { host, milliseconds, asked, reason } => {
                if let Some(line) = self.waits.line(&host, Duration::from_millis(milliseconds), asked, &reason) {
                    self.say(&line);
                }
            }
            Event::Answered { host, mirror_of } => {
                super::answered(&host, mirror_of.as_deref()).into_iter().for_each(|line| self.say(&line));
            }
            Event::Warning { message } => self.say(&super::warning(&message)),
        }
    }

    /// Nothing more is shown: threads that nobody waits for may still tell something.
    pub(super) fn finish(&mut self) {
        self.is_over = true;
        self.clear();
    }

    /// Removes everything that moves.
    pub(super) fn clear(&mut self) {
        let bars = self.received.drain().map(|(_, bar)| bar).chain(self.read.drain().map(|(_, bar)| bar));
        for bar in bars.chain(self.total.take()).chain(self.stage.take()) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }

    /// The layers are known.
    fn begin(&mut self) {
        self.say(&self.layers.overview());
        self.remove(|bars| bars.total.take());
        if self.layers.len() > 1 {
            let total = self.bar(self.layers.total(), usize::MAX, "all layers");
            self.total = Some(self.screen.add(total));
        }
    }

    /// Another step begins: it has a spinner, until it is known how much there is to do.
    fn step(&mut self, step: Step, subject: &str) {
        if step == Step::Resolve {
            return self.image(subject);
        }
        let Some(line) = super::step(step, subject) else { return };
        self.clear();
        // What follows has bars of its own.
        if matches!(step, Step::Download | Step::Upload) {
            return self.say(&line);
        }
        let spinner = self.screen.add(ProgressBar::new_spinner());
        spinner.set_message(line);
        spinner.enable_steady_tick(TICK);
        self.stage = Some(spinner);
    }

    /// So much of the step is done.
    fn advance_step(&self, done: u64, total: u64) {
        let Some(bar) = &self.stage else { return };
        if bar.length().is_none() {
            bar.set_style(style(match super::columns() {
                ..super::NARROW => "{wide_msg} {percent:>3}%",
                _ => "{msg} [{wide_bar}] {binary_bytes}/{binary_total_bytes}{left}",
            }));
        }
        bar.set_length(total);
        bar.set_position(done);
    }

    /// More of a blob has arrived.
    fn receive(&mut self, digest: &str, bytes: u64) {
        self.layers.receive(digest, bytes);
        // What is said of speed does not count the time before the first byte.
        if self.still.remove(digest) {
            self.received.get(digest).into_iter().for_each(ProgressBar::reset_eta);
            self.total.iter().filter(|total| total.position() == 0).for_each(ProgressBar::reset_eta);
        }
        if let Some(bar) = self.received.get(digest) {
            bar.inc(bytes);
        }
        self.show_total();
    }

    /// A blob is being received, from here on.
    fn start(&mut self, digest: &str, resumed: u64) {
        self.layers.begin(digest, resumed);
        let Some(size) = self.layers.blob_size(digest) else { return };
        self.remove(|bars| bars.received.remove(digest));
        let place = self.layers.place_of_blob(digest);
        let bar = self.add(place, self.bar(Some(size), place, digest));
        jump(&bar, resumed);
        self.received.insert(digest.to_owned(), bar);
        self.still.insert(digest.to_owned());
        match &self.total {
            Some(total) if resumed > 0 => jump(total, self.layers.done()),
            _ => self.show_total(),
        }
    }

    /// More of a layer has been read. What is being received has its bar already, and is some bytes further.
    fn advance(&mut self, layer: usize, bytes: u64) {
        self.layers.advance(layer, bytes);
        if self.layers.is_fetched(layer) {
            return;
        }
        let bar = match self.read.remove(&layer) {
            Some(bar) => bar,
            None => self.add(layer, self.bar(self.layers.size(layer), layer, self.layers.name(layer))),
        };
        bar.inc(bytes);
        self.read.insert(layer, bar);
        self.show_total();
    }

    fn show_total(&self) {
        if let Some(total) = &self.total {
            total.set_position(self.layers.done());
        }
    }

    /// Shows a bar in the order of the layers, the lowest first, and above that of all layers.
    fn add(&self, place: usize, bar: ProgressBar) -> ProgressBar {
        let received = self.received.iter().map(|(digest, bar)| (self.layers.place_of_blob(digest), bar));
        let read = self.read.iter().map(|(layer, bar)| (*layer, bar));
        let above = received.chain(read).filter(|(other, _)| *other > place).min_by_key(|(other, _)| *other);
        match above.map(|(_, bar)| bar).or(self.total.as_ref()) {
            Some(next) => self.screen.insert_before(next, bar),
            None => self.screen.add(bar),
        }
    }

    fn remove(&mut self, take: impl FnOnce(&mut Self) -> Option<ProgressBar>) {
        if let Some(bar) = take(self) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }

    fn bar(&self, size: Option<u64>, place: usize, name: &str) -> ProgressBar {
        let columns = super::columns();
        let (width, amount, speed) = if columns < LEAST {
            (NARROW_NAME_WIDTH, "{percent:>3}%", "")
        } else if columns < super::NARROW {
            (NARROW_NAME_WIDTH, "{binary_bytes}/{binary_total_bytes}", "")
        } else {
            let amount = "{binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}{left}";
            (NAME_WIDTH, amount, " {binary_bytes_per_sec}")
        };
        let (bar, rest) = match (size, self.colored) {
            (None, _) => (ProgressBar::no_length(), format!("{{spinner}} {{binary_bytes}}{speed}")),
            (Some(size), false) => (ProgressBar::new(size), format!("[{{wide_bar}}] {amount}")),
            (Some(size), true) => (ProgressBar::new(size), format!("[{{wide_bar:.cyan}}] {amount}")),
        };
        let template = format!("{{prefix:{width}!}} {rest}");
        bar.with_style(style(&template)).with_prefix(self.layers.bar_name(place, name, width))
    }

    /// A line above the bars. It is lost when the terminal is, and the work goes on.
    fn say(&self, line: &str) {
        let _ = self.screen.println(line);
    }
}

fn style(template: &str) -> ProgressStyle {
    // A template that indicatif does not like costs the looks, never the work.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ").with_key("left", super::left)
}

/// Moves a bar without counting that as speed.
fn jump(bar: &ProgressBar, position: u64) {
    bar.set_position(position);
    bar.tick();
    bar.reset_eta();
}
