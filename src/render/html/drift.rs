//! What has moved away from the config, the most severe first.

use super::super::drift::{DriftDocument, Finding, Moved};
use super::out::{Grouped, Out};
use super::plan::{text_diff, value};
use crate::model::Shown;

/// How many findings there are of each severity, the most severe first.
pub(super) fn counts(drift: &DriftDocument) -> Vec<(&'static str, usize)> {
    // Sorted by it, so that equal ones stand together.
    drift.findings.chunk_by(|a, b| a.severity == b.severity).map(|each| (each[0].severity.text(), each.len())).collect()
}

/// `apply` mends what names no other fix: said once, not of each.
pub(super) fn section(out: &mut Out, drift: &DriftDocument, apply: &str) {
    out.raw("<section id=\"drift\" aria-labelledby=\"h-drift\"><h2 id=\"h-drift\">Drift</h2>");
    if drift.findings.is_empty() {
        out.raw("<p><span class=\"ok\">None.</span> All ").text(Grouped(drift.unchanged));
        out.raw(" resources are as declared.</p></section>\n");
        return;
    }
    out.raw("<p class=\"quiet\">").text(Grouped(drift.unchanged)).raw(" resources are as declared; these are not.");
    if drift.findings.iter().any(|finding| finding.fix == apply) {
        out.raw(" What names no other fix is mended by ").code(apply).raw(".");
    }
    out.raw("</p>");
    out.raw("<ul class=\"list\">");
    for finding in &drift.findings {
        self::finding(out, finding, apply);
    }
    out.raw("</ul></section>\n");
}

fn finding(out: &mut Out, finding: &Finding, apply: &str) {
    let Finding { address: _, code: _, severity: _, what: _, since: _, missing, moved, fix: _ } = finding;
    if moved.is_empty() {
        out.raw("<li class=\"f\"><div class=\"bare\">");
        head(out, finding, apply);
        out.raw("</div>");
        return;
    }
    out.raw("<li class=\"f\"><details><summary>");
    head(out, finding, apply);
    out.raw("</summary><div class=\"in\"><table>");
    out.raw(if *missing {
        "<thead><tr><th>attribute<th>declared<tbody>"
    } else {
        "<thead><tr><th>attribute<th>declared<th>is<tbody>"
    });
    for each in moved {
        self::moved(out, each, *missing);
    }
    out.raw("</table></div></details>");
}

fn head(out: &mut Out, finding: &Finding, apply: &str) {
    let Finding { address, code, severity, what, since, missing: _, moved: _, fix } = finding;
    let severity = severity.text();
    out.raw("<span class=\"tag ").raw(severity).raw("\">").raw(severity).raw("</span> ");
    out.code(address).raw(" ").text(what).raw(" ").span("quiet", code);
    if let Some(since) = since {
        out.raw(" <span class=\"quiet\">since ").moment(since).raw(" UTC</span>");
    }
    if fix != apply {
        out.raw("<span class=\"fix\"><span class=\"quiet\">fix:</span> ").code(fix).raw("</span>");
    }
}

fn moved(out: &mut Out, Moved { name, declared, is }: &Moved, missing: bool) {
    out.raw("<tr><th scope=\"row\">").text(name);
    match (declared, is) {
        (declared, _) if missing => {
            out.raw("<td>");
            value(out, declared);
        }
        (Shown::Text(declared), Shown::Text(is)) if declared.contains('\n') || is.contains('\n') => {
            out.raw("<td colspan=\"2\"><span class=\"quiet\">− as declared, + as it is</span>");
            text_diff(out, declared, is);
        }
        (declared, is) => {
            out.raw("<td>");
            value(out, declared);
            out.raw("<td>");
            value(out, is);
        }
    }
}
