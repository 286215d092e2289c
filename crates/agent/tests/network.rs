//! The network of a guest, in namespaces of its own: the agent talks to the kernel and to busybox's DHCP server, iproute2 says what came of it.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What makes the namespaces and looks into them.
fn judges() -> bool {
    support::judges(&["ip", "busybox", "unshare", "nsenter"])
}

/// What a guest looks like after its network has been set up: addresses, routes, and files.
struct Guest {
    addresses: Value,
    routes: Value,
    record: Value,
    resolv: String,
    hosts: String,
    filter: String,
    rest: String,
}

/// Parts of the output end with a line of their own.
const LOOK: &str = "ip -j addr; echo ---; ip -j route; echo ---; cat /run/banger/network.json; echo; echo ---; \
    cat /etc/resolv.conf; echo ---; cat /etc/hosts; echo ---; cat /proc/sys/net/ipv4/conf/all/rp_filter \
    /proc/sys/net/ipv4/conf/eth0/rp_filter; echo ---; cat /sys/class/net/eth0/mtu";

fn guest(server: &str, line: &str, more: &str) -> Guest {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/network");
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["-n", "-m", "-u", "--propagation", "private", "sh"])
        .arg(here.join("net.sh"))
        .args([directory.path(), Path::new(server), Path::new("sh"), &here.join("guest.sh")])
        .args([env!("CARGO_BIN_EXE_banger-vsock-agent"), line, &format!("{more} {LOOK} 2>/dev/null")])
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let parts: Vec<&str> = text.split("---\n").collect();
    let [addresses, routes, record, resolv, hosts, filter, rest] = *parts else {
        panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    };
    let json = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    Guest {
        addresses: json(addresses),
        routes: json(routes),
        record: json(record),
        resolv: resolv.to_owned(),
        hosts: hosts.to_owned(),
        filter: filter.to_owned(),
        rest: rest.to_owned(),
    }
}

impl Guest {
    /// IPv4 addresses of an interface that is up, as `ADDRESS/PREFIX`.
    fn addresses(&self, interface: &str) -> Vec<String> {
        let links = self.addresses.as_array().unwrap();
        let link = links.iter().find(|link| link["ifname"] == interface).unwrap();
        assert!(link["flags"].as_array().unwrap().contains(&"UP".into()), "{link}");
        let all = link["addr_info"].as_array().unwrap().iter().filter(|address| address["family"] == "inet");
        all.map(|address| format!("{}/{}", address["local"].as_str().unwrap(), address["prefixlen"])).collect()
    }

    fn gateway(&self) -> Option<(&str, &str)> {
        let route = self.routes.as_array().unwrap().iter().find(|route| route["dst"] == "default")?;
        Some((route["gateway"].as_str().unwrap(), route["dev"].as_str().unwrap()))
    }
}

#[test]
fn an_address_comes_from_a_server_whatever_the_kernel_filters() {
    if !judges() {
        return;
    }
    let guest = guest("dhcp", "quiet", "");
    assert_eq!(guest.addresses("lo"), ["127.0.0.1/8"]);
    assert_eq!(guest.addresses("eth0"), ["10.77.0.20/24"]);
    assert_eq!(guest.gateway(), Some(("10.77.0.1", "eth0")));
    assert_eq!(guest.resolv, "nameserver 10.77.0.53\nnameserver 10.77.0.54\n");
    assert!(guest.hosts.starts_with("127.0.0.1\tlocalhost\n"), "{}", guest.hosts);
    assert_eq!(guest.rest, "1400\n");
    assert_eq!(guest.filter, "2\n2\n", "it filters again");
    assert_eq!(guest.record["network"]["address"], "10.77.0.20/24");
    assert_eq!(guest.record["network"]["source"], "dhcp");
    assert_eq!(guest.record["problems"], Value::Array(Vec::new()));
}

