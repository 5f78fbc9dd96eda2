//! Every command that README.md and docs/ show is run as it stands there, page by page, and prints what the page says.

use crate::documentation::{Page, Shown, pages, root};
use crate::support::{ARTICLE, Account, group_id, path, sandbox, until};
use serde_json::json;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// Before what a command prints, and before its exit code.
const MARK: char = '\u{1e}';

/// One world for each page that has commands: a test that names a page for each, so that they run side by side.
macro_rules! documented {
    ($($test:ident: $page:literal,)*) => {
        const TESTED: &[&str] = &[$($page),*];
        $(#[test]
        fn $test() {
            let page = pages().into_iter().find(|page| page.name == $page);
            follow(&page.unwrap_or_else(|| panic!("there is no {}", $page)));
        })*
    };
}

documented! {
    readme: "README.md",
    commands: "docs/commands.md",
    config: "docs/config.md",
    drift: "docs/drift.md",
    existing_database: "docs/existing-database.md",
    json: "docs/json.md",
    many_accounts: "docs/many-accounts.md",
    quick_start: "docs/quick-start.md",
    report: "docs/report.md",
    runbook: "docs/runbook.md",
}

#[test]
fn no_page_is_left_out() {
    let with: Vec<_> = pages().into_iter().filter(|page| !page.commands.is_empty()).map(|page| page.name).collect();
    let mut tested: Vec<_> = TESTED.to_vec();
    tested.sort_unstable();
    assert_eq!(with, tested);
}

fn follow(page: &Page) {
    assert!(!page.commands.is_empty(), "{} shows no command any more", page.name);
    let account = Account::new();
    let folder = account.command(&[]).get_current_dir().expect("a folder").to_owned();
    let mut shell = Command::new("bash");
    match page.world.as_deref() {
        // As after a checkout: nothing is there but the project, and nothing is known of AWS.
        Some("checkout") => {
            linked(root(), &folder, "target");
            std::fs::create_dir(folder.join("target")).expect("a folder");
            linked(&root().join("target"), &folder.join("target"), "quick-start");
            shell.env_clear().envs(std::env::vars().filter(|(name, _)| ["PATH", "LANG"].contains(&&**name)));
        }
        Some(world @ ("declared" | "applied" | "existing")) => {
            account.delays("none");
            let config = match world {
                "applied" => Some(account.converges(ARTICLE).0),
                "declared" => Some(account.config(ARTICLE)),
                _ => {
                    database_of_others(&account);
                    None
                }
            };
            if let Some(config) = config {
                std::fs::rename(&config, folder.join("pgrotate.toml")).expect("renamed");
            }
            shell.env_clear();
            for (name, value) in account.command(&[]).get_envs() {
                shell.env(name, value.expect("a value"));
            }
            let bin = Path::new(env!("CARGO_BIN_EXE_pgrotate")).parent().expect("a folder");
            shell.env("PATH", format!("{}:{}", path(bin), sandbox().environment["PATH"]));
        }
        other => panic!("{}: it shows commands, and no such world: {other:?}", page.name),
    }
    shell.env("HOME", &folder).current_dir(&folder);

    let printed = typed(&mut shell, &folder, page);
    let mut rest = printed.split(MARK).skip(1);
    for shown in &page.commands {
        let at = format!("{}:{}: {}", page.name, shown.line, shown.text);
        let said = rest.next().unwrap_or_else(|| panic!("{at}: never came to it:\n{printed}"));
        let code = rest.next().map(str::trim).unwrap_or_else(|| panic!("{at}: it did not end:\n{said}"));
        assert_eq!(code, shown.exits.to_string(), "{at}: exit code; it printed:\n{said}");
        prints(&at, said, shown);
    }
}

/// An instance that is there already, as somebody has made it long ago.
fn database_of_others(account: &Account) {
    let group = json!({ "GroupName": "my-rds-sg", "Description": "by hand", "VpcId": "vpc-02294c945121da772" });
    account.call("ec2", "create_security_group", group);
    let subnets = json!(["subnet-05a8a2c78756260ed", "subnet-0cf57825fcf0c3cbd"]);
    let name = json!({ "DBSubnetGroupName": "by-hand", "DBSubnetGroupDescription": "x", "SubnetIds": subnets });
    account.call("rds", "create_db_subnet_group", name);
    let instance = json!({
        "DBInstanceIdentifier": "my-postgres-instance", "DBInstanceClass": "db.t4g.micro", "Engine": "postgres",
        "AllocatedStorage": 20, "MasterUsername": "root", "ManageMasterUserPassword": true,
        "DBSubnetGroupName": "by-hand", "VpcSecurityGroupIds": [group_id(account, "my-rds-sg")],
    });
    account.call("rds", "create_db_instance", instance);
    account.shell("aws rds wait db-instance-available --db-instance-identifier my-postgres-instance");
}

/// All of `from` but one name, by links: what is made beside them is the test's own.
fn linked(from: &Path, to: &Path, but: &str) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.file_name() != but {
            std::os::unix::fs::symlink(entry.path(), to.join(entry.file_name())).expect("a link");
        }
    }
}

/// Types all of a page's commands into one shell; answers with what came of each, between marks.
fn typed(shell: &mut Command, folder: &Path, page: &Page) -> String {
    let mut script = "set -o pipefail\n".to_owned();
    for Shown { text, .. } in &page.commands {
        // These build and test the project, which is what is under way: that there is such a target, make tells.
        let dry = text.strip_prefix("make ").map(|rest| format!("make --dry-run {rest}"));
        let text = dry.as_ref().unwrap_or(text);
        script.push_str(&format!("printf '\\036'\n{text}\nprintf '\\036%d' $?\n"));
    }
    let (typed, printed) = (folder.join(".typed"), folder.join(".printed"));
    std::fs::write(&typed, script).expect("a script");
    let out = File::create(&printed).expect("a file");
    shell.arg(&typed).stdin(Stdio::null()).stderr(out.try_clone().expect("the same file")).stdout(out);
    let mut process = shell.spawn().expect("bash runs");
    until(&format!("the end of {}", page.name), || process.try_wait().expect("a child"));
    String::from_utf8(std::fs::read(&printed).expect("what was printed")).expect("UTF-8")
}

/// Each line that the page shows is printed, in that order.
fn prints(at: &str, said: &str, shown: &Shown) {
    let mut lines = said.lines();
    for wanted in &shown.prints {
        assert!(
            lines.any(|line| is_like(line.trim_end(), wanted)),
            "{at}: no line is like\n{wanted}\nbelow the ones before, in:\n{said}"
        );
    }
}

/// Whether `line` is `wanted`, in which `…` is anything.
fn is_like(line: &str, wanted: &str) -> bool {
    let pieces: Vec<_> = wanted.trim_end().split('…').collect();
    let [first, between @ .., last] = pieces.as_slice() else { return line == wanted.trim_end() };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    for piece in between {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[test]
fn an_ellipsis_stands_for_anything() {
    for (line, wanted, like) in [
        ("done 3 of 3", "done 3 of 3", true),
        ("done 3 of 3", "done … of …", true),
        ("done 3 of 3", "…3", true),
        ("done 3 of 3", "done", false),
        ("done 3 of 3", "…4", false),
        ("aba", "ab…ba", false),
    ] {
        assert_eq!(is_like(line, wanted), like, "{line} {wanted}");
    }
}
