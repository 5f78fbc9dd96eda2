//! Plans, drift and reports as Markdown, for a comment on a pull request or an issue: what one decides by first, the
//! rest folded. Whatever a name or a text from AWS holds, it stays text: it opens no tag, no fence and no link, and
//! calls nobody.

use super::document::{
    ActionDocument, Exceeds, Goal, GraphDocument, Head, Lint, LoginStatus, PlanDocument, ReportDocument,
    StatusDocument, ToBeNamed,
};
use super::drift::{DriftDocument, Finding, Trouble};
use super::{graph, human};
use crate::model::{Address, Place};
use crate::resource::Risk;
use std::collections::BTreeSet;
use std::fmt::Write;

/// What a comment on GitHub holds at the most, in characters ("Body is too long (maximum is 65536 characters)", the
/// API's own answer). Counted in bytes, of which there are never fewer.
pub const LONGEST: usize = 65_536;

/// Kept free for the lines that say what was left out, and for what closes a fold.
const RESERVE: usize = 1_024;

/// GitHub draws no graph of more than 500 edges or 50,000 characters (Mermaid's `maxEdges` and `maxTextSize`), and
/// nobody reads one of more than some dozens.
const GRAPH: usize = 80;

/// How much of a comment is still free.
struct Space(usize);

impl Space {
    /// Of so many bytes in all.
    fn of(all: usize) -> Self {
        Self(all.saturating_sub(RESERVE))
    }

    fn new() -> Self {
        Self::of(LONGEST)
    }

    fn take(&mut self, text: &str) -> bool {
        let fits = text.len() <= self.0;
        if fits {
            self.0 -= text.len();
        }
        fits
    }

    /// Those of `texts` that fit, the first ones first, and how many are left out.
    fn fill(&mut self, texts: Vec<String>) -> (String, usize) {
        let (all, mut out, mut taken) = (texts.len(), String::new(), 0);
        for text in texts {
            if !self.take(&text) {
                break;
            }
            out.push_str(&text);
            taken += 1;
        }
        (out, all - taken)
    }
}

/// A plan that is to be decided on. `command` shows all of it, `apply` carries it out.
pub fn plan(plan: &PlanDocument, command: &str, apply: &str) -> String {
    plan_within(plan, command, apply, LONGEST)
}

/// The same in so many bytes, where that is enough for its first lines.
pub(super) fn plan_within(plan: &PlanDocument, command: &str, apply: &str, all: usize) -> String {
    let PlanDocument { head, goal, actions, deferred, notes, unchanged, exceeds, lints, to_be_named } = plan;
    let Head { deployment, place, .. } = head;
    let (mut out, mut space) = (String::new(), Space::of(all));
    let counts: Vec<_> =
        plan.counts().into_iter().map(|(verb, count)| format!("{count} to {}", human::verb(verb))).collect();
    let what = match (goal, counts.is_empty()) {
        (Goal::Destroy, true) => "nothing is left to destroy".to_owned(),
        (_, true) => "no changes".to_owned(),
        _ => counts.join(", "),
    };
    let doing = if *goal == Goal::Destroy { "destroy" } else { "plan" };
    let head = format!(
        "### pgrotate {doing}: {} – {what}\n\n{}, {} unchanged.\n",
        code(deployment),
        stands(place),
        unchanged.len()
    );
    add(&mut out, &mut space, &head);
    if let Some(Exceeds { deletes, allowed }) = exceeds {
        let text = format!(
            "\n> [!CAUTION]\n> It removes {deletes} things, and may remove {allowed} unsaid: `apply` refuses it without \
             `--allow-deletes {deletes}`.\n"
        );
        add(&mut out, &mut space, &text);
    }
    for ToBeNamed { address, why } in to_be_named {
        let text = format!(
            "\n> [!CAUTION]\n> {} {}: `apply` refuses it without {}.\n",
            self::address(address),
            prose(why),
            code(&format!("--allow-delete {address}"))
        );
        add(&mut out, &mut space, &text);
    }
    let mut risky: Vec<_> = actions.iter().filter(|action| action.risk != Risk::None).collect();
    risky.sort_by_key(|action| std::cmp::Reverse(action.risk));
    section(&mut out, &mut space, "#### Risks", risky.into_iter().map(risk).collect());
    section(&mut out, &mut space, "#### Actions", actions.iter().map(listed).collect());
    let waits = deferred.iter().map(|d| format!("- {}: {} ({})\n", address(&d.address), prose(&d.what), prose(&d.why)));
    section(&mut out, &mut space, "#### Not in this plan", waits.collect());
    let said = notes.iter().map(|note| {
        let fix = note.remedy.as_ref().map(|remedy| format!("; fix: {}", code(&remedy.fix))).unwrap_or_default();
        format!("- {}: {}{fix}\n", address(&note.address), prose(&note.text))
    });
    section(&mut out, &mut space, "#### Notes", said.collect());
    section(&mut out, &mut space, "#### Lint", lints.iter().map(lint).collect());
    if !actions.is_empty() {
        graph_of(&mut out, &mut space, actions);
        details(&mut out, &mut space, actions);
        let foot = format!("\nAll of it: {}. To carry it out: {}\n", code(command), code(apply));
        // The reserve has room for it.
        out.push_str(&foot);
    }
    out
}

