//! Plans and reports for people, as plain lines.

use super::deployments::ValidationDocument;
use super::document::{
    ActionDocument, CriticalDocument, Ending, Exceeds, Goal, Head, Lint, PlanDocument, ReportDocument, StatusDocument,
    ToBeNamed,
};
use super::drift::{DriftDocument, Finding, Moved, Trouble};
use super::explanation::{
    ConfigLine, ExplainedDrift, ExplainedRefusal, ExplainedStep, ExplanationDocument, Reason, Seen,
};
use crate::model::{Address, Shown};
use crate::resource::{Attribute, Remedy, Risk, Verb};
use std::fmt::Write;

/// The plan, risks first.
pub fn plan(plan: &PlanDocument) -> String {
    let mut out = String::new();
    let PlanDocument { head, goal, actions, deferred, notes, unchanged, lints, exceeds, to_be_named } = plan;
    let Head { deployment, place, .. } = head;
    let what = if *goal == Goal::Destroy { "Destroying" } else { "Plan for" };
    line(&mut out, format_args!("{what} deployment {deployment} in account {}, {}", place.account, place.region));
    let risky: Vec<_> = actions.iter().filter(|action| action.risk != Risk::None).collect();
    if !risky.is_empty() {
        line(&mut out, format_args!("\nRisks:"));
        for action in risky {
            let why = action.because.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            line(&mut out, format_args!("  ! {} {} {}{why}", risk(action.risk), verb(action.verb), action.address));
        }
    }
    if !actions.is_empty() {
        out.push('\n');
    }
    for action in actions {
        self::action(&mut out, action);
    }
    section(&mut out, "Not in this plan", deferred.iter().map(|d| format!("{}: {} ({})", d.address, d.what, d.why)));
    section(
        &mut out,
        "Notes",
        notes.iter().map(|note| {
            let fix = note.remedy.as_ref().map(|remedy| format!("\n    fix: {}", remedy.fix)).unwrap_or_default();
            format!("{}: {}{fix}", note.address, note.text)
        }),
    );
    section(&mut out, "Lint", lints.iter().map(lint));
    let counts: Vec<_> =
        plan.counts().into_iter().map(|(verb, count)| format!("{count} to {}", self::verb(verb))).collect();
    out.push('\n');
    if counts.is_empty() {
        let nothing = if *goal == Goal::Destroy { "nothing is left to destroy" } else { "everything is as declared" };
        line(&mut out, format_args!("No changes: {nothing} ({} resources looked at).", unchanged.len()));
    } else {
        line(&mut out, format_args!("{}, {} unchanged.", counts.join(", "), unchanged.len()));
    }
    for ToBeNamed { address, why } in to_be_named {
        line(&mut out, format_args!("{address} {why}: apply refuses it without --allow-delete {address}."));
    }
    if let Some(Exceeds { deletes, allowed }) = exceeds {
        line(
            &mut out,
            format_args!(
                "It removes {deletes} things, and may remove {allowed} unsaid: apply refuses it without --allow-deletes {deletes}."
            ),
        );
    }
    out
}

/// One action, as it stands in a plan.
pub fn one(action: &ActionDocument) -> String {
    let mut out = String::new();
    self::action(&mut out, action);
    out
}

fn action(out: &mut String, action: &ActionDocument) {
    let ActionDocument { address, change: _, verb, drift: _, risk: _, because, attributes, after, leaves } = action;
    line(out, format_args!("{} {} {address}", sign(*verb), self::verb(*verb)));
    if let Some(why) = because {
        line(out, format_args!("      # {why}"));
    }
    self::attributes(out, attributes);
    if let Some(leaves) = leaves {
        line(out, format_args!("      leaves {leaves}"));
    }
    if !after.is_empty() {
        line(out, format_args!("      after  {}", after.join(", ")));
    }
}

fn attributes(out: &mut String, attributes: &[Attribute]) {
    let width = attributes.iter().map(|attribute| attribute.name.len()).max().unwrap_or(0);
    for attribute in attributes {
        let name = attribute.name;
        match (&attribute.before, &attribute.after) {
            (Shown::Text(before), Shown::Text(after)) if before.contains('\n') || after.contains('\n') => {
                line(out, format_args!("      {name}:"));
                text_diff(out, before, after);
            }
            (Shown::Unset, after) => line(out, format_args!("      {name:width$}  {}", shown(after))),
            (before, after) => {
                line(out, format_args!("      {name:width$}  {} → {}", shown(before), shown(after)));
            }
        }
    }
}

