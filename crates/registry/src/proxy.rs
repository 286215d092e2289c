//! Proxies, from the environment: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, each in upper or lower case.
//!
//! Which one is asked depends on the scheme of what is fetched, not on that of the proxy. `NO_PROXY` is a list of what is
//! reached without one: `example.com` (the host and what is below it), `.example.com` or `*.example.com` (what is below
//! it), `example.com:5000`, addresses, networks (`10.0.0.0/8`), `*` for everything. This machine is never reached through
//! a proxy. A proxy opens a tunnel (`CONNECT`), for plain HTTP too.

use std::fmt;
use std::net::IpAddr;

use ureq::Proxy;

use crate::error::Error;
use crate::url::{Scheme, Url, host_of, is_loopback, port_of};

/// The proxies of this process.
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    except: Vec<Exception>,
}

impl Proxies {
    /// No proxy for anything.
    pub fn none() -> Self {
        Self::default()
    }

    /// The proxies that variables name; `variable` looks one up.
    ///
    /// # Errors
    /// The value of a variable is no proxy's address. The error does not show it, as it may hold a password.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let value = |name: &str| {
            [name.to_owned(), name.to_ascii_lowercase()].into_iter().find_map(|name| {
                let value = variable(&name)?.trim().to_owned();
                (!value.is_empty()).then_some((name, value))
            })
        };
        let proxy = |name: &str| match value(name).or_else(|| value("ALL_PROXY")) {
            None => Ok(None),
            Some((name, address)) => Proxy::new(&address).map(Some).map_err(|_| Error::Settings {
                what: format!("variable {name}"),
                reason: "its value is not the address of a proxy (http://host:port, https://… or socks5://…)"
                    .to_owned(),
            }),
        };
        let except = value("NO_PROXY").map(|(_, list)| list.split(',').filter_map(Exception::parse).collect());
        Ok(Self { http: proxy("HTTP_PROXY")?, https: proxy("HTTPS_PROXY")?, except: except.unwrap_or_default() })
    }

    /// The proxy through which an address is reached.
    pub(crate) fn of(&self, url: &Url) -> Option<&Proxy> {
        let host = url.host();
        if is_loopback(&host) || self.except.iter().any(|exception| exception.matches(&host, url.port())) {
            return None;
        }
        match url.scheme() {
            Scheme::Http => self.http.as_ref(),
            Scheme::Https => self.https.as_ref(),
        }
    }
}

/// Without user names and passwords.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |proxy: &Option<Proxy>| proxy.as_ref().map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
        f.debug_struct("Proxies")
            .field("http", &place(&self.http))
            .field("https", &place(&self.https))
            .field("except", &self.except)
            .finish()
    }
}

/// What is reached without a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    All,
    Network { address: IpAddr, bits: u8 },
    Host { name: String, itself: bool, port: Option<u16> },
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        if text == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = text.split_once('/')
            && let (Ok(address), Ok(bits)) = (address.parse(), bits.parse())
        {
            return Some(Self::Network { address, bits });
        }
        // An IPv6 address without brackets has colons, but no port.
        let (name, port) =
            if text.parse::<IpAddr>().is_ok() { (text.to_owned(), None) } else { (host_of(text), port_of(text)) };
        let below = name.strip_prefix('*').unwrap_or(&name).strip_prefix('.');
        let (name, itself) = below.map_or((name.as_str(), true), |name| (name, false));
        (!name.is_empty()).then(|| Self::Host { name: name.to_ascii_lowercase(), itself, port })
    }

    fn matches(&self, host: &str, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::Network { address, bits } => host.parse().is_ok_and(|host| contains(*address, *bits, host)),
            Self::Host { name, itself, port: wanted } => {
                let below = host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
                wanted.is_none_or(|wanted| wanted == port) && (below || (*itself && host == name))
            }
        }
    }
}

fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (u128::from(network.to_bits()), u128::from(address.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128_u32),
        _ => return false,
    };
    let Some(ignored) = width.checked_sub(u32::from(bits)) else { return false };
    (network ^ address).checked_shr(ignored).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, Error> {
        Proxies::from_environment(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn host_for(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.of(&Url::parse(url).expect("an address")).map(|proxy| format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn the_scheme_of_the_target_decides() {
        let proxies = proxies(&[("HTTP_PROXY", "http://plain:1"), ("https_proxy", "secure:2")]).expect("proxies");
        assert_eq!(host_for(&proxies, "http://a/").as_deref(), Some("plain:1"));
        assert_eq!(host_for(&proxies, "https://a/").as_deref(), Some("secure:2"));
    }

    #[test]
    fn one_for_all_and_empty_values() {
        let proxies = proxies(&[("ALL_PROXY", "socks5h://all:3"), ("HTTP_PROXY", " "), ("HTTPS_PROXY", "http://s:4")])
            .expect("proxies");
        assert_eq!(host_for(&proxies, "http://a/").as_deref(), Some("all:3"));
        assert_eq!(host_for(&proxies, "https://a/").as_deref(), Some("s:4"));
        assert_eq!(host_for(&Proxies::none(), "https://a/"), None);
    }

    #[test]
    fn exceptions_are_those_that_others_know() {
        let list =
            "example.com, .below.org,*.star.net,with.port:5000,10.0.0.0/8,192.0.2.7,fd00::/8,2001:db8::1,,[::2]:7";
        let proxies = proxies(&[("ALL_PROXY", "http://p:1"), ("no_proxy", list)]).expect("proxies");
        for (url, proxied) in [
            ("https://example.com/", false),
            ("https://EXAMPLE.com/", false),
            ("https://a.example.com/", false),
            ("https://notexample.com/", true),
            ("https://example.com.evil/", true),
            ("https://below.org/", true),
            ("https://a.below.org/", false),
            ("https://star.net/", true),
            ("https://a.b.star.net/", false),
            ("https://with.port/", true),
            ("https://with.port:5000/", false),
            ("https://10.200.3.4/", false),
            ("https://11.0.0.1/", true),
            ("https://192.0.2.7:99/", false),
            ("https://192.0.2.70/", true),
            ("https://[fd12::1]/", false),
            ("https://[fe80::1]/", true),
            ("https://[2001:db8::1]/", false),
            ("https://[::2]:7/", false),
            ("https://[::2]:8/", true),
            ("http://localhost:5000/", false),
            ("http://127.0.0.2/", false),
            ("http://[::1]/", false),
        ] {
            assert_eq!(host_for(&proxies, url).is_some(), proxied, "{url}");
        }
        assert_eq!(host_for(&self::proxies(&[("ALL_PROXY", "p:1"), ("NO_PROXY", "*")]).unwrap(), "https://a/"), None);
    }

    #[test]
    fn networks_of_all_widths() {
        let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(contains(parse("1.2.3.4"), 0, parse("250.1.1.1")));
        assert!(contains(parse("1.2.3.4"), 32, parse("1.2.3.4")));
        assert!(!contains(parse("1.2.3.4"), 32, parse("1.2.3.5")));
        assert!(!contains(parse("1.2.3.4"), 33, parse("1.2.3.4")));
        assert!(contains(parse("::"), 0, parse("ffff::")));
        assert!(!contains(parse("::"), 0, parse("1.2.3.4")));
    }

    #[test]
    fn an_unusable_proxy_is_an_error_without_its_password() {
        let error = proxies(&[("https_proxy", "gopher://anna:hunter2@p:1")]).expect_err("no proxy");
        assert!(error.to_string().contains("https_proxy") && !error.to_string().contains("hunter2"), "{error}");
        let proxies = proxies(&[("https_proxy", "http://anna:hunter2@p:1")]).expect("a proxy");
        assert!(!format!("{proxies:?}").contains("hunter2"), "{proxies:?}");
    }
}
