//! The steps that the work on layers is cut into.

use banger_ext4::write::Segment;
use banger_oci::Layer;

use super::reading::Reading;
use super::stations::{Blob, Chunk, Decoded, Decoder, Hasher, Parser};
use crate::error::LayerError;
use crate::options::Addition;

/// One step.
pub(crate) enum Step<'a> {
    Open(&'a Layer),
    Add(&'a Addition),
    Decode(Box<Decoder>),
    /// Reads on, only to see whether the blob is the one promised.
    Skip(Box<Blob>),
    Check(Box<Hasher>, Chunk),
    Hash(Box<Hasher>, Chunk),
    Parse(Box<Parser>, Chunk, Option<u64>),
    Finish {
        checker: Box<Hasher>,
        hasher: Box<Hasher>,
        parser: Box<Parser>,
    },
    Fail(Box<Hasher>, LayerError),
    Place(Segment, u64),
}

/// What a step came to.
pub(crate) enum Done {
    Opened(Box<Reading>),
    Decoded(Decoded),
    Skipped(Vec<Chunk>, Box<Blob>),
    Checked(Box<Hasher>),
    Hashed(Box<Hasher>),
    Parsed(Box<Parser>),
    /// Something is wrong: this, or the blob. If it is the decoder that failed, here is what is left of the blob.
    Failed(LayerError, Option<Box<Blob>>),
    Finished(Segment),
    Placed(Segment),
}
