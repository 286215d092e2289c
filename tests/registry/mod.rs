//! Pulling from registries: what comes of it, what it costs, and what a bad server or a bad day can do.
//!
//! - [`debian`]: against Debian's `docker-registry`: the same image as from a layout, and nothing fetched twice
//! - [`layouts`]: what is written is a layout for everybody: the cache, and what `--to` makes
//! - [`case`]: how the tables of the next two are read
//! - [`hostile`]: servers that lie
//! - [`unreliable`]: servers that break, wait and forget
//! - [`tokens`]: Bearer, Basic, and what expires in mid-pull
//! - [`credentials`]: files, helpers, and which of them wins
//! - [`ways`]: mirrors and proxies
//! - [`artifacts`]: what stands beside images and is none
//! - [`tags`]: the tags of a repository
//! - [`killed`]: what is left of a pull that was killed, and what comes of the next
//! - [`together`]: several pulls at once
//! - [`cache`]: what is there need not be fetched, unless it is damaged

mod artifacts;
mod cache;
mod case;
mod credentials;
mod debian;
mod hostile;
mod killed;
mod layouts;
mod tags;
mod together;
mod tokens;
mod unreliable;
mod ways;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::image::{assert_same, build};
use crate::support::program::source;
use crate::support::registry::{Content, User};
use crate::support::{Layout, Run, Tar, scratch};

/// The name of the image that most tests pull.
const IMAGE: &str = "some/image:latest";

/// An image in a layout and in a registry's content, and what `banger build` makes of the layout.
struct Sample {
    _scratch: TempDir,
    layout: PathBuf,
    content: Content,
    /// What is expected, byte for byte.
    image: PathBuf,
}

impl Sample {
    /// A small image of three layers.
    fn small() -> Self {
        Self::of(layers(300_000))
    }

    fn of(layers: impl IntoIterator<Item = Tar>) -> Self {
        let scratch = scratch();
        let layout = Layout::of(scratch.path().join("layout"), layers).path().to_owned();
        let image = scratch.path().join("image");
        build(source("oci", &layout), &image, []);
        Self { content: Content::of(&layout), _scratch: scratch, layout, image }
    }

    /// What has been built must be what the layout gives.
    #[track_caller]
    fn assert_built(&self, image: &Path) {
        assert_same(&self.image, image);
    }

    /// Builds and compares.
    #[track_caller]
    fn check(&self, user: &User, reference: &str, options: &[&str]) -> Run {
        let run = user.build(reference, "image", options).ok();
        self.assert_built(&user.path("image"));
        run
    }
}

/// Three layers, of which the second holds so many bytes.
fn layers(bytes: usize) -> [Tar; 3] {
    let small = (0..50).fold(Tar::new().directory("etc", 0o755), |tar, number| {
        tar.file(&format!("etc/{number}"), format!("{number}\n").repeat(number * 3))
    });
    [
        small,
        Tar::new().directory("usr", 0o755).file("usr/large", noise(1, bytes)),
        Tar::new().whiteout("etc/7").file("etc/8", "from above").symlink("lib", "usr/lib"),
    ]
}

/// Bytes without a pattern, the same for the same seed.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        noise.extend(random(&mut state).to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

/// The next of a sequence of numbers (xorshift64*).
pub(crate) fn random(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}
