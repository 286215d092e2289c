//! One exchange over HTTP: a request goes out, an answer comes back. Redirects, authorisation and retries are for others.
//!
//! Connections are kept and used again: there is one agent (with its pool) for each way in which hosts are connected to
//! (trust, proxy, timeout), and nearly always that is one. Every wait for the network is bounded by the host's timeout.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use std::{fmt, io};

use ureq::http::{HeaderName, HeaderValue, Method, Request, Response};
use ureq::{Agent, Proxy};

use crate::endpoint::Site;
use crate::error::Error;
use crate::limits::{HEADER_BYTES, INPUT_BUFFER, INSECURE_CONNECT};
use crate::lock::lock;
use crate::proxy::Proxies;
use crate::tls::Trust;
use crate::url::{Scheme, Url};

const USER_AGENT: &str = concat!("banger/", env!("CARGO_PKG_VERSION"));

/// Idle connections kept to one host. More than are used at once by default, so that none is made anew.
const IDLE_PER_HOST: usize = 16;

/// Idle connections kept altogether.
const IDLE: usize = 64;

/// Makes exchanges.
pub(crate) struct Transport {
    trust: Trust,
    proxies: Proxies,
    agents: Mutex<HashMap<Way, Agent>>,
}

/// Without what ureq shows of its agents: who knows what that is.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}

/// A way of connecting.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Way {
    insecure: bool,
    ca: Vec<PathBuf>,
    timeout: Duration,
    proxy: Option<Proxy>,
}

/// Why there is no answer, or no more of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The host was silent.
    #[error("nothing came from it for {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// The host sends too slowly to ever end.
    #[error("it sends too slowly: {bytes} bytes in {} s", .period.as_secs_f32())]
    Slow {
        /// Bytes that came.
        bytes: u64,
        /// In which time.
        period: Duration,
    },
    /// There is no host of that name.
    #[error("there is no host of that name")]
    NoHost,
    /// The host's certificate is not trusted, or TLS failed in another way.
    #[error("{}", tls_words(.0))]
    Tls(rustls::Error),
    /// The proxy did not connect.
    #[error("the proxy does not connect to it: {0}")]
    Proxy(String),
    /// The answer is not HTTP.
    #[error("its answer is not HTTP: {0}")]
    Malformed(String),
    /// The connection could not be made, or broke.
    #[error(transparent)]
    Io(io::Error),
}

impl Fault {
    /// Whether it may be gone in a moment.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Silent(_) | Self::Slow { .. } | Self::Proxy(_) | Self::Io(_) => true,
            Self::NoHost | Self::Tls(_) | Self::Malformed(_) => false,
        }
    }

    /// Whether the other side speaks something else than TLS.
    pub(crate) fn is_no_tls(&self) -> bool {
        matches!(self, Self::Tls(rustls::Error::InvalidMessage(_)))
    }

    /// The error that it is when a host was asked for something.
    pub(crate) fn into_error(self, host: &str, what: &str) -> Error {
        let (host, what) = (host.to_owned(), what.to_owned());
        match self {
            Self::Malformed(reason) => Error::Protocol { host, what, reason: format!("it is not HTTP: {reason}") },
            fault => Error::Connection { host, what, source: Box::new(fault) },
        }
    }

    /// Whether nobody listens there.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// The reason for an exchange that failed.
    pub(crate) fn of(error: ureq::Error, timeout: Duration) -> Self {
        match error {
            ureq::Error::Io(error) => Self::of_io(error, timeout),
            ureq::Error::Timeout(_) => Self::Silent(timeout),
            ureq::Error::HostNotFound => Self::NoHost,
            ureq::Error::Rustls(error) => Self::Tls(error),
            ureq::Error::ConnectProxyFailed(reason) => Self::Proxy(reason),
            ureq::Error::Protocol(error) => Self::Malformed(error.to_string()),
            ureq::Error::LargeResponseHeader(..) => {
                Self::Malformed(format!("its header has more than {HEADER_BYTES} bytes"))
            }
            other => Self::Io(io::Error::other(other)),
        }
    }

    /// The reason for a read that failed.
    pub(crate) fn of_io(error: io::Error, timeout: Duration) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<Fault>()) {
            return match error.into_inner().map(|inner| inner.downcast::<Fault>()) {
                Some(Ok(fault)) => *fault,
                _ => Self::Silent(timeout),
            };
        }
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::Tls(tls.clone());
        }
        if error.get_ref().is_some_and(|inner| inner.is::<ureq::Error>()) {
            return match error.into_inner().map(|inner| inner.downcast::<ureq::Error>()) {
                Some(Ok(inner)) => Self::of(*inner, timeout),
                _ => Self::Silent(timeout),
            };
        }
        if error.kind() == io::ErrorKind::TimedOut {
            return Self::Silent(timeout);
        }
        // The standard library gives the resolver's errors no kind. Only those that say "temporary" are.
        let text = error.to_string();
        if text.starts_with("failed to lookup address") && !text.contains("emporary") {
            return Self::NoHost;
        }
        Self::Io(error)
    }
}

