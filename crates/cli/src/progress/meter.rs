//! One bar for work that is no build and no download; events where a program asks for them, else nothing where there is no
//! terminal.

use std::io::IsTerminal;

use banger_api::Event;
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Progress;

/// How far something is, in bytes.
#[derive(Debug)]
pub(crate) enum Meter {
    Nothing,
    Json,
    Bar(ProgressBar),
}

impl Meter {
    pub(crate) fn new(doing: &'static str) -> Self {
        match Progress::global() {
            Progress::Json => return Self::Json,
            Progress::Auto if std::io::stderr().is_terminal() => {}
            _ => return Self::Nothing,
        }
        let amount = if super::columns() < super::NARROW { "" } else { " {binary_bytes_per_sec}{left}" };
        let template = format!("{{prefix}} [{{wide_bar}}] {{binary_bytes}}/{{binary_total_bytes}}{amount}");
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(0).with_style(style.progress_chars("=> ").with_key("left", super::left));
        Self::Bar(bar.with_prefix(doing))
    }

    pub(crate) fn show(&self, done: u64, total: u64) {
        match self {
            Self::Nothing => {}
            Self::Json => super::print(&Event::Advanced { done, total }),
            Self::Bar(bar) => {
                bar.set_length(total);
                bar.set_position(done);
            }
        }
    }

    pub(crate) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
