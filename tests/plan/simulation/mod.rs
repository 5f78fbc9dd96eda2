//! A simulated AWS for the executor: the desired model turned into live state, one change at a time, in virtual
//! time. It counts, fails, delays and stops where a test wants it to.

pub mod account;
pub mod clock;
pub mod faults;
pub mod latency;

use crate::scenario::State;
use account::Account;
use clock::Clock;
use faults::{Fault, Faults};
use latency::{Latencies, seconds};
use pgrotate::code::{Code, Coded};
use pgrotate::execute::{Applied, Limits, Pressed, Report, World, execute};
use pgrotate::model::{Address, Seen};
use pgrotate::plan::{Goal, Plan};
use pgrotate::resource::Family;
use pgrotate::resource::{Known, Leaver, NotProduced};
use pgrotate::resources::{AnyChange, AnyLive, Kinds, Want};
use pgrotate::resources::{
    Artifact, Bucket, DbCluster, DbInstance, DbSubnetGroup, Live, Login, Rotation, Secret, SecurityGroup,
    SecurityGroupRule, Stack, VpcEndpoint,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    #[error("AccessDenied: {0} may not be changed")]
    Denied(Address),
    #[error("AlreadyExists: {0}")]
    Duplicate(Address),
    #[error("InvalidRequestException: the secret of {0} is pending deletion")]
    Gone(Address),
    #[error("InvalidGroup.NotFound: that of {0}")]
    NoGroup(Address),
    #[error("{0:?}: the call about {1} came to nothing")]
    Fault(Fault, Address),
    #[error(transparent)]
    NotProduced(#[from] NotProduced),
}

impl Coded for SimulationError {
    fn code(&self) -> Code {
        match self {
            Self::Denied(_) => Code::AccessDenied,
            Self::Duplicate(_) | Self::Gone(_) | Self::NoGroup(_) | Self::Fault(..) => Code::AwsRefused,
            Self::NotProduced(_) => Code::Internal,
        }
    }

    fn hint(&self) -> String {
        "allow it to these credentials".to_owned()
    }
}

pub struct Simulation {
    pub clock: Clock,
    pub account: RefCell<Account>,
    latencies: Latencies,
    pub faults: Faults,
    /// What somebody else does to the account, and when.
    pub meddling: RefCell<Vec<(Duration, Address, Seen<AnyLive>)>>,
    /// What was changed, in order.
    pub applied: RefCell<Vec<Address>>,
    /// Fails every change of this address.
    denied: Option<Address>,
    /// Answers so many times that it is not yet possible.
    pub not_yet: RefCell<BTreeMap<Address, usize>>,
    pub patience: Option<Duration>,
    /// Whether what is to be made may exist: two applies are at it, or answers are lost. Otherwise making it again is
    /// a mistake.
    pub shared: bool,
    /// Stops the world at the change of this number: before it is made, or after, but before the answer
    /// is heard.
    pub dies_at: Cell<Option<(usize, Death)>>,
    pub dead: tokio::sync::Notify,
    /// Changes under way at this moment, and the most that ever were.
    /// By what is pressed: now, and the most so far.
    busy: RefCell<BTreeMap<bool, (usize, usize)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    BeforeTheChange,
    BeforeTheAnswer,
}

/// With which virtual time goes on: no longer than any call takes.
const A_MOMENT: f64 = 1e-6;

impl Simulation {
    pub fn new(state: State) -> Self {
        Self::with(state, latency::AWS)
    }

    pub fn with(state: State, latencies: Latencies) -> Self {
        Self {
            clock: Clock::default(),
            account: RefCell::new(Account::new(state, latencies)),
            latencies,
            faults: Faults::default(),
            meddling: RefCell::default(),
            applied: RefCell::default(),
            denied: None,
            not_yet: RefCell::default(),
            patience: None,
            shared: false,
            dies_at: Cell::default(),
            dead: tokio::sync::Notify::new(),
            busy: RefCell::default(),
        }
    }

    /// What a good apply of `wants` has left.
    pub fn of(wants: &[Want]) -> Self {
        let world = Self::new(crate::scenario::realise(wants));
        world.account.borrow_mut().made_for(wants);
        world
    }

    pub fn denying(mut self, address: Address) -> Self {
        self.denied = Some(address);
        self
    }

    /// The most changes of a kind that presses on `pressed` that were ever under way at once.
    pub fn busiest(&self, pressed: Pressed) -> usize {
        self.busy.borrow().get(&(pressed == Pressed::Functions)).map_or(0, |(_, most)| *most)
    }

    /// The same world once it lives again.
    pub fn revived(self) -> Self {
        Self {
            clock: self.clock,
            account: self.account,
            shared: self.shared,
            ..Self::with(State::new(), self.latencies)
        }
    }

    /// A copy in which all has arrived that is on its way.
    pub fn once_settled(&self) -> Self {
        Self { account: RefCell::new(self.account.borrow().settled()), ..Self::with(State::new(), self.latencies) }
    }

    pub fn put(&self, address: &Address, seen: Seen<AnyLive>) {
        self.account.borrow_mut().put(address, seen);
    }

    /// Carries out `plan`.
    pub fn carry_out(&self, plan: &Plan<Kinds>) -> Report {
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        self.run(execute(plan, self, Limits::default(), stopped, |_, _| {}))
    }

    /// Runs `future` to its end, in virtual time.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.clock.run(future)
    }

    /// Looks at everything, as a plan does.
    pub fn observed(&self, wants: &[Want]) -> State {
        wants.iter().map(|want| (Kinds::address(want), self.look(want))).collect()
    }

    fn look(&self, want: &Want) -> Seen<AnyLive> {
        let mut account = self.account.borrow_mut();
        self.meddling.borrow_mut().retain(|(when, address, seen)| {
            let due = *when <= self.clock.now();
            if due {
                account.put(address, seen.clone());
            }
            !due
        });
        account.at(&self.clock).look(want)
    }

    /// Logins are found by their secrets: once those are gone, nothing is looked for any more.
    pub fn still_found(&self, leavers: &[Leaver<Want>]) -> Vec<Leaver<Want>> {
        let account = self.account.borrow();
        let state = account.state();
        let is_there = |secret: &Address| matches!(state.get(secret), Some(Seen::Present(AnyLive::Secret(secret))) if !secret.deleted);
        leavers
            .iter()
            .filter(|leaver| match &leaver.want {
                Want::Secret(secret) => is_there(&secret.mark.address),
                Want::Login(login) => is_there(login.secret.address()),
                Want::Rotation(rotation) => is_there(rotation.secret.address()),
                _ => true,
            })
            .cloned()
            .collect()
    }

    async fn takes(&self, time: f64) {
        self.clock.sleep(seconds(time.max(A_MOMENT))).await;
    }

    /// What befalls a call before it is answered: whether it is made, and whether that is heard of.
    async fn meets(&self, address: &Address) -> Result<Option<Fault>, SimulationError> {
        let fault = self.faults.next(address);
        match fault {
            None | Some(Fault::AnswerLost) => Ok(fault),
            Some(Fault::Throttled) => {
                // The SDK's first two pauses are of up to 1 and 2 s.
                self.takes(3.0).await;
                Ok(None)
            }
            Some(Fault::Refused | Fault::CutBefore) => {
                self.takes(3.0).await;
                Err(SimulationError::Fault(Fault::Refused, address.clone()))
            }
        }
    }
}

