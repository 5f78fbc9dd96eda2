//! What carries the deployment's tags under another name: told as a copy or as renamed, and never touched.

use crate::lives::{Life, found};
use crate::scenario::{SECOND_USER, Scenario, document, golden, place, refused};
use pgrotate::aws::{EndpointLook, GroupLook};
use pgrotate::desired;
use pgrotate::model::{Mark, Tags};
use pgrotate::plan::limits::{Removals, to_be_named};
use pgrotate::plan::{Goal, plan};
use pgrotate::render::human;
use pgrotate::resources::db_instance;
use pgrotate::resources::secret::Tagged;
use pgrotate::resources::{Kinds, Want};
use std::collections::BTreeSet;

const VPC: &str = "vpc-02294c945121da772";

/// Another identifier is another instance: made empty beside the one that stays.
#[test]
fn an_instance_of_another_name() {
    let article = Scenario::article();
    let renamed = article.with("identifier = \"my-postgres-instance\"", "identifier = \"my-new-instance\"");
    let plan = Life::between(&article, &renamed).plan();
    let named = to_be_named(&plan);
    assert_eq!(named.keys().map(ToString::to_string).collect::<Vec<_>>(), ["db_instance.my-postgres-instance"]);
    let document = document(&plan).limited(&Removals::of(&plan, None), &named);
    golden("instance-renamed", &human::plan(&document));
    assert!(!plan.actions.iter().any(|action| action.address.to_string() == "db_instance.my-postgres-instance"));
}

/// Its secret would be deleted as the one's that leaves, and is wanted as the other's.
#[test]
fn a_login_of_another_name_with_the_same_secret() {
    let article = Scenario::article();
    let renamed = article.with("login = \"test_user1\"", "login = \"app\"");
    let found = found(&article.wants(), &article.realised());
    let refusals = desired::leavers(&renamed.config(), &place(), &mut renamed.wants(), found, true).unwrap_err();
    refused("refuse-login-renamed", &refusals);
}

/// Two that leave and two that come: no more can be said than that it is one of them.
#[test]
fn several_logins_of_other_names() {
    let before = Scenario::article().and(SECOND_USER);
    let after = before
        .with("login = \"test_user1\"", "login = \"a\"")
        .with("\"test_user1_secret\"", "\"a_secret\"")
        .with("login = \"reporting\"", "login = 'b\"c'")
        .with("\"reporting_secret\"", "\"b_secret\"");
    let plan = Life::between(&before, &after).plan();
    let told: String = plan.notes.iter().map(|note| format!("{}: {}\n", note.address, note.text)).collect();
    golden("logins-renamed", &told);
}

fn tags(address: &str) -> Tags {
    let mark = Mark::new("article".to_owned(), crate::scenario::at(address));
    mark.tags()
}

#[test]
fn copies_are_told_and_stay() {
    let article = Scenario::article();
    let (mut wants, live) = (article.wants(), article.realised());
    let mut found = found(&wants, &live);
    found.secrets.push(Tagged { name: "test_user1_secret_2".to_owned(), login: "test_user1".to_owned() });
    // Of a login that nobody declares any more: which of the two is its own?
    for name in ["left_secret", "left_secret_2"] {
        found.secrets.push(Tagged { name: name.to_owned(), login: "left".to_owned() });
    }
    for (identifier, address) in [
        ("restored-db", "db_instance.my-postgres-instance"),
        // Declared before the one that is there now.
        ("former-db", "db_instance.former-db"),
    ] {
        found.instances.push(db_instance::Tagged {
            identifier: identifier.to_owned(),
            arn: place().arn("rds", &format!("db:{identifier}")),
            address: address.to_owned(),
            groups: BTreeSet::new(),
        });
    }
    let group = |id: &str, name: &str, vpc: &str| GroupLook {
        id: id.to_owned(),
        name: name.to_owned(),
        vpc: vpc.to_owned(),
        tags: tags("security_group.database"),
        rules: Vec::new(),
    };
    found.groups.push(group("sg-1", "copied-by-hand", VPC));
    found.groups.push(group("sg-2", "pgrotate-article-database", "vpc-2"));
    for (id, vpc, service) in [("vpce-1", VPC, "kms"), ("vpce-2", "vpc-2", "secretsmanager")] {
        found.endpoints.push(EndpointLook {
            id: id.to_owned(),
            vpc: vpc.to_owned(),
            service: format!("com.amazonaws.eu-north-1.{service}"),
            tags: tags("vpc_endpoint.secretsmanager"),
        });
    }
    let notes = desired::look_alikes(&article.config(), &wants, &found);
    let leavers = desired::leavers(&article.config(), &place(), &mut wants, found, true).unwrap();
    assert!(leavers.is_empty(), "{leavers:?}");
    let plan = plan::<Kinds>(Goal::Converge, &wants, &leavers, &live).unwrap().noting(notes);
    assert!(plan.actions.is_empty());
    golden("copies", &human::plan(&document(&plan)));
}

/// One that the config only refers to is told no otherwise for being declared no more.
#[test]
fn an_instance_that_is_only_referred_to_now() {
    let scenario =
        crate::scenarios::all().into_iter().find(|life| life.name == "new-with-existing-database").expect("a scenario");
    let refers = Scenario::of(&scenario.after);
    let article = Scenario::article();
    let (wants, live) = (article.wants(), article.realised());
    let (notes, left) = desired::look_alikes(&refers.config(), &refers.wants(), &found(&wants, &live));
    assert!(left.is_empty(), "nothing is made in its place");
    let is_instance = |note: &&pgrotate::resource::Note| note.address.kind.0 == "db_instance";
    let told: Vec<_> = notes.iter().filter(is_instance).map(|note| note.text.as_str()).collect();
    assert_eq!(told.len(), 1, "{notes:?}");
    assert!(told[0].contains("is no longer declared, and an instance is never removed for that"), "{told:?}");
    assert!(refers.wants().iter().any(|want| matches!(want, Want::DbInstance(want) if want.spec.is_none())));
}
