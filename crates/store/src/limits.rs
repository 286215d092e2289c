//! Numbers of the store, each with its reason.

use std::time::Duration;

/// Characters of a name: with `.staging` and a number behind it still a file's name on any file system.
pub const NAME_CHARACTERS: usize = 127;
/// Characters of an id: SHA-256 in hexadecimal digits.
pub const ID_CHARACTERS: usize = 64;
/// Characters of an id's beginning that stand for it: fewer would be met by a slip of the keyboard.
pub const ID_PREFIX_CHARACTERS: usize = 4;
/// Names that an error proposes.
pub const NEAREST_NAMES: usize = 3;
/// How like a name must be to be proposed (Damerau and Levenshtein, 1 is equal).
pub(crate) const NEAREST_LIKENESS: f64 = 0.6;
/// How long another process's transaction is waited for: each lasts for one or two syncs, which a busy disk can draw out.
pub const DATABASE_PATIENCE: Duration = Duration::from_secs(60);
/// How long who waits for somebody else's files sleeps before looking again.
pub(crate) const POLL: Duration = Duration::from_millis(20);
/// How often a removal looks whether files that are in use are free, before it says so: whoever only takes a look at them,
/// or names them, is gone by then.
pub(crate) const REMOVAL_TRIES: u32 = 10;
/// Files of an image or a kernel that are synced one by one. Where there are more (modules), one sync of the whole file
/// system is faster than thousands.
pub(crate) const SINGLE_SYNCS: usize = 64;
