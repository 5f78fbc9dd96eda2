//! `[lint]`: what is allowed, and what is said of entries that cannot be.

use super::{LEAST, bad};
use crate::config::{LintCode, parse};
use expect_test::expect;

fn allowing(entries: &str) -> String {
    format!("{LEAST}[lint]\nallow = [{entries}]\n")
}

#[test]
fn entries_and_the_days_of_slow_rotations() {
    let text = allowing(
        "{ code = \"public\", reason = \"a\" }, { code = \"slow-rotation\", of = \"app\", reason = \" b\" }, \
         { code = \"slow-rotation\", reason = \"c\" }",
    ) + "slow_after_days = 30\n";
    let lint = parse("demo.toml", &text).unwrap_or_else(|errors| panic!("{errors}")).lint;
    assert_eq!(lint.slow_after_days, 30);
    let allowed: Vec<_> =
        lint.allow.iter().map(|entry| (entry.code.value, entry.of.as_deref(), entry.reason.as_str())).collect();
    assert_eq!(
        allowed,
        [
            (LintCode::Public, None, "a"),
            (LintCode::SlowRotation, Some("app"), " b"),
            (LintCode::SlowRotation, None, "c"),
        ]
    );
}

#[test]
fn codes_that_are_none() {
    bad(
        &allowing("{ code = \"pubic\", reason = \"a\" }, { code = \"E501\", reason = \"a\" }"),
        expect![[r#"
        error[bad-value]: `code` cannot be "pubic"
          --> demo.toml:22:19
           |
        22 | allow = [{ code = "pubic", reason = "a" }, { code = "E501", reason = "a" }]
           |                   ^^^^^^^
        hint: did you mean "public"? `code` is one of "open-to-the-world", "public", "unencrypted", "no-backup", "unprotected", "no-final-snapshot", "short-recovery-window", "slow-rotation", "fast-rotation", "skipped-months", "uneven-steps", "numbered-weekday", "no-window", "midnight-window", "proxy-with-one-secret", "proxies-unseen", "unused-allow"

        error[bad-value]: `code` cannot be "E501"
          --> demo.toml:22:53
           |
        22 | allow = [{ code = "pubic", reason = "a" }, { code = "E501", reason = "a" }]
           |                                                     ^^^^^^
        hint: write one of "open-to-the-world", "public", "unencrypted", "no-backup", "unprotected", "no-final-snapshot", "short-recovery-window", "slow-rotation", "fast-rotation", "skipped-months", "uneven-steps", "numbered-weekday", "no-window", "midnight-window", "proxy-with-one-secret", "proxies-unseen", "unused-allow"
    "#]],
    );
}

#[test]
fn reasons_that_are_none() {
    bad(
        &allowing(
            "{ code = \"public\" }, { code = \"no-backup\", reason = \" \" }, \
             { code = \"unencrypted\", of = \"a\\u001bb\", reason = \"a\\nb\" }, { code = \"no-window\", why = \"a\" }",
        ),
        expect![[r#"
            error[missing-key]: `reason` is missing in [lint.allow]
              --> demo.toml:22:10
               |
            22 | allow = [{ code = "public" }, { code = "no-backup", reason = " " }, { code = "unencrypted", of = "a\u001bb", …
               |          ^^^^^^^^^^^^^^^^^^^
            hint: add: reason = "why it is meant"

            error[bad-value]: the reason is empty: whoever reads it is to know why this is meant
              --> demo.toml:22:62
               |
            22 | allow = [{ code = "public" }, { code = "no-backup", reason = " " }, { code = "unencrypted", of = "a\u001bb", …
               |                                                              ^^^
            hint: write for example: reason = "a test database, made anew every night"

            error[bad-value]: it holds a character that cannot be seen
              --> demo.toml:22:98
               |
            22 | allow = [{ code = "public" }, { code = "no-backup", reason = " " }, { code = "unencrypted", of = "a\u001bb", …
               |                                                                                                  ^^^^^^^^^^
            hint: write it on one line, without control characters

            error[bad-value]: it holds a character that cannot be seen
              --> demo.toml:22:119
               |
            22 | …d", of = "a\u001bb", reason = "a\nb" }, { code = "no-window", why = "a" }]
               |                                ^^^^^^
            hint: write it on one line, without control characters

            error[missing-key]: `reason` is missing in [lint.allow]
              --> demo.toml:22:129
               |
            22 | …a\u001bb", reason = "a\nb" }, { code = "no-window", why = "a" }]
               |                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: add: reason = "why it is meant"

            error[unknown-key]: unknown key `why` in [lint.allow]
              --> demo.toml:22:151
               |
            22 | …\nb" }, { code = "no-window", why = "a" }]
               |                                ^^^
            hint: remove it. Known here: code, of, reason
        "#]],
    );
}

#[test]
fn what_is_allowed_twice_and_what_cannot_be() {
    bad(
        &allowing(
            "{ code = \"public\", reason = \"a\" }, { code = \"public\", reason = \"b\" }, \
             { code = \"no-window\", of = \"app\", reason = \"a\" }, { code = \"no-window\", of = \"app\", reason = \"a\" }, \
             { code = \"unused-allow\", reason = \"a\" }",
        ),
        expect![[r#"
            error[duplicate]: `public` is allowed twice
              --> demo.toml:22:54
               |
            22 | allow = [{ code = "public", reason = "a" }, { code = "public", reason = "b" }, { code = "no-window", of = "ap…
               |                                                      ^^^^^^^^
            hint: keep one entry, and one reason

            error[duplicate]: `no-window` of "app" is allowed twice
              --> demo.toml:22:139
               |
            22 | …pp", reason = "a" }, { code = "no-window", of = "app", reason = "a" }, { code = "unused-allow", reason = "a"…
               |                                ^^^^^^^^^^^
            hint: keep one entry, and one reason

            error[bad-value]: `unused-allow` cannot be allowed
              --> demo.toml:22:189
               |
            22 | …pp", reason = "a" }, { code = "unused-allow", reason = "a" }]
               |                                ^^^^^^^^^^^^^^
            hint: remove the entry that allows nothing instead
        "#]],
    );
    bad(
        &(allowing("") + "slow_after_days = 0\n"),
        expect![[r#"
        error[bad-value]: `slow_after_days` is 0, outside 1 to 1000 days
          --> demo.toml:23:19
           |
        23 | slow_after_days = 0
           |                   ^
        hint: write for example: slow_after_days = 90
    "#]],
    );
}
