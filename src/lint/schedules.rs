//! Lints of the schedules. What AWS refuses is an error of the config; this is what it takes.

use super::Found;
use crate::config::{Config, LintCode, Located, Login, Rhythm, Rule, Schedule, Traps};
use function_contract::Strategy;
use std::collections::HashMap;

const DAY: u32 = 24;

/// Hours that a password should last after it has been replaced. AWS's caching clients keep a secret for one hour by default
/// (docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_cache-python.html, and so in the other languages);
/// what an application reads when it starts it keeps for longer. Six times that hour leaves room for one that is late.
const LEAST_OVERLAP: u32 = 6;

/// Everybody of a default has the same schedule, and to look through its years takes a moment.
type Looked = HashMap<Schedule, (Rhythm, Traps)>;

pub(super) fn lint(config: &Config) -> Vec<Found> {
    let mut looked = Looked::new();
    let mut found = Vec::new();
    for (login, is_admin) in config.users.iter().map(|user| (user, false)).chain([(&config.admin, true)]) {
        let schedule = &login.schedule.value;
        let (rhythm, traps) = looked.entry(schedule.clone()).or_insert_with(|| (schedule.rhythm(), schedule.traps()));
        let mut of_login = expression(&login.schedule, traps, *rhythm);
        of_login.extend(window(&login.schedule));
        of_login.extend(slow(&login.schedule, *rhythm, config.lint.slow_after_days));
        // The admin's secret is read anew by the functions each time, and by nobody else.
        if !is_admin {
            of_login.extend(fast(login, *rhythm));
        }
        found.extend(of_login.into_iter().map(|found| found.of(&login.login.value)));
    }
    found
}

fn expression(at: &Located<Schedule>, traps: &Traps, rhythm: Rhythm) -> Vec<Found> {
    let Traps { skipped, uneven, numbered } = traps;
    let mut found = Vec::new();
    if !skipped.is_empty() {
        let months = match skipped.len() {
            12 => "in a month that has no such day".to_owned(),
            _ => format!("in {} when that has no such day", skipped.join(", ")),
        };
        let what = format!("it does not rotate {months}: up to {} pass", hours(rhythm.longest));
        let hint =
            "choose a day up to 28 or a weekday's 4th, or L: the last day of the month, the last such weekday (SUNL)";
        found.push(Found::new(LintCode::SkippedMonths, &at.span, what, hint));
    }
    for (step, whole) in uneven {
        let Rhythm { shortest, longest, window: _ } = rhythm;
        let what = format!(
            "`{step}` begins anew with each {whole}: rotations are {} to {} apart",
            hours(shortest),
            hours(longest)
        );
        let hint = "list what is meant (8,16), choose a step that divides it, or write a period: every = \"7 days\"";
        found.push(Found::new(LintCode::UnevenSteps, &at.span, what, hint));
    }
    if let Some((number, day)) = numbered {
        let what = format!("the weekday {number} is {day} to AWS");
        found.push(Found::new(LintCode::NumberedWeekday, &at.span, what, format!("write it by name: {day}")));
    }
    found
}

fn window(at: &Located<Schedule>) -> Option<Found> {
    let Schedule { rule, window_hours } = &at.value;
    if let Some(hour) = at.value.open_from() {
        let what = format!("AWS may begin at any time from {hour}:00 to midnight UTC");
        return Some(Found::new(LintCode::NoWindow, &at.span, what, "say how long it may wait: window = \"2h\""));
    }
    match (rule, window_hours) {
        (Rule::Days(_), Some(hours)) if *hours < DAY => {
            let what = format!("the window of {hours}h opens at midnight UTC, on a day that moves");
            let hint = "for a time and weekday of your own write: cron = \"cron(0 4 ? * SUN *)\"";
            Some(Found::new(LintCode::MidnightWindow, &at.span, what, hint))
        }
        _ => None,
    }
}

fn slow(at: &Located<Schedule>, rhythm: Rhythm, most: u32) -> Option<Found> {
    let days = rhythm.longest / DAY;
    let what = format!("up to {days} days pass between two rotations, more than {most}");
    let hint = "rotate more often, or say how long is well: slow_after_days in [lint]";
    (days > most).then(|| Found::new(LintCode::SlowRotation, &at.span, what, hint))
}

/// A rotation may come at the end of one window and the next at the beginning of the following.
fn fast(login: &Login, rhythm: Rhythm) -> Option<Found> {
    let Rhythm { shortest, longest: _, window } = rhythm;
    let at = &login.schedule;
    match login.strategy {
        Strategy::AlternatingUsers => {
            let overlap = shortest.saturating_sub(window);
            let what = match overlap {
                0 => "two rotations may follow each other at once: a password may end while clients have just read it"
                    .to_owned(),
                overlap => format!(
                    "two rotations may be {} apart, and a password that clients hold ends with the second",
                    hours(overlap)
                ),
            };
            let hint = format!(
                "choose a longer period or a shorter window, such as window = \"1h\": {LEAST_OVERLAP} hours from the end of \
                 a window to the next are enough"
            );
            (overlap < LEAST_OVERLAP).then(|| Found::new(LintCode::FastRotation, &at.span, what, hint))
        }
        Strategy::SingleUser => {
            let what = format!(
                "it rotates every {}, and a single user has no overlap: each time, clients that hold the password are \
                 refused until they read it anew",
                hours(shortest)
            );
            let hint = "write strategy = \"alternating-users\", or let it rotate once a day or less often";
            (shortest < DAY).then(|| Found::new(LintCode::FastRotation, &at.span, what, hint))
        }
    }
}

/// As people say it.
fn hours(hours: u32) -> String {
    let (count, unit) = if hours.is_multiple_of(DAY) && hours > 0 { (hours / DAY, "day") } else { (hours, "hour") };
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}
