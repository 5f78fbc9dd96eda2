//! Everything about a deployment on one page: what has moved, how its logins stand and when they rotate, what a plan would
//! do, and how the last run went. The page stands alone: it loads nothing, and what its policy lets run is its own style and
//! script, by their digests. It reads the documents, and computes nothing that they do not say but places and sums.

mod drift;
mod graph;
mod layout;
mod logins;
mod out;
mod plan;
mod timeline;

use super::document::{Head, PlanDocument, StatusDocument};
use super::drift::DriftDocument;
use super::human;
use super::run::Run;
use crate::resource::Verb;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use out::{Grouped, Out, counted};
use sha2::{Digest, Sha256};

/// Entries of a page that a browser no longer lays out at once.
const LARGE: usize = 500;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What a page is made of, all of one look at AWS.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    pub plan: &'a PlanDocument,
    pub drift: &'a DriftDocument,
    pub status: &'a StatusDocument,
    /// The last run, where a journal tells of it.
    pub run: Option<&'a Run>,
    /// When AWS was looked at.
    pub seen: Timestamp,
    /// The command that carries the plan out.
    pub apply: &'a str,
}

/// The page, whole.
pub fn page(page: &Page<'_>) -> String {
    let Page { plan, drift, status, run, seen, apply } = *page;
    let Head { deployment, place, .. } = &plan.head;
    let mut out = Out::new();
    out.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    out.raw(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; style-src &#39;sha256-",
    );
    out.text(digest(STYLE)).raw("&#39;; script-src &#39;sha256-").text(digest(SCRIPT));
    // The empty icon keeps a browser from asking a server for one.
    out.raw("&#39;; img-src data:; base-uri &#39;none&#39;; form-action &#39;none&#39;\">\n");
    out.raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    out.raw("<meta name=\"color-scheme\" content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\">\n");
    out.raw("<link rel=\"icon\" href=\"data:,\"><title>").text(deployment).raw(" – pgrotate</title>\n<style>");
    out.raw(STYLE).raw("</style></head>\n<body");
    // Of such a page a browser is to lay out only what is seen: folds by the thousand take long.
    let entries = plan.actions.len() + drift.findings.len();
    out.raw(if entries > LARGE { " class=\"large\"" } else { "" })
        .raw("><a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header><h1>");
    out.text(deployment).raw(" <small>").text(&place.account).raw(" · ").text(&place.region).raw("</small></h1>\n");
    out.raw("<p class=\"quiet\">As seen ").moment(&second(seen)).raw(" UTC");
    if let Some(database) = &status.database {
        out.raw(" · ").text(database);
    }
    out.raw("</p>\n<nav aria-label=\"Summary\"><ul class=\"tiles\">");
    tiles(&mut out, page);
    out.raw("</ul></nav></header>\n<main id=\"main\" tabindex=\"-1\">");
    out.raw("<div class=\"bar\" id=\"bar\" role=\"search\" hidden><input id=\"filter\" type=\"search\" autocomplete=\"off\" ");
    out.raw(
        "spellcheck=\"false\" placeholder=\"Filter by name, kind, code …  ( / )\" aria-label=\"Filter all lists\">",
    );
    out.raw(
        "<button type=\"button\" id=\"open\">Open all</button><button type=\"button\" id=\"close\">Close all</button>",
    );
    out.raw("<span class=\"quiet\" id=\"shown\" role=\"status\"></span></div>\n");
    drift::section(&mut out, drift, apply);
    logins::section(&mut out, status, seen);
    plan::section(&mut out, plan, apply);
    if let Some(run) = run {
        timeline::section(&mut out, run);
    }
    out.raw("</main>\n<footer>Made by pgrotate ").text(env!("CARGO_PKG_VERSION"));
    out.raw(
        " from one look at AWS. It holds no secret and loads nothing; it does not change when AWS does.</footer>\n",
    );
    out.raw("<script>").raw(SCRIPT).raw("</script></body></html>\n");
    out.end()
}

/// What one wants to know first, each leading to where it is told.
fn tiles(out: &mut Out, page: &Page<'_>) {
    let Page { plan, drift, status, run, .. } = page;
    let mut tile = |to: &'static str, class: &'static str, big: String, small: String| {
        out.raw("<li><a href=\"#").raw(to).raw("\" class=\"").raw(class).raw("\"><b>").text(big).raw("</b>");
        out.text(small).raw("</a>");
    };
    let counts = drift::counts(drift);
    let worst = counts.first().map_or("t-ok", |(severity, _)| if *severity == "critical" { "t-bad" } else { "t-warn" });
    let told: Vec<_> = counts.iter().map(|(severity, count)| format!("{} {severity}", Grouped(*count))).collect();
    let none = || format!("{} as declared", counted(drift.unchanged, "resource", "resources"));
    let small = if told.is_empty() { none() } else { told.join(", ") };
    tile("drift", worst, format!("{} drifted", Grouped(drift.findings.len())), small);

    let ill = status.logins.iter().filter(|login| !login.healthy).count();
    let big = format!("{} of {} well", Grouped(status.logins.len() - ill), Grouped(status.logins.len()));
    tile("logins", if ill == 0 { "t-ok" } else { "t-bad" }, big, "logins".to_owned());

    let next = status.logins.iter().filter_map(|login| Some((login.next_rotation.as_ref()?, &login.login))).min();
    let overdue = status.logins.iter().filter(|login| login.is_overdue()).count();
    let (class, small) = if overdue == 0 {
        ("", "next rotation".to_owned())
    } else {
        ("t-bad", format!("{} overdue", Grouped(overdue)))
    };
    let big = next.map_or_else(|| "none".to_owned(), |(at, _)| at.chars().take(10).collect());
    if !status.logins.is_empty() {
        tile("calendar", class, big, small);
    }

    let risky = plan.actions.iter().filter(|action| action.risk != crate::resource::Risk::None).count();
    let small = if risky == 0 { "to be applied".to_owned() } else { format!("{} risky", Grouped(risky)) };
    let class = if risky > 0 { "t-warn" } else { "" };
    tile("plan", class, counted(plan.actions.len(), "change", "changes"), small);

    if !plan.lints.is_empty() {
        tile("lints", "t-warn", counted(plan.lints.len(), "lint", "lints"), "of the config".to_owned());
    }
    if let Some(run) = run {
        let (class, big) = timeline::ended(run);
        tile("run", class, big, format!("last {}, {}", run.command, human::seconds(run.took as f64 / 1000.0)));
    }
}

/// A verb as a class of the style.
fn verb_class(verb: Verb) -> &'static str {
    human::verb(verb)
}

/// RFC 3339, UTC, to the second.
fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// As a policy names what it lets run.
fn digest(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text))
}
