//! Planning: desired and live state in, actions out. Pure: no AWS, no clock, no randomness.

pub mod adopting;
pub mod limits;
mod naming;

use crate::command::File;
use crate::drift::Drift;
use crate::graph::{Cycle, Order};
use crate::model::{Address, Seen, Sight};
use crate::resource::{
    Attribute, Deferral, Diff, Family, Leaver, Note, Outputs, Refusal, Risk, Standing, Step, Verb, sight,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a plan is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Live state becomes what is desired.
    #[default]
    Converge,
    /// Everything of the deployment goes.
    Destroy,
}

/// One thing to do.
#[derive(Debug, Clone)]
pub struct Action<F: Family> {
    pub address: Address,
    /// Which of the address's steps it is, from 0.
    pub place: usize,
    pub key: &'static str,
    pub verb: Verb,
    /// What of it is not as declared.
    pub drift: Vec<Drift>,
    pub risk: Risk,
    pub change: F::Change,
    pub attributes: Vec<Attribute>,
    pub because: Option<String>,
    /// What stays behind once a deletion is done.
    pub leaves: Option<String>,
    /// Who uses what it takes away.
    pub in_use: Option<String>,
    /// Whether an earlier action of this plan moves what is seen of the target.
    pub sight_moves: bool,
    /// What the diff saw and wanted: the action is stale when its target no longer looks like this.
    pub want: F::Want,
    pub seen: Seen<F::Live>,
    /// Whether it is a step towards the target's absence.
    pub removing: bool,
}

impl<F: Family> Action<F> {
    /// The address, and which step where there is more than one to tell apart.
    pub fn label(&self) -> String {
        if self.place == 0 { self.address.to_string() } else { format!("{} ({})", self.address, self.key) }
    }
}

/// Everything that will be done, in which order, and what will not be and why. The executor decides
/// nothing beyond it.
#[derive(Debug, Clone)]
#[must_use]
pub struct Plan<F: Family> {
    pub goal: Goal,
    /// In an order in which they could run one by one.
    pub actions: Vec<Action<F>>,
    pub order: Order,
    /// Addresses with nothing to do.
    pub unchanged: Vec<Address>,
    pub notes: Vec<Note>,
    pub deferred: Vec<Deferral>,
    /// What was seen of every address.
    pub sights: BTreeMap<Address, Sight>,
    /// How every address stood when the plan was made.
    pub standings: BTreeMap<Address, Standing>,
    /// What of the deployment stays, no longer declared, beside what takes its place.
    pub left_behind: Vec<Address>,
    /// The config file, once it is known: see [`Self::naming`].
    pub file: Option<File>,
}

