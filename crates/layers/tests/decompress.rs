//! Blobs of every form, whole and broken.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

use std::io::{self, Read, Write};
use std::sync::Arc;

use banger_layers::decompress::{DecompressError, Decompressor, Format, Limits, WindowBudget};
use banger_layers::limits;
use flate2::{Compression, GzBuilder};

/// A source that gives a few bytes at a time, so that everything straddles its pieces, and counts its end.
struct Dribble<'a> {
    rest: &'a [u8],
    piece: usize,
    ends: usize,
}

impl<'a> Dribble<'a> {
    fn new(bytes: &'a [u8], piece: usize) -> Self {
        Self { rest: bytes, piece, ends: 0 }
    }
}

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.piece.min(buffer.len());
        let count = self.rest.read(&mut buffer[..count])?;
        self.ends += usize::from(count == 0);
        Ok(count)
    }
}

/// Bytes that compress somewhat.
fn sample(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let run = (state >> 28) as usize + 1;
        bytes.extend(std::iter::repeat_n((state >> 16) as u8 & 0x3f, run));
    }
    bytes.truncate(length);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

fn skippable(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    [&0x184d_2a57_u32.to_le_bytes(), &length[..], bytes].concat()
}

/// Reads with several sizes of pieces and buffers, all of which must give the same; the source must be read to its end.
fn unpack(blob: &[u8]) -> Result<(Format, Vec<u8>), DecompressError> {
    let mut results = [(1, 7), (3, 4096), (1000, 100_000), (usize::MAX, 1 << 20)].map(|(piece, room)| {
        let mut reader = Decompressor::new(Dribble::new(blob, piece))?;
        let mut output = Vec::new();
        let mut buffer = vec![0; room];
        loop {
            let count = reader.fill(&mut buffer)?;
            output.extend(&buffer[..count]);
            if count < room {
                break;
            }
        }
        assert_eq!(reader.produced(), output.len() as u64);
        assert_eq!(reader.consumed(), blob.len() as u64);
        let format = reader.format();
        assert!(reader.into_source().ends > 0, "the source was not read to its end");
        Ok((format, output))
    });
    for other in &results[1..] {
        match (&results[0], other) {
            (Ok(one), Ok(other)) => assert!(one == other, "results differ"),
            (Err(one), Err(other)) => assert_eq!(format!("{one:?}"), format!("{other:?}")),
            (one, other) => panic!("{one:?} against {other:?}"),
        }
    }
    std::mem::replace(&mut results[0], Ok((Format::Plain, Vec::new())))
}

#[track_caller]
fn assert_unpacks(blob: &[u8], format: Format, bytes: &[u8]) {
    let (found, unpacked) = unpack(blob).unwrap();
    assert_eq!(found, format);
    assert!(unpacked == bytes, "{} bytes, not the {} expected", unpacked.len(), bytes.len());
}

#[test]
fn plain_bytes_are_handed_through() {
    for length in [0, 1, 5, 6, 512, 600_000] {
        let bytes = sample(length);
        assert_unpacks(&bytes, Format::Plain, &bytes);
    }
}

#[test]
fn gzip_of_one_member() {
    for length in [0, 1, 100_000, 3_000_000] {
        let bytes = sample(length);
        assert_unpacks(&gzip(&bytes), Format::Gzip, &bytes);
    }
}

#[test]
fn gzip_with_all_optional_header_fields() {
    let mut encoder = GzBuilder::new()
        .extra(vec![7; 300])
        .filename("layer.tar")
        .comment("a comment")
        .mtime(1)
        .write(Vec::new(), Compression::best());
    encoder.write_all(b"content").unwrap();
    assert_unpacks(&encoder.finish().unwrap(), Format::Gzip, b"content");
}

#[test]
fn gzip_with_a_crc_of_its_header() {
    // Made by hand: no writer at hand makes one.
    let header = b"\x1f\x8b\x08\x0a\0\0\0\0\0\xff\x61\0";
    let mut crc = flate2::Crc::new();
    crc.update(header);
    let stored = crc.sum() as u16;
    let body = &gzip(b"content")[10..];
    let blob = |crc: u16| [header, &crc.to_le_bytes()[..], body].concat();
    assert_unpacks(&blob(stored), Format::Gzip, b"content");
    let error = unpack(&blob(stored ^ 1)).unwrap_err();
    assert!(matches!(error, DecompressError::Corrupt { .. }), "{error:?}");
}

