//! Every call that apply and destroy make of AWS, and an apply that mends or changes what is there, goes wrong in every way, and every call is the last one before the
//! process is killed or asked to stop. After each, the same command again makes it whole, plans nothing more, and has
//! made nothing twice.
//!
//! `cargo test` takes a sample of each; `PGROTATE_FAULTS=whole` (`make faults`) takes all.

use crate::mending::{changed, tamper};
use crate::stopping::{as_the_article_wants, counted};
use crate::support::{ARTICLE, Account, Run, group_id, path, until};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

/// How many accounts are at it at once: each mostly waits, for answers that do not come and for processes to start.
const AT_ONCE: usize = 4;
/// One in so many cases is taken, at the least, where not all are.
const SAMPLE: usize = 10;

/// Whether all cases are to be run.
pub fn whole() -> bool {
    std::env::var("PGROTATE_FAULTS").is_ok_and(|value| value == "whole")
}

/// A sequence that looks random and is the same every time (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    /// Less than `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).expect("less than sides")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mishap {
    Throttled,
    ServerError,
    /// It breaks off before it took effect.
    CutOff,
    /// It took effect, and the answer is lost.
    Lost,
    /// No answer comes, until our own time is up.
    Silent,
    /// An error of the server's each time that it is asked again.
    GivenUp,
}

const MISHAPS: [Mishap; 6] =
    [Mishap::Throttled, Mishap::ServerError, Mishap::CutOff, Mishap::Lost, Mishap::Silent, Mishap::GivenUp];

/// The n-th call of an operation, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Case {
    command: &'static str,
    request: String,
    number: usize,
    mishap: Mishap,
}

impl Case {
    fn plant(&self, account: &Account) {
        let throttle = match self.request.split('.').next() {
            Some("ec2") => "RequestLimitExceeded",
            Some("lambda") => "TooManyRequestsException",
            Some("s3") => "SlowDown",
            Some("secretsmanager" | "logs") => "ThrottlingException",
            _ => "Throttling",
        };
        // The SDK asks five times in all.
        let what: &[&str] = match self.mishap {
            Mishap::Throttled => &[throttle],
            Mishap::ServerError => &["InternalError"],
            Mishap::CutOff => &["cut"],
            Mishap::Lost => &["cut", "--after"],
            Mishap::Silent => &["stall"],
            Mishap::GivenUp => &["InternalError", "--times", "5"],
        };
        let number = self.number.to_string();
        account.fault(&[&[self.request.as_str()], what, &["--client", "--skip", &number]].concat());
    }
}

/// The first apply, one that mends what was tampered with, one of a changed config, and destroy.
const APPLY: &str = "apply";
const MEND: &str = "mend";
const CHANGE: &str = "change";
const DESTROY: &str = "destroy";

/// The config of a command.
fn text(account: &Account, command: &str) -> String {
    if command == CHANGE { changed(account) } else { ARTICLE.to_owned() }
}

/// `text` is [`text`]'s: what it makes for the command is no call of the command's.
fn run_command(account: &Account, command: &str, text: &str) -> Run {
    let config = account.config(text);
    account.pgrotate(&[if command == DESTROY { DESTROY } else { APPLY }, "--yes", path(&config)])
}

