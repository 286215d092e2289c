//! What a host and a guest read of each other: requests, frames, config disks.
//!
//! - A frame that is understood is written as the same bytes again.
//! - A request's head that is complete is no longer than it may be, and more bytes behind it do not change it.
//! - Settings that are understood are those that a config disk made of them has.

use banger_agent::service::request_head;
use banger_protocol::disk::{self, SECTOR};
use banger_protocol::frame::Frame;
use banger_protocol::limits::HEAD_BYTES;

use crate::check_messages;

/// Checks all three with the same bytes.
pub fn check(data: &[u8]) {
    frames(data);
    head(data);
    config_disk(data);
}

fn frames(mut data: &[u8]) {
    loop {
        match Frame::decode(data) {
            Ok(Some((frame, length))) => {
                let mut again = Vec::new();
                frame.encode(&mut again);
                // Output of no bytes says nothing, and is not sent.
                let nothing = matches!(frame, Frame::Stdout([]) | Frame::Stderr([]));
                assert!(nothing || again == data[..length], "{frame:?}");
                data = &data[length..];
            }
            Ok(None) => return,
            Err(error) => return check_messages(&error),
        }
    }
}

fn head(data: &[u8]) {
    match request_head(data) {
        Ok(Some((head, length))) => {
            assert!(length <= HEAD_BYTES && length <= data.len(), "{length}");
            let (again, _) = request_head(&data[..length]).expect("the same bytes").expect("all of them");
            assert_eq!(format!("{head:?}"), format!("{again:?}"));
        }
        Ok(None) => assert!(data.len() <= HEAD_BYTES, "a head is waited for without end"),
        Err(error) => check_messages(&error),
    }
}

fn config_disk(data: &[u8]) {
    let Some((sector, rest)) = data.split_first_chunk::<SECTOR>() else { return };
    let size = disk::recognise(sector).unwrap_or(rest.len() as u64);
    match disk::decode(size, rest) {
        Ok(machine) => {
            let made = disk::encode(&machine);
            let (sector, rest) = made.split_first_chunk::<SECTOR>().expect("a header");
            let size = disk::recognise(sector).expect("a config disk");
            assert_eq!(disk::decode(size, rest).expect("settings"), machine);
        }
        Err(error) => check_messages(&error),
    }
}
