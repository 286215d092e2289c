//! The layers of an image, and how far each of them is.
//!
//! Two parties tell about a layer that comes from a registry: the registry counts the bytes that it receives, the build those
//! that it reads, a little later. A byte must not count twice, so for each layer one of them is believed: the registry for what
//! it fetches, the build for everything else (what is in the cache, what another process fetches, what comes from files).

use std::collections::HashMap;

use banger_api::event::{File, Layer as LayerSummary};

use super::short;
use crate::text::{Bytes, Line, counted};

/// All layers of an image.
#[derive(Debug, Default)]
pub(super) struct Layers {
    layers: Vec<Layer>,
    /// What the registry has told, by digest.
    blobs: HashMap<String, Blob>,
    /// The digests of these, in the order of the layers.
    order: Vec<String>,
}

#[derive(Debug)]
struct Layer {
    summary: LayerSummary,
    /// Whether a lower layer is the same blob. It is fetched once, and read twice.
    is_repeated: bool,
    read: u64,
}

#[derive(Debug)]
struct Blob {
    size: u64,
    state: State,
    received: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// It is in the cache.
    Here,
    /// It is being fetched, or will be.
    Coming,
    /// Another process fetches it.
    Elsewhere,
}

impl Layers {
    /// The registry says what the image consists of.
    pub(super) fn announce(&mut self, blobs: &[File]) {
        self.order = blobs.iter().map(|blob| blob.digest.clone()).collect();
        for blob in blobs {
            let state = if blob.cached { State::Here } else { State::Coming };
            self.blobs.insert(blob.digest.clone(), Blob { size: blob.size, state, received: 0 });
        }
    }

    /// These blobs are the layers that are shown. Nobody will read them: what is in the cache is done.
    pub(super) fn set_to_blobs(&mut self, blobs: &[File]) {
        self.set(blobs.iter().map(|blob| LayerSummary { name: blob.digest.clone(), size: Some(blob.size) }));
        for (layer, blob) in self.layers.iter_mut().zip(blobs) {
            layer.read = if blob.cached { blob.size } else { 0 };
        }
    }

    /// These are the layers that are shown, the lowest first.
    pub(super) fn set(&mut self, layers: impl IntoIterator<Item = LayerSummary>) {
        self.layers.clear();
        for summary in layers {
            let is_repeated = self.layers.iter().any(|layer| layer.summary.name == summary.name);
            self.layers.push(Layer { summary, is_repeated, read: 0 });
        }
    }

    pub(super) fn len(&self) -> usize {
        self.layers.len()
    }

    pub(super) fn name(&self, layer: usize) -> &str {
        self.layers.get(layer).map_or("", |layer| &layer.summary.name)
    }

    pub(super) fn size(&self, layer: usize) -> Option<u64> {
        self.layers.get(layer)?.summary.size
    }

    /// The lowest layer that is this blob.
    pub(super) fn of_blob(&self, digest: &str) -> Option<usize> {
        self.layers.iter().position(|layer| layer.summary.name == digest)
    }

    /// The place of a blob among the layers, from 0; among the files that are downloaded, as long as it is not known which
    /// of them are layers. What is neither comes last.
    pub(super) fn place_of_blob(&self, digest: &str) -> usize {
        let announced = || self.order.iter().position(|other| other == digest);
        self.of_blob(digest).or_else(announced).unwrap_or(usize::MAX)
    }

    /// A name that no other bar has: the layer's number, and as much of its digest as fits into so many columns.
    pub(super) fn bar_name(&self, place: usize, name: &str, columns: usize) -> String {
        let count = if self.layers.is_empty() { self.order.len() } else { self.layers.len() };
        let name = Line(&short(name)).to_string();
        if place >= count {
            return name;
        }
        let number = format!("{}/{count} ", place.saturating_add(1));
        let room = columns.saturating_sub(number.chars().count());
        // Where it does not fit, the digest says more than the name of its algorithm.
        let fits = name.chars().count() <= room;
        let hex = name.strip_prefix("sha256:").or_else(|| name.strip_prefix("sha512:"));
        let name = if fits { &name } else { hex.unwrap_or(&name) };
        number + &name.chars().take(room).collect::<String>()
    }

