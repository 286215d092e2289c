//! Connections to Debian's registry that break in the middle of an upload.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use banger_disk::Silent as Unobserved;
use banger_distribution::artifact;

use crate::files::{archive, facts, noise};
use crate::registry::{Registry, client, judges, reference};

/// Bytes of a connection after which it is cut.
const CUT: usize = 5 << 20;

/// Passes connections on to a port. The first `times` that carry much are cut.
fn forward(to: u16, times: usize) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let cuts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&cuts);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(here), Ok(there)) = (stream, TcpStream::connect(("127.0.0.1", to))) else { return };
            let (mut back_from, mut back_to) = (there.try_clone().unwrap(), here.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut back_from, &mut back_to);
                let _ = back_to.shutdown(Shutdown::Both);
            });
            let cuts = Arc::clone(&counted);
            std::thread::spawn(move || pass(here, there, times, &cuts));
        }
    });
    (port, cuts)
}

fn pass(mut from: TcpStream, mut to: TcpStream, times: usize, cuts: &AtomicUsize) {
    let mut buffer = vec![0; 64 << 10];
    let mut passed = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        passed += count;
        let is_cut = passed > CUT
            && cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n < times).then_some(n + 1)).is_ok();
        if is_cut || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn a_push_survives_connections_that_break() {
    if !judges("a_push_survives_connections_that_break", &["docker-registry"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let bundle = archive(directory.path(), "bundle", &noise(24 << 20, 1));
    let package = artifact::make(&facts(), &bundle, None, &Unobserved).expect("made");
    for times in [1, 2] {
        let registry = Registry::open();
        let (port, cuts) = forward(registry.port, times);
        let pushed = package.push(&client(None), &reference(port, "team/debian:1")).expect("pushed");
        assert_eq!(cuts.load(Ordering::SeqCst), times);
        let found = client(None).head(&registry.reference("team/debian:1")).expect("it is there");
        assert_eq!(found.digest, pushed.digest);
    }
}
