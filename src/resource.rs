//! The two halves of a resource kind. The pure half turns desired and live state into steps; the live
//! half talks to AWS. Both stand in the kind's one file.

use crate::code::Code;
use crate::drift::{Drift, DriftCode};
use crate::model::{Address, Facts, Kind, Mark, Output, Owner, Ref, Seen, Shown, Sight, Tags, Val};
use serde::Serialize;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// What an action does to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Create,
    Update,
    /// Makes sure of something that cannot be seen yet; changes nothing where it already holds.
    Ensure,
    Rotate,
    Delete,
}

/// What can go wrong for those who use the target while the action runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    None,
    /// Clients may see errors for a while.
    Interrupts,
    /// What is lost does not come back.
    Irreversible,
}

/// Key of a step that changes nothing and waits for what somebody has begun.
pub const AWAIT: &str = "await";

/// One attribute's way from live to desired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attribute {
    pub name: &'static str,
    pub before: Shown,
    pub after: Shown,
}

/// One change of one resource. Several steps of a resource run in their order.
#[derive(Debug, Clone)]
pub struct Step<C> {
    /// Names the change within its kind, so that a planned step can be recognised when the target is
    /// observed again just before it runs.
    pub key: &'static str,
    pub verb: Verb,
    /// What has become of what was declared, that this makes good: one thing at least.
    pub drift: Vec<Drift>,
    pub risk: Risk,
    pub change: C,
    pub attributes: Vec<Attribute>,
    /// Why, where the attributes do not say it.
    pub because: Option<String>,
    /// What stays behind once a deletion is done, and what to do with it.
    pub leaves: Option<String>,
    /// Addresses whose actions must be done first.
    pub after: BTreeSet<Address>,
}

impl<C> Step<C> {
    /// Makes good another thing as well.
    pub fn and(mut self, drift: impl Into<Drift>) -> Self {
        self.drift.push(drift.into());
        self
    }

    pub fn risk(mut self, risk: Risk) -> Self {
        self.risk = risk;
        self
    }

    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.because = Some(why.into());
        self
    }

    /// Names what a deletion leaves behind.
    pub fn leaves(mut self, what: impl Into<String>) -> Self {
        self.leaves = Some(what.into());
        self
    }

    /// Adds an attribute; unchanged ones are left out.
    pub fn attribute(mut self, name: &'static str, before: Shown, after: Shown) -> Self {
        if before != after {
            self.attributes.push(Attribute { name, before, after });
        }
        self
    }

    /// Adds an attribute that a new resource gets.
    pub fn set(self, name: &'static str, after: Shown) -> Self {
        self.attribute(name, Shown::Unset, after)
    }

    pub fn map<D>(self, f: impl FnOnce(C) -> D) -> Step<D> {
        let Self { key, verb, drift, risk, change, attributes, because, leaves, after } = self;
        Step { key, verb, drift, risk, change: f(change), attributes, because, leaves, after }
    }
}

/// Why a resource is not touched, and what its owner can do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    pub code: Code,
    pub cause: String,
    pub hint: String,
}

impl Refusal {
    /// Every cause has its code, and advice.
    pub fn new(code: Code, cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, cause: cause.into(), hint: hint.into() }
    }
}

/// Outputs of one resource, of whatever kind.
#[derive(Clone)]
pub struct Outputs(Arc<dyn Any + Send + Sync>);

impl Outputs {
    pub fn of<R: Resource>(outputs: R::Outputs) -> Self {
        Self(Arc::new(outputs))
    }

    fn get<R: Resource>(&self) -> Option<&R::Outputs> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outputs")
    }
}

/// An output value: each type comes from exactly one kind.
pub trait OutputOf: Clone {
    type By: Resource;
    fn of(outputs: &<Self::By as Resource>::Outputs) -> Self;
}

/// How a resource that was already diffed stands.
#[derive(Debug, Clone)]
pub enum Standing {
    /// Nothing to do: its outputs are known now.
    Settled(Outputs),
    /// Steps are planned for it. Its outputs are known already where it stands and none of them makes it
    /// anew: an update leaves identifiers and addresses as they are.
    Changing(Option<Outputs>),
}

