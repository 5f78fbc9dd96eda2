//! The HTML page: a file in `golden/html` for each of some deployments, its style and script left out; that it stands alone,
//! whatever a name holds; and its size.

use crate::lives::Life;
use crate::scenario::{SECOND_USER, Scenario, document, place};
use crate::telling::{status, tampered};
use expect_test::expect_file;
use jiff::Timestamp;
use pgrotate::code::Code;
use pgrotate::execute::{ActionError, Outcome};
use pgrotate::plan::{Goal, Plan};
use pgrotate::render::html::{self, Page};
use pgrotate::render::journal::{JournalEvent, JournalLine};
use pgrotate::render::run::{Lines, Run};
use pgrotate::render::{DriftDocument, LoginStatus, PlanDocument, StatusDocument};
use pgrotate::resource::Refusal;
use pgrotate::resources::Kinds;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const APPLY: &str = "pgrotate apply deployment.toml";

fn seen() -> Timestamp {
    "2026-03-02T09:30:00Z".parse().unwrap()
}

pub fn page(plan: &PlanDocument, status: &StatusDocument, run: Option<&Run>) -> String {
    let drift = DriftDocument::of(plan, APPLY);
    html::page(&Page { plan, drift: &drift, status, run, seen: seen(), apply: APPLY })
}

/// Logins that are well, each rotating in its own night.
pub fn fleet(logins: usize) -> StatusDocument {
    let login = |number: usize| {
        let mut login = LoginStatus::new(&format!("user{number}"), "alternating-users");
        login.schedule = "every 30 days".to_owned();
        login.current_user = Some(format!("user{number}_clone"));
        login.logs_in = Some(true);
        login.last_rotated = Some(format!("2026-02-{:02}T00:12:07Z", number % 28 + 1));
        login.next_rotation = Some(format!("2026-03-{:02}T23:59:59Z", number % 28 + 3));
        login
    };
    let database = "my-postgres-instance: PostgreSQL 16.8, available, my-postgres-instance.example:5432".to_owned();
    StatusDocument::new("article", &place(), Some(database), (0..logins).map(login).collect())
}

pub fn many_users(users: usize) -> Scenario {
    let user = |n| format!("\n[[user]]\nlogin = \"user{n}\"\nsecret = \"user{n}_secret\"\n");
    Scenario::article().and(&(1..users).map(user).collect::<String>())
}

/// What the journal of such an apply tells: each action begins when what it waits for is done and takes three seconds, or
/// five minutes for the instance. `outcome` says how each ends.
pub fn journal(plan: &Plan<Kinds>, outcome: impl Fn(usize) -> Option<Outcome>, exit: u8) -> String {
    let began: Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
    let mut lines = vec![(
        0,
        JournalEvent::Begin {
            command: "apply".to_owned(),
            deployment: "article".to_owned(),
            account: place().account,
            region: place().region,
            version: "0.1.0",
            actions: plan.actions.len(),
        },
    )];
    let mut ends: BTreeMap<usize, u64> = BTreeMap::new();
    for &number in plan.order.sorted() {
        let action = &plan.actions[number];
        let start = plan.order.prerequisites(number).iter().map(|first| ends[first]).max().unwrap_or(0);
        let long = action.address.kind.0 == "db_instance";
        let took = if long { 300_000 } else { 3_000 };
        ends.insert(number, start + took);
        let ended = outcome(number).unwrap_or(Outcome::Done(Duration::from_millis(took)));
        let ran = !matches!(ended, Outcome::Skipped { .. } | Outcome::Cancelled);
        if ran {
            lines.push((start, JournalEvent::started(plan, number)));
        }
        if long {
            let action = pgrotate::render::journal::Told::of(action);
            let saying = "it is creating".to_owned();
            lines.push((start + 10_000, JournalEvent::Waiting { action, saying, since_ms: 10_000 }));
        }
        lines.push((start + took, JournalEvent::ended(action, &ended)));
    }
    lines.sort_by_key(|(at, _)| *at);
    let end = lines.last().map_or(0, |(at, _)| *at);
    lines.push((end, JournalEvent::End { exit, duration_ms: Some(end), under_way: None }));
    let text = |(at, event): (u64, JournalEvent)| {
        let time = began + Duration::from_millis(at);
        let time = time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        serde_json::to_string(&JournalLine::new("a", time, event)).unwrap() + "\n"
    };
    lines.into_iter().map(text).collect()
}

