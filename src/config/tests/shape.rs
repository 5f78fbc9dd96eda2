//! Files of the wrong shape: syntax, unknown and missing keys, types, ranges.

use super::super::{files::SYNTAX_ERRORS, parse};
use super::{bad, with};
use expect_test::expect;

#[test]
fn an_empty_file() {
    bad(
        "",
        expect![[r#"
            error[missing-key]: no [[user]] is declared: there is nothing to rotate
             --> demo.toml
            hint: add:
              [[user]]
              login = "app"
              secret = "app_secret"

            error[missing-key]: `deployment` is missing
             --> demo.toml
            hint: add, above the first table: deployment = "article"

            error[missing-key]: [aws] is missing
             --> demo.toml
            hint: add:
              [aws]
              region = "eu-north-1"

            error[missing-key]: [network] is missing
             --> demo.toml
            hint: add:
              [network]
              vpc = "vpc-…"
              subnets = ["subnet-…", "subnet-…"]

            error[missing-key]: [database] is missing
             --> demo.toml
            hint: add:
              [database]
              identifier = "my-postgres-instance"
              subnet_group = "my-db-subnet-group"
              engine_version = "16"
              class = "db.t3.micro"
              storage = { gib = 20 }

            error[missing-key]: [admin] is missing
             --> demo.toml
            hint: add:
              [admin]
              login = "rotator_admin"
              secret = "rotator_admin_secret"
        "#]],
    );
}

#[test]
fn unknown_keys_are_suggested_or_sent_to_their_table() {
    let text =
        with("engine_version = \"16\"", "engin_version = \"16\"\nregion = \"eu-north-1\"\n\"strange\\u001b key\" = 1")
            + "member_of = [\"app_rw\"]\n[netwrok]\nvpc = \"x\"\n";
    bad(
        &text,
        expect![[r#"
            error[unknown-key]: unknown key `engin_version` in [database]
              --> demo.toml:10:1
               |
            10 | engin_version = "16"
               | ^^^^^^^^^^^^^
            hint: did you mean `engine_version`? Known here: cluster, identifier, manage, port, security_group, subnet_group, engine_version, class, storage, backup_days, public, master, deletion_protection, final_snapshot, encrypted, adopt

            error[unknown-key]: unknown key `region` in [database]
              --> demo.toml:11:1
               |
            11 | region = "eu-north-1"
               | ^^^^^^
            hint: `region` belongs to [aws]. Known here: cluster, identifier, manage, port, security_group, subnet_group, engine_version, class, storage, backup_days, public, master, deletion_protection, final_snapshot, encrypted, adopt

            error[unknown-key]: unknown key "strange\u{1b} key" in [database]
              --> demo.toml:12:1
               |
            12 | "strange\u001b key" = 1
               | ^^^^^^^^^^^^^^^^^^^
            hint: remove it. Known here: cluster, identifier, manage, port, security_group, subnet_group, engine_version, class, storage, backup_days, public, master, deletion_protection, final_snapshot, encrypted, adopt

            error[unknown-key]: unknown key `netwrok` at the top level
              --> demo.toml:24:2
               |
            24 | [netwrok]
               |  ^^^^^^^
            hint: did you mean `network`? Known here: extends, deployment, aws, network, database, function, alerts, limits, lint, tags, rotation, admin, user, users
        "#]],
    );
}

#[test]
fn several_errors_of_every_kind_in_one_file() {
    let text = r#"
deployment = "Article"

[aws]
region = "eu-north-1a"
account = 123456789012

[network]
vpc = "vpc-xyz"
subnets = ["subnet-05a8a2c78756260ed"]
secrets_manager = "endpiont"
allow = [{ cidr = "203.0.113.7/24", description = "office" }, { cidr = "203.0.113.7" }]

[database]
identifier = "my--instance"
engine_version = 16.4
class = "t3.micro"
storage = { gib = 5, type = "io1" }
backup_days = 36
public = "true"
prot = 5432

[rotation]
every = "2 hours"

[admin]
login = "postgres"
secret = "admin secret"
strategy = "alternating-users"

[[user]]
login = "app"
"#;
    bad(
        text,
        expect![[r#"
            error[bad-name]: "Article" cannot name a deployment
             --> demo.toml:2:14
              |
            2 | deployment = "Article"
              |              ^^^^^^^^^
            hint: write 1-40 of a-z, 0-9 and -, starting with a letter: it becomes part of bucket, stack and group names

            error[bad-value]: "eu-north-1a" is an availability zone, not a region
             --> demo.toml:5:10
              |
            5 | region = "eu-north-1a"
              |          ^^^^^^^^^^^^^
            hint: write: region = "eu-north-1"

            error[wrong-type]: `account` must be a string, not an integer
             --> demo.toml:6:11
              |
            6 | account = 123456789012
              |           ^^^^^^^^^^^^
            hint: write: account = "123456789012"

            error[bad-value]: "vpc-xyz" is no id of the form vpc-…
             --> demo.toml:9:7
              |
            9 | vpc = "vpc-xyz"
              |       ^^^^^^^^^
            hint: write vpc- and 17 (or 8) of 0-9 and a-f, such as "vpc-0123456789abcdef0"

            error[bad-value]: `subnets` lists 1: RDS needs two or more
              --> demo.toml:10:11
               |
            10 | subnets = ["subnet-05a8a2c78756260ed"]
               |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: add a subnet of another availability zone

            error[bad-value]: `secrets_manager` cannot be "endpiont"
              --> demo.toml:11:19
               |
            11 | secrets_manager = "endpiont"
               |                   ^^^^^^^^^^
            hint: did you mean "endpoint"? `secrets_manager` is one of "endpoint", "existing-endpoint", "nat"

            error[bad-value]: "203.0.113.7/24" is no CIDR: 203.0.113.7 has bits set beyond its first 24
              --> demo.toml:12:19
               |
            12 | allow = [{ cidr = "203.0.113.7/24", description = "office" }, { cidr = "203.0.113.7" }]
               |                   ^^^^^^^^^^^^^^^^
            hint: write "203.0.113.0/24" for the network, or "203.0.113.7/32" for this one address

            error[missing-key]: `description` is missing in [network.allow]
              --> demo.toml:12:63
               |
            12 | allow = [{ cidr = "203.0.113.7/24", description = "office" }, { cidr = "203.0.113.7" }]
               |                                                               ^^^^^^^^^^^^^^^^^^^^^^^^
            hint: add: description = "office"

            error[bad-value]: "203.0.113.7" is no CIDR: the length of the network is missing
              --> demo.toml:12:72
               |
            12 | allow = [{ cidr = "203.0.113.7/24", description = "office" }, { cidr = "203.0.113.7" }]
               |                                                                        ^^^^^^^^^^^^^
            hint: write "203.0.113.7/32" for this one address

            error[missing-key]: `subnet_group` is missing in [database]
              --> demo.toml:14:1
               |
            14 | [database]
               | ^^^^^^^^^^
            hint: add: subnet_group = "my-db-subnet-group"

            error[bad-name]: "my--instance" cannot name a database instance
              --> demo.toml:15:14
               |
            15 | identifier = "my--instance"
               |              ^^^^^^^^^^^^^^
            hint: write 1-63 of a-z, 0-9 and -, starting with a letter, without -- and no - at the end

            error[wrong-type]: `engine_version` must be a string, not a float
              --> demo.toml:16:18
               |
            16 | engine_version = 16.4
               |                  ^^^^
            hint: write: engine_version = "16.4"

            error[bad-value]: "t3.micro" is a class of EC2; those of RDS start with db.
              --> demo.toml:17:9
               |
            17 | class = "t3.micro"
               |         ^^^^^^^^^^
            hint: write: class = "db.t3.micro"

            error[bad-value]: `gib` is 5, outside 20 to 65536 GiB
              --> demo.toml:18:19
               |
            18 | storage = { gib = 5, type = "io1" }
               |                   ^
            hint: write for example: gib = 20

            error[bad-value]: `type` cannot be "io1"
              --> demo.toml:18:29
               |
            18 | storage = { gib = 5, type = "io1" }
               |                             ^^^^^
            hint: write one of "gp2", "gp3"

            error[bad-value]: `backup_days` is 36, outside 0 to 35 days
              --> demo.toml:19:15
               |
            19 | backup_days = 36
               |               ^^
            hint: write for example: backup_days = 7

            error[wrong-type]: `public` must be true or false, not a string
              --> demo.toml:20:10
               |
            20 | public = "true"
               |          ^^^^^^
            hint: write: public = true

            error[unknown-key]: unknown key `prot` in [database]
              --> demo.toml:21:1
               |
            21 | prot = 5432
               | ^^^^
            hint: did you mean `port`? Known here: cluster, identifier, manage, port, security_group, subnet_group, engine_version, class, storage, backup_days, public, master, deletion_protection, final_snapshot, encrypted, adopt

            error[bad-schedule]: "2 hours" is too often: AWS rotates at most every 4 hours
              --> demo.toml:24:9
               |
            24 | every = "2 hours"
               |         ^^^^^^^^^
            hint: write: every = "4 hours", or longer

            error[reserved-name]: "postgres" cannot rotate: it is the master user, whose password RDS keeps
              --> demo.toml:27:9
               |
            27 | login = "postgres"
               |         ^^^^^^^^^^
            hint: declare a login of your own, such as login = "app"

            error[bad-name]: "admin secret" cannot name a secret
              --> demo.toml:28:10
               |
            28 | secret = "admin secret"
               |          ^^^^^^^^^^^^^^
            hint: write 1-512 letters, digits and / _ + = . @ -

            error[conflicting-keys]: `strategy` cannot be set in [admin]: the admin login always rotates as a single user
              --> demo.toml:29:12
               |
            29 | strategy = "alternating-users"
               |            ^^^^^^^^^^^^^^^^^^^
            hint: remove this line

            error[missing-key]: `secret` is missing in [[user]]
              --> demo.toml:31:1
               |
            31 | [[user]]
               | ^^^^^^^^
            hint: add: secret = "app_secret"
        "#]],
    );
}

#[test]
fn wrong_types() {
    let text = with("[aws]\nregion = \"eu-north-1\"", "aws = \"eu-north-1\"")
        .replace("[[user]]", "[user]")
        .replace("subnets = [\"subnet-05a8a2c78756260ed\", ", "subnets = [7, ")
        .replace(
            "storage = { gib = 20 }",
            "storage = 20\nport = \"5433\"\nbackup_days = 1.5\nmanage = 1\nclass = 2020-01-01",
        )
        .replace("class = \"db.t3.micro\"\n", "");
    bad(
        &text,
        expect![[r#"
            error[wrong-type]: `aws` must be a table, not a string
             --> demo.toml:2:7
              |
            2 | aws = "eu-north-1"
              |       ^^^^^^^^^^^^
            hint: write:
              [aws]
              region = "eu-north-1"

            error[wrong-type]: each of `subnets` must be a string, not an integer
             --> demo.toml:5:12
              |
            5 | subnets = [7, "subnet-0cf57825fcf0c3cbd"]
              |            ^
            hint: write: subnets = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]

            error[wrong-type]: `storage` must be a table, not an integer
              --> demo.toml:10:11
               |
            10 | storage = 20
               |           ^^
            hint: write: storage = { gib = 20, type = "gp3" }

            error[wrong-type]: `port` must be a whole number, not a string
              --> demo.toml:11:8
               |
            11 | port = "5433"
               |        ^^^^^^
            hint: write: port = 5433

            error[wrong-type]: `backup_days` must be a whole number, not a float
              --> demo.toml:12:15
               |
            12 | backup_days = 1.5
               |               ^^^
            hint: write: backup_days = 7

            error[wrong-type]: `manage` must be true or false, not an integer
              --> demo.toml:13:10
               |
            13 | manage = 1
               |          ^
            hint: write: manage = true

            error[wrong-type]: `class` must be a string, not a date or time
              --> demo.toml:14:9
               |
            14 | class = 2020-01-01
               |         ^^^^^^^^^^
            hint: write: class = "db.t3.micro"

            error[wrong-type]: `user` must be an array of tables, not a table
              --> demo.toml:20:1
               |
            20 | [user]
               | ^^^^^^
            hint: write:
              [[user]]
              login = "app"
              secret = "app_secret"
        "#]],
    );
}

#[test]
fn numbers_out_of_range() {
    let text =
        with("storage = { gib = 20 }", "storage = { gib = 0xFFFF_FFFF_FFFF_FFFF_FF }\nport = 80\nbackup_days = -1");
    bad(
        &text,
        expect![[r#"
            error[bad-value]: `gib` is 0xFFFF_FFFF_FFFF_FFFF_FF, outside 20 to 65536 GiB
              --> demo.toml:12:19
               |
            12 | storage = { gib = 0xFFFF_FFFF_FFFF_FFFF_FF }
               |                   ^^^^^^^^^^^^^^^^^^^^^^^^
            hint: write for example: gib = 20

            error[bad-value]: `port` is 80, outside 1150 to 65535
              --> demo.toml:13:8
               |
            13 | port = 80
               |        ^^
            hint: write for example: port = 5432

            error[bad-value]: `backup_days` is -1, outside 0 to 35 days
              --> demo.toml:14:15
               |
            14 | backup_days = -1
               |               ^^
            hint: write for example: backup_days = 7
        "#]],
    );
}

#[test]
fn syntax_errors_are_told_alone_and_all() {
    bad(
        "deployment = article\n[aws\nregion = \"eu\n[aws]\n",
        expect![[r#"
            error[toml-syntax]: this is not TOML: string values must be quoted, expected literal string
             --> demo.toml:1:14
              |
            1 | deployment = article
              |              ^^^^^^^
            hint: a line is key = value, strings stand in double quotes, a table starts with [name]

            error[toml-syntax]: this is not TOML: unclosed table, expected `]`
             --> demo.toml:2:5
              |
            2 | [aws
              |     ^
            hint: a line is key = value, strings stand in double quotes, a table starts with [name]
        "#]],
    );
    bad(
        "[aws]\nregion = \"eu-north-1\"\nregion = \"eu-west-1\"\n",
        expect![[r#"
            error[toml-syntax]: this is not TOML: duplicate key
             --> demo.toml:3:1
              |
            3 | region = "eu-west-1"
              | ^^^^^^
            hint: keep one of the two; a further user is a further [[user]] table
        "#]],
    );
    assert!(parse("x", &"?\n".repeat(1000)).expect_err("no TOML").count() <= SYNTAX_ERRORS);
}