/// Lines that changed, with three around them.
fn text_diff(out: &mut String, before: &str, after: &str) {
    let diff = similar::TextDiff::from_lines(before, after);
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        for text in hunk.to_string().lines() {
            line(out, format_args!("        {text}"));
        }
    }
}

/// Seconds. Less of an action is shown as nothing.
const WORTH_TELLING: f64 = 0.05;

/// Which of an address's changes it was, where that has to be said.
fn which(change: &str) -> String {
    if change == "create" { String::new() } else { format!(" {change}") }
}

/// What became of everything, and what remains.
pub fn report(report: &ReportDocument) -> String {
    let mut out = String::new();
    let width = report.outcomes.iter().map(|outcome| outcome.outcome.text().len()).max().unwrap_or(0);
    for outcome in &report.outcomes {
        let took = outcome.took.map(|took| format!(" ({})", seconds(took))).unwrap_or_default();
        let which = which(outcome.change);
        line(&mut out, format_args!("  {:width$}  {}{which}{took}", outcome.outcome, outcome.address));
        let mut heading = outcome.code.map(|code| format!("{}: ", code.heading())).unwrap_or_default();
        for cause in &outcome.because {
            line(&mut out, format_args!("  {:width$}    {}{cause}", "", std::mem::take(&mut heading)));
        }
        if let Some(hint) = &outcome.hint {
            line(&mut out, format_args!("  {:width$}    hint: {hint}", ""));
        }
    }
    section(&mut out, "What remains", report.remains.iter().cloned());
    let count = |ending: Ending| report.outcomes.iter().filter(|outcome| outcome.outcome == ending).count();
    let done = count(Ending::Done) + count(Ending::AlreadyDone);
    let rest: Vec<_> = [Ending::Failed, Ending::Stale, Ending::Skipped, Ending::Cancelled]
        .into_iter()
        .filter_map(|ending| Some(format!("{} {ending}", Some(count(ending)).filter(|&count| count > 0)?)))
        .collect();
    let rest = if rest.is_empty() { String::new() } else { format!(", {}", rest.join(", ")) };
    line(&mut out, format_args!("\n{done} of {} done{rest}, in {}.", report.outcomes.len(), seconds(report.took)));
    let told: Vec<_> = report.critical_path.iter().filter(|action| action.took >= WORTH_TELLING).collect();
    // One alone is no chain.
    if told.len() > 1 {
        let each = told.iter().map(|CriticalDocument { address, change, took }| {
            format!("{address}{} ({})", which(change), seconds(*took))
        });
        line(&mut out, format_args!("Critical path: {}.", each.collect::<Vec<_>>().join(", then ")));
    }
    out
}

/// What has moved, and what mends it.
pub fn drift(drift: &DriftDocument) -> String {
    let mut out = String::new();
    let DriftDocument { head: Head { deployment, place, .. }, findings, unchanged } = drift;
    line(&mut out, format_args!("Drift of deployment {deployment} in account {}, {}", place.account, place.region));
    for Finding { address, code, severity, what, since, missing, moved: all, fix } in findings {
        line(&mut out, format_args!("\n{severity}[{code}]: {address}: {what}"));
        if let Some(since) = since {
            line(&mut out, format_args!("      since: {since}"));
        }
        if *missing {
            declared(&mut out, all)
        } else {
            moved(&mut out, all)
        }
        line(&mut out, format_args!("      fix: {fix}"));
    }
    if findings.is_empty() {
        line(&mut out, format_args!("\nNone: all {unchanged} resources are as declared."));
    } else {
        let counts = super::drift::counts(findings);
        line(&mut out, format_args!("\n{} found ({counts}), {unchanged} resources as declared.", findings.len()));
    }
    out
}

/// What was declared of something that is not there.
fn declared(out: &mut String, all: &[Moved]) {
    let width = all.iter().map(|moved| moved.name.len()).max().unwrap_or(0);
    for Moved { name, declared, .. } in all {
        line(out, format_args!("      {name:width$}  {}", shown(declared)));
    }
}

fn moved(out: &mut String, moved: &[Moved]) {
    let width = moved.iter().map(|moved| moved.name.len()).max().unwrap_or(0);
    for Moved { name, declared, is } in moved {
        match (declared, is) {
            (Shown::Text(declared), Shown::Text(is)) if declared.contains('\n') || is.contains('\n') => {
                line(out, format_args!("      {name} (- as declared, + as it is):"));
                text_diff(out, declared, is);
            }
            (Shown::Unset, is) => line(out, format_args!("      {name:width$}  not declared: {}", shown(is))),
            (declared, Shown::Unset) => {
                line(out, format_args!("      {name:width$}  declared {}, is missing", shown(declared)));
            }
            (declared, is) => {
                line(out, format_args!("      {name:width$}  declared {}, is {}", shown(declared), shown(is)));
            }
        }
    }
}