/// What apply and destroy ask of AWS when nothing goes wrong, from the sandbox's own log: how often each. Of later
/// applies, what no other command asks.
fn calls() -> &'static BTreeMap<(&'static str, String), usize> {
    static CALLS: OnceLock<BTreeMap<(&'static str, String), usize>> = OnceLock::new();
    CALLS.get_or_init(recorded)
}

fn recorded() -> BTreeMap<(&'static str, String), usize> {
    let account = Account::new();
    account.delays("none");
    let mut calls = BTreeMap::<(&'static str, String), usize>::new();
    let mut record = |command: &'static str| {
        let text = text(&account, command);
        let before = account.requests().len();
        run_command(&account, command, &text).exits(0);
        let known: BTreeSet<_> = calls.keys().map(|(_, request)| request.clone()).collect();
        let all = account.requests().split_off(before);
        for (_, request) in all.into_iter().filter(|(caller, _)| caller == "client") {
            if [APPLY, DESTROY].contains(&command) || !known.contains(&request) {
                *calls.entry((command, request)).or_default() += 1;
            }
        }
    };
    record(APPLY);
    record(DESTROY);
    account.reset();
    made_whole(&account);
    tamper(&account);
    record(MEND);
    record(CHANGE);
    calls
}

/// The matrix would be green too if a later apply had nothing to mend.
#[test]
fn later_applies_make_calls_of_their_own() {
    for (command, requests) in [
        (
            MEND,
            &[
                "ec2.CreateTags",
                "ec2.ModifyVpcEndpoint",
                "lambda.UpdateFunctionCode",
                "lambda.UpdateFunctionConfiguration",
                "rds.AddTagsToResource",
                "secretsmanager.RestoreSecret",
                "secretsmanager.TagResource",
                "secretsmanager.UpdateSecret",
            ][..],
        ),
        (
            CHANGE,
            &["ec2.UpdateSecurityGroupRuleDescriptionsIngress", "rds.ModifyDBInstance", "rds.ModifyDBSubnetGroup"],
        ),
    ] {
        let mine: BTreeSet<_> = calls().keys().filter(|(of, _)| *of == command).map(|(_, request)| request).collect();
        let missing: Vec<_> = requests.iter().filter(|request| !mine.contains(&(**request).to_owned())).collect();
        assert!(missing.is_empty(), "{command} lacks {missing:?}; it has {mine:?}");
    }
}

/// So many of all. Each has its place by itself, so that they are the same ones also where a wait has asked once more or
/// less: what is chosen must not depend on how fast the machine is.
fn chosen<T: std::fmt::Debug>(mut all: Vec<T>, many: usize, seed: u64) -> Vec<T> {
    all.sort_by_cached_key(|case| {
        let mut hasher = DefaultHasher::new();
        (seed, format!("{case:?}")).hash(&mut hasher);
        hasher.finish()
    });
    all.truncate(many);
    all
}

/// Runs `each` of `jobs`, several at once in an account each, and fails once all have been run if any has.
fn all_of<T: Send + std::fmt::Debug>(jobs: Vec<T>, each: impl Fn(&Account, &T) + Sync) {
    let jobs = Mutex::new(VecDeque::from(jobs));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let account = Account::new();
                account.delays("none");
                loop {
                    let Some(job) = jobs.lock().expect("jobs").pop_front() else { return };
                    if catch_unwind(AssertUnwindSafe(|| each(&account, &job))).is_err() {
                        println!("FAILED: {job:?}");
                        failed.lock().expect("a list").push(format!("{job:?}"));
                    }
                    account.reset();
                }
            });
        }
    });
    let failed = failed.into_inner().expect("a list");
    assert!(failed.is_empty(), "not as they should be (why stands above):\n{}", failed.join("\n"));
}

/// It is done, or it says why not and what to do.
fn ends_well(run: &Run) {
    let said = format!("{}{}", run.stdout, run.stderr);
    match run.code {
        Some(0) => {}
        Some(1 | 3 | 5) => assert!(said.contains("error[") && said.contains("hint: "), "no cause or advice:\n{said}"),
        code => panic!("exit code {code:?}\n{said}"),
    }
}

/// Once more, with nothing going wrong: whole, once, and nothing left to do.
fn made_whole(account: &Account) {
    account.converges(ARTICLE);
    assert_eq!(counted(account), as_the_article_wants());
    assert!(account.login("test_user1_secret", "AWSCURRENT").starts_with("test_user1"));
    assert_eq!(account.login("rotator_admin_secret", "AWSCURRENT"), "rotator_admin");
}

