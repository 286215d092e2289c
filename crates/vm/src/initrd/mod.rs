//! The initial RAM disk that gets a machine to its root file system: the agent, which mounts it and goes there, and the modules that
//! the kernel needs for that (`crates/agent`, role "initial RAM disk").
//!
//! ```text
//! /init               the agent
//! /banger-initrd      the mark by which it knows its role
//! /modules/order      names of modules, in the order in which they are loaded
//! /modules/NAME.ko    those modules, decompressed
//! /dev/console        so that there are messages before devtmpfs is there
//! ```
//!
//! Nothing in it depends on time or place: the same agent and modules give the same bytes. It is not compressed, which any kernel
//! takes, and costs less than to inflate it in an emulated machine.

mod cpio;
mod modules;

use std::path::Path;

use banger_kmod::Loadable;
use banger_protocol::paths::{INITRD_MARK, INITRD_MODULES};

use self::cpio::Archive;
use crate::error::Result;

/// The RAM disk's bytes. Without a directory of modules the kernel has to have all drivers built in.
///
/// # Errors
/// The modules cannot be read, or there is none for the disk.
pub fn build(agent: &[u8], modules: Option<&Path>) -> Result<Vec<u8>> {
    let modules = modules.map(modules::choose).transpose()?.unwrap_or_default();
    let mut archive = Archive::default();
    for directory in ["dev", "proc", "sys", "root", "modules"] {
        archive.directory(directory)?;
    }
    archive.device("dev/console", 5, 1)?;
    archive.executable("init", agent)?;
    archive.file(relative(INITRD_MARK), b"")?;
    let mut order = String::new();
    for module in &modules {
        order.push_str(&file_name(module));
        order.push('\n');
    }
    archive.file(relative(INITRD_MODULES), order.as_bytes())?;
    for module in &modules {
        archive.file(&format!("modules/{}", file_name(module)), &module.content)?;
    }
    archive.finish()
}

fn file_name(module: &Loadable) -> String {
    format!("{}.ko", module.name)
}

/// Names in the archive begin at its root.
fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}
