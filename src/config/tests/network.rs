//! A VPC and subnets that are meant by their tags.

use super::super::{Choice, parse};
use super::{bad, with};
use expect_test::expect;

#[test]
fn by_tags() {
    let text = with("vpc = \"vpc-02294c945121da772\"", "vpc = { tags = { Name = \"prod\", Team = \"\" } }").replace(
        "subnets = [\"subnet-05a8a2c78756260ed\", \"subnet-0cf57825fcf0c3cbd\"]",
        "[network.subnets.tags]\nTier = \"private\"",
    );
    let config = parse("demo.toml", &text).unwrap_or_else(|errors| panic!("{errors}"));
    let Choice::Tagged(vpc) = &config.network.vpc.value else { panic!("by tags") };
    assert_eq!(vpc.iter().collect::<Vec<_>>().len(), 2);
    let Choice::Tagged(subnets) = &config.network.subnets.value else { panic!("by tags") };
    assert_eq!(subnets["Tier"], "private");
    assert_eq!((config.network.vpc_id(), config.network.subnet_ids()), (None, None));
}

#[test]
fn tags_that_mean_nothing() {
    let text = with("vpc = \"vpc-02294c945121da772\"", "vpc = { tag = { Name = \"prod\" } }")
        .replace("subnets = [\"subnet-05a8a2c78756260ed\", \"subnet-0cf57825fcf0c3cbd\"]", "subnets = { tags = {} }");
    bad(
        &text,
        expect![[r#"
            error[unknown-key]: unknown key `tag` in [network.vpc]
             --> demo.toml:5:9
              |
            5 | vpc = { tag = { Name = "prod" } }
              |         ^^^
            hint: did you mean `tags`? Known here: tags

            error[bad-value]: the tags of `subnets` are empty: they would mean all there are
             --> demo.toml:6:11
              |
            6 | subnets = { tags = {} }
              |           ^^^^^^^^^^^^^
            hint: write for example: subnets = { tags = { Tier = "private" } }
        "#]],
    );
    let text = with("vpc = \"vpc-02294c945121da772\"", "vpc = { tags = \"prod\" }").replace(
        "subnets = [\"subnet-05a8a2c78756260ed\", \"subnet-0cf57825fcf0c3cbd\"]",
        "subnets = { tags = { Tier = 1 }, vpc = \"x\" }",
    );
    bad(
        &text,
        expect![[r#"
        error[wrong-type]: `tags` must be a table, not a string
         --> demo.toml:5:16
          |
        5 | vpc = { tags = "prod" }
          |                ^^^^^^
        hint: write: tags = { Name = "prod" }

        error[wrong-type]: each of `tags` must be a string, not an integer
         --> demo.toml:6:29
          |
        6 | subnets = { tags = { Tier = 1 }, vpc = "x" }
          |                             ^
        hint: write: "1"

        error[unknown-key]: unknown key `vpc` in [network.subnets]
         --> demo.toml:6:34
          |
        6 | subnets = { tags = { Tier = 1 }, vpc = "x" }
          |                                  ^^^
        hint: `vpc` belongs to [network]. Known here: tags
    "#]],
    );
}
