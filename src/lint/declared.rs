//! Lints of what is declared of the network, the instance and the secrets.

use super::Found;
use crate::config::{Allow, Client, Config, Instance, LintCode, Located};

/// Fewer, and a secret deleted before a fortnight's holiday is gone when somebody is back to miss it.
const LEAST_RECOVERY_DAYS: u32 = 14;

pub(super) fn lint(config: &Config) -> Vec<Found> {
    let mut found: Vec<_> = config.network.allow.iter().filter_map(open_to_the_world).collect();
    found.extend(config.database.instance.as_ref().map(instance).into_iter().flatten());
    for login in config.users.iter().chain([&config.admin]) {
        let Located { value: days, span } = &login.recovery_days;
        if *days < LEAST_RECOVERY_DAYS {
            let what = format!("a deleted secret can be restored for {days} days only");
            let hint = "leave `recovery_days` out, which makes it 30 days, the longest that AWS has";
            found.push(Found::new(LintCode::ShortRecoveryWindow, span, what, hint).of(&login.login.value));
        }
    }
    found
}

/// The config has no other spelling of these two.
fn open_to_the_world(allow: &Allow) -> Option<Found> {
    let Client::Cidr(cidr) = &allow.from else { return None };
    let everybody = ["0.0.0.0/0", "::/0"].contains(&cidr.value.as_str());
    let what = "`allow` lets in every address there is";
    let hint = "name the networks that need it, or a security group: { group = \"sg-…\", description = \"…\" }";
    everybody.then(|| Found::new(LintCode::OpenToTheWorld, &cidr.span, what, hint).of(&cidr.value))
}

fn instance(instance: &Instance) -> Vec<Found> {
    // Whoever adds a key that can be set to regret has to say so here.
    let Instance {
        subnet_group: _,
        engine_version: _,
        class: _,
        storage: _,
        backup_days,
        public,
        master: _,
        deletion_protection,
        final_snapshot,
        encrypted,
        adopt: _,
    } = instance;
    let is = |found: bool, code, span, what: &str, hint: &str| found.then(|| Found::new(code, span, what, hint));
    [
        is(
            public.value,
            LintCode::Public,
            &public.span,
            "the instance has a public address",
            "leave `public` out, and reach it from inside the VPC",
        ),
        is(
            !encrypted.value,
            LintCode::Unencrypted,
            &encrypted.span,
            "the storage is not encrypted",
            "leave `encrypted` out; an instance that is there is made anew from an encrypted copy of its snapshot",
        ),
        is(
            backup_days.value == 0,
            LintCode::NoBackup,
            &backup_days.span,
            "there are no automated backups",
            "leave `backup_days` out, which makes it 7, or write up to 35",
        ),
        is(
            !deletion_protection.value,
            LintCode::Unprotected,
            &deletion_protection.span,
            "the instance has no deletion protection",
            "leave `deletion_protection` out",
        ),
        is(
            !final_snapshot.value,
            LintCode::NoFinalSnapshot,
            &final_snapshot.span,
            "`destroy` leaves no snapshot",
            "leave `final_snapshot` out",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
