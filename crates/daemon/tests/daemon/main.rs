//! What the daemon promises, with curl, systemd's programs and other users as judges.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod access;
mod curl;
mod document;
mod jobs;
mod life;
mod memory;
mod requests;
mod served;
