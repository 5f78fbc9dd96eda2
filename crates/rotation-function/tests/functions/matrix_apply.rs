//! Provisionings, restatements and recoveries that come to grief at each of their side effects, on a real PostgreSQL and
//! the sandbox's Secrets Manager; beside them, and after them, the same again.

use crate::faults::{Plan, When};
use crate::matrix::{Site, Trouble, chosen};
use crate::server::MASTER;
use crate::world::token;
use function_contract::{Duty, ProvisioningRequest, RecoverLogin, Recovery, Strategy, clone_of, label};
use rotation_function::database::{identifier, literal};
use rotation_function::store::label as aws;
use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

/// What is asked for, and in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errand {
    /// Of a login that is not there.
    Provision,
    /// The secret names another instance than the login's: the same password under a new AWSCURRENT.
    Restate,
    /// A rotation lacks nothing but its end: two labels move.
    End,
    /// The same of a single user whose AWSCURRENT had been put by hand: three labels move.
    EndBesideInForce,
    /// A value put by hand gives way to the version that logs in.
    GiveWay,
    /// Roles are gone or shut out, and passwords lost: they are made and set again.
    SetAgain,
}

impl Errand {
    fn all(strategy: Strategy) -> Vec<Self> {
        let mut all = vec![Self::Provision, Self::Restate, Self::End, Self::GiveWay, Self::SetAgain];
        all.extend((strategy == Strategy::SingleUser).then_some(Self::EndBesideInForce));
        all
    }

    /// Whether a working AWSCURRENT, or label of a single user, is there from the beginning, and must stay.
    fn keeps_a_promise(self, strategy: Strategy) -> bool {
        match self {
            Self::Restate | Self::End | Self::EndBesideInForce => true,
            // Of two users the hand was the promise's end: no label of theirs says what may be in force.
            Self::GiveWay => strategy == Strategy::SingleUser,
            Self::Provision | Self::SetAgain => false,
        }
    }

    /// The login, one that is `kept` if there is, in the state to begin with, and what is asked of it.
    async fn prepare(self, strategy: Strategy, kept: Option<Site>) -> (Site, ProvisioningRequest) {
        if self == Self::Provision {
            let site = Site::unprovisioned(strategy).await;
            let request = ProvisioningRequest::EnsureLogin(site.ensure_request(Duty::User));
            return (site, request);
        }
        // A login that has recovered is as good as new, and the next case proves it.
        let site = match kept {
            Some(site) => site,
            None => Site::rotated(strategy, 1).await,
        };
        let info = site.info().await;
        let recovery = match self {
            Self::Provision | Self::Restate => {
                site.put_by_hand(&[("dbInstanceIdentifier", "another")]).await;
                let request = ProvisioningRequest::EnsureLogin(site.ensure_request(Duty::User));
                return (site, request);
            }
            Self::End | Self::EndBesideInForce => {
                if self == Self::EndBesideInForce {
                    site.put_by_hand(&[("password", "typed by hand")]).await;
                }
                let pending = token();
                site.begin(&pending).await;
                site.some_steps(&pending, 3).await;
                assert_eq!(site.info().await.version_with(label::IN_FORCE).is_some(), self == Self::EndBesideInForce);
                Recovery::MakeCurrent { version: pending }
            }
            Self::GiveWay => {
                site.put_by_hand(&[("password", "typed by hand")]).await;
                Recovery::MakeCurrent {
                    version: info.version_with(aws::CURRENT).expect("it was provisioned").to_owned(),
                }
            }
            Self::SetAgain => {
                let (user, clone) = (identifier(&site.user), identifier(&clone_of(&site.user)));
                site.server.sql(&format!("ALTER ROLE {user} NOLOGIN PASSWORD 'lost'")).await;
                if strategy == Strategy::AlternatingUsers {
                    site.server.sql(&format!("DROP ROLE {clone}")).await;
                }
                Recovery::SetAgain
            }
        };
        let ensure = site.ensure_request(Duty::User);
        let request = RecoverLogin {
            login: ensure.login,
            address: ensure.address,
            duty: ensure.duty,
            strategy,
            secret_arn: ensure.secret_arn,
            attributes: ensure.attributes,
            current: site.info().await.version_with(aws::CURRENT).expect("it was provisioned").to_owned(),
            recovery,
        };
        (site, ProvisioningRequest::RecoverLogin(request))
    }
}

/// A mishap of one errand, and the effect before which the same errand runs beside it, if any.
#[derive(Debug, Clone, Copy)]
struct Case {
    errand: Errand,
    strategy: Strategy,
    at: usize,
    when: When,
    pause: Option<usize>,
}

