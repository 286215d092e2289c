//! What the operations promise, without any network.

// `cfg(test)` holds for all of this crate; said here, clippy knows that helpers may panic as tests may.
#[cfg(test)]
mod demo;
