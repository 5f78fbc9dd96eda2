//! How a schedule goes over the years: how far apart its windows open, how long they stay open, and what of a cron
//! expression is otherwise than it looks.

use super::cron::{Cron, DAY_OF_MONTH, DAY_OF_WEEK, Field, HOUR, MONTH, has};
use super::{Rule, Schedule};

/// Years that are looked through: in 28 of them every date has been on every weekday, in leap years and others.
const YEARS: std::ops::RangeInclusive<u32> = 2025..=2052;

/// The 1st of January 2025 was a Wednesday, by AWS's numbers.
const FIRST_WEEKDAY: u32 = 4;

const DAY: u32 = 24;

/// How a schedule goes, in hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Between the openings of two windows, at the least.
    pub shortest: u32,
    /// And at the most.
    pub longest: u32,
    /// How long a window is open: the declared time, or AWS's default. Rotations start at any time in it.
    pub window: u32,
}

/// What of a cron expression is otherwise than it looks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traps {
    /// Months of the expression in which it does not open, in some years or in all.
    pub skipped: Vec<&'static str>,
    /// Steps that do not go on where they have reached the end of a day, month, week or year: which, and of what.
    pub uneven: Vec<(String, &'static str)>,
    /// A weekday as a number, and the day that AWS takes it for.
    pub numbered: Option<(u32, &'static str)>,
}

impl Schedule {
    /// How it goes.
    pub fn rhythm(&self) -> Rhythm {
        let every = |hours, window| Rhythm { shortest: hours, longest: hours, window };
        // Windows without a length: API reference, RotationRulesType, Duration and ScheduleExpression
        // (docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html).
        let rhythm = match (&self.rule, self.cron()) {
            (Rule::Days(days), _) => every(days * DAY, DAY),
            (Rule::Hours(hours), _) => every(*hours, 1),
            (Rule::Cron(_), Some(cron)) => Opens::of(&cron).rhythm(),
            // Not reached: the text was parsed before.
            (Rule::Cron(_), None) => every(DAY, DAY),
        };
        Rhythm { window: self.window_hours.unwrap_or(rhythm.window), ..rhythm }
    }

    /// What is otherwise than it looks; nothing of a period.
    pub fn traps(&self) -> Traps {
        let Some(cron) = self.cron() else { return Traps::default() };
        Traps { skipped: Opens::of(&cron).skipped(), uneven: uneven(&cron), numbered: numbered(&cron) }
    }

    /// The hour at which the only window of a day opens, where it stays open until that day ends because nothing is said
    /// of its length.
    pub fn open_from(&self) -> Option<u32> {
        let cron = self.cron().filter(|cron| self.window_hours.is_none() && cron.gap_within_day().is_none())?;
        Some(cron.last_hour())
    }

    fn cron(&self) -> Option<Cron> {
        match &self.rule {
            Rule::Cron(text) => Cron::parse(text).ok(),
            Rule::Days(_) | Rule::Hours(_) => None,
        }
    }
}

/// The fields of a checked expression, but for the minutes and the year.
fn fields(cron: &Cron) -> [&str; 4] {
    let inner = cron.text.trim_start_matches("cron(").trim_end_matches(')');
    let mut fields = inner.split(' ').skip(1);
    // It was parsed, so that there are six.
    std::array::from_fn(|_| fields.next().unwrap_or("*"))
}

/// A day of the calendar. Weekdays count from 1, which is Sunday.
#[derive(Debug, Clone, Copy)]
struct Date {
    month: u32,
    day: u32,
    /// How many the month has.
    days: u32,
    weekday: u32,
}

fn calendar() -> impl Iterator<Item = Date> {
    let days = |year: u32, month: u32| match month {
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let months = YEARS.flat_map(move |year| (1..=12).map(move |month| (month, days(year, month))));
    let dates = months.flat_map(|(month, days)| (1..=days).map(move |day| (month, day, days)));
    let weekdays = (1..=7).cycle().skip(FIRST_WEEKDAY as usize - 1);
    dates.zip(weekdays).map(|((month, day, days), weekday)| Date { month, day, days, weekday })
}

/// When an expression opens its windows.
struct Opens<'a> {
    cron: &'a Cron,
    days: Days,
}

enum Days {
    /// Bits of days, and whether the last of the month is one.
    OfMonth { bits: u64, last: bool },
    /// Bits of weekdays, of those meant only the last time in a month, and weekdays with which time in it.
    OfWeek { bits: u64, last: u64, nth: Vec<(u32, u32)> },
}

impl<'a> Opens<'a> {
    fn of(cron: &'a Cron) -> Self {
        let [_, of_month, _, of_week] = fields(cron);
        let days = if of_week == "?" { Days::of_month(of_month) } else { Days::of_week(of_week) };
        Self { cron, days }
    }

    fn on(&self, date: Date) -> bool {
        let Date { month, day, days, weekday } = date;
        has(self.cron.months, month)
            && match &self.days {
                Days::OfMonth { bits, last } => has(*bits, day) || (*last && day == days),
                Days::OfWeek { bits, last, nth } => {
                    has(*bits, weekday)
                        || (has(*last, weekday) && day + 7 > days)
                        || nth.contains(&(weekday, day.div_ceil(7)))
                }
            }
    }

    fn rhythm(&self) -> Rhythm {
        let hours: Vec<u32> = (0..DAY).filter(|hour| has(self.cron.hours, *hour)).collect();
        let window = if hours.len() > 1 { 1 } else { DAY - self.cron.last_hour() };
        let opens = (0..).zip(calendar()).filter(|(_, date)| self.on(*date));
        let mut opens = opens.flat_map(|(number, _)| hours.iter().map(move |hour| number * DAY + hour));
        let mut before = opens.next().unwrap_or_default();
        let (mut shortest, mut longest) = (u32::MAX, 0);
        for now in opens {
            shortest = shortest.min(now - before);
            longest = longest.max(now - before);
            before = now;
        }
        Rhythm { shortest, longest, window }
    }

    fn skipped(&self) -> Vec<&'static str> {
        // Months without an opening so far in their year.
        let mut skipped = 0u64;
        let mut opened = false;
        for date in calendar() {
            opened = (opened && date.day > 1) || self.on(date);
            if date.day == date.days && !opened && has(self.cron.months, date.month) {
                skipped |= 1 << date.month;
            }
        }
        (1..).zip(MONTH.names).filter(|(month, _)| has(skipped, *month)).map(|(_, name)| *name).collect()
    }
}

