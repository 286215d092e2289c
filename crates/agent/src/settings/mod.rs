//! The settings that are in force in this guest: the image's config, what was set when it was built, what the machine was told, and the kernel's
//! command line; what is later in this list goes before what is earlier.
//!
//! Nothing here ends a boot. What cannot be read or understood is a [problem](Settings::problems), and the guest starts without it: so it
//! can be asked what was wrong.

mod command_line;
mod config_disk;
mod signal;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use banger_protocol::boot::{Boot, BootMode};
use banger_protocol::image::Runtime;
use banger_protocol::limits::{ARGUMENTS, IMAGE_CONFIG_BYTES, SETTINGS_BYTES};
use banger_protocol::paths;
use banger_protocol::settings::{Guest, Machine, VERSION};
use banger_protocol::tuning::Ulimit;

pub use command_line::CommandLine;

use crate::file;
use crate::network::plan::{self, Plan};

/// Characters of a host name (hostname(7)).
const HOSTNAME: usize = 64;

/// The settings that are in force.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the image boots, as was decided when it was built.
    pub boot: Boot,
    /// The host name that is wanted.
    pub hostname: Option<String>,
    /// How the network is to be set up.
    pub network: Plan,
    /// Lines of root's `authorized_keys`.
    pub ssh_keys: Vec<String>,
    /// Whether there is to be an SSH server after the first boot.
    pub sshd: bool,
    /// Variables of the workload and of what `/exec` runs.
    pub env: BTreeMap<String, String>,
    /// Kernel settings that were asked for, by their names.
    pub sysctls: BTreeMap<String, String>,
    /// Limits of the workload and of what `/exec` runs, by their names.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// The workload: entry point and command.
    pub argv: Vec<String>,
    /// The user of the workload and of what `/exec` runs: `User` of the image's config, if nothing else was set.
    pub user: Option<String>,
    /// Their directory: `WorkingDir` of the image's config, if nothing else was set.
    pub directory: Option<String>,
    /// With which signal the workload is asked to end.
    pub stop_signal: i32,
    /// The workload is not started, and the machine stays.
    pub hold: bool,
    /// TCP ports that are expected to listen.
    pub ports: Vec<u16>,
    /// How long a workload that has ended is kept for somebody to ask for its output.
    pub wait: Option<Duration>,
    /// What could not be read or understood.
    pub problems: Vec<String>,
}

/// What settings are made of, as it was found.
#[derive(Clone, Debug, Default)]
struct Found {
    image: Runtime,
    guest: Option<Guest>,
    machine: Machine,
    line: CommandLine,
    problems: Vec<String>,
}

impl Settings {
    /// Reads the settings of the guest that this runs in: /proc, /sys and /dev must be mounted.
    pub fn read() -> Self {
        Self::merge(Found::read(Path::new("/")))
    }

    /// Whether the agent runs the image's command, there being no init that would.
    pub fn runs_workload(&self) -> bool {
        self.boot.mode == BootMode::Workload
    }

