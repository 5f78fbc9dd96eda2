//! A simulated AWS for the executor: the desired model turned into live state, one change at a time. It
//! counts, fails, delays and stops where a test wants it to.

use crate::scenario::State;
use pgrotate::code::{Code, Coded};
use pgrotate::execute::{Applied, Limits, Pressed, World};
use pgrotate::model::{Address, Seen};
use pgrotate::plan::Goal;
use pgrotate::resource::{Family, Known, Leaver, NotProduced};
use pgrotate::resources::{AnyChange, AnyLive, Kinds, Want, db_instance, stack};
use pgrotate::resources::{security_group, security_group_rule, vpc_endpoint};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

/// Polling as fast as the simulation answers.
pub const AT_ONCE: Limits =
    Limits { mutating: 8, invoking: 8, poll: (Duration::from_micros(50), Duration::from_micros(50)) };

#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    #[error("AccessDenied: {0} may not be changed")]
    Denied(Address),
    #[error("AlreadyExists: {0}")]
    Duplicate(Address),
    #[error(transparent)]
    NotProduced(#[from] NotProduced),
}

impl Coded for SimulationError {
    fn code(&self) -> Code {
        match self {
            Self::Denied(_) => Code::AccessDenied,
            Self::Duplicate(_) => Code::AwsRefused,
            Self::NotProduced(_) => Code::Internal,
        }
    }

    fn hint(&self) -> String {
        "allow it to these credentials".to_owned()
    }
}

#[derive(Default)]
pub struct Simulation {
    state: RefCell<State>,
    /// Looks that an instance, stack or endpoint still takes to arrive.
    arriving: RefCell<BTreeMap<Address, usize>>,
    /// What was changed, in order.
    pub applied: RefCell<Vec<Address>>,
    /// Fails every change of this address.
    denied: Option<Address>,
    /// Answers so many times that it is not yet possible.
    pub not_yet: RefCell<BTreeMap<Address, usize>>,
    pub patience: Option<Duration>,
    /// Two applies are at it. Otherwise making what exists is a mistake.
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

impl Simulation {
    pub fn new(state: State) -> Self {
        Self { state: RefCell::new(state), ..Self::default() }
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
        Self { state: self.state, arriving: self.arriving, ..Self::default() }
    }

    pub fn put(&self, address: &Address, seen: Seen<AnyLive>) {
        self.state.borrow_mut().insert(address.clone(), seen);
    }

    /// Looks at everything, as a plan does.
    pub fn observed(&self, wants: &[Want]) -> State {
        wants.iter().map(|want| (Kinds::address(want), self.look(want))).collect()
    }

