//! The cron expressions of Secrets Manager: which of them AWS takes, and when their windows open.

use super::error::quoted;
use super::schedule::{Fault, HOURS, fault, number};

/// Longest `ScheduleExpression` of AWS's API.
const CRON_BYTES: usize = 256;

/// A checked cron expression of Secrets Manager.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cron {
    /// One space between fields, names in capitals: spelled alike when it means the same.
    pub text: String,
    /// Bit per hour at which a window opens.
    pub hours: u64,
    /// Bit per month in which it may.
    pub months: u64,
    /// Whether it can fire on two days in a row.
    pub daily: bool,
}

/// What a field of a cron expression may hold.
pub(super) struct Field {
    name: &'static str,
    pub low: u32,
    pub high: u32,
    /// Names of the values from `low` on.
    pub names: &'static [&'static str],
    is_day: bool,
}

pub(super) const HOUR: Field = Field { name: "hours", low: 0, high: 23, names: &[], is_day: false };
pub(super) const DAY_OF_MONTH: Field = Field { name: "day-of-month", low: 1, high: 31, names: &[], is_day: true };
pub(super) const MONTH: Field = Field {
    name: "month",
    low: 1,
    high: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    is_day: false,
};
pub(super) const DAY_OF_WEEK: Field = Field {
    name: "day-of-week",
    low: 1,
    high: 7,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    is_day: true,
};

impl Field {
    pub fn value(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().position(|name| *name == text).and_then(|at| u32::try_from(at).ok());
        named.map(|at| at + self.low).or_else(|| number(text)).filter(|value| (self.low..=self.high).contains(value))
    }

    /// Bits of one item of the list: `*`, `4`, `MON-FRI`, `4/12`, `*/2`, `L`, `6L`, `SUN#1`. None: not one.
    pub fn item(&self, text: &str) -> Option<u64> {
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
    pub fn parse(text: &str) -> Result<Self, Fault> {
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
        let cron = Self { text, hours, months, daily };
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
    pub fn last_hour(&self) -> u32 {
        // `hours` has a bit, or the field would not have parsed; none counts as midnight.
        self.hours.checked_ilog2().unwrap_or(0)
    }

    /// The shortest time between two windows of one day.
    pub fn gap_within_day(&self) -> Option<u32> {
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

pub(super) fn has(bits: u64, value: u32) -> bool {
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
}
