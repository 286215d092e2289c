//! `banger fetch`

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::sync::Arc;

use banger_api::Observer;
use banger_oci::{Digest, Reference};
use banger_operations::hints::{self, Asked, Place};
use banger_registry::{Fetched, Platforms, Tally};
use serde::Serialize;

use crate::args::{Fetch, Pull};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Amount, json, print};
use crate::progress::{Shown, Task};
use crate::registry;
use crate::text::{Bytes, counted};
use crate::values::Target;

/// One image that is fetched.
#[derive(Debug)]
struct Wanted<'a> {
    text: &'a OsStr,
    reference: Reference,
    /// What it is called where it is put.
    name: String,
}

/// Fetches one image after the other, and prints what was asked for.
pub(crate) fn run(fetch: &Fetch) -> Result<(), Failure> {
    let images = images(fetch)?;
    let references: Vec<_> = images.iter().map(|image| &image.reference).collect();
    let progress = Arc::new(Shown::new(Task::Fetch, fetch.quiet));
    let layout = fetch.to.as_ref().map(|target| target.directory.as_path());
    let access = registry::access(&fetch.registry, &references, Pull::Always)?;
    let observer: Arc<dyn Observer> = Arc::<Shown>::clone(&progress);
    let registry = access.registry(&references, layout, &observer)?;
    let platforms = if fetch.all_platforms { Platforms::All } else { Platforms::One(fetch.platform.clone()) };
    progress.last_word("what is complete of it is kept, and the next fetch goes on from there")?;
    let result = images.iter().try_for_each(|image| {
        progress.image(&image.reference);
        let fetched = registry.fetch(&image.reference, &platforms, &image.name).map_err(|error| -> Failure {
            progress.finish();
            let place = Place::Registry(&image.reference);
            hints::for_image(&error, &Asked { text: image.text, place, said: access.said }).into()
        })?;
        progress.pause();
        tell(fetch, image, &fetched, progress.hosts())
    });
    progress.finish();
    result
}

fn images(fetch: &Fetch) -> Result<Vec<Wanted<'_>>, Failure> {
    let mut images = Vec::new();
    let mut names = BTreeMap::new();
    for text in &fetch.references {
        let reference = hints::reference(text)?;
        let name = match &fetch.to {
            Some(target) => name_in(target, &reference),
            None => reference.to_string(),
        };
        let before = names.insert(name.clone(), reference.clone());
        if let Some(before) = before.filter(|before| *before != reference) {
            let what = format!("{before} and {reference} would both be called {name:?} in the layout");
            return Err(Failure::new(Exit::Usage, what).hint("fetch them one by one, with --to oci:DIR:NAME"));
        }
        images.push(Wanted { text, reference, name });
    }
    Ok(images)
}

/// What an image is called in a layout: what is asked for, or its tag, or where it has none, its digest.
fn name_in(target: &Target, reference: &Reference) -> String {
    let tag_or_digest = || match (reference.tag(), reference.digest()) {
        (Some(tag), _) => tag.to_owned(),
        (None, digest) => digest.map(Digest::hex).unwrap_or_default(),
    };
    target.name.clone().unwrap_or_else(tag_or_digest)
}

/// What came of one image.
#[derive(Debug, Serialize)]
struct Report {
    reference: String,
    digest: String,
    fetched: Amount,
    cached: Amount,
    /// The hosts that answered.
    from: Vec<String>,
}

fn tell(fetch: &Fetch, image: &Wanted<'_>, result: &Fetched, from: Vec<String>) -> Result<(), Failure> {
    let Tally { fetched, cached } = result.tally;
    registry::say_unasked(&fetch.registry, &from);
    if fetch.quiet {
        return print(&result.digest.to_string());
    }
    if fetch.json {
        return print(&json(&Report {
            reference: image.reference.to_string(),
            digest: result.digest.to_string(),
            fetched: Amount { blobs: fetched.blobs, bytes: fetched.bytes },
            cached: Amount { blobs: cached.blobs, bytes: cached.bytes },
            from,
        })?);
    }
    // For people, so on standard error; nothing is lost when that is closed.
    let mut out = anstream::stderr().lock();
    let _ = writeln!(
        out,
        "{} fetched, {}; {} in the cache, {}",
        counted(fetched.blobs, "blob", "blobs"),
        Bytes(fetched.bytes),
        cached.blobs,
        Bytes(cached.bytes),
    );
    let _ = writeln!(out, "digest {}", result.digest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_called_by_their_tag() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let target = |name: Option<&str>| Target { directory: "d".into(), name: name.map(str::to_owned) };
        for (text, name, expected) in [
            ("debian", None, "latest"),
            ("debian:12", None, "12"),
            (&format!("debian@sha256:{hex}"), None, hex),
            (&format!("debian:12@sha256:{hex}"), None, "12"),
            ("debian:12", Some("mine"), "mine"),
        ] {
            assert_eq!(name_in(&target(name), &Reference::parse(text).unwrap()), expected, "{text}");
        }
    }
}
