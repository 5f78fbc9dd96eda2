//! Each lint: found, not found, and allowed.

use super::{Finding, Live, lint};
use crate::aws::{ProxyAuth, ProxyLook};
use crate::config::{self, LintCode, Source};
use crate::model::Place;
use std::collections::BTreeSet;

const LEAST: &str = r#"deployment = "demo"
[aws]
region = "eu-north-1"
[network]
vpc = "vpc-02294c945121da772"
subnets = ["subnet-05a8a2c78756260ed", "subnet-0cf57825fcf0c3cbd"]
[database]
identifier = "db"
subnet_group = "group"
engine_version = "16"
class = "db.t3.micro"
storage = { gib = 20 }
[rotation]
every = "10 days"
[admin]
login = "rotator"
secret = "rotator_secret"
[[user]]
login = "app"
secret = "app_secret"
"#;

fn with(old: &str, new: &str) -> String {
    assert_eq!(LEAST.matches(old).count(), 1, "{old} stands once in the least config");
    LEAST.replace(old, new)
}

fn place() -> Place {
    Place { partition: "aws".to_owned(), region: "eu-north-1".to_owned(), account: "111122223333".to_owned() }
}

fn found_with(text: &str, proxies: Option<Result<&[ProxyLook], &str>>) -> Vec<Finding> {
    let config = config::parse("demo.toml", text).unwrap_or_else(|errors| panic!("{errors}"));
    let source = Source::new("demo.toml", text);
    let place = place();
    lint(&config, &source, proxies.map(|proxies| Live { place: &place, proxies }))
}

fn found(text: &str) -> Vec<Finding> {
    found_with(text, None)
}

/// The one finding, by its code: at the line that holds `at`.
fn finds(text: &str, code: LintCode, at: &str) -> Finding {
    let [finding] = found(text).try_into().unwrap_or_else(|found| panic!("{code}: {found:#?}"));
    assert_eq!(finding.code, code, "{finding:?}");
    let line = text.lines().nth(finding.line.expect("a line") - 1).expect("it is there");
    assert!(line.contains(at), "`{line}` holds `{at}`");
    // The same, allowed; and by an entry for somebody else, which allows nothing.
    let allow = |of: &str| format!("{text}\n[lint]\nallow = [{{ code = \"{code}\"{of}, reason = \"a test\" }}]\n");
    assert_eq!(found(&allow("")), [], "{code}");
    let codes: BTreeSet<_> = found(&allow(", of = \"somebody\"")).iter().map(|finding| finding.code).collect();
    assert_eq!(codes, BTreeSet::from([code, LintCode::UnusedAllow]));
    for of in &finding.of {
        let left = found(&allow(&format!(", of = \"{of}\"")));
        assert!(left.iter().all(|left| !left.of.contains(of)), "{left:?}");
    }
    finding
}

fn scheduled(keys: &str) -> String {
    with("every = \"10 days\"", keys)
}

/// A user's own keys.
fn user(keys: &str) -> String {
    format!("{LEAST}{keys}\n")
}

#[test]
fn nothing_is_found_in_defaults_and_in_what_is_meant() {
    assert_eq!(found(LEAST), []);
    for (name, text) in [
        ("article", include_str!("../../configs/article.toml")),
        ("aurora-cluster", include_str!("../../configs/scenarios/aurora-cluster.toml")),
        ("existing-database", include_str!("../../configs/scenarios/existing-database.toml")),
        ("existing-network", include_str!("../../configs/scenarios/existing-network.toml")),
        ("many-users", include_str!("../../configs/scenarios/many-users.toml")),
        ("nat", include_str!("../../configs/scenarios/nat.toml")),
        ("private", include_str!("../../configs/scenarios/private.toml")),
    ] {
        assert_eq!(found(text), [], "{name}");
    }
}

