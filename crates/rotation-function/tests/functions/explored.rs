//! What is searched: beside which other process, with which mishaps, and how much of it.

use crate::bugs::Bug;
use crate::explore::{Counts, Search, Second, search};
use function_contract::Strategy;

/// Set for the whole of every search (`make crash`); without it a part that takes seconds.
const WHOLE: &str = "PGROTATE_CRASH";

/// Mishaps by kind: crashes, lost answers, forgotten passwords, an operator's hand, a base that is shut out.
type Mishaps = [usize; 5];

/// What is tried beside `second`, and how many states that has at least, by strategy and by the rotations that went well
/// before: a search that loses its way is short. Another rotation takes an operator's hand by itself.
fn known(second: Second) -> &'static [(Mishaps, [[usize; 3]; 2])] {
    match second {
        Second::Nothing => &[([1, 1, 1, 1, 1], [[428, 347, 386], [388, 404, 404]])],
        Second::SameToken => &[
            ([1, 1, 1, 0, 0], [[8_970, 6_356, 6_356], [18_940, 27_898, 27_898]]),
            ([1, 0, 0, 1, 0], [[8_460, 5_954, 5_954], [23_508, 35_422, 35_422]]),
            ([1, 0, 0, 0, 1], [[6_377, 4_571, 4_849], [24_093, 39_043, 39_043]]),
        ],
        Second::NewToken => &[
            ([1, 1, 1, 0, 0], [[5_068, 4_620, 4_620], [9_599, 14_505, 14_505]]),
            ([1, 0, 0, 0, 1], [[6_901, 5_985, 6_267], [16_102, 26_336, 26_336]]),
        ],
    }
}

/// The part: a tenth at least, some of every mishap, of the states before those in which the rotations differ.
fn part(second: Second) -> &'static [(Mishaps, [[usize; 3]; 2])] {
    match second {
        Second::Nothing => known(second),
        Second::SameToken => &[
            ([1, 0, 0, 0, 0], [[0, 0, 0], [0, 9_242, 0]]),
            ([1, 1, 1, 0, 0], [[8_970, 0, 0], [0, 0, 0]]),
            ([1, 0, 0, 1, 0], [[0, 5_954, 0], [0, 0, 0]]),
            ([1, 0, 0, 0, 1], [[6_377, 4_571, 0], [0, 0, 0]]),
        ],
        Second::NewToken => &[
            ([1, 0, 0, 0, 0], [[0, 0, 0], [0, 7_825, 0]]),
            ([1, 1, 1, 0, 0], [[5_068, 0, 0], [0, 0, 0]]),
            ([1, 0, 0, 0, 1], [[0, 5_985, 0], [0, 0, 0]]),
        ],
    }
}

/// Searches both strategies beside `second`, and prints how much that was.
fn all(second: Second) {
    // Alone it takes no time: the part is the whole then.
    let whole = std::env::var_os(WHOLE).is_some();
    let mut total = Counts::default();
    for (mishaps, states) in if whole { known(second) } else { part(second) } {
        let strategies = [Strategy::AlternatingUsers, Strategy::SingleUser];
        for (strategy, states) in strategies.into_iter().zip(states) {
            // The first rotation of alternating users makes the clone.
            for (earlier, &states) in states.iter().enumerate().filter(|(_, states)| **states > 0) {
                let [crashes, losses, forgotten, cancels, bars] = *mishaps;
                let what = Search { strategy, earlier, second, crashes, losses, forgotten, cancels, bars, bug: None };
                let counts = search(&what).unwrap_or_else(|broken| panic!("{broken}"));
                println!("beside {second:?}, {strategy:?} after {earlier}, {mishaps:?}: {} states", counts.states);
                // What is known of it holds within the order of a map or two.
                let lost = counts.ends == 0 || counts.states * 10 < states * 9;
                assert!(!lost, "{what:?} has lost its way: {counts:?} of {states}");
                total.states += counts.states;
                total.ends += counts.ends;
                total.runs += counts.runs;
            }
        }
    }
    let Counts { states, ends, runs } = total;
    let there: usize = known(second).iter().flat_map(|(_, states)| states.iter().flatten()).sum();
    println!("beside {second:?}: {states} of {there} states, {ends} ends, {runs} runs, no lock-out");
    assert!(states * 10 >= there, "less than a tenth");
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
