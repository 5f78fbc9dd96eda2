//! Carrying out a plan: in its order, as many actions at once as the limits allow, every address
//! accounted for at the end. Nothing is decided here; an action whose target has moved since the plan
//! was made is stale and does not run.

mod naming;

use crate::code::{Code, Coded, REPORT_IT};
use crate::model::{Address, Facts, Seen};
use crate::plan::{Action, Goal, Plan};
use crate::resource::{ADOPT, AWAIT, Diff, Family, Known, NotProduced, Outputs, Refusal, Settled, Step, Verb, sight};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::future::Future;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// The live half of a family: AWS, or a simulation of it.
pub trait World<F: Family> {
    type Error: Coded + Send + Sync + 'static;

    /// Looks at one target again.
    fn observe(&self, want: &F::Want, known: &Known) -> impl Future<Output = Result<Seen<F::Live>, Self::Error>>;
    /// Makes the change, or reports why not. Safe to call again after any failure.
    fn apply(
        &self,
        want: &F::Want,
        change: &F::Change,
        known: &Known,
    ) -> impl Future<Output = Result<Applied, Self::Error>>;
    /// How long a target of this kind may take to settle before it counts as failed.
    fn patience(&self, want: &F::Want) -> Duration;
    /// What changing a target of this kind presses on.
    fn pressed(&self, want: &F::Want) -> Pressed;
    /// Waits until AWS takes another change of such a target.
    fn turn(&self, _want: &F::Want) -> impl Future<Output = ()> {
        std::future::ready(())
    }

    /// The time there: a simulation has its own.
    fn now(&self) -> Instant {
        Instant::now()
    }
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep(time)
    }
}

/// What a change presses on; each has a limit of its own, so that a slow one holds up no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressed {
    /// AWS's control plane: calls that take a fraction of a second.
    Api,
    /// Our functions and the database behind them: invocations that take seconds.
    Functions,
}

/// What came of asking for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// AWS took it.
    Accepted,
    /// AWS does not take it yet, for a reason that passes by itself; to be asked again.
    NotYet { saying: String },
}

/// How hard AWS is pressed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Mutating calls under way at once. Waiting for a target does not count.
    pub mutating: usize,
    /// Changes by our functions under way at once.
    pub invoking: usize,
    /// Shortest and longest pause between two looks at a target that is on its way.
    pub poll: (Duration, Duration),
}

impl Default for Limits {
    /// Eight calls at once stay below the burst of every control-plane API we call. Eight invocations leave
    /// room in the ten that Lambda grants a new account at once
    /// (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), and in the some eighty connections
    /// of the smallest instance. A look every 10 s at the most is thrice what AWS's own waiters do for the
    /// slow kinds; 250 ms at least keeps the quick ones quick.
    fn default() -> Self {
        Self { mutating: 8, invoking: 8, poll: (Duration::from_millis(250), Duration::from_secs(10)) }
    }
}

/// What has been on its way for so long is looked at again after this part of it: what is missed at its
/// arrival is then at most that part, however long the kind takes, and the number of looks grows only with
/// the logarithm of the wait.
const LOOK_AGAIN_AFTER: u32 = 16;

impl Limits {
    fn pause(&self, waited: Duration) -> Duration {
        let (shortest, longest) = self.poll;
        (waited / LOOK_AGAIN_AFTER).clamp(shortest, longest)
    }
}

/// Why an action failed.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    #[error("{source}")]
    World { code: Code, hint: String, source: Box<dyn Error + Send + Sync> },
    /// It reached a state that it cannot leave by itself.
    #[error("{0}")]
    Never(String),
    #[error("it did not settle within {}: {saying}", minutes(.after))]
    TimedOut { after: Duration, saying: String },
    /// Seen again just before the change, it may not be touched.
    #[error("{}", .0.cause)]
    Refused(Refusal),
    #[error(transparent)]
    NotProduced(#[from] NotProduced),
}

impl ActionError {
    fn world(error: impl Coded + Send + Sync + 'static) -> Self {
        Self::World { code: error.code(), hint: error.hint(), source: Box::new(error) }
    }
}

