//! `floor LAYOUT [THREADS]`: the least that a program must do which checks an image and uses its content.
//!
//! Inflates every layer of the first image in an OCI layout, computes the digest of the compressed and of the
//! uncompressed bytes, compares both with what the image says, and writes nothing. Each thread takes the largest layer that
//! nobody has yet. Prints one JSON object; `bench/run.py` divides banger's times by `seconds`.
//!
//! Its decompressors are banger's own (flate2 with zlib-rs, zstd), its buffers small enough to stay in a core's cache:
//! both programs share the cost of what cannot be avoided, and the ratio is the price of everything else.

mod layout;
mod stream;

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use layout::Layer;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let layout = arguments.next().ok_or("usage: floor LAYOUT [THREADS]")?;
    let threads = match arguments.next().and_then(|text| text.into_string().ok()) {
        Some(text) => text.parse()?,
        None => std::thread::available_parallelism()?.get(),
    };

    let started = Instant::now();
    let mut layers = layout::layers(Path::new(&layout))?;
    layers.sort_by_key(|layer| std::cmp::Reverse(layer.size));
    let bytes = check_all(&layers, threads)?;
    let seconds = started.elapsed().as_secs_f64();

    println!(
        "{}",
        serde_json::json!({ "seconds": seconds, "bytes": bytes, "layers": layers.len(), "threads": threads })
    );
    Ok(())
}

/// Checks all layers; the number of uncompressed bytes.
fn check_all(layers: &[Layer], threads: usize) -> Result<u64> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<u64> {
        let mut bytes = 0;
        while let Some(layer) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
            bytes += stream::check(layer).map_err(|error| format!("{}: {error}", layer.path.display()))?;
        }
        Ok(bytes)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut bytes = 0;
        for worker in workers {
            bytes += worker.join().map_err(|_| "a worker panicked")??;
        }
        Ok(bytes)
    })
}
