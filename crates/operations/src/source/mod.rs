//! Where an image comes from, and how it becomes a file: what `build`, `run` and `image.pull` have in common.

mod demo;

use std::ffi::OsStr;
use std::sync::Arc;

use banger_api::{ErrorKind, Observer, Result};
use banger_oci::source::Input;
use banger_oci::{Image, Location, OpenOptions, PlaceError, Platform, Reference, Source};
use banger_registry::Registry;
use banger_rootfs::{Options, Report};

use crate::hints::{self, Asked, Place};
use crate::progress::Telling;

/// The name of the image that is a part of this program.
pub const DEMO: &str = "demo:";

/// Where an image comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file or a directory of this machine.
    Local(Source),
    /// A registry.
    Registry(Reference),
    /// This program.
    Demo,
}

impl Origin {
    /// Understands what was typed.
    ///
    /// # Errors
    /// It makes no sense.
    pub fn parse(text: &OsStr) -> Result<Self> {
        if text == DEMO {
            return Ok(Self::Demo);
        }
        match Location::parse(text).map_err(|error| hints::for_source(&error, text))? {
            Location::Local(source) => Ok(Self::Local(source)),
            Location::Registry(reference) => Ok(Self::Registry(reference)),
        }
    }

    /// The reference, of an image in a registry.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Registry(reference) => Some(reference),
            Self::Local(_) | Self::Demo => None,
        }
    }

    /// Whether it is standard input, which can be read once.
    pub fn is_stdin(&self) -> bool {
        match self {
            Self::Local(
                Source::OciArchive { file, .. } | Source::DockerArchive { file, .. } | Source::Tar { file },
            ) => matches!(file, Input::Stdin),
            Self::Local(_) | Self::Registry(_) | Self::Demo => false,
        }
    }

    /// Opens the image. `registry` is the way to the registry, of an image in one.
    ///
    /// # Errors
    /// Those of finding it and of reading its documents.
    pub fn open(&self, platform: Option<&Platform>, registry: Option<&Registry>) -> banger_oci::Result<Image> {
        match (self, registry) {
            (Self::Registry(reference), Some(registry)) => registry.open(reference, platform),
            (Self::Registry(reference), None) => Err(banger_oci::Error::Missing {
                what: reference.to_string(),
                place: "what can be reached without a registry".to_owned(),
            }),
            (Self::Local(source), _) => {
                source.open(&OpenOptions { platform: platform.cloned(), ..OpenOptions::default() })
            }
            (Self::Demo, _) => demo::open(platform),
        }
    }
}

impl<'a> From<&'a Origin> for Place<'a> {
    fn from(origin: &'a Origin) -> Self {
        match origin {
            Origin::Local(source) => Self::Local(source),
            Origin::Registry(reference) => Self::Registry(reference),
            Origin::Demo => Self::Demo,
        }
    }
}

/// What was named is an image that `image push` made: there are no layers to build from.
#[derive(Debug, thiserror::Error)]
#[error("{source_name} is a finished image that `banger image push` made: it has no layers to build from")]
pub(crate) struct Finished {
    source_name: String,
}

/// Refuses what is no image of layers, though it looks like one.
fn check(image: Image) -> banger_oci::Result<Image> {
    let place = |kind, error: Box<dyn std::error::Error + Send + Sync>| PlaceError { kind, error };
    match banger_distribution::recognise(image.manifest(), image.config()) {
        Ok(None) => Ok(image),
        Ok(Some(_)) => {
            let source_name = image.source().to_owned();
            Err(place(ErrorKind::Unsupported, Box::new(Finished { source_name })).into())
        }
        Err(error) => Err(place(error.kind(), Box::new(error)).into()),
    }
}

/// Builds the image that `open` opens.
///
/// # Errors
/// Whatever keeps it from being complete at `options.output`, with what to do.
pub fn build(
    open: &dyn Fn() -> banger_oci::Result<Image>,
    asked: &Asked<'_>,
    options: &Options,
    observer: &Arc<dyn Observer>,
) -> Result<Report> {
    let report = banger_rootfs::build(&|| check(open()?), options, &Telling::new(observer));
    report.map_err(|error| hints::for_build(&error, asked, Some(&options.output)))
}
