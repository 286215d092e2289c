//! `banger build`

use std::io::Write;
use std::sync::Arc;

use banger_oci::{Location, OpenOptions};
use banger_rootfs::{Addition, Options, Report};

use crate::args::{Build, Pull};
use crate::failure::Failure;
use crate::hints::{self, Asked};
use crate::output::{json, print};
use crate::progress::{Shown, Task};
use crate::registry;
use crate::text::{Bytes, Line, counted};
use crate::values::Place;

/// Builds the image and prints what was asked for.
pub(crate) fn run(build: &Build) -> Result<(), Failure> {
    let location = Location::parse(&build.source).map_err(|error| hints::for_source(&error, &build.source))?;
    let asked = Asked { text: &build.source, place: (&location).into(), options: &build.registry };
    let progress = Arc::new(Shown::new(Task::Build, build.quiet));
    let options = options(build);
    let report = match &location {
        Location::Local(source) => {
            let open = OpenOptions { platform: build.platform.clone(), ..OpenOptions::default() };
            banger_rootfs::build(&|| source.open(&open), &options, &*progress)
        }
        Location::Registry(reference) => {
            let registry = registry::open(&build.registry, &[reference], Pull::Missing, None, &progress)?;
            progress.image(reference);
            banger_rootfs::build(&|| registry.open(reference, build.platform.as_ref()), &options, &*progress)
        }
    };
    progress.finish();
    let report = report.map_err(|error| hints::for_build(&error, &asked, build))?;
    if build.json {
        print(&json(&report)?)
    } else if build.quiet {
        print(&report.content_id)
    } else {
        summarise(&report);
        Ok(())
    }
}

fn options(build: &Build) -> Options {
    let owner = build.add_owner;
    let addition = |place: &Place| Addition {
        source: place.source.clone(),
        target: place.target.clone(),
        uid: owner.uid,
        gid: owner.gid,
    };
    let mut options = Options::new(&build.output);
    options.force = build.force;
    options.sync = !build.no_sync;
    options.checksum = build.checksum;
    options.jobs = build.registry.jobs.unwrap_or(options.jobs);
    options.size = build.size;
    options.label = build.label.clone();
    options.uuid = build.uuid;
    options.additions = build.add.iter().map(addition).collect();
    options
}

/// For people, so on standard error; nothing is lost when that is closed.
fn summarise(report: &Report) {
    let mut out = anstream::stderr().lock();
    let path = report.path.display().to_string();
    let _ = writeln!(
        out,
        "{}: {}, {} on disk, {} in {:.1} s",
        Line(&path),
        Bytes(report.size),
        Bytes(report.allocated),
        counted(report.entries, "entry", "entries"),
        report.seconds.total,
    );
    let _ = writeln!(out, "content id {}", report.content_id);
    if let Some(checksum) = &report.checksum {
        let _ = writeln!(out, "checksum   {checksum}");
    }
}
