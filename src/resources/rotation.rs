//! `rotation`: a secret's schedule, and the proof that it works. Settled means that a rotation has really
//! run to its end, which the function only lets happen after the new password has logged in.

use crate::command::FILE;
use super::function_log::{error_about, errors};
use super::functions::FunctionNames;
use super::login::Login;
use super::secret::Secret;
use super::stack::Stack;
use super::{Live, LiveError};
use crate::aws::{Aws, Look, Rate, SecretLook, absent, call};
use crate::config::{Rule, Schedule};
use crate::drift::{Drift, DriftCode};
use crate::execute::Applied;
use crate::model::{Address, Facts, Kind, Mark, Owner, Ref, Seen, Shown};
use crate::resource::{AWAIT, Diff, Known, NotProduced, Refusal, Resource, Settled, Step, Verb, unobservable};
use aws_sdk_secretsmanager::types::RotationRulesType;
use std::fmt;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Rotation;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    pub secret: Ref<Secret>,
    pub secret_name: String,
    /// Of the secret: who may be rotated is who owns it.
    pub secret_mark: Mark,
    /// Whether the secret is taken over, with a password that somebody has made and a function that may rotate it.
    pub adopt: bool,
    pub login: Ref<Login>,
    pub stack: Ref<Stack>,
    pub functions: FunctionNames,
    pub function_arn: String,
    pub schedule: Schedule,
}

/// A schedule as AWS writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub every_days: Option<i64>,
    pub expression: Option<String>,
    pub window: Option<String>,
}

impl Rules {
    pub fn of(schedule: &Schedule) -> Self {
        let window = schedule.window_hours.map(|hours| format!("{hours}h"));
        let (every_days, expression) = match &schedule.rule {
            Rule::Days(days) => (Some(i64::from(*days)), None),
            Rule::Hours(hours) => (None, Some(format!("rate({hours} hours)"))),
            Rule::Cron(cron) => (None, Some(cron.clone())),
        };
        Self { every_days, expression, window }
    }

    fn shown(&self) -> Shown {
        if self.every_days.is_none() && self.expression.is_none() { Shown::Unset } else { Shown::text(self) }
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { every_days, expression, window } = self;
        match (expression, every_days) {
            (Some(expression), _) => f.write_str(expression)?,
            (None, Some(1)) => f.write_str("every day")?,
            (None, Some(days)) => write!(f, "every {days} days")?,
            (None, None) => f.write_str("none")?,
        }
        match window {
            Some(window) => write!(f, ", within {window}"),
            None => Ok(()),
        }
    }
}

/// An enabled rotation. One that is cancelled is as absent as one that never was.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub function: Option<String>,
    pub rules: Rules,
    /// Whether a rotation has ever run to its end.
    pub rotated: bool,
    /// Under way, or stuck.
    pub pending: bool,
    /// It has been at it for so long that nothing more will come of it.
    pub stuck: bool,
    /// What the function said last, while something is pending.
    pub trouble: Option<String>,
    /// Unix seconds: when anything of its secret was changed last. Of a rotation that is pending, when it was begun or
    /// did its last step.
    pub touched: Option<i64>,
    /// Unix seconds.
    pub last_rotated: Option<i64>,
    /// Unix seconds: the last moment for the next one to start.
    pub next_rotation: Option<i64>,
    /// That moment passed over an hour before the observation.
    pub overdue: bool,
}

/// Secrets Manager starts a rotation within its window, and repeats a failed one for some time: what has not
/// happened an hour past the window's end needs somebody.
const OVERDUE_AFTER_SECONDS: i64 = 60 * 60;

/// A rotation takes seconds, its repetitions some minutes: AWSPENDING on a secret that nothing has touched for an
/// hour stays, and Secrets Manager refuses every further rotation because of it.
const STUCK_AFTER_SECONDS: i64 = 60 * 60;

#[derive(Debug, Clone)]
pub enum Change {
    /// Sets function and schedule, and rotates at once.
    Enable,
    /// Sets function and schedule only.
    Reschedule,
    /// Rotates at once.
    Rotate,
    Await,
    Cancel,
}

