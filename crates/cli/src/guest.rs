//! From the options about the guest to what the libraries take.

mod keys;
mod variables;

use std::collections::BTreeMap;
use std::path::PathBuf;

use banger_kmod::Modules;
use banger_protocol::tuning::Ulimit;

use crate::args::{GuestLayer, GuestOptions, GuestSettings};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::values::{Limit, Variable};

pub(crate) use keys::authorized_keys;
pub(crate) use variables::variables;

/// The guest layer that was asked for, if any.
pub(crate) fn layer(options: &GuestSettings) -> Result<Option<banger_guest::Options>, Failure> {
    let layer = banger_guest::Options {
        hostname: options.hostname.clone(),
        ssh_keys: authorized_keys(&options.ssh_key)?,
        env: variables(&options.env_file, &options.env)?,
        sysctls: pairs(&options.sysctl),
        ulimits: ulimits(&options.ulimit),
        entrypoint: options.entrypoint.as_ref().map(|words| words.0.clone()),
        command: options.cmd.as_ref().map(|words| words.0.clone()),
        user: options.user.clone(),
        directory: options.workdir.clone(),
        init: options.init.clone(),
        sshd: options.sshd,
    };
    match options.guest {
        GuestLayer::Full => Ok(Some(layer)),
        GuestLayer::None if layer == banger_guest::Options::default() => Ok(None),
        GuestLayer::None => Err(Failure::new(Exit::Usage, "--guest none leaves nothing to set for the guest").hint(
            "--hostname, --ssh-key, --env, --env-file, --sysctl, --ulimit, --entrypoint, --cmd, --user, --workdir, --init and --sshd are for \
             the agent, which --guest full puts into the image",
        )),
    }
}

/// Names and values, the last of each name.
pub(crate) fn pairs(variables: &[Variable]) -> BTreeMap<String, String> {
    variables.iter().map(|Variable { name, value }| (name.clone(), value.clone())).collect()
}

/// Limits by their names.
pub(crate) fn ulimits(limits: &[Limit]) -> BTreeMap<String, Ulimit> {
    limits.iter().map(|limit| (limit.name.clone(), limit.value)).collect()
}

/// The directory of the modules that were asked for, if any.
pub(crate) fn modules(options: &GuestOptions) -> Result<Option<PathBuf>, Failure> {
    let Some(version) = &options.kernel_modules else { return Ok(options.modules.clone()) };
    let version = version.to_string_lossy();
    let found = Modules::directory_of_host(Some(version.as_ref()).filter(|version| !version.is_empty()));
    found.map(Some).map_err(|error| {
        let failure = Failure::of(Exit::NotFound, &error);
        match error {
            banger_kmod::Error::NoHost => {
                failure.hint("install a kernel, or name a directory of modules with --modules DIR")
            }
            _ => failure.hint("`ls /lib/modules` shows which there are; --modules DIR takes those of another place"),
        }
    })
}
