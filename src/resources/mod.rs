//! The kinds of resources: one file each, and one line in the list below.

use crate::aws::{Aws, Look, Pace, Rate};
use crate::execute::{Applied, Pressed, World};
use crate::model::{Address, Facts, Kind, Seen};
use crate::resource::{Diff, Family, Known, NotProduced, Outputs, Refusal, Resource, Settled, Step};
use futures_util::future::LocalBoxFuture;
use rounds::Rounds;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Writes the enums over all kinds, so that a new kind is one line above and one file, and nowhere a
/// `match` is forgotten.
macro_rules! kinds {
    ($($kind:ident in $module:ident),+ $(,)?) => {
        $(pub mod $module;)+
        $(pub use $module::$kind;)+

        /// A desired resource of any kind.
        #[derive(Debug, Clone)]
        #[allow(clippy::large_enum_variant, reason = "few exist, and they live as long as the run")]
        pub enum Want { $($kind(<$kind as Resource>::Desired)),+ }

        /// A live resource of any kind.
        #[derive(Debug, Clone)]
        #[allow(clippy::large_enum_variant, reason = "few exist, and they live as long as the run")]
        pub enum AnyLive { $($kind(<$kind as Resource>::Observed)),+ }

        /// A change of any kind.
        #[derive(Debug, Clone)]
        #[allow(clippy::large_enum_variant, reason = "few exist, and they live as long as the run")]
        pub enum AnyChange { $($kind(<$kind as Resource>::Change)),+ }

        $(impl From<<$kind as Resource>::Desired> for Want {
            fn from(want: <$kind as Resource>::Desired) -> Self { Self::$kind(want) }
        })+

        /// The kinds of the product.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Kinds;

        impl Family for Kinds {
            type Want = Want;
            type Live = AnyLive;
            type Change = AnyChange;

            fn address(want: &Want) -> Address {
                match want { $(Want::$kind(want) => $kind::address(want)),+ }
            }

            fn needs(want: &Want) -> Vec<Address> {
                match want { $(Want::$kind(want) => $kind::needs(want)),+ }
            }

            fn diff(
                cx: &mut Diff<'_>, want: &Want, live: Seen<&AnyLive>,
            ) -> Result<Vec<Step<AnyChange>>, Refusal> {
                match want {
                    $(Want::$kind(want) => {
                        let steps = $kind::diff(cx, want, narrow!($kind, live))?;
                        Ok(steps.into_iter().map(|step| step.map(AnyChange::$kind)).collect())
                    })+
                }
            }

            fn remove(
                cx: &mut Diff<'_>, want: &Want, live: Seen<&AnyLive>,
            ) -> Result<Vec<Step<AnyChange>>, Refusal> {
                match want {
                    $(Want::$kind(want) => {
                        let steps = $kind::remove(cx, want, narrow!($kind, live))?;
                        Ok(steps.into_iter().map(|step| step.map(AnyChange::$kind)).collect())
                    })+
                }
            }

            fn settled(want: &Want, live: &AnyLive) -> Settled<Outputs> {
                match (want, live) {
                    $((Want::$kind(want), AnyLive::$kind(live)) =>
                        $kind::settled(want, live).map(Outputs::of::<$kind>),)+
                    _ => unreachable!("{} was observed as another kind", Self::address(want)),
                }
            }

            fn outputs(want: &Want, live: &AnyLive) -> Option<Outputs> {
                match (want, live) {
                    $((Want::$kind(want), AnyLive::$kind(live)) =>
                        $kind::outputs(want, live).map(Outputs::of::<$kind>),)+
                    _ => unreachable!("{} was observed as another kind", Self::address(want)),
                }
            }

            fn realised(want: &Want, known: &Known) -> Result<AnyLive, NotProduced> {
                match want { $(Want::$kind(want) => $kind::realised(want, known).map(AnyLive::$kind)),+ }
            }

            fn leaving(want: &Want, live: &AnyLive) -> Settled<()> {
                match (want, live) {
                    $((Want::$kind(want), AnyLive::$kind(live)) => $kind::leaving(want, live),)+
                    _ => unreachable!("{} was observed as another kind", Self::address(want)),
                }
            }

            fn removed_unseen(want: &Want) -> bool {
                match want { $(Want::$kind(_) => $kind::REMOVED_UNSEEN),+ }
            }

            fn is_gone(want: &Want, live: &Seen<AnyLive>) -> bool {
                let without_ground = match want { $(Want::$kind(_) => $kind::WITHOUT_GROUND),+ };
                match live {
                    Seen::Present(_) => false,
                    Seen::Absent => true,
                    Seen::Unobservable(why) => without_ground == Some(why.as_str()),
                }
            }

            fn facts(live: &AnyLive) -> Facts {
                match live { $(AnyLive::$kind(live) => $kind::facts(live)),+ }
            }
        }

        /// Looks at everything in `wants`, the kinds side by side.
        pub async fn observe(
            aws: &Aws, wants: &[Want],
        ) -> Result<BTreeMap<Address, Seen<AnyLive>>, LiveError> {
            let look = &Look::new(aws);
            let kinds: Vec<LocalBoxFuture<'_, Result<Vec<(Address, Seen<AnyLive>)>, LiveError>>> = vec![
                $(Box::pin(async move {
                    let mine: Vec<_> = wants.iter().filter_map(|want| match want {
                        Want::$kind(want) => Some(want),
                        #[allow(unreachable_patterns, reason = "a family of one kind")]
                        _ => None,
                    }).collect();
                    if mine.is_empty() {
                        return Ok(Vec::new());
                    }
                    let seen = $kind::observe(look, &mine).await?;
                    let seen = seen.into_iter().map(|seen| seen.map(AnyLive::$kind));
                    Ok(mine.iter().map(|want| $kind::address(want)).zip(seen).collect())
                })),+
            ];
            Ok(futures_util::future::try_join_all(kinds).await?.into_iter().flatten().collect())
        }

        impl World<Kinds> for Cloud<'_> {
            type Error = LiveError;

            async fn observe(&self, want: &Want, _known: &Known) -> Result<Seen<AnyLive>, LiveError> {
                let rounds = match want {
                    $(Want::$kind(_) => self.rounds($kind::KIND)),+
                };
                rounds.ask(want.clone(), async |wants: &[Want]| together(self.aws, wants).await).await
            }

            async fn apply(
                &self, want: &Want, change: &AnyChange, known: &Known,
            ) -> Result<Applied, LiveError> {
                match (want, change) {
                    $((Want::$kind(want), AnyChange::$kind(change)) =>
                        $kind::apply(self.aws, want, change, known).await,)+
                    _ => unreachable!("{} is given another kind's change", Kinds::address(want)),
                }
            }

            fn patience(&self, want: &Want) -> Duration {
                match want { $(Want::$kind(_) => $kind::PATIENCE),+ }
            }

            fn pressed(&self, want: &Want) -> Pressed {
                match want { $(Want::$kind(_) => $kind::PRESSED),+ }
            }

            async fn turn(&self, want: &Want) {
                let (kind, rate) = match want { $(Want::$kind(_) => ($kind::KIND, $kind::RATE)),+ };
                if let Some(rate) = rate {
                    self.pace(kind, rate).turn().await;
                }
            }
        }
    };
}