/// Why one resource is planned for as it is.
pub fn explanation(explanation: &ExplanationDocument) -> String {
    let mut out = String::new();
    let ExplanationDocument {
        head: Head { deployment, place, .. },
        address,
        config,
        declared,
        lines,
        seen,
        facts,
        refusals,
        refused_elsewhere,
        to_be_named,
        steps,
        notes,
        deferred,
        refers_to,
        referred_to_by,
    } = explanation;
    line(&mut out, format_args!("{address} of deployment {deployment} in account {}, {}", place.account, place.region));
    let says_nothing = if *declared {
        format!("{config} has no line about it alone: it follows from the rest, and from defaults")
    } else {
        format!("{config} no longer declares it")
    };
    let told =
        |ConfigLine { file, line, text }: &ConfigLine| format!("{}:{line}  {text}", file.as_ref().unwrap_or(config));
    let lines: Vec<_> = lines.iter().map(told).collect();
    section(&mut out, "Comes from", or(lines, says_nothing).into_iter());
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let facts: Vec<_> = facts
        .iter()
        .map(|(name, value)| format!("{name:width$}  {}", if value.is_empty() { "none" } else { value }))
        .collect();
    let none = match seen {
        Seen::Present => "it is there",
        Seen::Absent => "it is not there",
        Seen::Unobservable => "nobody could look at it",
    };
    section(&mut out, "Seen", or(facts, none.to_owned()).into_iter());
    if let Some(elsewhere) = refused_elsewhere {
        refused(&mut out, address, refusals, *elsewhere);
    }
    if let Some(why) = to_be_named {
        line(&mut out, format_args!("\nIt {why}: apply refuses it without --allow-delete {address}."));
    }
    for (number, step) in steps.iter().enumerate() {
        self::step(&mut out, step, (number + 1, steps.len()));
    }
    let waits = deferred.iter().map(|d| format!("{} ({})", d.what, d.why));
    section(&mut out, "Not in this plan", waits);
    let said = notes.iter().map(|note| {
        let Some(Remedy { code, fix, since }) = &note.remedy else { return note.text.clone() };
        let since = since.as_ref().map(|since| format!("\n    since: {since}")).unwrap_or_default();
        format!("{}[{code}]: {}{since}\n    fix: {fix}", code.severity(), note.text)
    });
    section(&mut out, "Notes", said);
    if steps.is_empty() {
        section(&mut out, "Refers to", refers_to.iter().map(reason));
        section(&mut out, "Referred to by", referred_to_by.iter().map(reason));
        let why = match refused_elsewhere {
            Some(_) => "there is no plan until nothing is refused any more",
            None => "it is as declared, as far as apply can make it so",
        };
        line(&mut out, format_args!("\nNothing is planned for it: {why}."));
    }
    out
}

/// Why there is no plan.
fn refused(out: &mut String, address: &Address, refusals: &[ExplainedRefusal], elsewhere: usize) {
    for ExplainedRefusal { address: of, itself, code, cause, hint } in refusals {
        let why = if *itself { String::new() } else { format!(" ({address} needs it)") };
        line(out, format_args!("\n{}: {of}{why}: {cause}\n  hint: {hint}", code.heading()));
    }
    match (refusals.is_empty(), elsewhere) {
        (_, 0) => {}
        (true, count) => {
            line(out, format_args!("\nThe plan is refused for something else ({count}): plan tells for what."))
        }
        (false, count) => {
            line(out, format_args!("\nThe plan is refused for something else as well ({count}): plan tells for what."))
        }
    }
}

