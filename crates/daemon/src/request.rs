//! What is asked: a query or a body of JSON, whole, bounded and in time.
//!
//! A body is read to its end before anything is answered, also where nobody needs it: a connection that is closed while the
//! other side still sends takes the answer with it.

use std::error::Error;

use axum::body::{Body, to_bytes};
use axum::extract::Query;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, Request, Response, StatusCode, Uri};
use axum::middleware::Next;
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::limits::{BODY_BYTES, BODY_BYTES_READ, PATIENCE};
use crate::refusal::{JSON, Refusal};

/// What a query says.
pub(crate) fn query<Q: DeserializeOwned>(uri: &Uri) -> Result<Q, Refusal> {
    let parsed = Query::<Q>::try_from_uri(uri);
    let bad = |error| Refusal::new(StatusCode::BAD_REQUEST, format!("the query makes no sense: {}", text(&error)));
    parsed.map(|Query(query)| query).map_err(bad)
}

/// Goes before all operations: they get a body that has arrived.
pub(crate) async fn whole(request: Request<Body>, next: Next) -> Response<Body> {
    let (head, body) = request.into_parts();
    let read = async {
        // What says that it is too long, and asks before it comes, need not come.
        let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let limit = u64::try_from(BODY_BYTES).unwrap_or(u64::MAX);
        if length.is_some_and(|length| length > limit) && head.headers.contains_key(EXPECT) {
            return Err(too_large());
        }
        let late = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
        tokio::time::timeout(PATIENCE, read(body)).await.map_err(late)?
    };
    match read.await {
        Ok(bytes) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Err(refusal) => refusal.answer(),
    }
}

async fn read(mut body: Body) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut count = 0_usize;
    while let Some(frame) = body.frame().await {
        let broken = |error| Refusal::new(StatusCode::BAD_REQUEST, format!("cannot read the body: {}", text(&error)));
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        count = count.saturating_add(data.len());
        if count <= BODY_BYTES {
            bytes.extend_from_slice(&data);
        } else if count > BODY_BYTES_READ {
            break;
        }
    }
    if count > BODY_BYTES { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is over {BODY_BYTES} bytes"))
}

/// What a body says.
pub(crate) async fn body<R: DeserializeOwned + Serialize>(request: Request<Body>) -> Result<R, Refusal> {
    check_type(request.headers())?;
    // It has arrived, and is not too long.
    let bytes = to_bytes(request.into_body(), BODY_BYTES).await.map_err(|_| too_large())?;
    let bad =
        |error: &dyn Error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body is not what was wanted: {error}"));
    let asked: R = match serde_json::from_slice(&bytes) {
        Ok(asked) => asked,
        // Some write whole numbers with a point. The first error is the one that says where.
        Err(error) => with_whole_numbers(&bytes).ok_or_else(|| bad(&error))?,
    };
    let said: Value = serde_json::from_slice(&bytes).map_err(|error| bad(&error))?;
    let meant = serde_json::to_value(&asked).map_err(|error| bad(&error))?;
    match misplaced(&said, &meant) {
        Some(value) => {
            let message = format!("the body is not what was wanted: {value} stands where something else belongs");
            Err(Refusal::new(StatusCode::BAD_REQUEST, message))
        }
        None => Ok(asked),
    }
}

/// A value that was understood, but is of another type than it should be: the library takes an array for a structure, its
/// fields in order, and an object for a word.
fn misplaced<'v>(said: &'v Value, meant: &Value) -> Option<&'v Value> {
    match (said, meant) {
        (Value::Object(said), Value::Object(meant)) => {
            said.iter().find_map(|(name, value)| misplaced(value, meant.get(name)?))
        }
        (Value::Array(said), Value::Array(meant)) => {
            said.iter().zip(meant).find_map(|(said, meant)| misplaced(said, meant))
        }
        (Value::Object(_) | Value::Array(_), _) => Some(said),
        _ => None,
    }
}

/// What a body says, where `7.0` is 7: for JSON Schema that is an integer (Validation, section 6.1.1).
fn with_whole_numbers<R: DeserializeOwned>(bytes: &[u8]) -> Option<R> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    make_whole(&mut value);
    serde_json::from_value(value).ok()
}

fn make_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            // Up to here each whole number has a floating point number of its own.
            const EXACT: f64 = 9_007_199_254_740_992.0;
            let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            if let Some(float) = float.filter(|float| (0.0..=EXACT).contains(float)) {
                // Written out, it is a whole number.
                if let Ok(whole) = format!("{float:.0}").parse::<u64>() {
                    *value = whole.into();
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(make_whole),
        Value::Object(members) => members.values_mut().for_each(make_whole),
        _ => {}
    }
}

/// JSON has no parameters (RFC 8259, section 11); that it is UTF-8 is often said all the same.
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let found = headers.get(CONTENT_TYPE).and_then(|found| found.to_str().ok()).unwrap_or_default();
    let (essence, parameter) = found.split_once(';').unwrap_or((found, "charset=utf-8"));
    if essence.trim().eq_ignore_ascii_case(JSON) && parameter.trim().eq_ignore_ascii_case("charset=utf-8") {
        return Ok(());
    }
    let refusal = Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
    Err(refusal.hint("send the header `content-type: application/json`"))
}

/// An error with what is behind it.
fn text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
