//! Random stacks of layers, merged by the product and by a model that shares nothing with it.
//!
//! The model is written from the rules in `docs/layers.md` as plainly as can be: directories are sorted maps, inodes
//! are counted references, every path is followed from the root every time. The names are few, so that collisions,
//! links as parents, hardlinks, whiteouts and opaque directories meet all the time.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod common;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use banger_layers::merge::MergeError;
use common::layer::{Item, Record, What, listing, merge};
use proptest::prelude::*;

/// Why the model refuses a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    LeavesRoot,
    BadWhiteout,
    NotDirectory,
    Loop,
    BadHardlink,
    Root,
}

fn refusal(error: &MergeError) -> Refusal {
    match error {
        MergeError::LeavesRoot { .. } => Refusal::LeavesRoot,
        MergeError::BadWhiteout { .. } => Refusal::BadWhiteout,
        MergeError::ParentNotDirectory { .. } => Refusal::NotDirectory,
        MergeError::TooManyLinks { .. } => Refusal::Loop,
        MergeError::HardlinkLeavesRoot { .. }
        | MergeError::HardlinkToNothing { .. }
        | MergeError::HardlinkToDirectory { .. }
        | MergeError::HardlinkToItself { .. } => Refusal::BadHardlink,
        MergeError::RootNotDirectory { .. } => Refusal::Root,
        other => panic!("{other}"),
    }
}

type Name = Vec<u8>;
type Inode = Rc<RefCell<Thing>>;

struct Thing {
    item: Item,
    kids: BTreeMap<Name, Inode>,
    implied: bool,
}

fn thing(item: Item, implied: bool) -> Inode {
    Rc::new(RefCell::new(Thing { item, kids: BTreeMap::new(), implied }))
}

fn implied(time: (i64, u32)) -> Inode {
    let path = Vec::new();
    thing(Item { path, what: What::Dir, mode: 0o755, uid: 0, gid: 0, time, xattrs: Vec::new() }, true)
}

fn is_dir(inode: &Inode) -> bool {
    inode.borrow().item.what == What::Dir
}

struct Model {
    root: Inode,
}

impl Model {
    fn new() -> Self {
        Self { root: implied((0, 0)) }
    }

    /// What stands at a list of real names, symlinks not followed.
    fn at(&self, names: &[Name]) -> Option<Inode> {
        names.iter().try_fold(self.root.clone(), |dir, name| dir.borrow().kids.get(name).cloned())
    }

    /// The real names of the directory that written names lead to. `make`: missing ones are made, with this time.
    /// `Ok(None)`: it is not there, and was not to be made.
    fn follow(&self, written: &[Name], make: Option<(i64, u32)>) -> Result<Option<Vec<Name>>, Refusal> {
        let mut todo: Vec<Name> = written.iter().rev().cloned().collect();
        let mut real: Vec<Name> = Vec::new();
        let mut hops = 0;
        while let Some(name) = todo.pop() {
            if name.is_empty() || name == b"." {
                continue;
            }
            if name == b".." {
                real.pop();
                continue;
            }
            real.push(name);
            let Some(found) = self.at(&real) else {
                if make.is_none() {
                    return Ok(None);
                }
                continue;
            };
            let target = match &found.borrow().item.what {
                What::Dir => continue,
                What::Symlink(target) => target.clone(),
                _ => return if make.is_some() { Err(Refusal::NotDirectory) } else { Ok(None) },
            };
            hops += 1;
            if hops > 40 {
                return Err(Refusal::Loop);
            }
            real.pop();
            if target[0] == b'/' {
                real.clear();
            }
            todo.extend(target.split(|&byte| byte == b'/').rev().map(<[u8]>::to_vec));
        }
        if let Some(time) = make {
            let mut dir = self.root.clone();
            for name in &real {
                let kid = dir.borrow_mut().kids.entry(name.clone()).or_insert_with(|| implied(time)).clone();
                dir = kid;
            }
        }
        Ok(Some(real))
    }

