//! `GET /workload`: the output of the image's command as a stream, signals to it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
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

/// How long the host may take to say that it has the end, before it is told that nothing more will come: one that reads to the end of the
/// connection waits for that.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long it may take where nobody has asked for the machine to wait.
const PATIENCE: Duration = Duration::from_secs(60);

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
    let gone = AtomicBool::new(false);
    let over = AtomicBool::new(false);
    let (done, end) = sync_channel(1);
    thread::scope(|scope| {
        let listen = || {
            // However it ends: the host has everything, or is not there any more.
            let _ = pass_on_signals(state, &mut listening, &over);
            gone.store(true, Ordering::Release);
            let _ = done.try_send(());
        };
        thread::Builder::new().name("signals".into()).stack_size(STACK).spawn_scoped(scope, listen)?;
        let sent = send_output(connection, &mut reader, &gone);
        if sent.is_ok() {
            // The machine may be switched off when the reader is dropped, and with it goes what is still on its way.
            let limit = state.settings().wait.is_none().then_some(PATIENCE);
            wait_for_receipt(connection, &end, limit);
        }
        over.store(true, Ordering::Release);
        sent
    })
}

/// Waits until the host has the last frame.
fn wait_for_receipt(connection: &Connection, end: &Receiver<()>, limit: Option<Duration>) {
    if end.recv_timeout(FAREWELL) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    connection.finish();
    // Either way it is over: the host has it, or the time is over.
    let _ = match limit {
        Some(limit) => end.recv_timeout(limit).is_ok(),
        None => end.recv().is_ok(),
    };
}

fn send_output(connection: &mut Connection, reader: &mut Reader, gone: &AtomicBool) -> io::Result<()> {
    let mut bytes = Vec::new();
    while !gone.load(Ordering::Acquire) {
        bytes.clear();
        match reader.next(TICK) {
            Event::Data(Stream::Stdout, data) => Frame::Stdout(&data).encode(&mut bytes),
            Event::Data(Stream::Stderr, data) => Frame::Stderr(&data).encode(&mut bytes),
            Event::Exit(exit) => {
                Frame::Exit(exit).encode(&mut bytes);
                return connection.write_patiently(&bytes);
            }
            Event::Nothing => {}
        }
        // A host that takes nothing for long is one whose own reader does not: its connection breaks when it goes.
        connection.write_patiently(&bytes)?;
    }
    Err(io::ErrorKind::BrokenPipe.into())
}

/// Passes signals on until the host has everything, or ends the connection, or the other direction is over. A workload has neither standard
/// input nor a terminal: these frames are of no use to it.
fn pass_on_signals(state: &Arc<State>, connection: &mut Connection, over: &AtomicBool) -> io::Result<()> {
    while !over.load(Ordering::Acquire) {
        while let Some((frame, size)) = Frame::decode(connection.buffered()).map_err(io::Error::other)? {
            match frame {
                Frame::Received => return Ok(()),
                // It may have ended just now.
                Frame::Signal(signal) => drop(state.signal_workload(signal.into())),
                _ => {}
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