/// Once more, with nothing going wrong: nothing is left.
fn gone(account: &Account) {
    let config = account.config(ARTICLE);
    account.destroy(&config).exits(0);
    let left = counted(account);
    // Secrets in their recovery window are not listed.
    let left: Vec<_> =
        left.as_object().expect("counts").iter().filter(|(_, count)| count.as_u64() != Some(0)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(account.destroy(&config).exits(0).stdout.contains("nothing is left to destroy"));
}

/// Runs `command` while its `cases` happen; answers with how many of them did.
fn run_with(account: &Account, cases: &[Case], command: &'static str) -> usize {
    let mine: Vec<_> = cases.iter().filter(|case| case.command == command).collect();
    if mine.is_empty() {
        return 0;
    }
    if command == MEND {
        tamper(account);
    }
    let text = text(account, command);
    mine.iter().for_each(|case| case.plant(account));
    let run = run_command(account, command, &text);
    ends_well(&run);
    let transient = mine.iter().all(|case| case.mishap != Mishap::GivenUp);
    assert!(!transient || run.code == Some(0), "it passes by itself: {}\n{}", run.stdout, run.stderr);
    // What never came to be asked so often: an earlier mishap ended the run, or a wait was shorter this time.
    let missed = account.fault(&[]).lines().count();
    account.fault(&["--clear"]);
    mine.len() - missed
}

/// Cases of one deployment, apart enough that none hides another. Those that take long, or that end a run, are few in
/// one.
fn grouped(cases: Vec<Case>) -> Vec<Vec<Case>> {
    // What was changed cannot be had back: such an account is changed once, and nothing else becomes of it.
    let kind = |case: &Case| match case.mishap {
        Mishap::Silent => (1, case.command == CHANGE),
        Mishap::GivenUp => (2, case.command == CHANGE),
        _ => (0, case.command == CHANGE),
    };
    let most = |case: &Case| match kind(case) {
        (1, _) | (2, true) => 1,
        // One after another, each in a run of its own, which goes on where that before has ended.
        (2, false) => {
            if whole() {
                1
            } else {
                3
            }
        }
        _ => {
            if whole() {
                5
            } else {
                10
            }
        }
    };
    let mut groups: Vec<Vec<Case>> = Vec::new();
    for case in cases {
        // A call that is repeated is the next one of its operation.
        let near = |other: &Case| {
            (other.command, &other.request) == (case.command, &case.request) && other.number.abs_diff(case.number) < 3
        };
        let fits = |group: &&mut Vec<Case>| {
            let kin = group.iter().filter(|other| other.command == case.command).count();
            kind(&group[0]) == kind(&case) && !group.iter().any(near) && kin < most(&case)
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(case),
            None => groups.push(vec![case]),
        }
    }
    groups
}

/// The cases that are run, and how many there are.
fn mishaps() -> (Vec<Case>, usize) {
    let of = |mishap| {
        let mut all = Vec::new();
        for ((command, request), &count) in calls() {
            all.extend((0..count).map(|number| Case { command, request: request.clone(), number, mishap }));
        }
        all
    };
    let total = MISHAPS.map(|mishap| of(mishap).len()).iter().sum::<usize>();
    if whole() {
        return (MISHAPS.into_iter().flat_map(of).collect(), total);
    }
    let (seed, mut cases) = (5, Vec::new());
    // Each takes twenty seconds, and minutes where a function or an upload is waited for: four of them, and more of
    // the others.
    let mut silent = of(Mishap::Silent);
    silent.retain(|case| !case.request.starts_with("lambda.") && !case.request.starts_with("s3."));
    cases.extend(chosen(silent, 4, seed));
    let others: Vec<_> = MISHAPS.into_iter().filter(|mishap| *mishap != Mishap::Silent).collect();
    let of_each = (total.div_ceil(SAMPLE) - cases.len()).div_ceil(others.len());
    for mishap in others {
        cases.extend(chosen(of(mishap), of_each, seed));
    }
    // Each call that only a later apply makes is among them, once and some way.
    for ((command, request), _) in calls().iter().filter(|((command, _), _)| [MEND, CHANGE].contains(command)) {
        let mine = |case: &Case| (case.command, &case.request) == (*command, request);
        if !cases.iter().any(mine) {
            let ways = [Mishap::Throttled, Mishap::ServerError, Mishap::CutOff, Mishap::Lost];
            let ways = ways.map(|mishap| Case { command, request: request.clone(), number: 0, mishap });
            cases.extend(chosen(ways.to_vec(), 1, seed));
        }
    }
    assert!(cases.len() * SAMPLE >= total, "a tenth at the least");
    (cases, total)
}

/// What is tampered with is whole before.
fn one_by_one_with(account: &Account, cases: &[Case], command: &'static str) -> usize {
    let mut happened = 0;
    for case in cases.iter().filter(|case| case.command == command) {
        happened += run_with(account, std::slice::from_ref(case), command);
        if command == MEND {
            made_whole(account);
        }
    }
    happened
}

#[test]
fn every_call_goes_wrong_in_every_way() {
    let (cases, total) = mishaps();
    let (count, reached) = (cases.len(), AtomicUsize::new(0));
    let groups = grouped(cases);
    let lives = groups.len();
    all_of(groups, |account, cases| {
        let run = |command: &'static str| {
            let one_by_one = cases[0].mishap == Mishap::GivenUp;
            let happened: usize = match one_by_one {
                true => one_by_one_with(account, cases, command),
                false => run_with(account, cases, command),
            };
            reached.fetch_add(happened, Ordering::Relaxed);
        };
        let has = |command: &str| cases.iter().any(|case| case.command == command);
        if has(APPLY) {
            run(APPLY);
        }
        made_whole(account);
        if has(MEND) {
            run(MEND);
            made_whole(account);
        }
        if has(CHANGE) {
            run(CHANGE);
            account.converges(&changed(account));
            assert_eq!(counted(account), as_the_article_wants());
        }
        if has(DESTROY) {
            run(DESTROY);
            gone(account);
        }
    });
    let reached = reached.into_inner();
    println!("{count} of {total} mishaps, in {lives} deployments; {reached} came to pass");
    assert!(reached * 10 >= count * 7, "of {count} only {reached} came to pass");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// kill -9, and the call has no effect.
    KilledBefore,
    /// kill -9 once the call took effect.
    KilledAfter,
    /// Ctrl-C, once.
    Asked,
}

