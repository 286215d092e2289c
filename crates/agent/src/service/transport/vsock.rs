//! Conversations over vsock(7): with the host alone. Processes of the guest, and other guests, are refused by their context id.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use banger_protocol::{HOST_CID, VSOCK_PORT};

use crate::service::Service;
use crate::sys;

/// After a connection that could not be accepted: descriptors may be short for a moment.
const PAUSE: Duration = Duration::from_millis(100);

/// Failures in a row after which the socket is given up.
const FAILURES: u32 = 50;

/// Listens, if the kernel has vsock, until that is over.
pub(super) fn serve(service: &Arc<Service>) {
    let Ok(socket) = sys::vsock_listen(VSOCK_PORT) else { return };
    let mut failures = 0;
    while failures < FAILURES {
        match sys::vsock_accept(socket.as_fd()) {
            Ok((connection, HOST_CID)) => {
                failures = 0;
                service.accept(connection);
            }
            // Closed without a word.
            Ok((_, _)) => failures = 0,
            Err(_) => {
                failures = failures.saturating_add(1);
                thread::sleep(PAUSE);
            }
        }
    }
}
