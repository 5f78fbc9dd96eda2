//! What is heard of a rotation that fails, and of a login that was mended: the stack's own alarms and rule, a topic
//! of somebody else's, and a queue that listens to it.

use crate::scenarios::{TOPIC, with};
use crate::support::{ARTICLE, Account, path, until};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Makes the topic `arn`, whose policy lets EventBridge and CloudWatch publish.
pub fn topic(account: &Account, arn: &str) {
    let name = arn.rsplit(':').next().expect("a name");
    let made = account.call("sns", "create_topic", json!({ "Name": name }));
    assert_eq!(made["TopicArn"], arn);
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": ["events.amazonaws.com", "cloudwatch.amazonaws.com"] },
            "Action": "sns:Publish",
            "Resource": arn,
        }],
    });
    let asked = json!({ "TopicArn": arn, "AttributeName": "Policy", "AttributeValue": policy.to_string() });
    assert!(account.call("sns", "set_topic_attributes", asked)["error"].is_null());
}

/// A topic that is listened to, and the article's config with it.
fn watched(account: &Account) -> (Listener<'_>, String) {
    let arn = TOPIC.replace("111122223333", &account.number);
    topic(account, &arn);
    let alerts = format!("\n[alerts]\ntopic = \"{arn}\"\n\n[function]\n");
    (Listener::of(account, &arn), with(ARTICLE, "\n[function]\n", &alerts))
}

/// A queue that gets what a topic is told.
struct Listener<'a> {
    account: &'a Account,
    queue: String,
}

impl<'a> Listener<'a> {
    fn of(account: &'a Account, arn: &str) -> Self {
        let queue = account.call("sqs", "create_queue", json!({ "QueueName": "on-call" }));
        let queue = queue["QueueUrl"].as_str().expect("a queue").to_owned();
        let asked = json!({ "QueueUrl": queue, "AttributeNames": ["QueueArn"] });
        let of_queue = account.call("sqs", "get_queue_attributes", asked)["Attributes"]["QueueArn"].clone();
        let asked = json!({ "TopicArn": arn, "Protocol": "sqs", "Endpoint": of_queue });
        assert!(account.call("sns", "subscribe", asked)["SubscriptionArn"].is_string());
        Self { account, queue }
    }

    /// What came since the last time.
    fn heard(&self) -> Vec<Value> {
        let asked = json!({ "QueueUrl": self.queue, "MaxNumberOfMessages": 10 });
        let got = self.account.call("sqs", "receive_message", asked);
        let mut heard = Vec::new();
        for message in got["Messages"].as_array().into_iter().flatten() {
            let body: Value = serde_json::from_str(message["Body"].as_str().expect("a body")).expect("JSON");
            heard.push(serde_json::from_str(body["Message"].as_str().expect("a message")).expect("JSON"));
            let asked = json!({ "QueueUrl": self.queue, "ReceiptHandle": message["ReceiptHandle"] });
            self.account.call("sqs", "delete_message", asked);
        }
        heard
    }

    /// Waits until all of `wanted` have been heard; answers with everything that was.
    fn hears(&self, wanted: &[&str]) -> Vec<Value> {
        let all = RefCell::new(Vec::new());
        for what in wanted {
            until(&format!("the topic is told of {what}"), || {
                all.borrow_mut().extend(self.heard());
                all.borrow().iter().any(|told| of_what(told) == *what).then_some(())
            });
        }
        all.into_inner()
    }
}

/// An event's name, or `alarm: ` and the alarm's own within the stack.
fn of_what(message: &Value) -> String {
    match message["detail"]["eventName"].as_str() {
        Some(event) => event.to_owned(),
        None => {
            let name = message["AlarmName"].as_str().expect("an alarm");
            let own = ["RotationErrors", "RotationFailed", "LoginRepaired"].into_iter().find(|own| name.contains(own));
            assert_eq!(message["NewStateValue"], "ALARM", "{message}");
            format!("alarm: {}", own.unwrap_or_else(|| panic!("an alarm of the stack's: {name}")))
        }
    }
}

/// Lines of the rotation function about one step, failed or not.
fn lines(account: &Account, step: &str) -> Vec<(String, Value)> {
    let asked = json!({ "logGroupName": "/aws/lambda/pgpasslambda" });
    let events = account.call("logs", "filter_log_events", asked)["events"].clone();
    let texts = events.as_array().expect("events").iter().filter_map(|event| event["message"].as_str());
    let read = texts.filter_map(|text| Some((text.to_owned(), serde_json::from_str::<Value>(text).ok()?)));
    read.filter(|(_, line)| line["step"] == step).collect()
}

