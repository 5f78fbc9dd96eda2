//! When a secret rotates: `every`, `cron` and `window`, within the limits of Secrets Manager.

use super::error::{ConfigError, quoted};
use super::read::{Problems, Table};
use super::{Located, Rule, Schedule};
use crate::code::Code;
use std::fmt;
use std::ops::Range;

/// Range of `AutomaticallyAfterDays` in AWS's API.
const DAYS: std::ops::RangeInclusive<u32> = 1..=1000;

/// Secrets Manager rotates at most every four hours; a day and more is written in days.
const HOURS: std::ops::RangeInclusive<u32> = 4..=23;

/// Longest `ScheduleExpression` of AWS's API.
const CRON_BYTES: usize = 256;

/// Why a text is no schedule, and what to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    message: String,
    hint: String,
}

fn fault<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Fault> {
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
    ) -> Option<Schedule> {
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
        Some(Schedule { rule: found.value, window_hours: window.window.as_ref().map(|window| window.value) })
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
fn number(text: &str) -> Option<u32> {
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

/// A checked cron expression of Secrets Manager.
#[derive(Debug, PartialEq, Eq)]
struct Cron {
    /// One space between fields, names in capitals: spelled alike when it means the same.
    text: String,
    /// Bit per hour at which a window opens.
    hours: u64,
    /// Whether it can fire on two days in a row.
    daily: bool,
}

/// What a field of a cron expression may hold.
struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    /// Names of the values from `low` on.
    names: &'static [&'static str],
    is_day: bool,
}

const HOUR: Field = Field { name: "hours", low: 0, high: 23, names: &[], is_day: false };
const DAY_OF_MONTH: Field = Field { name: "day-of-month", low: 1, high: 31, names: &[], is_day: true };
const MONTH: Field = Field {
    name: "month",
    low: 1,
    high: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    is_day: false,
};
const DAY_OF_WEEK: Field = Field {
    name: "day-of-week",
    low: 1,
    high: 7,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    is_day: true,
};

impl Field {
    fn value(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().position(|name| *name == text).and_then(|at| u32::try_from(at).ok());
        named.map(|at| at + self.low).or_else(|| number(text)).filter(|value| (self.low..=self.high).contains(value))
    }

    /// Bits of one item of the list: `*`, `4`, `MON-FRI`, `4/12`, `*/2`, `L`, `6L`, `SUN#1`. None: not one.
    fn item(&self, text: &str) -> Option<u64> {
        if self.is_day {
            if text == "L" {
                return Some(1 << self.high);
            }
            // Once a month, so never on two days in a row: no bit.
            let once_a_month = text.strip_suffix('L').or_else(|| {
                let (day, nth) = text.split_once('#')?;
                number(nth).filter(|nth| (1..=5).contains(nth)).map(|_| day)
            });
            if let Some(day) = once_a_month {
                return if self.high == DAY_OF_WEEK.high { self.value(day).map(|_| 0) } else { None };
            }
        }
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| (1..=self.high).contains(step))?)),
            None => (text, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.low, self.high),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            None => match (self.value(range)?, step) {
                (from, Some(_)) => (from, self.high),
                (only, None) => (only, only),
            },
        };
        if from > to {
            return None;
        }
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        Some((from..=to).step_by(step).fold(0, |bits, value| bits | (1 << value)))
    }

    fn bits(&self, text: &str) -> Result<u64, Fault> {
        let mut bits = 0;
        for item in text.split(',') {
            match self.item(item) {
                Some(more) => bits |= more,
                None => {
                    let Self { name, low, high, names, .. } = self;
                    let named = match (names.first(), names.last()) {
                        (Some(first), Some(last)) => format!(" or {first}-{last}"),
                        _ => String::new(),
                    };
                    return fault(
                        format!("{} does not fit the {name} field of a cron expression", quoted(item)),
                        format!("{name} takes {low}-{high}{named}, as a list (a,b), a range (a-b) or steps (a/n)"),
                    );
                }
            }
        }
        Ok(bits)
    }
}

