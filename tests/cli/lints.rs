//! Lints as `validate` tells them, and that each has its row in `docs/lint.md`.

use crate::snapshot::{bare, check};
use crate::support::ARTICLE;
use pgrotate::config::LintCode;
use std::process::Output;

const DOCS: &str = include_str!("../../docs/lint.md");

/// All that AWS need not be asked for, a few times.
const REGRETTED: &str = r#"deployment = "regretted"
aws = { region = "eu-north-1" }

[network]
vpc = "vpc-02294c945121da772"
subnets = ["subnet-05a8a2c78756260ed", "subnet-0cf57825fcf0c3cbd"]
allow = [{ cidr = "0.0.0.0/0", description = "all" }, { cidr = "::/0", description = "all the others" }]

[database]
identifier = "regretted"
subnet_group = "regretted"
engine_version = "16"
class = "db.t4g.micro"
storage = { gib = 20 }
backup_days = 0
public = true
encrypted = false
deletion_protection = false
final_snapshot = false

[lint]
allow = [
    { code = "no-backup", reason = "made anew every night" },
    { code = "open-to-the-world", of = "::/0", reason = "the subnets have no IPv6" },
    { code = "slow-rotation", of = "nobody", reason = "gone since" },
]
slow_after_days = 60

[rotation]
every = "1 day"
recovery_days = 7

[admin]
login = "rotator_admin"
secret = "regretted/rotator_admin"
every = "90 days"

[[user]]
login = "web"
secret = "regretted/web"

[[user]]
login = "shop"
secret = "regretted/shop"

[[user]]
login = "batch"
secret = "regretted/batch"
strategy = "single-user"
cron = "cron(0 8/8 * * ? *)"

[[user]]
login = "month"
secret = "regretted/month"
cron = "cron(0 4 31 * ? *)"

[[user]]
login = "week"
secret = "regretted/week"
cron = "cron(0 4 ? * 1 *)"

[[user]]
login = "night"
secret = "regretted/night"
every = "14 days"
window = "2h"
"#;

fn validate(text: &str, flags: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("regretted.toml"), text).unwrap();
    bare(folder.path(), &[&["validate", "regretted.toml"], flags].concat()).output().unwrap()
}

#[test]
fn each_where_it_stands() {
    let done = validate(REGRETTED, &[]);
    check(&done, &[], "lints");
    let told = String::from_utf8(done.stdout).unwrap();
    for code in LintCode::ALL.iter().filter(|code| !code.is_live() && **code != LintCode::NoBackup) {
        assert!(told.contains(&format!("lint[{code}]: ")), "{code}");
    }
}

#[test]
fn what_is_not_allowed_is_refused_where_that_is_asked() {
    let done = validate(REGRETTED, &["--deny-lints"]);
    let told = Output { stdout: Vec::new(), ..done.clone() };
    check(&told, &[], "lints-denied");
    assert_eq!(done.stdout, validate(REGRETTED, &[]).stdout, "they are told all the same");
    assert_eq!(validate(ARTICLE, &["--deny-lints"]).status.code(), Some(0));
}

/// Where a lint stands is cut to the terminal, as where an error stands.
#[test]
fn on_a_narrow_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let wide = ARTICLE.replace(
        "[{ cidr = \"203.0.113.7/32\"",
        "[{ description = \"x\", cidr = \"0.0.0.0/0\" }, { cidr = \"203.0.113.7/32\"",
    );
    std::fs::write(folder.path().join("wide.toml"), wide).unwrap();
    let done = bare(folder.path(), &["validate", "wide.toml"]).env("COLUMNS", "40").output().unwrap();
    check(&done, &[], "lints-in-forty-columns");
}

#[test]
fn every_lint_has_its_row() {
    let rows: Vec<Vec<&str>> = DOCS
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let documented: Vec<_> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let mut known: Vec<_> = LintCode::ALL.iter().map(|code| code.text()).collect();
    known.sort_unstable();
    assert_eq!(documented, known, "docs/lint.md, sorted by code");
    for row in rows {
        let [code, found, why, instead, allowed] = row[..] else { panic!("a row of five cells: {row:?}") };
        let of = LintCode::ALL.iter().find(|known| known.text() == code.trim_matches('`')).unwrap();
        assert_eq!(why, of.why(), "{code}");
        assert!(found.len() > 10 && instead.len() > 5, "{code} has no finding or no advice");
        let entry = format!("{{ code = \"{of}\"");
        assert!(allowed.contains(&entry) != (*of == LintCode::UnusedAllow), "{code}: {allowed}");
    }
}

/// The examples of the document are configs that pgrotate reads.
#[test]
fn the_example_is_one() {
    let example = DOCS.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let without = REGRETTED.split("[lint]").next().unwrap();
    let after = REGRETTED.split_once("slow_after_days = 60\n").unwrap().1;
    pgrotate::config::parse("example.toml", &format!("{without}{example}{after}")).unwrap_or_else(|e| panic!("{e}"));
}
