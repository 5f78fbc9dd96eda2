//! Lints in a plan: short, below all that it does, and whole in its JSON.

use crate::scenario::{ARTICLE, Scenario, document, golden, json, place};
use pgrotate::aws::{ProxyAuth, ProxyLook};
use pgrotate::config::Source;
use pgrotate::lint::{Finding, Live, lint};
use pgrotate::plan::Goal;
use pgrotate::render::human;

/// The article's, with nothing allowed, behind a proxy that knows only one of the two users.
fn scenario() -> Scenario {
    let (before, rest) = ARTICLE.split_once("allow = [\n").expect("what the article allows");
    let (_, after) = rest.split_once("]\n").expect("its end");
    Scenario::of(&format!("{before}{after}"))
}

fn lints(scenario: &Scenario, proxies: Result<&[ProxyLook], &str>) -> Vec<Finding> {
    let source = Source::new("article.toml", &*scenario.text);
    lint(&scenario.config(), &source, Some(Live { place: &place(), proxies }))
}

#[test]
fn told_below_the_plan() {
    let scenario = scenario();
    let secret = place().arn("secretsmanager", "secret:test_user1_secret-AbCdEf");
    let auth = vec![ProxyAuth { secret: Some(secret), user: None }];
    let proxy = ProxyLook { name: "front".to_owned(), auth };
    let plan = scenario.plan(Goal::Converge, &scenario.realised()).unwrap();
    let document = document(&plan).linted(lints(&scenario, Ok(&[proxy])));
    golden("lints", &human::plan(&document));
    golden("lints-json", &json(&document));
    crate::markdown::golden("lints", &crate::markdown::of(&document));
}

#[test]
fn proxies_that_cannot_be_seen_are_no_reason_not_to_plan() {
    let scenario = Scenario::article();
    let plan = scenario.plan(Goal::Converge, &scenario.realised()).unwrap();
    let why = "rds DescribeDBProxies: AccessDenied: not authorized to perform rds:DescribeDBProxies";
    let document = document(&plan).linted(lints(&scenario, Err(why)));
    golden("lints-proxies-unseen", &human::plan(&document));
}
