//! One sandbox for this process, an account for each test, and what the tests ask of both.

use pgrotate::drift::DriftCode;
use pgrotate::schema::Subject;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub const ARTICLE: &str = include_str!("../../configs/article.toml");

/// Above anything a test waits for, also on a machine that compiles beside it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether what was printed or written is as its schema says.
pub fn fits(of: Subject, value: &Value) {
    let mut schema = of.schema();
    // Published ones may be open; what this pgrotate writes is all in them.
    schema["unevaluatedProperties"] = json!(false);
    let schema = schema_check::Schema::new(&schema).unwrap_or_else(|error| panic!("{error}"));
    schema.check(value).unwrap_or_else(|error| panic!("{}: {error}\n{value:#}", of.text()));
}

/// Waits until `look` finds something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub struct Sandbox {
    folder: PathBuf,
    /// What `ctl env` sets, but for the account.
    pub environment: BTreeMap<String, String>,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `cargo test` has built the binary into the target directory, whichever that is.
fn target() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_pgrotate")).ancestors().nth(2).expect("target/debug/pgrotate").to_owned()
}

/// The functions' zip, where pgrotate itself finds it.
pub fn function_zip() -> PathBuf {
    let zip = target().join("function/pgrotate-function.zip");
    assert!(zip.is_file(), "no {}: make function builds it", zip.display());
    zip
}

fn ctl(arguments: &[&str]) -> String {
    let done = Command::new(root().join("sandbox/ctl")).args(arguments).output().expect("sandbox/ctl runs");
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "sandbox/ctl {arguments:?}: {told}");
    String::from_utf8(done.stdout).expect("UTF-8")
}

/// Asks the sandbox itself, as `ctl` does, which would be a process for each question.
fn control(what: &str, given: &Value) -> Value {
    let answer = asked(what, given).expect("the sandbox answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(head.lines().next().is_some_and(|status| status.contains(" 200")), "{what} {given}: {answer}");
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{what} {given}: {answer}"))
}

/// The whole answer. By HTTP 1.0, so that it ends where the connection does.
fn asked(what: &str, given: &Value) -> std::io::Result<String> {
    let endpoint = sandbox().environment["AWS_ENDPOINT_URL"].strip_prefix("http://").expect("plain HTTP");
    let mut stream = TcpStream::connect(endpoint)?;
    let body = given.to_string();
    let length = body.len();
    write!(stream, "POST /_sandbox/{what} HTTP/1.0\r\nHost: {endpoint}\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

pub fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        function_zip();
        let all = target().join("sandbox-of-tests");
        forget_ended(&all);
        let folder = all.join(std::process::id().to_string());
        let dir = folder.to_str().expect("UTF-8");
        ctl(&["up", "--dir", dir, "--parent", &std::process::id().to_string()]);
        let printed = ctl(&["exec", "--dir", dir, "--", "env", "-0"]);
        let environment = printed
            .split('\0')
            .filter_map(|pair| pair.split_once('='))
            .filter(|(name, _)| name.starts_with("AWS_") || name.starts_with("PGROTATE_") || *name == "PATH")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Sandbox { folder, environment }
    })
}

