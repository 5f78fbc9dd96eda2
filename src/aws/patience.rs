//! How long a call is waited for, how often it is asked again, and how fast changes may follow each other.

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use function_contract::FUNCTION_TIMEOUT_SECONDS;
use std::cell::Cell;
use std::time::Duration;
use tokio::time::Instant;

/// What is throttled, cut off, out of time or answered with an error of the server's is asked again: in all five
/// attempts, backing off to at most 20 s. Control-plane throttles of a busy account pass within that, and a
/// person is told within half a minute when they do not.
///
/// Not the SDK's adaptive mode: after one throttle its limiter lets a service be called no faster than 0.7 times
/// what it was called before (aws-smithy-runtime, `client_rate_limiter.rs`), which for a command that has only
/// just begun is a call or two in a second, reads among them, since there is one limiter a service and region.
/// [`Pace`] keeps the only long runs, those of many logins, below what AWS grants in the first place.
pub(super) fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(5)
}

/// The control plane answers within a second or two. Twenty are far above that, and a connection that has died
/// without a word holds up nothing for longer; what was asked is then asked again, which is safe for every call
/// that we make. All attempts together, with their pauses, have two minutes.
pub(super) fn timeouts() -> TimeoutConfig {
    within(Duration::from_secs(20), Duration::from_secs(120))
}

/// An invocation lasts as long as the function may run, and its start in a VPC some seconds more.
pub(super) fn function_timeouts() -> TimeoutConfig {
    let longest = Duration::from_secs(u64::from(FUNCTION_TIMEOUT_SECONDS) + 30);
    within(longest, 3 * longest)
}

/// The functions' zip has some three megabytes: two minutes are enough for a line of 200 kbit/s.
pub(super) fn upload_timeouts() -> TimeoutConfig {
    within(Duration::from_secs(120), Duration::from_secs(360))
}

fn within(attempt: Duration, operation: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        // As AWS's own SDKs have it (docs.aws.amazon.com/sdkref/latest/guide/feature-smart-config-defaults.html).
        .connect_timeout(Duration::from_millis(3100))
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build()
}

/// How many changes AWS takes: so many at once, then so many a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub burst: u32,
    pub per_second: f64,
}

impl Rate {
    /// Half of what AWS grants an account and region, so that those who share it can go on.
    pub const fn half_of(burst: u32, per_second: f64) -> Self {
        Self { burst: burst / 2, per_second: per_second / 2.0 }
    }
}

/// Gives turns at a rate.
#[derive(Debug)]
pub struct Pace {
    burst: Duration,
    between: Duration,
    /// When every turn that was given will have been paid for.
    paid: Cell<Instant>,
}

impl Pace {
    pub fn new(rate: Rate) -> Self {
        let between = Duration::from_secs_f64(rate.per_second.recip());
        Self { burst: between * rate.burst.saturating_sub(1), between, paid: Cell::new(Instant::now()) }
    }

    /// Waits for a turn.
    pub async fn turn(&self) {
        tokio::time::sleep_until(self.take(Instant::now())).await;
    }

    /// Takes the next turn; answers with when it comes.
    fn take(&self, now: Instant) -> Instant {
        let paid = self.paid.get().max(now);
        self.paid.set(paid + self.between);
        // What the clock cannot express is long past.
        paid.checked_sub(self.burst).unwrap_or(now).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_then_so_many_a_second() {
        let began = Instant::now();
        let pace = Pace::new(Rate { burst: 3, per_second: 10.0 });
        let turns = |at: u64, count: usize| -> Vec<u128> {
            let now = began + Duration::from_millis(at);
            (0..count).map(|_| (pace.take(now) - began).as_millis()).collect()
        };
        // The pace is a moment younger than `began`.
        let near = |turns: Vec<u128>| -> Vec<u128> { turns.into_iter().map(|turn| turn / 50 * 50).collect() };
        assert_eq!(near(turns(50, 6)), [50, 50, 50, 150, 250, 350]);
        // What was not used is there again, and no more than that.
        assert_eq!(near(turns(60_000, 4)), [60_000, 60_000, 60_000, 60_100]);
    }

    #[test]
    fn no_call_is_waited_for_without_end() {
        for config in [timeouts(), function_timeouts(), upload_timeouts()] {
            let (attempt, operation) = (config.operation_attempt_timeout(), config.operation_timeout());
            assert!(config.connect_timeout().is_some());
            assert!(attempt.is_some_and(|attempt| operation.is_some_and(|all| attempt * 2 < all)), "{config:?}");
        }
    }
}
