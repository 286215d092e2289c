//! `banger catalog add`: puts an archive into a catalog that is a file here.
//!
//! What the entry says of the archive is read from it, and for that the whole archive is unpacked and checked: what nobody
//! could use is not offered to anybody.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use banger_api::{ErrorKind, Event, Observer, Problem};
use banger_catalog::bundle;
use banger_catalog::limits::CATALOG_BYTES;
use banger_catalog::{Catalog, Content, Entry, What};
use banger_disk::Output;
use banger_disk::output::directory_of;
use banger_kernel::import;
use banger_operations::problem::{of_catalog, of_file, of_kernel};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::args::CatalogAdd;
use crate::failure::Failure;
use crate::image::absolute;
use crate::output::{json, print, say};
use crate::service;
use crate::text::Bytes;

/// Bytes that are hashed at once.
const BUFFER: usize = 1 << 20;
/// Digits of a digest in the name of an archive, behind the name of what is in it.
const NAME_DIGITS: usize = 16;
/// Where what is unpacked goes when nothing else is said: there may be more of it than memory holds (file-hierarchy(7)).
const SCRATCH: &str = "/var/tmp";

/// What was added.
#[derive(Debug, Serialize)]
struct Added {
    what: &'static str,
    name: String,
    arch: String,
    url: String,
    sha256: String,
    size: u64,
    /// Whether there was an entry of that name and architecture.
    replaced: bool,
}

pub(super) fn run(add: &CatalogAdd) -> Result<(), Failure> {
    let catalog = absolute(&add.catalog)?;
    let url = match &add.url {
        Some(url) => url.clone(),
        None => relative(&catalog, &absolute(&add.archive)?)?,
    };
    let added = service::follow(false, |observer| {
        let facts = Facts::of(&add.archive, &Watching(Arc::clone(observer)))?;
        put(&catalog, facts.entry(add, url)?)
    })?;
    if add.json {
        return print(&json(&added)?);
    }
    let verb = if added.replaced { "replaced in" } else { "added to" };
    let Added { what, name, arch, size, .. } = &added;
    say(&format!("{what} {name} for {arch}, {}: {verb} {}", Bytes(*size), add.catalog.display()));
    Ok(())
}

/// How an entry names an archive that is beside its catalog, or below it.
fn relative(catalog: &Path, archive: &Path) -> Result<String, Problem> {
    let real = |path: &Path| path.canonicalize().map_err(|error| of_file("find", path, &error));
    let (directory, archive) = (real(directory_of(catalog))?, real(archive)?);
    let below = archive.strip_prefix(&directory).ok().and_then(Path::to_str);
    below.map(str::to_owned).ok_or_else(|| {
        let what = format!("{} is not in the directory of the catalog, nor below it", archive.display());
        Problem::new(ErrorKind::Usage, what).hint("--url URL says where it will be, or put it beside the catalog")
    })
}

/// What an archive says of itself.
#[derive(Debug, Default)]
struct Facts {
    name: Option<String>,
    distro: Option<String>,
    arch: String,
    kernel_ref: Option<String>,
    /// Of a kernel.
    version: Option<String>,
    is_kernel: bool,
    sha256: String,
    content: Option<Content>,
}

impl Facts {
    fn of(path: &Path, watching: &Watching) -> Result<Self, Problem> {
        let place = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from(SCRATCH), PathBuf::from);
        let scratch = tempfile::Builder::new().prefix("banger-").tempdir_in(&place);
        let scratch = scratch.map_err(|error| of_file("create a directory in", &place, &error))?;
        let file = File::open(path).map_err(|error| of_file("open", path, &error))?;
        let facts = match bundle::read(&file, scratch.path(), watching) {
            Ok(extracted) => Self::of_bundle(extracted.manifest),
            Err(banger_catalog::Error::Cancelled) => return Err(Problem::cancelled()),
            Err(not_bundle) => match import(&[path], scratch.path(), watching) {
                Ok(imported) => Self::of_kernel(imported),
                Err(banger_kernel::Error::Cancelled) => return Err(Problem::cancelled()),
                Err(not_kernel) => return Err(neither(path, of_catalog(&not_bundle), of_kernel(&not_kernel))),
            },
        };
        let (sha256, size) = digest(path, watching)?;
        let digest = format!("sha256:{sha256}").parse().map_err(|error| Problem::of(ErrorKind::Other, &error))?;
        let name = facts.name.or_else(|| name_in(path));
        Ok(Self { name, sha256, content: Some(Content { sha256: digest, size }), ..facts })
    }

    fn of_bundle(manifest: bundle::Manifest) -> Self {
        let arch = manifest.architecture();
        let bundle::Manifest { name, distro, kernel_ref, .. } = manifest;
        Self { name: Some(name), distro, arch, kernel_ref, ..Self::default() }
    }

    fn of_kernel(imported: import::Imported) -> Self {
        let banger_kernel::Triple { architecture, version, .. } = imported.triple;
        Self { arch: architecture.to_owned(), version, is_kernel: true, ..Self::default() }
    }

    /// The entry, with what was said of it.
    fn entry(self, add: &CatalogAdd, url: String) -> Result<(Entry, String), Problem> {
        let name = add.name.clone().or(self.name).ok_or_else(|| {
            let what = format!("it is not known what is in {}", add.archive.display());
            Problem::new(ErrorKind::Usage, what).hint("say what it is called with --name NAME")
        })?;
        let entry = Entry {
            what: if self.is_kernel { What::Kernel } else { What::Image },
            name,
            distro: add.distro.clone().or(self.distro),
            arch: self.arch,
            kernel_ref: add.kernel_ref.clone().or(self.kernel_ref),
            version: self.version,
            url,
            content: self.content,
            description: add.description.clone().unwrap_or_default(),
        };
        Ok((entry, self.sha256))
    }
}