fn signal(process: &Child, name: &str) {
    let id = process.id().to_string();
    // It may have ended by itself.
    let _ = Command::new("sh").args(["-c", "kill -s $0 $1 2> /dev/null", name, &id]).status();
}

/// Stops `command` at its call of that number; answers whether it made so many.
fn stopped_at(account: &Account, command: &str, number: usize, stop: Stop) -> bool {
    let config = account.config(ARTICLE);
    let journal = config.with_file_name(format!("{command}-{number}-{stop:?}.jsonl"));
    let what: &[&str] = match stop {
        Stop::KilledBefore => &["stall"],
        Stop::KilledAfter => &["stall", "--after"],
        Stop::Asked => &["hold"],
    };
    let number = number.to_string();
    account.fault(&[&["*.*"], what, &["--client", "--skip", &number]].concat());
    let trouble = if stop == Stop::Asked { "held" } else { "stalled" };
    let before = account.troubled(trouble).len();
    let mut run = account.command(&[command, "--yes", "--journal", path(&journal), path(&config)]);
    let mut process = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pgrotate runs");
    let ended = |process: &mut Child| process.try_wait().expect("it is ours").is_some();
    let reached = until("the call, or the end", || {
        let reached = account.troubled(trouble).len() > before;
        (reached || ended(&mut process)).then_some(reached)
    });
    if stop == Stop::Asked {
        signal(&process, "INT");
        // Before anything is changed there is nothing to finish, and it ends at once.
        until("it has heard", || {
            let told = std::fs::read_to_string(&journal).unwrap_or_default();
            (told.contains("\"stopping\"") || ended(&mut process)).then_some(())
        });
        account.fault(&["--clear"]);
    } else {
        process.kill().expect("it can be killed");
    }
    let code = process.wait().expect("it ends").code();
    account.fault(&["--clear"]);
    assert!(stop != Stop::Asked || matches!(code, None | Some(0 | 1 | 5)), "exit code {code:?} at {command} {number}");
    reached
}

#[test]
fn every_call_is_the_last() {
    let counts = calls();
    let mut all = Vec::new();
    for command in [APPLY, DESTROY] {
        let calls: usize = counts.iter().filter(|((of, _), _)| *of == command).map(|(_, count)| count).sum();
        for number in 0..calls {
            all.extend([Stop::KilledBefore, Stop::KilledAfter, Stop::Asked].map(|stop| (command, number, stop)));
        }
    }
    let total = all.len();
    let many = if whole() { total } else { total.div_ceil(SAMPLE) };
    let mut stops = chosen(all, many, 9);
    let (count, reached) = (stops.len(), AtomicUsize::new(0));
    // Stopped earlier and earlier would be stopped in what is already done; the later ones first in a new account.
    stops.sort_by_key(|(command, number, _)| (*command, *number));
    // Several stops of one deployment, one after another: each finds what those before have left.
    let together = if whole() { 2 } else { 6 };
    let lives = count.div_ceil(together);
    let mut jobs: Vec<Vec<_>> = vec![Vec::new(); lives];
    stops.into_iter().enumerate().for_each(|(place, stop)| jobs[place % lives].push(stop));
    all_of(jobs, |account, stops| {
        let mut whole = false;
        for &(command, number, stop) in stops {
            if command == "destroy" && !whole {
                made_whole(account);
                whole = true;
            }
            reached.fetch_add(usize::from(stopped_at(account, command, number, stop)), Ordering::Relaxed);
        }
        if whole {
            gone(account);
        } else {
            made_whole(account);
        }
    });
    let reached = reached.into_inner();
    println!("{count} of {total} stops, in {lives} deployments; {reached} came to pass");
    assert!(reached * 2 >= count, "of {count} only {reached} came to pass");
}