fn run(journal: &str) -> Run {
    Lines::read(journal.as_bytes()).unwrap().last_run("article", &place()).unwrap()
}

/// Of a new deployment, whose stack fails: what waits for it is skipped.
fn failed() -> (Plan<Kinds>, Run) {
    let article = Scenario::article().and(SECOND_USER);
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let stack = plan.actions.iter().position(|action| action.address.kind.0 == "stack").unwrap();
    let why = "somebody else has made <it>";
    let outcome = |number: usize| {
        if number == stack {
            let refusal = Refusal::new(Code::NotOurs, why, "choose another `name` in [function]");
            return Some(Outcome::Failed(ActionError::Refused(refusal)));
        }
        let kind = plan.actions[number].address.kind.0;
        (kind == "login" || kind == "rotation").then(|| Outcome::Skipped { after: plan.actions[stack].address.clone() })
    };
    let run = run(&journal(&plan, outcome, 5));
    (plan, run)
}

/// Start tags with their attributes' names, and end tags, one by one.
fn skeleton(page: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let mut tag = String::new();
        let mut quoted = false;
        let end = rest.char_indices().find(|&(_, c)| {
            match c {
                '"' => quoted = !quoted,
                '>' if !quoted => return true,
                c if !quoted => tag.push(c),
                _ => {}
            }
            false
        });
        rest = &rest[end.expect("every tag ends").0..];
        // What these hold is no markup.
        for raw in ["style", "script"] {
            if tag == raw {
                rest = &rest[rest.find(&format!("</{raw}>")).expect("its end")..];
            }
        }
        tags.push(tag);
    }
    tags
}

/// What holds of every page: only what we use, nothing that is loaded, links that lead somewhere, each id once, what is
/// opened is closed, and the policy lets in just what is there.
fn well_formed(page: &str) {
    let mut open: Vec<String> = Vec::new();
    // Their end tags may be left out.
    const OPEN_ENDED: [&str; 8] = ["li", "tr", "td", "th", "thead", "tbody", "html", "body"];
    const VOID: [&str; 4] = ["meta", "link", "input", "!doctype"];
    const KNOWN: [&str; 51] = [
        "!doctype", "html", "head", "meta", "link", "title", "style", "body", "a", "header", "h1", "h2", "h3", "small",
        "p", "nav", "ul", "li", "b", "main", "div", "input", "button", "span", "section", "table", "caption", "thead",
        "tbody", "tr", "th", "td", "code", "time", "details", "summary", "pre", "del", "ins", "svg", "g", "path",
        "rect", "text", "footer", "script", "strong", "line", "defs", "use", "em",
    ];
    const ATTRIBUTES: [&str; 41] = [
        "html",
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "rel",
        "href",
        "class",
        "id",
        "tabindex",
        "role",
        "aria-label",
        "aria-labelledby",
        "aria-hidden",
        "hidden",
        "type",
        "autocomplete",
        "spellcheck",
        "placeholder",
        "datetime",
        "colspan",
        "scope",
        "data-l",
        "width",
        "height",
        "viewBox",
        "d",
        "x",
        "y",
        "rx",
        "preserveAspectRatio",
        "d/",
        "rx/",
        "height/",
        "/",
        "y/",
        "width/",
        "x/",
        "colspan/",
        "lang/",
    ];
    for tag in skeleton(page) {
        let mut parts = tag.split_whitespace();
        let name = parts.next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(name) if OPEN_ENDED.contains(&name) => {}
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name), "</{name}>"),
            None => {
                assert!(KNOWN.contains(&name), "<{tag}>");
                for attribute in parts.clone() {
                    let attribute = attribute.trim_end_matches('=').replace("=/", "/");
                    assert!(ATTRIBUTES.contains(&attribute.as_str()), "<{tag}>: {attribute}");
                }
                if !VOID.contains(&name) && !OPEN_ENDED.contains(&name) && !tag.ends_with('/') {
                    open.push(name.to_owned());
                }
            }
        }
    }
    assert_eq!(open, Vec::<String>::new(), "all is closed");
    let values = |name: &str| -> Vec<&str> {
        let mark = format!(" {name}=\"");
        page.split(&mark).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
    };
    let ids: BTreeSet<_> = values("id").into_iter().collect();
    assert_eq!(ids.len(), values("id").len(), "an id stands twice");
    for link in values("href") {
        let leads = link == "data:," || link.strip_prefix('#').is_some_and(|id| ids.contains(id));
        assert!(leads, "{link} leads nowhere");
    }
    for label in values("aria-labelledby") {
        assert!(ids.contains(label), "{label}");
    }
    let between =
        |open: &str, close: &str| page.split_once(open).and_then(|(_, rest)| rest.split_once(close)).unwrap().0;
    let policy = between("content=\"default-src", "\"");
    for (tag, rule) in [("style", "style-src"), ("script", "script-src")] {
        let text = between(&format!("<{tag}>"), &format!("</{tag}>"));
        let digest = {
            use base64::Engine;
            use sha2::Digest;
            base64::prelude::BASE64_STANDARD.encode(sha2::Sha256::digest(text))
        };
        assert!(policy.contains(&format!("{rule} &#39;sha256-{digest}&#39;")), "{policy}");
        for loading in ["@import", "url(", "fetch(", "XMLHttp", "import(", "innerHTML", "eval("] {
            assert!(!text.contains(loading), "{loading}");
        }
    }
}

