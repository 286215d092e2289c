//! A file on its way: what has come of it, and what becomes of a body that breaks off.
//!
//! As long as more comes, it is asked for more; a server that sends nothing new is asked a few times. A whole that came in several
//! pieces, in this attempt and in earlier ones, and is wrong, is fetched once more from its beginning: the pieces may be of
//! different files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use banger_oci::{Algorithm, Mismatch, Verifier};

use super::Content;
use crate::error::{Error, Result};
use crate::fetch::{Answer, Fetch};
use crate::file;
use crate::limits::{ATTEMPTS, TRIES};
use crate::watch::Watch;
use banger_error::ErrorKind;

/// Bytes that are read from a body at once.
const PIECE: usize = 256 << 10;

/// How long to wait before a server is asked again that sent nothing new; twice as long the next time.
const DELAY: Duration = Duration::from_millis(250);

/// How often it is asked meanwhile whether to go on.
const MOMENT: Duration = Duration::from_millis(50);

pub(super) struct Arrival<'a> {
    /// Locked for as long as it is open.
    file: File,
    path: PathBuf,
    url: &'a str,
    content: &'a Content,
    watch: &'a dyn Watch,
    /// Has been told of all the bytes that are there.
    verifier: Verifier,
    /// Whether not all of them came in one answer.
    of_pieces: bool,
}

/// How a body ended.
enum End {
    /// Nothing is missing.
    Complete,
    BrokenOff(io::Error),
}

impl<'a> Arrival<'a> {
    /// Goes on from what the file has.
    pub(super) fn new(
        file: File,
        path: PathBuf,
        url: &'a str,
        content: &'a Content,
        watch: &'a dyn Watch,
    ) -> Result<Self> {
        let length = file.metadata().map_err(Error::io("look at", &path))?.len();
        let mut arrival =
            Self { file, path, url, content, watch, verifier: Verifier::new(Algorithm::Sha256), of_pieces: false };
        if length > content.size {
            arrival.empty()?;
        } else if length > 0 {
            let verifier = &mut arrival.verifier;
            file::read_pieces(&arrival.file, &arrival.path, (0, length), watch, |_, piece| {
                verifier.update(piece);
                Ok(())
            })?;
            arrival.of_pieces = true;
        }
        Ok(arrival)
    }

    /// Fetches what is missing, and gives the file its name.
    pub(super) fn complete(mut self, name: &Path, fetch: &dyn Fetch) -> Result<File> {
        self.watch.resumed(self.length());
        let outcome = self.fetch_all(fetch);
        if outcome.is_err() && self.length() == 0 {
            // Of no use to anybody. That it cannot be removed is not what went wrong.
            let _ = fs::remove_file(&self.path);
        }
        outcome?;
        fs::rename(&self.path, name).map_err(Error::io("create", name))?;
        Ok(self.file)
    }

    fn fetch_all(&mut self, fetch: &dyn Fetch) -> Result<()> {
        let mut again = true;
        loop {
            let fetched = self.fetch_rest(fetch);
            let mismatch = match fetched.and_then(|()| self.verify()) {
                Err(error) if error.kind() == ErrorKind::Integrity => error,
                outcome => return outcome,
            };
            let of_pieces = self.of_pieces && self.length() == self.content.size;
            self.empty()?;
            if !(of_pieces && again) {
                return Err(mismatch);
            }
            again = false;
            self.watch.restarted();
        }
    }

