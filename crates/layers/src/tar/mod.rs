//! Reads a tar archive as it comes, in pieces of any size.
//!
//! Formats: Unix V7, POSIX ustar and pax, old and new GNU, star's prefix, the prefix that old versions of Go wrote into
//! GNU headers. `tar-core` gives the layout of the blocks; what this module does itself is written where it does it.
//!
//! The contents of files go from the piece at hand into a [`ContentSink`](crate::sink::ContentSink), uncopied; all
//! else becomes an [`Entry`](crate::entry::Entry). Names are not interpreted, but for one thing: the content of a
//! whiteout goes nowhere.
//!
//! Where archives are ambiguous, this is what is done:
//! - **Name**: `GNU.sparse.name`, then PAX `path`, then a GNU long name, then the header's. Of several extended
//!   headers of a kind before one entry the last counts, and of several records of a key in it.
//! - **Size**: PAX `size`, then the header's. A link, device, fifo or directory has no data whatever its size says,
//!   as writers are known that give sizes to these; but where no header (or end) follows, data must, and is skipped.
//! - **Type**: `7` (contiguous) is a file; a file whose name ends in a slash is a directory; `D` (GNU's
//!   incremental dumps) is a directory whose data is skipped; `V` (a volume's label) is no entry; `X` is `x`. Any
//!   other flag is an error, multi-volume archives among them, as nobody can know what a layer means by it.
//! - **Global PAX headers** must be well-formed and have no effect.
//! - **End**: two zero blocks; what follows is ignored. An archive that just stops is complete if it stops where a
//!   header could be, if what follows is zeros that make no block, or if nothing is missing but what fills the last
//!   block of data: some writers leave that out (`umoci insert`), and Go's reader does not ask for it. One zero block that is neither followed by another nor by the end is an error (GNU tar stops
//!   there, and loses the rest; others step over it).

mod encoding;
mod error;
mod header;
mod number;
mod pax;
mod reader;
mod sparse;

pub use self::error::{Field, Problem, TarError};
pub use self::reader::TarReader;

/// Bytes of a block, of which an archive is made: headers are one, data is padded to full ones.
const BLOCK: usize = tar_core::HEADER_SIZE;

/// One block.
type Block = [u8; BLOCK];