/// A file that is nothing of what a catalog can offer: what was found as a bundle, and what as a kernel.
fn neither(path: &Path, bundle: Problem, kernel: Problem) -> Problem {
    // What is wrong with the file itself is no question of what it is.
    for problem in [&bundle, &kernel] {
        if matches!(problem.kind, ErrorKind::NoSpace | ErrorKind::NotFound) {
            return problem.clone();
        }
    }
    let mut problem =
        Problem::new(ErrorKind::Integrity, format!("{} is neither a bundle nor a kernel's archive", path.display()));
    let words = |name: &str, problem: Problem| {
        let all = [vec![problem.message], problem.causes].concat();
        format!("as {name}: {}", all.join(": "))
    };
    problem.causes = vec![words("a bundle", bundle), words("a kernel", kernel)];
    problem.hint("`banger bundle make` and `banger kernel export` write such files")
}

/// The name in `NAME-0123456789abcdef.tar.zst`.
fn name_in(path: &Path) -> Option<String> {
    let (name, digits) = path.file_name()?.to_str()?.strip_suffix(bundle::SUFFIX)?.rsplit_once('-')?;
    let is_digest = digits.len() == NAME_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| name.to_owned())
}

fn digest(path: &Path, watching: &Watching) -> Result<(String, u64), Problem> {
    let failed = |error| of_file("read", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0u64, vec![0; BUFFER]);
    loop {
        if watching.0.is_cancelled() {
            return Err(Problem::cancelled());
        }
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            let digits = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok((digits, size));
        }
        hash.update(buffer.get(..count).unwrap_or_default());
        size = size.saturating_add(count as u64);
    }
}

/// Writes the catalog with the entry in it. One of several at once after the other, and nobody reads half of it.
fn put(path: &Path, (entry, sha256): (Entry, String)) -> Result<Added, Problem> {
    let directory = directory_of(path);
    let locked = File::open(directory).map_err(|error| of_file("open", directory, &error))?;
    locked.lock().map_err(|error| of_file("lock", directory, &error))?;
    let mut catalog = read(path)?;
    let added = Added {
        what: if entry.what == What::Kernel { "kernel" } else { "image" },
        name: entry.name.clone(),
        arch: entry.arch.clone(),
        url: entry.url.clone(),
        sha256,
        size: entry.content.map_or(0, |content| content.size),
        replaced: catalog.add(entry).map_err(|error| of_catalog(&error))?,
    };
    let text = catalog.to_json().map_err(|error| of_catalog(&error))?;
    let failed = |error: banger_disk::output::Error| banger_operations::problem::of_disk(&error.into());
    let output = Output::create(path, true).map_err(failed)?;
    output.file().write_all(text.as_bytes()).map_err(|error| of_file("write", path, &error))?;
    output.sync().and_then(|()| output.publish(true)).map_err(failed)?;
    Ok(added)
}

/// The catalog that is there; an empty one where there is none.
fn read(path: &Path) -> Result<Catalog, Problem> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(CATALOG_BYTES.saturating_add(1)).read_to_end(&mut bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Catalog::new()),
        Err(error) => Err(error),
    }
    .map_err(|error| of_file("read", path, &error))?;
    Catalog::parse(&bytes, &path.display().to_string()).map_err(|error| of_catalog(&error))
}