    /// The size of a blob that is, or may be, a layer.
    pub(super) fn blob_size(&self, digest: &str) -> Option<u64> {
        self.blobs.get(digest).map(|blob| blob.size)
    }

    /// Whether it is the registry that tells how far a layer is.
    pub(super) fn is_fetched(&self, layer: usize) -> bool {
        let Some(layer) = self.layers.get(layer) else { return false };
        let blob = self.blobs.get(&layer.summary.name);
        !layer.is_repeated && blob.is_some_and(|blob| blob.state == State::Coming)
    }

    /// A blob is being fetched from here on.
    pub(super) fn begin(&mut self, digest: &str, resumed: u64) {
        if let Some(blob) = self.blobs.get_mut(digest) {
            (blob.state, blob.received) = (State::Coming, resumed);
        }
    }

    pub(super) fn receive(&mut self, digest: &str, bytes: u64) {
        if let Some(blob) = self.blobs.get_mut(digest) {
            blob.received = blob.received.saturating_add(bytes);
        }
    }

    /// A blob is fetched by another process.
    pub(super) fn leave_to_another(&mut self, digest: &str) {
        if let Some(blob) = self.blobs.get_mut(digest) {
            blob.state = State::Elsewhere;
        }
    }

    pub(super) fn advance(&mut self, layer: usize, bytes: u64) {
        if let Some(layer) = self.layers.get_mut(layer) {
            layer.read = layer.read.saturating_add(bytes);
        }
    }

    /// Bytes of all layers that are done.
    pub(super) fn done(&self) -> u64 {
        let done = |(index, layer): (usize, &Layer)| match self.blobs.get(&layer.summary.name) {
            Some(blob) if self.is_fetched(index) => blob.received,
            _ => layer.read,
        };
        self.layers.iter().enumerate().map(done).fold(0, u64::saturating_add)
    }

    /// Compressed size of all layers, where it is known of each.
    pub(super) fn total(&self) -> Option<u64> {
        self.layers.iter().try_fold(0u64, |sum, layer| sum.checked_add(layer.summary.size?))
    }

    /// The first line: how much there is to read, and how much of it is here already.
    pub(super) fn overview(&self) -> String {
        let mut text = counted(self.layers.len() as u64, "layer", "layers");
        if let Some(total) = self.total() {
            text += &format!(", {}", Bytes(total));
        }
        let (mut blobs, mut cached, mut bytes) = (0u64, 0u64, 0u64);
        for layer in self.layers.iter().filter(|layer| !layer.is_repeated) {
            let Some(blob) = self.blobs.get(&layer.summary.name) else { continue };
            blobs += 1;
            if blob.state == State::Here {
                cached += 1;
                bytes = bytes.saturating_add(blob.size);
            }
        }
        match cached {
            0 => {}
            _ if cached == blobs => text += ", in the cache",
            _ => text += &format!(", of which {} in the cache", Bytes(bytes)),
        }
        text
    }

    /// The line of a layer that has been read.
    pub(super) fn read_line(&self, layer: usize, entries: usize) -> String {
        let read = self.layers.get(layer).map_or(0, |layer| layer.read);
        let entries = counted(entries as u64, "entry", "entries");
        format!("{}: {}, {entries}", self.title(layer), Bytes(read))
    }

    /// The line of a layer that has been fetched.
    pub(super) fn fetched_line(&self, layer: usize) -> String {
        format!("{}: {}", self.title(layer), Bytes(self.size(layer).unwrap_or_default()))
    }

    fn title(&self, layer: usize) -> String {
        let name = short(self.name(layer));
        format!("layer {}/{} {}", layer.saturating_add(1), self.layers.len(), Line(&name))
    }
}

