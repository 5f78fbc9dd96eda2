//! `[tags]`.

use super::super::parse;
use super::{LEAST, bad};
use expect_test::expect;

fn with(tags: &str) -> String {
    LEAST.replace("[admin]", &format!("{tags}[admin]"))
}

#[test]
fn what_all_services_take() {
    let longest = "v".repeat(256);
    let text = with(&format!(
        "[tags]\nteam = \"payments\"\ncost-center = \"4711\"\n\"a b:c/d=e+f@g.h_i\" = \"{longest}\"\n\"{}\" = \"x y\"\n",
        "k".repeat(128)
    ));
    let tags = parse("demo.toml", &text).unwrap_or_else(|errors| panic!("{errors}")).tags;
    assert_eq!(tags.len(), 4);
    assert_eq!((tags["team"].as_str(), tags["cost-center"].as_str()), ("payments", "4711"));
}

#[test]
fn what_some_service_does_not_take() {
    let text = with(&format!(
        "[tags]\nName = \"x\"\n\"aws:team\" = \"x\"\n\"Pgrotate:address\" = \"x\"\n\"\" = \"x\"\n\"caf\u{e9}\" = \"x\"\n\" a\" = \"x\"\n\
         \"{}\" = \"x\"\nTeam = \"x\"\nteam = \"y\"\na1 = \"\"\na2 = \"rds:x\"\na3 = \"a,b\"\na4 = \"{}\"\na5 = 4711\na6 = [\"x\"]\na7 = \"${{env.DB_PASSWORD}}\"\n",
        "k".repeat(129),
        "v".repeat(257)
    ));
    bad(
        &text,
        expect![[r#"
            error[reserved-name]: the tag `Name` is each thing's own
              --> demo.toml:16:1
               |
            16 | Name = "x"
               | ^^^^
            hint: choose another key, such as Deployment

            error[reserved-name]: tags that begin with aws: are those of AWS
              --> demo.toml:17:1
               |
            17 | "aws:team" = "x"
               | ^^^^^^^^^^
            hint: choose another key

            error[reserved-name]: tags that begin with pgrotate: are those of pgrotate
              --> demo.toml:18:1
               |
            18 | "Pgrotate:address" = "x"
               | ^^^^^^^^^^^^^^^^^^
            hint: choose another key

            error[bad-name]: "" cannot be a tag's key: it is empty
              --> demo.toml:19:1
               |
            19 | "" = "x"
               | ^^
            hint: write 1-128 of a-z, A-Z, 0-9, space, +-=._:/@, without spaces at its ends

            error[bad-name]: "café" cannot be a tag's key: 'é' stands in it
              --> demo.toml:20:1
               |
            20 | "café" = "x"
               | ^^^^^^
            hint: write 1-128 of a-z, A-Z, 0-9, space, +-=._:/@, without spaces at its ends

            error[bad-name]: " a" cannot be a tag's key: a space stands at one of its ends
              --> demo.toml:21:1
               |
            21 | " a" = "x"
               | ^^^^
            hint: write 1-128 of a-z, A-Z, 0-9, space, +-=._:/@, without spaces at its ends

            error[bad-name]: "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…" cannot be a tag's key: it has 129 characters
              --> demo.toml:22:1
               |
            22 | "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…
               | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: write 1-128 of a-z, A-Z, 0-9, space, +-=._:/@, without spaces at its ends

            error[duplicate]: "Team" and "team" are one key to IAM, which does not tell capitals apart
              --> demo.toml:24:1
               |
            24 | team = "y"
               | ^^^^
            hint: keep one of the two

            error[bad-value]: "" cannot be a tag's value: it is empty
              --> demo.toml:25:6
               |
            25 | a1 = ""
               |      ^^
            hint: write 1-256 of a-z, A-Z, 0-9, space, +-=._:/@, without spaces at its ends

            error[bad-value]: "rds:x" cannot be a tag's value: values that begin with rds: are those of AWS
              --> demo.toml:26:6
               |
            26 | a2 = "rds:x"
               |      ^^^^^^^
            hint: write 1-256 of a-z, A-Z, 0-9, space, +-=._:/@, without spaces at its ends

            error[bad-value]: "a,b" cannot be a tag's value: ',' stands in it
              --> demo.toml:27:6
               |
            27 | a3 = "a,b"
               |      ^^^^^
            hint: write 1-256 of a-z, A-Z, 0-9, space, +-=._:/@, without spaces at its ends

            error[bad-value]: "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv…" cannot be a tag's value: it has 257 characters
              --> demo.toml:28:6
               |
            28 | a4 = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv…
               |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: write 1-256 of a-z, A-Z, 0-9, space, +-=._:/@, without spaces at its ends

            error[wrong-type]: each of `tags` must be a string, not an integer
              --> demo.toml:29:6
               |
            29 | a5 = 4711
               |      ^^^^
            hint: write: "4711"

            error[wrong-type]: each of `tags` must be a string, not an array
              --> demo.toml:30:6
               |
            30 | a6 = ["x"]
               |      ^^^^^
            hint: write: tags = { team = "payments" }

            error[bad-value]: the variable DB_PASSWORD is named like a secret, and none belongs into a config
              --> demo.toml:31:6
               |
            31 | a7 = "${env.DB_PASSWORD}"
               |      ^^^^^^^^^^^^^^^^^^^^
            hint: a config's values are shown in plans and kept in saved ones; passwords are made and kept in Secrets Manager. Give another name to what is no secret
        "#]],
    );
    bad(
        &LEAST.replace("deployment", "tags = [\"team\"]\ndeployment"),
        expect![[r#"
        error[wrong-type]: `tags` must be a table, not an array
         --> demo.toml:1:8
          |
        1 | tags = ["team"]
          |        ^^^^^^^^
        hint: write: tags = { team = "payments" }
    "#]],
    );
    let many: String = (0..41).map(|number| format!("k{number:02} = \"x\"\n")).collect();
    bad(
        &with(&format!("[tags]\n{many}")),
        expect![[r#"
        error[bad-value]: there are more than 40 tags
          --> demo.toml:56:1
           |
        56 | k40 = "x"
           | ^^^
        hint: AWS takes 50 of a thing, some of which are pgrotate's own: remove those that nobody reads
    "#]],
    );
}
