//! `banger cache`: what has been downloaded, and how to have less of it.

use std::io::Write;

use banger_oci::cache::{Cache, Checked, Damaged, ImageUsage, Removed, Usage};
use banger_operations::access::open_cache;
use serde::Serialize;

use crate::args::{CacheCommand, CacheLs, CacheOption, CachePrune, CacheRm, CacheVerify};
use crate::directories;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{json, print};
use crate::progress::{Meter, short};
use crate::table::Table;
use crate::text::{Bytes, Line, counted};

pub(crate) fn run(command: &CacheCommand) -> Result<(), Failure> {
    match command {
        CacheCommand::Ls(options) => ls(options),
        CacheCommand::Rm(options) => rm(options),
        CacheCommand::Prune(options) => prune(options),
        CacheCommand::Verify(options) => verify(options),
    }
}

fn ls(options: &CacheLs) -> Result<(), Failure> {
    let cache = existing(&options.cache)?;
    let usage = cache.as_ref().map(Cache::usage).transpose().map_err(|error| failure(&error))?.unwrap_or_default();
    if options.json {
        return usage.images.iter().try_for_each(|image| print(&json(&Image::new(image))?));
    }
    if !usage.images.is_empty() {
        let mut table = Table::new(["name", ">size", ">unique", "digest"]);
        for image in &usage.images {
            let mut name = Line(image.name.as_deref().unwrap_or("(without a name)")).to_string();
            if !image.complete {
                name += " (incomplete)";
            }
            let sizes = [image.size, image.unique].map(|size| Bytes(size).to_string());
            let [size, unique] = sizes;
            table.row([name, size, unique, short(&image.digest.to_string())]);
        }
        print(table.to_string().trim_end())?;
    }
    say(&overview(&usage));
    Ok(())
}

fn rm(options: &CacheRm) -> Result<(), Failure> {
    let Some(cache) = existing(&options.cache)? else {
        let what = format!("there is no image {}: nothing has been downloaded yet", options.references.join(", "));
        return Err(Failure::new(Exit::NotFound, what));
    };
    let removed = cache.remove(&options.references, options.dry_run, &mut waiting).map_err(|error| {
        let failure = failure(&error);
        match error {
            banger_oci::Error::NoImage { .. } => failure.hint("`banger cache ls` lists the images that there are"),
            _ => failure,
        }
    })?;
    tell(&removed, options.dry_run);
    Ok(())
}

fn prune(options: &CachePrune) -> Result<(), Failure> {
    let removed = match existing(&options.cache)? {
        Some(cache) => cache.prune(options.all, options.dry_run, &mut waiting).map_err(|error| failure(&error))?,
        None => Removed::default(),
    };
    tell(&removed, options.dry_run);
    Ok(())
}

fn verify(options: &CacheVerify) -> Result<(), Failure> {
    let checked = match existing(&options.cache)? {
        Some(cache) => {
            let meter = Meter::new("checking");
            let checked = cache.verify(&mut |read, total| meter.show(read, total));
            meter.finish();
            checked.map_err(|error| failure(&error))?
        }
        None => Checked::default(),
    };
    if options.json {
        print(&json(&Verdict::new(&checked))?)?;
    } else {
        checked.damaged.iter().try_for_each(|damaged| print(&line(damaged)))?;
    }
    let all = counted(checked.blobs, "blob", "blobs");
    let bad = checked.damaged.len() as u64;
    if bad == 0 {
        if !options.json {
            say(&format!("{all}, {}: all as they should be", Bytes(checked.bytes)));
        }
        return Ok(());
    }
    let mut failure = Failure::new(Exit::Integrity, format!("{bad} of {all} {} damaged", verb(bad)));
    if checked.removed > 0 {
        let what = counted(checked.removed, "blob was", "blobs were");
        failure = failure.hint(format!("{what} removed; the next fetch or build downloads what it needs of that"));
    }
    if checked.removed < bad {
        failure = failure.hint("what could not be read was left where it is");
    }
    Err(failure)
}

fn verb(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// The cache that there is. None where nothing has ever been put into the user's; a directory that is named must be there.
fn existing(option: &CacheOption) -> Result<Option<Cache>, Failure> {
    let directory = directories::cache(option)?;
    match directory.metadata() {
        Err(error) if option.directory.is_some() => Err(Failure::file("open", &directory, &error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => Ok(Some(open_cache(&directory)?)),
    }
}

fn failure(error: &banger_oci::Error) -> Failure {
    Failure::of(error.into(), error)
}

fn waiting() {
    say("waiting until nobody uses the cache");
}

fn overview(usage: &Usage) -> String {
    let mut text = counted(usage.images.len() as u64, "image", "images");
    text += &format!(", {}, {}", counted(usage.blobs.count, "blob", "blobs"), Bytes(usage.blobs.bytes));
    if usage.unneeded.count > 0 {
        let (count, bytes) = (usage.unneeded.count, Bytes(usage.unneeded.bytes));
        text += &format!("; {count} of the blobs {} needed by no image, {bytes}", verb(count));
    }
    if usage.partials.count > 0 {
        let partials = counted(usage.partials.count, "unfinished download", "unfinished downloads");
        text += &format!("; {partials}, {}", Bytes(usage.partials.bytes));
    }
    text
}

/// What was removed, or would be.
fn tell(removed: &Removed, dry_run: bool) {
    let removes = if dry_run { "would remove" } else { "removed" };
    for image in &removed.images {
        say(&format!("{removes} {}", Line(image)));
    }
    let mut text = counted(removed.blobs, "blob", "blobs");
    if removed.partials > 0 {
        text += &format!(" and {}", counted(removed.partials, "unfinished download", "unfinished downloads"));
    }
    let free = if dry_run { "would become free" } else { "became free" };
    say(&format!("{removes} {text}; {} {free}", Bytes(removed.bytes)));
}

fn line(damaged: &Damaged) -> String {
    let Damaged { digest, reason, removed, images } = damaged;
    let fate = if *removed { "removed" } else { "left where it is" };
    let users = if images.is_empty() { "no image".to_owned() } else { images.join(", ") };
    format!("{digest} ({}), {fate}: {}", Line(&users), Line(reason))
}

/// One line of `banger cache ls --json`. Sizes are bytes on the disk.
#[derive(Debug, Serialize)]
struct Image<'a> {
    name: Option<&'a str>,
    digest: String,
    size: u64,
    shared: u64,
    unique: u64,
    complete: bool,
}

impl<'a> Image<'a> {
    fn new(image: &'a ImageUsage) -> Self {
        let &ImageUsage { ref name, digest, size, shared, unique, complete } = image;
        Self { name: name.as_deref(), digest: digest.to_string(), size, shared, unique, complete }
    }
}

/// `banger cache verify --json`
#[derive(Debug, Serialize)]
struct Verdict<'a> {
    blobs: u64,
    bytes: u64,
    damaged: Vec<Wrong<'a>>,
    removed: u64,
}

#[derive(Debug, Serialize)]
struct Wrong<'a> {
    digest: String,
    reason: &'a str,
    removed: bool,
    images: &'a [String],
}

impl<'a> Verdict<'a> {
    fn new(checked: &'a Checked) -> Self {
        let wrong = |damaged: &'a Damaged| Wrong {
            digest: damaged.digest.to_string(),
            reason: &damaged.reason,
            removed: damaged.removed,
            images: &damaged.images,
        };
        Self {
            blobs: checked.blobs,
            bytes: checked.bytes,
            damaged: checked.damaged.iter().map(wrong).collect(),
            removed: checked.removed,
        }
    }
}

/// For people, so on standard error; nothing is lost when that is closed.
fn say(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}