/// A sandbox's folder keeps its logs for whoever looks into a failure; those of earlier runs go.
fn forget_ended(all: &Path) {
    let Ok(entries) = std::fs::read_dir(all) else { return };
    for entry in entries.flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            // Another run may be removing it too.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// One AWS account in the sandbox, new and empty.
pub struct Account {
    pub number: String,
    folder: tempfile::TempDir,
    outside: Outside,
    /// Everything that pgrotate printed.
    printed: std::cell::RefCell<Vec<String>>,
}

/// A deployment in an account of its own, applied without delays.
pub struct Deployment {
    pub account: Account,
    pub config: PathBuf,
}

impl Deployment {
    pub fn new(text: &str) -> Self {
        let account = Account::new();
        account.delays("none");
        let (config, _) = account.converges(text);
        Self { account, config }
    }
}

impl Account {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(200_000_000_001);
        let number = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let folder = tempfile::tempdir().expect("a folder");
        let outside = Outside::start(&number);
        Self { number, folder, outside, printed: std::cell::RefCell::default() }
    }

    /// Writes a config and answers with its path.
    pub fn config(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("deployment.toml");
        std::fs::write(&path, text).expect("the config is written");
        path
    }

    /// `pgrotate COMMAND …` in a clean environment, a folder of its own being the current one and HOME.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgrotate"));
        command.args(arguments).env_clear().envs(environment(&self.number)).current_dir(self.folder.path());
        command.env("HOME", self.folder.path()).stdin(Stdio::null());
        command
    }

    /// The same in a terminal of `(rows, columns)`: standard input is its keyboard, standard output its screen.
    pub fn in_terminal(&self, arguments: &[&str], (rows, columns): (u16, u16)) -> Command {
        let inner = self.command(arguments);
        let mut command = Command::new(&sandbox().environment["PGROTATE_SANDBOX_PYTHON"]);
        command.arg(root().join("tests/sandbox/terminal.py")).args([rows.to_string(), columns.to_string()]);
        command.arg(inner.get_program()).args(inner.get_args());
        command.env_clear().envs(environment(&self.number)).current_dir(self.folder.path());
        command.env("HOME", self.folder.path());
        command
    }

    pub fn pgrotate(&self, arguments: &[&str]) -> Run {
        let done = self.command(arguments).output().expect("pgrotate runs");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let run = Run {
            what: arguments.join(" "),
            code: done.status.code(),
            stdout: text(&done.stdout),
            stderr: text(&done.stderr),
        };
        self.printed.borrow_mut().extend([run.stdout.clone(), run.stderr.clone()]);
        run
    }

    pub fn plan(&self, config: &Path) -> Run {
        self.pgrotate(&["plan", "--detailed-exitcode", path(config)])
    }

    pub fn apply(&self, config: &Path) -> Run {
        self.pgrotate(&["apply", "--yes", path(config)])
    }

    pub fn destroy(&self, config: &Path) -> Run {
        self.pgrotate(&["destroy", "--yes", path(config)])
    }

    pub fn rotate(&self, config: &Path, login: &str) -> Run {
        self.pgrotate(&["rotate", path(config), login, "--wait"])
    }

    /// Applies `text` and expects nothing left to do.
    pub fn converges(&self, text: &str) -> (PathBuf, Run) {
        let config = self.config(text);
        let run = self.apply(&config);
        run.exits(0);
        self.is_empty(&config);
        (config, run)
    }

    pub fn is_empty(&self, config: &Path) {
        let plan = self.plan(config);
        plan.exits(0);
        assert!(plan.stdout.contains("No changes"), "{}", plan.stdout);
    }

    /// One call of AWS's API, not by pgrotate, which must be taken.
    pub fn call(&self, service: &str, operation: &str, parameters: Value) -> Value {
        let answer = self.ask_aws(service, operation, parameters);
        assert!(answer["error"].is_null(), "{service}.{operation}: {answer}");
        answer
    }

    /// One call of AWS's API that must be refused; the code of its error.
    pub fn refused_call(&self, service: &str, operation: &str, parameters: Value) -> String {
        let answer = self.ask_aws(service, operation, parameters);
        answer["error"].as_str().unwrap_or_else(|| panic!("{service}.{operation} was taken: {answer}")).to_owned()
    }

    fn ask_aws(&self, service: &str, operation: &str, parameters: Value) -> Value {
        let mut asked = json!({ "do": "call", "service": service, "operation": operation });
        for (name, value) in parameters.as_object().expect("an object of parameters") {
            asked[name] = value.clone();
        }
        self.outside.ask(asked)
    }

    /// An application logs in with AWSCURRENT of `secret`, and stays until [`Self::leave`].
    pub fn stay(&self, secret: &str) {
        self.outside.ask(json!({ "do": "stay", "secret": secret }));
    }

    /// Whoever stays leaves.
    pub fn leave(&self) {
        self.outside.ask(json!({ "do": "leave" }));
    }

    /// Logs in to the database with a version of a secret, over verified TLS; answers with the user.
    pub fn login(&self, secret: &str, stage: &str) -> String {
        let answer = self.outside.ask(json!({ "do": "login", "secret": secret, "stage": stage }));
        assert!(answer["refused"].is_null(), "{secret}, {stage}: {answer}");
        assert_eq!(answer["tls"], true);
        answer["user"].as_str().expect("a user").to_owned()
    }

    /// Whether that version logs in; false where there is none either.
    pub fn logs_in(&self, secret: &str, stage: &str) -> bool {
        self.outside.ask(json!({ "do": "login", "secret": secret, "stage": stage }))["refused"].is_null()
    }

    /// SQL of the master's, by hand: the rows.
    pub fn sql(&self, statement: &str) -> Vec<Vec<Value>> {
        let rows = self.outside.ask(json!({ "do": "sql", "statement": statement }));
        serde_json::from_value(rows).expect("rows")
    }

    /// The same on a DB cluster.
    pub fn sql_on(&self, cluster: &str, statement: &str) -> Vec<Vec<Value>> {
        let rows = self.outside.ask(json!({ "do": "sql", "statement": statement, "cluster": cluster }));
        serde_json::from_value(rows).expect("rows")
    }

    /// The same where RDS does not keep the master's password.
    pub fn sql_with(&self, password: &str, statement: &str) {
        self.outside.ask(json!({ "do": "sql", "statement": statement, "password": password }));
    }

    /// What `drift` finds: each finding whole, by address. Its exit code must say the same.
    pub fn drift(&self, config: &Path) -> BTreeMap<String, String> {
        let run = self.pgrotate(&["drift", "--format", "json", path(config)]);
        let document: Value = serde_json::from_str(&run.stdout)
            .unwrap_or_else(|_| panic!("pgrotate {}: {}\n{}", run.what, run.stdout, run.stderr));
        fits(Subject::Drift, &document);
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        for finding in document["findings"].as_array().expect("findings") {
            let address = finding["address"].as_str().expect("an address").to_owned();
            assert!(finding["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "how to mend it: {finding}");
            let code = DriftCode::ALL.iter().find(|code| finding["code"] == code.text()).expect("a code");
            assert_eq!(finding["severity"], code.severity().to_string(), "{finding}");
            found.entry(address).or_default().push_str(&finding.to_string());
        }
        run.exits(if found.is_empty() { 0 } else { 2 });
        found
    }

    pub fn passwords(&self) -> Vec<String> {
        let answer = self.outside.ask(json!({ "do": "passwords" }));
        answer.as_array().expect("a list").iter().map(|value| value.as_str().expect("text").to_owned()).collect()
    }

    /// A line of shell, as a reader of the article types it.
    pub fn shell(&self, line: &str) -> String {
        let done = Command::new("sh")
            .args(["-euc", line])
            .env_clear()
            .envs(environment(&self.number))
            .env("HOME", self.folder.path())
            .output()
            .expect("sh runs");
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("UTF-8").trim_end().to_owned()
    }

    /// Forgets all that is in it; nothing takes any time in it from then on.
    pub fn reset(&self) {
        control("reset", &json!({ "account": self.number }));
        self.delays("none");
    }

    pub fn clock(&self, step: &str) {
        control("clock", &json!({ "account": self.number, "move": step }));
    }

    /// RDS offers a version no more.
    pub fn withdraw(&self, version: &str) {
        ctl(&["withdraw", "--dir", path(&sandbox().folder), "--account", &self.number, version]);
    }

    /// The PostgreSQL behind an instance is `crashed`, or `running` again; RDS calls the instance available all the same.
    pub fn server(&self, instance: &str, state: &str) {
        control("servers", &json!({ "account": self.number, "instance": instance, "state": state }));
    }

    pub fn delays(&self, spec: &str) {
        control("delays", &json!({ "account": self.number, "spec": spec }));
    }

    /// Makes requests fail: the arguments of `ctl fault`. Answers with what is planned, a line each.
    pub fn fault(&self, what: &[&str]) -> String {
        let mut given = json!({ "account": self.number, "clear": false });
        let mut words = what.iter();
        while let Some(&word) = words.next() {
            let mut next = || *words.next().unwrap_or_else(|| panic!("{word} has a value"));
            match word {
                "--after" => given["when"] = "after".into(),
                "--client" => given["caller"] = "client".into(),
                "--function" => given["caller"] = format!("function:{}", next()).into(),
                "--skip" | "--times" => {
                    given[&word[2..]] = next().parse::<u64>().expect("a number").into();
                }
                "--clear" => given["clear"] = true.into(),
                word if given["request"].is_null() => given["request"] = word.into(),
                word => given["what"] = word.into(),
            }
        }
        if !given["request"].is_null() {
            for (name, by_default) in [
                ("what", json!("cut")),
                ("when", json!("before")),
                ("caller", Value::Null),
                ("skip", json!(0)),
                ("times", json!(1)),
            ] {
                if given[name].is_null() {
                    given[name] = by_default;
                }
            }
        }
        let planned = control("faults", &given)["planned"].take();
        planned.as_array().expect("lines").iter().map(|line| format!("{}\n", line.as_str().expect("a line"))).collect()
    }

    /// What this account was asked so far: caller and `service.Operation`.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.log().iter().map(|entry| (text(entry, "caller"), request(entry))).collect()
    }

    /// Those of the requests so far that were `held` or `stalled`: `service.Operation`.
    pub fn troubled(&self, how: &str) -> Vec<String> {
        self.log().iter().filter(|entry| entry["error"] == how).map(request).collect()
    }

    fn log(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(sandbox().folder.join("requests.jsonl")).expect("the request log");
        // A line that is being written is not there yet. Most are of other accounts: not worth reading as JSON.
        log.split_inclusive('\n')
            .filter(|line| line.ends_with('\n') && line.contains(&self.number))
            .map(|line| serde_json::from_str::<Value>(line).expect("a request"))
            .filter(|entry| entry["account"] == self.number.as_str())
            .collect()
    }

    /// The CLI has never read a value of a secret. To be asked before the test itself reads one.
    pub fn no_value_was_read(&self) {
        let read: Vec<_> = self
            .requests()
            .into_iter()
            .filter(|(caller, what)| caller == "client" && what.to_lowercase().contains("secretvalue"))
            .filter(|(_, what)| !what.ends_with("PutSecretValue"))
            .collect();
        assert!(read.is_empty(), "{read:?}");
    }

    /// Nothing that pgrotate has printed, and no file that it may have written, holds one of `passwords`.
    pub fn nothing_tells(&self, passwords: &[String]) {
        assert!(passwords.len() > 2, "there are passwords to look for");
        let mut files = Vec::new();
        files_in(self.folder.path(), &mut files);
        for password in passwords {
            for printed in self.printed.borrow().iter() {
                assert!(!printed.contains(password), "a password was printed:\n{printed}");
            }
            for file in &files {
                let bytes = std::fs::read(file).expect("a file");
                let found = bytes.windows(password.len()).any(|window| window == password.as_bytes());
                assert!(!found, "{} holds a password", file.display());
            }
        }
    }
}