impl World<Kinds> for Simulation {
    type Error = SimulationError;

    async fn observe(&self, want: &Want, _known: &Known) -> Result<Seen<AnyLive>, SimulationError> {
        let address = Kinds::address(want);
        self.takes(self.latencies.look).await;
        match self.meets(&address).await? {
            Some(fault) => Err(SimulationError::Fault(fault, address)),
            None => Ok(self.look(want)),
        }
    }

    async fn apply(&self, want: &Want, change: &AnyChange, known: &Known) -> Result<Applied, SimulationError> {
        let address = Kinds::address(want);
        let pressed = self.pressed(want);
        let count = |by: isize| {
            let mut busy = self.busy.borrow_mut();
            let (now, most) = busy.entry(pressed == Pressed::Functions).or_default();
            *now = now.saturating_add_signed(by);
            *most = (*most).max(*now);
        };
        count(1);
        let time = if pressed == Pressed::Functions { self.latencies.invoke } else { self.latencies.change };
        self.takes(time).await;
        let met = self.meets(&address).await;
        count(-1);
        let met = met?;
        let number = self.applied.borrow().len();
        if self.denied.as_ref() == Some(&address) {
            return Err(SimulationError::Denied(address));
        }
        if let Some(left) = self.not_yet.borrow_mut().get_mut(&address)
            && *left > 0
        {
            *left -= 1;
            return Ok(Applied::NotYet { saying: "somebody else is at it".to_owned() });
        }
        let death = self.dies_at.get().filter(|(at, _)| *at == number).map(|(_, death)| death);
        let mut applied = Applied::Accepted;
        if death != Some(Death::BeforeTheChange) {
            applied = self.account.borrow_mut().at(&self.clock).change(want, change, known, self.shared)?;
        }
        if applied == Applied::Accepted {
            self.applied.borrow_mut().push(address.clone());
        }
        if death.is_some() {
            self.dead.notify_one();
            std::future::pending::<()>().await;
        }
        match met {
            Some(fault) => Err(SimulationError::Fault(fault, address)),
            None => Ok(applied),
        }
    }

