//! The life of a machine: started, waited for, stopped; killed when it is dropped.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use banger_disk::qcow2;
use banger_protocol::SERIAL_PORTS;
use banger_protocol::disk;
use banger_protocol::health::Health;
use banger_protocol::settings;
use banger_protocol::shutdown::Action;

use crate::accel::Accelerator;
use crate::child::{self, Child};
use crate::client::{Client, ClientError, Connector};
use crate::directory::Directory;
use crate::error::{At, Error, Result};
use crate::forward::Forward;
use crate::limits::{HELPER, LOOK};
use crate::log;
use crate::qemu::{self, Devices, Wire};
use crate::trouble::Trouble;
use crate::vsock::{self, Channel};

/// Names of a machine's files.
const SERIAL_LOG: &str = "serial.log";
const QEMU_LOG: &str = "qemu.log";
const DISK: &str = "overlay.qcow2";
const CONFIG: &str = "config.img";

/// The only context id that a device of its own needs: no other machine shares it.
const PRIVATE_CID: u32 = 3;

/// What a machine is to be.
#[derive(Clone, Debug)]
pub struct Spec {
    /// QEMU.
    pub qemu: PathBuf,
    /// What executes it.
    pub accelerator: Accelerator,
    /// How the agent is reached.
    pub channel: Channel,
    /// Processors.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// The kernel's file.
    pub kernel: PathBuf,
    /// The initial RAM disk.
    pub initrd: PathBuf,
    /// The program that is process 1, where that is not left to the initial RAM disk.
    pub init: Option<String>,
    /// How many seconds a workload that has ended waits for somebody to ask how.
    pub wait: Option<u64>,
    /// More words for the kernel's command line.
    pub append: String,
    /// The image with the root file system. It is only read.
    pub image: PathBuf,
    /// Bytes of the machine's disk, where it is to be larger than the image.
    pub disk_size: Option<u64>,
    /// Whether the disk need not outlast a crash of the host.
    pub throw_away: bool,
    /// What the machine is told.
    pub settings: settings::Machine,
    /// Ports of the host.
    pub forwards: Vec<Forward>,
}

/// A machine that runs, or ran.
#[derive(Debug)]
pub struct Machine {
    // In this order: QEMU goes before what it needs, and the directory last.
    qemu: Child,
    _helper: Option<Child>,
    client: Client,
    /// The way to the agent while the machine starts.
    first: Client,
    started: Instant,
    directory: Directory,
}

/// How long an agent is asked to end its machine before it is looked whether there still is one.
const ASK: Duration = Duration::from_secs(2);

impl Machine {
    /// Starts a machine in a directory of its own.
    ///
    /// # Errors
    /// A file cannot be written, or a program cannot be started. That QEMU refuses what it is told comes out when the machine is
    /// [waited for](Self::wait_ready).
    pub fn start(spec: &Spec, mut directory: Directory) -> Result<Self> {
        let image = std::path::absolute(&spec.image).at("find", &spec.image)?;
        let length = image.metadata().at("read the size of", &image)?.len();
        let size = spec.disk_size.unwrap_or(length);
        if size < length {
            return Err(Error::DiskSize { size, image: length });
        }
        let disk = directory.file(DISK);
        std::fs::write(&disk, qcow2::overlay(&image, size)?).at("write", &disk)?;
        let config = directory.file(CONFIG);
        std::fs::write(&config, disk::encode(&spec.settings)).at("write", &config)?;
        let serial = directory.file(SERIAL_LOG);
        std::fs::write(&serial, b"").at("write", &serial)?;

        let way = connect(&spec.channel, &mut directory)?;
        let command_line = qemu::command_line(spec.accelerator, spec.init.as_deref(), spec.wait, &spec.append);
        let devices = Devices {
            accelerator: spec.accelerator,
            cpus: spec.cpus,
            memory: spec.memory,
            kernel: &spec.kernel,
            initrd: &spec.initrd,
            command_line: &command_line,
            disk: &disk,
            throw_away: spec.throw_away,
            config: &config,
            forwards: &spec.forwards,
            log: &serial,
            wire: &way.wire,
        };
        let started = Instant::now();
        let log = directory.file(QEMU_LOG);
        let qemu = Child::start(&spec.qemu, devices.arguments(), &log, &directory.file("qemu.pid"))?;
        let client = Client::new(way.connector);
        let first = way.first.map_or_else(|| client.clone(), Client::new);
        Ok(Self { qemu, _helper: way.helper, client, first, started, directory })
    }

    /// Waits until the agent has done what it does at boot. `go_on` is asked now and then whether that still makes sense.
    ///
    /// # Errors
    /// The machine stopped before, the time is over, or `go_on` says no.
    pub fn wait_ready(&self, limit: Duration, go_on: &dyn Fn() -> bool) -> Result<Health> {
        let deadline = Instant::now().checked_add(limit).unwrap_or_else(Instant::now);
        self.first.wait_healthy(deadline, || go_on() && self.is_running()).map_err(|error| match error {
            ClientError::Gone if self.is_running() => Error::Interrupted,
            ClientError::Gone => self.stopped(),
            ClientError::NotHealthy { .. } => Error::Silent { seconds: limit.as_secs(), words: self.last_words() },
            other => other.into(),
        })
    }

