//! A daemon that keeps nothing, for tests that need a process: `memory SOCKET|- [--idle MILLISECONDS] [--version VERSION]`,
//! where `-` is the socket that a service manager passes on.

#![expect(clippy::unwrap_used, reason = "it is a part of tests")]

#[path = "../tests/daemon/memory.rs"]
mod memory;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use banger_daemon::{Options, Socket, SocketError, serve};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_default();
    let mut options = Options::default();
    let mut service = memory::Memory::new("1");
    while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
        match name.as_str() {
            "--idle" => options.idle = value.parse().ok().map(Duration::from_millis),
            "--version" => service = memory::Memory::new(&value),
            _ => return ExitCode::from(2),
        }
    }
    let socket = match path.as_str() {
        "-" => Socket::activated(),
        path => Socket::bind(Path::new(path)).map(Some),
    };
    let socket = match socket {
        Ok(Some(socket)) => socket,
        Ok(None) => return ExitCode::from(3),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(if matches!(error, SocketError::Taken(_)) { 75 } else { 1 });
        }
    };
    match serve(socket, Arc::new(service), &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