impl Coded for ActionError {
    fn code(&self) -> Code {
        match self {
            Self::World { code, .. } => *code,
            Self::Never(_) => Code::Stuck,
            Self::TimedOut { .. } => Code::TimedOut,
            Self::Refused(refusal) => refusal.code,
            Self::NotProduced(_) => Code::Internal,
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::World { hint, .. } => hint.clone(),
            Self::Never(_) => {
                "look at it in AWS's console, mend or delete it, and run the same command again".to_owned()
            }
            Self::TimedOut { .. } => {
                "mend what it says, if anything; then run the same command again: it goes on from \
                here"
                    .to_owned()
            }
            Self::Refused(refusal) => refusal.hint.clone(),
            Self::NotProduced(_) => REPORT_IT.to_owned(),
        }
    }
}

fn minutes(time: &Duration) -> String {
    format!("{} min", time.as_secs() / 60)
}

/// What became of an action.
#[derive(Debug)]
pub enum Outcome {
    Done(Duration),
    /// Somebody had already done it.
    AlreadyDone,
    Failed(ActionError),
    /// The target moved after the plan was made; what was found.
    Stale(String),
    /// Never started, because this address failed, went stale or was skipped.
    Skipped {
        after: Address,
    },
    /// The run was stopped before it was begun, or before AWS would take it.
    Cancelled,
}

impl Outcome {
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done(_) | Self::AlreadyDone)
    }
}

/// Told while a plan is carried out.
#[derive(Debug, Clone)]
pub enum Event {
    Started {
        action: usize,
    },
    /// The target is on its way; what it says of itself.
    Waiting {
        action: usize,
        saying: String,
        since: Duration,
    },
    Finished {
        action: usize,
    },
    Stopping,
}

/// What became of every action of a plan, in the plan's order.
#[derive(Debug)]
#[must_use]
pub struct Report {
    pub outcomes: Vec<Outcome>,
    pub took: Duration,
    /// Outputs of everything that is done or was unchanged.
    pub known: Known,
}

impl Report {
    pub fn all_done(&self) -> bool {
        self.outcomes.iter().all(Outcome::is_done)
    }
}

/// Runs `plan`. `stop` turning true starts no more actions and lets those under way settle.
pub async fn execute<F: Family, W: World<F>>(
    plan: &Plan<F>,
    world: &W,
    limits: Limits,
    stop: watch::Receiver<bool>,
    mut tell: impl FnMut(Event, &BTreeMap<usize, Outcome>),
) -> Report {
    let began = world.now();
    let run = Run {
        plan,
        world,
        limits,
        known: RefCell::new(Known::new(plan.standings.clone())),
        mutating: Semaphore::new(limits.mutating),
        invoking: Semaphore::new(limits.invoking),
    };
    let (events, mut inbox) = tokio::sync::mpsc::unbounded_channel();
    let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
    let mut waiting: Vec<usize> =
        (0..plan.actions.len()).map(|action| plan.order.prerequisites(action).len()).collect();
    let mut ready: BTreeSet<usize> = (0..plan.actions.len()).filter(|&action| waiting[action] == 0).collect();
    let mut running = FuturesUnordered::new();
    let mut stop = stop;
    // False once nobody can ask to stop any more.
    let mut listening = true;
    let mut stopping = false;

    loop {
        if *stop.borrow() && !stopping {
            stopping = true;
            tell(Event::Stopping, &outcomes);
        }
        while let Some(action) = ready.pop_first() {
            if stopping {
                outcomes.insert(action, Outcome::Cancelled);
                continue;
            }
            let (run, events, stop) = (&run, events.clone(), stop.clone());
            running.push(async move { (action, run.one(action, &events, &stop).await) });
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            Some(event) = inbox.recv() => tell(event, &outcomes),
            Some((action, outcome)) = running.next() => {
                let done = outcome.is_done();
                let named = plan.file.iter().fold(outcome, |outcome, file| outcome.naming(file));
                outcomes.insert(action, named);
                if matches!(outcomes[&action], Outcome::Cancelled) {
                    // Its dependents are cancelled at the end, as those that were never ready.
                } else if done {
                    for then in plan.order.dependents(action) {
                        waiting[then] -= 1;
                        if waiting[then] == 0 {
                            ready.insert(then);
                        }
                    }
                } else {
                    skip_dependents(plan, action, &mut outcomes);
                }
                tell(Event::Finished { action }, &outcomes);
            }
            changed = stop.changed(), if listening && !stopping => listening = changed.is_ok(),
        }
    }
    drop(running);
    for action in 0..plan.actions.len() {
        outcomes.entry(action).or_insert(Outcome::Cancelled);
    }
    Report { outcomes: outcomes.into_values().collect(), took: world.now() - began, known: run.known.into_inner() }
}