/// What is wrong with a connection's TLS, as people say it.
fn tls_words(error: &rustls::Error) -> String {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            Certificate::UnknownIssuer => "its certificate is from an authority that is not trusted here".to_owned(),
            Certificate::Expired | Certificate::ExpiredContext { .. } => "its certificate has expired".to_owned(),
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet; is this machine's clock right?".to_owned()
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another name".to_owned()
            }
            other => format!("its certificate cannot be used: {other}"),
        },
        rustls::Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        other => format!("TLS failed: {other}"),
    }
}

/// A request.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The body of a form.
    pub(crate) form: Option<String>,
}

impl Transport {
    pub(crate) fn new(proxies: Proxies) -> Self {
        Self { trust: Trust::new(), proxies, agents: Mutex::default() }
    }

    /// Makes an exchange with a host for which `site` holds.
    ///
    /// # Errors
    /// The outer one: settings that cannot be used. The inner one: there is no answer.
    pub(crate) fn exchange(&self, site: &Site, call: Call<'_>) -> Result<Result<Response<ureq::Body>, Fault>, Error> {
        // The grammar of references knows ports beyond 65535, which would be taken for none.
        Url::parse(&call.url.to_string()).map_err(|error| Error::Settings {
            what: format!("host {}", call.url.authority()),
            reason: error.to_string(),
        })?;
        let agent = self.agent(site, call.url)?;
        let mut request = Request::builder().method(call.method).uri(call.url.to_string());
        if let Some(headers) = request.headers_mut() {
            headers.extend(call.headers);
        }
        let answer = match call.form {
            None => request.body(()).map_err(ureq::Error::from).and_then(|request| agent.run(request)),
            Some(form) => request.body(form).map_err(ureq::Error::from).and_then(|request| agent.run(request)),
        };
        Ok(answer.map_err(|error| Fault::of(error, site.timeout)))
    }

    fn agent(&self, site: &Site, url: &Url) -> Result<Agent, Error> {
        let way = Way {
            insecure: site.insecure,
            // Plain connections are all alike.
            ca: if site.insecure || url.scheme() == Scheme::Http { Vec::new() } else { site.ca.clone() },
            timeout: site.timeout,
            proxy: self.proxies.of(url).cloned(),
        };
        let mut agents = lock(&self.agents);
        if let Some(agent) = agents.get(&way) {
            return Ok(agent.clone());
        }
        let timeout = Some(way.timeout);
        let connect = if way.insecure { way.timeout.min(INSECURE_CONNECT) } else { way.timeout };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(USER_AGENT)
            .proxy(way.proxy.clone())
            .tls_config(self.trust.config(way.insecure, &way.ca)?)
            .timeout_resolve(timeout)
            .timeout_connect(Some(connect))
            .timeout_send_request(timeout)
            .timeout_send_body(timeout)
            .timeout_recv_response(timeout)
            .timeout_per_read(timeout)
            .timeout_per_write(timeout)
            .max_response_header_size(HEADER_BYTES)
            .input_buffer_size(INPUT_BUFFER)
            .max_idle_connections(IDLE)
            .max_idle_connections_per_host(IDLE_PER_HOST)
            .build();
        let agent = Agent::new_with_config(config);
        agents.insert(way, agent.clone());
        Ok(agent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[test]
    fn faults_are_told_apart() {
        let lookup = |reason: &str| io::Error::other(format!("failed to lookup address information: {reason}"));
        let certificate = |error| ureq::Error::Rustls(rustls::Error::InvalidCertificate(error));
        let cases: [(ureq::Error, &str, bool); 9] = [
            (lookup("Name or service not known").into(), "there is no host of that name", false),
            (
                lookup("Temporary failure in name resolution").into(),
                "failed to lookup address information: Temporary failure in name resolution",
                true,
            ),
            (io::Error::from(io::ErrorKind::ConnectionReset).into(), "connection reset", true),
            (io::Error::from(io::ErrorKind::TimedOut).into(), "nothing came from it for 30 s", true),
            (ureq::Error::Timeout(ureq::Timeout::Connect), "nothing came from it for 30 s", true),
            (
                certificate(rustls::CertificateError::UnknownIssuer),
                "its certificate is from an authority that is not trusted here",
                false,
            ),
            (certificate(rustls::CertificateError::Expired), "its certificate has expired", false),
            (
                io::Error::new(io::ErrorKind::InvalidData, rustls::Error::General("x".to_owned())).into(),
                "TLS failed: unexpected error: x",
                false,
            ),
            (ureq::Error::ConnectProxyFailed("no".to_owned()), "the proxy does not connect to it: no", true),
        ];
        for (error, words, is_temporary) in cases {
            let fault = Fault::of(error, TIMEOUT);
            assert_eq!((fault.to_string().as_str(), fault.is_temporary()), (words, is_temporary));
        }
    }

    #[test]
    fn reasons_inside_of_reads_are_found() {
        let inner = io::Error::other(ureq::Error::Timeout(ureq::Timeout::PerRead));
        assert!(matches!(Fault::of_io(inner, TIMEOUT), Fault::Silent(TIMEOUT)));
        let inner = io::Error::other(Fault::Slow { bytes: 1, period: TIMEOUT });
        assert!(matches!(Fault::of_io(inner, TIMEOUT), Fault::Slow { bytes: 1, .. }));
    }
}