impl Days {
    fn of_month(field: &str) -> Self {
        let (mut bits, mut last) = (0, false);
        for item in field.split(',') {
            match item {
                "L" => last = true,
                item => bits |= DAY_OF_MONTH.item(item).unwrap_or(0),
            }
        }
        Self::OfMonth { bits, last }
    }

    fn of_week(field: &str) -> Self {
        let (mut bits, mut last, mut nth) = (0, 0u64, Vec::new());
        for item in field.split(',') {
            if let Some(weekday) = item.strip_suffix('L').and_then(|day| DAY_OF_WEEK.value(day)) {
                last |= 1 << weekday;
            } else if let Some((day, number)) = item.split_once('#') {
                nth.extend(DAY_OF_WEEK.value(day).zip(number.parse().ok()));
            } else {
                bits |= DAY_OF_WEEK.item(item).unwrap_or(0);
            }
        }
        Self::OfWeek { bits, last, nth }
    }
}

/// Steps without an end of their own (`8/8`, `*/5`): they begin anew with each day, month, week or year, and are even
/// only where they divide it. `MON-FRI/2` says where it ends.
fn uneven(cron: &Cron) -> Vec<(String, &'static str)> {
    let [hours, of_month, months, of_week] = fields(cron);
    // Hours of single days do not go on into the next.
    let hours = if cron.daily { hours } else { "?" };
    [
        (&HOUR, hours, "day"),
        (&DAY_OF_MONTH, of_month, "month"),
        (&MONTH, months, "year"),
        (&DAY_OF_WEEK, of_week, "week"),
    ]
    .into_iter()
    .flat_map(|(field, items, whole)| items.split(',').map(move |item| (field, item, whole)))
    .filter(|(field, item, _)| is_uneven(field, item))
    .map(|(_, item, whole)| (item.to_owned(), whole))
    .collect()
}