    fn merge(found: Found) -> Self {
        let Found { mut image, guest, machine, line, mut problems } = found;
        let guest = guest.unwrap_or_else(|| {
            problems
                .push(format!("there is no usable {}: this was not made by `banger build --guest full`", paths::GUEST));
            without_guest()
        });
        let network = plan::decide(line.values("ip"), machine.network.as_ref());
        let network = network.unwrap_or_else(|(plan, problem)| {
            problems.push(problem);
            plan
        });
        let on_line = line.value("banger.hostname").or(network.hostname.as_deref()).map(str::to_owned);
        let hostname = on_line.or(machine.hostname).or(guest.hostname).filter(|name| {
            let valid = is_hostname(name);
            if !valid {
                problems.push(format!("{name:?} can be no host name"));
            }
            valid
        });
        let mut env = image.variables();
        env.extend(guest.env);
        env.extend(machine.env);
        let mut sysctls = guest.sysctls;
        sysctls.extend(machine.sysctls);
        let mut ulimits = guest.ulimits;
        ulimits.extend(machine.ulimits);
        image.replace(guest.entrypoint, guest.command);
        image.replace(machine.entrypoint, machine.command);
        let mut argv = image.command();
        if argv.len() > ARGUMENTS {
            problems.push(format!("the command has {} arguments, more than {ARGUMENTS}", argv.len()));
            argv.clear();
        }
        let wanted = Some(image.stop_signal).filter(|signal| !signal.is_empty());
        let stop_signal = wanted.map_or(Some(libc::SIGTERM), |name| {
            let signal = signal::number(&name);
            if signal.is_none() {
                problems.push(format!("StopSignal {name:?} is no signal: SIGTERM is used"));
            }
            signal
        });
        let mut ssh_keys = guest.ssh_keys;
        ssh_keys.extend(machine.ssh_keys);
        let is_set = |text: &String| !text.is_empty();
        Self {
            boot: machine.boot.unwrap_or(guest.boot),
            hostname,
            network,
            ssh_keys,
            sshd: guest.sshd,
            env,
            sysctls,
            ulimits,
            argv,
            user: Some(machine.user.or(guest.user).unwrap_or(image.user)).filter(is_set),
            directory: Some(machine.directory.or(guest.directory).unwrap_or(image.working_dir)).filter(is_set),
            stop_signal: stop_signal.unwrap_or(libc::SIGTERM),
            hold: machine.hold || line.flag("banger.hold"),
            ports: machine.ports,
            wait: line.wait(),
            problems,
        }
    }
}

impl Found {
    fn read(root: &Path) -> Self {
        let mut found = Self::default();
        let mut problems = Vec::new();
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        let image = parsed(&below(paths::IMAGE), IMAGE_CONFIG_BYTES, Runtime::of_config, &mut problems);
        found.image = image.unwrap_or_default();
        let guest = |content: &[u8]| serde_json::from_slice::<Guest>(content);
        found.guest = parsed(&below(paths::GUEST), SETTINGS_BYTES as u64, guest, &mut problems);
        if let Some(version) = found.guest.as_ref().map(|guest| guest.version).filter(|&version| version != VERSION) {
            problems.push(format!("{} has version {version}, only {VERSION} is known", paths::GUEST));
            found.guest = None;
        }
        match config_disk::read(&below("sys/block"), &below("dev")) {
            Ok(machine) => found.machine = machine.unwrap_or_default(),
            Err(problem) => problems.push(problem),
        }
        match file::read_at_most(&below("proc/cmdline"), SETTINGS_BYTES as u64) {
            Ok(line) => found.line = CommandLine::parse(&String::from_utf8_lossy(&line)),
            Err(error) => problems.push(format!("/proc/cmdline: {error}")),
        }
        found.problems = problems;
        found
    }
}

/// A file that may be missing.
fn parsed<T>(
    path: &Path,
    limit: u64,
    parse: impl FnOnce(&[u8]) -> serde_json::Result<T>,
    problems: &mut Vec<String>,
) -> Option<T> {
    let content = match file::read_at_most(path, limit) {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            problems.push(format!("{}: {error}", path.display()));
            return None;
        }
    };
    parse(&content).map_err(|error| problems.push(format!("{}: {error}", path.display()))).ok()
}

/// What holds where the image does not say how it boots.
fn without_guest() -> Guest {
    Guest {
        version: VERSION,
        boot: Boot::workload(format!("there is no {}", paths::GUEST)),
        hostname: None,
        ssh_keys: Vec::new(),
        env: BTreeMap::new(),
        sysctls: BTreeMap::new(),
        ulimits: BTreeMap::new(),
        entrypoint: None,
        command: None,
        user: None,
        directory: None,
        sshd: false,
    }
}

/// Whether the kernel, and /etc/hosts, take it for a host name.
pub(crate) fn is_hostname(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    !name.is_empty() && name.len() <= HOSTNAME && name.chars().all(plain) && !name.starts_with(['-', '.'])
}

#[cfg(test)]
mod tests;