#[test]
fn an_address_of_the_command_line_needs_no_server() {
    if !judges() {
        return;
    }
    let guest = guest("none", "ip=10.77.0.9::10.77.0.1:255.255.255.0:box:eth0:off:10.77.0.7", "");
    assert_eq!(guest.addresses("eth0"), ["10.77.0.9/24"]);
    assert_eq!(guest.gateway(), Some(("10.77.0.1", "eth0")));
    assert_eq!(guest.resolv, "nameserver 10.77.0.7\n");
    assert!(guest.hosts.ends_with("127.0.1.1\tbox\t# this machine\n"), "the host name is the guest's: {}", guest.hosts);
    assert_eq!(guest.record["network"]["source"], "command-line");
}

#[test]
fn a_gateway_outside_of_the_network_is_reached_all_the_same() {
    if !judges() {
        return;
    }
    let guest = guest("none", "ip=10.77.0.9::10.77.0.1:255.255.255.255", "");
    assert_eq!(guest.addresses("eth0"), ["10.77.0.9/32"]);
    assert_eq!(guest.gateway(), Some(("10.77.0.1", "eth0")));
}

#[test]
fn an_interface_that_has_an_address_is_left_alone() {
    if !judges() {
        return;
    }
    let again = "ip addr flush dev eth0; ip addr add 10.77.0.99/24 dev eth0; rm /etc/resolv.conf; \
        /usr/local/libexec/banger-network-bootstrap;";
    let guest = guest("dhcp", "", again);
    assert_eq!(guest.addresses("eth0"), ["10.77.0.99/24"]);
    assert_eq!((guest.record["network"]["source"].as_str(), &*guest.resolv), (Some("image"), ""));
}

#[test]
fn without_a_server_the_boot_goes_on_and_says_so() {
    if !judges() {
        return;
    }
    let guest = guest("none", "", "");
    assert_eq!(guest.addresses("eth0"), Vec::<String>::new());
    assert_eq!(guest.record["problems"][0], "no DHCP server answered on eth0");
}

