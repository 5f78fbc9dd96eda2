//! What can be taken over by its address alone, and why the rest cannot.

use super::Want;

/// Declares that what others have made under this name is taken over. Err: why it is not, and what to do.
pub fn declare(want: &mut Want) -> Result<(), &'static str> {
    match want {
        Want::DbInstance(want) if want.spec.is_some() => want.adopt = true,
        Want::DbInstance(_) => {
            return Err("`manage = false` only refers to it: declare it whole in [database], with `manage = true`");
        }
        Want::DbCluster(_) => {
            return Err("a cluster is only referred to, and never changed: apply needs no more than its name");
        }
        Want::DbSubnetGroup(want) if !want.existing => want.adopt = true,
        Want::SecurityGroup(want) if !want.existing => want.adopt = true,
        Want::DbSubnetGroup(_) | Want::SecurityGroup(_) => {
            return Err("the config only refers to it, by `existing`: give its name alone");
        }
        Want::Secret(want) => want.adopt = true,
        Want::VpcEndpoint(want) => want.adopt = true,
        Want::Login(_) => {
            return Err("a role is taken over inside the database: set adopt = true in its [[user]], and apply");
        }
        Want::Rotation(_) => return Err("a rotation is its secret's: take over the secret"),
        Want::SecurityGroupRule(_) => {
            return Err("a rule that says what is declared is taken over by apply, in a group that is ours");
        }
        Want::Artifact(_) => return Err("the functions' code is named by what it holds: apply uses what is there"),
        Want::Bucket(_) => return Err("a bucket is never taken over: name it as `bucket` in [function]"),
        Want::Stack(_) => return Err("a stack is never taken over: set another `name` in [function]"),
    }
    Ok(())
}
