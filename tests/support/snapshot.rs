//! Texts that the program prints, compared with what stands in `tests/snapshots`.
//!
//! `BANGER_UPDATE_SNAPSHOTS=1 cargo test` writes what is printed instead; the difference is then read in `git diff`.

use super::corpus::repository;

/// `found` must be what stands in `tests/snapshots/NAME.txt`.
#[track_caller]
pub(crate) fn check(name: &str, found: &str) {
    let path = repository().join("tests/snapshots").join(format!("{name}.txt"));
    if std::env::var_os("BANGER_UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        found == expected,
        "{name} has changed; BANGER_UPDATE_SNAPSHOTS=1 accepts it\n--- expected\n{expected}\n--- found\n{found}"
    );
}
