//! What a command shows while it runs, on standard error: bars on a terminal, lines elsewhere, nothing when it is told to be quiet;
//! or events as JSON, the same as the daemon's, where a program asks for them.
//!
//! A finished layer leaves the same line in both forms. What a build tells and what a registry tells comes together in
//! [`layers::Layers`].

mod bars;
mod layers;
mod lines;
mod meter;
mod waits;

use std::io::{IsTerminal, Write as _};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use banger_api::event::Step;
use banger_api::{Event, Observer};
use banger_oci::Reference;
use indicatif::{HumanDuration, ProgressState};

use crate::args::Progress;
use crate::failure::{Failure, report_signal};
use crate::interrupts::{self, Interrupts};
use crate::text::Line;
use bars::Bars;
use lines::Lines;
pub(crate) use meter::Meter;

/// Is told what happens, whoever does the work: this process or the daemon.
#[derive(Debug)]
pub(crate) struct Shown {
    form: Form,
    interrupts: Option<Interrupts>,
    /// The hosts that have answered, in the order in which they did.
    hosts: Mutex<Vec<String>>,
}

#[derive(Debug)]
enum Form {
    Nothing,
    Json,
    Lines(Mutex<Lines>),
    Bars(Mutex<Bars>),
}

/// How progress is shown by all commands of this process.
static CHOICE: OnceLock<Progress> = OnceLock::new();

impl Progress {
    /// Makes it the choice of this process.
    pub(crate) fn write_global(self) {
        // The first one stays; there is one command line.
        let _ = CHOICE.set(self);
    }

    fn global() -> Self {
        CHOICE.get().copied().unwrap_or_default()
    }
}

/// Whether progress is written as JSON, so that standard error is for programs.
pub(crate) fn is_json() -> bool {
    Progress::global() == Progress::Json
}

/// The columns of the terminal that standard error is; those of a usual one, where it does not say.
fn columns() -> usize {
    const USUAL: usize = 80;
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(0, |size| size.ws_col);
    if size == 0 { USUAL } else { usize::from(size) }
}

/// Fewer columns than this have no room for the speed and the time that is left.
const NARROW: usize = 72;

/// What is shown: which events end a layer depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Task {
    /// Layers are read into an image, perhaps while they are fetched.
    Build,
    /// Layers are fetched, and that is all.
    Fetch,
}

impl Shown {
    /// What suits standard error.
    pub(crate) fn new(task: Task, quiet: bool) -> Self {
        Self { form: Form::new(task, quiet), interrupts: None, hosts: Mutex::default() }
    }

    /// The same; and from now on Ctrl-C ends what is being done in good order, and the second one at once.
    pub(crate) fn interruptible(task: Task, quiet: bool) -> Result<Self, Failure> {
        Ok(Self { interrupts: Some(Interrupts::watch_first()?), ..Self::new(task, quiet) })
    }

    /// From now on a signal still ends this process, but what moves is removed first, and `left` says what is left of
    /// the work.
    pub(crate) fn last_word(self: &Arc<Self>, left: &'static str) -> Result<(), Failure> {
        let shown = Arc::clone(self);
        interrupts::before_the_end(move || {
            shown.finish();
            if !matches!(shown.form, Form::Nothing) {
                report_signal(left);
            }
        })
    }

    /// The hosts that have answered so far, each once.
    pub(crate) fn hosts(&self) -> Vec<String> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The signal that what is being done is to end by.
    pub(crate) fn signal(&self) -> Option<u8> {
        self.interrupts.as_ref().and_then(Interrupts::signal)
    }

    /// What follows is about this image of a registry.
    pub(crate) fn image(&self, reference: &Reference) {
        let name = reference.to_string();
        if let Form::Json = self.form {
            return print(&Event::Step { step: Step::Resolve, subject: name });
        }
        self.show(|lines| lines.image(&name), |bars| bars.image(&name));
    }

    /// Something else is written now: bars disappear until more is told.
    pub(crate) fn pause(&self) {
        self.show(|_| {}, Bars::clear);
    }

    /// Nothing more is shown: bars disappear, lines stay.
    pub(crate) fn finish(&self) {
        self.show(Lines::finish, Bars::finish);
    }

    fn show(&self, lines: impl FnOnce(&mut Lines), bars: impl FnOnce(&mut Bars)) {
        match &self.form {
            Form::Nothing | Form::Json => {}
            Form::Lines(shown) => lines(&mut shown.lock().unwrap_or_else(PoisonError::into_inner)),
            Form::Bars(shown) => bars(&mut shown.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl Form {
    fn new(task: Task, quiet: bool) -> Self {
        let stderr = std::io::stderr();
        let has_bars = match Progress::global() {
            Progress::Json => return Self::Json,
            Progress::None => return Self::Nothing,
            _ if quiet => return Self::Nothing,
            Progress::Plain => false,
            Progress::Auto => stderr.is_terminal(),
        };
        if has_bars {
            let colored = anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
            Self::Bars(Mutex::new(Bars::new(task, colored)))
        } else {
            Self::Lines(Mutex::new(Lines::new(task)))
        }
    }
}

impl Observer for Shown {
    fn event(&self, event: Event) {
        if let Event::Answered { host, .. } = &event {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            if !hosts.contains(host) {
                hosts.push(host.clone());
            }
        }
        match &self.form {
            Form::Nothing => {}
            Form::Json => print(&event),
            Form::Lines(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).event(event),
            Form::Bars(bars) => bars.lock().unwrap_or_else(PoisonError::into_inner).event(event),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.signal().is_some()
    }
}

/// Writes an event as a line of JSON. One that cannot be written is lost, and the work goes on.
pub(crate) fn print(event: &Event) {
    if let Ok(line) = serde_json::to_string(event) {
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
}

/// The time that is left, for a template's key; nothing while nothing moves.
fn left(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    if state.per_sec() >= 1.0 {
        let _ = write!(out, ", {:#} left", HumanDuration(state.eta()));
    }
}

/// The line of a step; none where what follows tells more.
fn step(step: Step, subject: &str) -> Option<String> {
    let subject = Line(subject);
    Some(match step {
        Step::Resolve => subject.to_string(),
        Step::Layers => return None,
        Step::Download => format!("downloading {subject}"),
        Step::Metadata => "writing the metadata of the file system".to_owned(),
        Step::Sync => "waiting until the image is on the disk".to_owned(),
        Step::Checksum => "computing the checksum".to_owned(),
        Step::Extract => format!("unpacking {subject}"),
        Step::Pack => format!("packing {subject}"),
        Step::Kernel => format!("kernel {subject}"),
        Step::Upload => format!("sending to {subject}"),
        Step::Wait => "somebody else makes the same image: waiting until it is there".to_owned(),
        Step::Publish => format!("keeping it as {subject}"),
    })
}

/// The line that says that a mirror answers. That the registry itself does needs no words.
fn answered(host: &str, mirror_of: Option<&str>) -> Option<String> {
    Some(format!("the mirror {} answers for {}", Line(host), Line(mirror_of?)))
}

fn warning(text: &str) -> String {
    format!("warning: {}", Line(text))
}

/// As much of a digest as tells it from others; anything else in full.
pub(crate) fn short(name: &str) -> String {
    const SHOWN: usize = 12;
    match name.split_once(':') {
        Some((algorithm, hex)) if hex.len() >= 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("{algorithm}:{}", hex.get(..SHOWN).unwrap_or(hex))
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_shortened_and_paths_are_not() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(short(&digest), "sha256:0123456789ab");
        assert_eq!(short("./files/a:b"), "./files/a:b");
    }
}