impl Standing {
    fn outputs(&self) -> Option<&Outputs> {
        match self {
            Self::Settled(outputs) => Some(outputs),
            Self::Changing(outputs) => outputs.as_ref(),
        }
    }
}

/// What one diff may know and must tell: outputs of producers come through here, and asking for one
/// records the edge in the same call.
pub struct Diff<'a> {
    standings: &'a BTreeMap<Address, Standing>,
    address: Address,
    edges: BTreeSet<Address>,
    notes: Vec<Note>,
    deferred: Vec<Deferral>,
}

/// Something a reader of the plan should know although no action follows from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    pub address: Address,
    pub text: String,
    /// Where it is drift that no apply mends.
    #[serde(flatten)]
    pub remedy: Option<Remedy>,
}

/// Drift that no apply mends, and what does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Remedy {
    pub code: DriftCode,
    /// The next command, or what else to do.
    pub fix: String,
}

/// Wanted, not in this plan, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Deferral {
    pub address: Address,
    pub what: String,
    pub why: String,
}

impl<'a> Diff<'a> {
    pub fn new(address: Address, standings: &'a BTreeMap<Address, Standing>) -> Self {
        Self { standings, address, edges: BTreeSet::new(), notes: Vec::new(), deferred: Vec::new() }
    }

    /// An output of another resource, known wherever it can be. Where that resource has something to do,
    /// the next step waits for it.
    pub fn output<T: OutputOf>(&mut self, from: &Ref<T::By>) -> Val<T> {
        self.after(from.address());
        match self.standings.get(from.address()).and_then(Standing::outputs) {
            Some(outputs) => match outputs.get::<T::By>() {
                Some(outputs) => Val::Known(T::of(outputs)),
                // A `Ref` is made only by its kind, and outputs are stored under the kind's address.
                None => unreachable!("outputs of {} are of another kind", from.address()),
            },
            None => Val::After(Output::of(from.address().clone())),
        }
    }

    /// The next step waits for whatever is planned for `address`, needing no value of it.
    pub fn after(&mut self, address: &Address) {
        if !matches!(self.standings.get(address), Some(Standing::Settled(_))) {
            self.edges.insert(address.clone());
        }
    }

    /// Whether `address` has nothing to do.
    pub fn is_settled(&self, address: &Address) -> bool {
        matches!(self.standings.get(address), Some(Standing::Settled(_)))
    }

    /// A step that waits for all that was asked for since the last one.
    pub fn step<C>(&mut self, key: &'static str, verb: Verb, drift: impl Into<Drift>, change: C) -> Step<C> {
        Step {
            key,
            verb,
            drift: vec![drift.into()],
            risk: Risk::None,
            change,
            attributes: Vec::new(),
            because: None,
            leaves: None,
            after: std::mem::take(&mut self.edges),
        }
    }

    /// What there is to remove: nothing where it is absent, or is not `mark`'s and stays, which is noted.
    pub fn to_remove<'l, T>(
        &mut self,
        mark: &Mark,
        live: Seen<&'l T>,
        tags: impl FnOnce(&'l T) -> &'l Tags,
    ) -> Result<Option<&'l T>, Refusal> {
        match live {
            Seen::Absent => Ok(None),
            Seen::Unobservable(why) => Err(unobservable(why)),
            Seen::Present(live) if mark.owner(tags(live)) == Owner::Us => Ok(Some(live)),
            Seen::Present(_) => {
                self.note("it is not this deployment's and stays");
                Ok(None)
            }
        }
    }

    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(Note { address: self.address.clone(), text: text.into(), remedy: None });
    }

    /// Notes that something has moved which no step of ours mends, and what does.
    pub fn drift(&mut self, drift: impl Into<Drift>, fix: impl Into<String>) {
        let drift = drift.into();
        let remedy = Some(Remedy { code: drift.code, fix: fix.into() });
        self.notes.push(Note { address: self.address.clone(), text: drift.what().to_owned(), remedy });
    }

    pub fn defer(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.deferred.push(Deferral { address: self.address.clone(), what: what.into(), why: why.into() });
    }

    /// Notes and deferrals collected.
    pub fn finish(self) -> (Vec<Note>, Vec<Deferral>) {
        (self.notes, self.deferred)
    }
}