/// A rotation of which nothing is known.
const NEVER: Observed = Observed {
    function: None,
    rules: Rules { every_days: None, expression: None, window: None },
    rotated: false,
    pending: false,
    stuck: false,
    trouble: None,
    touched: None,
    last_rotated: None,
    next_rotation: None,
    overdue: false,
};

impl Rotation {
    pub fn at(login: &str) -> Ref<Self> {
        Ref::to(Address { kind: Self::KIND, name: login.to_owned() })
    }
}

impl Resource for Rotation {
    const KIND: Kind = Kind("rotation");
    type Desired = Desired;
    type Observed = Observed;
    type Outputs = ();
    type Change = Change;

    fn address(want: &Desired) -> Address {
        want.mark.address.clone()
    }

    fn needs(want: &Desired) -> Vec<Address> {
        vec![want.secret.address().clone(), want.login.address().clone(), want.stack.address().clone()]
    }

    fn diff(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        // The article enables rotation before its users exist, and its first rotation fails.
        cx.after(want.secret.address());
        cx.after(want.login.address());
        cx.after(want.stack.address());
        let rules = Rules::of(&want.schedule);
        let (before, function_before) = match &live {
            Seen::Present(live) => (live.rules.shown(), live.function.as_ref().map_or(Shown::Unset, Shown::text)),
            Seen::Absent | Seen::Unobservable(_) => (Shown::Unset, Shown::Unset),
        };
        let shown = |step: Step<Change>| {
            step.attribute("schedule", before, rules.shown()).attribute(
                "function",
                function_before,
                Shown::text(&want.function_arn),
            )
        };
        let live = match live {
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => live,
            Seen::Absent => {
                return Ok(vec![
                    shown(cx.step("enable", Verb::Create, DriftCode::RotationCancelled, Change::Enable))
                        .because("rotates once at once, which proves that it works"),
                ]);
            }
        };
        if want.adopt && live.function.as_ref() != Some(&want.function_arn) {
            if live.pending {
                cx.note(format!(
                    "the function that rotates it now has begun a rotation and not ended it, and AWS begins no other until \
                     then: if it never ends, apply what can be applied, and then pgrotate recover {FILE} {}",
                    want.mark.address.name
                ));
            }
            // What others have begun with it is theirs; what proves that ours works is that it has run.
            return Ok(vec![
                shown(cx.step("enable", Verb::Update, DriftCode::RotationByAnother, Change::Enable))
                    .because("another function rotates it; ours rotates it once at once, which proves that it works"),
            ]);
        }
        let mut steps = Vec::new();
        // The first is the proof of the deployment. Any later one is Secrets Manager's everyday business.
        if live.pending && !live.rotated {
            // One that is stuck is no proof: to wait for it is to fail at once, and nothing else waits for it.
            let why = if live.stuck { "the first rotation has not finished" } else { "a rotation is under way" };
            let drift = DriftCode::UnderWay.found(why);
            steps.push(cx.step(AWAIT, Verb::Ensure, drift, Change::Await).because(why));
        }
        // A failed one is begun again by Secrets Manager, several times over some minutes; after that by its schedule.
        let said = live.trouble.as_ref().map(|said| format!("; the function said: {said}"));
        let code =
            if live.stuck { Some(DriftCode::RotationStuck) } else { said.as_ref().map(|_| DriftCode::RotationFailed) };
        if let Some(code) = code {
            let found = format!("{}{}", code.words(), said.unwrap_or_default());
            cx.drift(
                code.found(found).since(live.touched),
                format!("pgrotate recover {FILE} {}", want.mark.address.name),
            );
        }
        if live.rules != rules || live.function.as_ref() != Some(&want.function_arn) {
            let by_another = live.function.as_ref() != Some(&want.function_arn);
            let drift = if by_another { DriftCode::RotationByAnother } else { DriftCode::RotationRescheduled };
            steps.push(shown(cx.step("reschedule", Verb::Update, drift, Change::Reschedule)));
        }
        if live.overdue {
            cx.drift(
                Drift::from(DriftCode::RotationOverdue).since(live.next_rotation),
                format!("pgrotate rotate {FILE} {} --wait, and read what it says", want.mark.address.name),
            );
        }
        if !live.rotated && !live.pending {
            let drift = DriftCode::NeverRotated;
            steps.push(cx.step("rotate", Verb::Rotate, drift, Change::Rotate).because(drift.words()));
        }
        Ok(steps)
    }

    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        match live {
            Seen::Absent => Ok(Vec::new()),
            Seen::Unobservable(why) => Err(unobservable(why)),
            // Another function rotates it: not by our doing.
            Seen::Present(live) if live.function.as_ref() != Some(&want.function_arn) => Ok(Vec::new()),
            Seen::Present(_) => {
                let drift = DriftCode::NoLongerDeclared.found("it is no longer declared, and rotates");
                Ok(vec![cx.step("cancel", Verb::Delete, drift, Change::Cancel)])
            }
        }
    }

    fn settled(want: &Desired, live: &Observed) -> Settled<()> {
        if live.pending {
            let last = live.trouble.as_ref().map(|said| format!("; the function said: {said}")).unwrap_or_default();
            return Settled::NotYet { saying: format!("the rotation is under way{last}") };
        }
        if !live.rotated {
            return Settled::NotYet { saying: "the first rotation has not finished yet".to_owned() };
        }
        if live.rules == Rules::of(&want.schedule) && live.function.as_ref() == Some(&want.function_arn) {
            Settled::Yes(())
        } else {
            Settled::NotYet { saying: "the new schedule is not visible yet".to_owned() }
        }
    }

    /// Nobody waits for a rotation that is under way.
    fn outputs(_want: &Desired, _live: &Observed) -> Option<()> {
        Some(())
    }

    fn leaving(_want: &Desired, _live: &Observed) -> Settled<()> {
        Settled::NotYet { saying: "rotation is still enabled".to_owned() }
    }

    fn facts(live: &Observed) -> Facts {
        // A scheduled rotation between plan and apply is nobody's doing; nor is how far it has come.
        let Observed {
            function,
            rules,
            rotated: _,
            pending: _,
            stuck: _,
            trouble: _,
            touched: _,
            last_rotated: _,
            next_rotation: _,
            overdue: _,
        } = live;
        Facts::default().maybe("function", function.as_ref()).with("schedule", rules)
    }

    fn realised(want: &Desired, _known: &Known) -> Result<Observed, NotProduced> {
        Ok(Observed {
            function: Some(want.function_arn.clone()),
            rules: Rules::of(&want.schedule),
            rotated: true,
            ..NEVER
        })
    }
}