pub fn golden(name: &str, page: &str) {
    well_formed(page);
    let cut = |page: &str, tag: &str| {
        let (before, rest) = page.split_once(&format!("<{tag}>")).unwrap();
        format!("{before}<{tag}>{}", &rest[rest.find(&format!("</{tag}>")).unwrap()..])
    };
    let mut text = cut(&cut(page, "style"), "script");
    // They change with every change of what was left out, and are checked above.
    for rule in ["style-src &#39;sha256-", "script-src &#39;sha256-"] {
        let at = text.find(rule).unwrap() + rule.len();
        let end = at + text[at..].find("&#39;").unwrap();
        text.replace_range(at..end, "…");
    }
    expect_file![format!("golden/html/{name}.html")].assert_eq(&text);
}

#[test]
fn of_what_somebody_has_tampered_with() {
    let (scenario, live) = tampered();
    let plan = scenario.plan(Goal::Converge, &live).unwrap();
    golden("tampered", &page(&document(&plan), &status(), None));
}

#[test]
fn of_a_user_that_is_renamed() {
    let life = crate::scenarios::all().into_iter().find(|life| life.name == "user-renamed").unwrap();
    golden("user-renamed", &page(&document(&Life::of(&life).plan()), &fleet(2), None));
}

#[test]
fn of_an_apply_that_failed() {
    let (plan, run) = failed();
    golden("apply-failed", &page(&document(&plan), &status(), Some(&run)));
}

#[test]
fn of_nothing_to_do() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Converge, &article.realised()).unwrap();
    let nothing = StatusDocument::new("article", &place(), None, Vec::new());
    golden("nothing-to-do", &page(&document(&plan), &nothing, None));
}

/// A golden file that no test reads any more tells nothing.
#[test]
fn no_golden_file_is_left_over() {
    let of_scenarios = crate::markdown::SCENARIOS.map(|name| format!("plan-{name}"));
    let alone = ["apply-failed", "nothing-to-do", "tampered", "user-renamed"].map(str::to_owned);
    let known = of_scenarios.into_iter().chain(alone).map(|name| format!("{name}.html"));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plan/golden/html");
    let there = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(there.collect::<BTreeSet<_>>(), known.collect());
}

