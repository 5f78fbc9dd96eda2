//! What pure planning costs: printed by `make bench`, never asserted.

use crate::scenario::Scenario;
use pgrotate::plan::Goal;
use pgrotate::render::{PlanDocument, human, paint};
use pgrotate::resources::Kinds;
use std::time::Duration;

/// Nanoseconds that this thread has run: what else the machine does makes no difference.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    let run = text.split(' ').next().and_then(|run| run.parse().ok()).expect("nanoseconds come first");
    Duration::from_nanos(run)
}

fn cost<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let began = processor();
    let made = work();
    (made, (processor() - began).as_secs_f64())
}

#[test]
#[ignore = "a measurement: make bench"]
fn planning() {
    let user = |n| format!("\n[[user]]\nlogin = \"user{n}\"\nsecret = \"user{n}_secret\"\n");
    let all = [1_000, 10_000].map(|users| {
        let fleet = Scenario::article().and(&(1..users).map(user).collect::<String>());
        let (_, read) = cost(|| fleet.config());
        let (wants, built) = cost(|| fleet.wants());
        let (live, nothing) = (crate::scenario::realise(&wants), fleet.nothing());
        let plan = |goal, live| cost(|| pgrotate::plan::plan::<Kinds>(goal, &wants, &[], live).unwrap());
        let (unchanged, planned) = plan(Goal::Converge, &live);
        assert!(unchanged.actions.is_empty());
        let (new, made) = plan(Goal::Converge, &nothing);
        let (gone, destroyed) = plan(Goal::Destroy, &live);
        let (_, drawn) = {
            let (document, status) =
                (PlanDocument::of(&new, "article", &crate::scenario::place()), crate::pages::fleet(users));
            cost(|| crate::pages::page(&document, &status, None))
        };
        let shown = |plan| cost(|| PlanDocument::of(plan, "article", &crate::scenario::place())).1;
        let shown = (shown(&new), shown(&gone));
        // Building reads the config once more.
        [read, built - read, planned, made, destroyed, shown.0, shown.1, drawn]
    });
    let names = [
        "config read",
        "desired model built",
        "plan, unchanged",
        "plan, new",
        "plan, destroyed",
        "document, new",
        "document, destroyed",
        "page, new",
    ];
    for (name, (thousand, ten)) in names.into_iter().zip(all[0].into_iter().zip(all[1])) {
        println!("  {name:<22} 1,000 users {thousand:7.3} s   10,000 users {ten:7.3} s   1 : {:.1}", ten / thousand);
    }
}

/// A plan of ten thousand actions in every format; the aim is < 1 s for each.
#[test]
#[ignore = "a measurement: make bench"]
fn rendering() {
    let user = |n| format!("\n[[user]]\nlogin = \"user{n}\"\nsecret = \"user{n}_secret\"\n");
    let fleet = Scenario::article().and(&(1..3_330).map(user).collect::<String>());
    let plan = fleet.plan(Goal::Converge, &fleet.nothing()).unwrap();
    let (document, status) =
        (PlanDocument::of(&plan, "article", &crate::scenario::place()), crate::pages::fleet(3_330));
    let each = [
        ("human", cost(|| paint::paint(&human::plan(&document))).1),
        ("JSON", cost(|| crate::scenario::json(&document)).1),
        ("Markdown", cost(|| crate::markdown::of(&document)).1),
        ("HTML", cost(|| crate::pages::page(&document, &status, None)).1),
    ];
    for (format, seconds) in each {
        println!("  {format:<22} {} actions of 3,330 users {seconds:7.3} s", plan.actions.len());
    }
}
