//! What a build shows while it runs, on standard error: bars on a terminal, lines elsewhere, nothing when it is told to be quiet.
//!
//! A finished layer leaves the same line in both forms.

mod bars;
mod lines;

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use banger_rootfs::{Event, LayerSummary, Progress, Stage};

use crate::text::{Bytes, Line, counted};
use bars::Bars;
use lines::Lines;

/// Receives the events of a build.
pub(crate) enum Shown {
    Nothing,
    Lines(Mutex<Lines>),
    Bars(Mutex<Bars>),
}

impl Shown {
    /// What suits standard error.
    pub(crate) fn new(quiet: bool) -> Self {
        if quiet {
            return Self::Nothing;
        }
        let stderr = std::io::stderr();
        if stderr.is_terminal() {
            let colored = anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
            Self::Bars(Mutex::new(Bars::new(colored)))
        } else {
            Self::Lines(Mutex::new(Lines::default()))
        }
    }

    /// Nothing more will happen: bars disappear, lines stay.
    pub(crate) fn finish(&self) {
        if let Self::Bars(bars) = self {
            bars.lock().unwrap_or_else(PoisonError::into_inner).finish();
        }
    }
}

impl Progress for Shown {
    fn event(&self, event: Event<'_>) {
        match self {
            Self::Nothing => {}
            Self::Lines(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).event(event),
            Self::Bars(bars) => bars.lock().unwrap_or_else(PoisonError::into_inner).event(event),
        }
    }
}

/// The first line: how much there is to read.
fn resolved(layers: &[LayerSummary]) -> String {
    let layers_text = counted(layers.len() as u64, "layer", "layers");
    match total(layers) {
        Some(size) => format!("{layers_text}, {}", Bytes(size)),
        None => layers_text,
    }
}

/// Compressed size of all layers, where it is known of each.
fn total(layers: &[LayerSummary]) -> Option<u64> {
    layers.iter().map(|layer| layer.size).try_fold(0u64, |sum, size| sum.checked_add(size?))
}

/// The line of a layer that has been read.
fn finished(index: usize, layers: &[LayerSummary], read: u64, entries: usize) -> String {
    let name = layers.get(index).map_or_else(String::new, |layer| short(&layer.name));
    let entries = counted(entries as u64, "entry", "entries");
    format!("layer {}/{} {}: {}, {entries}", index.saturating_add(1), layers.len(), Line(&name), Bytes(read))
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Metadata => "writing the metadata of the file system",
        Stage::Sync => "waiting until the image is on the disk",
        Stage::Checksum => "computing the checksum",
    }
}

fn warning(text: &str) -> String {
    format!("warning: {}", Line(text))
}

/// As much of a digest as tells it from others; anything else in full.
fn short(name: &str) -> String {
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

    fn layer(name: &str, size: Option<u64>) -> LayerSummary {
        LayerSummary { name: name.to_owned(), size }
    }

    #[test]
    fn digests_are_shortened_and_paths_are_not() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(short(&digest), "sha256:0123456789ab");
        assert_eq!(short("./files/a:b"), "./files/a:b");
    }

    #[test]
    fn sizes_are_told_where_all_are_known() {
        assert_eq!(resolved(&[layer("a", Some(1024)), layer("b", Some(2048))]), "2 layers, 3.0 KiB");
        assert_eq!(resolved(&[layer("a", Some(1024)), layer("b", None)]), "2 layers");
        assert_eq!(resolved(&[]), "0 layers, 0 B");
    }

    #[test]
    fn a_finished_layer_has_its_number() {
        let layers = [layer("one", None), layer("two", None)];
        assert_eq!(finished(1, &layers, 5 << 20, 1234), "layer 2/2 two: 5.0 MiB, 1,234 entries");
    }
}