fn skip_dependents<F: Family>(plan: &Plan<F>, failed: usize, outcomes: &mut BTreeMap<usize, Outcome>) {
    let mut queue = plan.order.dependents(failed);
    while let Some(action) = queue.pop() {
        if let std::collections::btree_map::Entry::Vacant(entry) = outcomes.entry(action) {
            entry.insert(Outcome::Skipped { after: plan.actions[failed].address.clone() });
            queue.extend(plan.order.dependents(action));
        }
    }
}

struct Run<'a, F: Family, W> {
    plan: &'a Plan<F>,
    world: &'a W,
    limits: Limits,
    known: RefCell<Known>,
    mutating: Semaphore,
    invoking: Semaphore,
}

/// What a fresh look at an action's target says.
enum Now {
    AsPlanned,
    Already,
    Moved(String),
}

impl<F: Family, W: World<F>> Run<'_, F, W> {
    fn elapsed(&self, since: Instant) -> Duration {
        self.world.now() - since
    }

    async fn one(
        &self,
        number: usize,
        events: &tokio::sync::mpsc::UnboundedSender<Event>,
        stop: &watch::Receiver<bool>,
    ) -> Outcome {
        let action = &self.plan.actions[number];
        let patience = self.world.patience(&action.want);
        let permits = match self.world.pressed(&action.want) {
            Pressed::Api => &self.mutating,
            Pressed::Functions => &self.invoking,
        };
        // When it began: its turn and its permit are no time of its own.
        let mut first = None;
        let (known, already, began) = loop {
            // Waited for before there is a permit: a kind that must be slow takes none from the others.
            tokio::select! {
                biased;
                () = asked_to(stop) => return Outcome::Cancelled,
                () = self.world.turn(&action.want) => {}
            }
            let permit = permits.acquire().await;
            // It was ready and waited for its turn when the run was stopped, or AWS has not taken it yet.
            if *stop.borrow() {
                return Outcome::Cancelled;
            }
            let began = *first.get_or_insert_with(|| {
                // The receiver outlives every action; a send cannot fail in a way that matters.
                let _ = events.send(Event::Started { action: number });
                self.world.now()
            });
            let known = self.known.borrow().clone();
            match self.look_again(action, &known).await {
                Ok(Now::AsPlanned) => {}
                Ok(Now::Already) => break (known, true, began),
                Ok(Now::Moved(found)) => return Outcome::Stale(found),
                Err(error) => return Outcome::Failed(error),
            }
            match self.world.apply(&action.want, &action.change, &known).await {
                Ok(Applied::Accepted) => break (known, false, began),
                Ok(Applied::NotYet { saying }) if self.elapsed(began) > patience => {
                    return Outcome::Failed(ActionError::TimedOut { after: patience, saying });
                }
                Ok(Applied::NotYet { saying }) => {
                    let _ = events.send(Event::Waiting { action: number, saying, since: self.elapsed(began) });
                }
                Err(error) => return Outcome::Failed(ActionError::world(error)),
            }
            drop(permit);
            self.world.sleep(self.limits.pause(self.elapsed(began))).await;
        };
        match self.settle(number, &known, began, events).await {
            Ok(Some(outputs)) => {
                self.known.borrow_mut().insert(action.address.clone(), outputs);
            }
            Ok(None) => {}
            Err(error) => return Outcome::Failed(error),
        }
        if already { Outcome::AlreadyDone } else { Outcome::Done(self.elapsed(began)) }
    }

    /// Observes the target and diffs it once more. What is still as the plan saw it goes ahead; what has
    /// nothing left to do is done; all else is stale.
    async fn look_again(&self, action: &Action<F>, known: &Known) -> Result<Now, ActionError> {
        let live = self.world.observe(&action.want, known).await.map_err(ActionError::world)?;
        let mut cx = Diff::new(action.address.clone(), known.standings());
        let steps = if action.removing {
            F::remove(&mut cx, &action.want, live.as_ref())
        } else {
            F::diff(&mut cx, &action.want, live.as_ref())
        }
        .map_err(ActionError::Refused)?;
        // Waiting for what somebody else has begun is what settling does.
        let steps: Vec<_> = steps.into_iter().filter(|step| step.key != AWAIT || action.key == AWAIT).collect();
        if steps.is_empty() {
            return Ok(Now::Already);
        }
        let still_wanted = steps.iter().any(|step| step.key == action.key);
        // What could not be seen was planned to be made sure of, or to be gone, whatever it should turn out to be: a
        // kind that has to see its target plans nothing for it.
        let unseen = matches!(action.seen, Seen::Unobservable(_));
        let (was, is) = (sight::<F>(&action.seen), sight::<F>(&live));
        // An earlier step of the same address has changed the target on purpose; it is another thing only where that
        // step has made it anew.
        let changed_by_us = action.place > 0 && (self.made_anew_before(action) || !was.is_another(&is));
        let as_seen = changed_by_us || unseen || action.sight_moves || was.same(&is);
        // Somebody has come meanwhile, and nobody has said that it is meant all the same.
        let in_use = steps.iter().find(|step| step.key == action.key).and_then(|step| step.in_use.as_ref());
        if let (Goal::Converge, Some(by), None) = (self.plan.goal, in_use, &action.in_use) {
            return Ok(Now::Moved(format!("it is in use now: {by}")));
        }
        if still_wanted && as_seen {
            return Ok(Now::AsPlanned);
        }
        if !still_wanted && self.only_later_steps_left(action, &steps) {
            return Ok(Now::Already);
        }
        Ok(Now::Moved(moved::<F, _>(&action.seen, &live, &steps)))
    }

    fn made_anew_before(&self, action: &Action<F>) -> bool {
        self.plan.actions.iter().any(|other| {
            other.address == action.address
                && other.place < action.place
                && matches!(other.verb, Verb::Create | Verb::Delete)
        })
    }

    fn only_later_steps_left(&self, action: &Action<F>, steps: &[Step<F::Change>]) -> bool {
        let later: BTreeSet<_> = self
            .plan
            .actions
            .iter()
            .filter(|other| other.address == action.address && other.place > action.place)
            .map(|other| other.key)
            .collect();
        steps.iter().all(|step| later.contains(step.key))
    }

    /// Keys of what is still wanted of a target that is there. A create that AWS answers with "exists already" is as
    /// good as done if it was another apply of this deployment that was quicker, and must not be taken for ours if it was
    /// anybody else.
    fn wanted(
        &self,
        action: &Action<F>,
        live: &Seen<F::Live>,
        known: &Known,
    ) -> Result<Option<BTreeSet<&'static str>>, ActionError> {
        let Seen::Present(live) = live else { return Ok(None) };
        let mut cx = Diff::new(action.address.clone(), known.standings());
        let steps = F::diff(&mut cx, &action.want, Seen::Present(live)).map_err(ActionError::Refused)?;
        Ok(Some(steps.iter().map(|step| step.key).collect()))
    }

    /// Gone is what leaves nothing to remove: absent, or a secret inside its recovery window.
    fn left(&self, action: &Action<F>, live: &Seen<F::Live>, known: &Known) -> Settled<Option<Outputs>> {
        let live = match live {
            Seen::Present(live) => live,
            Seen::Absent => return Settled::Yes(None),
            Seen::Unobservable(_) if F::removed_unseen(&action.want) => return Settled::Yes(None),
            Seen::Unobservable(why) => return Settled::NotYet { saying: why.clone() },
        };
        let mut cx = Diff::new(action.address.clone(), known.standings());
        match F::remove(&mut cx, &action.want, Seen::Present(live)) {
            Ok(steps) if !steps.iter().any(|step| step.key == action.key) => Settled::Yes(None),
            Ok(_) => F::leaving(&action.want, live).map(|()| None),
            Err(refusal) => Settled::Never { because: refusal.cause },
        }
    }

    async fn settle(
        &self,
        number: usize,
        known: &Known,
        began: Instant,
        events: &tokio::sync::mpsc::UnboundedSender<Event>,
    ) -> Result<Option<Outputs>, ActionError> {
        let action = &self.plan.actions[number];
        let patience = self.world.patience(&action.want);
        let asked = self.world.now();
        let mut last_seen = asked;
        loop {
            let live = self.world.observe(&action.want, known).await.map_err(ActionError::world)?;
            if !F::is_gone(&action.want, &live) {
                last_seen = self.world.now();
            }
            let settled = match action.verb {
                // Also a step that only makes the removal possible: what else is not as declared is no concern of it.
                _ if action.removing => self.left(action, &live, known),
                Verb::Delete => self.left(action, &live, known),
                Verb::Adopt | Verb::Create | Verb::Update | Verb::Ensure | Verb::Rotate => {
                    let wants = self.wanted(action, &live, known)?;
                    match wants {
                        Some(wants) if is_a_step_towards(action) => step_done(action, &live, &wants),
                        _ => arrived(action, &live),
                    }
                }
            };
            match settled {
                Settled::Yes(outputs) => return Ok(outputs),
                Settled::Never { because } => return Err(ActionError::Never(because)),
                Settled::NotYet { saying } => {
                    if self.elapsed(began) > patience {
                        return Err(ActionError::TimedOut { after: patience, saying });
                    }
                    let after = missed_within(patience);
                    if self.elapsed(last_seen) > after {
                        let saying = format!("{saying}; somebody may have deleted it");
                        return Err(ActionError::TimedOut { after, saying });
                    }
                    let _ = events.send(Event::Waiting { action: number, saying, since: self.elapsed(began) });
                }
            }
            self.world.sleep(self.limits.pause(self.elapsed(asked))).await;
        }
    }
}

