//! The image that a machine boots: a file that is there, one that is kept here by a name, or one that is built for it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use banger_api::{ErrorKind, Observer, Problem};
use banger_config::Directories;
use banger_ext4::read::Reader;
use banger_operations::hints::{self, Asked};
use banger_operations::problem::of_store;
use banger_operations::source::Origin;
use banger_protocol::boot::{Boot, Init};
use banger_rootfs::Options;
use banger_store::{Shared, Store, completion};
use banger_vm::Directory;

use super::about::About;
use super::contents::{Contents, SHELL};
use super::missing;
use crate::args::{Pull, Run};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::{Shown, Task};
use crate::registry;
use crate::source::{self, Request};

/// Where the superblock has its magic number, and what that is (`s_magic`).
const MAGIC: (u64, [u8; 2]) = (1024 + 0x38, [0x53, 0xef]);

/// An image that can be booted.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) path: PathBuf,
    /// In bytes.
    pub(super) size: u64,
    /// Whether there is an agent in it.
    pub(super) has_agent: bool,
    /// The shell of the user that its programs run as.
    pub(super) shell: String,
    /// How it is to boot, if not as it was built for.
    pub(super) boot: Option<Boot>,
    /// What it says of itself.
    pub(super) about: About,
}

/// Where the image is that was asked for.
#[derive(Debug)]
pub(super) enum Place {
    /// A file that is an ext4 image.
    File(PathBuf),
    /// An image that is kept here.
    Kept {
        rootfs: PathBuf,
        kernel: Option<Own>,
        /// Keeps its files from being removed. Those of a registered one are somebody else's.
        _shared: Option<Shared>,
    },
    /// Nowhere yet: it is built.
    Source(Origin),
}

/// The kernel that an image is kept with.
pub(super) type Own = banger_store::image::Kernel;

impl Place {
    /// Looks for it: an ext4 image goes before a name or an id, and these before what an image would be built from. What is not on this
    /// machine though it can be nowhere else is an error.
    pub(super) fn find(run: &Run, directories: &Directories) -> Result<Self, Failure> {
        let named = Path::new(&run.source);
        match is_image(named) {
            Ok(true) => {
                let path = std::path::absolute(named).map_err(|error| Failure::file("find", named, &error))?;
                return Ok(Self::File(path));
            }
            Ok(false) => {}
            Err(error) => return Err(Failure::file("read", named, &error)),
        }
        if let Some(text) = run.source.to_str()
            && let Some(kept) = Self::kept(text, &directories.root()?)?
        {
            return Ok(kept);
        }
        missing::machine(&run.source, directories)?;
        missing::path(&run.source)?;
        let origin = Origin::parse(&run.source)?;
        if let Origin::Local(source) = &origin
            && missing::is_absent(source)
            && let Err(error) = origin.open(None, None)
        {
            let asked = Asked { text: &run.source, place: (&origin).into(), said: registry::said(&run.registry) };
            return Err(hints::for_image(&error, &asked).into());
        }
        Ok(Self::Source(origin))
    }

    /// The image that is kept here by this name, or whose id begins like this.
    fn kept(text: &str, root: &Path) -> Result<Option<Self>, Failure> {
        // Whoever keeps no image here need not have a store.
        let names = completion::names(root).images;
        if names.is_empty() {
            return Ok(None);
        }
        let failure = |error: banger_store::Error| Failure::from(of_store(&error));
        let store = Store::open(root).map_err(failure)?;
        let row = match store.find(text) {
            Ok(row) => row,
            Err(banger_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failure(error)),
        };
        let shared = if row.managed { store.image(&row.id).map_err(failure)? } else { None };
        if row.managed && shared.is_none() {
            let problem = Problem::new(ErrorKind::NotFound, format!("the image {text:?} has just been removed"));
            return Err(problem.into());
        }
        Ok(Some(Self::Kept { rootfs: row.rootfs, kernel: row.kernel, _shared: shared }))
    }

