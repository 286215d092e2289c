//! What the tests share: the program, the judges, the corpus, and small images made on the spot.

pub(crate) mod agent;
pub(crate) mod concurrent;
pub(crate) mod corpus;
pub(crate) mod debian;
pub(crate) mod fault;
pub(crate) mod image;
pub(crate) mod judge;
pub(crate) mod kernel;
pub(crate) mod layout;
pub(crate) mod listing;
pub(crate) mod machine;
pub(crate) mod managed;
pub(crate) mod mount;
pub(crate) mod nobody;
pub(crate) mod program;
pub(crate) mod registry;
pub(crate) mod scratch;
pub(crate) mod snapshot;
pub(crate) mod tar;
pub(crate) mod terminal;

pub(crate) use corpus::Corpus;
pub(crate) use layout::Layout;
pub(crate) use machine::Machines;
pub(crate) use managed::Managed;
pub(crate) use program::Run;
pub(crate) use scratch::scratch;
pub(crate) use tar::Tar;
