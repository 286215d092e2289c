//! What runs in a guest: takes the role that its PID and its name say.

use std::path::Path;
use std::process::ExitCode;

use banger_agent::{boot, console, hello, run};

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&name).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // A workload is PID 1 too, of a namespace of its own.
    if name == "hello" {
        return hello::run();
    }
    if std::process::id() == 1 {
        if boot::initrd::is_here() { boot::initrd::run() } else { boot::init() }
    }
    match &*name {
        "banger-vsock-agent" => run::run(),
        "banger-network-bootstrap" => run::network_bootstrap(),
        "banger-first-boot" => run::first_boot(),
        _ => {
            console::say(&format!("{name:?} is none of the names under which this program does anything"));
            ExitCode::from(2)
        }
    }
}
