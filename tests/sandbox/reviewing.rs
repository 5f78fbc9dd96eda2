//! The action's steps, as workflows take them, against the sandbox and a stand-in for GitHub: a plan is commented and
//! edited, exactly the reviewed one is applied, a stale one is refused, and an issue tells of drift as long as there is any.

use crate::support::{ARTICLE, Account, root, sandbox};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// `tests/sandbox/github.py`
struct GitHub {
    process: Child,
    port: u16,
}

impl GitHub {
    fn start() -> Self {
        let mut process = Command::new(&sandbox().environment["PGROTATE_SANDBOX_PYTHON"])
            .arg(root().join("tests/sandbox/github.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sandbox's Python runs");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("its port");
        Self { process, port: line.trim().parse().expect("a port") }
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let body = body.to_string();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .expect("it hears");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
    }

    fn state(&self) -> Value {
        self.ask("GET", "/_state", &json!({}))
    }

    /// Comments of the bot on the pull request, in their order: body, and how often it was edited.
    fn comments(&self) -> Vec<(String, u64)> {
        let state = self.state();
        let all = state["comments"].as_array().expect("comments").iter();
        let mine = all.filter(|comment| comment["user"]["login"] == "github-actions[bot]" && comment["issue"] == 7);
        mine.map(|comment| (text(&comment["body"]), comment["edits"].as_u64().expect("a number"))).collect()
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        // It is our child, so it is there to be ended and waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// Takes the action's steps; answers with the exit code, the log, and what the steps put out.
fn action(account: &Account, github: &GitHub, inputs: Value) -> (Option<i32>, String, String) {
    let pgrotate = account.command(&[]);
    let mut command = Command::new(&sandbox().environment["PGROTATE_SANDBOX_PYTHON"]);
    command.arg(root().join("tests/sandbox/action.py"));
    let mut all = json!({
        "config": "pgrotate.toml", "pgrotate": env!("CARGO_BIN_EXE_pgrotate"), "token": "a-token-of-the-job",
        "pull-request": "7", "sha": "0123456789abcdef0123456789abcdef01234567",
    });
    for (name, value) in inputs.as_object().expect("inputs") {
        all[name] = value.clone();
    }
    let folder = pgrotate.get_current_dir().expect("a folder").to_owned();
    let output = folder.join("output");
    std::fs::write(&output, "").expect("a file");
    command.arg(all.to_string()).env_clear().current_dir(&folder);
    command.envs(pgrotate.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("GITHUB_API_URL", github.address()).env("GITHUB_REPOSITORY", "somebody/databases");
    command.env("GITHUB_STEP_SUMMARY", folder.join("summary.md")).env("GITHUB_OUTPUT", &output);
    let done = command.output().expect("Python runs");
    let log = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    (done.status.code(), log, std::fs::read_to_string(output).expect("what was put out"))
}

fn repository(account: &Account, text: &str) {
    let config = account.config(text);
    std::fs::rename(&config, config.with_file_name("pgrotate.toml")).expect("renamed");
}

#[test]
fn a_pull_request_is_planned_reviewed_and_applied() {
    let (account, github) = (Account::new(), GitHub::start());
    account.delays("none");
    account.converges(ARTICLE);
    // Others have said something before, and one of them what looks like ours.
    let mark = "<!-- pgrotate plan pgrotate.toml -->";
    for (user, body) in
        [("mallory", format!("{mark}\nall is well")), ("eve", "why?".to_owned()), ("eve", "ah".to_owned())]
    {
        github.ask("POST", "/_comments", &json!({ "issue": 7, "user": user, "body": body }));
    }

    repository(&account, &ARTICLE.replace("backup_days = 7", "backup_days = 5"));
    let plan = || action(&account, &github, json!({ "command": "plan" }));
    let (code, log, output) = plan();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(output, "changes=true\n");
    let comments = github.comments();
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert!(comments[0].0.starts_with(mark) && comments[0].0.contains("1 to update"), "{comments:?}");

    // Pushed again: the same comment.
    let config =
        ARTICLE.replace("backup_days = 7", "backup_days = 5").replace("every = \"10 days\"", "every = \"20 days\"");
    repository(&account, &config);
    assert_eq!(plan().0, Some(0));
    let comments = github.comments();
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert!(comments[0].0.contains("2 to update") && comments[0].1 == 1, "{comments:?}");
    assert_eq!(github.state()["comments"][0]["body"], format!("{mark}\nall is well"), "nobody else's is edited");

    // A push that cannot be planned says so, in the same comment, and saves nothing to apply.
    let kept = account.config(&config).with_file_name("pgrotate-plan").join("plan.json");
    let reviewed = std::fs::read(&kept).expect("the plan");
    repository(&account, &config.replace("[rotation]", "[rotatoin]"));
    let (code, log, _) = plan();
    assert_eq!(code, Some(1), "{log}");
    assert!(github.comments()[0].0.contains("error[unknown-key]"), "{:?}", github.comments());
    std::fs::write(&kept, &reviewed).expect("the plan");

    // Which run has it.
    let sha = "0123456789abcdef0123456789abcdef01234567";
    let find = || action(&account, &github, json!({ "command": "reviewed" }));
    assert_eq!(find().0, Some(1), "nobody has planned that");
    for (id, conclusion) in [(41, "success"), (42, "success"), (43, "failure")] {
        let run = json!({ "workflow": "pgrotate-plan.yml", "head_sha": sha, "conclusion": conclusion, "id": id });
        github.ask("POST", "/_runs", &run);
    }
    assert_eq!(find().2, "run-id=42\n");

    // Merged together with somebody else's change: nobody has seen that.
    let apply = || action(&account, &github, json!({ "command": "apply" }));
    repository(&account, &config.replace("description = \"office\"", "description = \"offices\""));
    let before = account.requests().len();
    let (code, log, _) = apply();
    assert_eq!(code, Some(4), "{log}");
    assert_eq!(account.requests().len(), before, "nothing was asked of AWS");

    // As it was reviewed.
    repository(&account, &config);
    let (code, log, _) = apply();
    assert_eq!(code, Some(0), "{log}");
    let comments = github.comments();
    assert_eq!(comments.len(), 2, "{comments:?}");
    assert!(comments[1].0.contains("2 of 2 done") && comments[1].1 == 1, "{comments:?}");
    account.is_empty(&account.config(&config));

    // Reviewed, and then something moves: nothing is done.
    repository(&account, &ARTICLE.replace("backup_days = 7", "backup_days = 3"));
    assert_eq!(plan().0, Some(0));
    account.call("secretsmanager", "cancel_rotate_secret", json!({ "SecretId": "test_user1_secret" }));
    let (code, log, _) = apply();
    assert_eq!(code, Some(3), "{log}");
    assert!(github.comments()[1].0.contains("error[stale]"), "{:?}", github.comments());

    // A file that the config extends counts as the config does.
    let base = account.config(&ARTICLE.replace("backup_days = 7", "backup_days = 2"));
    std::fs::rename(&base, base.with_file_name("base.toml")).expect("renamed");
    repository(&account, "extends = \"base.toml\"\n");
    assert_eq!(plan().0, Some(0));
    let text = std::fs::read_to_string(base.with_file_name("base.toml")).expect("the base");
    std::fs::write(base.with_file_name("base.toml"), text.replace("\"office\"", "\"offices\"")).expect("a file");
    let (code, log, _) = apply();
    assert_eq!(code, Some(4), "{log}");
    std::fs::write(base.with_file_name("base.toml"), text).expect("a file");
    let (code, log, _) = apply();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn an_issue_tells_of_drift() {
    let (account, github) = (Account::new(), GitHub::start());
    account.delays("none");
    let (config, _) = account.converges(ARTICLE);
    std::fs::copy(&config, config.with_file_name("pgrotate.toml")).expect("copied");
    let drift = || {
        let (code, log, output) = action(&account, &github, json!({ "command": "drift" }));
        assert_eq!(code, Some(0), "{log}");
        (output, github.state()["issues"].as_array().expect("issues").clone())
    };
    let (output, issues) = drift();
    assert_eq!((output.as_str(), issues.len()), ("drift=false\nissue=\n", 0));

    account.call("secretsmanager", "cancel_rotate_secret", json!({ "SecretId": "test_user1_secret" }));
    let (output, issues) = drift();
    assert_eq!((output.as_str(), issues.len()), ("drift=true\nissue=1\n", 1));
    let told = text(&issues[0]["body"]);
    assert!(told.contains("`rotation.test_user1`"), "{told}");

    // Something more: the same issue.
    let instance =
        json!({ "DBInstanceIdentifier": "my-postgres-instance", "BackupRetentionPeriod": 1, "ApplyImmediately": true });
    account.call("rds", "modify_db_instance", instance);
    let (_, issues) = drift();
    assert_eq!(issues.len(), 1);
    assert!(text(&issues[0]["body"]).contains("`db_instance.my-postgres-instance`"), "{issues:?}");

    account.apply(&config).exits(0);
    let (output, issues) = drift();
    assert_eq!((output.as_str(), issues.len()), ("drift=false\nissue=1\n", 1));
    assert_eq!(issues[0]["state"], "closed");

    // Anew: another issue, as the old one is done with.
    account.call("secretsmanager", "cancel_rotate_secret", json!({ "SecretId": "test_user1_secret" }));
    assert_eq!(drift().1.len(), 2);

    // What cannot be looked at is no drift, and no end of it.
    account.fault(&["sts.GetCallerIdentity", "ExpiredToken", "--client", "--times", "9"]);
    let (code, log, _) = action(&account, &github, json!({ "command": "drift" }));
    assert_eq!(code, Some(1), "{log}");
    assert_eq!(github.state()["issues"][1]["state"], "open");
}

/// What the workflow for many deployments makes its jobs of; and that its plan is commented by the file.
#[test]
fn a_job_for_each_deployment() {
    let (account, github) = (Account::new(), GitHub::start());
    let config = account.config(ARTICLE);
    let folder = config.with_file_name("deployments");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::rename(&config, folder.join("a shop.toml")).expect("renamed");
    let other = ARTICLE.replace("deployment = \"article\"", "deployment = \"other\"");
    std::fs::write(folder.join("other.toml"), &other).expect("a file");
    let (code, log, put_out) = action(&account, &github, json!({ "command": "targets", "config": "deployments" }));
    assert_eq!(code, Some(0), "{log}");
    let matrix = put_out.strip_prefix("matrix=").expect("one output");
    let matrix: Value = serde_json::from_str(matrix).expect("JSON on one line");
    for job in matrix["include"].as_array().expect("jobs") {
        assert_eq!((&job["region"], &job["role"]), (&json!("eu-north-1"), &json!("")));
        let (code, log, _) = action(&account, &github, json!({ "command": "plan", "config": job["file"] }));
        assert_eq!(code, Some(0), "{log}");
    }
    let comments = github.comments();
    let of = |name: &str| comments.iter().filter(|(body, _)| body.contains(&format!("plan: `{name}`"))).count();
    assert_eq!((comments.len(), of("article"), of("other")), (2, 1, 1), "{comments:?}");

    std::fs::write(folder.join("other.toml"), other.replace("[aws]", "[awz]")).expect("a file");
    let (code, log, put_out) = action(&account, &github, json!({ "command": "targets", "config": "deployments" }));
    assert_eq!((code, put_out.as_str()), (Some(1), ""), "{log}");
    assert!(log.contains("=== deployments/other.toml") && log.contains("error[unknown-key]"), "{log}");
}