impl Live for Rotation {
    /// A rotation takes seconds; Secrets Manager repeats a failed one several times over some minutes.
    const PATIENCE: Duration = Duration::from_secs(10 * 60);
    /// RotateSecret and CancelRotateSecret together, 50 a second
    /// (docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html).
    const RATE: Option<Rate> = Some(Rate::half_of(50, 50.0));

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let secrets = wants.iter().map(|want| look.secret(&want.secret_name));
        let secrets = futures_util::future::try_join_all(secrets).await?;
        let now = jiff::Timestamp::now().as_second();
        // One look at the log for all of them, and none while a rotation has only just begun: CloudWatch Logs
        // answers some five such questions a second in the whole account
        // (docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html).
        let said = match secrets.iter().flatten().any(|secret| secret.pending().is_some() && !is_fresh(secret, now)) {
            true => errors(look.aws, &wants[0].functions.rotation).await,
            false => Ok(Vec::new()),
        };
        // The log only explains; what the rotation is, is known without it.
        let said = said.unwrap_or_else(|error| vec![format!("its log cannot be read: {error}")]);
        let seen = wants.iter().zip(&secrets).map(|(want, secret)| {
            let Some(secret) = secret else { return Seen::Absent };
            // Somebody else's secret is refused by `secret`; here it counts as none, unless it is taken over.
            let ours = match want.secret_mark.owner(&secret.tags) {
                Owner::Us => true,
                Owner::Nobody => want.adopt,
                Owner::OtherAddress(_) | Owner::OtherDeployment(_) => false,
            };
            if !ours || secret.deleted.is_some() || !secret.rotation_enabled {
                return Seen::Absent;
            }
            let trouble = secret.pending().and_then(|token| error_about(&said, token));
            Seen::Present(observed(secret, trouble.map(str::to_owned), now))
        });
        Ok(seen.collect())
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, _known: &Known) -> Result<Applied, LiveError> {
        let rotate = call("secretsmanager", "RotateSecret");
        let request = aws.secrets.rotate_secret().secret_id(&want.secret_name);
        let rules = || {
            let Rules { every_days, expression, window } = Rules::of(&want.schedule);
            RotationRulesType::builder()
                .set_automatically_after_days(every_days)
                .set_schedule_expression(expression)
                .set_duration(window)
                .build()
        };
        let request = match change {
            Change::Enable => request.rotation_lambda_arn(&want.function_arn).rotation_rules(rules()),
            // Only a schedule changes: rotating at once could take a password from a client that has just
            // fetched it.
            Change::Reschedule => {
                request.rotation_lambda_arn(&want.function_arn).rotation_rules(rules()).rotate_immediately(false)
            }
            Change::Rotate => request,
            Change::Await => {
                let secret = Look::new(aws).secret(&want.secret_name).await?;
                return match secret.filter(is_given_up) {
                    Some(secret) => Err(stuck(aws, want, &secret).await),
                    None => Ok(Applied::Accepted),
                };
            }
            Change::Cancel => {
                let cancel = call("secretsmanager", "CancelRotateSecret");
                let request = aws.secrets.cancel_rotate_secret().secret_id(&want.secret_name);
                let answer = request.send().await.map_err(|error| cancel.failed(error));
                absent(answer, &["ResourceNotFoundException"])?;
                return Ok(Applied::Accepted);
            }
        };
        let request = request.client_request_token(uuid::Uuid::new_v4().to_string());
        match request.send().await.map_err(|error| rotate.failed(error)) {
            Ok(_) => Ok(Applied::Accepted),
            // The function's permission takes a moment to settle after the stack is complete
            // (aws-cdk issue 26481: 2 of 18 deployments lost that race). AWS answers the same where it is the
            // caller who may not invoke the function, and that does not pass by waiting.
            Err(error) if error.is(&["AccessDeniedException"]) => {
                if !may_still_settle(aws, want).await? {
                    return Err(error.into());
                }
                Ok(Applied::NotYet {
                    saying: format!(
                        "the function's permission has not settled yet, or these credentials lack \
                         lambda:InvokeFunction on {}: {error}",
                        want.functions.rotation
                    ),
                })
            }
            // The token is this call's own: an answer was lost, and the rotation has even ended since.
            Err(error) if error.is(&["ResourceExistsException"]) => Ok(Applied::Accepted),
            // Another rotation is under way: one that the schedule, another apply or a person began.
            Err(error) if error.is(&["InvalidRequestException"]) => {
                match Look::new(aws).secret(&want.secret_name).await? {
                    Some(secret) if is_given_up(&secret) => Err(stuck(aws, want, &secret).await),
                    Some(secret) if secret.pending().is_some() => {
                        Ok(Applied::NotYet { saying: "an earlier rotation is not finished".to_owned() })
                    }
                    _ => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What a rotation that failed for good, or was cancelled midway, has begun blocks every other. Secrets Manager repeats
/// one for some minutes only: to wait for what nothing has touched for longer is to wait in vain.
const GIVEN_UP_AFTER_SECONDS: i64 = 5 * 60;

fn is_given_up(secret: &SecretLook) -> bool {
    untouched_for(secret, jiff::Timestamp::now().as_second(), GIVEN_UP_AFTER_SECONDS)
}

/// Whether something is pending, and nothing has touched the secret for longer than `seconds`.
fn untouched_for(secret: &SecretLook, now: i64, seconds: i64) -> bool {
    secret.pending().is_some() && secret.changed.is_some_and(|changed| changed + seconds < now)
}

async fn stuck(aws: &Aws, want: &Desired, secret: &SecretLook) -> LiveError {
    // The log only explains.
    let said = errors(aws, &want.functions.rotation).await.unwrap_or_default();
    let said = secret.pending().and_then(|token| error_about(&said, token));
    let said = said.map(|said| format!("; the function said: {said}")).unwrap_or_default();
    LiveError::RotationStuck { login: want.mark.address.name.clone(), said }
}

/// For how long after its stack has changed the function's permission may still be on its way. It is a matter of
/// seconds; an answer that stays the same for longer is about the caller.
const PERMISSION_SETTLES_SECONDS: i64 = 2 * 60;

async fn may_still_settle(aws: &Aws, want: &Desired) -> Result<bool, LiveError> {
    let stack = Look::new(aws).stack(&want.stack.address().name).await?;
    let changed = stack.and_then(|stack| stack.last_updated_time().or(stack.creation_time()).map(|time| time.secs()));
    let now = jiff::Timestamp::now().as_second();
    Ok(changed.is_some_and(|changed| now - changed < PERMISSION_SETTLES_SECONDS))
}

/// A secret that was changed so lately is under way rather than stuck. A clock that is behind AWS's makes
/// none fresh.
const FRESH_SECONDS: i64 = 3;

fn is_fresh(secret: &SecretLook, now: i64) -> bool {
    secret.changed.is_some_and(|changed| (0..FRESH_SECONDS).contains(&(now - changed)))
}

/// `now` in Unix seconds.
fn observed(secret: &SecretLook, trouble: Option<String>, now: i64) -> Observed {
    Observed {
        function: secret.rotation_function.clone(),
        rules: Rules {
            // AWS also fills in the days of an expression; the expression is what was asked for.
            every_days: secret.every_days.filter(|_| secret.schedule.is_none()),
            expression: secret.schedule.clone(),
            window: secret.window.clone(),
        },
        rotated: secret.last_rotated.is_some(),
        pending: secret.pending().is_some(),
        stuck: untouched_for(secret, now, STUCK_AFTER_SECONDS),
        trouble,
        touched: secret.changed,
        last_rotated: secret.last_rotated,
        next_rotation: secret.next_rotation,
        overdue: secret.next_rotation.is_some_and(|next| next + OVERDUE_AFTER_SECONDS < now),
    }
}

/// Asks Secrets Manager to rotate now; answers with the rotation's token, which is the new version's id.
pub async fn rotate_now(aws: &Aws, secret: &str) -> Result<String, LiveError> {
    let rotate = call("secretsmanager", "RotateSecret");
    let token = uuid::Uuid::new_v4().to_string();
    let request = aws.secrets.rotate_secret().secret_id(secret).client_request_token(&token);
    let answer = request.send().await.map_err(|error| rotate.failed(error));
    // The token is this call's own: an answer was lost, and the rotation has even ended since.
    absent(answer, &["ResourceExistsException"])?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn pending_since(changed: i64) -> SecretLook {
        let labelled = |version: &str, label: &str| (version.to_owned(), BTreeSet::from([label.to_owned()]));
        SecretLook {
            arn: String::new(),
            description: String::new(),
            tags: BTreeMap::new(),
            deleted: None,
            key: None,
            versions: BTreeMap::from([labelled("old", "AWSCURRENT"), labelled("new", "AWSPENDING")]),
            rotation_enabled: true,
            rotation_function: None,
            every_days: Some(10),
            schedule: None,
            window: None,
            changed: Some(changed),
            last_rotated: Some(0),
            next_rotation: None,
        }
    }

    #[test]
    fn a_rotation_is_fresh_then_under_way_then_stuck() {
        let now = 1_800_000_000;
        for (ago, fresh, stuck) in [(0, true, false), (60, false, false), (3601, false, true), (-60, false, false)] {
            let secret = pending_since(now - ago);
            assert_eq!(is_fresh(&secret, now), fresh, "{ago} s ago");
            let live = observed(&secret, None, now);
            assert!(live.pending);
            assert_eq!(live.stuck, stuck, "{ago} s ago");
        }
    }
}