/// The line of a blob that need not be fetched, because somebody else does.
pub(super) fn shared(digest: &str) -> String {
    format!("{} is being fetched by another process", short(digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_oci::Digest;

    fn layer(name: impl ToString, size: Option<u64>) -> LayerSummary {
        LayerSummary { name: name.to_string(), size }
    }

    fn blob(content: &str, size: u64, cached: bool) -> File {
        File { digest: Digest::sha256(content.as_bytes()).to_string(), size, cached }
    }

    fn of(summaries: impl IntoIterator<Item = LayerSummary>) -> Layers {
        let mut layers = Layers::default();
        layers.set(summaries);
        layers
    }

    #[test]
    fn sizes_are_told_where_all_are_known() {
        assert_eq!(of([layer("a", Some(1024)), layer("b", Some(2048))]).overview(), "2 layers, 3.0 KiB");
        assert_eq!(of([layer("a", Some(1024)), layer("b", None)]).overview(), "2 layers");
        assert_eq!(of([]).overview(), "0 layers, 0 B");
    }

    #[test]
    fn a_finished_layer_has_its_number() {
        let mut layers = of([layer("one", None), layer("two", Some(7))]);
        layers.advance(1, 5 << 20);
        assert_eq!(layers.read_line(1, 1234), "layer 2/2 two: 5.0 MiB, 1,234 entries");
        assert_eq!(layers.fetched_line(1), "layer 2/2 two: 7 B");
    }

    #[test]
    fn what_is_in_the_cache_is_told() {
        for (cached, expected) in [
            ([false, false], "2 layers, 3.0 KiB"),
            ([true, false], "2 layers, 3.0 KiB, of which 1.0 KiB in the cache"),
            ([true, true], "2 layers, 3.0 KiB, in the cache"),
        ] {
            let mut layers = Layers::default();
            let blobs = [blob("a", 1024, cached[0]), blob("b", 2048, cached[1])];
            layers.announce(&blobs);
            layers.set(blobs.iter().map(|blob| layer(&blob.digest, Some(blob.size))));
            assert_eq!(layers.overview(), expected);
        }
    }

    #[test]
    fn no_two_bars_have_one_name() {
        let digest = Digest::sha256(b"x").to_string();
        let layers = of([layer(&digest, None), layer("./added", None), layer(&digest, None)]);
        let hex = &digest["sha256:".len()..][..12];
        assert_eq!(layers.bar_name(0, &digest, 24), format!("1/3 sha256:{hex}"));
        assert_eq!(layers.bar_name(2, &digest, 24), format!("3/3 sha256:{hex}"));
        assert_eq!(layers.bar_name(1, "./added", 24), "2/3 ./added");
        assert_eq!(layers.bar_name(2, &digest, 16), format!("3/3 {hex}"));
        assert_eq!(layers.bar_name(2, &digest, 10), format!("3/3 {}", &hex[..6]));
        assert_eq!(layers.bar_name(usize::MAX, &digest, 16), format!("sha256:{hex}"));
    }

    #[test]
    fn blobs_are_in_the_order_of_the_layers() {
        let blobs = [blob("a", 1, false), blob("b", 1, false)];
        let mut layers = Layers::default();
        layers.announce(&blobs);
        assert_eq!(layers.place_of_blob(&blobs[1].digest), 1);
        let [a, b] = blobs.each_ref().map(|blob| layer(&blob.digest, Some(1)));
        layers.set([a.clone(), a, b]);
        assert_eq!(layers.place_of_blob(&blobs[1].digest), 2);
        assert_eq!(layers.place_of_blob("sha256:other"), usize::MAX);
    }

    /// Whoever tells about a layer, in the end it counts once.
    #[test]
    fn bytes_count_once() {
        let blobs = [blob("here", 10, true), blob("coming", 100, false), blob("elsewhere", 1000, false)];
        let [here, coming, elsewhere] = blobs.each_ref().map(|blob| blob.digest.clone());
        let mut layers = Layers::default();
        layers.announce(&blobs);
        // Received before the build knows its layers, which come with an addition and one of them twice.
        layers.begin(&coming, 40);
        layers.receive(&coming, 5);
        layers.set([
            layer(&here, Some(10)),
            layer(&coming, Some(100)),
            layer(&elsewhere, Some(1000)),
            layer(&coming, Some(100)),
            layer("./added", None),
        ]);
        assert_eq!(layers.done(), 45);
        layers.leave_to_another(&elsewhere);
        assert_eq!([0, 1, 2, 3, 4].map(|index| layers.is_fetched(index)), [false, true, false, false, false]);
        layers.receive(&coming, 55);
        for (index, bytes) in [(0, 10), (1, 100), (2, 1000), (3, 100), (4, 3)] {
            layers.advance(index, bytes);
        }
        assert_eq!(layers.done(), 1213);
        // The other process gave up.
        layers.begin(&elsewhere, 600);
        assert_eq!((layers.is_fetched(2), layers.done()), (true, 813));
    }
}
