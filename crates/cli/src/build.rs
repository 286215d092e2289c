//! `banger build`

use std::io::Write;

use banger_oci::Source;
use banger_rootfs::{Addition, Options, Report};

use crate::args::Build;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::hints;
use crate::progress::Shown;
use crate::text::{Bytes, Line, counted};
use crate::values::Place;

/// Builds the image and prints what was asked for.
pub(crate) fn run(build: Build) -> Result<(), Failure> {
    let source = Source::parse(&build.source).map_err(|error| hints::for_source(&error, &build.source))?;
    let progress = Shown::new(build.quiet);
    let options = options(&build);
    let report = banger_rootfs::build(&source, &options, &progress);
    progress.finish();
    let report = report.map_err(|error| hints::for_build(&error, &source, &build))?;
    if build.json {
        let line = serde_json::to_string(&report)
            .map_err(|error| Failure::new(Exit::Other, "cannot write the report").because(&error))?;
        print(&line)
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
    options.jobs = build.jobs.unwrap_or(options.jobs);
    options.platform = build.platform.clone();
    options.size = build.size;
    options.label = build.label.clone();
    options.uuid = build.uuid;
    options.additions = build.add.iter().map(addition).collect();
    options
}

fn print(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Failure::stdout)
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
