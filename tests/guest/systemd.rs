//! Debian with systemd and an SSH server: it comes up whole, and can be reached in every way that there is.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::time::Duration;

use crate::args;
use crate::support::machine::{free_port, value};
use crate::support::program::source;
use crate::support::{Corpus, Machines};

/// What the guest says of itself; then it waits for a line.
const PROBE: &str = include_str!("systemd.sh");

const GIB: u64 = 1 << 30;

#[test]
fn debian_with_systemd_comes_up_whole() {
    let Some(machines) = Machines::with_vsock() else { return };
    let Some(corpus) = Corpus::get("debian-boot") else { return };
    let ssh = free_port();
    let port = format!("{ssh}:22");
    // The image would be 1 GiB large.
    let options =
        args!["--port", port, "--disk-size", "+4G", "--hostname", "whole", "--env", "COLOUR=green", "--memory", "768M"];
    let image = args![source("oci", &corpus.layout), "--", "sh", "-c", PROBE];
    let mut machine = machines.start(options.into_iter().chain(image));
    machine.wait_for("probe: done");

    let agent = machine.agent();
    let health = agent.json("/healthz");
    assert_eq!(health["status"], "running", "{health:#}");
    assert_eq!(health["boot"]["mode"], "systemd", "{health:#}");
    assert_eq!(health["hostname"], "whole", "{health:#}");
    assert_eq!(health["problems"].as_array().map(Vec::len), Some(0), "{health:#}");
    assert!(health["network"]["address"].as_str().unwrap().starts_with("10.0.2.15/"), "{health:#}");
    let grown = 4 * GIB..5 * GIB + GIB;
    assert!(grown.contains(&health["root_bytes"].as_u64().unwrap()), "{health:#}");
    let listening = agent.json("/ports");
    let sshd = listening["listening"].as_array().unwrap().iter().find(|socket| socket["port"] == 22);
    assert_eq!(sshd.unwrap_or_else(|| panic!("no sshd: {listening:#}"))["program"], "sshd");

    // The forwarded port takes connections before anybody listens in the guest: only the banner proves anything.
    let stream = TcpStream::connect(("127.0.0.1", ssh)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut banner = String::new();
    BufReader::new(stream).read_line(&mut banner).unwrap();
    assert!(banner.starts_with("SSH-2.0-OpenSSH"), "{banner:?}");

    machine.say("on\n");
    let ended = machine.end().expect(3);
    let said = |word| value(&ended.stdout, word);
    assert_eq!(said("state"), "running");
    assert_eq!(said("multi-user"), "active");
    assert!(!ended.stdout.lines().any(|line| line.starts_with("failed ")), "{}", ended.stdout);
    assert_eq!(said("process-1"), "systemd");
    assert_eq!(said("su"), "4755 root");
    assert!(said("ping").contains("cap_net_raw=ep"), "{}", ended.stdout);
    assert_eq!(said("pinged"), "0", "{}", ended.stdout);
    assert_eq!(said("hostname"), "whole");
    assert_eq!(said("colour"), "green");
    assert!(said("address").contains("10.0.2.15/24"), "{}", ended.stdout);
    assert!(said("route").contains("via 10.0.2.2"), "{}", ended.stdout);
    assert!(said("resolver").contains("10.0.2.3"), "{}", ended.stdout);
    assert!(grown.contains(&said("root-bytes").parse::<u64>().unwrap()), "{}", ended.stdout);
    assert_eq!(said("line"), "on");
    machines.disk_is_clean();
}
