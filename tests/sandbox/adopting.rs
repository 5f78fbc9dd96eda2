//! `adopt`: a login that somebody else has made, and the clone that AWS's own rotation function has made of it, taken over.

use crate::scenarios::with;
use crate::support::{Account, until};
use serde_json::{Value, json};

/// Of the sandbox's new accounts.
const VPC: &str = "vpc-02294c945121da772";
const SUBNETS: [&str; 2] = ["subnet-05a8a2c78756260ed", "subnet-0cf57825fcf0c3cbd"];
const LOGS_IN: &str =
    "select rolname, rolcanlogin from pg_roles where rolname in ('old', 'old_clone') order by rolname";

/// The scenario's deployment, on the instance that the tests' SQL goes to.
fn config() -> String {
    with(include_str!("../../configs/scenarios/existing-database.toml"), "\"legacy-db\"", "\"my-postgres-instance\"")
}

fn done(answer: Value) -> Value {
    assert!(answer["error"].is_null(), "{answer}");
    answer
}

/// An instance that is nobody's deployment's, so that it outlives ours.
fn instance(account: &Account) {
    let group = json!({ "GroupName": "my-rds-sg", "Description": "by hand", "VpcId": VPC });
    let group = done(account.call("ec2", "create_security_group", group));
    let subnets = json!({
        "DBSubnetGroupName": "by-hand", "DBSubnetGroupDescription": "by hand", "SubnetIds": SUBNETS,
    });
    done(account.call("rds", "create_db_subnet_group", subnets));
    let asked = json!({
        "DBInstanceIdentifier": "my-postgres-instance", "DBInstanceClass": "db.t4g.micro", "Engine": "postgres",
        "AllocatedStorage": 20, "MasterUsername": "postgres", "ManageMasterUserPassword": true,
        "DBSubnetGroupName": "by-hand", "VpcSecurityGroupIds": [group["GroupId"]],
    });
    done(account.call("rds", "create_db_instance", asked));
    until("the instance is available", || {
        let instance = &account.call("rds", "describe_db_instances", json!({}))["DBInstances"][0];
        let secret = &instance["MasterUserSecret"]["SecretStatus"];
        (instance["DBInstanceStatus"] == "available" && secret == "active").then_some(())
    });
}

#[test]
fn a_login_and_its_clone_are_taken_over() {
    let account = Account::new();
    account.delays("none");
    instance(&account);
    account.converges(&config());
    // As SecretsManagerRDSPostgreSQLRotationMultiUser makes a clone: CREATE USER, then GRANT of the base role.
    // https://github.com/aws-samples/aws-secrets-manager-rotation-lambdas
    account.sql("create role old login password 'as-it-was-before-1'");
    account.sql("create role old_clone login password 'as-it-was-before-2'");
    account.sql("grant old to old_clone");
    account.sql("grant create on schema public to old");

    let declared = format!("{}\n[[user]]\nlogin = \"old\"\nsecret = \"old_secret\"\n", config());
    let config = account.config(&declared);
    // A login is looked at by its secret. Until there is one, it is apply that refuses; plan does from then on.
    for (run, code) in [(account.apply(&config), 5), (account.plan(&config), 4)] {
        run.exits(code);
        let told = format!("{}{}", run.stdout, run.stderr);
        for said in ["`old` exists and was not made by this deployment", "adopt = true", "COMMENT ON ROLE \"old\" IS '"]
        {
            assert!(told.contains(said), "`{said}`: {told}");
        }
    }
    assert_eq!(
        account.sql("select shobj_description(oid, 'pg_authid') from pg_roles where rolname = 'old'"),
        [[Value::Null]]
    );

    let config = account.config(&format!("{declared}adopt = true\n"));
    let plan = account.plan(&config);
    plan.exits(2);
    assert!(plan.stdout.contains("is taken over (adopt)"), "{}", plan.stdout);
    let found = account.drift(&config);
    assert!(found["login.old"].contains("\"not-adopted\""), "{found:#?}");
    let mut planned = plan.planned();
    planned.sort();
    assert_eq!(planned, ["create rotation.old", "update login.old"]);
    account.apply(&config).exits(0);
    account.is_empty(&config);
    assert!(account.drift(&config).is_empty());

    // Both log in, by passwords of ours; nothing that the role could do is lost.
    account.rotate(&config, "old").exits(0);
    let mut users = ["AWSCURRENT", "AWSPREVIOUS"].map(|stage| account.login("old_secret", stage));
    users.sort();
    assert_eq!(users, ["old", "old_clone"]);
    let passwords = account.passwords();
    assert!(
        !passwords.iter().any(|password| password.starts_with("as-it-was-before")),
        "those before are in no secret"
    );
    let may = "select has_schema_privilege('old', 'public', 'create'), pg_has_role('old_clone', 'old', 'member')";
    assert_eq!(account.sql(may), [[json!(true), json!(true)]]);
    assert_eq!(account.sql(LOGS_IN), [[json!("old"), json!(true)], [json!("old_clone"), json!(true)]]);
    account.nothing_tells(&passwords);

    account.destroy(&config).exits(0);
    assert_eq!(account.sql(LOGS_IN), [[json!("old"), json!(false)], [json!("old_clone"), json!(false)]]);
}
