//! The same plans in every format: for people (`golden`, by [`crate::lives`]), as Markdown (`golden/markdown`, by
//! [`crate::markdown`]), and here as JSON, as a page, and what `drift` makes of them.

use crate::lives::Life;
use crate::markdown::SCENARIOS;
use crate::scenario::{check_edges, document, json};
use crate::schemas::{fits, schema};
use expect_test::expect_file;
use pgrotate::render::{DriftDocument, PlanDocument, human, markdown};
use pgrotate::schema::Subject;

fn each(of: impl Fn(&str, PlanDocument)) {
    for name in SCENARIOS {
        let life = crate::scenarios::all().into_iter().find(|life| life.name == name);
        let life = life.unwrap_or_else(|| panic!("no scenario {name}"));
        of(name, document(&Life::of(&life).plan()));
    }
}

#[test]
fn plans_as_json() {
    let schema = schema(Subject::Plan);
    each(|name, plan| {
        check_edges(&plan);
        fits(&schema, &plan, name);
        expect_file![format!("golden/json/{name}.json")].assert_eq(&json(&plan));
    });
}

#[test]
fn plans_as_pages() {
    each(|name, plan| {
        let text = crate::pages::page(&plan, &crate::pages::fleet(2), None);
        crate::pages::golden(&format!("plan-{name}"), &text);
    });
}

/// The human text names each address that the JSON has, in its order: both are of one document.
#[test]
fn people_and_programs_read_the_same() {
    each(|name, plan| {
        let text = human::plan(&plan);
        let mut rest = text.as_str();
        for action in &plan.actions {
            let head = format!(" {}\n", action.address);
            let at = rest.find(&head).unwrap_or_else(|| panic!("{name}: {} is not told in its order", action.address));
            rest = &rest[at + head.len()..];
        }
    });
}

#[test]
fn drift() {
    let schema = schema(Subject::Drift);
    each(|name, plan| {
        let drift = DriftDocument::of(&plan, "pgrotate apply deployment.toml");
        fits(&schema, &drift, name);
        let text = serde_json::to_string_pretty(&drift).unwrap() + "\n";
        expect_file![format!("golden/drift/{name}.json")].assert_eq(&text);
        expect_file![format!("golden/drift/{name}.txt")].assert_eq(&human::drift(&drift));
        let comment = markdown::drift(&drift, "pgrotate drift deployment.toml");
        crate::markdown::well_formed(&comment);
        expect_file![format!("golden/drift/{name}.md")].assert_eq(&comment);
    });
}
