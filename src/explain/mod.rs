//! Why one resource is planned for as it is: put together from the config, what was seen, and the plan. Pure.

mod origin;
mod waits;

use crate::config::{self, Config, Source};
use crate::model::{Address, Facts, Place, Sight};
use crate::plan::{Action, Plan, limits};
use crate::render::document::{Head, Title};
use crate::render::explanation::{
    ConfigLine, ExplainedDrift, ExplainedRefusal, ExplainedStep, ExplanationDocument, Reason, Seen,
};
use crate::resource::{Family, Refusal};
use crate::resources::{Kinds, Want};
use std::collections::{BTreeMap, BTreeSet};

/// What all explanations of one plan have in common.
#[derive(Debug, Clone, Copy)]
pub struct Explained<'a> {
    pub config: &'a Config,
    pub source: &'a Source,
    pub place: &'a Place,
    pub wants: &'a [Want],
    pub found: Found<'a>,
}

/// What explanations go by.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    Planned(&'a Plan<Kinds>),
    /// There is no plan: what was seen, and why.
    Refused {
        sights: &'a BTreeMap<Address, Sight>,
        refusals: &'a [(Address, Refusal)],
    },
}

impl<'a> Found<'a> {
    fn sights(self) -> &'a BTreeMap<Address, Sight> {
        match self {
            Self::Planned(plan) => &plan.sights,
            Self::Refused { sights, .. } => sights,
        }
    }

    fn plan(self) -> Option<&'a Plan<Kinds>> {
        match self {
            Self::Planned(plan) => Some(plan),
            Self::Refused { .. } => None,
        }
    }

    fn refusals(self) -> &'a [(Address, Refusal)] {
        match self {
            Self::Planned(_) => &[],
            Self::Refused { refusals, .. } => refusals,
        }
    }
}

impl Explained<'_> {
    /// Every address that can be explained: what is declared, what is planned to go, and what may not be touched.
    pub fn addresses(&self) -> BTreeSet<Address> {
        let refused = self.found.refusals().iter().map(|(address, _)| address);
        self.found.sights().keys().chain(refused).cloned().collect()
    }

    /// Of one of [`Self::addresses`].
    pub fn of(&self, address: &Address) -> ExplanationDocument {
        let Self { config, source, place, wants, found } = *self;
        let plan = found.plan();
        let declared = wants.iter().find(|want| Kinds::address(want) == *address);
        let (seen, facts) = match found.sights().get(address) {
            Some(Sight::Present(facts)) => (Seen::Present, facts.clone()),
            Some(Sight::Absent) => (Seen::Absent, Facts::default()),
            Some(Sight::Unobservable) | None => (Seen::Unobservable, Facts::default()),
        };
        let is_of = |(_, action): &(usize, &Action<Kinds>)| action.address == *address;
        let steps_of = |plan: &Plan<Kinds>| -> Vec<_> {
            plan.actions.iter().enumerate().filter(is_of).map(|(number, _)| step(plan, number)).collect()
        };
        let refers = |first: &Address, then: &Address, of: &Address| {
            Some(Reason { of: of.to_string(), why: waits::needs(first, then)? })
        };
        let needs = declared.map(Kinds::needs).unwrap_or_default();
        let mut refers_to: Vec<_> = needs.iter().filter_map(|first| refers(first, address, first)).collect();
        let others = wants.iter().filter(|want| Kinds::needs(want).contains(address)).map(Kinds::address);
        let mut referred_to_by: Vec<_> = others.filter_map(|then| refers(address, &then, &then)).collect();
        refers_to.sort();
        referred_to_by.sort();
        ExplanationDocument {
            head: Head::new(Title::Explanation, &config.deployment, place),
            address: address.clone(),
            config: source.name.clone(),
            declared: declared.is_some(),
            lines: declared.map(|want| lines(source, &origin::keys_of(want, config))).unwrap_or_default(),
            seen,
            facts,
            refusals: self.refusals(address),
            refused_elsewhere: self.refused_elsewhere(address),
            to_be_named: plan.and_then(|plan| limits::to_be_named(plan).remove(address)),
            steps: plan.map(steps_of).unwrap_or_default(),
            notes: of_plan(plan, |plan| &plan.notes, |note| note.address == *address),
            deferred: of_plan(plan, |plan| &plan.deferred, |deferral| deferral.address == *address),
            refers_to,
            referred_to_by,
        }
    }

    /// Those of the address itself, and of what it refers to, and of what that refers to.
    fn refusals(&self, address: &Address) -> Vec<ExplainedRefusal> {
        let needed = self.needed(address);
        let told = |(of, Refusal { code, cause, hint }): &(Address, Refusal)| ExplainedRefusal {
            address: of.clone(),
            itself: of == address,
            code: *code,
            cause: cause.clone(),
            hint: hint.clone(),
        };
        let concerns = |(of, _): &&(Address, Refusal)| needed.contains(of);
        let mut all: Vec<_> = self.found.refusals().iter().filter(concerns).map(told).collect();
        // Stable: they are sorted by address.
        all.sort_by_key(|refusal| !refusal.itself);
        all
    }

    /// None where there is a plan.
    fn refused_elsewhere(&self, address: &Address) -> Option<usize> {
        let needed = self.needed(address);
        let refusals = self.found.refusals();
        (!refusals.is_empty()).then(|| refusals.iter().filter(|(of, _)| !needed.contains(of)).count())
    }

    /// The address and all that it cannot be without.
    fn needed(&self, address: &Address) -> BTreeSet<Address> {
        let (mut needed, mut open) = (BTreeSet::new(), vec![address.clone()]);
        while let Some(next) = open.pop() {
            if needed.contains(&next) {
                continue;
            }
            open.extend(self.wants.iter().filter(|want| Kinds::address(want) == next).flat_map(Kinds::needs));
            needed.insert(next);
        }
        needed
    }
}