fn step(out: &mut String, step: &ExplainedStep, (number, all): (usize, usize)) {
    let ExplainedStep { change, verb, drift, risk, because, attributes, leaves, waits_for, waited_for_by } = step;
    let which = if all == 1 { String::new() } else { format!(" {number} of {all}") };
    line(out, format_args!("\nStep{which}: {} ({change})", self::verb(*verb)));
    for ExplainedDrift { code, severity, what } in drift {
        line(out, format_args!("  {severity}[{code}]: {what}"));
    }
    if let Some(why) = because {
        line(out, format_args!("  # {why}"));
    }
    self::attributes(out, attributes);
    if let Some(leaves) = leaves {
        line(out, format_args!("  leaves {leaves}"));
    }
    let risk = match risk {
        Risk::None => "none",
        Risk::Interrupts => "interrupts: clients may see errors for a while",
        Risk::Irreversible => "irreversible: what is lost does not come back",
    };
    line(out, format_args!("  risk: {risk}"));
    for (title, reasons) in [("waits for", waits_for), ("waited for by", waited_for_by)] {
        if reasons.is_empty() {
            line(out, format_args!("  {title}: nothing"));
        } else {
            line(out, format_args!("  {title}:"));
            reasons.iter().for_each(|each| line(out, format_args!("    {}", reason(each))));
        }
    }
}

fn reason(Reason { of, why }: &Reason) -> String {
    format!("{of}: {why}")
}

/// The lines, or what is said where there are none.
fn or(lines: Vec<String>, otherwise: String) -> Vec<String> {
    if lines.is_empty() { vec![otherwise] } else { lines }
}

/// A paragraph a login.
pub fn status(status: &StatusDocument) -> String {
    let mut out = String::new();
    let StatusDocument { head: Head { deployment, place, .. }, database, logins } = status;
    line(&mut out, format_args!("Deployment {deployment} in account {}, {}", place.account, place.region));
    if let Some(database) = database {
        line(&mut out, format_args!("Database {database}"));
    }
    for login in logins {
        let health = if login.healthy { "ok" } else { "NOT OK" };
        line(&mut out, format_args!("\n{}: {health}", login.login));
        let rows = [
            ("strategy", login.strategy.to_owned()),
            ("schedule", login.schedule.clone()),
            ("current user", login.current_user.clone().unwrap_or_else(|| "unknown".to_owned())),
            (
                "logs in",
                match login.logs_in {
                    Some(true) => "yes".to_owned(),
                    Some(false) => "no".to_owned(),
                    None => "unknown".to_owned(),
                },
            ),
            ("last rotated", login.last_rotated.clone().unwrap_or_else(|| "never".to_owned())),
            ("next rotation", login.next_rotation.clone().unwrap_or_else(|| "none".to_owned())),
        ];
        for (name, value) in rows {
            line(&mut out, format_args!("  {name:13}  {value}"));
        }
        for Trouble { code, severity, what, since, fix } in &login.troubles {
            let code = code.map(|code| format!("[{code}]")).unwrap_or_default();
            line(&mut out, format_args!("  {severity}{code}: {what}"));
            if let Some(since) = since {
                line(&mut out, format_args!("      since: {since}"));
            }
            if let Some(fix) = fix {
                line(&mut out, format_args!("      fix: {fix}"));
            }
        }
    }
    out
}

/// What was found in a config among several; alone, it is told with the lines themselves.
pub fn validation(validation: &ValidationDocument) -> String {
    let ValidationDocument { deployment, logins, lints, .. } = validation;
    let mut out = String::new();
    if let (Some(deployment), Some(logins)) = (deployment, logins) {
        line(&mut out, format_args!("Valid: deployment {deployment}, {logins} logins"));
    }
    section(&mut out, "Lint", lints.iter().map(lint));
    out
}

fn lint(lint: &Lint) -> String {
    format!("{}{}: {}\n    hint: {}", lint.code, lint.place(), lint.what, lint.hint)
}

fn section(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        line(out, format_args!("\n{title}:"));
        for text in lines {
            line(out, format_args!("  {text}"));
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}

/// A duration as people say it.
pub fn seconds(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min {:.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

fn shown(value: &Shown) -> String {
    match value {
        Shown::Unset => "(none)".to_owned(),
        Shown::Text(text) => text.clone(),
        Shown::AfterApply(address) => format!("(known after {address})"),
        Shown::Withheld => "(not shown)".to_owned(),
    }
}

pub fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Adopt => "adopt",
        Verb::Create => "create",
        Verb::Update => "update",
        Verb::Ensure => "ensure",
        Verb::Rotate => "rotate",
        Verb::Delete => "delete",
    }
}

pub fn sign(verb: Verb) -> char {
    match verb {
        Verb::Create => '+',
        Verb::Adopt | Verb::Update | Verb::Ensure => '~',
        Verb::Rotate => '↻',
        Verb::Delete => '-',
    }
}

fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::None => "none",
        Risk::Interrupts => "interrupts:",
        Risk::Irreversible => "irreversible:",
    }
}
