//! `GET /workload`: the output of the image's command as a stream, signals to it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use banger_protocol::failure::FailureKind;
use banger_protocol::frame::Frame;
use rustix::event::PollFlags;

use super::STACK;
use super::connection::{Connection, wait};
use super::http::head::Head;
use super::http::{Trouble, answer};
use crate::state::State;
use crate::workload::{Event, Reader, Stream};

/// How often it is looked whether the other direction has ended.
const TICK: Duration = Duration::from_millis(200);

/// How long the host may take to take the last frame. The machine may be switched off when it has.
const FAREWELL: Duration = Duration::from_secs(2);

/// Attaches the host to the workload.
pub(super) fn attach(state: &Arc<State>, connection: &mut Connection, head: &Head) -> Result<(), Trouble> {
    if !head.upgrade {
        return Err(Trouble::request(format!("/workload needs `Upgrade: {}`", banger_protocol::UPGRADE)));
    }
    let none =
        || Trouble::new(FailureKind::NotFound, "this guest has no workload: its own init does what is to be done");
    let reader = state.attach().ok_or_else(none)?;
    answer::upgrade(connection)?;
    Ok(stream(state, connection, reader)?)
}

/// Output goes one way, signals the other, each with a thread.
fn stream(state: &Arc<State>, connection: &mut Connection, mut reader: Reader) -> io::Result<()> {
    let mut listening = Connection::new(rustix::io::fcntl_dupfd_cloexec(&*connection, 0)?)?;
    // Frames that have come along with the request.
    listening.take_over(connection);
    let broken = AtomicBool::new(false);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let listen = || {
            // However it ends: nobody is there any more.
            let _ = pass_on_signals(state, &mut listening, &over);
            broken.store(true, Ordering::Release);
        };
        thread::Builder::new().name("signals".into()).stack_size(STACK).spawn_scoped(scope, listen)?;
        let sent = send_output(connection, &mut reader, &broken);
        if sent.is_ok() {
            let deadline = Instant::now().checked_add(FAREWELL);
            while !broken.load(Ordering::Acquire) && deadline.is_some_and(|deadline| Instant::now() < deadline) {
                thread::sleep(Duration::from_millis(5));
            }
        }
        over.store(true, Ordering::Release);
        sent
    })
}

fn send_output(connection: &mut Connection, reader: &mut Reader, broken: &AtomicBool) -> io::Result<()> {
    let mut bytes = Vec::new();
    while !broken.load(Ordering::Acquire) {
        bytes.clear();
        match reader.next(TICK) {
            Event::Data(Stream::Stdout, data) => Frame::Stdout(&data).encode(&mut bytes),
            Event::Data(Stream::Stderr, data) => Frame::Stderr(&data).encode(&mut bytes),
            Event::Exit(exit) => {
                Frame::Exit(exit).encode(&mut bytes);
                return connection.write_all(&bytes);
            }
            Event::Nothing => {}
        }
        connection.write_all(&bytes)?;
    }
    Err(io::ErrorKind::BrokenPipe.into())
}

/// Passes signals on until the host ends the connection or the other direction is over. A workload has neither standard input nor
/// a terminal: these frames are of no use to it.
fn pass_on_signals(state: &Arc<State>, connection: &mut Connection, over: &AtomicBool) -> io::Result<()> {
    while !over.load(Ordering::Acquire) {
        while let Some((frame, size)) = Frame::decode(connection.buffered()).map_err(io::Error::other)? {
            if let Frame::Signal(signal) = frame {
                // It may have ended just now.
                let _ = state.signal_workload(signal.into());
            }
            connection.consume(size);
        }
        match wait(&*connection, PollFlags::IN, Instant::now().checked_add(TICK)) {
            Ok(()) => {
                if !connection.fill_now()? {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