    /// The conversation with its agent.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// When QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What it has on the host.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Has what it has on the host stay when it ends.
    ///
    /// # Errors
    /// That cannot be noted.
    pub fn keep(&mut self) -> Result<()> {
        self.directory.keep()
    }

    /// What it writes to its serial console.
    pub fn serial_log(&self) -> PathBuf {
        self.directory.file(SERIAL_LOG)
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.qemu.status().is_none()
    }

    /// Waits until it ends by itself, for a limited time and as long as `go_on` says yes; whether it did.
    pub fn wait(&self, limit: Duration, go_on: &dyn Fn() -> bool) -> bool {
        let start = Instant::now();
        while self.is_running() {
            if start.elapsed() >= limit || !go_on() {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }

    /// Has the guest end itself, and kills it if it has not within the time, or when `go_on` says no; whether it ended itself.
    pub fn stop(&self, limit: Duration, go_on: &dyn Fn() -> bool) -> bool {
        let begun = Instant::now();
        let left = || limit.saturating_sub(begun.elapsed());
        let asking = self.client.clone().with_patience(ASK.min(limit));
        // An agent that cannot be asked has perhaps begun to end the machine already.
        while asking.shutdown(Action::Poweroff).is_err() {
            if self.wait(LOOK, go_on) || left().is_zero() || !go_on() {
                break;
            }
        }
        let ended = self.wait(left(), go_on);
        self.kill();
        ended
    }

    /// Ends it at once.
    pub fn kill(&self) {
        self.qemu.kill();
    }

    /// Why it is not running, as an error.
    pub fn stopped(&self) -> Error {
        let said = log::tail(&self.directory.file(QEMU_LOG));
        if let Some(trouble) = Trouble::of(&said).filter(|_| !self.is_running()) {
            return Error::Qemu { trouble, words: said };
        }
        let status = self.qemu.status().map(child::words).unwrap_or_default();
        Error::Stopped { status, words: self.last_words() }
    }

    /// The last lines of QEMU, which says something when it does not start, or else of the console.
    fn last_words(&self) -> String {
        let words = log::tail(&self.directory.file(QEMU_LOG));
        if words.is_empty() || self.is_running() { log::tail(&self.serial_log()) } else { words }
    }
}

/// What leads to the agent.
struct Way {
    wire: Wire,
    /// The host's end.
    connector: Connector,
    /// Another, for as long as the machine starts.
    first: Option<Connector>,
    /// The program between them.
    helper: Option<Child>,
}

/// Prepares what leads to the agent.
fn connect(channel: &Channel, directory: &mut Directory) -> Result<Way> {
    let ports: Vec<PathBuf> = (0..SERIAL_PORTS.len()).map(|number| directory.socket(&format!("s{number}"))).collect();
    match channel {
        Channel::Vhost => {
            let cid = vsock::free_cid();
            Ok(Way { wire: Wire::Vhost(cid), connector: Connector::Vsock(cid), first: None, helper: None })
        }
        Channel::VhostUser(program) => {
            let (device, host) = (directory.socket("vhost"), directory.socket("vsock"));
            directory.leads_by(&host)?;
            let helper = vhost_user(program, &device, &host, directory)?;
            Ok(Way {
                wire: Wire::VhostUser(device, ports.clone()),
                connector: Connector::Hybrid(host),
                // Whoever connects while the guest's driver sets up its queues ends the thread of vhost-device-vsock (0.3.0) that
                // serves them, and with it all vsock of the machine. So nobody connects before the agent has answered in another way.
                first: Some(Connector::Serial(ports)),
                helper: Some(helper),
            })
        }
        Channel::Serial => Ok(Way {
            wire: Wire::Serial(ports.clone()),
            connector: Connector::Serial(ports),
            first: None,
            helper: None,
        }),
    }
}

/// Starts `vhost-device-vsock` and waits until it can be connected to.
fn vhost_user(program: &Path, device: &Path, host: &Path, directory: &Directory) -> Result<Child> {
    let mut vm = OsString::from(format!("guest-cid={PRIVATE_CID},socket="));
    vm.push(device);
    vm.push(",uds-path=");
    vm.push(host);
    let log = directory.file("vsock.log");
    let helper = Child::start(program, vec!["--vm".into(), vm], &log, &directory.file("vsock.pid"))?;
    let start = Instant::now();
    while !device.exists() {
        let status = helper.status().map(child::words);
        if status.is_some() || start.elapsed() > HELPER {
            let status = status.unwrap_or_else(|| "it makes no socket".to_owned());
            return Err(Error::Ended { program: program.display().to_string(), status, words: log::tail(&log) });
        }
        std::thread::sleep(LOOK);
    }
    Ok(helper)
}
