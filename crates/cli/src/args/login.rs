//! `banger login`, `banger logout`

use std::path::PathBuf;

use crate::args::HostOptions;

/// Where one logs in when no registry is named.
const DEFAULT: &str = "docker.io";

const LOGIN_HELP: &str = "\
Name and password are tried at the registry, and kept only when it takes them: in docker's config
file ($DOCKER_CONFIG/config.json or ~/.docker/config.json), by the credential helper that this file
names, or in the file that --authfile or REGISTRY_AUTH_FILE names. docker, podman and skopeo read
the same files.

Examples:
  banger login
  banger login ghcr.io -u USER
  echo \"$TOKEN\" | banger login ghcr.io -u USER --password-stdin";

const LOGOUT_HELP: &str = "\
What is known about the registry is removed from every file that banger looks into, and from the
credential helpers that these files name.

Examples:
  banger logout ghcr.io
  banger logout --all";

#[derive(Debug, clap::Args)]
#[command(after_help = LOGIN_HELP)]
pub(crate) struct Login {
    /// Host of the registry, perhaps with a port
    #[arg(default_value = DEFAULT)]
    pub(crate) registry: String,

    /// Name of the user [default: asked for]
    #[arg(short, long, value_name = "USER")]
    pub(crate) username: Option<String>,

    /// Password or token; others on this machine can see it, so rather use --password-stdin [default: asked for]
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin", allow_hyphen_values = true)]
    pub(crate) password: Option<String>,

    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub(crate) password_stdin: bool,

    /// File to keep the login in [default: docker's config file]
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) hosts: HostOptions,
}

#[derive(Debug, clap::Args)]
#[command(after_help = LOGOUT_HELP)]
pub(crate) struct Logout {
    /// Host of the registry, perhaps with a port
    #[arg(default_value = DEFAULT)]
    pub(crate) registry: String,

    /// Forget all registries
    #[arg(long, conflicts_with = "registry")]
    pub(crate) all: bool,

    /// File to remove the login from [default: all that are looked into]
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
}
