//! One build, from the source to the finished file.

use std::time::Instant;

use banger_disk::output::{self, Output};
use banger_ext4::write::Image;
use banger_layers::entry::Time;
use std::os::unix::fs::MetadataExt;

use crate::attributes;
use crate::checksum;
use crate::content_id::Inputs;
use crate::disk;
use crate::error::{Error, IoContext, LayerError};
use crate::guest::{self, Guest};
use crate::options::Options;
use crate::pipeline::{self, Input};
use crate::progress::{Event, LayerSummary, Progress, Stage};
use crate::report::{LayerReport, Report, Seconds};

/// Builds the ext4 root file system of the image that `open` opens.
///
/// The result stands at `options.output` when this returns, complete and synced, or not at all. The image is opened when it
/// is clear that the result can be written; and once more where a layer turns out to be damaged which can be had anew.
///
/// # Errors
/// An [`Error`] that names what could not be read or written; nothing has been left behind then.
pub fn build(
    open: &dyn Fn() -> banger_oci::Result<banger_oci::Image>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Report, Error> {
    let clock = Clock::start();
    let mut attempt = 1;
    loop {
        let output = Output::create(&options.output, options.force)?;
        let image = open()?;
        match build_from(&image, output, options, progress, clock) {
            Err(error) if attempt < ATTEMPTS && discard(&image, &error)? => {
                progress.event(Event::Warning(format!("{error} was damaged and is had anew")));
                attempt += 1;
            }
            result => return result,
        }
    }
}

/// How often a build is begun at most: a place that keeps giving what is damaged is not asked for ever.
const ATTEMPTS: usize = 3;

/// Has the layer that an error is about removed from where it was kept, if that makes sense.
fn discard(image: &banger_oci::Image, error: &Error) -> Result<bool, Error> {
    let Error::Layer { number, source, .. } = error else { return Ok(false) };
    match source.as_ref() {
        LayerError::Blob(_) | LayerError::Read(_) => {}
        _ => return Ok(false),
    }
    let layer = number.checked_sub(1).and_then(|index| image.layers().get(index));
    Ok(layer.map(banger_oci::Layer::discard).transpose()?.unwrap_or(false))
}

fn build_from(
    image: &banger_oci::Image,
    output: Output,
    options: &Options,
    progress: &dyn Progress,
    mut clock: Clock,
) -> Result<Report, Error> {
    let mut seconds = Seconds::default();
    for warning in image.warnings() {
        progress.event(Event::Warning(warning.to_string()));
    }
    let guest = Guest::open(image, options)?;
    let inputs: Vec<Input<'_>> =
        image.layers().iter().map(Input::Layer).chain(options.additions.iter().map(Input::Addition)).collect();
    let summaries: Vec<LayerSummary> = inputs.iter().map(Input::summary).collect();
    progress.event(Event::Resolved { layers: &summaries });
    seconds.resolve = clock.lap();

    let created = image.created();
    let time = created.map_or(Time::default(), |time| Time { seconds: time.seconds, nanoseconds: time.nanoseconds });
    let file = output.file().try_clone().at("duplicate the descriptor of", &options.output)?;
    let mut target = Image::new(file, output::directory_of(&options.output));
    if options.sync {
        target = target.with_write_back();
    }
    let mut unpacked = pipeline::unpack(&inputs, &target, options, time, progress)?;
    attributes::complete(&mut unpacked, progress)?;
    let guest::Applied { boot, digests: of_guest } = guest.apply(&mut unpacked, &target, time)?;
    seconds.layers = clock.lap();

    progress.event(Event::Stage(Stage::Metadata));
    check_wanted(progress)?;
    let layers = layers(image, &unpacked.read);
    let digests: Vec<String> = unpacked.read.into_iter().map(|read| read.digest).collect();
    let (of_image, of_additions) = digests.split_at(image.layers().len());
    let identity = Inputs::new(image.manifest_digest(), of_image, of_additions, &of_guest, options);
    let identity = identity.identity(options.uuid);
    let entries = unpacked.tree.names() as u64 + 1;
    let tree = disk::tree(&unpacked.tree)?;
    drop(unpacked.tree);
    let finish = banger_ext4::write::Options {
        size: options.size,
        label: options.label.clone().into_bytes(),
        uuid: identity.uuid,
        hash_seed: identity.hash_seed,
        time: time.seconds,
    };
    target.finish(tree, &unpacked.segments, &finish)?;
    seconds.metadata = clock.lap();

    if options.sync {
        progress.event(Event::Stage(Stage::Sync));
        output.sync()?;
    }
    seconds.sync = clock.lap();
    let checksum = if options.checksum {
        progress.event(Event::Stage(Stage::Checksum));
        Some(checksum::of_file(output.file()).at("read", &options.output)?)
    } else {
        None
    };
    seconds.checksum = clock.lap();

    check_wanted(progress)?;
    let metadata = output.file().metadata().at("read the size of", &options.output)?;
    output.publish(options.sync)?;
    seconds.sync += clock.lap();
    seconds.total = clock.total();
    Ok(Report {
        path: options.output.clone(),
        size: metadata.size(),
        allocated: metadata.blocks() * STAT_BLOCK,
        entries,
        manifest_digest: image.manifest_digest().copied(),
        content_id: identity.content_id,
        checksum,
        boot,
        modules: guest.version().map(str::to_owned),
        layers,
        seconds,
    })
}

/// What the report says of the image's layers.
fn layers(image: &banger_oci::Image, read: &[pipeline::Read]) -> Vec<LayerReport> {
    let layer = |(layer, read): (&banger_oci::Layer, &pipeline::Read)| LayerReport {
        diff_id: read.digest.clone(),
        size: layer.size(),
        unpacked: read.bytes,
    };
    image.layers().iter().zip(read).map(layer).collect()
}

/// Ends a build that nobody wants any more.
fn check_wanted(progress: &dyn Progress) -> Result<(), Error> {
    if progress.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}

/// Bytes that `st_blocks` counts in, whatever the file system's block size.
const STAT_BLOCK: u64 = 512;

/// Tells how long each stage took, for the report alone: nothing in an image depends on it.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
    last: Instant,
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Self { start: now, last: now }
    }

    /// Seconds since the last lap.
    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let seconds = (now - self.last).as_secs_f64();
        self.last = now;
        seconds
    }

    fn total(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use banger_oci::{OpenOptions, Source};

    use super::*;
    use banger_error::ErrorKind;

    /// Wishes that the build ends, after so many events.
    struct Impatient {
        patience: usize,
        events: AtomicUsize,
    }

    impl Progress for Impatient {
        fn event(&self, _event: Event<'_>) {
            self.events.fetch_add(1, Ordering::Relaxed);
        }

        fn is_cancelled(&self) -> bool {
            self.events.load(Ordering::Relaxed) >= self.patience
        }
    }

    /// Builds a small image, and says what is there then.
    fn build_with(progress: &dyn Progress) -> (Result<Report, Error>, usize) {
        let directory = tempfile::tempdir().unwrap();
        let archive = directory.path().join("layer.tar");
        std::fs::write(&archive, banger_guest::demo::layer()).unwrap();
        let source = Source::parse(format!("tar:{}", archive.display())).unwrap();
        let output = directory.path().join("out");
        std::fs::create_dir(&output).unwrap();
        let options = Options::new(output.join("image"));
        let result = build(&|| source.open(&OpenOptions::default()), &options, progress);
        (result, std::fs::read_dir(output).unwrap().count())
    }

    #[test]
    fn a_build_that_nobody_wants_ends_and_leaves_nothing() {
        let patient = Impatient { patience: usize::MAX, events: AtomicUsize::new(0) };
        assert_eq!(build_with(&patient).1, 1);
        let events = patient.events.into_inner();
        for patience in 0..events {
            let (result, files) = build_with(&Impatient { patience, events: AtomicUsize::new(0) });
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled, "after {patience} events");
            assert_eq!(files, 0, "after {patience} events");
        }
    }
}
