//! Values that cannot be, and values that cannot be together.

use super::{LEAST, bad, with};
use expect_test::expect;

#[test]
fn duplicate_subnets_and_cidrs() {
    let text = with("\"subnet-0cf57825fcf0c3cbd\"]", "\"subnet-05a8a2c78756260ed\"]\nendpoint_clients = [\"10.0.0.0/8\", \"10.0.0.0/8\", \"x\"]")
        .replace("[database]", "allow = [{ cidr = \"2001:DB8::/32\", description = \"a\" }, { cidr = \"2001:db8:0::/32\", description = \"b\" }]\n[database]");
    bad(
        &text,
        expect![[r#"
            error[duplicate]: "subnet-05a8a2c78756260ed" is listed twice
             --> demo.toml:6:40
              |
            6 | subnets = ["subnet-05a8a2c78756260ed", "subnet-05a8a2c78756260ed"]
              |                                        ^^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: list each subnet once

            error[duplicate]: "10.0.0.0/8" is listed twice
             --> demo.toml:7:35
              |
            7 | endpoint_clients = ["10.0.0.0/8", "10.0.0.0/8", "x"]
              |                                   ^^^^^^^^^^^^
            hint: list each CIDR once

            error[bad-value]: "x" is no CIDR: "x" is no IPv4 or IPv6 address
             --> demo.toml:7:49
              |
            7 | endpoint_clients = ["10.0.0.0/8", "10.0.0.0/8", "x"]
              |                                                 ^^^
            hint: write an address and the length of its network, such as "203.0.113.7/32"

            error[duplicate]: "2001:db8::/32" is allowed twice
             --> demo.toml:8:66
              |
            8 | allow = [{ cidr = "2001:DB8::/32", description = "a" }, { cidr = "2001:db8:0::/32", description = "b" }]
              |                                                                  ^^^^^^^^^^^^^^^^^
            hint: keep one entry for each CIDR
        "#]],
    );
}

/// Named in the file as what they are; of every other role the function finds out.
#[test]
fn membership_in_the_admin_login_or_the_master_is_no_deployments_to_give() {
    let text = with("[database]", "[database]\nmaster = \"boss\"")
        .replace("[[user]]", "[[user]]\nmember_of = [\"app_rw\", \"rotator\", \"boss\"]");
    bad(
        &text,
        expect![[r#"
        error[reserved-name]: membership in "rotator" is not for a deployment to give: the admin login sets every user's password
          --> demo.toml:20:24
           |
        20 | member_of = ["app_rw", "rotator", "boss"]
           |                        ^^^^^^^^^
        hint: make a role of your own that has what the login needs

        error[reserved-name]: membership in "boss" is not for a deployment to give: the master user is its server's own
          --> demo.toml:20:35
           |
        20 | member_of = ["app_rw", "rotator", "boss"]
           |                                   ^^^^^^
        hint: make a role of your own that has what the login needs
    "#]],
    );
}

#[test]
fn endpoint_clients_without_an_endpoint_or_without_clients() {
    let text = with("[database]", "secrets_manager = \"nat\"\nendpoint_clients = [\"10.0.0.0/8\"]\n[database]");
    bad(
        &text,
        expect![[r#"
            error[conflicting-keys]: `endpoint_clients` narrows the endpoint that this deployment makes, and it makes none
             --> demo.toml:8:20
              |
            8 | endpoint_clients = ["10.0.0.0/8"]
              |                    ^^^^^^^^^^^^^^
            hint: remove it, or write: secrets_manager = "endpoint"
        "#]],
    );
    bad(
        &with("[database]", "endpoint_clients = []\n[database]"),
        expect![[r#"
            error[bad-value]: `endpoint_clients` is empty: no client in the VPC could reach Secrets Manager any more
             --> demo.toml:7:20
              |
            7 | endpoint_clients = []
              |                    ^^
            hint: list CIDRs, or remove it to admit the whole VPC
        "#]],
    );
}

#[test]
fn a_schedule_is_one_schedule() {
    let text = with("every = \"10 days\"", "every = \"10 days\"\ncron = \"cron(0 4 ? * SUN *)\"\nwindow = \"120m\"");
    bad(
        &text,
        expect![[r#"
            error[conflicting-keys]: `every` and `cron` are both given: a secret has one schedule
              --> demo.toml:15:8
               |
            15 | cron = "cron(0 4 ? * SUN *)"
               |        ^^^^^^^^^^^^^^^^^^^^^
            hint: keep one of the two

            error[bad-schedule]: "120m" is no window: it must be a whole number of hours and an h
              --> demo.toml:16:10
               |
            16 | window = "120m"
               |          ^^^^^^
            hint: write: window = "2h"
        "#]],
    );
}

#[test]
fn a_login_without_a_schedule() {
    bad(
        &with("[rotation]\nevery = \"10 days\"\n", ""),
        expect![[r#"
            error[missing-key]: login "app" has no schedule
              --> demo.toml:17:9
               |
            17 | login = "app"
               |         ^^^^^
            hint: add: every = "10 days", here or in [rotation] for all users
        "#]],
    );
}

#[test]
fn an_unusable_default_is_told_once_and_not_missed_as_well() {
    let text = with("every = \"10 days\"", "every = \"ten days\"\nstrategy = \"alternating\"\nrecovery_days = 3");
    bad(
        &text,
        expect![[r#"
            error[bad-schedule]: "ten days" is no period
              --> demo.toml:14:9
               |
            14 | every = "ten days"
               |         ^^^^^^^^^^
            hint: write a number and a unit: every = "10 days", or every = "6 hours"

            error[bad-value]: `strategy` cannot be "alternating"
              --> demo.toml:15:12
               |
            15 | strategy = "alternating"
               |            ^^^^^^^^^^^^^
            hint: write one of "alternating-users", "single-user"

            error[bad-value]: `recovery_days` is 3, outside 7 to 30 days
              --> demo.toml:16:17
               |
            16 | recovery_days = 3
               |                 ^
            hint: write for example: recovery_days = 30
        "#]],
    );
}

#[test]
fn windows_that_reach_too_far() {
    let text = with("every = \"10 days\"", "cron = \"cron(0 20 ? * SUN *)\"\nwindow = \"5h\"")
        + "[[user]]\nlogin = \"often\"\nsecret = \"often_secret\"\nevery = \"4 hours\"\n";
    bad(
        &text,
        expect![[r#"
            error[bad-schedule]: a window of 5h is too long for cron(0 20 ? * SUN *): it reaches the next UTC day, which AWS does not allow
              --> demo.toml:15:10
               |
            15 | window = "5h"
               |          ^^^^
            hint: write: window = "4h", or shorter

            error[bad-schedule]: a window of 5h is too long for "4 hours": it reaches the next window
              --> demo.toml:25:9
               |
            25 | every = "4 hours"
               |         ^^^^^^^^^
            hint: write: window = "4h", or shorter
        "#]],
    );
}

#[test]
fn cron_expressions() {
    bad(
        &with("every = \"10 days\"", "cron = \"0 4 ? * SUN *\""),
        expect![[r#"
            error[bad-schedule]: "0 4 ? * SUN *" is no cron expression of AWS
              --> demo.toml:14:8
               |
            14 | cron = "0 4 ? * SUN *"
               |        ^^^^^^^^^^^^^^^
            hint: write: cron = "cron(0 4 ? * SUN *)"
        "#]],
    );
    bad(
        &with("every = \"10 days\"", "cron = \"cron(0/15 * * * ? *)\""),
        expect![[r#"
            error[bad-schedule]: the minutes field is "0/15", but windows of Secrets Manager open on the hour
              --> demo.toml:14:8
               |
            14 | cron = "cron(0/15 * * * ? *)"
               |        ^^^^^^^^^^^^^^^^^^^^^^
            hint: write 0 as the first field
        "#]],
    );
    bad(
        &with("every = \"10 days\"", "cron = \"cron(0 4 * * SUN *)\""),
        expect![[r#"
            error[bad-schedule]: day-of-month and day-of-week are both given, and AWS takes only one of them
              --> demo.toml:14:8
               |
            14 | cron = "cron(0 4 * * SUN *)"
               |        ^^^^^^^^^^^^^^^^^^^^^
            hint: write ? in the field that does not matter, such as cron(0 4 * * ? *)
        "#]],
    );
}

#[test]
fn logins_that_are_one_role() {
    let text = LEAST.to_owned()
        + r#"
        [[user]]
        login = "app_clone"
        secret = "app_clone_secret"
        [[user]]
        login = "app"
        secret = "app_secret"
        [[user]]
        login = "rotator"
        secret = "rotator_secret"
        "#;
    bad(
        &text,
        expect![[r#"
            error[duplicate]: login "app_clone" is also the clone of login "app"
              --> demo.toml:23:17
               |
            23 |         login = "app_clone"
               |                 ^^^^^^^^^^^
            hint: rename it, or give "app" strategy = "single-user"

            error[duplicate]: login "app" is declared twice
              --> demo.toml:26:17
               |
            26 |         login = "app"
               |                 ^^^^^
            hint: remove one of the two [[user]] tables

            error[duplicate]: the secret "app_secret" belongs to another login already
              --> demo.toml:27:18
               |
            27 |         secret = "app_secret"
               |                  ^^^^^^^^^^^^
            hint: give each login a secret of its own

            error[duplicate]: "rotator" is the admin login and a user
              --> demo.toml:29:17
               |
            29 |         login = "rotator"
               |                 ^^^^^^^^^
            hint: give the admin a role of its own: it rotates itself, and is used by nobody else

            error[duplicate]: the secret "rotator_secret" belongs to another login already
              --> demo.toml:30:18
               |
            30 |         secret = "rotator_secret"
               |                  ^^^^^^^^^^^^^^^^
            hint: give each login a secret of its own
        "#]],
    );
}

#[test]
fn logins_that_are_not_ours() {
    let text = with("storage = { gib = 20 }", "storage = { gib = 20 }\nmaster = \"boss_clone\"")
        .replace("login = \"rotator\"", "login = \"rdsadmin\"")
        .replace("login = \"app\"", "login = \"boss\"");
    bad(
        &text,
        expect![[r#"
            error[reserved-name]: "rdsadmin" cannot rotate: names that start with rds are those of RDS
              --> demo.toml:17:9
               |
            17 | login = "rdsadmin"
               |         ^^^^^^^^^^
            hint: declare a login of your own, such as login = "app"

            error[reserved-name]: the clone of "boss" cannot rotate: it is the master user, whose password RDS keeps
              --> demo.toml:20:9
               |
            20 | login = "boss"
               |         ^^^^^^
            hint: choose another login, or write strategy = "single-user"
        "#]],
    );
}

#[test]
fn names_are_counted_in_bytes() {
    let text = with("login = \"app\"", &format!("login = \"{}\"", "ü".repeat(30)))
        .replace("login = \"rotator\"", &format!("login = \"{}\"", "ü".repeat(40)));
    bad(
        &text,
        expect![[r#"
            error[bad-name]: "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü" has 80 bytes; PostgreSQL takes 63
              --> demo.toml:16:9
               |
            16 | login = "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü"
               |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: shorten it to 63 bytes

            error[bad-name]: the clone of "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüü" would have 66 bytes; PostgreSQL takes 63
              --> demo.toml:19:9
               |
            19 | login = "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüü"
               |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: shorten it to 57 bytes, or write strategy = "single-user"
        "#]],
    );
}

#[test]
fn names_of_functions_and_secrets() {
    let text = with("secret = \"app_secret\"", "secret = \"app-secret\"").replace(
        "[rotation]",
        &format!("[function]\nname = \"{}\"\nbucket = \"s3://mine/x\"\n[rotation]", "f".repeat(60)),
    );
    bad(
        &text,
        expect![[r#"
            error[bad-name]: "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" cannot name the function
              --> demo.toml:14:8
               |
            14 | name = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
               |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: write 1-51 letters, digits, - and _: the other functions append to it, and AWS takes 64

            error[bad-name]: "s3://mine/x" is no name of a bucket
              --> demo.toml:15:10
               |
            15 | bucket = "s3://mine/x"
               |          ^^^^^^^^^^^^^
            hint: write the bucket's bare name (3-63 of a-z, 0-9, - and period), or leave the line out to have one made

            error[bad-name]: "app-secret" ends with a hyphen and six characters, as the ARN of a secret does
              --> demo.toml:23:10
               |
            23 | secret = "app-secret"
               |          ^^^^^^^^^^^^
            hint: AWS warns against such names. Write for example: secret = "app_secret"
        "#]],
    );
}

#[test]
fn what_rds_would_store_otherwise() {
    let text = with("identifier = \"db\"", "identifier = \"My-DB\"")
        .replace("subnet_group = \"group\"", "subnet_group = \"default\"")
        .replace("engine_version = \"16\"", "engine_version = \"14\"");
    bad(
        &text,
        expect![[r#"
            error[bad-name]: "My-DB" has capitals, which RDS does not keep
             --> demo.toml:8:14
              |
            8 | identifier = "My-DB"
              |              ^^^^^^^
            hint: write: identifier = "my-db"

            error[reserved-name]: the subnet group `default` is AWS's own
             --> demo.toml:9:16
              |
            9 | subnet_group = "default"
              |                ^^^^^^^^^
            hint: choose another name: this deployment makes the group

            error[not-supported]: PostgreSQL 14 is not supported
              --> demo.toml:10:18
               |
            10 | engine_version = "14"
               |                  ^^^^
            hint: write a version from 15 to 18, such as engine_version = "18"
        "#]],
    );
}

#[test]
fn no_user() {
    let none = with("[[user]]\nlogin = \"app\"\nsecret = \"app_secret\"\n", "");
    bad(
        &none,
        expect![[r#"
            error[missing-key]: no [[user]] is declared: there is nothing to rotate
             --> demo.toml
            hint: add:
              [[user]]
              login = "app"
              secret = "app_secret"
        "#]],
    );
    bad(
        &format!("user = []\n{none}"),
        expect![[r#"
            error[missing-key]: no [[user]] is declared: there is nothing to rotate
             --> demo.toml
            hint: add:
              [[user]]
              login = "app"
              secret = "app_secret"
        "#]],
    );
}

#[test]
fn weak_passwords() {
    let text = with("every = \"10 days\"", "every = \"10 days\"\npasswords = \"url_safe\"")
        .replace("[[user]]", "passwords = { length = 19 }\n[[user]]")
        + r#"passwords = { length = 32, exclude = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&()*+,-.;<=>?[]^_`{|}~" }
[[user]]
login = "second"
secret = "second_secret"
passwords = { exclude = "ä" }
[[user]]
login = "third"
secret = "third_secret"
passwords = { exclude = "0123456789", preset = "url-safe", lenght = 20 }
[[user]]
login = "fourth"
secret = "fourth_secret"
passwords = 32
[[user]]
login = "fifth"
secret = "fifth_secret"
passwords = { length = 20, preset = "url-safe" }
"#;
    bad(
        &text,
        expect![[r#"
            error[bad-value]: `passwords` cannot be "url_safe"
              --> demo.toml:15:13
               |
            15 | passwords = "url_safe"
               |             ^^^^^^^^^^
            hint: did you mean "url-safe"? `passwords` is one of "default", "url-safe"

            error[bad-value]: `length` is 19, outside 20 to 99 characters
              --> demo.toml:19:24
               |
            19 | passwords = { length = 19 }
               |                        ^^
            hint: write for example: length = 32

            error[bad-value]: 32 characters out of 16 make 127 bits, and a password has at least 128
              --> demo.toml:23:38
               |
            23 | …ds = { length = 32, exclude = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&()*+,-.;<=>?[]^_`{|}…
               |                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: write: length = 33, or more

            error[bad-value]: 'ä' is in no password anyway: all are made of the printable characters of ASCII, without the space
              --> demo.toml:27:25
               |
            27 | passwords = { exclude = "ä" }
               |                         ^^^
            hint: leave "ä" out

            error[conflicting-keys]: `exclude` cannot be set in [[user].passwords]: a preset says what is excluded, and this table names one
              --> demo.toml:31:25
               |
            31 | passwords = { exclude = "0123456789", preset = "url-safe", lenght = 20 }
               |                         ^^^^^^^^^^^^
            hint: remove this line

            error[unknown-key]: unknown key `lenght` in [[user].passwords]
              --> demo.toml:31:60
               |
            31 | passwords = { exclude = "0123456789", preset = "url-safe", lenght = 20 }
               |                                                            ^^^^^^
            hint: did you mean `length`? Known here: length, preset, exclude

            error[wrong-type]: `passwords` must be a table, not an integer
              --> demo.toml:35:13
               |
            35 | passwords = 32
               |             ^^
            hint: write: passwords = { length = 40 }

            error[bad-value]: 20 characters out of 66 make 120 bits, and a password has at least 128
              --> demo.toml:39:13
               |
            39 | passwords = { length = 20, preset = "url-safe" }
               |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: write: length = 22, or more
        "#]],
    );
}

#[test]
fn topics_of_somewhere_else() {
    let text = with("[rotation]", "[alerts]\ntopic = \"arn:aws:sns:eu-west-1:123456789012:alerts\"\n[rotation]");
    bad(
        &text,
        expect![[r#"
        error[bad-value]: the topic is in "eu-west-1", and the deployment in "eu-north-1"
          --> demo.toml:14:9
           |
        14 | topic = "arn:aws:sns:eu-west-1:123456789012:alerts"
           |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        hint: name a topic of the same region: neither alarms nor rules reach another
    "#]],
    );
    bad(
        &with("[rotation]", "[alerts]\n[rotation]"),
        expect![[r#"
        error[missing-key]: `topic` is missing in [alerts]
          --> demo.toml:13:1
           |
        13 | [alerts]
           | ^^^^^^^^
        hint: add: topic = "arn:aws:sns:eu-north-1:123456789012:database-alerts"
    "#]],
    );
    bad(
        &format!("alerts = \"alerts\"\n{}", with("[rotation]", "[rotation]")),
        expect![[r#"
        error[wrong-type]: `alerts` must be a table, not a string
         --> demo.toml:1:10
          |
        1 | alerts = "alerts"
          |          ^^^^^^^^
        hint: write:
          [alerts]
          topic = "arn:aws:sns:…"
    "#]],
    );
}