#[test]
fn a_rotation_that_fails_reaches_the_topic() {
    let account = Account::new();
    account.delays("none");
    let (listener, with_alerts) = watched(&account);

    // Deployed without, and told later: the stack changes, and nothing else.
    account.converges(ARTICLE);
    let config = account.config(&with_alerts);
    let plan = account.plan(&config);
    assert_eq!(plan.exits(2).planned(), ["update stack.pgpasslambda-stack"]);
    assert!(plan.stdout.contains("events.amazonaws.com and cloudwatch.amazonaws.com"), "{}", plan.stdout);
    account.converges(&with_alerts);
    account.rotate(&config, "test_user1").exits(0);
    assert_eq!(listener.heard(), Vec::<Value>::new(), "what goes well is told to nobody");

    // The admin login cannot do its work: each try fails, and then it is given up.
    account.sql("alter role rotator_admin nologin");
    account.rotate(&config, "test_user1").exits(1);
    let told =
        listener.hears(&["RotationFailed", "RotationAbandoned", "alarm: RotationFailed", "alarm: RotationErrors"]);
    let secret = account.call("secretsmanager", "describe_secret", json!({ "SecretId": "test_user1_secret" }));
    for event in told.iter().filter(|message| message["detail"].is_object()) {
        assert_eq!(event["detail"]["additionalEventData"]["SecretId"], secret["ARN"], "{event}");
    }
    let alarms: Vec<_> = told.iter().map(of_what).filter(|what| what.starts_with("alarm")).collect();
    assert_eq!(alarms.len(), alarms.iter().collect::<BTreeSet<_>>().len(), "each alarm tells once: {alarms:?}");

    // What the function logged of it: one line a step, whole, with its metrics.
    let failed = lines(&account, "setSecret").into_iter().filter(|(_, line)| line["outcome"] == "failed");
    let failed: Vec<_> = failed.collect();
    assert_eq!(failed.len(), 3, "each try: {failed:?}");
    for (text, line) in &failed {
        for (key, value) in [
            ("function", json!("rotation")),
            ("deployment", json!("article")),
            ("login", json!("test_user1")),
            ("secret", secret["ARN"].clone()),
            ("error", json!("DatabaseRefused")),
            ("sqlstate", json!("28000")),
            ("RotationFailed", json!(1)),
            ("LoginRepaired", json!(0)),
        ] {
            assert_eq!(line[key], value, "{key}: {text}");
        }
        assert!(secret["VersionIdsToStages"][line["rotation"].as_str().expect("a rotation")].is_array(), "{text}");
        assert!(line["milliseconds"].is_u64() && line["_aws"]["Timestamp"].is_u64(), "{text}");
        assert_eq!(line["milliseconds"], line["StepMilliseconds"]);
    }
    // People are shown what is for people.
    let shown = account.pgrotate(&["logs", path(&config), "test_user1"]);
    shown.exits(0);
    assert!(shown.stdout.contains(r#""sqlstate":"28000""#) && !shown.stdout.contains("_aws"), "{}", shown.stdout);
    assert!(!shown.stdout.contains("StepMilliseconds"), "{}", shown.stdout);

    // Mended, the next window ends what was begun.
    account.sql("alter role rotator_admin login");
    let before = account.login("test_user1_secret", "AWSCURRENT");
    account.clock("+11d");
    until("the schedule fires", || (account.login("test_user1_secret", "AWSCURRENT") != before).then_some(()));

    let passwords = account.passwords();
    let logged: Vec<_> =
        ["createSecret", "setSecret", "testSecret", "finishSecret"].iter().flat_map(|s| lines(&account, s)).collect();
    assert!(logged.len() > 12, "{}", logged.len());
    for password in &passwords {
        // As it is, and as JSON has it.
        let quoted = json!(password).to_string();
        let texts = logged.iter().map(|(text, _)| text.clone()).chain(told.iter().map(Value::to_string));
        for text in texts {
            assert!(!text.contains(password) && !text.contains(quoted.trim_matches('"')), "a password is told");
        }
    }
    account.nothing_tells(&passwords);
}

#[test]
fn a_login_that_was_mended_reaches_the_topic() {
    let account = Account::new();
    account.delays("none");
    let (listener, with_alerts) = watched(&account);
    let (config, _) = account.converges(&with_alerts);
    assert_eq!(listener.heard(), Vec::<Value>::new(), "an apply that goes well is told to nobody");

    let user = account.login("test_user1_secret", "AWSCURRENT");
    account.sql(&format!("alter role {user} password 'by hand'"));
    account.rotate(&config, "test_user1").exits(0);
    let told = listener.hears(&["alarm: LoginRepaired"]);
    assert_eq!(told.iter().map(of_what).collect::<Vec<_>>(), ["alarm: LoginRepaired"], "and nothing failed");
    assert_ne!(account.login("test_user1_secret", "AWSCURRENT"), user);

    // The topic is not ours: it stays, and is told nothing of a destroyed deployment.
    account.destroy(&config).exits(0);
    let topics = account.call("sns", "list_topics", json!({}))["Topics"].clone();
    assert_eq!(topics.as_array().map(Vec::len), Some(1), "{topics}");
    let rules = account.call("events", "list_rules", json!({}))["Rules"].clone();
    let alarms = account.call("cloudwatch", "describe_alarms", json!({}))["MetricAlarms"].clone();
    assert_eq!((rules, alarms), (json!([]), json!([])));
}

#[test]
fn without_a_topic_alarms_show_and_nobody_is_told() {
    let account = Account::new();
    account.delays("none");
    let (config, _) = account.converges(ARTICLE);
    assert_eq!(account.call("events", "list_rules", json!({}))["Rules"], json!([]));
    account.sql("alter role rotator_admin nologin");
    account.rotate(&config, "test_user1").exits(1);
    until("the alarm shows it", || {
        let alarms = account.call("cloudwatch", "describe_alarms", json!({}))["MetricAlarms"].clone();
        let alarms = alarms.as_array().expect("alarms").clone();
        assert!(alarms.iter().all(|alarm| alarm["AlarmActions"] == json!([])), "{alarms:?}");
        let state = |own: &str| {
            let found = alarms.iter().find(|alarm| alarm["AlarmName"].as_str().is_some_and(|name| name.contains(own)));
            found.map(|alarm| alarm["StateValue"].clone())
        };
        (state("RotationFailed") == Some(json!("ALARM")) && state("LoginRepaired") != Some(json!("ALARM")))
            .then_some(())
    });
}
