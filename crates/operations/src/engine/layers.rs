//! The layers that an image was made from: `layers.json` beside its root file system, so that their sizes are known when the
//! cache has none of them any more.

use std::path::Path;

use banger_api::Result;
use banger_catalog::bundle::Layer;
use banger_rootfs::LayerReport;
use banger_store::image::Row;

use crate::problem::of_file;

/// The name of the file.
const LAYERS: &str = "layers.json";

/// Writes them into the directory of an image that is being made.
pub(super) fn write(directory: &Path, layers: &[Layer]) -> Result<()> {
    if layers.is_empty() {
        return Ok(());
    }
    let path = directory.join(LAYERS);
    // Strings and numbers: nothing that JSON cannot say.
    let text = serde_json::to_vec_pretty(layers).unwrap_or_default();
    std::fs::write(&path, text).map_err(|error| of_file("write", &path, &error))
}

/// Those of an image that is kept here. None, where they are not known.
pub(super) fn read(row: &Row) -> Result<Vec<Layer>> {
    let Some(directory) = row.rootfs.parent().filter(|_| row.managed) else { return Ok(Vec::new()) };
    let path = directory.join(LAYERS);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(of_file("read", &path, &error)),
    }
}

/// As a build reports them.
pub(super) fn of_build(layers: &[LayerReport]) -> Vec<Layer> {
    let layer = |layer: &LayerReport| Layer {
        diff_id: layer.diff_id.clone(),
        size: layer.size,
        unpacked: Some(layer.unpacked),
    };
    layers.iter().map(layer).collect()
}