#[test]
fn network() {
    for cidr in ["0.0.0.0/0", "::/0"] {
        let open = with("[database]", &format!("allow = [{{ cidr = \"{cidr}\", description = \"all\" }}]\n[database]"));
        let finding = finds(&open, LintCode::OpenToTheWorld, cidr);
        assert_eq!(finding.of, [cidr]);
    }
    let narrow = "allow = [{ cidr = \"0.0.0.0/1\", description = \"half\" }, { group = \"sg-0aaaaaaaaaaaaaaaa\", description = \"b\" }]";
    assert_eq!(found(&with("[database]", &format!("{narrow}\n[database]"))), []);
}

#[test]
fn instance() {
    for (key, code) in [
        ("public = true", LintCode::Public),
        ("encrypted = false", LintCode::Unencrypted),
        ("backup_days = 0", LintCode::NoBackup),
        ("deletion_protection = false", LintCode::Unprotected),
        ("final_snapshot = false", LintCode::NoFinalSnapshot),
    ] {
        let finding = finds(&with("[rotation]", &format!("{key}\n[rotation]")), code, key);
        assert_eq!(finding.of, Vec::<String>::new());
    }
    for key in
        ["public = false", "encrypted = true", "backup_days = 1", "deletion_protection = true", "final_snapshot = true"]
    {
        assert_eq!(found(&with("[rotation]", &format!("{key}\n[rotation]"))), [], "{key}");
    }
}

#[test]
fn recovery_windows() {
    let finding = finds(&user("recovery_days = 7"), LintCode::ShortRecoveryWindow, "recovery_days = 7");
    assert_eq!(finding.of, ["app"]);
    let of_all = finds(&scheduled("every = \"10 days\"\nrecovery_days = 13"), LintCode::ShortRecoveryWindow, "= 13");
    assert_eq!(of_all.of, ["app", "rotator"]);
    assert_eq!(found(&user("recovery_days = 14")), []);
}

#[test]
fn slow_rotations() {
    let finding = finds(&user("every = \"91 days\""), LintCode::SlowRotation, "91 days");
    assert!(finding.what.contains("91 days pass") && finding.what.ends_with("(app)"), "{}", finding.what);
    assert_eq!(found(&user("every = \"90 days\"")), []);
    assert_eq!(found(&format!("{}\n[lint]\nslow_after_days = 91\n", user("every = \"91 days\""))), []);
    let weekly = format!("{}\n[lint]\nslow_after_days = 7\n", user("every = \"8 days\""));
    // The admin's 30 days, where they are not written: at its login.
    let lines: Vec<_> = found(&weekly).iter().map(|finding| (finding.code, finding.line)).collect();
    assert_eq!(lines, [(LintCode::SlowRotation, Some(16)), (LintCode::SlowRotation, Some(21))]);
    // Four times a year, and once.
    let quarters = "cron = \"cron(0 1 1 JAN,APR,JUL,OCT ? *)\"\nwindow = \"2h\"";
    let finding = finds(&user(quarters), LintCode::SlowRotation, "JAN,APR");
    assert!(finding.what.contains("92 days"), "{}", finding.what);
    assert_eq!(found(&user("cron = \"cron(0 1 L * ? *)\"\nwindow = \"2h\"")), []);
}

#[test]
fn fast_rotations() {
    for (keys, told) in [
        ("every = \"4 hours\"", "3 hours apart"),
        ("every = \"6 hours\"", "5 hours apart"),
        ("every = \"12 hours\"\nwindow = \"8h\"", "4 hours apart"),
        // All of the day is its window: the end of one is the beginning of the next.
        ("every = \"1 day\"", "at once"),
        ("cron = \"cron(0 0/8 * * ? *)\"\nwindow = \"8h\"", "at once"),
    ] {
        let finding = found(&user(keys)).into_iter().find(|finding| finding.code == LintCode::FastRotation);
        let finding = finding.unwrap_or_else(|| panic!("{keys}"));
        assert!(finding.what.contains(told) && finding.of == ["app"], "{keys}: {}", finding.what);
    }
    finds(&user("every = \"4 hours\""), LintCode::FastRotation, "4 hours");
    finds(&user("every = \"1 day\""), LintCode::FastRotation, "1 day");
    for enough in [
        "every = \"7 hours\"",
        "every = \"12 hours\"\nwindow = \"6h\"",
        "every = \"2 days\"",
        "cron = \"cron(0 0/8 * * ? *)\"",
    ] {
        assert_eq!(found(&user(enough)), [], "{enough}");
    }
    // Nobody but the functions uses the admin's.
    assert_eq!(found(&with("[[user]]", "every = \"4 hours\"\n[[user]]")), []);
}

