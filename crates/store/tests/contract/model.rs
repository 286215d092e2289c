//! Any sequence of operations leaves what it would leave of a list on paper.

use crate::support::*;
use banger_store::image::{Row, Stage};
use banger_store::{Result, Shared, Store};
use proptest::prelude::*;
use std::collections::BTreeMap;

const IMAGE_NAMES: [&str; 4] = ["alpine", "debian", "fedora", "nix"];
const IDS: [char; 3] = ['a', 'b', 'c'];

#[derive(Clone, Debug)]
enum Step {
    Make(usize, usize),
    MakeUnnamed(usize, usize),
    Replace(usize, usize),
    RemoveUnneeded,
    GiveUp(usize),
    Register(usize),
    Promote(usize, usize),
    Rename(usize, usize),
    Remove(Vec<usize>),
    MakeKernel(usize),
    RemoveKernel(usize),
    Use(usize),
    Release,
    Sweep,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (name, id) = (0..IMAGE_NAMES.len(), 0..IDS.len());
    let step = prop_oneof![
        4 => (name.clone(), id.clone()).prop_map(|(name, id)| Step::Make(name, id)),
        2 => (name.clone(), id.clone()).prop_map(|(name, id)| Step::MakeUnnamed(name, id)),
        3 => (name.clone(), id.clone()).prop_map(|(name, id)| Step::Replace(name, id)),
        1 => Just(Step::RemoveUnneeded),
        1 => id.clone().prop_map(Step::GiveUp),
        2 => name.clone().prop_map(Step::Register),
        2 => (name.clone(), id.clone()).prop_map(|(name, id)| Step::Promote(name, id)),
        2 => (name.clone(), name.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        3 => prop::collection::btree_set(name.clone(), 1..3).prop_map(|names| Step::Remove(names.into_iter().collect())),
        2 => name.clone().prop_map(Step::MakeKernel),
        2 => name.prop_map(Step::RemoveKernel),
        1 => id.prop_map(Step::Use),
        1 => Just(Step::Release),
        1 => Just(Step::Sweep),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

/// What there is: the id of each name, none where its files are elsewhere.
#[derive(Debug, Default)]
struct Paper {
    images: BTreeMap<&'static str, Option<char>>,
    /// Images that have lost their last name to another one.
    nameless: std::collections::BTreeSet<char>,
    kernels: std::collections::BTreeSet<&'static str>,
    used: Option<char>,
}

/// What came of a step: an error by its sort.
fn outcome<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        Err(error) => sort(&error),
    }
}

impl Paper {
    /// Does on paper what is done to the store. What came of it.
    fn apply(&mut self, step: &Step) -> &'static str {
        let outcome = self.change(step);
        self.nameless.retain(|id| !self.images.values().any(|image| *image == Some(*id)));
        outcome
    }

    fn change(&mut self, step: &Step) -> &'static str {
        match step {
            Step::Make(name, id) | Step::MakeUnnamed(name, id) => {
                if self.images.contains_key(IMAGE_NAMES[*name]) {
                    return "NameTaken";
                }
                self.images.insert(IMAGE_NAMES[*name], Some(IDS[*id]));
            }
            Step::Replace(name, id) => {
                self.nameless.extend(self.images.insert(IMAGE_NAMES[*name], Some(IDS[*id])).flatten());
            }
            Step::RemoveUnneeded => self.nameless.retain(|id| self.used == Some(*id)),
            Step::Register(name) => {
                if self.images.contains_key(IMAGE_NAMES[*name]) {
                    return "NameTaken";
                }
                self.images.insert(IMAGE_NAMES[*name], None);
            }
            Step::Promote(name, id) => match self.images.get_mut(IMAGE_NAMES[*name]) {
                None => return "NotFound",
                Some(Some(_)) => return "Managed",
                Some(image) => *image = Some(IDS[*id]),
            },
            Step::Rename(from, to) => {
                if self.images.contains_key(IMAGE_NAMES[*to]) {
                    return "NameTaken";
                }
                let Some(image) = self.images.remove(IMAGE_NAMES[*from]) else { return "NotFound" };
                self.images.insert(IMAGE_NAMES[*to], image);
            }
            Step::Remove(names) => {
                let names: Vec<&str> = names.iter().map(|name| IMAGE_NAMES[*name]).collect();
                if names.iter().any(|name| !self.images.contains_key(name)) {
                    return "NotFound";
                }
                let rest: BTreeMap<_, _> = self
                    .images
                    .iter()
                    .filter(|(name, _)| !names.contains(name))
                    .map(|(name, id)| (*name, *id))
                    .collect();
                let is_there =
                    |images: &BTreeMap<_, _>| self.used.is_some() && images.values().any(|id| *id == self.used);
                if is_there(&self.images) && !is_there(&rest) {
                    return "InUse";
                }
                self.images = rest;
            }
            Step::MakeKernel(name) => {
                if !self.kernels.insert(IMAGE_NAMES[*name]) {
                    return "NameTaken";
                }
            }
            Step::RemoveKernel(name) => {
                if !self.kernels.remove(IMAGE_NAMES[*name]) {
                    return "NotFound";
                }
            }
            Step::Use(id) => {
                let id = IDS[*id];
                let is_there = self.images.values().any(|image| *image == Some(id)) || self.nameless.contains(&id);
                if self.used.is_none() && is_there {
                    self.used = Some(id);
                }
            }
            Step::Release => self.used = None,
            Step::GiveUp(_) | Step::Sweep | Step::Reopen => {}
        }
        "done"
    }
}

