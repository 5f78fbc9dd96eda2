//! A process that dies at any of its side effects, before it or after it, and what comes next.
//!
//! At every moment AWSCURRENT logs in (alternating users), or a labelled version does (single user). After
//! the next run AWSCURRENT logs in, whether that run repeats the token or brings a new one.

use crate::fake::{CURRENT, PENDING};
use crate::faults::When;
use crate::world::{World, token};
use function_contract::{Duty, Strategy, label};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Secrets Manager repeats the rotation.
    SameToken,
    /// Somebody cancels it, which takes AWSPENDING away, and starts another.
    NewToken,
    /// It is repeated, dies at this point, and is repeated again.
    SameTokenDies(usize, When),
    /// Cancelled; the rotation that follows dies at this point and is cancelled too; then a third.
    NewTokenDies(usize, When),
}

const BOTH: [When; 2] = [When::Before, When::After];

/// Crashes rotations of one login at every side effect. A login that has recovered is as good as new, and the
/// next crash proves it.
async fn all_crashes(strategy: Strategy, earlier: usize, twice: bool) {
    let mut cases = 0;
    let world = World::new(strategy).await;
    for _ in 0..earlier {
        world.rotate(&world.user_arn).await;
    }
    // Of pairs one kind is enough: to die after an effect is to die before the next.
    let whens: &[When] = if twice { &[When::After] } else { &BOTH };
    for &when in whens {
        for at in 0.. {
            if crash(&world, at, when, Next::SameToken).await == 0 {
                break;
            }
            crash(&world, at, when, Next::NewToken).await;
            cases += 2;
            for next in [Next::SameTokenDies, Next::NewTokenDies] {
                // Until the second process has no such side effect, and lives.
                for second in (0..).take_while(|_| twice) {
                    if crash(&world, at, when, next(second, when)).await < 2 {
                        break;
                    }
                    cases += 1;
                }
            }
        }
    }
    // A put, the lock, the password, two or three labels.
    assert!(cases >= 4 * 5, "only {cases} crashes");
}

/// Crashes one rotation and lets it recover. Gives the number of processes that died: none, where the
/// rotation had no such side effect.
async fn crash(world: &World, at: usize, when: When, next: Next) -> usize {
    let arn = &world.user_arn;
    let context = format!("{:?}, {when:?} effect {at}, {next:?}", world.strategy);
    let mut token = token();
    if !die(world, &token, at, when, &context).await {
        return 0;
    }
    let mut deaths = 1;
    match next {
        Next::SameToken => {}
        Next::NewToken => token = cancel(world, &token, &context).await,
        Next::SameTokenDies(at, when) => deaths += usize::from(die(world, &token, at, when, &context).await),
        Next::NewTokenDies(at, when) => {
            token = cancel(world, &token, &context).await;
            if die(world, &token, at, when, &context).await {
                deaths += 1;
                token = cancel(world, &token, &context).await;
            }
        }
    }
    world.plan.start(None);
    world.store.start_rotation(arn, &token).unwrap_or_else(|error| panic!("{context}: {error}"));
    let reports = world.steps(arn, &token).await.unwrap_or_else(|error| panic!("{context}: {error}"));
    // The labels must do; the admin login's help is for other mishaps.
    assert!(
        !reports.iter().flat_map(|report| &report.notes).any(|note| note.starts_with("repaired")),
        "{context}: {reports:?}"
    );
    world.store.with(arn, |secret| {
        assert_eq!(secret.labels[CURRENT], token, "{context}");
        assert_eq!(secret.labels.get(PENDING), None, "{context}");
    });
    assert!(world.current_works(arn).await, "{context}: AWSCURRENT after recovery");
    deaths
}

/// Runs a rotation that dies, and checks what must hold afterwards. False: it did not die.
async fn die(world: &World, token: &str, at: usize, when: When, context: &str) -> bool {
    world.plan.start(Some((at, when)));
    world.store.start_rotation(&world.user_arn, token).unwrap_or_else(|error| panic!("{context}: {error}"));
    // The counting goes on over the steps, as if one process took them all.
    let result = world.steps(&world.user_arn, token).await;
    let died = world.plan.dead();
    assert_eq!(result.is_err(), died, "{context}: {result:?}");
    check(world, context).await;
    died
}

async fn check(world: &World, context: &str) {
    let in_force: &[&str] = match world.strategy {
        Strategy::AlternatingUsers => &[CURRENT],
        Strategy::SingleUser => &[CURRENT, label::SETTING, label::IN_FORCE],
    };
    for label in in_force {
        if world.works(&world.user_arn, label).await {
            return;
        }
    }
    panic!("{context}: locked out, only {:?} log in", world.working_labels(&world.user_arn).await);
}

/// What CancelRotateSecret and the advice in AWS's documentation come to. Gives the next rotation's token.
async fn cancel(world: &World, old: &str, context: &str) -> String {
    world.store.with(&world.user_arn, |secret| {
        if secret.labels.get(PENDING).is_some_and(|pending| pending == old) {
            secret.labels.remove(PENDING);
        }
    });
    check(world, context).await;
    token()
}

#[tokio::test]
async fn alternating_users_survive_every_crash() {
    for earlier in 0..3 {
        all_crashes(Strategy::AlternatingUsers, earlier, false).await;
    }
}

#[tokio::test]
async fn a_single_user_survives_every_crash() {
    for earlier in 0..3 {
        all_crashes(Strategy::SingleUser, earlier, false).await;
    }
}

#[tokio::test]
async fn a_single_user_survives_every_pair_of_crashes() {
    all_crashes(Strategy::SingleUser, 1, true).await;
}

#[tokio::test]
async fn provisioning_survives_every_crash() {
    use crate::faults::{FaultyDatabase, FaultyStore};
    use function_contract::ProvisioningRequest;
    use rotation_function::context::Context;
    use std::time::Duration;
    use tokio::time::Instant;
    let mut cases = 0;
    for when in [When::Before, When::After] {
        for at in 0.. {
            let world = World::unprovisioned(Strategy::AlternatingUsers);
            world.ensure(world.request(Duty::Admin)).await.unwrap();
            world.plan.start(Some((at, when)));
            let (store, database) =
                (FaultyStore(&world.store, &world.plan), FaultyDatabase(&world.database, &world.plan));
            let until = Instant::now() + Duration::from_secs(20);
            let context = Context::new(&world.config, &store, &database, until);
            let request = ProvisioningRequest::EnsureLogin(world.request(Duty::User));
            let result = context.provision(&request).await;
            if !world.plan.dead() {
                result.unwrap();
                break;
            }
            cases += 1;
            world
                .ensure(world.request(Duty::User))
                .await
                .unwrap_or_else(|error| panic!("{when:?} effect {at}: {error}"));
            assert!(world.current_works(&world.user_arn).await, "{when:?} effect {at}");
            assert_eq!(
                world.store.with(&world.user_arn, |secret| secret.values.len()),
                1,
                "one value, {when:?} effect {at}"
            );
            world.plan.start(None);
            world.rotate(&world.user_arn).await;
        }
    }
    assert!(cases >= 8, "only {cases} crashes");
}
