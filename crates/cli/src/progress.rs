//! What a command shows while it runs, on standard error: bars on a terminal, lines elsewhere, nothing when it is told to be quiet.
//!
//! A finished layer leaves the same line in both forms. What a build tells and what a registry tells comes together in
//! [`layers::Layers`].

mod bars;
mod layers;
mod lines;
mod meter;
mod waits;

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use banger_api::event::Step;
use banger_api::{Event, Observer};
use banger_oci::Reference;
use indicatif::{HumanDuration, ProgressState};

use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::text::Line;
use bars::Bars;
use lines::Lines;
pub(crate) use meter::Meter;

/// Is told what happens, whoever does the work: this process or the daemon.
#[derive(Debug)]
pub(crate) struct Shown {
    form: Form,
    interrupts: Option<Interrupts>,
}

#[derive(Debug)]
enum Form {
    Nothing,
    Lines(Mutex<Lines>),
    Bars(Mutex<Bars>),
}

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
        Self { form: Form::new(task, quiet), interrupts: None }
    }

    /// The same; and from now on Ctrl-C ends what is being done in good order, and the second one at once.
    pub(crate) fn interruptible(task: Task, quiet: bool) -> Result<Self, Failure> {
        Ok(Self { form: Form::new(task, quiet), interrupts: Some(Interrupts::watch_first()?) })
    }

    /// The signal that what is being done is to end by.
    pub(crate) fn signal(&self) -> Option<u8> {
        self.interrupts.as_ref().and_then(Interrupts::signal)
    }

    /// What follows is about this image of a registry.
    pub(crate) fn image(&self, reference: &Reference) {
        let name = reference.to_string();
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
            Form::Nothing => {}
            Form::Lines(shown) => lines(&mut shown.lock().unwrap_or_else(PoisonError::into_inner)),
            Form::Bars(shown) => bars(&mut shown.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl Form {
    fn new(task: Task, quiet: bool) -> Self {
        if quiet {
            return Self::Nothing;
        }
        let stderr = std::io::stderr();
        if stderr.is_terminal() {
            let colored = anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
            Self::Bars(Mutex::new(Bars::new(task, colored)))
        } else {
            Self::Lines(Mutex::new(Lines::new(task)))
        }
    }
}

impl Observer for Shown {
    fn event(&self, event: Event) {
        match &self.form {
            Form::Nothing => {}
            Form::Lines(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).event(event),
            Form::Bars(bars) => bars.lock().unwrap_or_else(PoisonError::into_inner).event(event),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.signal().is_some()
    }
}

/// The time that is left, for a template's key; nothing while nothing moves.
fn left(state: &ProgressState, out: &mut dyn Write) {
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
