//! `POST /exec`: a command in the guest.
//!
//! The request has a JSON body and `Upgrade: banger-stream`. The answer is 101, and from then on both sides send
//! [frames](crate::frame); the last one is [`Exit`](crate::frame::Frame::Exit). What cannot be started is answered with an error status and a
//! [`Failure`](crate::failure::Failure) instead.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The program, looked for in the `PATH` of its environment where it has no slash, and its arguments.
    pub argv: Vec<String>,
    /// Variables, on top of those that the image's config and the machine's settings have.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// `USER`, `UID`, `USER:GROUP`, as in an image's config. That of the image and the machine's settings where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// An absolute path. That of the image and the machine's settings where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// With a terminal, of this size; without, standard output and standard error are apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Size>,
    /// Whether there will be standard input. Otherwise it is empty.
    #[serde(default)]
    pub stdin: bool,
    /// Whether it runs as PID 1 of a PID namespace of its own, in the place of the image's command. Otherwise it joins the one that the
    /// workload is in, where a workload runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub init: bool,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

impl Exit {
    /// What a shell would make of it: the status, or 128 and the signal.
    pub fn status(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => signal.saturating_add(128),
        }
    }
}