    /// Makes sure that an image that is nowhere yet can be had, as far as that can be told without fetching it.
    pub(super) fn check(&self, run: &Run, directories: &Directories) -> Result<(), Failure> {
        let Self::Source(origin) = self else { return Ok(()) };
        let Some(reference) = origin.reference() else { return Ok(()) };
        let access = registry::access(&run.registry, &[reference], Pull::Missing)?;
        let progress = Arc::new(Shown::new(Task::Build, run.quiet));
        let observer: Arc<dyn Observer> = Arc::<Shown>::clone(&progress);
        let registry = access.registry(&[reference], None, &observer)?;
        let resolved = registry.resolve(reference, None);
        progress.finish();
        let asked = Asked { text: &run.source, place: origin.into(), said: access.said };
        let failed = |error| missing::image(hints::for_image(&error, &asked).into(), &run.source, origin, directories);
        resolved.map(|_| ()).map_err(failed)
    }

    /// The kernel that it is kept with.
    pub(super) fn kernel(&self) -> Option<&Own> {
        match self {
            Self::Kept { kernel, .. } => kernel.as_ref(),
            Self::File(_) | Self::Source(_) => None,
        }
    }

    /// Has it built into the machine's directory where it is not there, and looks into it.
    pub(super) fn prepare(
        &self,
        run: &Run,
        directories: &Directories,
        directory: &Directory,
    ) -> Result<Image, Failure> {
        let path = match self {
            Self::File(path) | Self::Kept { rootfs: path, .. } => path.clone(),
            Self::Source(origin) => {
                build(run, directory).map_err(|failure| missing::image(failure, &run.source, origin, directories))?
            }
        };
        let file = File::open(&path).map_err(|error| Failure::file("open", &path, &error))?;
        let size = file.metadata().map_err(|error| Failure::file("read", &path, &error))?.len();
        // What cannot be read here, the guest's kernel will judge: it may know more of ext4 than we do.
        let contents = Reader::open(file).ok().map(Contents);
        let boot = match (&contents, self) {
            // The init was chosen when it was built.
            (_, Self::Source(_)) => None,
            (Some(contents), _) => contents.boot(&run.init)?,
            (None, _) if run.init == Init::Auto => None,
            (None, _) => {
                let what = format!("cannot read the image {path:?}, so its init cannot be chosen");
                return Err(Failure::new(Exit::Other, what).hint("leave out --init"));
            }
        };
        let has_agent = contents.as_ref().is_none_or(Contents::has_agent);
        let about = contents.as_ref().map(|contents| About::of(contents, run, boot.as_ref())).unwrap_or_default();
        let shell = contents.map_or_else(|| SHELL.to_owned(), |contents| contents.shell(run.user.as_deref()));
        Ok(Image { path, size, has_agent, shell, boot, about })
    }
}

fn build(run: &Run, directory: &Directory) -> Result<PathBuf, Failure> {
    let mut options = Options::new(directory.file("image.ext4"));
    // Should the host crash, the machine is gone too.
    options.sync = false;
    options.jobs = run.registry.jobs.unwrap_or(options.jobs);
    options.zstd_window = registry::zstd_window(&run.registry)?.unwrap_or(options.zstd_window);
    options.guest = Some(banger_guest::Options { init: run.init.clone(), ..banger_guest::Options::default() });
    let progress = Arc::new(Shown::new(Task::Build, run.quiet));
    let request = Request { source: &run.source, platform: None, registry: &run.registry };
    source::build(&request, &options, &progress)?;
    Ok(options.output)
}

/// Whether there is a file that is an ext4 image. That there is none is no error: it may be the name of something else.
fn is_image(path: &Path) -> io::Result<bool> {
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => {}
        _ => return Ok(false),
    }
    let mut magic = [0; 2];
    match File::open(path)?.read_exact_at(&mut magic, MAGIC.0) {
        Ok(()) => Ok(magic == MAGIC.1),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_magic_number() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        let mut bytes = vec![0; 2048];
        for (content, expected) in [
            (&b"short"[..], false),
            (&bytes.clone(), false),
            (
                &{
                    bytes[1080..1082].copy_from_slice(&MAGIC.1);
                    bytes
                },
                true,
            ),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(is_image(&path).unwrap(), expected);
        }
        assert!(!is_image(directory.path()).unwrap());
        assert!(!is_image(Path::new("oci:x")).unwrap());
    }
}