    /// Logins are found by their secrets: once those are gone, nothing is looked for any more.
    pub fn still_found(&self, leavers: &[Leaver<Want>]) -> Vec<Leaver<Want>> {
        let state = self.state.borrow();
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

    fn look(&self, want: &Want) -> Seen<AnyLive> {
        let address = Kinds::address(want);
        let state = self.state.borrow();
        let seen = |address: &Address| state.get(address).cloned().unwrap_or(Seen::Absent);
        match want {
            // As the real ones see them: a role through its instance, its secret and the function; a
            // rotation through its secret.
            Want::Login(login) => {
                let secret = seen(login.secret.address());
                if matches!(seen(login.instance.address()), Seen::Absent) {
                    Seen::Absent
                } else if !matches!(secret, Seen::Present(AnyLive::Secret(secret)) if !secret.deleted) {
                    Seen::Unobservable("its secret does not exist yet".to_owned())
                } else if matches!(seen(login.stack.address()), Seen::Absent) {
                    Seen::Unobservable("the inspection function does not exist yet".to_owned())
                } else {
                    seen(&address)
                }
            }
            Want::Rotation(rotation) => match seen(rotation.secret.address()) {
                Seen::Present(AnyLive::Secret(secret)) if !secret.deleted => seen(&address),
                _ => Seen::Absent,
            },
            Want::Artifact(artifact) => match &artifact.bucket_at {
                Some(bucket) if matches!(seen(bucket.address()), Seen::Absent) => Seen::Absent,
                _ => seen(&address),
            },
            _ => self.arrive(&address, seen(&address)),
        }
    }

    fn arrive(&self, address: &Address, seen: Seen<AnyLive>) -> Seen<AnyLive> {
        let mut arriving = self.arriving.borrow_mut();
        let Some(left) = arriving.get_mut(address) else { return seen };
        if *left == 0 {
            arriving.remove(address);
            return seen;
        }
        *left -= 1;
        seen.map(|live| match live {
            AnyLive::DbInstance(live) => AnyLive::DbInstance(db_instance::Observed {
                status: "creating".to_owned(),
                server: None,
                master_secret: None,
                ..live
            }),
            AnyLive::Stack(live) => AnyLive::Stack(stack::Observed { status: "CREATE_IN_PROGRESS".to_owned(), ..live }),
            AnyLive::VpcEndpoint(live) => {
                AnyLive::VpcEndpoint(vpc_endpoint::Observed { state: "pending".to_owned(), ..live })
            }
            other => other,
        })
    }

    fn change(&self, want: &Want, change: &AnyChange, known: &Known) -> Result<(), SimulationError> {
        let address = Kinds::address(want);
        let exists = matches!(self.state.borrow().get(&address), Some(Seen::Present(_)));
        if creates(change) {
            if exists {
                // As the live half does: what another apply of ours was quicker to make is as good.
                return if self.shared { Ok(()) } else { Err(SimulationError::Duplicate(address)) };
            }
            self.arriving.borrow_mut().insert(address.clone(), 2);
        }
        if goes(change) {
            self.put(&address, Seen::Absent);
            return Ok(());
        }
        if waits(change) {
            return Ok(());
        }
        let live = match (want, change) {
            (Want::Stack(want), AnyChange::Stack(stack::Change::Create(values) | stack::Change::Update(values))) => {
                AnyLive::Stack(self.stack(want, values, known)?)
            }
            (Want::Secret(_), AnyChange::Secret(pgrotate::resources::secret::Change::Delete)) => {
                match Kinds::realised(want, known)? {
                    AnyLive::Secret(mut live) => {
                        live.deleted = true;
                        AnyLive::Secret(live)
                    }
                    other => unreachable!("{other:?}"),
                }
            }
            (Want::Login(_), AnyChange::Login(pgrotate::resources::login::Change::Disable)) => {
                match self.state.borrow().get(&address) {
                    Some(Seen::Present(AnyLive::Login(live))) => {
                        let mut live = live.clone();
                        (live.role.can_login, live.clone_can_login) = (false, false);
                        AnyLive::Login(live)
                    }
                    // No role is no login.
                    _ => return Ok(()),
                }
            }
            _ => Kinds::realised(want, known)?,
        };
        self.put(&address, Seen::Present(live));
        Ok(())
    }

    /// A stack as far as its parameters are given: the instance's may come later.
    fn stack(
        &self,
        want: &stack::Desired,
        values: &stack::Values,
        known: &Known,
    ) -> Result<stack::Observed, SimulationError> {
        let code = known.get(&values.code)?;
        let before = match self.state.borrow().get(&want.mark.address) {
            Some(Seen::Present(AnyLive::Stack(live))) => live.parameters.clone(),
            _ => BTreeMap::new(),
        };
        let mut parameters = before;
        let mut set = |name: &str, value: String| parameters.insert(name.to_owned(), value);
        set("FunctionSecurityGroup", known.get(&values.group)?.0);
        set("AdminSecretArn", known.get(&values.admin_secret)?.0);
        set("CodeBucket", code.bucket);
        set("CodeKey", code.key);
        if let Some(instance) = &values.instance {
            set("Hosts", known.get(&instance.servers)?.to_string());
            set("MasterSecretArn", known.get(&instance.master_secret)?.0);
        }
        let made = stack::Observed {
            id: format!("arn:aws:cloudformation:::stack/{}", want.name),
            status: "CREATE_COMPLETE".to_owned(),
            reason: None,
            template: want.template(),
            parameters,
            tags: want.mark.tags(),
            functions: Default::default(),
        };
        Ok(made.with_functions(&want.code))
    }
}

fn creates(change: &AnyChange) -> bool {
    use pgrotate::resources::{bucket, db_subnet_group, secret};
    matches!(
        change,
        AnyChange::Bucket(bucket::Change::Create)
            | AnyChange::DbInstance(db_instance::Change::Create { .. })
            | AnyChange::DbSubnetGroup(db_subnet_group::Change::Create)
            | AnyChange::Secret(secret::Change::Create)
            | AnyChange::SecurityGroup(security_group::Change::Create)
            | AnyChange::SecurityGroupRule(security_group_rule::Change::Authorize { .. })
            | AnyChange::Stack(stack::Change::Create(_))
            | AnyChange::VpcEndpoint(vpc_endpoint::Change::Create { .. })
    )
}

fn goes(change: &AnyChange) -> bool {
    use pgrotate::resources::{artifact, bucket, db_subnet_group, login, rotation};
    matches!(
        change,
        AnyChange::Artifact(artifact::Change::Delete)
            | AnyChange::Bucket(bucket::Change::Delete)
            | AnyChange::DbInstance(db_instance::Change::Delete { .. })
            | AnyChange::DbSubnetGroup(db_subnet_group::Change::Delete)
            | AnyChange::Login(login::Change::Drop)
            | AnyChange::Rotation(rotation::Change::Cancel)
            | AnyChange::SecurityGroup(security_group::Change::Delete { .. })
            | AnyChange::SecurityGroupRule(security_group_rule::Change::Revoke { .. })
            | AnyChange::Stack(stack::Change::Delete)
            | AnyChange::VpcEndpoint(vpc_endpoint::Change::Delete { .. })
    )
}

fn waits(change: &AnyChange) -> bool {
    use pgrotate::resources::rotation;
    matches!(
        change,
        AnyChange::DbInstance(db_instance::Change::Await)
            | AnyChange::Rotation(rotation::Change::Await)
            | AnyChange::Stack(stack::Change::Await)
            | AnyChange::VpcEndpoint(vpc_endpoint::Change::Await)
    )
}

impl World<Kinds> for Simulation {
    type Error = SimulationError;

