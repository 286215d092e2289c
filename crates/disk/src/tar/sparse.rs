//! Files with holes: the map that stands before their data (GNU's form 1.0).

use std::fmt::Write;
use std::ops::Range;

use super::BLOCK;
use crate::limits::SPARSE_RUNS;

/// Bytes that must be saved for a file to be stored without its holes: each program can read the others.
const WORTH_BYTES: u64 = 64 << 10;

/// What the archive has of a file: its data, and where that is in more pieces than a map may have, what is in the smallest of the
/// holes between them.
pub(super) fn runs(mut data: Vec<Range<u64>>, size: u64) -> Vec<Range<u64>> {
    let mut unit = WORTH_BYTES;
    while data.len() > SPARSE_RUNS {
        let mut coarse: Vec<Range<u64>> = Vec::new();
        for run in data {
            let start = run.start - run.start % unit;
            let end = run.end.checked_next_multiple_of(unit).unwrap_or(size).min(size);
            match coarse.last_mut() {
                Some(last) if start <= last.end => last.end = end,
                _ => coarse.push(start..end),
            }
        }
        data = coarse;
        unit = unit.saturating_mul(2);
    }
    data
}

/// The map of a file of `size` bytes, padded to blocks: the number of runs, then offset and length of each, in decimal. `None`
/// where the file is better stored whole.
pub(super) fn map(data: &[Range<u64>], size: u64) -> Option<Vec<u8>> {
    let stored: u64 = data.iter().map(|run| run.end - run.start).sum();
    if size - stored < WORTH_BYTES {
        return None;
    }
    // A run of nothing says where a file ends that does not end with data.
    let end = (data.last().is_none_or(|last| last.end < size)).then_some(size..size);
    let mut text = String::new();
    let runs = data.len() + usize::from(end.is_some());
    // Writing to a string does not fail.
    let _ = writeln!(text, "{runs}");
    for run in data.iter().cloned().chain(end) {
        let _ = writeln!(text, "{}\n{}", run.start, run.end - run.start);
    }
    let mut map = text.into_bytes();
    map.resize(map.len().next_multiple_of(BLOCK as usize), 0);
    (map.len() as u64 + stored < size).then_some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_saves_much_is_mapped() {
        type Case<'a> = (&'a [(u64, u64)], u64, Option<&'a str>);
        let table: [Case<'_>; 7] = [
            (&[], 0, None),
            (&[(0, 100)], 100, None),
            (&[(0, 4096)], 65_536 + 4095, None),
            (&[(0, 4096)], 65_536 + 4096, Some("2\n0\n4096\n69632\n0\n")),
            (&[], 1 << 40, Some("1\n1099511627776\n0\n")),
            (&[(65_536, 65_540)], 65_540, Some("1\n65536\n4\n")),
            (&[(4096, 8192), (1 << 20, (1 << 20) + 1)], (1 << 20) + 1, Some("2\n4096\n4096\n1048576\n1\n")),
        ];
        for (data, size, expected) in table {
            let data: Vec<_> = data.iter().map(|&(start, end)| start..end).collect();
            let found = map(&data, size);
            assert!(found.as_ref().is_none_or(|map| map.len() == 512));
            let text = found.map(|map| String::from_utf8(map).unwrap().trim_end_matches('\0').to_owned());
            assert_eq!(text.as_deref(), expected, "{data:?} of {size}");
        }
    }

    #[test]
    fn what_is_in_too_many_pieces_gets_fewer() {
        let count = SPARSE_RUNS as u64 + 1;
        // Every second block, and then nothing for long; a hole that is large in the middle.
        let gap = 1_u64 << 40;
        let data: Vec<_> =
            (0..count).map(|run| run * 8192 + if run < 50 { 0 } else { gap }).map(|at| at..at + 4096).collect();
        let size = 2 * gap + 5;
        assert_eq!(runs(data[1..].to_vec(), size), data[1..]);
        let coarse = runs(data.clone(), size);
        assert_eq!(coarse[0], 0..7 * WORTH_BYTES);
        assert_eq!(coarse.len(), 2);
        assert!(data.iter().all(|run| coarse.iter().any(|whole| whole.start <= run.start && run.end <= whole.end)));
        // Up to the end of the file, and not further.
        let data: Vec<_> = (0..count).map(|run| run * (1 << 20)..run * (1 << 20) + 1).collect();
        let size = count * (1 << 20) - 5;
        let coarse = runs(data, size);
        assert!(coarse.len() <= SPARSE_RUNS && coarse.last().unwrap().end <= size);
        assert!(map(&coarse, size).is_none_or(|map| map.len() < 64 * SPARSE_RUNS));
    }
}
