//! What nobody should send.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::thread;
use std::time::{Duration, Instant};

use banger_protocol::failure::FailureKind;
use proptest::prelude::*;

use crate::exec::eventually;
use crate::service::{Service, refused};

/// A ustar header, and the content in whole blocks.
fn member(name: &str, kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend(content);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

#[test]
fn archives_that_lead_out_are_refused_and_touch_nothing() {
    let service = Service::start();
    let outside = service.path("outside");
    fs::write(outside.join("secret"), "secret").unwrap();
    let absolute = outside.join("made").to_str().unwrap().to_owned();
    let secret = outside.join("secret").to_str().unwrap().to_owned();
    let outside_name = outside.to_str().unwrap().to_owned();
    let pax = format!("{} path=../outside/made\n", "27");
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("a parent", vec![member("../outside/made", b'0', "", b"x")]),
        ("a parent in the middle", vec![member("a/../../outside/made", b'0', "", b"x")]),
        ("an absolute name", vec![member(&absolute, b'0', "", b"x")]),
        ("a pax name", vec![member("pax", b'x', "", pax.as_bytes()), member("fine", b'0', "", b"x")]),
        ("a GNU name", vec![member("long", b'L', "", b"../outside/made\0"), member("fine", b'0', "", b"x")]),
        ("through a link", vec![member("l", b'2', &outside_name, b""), member("l/made", b'0', "", b"x")]),
        ("through a relative link", vec![member("l", b'2', "../outside", b""), member("l/made", b'0', "", b"x")]),
        ("a directory through a link", vec![member("l", b'2', "../outside", b""), member("l/made/", b'5', "", b"")]),
        ("a directory in a link's place", vec![member("l", b'2', "../outside", b""), member("l/", b'5', "", b"")]),
        ("a hard link out", vec![member("h", b'1', "../outside/secret", b"")]),
        ("an absolute hard link", vec![member("h", b'1', &secret, b"")]),
        ("a hard link through a link", vec![member("l", b'2', "../outside", b""), member("h", b'1', "l/secret", b"")]),
        ("a device", vec![member("null", b'3', "", b"")]),
        ("a disk", vec![member("disk", b'4', "", b"")]),
    ];
    for (number, (what, members)) in cases.iter().enumerate() {
        let to = service.path(&format!("to-{number}"));
        let result = service.client().put_files(&to, &mut &archive(members)[..]);
        let kind = refused(result).kind;
        assert!(matches!(kind, FailureKind::NotPermitted | FailureKind::Request), "{what}: {kind:?}");
        let names: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["secret"], "{what}");
        assert_eq!(fs::metadata(outside.join("secret")).unwrap().nlink(), 1, "{what}");
        let made = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(made.into_iter().all(|name| name == "l" || name == "a"), "{what}");
    }
}

#[test]
fn links_are_replaced_never_followed() {
    let service = Service::start();
    let (to, outside) = (service.path("to"), service.path("outside"));
    fs::write(outside.join("file"), "old").unwrap();
    symlink("../outside/file", to.join("file")).unwrap();
    service.client().put_files(&to, &mut &archive(&[member("file", b'0', "", b"new")])[..]).unwrap();
    assert_eq!(fs::read(outside.join("file")).unwrap(), b"old");
    assert_eq!(fs::read(to.join("file")).unwrap(), b"new");
    // A directory stays one.
    fs::create_dir(to.join("directory")).unwrap();
    let refusal = refused(service.client().put_files(&to, &mut &archive(&[member("directory", b'0', "", b"")])[..]));
    assert_eq!(refusal.kind, FailureKind::Request);
    assert!(to.join("directory").is_dir());
}

#[test]
fn half_an_archive_leaves_no_half_file() {
    let service = Service::start();
    let to = service.path("to");
    fs::write(to.join("file"), "old").unwrap();
    let whole = archive(&[member("first", b'0', "", b"1"), member("file", b'0', "", &[b'n'; 5000])]);
    let refusal = refused(service.client().put_files(&to, &mut &whole[..3000]));
    assert_eq!(refusal.kind, FailureKind::Request, "{}", refusal.error);
    assert_eq!(fs::read(to.join("file")).unwrap(), b"old");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 2);
}

#[test]
fn a_refusal_in_the_middle_is_heard() {
    let service = Service::start();
    let to = service.path("to");
    // It refuses the first member, and gigabytes would follow.
    let start = archive(&[member("../x", b'0', "", b"")]);
    let mut endless = start.chain(std::io::repeat(0).take(8 << 30));
    let started = Instant::now();
    assert_eq!(refused(service.client().put_files(&to, &mut endless)).kind, FailureKind::NotPermitted);
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn bodies_are_bounded() {
    let service = Service::start();
    let head = "POST /shutdown HTTP/1.1\r\n";
    for (fields, body) in [
        ("Content-Length: 99999999999", " ".repeat(2 << 20)),
        ("Transfer-Encoding: chunked", format!("200000\r\n{}\r\n0\r\n\r\n", " ".repeat(2 << 20))),
    ] {
        let answer = service.say(format!("{head}{fields}\r\n\r\n{body}").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 413 "), "{fields}: {answer}");
    }
    for body in [
        "x\r\n",
        "-1\r\n",
        "ffffffffffffffffff\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "0\r\nTrailer: x\r\n\r\n",
        &"0".repeat(300),
    ] {
        let answer = service.say(format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{body}: {answer}");
    }
}

#[test]
fn heads_are_bounded() {
    let service = Service::start();
    for head in [
        format!("GET /{} HTTP/1.1\r\n", "a".repeat(20 << 10)),
        format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(65)),
        format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(64 << 10)),
    ] {
        let answer = service.say(head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    for head in ["\0\0\0\0", "SSH-2.0-x\r\n", "GET /\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"] {
        let answer = service.say(head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?}: {answer}");
    }
}

#[test]
fn a_head_that_trickles_is_given_up_and_holds_up_nobody() {
    let service = Service::start();
    let mut slow = service.connect();
    let started = Instant::now();
    let trickle = thread::spawn({
        let mut slow = slow.try_clone().unwrap();
        move || {
            // A byte now and then does not buy time.
            while slow.write_all(b"G").is_ok() && started.elapsed() < Duration::from_secs(60) {
                thread::sleep(Duration::from_millis(200));
            }
        }
    });
    assert!(service.client().health().is_ok());
    let mut answer = Vec::new();
    let _ = slow.read_to_end(&mut answer);
    let elapsed = started.elapsed();
    assert!(elapsed > Duration::from_secs(8) && elapsed < Duration::from_secs(60), "{elapsed:?}");
    drop(slow);
    trickle.join().unwrap();
}

#[test]
fn idle_connections_take_places_and_give_them_back() {
    let service = Service::start();
    let idle: Vec<_> = (0..64).map(|_| service.connect()).collect();
    eventually("all places are taken", || service.client().health().is_err());
    assert_eq!(refused(service.client().health()).kind, FailureKind::Busy);
    drop(idle);
    eventually("there are places again", || service.client().health().is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_end_the_service(bytes in prop::collection::vec(any::<u8>(), 0..600), http: bool) {
        let service = Service::start();
        let mut stream = service.connect();
        if http {
            let _ = stream.write_all(b"PUT /files?path=/no/such HTTP/1.1\r\nTransfer-Encoding: chunked\r\n");
        }
        let _ = stream.write_all(&bytes);
        drop(stream);
        prop_assert!(service.client().health().is_ok());
    }
}