    /// Applies a layer, or says at which of its items it cannot.
    fn apply(&self, items: &[Item]) -> Result<(), (usize, Refusal)> {
        let mut own_directories = BTreeSet::new();
        for item in items.iter().filter(|item| item.what == What::Dir) {
            own_directories.extend(clean(&item.path));
        }
        let mut homes = Vec::new();
        let mut late = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let fail = |refusal| (index, refusal);
            // An item that leaves the root is refused when its turn comes, unless only a look shows what it is.
            let Some(names) = clean(&item.path) else {
                let last = item.path.split(|&b| b == b'/').rfind(|part| !part.is_empty() && *part != b".").unwrap();
                if last.starts_with(b".wh.") || last == b".." {
                    return Err(fail(Refusal::LeavesRoot));
                }
                continue;
            };
            let Some((marker, parent)) = names.split_last() else { continue };
            if aufs(&names) || !marker.starts_with(b".wh.") {
                continue;
            }
            let what = &marker[4..];
            if what.is_empty() || what == b"." || what == b".." {
                return Err(fail(Refusal::BadWhiteout));
            }
            // A lower layer's symlink that this layer replaces with a directory leads nowhere any more.
            let mut replaced = false;
            let mut sound = true;
            for length in 1..=parent.len() {
                let Some(before) = self.follow(&parent[..length - 1], None).map_err(fail)? else {
                    sound = false;
                    break;
                };
                let here = self.at(&[&before[..], &parent[length - 1..length]].concat());
                let link = here.is_some_and(|inode| matches!(inode.borrow().item.what, What::Symlink(_)));
                if link && own_directories.contains(&parent[..length]) {
                    replaced = true;
                    break;
                }
            }
            if replaced {
                late.push(index);
                continue;
            }
            homes.push(index);
            let dir = if sound { self.follow(parent, None).map_err(fail)? } else { None };
            let Some(dir) = dir.and_then(|names| self.at(&names)) else { continue };
            if marker == b".wh..wh..opq" {
                dir.borrow_mut().kids.clear();
            } else {
                dir.borrow_mut().kids.remove(what);
            }
        }
        for index in homes {
            let names = clean(&items[index].path).unwrap();
            match self.follow(&names[..names.len() - 1], Some(items[index].time)) {
                Ok(_) => {}
                Err(Refusal::NotDirectory) => late.push(index),
                Err(other) => return Err((index, other)),
            }
        }
        for (index, item) in items.iter().enumerate() {
            self.put(item).map_err(|refusal| (index, refusal))?;
        }
        for index in late {
            let names = clean(&items[index].path).unwrap();
            self.follow(&names[..names.len() - 1], Some(items[index].time)).map_err(|refusal| (index, refusal))?;
        }
        Ok(())
    }

    fn put(&self, item: &Item) -> Result<(), Refusal> {
        let names = clean(&item.path).ok_or(Refusal::LeavesRoot)?;
        let Some((name, parent)) = names.split_last() else {
            if item.what != What::Dir {
                return Err(Refusal::Root);
            }
            let mut root = self.root.borrow_mut();
            root.item = stored(item);
            root.implied = false;
            return Ok(());
        };
        if aufs(&names) || name.starts_with(b".wh.") {
            return Ok(());
        }
        let dir_names = self.follow(parent, Some(item.time))?.unwrap();
        let dir = self.at(&dir_names).unwrap();
        let old = dir.borrow().kids.get(name).cloned();
        let new = match &item.what {
            What::Hardlink(target) => {
                let target = clean(target).ok_or(Refusal::BadHardlink)?;
                let (target_name, target_parent) = target.split_last().ok_or(Refusal::BadHardlink)?;
                let mut real = self.follow(target_parent, None)?.ok_or(Refusal::BadHardlink)?;
                if real == dir_names && target_name == name {
                    return Err(Refusal::BadHardlink);
                }
                real.push(target_name.clone());
                self.at(&real).filter(|inode| !is_dir(inode)).ok_or(Refusal::BadHardlink)?
            }
            What::Dir if old.as_ref().is_some_and(is_dir) => {
                let old = old.unwrap();
                let mut old = old.borrow_mut();
                old.item = stored(item);
                old.implied = false;
                return Ok(());
            }
            _ => thing(stored(item), false),
        };
        dir.borrow_mut().kids.insert(name.clone(), new);
        Ok(())
    }

    fn records(&self) -> Vec<Record> {
        let mut found = Vec::new();
        let mut todo = vec![(Vec::new(), self.root.clone())];
        while let Some((path, inode)) = todo.pop() {
            for (name, kid) in inode.borrow().kids.iter().rev() {
                let path = if path.is_empty() { name.clone() } else { [&path[..], name].join(&b'/') };
                todo.push((path, kid.clone()));
            }
            found.push((path, inode));
        }
        let mut names: HashMap<*const RefCell<Thing>, (u32, Vec<u8>)> = HashMap::new();
        for (path, inode) in &found {
            names.entry(Rc::as_ptr(inode)).or_insert((0, path.clone())).0 += 1;
        }
        let record = |(path, inode): (Vec<u8>, Inode)| {
            let (links, first) = names[&Rc::as_ptr(&inode)].clone();
            let first = if links > 1 { first } else { Vec::new() };
            let links = if path.is_empty() { 0 } else { links };
            let inode = inode.borrow();
            Record { item: Item { path, ..inode.item.clone() }, links, first, implied: inode.implied }
        };
        found.into_iter().map(record).collect()
    }
}

