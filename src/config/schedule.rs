//! When a secret rotates: `every`, `cron` and `window`, within the limits of Secrets Manager.

use super::cron::Cron;
use super::error::{ConfigError, quoted};
use super::read::{Problems, Table};
use super::{Located, Rule, Schedule};
use crate::code::Code;
use std::fmt;
use std::ops::Range;

/// Range of `AutomaticallyAfterDays` in AWS's API.
const DAYS: std::ops::RangeInclusive<u32> = 1..=1000;

/// Secrets Manager rotates at most every four hours; a day and more is written in days.
pub(super) const HOURS: std::ops::RangeInclusive<u32> = 4..=23;

/// Why a text is no schedule, and what to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub message: String,
    pub hint: String,
}

pub(super) fn fault<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { message: message.into(), hint: hint.into() })
}

/// The schedule's keys of one table.
#[derive(Default)]
pub(super) struct Timing {
    rule: Option<Located<Rule>>,
    window: Option<Located<u32>>,
    /// `every` or `cron` is there, if perhaps unusable: it is not missed, and no default takes its place.
    has_rule: bool,
    has_window: bool,
}

impl Timing {
    /// Asks a table for `every`, `cron` and `window`.
    pub fn read(problems: &Problems<'_>, table: &mut Table<'_, '_>) -> Self {
        let every = table.optional_string("every", "\"10 days\"");
        let cron = table.optional_string("cron", "\"cron(0 4 ? * SUN *)\"");
        let window = table.optional_string("window", "\"2h\"");
        let has_rule = table.has("every") || table.has("cron");
        if let (Some(_), Some(cron)) = (&every, &cron) {
            let error = ConfigError::at(
                Code::ConflictingKeys,
                &cron.span,
                "`every` and `cron` are both given: a secret has one schedule",
            );
            problems.add(error.hint("keep one of the two"));
        }
        let every = every.and_then(|text| parsed(problems, text, parse_every));
        let cron = cron.and_then(|text| parsed(problems, text, |text| Cron::parse(text).map(|c| Rule::Cron(c.text))));
        let window = window.and_then(|text| parsed(problems, text, parse_window));
        let timing = Self { rule: every.or(cron), window, has_rule, has_window: table.has("window") };
        if let (Some(rule), Some(window)) = (&timing.rule, &timing.window) {
            fits(problems, rule, window, &window.span);
        }
        timing
    }

    /// The schedule of a login: its own keys, else the defaults', else `fallback`. Where it is None, an error
    /// says why.
    pub fn schedule(
        &self,
        problems: &Problems<'_>,
        defaults: &Timing,
        fallback: Option<Rule>,
        login: &Login<'_>,
    ) -> Option<Located<Schedule>> {
        let rule = if self.has_rule { self } else { defaults };
        let window = if self.has_window { self } else { defaults };
        let found = match (rule.has_rule, fallback) {
            (true, _) => rule.rule.clone()?,
            (false, Some(value)) => Located { value, span: login.span.clone() },
            (false, None) => {
                let error = ConfigError::at(Code::MissingKey, login.span, format!("{} has no schedule", login.what));
                problems.add(error.hint("add: every = \"10 days\", here or in [rotation] for all users"));
                return None;
            }
        };
        if window.has_window && window.window.is_none() {
            return None;
        }
        if let Some(window) = &window.window {
            // Where the two come from different tables they meet here for the first time; the login's own
            // key is the one to change.
            let place = if self.has_window || !self.has_rule { &window.span } else { &found.span };
            fits(problems, &found, window, place);
        }
        let window_hours = window.window.as_ref().map(|window| window.value);
        Some(Located { value: Schedule { rule: found.value, window_hours }, span: found.span })
    }
}

/// Whose schedule it is, for messages.
pub(super) struct Login<'a> {
    pub what: &'a str,
    pub span: &'a Range<usize>,
}

fn parsed<T>(
    problems: &Problems<'_>,
    text: Located<String>,
    parse: impl Fn(&str) -> Result<T, Fault>,
) -> Option<Located<T>> {
    match parse(&text.value) {
        Ok(value) => Some(Located { value, span: text.span }),
        Err(Fault { message, hint }) => {
            problems.add(ConfigError::at(Code::BadSchedule, &text.span, message).hint(hint));
            None
        }
    }
}

fn fits(problems: &Problems<'_>, rule: &Located<Rule>, window: &Located<u32>, place: &Range<usize>) {
    let (longest, limit) = longest_window(&rule.value);
    if window.value > longest {
        let message =
            format!("a window of {}h is too long for {}: it reaches {limit}", window.value, Shown(&rule.value));
        problems.add(
            ConfigError::at(Code::BadSchedule, place, message)
                .hint(format!("write: window = \"{longest}h\", or shorter")),
        );
    }
}

/// Hours a window may last, and what it reaches when it lasts longer.
fn longest_window(rule: &Rule) -> (u32, &'static str) {
    const NEXT_DAY: &str = "the next UTC day, which AWS does not allow";
    const NEXT_WINDOW: &str = "the next window";
    match rule {
        // Such a window opens at midnight.
        Rule::Days(_) => (24, NEXT_DAY),
        Rule::Hours(hours) => (*hours, NEXT_WINDOW),
        Rule::Cron(text) => match Cron::parse(text) {
            Ok(cron) => match (cron.gap_within_day(), 24 - cron.last_hour()) {
                (Some(gap), rest) if gap <= rest => (gap, NEXT_WINDOW),
                (_, rest) => (rest, NEXT_DAY),
            },
            // Not reached: the text was parsed before.
            Err(_) => (1, NEXT_WINDOW),
        },
    }
}

