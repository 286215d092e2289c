//! What makes a directory or an archive an image layout (image-layout.md of the image specification): the names of its
//! files, and the marker with the version.

use crate::error::{Error, Result};

/// The file that marks a layout.
pub(crate) const MARKER: &str = "oci-layout";
/// The file that lists a layout's images.
pub(crate) const INDEX: &str = "index.json";
/// The directory of the blobs, one directory below for each algorithm.
pub(crate) const BLOBS: &str = "blobs";
/// The marker of a new layout.
pub(crate) const NEW_MARKER: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// Layouts of this major version are read.
const MAJOR_VERSION: &str = "1.";

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

/// Checks the content of a marker. `what` names the file in errors.
///
/// # Errors
/// It cannot be understood, or is of another major version.
pub(crate) fn check_marker(bytes: &[u8], what: &str) -> Result<()> {
    let marker: Marker =
        serde_json::from_slice(bytes).map_err(|source| Error::Json { what: what.to_owned(), source })?;
    if !marker.image_layout_version.starts_with(MAJOR_VERSION) {
        let version = crate::digest::shorten(&marker.image_layout_version);
        return Err(Error::unsupported(what, format!("the layout is of version {version:?}, not 1")));
    }
    Ok(())
}
