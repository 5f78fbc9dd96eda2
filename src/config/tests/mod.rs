//! Whole files: what comes out of a good one, what is said of a bad one, and that anything is answered.

mod any;
mod good;
mod groups;
mod lints;
mod network;
mod overlays;
mod shape;
mod tags;
mod values;

use super::parse;
use expect_test::Expect;

const ARTICLE: &str = include_str!("../../../configs/article.toml");

/// The least that is a config.
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

/// The least config, with one text of it changed.
fn with(old: &str, new: &str) -> String {
    assert_eq!(LEAST.matches(old).count(), 1, "{old} stands once in the least config");
    LEAST.replace(old, new)
}

/// What is said of a bad file; every error of it comes with advice.
fn bad(text: &str, expect: Expect) {
    let errors = parse("demo.toml", text).expect_err("a bad file");
    assert!(errors.iter().all(|error| error.hint.is_some()), "an error without advice: {errors}");
    expect.assert_eq(&errors.to_string());
}
