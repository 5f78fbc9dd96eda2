//! `--journal` tells what happened, whatever becomes of the run; and a run that is asked to stop stops.

use crate::support::{ARTICLE, Account, Deployment, fits, path, until};
use pgrotate::schema::Subject;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).expect("the journal");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect();
    lines.iter().for_each(|line| fits(Subject::Journal, line));
    lines
}

/// `event address`, or the event alone.
fn told(lines: &[Value]) -> Vec<String> {
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    lines.iter().map(|line| format!("{} {}", text(line, "event"), text(line, "address")).trim().to_owned()).collect()
}

fn started(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pgrotate runs")
}

fn ended(child: Child) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let done = Command::new("sh").args(["-c", "kill -s $0 $1", name, &id]).status().expect("sh runs");
    assert!(done.success());
}

#[test]
fn tells_what_happened() {
    let account = Account::new();
    account.delays("none");
    let config = account.config(ARTICLE);
    let file = config.with_file_name("journal.jsonl");
    account.pgrotate(&["apply", "--yes", "--journal", path(&file), path(&config)]).exits(0);
    let passwords = account.passwords();
    let all = lines(&file);
    let told = told(&all);
    assert_eq!((told.first().map(String::as_str), told.last().map(String::as_str)), (Some("begin"), Some("end")));
    let run = all[0]["run"].as_str().expect("a run's id").to_owned();
    for line in &all {
        assert_eq!((line["schema"].as_u64(), line["run"].as_str()), (Some(1), Some(run.as_str())), "{line}");
        let time = line["time"].as_str().expect("a time");
        assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
    }
    let of = |event: &str| -> Vec<&Value> { all.iter().filter(|line| line["event"] == event).collect() };
    assert_eq!(all[0]["actions"].as_u64(), Some(of("started").len() as u64));
    assert_eq!(of("done").len() + of("already_done").len(), of("started").len());
    assert!(of("done").iter().all(|line| line["duration_ms"].is_u64()), "{:?}", of("done"));
    assert_eq!((of("end")[0]["exit"].as_u64(), of("failed").len()), (Some(0), 0));
    assert!(told.contains(&"started rotation.test_user1".to_owned()), "{told:?}");
    let mut said: Vec<_> = of("waiting")
        .iter()
        .map(|line| (&line["address"], &line["change"], &line["saying"]))
        .map(|each| format!("{each:?}"))
        .collect();
    let before = said.len();
    said.dedup();
    assert_eq!(said.len(), before, "what says nothing new is told once");

    // The next run goes on in the same file, after what a killed one may have left.
    let mut text = std::fs::read_to_string(&file).expect("the journal");
    text.push_str("{\"schema\":1,\"ru");
    std::fs::write(&file, &text).expect("the journal");
    account.fault(&["rds.DeleteDBInstance", "InvalidParameterCombination"]);
    account.pgrotate(&["destroy", "--yes", "--journal", path(&file), path(&config)]).exits(5);
    let text = std::fs::read_to_string(&file).expect("the journal");
    let destroyed: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).skip(all.len()).collect();
    assert_eq!((&destroyed[0]["event"], &destroyed[0]["command"]), (&Value::from("begin"), &Value::from("destroy")));
    assert_ne!(destroyed[0]["run"].as_str(), Some(run.as_str()));
    let failed: Vec<_> = destroyed.iter().filter(|line| line["event"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(
        (&failed[0]["address"], &failed[0]["code"]),
        (&Value::from("db_instance.my-postgres-instance"), &Value::from("aws-refused"))
    );
    assert!(
        failed[0]["cause"].as_str().is_some_and(|cause| cause.contains("InvalidParameterCombination")),
        "{failed:?}"
    );
    let skipped: Vec<_> = destroyed.iter().filter(|line| line["event"] == "skipped").collect();
    assert!(skipped.iter().any(|line| line["after"] == failed[0]["address"]), "{skipped:?}");
    account.nothing_tells(&passwords);
}

/// A run that found nothing to do is a run: whoever reads the journal is told of it.
#[test]
fn of_a_run_with_nothing_to_do() {
    let Deployment { account, config } = Deployment::new(ARTICLE);
    let run = account.pgrotate(&["apply", "--yes", "--journal", "journal.jsonl", path(&config)]);
    run.exits(0);
    assert!(run.stdout.trim_end().ends_with("resources looked at)."), "{}", run.stdout);
    let lines = std::fs::read_to_string(config.with_file_name("journal.jsonl")).expect("a journal");
    let events: Vec<_> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["event"].clone()).collect();
    assert_eq!(events, ["begin", "end"]);
    account.pgrotate(&["report", "--html", "page.html", "--journal", "journal.jsonl", path(&config)]).exits(0);
}