#[tokio::test]
async fn provisionings_and_recoveries() {
    let mut cases = Vec::new();
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let mut kept = None;
        for errand in Errand::all(strategy) {
            let ((site, request), plan) = (errand.prepare(strategy, kept.take()).await, Plan::default());
            site.ask(&request, &plan).await.unwrap_or_else(|trouble| panic!("{errand:?} {strategy:?}: {trouble:?}"));
            let effects = plan.effects();
            let moved = effects.iter().filter(|effect| **effect == "UpdateSecretVersionStage").count();
            let labels = match errand {
                Errand::Provision | Errand::Restate | Errand::SetAgain => 0,
                Errand::GiveWay => 1,
                Errand::End => 2,
                Errand::EndBesideInForce => 3,
            };
            assert_eq!(moved, labels, "{errand:?} {strategy:?}: {effects:?}");
            for at in 0..effects.len() {
                for when in [When::Before, When::After, When::Lost] {
                    let pauses = std::iter::once(None).chain((0..=at).map(Some));
                    cases.extend(pauses.map(|pause| Case { errand, strategy, at, when, pause }));
                }
            }
            kept = Some(site);
        }
    }
    let total = cases.len();
    let cases = chosen(cases);
    println!("provisionings and recoveries: {} of {total} cases", cases.len());
    assert!(total > 250 && cases.len() * 10 >= total, "{total}");
    let mut kept: Option<Site> = None;
    for case in cases {
        let site = kept.take().filter(|site| site.strategy == case.strategy);
        kept = Some(play(&case, site).await.unwrap_or_else(|trouble| panic!("{case:?}: {trouble:?}")));
    }
}

async fn play(case: &Case, kept: Option<Site>) -> Result<Site, Trouble> {
    let (site, request) = case.errand.prepare(case.strategy, kept).await;
    let versions = site.info().await.versions.len();
    with_mishap(&site, &request, case).await;
    if case.errand.keeps_a_promise(case.strategy) {
        site.check("the mishap").await?;
    }
    // Whoever asks again has looked again: a recovery that has done its work is not asked for once more.
    let info = site.info().await;
    let asks = match &request {
        ProvisioningRequest::RecoverLogin(recover) => info.has(&recover.current, aws::CURRENT),
        _ => true,
    };
    if asks {
        site.ask(&request, &Plan::default()).await?;
    }
    site.check("the same again").await?;
    let info = site.info().await;
    if case.errand == Errand::Provision {
        assert_eq!(info.versions.len(), 1, "{case:?}: more than one value was put");
    }
    if case.errand == Errand::Restate {
        assert!(info.versions.len() <= versions + 1, "{case:?}: more than one value was put");
    }
    let working = site.working().await;
    let expected: &[&str] = match (case.errand, case.strategy) {
        (Errand::SetAgain | Errand::End, Strategy::AlternatingUsers) => &[aws::CURRENT, aws::PREVIOUS],
        _ => &[aws::CURRENT],
    };
    if let Some(label) = expected.iter().find(|label| !working.iter().any(|works| works == *label)) {
        return Err(Trouble::Broken(format!("{label} does not log in, only {working:?}")));
    }
    let last = token();
    site.begin(&last).await;
    site.rotate(&last).await?;
    assert!(site.info().await.has(&last, aws::CURRENT), "{case:?}");
    Ok(site)
}

/// An errand with a mishap; where it pauses, the same one runs beside it.
async fn with_mishap(site: &Site, request: &ProvisioningRequest, case: &Case) {
    let plan = Plan::default();
    plan.start(Some((case.at, case.when)));
    if let Some(pause) = case.pause {
        plan.pause_before(pause);
    }
    let began = Cell::new(false);
    let mut one = pin!(site.ask(request, &plan));
    let mut other = pin!(async {
        plan.paused().await;
        began.set(true);
        site.ask_beside(request, &plan).await;
        plan.release();
    });
    tokio::select! {
        _ = &mut one => if began.get() { other.await },
        () = &mut other => drop(one.await),
    }
    // Beside another one it may find nothing left to do.
    assert!(began.get() == case.pause.is_some(), "{case:?}: the first never came to where it was to wait");
    assert!(case.pause.is_some() || plan.effects().len() > case.at, "{case:?}: the mishap did not happen");
}

impl Site {
    /// Another provisioning of the login, to its end, or, where the process of `plan` holds the login's lock, together with
    /// it. What comes of it is seen by what follows.
    pub async fn ensure_beside(&self, plan: &Plan) {
        self.ask_beside(&ProvisioningRequest::EnsureLogin(self.ensure_request(self.duty)), plan).await;
    }

    async fn ask_beside(&self, request: &ProvisioningRequest, plan: &Plan) {
        let none = Plan::default();
        let mut running = pin!(self.ask(request, &none));
        tokio::select! {
            _ = &mut running => {}
            () = self.master_waits_for_the_lock() => {
                plan.release();
                let _ = running.await;
            }
        }
    }

    /// Waits until a session of the master waits for this login's lock.
    async fn master_waits_for_the_lock(&self) {
        let sql = format!(
            "SELECT 'waits' FROM pg_locks JOIN pg_stat_activity USING (pid) \
             WHERE locktype = 'advisory' AND NOT granted AND usename = {}",
            literal(MASTER)
        );
        while self.server.texts(&sql).await.is_empty() {
            // PostgreSQL tells nobody that a session waits; one has to look.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