#[test]
fn a_single_user_has_no_overlap() {
    let single = |keys: &str| user(&format!("strategy = \"single-user\"\n{keys}"));
    let finding = finds(&single("every = \"12 hours\""), LintCode::FastRotation, "12 hours");
    assert!(finding.what.contains("no overlap"), "{}", finding.what);
    assert_eq!(found(&single("every = \"1 day\"")), []);
    assert_eq!(found(&single("cron = \"cron(0 12 ? * MON-FRI *)\"\nwindow = \"2h\"")), []);
}

#[test]
fn cron_expressions_that_are_not_what_they_look_like() {
    let cron = |text: &str| user(&format!("cron = \"{text}\"\nwindow = \"2h\""));
    let told = |text: &str, code| finds(&cron(text), code, "cron(").what;
    let what = told("cron(0 4 31 * ? *)", LintCode::SkippedMonths);
    assert!(what.contains("FEB, APR, JUN, SEP, NOV") && what.contains("61 days"), "{what}");
    let rare = found(&cron("cron(0 4 ? * SUN#5 *)"));
    let codes: Vec<_> = rare.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [LintCode::SlowRotation, LintCode::SkippedMonths]);
    let what = told("cron(0 8/8 * * ? *)", LintCode::UnevenSteps);
    assert!(what.contains("`8/8`") && what.contains("8 hours to 16 hours"), "{what}");
    let what = told("cron(0 4 1/7 * ? *)", LintCode::UnevenSteps);
    assert!(what.contains("each month") && what.contains("1 day to 7 days"), "{what}");
    let what = told("cron(0 4 ? * 1 *)", LintCode::NumberedWeekday);
    assert!(what.contains("SUN"), "{what}");
    for plain in ["cron(0 4 28 * ? *)", "cron(0 4 L * ? *)", "cron(0 4 ? * MON-FRI *)", "cron(0 0/12 * * ? *)"] {
        assert_eq!(found(&cron(plain)), [], "{plain}");
    }
}

#[test]
fn windows() {
    let open = "cron = \"cron(0 4 ? * SUN *)\"";
    let finding = finds(&user(open), LintCode::NoWindow, open);
    assert!(finding.what.contains("4:00"), "{}", finding.what);
    assert_eq!(found(&user(&format!("{open}\nwindow = \"2h\""))), []);
    let midnight = "every = \"7 days\"\nwindow = \"2h\"";
    finds(&user(midnight), LintCode::MidnightWindow, "7 days");
    assert_eq!(found(&user("every = \"7 days\"\nwindow = \"24h\"")), []);
}

#[test]
fn one_finding_for_all_who_share_a_default() {
    let mut text = scheduled("every = \"4 hours\"");
    for number in 1..=7 {
        text.push_str(&format!("[[user]]\nlogin = \"user{number}\"\nsecret = \"user{number}_secret\"\n"));
    }
    let finding = finds(&text, LintCode::FastRotation, "4 hours");
    assert!(finding.what.ends_with("(app, user1, user2, user3, user4 and 3 more)"), "{}", finding.what);
    assert_eq!(finding.of.len(), 8);
}

fn proxy(name: &str, auth: &[(&str, Option<&str>)]) -> ProxyLook {
    let auth = auth.iter().map(|(secret, user)| ProxyAuth {
        secret: Some(format!("arn:aws:secretsmanager:eu-north-1:111122223333:secret:{secret}")),
        user: user.map(str::to_owned),
    });
    ProxyLook { name: name.to_owned(), auth: auth.collect() }
}

