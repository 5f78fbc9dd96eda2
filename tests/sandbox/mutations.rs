//! A deployment that is changed again and again, at random, while AWS falters at random: each time there is nothing
//! left to plan afterwards.

use crate::faults::{Dice, whole};
use crate::support::{ARTICLE, Account};

/// What a config says beyond the article's.
#[derive(Debug, Clone, Default)]
struct Wanted {
    /// By their number, with their keys.
    users: Vec<(usize, Vec<&'static str>)>,
    offices: Vec<usize>,
    backup_days: usize,
    every: usize,
    length: usize,
}

const KEYS: &[&str] = &[
    "connection_limit = 5",
    "every = \"30 days\"",
    "strategy = \"single-user\"",
    "settings = { search_path = \"app\", statement_timeout = \"30s\" }",
    "valid_until = 2030-01-01T00:00:00Z",
];

impl Wanted {
    fn text(&self) -> String {
        let offices: Vec<_> = self
            .offices
            .iter()
            .map(|n| format!("{{ cidr = \"203.0.113.{n}/32\", description = \"office {n}\" }}"))
            .collect();
        let mut text = ARTICLE
            .replace(
                r#"allow = [{ cidr = "203.0.113.7/32", description = "office" }]"#,
                &format!("allow = [{}]", offices.join(", ")),
            )
            .replace("backup_days = 7", &format!("backup_days = {}", self.backup_days + 1))
            .replace("every = \"10 days\"", &format!("every = \"{} days\"", 10 + self.every))
            .replace("[rotation]\n", &format!("[rotation]\npasswords = {{ length = {} }}\n", 24 + self.length));
        for (number, keys) in &self.users {
            text.push_str(&format!("\n[[user]]\nlogin = \"user{number}\"\nsecret = \"user{number}_secret\"\n"));
            keys.iter().for_each(|key| text.push_str(&format!("{key}\n")));
        }
        text
    }

    /// One thing of it becomes another.
    fn mutate(&mut self, dice: &mut Dice) -> String {
        match dice.roll(7) {
            0 | 1 if self.users.len() < 4 => {
                let number =
                    (0..).find(|number| self.users.iter().all(|(user, _)| user != number)).expect("one is free");
                self.users.push((number, Vec::new()));
                format!("user{number} comes")
            }
            2 if !self.users.is_empty() => {
                let (number, _) = self.users.remove(dice.roll(self.users.len()));
                format!("user{number} goes")
            }
            3 if !self.users.is_empty() => {
                let user = dice.roll(self.users.len());
                let (key, (number, keys)) = (KEYS[dice.roll(KEYS.len())], &mut self.users[user]);
                match keys.iter().position(|has| *has == key) {
                    Some(place) => _ = keys.remove(place),
                    None => keys.push(key),
                }
                format!("user{number}: {key}, or no more")
            }
            4 => {
                let office = 1 + dice.roll(6);
                match self.offices.iter().position(|has| *has == office) {
                    Some(place) => _ = self.offices.remove(place),
                    None => self.offices.push(office),
                }
                format!("office {office} comes or goes")
            }
            5 => {
                self.backup_days = (self.backup_days + 1 + dice.roll(5)) % 7;
                format!("{} days of backups", self.backup_days + 1)
            }
            _ => {
                self.every = (self.every + 1 + dice.roll(5)) % 9;
                self.length = (self.length + 1 + dice.roll(5)) % 9;
                format!("every {} days, {} characters", 10 + self.every, 24 + self.length)
            }
        }
    }
}

const CALLS: &[&str] = &[
    "secretsmanager.DescribeSecret",
    "secretsmanager.CreateSecret",
    "secretsmanager.RotateSecret",
    "secretsmanager.TagResource",
    "secretsmanager.ListSecrets",
    "secretsmanager.DeleteSecret",
    "secretsmanager.CancelRotateSecret",
    "rds.DescribeDBInstances",
    "rds.ModifyDBInstance",
    "ec2.DescribeSecurityGroupRules",
    "ec2.AuthorizeSecurityGroupIngress",
    "ec2.RevokeSecurityGroupIngress",
    "ec2.DescribeSecurityGroups",
    "lambda.Invoke",
    "lambda.GetFunctionConfiguration",
    "cloudformation.DescribeStacks",
    "cloudformation.GetTemplate",
    "s3.HeadObject",
    "sts.GetCallerIdentity",
];

/// A mishap or two of the calls that such changes make; some more often than the SDK asks.
fn falter(account: &Account, dice: &mut Dice) -> Vec<String> {
    let mut planted = Vec::new();
    for _ in 0..1 + dice.roll(2) {
        let (call, times) = (CALLS[dice.roll(CALLS.len())], if dice.roll(4) == 0 { "5" } else { "1" });
        let what: &[&str] = [&["InternalError"][..], &["cut"], &["cut", "--after"]][dice.roll(3)];
        let skip = dice.roll(3).to_string();
        account.fault(&[&[call], what, &["--client", "--skip", &skip, "--times", times]].concat());
        planted.push(format!("{call} {what:?} {times} times after {skip}"));
    }
    planted
}

#[test]
fn changed_at_random() {
    let steps = if whole() { 200 } else { 10 };
    let (account, mut dice) = (Account::new(), Dice(11));
    account.delays("none");
    let mut wanted = Wanted { offices: vec![7], backup_days: 6, ..Wanted::default() };
    account.converges(&wanted.text());
    let (mut failed, mut applies) = (0, 0);
    for step in 0..steps {
        let what = wanted.mutate(&mut dice);
        let faults = falter(&account, &mut dice);
        println!("{step:>3}  {what}; {}", faults.join("; "));
        let config = account.config(&wanted.text());
        let run = account.apply(&config);
        applies += 1;
        if run.code != Some(0) {
            failed += 1;
            let said = format!("{}{}", run.stdout, run.stderr);
            assert!(matches!(run.code, Some(1 | 3 | 5)), "{what}: {:?}\n{said}", run.code);
            assert!(said.contains("error[") && said.contains("hint: "), "{what}\n{said}");
        }
        account.fault(&["--clear"]);
        account.converges(&wanted.text());
        for secret in ["test_user1_secret".to_owned()]
            .into_iter()
            .chain(wanted.users.iter().map(|(n, _)| format!("user{n}_secret")))
        {
            account.login(&secret, "AWSCURRENT");
        }
    }
    println!(
        "{steps} changes, one after another, with faults: {failed} of {applies} applies failed and were made good"
    );
}
