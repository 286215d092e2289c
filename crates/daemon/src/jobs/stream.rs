//! A job's events as the body of an answer: lines of JSON, until the end. It waits for whoever reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::log::Position;
use super::{Jobs, Watch};
use crate::limits::PACE;
use banger_api::Problem;

/// The events of a job, from the beginning. Whoever reads them watches the job.
pub(crate) fn events(jobs: &Arc<Jobs>, id: u64) -> Result<Body, Problem> {
    let watch = jobs.watch(id)?;
    // One piece waits while another is sent: so much memory a reader that does not read takes.
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(follow(watch, sender));
    Ok(Body::new(Pieces(receiver)))
}

/// Ends with the job, or when the body is dropped because nobody is there any more.
async fn follow(watch: Watch, sender: mpsc::Sender<Bytes>) {
    let mut position = Position::default();
    let mut changed = watch.log.subscribe();
    loop {
        // Before reading: what is recorded later is read in the next round.
        let ended = *changed.borrow_and_update();
        let told = Instant::now();
        loop {
            let piece = watch.log.read(&mut position);
            if piece.is_empty() {
                break;
            }
            if sender.send(piece.into()).await.is_err() {
                return;
            }
        }
        if ended {
            return;
        }
        tokio::select! {
            _ = changed.changed() => {}
            () = sender.closed() => return,
        }
        // The end is told at once, all else gathered.
        tokio::select! {
            _ = changed.wait_for(|ended| *ended) => {}
            () = sleep_until(told + PACE) => {}
            () = sender.closed() => return,
        }
    }
}

struct Pieces(mpsc::Receiver<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}