impl<F: Family> Plan<F> {
    /// With what else its reader should know, and what it leaves behind.
    pub fn noting(mut self, (notes, left_behind): (Vec<Note>, Vec<Address>)) -> Self {
        self.notes.extend(notes);
        self.notes.sort();
        self.left_behind = left_behind;
        self
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Some resources may not be touched; all of them, by address.
    #[error("{}", refusals_text(.0))]
    Refused(Vec<(Address, Refusal)>),
    #[error(transparent)]
    Cycle(#[from] Cycle),
    /// The desired model is not in dependency order: a mistake of ours.
    #[error("{from} refers to {to}, which the model does not list before it (please report this)")]
    OutOfOrder { from: Address, to: Address },
    /// A kind gave neither outputs nor a step towards them: a mistake of ours.
    #[error("{0} is not done, and there is nothing to do about it (please report this)")]
    Stranded(Address),
}

fn refusals_text(refusals: &[(Address, Refusal)]) -> String {
    let lines: Vec<_> = refusals.iter().map(|(address, refusal)| format!("{address}: {}", refusal.cause)).collect();
    lines.join("\n")
}

/// Plans `goal` for `wants`, each of which stands after what it refers to. `leavers` are no longer declared
/// and go in either case; they may refer to `wants`. What `live` does not hold counts as unobservable, never
/// as absent.
pub fn plan<F: Family>(
    goal: Goal,
    wants: &[F::Want],
    leavers: &[Leaver<F::Want>],
    live: &BTreeMap<Address, Seen<F::Live>>,
) -> Result<Plan<F>, PlanError> {
    let all: Vec<_> = wants.iter().chain(leavers.iter().map(|leaver| &leaver.want)).collect();
    check_order::<F>(&all)?;
    let mut planned = Planned::<F>::default();
    if goal == Goal::Converge {
        for want in wants {
            planned.converge(want, live);
        }
    }
    let going = match goal {
        Goal::Converge => &all[wants.len()..],
        Goal::Destroy => &all[..],
    };
    // What must be gone before an address may go. A referrer with nothing to do passes on its
    // own referrers, or the order would be lost with it.
    let mut blockers: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
    let replaced_by: BTreeMap<_, _> = leavers.iter().map(|leaver| (F::address(&leaver.want), &leaver.after)).collect();
    for want in going.iter().rev() {
        let address = F::address(want);
        let mine = blockers.remove(&address).unwrap_or_default();
        let mut first = mine.clone();
        first.extend(replaced_by.get(&address).into_iter().copied().flatten().cloned());
        planned.destroy(want, live, &first);
        let passed_on = if planned.last.contains_key(&address) { BTreeSet::from([address]) } else { mine };
        for need in F::needs(want) {
            blockers.entry(need).or_default().extend(passed_on.iter().cloned());
        }
    }
    planned.finish(goal)
}

fn check_order<F: Family>(wants: &[&F::Want]) -> Result<(), PlanError> {
    let mut before = BTreeSet::new();
    for want in wants {
        let from = F::address(want);
        if let Some(to) = F::needs(want).into_iter().find(|need| !before.contains(need)) {
            return Err(PlanError::OutOfOrder { from, to });
        }
        before.insert(from);
    }
    Ok(())
}

struct Planned<F: Family> {
    actions: Vec<Action<F>>,
    /// (first, then) by number.
    edges: Vec<(usize, usize)>,
    last: BTreeMap<Address, usize>,
    unchanged: Vec<Address>,
    notes: Vec<Note>,
    deferred: Vec<Deferral>,
    sights: BTreeMap<Address, Sight>,
    standings: BTreeMap<Address, Standing>,
    refusals: Vec<(Address, Refusal)>,
    /// Neither done nor with anything to do.
    stranded: Vec<Address>,
}

impl<F: Family> Default for Planned<F> {
    fn default() -> Self {
        Self {
            actions: Vec::new(),
            edges: Vec::new(),
            last: BTreeMap::new(),
            unchanged: Vec::new(),
            notes: Vec::new(),
            deferred: Vec::new(),
            sights: BTreeMap::new(),
            standings: BTreeMap::new(),
            refusals: Vec::new(),
            stranded: Vec::new(),
        }
    }
}

impl<F: Family> Planned<F> {
    fn converge(&mut self, want: &F::Want, live: &BTreeMap<Address, Seen<F::Live>>) {
        let address = F::address(want);
        let seen = seen::<F>(live, &address);
        self.sights.insert(address.clone(), sight::<F>(&seen));
        let mut cx = Diff::new(address.clone(), &self.standings);
        let result = F::diff(&mut cx, want, seen.as_ref());
        self.collect(cx.finish());
        let standing = match result {
            Err(refusal) => {
                self.refusals.push((address.clone(), refusal));
                Standing::Changing(None)
            }
            Ok(steps) if steps.is_empty() => match outputs::<F>(want, &seen) {
                Some(outputs) => {
                    self.unchanged.push(address.clone());
                    Standing::Settled(outputs)
                }
                None => {
                    // A kind answers "still on its way" with a step that waits, and "cannot be seen" with
                    // an ensure; no step and no outputs would leave dependents waiting for nobody.
                    self.stranded.push(address.clone());
                    Standing::Changing(None)
                }
            },
            Ok(steps) => {
                let made_anew = steps.iter().any(|step| matches!(step.verb, Verb::Create | Verb::Delete));
                self.add((&address, want), &seen, steps, false);
                Standing::Changing(outputs::<F>(want, &seen).filter(|_| !made_anew))
            }
        };
        self.standings.insert(address, standing);
    }

    fn destroy(&mut self, want: &F::Want, live: &BTreeMap<Address, Seen<F::Live>>, blockers: &BTreeSet<Address>) {
        let address = F::address(want);
        let seen = seen::<F>(live, &address);
        self.sights.insert(address.clone(), sight::<F>(&seen));
        // Deleting needs values of things that still stand: what has outputs gives them.
        let standing = match outputs::<F>(want, &seen) {
            Some(outputs) => Standing::Settled(outputs),
            None => Standing::Changing(None),
        };
        let mut cx = Diff::new(address.clone(), &self.standings);
        let result = F::remove(&mut cx, want, seen.as_ref());
        self.collect(cx.finish());
        match result {
            Err(refusal) => self.refusals.push((address.clone(), refusal)),
            Ok(mut steps) => {
                if let Some(first) = steps.first_mut() {
                    first.after.extend(blockers.iter().cloned());
                }
                if steps.is_empty() {
                    self.unchanged.push(address.clone());
                }
                self.add((&address, want), &seen, steps, true);
            }
        }
        self.standings.insert(address, standing);
    }

    fn collect(&mut self, (notes, deferred): (Vec<Note>, Vec<Deferral>)) {
        self.notes.extend(notes);
        self.deferred.extend(deferred);
    }

    fn add(
        &mut self,
        (address, want): (&Address, &F::Want),
        seen: &Seen<F::Live>,
        steps: Vec<Step<F::Change>>,
        removing: bool,
    ) {
        for (place, step) in steps.into_iter().enumerate() {
            let number = self.actions.len();
            let Step { key, verb, drift, risk, change, attributes, because, leaves, in_use, sight_moves, after } = step;
            self.edges.extend(after.iter().filter_map(|first| self.last.get(first)).map(|&first| (first, number)));
            if let Some(&previous) = self.last.get(address) {
                self.edges.push((previous, number));
            }
            self.last.insert(address.clone(), number);
            self.actions.push(Action {
                address: address.clone(),
                place,
                key,
                verb,
                drift,
                risk,
                change,
                attributes,
                because,
                leaves,
                in_use,
                sight_moves,
                want: want.clone(),
                seen: seen.clone(),
                removing,
            });
        }
    }

    fn finish(mut self, goal: Goal) -> Result<Plan<F>, PlanError> {
        if !self.refusals.is_empty() {
            self.refusals.sort_by(|a, b| a.0.cmp(&b.0));
            return Err(PlanError::Refused(self.refusals));
        }
        if let Some(address) = self.stranded.into_iter().next() {
            return Err(PlanError::Stranded(address));
        }
        let order = Order::build(self.actions.len(), self.edges, |action| self.actions[action].label())?;
        self.unchanged.sort();
        self.notes.sort();
        self.deferred.sort();
        Ok(Plan {
            goal,
            actions: self.actions,
            order,
            unchanged: self.unchanged,
            notes: self.notes,
            deferred: self.deferred,
            sights: self.sights,
            standings: self.standings,
            left_behind: Vec::new(),
            file: None,
        })
    }
}

/// What was seen of every address, as a plan has it; also where none can be made.
pub fn sights<F: Family>(live: &BTreeMap<Address, Seen<F::Live>>) -> BTreeMap<Address, Sight> {
    live.iter().map(|(address, seen)| (address.clone(), sight::<F>(seen))).collect()
}

fn seen<F: Family>(live: &BTreeMap<Address, Seen<F::Live>>, address: &Address) -> Seen<F::Live> {
    live.get(address).cloned().unwrap_or_else(|| Seen::Unobservable("it was not looked at".to_owned()))
}

fn outputs<F: Family>(want: &F::Want, seen: &Seen<F::Live>) -> Option<Outputs> {
    F::outputs(want, seen.present()?)
}
