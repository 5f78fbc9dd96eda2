//! What a plan may take away without being told so. A config that has lost half of its users to a bad merge plans as
//! willingly as any other: here somebody has to say that it is meant.

use super::{Goal, Plan};
use crate::model::{Address, Sight};
use crate::resource::{Family, Risk, Verb};
use petgraph::unionfind::UnionFind;
use std::collections::{BTreeMap, BTreeSet};

/// Things that a plan may always remove: a user or two who left, an endpoint that is not needed any more.
const ALWAYS: usize = 3;

/// Of a large deployment a tenth may go: a team's users, not everybody's.
const SHARE: usize = 10;

/// What a plan removes or makes anew, and what it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removals {
    /// What refers to each other goes together and is one thing: a login with its secret and its rotation, a group with
    /// its rules.
    pub things: Vec<BTreeSet<Address>>,
    /// How many may go unsaid.
    pub allowed: usize,
}

impl Removals {
    /// Of a plan to converge; one to destroy removes everything, and is asked about by name.
    pub fn of<F: Family>(plan: &Plan<F>, declared: Option<usize>) -> Self {
        let deletions = plan.actions.iter().filter(|action| action.verb == Verb::Delete);
        let going: BTreeMap<&Address, Vec<Address>> = match plan.goal {
            Goal::Converge => deletions.map(|action| (&action.address, F::needs(&action.want))).collect(),
            Goal::Destroy => BTreeMap::new(),
        };
        let numbers: BTreeMap<&Address, usize> = going.keys().copied().zip(0..).collect();
        let mut together = UnionFind::new(numbers.len());
        for (address, needs) in &going {
            for need in needs.iter().filter_map(|need| numbers.get(need)) {
                together.union(numbers[address], *need);
            }
        }
        let mut things: BTreeMap<usize, BTreeSet<Address>> = BTreeMap::new();
        for (&address, &number) in &numbers {
            things.entry(together.find(number)).or_default().insert(address.clone());
        }
        let mut things: Vec<_> = things.into_values().collect();
        things.sort();
        let there = plan.sights.iter().filter(|(_, sight)| matches!(sight, Sight::Present(_)));
        // What belongs to one login shares its name.
        let there: BTreeSet<&str> = there.map(|(address, _)| address.name.as_str()).collect();
        Self { things, allowed: declared.unwrap_or_else(|| ALWAYS.max(there.len() / SHARE)) }
    }

    /// Whether somebody has to say that so many are meant.
    pub fn is_too_much(&self) -> bool {
        self.things.len() > self.allowed
    }
}

/// The kind that holds the data: of nothing else is the end anybody's loss for good.
const HOLDS_DATA: &str = "db_instance";

/// What a plan to converge does to what somebody has to name, and why each: an instance that it deletes or puts another in
/// the place of, and a login whose secret is in use. A number would do for whichever it is. One to destroy is asked about
/// by the deployment's name.
///
/// That a secret is in use shows in the sessions that are open with it. The date on which it was last read does not tell:
/// our own functions move it with each look and each rotation
/// (docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html, LastAccessedDate).
pub fn to_be_named<F: Family>(plan: &Plan<F>) -> BTreeMap<Address, String> {
    if plan.goal == Goal::Destroy {
        return BTreeMap::new();
    }
    let mut named = BTreeMap::new();
    for action in &plan.actions {
        if let Some(by) = &action.in_use {
            named.insert(action.address.clone(), format!("is taken away while it is in use: {by}"));
        }
        if action.address.kind.0 != HOLDS_DATA {
            continue;
        }
        match action.verb {
            Verb::Delete => drop(named.insert(action.address.clone(), "holds the data, and is deleted".to_owned())),
            Verb::Create => named.extend(
                plan.left_behind
                    .iter()
                    .map(|left| (left.clone(), "holds the data, and is left for another".to_owned())),
            ),
            Verb::Adopt | Verb::Update | Verb::Ensure | Verb::Rotate => {}
        }
    }
    named
}

/// What of a plan does not come back once it is carried out.
pub fn irreversible<F: Family>(plan: &Plan<F>) -> Vec<Address> {
    let lost = plan.actions.iter().filter(|action| action.risk == Risk::Irreversible);
    lost.map(|action| action.address.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}
