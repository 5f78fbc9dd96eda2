//! The two halves of a resource kind. The pure half turns desired and live state into steps; the live
//! half talks to AWS. Both stand in the kind's one file.

use crate::code::Code;
use crate::command::FILE;
use crate::drift::{Drift, DriftCode};
use crate::model::{Address, Facts, Kind, Mark, Output, Owner, Ref, Seen, Shown, Sight, Tags, Val};
use schemars::JsonSchema;
use serde::Serialize;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// What an action does to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Makes ours what is there and is nobody's.
    Adopt,
    Create,
    Update,
    /// Makes sure of something that cannot be seen yet; changes nothing where it already holds.
    Ensure,
    Rotate,
    Delete,
}

/// What can go wrong for those who use the target while the action runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
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

/// Key of the step that puts our tags on what is taken over. It is an address's first: what then differs, the steps
/// after it change.
pub const ADOPT: &str = "adopt";

/// One attribute's way from live to desired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Attribute {
    /// As the plan calls it.
    pub name: &'static str,
    /// As it is.
    pub before: Shown,
    /// As it is to become.
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
    /// What it takes away that somebody uses: it is not done unless somebody names its address.
    pub in_use: Option<String>,
    /// What comes before it in the plan moves what is seen of the target: found otherwise just before it runs, it goes
    /// ahead as long as it is still wanted.
    pub sight_moves: bool,
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

    /// Says by whom what it takes away is used at this moment.
    pub fn in_use(mut self, by: Option<String>) -> Self {
        self.in_use = by;
        self
    }

    /// Says whether an earlier action moves what is seen of the target.
    pub fn sight_moves(mut self, moves: bool) -> Self {
        self.sight_moves = moves;
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
        let Self { key, verb, drift, risk, change, attributes, because, leaves, in_use, sight_moves, after } = self;
        Step { key, verb, drift, risk, change: f(change), attributes, because, leaves, in_use, sight_moves, after }
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

    fn get<P: Producer>(&self) -> Option<&P::Outputs> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outputs")
    }
}

/// What outputs come from: a kind, or several that give the same and stand for each other.
pub trait Producer: 'static {
    type Outputs: Clone + Send + Sync + 'static;
}

impl<R: Resource> Producer for R {
    type Outputs = R::Outputs;
}

