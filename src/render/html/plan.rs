//! What a plan would do: its risks, its graph, each action with what changes of it; what is not in it, and what there is to
//! know beside it.

use super::super::document::{ActionDocument, Exceeds, Goal, Lint, PlanDocument, ToBeNamed};
use super::super::human;
use super::out::{Grouped, Out, counted};
use super::{graph, verb_class};
use crate::model::Shown;
use crate::resource::{Attribute, Risk};
use std::collections::HashMap;

/// Of more actions than these, only the name is told: a page of a thousand logins is to stay below 3 MB. The riskiest are
/// told whole.
const TOLD_WHOLE: usize = 1_200;
/// What an action waits for is named up to here.
const NAMED: usize = 12;

pub(super) fn section(out: &mut Out, plan: &PlanDocument, apply: &str) {
    let PlanDocument { head: _, goal, actions, deferred, notes, unchanged, lints, exceeds, to_be_named } = plan;
    out.raw("<section id=\"plan\" aria-labelledby=\"h-plan\"><h2 id=\"h-plan\">Plan</h2>");
    let counts: Vec<_> =
        plan.counts().into_iter().map(|(verb, count)| format!("{} to {}", Grouped(count), human::verb(verb))).collect();
    if counts.is_empty() {
        let nothing = if *goal == Goal::Destroy { "Nothing is left to destroy." } else { "Nothing is left to do." };
        out.raw("<p><span class=\"ok\">").raw(nothing).raw("</span> ").text(Grouped(unchanged.len()));
        out.raw(" resources were looked at.</p>");
    } else {
        out.raw("<p>").text(counts.join(", ")).raw(", ").text(Grouped(unchanged.len())).raw(" unchanged. ");
        out.raw("<span class=\"quiet\">To carry it out:</span> ").code(apply).raw("</p>");
    }
    if let Some(Exceeds { deletes, allowed }) = exceeds {
        out.raw("<p class=\"note bad\">It removes ").text(Grouped(*deletes)).raw(" things, and may remove ");
        out.text(Grouped(*allowed)).raw(" unsaid: apply refuses it without ");
        out.code(format_args!("--allow-deletes {deletes}")).raw(".</p>");
    }
    for ToBeNamed { address, why } in to_be_named {
        out.raw("<p class=\"note bad\">").code(address).raw(" ").text(why).raw(": apply refuses it without ");
        out.code(format_args!("--allow-delete {address}")).raw(".</p>");
    }
    if !actions.is_empty() {
        out.raw("<h3>What waits for what</h3>");
        graph::graph(out, actions);
        list(out, actions);
    }
    if !deferred.is_empty() {
        out.raw("<h3>Not in this plan</h3><ul class=\"list\">");
        for each in deferred {
            out.raw("<li class=\"f\">").code(&each.address).raw(" ").text(&each.what);
            out.raw(" <span class=\"why\">").text(&each.why).raw("</span>");
        }
        out.raw("</ul>");
    }
    // Those with a remedy are drift, and told there.
    let mut plain = notes.iter().filter(|note| note.remedy.is_none()).peekable();
    if plain.peek().is_some() {
        out.raw("<h3>Notes</h3><ul class=\"list\">");
        for note in plain {
            out.raw("<li class=\"f\">").code(&note.address).raw(" ").text(&note.text);
        }
        out.raw("</ul>");
    }
    out.raw("</section>\n");
    if !lints.is_empty() {
        out.raw("<section id=\"lints\" aria-labelledby=\"h-lints\"><h2 id=\"h-lints\">Lint</h2><ul class=\"list\">");
        lints.iter().for_each(|each| lint(out, each));
        out.raw("</ul></section>\n");
    }
}

fn lint(out: &mut Out, lint: &Lint) {
    let Lint { code, of: _, file, line, span: _, what, why, hint } = lint;
    out.raw("<li class=\"f\">").span("tag warning", code).raw(" ").text(what);
    if let Some(line) = line {
        out.raw(" <span class=\"quiet nw\">");
        file.iter().for_each(|file| _ = out.text(file).raw(", "));
        out.raw("line ").text(line).raw("</span>");
    }
    out.raw("<div class=\"why\">").text(why).raw("</div><span class=\"fix\"><span class=\"quiet\">hint:</span> ");
    out.text(hint).raw("</span>");
}