/// Tells an observer how far the archive is unpacked.
struct Watching(Arc<dyn Observer>);

impl banger_catalog::Watch for Watching {
    fn go_on(&self) -> bool {
        !self.0.is_cancelled()
    }

    fn advanced(&self, done: u64, total: u64) {
        self.0.event(Event::Advanced { done, total });
    }
}

impl banger_kernel::Watch for Watching {
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;
    use std::sync::atomic::{AtomicBool, Ordering};

    use banger_api::Silent;

    use super::*;

    fn silent() -> Watching {
        Watching(Arc::new(Silent))
    }

    fn options(catalog: &Path, archive: &Path) -> CatalogAdd {
        CatalogAdd {
            catalog: catalog.to_owned(),
            archive: archive.to_owned(),
            name: None,
            distro: None,
            description: None,
            kernel_ref: None,
            url: None,
            json: false,
        }
    }

    /// A bundle of a small file system, which need not be one for that.
    fn bundle(directory: &Path, name: &str) -> PathBuf {
        let path = directory.join("rootfs");
        std::fs::write(&path, vec![7; 1 << 16]).unwrap();
        let mut manifest = bundle::Manifest::new(name, "linux/arm64");
        manifest.distro = Some("debian".to_owned());
        let file = File::open(&path).unwrap();
        let written =
            bundle::write(&manifest, &file, &path, directory, NonZero::<u32>::MIN, &banger_catalog::Unwatched).unwrap();
        std::fs::remove_file(&path).unwrap();
        written.path
    }

    #[test]
    fn what_an_entry_says_is_read_from_the_archive() {
        let directory = tempfile::tempdir().unwrap();
        let catalog = directory.path().join("catalog.json");
        let archive = bundle(directory.path(), "web");
        let mut add = options(&catalog, &archive);
        for replaced in [false, true] {
            let facts = Facts::of(&archive, &silent()).unwrap();
            let url = relative(&catalog, &archive).unwrap();
            let added = put(&catalog, facts.entry(&add, url).unwrap()).unwrap();
            assert_eq!((added.what, &*added.name, &*added.arch), ("image", "web", "arm64"));
            assert_eq!((added.replaced, added.size), (replaced, archive.metadata().unwrap().len()));
            assert_eq!(added.url, archive.file_name().unwrap().to_str().unwrap());
            add.description = Some("ours".to_owned());
        }
        let catalog = read(&catalog).unwrap();
        let [entry] = catalog.entries() else { panic!("{catalog:?}") };
        assert_eq!((&*entry.description, entry.distro.as_deref()), ("ours", Some("debian")));
    }

    #[test]
    fn what_is_no_archive_is_refused_with_both_reasons() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.tar.zst");
        std::fs::write(&path, "not an archive").unwrap();
        let problem = Facts::of(&path, &silent()).unwrap_err();
        assert_eq!((problem.kind, problem.causes.len()), (ErrorKind::Integrity, 2), "{problem:?}");
        let missing = Facts::of(&directory.path().join("nothing"), &silent()).unwrap_err();
        assert_eq!(missing.kind, ErrorKind::NotFound);
    }

    #[test]
    fn archives_elsewhere_need_a_url() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let catalog = here.path().join("catalog.json");
        std::fs::create_dir(here.path().join("a")).unwrap();
        for path in [here.path().join("a/x"), there.path().join("x")] {
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(relative(&catalog, &here.path().join("a/x")).unwrap(), "a/x");
        assert_eq!(relative(&catalog, &there.path().join("x")).unwrap_err().kind, ErrorKind::Usage);
        assert_eq!(relative(&catalog, &here.path().join("none")).unwrap_err().kind, ErrorKind::NotFound);
    }

    #[test]
    fn names_are_in_the_names_of_archives() {
        for (path, expected) in [
            ("/a/linux-6.1-0123456789abcdef.tar.zst", Some("linux-6.1")),
            ("linux-6.1.tar.zst", None),
            ("x-0123456789abcdeg.tar.zst", None),
            ("x-0123456789abcdef.tar", None),
        ] {
            assert_eq!(name_in(Path::new(path)).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn who_cancels_leaves_nothing() {
        struct Cancelled(AtomicBool);
        impl Observer for Cancelled {
            fn event(&self, _: Event) {}
            fn is_cancelled(&self) -> bool {
                self.0.load(Ordering::Relaxed)
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let archive = bundle(directory.path(), "web");
        let problem = Facts::of(&archive, &Watching(Arc::new(Cancelled(AtomicBool::new(true))))).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Cancelled);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