impl Cron {
    fn parse(text: &str) -> Result<Self, Fault> {
        const FORM: &str = "write six fields: cron(minutes hours day-of-month month day-of-week year), \
                            such as cron(0 4 ? * SUN *)";
        let Some(inner) = text.trim().strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')')) else {
            let hint = match text.split_ascii_whitespace().count() {
                6 if !text.contains('(') => format!("write: cron = {}", quoted(&format!("cron({})", text.trim()))),
                _ => FORM.to_owned(),
            };
            return fault(format!("{} is no cron expression of AWS", quoted(text)), hint);
        };
        let upper = inner.to_ascii_uppercase();
        let fields: Vec<&str> = upper.split_ascii_whitespace().collect();
        let &[minutes, hours, day_of_month, month, day_of_week, year] = fields.as_slice() else {
            let hint = match fields.len() {
                5 => format!("AWS's sixth field is the year. {FORM}"),
                _ => FORM.to_owned(),
            };
            return fault(format!("the cron expression has {} fields instead of six", fields.len()), hint);
        };
        if minutes != "0" {
            let message =
                format!("the minutes field is {}, but windows of Secrets Manager open on the hour", quoted(minutes));
            return fault(message, "write 0 as the first field");
        }
        if year != "*" {
            return fault(format!("the year field is {}, but must be *", quoted(year)), "write * as the sixth field");
        }
        let hours = HOUR.bits(hours)?;
        let months = MONTH.bits(month)?;
        let daily = match (day_of_month, day_of_week) {
            ("?", "?") => {
                return fault("day-of-month and day-of-week are both ?: no day is chosen", FORM);
            }
            (_, "?") => {
                let days = DAY_OF_MONTH.bits(day_of_month)?;
                if days.trailing_zeros() > longest_month(months) && !day_of_month.contains('L') {
                    return fault(
                        "the cron expression does not fire every year: no such day in the chosen months",
                        "choose an earlier day, or L for the last day of the month",
                    );
                }
                // The first follows the last of the month before, whichever that is.
                in_a_row(days) || (has(days, 1) && days >> 28 != 0)
            }
            ("?", _) => {
                let days = DAY_OF_WEEK.bits(day_of_week)?;
                in_a_row(days) || (has(days, 1) && has(days, 7))
            }
            _ => {
                return fault(
                    "day-of-month and day-of-week are both given, and AWS takes only one of them",
                    "write ? in the field that does not matter, such as cron(0 4 * * ? *)",
                );
            }
        };
        let text = format!("cron({})", fields.join(" "));
        if text.len() > CRON_BYTES {
            return fault(
                format!("the cron expression has {} characters; AWS takes {CRON_BYTES}", text.len()),
                "shorten it: ranges (a-b) and steps (a/n) say the same with less",
            );
        }
        let cron = Self { text, hours, daily };
        let across_midnight = cron.daily.then(|| 24 - cron.last_hour() + hours.trailing_zeros());
        match cron.gap_within_day().into_iter().chain(across_midnight).min() {
            Some(gap) if gap < *HOURS.start() => fault(
                format!("the cron expression fires {gap}h apart: AWS rotates at most every {} hours", HOURS.start()),
                "choose hours further apart, also across midnight",
            ),
            _ => Ok(cron),
        }
    }

    /// The last hour of a day at which a window opens.
    fn last_hour(&self) -> u32 {
        // `hours` has a bit, or the field would not have parsed; none counts as midnight.
        self.hours.checked_ilog2().unwrap_or(0)
    }

    /// The shortest time between two windows of one day.
    fn gap_within_day(&self) -> Option<u32> {
        let mut opens = (0..24).filter(|hour| has(self.hours, *hour));
        let mut before = opens.next()?;
        opens
            .map(|hour| {
                let gap = hour - before;
                before = hour;
                gap
            })
            .min()
    }
}

/// Days that the longest of the months has every year.
fn longest_month(months: u64) -> u32 {
    const DAYS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    (1..=12).zip(DAYS).filter(|(month, _)| has(months, *month)).map(|(_, days)| days).max().unwrap_or(31)
}

fn has(bits: u64, value: u32) -> bool {
    bits & (1 << value) != 0
}

fn in_a_row(days: u64) -> bool {
    days & (days >> 1) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(text: &str) -> Result<String, String> {
        Cron::parse(text).map(|cron| cron.text).map_err(|fault| fault.message)
    }

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
    fn cron_expressions_of_the_aws_documentation_pass() {
        for good in [
            "cron(0 4 ? * SUN *)",
            "cron(0 8 * * ? *)",
            "cron(0 8/8 * * ? *)",
            "cron(0 4/12 * * ? *)",
            "cron(0 2/10 * * ? *)",
            "cron(0 8 1/7 * ? *)",
            "cron(0 18 ? * MON-FRI *)",
            "cron(0 0 ? * SUN#1 *)",
            "cron(0 16 L * ? *)",
            "cron(0 16 ? * 6L *)",
            "cron(0 1 1 JAN,APR,JUL,OCT ? *)",
            "cron(0 0 29 2,3 ? *)",
        ] {
            assert_eq!(cron(good).as_deref(), Ok(good));
        }
    }

    #[test]
    fn cron_expressions_are_spelled_alike() {
        assert_eq!(cron(" cron( 0  4 ? * sun-mon *) ").as_deref(), Ok("cron(0 4 ? * SUN-MON *)"));
    }

    #[test]
    fn cron_expressions_that_aws_would_refuse() {
        for bad in [
            "",
            "cron()",
            "0 4 ? * SUN *",
            "rate(10 days)",
            "cron(0 4 ? * SUN)",
            "cron(0 4 ? * SUN * *)",
            "cron(15 4 ? * SUN *)",
            "cron(* 4 ? * SUN *)",
            "cron(0 24 ? * SUN *)",
            "cron(0 ? ? * SUN *)",
            "cron(0 4 0 * ? *)",
            "cron(0 4 32 * ? *)",
            "cron(0 4 ? 13 SUN *)",
            "cron(0 4 ? * SON *)",
            "cron(0 4 ? * FRI-MON *)",
            "cron(0 4 ? * SUN#6 *)",
            "cron(0 4 3L * ? *)",
            "cron(0 4 3#1 * ? *)",
            "cron(0 4 * * * *)",
            "cron(0 4 ? * ? *)",
            "cron(0 4 ? * SUN 2030)",
            "cron(0 4/0 ? * SUN *)",
            "cron(0 4, ? * SUN *)",
            "cron(0 4 31 2,4 ? *)",
            "cron(0 4 29 FEB ? *)",
            "cron(0 ４ ? * SUN *)",
            "cron(0 4 ? * MON;DROP *)",
        ] {
            assert!(cron(bad).is_err(), "{bad}");
        }
        let long = format!("cron(0 4 ? * {} *)", vec!["SUN"; 100].join(","));
        assert!(cron(&long).is_err());
    }

    #[test]
    fn rotations_stay_four_hours_apart_also_across_midnight() {
        assert!(cron("cron(0 * * * ? *)").is_err());
        assert!(cron("cron(0 4,7 ? * SUN *)").is_err());
        assert!(cron("cron(0 2,23 * * ? *)").is_err());
        assert!(cron("cron(0 2,23 ? * SAT,SUN *)").is_err());
        assert!(cron("cron(0 2,23 1,L * ? *)").is_err());
        // Alone in its week, its hours never meet across midnight.
        assert!(cron("cron(0 2,23 ? * SUN *)").is_ok());
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
