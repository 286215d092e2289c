//! `banger run`: an image becomes a machine that runs here, as long as somebody uses it.

mod about;
pub(crate) mod amounts;
mod booting;
mod contents;
mod failures;
mod image;
mod kernel;
mod missing;
mod session;
mod timings;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use banger_config::Directories;
use banger_protocol::paths::AGENT;
use banger_protocol::settings;
use banger_vm::forward::Protocol;
use banger_vm::vsock::Wanted;
use banger_vm::{Accelerator, Channel, Directory, Kernel, Machine, Spec, initrd, log, qemu};

use self::image::{Image, Place};
use self::kernel::{Chosen, Search};
use self::session::Wish;
use self::timings::Timings;
use crate::args::{Accel, Run, ServiceOptions, Way};
use crate::doctor;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::guest::{authorized_keys, pairs, ulimits, variables};
use crate::interrupts::{self, Interrupts};
use crate::text::{Bytes, Line, counted};

/// How many seconds a workload that has ended waits for us to ask how: much more than we need on the busiest host. The machine ends with this
/// process anyway.
const WAIT: u64 = 600;
/// How long a guest may take to switch itself off, by emulation on a busy host.
const STOP: Duration = Duration::from_secs(180);

/// Boots a machine, attaches to it, and says how what ran in it ended.
pub(crate) fn run(run: &Run, options: &ServiceOptions) -> Result<ExitCode, Failure> {
    if run.entrypoint.is_some() && argv(run).is_none() {
        return Err(Failure::new(Exit::Usage, "--entrypoint \"\" leaves no command to run")
            .hint("name one: `banger run IMAGE --entrypoint \"\" -- CMD`"));
    }
    // What can be missing is looked for before anything takes long.
    let directories = Directories::of_process(options.root.as_deref())?;
    let place = Place::find(run, &directories)?;
    let qemu = qemu::program().map_err(|error| failures::of(&error))?;
    if run.accel == Accel::Kvm
        && let Some(failure) = doctor::without_kvm(&qemu)
    {
        return Err(failure);
    }
    for forward in &run.port {
        forward.check().map_err(|error| failures::of(&error))?;
    }
    let search = Search { run, options, directories: &directories, own: place.kernel() };
    let chosen = match search.find()? {
        Some(chosen) => chosen,
        None => {
            place.check(run, &directories)?;
            search.get()?
        }
    };
    let mut settings = settings(run)?;
    let channel = Channel::find(wanted(run.channel)).map_err(|error| failures::of(&error))?;
    let mut directory = Directory::create(&directories.machines()?, true).map_err(|error| failures::of(&error))?;
    directory.set_image(&run.source.to_string_lossy()).map_err(|error| failures::of(&error))?;

    let mut timings = Timings::start();
    let image = place.prepare(run, &directories, &directory)?;
    settings.boot.clone_from(&image.boot);
    timings.built();
    if !image.has_agent && !run.console {
        let what = format!("{} has no agent, so nothing can be run in it", Line(&run.source.to_string_lossy()));
        return Err(Failure::new(Exit::Usage, what)
            .hint("build it without --guest none")
            .hint("--console shows what it says when it boots"));
    }
    let is_at_terminal = session::is_at_terminal(run, &image);
    settings.hold |= is_at_terminal;
    let accelerator = match run.accel {
        Accel::Auto => Accelerator::best(&qemu),
        Accel::Kvm => Accelerator::Kvm,
        Accel::Tcg => Accelerator::Tcg,
    };
    let initrd = initrd(run, &chosen, &directory)?;
    let spec = Spec {
        qemu,
        accelerator,
        channel,
        cpus: run.cpus,
        memory: run.memory,
        kernel: chosen.kernel.image.clone(),
        initrd,
        init: image.has_agent.then(|| AGENT.to_owned()),
        wait: (!settings.hold).then_some(WAIT),
        append: run.append.clone(),
        disk_size: disk_size(run, &image)?,
        image: image.path.clone(),
        throw_away: run.rm,
        settings,
        forwards: run.port.clone(),
    };
    let interrupts = Interrupts::watch()?;
    let mut machine = Machine::start(&spec, directory).map_err(|error| failures::of(&error))?;
    if !run.rm {
        machine.keep().map_err(|error| failures::of(&error))?;
    }
    introduce(run, &chosen.kernel, &spec, &machine);
    let result = attend(run, &image, &machine, &interrupts, &mut timings);
    if !run.rm {
        tell(run, &format!("the machine's disk and console stay in {}", machine.directory().path().display()));
    }
    result
}