/// What has moved, and what mends it.
pub fn drift(drift: &DriftDocument, command: &str) -> String {
    drift_within(drift, command, LONGEST)
}

/// The same in so many bytes, where that is enough for its first lines.
pub(super) fn drift_within(drift: &DriftDocument, command: &str, all: usize) -> String {
    let DriftDocument { head: Head { deployment, place, .. }, findings, unchanged } = drift;
    let (mut out, mut space) = (String::new(), Space::of(all));
    let what = match findings.len() {
        0 => "everything is as declared".to_owned(),
        count => format!("{count} found"),
    };
    let head = format!(
        "### pgrotate drift: {} – {what}\n\n{}, {unchanged} resources as declared.\n",
        code(deployment),
        stands(place)
    );
    add(&mut out, &mut space, &head);
    section(&mut out, &mut space, "#### Found", findings.iter().map(finding).collect());
    if !findings.is_empty() {
        let text = human::drift(drift);
        fold(&mut out, &mut space, "Details", vec![text], 1);
        let _ = writeln!(out, "\nLook again: {}", code(command));
    }
    out
}

/// What became of everything.
pub fn report(report: &ReportDocument) -> String {
    let ReportDocument { head: Head { deployment, .. }, goal: _, took, outcomes, remains, critical_path: _ } = report;
    let (mut out, mut space) = (String::new(), Space::new());
    let done = outcomes.iter().filter(|outcome| outcome.outcome.is_done()).count();
    let head = format!(
        "### pgrotate: {} – {done} of {} done in {}\n",
        code(deployment),
        outcomes.len(),
        human::seconds(*took)
    );
    add(&mut out, &mut space, &head);
    let not_done = outcomes.iter().filter(|outcome| !outcome.outcome.is_done()).map(|outcome| {
        let code = outcome.code.map(|code| format!(" `{}`", code.text())).unwrap_or_default();
        let because = outcome.because.first().map(|because| format!(": {}", prose(because))).unwrap_or_default();
        let hint = outcome.hint.as_ref().map(|hint| format!("; hint: {}", prose(hint))).unwrap_or_default();
        format!("- **{}**{code} {}{because}{hint}\n", outcome.outcome, address(&outcome.address))
    });
    section(&mut out, &mut space, "#### Not done", not_done.collect());
    section(
        &mut out,
        &mut space,
        "#### What remains",
        remains.iter().map(|what| format!("- {}\n", prose(what))).collect(),
    );
    fold(&mut out, &mut space, "All of it", vec![human::report(report)], 1);
    out
}

/// A row a login, those that are not well first.
pub fn status(status: &StatusDocument) -> String {
    status_within(status, LONGEST)
}