/// A rule as the config spells it.
struct Shown<'a>(&'a Rule);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Rule::Days(1) => f.write_str("\"1 day\""),
            Rule::Days(days) => write!(f, "\"{days} days\""),
            Rule::Hours(hours) => write!(f, "\"{hours} hours\""),
            Rule::Cron(text) => f.write_str(text),
        }
    }
}

/// Digits without sign or leading zero; no number of a schedule is longer.
pub(super) fn number(text: &str) -> Option<u32> {
    let plain = (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    (plain && (text.len() == 1 || !text.starts_with('0'))).then(|| text.parse().ok()).flatten()
}

/// `10 days` or `6 hours`.
fn parse_every(text: &str) -> Result<Rule, Fault> {
    const EXAMPLE: &str = "write a number and a unit: every = \"10 days\", or every = \"6 hours\"";
    if text.trim_start().starts_with("cron(") {
        return fault(
            "`every` takes a period, not a cron expression",
            format!("write: cron = {}", quoted(text.trim())),
        );
    }
    let mut words = text.split_ascii_whitespace();
    let (Some(count), Some(unit), None) = (words.next().and_then(number), words.next(), words.next()) else {
        return fault(format!("{} is no period", quoted(text)), EXAMPLE);
    };
    match unit {
        "day" | "days" if DAYS.contains(&count) => Ok(Rule::Days(count)),
        "day" | "days" => fault(
            format!("{} is outside the {} to {} days that AWS allows", quoted(text), DAYS.start(), DAYS.end()),
            format!("write: every = {}", Shown(&Rule::Days(count.clamp(*DAYS.start(), *DAYS.end())))),
        ),
        "hour" | "hours" if HOURS.contains(&count) => Ok(Rule::Hours(count)),
        "hour" | "hours" if count >= 24 => fault(
            format!("{} is a day or more, which is written in days", quoted(text)),
            format!("write: every = {}", Shown(&Rule::Days((count / 24).min(*DAYS.end())))),
        ),
        "hour" | "hours" => fault(
            format!("{} is too often: AWS rotates at most every {} hours", quoted(text), HOURS.start()),
            format!("write: every = \"{} hours\", or longer", HOURS.start()),
        ),
        "week" | "weeks" => fault(
            format!("a period in weeks is not known: {}", quoted(text)),
            format!("write: every = {}", Shown(&Rule::Days(count.saturating_mul(7).clamp(*DAYS.start(), *DAYS.end())))),
        ),
        _ => fault(format!("{} is no period: the unit must be days or hours", quoted(text)), EXAMPLE),
    }
}

/// `2h`.
fn parse_window(text: &str) -> Result<u32, Fault> {
    match text.strip_suffix('h').and_then(number) {
        Some(hours @ 1..=24) => Ok(hours),
        Some(_) => fault(format!("a window of {text} is outside 1h to 24h"), "write: window = \"2h\""),
        None => fault(
            format!("{} is no window: it must be a whole number of hours and an h", quoted(text)),
            "write: window = \"2h\"",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_within_the_limits_of_aws() {
        assert_eq!(parse_every("10 days"), Ok(Rule::Days(10)));
        assert_eq!(parse_every("1 day"), Ok(Rule::Days(1)));
        assert_eq!(parse_every("1000 days"), Ok(Rule::Days(1000)));
        assert_eq!(parse_every("4 hours"), Ok(Rule::Hours(4)));
        assert_eq!(parse_every(" 23   hours "), Ok(Rule::Hours(23)));
        for bad in [
            "",
            "10",
            "days",
            "0 days",
            "1001 days",
            "3 hours",
            "24 hours",
            "-1 days",
            "+1 days",
            "010 days",
            "1.5 days",
            "2 weeks",
            "10 days ago",
            "99999999999 days",
            "١٠ days",
            "cron(0 4 ? * SUN *)",
        ] {
            assert!(parse_every(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_period_that_is_off_is_told_as_the_nearest_that_is_not() {
        let hint = |text| parse_every(text).unwrap_err().hint;
        assert_eq!(hint("48 hours"), "write: every = \"2 days\"");
        assert_eq!(hint("30 hours"), "write: every = \"1 day\"");
        assert_eq!(hint("0 days"), "write: every = \"1 day\"");
        assert_eq!(hint("9999 days"), "write: every = \"1000 days\"");
        assert_eq!(hint("2 weeks"), "write: every = \"14 days\"");
    }

    #[test]
    fn windows_are_whole_hours() {
        assert_eq!(parse_window("1h"), Ok(1));
        assert_eq!(parse_window("24h"), Ok(24));
        for bad in ["", "h", "2", "0h", "25h", "02h", "2 h", "2H", "120m", "-2h", "1.5h"] {
            assert!(parse_window(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn windows_end_before_the_next_one_and_before_midnight() {
        let longest = |rule| longest_window(&rule).0;
        let of_cron = |text: &str| longest_window(&Rule::Cron(text.into())).0;
        assert_eq!(longest(Rule::Days(10)), 24);
        assert_eq!(longest(Rule::Hours(6)), 6);
        assert_eq!(of_cron("cron(0 4 ? * SUN *)"), 20);
        assert_eq!(of_cron("cron(0 0/6 * * ? *)"), 6);
        assert_eq!(of_cron("cron(0 2/10 * * ? *)"), 2);
    }
}
