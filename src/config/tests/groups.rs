//! Users that are declared together.

use super::super::{Config, Declared, parse};
use super::{LEAST, bad};
use expect_test::expect;

/// The least config without its user.
fn with(users: &str) -> String {
    let (before, _) = LEAST.split_once("[[user]]").unwrap();
    format!("{before}{users}")
}

fn config(users: &str) -> Config {
    parse("demo.toml", &with(users)).unwrap_or_else(|errors| panic!("{errors}"))
}

/// All of it, but for where it stands.
#[test]
fn each_is_as_if_written_out() {
    let shared = "database = \"shop\"\nstrategy = \"single-user\"\nevery = \"5 days\"\nwindow = \"2h\"\nrecovery_days = 7\n\
                  passwords = { length = 50 }\nadopt = true\nmember_of = [\"app_rw\"]\nsettings = { search_path = \"app\" }\n\
                  connection_limit = 3\nvalid_until = 2035-01-01T00:00:00Z\n";
    let group = config(&format!("[[users]]\nlogins = [\"a\", \"b\"]\nsecret = \"x/{{login}}/{{login}}\"\n{shared}"));
    let written = |login: &str| format!("[[user]]\nlogin = \"{login}\"\nsecret = \"x/{login}/{login}\"\n{shared}");
    let mut single = config(&format!("{}{}", written("a"), written("b")));
    for user in &mut single.users {
        user.declared = Declared::Group(0);
    }
    assert_eq!(group, single);
}

#[test]
fn both_forms_beside_each_other() {
    let users = config(
        "[[users]]\nlogins = [\"b\"]\nsecret = \"{login}_s\"\n[[user]]\nlogin = \"a\"\nsecret = \"a_s\"\n[[users]]\nlogins = [\"c\", \"d\"]\nsecret = \"{login}\"\n",
    )
    .users;
    let told: Vec<_> = users.iter().map(|user| (user.login.value.as_str(), user.declared)).collect();
    assert_eq!(
        told,
        [("a", Declared::User(0)), ("b", Declared::Group(0)), ("c", Declared::Group(1)), ("d", Declared::Group(1))]
    );
}

#[test]
fn a_login_is_declared_once() {
    bad(
        &with(
            "[[user]]\nlogin = \"a\"\nsecret = \"a_s\"\n[[users]]\nlogins = [\"a\", \"b\"]\nsecret = \"{login}_1\"\n[[users]]\nlogins = [\"b\", \"rotator\"]\nsecret = \"{login}_2\"\n",
        ),
        expect![[r#"
            error[duplicate]: login "a" is declared twice
              --> demo.toml:19:9
               |
            19 | login = "a"
               |         ^^^
            hint: take it out of the `logins` of [[users]], or remove its [[user]] table

            error[duplicate]: login "a" is declared twice
              --> demo.toml:22:11
               |
            22 | logins = ["a", "b"]
               |           ^^^
            hint: take it out of the `logins` of [[users]], or remove its [[user]] table

            error[duplicate]: login "b" is declared twice
              --> demo.toml:22:16
               |
            22 | logins = ["a", "b"]
               |                ^^^
            hint: list each login once

            error[duplicate]: login "b" is declared twice
              --> demo.toml:25:11
               |
            25 | logins = ["b", "rotator"]
               |           ^^^
            hint: list each login once

            error[duplicate]: "rotator" is the admin login and a user
              --> demo.toml:25:16
               |
            25 | logins = ["b", "rotator"]
               |                ^^^^^^^^^
            hint: give the admin a role of its own: it rotates itself, and is used by nobody else
        "#]],
    );
}

#[test]
fn groups_that_cannot_be() {
    bad(
        &with(
            "[[users]]\nlogins = []\nsecret = \"{login}\"\n[[users]]\nlogins = [\"a\"]\nsecret = \"shared\"\n[[users]]\nlogins = [\"my app\", \"pg_x\"]\nsecret = \"x/{login}\"\n[[users]]\nlogins = \"c\"\nsecret = \"{logn}{login}\"\nevery = \"1 hour\"\n[[users]]\nlogin = \"d\"\nmember_of = [\"rotator\"]\n",
        ),
        expect![[r#"
            error[bad-value]: `logins` is empty: a group has one login at least
              --> demo.toml:19:10
               |
            19 | logins = []
               |          ^^
            hint: list logins, or remove the [[users]] table

            error[bad-value]: "shared" names one secret for all logins of the group
              --> demo.toml:23:10
               |
            23 | secret = "shared"
               |          ^^^^^^^^
            hint: write {login} where the login's name is to stand: secret = "{login}_secret"

            error[bad-name]: "x/my app" cannot name a secret
              --> demo.toml:25:11
               |
            25 | logins = ["my app", "pg_x"]
               |           ^^^^^^^^
            hint: write 1-512 letters, digits and / _ + = . @ -

            error[reserved-name]: "pg_x" cannot rotate: names that start with pg_ are those of PostgreSQL
              --> demo.toml:25:21
               |
            25 | logins = ["my app", "pg_x"]
               |                     ^^^^^^
            hint: declare a login of your own, such as login = "app"

            error[wrong-type]: `logins` must be an array of strings, not a string
              --> demo.toml:28:10
               |
            28 | logins = "c"
               |          ^^^
            hint: write: logins = ["c"]

            error[bad-name]: "{logn}a" cannot name a secret
              --> demo.toml:29:10
               |
            29 | secret = "{logn}{login}"
               |          ^^^^^^^^^^^^^^^
            hint: write 1-512 letters, digits and / _ + = . @ -

            error[bad-schedule]: "1 hour" is too often: AWS rotates at most every 4 hours
              --> demo.toml:30:9
               |
            30 | every = "1 hour"
               |         ^^^^^^^^
            hint: write: every = "4 hours", or longer

            error[missing-key]: `logins` is missing in [[users]]
              --> demo.toml:31:1
               |
            31 | [[users]]
               | ^^^^^^^^^
            hint: add: logins = ["app", "report"]

            error[missing-key]: `secret` is missing in [[users]]
              --> demo.toml:31:1
               |
            31 | [[users]]
               | ^^^^^^^^^
            hint: add: secret = "{login}_secret"

            error[unknown-key]: unknown key `login` in [[users]]
              --> demo.toml:32:1
               |
            32 | login = "d"
               | ^^^^^
            hint: `login` belongs to [admin]. Known here: logins, secret, database, strategy, every, cron, window, recovery_days, passwords, adopt, member_of, settings, connection_limit, valid_until
        "#]],
    );
    let text = with("[[users]]\nlogins = [\"a\", \"b\"]\nsecret = \"{login}\"\n").replace("every = \"10 days\"", "");
    bad(
        &text,
        expect![[r#"
        error[missing-key]: this group of logins has no schedule
          --> demo.toml:19:10
           |
        19 | logins = ["a", "b"]
           |          ^^^^^^^^^^
        hint: add: every = "10 days", here or in [rotation] for all users
    "#]],
    );
    bad(
        &with("[users]\nlogins = [\"a\"]\nsecret = \"{login}\"\n"),
        expect![[r#"
        error[wrong-type]: `users` must be an array of tables, not a table
          --> demo.toml:18:1
           |
        18 | [users]
           | ^^^^^^^
        hint: write:
          [[users]]
          logins = ["app", "report"]
          secret = "{login}_secret"
    "#]],
    );
}
