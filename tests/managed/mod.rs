//! Managed images: pulled, listed, started, pushed and removed, through the program and through its daemon.

mod again;
mod bench;
mod daemon;
mod debian;
mod distribution;
mod failures;
mod flow;
mod full;
mod hostile;
mod kernels;
mod leavings;
mod network;
mod replace;
mod socket;
mod start;
mod together;