/// Every plan of every scenario.
#[test]
fn of_every_scenario() {
    for life in crate::scenarios::all() {
        let text = page(&document(&Life::of(&life).plan()), &fleet(3), None);
        well_formed(&text);
    }
    let article = Scenario::article();
    well_formed(&page(&document(&article.plan(Goal::Destroy, &article.realised()).unwrap()), &fleet(1), None));
}

/// The critical path is the longest by the planner's own reckoning as well.
#[test]
fn the_critical_path() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let run = run(&journal(&plan, |_| None, 0));
    let took = |action: &pgrotate::plan::Action<Kinds>| {
        Duration::from_secs(if action.address.kind.0 == "db_instance" { 300 } else { 3 })
    };
    let durations: Vec<_> = plan.actions.iter().map(took).collect();
    let (_, longest) = plan.order.critical_path(&durations);
    let path = run.critical.as_ref().unwrap();
    let along: u64 = path.iter().map(|&at| run.actions[at].took(&run).unwrap()).sum();
    assert_eq!((u128::from(along), run.took), (longest.as_millis(), along));
    let kinds: Vec<_> = path.iter().map(|&at| run.actions[at].address.split('.').next().unwrap()).collect();
    assert_eq!(kinds.last(), Some(&"rotation"));
    assert!(kinds.contains(&"db_instance"), "{kinds:?}");
}

/// A document, a status and a run in which every name and text is `evil`.
fn poisoned(evil: &str) -> (PlanDocument, StatusDocument, Run) {
    let (scenario, live) = tampered();
    let mut plan = document(&scenario.plan(Goal::Converge, &live).unwrap());
    let labels: Vec<_> = plan.actions.iter().map(|action| (action.address.to_string(), action.change)).collect();
    for (number, action) in plan.actions.iter_mut().enumerate() {
        let first = labels.iter().position(|(address, _)| *address == labels[number].0).unwrap();
        action.address.name = format!("{first:03}{evil}");
        action.because = Some(evil.to_owned());
        action.leaves = Some(evil.to_owned());
        for attribute in &mut action.attributes {
            for shown in [&mut attribute.before, &mut attribute.after] {
                if let pgrotate::model::Shown::Text(text) = shown
                    && !text.contains('\n')
                {
                    evil.clone_into(text);
                }
            }
        }
    }
    let renamed: BTreeMap<_, _> =
        labels.iter().zip(&plan.actions).map(|((old, _), action)| (old.clone(), action.address.to_string())).collect();
    for label in plan.actions.iter_mut().flat_map(|action| &mut action.after) {
        let (address, change) = label.split_once(" (").map_or((label.as_str(), None), |(a, c)| (a, Some(c)));
        let address = &renamed[address];
        *label = change.map_or_else(|| address.clone(), |change| format!("{address} ({change}"));
    }
    for note in &mut plan.notes {
        evil.clone_into(&mut note.text);
        note.address.name = format!("999{evil}");
        if let Some(remedy) = &mut note.remedy {
            evil.clone_into(&mut remedy.fix);
            remedy.since = Some(evil.to_owned());
        }
    }
    evil.clone_into(&mut plan.head.deployment);
    let mut status = status();
    status.database = Some(evil.to_owned());
    for login in &mut status.logins {
        evil.clone_into(&mut login.login);
        evil.clone_into(&mut login.schedule);
        login.current_user = Some(evil.to_owned());
        for trouble in &mut login.troubles {
            evil.clone_into(&mut trouble.what);
            trouble.fix = Some(evil.to_owned());
        }
    }
    let (_, mut run) = failed();
    evil.clone_into(&mut run.command);
    evil.clone_into(&mut run.version);
    for action in &mut run.actions {
        for text in [&mut action.address, &mut action.change, &mut action.verb] {
            evil.clone_into(text);
        }
        for text in [&mut action.said, &mut action.code, &mut action.cause, &mut action.hint] {
            *text = Some(evil.to_owned());
        }
    }
    (plan, status, run)
}