fn list(out: &mut Out, actions: &[ActionDocument]) {
    out.raw("<h3>Actions</h3>");
    let mut whole = vec![true; actions.len()];
    if actions.len() > TOLD_WHOLE {
        let mut riskiest: Vec<_> = (0..actions.len()).collect();
        riskiest.sort_by_key(|&action| (std::cmp::Reverse(actions[action].risk), action));
        riskiest[TOLD_WHOLE..].iter().for_each(|&action| whole[action] = false);
        out.raw("<p class=\"quiet\">In an order in which they could run one by one. Of ");
        out.text(Grouped(actions.len() - TOLD_WHOLE)).raw(" of them only the name is told here; ");
        out.code("pgrotate plan").raw(" tells all.</p>");
    }
    let number = graph::numbers(actions);
    for (at, (action, whole)) in actions.iter().zip(whole).enumerate() {
        if whole {
            out.raw("<details class=\"f\" id=\"a").text(at).raw("\"><summary>");
            head(out, action);
            out.raw("</summary><div class=\"in\">");
            body(out, action, &number);
            out.raw("</div></details>\n");
        } else {
            out.raw("<div class=\"f one\" id=\"a").text(at).raw("\">");
            head(out, action);
            out.raw("</div>\n");
        }
    }
}

fn head(out: &mut Out, action: &ActionDocument) {
    let verb = verb_class(action.verb);
    out.raw("<span class=\"verb ").raw(verb).raw("\">").text(human::sign(action.verb)).raw(" ").raw(verb);
    out.raw("</span> ").code(&action.address);
    match action.risk {
        Risk::None => {}
        Risk::Interrupts => {
            out.raw(" ").span("tag interrupts", "interrupts");
        }
        Risk::Irreversible => {
            out.raw(" ").span("tag irreversible", "irreversible");
        }
    }
}

fn body(out: &mut Out, action: &ActionDocument, number: &HashMap<String, usize>) {
    let ActionDocument { address: _, change: _, verb: _, drift: _, risk: _, because, attributes, after, leaves } =
        action;
    if let Some(why) = because {
        out.raw("<p class=\"why\">").text(why).raw("</p>");
    }
    if !attributes.is_empty() {
        out.raw("<table>");
        attributes.iter().for_each(|each| attribute(out, each));
        out.raw("</table>");
    }
    if let Some(leaves) = leaves {
        out.raw("<p><span class=\"quiet\">leaves</span> ").text(leaves).raw("</p>");
    }
    if !after.is_empty() {
        out.raw("<p><span class=\"quiet\">after</span> ");
        for (at, first) in after.iter().take(NAMED).enumerate() {
            out.raw(if at > 0 { ", " } else { "" });
            match number.get(first) {
                Some(number) => out.raw("<a href=\"#a").text(number).raw("\">").code(first).raw("</a>"),
                None => out.code(first),
            };
        }
        if after.len() > NAMED {
            out.raw(" and ").text(Grouped(after.len() - NAMED)).raw(" more");
        }
        out.raw("</p>");
    }
}

fn attribute(out: &mut Out, Attribute { name, before, after }: &Attribute) {
    out.raw("<tr><th scope=\"row\">").text(name).raw("<td>");
    match (before, after) {
        (Shown::Text(before), Shown::Text(after)) if before.contains('\n') || after.contains('\n') => {
            text_diff(out, before, after);
        }
        (Shown::Unset, after) => value(out, after),
        (before, after) => {
            out.raw("<del>");
            value(out, before);
            out.raw("</del> → <ins>");
            value(out, after);
            out.raw("</ins>");
        }
    }
}

pub(super) fn value(out: &mut Out, shown: &Shown) {
    match shown {
        Shown::Unset => out.span("quiet", "none"),
        Shown::Text(text) if text.contains('\n') => out.raw("<pre>").text(text).raw("</pre>"),
        Shown::Text(text) => out.code(text),
        Shown::AfterApply(address) => out.raw("<span class=\"quiet\">known after ").text(address).raw("</span>"),
        Shown::Withheld => out.span("quiet", "not shown"),
    };
}

/// Lines that changed, with three around them, folded.
pub(super) fn text_diff(out: &mut Out, before: &str, after: &str) {
    let diff = similar::TextDiff::from_lines(before, after);
    let changed = diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal).count();
    out.raw("<details><summary>").text(counted(changed, "line differs", "lines differ")).raw("</summary><pre>");
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        out.raw("<span class=\"at\">").text(hunk.header()).raw("</span>");
        for change in hunk.iter_changes() {
            let (class, sign) = match change.tag() {
                similar::ChangeTag::Equal => ("", " "),
                similar::ChangeTag::Insert => ("add", "+"),
                similar::ChangeTag::Delete => ("del", "-"),
            };
            out.raw("<span class=\"").raw(class).raw("\">").raw(sign).text(change.value().trim_end_matches('\n'));
            out.raw("</span>");
        }
    }
    out.raw("</pre></details>");
}
