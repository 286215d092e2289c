//! curl, which knows nothing of banger.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) media_type: String,
    pub(crate) allow: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The lines of a stream.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        lines(&self.body)
    }
}

#[track_caller]
pub(crate) fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn command(socket: &Path, target: &str) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--no-buffer", "--max-time", "120", "--unix-socket"]).arg(socket);
    command.arg(format!("http://localhost{target}"));
    command
}

/// `GET`, or `POST` where there is a body.
#[track_caller]
pub(crate) fn curl(socket: &Path, target: &str, body: Option<&str>) -> Answer {
    match body {
        Some(body) => curl_with(socket, target, &["--header", "content-type: application/json", "--data-binary", body]),
        None => curl_with(socket, target, &[]),
    }
}

#[track_caller]
pub(crate) fn curl_with(socket: &Path, target: &str, arguments: &[&str]) -> Answer {
    let format = "\n%{http_code}\n%{content_type}\n%header{allow}";
    let output = command(socket, target).args(arguments).args(["--write-out", format]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{target}: {}", String::from_utf8_lossy(&output.stderr));
    let mut parts = text.rsplitn(4, '\n');
    let allow = parts.next().unwrap().to_owned();
    let media_type = parts.next().unwrap().to_owned();
    let status = parts.next().unwrap().parse().unwrap();
    Answer { status, media_type, allow, body: parts.next().unwrap().to_owned() }
}

/// A stream that goes on in the background; its output is a pipe.
pub(crate) fn stream(socket: &Path, target: &str) -> Child {
    command(socket, target).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}
