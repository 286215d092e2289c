//! What the writer promises, judged by e2fsprogs and the kernel.

mod common;

use common::*;

#[test]
fn an_empty_tree_is_a_valid_file_system() {
    for size in [64 << 20, 100_000_000, 1 << 30] {
        let bench = Bench::new();
        let summary = bench.finish(tree(), &[], &banger_ext4::write::Options { size: Some(size), ..options() });
        assert_eq!(summary.size, size);
    }
}
