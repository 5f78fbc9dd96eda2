//! How every login stands, and when it rotates.

use super::super::document::{LoginStatus, StatusDocument};
use super::super::drift::Trouble;
use super::out::{Grouped, Out, counted};
use jiff::civil::{Date, Weekday};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeMap;

/// Weeks on the calendar: the longest period that is common, and a week.
const WEEKS: i64 = 6;
/// Names on a day at most.
const NAMED: usize = 3;

pub(super) fn section(out: &mut Out, status: &StatusDocument, seen: Timestamp) {
    out.raw("<section id=\"logins\" aria-labelledby=\"h-logins\"><h2 id=\"h-logins\">Logins</h2>");
    if status.logins.is_empty() {
        out.raw("<p>The deployment declares none.</p></section>\n");
        return;
    }
    out.raw("<div class=\"scroll\"><table class=\"stack\"><thead><tr><th>login<th>health<th>current user<th>logs in");
    out.raw("<th>schedule<th>last rotated<th>next rotation<tbody>");
    for login in &status.logins {
        row(out, login, seen);
    }
    out.raw("</table></div></section>\n");
    calendar(out, &status.logins, seen);
}

fn row(out: &mut Out, login: &LoginStatus, seen: Timestamp) {
    let LoginStatus {
        login: name,
        strategy,
        schedule,
        current_user,
        logs_in,
        last_rotated,
        next_rotation,
        healthy,
        troubles,
    } = login;
    out.raw("<tr class=\"f\"><th scope=\"row\">")
        .code(name)
        .raw("<div class=\"quiet\">")
        .raw(strategy)
        .raw("</div><td>");
    if *healthy {
        out.span("ok", "well");
    }
    troubles.iter().for_each(|each| trouble(out, each));
    out.raw("<td data-l=\"current user\">");
    match current_user {
        Some(user) => out.code(user),
        None => out.span("quiet", "unknown"),
    };
    out.raw("<td data-l=\"logs in\">");
    match logs_in {
        Some(true) => out.span("ok", "yes"),
        Some(false) => out.span("critical", "no"),
        None => out.span("quiet", "not tried"),
    };
    out.raw("<td data-l=\"rotates\">").text(schedule).raw("<td data-l=\"last rotated\">");
    when(out, last_rotated.as_deref(), "never", seen);
    out.raw("<td data-l=\"next rotation\">");
    when(out, next_rotation.as_deref(), "none", seen);
    if login.is_overdue() {
        out.raw(" ").span("tag critical", "overdue");
    }
    out.raw("\n");
}

fn trouble(out: &mut Out, trouble: &Trouble) {
    let Trouble { code, severity, what, since, fix } = trouble;
    let severity = severity.text();
    out.raw("<div><span class=\"tag ").raw(severity).raw("\">").raw(severity).raw("</span> ").text(what);
    if let Some(code) = code {
        out.raw(" <span class=\"quiet\">").text(code).raw("</span>");
    }
    if let Some(since) = since {
        out.raw(" <span class=\"quiet\">since ").moment(since).raw("</span>");
    }
    if let Some(fix) = fix {
        out.raw("<span class=\"fix\"><span class=\"quiet\">fix:</span> ").code(fix).raw("</span>");
    }
    out.raw("</div>");
}

/// A moment, and how far it is away.
fn when(out: &mut Out, at: Option<&str>, none: &'static str, seen: Timestamp) {
    let Some(at) = at else {
        out.span("quiet", none);
        return;
    };
    out.moment(at);
    if let Ok(moment) = at.parse::<Timestamp>() {
        out.raw(" <span class=\"quiet nw\">").text(away(moment, seen)).raw("</span>");
    }
}

fn away(at: Timestamp, seen: Timestamp) -> String {
    let seconds = at.as_second() - seen.as_second();
    let (count, unit) = match seconds.unsigned_abs() {
        near if near < 3_600 => (near / 60, "min"),
        near if near < 48 * 3_600 => (near / 3_600, "h"),
        far => (far / 86_400, "days"),
    };
    if seconds < 0 { format!("{count} {unit} ago") } else { format!("in {count} {unit}") }
}

/// The weeks to come, each day with those who rotate on it, in UTC as everything here.
fn calendar(out: &mut Out, logins: &[LoginStatus], seen: Timestamp) {
    let day = |at: Timestamp| Offset::UTC.to_datetime(at).date();
    let today = day(seen);
    let mut due: BTreeMap<Date, Vec<&str>> = BTreeMap::new();
    let (mut overdue, mut never) = (Vec::new(), 0);
    for login in logins {
        let next = login.next_rotation.as_deref().and_then(|next| next.parse::<Timestamp>().ok());
        match next {
            _ if login.is_overdue() => overdue.push(login.login.as_str()),
            Some(next) => due.entry(day(next)).or_default().push(&login.login),
            None => never += 1,
        }
    }
    out.raw("<section id=\"calendar\" aria-labelledby=\"h-calendar\"><h2 id=\"h-calendar\">Rotation calendar</h2>");
    if !overdue.is_empty() {
        out.raw("<p class=\"note bad\"><span class=\"critical\">Overdue:</span> ");
        names(out, &overdue, 12);
        out.raw("</p>");
    }
    let monday = today.checked_sub(i64::from(today.weekday().since(Weekday::Monday)).days()).unwrap_or(today);
    out.raw(
        "<table class=\"cal\"><caption class=\"quiet\">By the day, in UTC, by which each is to have rotated</caption>",
    );
    out.raw("<thead><tr><th>Mon<th>Tue<th>Wed<th>Thu<th>Fri<th>Sat<th>Sun<tbody>");
    for week in 0..WEEKS {
        out.raw("<tr>");
        for weekday in 0..7 {
            let Ok(date) = monday.checked_add((week * 7 + weekday).days()) else { continue };
            let there = due.remove(&date).unwrap_or_default();
            out.raw("<td class=\"").raw(if date < today { "past" } else { "" });
            out.raw(if date == today { " today" } else { "" }).raw(if there.is_empty() { " none" } else { "" });
            out.raw("\"><time datetime=\"").text(date).raw("\">").text(date.strftime("%-d %b"));
            out.raw("</time>");
            there.iter().take(NAMED).for_each(|name| {
                out.code(name);
            });
            if there.len() > NAMED {
                out.span("quiet", format_args!("{} more", Grouped(there.len() - NAMED)));
            }
        }
    }
    out.raw("</table>");
    let later: Vec<&str> = due.into_values().flatten().collect();
    if !later.is_empty() {
        out.raw("<p><span class=\"quiet\">On no day of these weeks:</span> ");
        names(out, &later, 12);
        out.raw("</p>");
    }
    if never > 0 {
        out.raw("<p class=\"quiet\">").text(counted(never, "login", "logins"));
        out.raw(" of which no next rotation is known.</p>");
    }
    out.raw("</section>\n");
}

fn names(out: &mut Out, all: &[&str], named: usize) {
    for (at, name) in all.iter().take(named).enumerate() {
        out.raw(if at > 0 { ", " } else { "" }).code(name);
    }
    if all.len() > named {
        out.raw(" and ").text(Grouped(all.len() - named)).raw(" more");
    }
}
