//! Machines: any image boots, and answers. Each of these tests boots QEMU through `banger run`, without KVM where there is none.

mod access;
mod command;
mod config_disk;
mod container;
mod first_boot;
mod inits;
mod next;
mod stress;
mod systemd;
mod terminal;
mod workload;
