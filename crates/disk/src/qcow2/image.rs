//! A whole disk as an image: only the clusters that are not zeros.
//!
//! The file is written from its beginning to its end, once: the header's cluster, the L1 table, then for each 512 MiB of the disk
//! that have data their L2 table and their data, then the refcounts, which say 1 of every cluster. One L2 table and one piece
//! of data are in memory at a time.
//!
//! What is left out depends on the bytes alone, not on which of them the raw file has as holes. So the same disk gives the
//! same file.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::header::{Header, disk_size};
use super::{CLUSTER, ENTRY, L1_SPAN, REFCOUNT, l1_entries};
use crate::error::{IoContext, Result};
use crate::observer::{Observer, Progress};
use crate::raw::Raw;
use crate::sparse::{self, is_zero};

/// The bit of an L1 or L2 entry that says that what it leads to is in use once (`QCOW_OFLAG_COPIED`).
const COPIED: u64 = 1 << 63;
/// Where the L1 table begins, in clusters.
const L1_TABLE: u64 = 1;
/// Clusters that are read at once.
const READ_CLUSTERS: u64 = 16;

/// Writes the disk `raw` into `file`, which is empty, and returns the file's length; `path` is what errors call it.
///
/// A disk whose length is no multiple of 512 bytes gets zeros up to one.
///
/// # Errors
/// The disk is larger than 64 TiB, a file cannot be read or written, or it was cancelled.
pub fn write(raw: &Raw, file: &File, path: &Path, observer: &dyn Observer) -> Result<u64> {
    let size = disk_size(raw.len())?;
    let l1 = l1_entries(size);
    let first = L1_TABLE + (l1 * ENTRY).div_ceil(CLUSTER);
    let mut image = Image { file, path, next: first, span: None };
    let mut progress = Progress::begin(observer, raw.len())?;

    let mut buffer = vec![0; (READ_CLUSTERS * CLUSTER) as usize];
    // The end of what was read.
    let mut at = 0;
    for extent in raw.data() {
        let extent = extent.at("find the holes of", raw.path())?;
        // Several extents may be in one cluster, which is read once and whole.
        let start = (extent.start - extent.start % CLUSTER).max(at);
        let end = extent.end.next_multiple_of(CLUSTER).min(raw.len());
        if start >= end {
            continue;
        }
        progress.add(start - at)?;
        at = start;
        while at < end {
            let len = (end - at).min(READ_CLUSTERS * CLUSTER);
            let piece = buffer.get_mut(..len as usize).unwrap_or_default();
            raw.read_at(piece, at)?;
            image.piece(at, piece)?;
            at += len;
            progress.add(len)?;
        }
    }
    image.end_span()?;
    let (refcount_table, refcount_table_clusters) = image.refcounts()?;
    let header = Header { size, backing: None, l1_table: L1_TABLE, refcount_table, refcount_table_clusters };
    image.put(&header.encode()?, 0)?;
    let length = image.next * CLUSTER;
    // What was not written reads as zeros: the end of the L1 table, of the last cluster.
    file.set_len(length).at("set the size of", path)?;
    progress.end();
    Ok(length)
}

/// An image that is being written.
struct Image<'a> {
    file: &'a File,
    path: &'a Path,
    /// The cluster of the file that is used next.
    next: u64,
    /// The part of the disk whose clusters are being written.
    span: Option<Span>,
}

/// What one L2 table is about.
struct Span {
    /// Its entry of the L1 table.
    index: u64,
    /// The cluster of the L2 table.
    cluster: u64,
    table: Vec<u8>,
}

impl Image<'_> {
    /// Writes what of a piece of the disk is not zeros. It begins with a cluster.
    fn piece(&mut self, at: u64, piece: &[u8]) -> Result<()> {
        // Neighbours go in one call.
        let mut run: Option<(u64, Range<usize>)> = None;
        let mut start = 0;
        for cluster in piece.chunks(CLUSTER as usize) {
            let range = start..start + cluster.len();
            start = range.end;
            if is_zero(cluster) {
                self.flush(piece, run.take())?;
                continue;
            }
            let place = self.place(at + range.start as u64)?;
            run = match run {
                Some((first, before)) if first + (before.len() as u64).div_ceil(CLUSTER) == place => {
                    Some((first, before.start..range.end))
                }
                other => {
                    self.flush(piece, other)?;
                    Some((place, range))
                }
            };
        }
        self.flush(piece, run)
    }

    /// Writes a run of clusters of the piece. Zeros in them become holes, as the file is empty there.
    fn flush(&self, piece: &[u8], run: Option<(u64, Range<usize>)>) -> Result<()> {
        let Some((cluster, range)) = run else { return Ok(()) };
        let mut writer = sparse::Writer::new(self.file);
        let written = writer.skip(cluster * CLUSTER);
        written.and_then(|()| writer.write_all(piece.get(range).unwrap_or_default())).at("write", self.path)
    }

    /// Gives the disk's cluster at `at` a place, and returns that.
    fn place(&mut self, at: u64) -> Result<u64> {
        let index = at / L1_SPAN;
        if self.span.as_ref().is_some_and(|span| span.index != index) {
            self.end_span()?;
        }
        let span = self.span.get_or_insert_with(|| {
            let cluster = self.next;
            self.next += 1;
            Span { index, cluster, table: vec![0; CLUSTER as usize] }
        });
        let cluster = self.next;
        self.next += 1;
        let entry = (at % L1_SPAN / CLUSTER * ENTRY) as usize;
        if let Some(entry) = span.table.get_mut(entry..).and_then(<[u8]>::first_chunk_mut) {
            *entry = ((cluster * CLUSTER) | COPIED).to_be_bytes();
        }
        Ok(cluster)
    }

    /// Writes the L2 table that is complete, and its entry in the L1 table.
    fn end_span(&mut self) -> Result<()> {
        let Some(span) = self.span.take() else { return Ok(()) };
        self.put(&span.table, span.cluster)?;
        let entry = ((span.cluster * CLUSTER) | COPIED).to_be_bytes();
        self.file.write_all_at(&entry, L1_TABLE * CLUSTER + span.index * ENTRY).at("write", self.path)
    }

    /// Writes the refcounts of all clusters, their own too: 1 each. Returns the refcount table's first cluster and how many it has.
    fn refcounts(&mut self) -> Result<(u64, u64)> {
        const PER_BLOCK: u64 = CLUSTER / REFCOUNT;
        let used = self.next;
        // The more blocks there are, the more clusters they have to count: the sum grows until it is enough, soon.
        let (mut blocks, mut table) = (0, 0);
        loop {
            let all = used + blocks + table;
            let needed = (all.div_ceil(PER_BLOCK), (all.div_ceil(PER_BLOCK) * ENTRY).div_ceil(CLUSTER));
            if needed == (blocks, table) {
                break;
            }
            (blocks, table) = needed;
        }
        let all = used + blocks + table;
        let mut leads = Vec::new();
        for block in 0..blocks {
            let count = (all - block * PER_BLOCK).min(PER_BLOCK);
            let ones = 1_u16.to_be_bytes().repeat(count as usize);
            self.put(&ones, used + block)?;
            leads.extend_from_slice(&((used + block) * CLUSTER).to_be_bytes());
        }
        self.put(&leads, used + blocks)?;
        self.next = all;
        Ok((used + blocks, table))
    }

    fn put(&self, bytes: &[u8], cluster: u64) -> Result<()> {
        self.file.write_all_at(bytes, cluster * CLUSTER).at("write", self.path)
    }
}