/// An output value: each type comes from exactly one producer.
pub trait OutputOf: Clone {
    type By: Producer;
    fn of(outputs: &<Self::By as Producer>::Outputs) -> Self;
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Note {
    pub address: Address,
    /// In a sentence.
    pub text: String,
    /// Where it is drift that no apply mends.
    #[serde(flatten)]
    pub remedy: Option<Remedy>,
}

/// Drift that no apply mends, and what does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Remedy {
    /// Under which it is documented in docs/drift.md.
    pub code: DriftCode,
    /// The next command, or what else to do.
    pub fix: String,
    /// Since when, where AWS tells: RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// Wanted, not in this plan, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Deferral {
    pub address: Address,
    /// What is wanted.
    pub what: String,
    /// What it waits for.
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
                // A `Ref` is made only by its producer, and outputs are stored under the producer's address.
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
            in_use: None,
            sight_moves: false,
            after: std::mem::take(&mut self.edges),
        }
    }

    /// The step that takes over what `id` names, by putting our `tags` on it.
    pub fn adopt<C>(&mut self, change: C, id: impl fmt::Display, tags: &Tags) -> Step<C> {
        self.step(ADOPT, Verb::Adopt, DriftCode::NotAdopted, change)
            .set("id", Shown::text(id))
            .set("tags", Shown::list(tags.keys()))
            .because("it was made by others; from now on apply keeps it as declared, and destroy removes it")
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
        let remedy = Some(Remedy { code: drift.code, fix: fix.into(), since: drift.since_text() });
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
    /// Why it cannot be looked at where what it stands on was deleted, which is as good as absent.
    const WITHOUT_GROUND: Option<&'static str> = None;

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

/// How what exists under our name and is not ours can become ours.
#[derive(Debug, Clone, Copy)]
pub enum Adoption {
    /// By `adopt = true` in a table of the config, which has it or not.
    By { table: &'static str, declared: bool },
    /// The same, and also where it carries this deployment's tags under another address: an instance that was renamed,
    /// or that was restored to take another one's place.
    ByOrRenamed { table: &'static str, declared: bool },
    /// Its kind is never taken over: why, and what to do instead.
    Never(&'static str),
}

/// Whose it is that exists under our name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    Ours,
    /// Nobody's, and declared to become ours.
    ToAdopt,
}

/// Whether what exists under our name is ours, or is to be taken over. All else is refused; `what` says what was found.
/// What belongs to another deployment is never taken over: each would undo what the other does.
pub fn claim(mark: &Mark, tags: &Tags, how: Adoption, what: &str) -> Result<Claim, Refusal> {
    let owner = mark.owner(tags);
    let (table, declared) = match (&owner, how) {
        (Owner::Us, _) => return Ok(Claim::Ours),
        (Owner::Nobody, Adoption::By { table, declared } | Adoption::ByOrRenamed { table, declared })
        | (Owner::OtherAddress(_), Adoption::ByOrRenamed { table, declared }) => (Some(table), declared),
        _ => (None, false),
    };
    if declared {
        return Ok(Claim::ToAdopt);
    }
    let by = table.map(|table| adopted_by(table, &mark.address));
    let (cause, hint) = match owner {
        Owner::Us => unreachable!("it was answered above"),
        Owner::Nobody => {
            let hint = match (by, how) {
                (Some(by), _) => format!("{by}; otherwise choose another name in the config"),
                (None, Adoption::Never(instead)) => instead.to_owned(),
                (None, _) => unreachable!("what is nobody's can be adopted, or never"),
            };
            (format!("{what} exists already and carries no tag of pgrotate{}", others(tags)), hint)
        }
        Owner::OtherDeployment(other) => (
            format!("{what} belongs to the deployment `{other}`"),
            "choose another name in the config; what another deployment has is never taken over".to_owned(),
        ),
        Owner::OtherAddress(other) => {
            let copy = format!(
                "where it is a copy, take the tags {} and {} off it, or choose another name",
                function_contract::tag::DEPLOYMENT,
                function_contract::tag::ADDRESS
            );
            let hint =
                by.map_or_else(|| copy.clone(), |by| format!("where it is to take that one's place, {by}; {copy}"));
            let cause = format!(
                "{what} carries this deployment's tag, but the address `{other}`: a copy, or something renamed"
            );
            (cause, hint)
        }
    };
    Err(Refusal::new(Code::NotOurs, cause, hint))
}

/// What is not there is not taken over.
pub fn nothing_to_adopt() -> Refusal {
    let cause = "there is nothing of that name to take over";
    Refusal::new(Code::NoSuchResource, cause, "correct its name in the config; or let apply make it")
}

/// Both ways to take `address` over.
pub fn adopted_by(table: &str, address: &Address) -> String {
    format!("to take it over: adopt = true in {table}, or pgrotate adopt {FILE} {address}")
}

/// Tags of those who made it, as far as they help to find them.
fn others(tags: &Tags) -> String {
    const ENOUGH: usize = 4;
    let told: Vec<_> = tags.iter().take(ENOUGH).map(|(key, value)| format!("{key}={value}")).collect();
    match tags.len() {
        0 => String::new(),
        all if all > ENOUGH => format!("; its {all} tags begin with {}", told.join(", ")),
        _ => format!("; its tags: {}", told.join(", ")),
    }
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
    /// Whether it is not there, or cannot be for what it stands on is not.
    fn is_gone(want: &Self::Want, live: &Seen<Self::Live>) -> bool;
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
