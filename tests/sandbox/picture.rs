//! The picture of README.md is of a run: of a deployment that lives, in which somebody has changed two things by hand, and
//! whose file was changed once. UPDATE_EXPECT=1 draws it anew.

use crate::support::{ARTICLE, Deployment, group_id, path};
use anstyle_svg::Term;
use expect_test::expect_file;
use serde_json::json;

#[test]
fn of_drift_and_a_plan() {
    let Deployment { account, config } = Deployment::new(ARTICLE);
    account.call("secretsmanager", "cancel_rotate_secret", json!({ "SecretId": "test_user1_secret" }));
    let group = group_id(&account, "pgrotate-article-database");
    let office = json!([{
        "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{ "CidrIp": "203.0.113.7/32" }],
    }]);
    account.call("ec2", "revoke_security_group_ingress", json!({ "GroupId": group, "IpPermissions": office }));
    let named = config.with_file_name("orders.toml");
    std::fs::write(&named, ARTICLE.replace("class = \"db.t3.micro\"", "class = \"db.t3.small\"")).expect("a config");

    let mut screen = String::new();
    for (command, exits) in [("drift", 2), ("plan", 0)] {
        let done =
            account.command(&[command, "orders.toml"]).env("CLICOLOR_FORCE", "1").output().expect("pgrotate runs");
        assert_eq!(done.status.code(), Some(exits), "{}", String::from_utf8_lossy(&done.stderr));
        let said = String::from_utf8(done.stdout)
            .expect("UTF-8")
            .replace(&account.number, "111122223333")
            .replace(&group, "sg-0123456789abcdef0");
        screen.push_str(&format!("\u{1b}[1m$ pgrotate {command} orders.toml\u{1b}[0m\n{said}\n"));
    }
    // The folder is this test's own, and the plan names the config as it was given.
    assert!(!screen.contains(path(config.parent().expect("a folder"))), "{screen}");
    let picture = Term::new().min_width_px(900).render_svg(screen.trim_end());
    expect_file!["../../docs/terminal.svg"].assert_eq(&picture);
}
