//! How the last run went: when each action ran, and which ones the whole of it waited for.

use super::super::document::Ending;
use super::super::human;
use super::super::run::{Ran, Run};
use super::out::{Grouped, Out, counted};
use super::second;

/// Rows at most: those of the critical path, those that came to nothing good, then the longest.
const ROWS: usize = 400;
/// The drawing's own width, whatever the page gives it.
const WIDE: u64 = 1_000;

/// How it ended, in a few words, and the class that says how good that is.
pub(super) fn ended(run: &Run) -> (&'static str, String) {
    let done = run.actions.iter().filter(|action| is_done(action)).count();
    let big = format!("{} of {} done", Grouped(done), Grouped(run.planned.max(run.actions.len())));
    match run.exit {
        Some(0) => ("t-ok", big),
        Some(_) => ("t-bad", big),
        None => ("t-warn", big),
    }
}

fn is_done(action: &Ran) -> bool {
    action.ending.is_some_and(Ending::is_done)
}

fn seconds(milliseconds: u64) -> String {
    human::seconds(milliseconds as f64 / 1000.0)
}

pub(super) fn section(out: &mut Out, run: &Run) {
    out.raw("<section id=\"run\" aria-labelledby=\"h-run\"><h2 id=\"h-run\">Last run</h2><p>").code(&run.command);
    out.raw(" of ").moment(&second(run.began)).raw(" UTC: ").text(ended(run).1).raw(" in ").text(seconds(run.took));
    match run.exit {
        Some(exit) => out.raw(", exit code ").text(exit).raw("."),
        None => out.raw(". <span class=\"warning\">Its end is not told: it is under way, or was killed.</span>"),
    };
    if run.stopped {
        out.raw(" <span class=\"warning\">Somebody asked it to stop.</span>");
    }
    out.raw(" <span class=\"quiet\">pgrotate ").text(&run.version).raw("</span></p>");
    if run.actions.is_empty() {
        out.raw("</section>\n");
        return;
    }
    let on_path = critical(out, run);
    let rows = rows(run, &on_path);
    if rows.len() < run.actions.len() {
        out.raw("<p class=\"quiet\">").text(Grouped(rows.len())).raw(" of ").text(Grouped(run.actions.len()));
        out.raw(" actions: what is critical, what came to nothing good, and what took longest.</p>");
    }
    out.raw("<div class=\"scroll\"><table class=\"line stack\"><thead><tr><th>action<th>outcome<th class=\"n\">began");
    out.raw("<th class=\"n\">took<th class=\"span\"><span class=\"ticks\"><span>0</span><span>");
    out.text(seconds(run.took / 2)).raw("</span><span>").text(seconds(run.took)).raw("</span></span><tbody>");
    for at in rows {
        row(out, run, &run.actions[at], on_path[at]);
    }
    out.raw("</table></div></section>\n");
}

/// Tells the critical path; answers with what is on it.
fn critical(out: &mut Out, run: &Run) -> Vec<bool> {
    let mut on_path = vec![false; run.actions.len()];
    let Some(path) = &run.critical else {
        out.raw("<p class=\"quiet\">Its journal does not tell what waited for what, and so no critical path.</p>");
        return on_path;
    };
    if path.is_empty() {
        return on_path;
    }
    let took: u64 = path.iter().filter_map(|&at| run.actions[at].took(run)).sum();
    out.raw("<p><strong>Critical path</strong>, ").text(counted(path.len(), "action", "actions")).raw(", ");
    out.text(seconds(took)).raw(" of ").text(seconds(run.took)).raw(": ");
    for (place, &at) in path.iter().enumerate() {
        on_path[at] = true;
        out.raw(if place > 0 { " → " } else { "" }).code(&run.actions[at].address);
    }
    out.raw("</p>");
    on_path
}

fn rows(run: &Run, on_path: &[bool]) -> Vec<usize> {
    let mut rows: Vec<_> = (0..run.actions.len()).collect();
    if rows.len() > ROWS {
        let weight = |&at: &usize| {
            let action = &run.actions[at];
            std::cmp::Reverse((on_path[at], !is_done(action), action.took(run).unwrap_or(0), std::cmp::Reverse(at)))
        };
        rows.sort_by_key(weight);
        rows.truncate(ROWS);
        rows.sort_unstable();
    }
    rows
}

fn row(out: &mut Out, run: &Run, action: &Ran, critical: bool) {
    let (class, outcome) = match action.ending {
        Some(ending @ (Ending::Done | Ending::AlreadyDone)) => ("ok", ending.text()),
        Some(ending @ Ending::Failed) => ("critical", ending.text()),
        Some(ending) => ("warning", ending.text()),
        None => ("warning", "not told"),
    };
    let bad = matches!(action.ending, Some(Ending::Failed | Ending::Stale));
    out.raw("<tr class=\"f").raw(if critical { " crit" } else { "" }).raw(if bad { " bad" } else { "" });
    out.raw("\"><th scope=\"row\"><span class=\"quiet\">").text(&action.verb).raw("</span> ").code(&action.address);
    if action.change != action.verb {
        out.raw(" <span class=\"quiet\">").text(&action.change).raw("</span>");
    }
    if critical {
        out.raw(" ").span("tag warning", "critical path");
    }
    if let Some(said) = &action.said {
        out.raw("<div class=\"why\">waited: ").text(said).raw("</div>");
    }
    out.raw("<td>").span(class, outcome);
    if let Some(code) = &action.code {
        out.raw(" <span class=\"quiet\">").text(code).raw("</span>");
    }
    if let Some(cause) = &action.cause {
        out.raw("<div class=\"why\">").text(cause).raw("</div>");
    }
    if let Some(hint) = &action.hint {
        out.raw("<div><span class=\"quiet\">hint:</span> ").text(hint).raw("</div>");
    }
    let (Some(started), Some(took)) = (action.started, action.took(run)) else {
        out.raw("<td><td><td>\n");
        return;
    };
    out.raw("<td class=\"n\" data-l=\"began at\">").text(seconds(started)).raw("<td class=\"n\" data-l=\"took\">");
    let all = run.took.max(1);
    out.text(seconds(took)).raw("<td class=\"span\"><svg viewBox=\"0 0 1000 12\" preserveAspectRatio=\"none\" ");
    // Even what took no time is to be seen.
    let (x, wide) = ((started * WIDE / all).min(WIDE - 4), (took * WIDE / all).max(4));
    out.raw("aria-hidden=\"true\"><rect x=\"").text(x).raw("\" width=\"").text(wide.min(WIDE - x));
    out.raw("\" y=\"2\" height=\"8\"/></svg>\n");
}
