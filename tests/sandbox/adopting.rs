//! `adopt`: what others have made is taken over. A login, and the clone that AWS's own rotation function has made of it; and
//! the article's deployment, made by hand as the article says.

use crate::scenarios::with;
use crate::support::{ARTICLE, Account, group_id, pasted, path, until};
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
pub fn instance(account: &Account) {
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

/// The master's password of [`by_hand`].
const MASTER: &str = "YourMasterPasswordHere";

/// The article's step 1.5, in the subnet group of its step 1.2 and the security group of its step 1.3. Encrypted, which
/// there it is not and cannot become.
pub fn by_hand(account: &Account) {
    account.shell(&format!(
        "aws rds create-db-instance --db-instance-identifier my-postgres-instance --db-instance-class db.t3.micro \
         --engine postgres --engine-version 16 --master-username postgres --master-user-password {MASTER} \
         --allocated-storage 20 --storage-type gp2 --storage-encrypted --backup-retention-period 7 \
         --vpc-security-group-ids {} --db-subnet-group-name my-db-subnet-group --publicly-accessible \
         --auto-minor-version-upgrade --copy-tags-to-snapshot --tags Key=Name,Value=my-postgres-instance",
        group_id(account, "my-rds-sg"),
    ));
    account.shell("aws rds wait db-instance-available --db-instance-identifier my-postgres-instance");
}

/// The article's step 2.2.
pub fn secrets_by_hand(account: &Account, host: &str, passwords: [&str; 2]) {
    for (login, password) in ["rotator_admin", "test_user1"].into_iter().zip(passwords) {
        let value = json!({
            "username": login, "password": password, "engine": "postgres", "host": host, "port": 5432,
            "dbname": "postgres",
        });
        account.shell(&format!(
            "aws secretsmanager create-secret --name {login}_secret --description 'made by hand' \
             --secret-string '{value}' --tags Key=Name,Value={login}_secret",
        ));
    }
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
    assert_eq!(planned, ["adopt login.old", "create rotation.old"]);
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

/// A file's tables, each with `adopt = true`.
fn adopting(tables: &[&str]) -> String {
    tables.iter().fold(ARTICLE.to_owned(), |text, table| with(&text, table, &format!("{table}\nadopt = true")))
}

/// Steps 1, 2 and 6 of the article, as typed there.
#[test]
fn the_article_made_by_hand_is_taken_over() {
    let account = Account::new();
    account.delays("none");
    account.shell(&format!(
        "aws rds create-db-subnet-group --db-subnet-group-name my-db-subnet-group \
         --db-subnet-group-description 'My DB subnet group' --subnet-ids {}",
        SUBNETS.join(" ")
    ));
    account.shell(&format!(
        "aws ec2 create-security-group --group-name my-rds-sg --description 'Security group for RDS instance' \
         --vpc-id {VPC}"
    ));
    by_hand(&account);
    let address = account.shell(
        "aws rds describe-db-instances --db-instance-identifier my-postgres-instance \
         --query 'DBInstances[0].Endpoint.Address' --output text",
    );
    let typed = ["as-it-was-before-1", "as-it-was-before-2"];
    secrets_by_hand(&account, &address, typed);
    account.sql_with(MASTER, &format!("create user test_user1 with password '{}'", typed[1]));
    account.sql_with(MASTER, &format!("create user rotator_admin with password '{}'", typed[0]));
    account.sql_with(MASTER, "grant rds_superuser to rotator_admin");

    // Nothing of it is touched unsaid, and each refusal says how it is said.
    let config = account.config(ARTICLE);
    let refused = account.apply(&config);
    refused.exits(4);
    for address in [
        "db_instance.my-postgres-instance",
        "db_subnet_group.my-db-subnet-group",
        "secret.rotator_admin",
        "secret.test_user1",
    ] {
        assert!(refused.stderr.contains(&pasted("adopt", &config, address)), "{}", refused.stderr);
    }

    // What stands in the way of one of them is told where that is asked about, beside what was seen.
    let explained = account.pgrotate(&["explain", path(&config), "secret.test_user1"]);
    let adopt = pasted("adopt", &config, "secret.test_user1");
    let said = &explained.exits(0).stdout;
    assert!(said.contains("refused[not-ours]: secret.test_user1: ") && said.contains(&adopt), "{said}");
    assert!(said.contains("\nSeen:\n") && said.contains("there is no plan until nothing is refused"), "{said}");

    // One of them by its address, and only its tags.
    let adopt = |address: &str| account.pgrotate(&["adopt", path(&config), address, "--yes"]);
    let never = adopt("stack.pgpasslambda-stack");
    assert!(never.exits(4).stderr.starts_with("refused[never-adopted]"), "{}", never.stderr);
    let unknown = adopt("secret.test_user2");
    assert!(unknown.exits(1).stderr.starts_with("error[no-such-address]"), "{}", unknown.stderr);
    adopt("vpc_endpoint.secretsmanager").exits(4);
    let adopted = adopt("db_subnet_group.my-db-subnet-group");
    assert_eq!(adopted.exits(0).planned(), ["adopt db_subnet_group.my-db-subnet-group"]);
    assert!(adopt("db_subnet_group.my-db-subnet-group").exits(0).stdout.contains("No changes"));

    // The rest by the file.
    let config = account.config(&adopting(&["\n[database]", "\n[admin]", "secret = \"test_user1_secret\""]));
    let planned = account.plan(&config);
    let adopts: Vec<_> = planned.exits(2).planned().into_iter().filter(|line| line.starts_with("adopt ")).collect();
    assert_eq!(
        adopts,
        ["adopt secret.rotator_admin", "adopt secret.test_user1", "adopt db_instance.my-postgres-instance"]
    );
    assert!(planned.stdout.contains("made and kept by RDS"), "{}", planned.stdout);
    // Who may set every login's password is handed over in the database, by whoever rules there.
    let stopped = account.apply(&config);
    stopped.exits(5);
    let hint = stopped.stdout.split("to hand it over: ").nth(1).and_then(|hint| hint.split("; or").next());
    let hint = hint.unwrap_or_else(|| panic!("{}", stopped.stdout));
    assert!(hint.starts_with("COMMENT ON ROLE \"rotator_admin\" IS '"), "{hint}");
    account.no_value_was_read();
    account.sql(hint);
    account.apply(&config).exits(0);
    account.is_empty(&config);
    assert!(account.drift(&config).is_empty());

    // What an application has read before works until the next rotation, and that one's from then on.
    assert_eq!(account.login("test_user1_secret", "AWSCURRENT"), "test_user1_clone");
    assert_eq!(account.login("test_user1_secret", "AWSPREVIOUS"), "test_user1");
    account.rotate(&config, "test_user1").exits(0);
    assert_eq!(account.login("test_user1_secret", "AWSCURRENT"), "test_user1");
    for (secret, stage) in [("test_user1_secret", "AWSCURRENT"), ("rotator_admin_secret", "AWSCURRENT")] {
        let asked = json!({ "SecretId": secret, "VersionStage": stage });
        let value = account.call("secretsmanager", "get_secret_value", asked);
        assert!(!typed.iter().any(|typed| value.to_string().contains(typed)), "a password of before is still in use");
    }
    account.nothing_tells(&account.passwords());

    // Named in the file alone, the tables change nothing once all of it is ours.
    account.is_empty(&account.config(ARTICLE));
    account.destroy(&config).exits(0);
    let left = account.call("rds", "describe_db_instances", json!({}));
    assert_eq!(left["DBInstances"], json!([]));
    assert!(group_id(&account, "my-rds-sg").starts_with("sg-"), "it was never ours");
}
