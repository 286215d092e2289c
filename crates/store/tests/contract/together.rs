//! Several who want the same at the same time.

use crate::support::*;
use banger_store::Store;
use banger_store::image::Stage;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};

const THREADS: usize = 8;

#[test]
fn what_several_want_is_made_once() {
    let scratch = Scratch::new();
    for round in 0..5 {
        let (made, begin) = (AtomicU32::new(0), Barrier::new(THREADS));
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (scratch, made, begin) = (&scratch, &made, &begin);
                scope.spawn(move || {
                    let store = Store::open(&scratch.root()).unwrap();
                    let reservation = store.reserve(&format!("name{thread}")).unwrap();
                    begin.wait();
                    match store.stage(&id('a'), &|| true).unwrap() {
                        Stage::New(staging) => {
                            made.fetch_add(1, Ordering::Relaxed);
                            fill(staging.path(), &id('a'));
                            staging.publish(reservation, &row(&id('a'))).unwrap();
                        }
                        Stage::Ready(shared) => drop(store.add_name(reservation, &shared, &row(&id('a'))).unwrap()),
                    }
                });
            }
        });
        assert_eq!(made.into_inner(), 1, "round {round}");
        check_still(&scratch.store);
        let names = names(&scratch.store);
        assert_eq!(names.len(), THREADS);
        scratch.store.remove(&names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        check_still(&scratch.store);
    }
}

#[test]
fn of_those_who_fail_each_makes_room_for_the_next() {
    let scratch = Scratch::new();
    let (turns, begin) = (AtomicU32::new(0), Barrier::new(THREADS));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (scratch, turns, begin) = (&scratch, &turns, &begin);
            scope.spawn(move || {
                let reservation = scratch.store.reserve(&format!("name{thread}")).unwrap();
                begin.wait();
                let Stage::New(staging) = scratch.store.stage(&id('a'), &|| true).unwrap() else { panic!("there") };
                assert_eq!(entries(staging.path()), Vec::<String>::new());
                fill(staging.path(), &id('a'));
                turns.fetch_add(1, Ordering::Relaxed);
                drop((staging, reservation));
            });
        }
    });
    assert_eq!(turns.into_inner(), u32::try_from(THREADS).unwrap());
    check_still(&scratch.store);
}

#[test]
fn one_of_several_gets_a_name() {
    let scratch = Scratch::new();
    for round in 0..10 {
        let begin = Barrier::new(THREADS);
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (store, begin) = (scratch.store.clone(), &begin);
                    scope.spawn(move || {
                        begin.wait();
                        make(&store, "one", &id(if thread % 2 == 0 { 'a' } else { 'b' }))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "round {round}");
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert!(["NameTaken", "BeingMade"].contains(&sort(error).as_str()), "{error:?}");
        }
        check_still(&scratch.store);
        scratch.store.remove(&["one"]).unwrap();
    }
}

#[test]
fn those_who_make_the_same_without_knowing_share_it_in_the_end() {
    let scratch = Scratch::new();
    let begin = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, begin) = (scratch.store.clone(), &begin);
            scope.spawn(move || {
                let reservation = store.reserve(&format!("name{thread}")).unwrap();
                let staging = store.stage_unnamed().unwrap();
                fill(staging.path(), &id('a'));
                begin.wait();
                staging.publish(reservation, &row(&id('a'))).unwrap();
            });
        }
    });
    assert_eq!(scratch.store.names_of(&id('a')).unwrap().len(), THREADS);
    check_still(&scratch.store);
}