/// What a plan has of one address; nothing where there is none.
fn of_plan<T: Clone>(plan: Option<&Plan<Kinds>>, all: fn(&Plan<Kinds>) -> &[T], is_of: impl Fn(&T) -> bool) -> Vec<T> {
    plan.into_iter().flat_map(all).filter(|one| is_of(one)).cloned().collect()
}

fn step(plan: &Plan<Kinds>, number: usize) -> ExplainedStep {
    let action = &plan.actions[number];
    let reason = |first: usize, then: usize, other: usize| Reason {
        of: plan.actions[other].label(),
        why: waits::why(&plan.actions[first].address, &plan.actions[then].address, plan.actions[then].removing),
    };
    let nearest = |then: usize| plan.order.nearest_prerequisites(then);
    let later = plan.order.dependents(number).into_iter().filter(|then| nearest(*then).contains(&number));
    let drift = action.drift.iter().map(|drift| ExplainedDrift {
        code: drift.code,
        severity: drift.code.severity(),
        what: drift.what().to_owned(),
    });
    ExplainedStep {
        change: action.key,
        verb: action.verb,
        drift: drift.collect(),
        risk: action.risk,
        because: action.because.clone(),
        attributes: action.attributes.clone(),
        leaves: action.leaves.clone(),
        waits_for: nearest(number).into_iter().map(|first| reason(first, number, first)).collect(),
        waited_for_by: later.map(|then| reason(number, then, then)).collect(),
    }
}

/// The lines on which those keys stand. What a login says for itself stands in the place of what [rotation] says.
fn lines(source: &Source, keys: &[String]) -> Vec<ConfigLine> {
    let all = config::keys(source);
    let meant = |path: &str| {
        keys.iter().any(|key| match key.strip_suffix('.') {
            Some(_) => path.starts_with(key.as_str()),
            // Also where it is a table with a header of its own.
            None => path.strip_prefix(key.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
        })
    };
    let own: BTreeSet<_> = keys.iter().filter(|key| all.iter().any(|one| one.path == **key)).collect();
    let schedule = ["every", "cron"];
    let overridden = |path: &str| {
        let Some(name) = path.strip_prefix("rotation.") else { return false };
        let other =
            |name: &str| own.iter().any(|key| !key.starts_with("rotation.") && key.ends_with(&format!(".{name}")));
        other(name) || (schedule.contains(&name) && schedule.iter().any(|name| other(name)))
    };
    let mut lines: Vec<_> = all
        .iter()
        .filter(|key| meant(&key.path) && !overridden(&key.path))
        .map(|key| ConfigLine { file: key.file.clone(), line: key.line, text: key.text.clone() })
        .collect();
    lines.dedup();
    lines
}
