use proptest::prelude::*;

use super::*;

fn header(name: &str, size: &str) -> Vec<u8> {
    format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100_644).into_bytes()
}

fn archive(parts: &[&[u8]]) -> Vec<u8> {
    [&MAGIC[..], &parts.concat()].concat()
}

/// All members with their contents, or the error in words.
fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut archive = Archive::new(bytes).map_err(|error| error.to_string())?;
    let mut members = Vec::new();
    while let Some(member) = archive.next_member().map_err(|error| error.to_string())? {
        let mut content = Vec::new();
        archive.read_to_end(&mut content).map_err(|error| error.to_string())?;
        assert_eq!(content.len() as u64, member.size);
        members.push((member.name, content));
    }
    Ok(members)
}

#[test]
fn members_are_read_one_after_the_other() {
    let member = |name: &str, content: &[u8]| (name.to_owned(), content.to_vec());
    let (one, even, none) = (header("one/", "3"), header("a.tar.xz", "2"), header("none", "0"));
    for (bytes, expected) in [
        (archive(&[]), vec![]),
        (
            archive(&[&one, b"abc\n", &even, b"de", &none]),
            vec![member("one", b"abc"), member("a.tar.xz", b"de"), member("none", b"")],
        ),
        // What fills the last member up may be missing, and may be anything.
        (archive(&[&one, b"abc"]), vec![member("one", b"abc")]),
        (archive(&[&one, b"abc\0", &even, b"de"]), vec![member("one", b"abc"), member("a.tar.xz", b"de")]),
    ] {
        assert_eq!(read(&bytes).unwrap(), expected);
    }
}

#[test]
fn what_was_not_read_is_skipped() {
    let bytes = archive(&[&header("one", "3"), b"abc\n", &header("two", "2"), b"de"]);
    let mut archive = Archive::new(&bytes[..]).unwrap();
    assert_eq!(archive.next_member().unwrap().unwrap().name, "one");
    archive.read_exact(&mut [0]).unwrap();
    assert_eq!(archive.next_member().unwrap().unwrap().name, "two");
    assert!(archive.next_member().unwrap().is_none());
    assert!(archive.next_member().unwrap().is_none());
}

#[test]
fn what_is_malformed_is_refused_with_its_place() {
    let good = header("one", "4");
    let broken_end = [&good[..58], b"``"].concat();
    let malformed = |at: u64, reason: &str| format!("the header at byte {at} of the ar archive is malformed: {reason}");
    let short = |at: u64| format!("the ar archive ends too early, after {at} bytes");
    for (bytes, expected) in [
        (Vec::new(), "it is no ar archive".to_owned()),
        (b"!<arch>".to_vec(), "it is no ar archive".to_owned()),
        (b"!<thin>\n".to_vec(), "it is no ar archive".to_owned()),
        (archive(&[&good[..59]]), short(67)),
        (archive(&[&good, b"abc"]), short(71)),
        (archive(&[&header("one", "9999999999"), b"abc"]), short(71)),
        (archive(&[&broken_end]), malformed(8, "it does not end as headers do")),
        // One byte too few before the second header: it is read from its second byte on.
        (archive(&[&header("one", "3"), b"abc", &good, b"abcd"]), malformed(72, "it does not end as headers do")),
        (archive(&[&header("one", "")]), malformed(8, "its size is no number")),
        (archive(&[&header("one", "-1")]), malformed(8, "its size is no number")),
        (archive(&[&header("one", "+1")]), malformed(8, "its size is no number")),
        (archive(&[&header("one", "0x10")]), malformed(8, "its size is no number")),
        (archive(&[&header("one", "1 1")]), malformed(8, "its size is no number")),
        (archive(&[&header("one", "\u{663}")[..60]]), malformed(8, "it does not end as headers do")),
        (archive(&[&header("", "1")]), malformed(8, "it has no proper name")),
        (archive(&[&header("a b", "1")]), malformed(8, "it has no proper name")),
        (archive(&[&header("a\n", "1")]), malformed(8, "it has no proper name")),
        (archive(&[&header("//", "20")]), malformed(8, "it has a long name, which packages have not")),
        (archive(&[&header("/0", "1")]), malformed(8, "it has a long name, which packages have not")),
        (archive(&[&header("/", "1")]), malformed(8, "it has a long name, which packages have not")),
        (archive(&[&header("#1/20", "30")]), malformed(8, "it has a long name, which packages have not")),
    ] {
        assert_eq!(read(&bytes).unwrap_err(), expected);
    }
}

proptest! {
    #[test]
    fn any_bytes_end(
        start in prop::sample::select(vec![&b""[..], &MAGIC[..]]),
        name in "[ -~]{0,16}",
        size in "[ -~]{0,10}",
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        changes in prop::collection::vec((0..68_usize, any::<u8>()), 0..4),
    ) {
        let mut archive = [start, &header(&name, &size), &bytes].concat();
        for (at, byte) in changes {
            if let Some(place) = archive.get_mut(at) {
                *place = byte;
            }
        }
        if let Ok(members) = read(&archive) {
            let total: usize = members.iter().map(|(_, content)| content.len()).sum();
            prop_assert!(total <= archive.len());
        }
    }
}
