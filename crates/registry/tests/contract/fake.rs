//! A registry that takes what is sent to it, as far as a test lets it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use banger_oci::Digest;

use crate::server::{Content, Reply, Request, Server, content, reply};

/// What a test says about a request before the registry does. `None` leaves it to the registry.
pub(crate) type Whim = dyn Fn(&Request, &State) -> Option<Reply> + Send + Sync;

/// What is in it.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By digest.
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// By tag or digest: media type and content.
    pub(crate) manifests: BTreeMap<String, (String, Vec<u8>)>,
    pub(crate) uploads: Vec<Option<Vec<u8>>>,
}

pub(crate) struct Fake {
    pub(crate) server: Server,
    pub(crate) state: Arc<Mutex<State>>,
}

/// The place of uploads of `team/app`.
pub(crate) const UPLOADS: &str = "/v2/team/app/blobs/uploads/";

impl Fake {
    /// One without whims.
    pub(crate) fn new() -> Self {
        Self::with(|_, _| None)
    }

    pub(crate) fn with(whim: impl Fn(&Request, &State) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let kept = Arc::clone(&state);
        Self { server: Server::start(move |request| answer(request, &mut kept.lock().unwrap(), &whim)), state }
    }

    pub(crate) fn blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.state.lock().unwrap().blobs.get(&digest.to_string()).cloned()
    }

    /// `METHOD sort` of each request, for short.
    pub(crate) fn story(&self) -> Vec<String> {
        let short = |line: &String| {
            let (method, path) = line.split_once(' ').unwrap();
            let sort = if path.contains("/uploads/") { "upload" } else { path.split('/').nth(4).unwrap_or("") };
            format!("{method} {sort}")
        };
        self.server.lines().iter().map(short).collect()
    }
}

fn answer(request: &Request, state: &mut State, whim: &Whim) -> Reply {
    if let Some(reply) = whim(request, state) {
        return reply;
    }
    // The body is wanted.
    if request.header("expect") == "100-continue" {
        return content(Content::Bytes(Vec::new())).status(100);
    }
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let last = path.rsplit('/').next().unwrap();
    match request.method.as_str() {
        "HEAD" => match state.blobs.get(last) {
            Some(blob) => reply(200, "").with("Content-Length", blob.len().to_string()),
            None => reply(404, ""),
        },
        "POST" => {
            state.uploads.push(Some(Vec::new()));
            let number = state.uploads.len() - 1;
            reply(202, "").with("Location", format!("{path}{number}?_state=s{number}")).with("Range", "0-0")
        }
        "GET" => match upload(state, last) {
            Some(Some(bytes)) => reply(204, "").with("Range", range(bytes)),
            _ => unknown(),
        },
        "PATCH" => {
            let Some(Some(bytes)) = upload(state, last) else { return unknown() };
            if !fits(request, bytes.len()) {
                return reply(416, "").with("Range", range(bytes));
            }
            bytes.extend(&request.bytes);
            let range = range(bytes);
            reply(202, "").with("Location", format!("{path}?_state=t{}", request.bytes.len())).with("Range", range)
        }
        "PUT" if path.contains("/manifests/") => {
            let media_type = request.header("content-type").to_owned();
            let digest = Digest::sha256(&request.bytes).to_string();
            state.manifests.insert(last.to_owned(), (media_type, request.bytes.clone()));
            reply(201, "").with("Docker-Content-Digest", digest)
        }
        "PUT" => {
            let Some(slot) = upload(state, last) else { return unknown() };
            let Some(bytes) = slot else { return unknown() };
            bytes.extend(&request.bytes);
            if request.headers.iter().any(|(name, _)| name == "x-cut") {
                return reply(400, "");
            }
            let digest = query.split('&').find_map(|pair| pair.strip_prefix("digest=")).unwrap_or("").to_owned();
            let bytes = slot.take().unwrap();
            if Digest::sha256(&bytes).to_string() != digest {
                return reply(400, r#"{"errors":[{"code":"DIGEST_INVALID","message":"it is another one"}]}"#);
            }
            state.blobs.insert(digest.clone(), bytes);
            reply(201, "").with("Docker-Content-Digest", digest)
        }
        other => panic!("{other}"),
    }
}

fn upload<'a>(state: &'a mut State, name: &str) -> Option<&'a mut Option<Vec<u8>>> {
    state.uploads.get_mut(name.parse::<usize>().ok()?)
}

fn unknown() -> Reply {
    reply(404, r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"upload unknown"}]}"#)
}

fn range(bytes: &[u8]) -> String {
    format!("0-{}", bytes.len().saturating_sub(1))
}

/// Whether what is sent continues what is there.
fn fits(request: &Request, length: usize) -> bool {
    let range = request.header("content-range");
    range.split_once('-').is_some_and(|(first, last)| {
        first == length.to_string() && last == (length + request.bytes.len() - 1).to_string()
    })
}
