//! Sparse files in all four forms, and maps that lie.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod common;

use banger_layers::entry::Kind;
use banger_layers::tar::{Field, Problem};

use common::sink::{Layer, problem, read};
use common::tar::{Archive, Member, field};

const HEAD: [u8; 512] = [b'a'; 512];
const TAIL: [u8; 700] = [b'z'; 700];

/// Where the tail is.
const TAIL_AT: u64 = 8192;

const SIZE: u64 = 10_000;

fn data() -> Vec<u8> {
    [&HEAD[..], &TAIL].concat()
}

/// An entry before and one after, so that both would show a wrong end.
fn around(member: Member) -> Vec<u8> {
    Archive::new().with(Member::file("before", "before")).with(member).with(Member::file("after", "after")).finished()
}

fn assert_right(member: Member) {
    let layer = read(&around(member)).unwrap();
    assert_eq!(layer.paths(), [&b"before"[..], b"sparse", b"after"]);
    assert!(matches!(layer.entry("sparse").kind, Kind::File { size: SIZE, .. }));
    let content = layer.content("sparse");
    let mut expected = vec![0; SIZE as usize];
    expected[..512].copy_from_slice(&HEAD);
    expected[TAIL_AT as usize..][..700].copy_from_slice(&TAIL);
    assert_eq!(content.bytes, expected);
    assert_eq!(content.holes, [(512, TAIL_AT - 512), (TAIL_AT + 700, SIZE - TAIL_AT - 700)]);
    assert_eq!(layer.content("after").bytes, b"after");
}

fn refused(member: Member) -> Problem {
    let (path, _, problem) = problem(&around(member));
    assert_eq!(path.as_deref(), Some("sparse"));
    problem
}

fn old_gnu() -> Member {
    Member::new(b'S', "sparse").gnu().data(data()).octal(field::GNU_REAL_SIZE, SIZE)
}

fn pax_0_0(runs: &[(u64, u64)]) -> Member {
    let count = runs.len().to_string();
    let start =
        Member::file("sparse", data()).pax("GNU.sparse.size", SIZE.to_string()).pax("GNU.sparse.numblocks", count);
    runs.iter().fold(start, |member, (offset, length)| {
        member.pax("GNU.sparse.offset", offset.to_string()).pax("GNU.sparse.numbytes", length.to_string())
    })
}

fn pax_0_1(map: &str) -> Member {
    Member::file("GNUSparseFile.1/sparse", data())
        .pax("GNU.sparse.size", SIZE.to_string())
        .pax("GNU.sparse.name", "sparse")
        .pax("GNU.sparse.map", map)
}

/// The map in front of the data, padded.
fn pax_1_0(map: &str) -> Member {
    let mut stored = map.as_bytes().to_vec();
    stored.resize(stored.len().next_multiple_of(512), 0);
    stored.extend(data());
    Member::file("GNUSparseFile.1/sparse", stored)
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0")
        .pax("GNU.sparse.name", "sparse")
        .pax("GNU.sparse.realsize", SIZE.to_string())
}

#[test]
fn old_gnu_map_in_the_header() {
    assert_right(old_gnu().gnu_run(0, 0, 512).gnu_run(1, TAIL_AT, 700).gnu_run(2, SIZE, 0));
}

#[test]
fn old_gnu_map_in_extension_blocks() {
    // As if every piece of the head were a run of its own: four in the header, the rest in two more blocks.
    let pieces: Vec<_> = (0..32).map(|piece| (piece * 16, 16)).collect();
    let (first, second) = pieces[4..].split_at(21);
    let second = [second, &[(TAIL_AT, 700)]].concat();
    let header = pieces[..4]
        .iter()
        .enumerate()
        .fold(old_gnu(), |member, (index, &(offset, length))| member.gnu_run(index, offset, length));
    assert_right(header.field(field::GNU_EXTENDED, [1]).gnu_extension(first, true).gnu_extension(&second, false));
}

#[test]
fn pax_0_0_with_repeated_keys() {
    assert_right(pax_0_0(&[(0, 512), (TAIL_AT, 700)]));
}

#[test]
fn pax_0_1_with_a_map_in_one_key() {
    assert_right(pax_0_1("0,512,8192,700"));
    // Of two maps the last counts.
    assert_right(pax_0_1("5,5").pax("GNU.sparse.map", "0,512,8192,700,10000,0"));
}

#[test]
fn pax_1_0_with_a_map_in_the_data() {
    assert_right(pax_1_0("2\n0\n512\n8192\n700\n"));
    assert_right(pax_1_0("3\n0\n512\n8192\n700\n10000\n0\n"));
}

#[test]
fn pax_1_0_with_a_map_of_many_blocks() {
    let mut map = String::from("513\n");
    for piece in 0..512 {
        map += &format!("{piece}\n1\n");
    }
    assert!(map.len() > 2048);
    assert_right(pax_1_0(&(map + "8192\n700\n")));
}

#[test]
fn pax_1_0_with_a_map_that_fills_its_block() {
    // Leading zeros, so that the last newline is the last byte of a block.
    let map = "2\n0\n512\n8192\n";
    let map = format!("{map}{:0>width$}\n", 700, width = 512 - map.len() - 1);
    assert_eq!(map.len(), 512);
    assert_right(pax_1_0(&map));
}

