//! What the tests of this crate share.

mod kernels;

use std::io::Write;

pub(crate) use self::kernels::{bzimage, cpio, image, module};

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