#[test]
fn a_wrong_crc_is_an_error_unless_the_caller_has_a_digest() {
    let mut blob = [gzip(b"content"), gzip(b" and more")].concat();
    let last = blob.len() - 5;
    blob[last] ^= 1;
    let error = unpack(&blob).unwrap_err();
    assert!(matches!(error, DecompressError::Corrupt { .. }), "{error:?}");
    let mut output = [0; 100];
    let mut reader = Decompressor::new(&blob[..]).unwrap().without_crc();
    let count = reader.fill(&mut output).unwrap();
    assert_eq!(&output[..count], b"content and more");
}

#[test]
fn gzip_of_several_members_all_are_read() {
    let bytes = sample(300_000);
    // eStargz: a member for each file, some of them empty.
    let many: Vec<u8> = bytes.chunks(1000).flat_map(|chunk| [gzip(chunk), gzip(b"")].concat()).collect();
    assert_unpacks(&many, Format::Gzip, &bytes);
}

#[test]
fn zstd_of_one_frame() {
    for length in [0, 1, 100_000, 3_000_000] {
        let bytes = sample(length);
        assert_unpacks(&zstd(&bytes), Format::Zstd, &bytes);
        // With its content size and checksum in the frame, too.
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.include_contentsize(true).unwrap();
        encoder.set_pledged_src_size(Some(length as u64)).unwrap();
        encoder.write_all(&bytes).unwrap();
        assert_unpacks(&encoder.finish().unwrap(), Format::Zstd, &bytes);
    }
}

#[test]
fn zstd_of_several_frames_all_are_read() {
    let bytes = sample(300_000);
    let many: Vec<u8> = bytes.chunks(1000).flat_map(|chunk| [zstd(chunk), zstd(b"")].concat()).collect();
    assert_unpacks(&many, Format::Zstd, &bytes);
}

#[test]
fn zstd_skippable_frames_hold_nothing() {
    let blob = [
        skippable(b"first"),
        zstd(b"one "),
        skippable(&[0; 300_000]),
        skippable(b""),
        zstd(b"two"),
        skippable(b"a table of contents"),
    ]
    .concat();
    assert_unpacks(&blob, Format::Zstd, b"one two");
    assert_unpacks(&skippable(b"nothing else"), Format::Zstd, b"");
}

#[test]
fn zero_padding_may_follow() {
    for count in [1, 2, 3, 4, 511, 1_000_000] {
        let padding = vec![0; count];
        assert_unpacks(&[gzip(b"content"), padding.clone()].concat(), Format::Gzip, b"content");
        assert_unpacks(&[zstd(b"content"), padding].concat(), Format::Zstd, b"content");
    }
}

#[test]
fn garbage_after_the_end_is_an_error_at_its_offset() {
    for (format, blob) in [(Format::Gzip, gzip(b"content")), (Format::Zstd, zstd(b"content"))] {
        for (garbage, at) in [
            (&b"x"[..], 0),
            (b"\0\0\0x", 3),
            (b"\x1f\x8a", 0),
            (b"\x1f", 0),
            (b"\x28\xb5\x2f", 0),
            (b"\x28\xb5\x2f\xfe\0\0", 0),
            (b"plain text that goes on for a while", 0),
        ] {
            let error = unpack(&[&blob[..], garbage].concat()).unwrap_err();
            let expected = blob.len() as u64 + at;
            assert!(
                matches!(error, DecompressError::TrailingGarbage { format: found, offset }
                    if found == format && offset == expected),
                "{garbage:?}: {error:?}"
            );
        }
        // A long way behind it.
        let far = [&blob[..], &[0; 1_000_000], b"x"].concat();
        let expected = far.len() as u64 - 1;
        let error = unpack(&far).unwrap_err();
        assert!(matches!(error, DecompressError::TrailingGarbage { offset, .. } if offset == expected));
    }
    // Another member or frame after padding is no layer that anyone writes.
    for blob in [[gzip(b"a"), vec![0], gzip(b"b")], [zstd(b"a"), vec![0], zstd(b"b")]] {
        let error = unpack(&blob.concat()).unwrap_err();
        assert!(matches!(error, DecompressError::TrailingGarbage { .. }), "{error:?}");
    }
    // So is one of the other format.
    for blob in [[gzip(b"a"), zstd(b"b")], [zstd(b"a"), gzip(b"b")]] {
        let error = unpack(&blob.concat()).unwrap_err();
        assert!(matches!(error, DecompressError::TrailingGarbage { .. }), "{error:?}");
    }
}

