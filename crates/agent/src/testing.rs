//! What the unit tests share.

/// Whether this is root, as starting a process of another user or in other namespaces needs. Where judges are required, it must be.
pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let required =
        std::env::var_os("CI").is_some() || std::env::var_os("BANGER_JUDGES").is_some_and(|value| value == "required");
    assert!(is_root || !required, "this needs root, which is required here");
    if !is_root {
        eprintln!("SKIPPED a test of how programs are started: needs root");
    }
    is_root
}
