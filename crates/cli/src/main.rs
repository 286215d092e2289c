//! The `banger` command: arguments in, listings, progress and errors out.
//!
//! Standard output is for data only; progress and messages go to standard error.

mod access;
mod args;
mod build;
mod cache;
mod catalog;
mod completion;
mod daemon;
mod directories;
mod disk;
mod doctor;
mod exit;
mod failure;
mod fetch;
mod guest;
mod image;
mod inspect;
mod interrupts;
mod job;
mod kernel;
mod login;
mod man;
mod output;
mod password;
mod progress;
mod purge;
mod registry;
mod resolve;
mod run;
mod service;
mod source;
mod system;
mod table;
mod tags;
mod text;
mod usage;
mod values;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::args::{Args, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    match run() {
        Ok(status) => status,
        Err(failure) => failure.report(),
    }
}

fn run() -> Result<ExitCode, Failure> {
    if completion::answer()? {
        return Ok(ExitCode::SUCCESS);
    }
    let arguments = usage::with_help(std::env::args_os().collect());
    let parsed = Args::command().try_get_matches_from(&arguments).and_then(|matches| {
        failure::write_json(usage::is_json(&matches));
        Args::from_arg_matches(&matches)
    });
    let args = match parsed {
        Ok(args) => args,
        Err(error) => {
            failure::write_json(usage::asks_json(&arguments));
            anstream::ColorChoice::from(usage::color(&arguments)).write_global();
            return usage::answer(&error, &arguments).map(|()| ExitCode::SUCCESS);
        }
    };
    anstream::ColorChoice::from(args.color).write_global();
    args.progress.write_global();
    let options = &args.service;
    match args.command {
        Command::Pull(pull) => return image::pull(&pull, options),
        Command::Run(run) => return run::run(&run, options),
        Command::Image(image) => return image::run(&image.command, options),
        Command::Images(ls) => image::list(&ls, options),
        Command::Kernel(kernel) => return kernel::run(&kernel.command, options),
        Command::Catalog(catalog) => catalog::run(&catalog.command, options),
        Command::Bundle(bundle) => catalog::bundle(&bundle.command, options),
        Command::Build(build) => build::run(&build),
        Command::Fetch(fetch) => fetch::run(&fetch),
        Command::Resolve(resolve) => resolve::run(&resolve),
        Command::Tags(tags) => tags::run(&tags),
        Command::Login(login) => login::login(&login),
        Command::Logout(logout) => login::logout(&logout),
        Command::Cache(cache) => cache::run(&cache.command),
        Command::Ls(ls) => inspect::ls(&ls),
        Command::Cat(cat) => inspect::cat(&cat),
        Command::Stat(stat) => inspect::stat(&stat),
        Command::Df(df) => system::df(&df, &*service::open(options)?),
        Command::Prune(prune) => system::prune(&prune, &*service::open(options)?),
        Command::Info(info) => system::info(info.json, &*service::open(options)?),
        Command::Purge(purge) => purge::run(&purge, options),
        Command::Daemon(daemon) => daemon::run(&daemon.command, options),
        Command::Job(job) => job::run(&job.command, options),
        Command::Doctor(doctor) => return doctor::run(&doctor, options),
        Command::Completion(completion) => completion::run(&completion),
        Command::Man(man) => man::run(&man),
    }?;
    Ok(ExitCode::SUCCESS)
}