/// The pure half of a kind.
pub trait Resource: Sized + 'static {
    const KIND: Kind;
    /// What the deployment wants of one resource.
    type Desired: Clone + fmt::Debug + Send + Sync;
    /// What AWS says of it, normalised when parsed: order, defaults, versions and dates that rotation or
    /// AWS change by themselves are not in it.
    type Observed: Clone + fmt::Debug + PartialEq + Send + Sync;
    type Outputs: Clone + Send + Sync + 'static;
    /// All that can be done to it: a closed enum.
    type Change: Clone + fmt::Debug + Send + Sync;

    /// Whether a removal that was accepted is done even where nothing can be seen of it afterwards: whoever made it
    /// has answered for it.
    const REMOVED_UNSEEN: bool = false;

    fn address(want: &Self::Desired) -> Address;
    /// What it refers to. Deletion runs against these edges.
    fn needs(want: &Self::Desired) -> Vec<Address>;
    /// The steps from live to desired, none where there is nothing to do.
    fn diff(
        cx: &mut Diff<'_>,
        want: &Self::Desired,
        live: Seen<&Self::Observed>,
    ) -> Result<Vec<Step<Self::Change>>, Refusal>;
    /// The steps that remove it, none where it is gone or is not ours to remove.
    fn remove(
        cx: &mut Diff<'_>,
        want: &Self::Desired,
        live: Seen<&Self::Observed>,
    ) -> Result<Vec<Step<Self::Change>>, Refusal>;
    /// Whether it has arrived, and what it then gives to others.
    fn settled(want: &Self::Desired, live: &Self::Observed) -> Settled<Self::Outputs>;
    /// What a good apply leaves: live state made from the desired one, with identifiers derived from the
    /// address. Simulations and tests start from it, so that there is no second, hand-kept model of AWS.
    fn realised(want: &Self::Desired, known: &Known) -> Result<Self::Observed, NotProduced>;
    /// What it gives to others as it stands, whether or not it is as desired: an instance that is being
    /// modified keeps its address. None while there is nothing to give yet.
    fn outputs(want: &Self::Desired, live: &Self::Observed) -> Option<Self::Outputs> {
        match Self::settled(want, live) {
            Settled::Yes(outputs) => Some(outputs),
            Settled::NotYet { .. } | Settled::Never { .. } => None,
        }
    }
    /// While it is being removed: why it will never be gone, or what it says of itself.
    fn leaving(_want: &Self::Desired, _live: &Self::Observed) -> Settled<()> {
        Settled::NotYet { saying: "it is still there".to_owned() }
    }
    /// What a plan goes by. Written by destructuring without `..`: of a new field somebody has to say whether it is a
    /// fact, or why AWS or a rotation changes it by itself, without anybody's doing.
    fn facts(live: &Self::Observed) -> Facts;
}

/// Whether an action's target has arrived.
#[derive(Debug, Clone)]
pub enum Settled<T> {
    Yes(T),
    NotYet { saying: String },
    Never { because: String },
}

impl<T> Settled<T> {
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Settled<U> {
        match self {
            Self::Yes(value) => Settled::Yes(f(value)),
            Self::NotYet { saying } => Settled::NotYet { saying },
            Self::Never { because } => Settled::Never { because },
        }
    }
}

/// Outputs of everything done or unchanged so far, while a plan is carried out.
#[derive(Debug, Clone, Default)]
pub struct Known(BTreeMap<Address, Standing>);

/// An output was asked for before its action was done: the plan lacked an edge.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the output of {0} was needed before it was there (a missing edge in the plan: please report it)")]
pub struct NotProduced(pub Address);

impl Known {
    pub fn new(standings: BTreeMap<Address, Standing>) -> Self {
        Self(standings)
    }

    pub fn standings(&self) -> &BTreeMap<Address, Standing> {
        &self.0
    }

