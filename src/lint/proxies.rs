//! Lints of the RDS Proxies in front of the instance.

use super::{Found, Live};
use crate::aws::{ProxyAuth, ProxyLook};
use crate::config::{Config, LintCode, Login};
use function_contract::{Strategy, clone_of};

/// Characters that Secrets Manager adds to a name, after a hyphen, to make an ARN.
const ARN_SUFFIX: usize = 6;

/// A proxy reads AWSCURRENT of each of its secrets and knows no other user: clients that still hold the password of before
/// are told "This RDS proxy has no credentials for the role" (github.com/aws/aws-secretsmanager-jdbc issue 222,
/// github.com/aws/aws-cdk issue 25568). Whether a second entry covers the twin cannot be read from here, so one that is
/// there counts as one.
pub(super) fn lint(config: &Config, live: Live<'_>) -> Vec<Found> {
    let alternating: Vec<_> = config.users.iter().filter(|user| user.strategy == Strategy::AlternatingUsers).collect();
    let proxies = match live.proxies {
        _ if !super::concerns_proxies(config) => return Vec::new(),
        Ok(proxies) => proxies,
        Err(why) => return vec![unseen(why)],
    };
    let mut found = Vec::new();
    for user in alternating {
        let name = live.place.arn("secretsmanager", &format!("secret:{}", user.secret.value));
        for proxy in proxies.iter().filter(|proxy| has_one_of_two(proxy, user, &name)) {
            found.push(one_secret(proxy, user));
        }
    }
    found
}

fn unseen(why: &str) -> Found {
    Found {
        code: LintCode::ProxiesUnseen,
        of: None,
        span: None,
        what: format!("it could not be seen whether an RDS Proxy uses one of the secrets: {why}"),
        hint: "allow rds:DescribeDBProxies to these credentials, or allow this lint where there is no proxy".to_owned(),
    }
}

fn one_secret(proxy: &ProxyLook, user: &Login) -> Found {
    let login = &user.login.value;
    let what = format!(
        "an RDS Proxy knows only one of the two users of `{login}`, and refuses the other's password after each rotation"
    );
    let hint = format!(
        "give `{login}` strategy = \"single-user\", or let its clients read the secret anew when they are refused, or go \
         to the instance itself"
    );
    Found::new(LintCode::ProxyWithOneSecret, &user.secret.span, what, hint).of(&proxy.name)
}

fn has_one_of_two(proxy: &ProxyLook, user: &Login, arn: &str) -> bool {
    let (base, clone) = (&user.login.value, clone_of(&user.login.value));
    let is_ours = |auth: &&ProxyAuth| auth.secret.as_deref().is_some_and(|secret| is_secret(secret, arn));
    let (ours, others): (Vec<_>, Vec<_>) = proxy.auth.iter().partition(is_ours);
    let names_twin = |auth: &&ProxyAuth| auth.user.as_ref().is_some_and(|user| user == base || *user == clone);
    ours.len() == 1 && !others.iter().any(names_twin)
}

/// Whether an ARN is that of the name whose ARN begins so; a proxy can be given one without its end.
fn is_secret(secret: &str, arn: &str) -> bool {
    match secret.strip_prefix(arn) {
        Some("") => true,
        Some(rest) => rest
            .strip_prefix('-')
            .is_some_and(|end| end.len() == ARN_SUFFIX && end.bytes().all(|b| b.is_ascii_alphanumeric())),
        None => false,
    }
}