#[test]
fn a_truncated_end_is_an_error_wherever_it_is() {
    let bytes = sample(5_000);
    for (format, blob) in [
        (Format::Gzip, [gzip(&bytes), gzip(&bytes)].concat()),
        (Format::Zstd, [zstd(&bytes), skippable(b"skipped"), zstd(&bytes)].concat()),
    ] {
        // Where another member or frame could follow the blob is whole.
        let ends: Vec<usize> = match format {
            Format::Gzip => vec![blob.len() / 2],
            _ => vec![zstd(&bytes).len(), zstd(&bytes).len() + 15],
        };
        for end in 6..blob.len() {
            let result = unpack(&blob[..end]);
            if ends.contains(&end) {
                assert!(result.is_ok());
                continue;
            }
            let error = result.unwrap_err();
            assert!(
                matches!(error, DecompressError::Truncated { format: found, offset }
                        if found == format && offset == end as u64)
                    // Less than a magic number cannot be told from garbage.
                    || matches!(error, DecompressError::TrailingGarbage { offset, .. }
                        if ends.iter().any(|&start| start as u64 == offset && end - start < 4)),
                "{format} cut at {end}: {error:?}"
            );
        }
    }
}

#[test]
fn damaged_data_is_an_error() {
    let bytes = sample(100_000);
    for (format, blob) in [
        (Format::Gzip, gzip(&bytes)),
        (Format::Zstd, {
            let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        }),
    ] {
        let mut errors = 0;
        let places = (0..blob.len()).rev().step_by(101);
        for at in places.clone() {
            let mut damaged = blob.clone();
            damaged[at] ^= 0x10;
            let mut output = vec![0; 200_000];
            let result = Decompressor::new(&damaged[..]).and_then(|mut reader| reader.fill(&mut output));
            match result {
                // There are bits without a meaning.
                Ok(count) => assert!(output[..count] == bytes, "{format} damaged at {at}"),
                // The decoder may stop at the damage, run out of data because of it, or find the end too early.
                Err(
                    DecompressError::Corrupt { .. }
                    | DecompressError::Truncated { .. }
                    | DecompressError::TrailingGarbage { .. },
                ) => errors += 1,
                Err(error) => panic!("{format} damaged at {at}: {error:?}"),
            }
        }
        assert!(errors > places.len() * 9 / 10, "only {errors} of {} found", places.len());
    }
    let mut wrong_method = gzip(b"content");
    wrong_method[2] = 7;
    assert!(matches!(unpack(&wrong_method), Err(DecompressError::Corrupt { .. })));
    let mut reserved_flag = gzip(b"content");
    reserved_flag[3] |= 0x20;
    assert!(matches!(unpack(&reserved_flag), Err(DecompressError::Corrupt { .. })));
    let mut wrong_length = gzip(b"content");
    *wrong_length.last_mut().unwrap() ^= 1;
    assert!(matches!(unpack(&wrong_length), Err(DecompressError::Corrupt { .. })));
}

/// A zstd frame header with this window descriptor (RFC 8878, 3.1.1.1.2), and a last, empty raw block.
fn zstd_with_window(descriptor: u8) -> Vec<u8> {
    [&0xfd2f_b528_u32.to_le_bytes()[..], &[0, descriptor], &[1, 0, 0]].concat()
}

