//! Attributes of files that need the whole tree: ACLs with names, which are those of the image's own users and groups.

use banger_ext4::write::Segment;
use banger_layers::attributes::{self, Names};
use banger_layers::limits;
use banger_layers::tree::{Node, Tree};

use crate::error::{Error, LayerError};
use crate::pipeline::Unpacked;
use crate::progress::{Event, Progress};

/// Where an image has the names of its users and groups.
const PASSWD: &[u8] = b"/etc/passwd";
const GROUP: &[u8] = b"/etc/group";

/// Completes the attributes of all files, and says what is left out.
pub(crate) fn complete(unpacked: &mut Unpacked, progress: &dyn Progress) -> Result<(), Error> {
    if !attributes::are_pending(&unpacked.tree) {
        return Ok(());
    }
    let read = |path| read(&unpacked.tree, &unpacked.segments, path);
    let names = Names::new(&read(PASSWD)?, &read(GROUP)?);
    let losses = attributes::complete(&mut unpacked.tree, &names);
    for loss in losses.map_err(|error| failed(banger_layers::Error::from(error)))? {
        progress.event(Event::Warning(loss.to_string()));
    }
    Ok(())
}

/// The content of a file; nothing where there is no such file.
fn read(tree: &Tree, segments: &[Segment], path: &[u8]) -> Result<Vec<u8>, Error> {
    let Ok(id) = tree.lookup(path) else { return Ok(Vec::new()) };
    let Node::File { layer, content, size: 1.. } = tree.inode(id).node else { return Ok(Vec::new()) };
    let segment = usize::try_from(layer).ok().and_then(|layer: usize| segments.get(layer));
    let bytes = segment.map(|segment| segment.read(content, limits::NAMES_BYTES)).transpose();
    bytes.map(Option::unwrap_or_default).map_err(failed)
}

fn failed(error: impl Into<LayerError>) -> Error {
    Error::Attributes { source: Box::new(error.into()) }
}
