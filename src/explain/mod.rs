//! Why one resource is planned for as it is: put together from the config, what was seen, and the plan. Pure.

mod origin;
mod waits;

use crate::config::{self, Config, Source};
use crate::model::{Address, Facts, Place, Sight};
use crate::plan::{Action, Plan};
use crate::render::document::{Head, Title};
use crate::render::explanation::{ConfigLine, ExplainedDrift, ExplainedStep, ExplanationDocument, Reason, Seen};
use crate::resource::Family;
use crate::resources::{Kinds, Want};
use std::collections::BTreeSet;

/// What all explanations of one plan have in common.
#[derive(Debug, Clone, Copy)]
pub struct Explained<'a> {
    pub config: &'a Config,
    pub source: &'a Source,
    pub place: &'a Place,
    pub wants: &'a [Want],
    pub plan: &'a Plan<Kinds>,
}

impl Explained<'_> {
    /// Every address that can be explained: what is declared, and what is planned to go.
    pub fn addresses(&self) -> BTreeSet<Address> {
        self.plan.sights.keys().cloned().collect()
    }

    /// Of one of [`Self::addresses`].
    pub fn of(&self, address: &Address) -> ExplanationDocument {
        let Self { config, source, place, wants, plan } = *self;
        let declared = wants.iter().find(|want| Kinds::address(want) == *address);
        let (seen, facts) = match plan.sights.get(address) {
            Some(Sight::Present(facts)) => (Seen::Present, facts.clone()),
            Some(Sight::Absent) => (Seen::Absent, Facts::default()),
            Some(Sight::Unobservable) | None => (Seen::Unobservable, Facts::default()),
        };
        let is_of = |(_, action): &(usize, &Action<Kinds>)| action.address == *address;
        let steps = plan.actions.iter().enumerate().filter(is_of).map(|(number, _)| self.step(number));
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
            steps: steps.collect(),
            notes: plan.notes.iter().filter(|note| note.address == *address).cloned().collect(),
            deferred: plan.deferred.iter().filter(|deferral| deferral.address == *address).cloned().collect(),
            refers_to,
            referred_to_by,
        }
    }

    fn step(&self, number: usize) -> ExplainedStep {
        let plan = self.plan;
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