#[test]
fn zstd_windows_have_a_limit_that_can_be_set() {
    let first = zstd(b"first").len() as u64;
    // What the header says, what is allowed; the default is 512 MiB.
    let default = Limits::default().window;
    let table = [
        (17 << 3, 128 << 20, default),
        (19 << 3, 512 << 20, default),
        (19 << 3 | 1, (512 << 20) + (64 << 20), default),
        (20 << 3, 1 << 30, default),
        (20 << 3, 1 << 30, 1 << 30),
        (21 << 3, 2 << 30, 2 << 30),
        (21 << 3 | 1, (2 << 30) + (256 << 20), u64::MAX),
    ];
    for (descriptor, window, limit) in table {
        let blob = [zstd(b"first"), zstd_with_window(descriptor)].concat();
        let limits = Limits { window: limit, ..Limits::default() };
        let mut layer = Decompressor::with_limits(&blob[..], limits).unwrap();
        match layer.fill(&mut [0; 100]) {
            Ok(count) => assert!(count == 5 && window <= limit, "{window} within {limit}"),
            Err(DecompressError::WindowTooLarge { offset, window: found, limit: said }) => {
                assert!(window > limit, "{window} within {limit}");
                assert_eq!((offset, found, said), (first, window, limit));
            }
            // More than libzstd can decode, whatever is allowed.
            Err(error) => assert!(window > 2 << 30 && limit > 2 << 30, "{window} within {limit}: {error}"),
        }
    }
}

/// Frames of which each asks for a window of so many bytes, and has so much in it.
fn zstd_with_windows(windows: &[u32], content: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    for &log in windows {
        let mut encoder = ::zstd::Encoder::new(&mut blob, 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap();
    }
    blob
}

/// Layers that are read at the same time take turns where their windows are more together than there may be.
#[test]
fn large_windows_of_several_layers_share_a_budget() {
    let content = sample(300_000);
    let blobs = [&[20, 27, 23, 27][..], &[27], &[10, 26, 27]].map(|windows| zstd_with_windows(windows, &content));
    let budget = Arc::new(WindowBudget::new(160 << 20));
    let mut layers: Vec<_> = blobs
        .iter()
        .map(|blob| (Decompressor::new(&blob[..]).unwrap().sharing(Arc::clone(&budget)), Vec::new(), false))
        .collect();
    let mut waits = 0;
    // In turns, as the steps of a build: one that waits does not keep the others from going on.
    while layers.iter().any(|(_, _, done)| !done) {
        let mut progress = false;
        for (layer, out, done) in layers.iter_mut().filter(|(layer, _, done)| !done && !layer.is_blocked()) {
            let mut buffer = vec![0; 40_000];
            let count = layer.fill(&mut buffer).unwrap();
            out.extend_from_slice(&buffer[..count]);
            *done = count < buffer.len() && !layer.is_waiting();
            waits += u32::from(layer.is_waiting());
            progress |= count > 0 || *done;
        }
        layers.retain_mut(|(layer, out, done)| {
            let keep = !*done;
            if !keep {
                assert!(out.chunks(content.len()).all(|frame| frame == content) && layer.produced() > 0);
            }
            keep
        });
        assert!(progress || layers.is_empty(), "all wait for each other");
    }
    assert!(waits >= 2, "nothing ever waited");
}

/// Zeros by the gibibyte: run-length blocks of 128 KiB, four bytes each.
fn zstd_bomb(blocks: usize) -> Vec<u8> {
    let header = |last: u32| (128 << 10 << 3 | 1 << 1 | last).to_le_bytes();
    let block = |last: u32| [&header(last)[..3], &[0]].concat();
    let magic = 0xfd2f_b528_u32.to_le_bytes();
    // A window of 128 KiB.
    [&magic[..], &[0, 7 << 3], &block(0).repeat(blocks - 1), &block(1)].concat()
}

/// Reads all and keeps nothing.
fn drain(blob: &[u8], limits: Limits) -> Result<u64, DecompressError> {
    let mut reader = Decompressor::with_limits(blob, limits)?;
    let mut buffer = vec![0; 1 << 20];
    while reader.fill(&mut buffer)? == buffer.len() {}
    Ok(reader.produced())
}

#[test]
fn a_zstd_bomb_is_an_error_and_a_large_file_of_zeros_is_not() {
    let free = (limits::EXPANSION_FREE_BYTES >> 17) as usize;
    assert_eq!(drain(&zstd_bomb(free), Limits::default()).unwrap(), limits::EXPANSION_FREE_BYTES);
    let error = drain(&zstd_bomb(free * 2), Limits::default()).unwrap_err();
    assert!(
        matches!(error, DecompressError::Expansion { output, limit: limits::EXPANSION, .. }
            if output < limits::EXPANSION_FREE_BYTES + (2 << 20)),
        "{error:?}"
    );
}

#[test]
fn gzip_never_expands_out_of_proportion() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
    io::copy(&mut io::repeat(0).take(256 << 20), &mut encoder).unwrap();
    let blob = encoder.finish().unwrap();
    let limits = Limits { free: 0, ..Limits::default() };
    assert_eq!(drain(&blob, limits).unwrap(), 256 << 20);
}

