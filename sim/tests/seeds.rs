//! Seeds that are run each time: some from the beginning, and all that ever
//! broke a promise.

use tombolo_sim::search::Search;
use tombolo_sim::{Settings, Trace, profile_named, run};

/// As many as take about twenty seconds without optimization.
const SEEDS: u64 = 60;

#[test]
fn the_first_seeds_keep_every_promise() {
    let search = Search {
        seeds: 0..SEEDS,
        failures_max: 5,
        threads: 2,
        settings: Settings::default(),
    };
    let searched = search.run(|_| true);
    assert!(searched.found.is_empty(), "{:#?}", searched.found);
    assert_eq!(searched.seeds, SEEDS);
}

/// As many as take about five seconds without optimization.
const HOSTILE_SEEDS: u64 = 40;

#[test]
fn liars_break_no_promise() {
    let search = Search {
        seeds: 0..HOSTILE_SEEDS,
        failures_max: 5,
        threads: 2,
        settings: Settings {
            profile: profile_named("hostile"),
            ..Settings::default()
        },
    };
    let searched = search.run(|_| true);
    assert!(searched.found.is_empty(), "{:#?}", searched.found);
    assert_eq!(searched.seeds, HOSTILE_SEEDS);
}

#[test]
fn seeds_that_broke_a_promise_once_keep_them_all() {
    let kept = include_str!("../seeds/kept.txt");
    let lines = kept.lines().filter(|line| !line.starts_with('#'));
    for line in lines.filter(|line| !line.is_empty()) {
        let mut words = line.splitn(3, ' ');
        let seed = words.next().and_then(|word| word.parse().ok());
        let profile = words.next().and_then(profile_named);
        let (Some(seed), Some(_), Some(story)) = (seed, profile, words.next()) else {
            panic!("a line is SEED PROFILE STORY, and not {line:?}");
        };
        let settings = Settings {
            profile,
            ..Settings::default()
        };
        let ended = run(seed, settings, Trace::off());
        assert!(ended.outcome.is_ok(), "{seed} {story}: {:?}", ended.outcome);
    }
}

#[test]
fn a_seed_is_one_run() {
    let worlds = [None, profile_named("hostile")];
    for (seed, profile) in [3, 11, 17, 18].into_iter().zip(worlds.into_iter().cycle()) {
        let settings = Settings {
            profile,
            ..Settings::default()
        };
        let [one, other] = [(); 2].map(|()| run(seed, settings, Trace::keep()));
        assert_eq!(one.tally, other.tally);
        assert!(one.trace.lines().eq(other.trace.lines()));
    }
}