/// Stays with a machine until it has ended.
fn attend(
    run: &Run,
    image: &Image,
    machine: &Machine,
    interrupts: &Interrupts,
    timings: &mut Timings,
) -> Result<ExitCode, Failure> {
    std::thread::scope(|scope| {
        // However this ends, the machine does, and with it the console's thread.
        let _end = End(machine);
        if run.console {
            let path = machine.serial_log();
            scope.spawn(move || log::follow(&path, &mut std::io::stderr(), &|| !machine.is_running()));
        }
        if !image.has_agent {
            while !machine.wait(Duration::from_secs(3600), &|| interrupts.signal().is_none()) {
                if let Some(signal) = interrupts.signal() {
                    return Ok(interrupts::status(signal));
                }
            }
            return Ok(ExitCode::SUCCESS);
        }
        let limit = Duration::from_secs(run.boot_timeout);
        let ready = {
            let (over, is_over) = channel::<()>();
            let console = machine.serial_log();
            let is_shown = !run.quiet && !run.console && booting::can_be_shown();
            let shows = is_shown.then(|| scope.spawn(move || booting::show(&console, &is_over)));
            let ready = machine.wait_ready(limit, &|| interrupts.signal().is_none());
            drop(over);
            // What it has shown is gone before anything else is.
            drop(shows.map(ScopedJoinHandle::join));
            ready
        };
        let health = match (ready, interrupts.signal()) {
            (Err(_), Some(signal)) => return Ok(interrupts::status(signal)),
            (ready, _) => ready.map_err(|error| failures::of(&error))?,
        };
        timings.ready(machine, &health);
        if let Some(file) = &run.timings {
            timings.write(file)?;
        }
        tell(run, &format!("ready in {:.1} s: {}", timings.total(), session::doing(run, image, &health)));
        for problem in &health.problems {
            tell(run, &format!("warning: {problem}"));
        }
        let wish = session::wish(run, image, &health)?;
        for line in image.about.ports(&run.port) {
            tell(run, &line);
        }
        if let Some(ending) = session::ending(run, image, &wish) {
            tell(run, ending);
        }
        let (status, _line) = session::attach(machine, &wish, interrupts);
        // What was told to the command was not told to us.
        interrupts.forget();
        let go_on = || interrupts.signal().is_none();
        match wish {
            // It ends with its workload.
            Wish::Workload => drop(machine.wait(STOP, &go_on)),
            Wish::Command(_) => drop(machine.stop(STOP, &go_on)),
        }
        status
    })
}

/// Kills a machine at the end of a scope.
struct End<'a>(&'a Machine);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// The initial RAM disk that is named; or the one that the kernel came with; or one that is made.
fn initrd(run: &Run, chosen: &Chosen, directory: &Directory) -> Result<PathBuf, Failure> {
    let came_with = chosen.initrd.as_ref().filter(|_| run.modules.is_none());
    if let Some(initrd) = run.initrd.as_ref().or(came_with) {
        let file = std::fs::File::open(initrd).map_err(|error| Failure::file("open", initrd, &error));
        return file.map(|_| initrd.clone());
    }
    let bytes = initrd::build(banger_guest::agent::BYTES, chosen.kernel.modules.as_deref());
    let path = directory.file("initrd.img");
    std::fs::write(&path, bytes.map_err(|error| failures::of(&error))?)
        .map_err(|error| Failure::file("write", &path, &error))?;
    Ok(path)
}

fn disk_size(run: &Run, image: &Image) -> Result<Option<u64>, Failure> {
    let size = |growth: amounts::Growth| {
        growth.of(image.size).ok_or_else(|| Failure::new(Exit::Usage, "a disk of that size is too large"))
    };
    run.disk_size.map(size).transpose()
}

/// The command that was asked for: the entrypoint with its arguments, or the command alone.
fn argv(run: &Run) -> Option<Vec<String>> {
    let entrypoint = run.entrypoint.iter().flat_map(|words| &words.0);
    let argv: Vec<String> = entrypoint.chain(&run.command).cloned().collect();
    (!argv.is_empty()).then_some(argv)
}

fn settings(run: &Run) -> Result<settings::Machine, Failure> {
    let of_tcp = run.port.iter().filter(|forward| forward.protocol == Protocol::Tcp);
    Ok(settings::Machine {
        hostname: run.hostname.clone(),
        ssh_keys: authorized_keys(&run.ssh_key)?,
        env: variables(&run.env_file, run.env.iter().filter_map(|passed| passed.0.as_ref()))?,
        sysctls: pairs(&run.sysctl),
        ulimits: ulimits(&run.ulimit),
        command: run.cmd.as_ref().map(|words| words.0.clone()),
        user: run.user.clone(),
        directory: run.workdir.clone(),
        hold: argv(run).is_some(),
        ports: of_tcp.map(|forward| forward.guest).collect(),
        ..settings::Machine::default()
    })
}

fn wanted(way: Way) -> Wanted {
    match way {
        Way::Auto => Wanted::Best,
        Way::Vsock => Wanted::Vhost,
        Way::VhostUser => Wanted::VhostUser,
        Way::Serial => Wanted::Serial,
    }
}

fn introduce(run: &Run, kernel: &Kernel, spec: &Spec, machine: &Machine) {
    let version = kernel.version.as_deref().unwrap_or("of an unknown version");
    let text = format!(
        "machine {}: Linux {version}, {}, {}, {}, {}",
        machine.directory().id(),
        counted(spec.cpus.into(), "processor", "processors"),
        Bytes(spec.memory),
        spec.accelerator,
        spec.channel,
    );
    tell(run, &text);
}

/// For people, so on standard error; nothing is lost when that is closed.
fn tell(run: &Run, text: &str) {
    if !run.quiet {
        let _ = writeln!(anstream::stderr().lock(), "{}", Line(text));
    }
}