/// The same in so many bytes, where that is enough for its first lines.
pub(super) fn status_within(status: &StatusDocument, all: usize) -> String {
    let StatusDocument { head: Head { deployment, place, .. }, database, logins } = status;
    let (mut out, mut space) = (String::new(), Space::of(all));
    let ill = logins.iter().filter(|login| !login.healthy).count();
    let what = if ill == 0 { "all logins are well".to_owned() } else { format!("{ill} of {} not well", logins.len()) };
    let database = database.as_ref().map(|database| format!(", database {}", code(database))).unwrap_or_default();
    let head = format!("### pgrotate status: {} – {what}\n\n{}{database}.\n", code(deployment), stands(place));
    add(&mut out, &mut space, &head);
    if logins.is_empty() {
        return out;
    }
    let head = "\n| login | health | strategy | schedule | current user | logs in | last rotated | next rotation |\n\
                |---|---|---|---|---|---|---|---|\n";
    add(&mut out, &mut space, head);
    let mut logins: Vec<_> = logins.iter().collect();
    logins.sort_by_key(|login| login.healthy);
    let (rows, left_out) = space.fill(logins.iter().map(|login| row(login)).collect());
    out.push_str(&rows);
    if left_out > 0 {
        let _ = writeln!(out, "\n… and {left_out} more, for which there is no room here");
    }
    let troubles = logins.iter().flat_map(|login| login.troubles.iter().map(move |trouble| (&login.login, trouble)));
    let troubles = troubles.map(|(login, trouble)| {
        let Trouble { code: which, severity, what, since, fix } = trouble;
        let since = since_when(since.as_deref());
        let which = which.map(|which| format!(" {}", code(which.text()))).unwrap_or_default();
        let fix = fix.as_ref().map(|fix| format!("; fix: {}", code(fix))).unwrap_or_default();
        format!("- **{severity}**{which} {}: {}{since}{fix}\n", code(login), prose(what))
    });
    section(&mut out, &mut space, "#### Troubles", troubles.collect());
    out
}

fn row(login: &LoginStatus) -> String {
    let LoginStatus {
        login,
        strategy,
        schedule,
        current_user,
        logs_in,
        last_rotated,
        next_rotation,
        healthy,
        troubles: _,
    } = login;
    let user = current_user.as_deref().map_or_else(|| "unknown".to_owned(), cell);
    let logs_in = match logs_in {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "unknown",
    };
    format!(
        "| {} | {} | {strategy} | {} | {user} | {logs_in} | {} | {} |\n",
        cell(login),
        if *healthy { "ok" } else { "**not ok**" },
        cell(schedule),
        last_rotated.as_deref().unwrap_or("never"),
        next_rotation.as_deref().unwrap_or("none"),
    )
}

/// A span of code in a table, where GitHub takes a bar for the cell's end even inside one.
pub(super) fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

fn add(out: &mut String, space: &mut Space, text: &str) {
    if space.take(text) {
        out.push_str(text);
    }
}

fn stands(place: &Place) -> String {
    format!("Account {}, {}", code(&place.account), code(&place.region))
}

/// Lines below a heading, as many as there is room for; none where there are no lines.
fn section(out: &mut String, space: &mut Space, title: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    add(out, space, &format!("\n{title}\n\n"));
    let (text, left_out) = space.fill(lines);
    out.push_str(&text);
    if left_out > 0 {
        let _ = writeln!(out, "- … and {left_out} more, for which there is no room here");
    }
}

fn risk(action: &ActionDocument) -> String {
    let word = match action.risk {
        Risk::None => "none",
        Risk::Interrupts => "interrupts",
        Risk::Irreversible => "irreversible",
    };
    let because = action.because.as_ref().map(|why| format!(": {}", prose(why))).unwrap_or_default();
    format!("- **{word}** {} {}{because}\n", human::verb(action.verb), address(&action.address))
}

fn listed(action: &ActionDocument) -> String {
    let because = action.because.as_ref().map(|why| format!(": {}", prose(why))).unwrap_or_default();
    let (sign, verb) = (human::sign(action.verb), human::verb(action.verb));
    format!("- `{sign}` {verb} {}{because}\n", address(&action.address))
}

fn lint(lint: &Lint) -> String {
    let line = lint.place();
    format!("- {}{line}: {}; {}\n", code(lint.code.text()), prose(&lint.what), prose(&lint.hint))
}

fn finding(finding: &Finding) -> String {
    let Finding { address: at, code: which, severity, what, since, missing: _, moved: _, fix } = finding;
    let (which, fix, since) = (code(which.text()), code(fix), since_when(since.as_deref()));
    format!("- **{severity}** {which} {}: {}{since}; fix: {fix}\n", address(at), prose(what))
}

fn since_when(since: Option<&str>) -> String {
    since.map(|since| format!(", since {since}")).unwrap_or_default()
}

