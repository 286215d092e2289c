//! `banger build`

use std::io::Write;
use std::sync::Arc;

use banger_rootfs::{Addition, Options, Report};

use crate::args::Build;
use crate::failure::Failure;
use crate::guest;
use crate::output::{Answered, json, print};
use crate::progress::{Shown, Task};
use crate::registry;
use crate::source::{self, Request};
use crate::text::{Bytes, Line, counted};
use crate::values::Place;

/// Builds the image and prints what was asked for.
pub(crate) fn run(build: &Build) -> Result<(), Failure> {
    let options = options(build)?;
    let progress = Arc::new(Shown::new(Task::Build, build.quiet));
    let request = Request { source: &build.source, platform: build.platform.as_ref(), registry: &build.registry };
    progress
        .last_word("the image was not written; what was downloaded is kept, and the next build goes on from there")?;
    let report = source::build(&request, &options, &progress)?;
    let from = progress.hosts();
    registry::say_unasked(&build.registry, &from);
    if build.json {
        print(&json(&Answered { report: &report, from })?)
    } else if build.quiet {
        print(&report.content_id)
    } else {
        summarise(&report);
        Ok(())
    }
}

fn options(build: &Build) -> Result<Options, Failure> {
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
    options.zstd_window = registry::zstd_window(&build.registry)?.unwrap_or(options.zstd_window);
    options.size = build.size;
    options.label = build.label.clone();
    options.uuid = build.uuid;
    options.additions = build.add.iter().map(addition).collect();
    options.modules = guest::modules(&build.guest)?;
    options.guest = guest::layer(&build.guest.settings)?;
    Ok(options)
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
    if let Some(boot) = &report.boot {
        let _ = writeln!(out, "boot mode  {}: {}", boot.mode, Line(&boot.why));
    }
    if let Some(version) = &report.modules {
        let _ = writeln!(out, "modules    {version}");
    }
    let _ = writeln!(out, "content id {}", report.content_id);
    if let Some(checksum) = &report.checksum {
        let _ = writeln!(out, "checksum   {checksum}");
    }
}