#[test]
fn a_file_that_is_one_hole() {
    let nothing = |layer: Layer| {
        let content = layer.content("sparse");
        assert_eq!((content.size, &content.holes[..]), (1 << 40, &[(0, 1 << 40)][..]));
    };
    let size = (1_u64 << 40).to_string();
    let named = || Member::file("sparse", "").pax("GNU.sparse.size", &size);
    let old = Member::new(b'S', "sparse").gnu();
    for member in [
        named(),
        named().pax("GNU.sparse.map", ""),
        named().pax("GNU.sparse.map", format!("{size},0")),
        named().pax("GNU.sparse.offset", &size).pax("GNU.sparse.numbytes", "0"),
        old.base256(field::GNU_REAL_SIZE, 1 << 40),
    ] {
        nothing(read(&around(member)).unwrap());
    }
}

#[test]
fn runs_that_overlap_or_run_backwards_are_errors() {
    let overlap = Problem::SparseOverlap { offset: 500, end: 512 };
    assert_eq!(refused(pax_0_0(&[(0, 512), (500, 700)])), overlap);
    assert_eq!(refused(pax_0_1("0,512,500,700")), overlap);
    assert_eq!(refused(pax_1_0("2\n0\n512\n500\n700\n")), overlap);
    assert_eq!(refused(old_gnu().gnu_run(0, 0, 512).gnu_run(1, 500, 700)), overlap);
    let backwards = Problem::SparseOverlap { offset: 0, end: 8892 };
    assert_eq!(refused(pax_0_1("8192,700,0,512")), backwards);
}

#[test]
fn runs_beyond_the_size_are_errors() {
    let beyond = Problem::SparseBeyondEnd { offset: 9500, length: 700, size: SIZE };
    assert_eq!(refused(pax_0_0(&[(0, 512), (9500, 700)])), beyond);
    assert_eq!(refused(pax_0_1("0,512,9500,700")), beyond);
    assert_eq!(refused(pax_1_0("2\n0\n512\n9500\n700\n")), beyond);
    assert_eq!(refused(old_gnu().gnu_run(0, 0, 512).gnu_run(1, 9500, 700)), beyond);
    let overflow = format!("{0},{0}", i64::MAX);
    assert!(matches!(refused(pax_0_1(&overflow)), Problem::SparseBeyondEnd { .. }));
}

#[test]
fn runs_that_are_not_the_stored_data_are_errors() {
    assert_eq!(refused(pax_0_1("0,512,8192,699")), Problem::SparseSize { mapped: 1211, stored: 1212 });
    assert_eq!(refused(pax_0_1("0,512,8192,701")), Problem::SparseSize { mapped: 1213, stored: 1212 });
    assert_eq!(refused(pax_1_0("1\n0\n512\n")), Problem::SparseSize { mapped: 512, stored: 1212 });
    // A size without a map makes no file of data shorter.
    assert_eq!(
        refused(Member::file("sparse", data()).pax("GNU.sparse.size", "5")),
        Problem::SparseSize { mapped: 0, stored: 1212 }
    );
}

#[test]
fn a_map_of_ten_million_runs_is_an_error() {
    assert_eq!(refused(pax_1_0("10000000\n0\n1\n")), Problem::TooManyRuns);
    // The old form has no count: extension blocks go on and on.
    let blocks = [(0, 0); 21];
    let member = Member::new(b'S', "sparse")
        .gnu()
        .octal(field::GNU_REAL_SIZE, 0)
        .field(field::GNU_EXTENDED, [1])
        .gnu_extension(&blocks, true);
    let block = member.bytes()[512..].repeat(10_000_000 / 21);
    let archive = Archive::new().with(member).raw(&block).finished();
    let (path, _, problem) = problem(&archive);
    assert_eq!((path.as_deref(), problem), (Some("sparse"), Problem::TooManyRuns));
}

#[test]
fn malformed_maps_are_errors() {
    for map in ["x\n", "2\n0\n", "\n", "1\n0\n-5\n", "1\n\n", "1\n0 5\n", "99999999999999999999\n"] {
        assert_eq!(refused(pax_1_0(map)), Problem::BadSparseMap, "{map:?}");
    }
    for map in ["0", "0,512,", "0,512,8192", ",", "0,,5"] {
        let problem = refused(pax_0_1(map));
        assert!(
            matches!(problem, Problem::BadSparseMap | Problem::BadNumber { field: Field::SparseMap, .. }),
            "{map:?}: {problem:?}"
        );
    }
    let half = Member::file("sparse", data()).pax("GNU.sparse.offset", "0");
    assert_eq!(refused(half.clone()), Problem::BadSparseMap);
    assert_eq!(refused(half.pax("GNU.sparse.offset", "0")), Problem::BadSparseMap);
    let length = Member::file("sparse", data()).pax("GNU.sparse.numbytes", "0");
    assert_eq!(refused(length), Problem::BadSparseMap);
    // The map does not end before the data does.
    let endless = Member::file("GNUSparseFile.1/sparse", "5\n0\n1\n2\n1\n")
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0")
        .pax("GNU.sparse.name", "sparse");
    assert_eq!(refused(endless), Problem::BadSparseMap);
    // Two maps of different forms for one file.
    let both = old_gnu().gnu_run(0, 0, 512).gnu_run(1, TAIL_AT, 700).pax("GNU.sparse.map", "0,1212");
    assert_eq!(refused(both), Problem::BadSparseMap);
}

#[test]
fn unknown_versions_are_errors() {
    let member = pax_1_0("2\n0\n512\n8192\n700\n").pax("GNU.sparse.minor", "1");
    assert_eq!(refused(member), Problem::SparseVersion { major: 1, minor: 1 });
    let member = pax_1_0("2\n0\n512\n8192\n700\n").pax("GNU.sparse.major", "");
    assert!(matches!(refused(member), Problem::SparseVersion { .. }));
}