/// Ends once somebody has asked to stop.
async fn asked_to(stop: &watch::Receiver<bool>) {
    let mut stop = stop.clone();
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody can ask any more.
        std::future::pending::<()>().await;
    }
}

/// How long a target that was made and is not there may stay so. AWS shows within seconds what it has taken, however
/// long that takes to become ready; what is absent for longer was deleted meanwhile, and will not come.
fn missed_within(patience: Duration) -> Duration {
    (patience / 10).clamp(Duration::from_secs(60), Duration::from_secs(5 * 60)).min(patience)
}

/// Whether it does not by itself make of its target what is wanted: that it is done shows in that nobody wants it any
/// more. To wait for the whole target would be to wait for steps that wait for this one.
fn is_a_step_towards<F: Family>(action: &Action<F>) -> bool {
    [ADOPT, AWAIT].contains(&action.key)
}

/// What it gives to others is told where it has all of it already; a later step may still add to it.
fn step_done<F: Family>(
    action: &Action<F>,
    live: &Seen<F::Live>,
    wants: &BTreeSet<&'static str>,
) -> Settled<Option<Outputs>> {
    if !wants.contains(action.key) {
        return Settled::Yes(live.present().and_then(|live| F::outputs(&action.want, live)));
    }
    match arrived(action, live) {
        // Of what is taken over all may be as declared but for its tags, which are not visible yet.
        Settled::Yes(_) => Settled::NotYet { saying: format!("{} is not visible yet", action.key) },
        other => other,
    }
}

