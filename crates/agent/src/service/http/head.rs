//! The head of a request: from bytes to what matters of it. No I/O.

use banger_protocol::UPGRADE;
use banger_protocol::limits::{HEAD_BYTES, HEADERS};

/// What a request's head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What is to be done.
    pub method: Method,
    /// To what: the target before its `?`, as it was sent.
    pub path: String,
    /// What stands after it.
    pub query: Option<String>,
    /// The body.
    pub length: Length,
    /// Whether another request may follow.
    pub keep_alive: bool,
    /// Whether the body is sent only when it is welcome (`Expect: 100-continue`).
    pub expects_continue: bool,
    /// Whether the connection is to become a stream of frames (`Upgrade: banger-stream`).
    pub upgrade: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So many bytes: none where the head does not say.
    Bytes(u64),
    /// As long as there are chunks.
    Chunked,
}

/// Why bytes are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// More than a head may have.
    #[error("a head of more than {HEAD_BYTES} bytes or {HEADERS} fields")]
    TooLarge,
    /// Not HTTP.
    #[error("this is no HTTP request: {0}")]
    Malformed(#[from] httparse::Error),
    /// No method that anything here understands.
    #[error("only GET, POST and PUT are known")]
    Method,
    /// Not a path.
    #[error("what is asked for must begin with a slash")]
    Target,
    /// Whoever stands between might see another request in the same bytes.
    #[error("the length of the body is ambiguous")]
    Length,
}

/// The head that `bytes` begin with and how many of them it has; `None` while some of it is missing.
///
/// # Errors
/// They are no request, and nothing after it can be understood.
pub fn request_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, HeadError> {
    let bounded = bytes.get(..HEAD_BYTES).unwrap_or(bytes);
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let size = match request.parse(bounded) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) if bytes.len() >= HEAD_BYTES => return Err(HeadError::TooLarge),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Err(error) => return Err(error.into()),
    };
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        Some("PUT") => Method::Put,
        _ => return Err(HeadError::Method),
    };
    let target = request.path.filter(|target| target.starts_with('/')).ok_or(HeadError::Target)?;
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query.to_owned())));
    let fields = Fields(request.headers);
    let head = Head {
        method,
        path: path.to_owned(),
        query,
        length: fields.length()?,
        keep_alive: request.version == Some(1) && !fields.has("connection", "close"),
        expects_continue: fields.has("expect", "100-continue"),
        upgrade: fields.has("connection", "upgrade") && fields.has("upgrade", UPGRADE),
    };
    Ok(Some((head, size)))
}

struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| field.value.trim_ascii())
    }

    /// Whether a field's list has this word.
    fn has(&self, name: &str, word: &str) -> bool {
        let mut words = self.values(name).flat_map(|value| value.split(|&byte| byte == b','));
        words.any(|found| found.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Refuses whatever two readers could take for two lengths (RFC 9112, section 6.3).
    fn length(&self) -> Result<Length, HeadError> {
        let (mut codings, mut lengths) = (self.values("transfer-encoding"), self.values("content-length"));
        match (codings.next(), lengths.next()) {
            (None, None) => Ok(Length::Bytes(0)),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() => {
                Ok(Length::Chunked)
            }
            (None, Some(length)) if lengths.next().is_none() && length.iter().all(u8::is_ascii_digit) => {
                let text = std::str::from_utf8(length).ok();
                text.and_then(|text| text.parse().ok()).map(Length::Bytes).ok_or(HeadError::Length)
            }
            _ => Err(HeadError::Length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get(path: &str) -> Head {
        Head {
            method: Method::Get,
            path: path.into(),
            query: None,
            length: Length::Bytes(0),
            keep_alive: true,
            expects_continue: false,
            upgrade: false,
        }
    }

    #[test]
    fn heads_are_understood() {
        let cases = [
            ("GET /healthz HTTP/1.1\r\n\r\n", get("/healthz")),
            ("GET / HTTP/1.0\r\n\r\n", Head { keep_alive: false, ..get("/") }),
            ("GET /a HTTP/1.1\r\nConnection: keep-alive, Close\r\n\r\n", Head { keep_alive: false, ..get("/a") }),
            (
                "PUT /files?path=/a?b HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
                Head {
                    method: Method::Put,
                    query: Some("path=/a?b".into()),
                    length: Length::Chunked,
                    expects_continue: true,
                    ..get("/files")
                },
            ),
            (
                "POST /exec HTTP/1.1\r\nconnection: upgrade\r\nupgrade: banger-stream\r\ncontent-length: 7\r\n\r\n",
                Head { method: Method::Post, length: Length::Bytes(7), upgrade: true, ..get("/exec") },
            ),
            ("GET /a HTTP/1.1\r\nUpgrade: banger-stream\r\n\r\n", get("/a")),
        ];
        for (text, expected) in cases {
            assert_eq!(request_head(text.as_bytes()), Ok(Some((expected, text.len()))), "{text}");
            for cut in 0..text.len() {
                assert_eq!(request_head(&text.as_bytes()[..cut]), Ok(None), "{cut} bytes of {text}");
            }
        }
    }

    #[test]
    fn what_is_no_request_or_two_at_once_is_refused() {
        let field = |fields: &str| format!("PUT / HTTP/1.1\r\n{fields}\r\n\r\n");
        let cases = [
            (field("Content-Length: 1\r\nContent-Length: 1"), HeadError::Length),
            (field("Content-Length: 1\r\nTransfer-Encoding: chunked"), HeadError::Length),
            (field("Content-Length: +1"), HeadError::Length),
            (field("Content-Length: "), HeadError::Length),
            (field("Content-Length: 99999999999999999999"), HeadError::Length),
            (field("Transfer-Encoding: gzip, chunked"), HeadError::Length),
            (field("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), HeadError::Length),
            (field("A : b"), HeadError::Malformed(httparse::Error::HeaderName)),
            (field(&"A: b\r\n".repeat(HEADERS + 1)), HeadError::TooLarge),
            (field(&format!("A: {}", "b".repeat(HEAD_BYTES))), HeadError::TooLarge),
            ("DELETE / HTTP/1.1\r\n\r\n".into(), HeadError::Method),
            ("GET http://guest/ HTTP/1.1\r\n\r\n".into(), HeadError::Target),
            ("GET * HTTP/1.1\r\n\r\n".into(), HeadError::Target),
            ("GET / HTTP/2.0\r\n\r\n".into(), HeadError::Malformed(httparse::Error::Version)),
        ];
        for (text, expected) in cases {
            assert_eq!(request_head(text.as_bytes()), Err(expected), "{text:.80}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_a_head_a_wait_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            if let Ok(Some((_, size))) = request_head(&bytes) {
                prop_assert!(size <= bytes.len());
            }
        }

        #[test]
        fn any_fields_end_in_a_head_a_wait_or_an_error(
            fields in "((Content-Length|Transfer-Encoding|Connection|Expect|X)[ ]?:[ -~]{0,12}\r?\n){0,6}",
        ) {
            let text = format!("PUT /x HTTP/1.1\r\n{fields}\r\n");
            if let Ok(Some((head, size))) = request_head(text.as_bytes()) {
                prop_assert_eq!(size, text.len());
                prop_assert_eq!(head.method, Method::Put);
            }
        }
    }
}
