//! The checkers see bugs: one that is made on purpose is found soon.

use tombolo_sim::search::Search;
use tombolo_sim::{Canary, Promise, Settings, profile_named};

/// Within so many seeds it must be found.
const SEEDS: u64 = 30;

#[test]
fn nodes_that_look_at_no_certificate_are_found() {
    let search = Search {
        seeds: 0..SEEDS,
        failures_max: 1,
        threads: 1,
        settings: Settings {
            profile: profile_named("hostile"),
            canary: Canary::SkipsFilter,
        },
    };
    let searched = search.run(|_| true);
    let found = searched.found.first().expect("the bug was not found");
    assert_eq!(found.violation.promise, Promise::Permission, "{found:?}");
}

#[test]
fn a_receiver_that_drops_what_it_acknowledges_is_found() {
    let search = Search {
        seeds: 0..SEEDS,
        failures_max: 1,
        threads: 1,
        settings: Settings {
            profile: None,
            canary: Canary::DropsDocuments(5),
        },
    };
    let searched = search.run(|_| true);
    let found = searched.found.first().expect("the bug was not found");
    let promises = [Promise::Convergence, Promise::Transactions];
    assert!(promises.contains(&found.violation.promise), "{found:?}");
}
