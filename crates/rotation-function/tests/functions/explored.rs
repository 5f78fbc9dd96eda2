//! What is searched: beside which other process, with which mishaps, and how much of it.

use crate::bugs::Bug;
use crate::explore::{Counts, Search, Second, sample, search};
use function_contract::Strategy;

/// Set for the whole of every search (`make crash`); without it a tenth of each.
const WHOLE: &str = "PGROTATE_CRASH";
const SHARE: usize = 10;
const SEED: u64 = 20_261_128;

/// Mishaps by kind: crashes, lost answers, forgotten passwords, an operator's hand, a base that is shut out.
type Mishaps = [usize; 5];

/// What is tried beside `second`, and how many states that has, by strategy and by the rotations that went well before: a
/// search that loses its way is short. Another rotation takes an operator's hand by itself.
fn known(second: Second) -> &'static [(Mishaps, [[usize; 3]; 2])] {
    match second {
        Second::Nothing => &[([1, 1, 1, 1, 1], [[0; 3]; 2])],
        Second::SameToken => {
            &[([1, 1, 1, 0, 0], [[0; 3]; 2]), ([1, 0, 0, 1, 0], [[0; 3]; 2]), ([1, 0, 0, 0, 1], [[0; 3]; 2])]
        }
        Second::NewToken => &[([1, 1, 1, 0, 0], [[0; 3]; 2]), ([1, 0, 0, 0, 1], [[0; 3]; 2])],
    }
}

/// Searches both strategies beside `second`, and prints how much that was.
fn all(second: Second) {
    // Alone it takes no time.
    let whole = second == Second::Nothing || std::env::var_os(WHOLE).is_some();
    let (mut total, mut there) = (Counts::default(), 0);
    for (mishaps, states) in known(second) {
        let strategies = [Strategy::AlternatingUsers, Strategy::SingleUser];
        for (strategy, states) in strategies.into_iter().zip(states) {
            // The first rotation of alternating users makes the clone.
            for (earlier, &states) in states.iter().enumerate() {
                let [crashes, losses, forgotten, cancels, bars] = *mishaps;
                let what = Search { strategy, earlier, second, crashes, losses, forgotten, cancels, bars, bug: None };
                let counts = if whole { search(&what) } else { sample(&what, SEED, states.div_ceil(SHARE)) };
                let counts = counts.unwrap_or_else(|broken| panic!("{broken}"));
                if whole {
                    println!("{strategy:?} after {earlier}, {mishaps:?}: {} states", counts.states);
                }
                // What is known of it holds within the order of a map or two.
                let enough = if whole { states * 9 / 10 } else { states / SHARE };
                assert!(
                    counts.states >= enough && counts.ends > 0,
                    "{what:?} has lost its way: {counts:?} of {states}"
                );
                there += states;
                total.states += counts.states;
                total.ends += counts.ends;
                total.runs += counts.runs;
            }
        }
    }
    let Counts { states, ends, runs } = total;
    println!("beside {second:?}: {states} of {there} states, {ends} ends, {runs} runs, no lock-out");
}

#[test]
fn one_process_alone() {
    all(Second::Nothing);
}

#[test]
fn the_same_rotation_twice() {
    all(Second::SameToken);
}

#[test]
fn another_rotation_after_an_operator_has_cancelled_the_first() {
    all(Second::NewToken);
}

/// A search that finds nothing wrong with a wrong function would prove nothing.
#[test]
fn every_bug_put_in_is_found() {
    for (bug, strategy, what) in [
        (Bug::SetBeforePut, Strategy::SingleUser, "locked out"),
        (Bug::FinishBeforeTest, Strategy::AlternatingUsers, "locked out: AWSCURRENT is refused"),
        (Bug::FinishBeforeTest, Strategy::SingleUser, "locked out"),
        (Bug::LabelDropped, Strategy::SingleUser, "locked out"),
    ] {
        let wrong = |bug| {
            let (earlier, second) = (1, Second::Nothing);
            Search { strategy, earlier, second, crashes: 1, losses: 0, forgotten: 1, cancels: 0, bars: 0, bug }
        };
        let found = search(&wrong(Some(bug))).expect_err("a bug that goes unnoticed");
        assert!(found.contains(what), "{bug:?}: {found}");
        search(&wrong(None)).unwrap();
    }
}
