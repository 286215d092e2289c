//! OCI image layouts (image-layout.md of the image specification), in a directory or in an archive.

use super::{OpenOptions, Selector};
use crate::artifact::is_companion_name;
use crate::blob::Blobs;
use crate::descriptor::{CONTAINERD_NAME, Descriptor};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::index::Index;
use crate::layout::{INDEX, MARKER};
use crate::limits::{LAYOUT_MARKER_BYTES, MANIFEST_BYTES};
use crate::reference::Reference;
use crate::select::{self, Selected, Wanted};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How many indexes have been opened when the entries of `index.json` are looked at.
const LEVEL: usize = 1;

/// A place that holds a layout's files.
pub(crate) trait Files: Blobs {
    /// Reads a file at the top of the layout. `None` when it is not there.
    fn file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>>;

    /// Asked when the layout's files are not there: fails when something better can be said about why.
    fn absence(&self) -> Result<()>;
}

/// Opens an image of a layout.
pub(crate) fn open(files: impl Files + 'static, image: &Selector, options: &OpenOptions) -> Result<Image> {
    let place = files.place();
    check_marker(&files)?;
    let what = format!("{INDEX} of {place}");
    let bytes = files
        .file(INDEX, MANIFEST_BYTES)?
        .ok_or_else(|| Error::Missing { what: INDEX.to_owned(), place: place.clone() })?;
    let index = Index::parse(&bytes, &what, None)?;

    let wanted = Wanted::new(options.platform.clone());
    let selected = pick(&files, &index, image, &wanted)?;
    let blobs: Arc<dyn Blobs> = Arc::new(files);
    let mut opened = Image::from_selected(&blobs, selected, &wanted);
    if opened.name.is_none() {
        opened.name.clone_from(&image.name);
    }
    opened.probe()?;
    Ok(opened)
}

fn check_marker(files: &dyn Files) -> Result<()> {
    let what = format!("{MARKER} of {}", files.place());
    let Some(bytes) = files.file(MARKER, LAYOUT_MARKER_BYTES)? else {
        files.absence()?;
        return Err(Error::Missing {
            what: format!("the file {MARKER}, which marks an image layout,"),
            place: files.place(),
        });
    };
    crate::layout::check_marker(&bytes, &what)
}

/// Finds the one image that is meant.
fn pick(files: &dyn Files, index: &Index, image: &Selector, wanted: &Wanted) -> Result<Selected> {
    let place = files.place();
    let entries: Vec<&Descriptor> = index.entries.iter().collect();
    let no_image = || {
        let images = select::images(files, &entries, LEVEL).map_or(entries.clone(), |(images, _)| images);
        let wanted = image.to_string().trim_start_matches(':').to_owned();
        Error::NoImage { what: place.clone(), wanted, images: names(&images) }
    };

    let mut candidates: Vec<&Descriptor> = match image.position {
        // As skopeo counts: every entry.
        Some(position) => vec![index.entries.get(position).ok_or_else(no_image)?],
        None => entries.clone(),
    };
    if let Some(name) = &image.name {
        // An image that was asked for by its digest may have that in its name.
        let pinned = image.digest.map(|digest| named(&candidates, &format!("{name}@{digest}")));
        let pinned = pinned.filter(|pinned| !pinned.is_empty());
        candidates = pinned.unwrap_or_else(|| named(&candidates, name));
    }
    if let Some(digest) = &image.digest {
        let entries: Vec<Descriptor> = candidates.into_iter().cloned().collect();
        let (entry, level) = select::find(files, &entries, digest, LEVEL)?.ok_or_else(no_image)?;
        return select::resolve(files, &entry, level, wanted);
    }

    let mut artifacts = Vec::new();
    if !is_one(&candidates) {
        // Several entries: an image among its signatures is the only one that can be meant.
        let (images, others) = select::images(files, &candidates, LEVEL)?;
        let named: Vec<&Descriptor> = images.iter().copied().filter(|entry| !is_companion(entry)).collect();
        candidates = if named.is_empty() { images } else { named };
        artifacts = others;
    }
    let Some(first) = candidates.first() else {
        let nothing_asked = image.name.is_none() && image.position.is_none();
        let is_empty = nothing_asked || !artifacts.is_empty();
        return Err(if is_empty { Error::Empty { what: place, artifacts } } else { no_image() });
    };
    if is_one(&candidates) {
        return select::resolve(files, first, LEVEL, wanted);
    }
    // Several entries are one image for several platforms, or they are several images.
    let one_image = candidates.iter().all(|entry| entry.platform.is_some() && entry.ref_name() == first.ref_name());
    if one_image {
        let entries: Vec<Descriptor> = candidates.into_iter().cloned().collect();
        return select::choose(files, &entries, INDEX, LEVEL, wanted);
    }
    Err(Error::SeveralImages { what: place, images: names(&candidates) })
}

/// Whether these are entries of one and the same manifest or index.
fn is_one(entries: &[&Descriptor]) -> bool {
    let Some((first, others)) = entries.split_first() else { return false };
    others.iter().all(|entry| entry.digest == first.digest)
}

/// Whether an entry's name says that it belongs to another one.
fn is_companion(entry: &Descriptor) -> bool {
    entry.ref_name().is_some_and(is_companion_name)
}

/// The entries of a name: of exactly this one, or else of one that is the same when written in full.
fn named<'a>(entries: &[&'a Descriptor], name: &str) -> Vec<&'a Descriptor> {
    let exactly: Vec<_> = entries.iter().copied().filter(|entry| entry.ref_name() == Some(name)).collect();
    if !exactly.is_empty() {
        return exactly;
    }
    let Ok(reference) = Reference::parse(name) else { return exactly };
    let is_same = |name: Option<&str>| name.and_then(|name| Reference::parse(name).ok()).as_ref() == Some(&reference);
    let full_name = |entry: &Descriptor| is_same(entry.annotations.get(CONTAINERD_NAME).map(String::as_str));
    entries.iter().copied().filter(|entry| is_same(entry.ref_name()) || full_name(entry)).collect()
}

/// How the images can be asked for: each by its name, with the digest where another has the same name or it has none.
fn names(entries: &[&Descriptor]) -> Vec<String> {
    let name = |entry: &Descriptor| {
        let full_name = entry.annotations.get(CONTAINERD_NAME).map(String::as_str);
        full_name.or(entry.ref_name()).unwrap_or_default().to_owned()
    };
    let mut owners: HashMap<String, Digest> = HashMap::new();
    let mut shared: HashSet<String> = HashSet::from([String::new()]);
    for entry in entries {
        let owner = *owners.entry(name(entry)).or_insert(entry.digest);
        if owner != entry.digest {
            shared.insert(name(entry));
        }
    }
    let mut names: Vec<String> = entries
        .iter()
        .map(|entry| match name(entry) {
            name if shared.contains(&name) => format!("{name}@{}", entry.digest),
            name => name,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}