fn with_all(evil: &str) -> String {
    let (plan, status, run) = poisoned(evil);
    page(&plan, &status, Some(&run))
}

/// Whatever a name holds, the page has the tags and attributes that it has with a harmless one.
#[test]
fn nothing_is_injected() {
    let harmless = skeleton(&with_all("x"));
    for evil in [
        "<script>alert(1)</script>\"'&",
        "</code></details></section><img src=x onerror=alert(1)>",
        "\" onmouseover=\"alert(1)",
        "' onfocus='alert(1)' autofocus='",
        "</title></style></script><script>alert(1)//",
        "<!--",
        "-->",
        "]]>",
        "&lt;b&gt;&#60;script&#62;",
        "javascript:alert(1)",
        "\u{0}\u{1b}[31m\u{85}",
        "\u{202e}evil",
        "</svg><foreignObject>",
    ] {
        let text = with_all(evil);
        assert!(skeleton(&text) == harmless, "{evil}");
        well_formed(&text);
        assert!(!text.contains("alert(1)") || !evil.contains('<') || !text.contains(evil), "{evil}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn nothing_is_injected_by_any_name(evil in "[<>\"'&;#/=a-z !\\-\u{0}-\u{9}\u{202e}é]{1,24}") {
        proptest::prop_assert!(skeleton(&with_all(&evil)) == skeleton(&with_all("x")), "{evil:?}");
    }
}

/// A page that a browser opens at once, and a mail takes.
#[test]
fn of_a_thousand_logins() {
    const LARGEST: usize = 3_000_000;
    let many = many_users(1_000);
    let plan = many.plan(Goal::Converge, &many.nothing()).unwrap();
    let run = run(&journal(&plan, |_| None, 0));
    let text = page(&document(&plan), &fleet(1_000), Some(&run));
    well_formed(&text);
    assert!(text.len() < LARGEST, "{} bytes", text.len());
    // All are named, and drawn as few.
    assert!((0..1_000).all(|n| text.contains(&format!("<code>user{n}</code>"))));
    assert!((1..1_000).all(|n| text.contains(&format!("<code>rotation.user{n}</code>"))));
    let boxes = text.matches("class=\"box ").count();
    assert!(boxes < 40, "{boxes} boxes");
    let settled = page(&document(&many.plan(Goal::Converge, &many.realised()).unwrap()), &fleet(1_000), None);
    assert!(settled.len() < LARGEST / 2, "{} bytes", settled.len());
    assert!(text == page(&document(&plan), &fleet(1_000), Some(&run)), "the same each time");
}

/// Writes pages for `tests/browser/check`: what it opens is what is made here.
#[test]
#[ignore = "for make browser"]
fn for_the_browser() {
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/../pages");
    std::fs::create_dir_all(folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(format!("{folder}/{name}.html"), text).unwrap();
    let (scenario, live) = tampered();
    let whole = scenario.plan(Goal::Converge, &live).unwrap();
    let (_, run) = failed();
    write("one", &page(&document(&whole), &status(), Some(&run)));
    let article = Scenario::article();
    let new = article.plan(Goal::Converge, &article.nothing()).unwrap();
    write("new", &page(&document(&new), &fleet(1), Some(&self::run(&journal(&new, |_| None, 0)))));
    let life = crate::scenarios::all().into_iter().find(|life| life.name == "user-renamed").unwrap();
    write("renamed", &page(&document(&Life::of(&life).plan()), &fleet(12), None));
    let settled = article.plan(Goal::Converge, &article.realised()).unwrap();
    write("nothing", &page(&document(&settled), &fleet(2), None));
    let many = many_users(1_000);
    let plan = many.plan(Goal::Converge, &many.nothing()).unwrap();
    write("thousand", &page(&document(&plan), &fleet(1_000), Some(&self::run(&journal(&plan, |_| None, 0)))));
    write("evil", &with_all("<script>alert(1)</script>\"'&"));
}
