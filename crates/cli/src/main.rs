//! The `banger` command: arguments in, listings, progress and errors out.
//!
//! Standard output is for data only; progress and messages go to standard error.

mod args;
mod build;
mod cache;
mod config;
mod directories;
mod exit;
mod failure;
mod fetch;
mod guest;
mod hints;
mod hosts;
mod inspect;
mod login;
mod man;
mod output;
mod password;
mod progress;
mod registry;
mod resolve;
mod run;
mod source;
mod table;
mod text;
mod usage;
mod values;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    match run() {
        Ok(status) => status,
        Err(failure) => failure.report(),
    }
}

fn run() -> Result<ExitCode, Failure> {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            anstream::ColorChoice::from(usage::color(std::env::args_os())).write_global();
            return usage::answer(&error).map(|()| ExitCode::SUCCESS);
        }
    };
    anstream::ColorChoice::from(args.color).write_global();
    match args.command {
        Command::Build(build) => build::run(&build),
        Command::Run(run) => return run::run(&run),
        Command::Fetch(fetch) => fetch::run(&fetch),
        Command::Resolve(resolve) => resolve::run(&resolve),
        Command::Login(login) => login::login(&login),
        Command::Logout(logout) => login::logout(&logout),
        Command::Cache(cache) => cache::run(&cache.command),
        Command::Ls(ls) => inspect::ls(&ls),
        Command::Cat(cat) => inspect::cat(&cat),
        Command::Stat(stat) => inspect::stat(&stat),
        Command::Man(man) => man::run(&man),
    }?;
    Ok(ExitCode::SUCCESS)
}
