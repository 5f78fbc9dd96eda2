//! What goes wrong between us and AWS.

use pgrotate::model::Address;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused twice and taken then: the SDK repeats it.
    Throttled,
    /// Refused however often the SDK repeats it.
    Refused,
    /// The connection is cut before anything is done.
    CutBefore,
    /// It is done, and nobody hears of it.
    AnswerLost,
}

pub const FAULTS: [Fault; 4] = [Fault::Throttled, Fault::Refused, Fault::CutBefore, Fault::AnswerLost];

/// Which calls it befalls: those that are written down, and any by chance.
#[derive(Default)]
pub struct Faults {
    /// By address, and the how manieth call about it, from 0.
    script: RefCell<BTreeMap<(Address, usize), Fault>>,
    calls: RefCell<BTreeMap<Address, usize>>,
    /// Of a thousand calls.
    often: Cell<u64>,
    chance: Cell<u64>,
    /// So many befell.
    pub met: Cell<usize>,
}

impl Faults {
    pub fn befall(&self, address: Address, nth: usize, fault: Fault) {
        self.script.borrow_mut().insert((address, nth), fault);
    }

    /// From now on so many of a thousand calls, the same ones for the same seed.
    pub fn by_chance(&self, often: u64, seed: u64) {
        self.often.set(often);
        self.chance.set(seed);
    }

    pub fn next(&self, address: &Address) -> Option<Fault> {
        let mut calls = self.calls.borrow_mut();
        let nth = calls.entry(address.clone()).or_default();
        let written = self.script.borrow_mut().remove(&(address.clone(), *nth));
        *nth += 1;
        let fault = written.or_else(|| self.drawn());
        self.met.set(self.met.get() + usize::from(fault.is_some()));
        fault
    }

    fn drawn(&self) -> Option<Fault> {
        if self.often.get() == 0 {
            return None;
        }
        let drawn = draw(&self.chance);
        let which = usize::try_from(drawn / 1000 % 4).expect("less than four");
        (drawn % 1000 < self.often.get()).then_some(FAULTS[which])
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub fn draw(state: &Cell<u64>) -> u64 {
    state.set(state.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
    let mut z = state.get();
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