#[test]
fn that_cannot_be_written() {
    let account = Account::new();
    account.delays("none");
    let config = account.config(ARTICLE);
    // Before anything is changed it is an error.
    for file in ["/dev/full", "no-such-folder/journal"] {
        let run = account.pgrotate(&["apply", "--yes", "--journal", file, path(&config)]);
        run.exits(1);
        assert!(run.stderr.starts_with("error[journal-unwritable]: "), "{}", run.stderr);
    }
    let changed = account.requests().into_iter().any(|(_, what)| what.contains(".Create") || what.contains(".Put"));
    assert!(!changed, "nothing was changed");
    // Half way it is told, and everything else goes on. No file may grow beyond a kilobyte here.
    let inner = account.command(&["apply", "--yes", "--journal", "journal.jsonl", path(&config)]);
    let mut command = account.command(&[]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh"]);
    limited.arg(inner.get_program()).args(inner.get_args());
    limited.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.current_dir(command.get_current_dir().expect("a folder")).stdin(Stdio::null());
    command = limited;
    let (code, _, stderr) = ended(started(command));
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stderr.matches("journal.jsonl cannot be written any more").count(), 1, "{stderr}");
    account.is_empty(&config);
}

/// Ctrl-C and SIGTERM: what is under way is finished, nothing else is begun, and all of it is told.
#[test]
fn asked_to_stop_once() {
    for name in ["INT", "TERM"] {
        let account = Account::new();
        account.delays("none,instance_create=2");
        let config = account.config(ARTICLE);
        let file = config.with_file_name("journal.jsonl");
        account.fault(&["rds.CreateDBInstance", "hold"]);
        let apply = started(account.command(&["apply", "--yes", "--journal", path(&file), path(&config)]));
        until("the instance is asked for", || account.troubled("held").first().cloned());
        signal(&apply, name);
        until("it has heard", || told(&lines(&file)).contains(&"stopping".to_owned()).then_some(()));
        account.fault(&["--clear"]);
        let (code, stdout, stderr) = ended(apply);
        assert_eq!(code, Some(5), "{name}\n{stdout}\n{stderr}");
        let told = told(&lines(&file));
        let stopping = told.iter().position(|line| line == "stopping").expect("it was told");
        let begun: Vec<_> = told[stopping..].iter().filter(|line| line.starts_with("started")).collect();
        assert!(begun.is_empty(), "begun after {name}: {begun:?}");
        assert!(told.contains(&"done db_instance.my-postgres-instance".to_owned()), "it settled: {told:?}");
        assert!(told.contains(&"cancelled rotation.test_user1".to_owned()), "{told:?}");
        assert!(stdout.contains("cancelled"), "{stdout}");
        account.converges(ARTICLE);
    }
}

/// Asked twice: at once, with a last word on what was under way.
#[test]
fn asked_to_stop_twice() {
    let account = Account::new();
    account.delays("none");
    let config = account.config(ARTICLE);
    let file = config.with_file_name("journal.jsonl");
    account.fault(&["rds.CreateDBInstance", "hold"]);
    let apply = started(account.command(&["apply", "--yes", "--journal", path(&file), path(&config)]));
    until("the instance is asked for", || account.troubled("held").first().cloned());
    signal(&apply, "INT");
    until("it has heard", || told(&lines(&file)).contains(&"stopping".to_owned()).then_some(()));
    signal(&apply, "TERM");
    let (code, _, stderr) = ended(apply);
    assert_eq!(code, Some(5), "{stderr}");
    let last = stderr.lines().find(|line| line.contains("not waited for")).unwrap_or_else(|| panic!("{stderr}"));
    assert!(last.contains("db_instance.my-postgres-instance"), "{last}");
    let all = lines(&file);
    let end = all.last().expect("lines");
    let under_way = end["under_way"].as_array().expect("what was under way");
    assert!(under_way.contains(&Value::from("db_instance.my-postgres-instance")), "{end}");
    account.fault(&["--clear"]);
    account.converges(ARTICLE);
}
