//! One exchange over HTTP: a request goes out, an answer comes back. Redirects, authorisation and retries are for others.
//!
//! Connections are kept and used again: there is one agent (with its pool) for each way in which hosts are connected to
//! (trust, proxy, timeout), and nearly always that is one. Every wait for the network is bounded by the host's timeout.
//!
//! Whoever waits can be told to stop ([`Progress::is_cancelled`]). An exchange runs on a thread of its own, which is left
//! behind then: a name that is looked up and a connection that is made cannot be interrupted. Reads of bodies are ended by
//! a watch that shuts all connections down.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use std::{fmt, io, thread};

use ureq::http::header::CONTENT_LENGTH;
use ureq::http::{HeaderName, HeaderValue, Method, Request, Response, request};
use ureq::{Agent, Proxy, SendBody};

use crate::endpoint::Site;
use crate::error::Error;
use crate::limits::{CANCEL_POLL, COMMIT, HEADER_BYTES, INPUT_BUFFER, INSECURE_CONNECT};
use crate::lock::lock;
use crate::progress::Progress;
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
    progress: Arc<dyn Progress>,
    agents: Arc<Mutex<Agents>>,
    /// The watch ends when this goes away.
    watch: OnceLock<Sender<()>>,
}

/// What connections are made by.
#[derive(Default)]
struct Agents {
    by_way: HashMap<Way, Agent>,
    /// Whether all have been shut down, and no more are to be made.
    is_over: bool,
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
    /// Whether bodies of any length are sent.
    is_for_uploads: bool,
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
    /// What is to be sent cannot be read.
    #[error("it cannot be read: {0}")]
    Source(io::Error),
    /// Nobody wants it any more.
    #[error("cancelled")]
    Cancelled,
    /// The connection could not be made, or broke.
    #[error(transparent)]
    Io(io::Error),
}

impl Fault {
    /// Whether it may be gone in a moment.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Silent(_) | Self::Slow { .. } | Self::Proxy(_) | Self::Io(_) => true,
            Self::NoHost | Self::Tls(_) | Self::Malformed(_) | Self::Source(_) | Self::Cancelled => false,
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
            Self::Cancelled => Error::Cancelled,
            Self::Source(source) => Error::Io { doing: "read", what: format!("what is to be sent for {what}"), source },
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
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) payload: Payload,
}

/// The body of a request.
pub(crate) enum Payload {
    None,
    Bytes(Vec<u8>),
    /// As many bytes as are announced; the reader has neither more nor less.
    Stream(Box<dyn Read + Send>, u64),
}

impl Transport {
    pub(crate) fn new(proxies: Proxies, progress: Arc<dyn Progress>) -> Self {
        Self { trust: Trust::new(), proxies, progress, agents: Arc::default(), watch: OnceLock::new() }
    }

    /// Makes an exchange with a host for which `site` holds.
    ///
    /// # Errors
    /// The outer one: settings that cannot be used, or nobody waits any more. The inner one: there is no answer.
    pub(crate) fn exchange(&self, site: &Site, call: Call<'_>) -> Result<Result<Response<ureq::Body>, Fault>, Error> {
        // The grammar of references knows ports beyond 65535, which would be taken for none.
        Url::parse(&call.url.to_string()).map_err(|error| Error::Settings {
            what: format!("host {}", call.url.authority()),
            reason: error.to_string(),
        })?;
        if self.progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let agent = self.agent(site, call.url, matches!(call.payload, Payload::Stream(..)))?;
        let mut request = Request::builder().method(call.method).uri(call.url.to_string());
        if let Some(headers) = request.headers_mut() {
            headers.extend(call.headers);
            if let Payload::Stream(_, length) = &call.payload {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(*length));
            }
        }
        let (tell, hear) = mpsc::channel();
        let exchange = move || {
            // Nobody hears it who does not wait any more.
            let _ = tell.send(run(&agent, request, call.payload));
        };
        if let Err(error) = thread::Builder::new().name("exchange".to_owned()).spawn(exchange) {
            return Ok(Err(Fault::Io(error)));
        }
        loop {
            match hear.recv_timeout(CANCEL_POLL) {
                Ok(answer) => return Ok(answer.map_err(|error| Fault::of(error, site.timeout))),
                Err(RecvTimeoutError::Timeout) if self.progress.is_cancelled() => return Err(Error::Cancelled),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Err(Fault::Io(io::Error::other("the HTTP library has failed"))));
                }
            }
        }
    }

    fn agent(&self, site: &Site, url: &Url, is_for_uploads: bool) -> Result<Agent, Error> {
        let way = Way {
            insecure: site.insecure,
            // Plain connections are all alike.
            ca: if site.insecure || url.scheme() == Scheme::Http { Vec::new() } else { site.ca.clone() },
            timeout: site.timeout,
            proxy: self.proxies.of(url).cloned(),
            is_for_uploads,
        };
        let mut agents = lock(&self.agents);
        if agents.is_over {
            return Err(Error::Cancelled);
        }
        if let Some(agent) = agents.by_way.get(&way) {
            return Ok(agent.clone());
        }
        self.watch.get_or_init(|| self.start_watch());
        let timeout = Some(way.timeout);
        // What is sent may take as long as it does; it goes on moving, or a write fails.
        let (send_body, answer) =
            if way.is_for_uploads { (None, Some(way.timeout.max(COMMIT))) } else { (timeout, timeout) };
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
            .timeout_send_body(send_body)
            .timeout_recv_response(answer)
            .timeout_per_read(answer)
            .timeout_per_write(timeout)
            .max_response_header_size(HEADER_BYTES)
            .input_buffer_size(INPUT_BUFFER)
            .max_idle_connections(IDLE)
            .max_idle_connections_per_host(IDLE_PER_HOST)
            .build();
        let agent = Agent::new_with_config(config);
        agents.by_way.insert(way, agent.clone());
        Ok(agent)
    }

    /// Begins to look whether the work is still wanted; when it is not, all connections end.
    fn start_watch(&self) -> Sender<()> {
        let (alive, watched) = mpsc::channel();
        let (progress, agents) = (Arc::clone(&self.progress), Arc::clone(&self.agents));
        let watch = move || {
            while watched.recv_timeout(CANCEL_POLL) == Err(RecvTimeoutError::Timeout) {
                if progress.is_cancelled() {
                    let mut agents = lock(&agents);
                    agents.is_over = true;
                    agents.by_way.drain().for_each(|(_, agent)| agent.shutdown());
                    return;
                }
            }
        };
        // Without it a read ends no later than the host's timeout.
        let _ = thread::Builder::new().name("watch".to_owned()).spawn(watch);
        alive
    }
}

fn run(agent: &Agent, request: request::Builder, payload: Payload) -> Result<Response<ureq::Body>, ureq::Error> {
    match payload {
        Payload::None => agent.run(request.body(())?),
        Payload::Bytes(bytes) => agent.run(request.body(bytes)?),
        Payload::Stream(reader, _) => agent.run(request.body(SendBody::from_owned_reader(reader))?),
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