#[test]
fn proxies_that_know_one_of_two_users() {
    let found = |text: &str, proxies: &[ProxyLook]| found_with(text, Some(Ok(proxies)));
    for one in [
        proxy("front", &[("app_secret-AbCdEf", None)]),
        proxy("front", &[("app_secret", None)]),
        proxy("front", &[("app_secret-AbCdEf", Some("app")), ("other-AbCdEf", Some("other"))]),
    ] {
        let [finding] = found(LEAST, &[proxy("other", &[]), one]).try_into().unwrap();
        assert_eq!((finding.code, &finding.of[..]), (LintCode::ProxyWithOneSecret, &["front".to_owned()][..]));
        assert_eq!(LEAST.lines().nth(finding.line.unwrap() - 1), Some("secret = \"app_secret\""));
    }
    let front = [proxy("front", &[("app_secret-AbCdEf", None)])];
    for none in [
        proxy("front", &[("app_secret-AbCdEf", Some("app")), ("app_secret-AbCdEf", Some("app_clone"))]),
        proxy("front", &[("app_secret-AbCdEf", Some("app")), ("app_twin-AbCdEf", Some("app_clone"))]),
        // Names that only begin like it, or an end that is none.
        proxy("front", &[("app_secret_2-AbCdEf", None), ("app_secret-2-AbCdEf", None), ("app_secret-AbC", None)]),
        proxy("front", &[("rotator_secret-AbCdEf", None)]),
    ] {
        assert_eq!(found(LEAST, std::slice::from_ref(&none)), [], "{none:?}");
    }
    let elsewhere = ProxyLook {
        name: "front".to_owned(),
        auth: vec![ProxyAuth {
            secret: Some("arn:aws:secretsmanager:eu-west-1:111122223333:secret:app_secret-AbCdEf".to_owned()),
            user: None,
        }],
    };
    assert_eq!(found(LEAST, &[elsewhere]), []);
    assert_eq!(found(&user("strategy = \"single-user\""), &front), []);
    for of in ["", ", of = \"front\""] {
        let allowed = format!(
            "{LEAST}[lint]\nallow = [{{ code = \"proxy-with-one-secret\"{of}, reason = \"it reads anew\" }}]\n"
        );
        assert_eq!(found(&allowed, &front), []);
        let [unused] = found(&allowed, &[]).try_into().unwrap();
        assert_eq!(unused.code, LintCode::UnusedAllow);
        // Without a look at AWS nobody can say that it allows nothing.
        assert_eq!(super::tests::found(&allowed), []);
    }
}

#[test]
fn proxies_that_cannot_be_seen() {
    let denied = Some(Err("rds DescribeDBProxies: AccessDenied: no"));
    let [unseen] = found_with(LEAST, denied).try_into().unwrap();
    assert_eq!((unseen.code, unseen.line), (LintCode::ProxiesUnseen, None));
    assert!(unseen.what.contains("AccessDenied") && unseen.hint.contains("rds:DescribeDBProxies"));
    assert_eq!(found_with(&user("strategy = \"single-user\""), denied), []);
    let allow = |code: &str| format!("{LEAST}[lint]\nallow = [{{ code = \"{code}\", reason = \"there are none\" }}]\n");
    assert_eq!(found_with(&allow("proxies-unseen"), denied), []);
    let [unused] = found_with(&allow("proxies-unseen"), Some(Ok(&[]))).try_into().unwrap();
    assert_eq!(unused.code, LintCode::UnusedAllow);
    let [unseen] = found_with(&allow("proxy-with-one-secret"), denied).try_into().unwrap();
    assert_eq!(unseen.code, LintCode::ProxiesUnseen);
}

#[test]
fn an_entry_that_allows_nothing_is_told() {
    let text = format!(
        "{LEAST}[lint]\nallow = [\n  {{ code = \"public\", reason = \"it was\" }},\n  {{ code = \"slow-rotation\", of = \"app\", reason = \"b\" }},\n]\n"
    );
    let told: Vec<_> = found(&text).into_iter().map(|finding| (finding.code, finding.line, finding.what)).collect();
    assert_eq!(
        told,
        [
            (LintCode::UnusedAllow, Some(23), "there is no `public` to allow".to_owned()),
            (LintCode::UnusedAllow, Some(24), "there is no `slow-rotation` of `app` to allow".to_owned()),
        ]
    );
}