macro_rules! narrow {
    ($kind:ident, $live:expr) => {
        match $live {
            Seen::Present(AnyLive::$kind(live)) => Seen::Present(live),
            Seen::Present(_) => unreachable!("observed as another kind"),
            Seen::Absent => Seen::Absent,
            Seen::Unobservable(why) => Seen::Unobservable(why),
        }
    };
}

kinds! {
    Artifact in artifact,
    Bucket in bucket,
    DbCluster in db_cluster,
    DbInstance in db_instance,
    DbSubnetGroup in db_subnet_group,
    Login in login,
    Rotation in rotation,
    Secret in secret,
    SecurityGroup in security_group,
    SecurityGroupRule in security_group_rule,
    Stack in stack,
    VpcEndpoint in vpc_endpoint,
}

pub mod adopting;
pub mod database;
mod error;
pub mod function_log;
mod functions;
mod postgres_version;
pub mod recovery;
mod rounds;
pub mod tagged;
mod tagging;
mod template;
pub use error::LiveError;
pub use functions::{FunctionError, FunctionLook, FunctionNames};
pub use template::Inputs as TemplateInputs;

type Sight = Result<Seen<AnyLive>, LiveError>;

/// AWS while a plan is carried out.
pub struct Cloud<'a> {
    aws: &'a Aws,
    rounds: RefCell<BTreeMap<Kind, Rc<Rounds<Want, Sight>>>>,
    paces: RefCell<BTreeMap<Kind, Rc<Pace>>>,
}

impl<'a> Cloud<'a> {
    pub fn new(aws: &'a Aws) -> Self {
        Self { aws, rounds: RefCell::default(), paces: RefCell::default() }
    }

    fn rounds(&self, kind: Kind) -> Rc<Rounds<Want, Sight>> {
        self.rounds.borrow_mut().entry(kind).or_default().clone()
    }

    fn pace(&self, kind: Kind, rate: Rate) -> Rc<Pace> {
        self.paces.borrow_mut().entry(kind).or_insert_with(|| Rc::new(Pace::new(rate))).clone()
    }
}

/// Looks at some of one kind. Where that fails, at each alone: what one of them has is no other's failure.
async fn together(aws: &Aws, wants: &[Want]) -> Vec<Sight> {
    let missing = |want: &Want| Seen::Unobservable(format!("{} was not looked at", Kinds::address(want)));
    match observe(aws, wants).await {
        Ok(mut seen) => {
            wants.iter().map(|want| Ok(seen.remove(&Kinds::address(want)).unwrap_or_else(|| missing(want)))).collect()
        }
        Err(error) if wants.len() == 1 => vec![Err(error)],
        Err(_) => {
            let mut all = Vec::with_capacity(wants.len());
            for want in wants {
                let seen = observe(aws, std::slice::from_ref(want)).await;
                all.push(seen.map(|mut seen| seen.remove(&Kinds::address(want)).unwrap_or_else(|| missing(want))));
            }
            all
        }
    }
}

/// The live half of a kind. Its futures never leave the thread they are made on.
#[allow(async_fn_in_trait, reason = "used only by the kinds of this crate, on one thread")]
pub trait Live: Resource {
    /// How long one may take to arrive or to go before it counts as failed.
    const PATIENCE: Duration;
    /// What a change of one presses on.
    const PRESSED: Pressed = Pressed::Api;
    /// How fast changes may follow each other; None where a deployment has a handful of them at most.
    const RATE: Option<Rate> = None;

    /// Looks at all of `wants` with as few calls as AWS allows; answers in their order.
    async fn observe(look: &Look<'_>, wants: &[&Self::Desired]) -> Result<Vec<Seen<Self::Observed>>, LiveError>;
    /// Makes one change. Calling it again after a failure at any point is safe.
    async fn apply(aws: &Aws, want: &Self::Desired, change: &Self::Change, known: &Known)
    -> Result<Applied, LiveError>;
}