/// Holds an apply at its first `call`, lets somebody else `meddle`, and lets it go on: it is done, or says what is
/// wrong, and the next one makes it whole.
fn meddled_with(held: &[&str], meddle: impl Fn(&Account)) -> String {
    let call = held[0];
    let account = Account::new();
    account.delays("none");
    let config = account.config(ARTICLE);
    account.fault(&[held, &["hold"]].concat());
    let mut apply = account.command(&["apply", "--yes", path(&config)]);
    let apply = apply.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pgrotate runs");
    until(call, || account.troubled("held").first().cloned());
    meddle(&account);
    account.fault(&["--clear"]);
    let done = apply.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let said = text(done.stdout) + &text(done.stderr);
    match done.status.code() {
        Some(0) => {}
        Some(1 | 3 | 5) => assert!(said.contains("error[") && said.contains("hint: "), "{call}\n{said}"),
        code => panic!("{call}: exit code {code:?}\n{said}"),
    }
    made_whole(&account);
    said
}

/// It is missed after a minute, not after all the time that a rotation may take.
#[test]
fn somebody_deletes_a_secret_meanwhile() {
    let began = Instant::now();
    meddled_with(&["secretsmanager.RotateSecret", "--client"], |account| {
        let asked = json!({ "SecretId": "test_user1_secret", "ForceDeleteWithoutRecovery": true });
        account.call("secretsmanager", "delete_secret", asked);
    });
    assert!(began.elapsed().as_secs() < 5 * 60, "{:?}", began.elapsed());
}

/// So is the secret of a login that has just been provisioned, which then cannot be looked at any more.
#[test]
fn somebody_deletes_a_provisioned_secret() {
    // Each of the two logins is looked at before and after it is provisioned.
    let last = ["--function", "pgpasslambda-inspection", "--skip", "3"];
    let said = meddled_with(&[&["secretsmanager.DescribeSecret"], &last[..]].concat(), |account| {
        let asked = json!({ "SecretId": "test_user1_secret", "ForceDeleteWithoutRecovery": true });
        account.call("secretsmanager", "delete_secret", asked);
    });
    assert!(said.contains("it did not settle within 1 min"), "{said}");
    assert!(said.contains("its secret does not exist yet; somebody may have deleted it"), "{said}");
}

#[test]
fn somebody_changes_a_secret_and_a_rule_meanwhile() {
    meddled_with(&["secretsmanager.RotateSecret", "--client"], |account| {
        let asked = json!({ "SecretId": "test_user1_secret", "Description": "mine" });
        account.call("secretsmanager", "update_secret", asked);
        let asked = json!({
            "GroupId": group_id(account, "pgrotate-article-database"),
            "IpPermissions": [{ "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432,
                "IpRanges": [{ "CidrIp": "203.0.113.7/32" }] }],
        });
        account.call("ec2", "revoke_security_group_ingress", asked);
    });
}

/// Two configs of one deployment at once: whoever is last may find it moved; afterwards either can be had.
#[test]
fn two_configs_at_once() {
    let account = Account::new();
    account.delays("none");
    account.converges(ARTICLE);
    let texts =
        [format!("{ARTICLE}{}", crate::scenarios::SECOND_USER), ARTICLE.replace("backup_days = 7", "backup_days = 5")];
    let start = |number: usize| {
        let config = account.config(&texts[number]);
        let own = config.with_file_name(format!("{number}.toml"));
        std::fs::rename(&config, &own).expect("renamed");
        let mut apply = account.command(&["apply", "--yes", path(&own)]);
        apply.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pgrotate runs")
    };
    let both = [start(0), start(1)];
    for apply in both {
        let done = apply.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert!(matches!(done.status.code(), Some(0 | 3 | 5)), "{:?}\n{said}", done.status);
    }
    for text in &texts {
        account.converges(text);
    }
    assert!(account.login("test_user1_secret", "AWSCURRENT").starts_with("test_user1"));
    let made = account.requests().into_iter().filter(|(_, what)| what == "rds.CreateDBInstance").count();
    assert_eq!(made, 1, "one instance, made once");
}

/// What may not be done is told; what can be done is done; and once it may be done, the rest is.
#[test]
fn failed_mended_and_applied_again() {
    let account = Account::new();
    account.delays("none");
    let config = account.config(ARTICLE);
    account.fault(&["ec2.CreateVpcEndpoint", "UnauthorizedOperation", "--client", "--times", "99"]);
    let run = account.apply(&config);
    run.exits(5);
    assert!(run.stdout.contains("access-denied") && run.stdout.contains("ec2:CreateVpcEndpoint"), "{}", run.stdout);
    assert!(run.stdout.contains("skipped"), "{}", run.stdout);
    account.fault(&["--clear"]);
    made_whole(&account);
}
