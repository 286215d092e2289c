//! How the network is to be set up: `ip=` of the kernel's command line, in the kernel's syntax (Documentation/admin-guide/nfs/nfsroot.rst),
//! before the config disk, before DHCP.

use std::net::Ipv4Addr;

use banger_protocol::health::NetworkSource;
use banger_protocol::settings::StaticNetwork;
use serde::{Deserialize, Serialize};

/// Name servers that resolv.conf takes (resolv.conf(5), `MAXNS`).
pub(crate) const NAME_SERVERS: usize = 3;

/// How the network is to be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How the interface comes to its address.
    pub how: How,
    /// The interface; the first where there is none.
    pub device: Option<String>,
    /// The host name that `ip=` gives.
    pub hostname: Option<String>,
}

/// How the interface comes to its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// This one.
    Static(Address, NetworkSource),
    /// From a DHCP server.
    Dhcp,
    /// From a DHCP server, unless the image has a way of its own.
    Automatic,
    /// Not at all.
    Off,
}

/// An address and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub address: Ipv4Addr,
    /// Bits of it that are the network's.
    pub prefix: u8,
    /// The default gateway.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { how: How::Automatic, device: None, hostname: None }
    }
}

/// What is to be done. The last `ip=` counts.
///
/// # Errors
/// Some of it cannot be understood: what is to be done instead, and what is wrong.
pub(crate) fn decide<'a>(
    ip: impl Iterator<Item = &'a str>,
    settings: Option<&StaticNetwork>,
) -> Result<Plan, (Plan, String)> {
    if let Some(text) = ip.last() {
        return parse(text).map_err(|problem| (Plan::default(), format!("ip={text}: {problem}")));
    }
    let Some(settings) = settings else { return Ok(Plan::default()) };
    let address = from_settings(settings);
    let address = address.map_err(|problem| (Plan::default(), format!("the network on the config disk: {problem}")))?;
    Ok(Plan { how: How::Static(address, NetworkSource::Settings), ..Plan::default() })
}

/// `ip=` without `ip=`.
fn parse(text: &str) -> Result<Plan, String> {
    let plan = |how| Ok(Plan { how, ..Plan::default() });
    match text {
        "off" | "none" => return plan(How::Off),
        "" | "on" | "any" | "dhcp" | "both" => return plan(How::Dhcp),
        _ => {}
    }
    // <client-ip>:<server-ip>:<gw-ip>:<netmask>:<hostname>:<device>:<autoconf>:<dns0-ip>:<dns1-ip>:<ntp0-ip>
    let fields: Vec<&str> = text.split(':').collect();
    let field = |at: usize| fields.get(at).copied().filter(|field| !field.is_empty());
    let address = |at: usize| field(at).map(address_of).transpose();
    let how = match (address(0)?, field(6)) {
        (Some(client), None | Some("off" | "none")) => {
            let prefix = address(3)?.map(prefix_of).transpose()?.unwrap_or_else(|| usual_prefix(client));
            let dns: Vec<_> =
                [address(7)?, address(8)?].into_iter().flatten().filter(|dns| !dns.is_unspecified()).collect();
            let gateway = address(2)?.filter(|gateway| !gateway.is_unspecified());
            How::Static(usable(Address { address: client, prefix, gateway, dns })?, NetworkSource::CommandLine)
        }
        (None, Some("off" | "none")) => How::Off,
        (_, None | Some("on" | "any" | "dhcp" | "both")) => How::Dhcp,
        (_, Some(other)) => return Err(format!("{other} is no way that is known to get an address")),
    };
    Ok(Plan { how, device: field(5).map(str::to_owned), hostname: field(4).map(str::to_owned) })
}

fn from_settings(settings: &StaticNetwork) -> Result<Address, String> {
    let wrong = || format!("{:?} is not ADDRESS/PREFIX", settings.address);
    let (address, prefix) = settings.address.split_once('/').ok_or_else(wrong)?;
    let prefix = prefix.parse().ok().filter(|&prefix| prefix <= 32).ok_or_else(wrong)?;
    let address = address.parse().map_err(|_| wrong())?;
    let gateway = settings.gateway.as_deref().map(address_of).transpose()?;
    let dns = settings.dns.iter().take(NAME_SERVERS).map(|dns| address_of(dns)).collect::<Result<_, _>>()?;
    usable(Address { address, prefix, gateway, dns })
}

fn address_of(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| format!("{text:?} is no IPv4 address"))
}

