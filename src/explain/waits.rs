//! Why one kind waits for another.

use crate::model::{Address, Kind};

/// Each pair of kinds that refer to each other: what is needed first, what needs it, and what for.
const NEEDS: &[(&str, &str, &str)] = &[
    ("artifact", "stack", "CloudFormation takes the functions' code from there"),
    ("bucket", "artifact", "the functions' code is put into the bucket"),
    ("db_cluster", "login", "the role is made in its database"),
    ("db_cluster", "stack", "the functions are told its servers and its master's secret"),
    ("db_instance", "login", "the role is made in its database"),
    ("db_instance", "stack", "the functions are told its servers and its master's secret"),
    ("db_subnet_group", "db_instance", "RDS puts the instance into the group's subnets"),
    ("login", "login", "the admin login is given the role to rotate"),
    ("login", "rotation", "the first rotation, which proves that it works, needs the login"),
    ("secret", "login", "the password that is made for the role is put into the secret"),
    ("secret", "rotation", "it is the secret that rotates"),
    ("secret", "stack", "the functions are told the admin login's secret"),
    ("security_group", "db_cluster", "the cluster is in the group"),
    ("security_group", "db_instance", "the instance is in the group"),
    ("security_group", "security_group_rule", "a rule is a rule of a group, and may let in another"),
    ("security_group", "stack", "the functions are in the group"),
    ("security_group", "vpc_endpoint", "the endpoint is in the group"),
    ("security_group_rule", "db_instance", "whoever reaches it now must reach it in its new groups too"),
    ("security_group_rule", "login", "the functions' way to the database and to Secrets Manager leads through it"),
    ("security_group_rule", "vpc_endpoint", "whoever the endpoint's private name leads to it must get in"),
    ("stack", "login", "its functions look at the role, make it and shut it out"),
    ("stack", "rotation", "its function rotates the secret"),
    ("vpc_endpoint", "login", "the functions' way to Secrets Manager leads through it"),
];

/// Said of a step that only follows the one before it.
pub const OWN_STEP: &str = "it is the step before, of the same";

/// Said of what goes.
pub const MUST_GO: &str = "what refers to it must be gone first";

/// Said of what goes too.
pub const IN_ITS_PLACE: &str = "what takes its place, or does without it, comes first";

/// Why `then` refers to `first`; None where no kind like it does.
pub fn needs(first: &Address, then: &Address) -> Option<&'static str> {
    let (Kind(first), Kind(then)) = (first.kind, then.kind);
    NEEDS.iter().find(|(one, other, _)| (*one, *other) == (first, then)).map(|(_, _, why)| *why)
}

/// Why an action of `then` waits for one of `first`; `removing` where `then`'s takes it away.
pub fn why(first: &Address, then: &Address, removing: bool) -> &'static str {
    if first == then {
        return OWN_STEP;
    }
    if removing {
        // Against the direction in which they refer to each other.
        return if needs(then, first).is_some() { MUST_GO } else { needs(first, then).unwrap_or(IN_ITS_PLACE) };
    }
    needs(first, then).unwrap_or(IN_ITS_PLACE)
}
