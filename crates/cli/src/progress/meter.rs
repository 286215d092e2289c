//! One bar for work that is no build and no download; nothing where there is no terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// How far something is, in bytes.
#[derive(Debug)]
pub(crate) struct Meter(Option<ProgressBar>);

impl Meter {
    pub(crate) fn new(doing: &'static str) -> Self {
        Self(std::io::stderr().is_terminal().then(|| {
            let template = "{prefix} [{wide_bar}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}{left}";
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style.progress_chars("=> ").with_key("left", super::left)).with_prefix(doing)
        }))
    }

    pub(crate) fn show(&self, done: u64, total: u64) {
        if let Self(Some(bar)) = self {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    pub(crate) fn finish(&self) {
        if let Self(Some(bar)) = self {
            bar.finish_and_clear();
        }
    }
}
