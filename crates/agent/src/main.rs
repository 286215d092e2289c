//! What runs in a guest: takes the role that its process number and its name say.

use std::path::Path;
use std::process::ExitCode;

use banger_agent::{boot, console, hello, run};

fn main() -> ExitCode {
    if std::process::id() == 1 {
        if boot::initrd::is_here() { boot::initrd::run() } else { boot::init() }
    }
    let name = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&name).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match &*name {
        "banger-vsock-agent" => run::run(),
        "banger-network-bootstrap" => run::network_bootstrap(),
        "banger-first-boot" => run::first_boot(),
        "hello" => hello::run(),
        _ => {
            console::say(&format!("{name:?} is none of the names under which this program does anything"));
            ExitCode::from(2)
        }
    }
}
