//! What must hold for any archive and any bytes at all.

#![expect(clippy::indexing_slicing, reason = "a test stops at what it does not expect")]

mod common;

use banger_layers::decompress::Decompressor;
use banger_layers::entry::Kind;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use common::sink::{Layer, read, read_in_pieces};
use common::tar::{Archive, BLOCK, Member, field};

/// Any entry, right or nearly so.
fn member() -> impl Strategy<Value = Member> {
    let name = vec(select(b"ab/.\n\xff".as_slice()), 1..300);
    let data = vec(any::<u8>(), 0..2000);
    let number = prop_oneof![Just(0_u64), 0..10_000_u64, Just(u64::from(u32::MAX))];
    let decorated = (name, data, select(b"0000001122334455667SVDxgLK\0".as_slice()), number, 0..12_u8);
    decorated.prop_map(|(name, data, flag, number, decoration)| {
        let member = Member::new(flag, &name).target("target");
        let member = match flag {
            b'0' | b'7' | b'S' | b'x' | b'g' | b'L' | b'K' | b'V' | b'D' => member.data(&data),
            _ => member,
        };
        match decoration {
            0 => member.owner(number, number),
            1 => member.pax("mtime", format!("-{number}.{number}")),
            2 => member.pax("path", &name),
            3 => member.gnu().gnu_name(&data[..data.len().min(300)]),
            4 => member.gnu_run(0, 0, data.len() as u64).octal(field::GNU_REAL_SIZE, 5000),
            5 => member.pax("GNU.sparse.map", format!("{},{}", number, data.len())).pax("GNU.sparse.size", "20000"),
            6 => member.pax("SCHILY.xattr.user.a", &data),
            7 => member.pax("LIBARCHIVE.xattr.user.a", "Zm9v"),
            8 => member.claimed_size(number),
            9 => member.gnu(),
            10 => member.pax("GNU.sparse.major", "1").pax("GNU.sparse.minor", "0"),
            _ => member,
        }
    })
}

fn archive() -> impl Strategy<Value = Vec<u8>> {
    (vec(member(), 0..12), any::<bool>()).prop_map(|(members, finished)| {
        let archive = members.into_iter().fold(Archive::new(), Archive::with);
        if finished { archive.finished() } else { archive.unfinished() }
    })
}

/// All that there is to a layer, so that two can be compared.
fn shown(layer: &Layer) -> String {
    let entries: Vec<_> =
        layer.entries.iter().map(|entry| (entry, layer.entries.xattrs(entry.xattrs).collect::<Vec<_>>())).collect();
    format!("{entries:?} {:?}", layer.contents)
}

fn outcome(result: Result<Layer, impl std::fmt::Debug>) -> String {
    match result {
        Ok(layer) => shown(&layer),
        Err(error) => format!("{error:?}"),
    }
}

