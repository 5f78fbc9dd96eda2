//! Many deployments for people: a table at the end of a terminal's output, and one comment for all.

use super::deployments::{
    DeploymentDocument, DeploymentsDocument, ErrorDocument, OneDocument, Target, TargetsDocument, ValidationDocument,
};
use super::document::StatusDocument;
use super::drift::DriftDocument;
use super::markdown::{self, LONGEST, cell, code, prose};
use super::{drift, human};
use crate::model::one_line;
use std::fmt::Write;

/// What becomes of one deployment, in a few words.
fn result(one: &DeploymentDocument) -> String {
    match (&one.errors.first(), &one.document) {
        (Some(error), _) => format!("{}{}", error.code.heading(), more(one.errors.len())),
        (None, Some(document)) => found(document),
        (None, None) => String::new(),
    }
}

fn more(errors: usize) -> String {
    if errors > 1 { format!(" and {} more", errors - 1) } else { String::new() }
}

fn found(document: &OneDocument) -> String {
    match document {
        OneDocument::Plan(plan) => {
            let counts = plan.counts().into_iter().map(|(verb, count)| format!("{count} to {}", human::verb(verb)));
            let counts: Vec<_> = counts.collect();
            if counts.is_empty() { "no changes".to_owned() } else { counts.join(", ") }
        }
        OneDocument::Drift(DriftDocument { findings, .. }) => match drift::counts(findings) {
            counts if counts.is_empty() => "as declared".to_owned(),
            counts => format!("{} found ({counts})", findings.len()),
        },
        OneDocument::Status(StatusDocument { logins, .. }) => {
            match logins.iter().filter(|login| !login.healthy).count() {
                0 => format!("all {} logins are well", logins.len()),
                ill => format!("{ill} of {} logins not well", logins.len()),
            }
        }
        OneDocument::Validation(ValidationDocument { lints, .. }) => match lints.len() {
            0 => "valid".to_owned(),
            1 => "valid, 1 lint".to_owned(),
            count => format!("valid, {count} lints"),
        },
    }
}

const NOT_KNOWN: &str = "–";

/// Deployment, file, account, region, what becomes of it.
fn row(one: &DeploymentDocument) -> [String; 5] {
    let (deployment, account, region) = match &one.document {
        Some(document) => {
            let (deployment, account, region) = document.whose();
            (deployment, account.unwrap_or(NOT_KNOWN), region.unwrap_or(NOT_KNOWN))
        }
        None => (NOT_KNOWN, NOT_KNOWN, NOT_KNOWN),
    };
    [deployment.to_owned(), one_line(&one.file), account.to_owned(), region.to_owned(), result(one)]
}

const TITLES: [&str; 5] = ["deployment", "file", "account", "region", "result"];

/// What stands above the output of one deployment among several.
pub fn heading(file: &str) -> String {
    format!("=== {}\n\n", one_line(file))
}

/// All deployments, a line each.
pub fn table(all: &DeploymentsDocument) -> String {
    let mut out = columns(TITLES, &all.deployments.iter().map(row).collect::<Vec<_>>());
    let failed = all.deployments.iter().filter(|one| !one.errors.is_empty()).count();
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    let count = all.deployments.len();
    let _ = writeln!(out, "\n{count} deployment{}{failed}.", if count == 1 { "" } else { "s" });
    out
}

/// Which deployments there are, a line each.
pub fn targets(all: &TargetsDocument) -> String {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| NOT_KNOWN.to_owned());
    let rows = all.targets.iter().map(|Target { deployment, file, region, account, role }| {
        [deployment.clone(), one_line(file), known(account), region.clone(), known(role)]
    });
    columns(["deployment", "file", "account", "region", "role"], &rows.collect::<Vec<_>>())
}

