//! `[alerts]`: who is told of rotations that fail.

use super::check::wrong;
use super::error::quoted;
use super::read::{Problems, Table};
use super::{Alerts, Aws, Located};
use crate::code::Code;

const EXAMPLE: &str = "\"arn:aws:sns:eu-north-1:123456789012:database-alerts\"";

/// Longest name of a topic (SNS API reference, CreateTopic).
const TOPIC_NAME: usize = 256;

/// Reads the table; None within: there is none. `aws` is what the topic must go with, as far as it could be read.
pub(super) fn read(
    problems: &Problems<'_>,
    mut table: Table<'_, '_>,
    there: bool,
    aws: Option<&Aws>,
) -> Option<Option<Alerts>> {
    if !there || table.is_unread() {
        // Asked for, so that it is known here. Something else in the table's place was told already.
        table.optional_string("topic", EXAMPLE);
        table.finish();
        return if there { None } else { Some(None) };
    }
    let topic = table.string("topic", EXAMPLE);
    table.finish();
    let topic = topic?;
    check(problems, &topic, aws).then_some(Some(Alerts { topic }))
}

fn check(problems: &Problems<'_>, topic: &Located<String>, aws: Option<&Aws>) -> bool {
    let text = topic.value.as_str();
    let refuse = |message: String, hint: String| {
        wrong(problems, Code::BadValue, topic, message, hint);
        false
    };
    let parts: Vec<&str> = text.split(':').collect();
    let &["arn", _, "sns", region, account, name] = parts.as_slice() else {
        return refuse(
            format!("{} is no ARN of an SNS topic", quoted(text)),
            format!("`aws sns list-topics` shows those there are. Write for example: topic = {EXAMPLE}"),
        );
    };
    if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
        let message = format!("{} is no ARN of an SNS topic: {} is no account id", quoted(text), quoted(account));
        return refuse(message, format!("write for example: topic = {EXAMPLE}"));
    }
    if name.ends_with(".fifo") {
        // EventBridge and CloudWatch publish without the message group that such a topic asks for.
        let message = format!("{} is a FIFO topic, to which neither alarms nor rules can send", quoted(name));
        return refuse(message, "name a standard topic".to_owned());
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > TOPIC_NAME || !name.bytes().all(fits) {
        // Those of subscriptions have a part more.
        let message = format!("{} cannot name an SNS topic", quoted(name));
        return refuse(message, format!("write the topic's ARN, such as topic = {EXAMPLE}"));
    }
    let Some(aws) = aws else { return true };
    if region != aws.region {
        let message = format!("the topic is in {}, and the deployment in {}", quoted(region), quoted(&aws.region));
        return refuse(message, "name a topic of the same region: neither alarms nor rules reach another".to_owned());
    }
    match &aws.account {
        Some(own) if own != account => refuse(
            format!("the topic is of account {account}, and the deployment of {own}"),
            "name a topic of the deployment's account".to_owned(),
        ),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(topic: &str, account: Option<&str>, region: &str) -> Vec<String> {
        let problems = Problems::new("");
        let topic = Located { value: topic.to_owned(), span: 0..0 };
        let aws = Aws { region: region.to_owned(), account: account.map(str::to_owned), assume_role: None };
        let fits = check(&problems, &topic, Some(&aws));
        let found: Vec<_> = problems.finish().into_iter().map(|error| error.message).collect();
        assert_eq!(fits, found.is_empty());
        found
    }

    #[test]
    fn topics_that_fit() {
        let home = "eu-north-1";
        assert!(messages("arn:aws:sns:eu-north-1:123456789012:a", None, home).is_empty());
        assert!(messages("arn:aws:sns:eu-north-1:123456789012:A_b-1", Some("123456789012"), home).is_empty());
        assert!(messages("arn:aws-cn:sns:cn-north-1:123456789012:a", None, "cn-north-1").is_empty());
        assert!(messages("arn:aws-us-gov:sns:us-gov-west-1:123456789012:a", None, "us-gov-west-1").is_empty());
    }

    #[test]
    fn topics_that_do_not() {
        let long = format!("arn:aws:sns:eu-north-1:123456789012:{}", "a".repeat(257));
        for (topic, why) in [
            ("", "no ARN"),
            ("database-alerts", "no ARN"),
            ("arn:aws:sqs:eu-north-1:123456789012:a", "no ARN"),
            ("ARN:aws:sns:eu-north-1:123456789012:a", "no ARN"),
            ("arn:aws:sns:eu-north-1:123456789012:a:5f3c", "no ARN"),
            ("arn:aws:sns:eu-north-1::a", "no account id"),
            ("arn:aws:sns:eu-north-1:12345678901x:a", "no account id"),
            ("arn:aws:sns:eu-north-1:123456789012:", "cannot name"),
            ("arn:aws:sns:eu-north-1:123456789012:a b", "cannot name"),
            (&long, "cannot name"),
            ("arn:aws:sns:eu-north-1:123456789012:a.fifo", "FIFO"),
            ("arn:aws:sns:eu-west-1:123456789012:a", "and the deployment in"),
            ("arn:aws:sns:eu-north-1:999999999999:a", "of account 999999999999"),
        ] {
            let found = messages(topic, Some("123456789012"), "eu-north-1");
            assert!(found.len() == 1 && found[0].contains(why), "{topic}: {found:?}");
        }
    }
}