/// Cuts at these places.
fn cut<'a>(bytes: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// How compressed blobs start.
const MAGICS: [&[u8]; 4] = [b"", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\x52\x2a\x4d\x18"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_cut_does_not_matter(archive in archive(), places in vec(any::<Index>(), 0..20)) {
        let whole = outcome(read(&archive));
        prop_assert_eq!(&outcome(read_in_pieces(cut(&archive, &places))), &whole);
        prop_assert_eq!(&outcome(read_in_pieces(archive.chunks(1))), &whole);
        prop_assert_eq!(&outcome(read_in_pieces(archive.chunks(BLOCK))), &whole);
    }

    #[test]
    fn damaged_archives_are_read_or_refused(
        archive in archive(),
        damage in vec((any::<Index>(), any::<u8>()), 0..20),
        mend in any::<bool>(),
    ) {
        let mut archive = archive;
        for (place, byte) in damage {
            if !archive.is_empty() {
                let place = place.index(archive.len());
                archive[place] = byte;
            }
        }
        if mend {
            mend_checksums(&mut archive);
        }
        let whole = outcome(read(&archive));
        prop_assert_eq!(outcome(read_in_pieces(archive.chunks(100))), whole);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..3000), mend in any::<bool>()) {
        let mut bytes = bytes;
        if mend {
            mend_checksums(&mut bytes);
        }
        let whole = outcome(read(&bytes));
        prop_assert_eq!(outcome(read_in_pieces(bytes.chunks(7))), whole);
    }

    #[test]
    fn any_bytes_are_decompressed_or_refused(
        bytes in vec(any::<u8>(), 0..3000),
        start in select(MAGICS.as_slice()),
    ) {
        let blob = [start, &bytes].concat();
        if let Ok(mut reader) = Decompressor::new(&blob[..]) {
            let mut buffer = [0; 4096];
            while let Ok(count) = reader.fill(&mut buffer) {
                if count < buffer.len() {
                    break;
                }
            }
        }
    }

    #[test]
    fn a_sparse_file_is_its_runs_and_zeros(
        pieces in vec((0..5000_u64, 0..1500_usize), 0..30),
        tail in 0..5000_u64,
        form in 0..4_u8,
    ) {
        let mut runs = Vec::new();
        let (mut data, mut logical) = (Vec::new(), Vec::new());
        for (hole, length) in pieces {
            logical.resize(logical.len() + hole as usize, 0);
            runs.push((logical.len() as u64, length as u64));
            let content = vec![b'a' + runs.len() as u8; length];
            logical.extend(&content);
            data.extend(&content);
        }
        logical.resize(logical.len() + tail as usize, 0);
        let archive = Archive::new().with(sparse(&runs, &data, logical.len() as u64, form)).with(Member::file("after", "x"));
        let layer = read(&archive.finished()).unwrap();
        prop_assert!(layer.content("sparse").bytes == logical);
        let size = logical.len() as u64;
        let is_right = matches!(layer.entry("sparse").kind, Kind::File { size: found, .. } if found == size);
        prop_assert!(is_right);
        prop_assert_eq!(&layer.content("after").bytes, b"x");
    }
}

/// A sparse file in one of the four forms.
fn sparse(runs: &[(u64, u64)], data: &[u8], size: u64, form: u8) -> Member {
    let numbers: Vec<String> =
        runs.iter().flat_map(|&(offset, length)| [offset.to_string(), length.to_string()]).collect();
    match form {
        0 => {
            let (inline, rest) = runs.split_at(runs.len().min(4));
            let mut member = Member::new(b'S', "sparse").gnu().data(data).octal(field::GNU_REAL_SIZE, size);
            for (index, &(offset, length)) in inline.iter().enumerate() {
                member = member.gnu_run(index, offset, length);
            }
            if !rest.is_empty() {
                member = member.field(field::GNU_EXTENDED, [1]);
            }
            for (index, block) in rest.chunks(21).enumerate() {
                member = member.gnu_extension(block, (index + 1) * 21 < rest.len());
            }
            member
        }
        1 => {
            let member = Member::file("sparse", data).pax("GNU.sparse.size", size.to_string());
            numbers.chunks(2).fold(member, |member, run| {
                member.pax("GNU.sparse.offset", &run[0]).pax("GNU.sparse.numbytes", &run[1])
            })
        }
        2 => Member::file("name", data)
            .pax("GNU.sparse.size", size.to_string())
            .pax("GNU.sparse.name", "sparse")
            .pax("GNU.sparse.map", numbers.join(",")),
        _ => {
            let map: String =
                std::iter::once(&runs.len().to_string()).chain(&numbers).map(|number| format!("{number}\n")).collect();
            let mut stored = map.into_bytes();
            stored.resize(stored.len().next_multiple_of(BLOCK), 0);
            stored.extend(data);
            Member::file("name", stored)
                .pax("GNU.sparse.major", "1")
                .pax("GNU.sparse.minor", "0")
                .pax("GNU.sparse.name", "sparse")
                .pax("GNU.sparse.realsize", size.to_string())
        }
    }
}

/// Makes headers of all blocks, as far as their checksums go: random bytes would hardly ever get beyond these.
fn mend_checksums(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(BLOCK) {
        let (start, length) = field::CHECKSUM;
        block[start..start + length].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[start..start + length].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