/// Lines of a table, each column as wide as its widest.
fn columns(titles: [&str; 5], rows: &[[String; 5]]) -> String {
    let mut widths = titles.map(|title| title.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for cells in std::iter::once(titles).chain(rows.iter().map(|row| row.each_ref().map(String::as_str))) {
        let [first @ .., last] = cells;
        for (cell, width) in first.iter().zip(widths) {
            // Writing to a String cannot fail.
            let _ = write!(out, "{cell:width$}  ");
        }
        let _ = writeln!(out, "{last}");
    }
    out
}

/// The commands that a comment shows for one deployment.
#[derive(Debug, Clone)]
pub struct Commands {
    /// Shows all of it.
    pub again: String,
    /// Carries it out.
    pub apply: String,
}

/// Kept free for the lines that say what was left out.
const RESERVE: usize = 1_024;

/// One section says nothing of use in less.
const LEAST: usize = 4_096;

/// One comment for all, of which each deployment has its share: those that failed first, and then those of which there
/// is something to tell. `doing` is the command's name, `commands` are in the document's order.
pub fn markdown(all: &DeploymentsDocument, doing: &str, commands: &[Commands]) -> String {
    let mut ranked: Vec<_> = all.deployments.iter().zip(commands).collect();
    // Stable: among equals the order of the paths stays.
    ranked.sort_by_key(|(one, _)| rank(one));
    let failed = all.deployments.iter().filter(|one| !one.errors.is_empty()).count();
    let tells = ranked.iter().filter(|(one, _)| rank(one) == Rank::Tells).count();
    let mut what = vec![format!("{} deployments", all.deployments.len())];
    let words = match doing {
        "plan" => "with changes",
        "drift" => "with drift",
        "status" => "with logins that are not well",
        _ => "with lints",
    };
    what.extend((failed > 0).then(|| format!("{failed} failed")));
    what.extend((tells > 0).then(|| format!("{tells} {words}")));
    let mut out = format!("## pgrotate {doing}: {}\n\n", what.join(", "));
    out.push_str("| deployment | file | account | region | result |\n|---|---|---|---|---|\n");
    // Half of it for the table at the most: a table alone tells little.
    let rows: Vec<_> = ranked.iter().map(|(one, _)| markdown_row(one)).collect();
    let left_out = add(&mut out, &rows, LONGEST / 2);
    if left_out > 0 {
        let _ = writeln!(out, "\n… and {left_out} more, for which there is no room here");
    }
    let told: Vec<_> = ranked.iter().filter(|(one, _)| rank(one) != Rank::Nothing).collect();
    for (number, (one, commands)) in told.iter().enumerate() {
        let left = (LONGEST - RESERVE).saturating_sub(out.len());
        let share = left / (told.len() - number);
        // A share is what the rest leaves over: the first ones may have what a short section needs.
        let text = section(one, commands, share.max(LEAST.min(left)));
        if text.len() > left {
            let rest = told.len() - number;
            let _ = writeln!(
                out,
                "\n… and {rest} more, for which there is no room here: pgrotate {doing} of each tells all"
            );
            break;
        }
        out.push_str(&text);
    }
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Failed,
    Tells,
    Nothing,
}

fn rank(one: &DeploymentDocument) -> Rank {
    match &one.document {
        _ if !one.errors.is_empty() => Rank::Failed,
        Some(document) if document.tells() => Rank::Tells,
        _ => Rank::Nothing,
    }
}

fn markdown_row(one: &DeploymentDocument) -> String {
    let [deployment, file, account, region, result] = row(one);
    let result = match one.errors.is_empty() {
        true => cell_prose(&result),
        false => format!("**{}**", cell_prose(&result)),
    };
    let known = |text: &str| if text == NOT_KNOWN { NOT_KNOWN.to_owned() } else { cell(text) };
    format!("| {} | {} | {} | {} | {result} |\n", known(&deployment), cell(&file), known(&account), known(&region))
}

fn cell_prose(text: &str) -> String {
    prose(text).replace('\n', " ")
}

/// As many as fit; answers with how many do not.
fn add(out: &mut String, rows: &[String], most: usize) -> usize {
    for (number, row) in rows.iter().enumerate() {
        if out.len() + row.len() > most {
            return rows.len() - number;
        }
        out.push_str(row);
    }
    0
}

/// What there is to tell of one, within `space` bytes or a little more.
fn section(one: &DeploymentDocument, Commands { again, apply }: &Commands, space: usize) -> String {
    let mut out = String::from("\n");
    if !one.errors.is_empty() {
        let _ = writeln!(out, "### {} – {}\n", code(&one.file), cell_prose(&result(one)));
        let lines: Vec<_> = one.errors.iter().map(error).collect();
        let left_out = add(&mut out, &lines, space.saturating_sub(RESERVE));
        if left_out > 0 {
            let _ = writeln!(out, "- … and {left_out} more, for which there is no room here");
        }
    }
    let left = space.saturating_sub(out.len());
    match &one.document {
        Some(OneDocument::Plan(plan)) => out.push_str(&markdown::plan_within(plan, again, apply, left)),
        Some(OneDocument::Drift(drift)) => out.push_str(&markdown::drift_within(drift, again, left)),
        Some(OneDocument::Status(status)) => out.push_str(&markdown::status_within(status, left)),
        Some(OneDocument::Validation(_)) | None => {}
    }
    out
}

fn error(error: &ErrorDocument) -> String {
    let ErrorDocument { code: which, message, because, hint, file, line, column: _, address } = error;
    let at = address.as_ref().map(|address| format!(" {}", code(&address.to_string()))).unwrap_or_default();
    let line = line.map(|line| match file {
        Some(file) => format!(" ({}:{line})", code(file)),
        None => format!(" (line {line})"),
    });
    let line = line.unwrap_or_default();
    let because: String = because.iter().map(|cause| format!(": {}", cell_prose(cause))).collect();
    let hint = hint.as_ref().map(|hint| format!("; hint: {}", cell_prose(hint))).unwrap_or_default();
    format!("- **{}**{at}{line}: {}{because}{hint}\n", prose(&which.heading().to_string()), cell_prose(message))
}
