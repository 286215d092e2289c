//! The `bangerd` command: the daemon, on the store of a user.
//!
//! It listens on the socket that a service manager passes on, or else on one of its own. `banger` starts it when it is needed.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use banger_api::{ErrorKind, Problem};
use banger_client::EXIT_TAKEN;
use banger_config::Directories;
use banger_daemon::{Options, Socket, SocketError, document, serve};
use banger_operations::Engine;
use clap::{Parser, Subcommand};

const USAGE: &str = "\
It ends in order when SIGTERM or SIGINT comes: jobs are cancelled, and leave nothing behind.

Exit codes:
   0  success
   2  the command line is wrong
  75  another daemon listens on the socket
   1  anything else";

/// Does what `banger` and others ask: HTTP on a Unix socket
#[derive(Debug, Parser)]
#[command(name = "bangerd", version, max_term_width = 100, after_help = USAGE, args_conflicts_with_subcommands = true)]
struct Args {
    /// Directory of images, kernels and machines [default: $BANGER_ROOT, else ~/.local/state/banger]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// The socket to listen on [default: $XDG_RUNTIME_DIR/banger/bangerd.sock, or in the root that is named]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// End when there was nothing to do for so many seconds
    #[arg(long, value_name = "SECONDS")]
    idle: Option<u64>,

    /// File of settings [default: ~/.config/banger/config.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Leave the session that it was started in, so that it goes on when its terminal is closed
    #[arg(long, hide = true)]
    detach: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the OpenAPI document
    Openapi,
    /// Print the JSON Schema of a line of `job.events`
    EventsSchema,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match &args.command {
        Some(Command::Openapi) => print(&document::openapi()),
        Some(Command::EventsSchema) => print(&document::events()),
        None => run(args),
    }
    .unwrap_or_else(|(problem, code)| {
        anstream::eprintln!("bangerd: error: {problem}");
        for cause in &problem.causes {
            anstream::eprintln!("bangerd:   caused by: {cause}");
        }
        for hint in &problem.hints {
            anstream::eprintln!("bangerd: hint: {hint}");
        }
        code
    })
}

/// What is told on standard error, and to who started it.
type Failure = (Problem, ExitCode);

fn of(error: &dyn std::error::Error) -> Failure {
    (Problem::of(ErrorKind::Other, error), ExitCode::FAILURE)
}

fn print(document: &serde_json::Value) -> Result<ExitCode, Failure> {
    use std::io::Write;
    write!(std::io::stdout(), "{}", document::text(document)).map_err(|error| of(&error))?;
    Ok(ExitCode::SUCCESS)
}

fn run(args: Args) -> Result<ExitCode, Failure> {
    if args.detach {
        // Whoever leads a group of its own already has left.
        let _ = rustix::process::setsid();
    }
    let directories = Directories::of_process(args.root.as_deref()).map_err(|error| of(&error))?;
    let socket = match Socket::activated().map_err(|error| of(&error))? {
        Some(socket) => socket,
        None => {
            let path = match args.socket {
                Some(path) => path,
                None => directories.socket().map_err(|error| of(&error))?,
            };
            Socket::bind(&path).map_err(|error| match error {
                SocketError::Taken(_) => (Problem::of(ErrorKind::Conflict, &error), ExitCode::from(EXIT_TAKEN)),
                error => of(&error),
            })?
        }
    };
    let config = args.config.map(std::path::absolute).transpose().map_err(|error| of(&error))?;
    let engine = Engine::open(directories, config).map_err(|problem| (problem, ExitCode::FAILURE))?;
    let options = Options { idle: args.idle.map(Duration::from_secs), ..Options::default() };
    serve(socket, Arc::new(engine), &options).map_err(|error| of(&error))?;
    Ok(ExitCode::SUCCESS)
}
