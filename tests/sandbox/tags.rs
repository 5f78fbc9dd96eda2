//! Tags for all: on everything that is made, found where somebody takes one off, and put back without touching those of
//! others.

use crate::scenarios::{TAGS, with};
use crate::support::{ARTICLE, Deployment, group_id};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Tags = BTreeMap<String, String>;

/// A list of AWS's, whatever its service calls the two.
fn read(list: &Value) -> Tags {
    let text = |tag: &Value, key: &str| tag[key].as_str().map(str::to_owned);
    let list = list.as_array().into_iter().flatten();
    list.map(|tag| (text(tag, "Key").expect("a key"), text(tag, "Value").unwrap_or_default())).collect()
}

impl Deployment {
    fn instance(&self) -> Value {
        self.account.call("rds", "describe_db_instances", json!({}))["DBInstances"][0].take()
    }

    fn subnet_group(&self) -> Value {
        self.account.call("rds", "describe_db_subnet_groups", json!({ "DBSubnetGroupName": "my-db-subnet-group" }))
            ["DBSubnetGroups"][0]["DBSubnetGroupArn"]
            .take()
    }

    fn bucket(&self) -> String {
        let found = self.account.call("s3", "list_buckets", json!({}));
        found["Buckets"][0]["Name"].as_str().expect("a bucket").to_owned()
    }

    fn endpoint(&self) -> Value {
        self.account.call("ec2", "describe_vpc_endpoints", json!({}))["VpcEndpoints"][0].take()
    }

    /// Of a thing of each kind, by its address.
    fn tags(&self) -> BTreeMap<&'static str, Tags> {
        let account = &self.account;
        let group = group_id(account, "pgrotate-article-database");
        let rules = json!({ "Filters": [{ "Name": "group-id", "Values": [group] }] });
        let rules = account.call("ec2", "describe_security_group_rules", rules);
        let rule = rules["SecurityGroupRules"].as_array().expect("rules");
        let rule = rule.iter().find(|rule| rule["CidrIpv4"] == "203.0.113.7/32").expect("the office's rule");
        let groups = account.call("ec2", "describe_security_groups", json!({ "GroupIds": [group] }));
        let of = |arn: &Value| account.call("rds", "list_tags_for_resource", json!({ "ResourceName": arn }));
        let secret = account.call("secretsmanager", "describe_secret", json!({ "SecretId": "test_user1_secret" }));
        let bucket = account.call("s3", "get_bucket_tagging", json!({ "Bucket": self.bucket() }));
        let stacks = account.call("cloudformation", "describe_stacks", json!({ "StackName": "pgpasslambda-stack" }));
        BTreeMap::from([
            ("db_instance.my-postgres-instance", read(&self.instance()["TagList"])),
            ("db_subnet_group.my-db-subnet-group", read(&of(&self.subnet_group())["TagList"])),
            ("security_group.database", read(&groups["SecurityGroups"][0]["Tags"])),
            ("security_group_rule.database-from-203.0.113.7/32", read(&rule["Tags"])),
            ("vpc_endpoint.secretsmanager", read(&self.endpoint()["Tags"])),
            ("secret.test_user1", read(&secret["Tags"])),
            ("bucket", read(&bucket["TagSet"])),
            ("stack.pgpasslambda-stack", read(&stacks["Stacks"][0]["Tags"])),
        ])
    }

    /// Each of those has these tags beside others.
    fn all_have(&self, tags: &[(&str, &str)]) {
        for (address, found) in self.tags() {
            for (key, value) in tags {
                assert_eq!(found.get(*key).map(String::as_str), Some(*value), "{key} of {address}: {found:?}");
            }
        }
    }

    /// Gives the stack these tags in the place of all that it has.
    fn tag_stack(&self, tags: &Tags) {
        let tags: Vec<_> = tags.iter().map(|(key, value)| format!("Key={key},Value={value}")).collect();
        self.account.shell(&format!(
            "aws cloudformation update-stack --stack-name pgpasslambda-stack --use-previous-template \
             --capabilities CAPABILITY_IAM --tags {} --parameters $(aws cloudformation describe-stacks \
             --stack-name pgpasslambda-stack --output text \
             --query 'join(`\" \"`, Stacks[0].Parameters[].join(``, [`ParameterKey=`, ParameterKey, `,UsePreviousValue=true`]))' \
             | tr -d '\"') && aws cloudformation wait stack-update-complete --stack-name pgpasslambda-stack",
            tags.join(" ")
        ));
    }
}