    /// Asks until all bytes are there.
    fn fetch_rest(&mut self, fetch: &dyn Fetch) -> Result<()> {
        let mut furthest = self.length();
        let (mut attempts, mut tries, mut delay) = (0_u32, 0_u32, DELAY);
        while self.length() < self.content.size {
            self.go_on()?;
            let answer = fetch.get(self.url, self.length());
            let answer = answer.map_err(|source| Error::Fetch { url: self.url.to_owned(), source })?;
            self.check(&answer)?;
            if answer.offset != self.length() {
                self.empty()?;
                self.watch.restarted();
            }
            let End::BrokenOff(source) = self.take(answer)? else { continue };
            self.of_pieces = true;
            attempts = attempts.saturating_add(1);
            tries = if self.length() > furthest { 0 } else { tries.saturating_add(1) };
            if tries >= TRIES || attempts >= ATTEMPTS {
                return Err(Error::BrokenOff { url: self.url.to_owned(), received: self.length(), source });
            }
            if self.length() > furthest {
                (furthest, delay) = (self.length(), DELAY);
            } else {
                self.wait(delay)?;
                delay = delay.saturating_mul(2);
            }
        }
        Ok(())
    }

    /// Whether an answer is one to this question.
    fn check(&self, answer: &Answer) -> Result<()> {
        let (asked, size) = (self.length(), self.content.size);
        if answer.offset != asked && answer.offset != 0 {
            let reason =
                format!("it was asked for what begins at byte {asked}, and sent what begins at {}", answer.offset);
            return Err(Error::Protocol { url: self.url.to_owned(), reason });
        }
        match answer.total {
            Some(total) if total != size => Err(self.mismatch(Mismatch::Size { expected: size, actual: total })),
            _ => Ok(()),
        }
    }

    /// Takes what a body has.
    fn take(&mut self, answer: Answer) -> Result<End> {
        let Answer { mut body, total, .. } = answer;
        let mut buffer = vec![0; PIECE];
        loop {
            self.go_on()?;
            let missing = self.content.size.saturating_sub(self.length());
            // One byte more than is missing tells whether there are more.
            let length = usize::try_from(missing.saturating_add(1)).map_or(PIECE, |missing| missing.min(PIECE));
            let Some(room) = buffer.get_mut(..length) else { return Ok(End::Complete) };
            match body.read(room) {
                Ok(0) if missing == 0 => return Ok(End::Complete),
                // The server did not say how much there is, and this was all of it.
                Ok(0) if total.is_none() => {
                    let (expected, actual) = (self.content.size, self.length());
                    return Err(self.mismatch(Mismatch::Size { expected, actual }));
                }
                Ok(0) => return Ok(End::BrokenOff(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) if count as u64 > missing => {
                    return Err(self.mismatch(Mismatch::Longer { expected: self.content.size }));
                }
                Ok(count) => self.append(room.get(..count).unwrap_or_default())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // All that was promised is there: how the connection ends after that is of no interest.
                Err(_) if missing == 0 => return Ok(End::Complete),
                Err(error) => return Ok(End::BrokenOff(error)),
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let length = self.length();
        if let Err(error) = self.file.write_all_at(bytes, length) {
            // On a full disk, what cannot be counted on is not to take up the rest of it.
            let _ = self.file.set_len(length);
            return Err(Error::io("write", &self.path)(error));
        }
        self.verifier.update(bytes);
        self.watch.received(bytes.len() as u64);
        Ok(())
    }

    fn verify(&self) -> Result<()> {
        let verdict = self.verifier.clone().finish(&self.content.sha256, Some(self.content.size));
        verdict.map_err(|mismatch| self.mismatch(mismatch))
    }

    /// Forgets what has come.
    fn empty(&mut self) -> Result<()> {
        self.file.set_len(0).map_err(Error::io("empty", &self.path))?;
        self.verifier = Verifier::new(Algorithm::Sha256);
        self.of_pieces = false;
        Ok(())
    }

    fn wait(&self, delay: Duration) -> Result<()> {
        let mut left = delay;
        while !left.is_zero() {
            self.go_on()?;
            std::thread::sleep(left.min(MOMENT));
            left = left.saturating_sub(MOMENT);
        }
        Ok(())
    }

    fn go_on(&self) -> Result<()> {
        if self.watch.go_on() { Ok(()) } else { Err(Error::Cancelled) }
    }

    fn length(&self) -> u64 {
        self.verifier.size()
    }

    fn mismatch(&self, source: Mismatch) -> Error {
        Error::Integrity { what: self.url.to_owned(), source }
    }
}