fn arrived<F: Family>(action: &Action<F>, live: &Seen<F::Live>) -> Settled<Option<Outputs>> {
    match live {
        Seen::Present(live) => F::settled(&action.want, live).map(Some),
        // Just made and not seen yet: every AWS read may lag behind a write.
        Seen::Absent => Settled::NotYet { saying: "it is not visible yet".to_owned() },
        Seen::Unobservable(why) => Settled::NotYet { saying: why.clone() },
    }
}

/// What has become of a target, and what would have to be done about it now.
fn moved<F: Family, C>(seen: &Seen<F::Live>, live: &Seen<F::Live>, steps: &[Step<C>]) -> String {
    let what = match (seen, live) {
        (Seen::Present(seen), Seen::Present(live)) => told(&F::facts(seen), &F::facts(live)),
        _ => String::new(),
    };
    let what = match (what.is_empty(), live) {
        (false, _) => what,
        (true, Seen::Present(_)) => "it exists".to_owned(),
        (true, Seen::Absent) => "it is absent".to_owned(),
        (true, Seen::Unobservable(_)) => "it cannot be seen".to_owned(),
    };
    let keys: BTreeSet<_> = steps.iter().map(|step| step.key).collect();
    format!("{what}; now it wants {}", keys.into_iter().collect::<Vec<_>>().join(", "))
}

/// The facts that have moved: `class db.t3.micro → db.t3.small`.
fn told(was: &Facts, is: &Facts) -> String {
    let moved = was.moved_to(is);
    moved.into_iter().map(|(name, was, is)| format!("{name} {was} → {is}")).collect::<Vec<_>>().join(", ")
}
