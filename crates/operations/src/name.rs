//! The name that an image gets where none is asked for: made of what names the image where it comes from.

use std::path::Path;

use banger_oci::source::{Input, Selector};
use banger_oci::{Digest, Reference, Source};

use crate::source::Origin;

/// Characters of a digest that are enough to tell it from others.
const DIGEST_CHARACTERS: usize = 12;

/// Endings of files that say how they are made, which is no part of their name.
const ENDINGS: [&str; 6] = [".tar", ".gz", ".tgz", ".zst", ".oci", ".docker"];

/// A name for an image that comes from there: `debian-bookworm` for `docker.io/library/debian:bookworm`. None where nothing
/// names it.
pub fn derive(origin: &Origin) -> Option<String> {
    let text = match origin {
        Origin::Demo => "demo".to_owned(),
        Origin::Registry(reference) => of_reference(reference),
        Origin::Local(source) => of_source(source)?,
    };
    tidy(&text)
}

fn of_reference(reference: &Reference) -> String {
    let repository = reference.path().rsplit('/').next().unwrap_or_default();
    join(repository, &tag_or_digest(reference.tag(), reference.digest()))
}

fn of_source(source: &Source) -> Option<String> {
    let (file, image) = match source {
        Source::Oci { directory, image } => (Some(stem(directory)), image.clone()),
        Source::OciArchive { file, image } | Source::DockerArchive { file, image } => (of_input(file), image.clone()),
        Source::Tar { file } => (of_input(file), Selector::default()),
        _ => return None,
    };
    // A name that is a reference says more than the file that it stands in.
    if let Some(name) = image.name.as_deref().filter(|name| name.contains(['/', ':'])) {
        return Reference::parse(name).ok().map(|reference| of_reference(&reference));
    }
    let which = tag_or_digest(image.name.as_deref(), image.digest.as_ref());
    match file {
        Some(file) => Some(join(&file, &which)),
        None => (!which.is_empty()).then_some(which),
    }
}

fn of_input(input: &Input) -> Option<String> {
    match input {
        Input::Path(path) => Some(stem(path)),
        Input::Stdin => None,
    }
}

fn stem(path: &Path) -> String {
    // Of `.` it is the directory's own name that says something.
    let named = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = named(path).or_else(|| named(&path.canonicalize().ok()?)).unwrap_or_default();
    let mut name = name.as_str();
    while let Some(shorter) = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)) {
        name = shorter;
    }
    name.to_owned()
}

fn tag_or_digest(tag: Option<&str>, digest: Option<&Digest>) -> String {
    match (tag, digest) {
        (Some(tag), _) => tag.to_owned(),
        (None, Some(digest)) => digest.hex().chars().take(DIGEST_CHARACTERS).collect(),
        (None, None) => String::new(),
    }
}

fn join(name: &str, which: &str) -> String {
    if which.is_empty() { name.to_owned() } else { format!("{name}-{which}") }
}

/// What is left of a text in the grammar of names.
fn tidy(text: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let text: String = text.to_lowercase().chars().map(|c| if fits(c) { c } else { '-' }).collect();
    let text = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let name: String = text.chars().take(banger_store::limits::NAME_CHARACTERS).collect();
    banger_store::name::check(&name).is_ok().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_what_names_the_image() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let long = "x".repeat(200);
        for (source, name) in [
            ("docker.io/library/debian:bookworm", Some("debian-bookworm")),
            ("debian", Some("debian-latest")),
            ("localhost:5000/team/app:1.2_RC", Some("app-1.2_rc")),
            (&format!("debian@sha256:{hex}"), Some("debian-e3b0c44298fc")),
            (&format!("debian:12@sha256:{hex}"), Some("debian-12")),
            ("demo:", Some("demo")),
            ("oci:/images/Debian", Some("debian")),
            ("oci:/images/debian:bookworm", Some("debian-bookworm")),
            ("oci:/images:docker.io/library/debian:12", Some("debian-12")),
            (&format!("oci:/images:@sha256:{hex}"), Some("images-e3b0c44298fc")),
            ("oci-archive:/x/app.oci.tar", Some("app")),
            ("docker-archive:/x/app.tar.gz:team/app:2", Some("app-2")),
            ("docker-archive:-", None),
            ("docker-archive:-:team/app:2", Some("app-2")),
            ("tar:/x/my root (1).tar.zst", Some("my-root--1")),
            ("tar:/x/\u{dc}.tar", None),
            (&format!("tar:/{long}"), Some(&long[..127])),
        ] {
            let origin = Origin::parse(source.as_ref()).unwrap_or_else(|problem| panic!("{source}: {problem}"));
            assert_eq!(derive(&origin).as_deref(), name, "{source}");
        }
    }
}
