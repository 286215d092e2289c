//! SOURCE, as `build` and `run` take it: from what was typed to a finished image file.

mod demo;

use std::ffi::OsStr;
use std::sync::Arc;

use banger_oci::{Location, OpenOptions, Platform};
use banger_rootfs::{Options, Report};

use crate::args::{Pull, RegistryOptions};
use crate::failure::Failure;
use crate::hints::{self, Asked, Place};
use crate::progress::Shown;
use crate::registry;

/// The name of the image that is a part of this program.
pub(crate) const DEMO: &str = "demo:";

/// What an image is to be built from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// SOURCE, as it was typed.
    pub(crate) source: &'a OsStr,
    /// The platform to choose, where one was asked for.
    pub(crate) platform: Option<&'a Platform>,
    pub(crate) registry: &'a RegistryOptions,
}

/// Builds the image that was asked for. All that `progress` shows is shown when this returns.
pub(crate) fn build(request: &Request<'_>, options: &Options, progress: &Arc<Shown>) -> Result<Report, Failure> {
    let Request { source: text, platform, registry: registries } = *request;
    if text == DEMO {
        let report = banger_rootfs::build(&|| demo::open(platform), options, &**progress);
        progress.finish();
        let asked = Asked { text, place: Place::Demo, options: registries };
        return report.map_err(|error| hints::for_build(&error, &asked, &options.output));
    }
    let location = Location::parse(text).map_err(|error| hints::for_source(&error, text))?;
    let report = match &location {
        Location::Local(source) => {
            let open = OpenOptions { platform: platform.cloned(), ..OpenOptions::default() };
            banger_rootfs::build(&|| source.open(&open), options, &**progress)
        }
        Location::Registry(reference) => {
            let registry = registry::open(registries, &[reference], Pull::Missing, None, progress)?;
            progress.image(reference);
            banger_rootfs::build(&|| registry.open(reference, platform), options, &**progress)
        }
    };
    progress.finish();
    let asked = Asked { text, place: (&location).into(), options: registries };
    report.map_err(|error| hints::for_build(&error, &asked, &options.output))
}