fn promote(store: &Store, name: &str, id: &str) -> Result<Row> {
    let old = store.find(name)?;
    match store.stage(id, &|| true)? {
        Stage::New(staging) => {
            fill(staging.path(), id);
            staging.promote(&old, &row(id))
        }
        Stage::Ready(shared) => store.promote(&shared, &old, &row(id)),
    }
}

fn make_unnamed(store: &Store, name: &str, id: &str) -> Result<Row> {
    let reservation = store.reserve(name)?;
    let staging = store.stage_unnamed()?;
    fill(staging.path(), id);
    staging.publish(reservation, &row(id))
}

/// Does it to the store. What came of it.
fn apply(scratch: &mut Scratch, used: &mut Option<Shared>, step: &Step) -> String {
    let (root, store) = (scratch.root(), &scratch.store);
    let id = |number: &usize| id(IDS[*number]);
    match step {
        Step::Make(name, number) => outcome(make(store, IMAGE_NAMES[*name], &id(number))),
        Step::MakeUnnamed(name, number) => outcome(make_unnamed(store, IMAGE_NAMES[*name], &id(number))),
        Step::Replace(name, number) => outcome(replace(store, IMAGE_NAMES[*name], &id(number))),
        Step::RemoveUnneeded => outcome(store.remove_unneeded()),
        Step::GiveUp(number) => outcome(store.stage(&id(number), &|| true)),
        Step::Register(name) => outcome(
            store
                .reserve(IMAGE_NAMES[*name])
                .and_then(|reservation| store.register(reservation, &elsewhere(&"0".repeat(64), &root))),
        ),
        Step::Promote(name, number) => outcome(promote(store, IMAGE_NAMES[*name], &id(number))),
        Step::Rename(from, to) => outcome(
            store.reserve(IMAGE_NAMES[*to]).and_then(|reservation| store.rename(IMAGE_NAMES[*from], reservation)),
        ),
        Step::Remove(names) => outcome(store.remove(&names.iter().map(|name| IMAGE_NAMES[*name]).collect::<Vec<_>>())),
        Step::MakeKernel(name) => outcome(make_kernel(store, IMAGE_NAMES[*name])),
        Step::RemoveKernel(name) => outcome(store.remove_kernel(IMAGE_NAMES[*name])),
        Step::Use(number) => {
            if used.is_none() {
                *used = store.image(&id(number)).unwrap();
            }
            "done".to_owned()
        }
        Step::Release => {
            *used = None;
            "done".to_owned()
        }
        Step::Sweep => {
            assert_eq!(store.sweep().unwrap(), []);
            "done".to_owned()
        }
        Step::Reopen => {
            scratch.store = Store::open(&root).unwrap();
            "done".to_owned()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_is_what_was_done_to_it(steps in steps()) {
        let mut scratch = Scratch::new();
        let (mut paper, mut used) = (Paper::default(), None);
        for step in &steps {
            let expected = paper.apply(step);
            prop_assert_eq!(apply(&mut scratch, &mut used, step), expected, "{:?}", step);
            let listed: BTreeMap<String, Option<String>> =
                scratch.store.images().unwrap().into_iter().map(|row| (row.name, row.managed.then_some(row.id))).collect();
            let written = paper.images.iter().map(|(name, image)| ((*name).to_owned(), image.map(id)));
            let written = written.chain(paper.nameless.iter().map(|image| (id(*image), Some(id(*image)))));
            prop_assert_eq!(listed, written.collect::<BTreeMap<_, _>>());
        }
        drop(used);
        check_still(&scratch.store);
        let kernels: Vec<String> = scratch.store.kernels().unwrap().into_iter().map(|row| row.name).collect();
        prop_assert_eq!(kernels, paper.kernels.into_iter().collect::<Vec<_>>());
    }
}
