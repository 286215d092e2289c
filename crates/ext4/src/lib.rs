//! Writes ext4 images in one pass, and reads them back.

pub mod spec;
