//! Writes a bundle.
//!
//! The root file system is read twice: for its digest and its holes, which stand before its data, and for the data. If it is another one the
//! second time, there is no bundle.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use banger_oci::{Algorithm, Digest, Verifier};
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder;

use super::output::Output;
use super::survey::{Survey, survey};
use super::{Manifest, Rootfs, SUFFIX, VERSION, archive, hash_zeros};
use crate::error::{Error, Result};
use crate::file;
use crate::watch::Watch;

/// How hard zstd tries: higher levels cost several times as much time for a few percent. A bundle is made once, but by somebody who waits.
const LEVEL: i32 = 9;

/// Binary logarithm of the window: 128 MiB, the most that `zstd -d` takes without an option.
const WINDOW_LOG: u32 = 27;

/// Bytes of a job, of which the threads of zstd do one each. The bytes that come out depend on it, and not on the number of threads.
const JOB_BYTES: u32 = 16 << 20;

/// Digits of the digest in a bundle's name.
const NAME_DIGITS: usize = 16;

/// A bundle that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Digest of its file.
    pub sha256: Digest,
    /// Bytes of its file.
    pub size: u64,
}

/// Writes the bundle of an image into a directory. `path` names the root file system in errors. The manifest's version and its root
/// file system are filled in here.
///
/// # Errors
/// The manifest is none, something cannot be read or written, or the root file system changes meanwhile. There is no file then.
pub fn write(
    manifest: &Manifest,
    rootfs: &File,
    path: &Path,
    directory: &Path,
    threads: NonZeroU32,
    watch: &dyn Watch,
) -> Result<Written> {
    let survey = survey(rootfs, path, watch)?;
    let manifest = Manifest {
        version: VERSION,
        rootfs: Rootfs { size: survey.size, sha256: survey.sha256.hex() },
        ..manifest.clone()
    };
    manifest.check()?;
    let json = manifest.to_json()?;
    let output = Output::create(directory)?;
    let written = |error: io::Error| Error::io("write a bundle into", directory)(error);
    let mut encoder = encoder(output, threads).map_err(written)?;
    let mut head = archive::manifest_header(json.len() as u64)?;
    head.extend(json);
    archive::pad(&mut head);
    head.extend(archive::rootfs_head(&survey)?);
    encoder.write_all(&head).map_err(written)?;
    copy(&survey, rootfs, path, &mut encoder, watch)?;
    encoder.write_all(&archive::END).map_err(written)?;
    let output = encoder.finish().map_err(written)?;
    let named = |digest: &Digest| {
        let digits: String = digest.hex().chars().take(NAME_DIGITS).collect();
        format!("{}-{digits}{SUFFIX}", manifest.name)
    };
    let (path, sha256, size) = output.publish(named)?;
    Ok(Written { path, sha256, size })
}

fn encoder(output: Output, threads: NonZeroU32) -> io::Result<Encoder<'static, Output>> {
    let mut encoder = Encoder::new(output, LEVEL)?;
    // What is not set here would be chosen by zstd from the size, or the number of threads.
    encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
    encoder.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
    encoder.set_parameter(CParameter::ChecksumFlag(true))?;
    encoder.set_parameter(CParameter::JobSize(JOB_BYTES))?;
    encoder.set_parameter(CParameter::NbWorkers(threads.get()))?;
    Ok(encoder)
}

/// Copies the data of a root file system, and its padding.
fn copy(
    survey: &Survey,
    rootfs: &File,
    path: &Path,
    encoder: &mut Encoder<'_, Output>,
    watch: &dyn Watch,
) -> Result<()> {
    let changed = || Error::Changed { what: path.display().to_string() };
    let mut verifier = Verifier::new(Algorithm::Sha256);
    let mut stored = 0_u64;
    for run in &survey.runs {
        let hole = run.start.saturating_sub(verifier.size());
        hash_zeros(&mut verifier, hole, watch)?;
        file::read_pieces(rootfs, path, (run.start, run.end), watch, |_, piece| {
            verifier.update(piece);
            stored = stored.saturating_add(piece.len() as u64);
            encoder.write_all(piece).map_err(|error| {
                let directory = encoder.get_ref().directory().to_owned();
                Error::io("write a bundle into", &directory)(error)
            })?;
            watch.advanced(verifier.size(), survey.size);
            Ok(())
        })?;
        if verifier.size() != run.end {
            return Err(changed());
        }
    }
    let hole = survey.size.saturating_sub(verifier.size());
    hash_zeros(&mut verifier, hole, watch)?;
    verifier.finish(&survey.sha256, Some(survey.size)).map_err(|_| changed())?;
    watch.advanced(survey.size, survey.size);
    let padding = stored.next_multiple_of(archive::END.len() as u64 / 2).saturating_sub(stored);
    let padding = archive::END.get(..usize::try_from(padding).unwrap_or(0)).unwrap_or_default();
    encoder.write_all(padding).map_err(Error::io("write a bundle into", encoder.get_ref().directory()))
}