    async fn observe(&self, want: &Want, _known: &Known) -> Result<Seen<AnyLive>, SimulationError> {
        tokio::task::yield_now().await;
        Ok(self.look(want))
    }

    async fn apply(&self, want: &Want, change: &AnyChange, known: &Known) -> Result<Applied, SimulationError> {
        let address = Kinds::address(want);
        let count = |by: isize| {
            let mut busy = self.busy.borrow_mut();
            let (now, most) = busy.entry(self.pressed(want) == Pressed::Functions).or_default();
            *now = now.saturating_add_signed(by);
            *most = (*most).max(*now);
        };
        count(1);
        tokio::task::yield_now().await;
        count(-1);
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
        self.applied.borrow_mut().push(address);
        let death = self.dies_at.get().filter(|(at, _)| *at == number).map(|(_, death)| death);
        if death != Some(Death::BeforeTheChange) {
            self.change(want, change, known)?;
        }
        if death.is_some() {
            self.dead.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(Applied::Accepted)
    }

    fn patience(&self, _want: &Want) -> Duration {
        // Nothing here takes longer than a few looks; a test that waits for more is wrong, not slow.
        self.patience.unwrap_or(Duration::from_secs(20))
    }

    fn pressed(&self, want: &Want) -> Pressed {
        if matches!(want, Want::Login(_)) { Pressed::Functions } else { Pressed::Api }
    }
}

pub fn with_leavers(wants: &[Want], leavers: &[Leaver<Want>]) -> Vec<Want> {
    wants.iter().chain(leavers.iter().map(|leaver| &leaver.want)).cloned().collect()
}

/// Plans and carries out until nothing is left, and says how often that took an apply.
pub async fn converge(world: &Simulation, wants: &[Want], leavers: &[Leaver<Want>], goal: Goal) -> usize {
    for round in 0..5 {
        let leavers = &world.still_found(leavers);
        let live = world.observed(&with_leavers(wants, leavers));
        let plan = pgrotate::plan::plan::<Kinds>(goal, wants, leavers, &live).unwrap();
        if plan.actions.is_empty() {
            return round;
        }
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let report = pgrotate::execute::execute(&plan, world, AT_ONCE, stopped, |_, _| {}).await;
        assert!(report.all_done(), "{:#?}", crate::executing::told(&plan, &report));
    }
    panic!("five applies in a row, and still something to do");
}