#[test]
fn the_service_renews_what_was_leased() {
    if !judges() {
        return;
    }
    // As if the lease were half over.
    let half = r#"sed -i 's/"since":{"secs":[0-9]*/"since":{"secs":0/; s/"renew":{"secs":[0-9]*/"renew":{"secs":1/;
        s/"rebind":{"secs":[0-9]*/"rebind":{"secs":3000000000/; s/"ends":{"secs":[0-9]*/"ends":{"secs":4000000000/' /run/banger/network.json;
        /usr/local/bin/banger-vsock-agent & service=$!;
        for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.5; grep -q '"renew":{"secs":300,' /run/banger/network.json && break; done; kill $service; wait;"#;
    let guest = guest("dhcp", "", half);
    assert_eq!(guest.addresses("eth0"), ["10.77.0.20/24"]);
    let lease = &guest.record["lease"];
    assert_eq!(lease["lease"]["renew"]["secs"], 300, "the server was asked again: {lease}");
    assert_ne!(lease["since"]["secs"], 0);
}

#[test]
fn a_lease_that_is_over_is_given_up_and_asked_for_anew() {
    if !judges() {
        return;
    }
    let over = r#"sed -i 's/"since":{"secs":[0-9]*/"since":{"secs":0/; s/"renew":{"secs":[0-9]*/"renew":{"secs":1/;
        s/"rebind":{"secs":[0-9]*/"rebind":{"secs":2/; s/"ends":{"secs":[0-9]*/"ends":{"secs":3/;
        s/10.77.0.20/10.77.0.55/g' /run/banger/network.json; ip addr flush dev eth0; ip addr add 10.77.0.55/24 dev eth0;
        /usr/local/bin/banger-vsock-agent & service=$!;
        for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.5; grep -q '"renew":{"secs":300,' /run/banger/network.json && break; done; kill $service; wait;"#;
    let guest = guest("dhcp", "", over);
    assert_eq!(guest.addresses("eth0"), ["10.77.0.20/24"], "the old address is gone, the new one there");
    assert_eq!(guest.record["problems"], Value::Array(Vec::new()));
}

/// The three ways in which a machine gets name servers: what the DHCP server is, the kernel's command line, and whether there is a config disk.
const SOURCES: [(&str, &str, bool, &str, &str); 3] = [
    ("dhcp", "quiet", false, "dhcp", "10.77.0.53 10.77.0.54"),
    (
        "none",
        "ip=10.77.0.9::10.77.0.1:255.255.255.0::eth0:off:10.77.0.7:10.77.0.8",
        false,
        "command-line",
        "10.77.0.7 10.77.0.8",
    ),
    ("none", "quiet", true, "settings", "10.77.0.6"),
];

/// Sets the network up once more, in an image that has been prepared by `prepare`, without what the first time has left.
fn with(prepare: &str, config_disk: bool, look: &str) -> String {
    let disk = if config_disk {
        "mkdir -p /tmp/config/banger; mount -t tmpfs disks /sys/block; mkdir /sys/block/vdz;
         echo '{\"version\":1,\"network\":{\"address\":\"10.77.0.9/24\",\"dns\":[\"10.77.0.6\"]}}' >/tmp/config/banger/machine.json;
         tar -C /tmp/config --format=ustar -cf /dev/vdz banger/machine.json;"
    } else {
        ""
    };
    format!(
        "ip addr flush dev eth0; rm -rf /etc/resolv.conf /run/systemd; {disk} {{ {prepare}; }} >/dev/null;
         /usr/local/libexec/banger-network-bootstrap; {{ {look}; }} >/etc/hosts;"
    )
}

#[test]
fn resolved_gets_the_name_servers_wherever_they_come_from() {
    if !judges() {
        return;
    }
    let prepare = "mount -t tmpfs resolved /usr/lib/systemd && touch /usr/lib/systemd/systemd-resolved && \
        ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf";
    for (server, line, config_disk, source, servers) in SOURCES {
        let guest = guest(server, line, &with(prepare, config_disk, "cat /run/systemd/resolved.conf.d/*"));
        assert_eq!(guest.record["network"]["source"], source);
        assert_eq!(guest.record["problems"], Value::Array(Vec::new()), "{source}");
        assert!(guest.hosts.ends_with(&format!("[Resolve]\nDNS={servers}\n")), "{source}: {}", guest.hosts);
        let expected: String = servers.split(' ').map(|server| format!("nameserver {server}\n")).collect();
        assert_eq!(guest.resolv, expected, "{source}: until resolved has started");
    }
}

#[test]
fn resolvconf_gets_the_name_servers_wherever_they_come_from() {
    if !judges() {
        return;
    }
    let prepare = "mount -t tmpfs sbin /usr/sbin && \
        printf '#!/bin/sh\necho \"$@\" >/tmp/given\ncat >>/tmp/given\n' >/usr/sbin/resolvconf && chmod 755 /usr/sbin/resolvconf";
    for (server, line, config_disk, source, servers) in SOURCES {
        let guest = guest(server, line, &with(prepare, config_disk, "cat /tmp/given"));
        assert_eq!(guest.record["network"]["source"], source);
        let lines: String = servers.split(' ').map(|server| format!("nameserver {server}\n")).collect();
        assert_eq!(guest.hosts, format!("-a eth0.banger\n{lines}"), "{source}");
        assert_eq!(guest.resolv, lines, "{source}");
    }
}

#[test]
fn a_stale_file_is_replaced_and_a_resolver_of_the_images_own_stays() {
    if !judges() {
        return;
    }
    for (server, line, config_disk, source, servers) in SOURCES {
        let lines: String = servers.split(' ').map(|server| format!("nameserver {server}\n")).collect();
        for (own, expected) in
            [("192.168.65.7", &*format!("search lan\n{lines}")), ("127.0.0.1", "nameserver 127.0.0.1\nsearch lan\n")]
        {
            let prepare = format!("printf 'nameserver {own}\nsearch lan\n' >/etc/resolv.conf");
            let guest = guest(server, line, &with(&prepare, config_disk, "true"));
            assert_eq!(guest.resolv, expected, "{source}");
        }
    }
}