fn text(entry: &Value, name: &str) -> String {
    entry[name].as_str().unwrap_or_default().to_owned()
}

fn request(entry: &Value) -> String {
    format!("{}.{}", text(entry, "service"), text(entry, "operation"))
}

impl Drop for Account {
    /// Its database would go on until the end.
    fn drop(&mut self) {
        // The sandbox's own end removes what this may leave.
        let _ = asked("reset", &json!({ "account": self.number }));
    }
}

fn environment(account: &str) -> BTreeMap<String, String> {
    let mut environment = sandbox().environment.clone();
    environment.insert("AWS_ACCESS_KEY_ID".to_owned(), account.to_owned());
    environment
}

/// A command as it is told: such that it can be pasted.
pub fn pasted(verb: &str, config: &Path, of: &str) -> String {
    format!("pgrotate {verb} {} {of}", path(config))
}

pub fn path(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

fn files_in(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files_in(&path, files) } else { files.push(path) }
    }
}

fn group(account: &Account, name: &str) -> Value {
    let named = json!({ "Filters": [{ "Name": "group-name", "Values": [name] }] });
    account.call("ec2", "describe_security_groups", named)["SecurityGroups"][0].take()
}

/// CIDRs that a group lets in.
pub fn cidrs(account: &Account, name: &str) -> Vec<String> {
    let permissions = group(account, name)["IpPermissions"].as_array().expect("permissions").clone();
    permissions
        .iter()
        .flat_map(|permission| permission["IpRanges"].as_array().cloned().unwrap_or_default())
        .map(|range| range["CidrIp"].as_str().expect("a CIDR").to_owned())
        .collect()
}

