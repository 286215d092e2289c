//! Where conversations come from. A guest has vsock, or serial ports, or both; modules may be loaded late, so what is not there
//! yet is looked for again.

pub(super) mod serial;
mod vsock;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use super::{STACK, Service};
use crate::console;
use crate::drivers::{self, Device};

/// How often what is not there is looked for: often while the guest boots, then now and then.
const INTERVALS: [(u32, Duration); 2] = [(50, Duration::from_millis(100)), (u32::MAX, Duration::from_secs(5))];

/// Starts a thread that listens on vsock, and one that looks for serial ports.
pub(super) fn start(service: &Arc<Service>) -> io::Result<()> {
    for problem in drivers::load(Path::new("/"), &[Device::Vsock, Device::Console]) {
        console::say(&problem);
    }
    let (vsock, serial) = (Arc::clone(service), Arc::clone(service));
    let spawn = |name: &str| thread::Builder::new().name(name.into()).stack_size(STACK);
    spawn("vsock").spawn(move || again(|| vsock::serve(&vsock)))?;
    let mut ports = serial::Ports::default();
    spawn("serial").spawn(move || again(|| ports.serve(&serial)))?;
    Ok(())
}

/// Does it again and again: each time after it returned, and later and later.
fn again(mut look: impl FnMut()) {
    for (times, interval) in INTERVALS {
        for _ in 0..times {
            look();
            thread::sleep(interval);
        }
    }
}