/// An address that a host can have.
fn usable(address: Address) -> Result<Address, String> {
    let ip = address.address;
    let wrong = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_broadcast();
    if wrong { Err(format!("{ip} is no address of a host")) } else { Ok(address) }
}

/// The length of a network mask.
pub(crate) fn prefix_of(mask: Ipv4Addr) -> Result<u8, String> {
    let ones = mask.to_bits().leading_ones();
    let contiguous = mask.to_bits().checked_shl(ones).unwrap_or(0) == 0;
    u8::try_from(ones).ok().filter(|_| contiguous).ok_or_else(|| format!("{mask} is no network mask"))
}

/// The prefix that an address had before there were masks, which the kernel assumes too.
pub(crate) fn usual_prefix(address: Ipv4Addr) -> u8 {
    match address.octets() {
        [0..=127, ..] => 8,
        [128..=191, ..] => 16,
        _ => 24,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fixed(address: &str, prefix: u8, gateway: Option<&str>, dns: &[&str]) -> How {
        let ip = |text: &str| text.parse().unwrap();
        let dns = dns.iter().map(|text| ip(text)).collect();
        let address = Address { address: ip(address), prefix, gateway: gateway.map(ip), dns };
        How::Static(address, NetworkSource::CommandLine)
    }

    #[test]
    fn the_kernels_syntax() {
        for (text, how, device, hostname) in [
            ("dhcp", How::Dhcp, None, None),
            ("on", How::Dhcp, None, None),
            ("off", How::Off, None, None),
            ("none", How::Off, None, None),
            (":::::eth1:dhcp", How::Dhcp, Some("eth1"), None),
            ("::::box::", How::Dhcp, None, Some("box")),
            ("::::::off", How::Off, None, None),
            ("10.0.2.15", fixed("10.0.2.15", 8, None, &[]), None, None),
            (
                "172.16.0.2::172.16.0.1:255.255.255.252::eth0:off",
                fixed("172.16.0.2", 30, Some("172.16.0.1"), &[]),
                Some("eth0"),
                None,
            ),
            (
                "192.168.7.9:192.168.7.1:192.168.7.1:255.255.255.0:box:eth0:none:9.9.9.9:0.0.0.0:1.2.3.4",
                fixed("192.168.7.9", 24, Some("192.168.7.1"), &["9.9.9.9"]),
                Some("eth0"),
                Some("box"),
            ),
        ] {
            let plan = parse(text).unwrap();
            assert_eq!((plan.how, plan.device.as_deref(), plan.hostname.as_deref()), (how, device, hostname), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_told() {
        for text in [
            "nonsense",
            "10.0.0.300",
            "10.0.0.1:::255.0.255.0",
            "10.0.0.1::x",
            "0.0.0.0",
            "255.255.255.255",
            "::::::rarp-not",
        ] {
            let (instead, problem) = decide([text].into_iter(), None).unwrap_err();
            assert_eq!(instead, Plan::default());
            assert!(problem.starts_with(&format!("ip={text}: ")), "{problem}");
        }
        for address in ["10.0.0.1", "10.0.0.1/33", "10.0.0.1/", "fe80::1/64", "127.0.0.1/8"] {
            let settings = StaticNetwork { address: address.into(), gateway: None, dns: Vec::new() };
            assert!(decide(std::iter::empty(), Some(&settings)).is_err(), "{address}");
        }
    }

    #[test]
    fn the_command_line_goes_before_the_config_disk() {
        let settings = StaticNetwork { address: "10.9.8.7/16".into(), gateway: Some("10.9.0.1".into()), dns: vec![] };
        let Plan { how: How::Static(address, source), .. } = decide(std::iter::empty(), Some(&settings)).unwrap()
        else {
            panic!("it is an address");
        };
        assert_eq!((address.prefix, address.gateway, source), (16, "10.9.0.1".parse().ok(), NetworkSource::Settings));
        assert_eq!(decide(["off", "dhcp"].into_iter(), Some(&settings)).unwrap().how, How::Dhcp, "the last one counts");
    }

    #[test]
    fn masks_are_contiguous() {
        for (mask, prefix) in
            [("0.0.0.0", Ok(0)), ("255.0.0.0", Ok(8)), ("255.255.255.254", Ok(31)), ("255.255.255.255", Ok(32))]
        {
            assert_eq!(prefix_of(mask.parse().unwrap()), prefix);
        }
        assert!(prefix_of("255.0.255.0".parse().unwrap()).is_err());
        assert!(prefix_of("0.0.0.1".parse().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_plan_or_a_problem(text in "[0-9a-z.:]{0,60}") {
            let _ = parse(&text);
        }
    }
}
