//! Starts a machine from an image and a kernel, and talks to the agent in it.
//!
//! - [`kernel`]: which kernel; [`initrd`]: the initial RAM disk that gets it to its root
//! - [`accel`]: whether KVM works; [`vsock`]: how the host reaches the agent; [`forward`]: ports
//! - [`qemu`]: the command line
//! - [`directory`]: what a machine has on the host; [`machine`]: its life
//! - [`log`]: its serial console; [`trouble`]: what QEMU means when it does not start
//! - [`client`]: the conversation with its agent

pub mod accel;
mod child;
pub mod client;
pub mod directory;
mod error;
pub mod forward;
pub mod initrd;
pub mod kernel;
mod limits;
pub mod log;
pub mod machine;
pub mod qemu;
pub mod trouble;
pub mod vsock;

pub use self::accel::Accelerator;
pub use self::directory::Directory;
pub use self::error::{Error, Result};
pub use self::forward::Forward;
pub use self::kernel::Kernel;
pub use self::machine::{Machine, Spec};
pub use self::trouble::Trouble;
pub use self::vsock::Channel;
pub use banger_error::ErrorKind;