/// What an entry's metadata becomes.
fn stored(item: &Item) -> Item {
    let mode = if matches!(item.what, What::Symlink(_)) { 0o777 } else { item.mode };
    let xattrs: BTreeMap<_, _> = item.xattrs.iter().cloned().collect();
    Item { path: Vec::new(), mode, xattrs: xattrs.into_iter().collect(), ..item.clone() }
}

fn clean(path: &[u8]) -> Option<Vec<Name>> {
    let mut names = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(names.pop()?),
            name => names.push(name.to_vec()),
        }
    }
    Some(names)
}

fn aufs(names: &[Name]) -> bool {
    let own = |name: &Name| name.starts_with(b".wh..wh.");
    names.iter().enumerate().any(|(n, name)| own(name) && (n + 1 < names.len() || name != b".wh..wh..opq"))
}

/// Applies layers to a new model, or says which layer, which item and why not.
fn model(layers: &[Vec<Item>]) -> Result<Model, (usize, usize, Refusal)> {
    let model = Model::new();
    for (number, items) in layers.iter().enumerate() {
        model.apply(items).map_err(|(index, refusal)| (number, index, refusal))?;
    }
    Ok(model)
}

fn path(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        12 => "[abc]",
        2 => Just("d".to_owned()),
        1 => Just("..".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just(".wh.a".to_owned()),
    ];
    (prop::bool::weighted(0.1), prop::collection::vec(name, 1..=longest))
        .prop_map(|(absolute, names)| format!("{}{}", if absolute { "/" } else { "" }, names.join("/")).into_bytes())
}

fn marker() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        6 => "\\.wh\\.[abc]",
        4 => Just(".wh..wh..opq".to_owned()),
        1 => Just(".wh..wh.plnk".to_owned()),
    ];
    (prop::option::of(path(2)), name).prop_map(|(parent, name)| match parent {
        Some(parent) => [&parent[..], name.as_bytes()].join(&b'/'),
        None => name.into_bytes(),
    })
}

fn item() -> impl Strategy<Value = Item> {
    let what = prop_oneof![
        7 => Just(What::Dir),
        7 => "[xyz]{0,3}".prop_map(|content| What::File(content.into_bytes())),
        4 => path(3).prop_map(What::Symlink),
        8 => path(2).prop_map(What::Hardlink),
        1 => (0u32..4096, 0u32..1 << 20).prop_map(|(major, minor)| What::Char(major, minor)),
        1 => Just(What::Fifo),
    ];
    let path = prop_oneof![5 => path(3), 1 => marker()];
    let xattrs = prop::collection::vec(("user\\.[ab]", "[01]{0,2}"), 0..3);
    let time = (-10i64..1000, prop_oneof![Just(0), 0u32..1_000_000_000]);
    (path, what, 0u16..0o10000, 0u32..3, 0u32..3, time, xattrs).prop_map(
        |(path, what, mode, uid, gid, time, xattrs)| {
            let xattrs: BTreeMap<_, _> = xattrs.into_iter().collect();
            let xattrs = xattrs.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect();
            Item { path, what, mode, uid, gid, time, xattrs }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// As long as there is something to refuse, product and model refuse the same entry for the same reason. It is
    /// then taken out, so that in the end there is a tree, the same from both.
    #[test]
    fn product_and_model_agree(mut layers in prop::collection::vec(prop::collection::vec(item(), 0..14), 1..5)) {
        let model = loop {
            match model(&layers) {
                Ok(model) => break model,
                Err((number, index, why)) => {
                    let error = merge(&layers).unwrap_err();
                    prop_assert_eq!(refusal(&error), why, "{}", error);
                    let name = String::from_utf8(layers[number][index].path.clone()).unwrap();
                    prop_assert!(error.to_string().starts_with(&format!("{name}: ")), "{} is not about {}", error, name);
                    layers[number].remove(index);
                }
            }
        };
        let found = match merge(&layers) {
            Ok(found) => found,
            Err(error) => return Err(TestCaseError::fail(format!("refused: {error}"))),
        };
        let expected = model.records();
        prop_assert_eq!(&found, &expected, "\nfound:\n{}\nexpected:\n{}", listing(&found), listing(&expected));
    }
}

/// A model that is always handed nothing to disagree about would prove nothing.
#[test]
fn random_layers_reach_what_they_are_for() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = prop::collection::vec(prop::collection::vec(item(), 0..14), 1..5);
    let mut names = 0;
    let mut shared = 0;
    let mut refused = 0;
    for _ in 0..300 {
        let mut layers = proptest::strategy::ValueTree::current(&strategy.new_tree(&mut runner).unwrap());
        while let Err((number, index, _)) = model(&layers) {
            layers[number].remove(index);
            refused += 1;
        }
        let records = merge(&layers).unwrap();
        names += records.len();
        shared += records.iter().filter(|record| record.links > 1).count();
    }
    assert!(names > 2_000 && shared > 50 && refused > 300, "{names} names, {shared} shared, {refused} refused");
}