/// What waits for what, where it is small enough to be looked at.
fn graph_of(out: &mut String, space: &mut Space, actions: &[ActionDocument]) {
    if actions.len() < 2 || actions.len() > GRAPH {
        return;
    }
    let mut seen = BTreeSet::new();
    let labels: Vec<_> = actions
        .iter()
        .map(|action| match seen.insert(&action.address) {
            true => action.address.to_string(),
            // As others name it that wait for it.
            false => format!("{} ({})", action.address, action.change),
        })
        .collect();
    let edges = actions.iter().zip(&labels);
    let document = GraphDocument {
        edges: edges
            .flat_map(|(action, label)| action.after.iter().map(move |first| (first.clone(), label.clone())))
            .collect(),
        resources: labels.iter().cloned().zip(actions.iter().map(|action| Some(action.verb))).collect(),
    };
    let text = format!(
        "\n<details><summary>What waits for what</summary>\n\n```mermaid\n{}```\n\n</details>\n",
        graph::mermaid(&document)
    );
    add(out, space, &text);
}

/// All attributes, folded; where there is no room for all, those of what is risky, and then of what comes first.
fn details(out: &mut String, space: &mut Space, actions: &[ActionDocument]) {
    let mut texts: Vec<_> = actions.iter().map(|action| (action.risk, human::one(action))).collect();
    // Stable: within a risk the plan's order stays.
    texts.sort_by_key(|(risk, _)| std::cmp::Reverse(*risk));
    let count = texts.len();
    fold(out, space, "Details", texts.into_iter().map(|(_, text)| text).collect(), count);
}

/// Plain text below a fold, in a fence that nothing in it can close.
fn fold(out: &mut String, space: &mut Space, title: &str, texts: Vec<String>, count: usize) {
    let longest = texts.iter().map(|text| longest_run(text, '`')).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let open = format!("\n<details><summary>{title}</summary>\n\n{fence}text\n");
    let close = format!("{fence}\n\n</details>\n");
    if !space.take(&format!("{open}{close}")) {
        return;
    }
    let (text, left_out) = space.fill(texts);
    out.push_str(&open);
    out.push_str(&text);
    if left_out > 0 {
        let _ = writeln!(out, "… and {left_out} of {count} more, for which there is no room here");
    }
    out.push_str(&close);
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

fn address(address: &Address) -> String {
    code(&address.to_string())
}

/// A span of code. Nothing in it is Markdown, and it calls nobody.
pub(super) fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let fence = "`".repeat(longest_run(&text, '`') + 1);
    // A space inside is taken away again where there is one on each side.
    let space = if text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Text of a sentence: what it quotes in backticks becomes a span of code, and all else stays as it is written.
pub(super) fn prose(text: &str) -> String {
    let parts: Vec<_> = text.split('`').collect();
    // An even number of parts is an odd number of backticks: one of them quotes nothing. Nor do two in a row.
    if parts.len().is_multiple_of(2) || text.contains("``") {
        return plain(text);
    }
    let part = |(place, part): (usize, &&str)| match place % 2 {
        0 => plain(part),
        _ => code(part),
    };
    parts.iter().enumerate().map(part).collect()
}

/// What Markdown, HTML and GitHub would take for something else, made harmless.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // GitHub looks for people and issues in what it has rendered: an empty comment keeps them apart.
            '@' | '#' => {
                out.push(c);
                out.push_str("<!-- -->");
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        for (text, written) in [
            ("no change", "no change"),
            ("<img src=x> & *all* of @team #1", "&lt;img src=x&gt; &amp; \\*all\\* of @<!-- -->team #<!-- -->1"),
            ("the secret `a*b` is a_b", "the secret `a*b` is a\\_b"),
            ("one ` alone", "one \\` alone"),
            ("`b```c", "\\`b\\`\\`\\`c"),
            ("[a](http://b) |\n# head", "\\[a\\](http://b) \\| #<!-- --> head"),
        ] {
            assert_eq!(prose(text), written);
        }
    }

    #[test]
    fn code_stays_code() {
        for (text, written) in
            [("a", "`a`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("a``", "``` a`` ```"), ("a\nb", "`a b`")]
        {
            assert_eq!(code(text), written);
        }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut space = Space(10);
        let texts = ["12345", "67890", "1"].map(str::to_owned).to_vec();
        assert_eq!(space.fill(texts), ("1234567890".to_owned(), 1));
    }
}
