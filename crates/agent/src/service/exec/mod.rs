//! `POST /exec`: a command in the guest, and its streams.

mod process;
mod relay;

use std::sync::Arc;

use banger_protocol::UPGRADE;
use banger_protocol::exec::Exec;
use banger_protocol::failure::FailureKind;
use banger_protocol::limits::ARGUMENTS;

use self::process::Process;
use super::connection::Connection;
use super::http::body::Body;
use super::http::head::Head;
use super::http::{Trouble, answer};
use crate::launch::LaunchError;
use crate::state::State;

/// Runs a command for the host, until it ends or the connection does.
pub(super) fn exec(state: &Arc<State>, connection: &mut Connection, head: &Head) -> Result<(), Trouble> {
    if !head.upgrade {
        return Err(Trouble::request(format!("/exec needs `Upgrade: {UPGRADE}`")));
    }
    let exec: Exec = Body::new(connection, head).json()?;
    if exec.argv.len() > ARGUMENTS || exec.env.len() > ARGUMENTS {
        let error = format!("more than {ARGUMENTS} arguments or variables");
        return Err(Trouble::new(FailureKind::Limit, error));
    }
    let mut process = Process::start(state, &exec)?;
    answer::upgrade(connection)?;
    Ok(relay::relay(connection, &mut process)?)
}

impl From<LaunchError> for Trouble {
    fn from(error: LaunchError) -> Self {
        let kind = match &error {
            LaunchError::NotFound(_) => FailureKind::NotFound,
            LaunchError::NotExecutable { .. } => FailureKind::NotPermitted,
            LaunchError::Failed { .. } => FailureKind::Internal,
            _ => FailureKind::Request,
        };
        Self::new(kind, error.to_string())
    }
}