    fn patience(&self, want: &Want) -> Duration {
        self.patience.unwrap_or_else(|| of_kind(want).0)
    }

    fn pressed(&self, want: &Want) -> Pressed {
        of_kind(want).1
    }

    fn now(&self) -> Instant {
        self.clock.instant()
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        self.clock.sleep(time)
    }
}

/// The product's own patience and pressure.
fn of_kind(want: &Want) -> (Duration, Pressed) {
    match want {
        Want::Artifact(_) => (Artifact::PATIENCE, Artifact::PRESSED),
        Want::Bucket(_) => (Bucket::PATIENCE, Bucket::PRESSED),
        Want::DbCluster(_) => (DbCluster::PATIENCE, DbCluster::PRESSED),
        Want::DbInstance(_) => (DbInstance::PATIENCE, DbInstance::PRESSED),
        Want::DbSubnetGroup(_) => (DbSubnetGroup::PATIENCE, DbSubnetGroup::PRESSED),
        Want::Login(_) => (Login::PATIENCE, Login::PRESSED),
        Want::Rotation(_) => (Rotation::PATIENCE, Rotation::PRESSED),
        Want::Secret(_) => (Secret::PATIENCE, Secret::PRESSED),
        Want::SecurityGroup(_) => (SecurityGroup::PATIENCE, SecurityGroup::PRESSED),
        Want::SecurityGroupRule(_) => (SecurityGroupRule::PATIENCE, SecurityGroupRule::PRESSED),
        Want::Stack(_) => (Stack::PATIENCE, Stack::PRESSED),
        Want::VpcEndpoint(_) => (VpcEndpoint::PATIENCE, VpcEndpoint::PRESSED),
    }
}

pub fn with_leavers(wants: &[Want], leavers: &[Leaver<Want>]) -> Vec<Want> {
    wants.iter().chain(leavers.iter().map(|leaver| &leaver.want)).cloned().collect()
}

/// Plans and carries out until nothing is left, and says how often that took an apply.
pub fn converge(world: &Simulation, wants: &[Want], leavers: &[Leaver<Want>], goal: Goal) -> usize {
    let mut told = String::new();
    for round in 0..5 {
        let leavers = &world.still_found(leavers);
        let live = world.observed(&with_leavers(wants, leavers));
        let plan = pgrotate::plan::plan::<Kinds>(goal, wants, leavers, &live).unwrap();
        if plan.actions.is_empty() {
            return round;
        }
        let report = world.carry_out(&plan);
        told = crate::executing::told(&plan, &report);
        assert!(report.all_done(), "{told}");
    }
    panic!("five applies in a row, and still something to do:\n{told}");
}