    pub fn insert(&mut self, address: Address, outputs: Outputs) {
        self.0.insert(address, Standing::Settled(outputs));
    }

    /// The value itself, now.
    pub fn get<T: OutputOf>(&self, val: &Val<T>) -> Result<T, NotProduced> {
        match val {
            Val::Known(value) => Ok(value.clone()),
            Val::After(output) => self.lookup(output.from()),
        }
    }

    /// An output of a resource that is referred to.
    pub fn output<T: OutputOf>(&self, from: &Ref<T::By>) -> Result<T, NotProduced> {
        self.lookup(from.address())
    }

    fn lookup<T: OutputOf>(&self, from: &Address) -> Result<T, NotProduced> {
        let outputs = self.0.get(from).and_then(Standing::outputs).and_then(Outputs::get::<T::By>);
        outputs.map(T::of).ok_or_else(|| NotProduced(from.clone()))
    }
}

/// A made-up identifier, the same for the same address: `prefix-` and 17 hexadecimal digits, as EC2 writes
/// them.
pub fn made_up_id(prefix: &str, address: &Address) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(address.to_string());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}-{}", &hex[..17])
}

/// What could not be seen is not changed.
pub fn unobservable(why: String) -> Refusal {
    let cause = format!("it could not be looked at: {why}");
    Refusal::new(Code::Unobservable, cause, "make it visible to these credentials and plan again")
}

/// Refuses what exists under our name without our mark. `what` says what was found.
pub fn require_ours(mark: &Mark, tags: &Tags, what: &str) -> Result<(), Refusal> {
    let hint = "choose another name in the config, or remove it if nobody needs it; \
                pgrotate never changes what it did not make";
    let cause = match mark.owner(tags) {
        Owner::Us => return Ok(()),
        Owner::Nobody => format!("{what} exists already and carries no tag of pgrotate"),
        Owner::OtherDeployment(other) => format!("{what} belongs to the deployment `{other}`"),
        Owner::OtherAddress(other) => {
            format!("{what} carries this deployment's tag, but the address `{other}`: a copy, or something renamed")
        }
    };
    Err(Refusal::new(Code::NotOurs, cause, hint))
}

/// What is no longer declared.
#[derive(Debug, Clone)]
pub struct Leaver<W> {
    pub want: W,
    /// What takes its place: whatever is planned for these comes first.
    pub after: Vec<Address>,
}

/// All kinds together, as the planner sees them: enums with one variant a kind. `resources::kinds!`
/// writes the one of the product; tests may have a family of their own.
pub trait Family: Clone + fmt::Debug + 'static {
    type Want: Clone + fmt::Debug + Send + Sync;
    type Live: Clone + fmt::Debug + Send + Sync;
    type Change: Clone + fmt::Debug + Send + Sync;

    fn address(want: &Self::Want) -> Address;
    fn needs(want: &Self::Want) -> Vec<Address>;
    fn diff(cx: &mut Diff<'_>, want: &Self::Want, live: Seen<&Self::Live>) -> Result<Vec<Step<Self::Change>>, Refusal>;
    fn remove(
        cx: &mut Diff<'_>,
        want: &Self::Want,
        live: Seen<&Self::Live>,
    ) -> Result<Vec<Step<Self::Change>>, Refusal>;
    fn settled(want: &Self::Want, live: &Self::Live) -> Settled<Outputs>;
    fn outputs(want: &Self::Want, live: &Self::Live) -> Option<Outputs>;
    fn realised(want: &Self::Want, known: &Known) -> Result<Self::Live, NotProduced>;
    fn leaving(want: &Self::Want, live: &Self::Live) -> Settled<()>;
    fn removed_unseen(want: &Self::Want) -> bool;
    fn facts(live: &Self::Live) -> Facts;
}

/// What a plan goes by of what was seen.
pub fn sight<F: Family>(seen: &Seen<F::Live>) -> Sight {
    match seen {
        Seen::Present(live) => Sight::Present(F::facts(live)),
        Seen::Absent => Sight::Absent,
        Seen::Unobservable(_) => Sight::Unobservable,
    }
}