fn is_uneven(field: &Field, item: &str) -> bool {
    let Some((from, step)) = item.split_once('/') else { return false };
    let from = if from == "*" { Some(field.low) } else { field.value(from) };
    let (Some(from), Some(step)) = (from, step.parse::<u32>().ok()) else { return false };
    let goes_round = (field.high + 1 - field.low).is_multiple_of(step) && from - field.low < step;
    // No month is the one before it over again, though some have as many days.
    let divides = goes_round && (field.high != DAY_OF_MONTH.high || step == 1);
    from + step <= field.high && !divides
}

/// The first weekday that is a number: Unix's cron counts from 0, so that its Monday is 1.
fn numbered(cron: &Cron) -> Option<(u32, &'static str)> {
    let [.., of_week] = fields(cron);
    let day = |item: &str| -> Option<u32> {
        let days = item.split(['/', '#']).next().unwrap_or_default().trim_end_matches('L');
        days.split('-').find_map(|day| day.parse().ok())
    };
    let number = of_week.split(',').find_map(day)?;
    Some((number, DAY_OF_WEEK.names.get(usize::try_from(number).ok()?.checked_sub(1)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(text: &str) -> Schedule {
        Schedule { rule: Rule::Cron(text.to_owned()), window_hours: None }
    }

    fn gaps(text: &str) -> (u32, u32) {
        let Rhythm { shortest, longest, window: _ } = cron(text).rhythm();
        (shortest, longest)
    }

    #[test]
    fn how_far_apart_windows_open() {
        let every = |rule| Schedule { rule, window_hours: None }.rhythm();
        assert_eq!(every(Rule::Days(10)), Rhythm { shortest: 240, longest: 240, window: 24 });
        assert_eq!(every(Rule::Hours(6)), Rhythm { shortest: 6, longest: 6, window: 1 });
        for (text, days) in [
            ("cron(0 4 ? * SUN *)", (7, 7)),
            ("cron(0 4 1 * ? *)", (28, 31)),
            ("cron(0 4 L * ? *)", (28, 31)),
            ("cron(0 4 31 * ? *)", (31, 61)),
            ("cron(0 4 29 FEB,MAR ? *)", (29, 365)),
            ("cron(0 4 ? * SUN#1 *)", (28, 35)),
            ("cron(0 4 ? * SUN#5 *)", (63, 119)),
            ("cron(0 4 ? * 6L *)", (28, 35)),
            ("cron(0 4 1/7 * ? *)", (1, 7)),
            ("cron(0 4 ? JAN MON *)", (7, 343)),
            ("cron(0 4 1 1/5 ? *)", (61, 153)),
            ("cron(0 4 ? * L *)", (7, 7)),
            ("cron(0 4 1,L * ? *)", (1, 30)),
        ] {
            assert_eq!(gaps(text), (days.0 * DAY, days.1 * DAY), "{text}");
        }
        assert_eq!(gaps("cron(0 8/8 * * ? *)"), (8, 16));
        assert_eq!(gaps("cron(0 2/10 * * ? *)"), (4, 10));
        assert_eq!(gaps("cron(0 2,23 ? * SUN *)"), (21, 147));
    }

    #[test]
    fn how_long_windows_stay_open() {
        assert_eq!(cron("cron(0 4 ? * SUN *)").rhythm().window, 20);
        assert_eq!(cron("cron(0 4/12 * * ? *)").rhythm().window, 1);
        assert_eq!(cron("cron(0 4 ? * SUN *)").open_from(), Some(4));
        assert_eq!(cron("cron(0 4/12 ? * SUN *)").open_from(), None);
        let bounded = Schedule { window_hours: Some(2), ..cron("cron(0 4 ? * SUN *)") };
        assert_eq!((bounded.rhythm().window, bounded.open_from()), (2, None));
        assert_eq!(Schedule { rule: Rule::Days(10), window_hours: None }.open_from(), None);
    }

    #[test]
    fn months_in_which_it_does_not_open() {
        let skipped = |text| cron(text).traps().skipped.join(" ");
        assert_eq!(skipped("cron(0 4 31 * ? *)"), "FEB APR JUN SEP NOV");
        assert_eq!(skipped("cron(0 4 30 * ? *)"), "FEB");
        assert_eq!(skipped("cron(0 4 29 * ? *)"), "FEB");
        assert_eq!(skipped("cron(0 4 31 JAN,APR ? *)"), "APR");
        // A fifth Sunday is in no February of 28 days, and in few of the others.
        assert_eq!(skipped("cron(0 4 ? * SUN#5 *)").split(' ').count(), 12);
        for whole in [
            "cron(0 4 28 * ? *)",
            "cron(0 4 L * ? *)",
            "cron(0 4 29,L * ? *)",
            "cron(0 4 31 JAN ? *)",
            "cron(0 4 ? * SUN#4 *)",
            "cron(0 4 ? * SUNL *)",
            "cron(0 4 1/14 * ? *)",
        ] {
            assert_eq!(skipped(whole), "", "{whole}");
        }
    }

    #[test]
    fn steps_that_begin_anew() {
        let uneven = |text| cron(text).traps().uneven;
        for (text, item, whole) in [
            ("cron(0 8/8 * * ? *)", "8/8", "day"),
            ("cron(0 2/10 * * ? *)", "2/10", "day"),
            ("cron(0 */5 * * ? *)", "*/5", "day"),
            ("cron(0 4 1/7 * ? *)", "1/7", "month"),
            ("cron(0 4 */2 * ? *)", "*/2", "month"),
            ("cron(0 4 1 1/5 ? *)", "1/5", "year"),
            ("cron(0 4 ? * SUN/2 *)", "SUN/2", "week"),
        ] {
            assert_eq!(uneven(text), [(item.to_owned(), whole)], "{text}");
        }
        for even in [
            "cron(0 4/12 * * ? *)",
            "cron(0 */6 * * ? *)",
            "cron(0 0/4 * * ? *)",
            "cron(0 4 20/15 * ? *)",
            "cron(0 4 */1 * ? *)",
            "cron(0 4 1 */3 ? *)",
            "cron(0 4 1 3/3 ? *)",
            "cron(0 4 ? * MON-FRI/2 *)",
            "cron(0 8/8 ? * SUN *)",
            "cron(0 4,16 * * ? *)",
        ] {
            assert_eq!(uneven(even), [], "{even}");
        }
    }

    #[test]
    fn weekdays_as_numbers() {
        let numbered = |text| cron(text).traps().numbered;
        assert_eq!(numbered("cron(0 4 ? * 1 *)"), Some((1, "SUN")));
        assert_eq!(numbered("cron(0 4 ? * 2-6 *)"), Some((2, "MON")));
        assert_eq!(numbered("cron(0 4 ? * MON,7 *)"), Some((7, "SAT")));
        assert_eq!(numbered("cron(0 4 ? * 6L *)"), Some((6, "FRI")));
        assert_eq!(numbered("cron(0 4 ? * 1#2 *)"), Some((1, "SUN")));
        for named in ["cron(0 4 ? * SUN#2 *)", "cron(0 4 ? * */2 *)", "cron(0 4 1 * ? *)", "cron(0 4 ? * L *)"] {
            assert_eq!(numbered(named), None, "{named}");
        }
    }
}