#[test]
fn a_gzip_bomb_stops_at_the_total() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
    io::copy(&mut io::repeat(0).take(64 << 20), &mut encoder).unwrap();
    let blob = encoder.finish().unwrap().repeat(1_000);
    let limits = Limits { output: 1 << 30, ..Limits::default() };
    let error = drain(&blob, limits).unwrap_err();
    assert!(matches!(error, DecompressError::TooLarge { limit } if limit == 1 << 30), "{error:?}");
    // What is not compressed has a total, too.
    let error = drain(&sample(2_000_000), Limits { output: 1_000_000, ..limits }).unwrap_err();
    assert!(matches!(error, DecompressError::TooLarge { .. }), "{error:?}");
}

#[test]
fn the_bytes_decide_whatever_the_media_type_says() {
    let oci = "application/vnd.oci.image.layer.v1.tar";
    for (blob, format) in
        [(gzip(b"content"), Format::Gzip), (zstd(b"content"), Format::Zstd), (b"content".to_vec(), Format::Plain)]
    {
        for (suffix, claimed) in [("", Format::Plain), ("+gzip", Format::Gzip), ("+zstd", Format::Zstd)] {
            let reader = Decompressor::new(&blob[..]).unwrap();
            assert_eq!(reader.format(), format);
            // What a caller compares, to warn.
            let media_type = format!("{oci}{suffix}");
            assert_eq!(Format::of_media_type(&media_type), Some(claimed));
        }
        assert_unpacks(&blob, format, b"content");
    }
}

#[test]
fn other_compressions_are_named() {
    for (start, expected) in [(&b"\xfd7zXZ\0\0\x04"[..], "xz"), (b"BZh91AY&SY", "bzip2"), (b"\x04\x22\x4d\x18d", "lz4")]
    {
        let error = Decompressor::new(start).unwrap_err();
        assert!(matches!(error, DecompressError::Unsupported { name } if name == expected), "{error:?}");
    }
}

#[test]
fn an_error_of_the_source_comes_out_with_its_place() {
    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable is out"))
        }
    }

    let blob = gzip(&sample(500_000));
    for blob in [&blob[..], b"plain and long enough"] {
        let mut reader = Decompressor::new(blob.chain(Failing)).unwrap();
        let error = reader.fill(&mut vec![0; 1_000_000]).unwrap_err();
        assert!(matches!(error, DecompressError::Read { offset, .. } if offset == blob.len() as u64), "{error:?}");
    }
}

#[test]
fn an_interrupted_source_is_read_on() {
    struct Interrupted<R>(R, bool);

    impl<R: Read> Read for Interrupted<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.0.read(buffer)
        }
    }

    let blob = gzip(b"content");
    let mut reader = Decompressor::new(Interrupted(Dribble::new(&blob, 5), false)).unwrap();
    let mut buffer = [0; 100];
    assert_eq!(reader.fill(&mut buffer).unwrap(), 7);
}

#[test]
fn it_is_a_reader_like_any_other() {
    let bytes = sample(1_000_000);
    let mut output = Vec::new();
    Decompressor::new(&gzip(&bytes)[..]).unwrap().read_to_end(&mut output).unwrap();
    assert!(output == bytes);
    let cut = gzip(&bytes);
    let mut reader = Decompressor::new(&cut[..1000]).unwrap();
    let error = reader.read_to_end(&mut output).unwrap_err();
    let inner = error.into_inner().unwrap().downcast::<DecompressError>().unwrap();
    assert!(matches!(*inner, DecompressError::Truncated { offset: 1000, .. }));
}
