//! The workload of the image that comes with banger: says where it runs, and is done.

use std::fs;
use std::process::ExitCode;
use std::thread;

use rustix::system::{sysinfo, uname};

/// Bytes of a mebibyte.
const MIB: u64 = 1 << 20;

/// Says where it runs.
pub fn run() -> ExitCode {
    let system = uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let memory = sysinfo();
    let bytes = (memory.totalram as u64).saturating_mul(memory.mem_unit.into());
    let processors = thread::available_parallelism().map_or(1, usize::from);
    println!("Hello from a machine of its own.");
    println!("kernel      {} {} ({})", text(system.sysname()), text(system.release()), text(system.machine()));
    println!("host name   {}", text(system.nodename()));
    println!("processors  {processors}");
    println!("memory      {} MiB", bytes / MIB);
    println!("network     {}", address().as_deref().unwrap_or("none"));
    ExitCode::SUCCESS
}

/// What the service has noted of the network.
fn address() -> Option<String> {
    let record = fs::read(format!("{}/network.json", banger_protocol::paths::RUN)).ok()?;
    let record: serde_json::Value = serde_json::from_slice(&record).ok()?;
    let network = record.get("network")?;
    let of = |name| network.get(name).and_then(serde_json::Value::as_str);
    Some(format!("{} on {}", of("address")?, of("interface")?))
}
