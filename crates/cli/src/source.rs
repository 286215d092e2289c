//! SOURCE, as `build` and `run` take it: from what was typed to a finished image file.

use std::ffi::OsStr;
use std::sync::Arc;

use banger_api::Observer;
use banger_oci::Platform;
use banger_operations::hints::Asked;
use banger_operations::source::{self, Origin};
use banger_rootfs::{Options, Report};

use crate::args::{Pull, RegistryOptions};
use crate::failure::Failure;
use crate::progress::Shown;
use crate::registry;

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
    let origin = Origin::parse(text)?;
    let observer: Arc<dyn Observer> = Arc::<Shown>::clone(progress);
    let registry = match origin.reference() {
        Some(reference) => {
            let access = registry::access(registries, &[reference], Pull::Missing)?;
            progress.image(reference);
            Some(access.registry(&[reference], None, &observer)?)
        }
        None => None,
    };
    let asked = Asked { text, place: (&origin).into(), said: registry::said(registries) };
    let report = source::build(&|| origin.open(platform, registry.as_ref()), &asked, options, &observer);
    progress.finish();
    Ok(report?)
}
