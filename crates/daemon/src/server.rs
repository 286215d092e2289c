//! The daemon's life: it accepts connections, answers each, and ends when it is told to or has had nothing to do for long.
//!
//! An end is orderly: no more connections, no more jobs; those that there are are cancelled and waited for, so that they leave
//! nothing behind; then everybody gets the answer that he waits for, and the socket goes. A second signal ends it at once.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::{Router, middleware};
use banger_api::Service;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::jobs::Jobs;
use crate::limits::{
    ACCEPT_AGAIN, CONNECTIONS, DESCRIPTORS, DESCRIPTORS_KEPT, HEAD_BYTES, PATIENCE, REFUSAL, REFUSED, STOP_CONNECTIONS,
    STOP_JOBS, THREADS,
};
use crate::log::log;
use crate::notify;
use crate::operations;
use crate::peer::Own;
use crate::refusal::Refusal;
use crate::request::whole;
use crate::socket::Socket;
use crate::table::App;

/// How a daemon is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// It ends when there was no connection and no job for so long.
    pub idle: Option<Duration>,
    /// Jobs that are done at once; others wait.
    pub jobs: NonZeroUsize,
    /// Connections at once.
    pub connections: usize,
    /// How long a connection may be without a whole request.
    pub patience: Duration,
}

impl Default for Options {
    /// It never ends by itself, and does two jobs for each processor: they wait for networks half of the time.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            idle: None,
            jobs: processors.saturating_mul(NonZeroUsize::MIN.saturating_add(1)),
            connections: CONNECTIONS,
            patience: PATIENCE,
        }
    }
}

/// Why a daemon did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The system did not give it what it needs.
    #[error("cannot {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Jobs did not end although they were cancelled.
    #[error("{0} jobs did not end in time")]
    Stuck(usize),
}

impl ServeError {
    fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

/// Answers on a socket until `SIGTERM` or `SIGINT` comes, `system.stop` is asked, or it has been idle for long enough.
///
/// # Errors
/// It cannot begin, or jobs did not end.
pub fn serve(socket: Socket, service: Arc<dyn Service + Send + Sync>, options: &Options) -> Result<(), ServeError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().max_blocking_threads(THREADS).thread_name("request").build();
    let runtime = runtime.map_err(ServeError::io("start"))?;
    let result = runtime.block_on(run(socket, service, options));
    // What still works then has been given up.
    runtime.shutdown_background();
    result
}

async fn run(socket: Socket, service: Arc<dyn Service + Send + Sync>, options: &Options) -> Result<(), ServeError> {
    let signals = || Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?));
    let mut signals: (Signal, Signal) = signals().map_err(ServeError::io("watch for signals"))?;
    let (listener, removal) = socket.split();
    listener.set_nonblocking(true).map_err(ServeError::io("listen"))?;
    let listener = UnixListener::from_std(listener).map_err(ServeError::io("listen"))?;

    let jobs = Jobs::new(options.jobs.get());
    let stop = Arc::new(Notify::new());
    let app = App { service, jobs: Arc::clone(&jobs), stop: Arc::clone(&stop) };
    let mut connections = Connections {
        router: operations::router().with_state(app),
        full: Router::new().fallback(too_many).layer(middleware::from_fn(whole)),
        own: Own::of_process(),
        patience: options.patience,
        limit: options.connections.min(raise_limit()),
        tasks: JoinSet::new(),
        ending: watch::channel(false).0,
    };
    notify::tell(notify::READY);
    log!("listening");

    let mut active = jobs.active();
    let reason = loop {
        let idle = connections.tasks.is_empty() && *active.borrow_and_update() == 0;
        let rest = options.idle.filter(|_| idle);
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => connections.begin(stream),
                Err(error) => {
                    log!("cannot accept a connection: {error}");
                    sleep(ACCEPT_AGAIN).await;
                }
            },
            _ = connections.tasks.join_next(), if !connections.tasks.is_empty() => {}
            _ = active.changed() => {}
            () = sleep(rest.unwrap_or_default()), if rest.is_some() => break "it has nothing to do",
            () = stop.notified() => break "it was asked to",
            _ = signals.0.recv() => break "SIGTERM",
            _ = signals.1.recv() => break "SIGINT",
        }
    };

    log!("ending: {reason}");
    notify::tell(notify::STOPPING);
    // Whoever comes now starts another daemon, which waits for the lock that this one holds.
    drop(listener);
    jobs.stop();
    let end = async {
        let ended = timeout(STOP_JOBS, active.wait_for(|active| *active == 0)).await.is_ok();
        connections.end().await;
        ended
    };
    let ended = tokio::select! {
        ended = end => ended,
        _ = signals.0.recv() => false,
        _ = signals.1.recv() => false,
    };
    drop(removal);
    let left = *active.borrow();
    if ended || left == 0 { Ok(()) } else { Err(ServeError::Stuck(left)) }
}

/// All connections.
struct Connections {
    router: Router,
    /// What answers connections that are too many.
    full: Router,
    own: Own,
    patience: Duration,
    limit: usize,
    tasks: JoinSet<()>,
    /// Whether all are to end.
    ending: watch::Sender<bool>,
}

impl Connections {
    fn begin(&mut self, stream: UnixStream) {
        match self.own.admits(&stream) {
            Ok(Ok(())) => {}
            Ok(Err(uid)) => return log!("refused a connection of user {uid}"),
            Err(error) => return log!("refused a connection: cannot tell whose it is: {error}"),
        }
        let (router, patience) = match self.tasks.len().checked_sub(self.limit) {
            None => (&self.router, self.patience),
            Some(more) => {
                log!("refused a connection: there are {} already", self.limit);
                if more >= REFUSED {
                    return;
                }
                (&self.full, self.patience.min(REFUSAL))
            }
        };
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(HEAD_BYTES);
        let service = TowerToHyperService::new(router.clone());
        let mut ending = self.ending.subscribe();
        self.tasks.spawn(async move {
            let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
            // How a connection ended concerns the other side alone.
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = ending.wait_for(|ending| *ending) => {}
            }
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        });
    }

    /// Each gets the answer that it waits for.
    async fn end(&mut self) {
        self.ending.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(STOP_CONNECTIONS, all).await;
        self.tasks.abort_all();
    }
}

/// Says that there are too many connections, whatever is asked.
async fn too_many() -> Response<Body> {
    let mut response = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "there are too many connections").answer();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Allows this process as many descriptors as it may have, within reason. How many of them connections may take.
fn raise_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    let current = limit.current.unwrap_or(u64::MAX);
    let raised = current < wanted && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).is_ok();
    let descriptors = if raised { wanted } else { current };
    usize::try_from(descriptors.saturating_sub(DESCRIPTORS_KEPT)).unwrap_or(usize::MAX).max(1)
}
