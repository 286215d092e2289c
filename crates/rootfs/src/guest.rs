//! What is put on top when the tree below it is known: a kernel's modules, and the guest layer.
//!
//! Both are layers like any other, with a segment behind all others. They come last because the guest layer depends on what it finds.

use banger_ext4::write::{Image, Segment};
use banger_guest::boot_mode::{DecideError, Read};
use banger_guest::contents::{Contents, ContentsError};
use banger_guest::modules::WriteError;
use banger_guest::{agent, layer, modules};
use banger_kmod::Modules;
use banger_layers::ContentSink;
use banger_layers::entry::{Entries, Time};
use banger_layers::merge;
use banger_layers::tree::Tree;
use banger_protocol::boot::Boot;
use sha2::{Digest as _, Sha256};

use crate::content_id::hex;
use crate::entry_digest::account;
use crate::error::{Error, LayerError};
use crate::options::Options;
use crate::pipeline::Unpacked;
use crate::pipeline::content::LayerContent;

/// What is to be put on top of one image.
pub(crate) struct Guest<'a> {
    modules: Option<Modules>,
    options: Option<&'a banger_guest::Options>,
    /// The image's config, as it was found.
    config: Option<&'a [u8]>,
}

/// What came of it.
pub(crate) struct Applied {
    /// How the image boots, where it has a guest layer.
    pub(crate) boot: Option<Boot>,
    /// A digest of each layer.
    pub(crate) digests: Vec<String>,
}

impl<'a> Guest<'a> {
    /// Looks whether it can be done, before anything of the image is read.
    pub(crate) fn open(image: &'a banger_oci::Image, options: &'a Options) -> Result<Self, Error> {
        // A flat archive does not say what it is for.
        if let (Some(_), Some(found)) = (&options.guest, image.platform())
            && (found.os(), found.architecture()) != ("linux", agent::architecture())
        {
            return Err(Error::Architecture { found: found.clone(), agent: agent::architecture() });
        }
        let modules = options.modules.as_deref().map(Modules::open).transpose()?;
        let config = image.config().map(banger_oci::Config::raw);
        Ok(Self { modules, options: options.guest.as_ref(), config })
    }

    /// The version of the kernel whose modules are put in.
    pub(crate) fn version(&self) -> Option<&str> {
        self.modules.as_ref().map(Modules::version)
    }

    /// Puts it on top of `unpacked`.
    pub(crate) fn apply(&self, unpacked: &mut Unpacked, image: &Image, time: Time) -> Result<Applied, Error> {
        let mut digests = Vec::new();
        if let Some(modules) = &self.modules {
            let written =
                put(unpacked, image, time, |contents, _, _| modules::write(contents, modules).map_err(of_modules));
            let ((), digest) = written.map_err(|error| error.during("the kernel's modules"))?;
            digests.push(digest);
        }
        let mut boot = None;
        if let Some(options) = self.options {
            let written = put(unpacked, image, time, |contents, tree, read| {
                layer::write(contents, tree, read, options, self.config).map_err(of_guest)
            });
            let (decided, digest) = written.map_err(|error| error.during("the guest layer"))?;
            digests.push(digest);
            boot = Some(decided);
        }
        Ok(Applied { boot, digests })
    }
}

/// Why a layer did not get on top.
enum Failure {
    Layer(LayerError),
    Modules(banger_kmod::Error),
    /// The image does not have the init that is wanted.
    NoInit(String),
}

impl Failure {
    fn during(self, what: &'static str) -> Error {
        match self {
            Self::Layer(source) => Error::Guest { what, source: Box::new(source) },
            Self::Modules(error) => Error::Modules(error),
            Self::NoInit(reason) => Error::NoInit(reason),
        }
    }
}

impl<E: Into<LayerError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Layer(error.into())
    }
}

fn of_modules(error: WriteError<banger_ext4::Error>) -> Failure {
    match error {
        WriteError::Modules(error) => Failure::Modules(error),
        WriteError::Contents(error) => of_contents(error),
        error => Failure::Layer(LayerError::Read(std::io::Error::other(error))),
    }
}

fn of_guest(error: layer::WriteError<banger_ext4::Error>) -> Failure {
    match error {
        layer::WriteError::Contents(error) => of_contents(error),
        layer::WriteError::Decide(DecideError::Read(error)) => Failure::Layer(LayerError::Read(error)),
        error => Failure::NoInit(error.to_string()),
    }
}

fn of_contents(error: ContentsError<banger_ext4::Error>) -> Failure {
    Failure::Layer(match error {
        ContentsError::Sink(error) => error.into(),
        ContentsError::Entry(error) => banger_layers::Error::from(error).into(),
        ContentsError::Read(error) => LayerError::Read(error),
        error => LayerError::Read(std::io::Error::other(error)),
    })
}

/// Has one more layer written and merges it. Returns what the writer returned, and a digest of the layer.
fn put<T>(
    unpacked: &mut Unpacked,
    image: &Image,
    time: Time,
    write: impl FnOnce(&mut Contents<'_, Hashing>, &Tree, Read<'_>) -> Result<T, Failure>,
) -> Result<(T, String), Failure> {
    let mut content = LayerContent::new(image.content());
    content.place(unpacked.segments.iter().map(Segment::blocks).sum())?;
    let mut sink = Hashing { content, digest: Sha256::new(), current: Sha256::new() };
    let mut contents = Contents::new(&mut sink, time);
    let read = |layer, content, limit| {
        let segment = usize::try_from(layer).ok().and_then(|layer: usize| unpacked.segments.get(layer));
        let segment = segment.ok_or(std::io::ErrorKind::NotFound)?;
        segment.read(content, limit).map_err(std::io::Error::other)
    };
    let result = write(&mut contents, &unpacked.tree, &read)?;
    let entries = contents.into_entries();
    let layer = u32::try_from(unpacked.segments.len()).unwrap_or(u32::MAX);
    merge::apply(&mut unpacked.tree, layer, &entries).map_err(banger_layers::Error::from)?;
    let Hashing { content, digest, .. } = sink;
    unpacked.segments.push(content.done()?);
    Ok((result, of_layer(digest, &entries)))
}

/// The digest of a layer, from that of its contents and its entries.
fn of_layer(mut digest: Sha256, entries: &Entries) -> String {
    for entry in entries.iter() {
        account(&mut digest, &entry, &[]);
    }
    format!("sha256:{}", hex(&digest.finalize()))
}

/// Contents on their way into the image, with a digest of all of them.
#[derive(Debug)]
struct Hashing {
    content: LayerContent,
    /// Of the digests of the contents that are complete.
    digest: Sha256,
    /// Of the one that is not.
    current: Sha256,
}

impl ContentSink for Hashing {
    type Error = banger_ext4::Error;

    fn begin(&mut self) -> Result<(), Self::Error> {
        self.current = Sha256::new();
        self.content.begin()
    }

    fn write(&mut self, data: &[u8]) -> Result<(), Self::Error> {
        self.current.update(data);
        self.content.write(data)
    }

    fn skip(&mut self, length: u64) -> Result<(), Self::Error> {
        self.current.update(length.to_le_bytes());
        self.content.skip(length)
    }

    fn finish(&mut self) -> Result<u32, Self::Error> {
        self.digest.update(std::mem::take(&mut self.current).finalize());
        self.content.finish()
    }
}