/// A security group's id by its name.
pub fn group_id(account: &Account, name: &str) -> String {
    group(account, name)["GroupId"].as_str().expect("a group").to_owned()
}

/// What one run of pgrotate came to.
pub struct Run {
    what: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "pgrotate {}\n{}\n{}", self.what, self.stdout, self.stderr);
        self
    }

    /// The addresses that the plan in its output names, each with its verb: `create secret.test_user1`.
    pub fn planned(&self) -> Vec<String> {
        planned(&self.stdout)
    }
}

/// See [`Run::planned`].
pub fn planned(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| ["+ ", "~ ", "- ", "↻ "].iter().find_map(|sign| line.strip_prefix(sign)))
        .map(str::to_owned)
        .collect()
}

/// A process that speaks with AWS and the database for one test, so that each question costs no start.
struct Outside {
    process: std::cell::RefCell<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

impl Outside {
    fn start(account: &str) -> Self {
        let environment = environment(account);
        let mut process = Command::new(&environment["PGROTATE_SANDBOX_PYTHON"])
            .arg(root().join("tests/sandbox/outside.py"))
            .env_clear()
            .envs(&environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sandbox's Python runs");
        let (stdin, stdout) = (process.stdin.take().expect("a pipe"), process.stdout.take().expect("a pipe"));
        Self { process: std::cell::RefCell::new((process, stdin, BufReader::new(stdout))) }
    }

    fn ask(&self, asked: Value) -> Value {
        let mut answer = self.answer(&asked);
        assert!(answer["failed"].is_null(), "{asked}: {}", answer["failed"]);
        answer["ok"].take()
    }

    /// With `ok`, or with why it `failed`.
    fn answer(&self, asked: &Value) -> Value {
        let mut process = self.process.borrow_mut();
        let (_, stdin, stdout) = &mut *process;
        writeln!(stdin, "{asked}").and_then(|()| stdin.flush()).expect("it listens");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{asked}: {line:?}"))
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let (process, ..) = self.process.get_mut();
        // It is our child, so it is there to be ended and waited for.
        let _ = process.kill();
        let _ = process.wait();
    }
}