#[test]
fn on_everything_that_is_made() {
    let tagged = format!("{ARTICLE}{TAGS}");
    let at = Deployment::new(&tagged);
    let account = &at.account;
    at.all_have(&[("team", "payments"), ("cost-center", "4711")]);
    // What they are known by is as ever, and the stack hands its tags to the functions and their roles.
    at.all_have(&[("pgrotate:deployment", "article")]);

    // Taken off by hand, or changed: of a thing of each kind.
    let taken_off = json!([{ "Key": "team" }]);
    let theirs = json!([{ "Key": "of-others", "Value": "stays" }]);
    let group = group_id(account, "pgrotate-article-database");
    at.by_hand("ec2", "create_tags", json!({ "Resources": [group], "Tags": theirs }));
    at.by_hand("ec2", "delete_tags", json!({ "Resources": [group], "Tags": taken_off }));
    at.mends(&["security_group.database"], &["tags-changed", "team=payments"]);
    let rules = json!({ "Filters": [{ "Name": "group-id", "Values": [group] }] });
    let rules = account.call("ec2", "describe_security_group_rules", rules);
    let rule = rules["SecurityGroupRules"].as_array().expect("rules").iter();
    let rule = rule.clone().find(|rule| rule["CidrIpv4"] == "203.0.113.7/32").expect("the office's rule").clone();
    let changed = json!([{ "Key": "team", "Value": "search" }]);
    at.by_hand("ec2", "create_tags", json!({ "Resources": [rule["SecurityGroupRuleId"]], "Tags": changed }));
    at.mends(&["security_group_rule.database-from-203.0.113.7/32"], &["tags-changed", "team=search", "team=payments"]);
    at.by_hand("ec2", "delete_tags", json!({ "Resources": [at.endpoint()["VpcEndpointId"]], "Tags": taken_off }));
    at.mends(&["vpc_endpoint.secretsmanager"], &["tags-changed", "team=payments"]);
    for (arn, address) in [
        (at.instance()["DBInstanceArn"].take(), "db_instance.my-postgres-instance"),
        (at.subnet_group(), "db_subnet_group.my-db-subnet-group"),
    ] {
        let asked = json!({ "ResourceName": arn, "TagKeys": ["cost-center"] });
        at.by_hand("rds", "remove_tags_from_resource", asked);
        at.mends(&[address], &["tags-changed", "cost-center=4711"]);
    }
    let secret = json!({ "SecretId": "test_user1_secret", "TagKeys": ["team", "pgrotate:address"] });
    at.by_hand("secretsmanager", "tag_resource", json!({ "SecretId": "test_user1_secret", "Tags": theirs }));
    at.by_hand("secretsmanager", "untag_resource", secret);
    at.mends(&["secret.test_user1"], &["tags-missing", "tags-changed", "pgrotate:address", "team=payments"]);

    let mut all = at.tags();
    let mut of_bucket = all.remove("bucket").expect("the bucket");
    of_bucket.remove("team");
    of_bucket.insert("of-others".to_owned(), "stays".to_owned());
    let set: Vec<_> = of_bucket.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    let bucket = at.bucket();
    at.by_hand("s3", "put_bucket_tagging", json!({ "Bucket": bucket, "Tagging": { "TagSet": set } }));
    at.mends(&[&format!("bucket.{bucket}")], &["tags-changed", "team=payments"]);

    // An update of nothing but tags is one.
    let mut of_stack = all.remove("stack.pgpasslambda-stack").expect("the stack");
    of_stack.remove("team");
    of_stack.insert("of-others".to_owned(), "stays".to_owned());
    at.tag_stack(&of_stack);
    at.mends(&["stack.pgpasslambda-stack"], &["tags-changed", "team=payments"]);

    at.all_have(&[("team", "payments"), ("cost-center", "4711")]);
    let all = at.tags();
    for address in ["security_group.database", "secret.test_user1", "bucket", "stack.pgpasslambda-stack"] {
        assert_eq!(all[address].get("of-others").map(String::as_str), Some("stays"), "{address}");
    }

    // One more in the file: nothing but tags is planned. One less: it stays where it is, and is nobody's drift.
    let more = account.config(&with(&tagged, "[tags]\n", "[tags]\nstage = \"prod\"\n"));
    let plan = account.plan(&more);
    plan.exits(2);
    assert!(plan.planned().iter().all(|line| line.starts_with("update ")), "{}", plan.stdout);
    assert!(plan.stdout.contains("stage=prod"), "{}", plan.stdout);
    account.apply(&more).exits(0);
    account.is_empty(&more);
    at.all_have(&[("team", "payments"), ("cost-center", "4711"), ("stage", "prod")]);
    let less = account.config(&with(&tagged, "team = \"payments\"\n", ""));
    account.is_empty(&less);
    at.finds(&less, &[], &[]);
    at.all_have(&[("team", "payments")]);
}
