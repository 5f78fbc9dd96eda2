//! Good files, and the loading of them.

use super::super::*;
use super::{ARTICLE, LEAST, with};
use expect_test::expect;

fn good(text: &str) -> Config {
    parse("demo.toml", text).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_article() {
    let config = good(ARTICLE);
    // Spans would change with every comment.
    let shown: Vec<String> =
        format!("{config:#?}").lines().filter(|l| !l.contains("span: ")).map(str::to_owned).collect();
    expect![[r#"
        Config {
            deployment: "article",
            aws: Aws {
                region: "eu-north-1",
                account: None,
                assume_role: None,
            },
            network: Network {
                vpc: Located {
                    value: These(
                        "vpc-02294c945121da772",
                    ),
                },
                subnets: Located {
                    value: These(
                        [
                            Located {
                                value: "subnet-05a8a2c78756260ed",
                            },
                            Located {
                                value: "subnet-0cf57825fcf0c3cbd",
                            },
                        ],
                    ),
                },
                secrets_manager: Located {
                    value: Endpoint,
                },
                allow: [
                    Allow {
                        from: Cidr(
                            Located {
                                value: "203.0.113.7/32",
                            },
                        ),
                        description: "office",
                    },
                ],
                endpoint_clients: None,
                revoke_unmanaged_rules: false,
                adopt: false,
            },
            database: Database {
                identifier: Located {
                    value: "my-postgres-instance",
                },
                is_cluster: false,
                port: 5432,
                security_group: None,
                instance: Some(
                    Instance {
                        subnet_group: SubnetGroup {
                            name: Located {
                                value: "my-db-subnet-group",
                            },
                            existing: false,
                        },
                        engine_version: Located {
                            value: "16",
                        },
                        class: "db.t3.micro",
                        storage: Storage {
                            gib: 20,
                            kind: "gp2",
                        },
                        backup_days: Located {
                            value: 7,
                        },
                        public: Located {
                            value: true,
                        },
                        master: "postgres",
                        deletion_protection: Located {
                            value: false,
                        },
                        final_snapshot: Located {
                            value: false,
                        },
                        encrypted: Located {
                            value: true,
                        },
                        adopt: false,
                    },
                ),
            },
            function: Function {
                name: Located {
                    value: "pgpasslambda",
                },
                bucket: None,
            },
            alerts: None,
            limits: Limits {
                deletes: None,
                prevent_destroy: false,
            },
            lint: Lints {
                allow: [
                    Allowed {
                        code: Located {
                            value: Public,
                        },
                        of: None,
                        reason: "as in the article, whose reader connects from an office",
                    },
                    Allowed {
                        code: Located {
                            value: Unprotected,
                        },
                        of: None,
                        reason: "the article ends by deleting the instance",
                    },
                    Allowed {
                        code: Located {
                            value: NoFinalSnapshot,
                        },
                        of: None,
                        reason: "and leaves nothing of it",
                    },
                    Allowed {
                        code: Located {
                            value: ShortRecoveryWindow,
                        },
                        of: None,
                        reason: "whoever follows it twice waits a week for the names, not a month",
                    },
                ],
                slow_after_days: 90,
            },
            tags: {},
            on_remove: Keep,
            admin: Login {
                login: Located {
                    value: "rotator_admin",
                },
                secret: Located {
                    value: "rotator_admin_secret",
                },
                database: "postgres",
                strategy: SingleUser,
                schedule: Located {
                    value: Schedule {
                        rule: Days(
                            30,
                        ),
                        window_hours: None,
                    },
                },
                recovery_days: Located {
                    value: 7,
                },
                passwords: PasswordPolicy {
                    length: 32,
                    excluded: {
                        '"',
                        '\'',
                        '/',
                        ':',
                        '@',
                        '\\',
                    },
                },
                adopt: false,
                attributes: RoleAttributes {
                    member_of: {},
                    settings: {},
                    connection_limit: None,
                    valid_until: None,
                },
                declared: Admin,
            },
            users: [
                Login {
                    login: Located {
                        value: "test_user1",
                    },
                    secret: Located {
                        value: "test_user1_secret",
                    },
                    database: "postgres",
                    strategy: AlternatingUsers,
                    schedule: Located {
                        value: Schedule {
                            rule: Days(
                                10,
                            ),
                            window_hours: None,
                        },
                    },
                    recovery_days: Located {
                        value: 7,
                    },
                    passwords: PasswordPolicy {
                        length: 32,
                        excluded: {
                            '"',
                            '\'',
                            '/',
                            ':',
                            '@',
                            '\\',
                        },
                    },
                    adopt: false,
                    attributes: RoleAttributes {
                        member_of: {},
                        settings: {},
                        connection_limit: None,
                        valid_until: None,
                    },
                    declared: User(
                        0,
                    ),
                },
            ],
        }"#]]
    .assert_eq(&shown.join("\n"));
    // Its spans point at what was read.
    let user = &config.users[0];
    assert_eq!(&ARTICLE[user.login.span.clone()], "\"test_user1\"");
    assert_eq!(&ARTICLE[user.secret.span.clone()], "\"test_user1_secret\"");
}

/// `manage = false` is implied, and may be said.
#[test]
fn a_cluster_is_referred_to() {
    let text = include_str!("../../../configs/scenarios/aurora-cluster.toml");
    let said = text.replace("cluster = \"my-cluster\"", "cluster = \"my-cluster\"\nmanage = false");
    for text in [text, &said] {
        let Database { identifier, is_cluster, port, security_group, instance } = good(text).database;
        assert_eq!((identifier.value.as_str(), is_cluster, port, instance), ("my-cluster", true, 5432, None));
        assert_eq!(security_group.expect("how the functions get in").value, "my-rds-sg");
    }
}

#[test]
fn defaults_are_safe() {
    let config = good(LEAST);
    let Config { deployment: _, aws, network, database, function, alerts, limits, lint, tags, on_remove, admin, users } =
        config;
    assert!(tags.is_empty());
    assert_eq!(aws.account, None);
    assert_eq!(network.secrets_manager.value, SecretsManagerPath::Endpoint);
    assert_eq!((network.allow, network.endpoint_clients), (vec![], None));
    let Database { port, security_group, instance, .. } = database;
    assert_eq!((port, security_group), (5432, None));
    let instance = instance.expect("it is made");
    assert!(instance.deletion_protection.value && instance.final_snapshot.value && instance.encrypted.value);
    assert!(!instance.public.value && !instance.subnet_group.existing);
    assert_eq!((instance.master.as_str(), instance.backup_days.value), ("postgres", 7));
    assert_eq!(instance.storage, Storage { gib: 20, kind: "gp3".into() });
    assert_eq!((function.name.value.as_str(), function.bucket), ("demo-rotation", None));
    let days = |days| Schedule { rule: Rule::Days(days), window_hours: None };
    assert_eq!((admin.strategy, admin.schedule.value, admin.recovery_days.value), (Strategy::SingleUser, days(30), 30));
    assert_eq!(admin.database, "postgres");
    let [user] = users.try_into().expect("one user");
    assert_eq!(
        (user.strategy, user.schedule.value, user.recovery_days.value),
        (Strategy::AlternatingUsers, days(10), 30)
    );
    assert_eq!(user.database, "postgres");
    assert_eq!(alerts, None);
    assert_eq!(limits, Limits { deletes: None, prevent_destroy: false });
    assert_eq!(lint, Lints { allow: Vec::new(), slow_after_days: 90 });
    assert_eq!((&admin.passwords, &user.passwords), (&PasswordPolicy::default(), &PasswordPolicy::default()));
    // Nothing is taken over, and nothing dropped, unless the file says so.
    assert!(!user.adopt && !admin.adopt);
    assert_eq!(on_remove, OnRemove::Keep);
}

#[test]
fn passwords_are_made_as_each_login_wants_them() {
    let of = |rotation: &str, user: &str| {
        let text = with("every = \"10 days\"", &format!("every = \"10 days\"\n{rotation}"));
        let text = text.replace("secret = \"app_secret\"", &format!("secret = \"app_secret\"\n{user}"));
        let config = good(&text);
        (config.admin.passwords, config.users[0].passwords.clone())
    };
    let (default, url_safe) = (PasswordPolicy::default(), PasswordPolicy::url_safe(32).expect("strong"));
    // Those of [rotation] are everybody's, the admin's too, unless a login says otherwise: whole.
    assert_eq!(of("passwords = \"url-safe\"", ""), (url_safe.clone(), url_safe.clone()));
    assert_eq!(of("passwords = \"url-safe\"", "passwords = \"default\""), (url_safe.clone(), default.clone()));
    assert_eq!(of("passwords = \"url-safe\"", "passwords = { length = 32 }"), (url_safe, default.clone()));
    let own = |length, excluded| (default.clone(), PasswordPolicy::new(length, excluded).expect("strong"));
    assert_eq!(of("", "passwords = { length = 40 }"), own(40, ":/@\"'\\"));
    assert_eq!(of("", "passwords = { exclude = \"\" }"), own(32, ""));
    assert_eq!(of("", "passwords = { length = 99, exclude = '\"$' }"), own(99, "$\""));
    let long = (default.clone(), PasswordPolicy::url_safe(64).expect("strong"));
    assert_eq!(of("", "passwords = { preset = \"url-safe\", length = 64 }"), long);
}

#[test]
fn limits_are_what_they_say() {
    let of = |text: &str| good(&with("[rotation]", &format!("[limits]\n{text}\n[rotation]"))).limits;
    assert_eq!(of("deletes = 0"), Limits { deletes: Some(0), prevent_destroy: false });
    assert_eq!(of("deletes = 12\nprevent_destroy = true"), Limits { deletes: Some(12), prevent_destroy: true });
}

#[test]
fn alerts_go_to_a_topic() {
    const TOPIC: &str = "arn:aws:sns:eu-north-1:123456789012:alerts";
    let config = good(&with("[rotation]", &format!("[alerts]\ntopic = \"{TOPIC}\"\n[rotation]")));
    assert_eq!(config.alerts.expect("alerts").topic.value, TOPIC);
}

#[test]
fn a_user_sets_for_itself_what_it_wants_otherwise() {
    let text = with(
        "every = \"10 days\"",
        "every = \"10 days\"\nwindow = \"3h\"\nrecovery_days = 14\nstrategy = \"single-user\"\non_remove = \"drop\"",
    ) + r#"
        [[user]]
        login = "other"
        secret = "other_secret"
        database = "shop"
        strategy = "alternating-users"
        cron = "cron(0 4 ? * sun *)"
        recovery_days = 7
        adopt = true
        [[user]]
        login = "third"
        secret = "third_secret"
        window = "5h"
        "#;
    let config = good(&text);
    let schedule = |rule, window_hours| Schedule { rule, window_hours };
    let [first, other, third] = &config.users[..] else { panic!("three users") };
    assert_eq!(first.schedule.value, schedule(Rule::Days(10), Some(3)));
    assert_eq!((first.strategy, first.recovery_days.value), (Strategy::SingleUser, 14));
    assert_eq!(other.schedule.value, schedule(Rule::Cron("cron(0 4 ? * SUN *)".into()), Some(3)));
    assert_eq!(
        (other.strategy, other.recovery_days.value, other.database.as_str()),
        (Strategy::AlternatingUsers, 7, "shop")
    );
    assert_eq!(third.schedule.value, schedule(Rule::Days(10), Some(5)));
    assert_eq!((first.adopt, other.adopt, config.on_remove), (false, true, OnRemove::Drop));
    // The users' period is not the admin's; how long a deleted secret is kept is everybody's.
    assert_eq!(config.admin.schedule.value, schedule(Rule::Days(30), None));
    assert_eq!(config.admin.recovery_days.value, 14);
}

#[test]
fn tables_may_be_written_in_any_of_tomls_ways() {
    let inline = "deployment = \"demo\"\naws.region = \"eu-north-1\"\n".to_owned()
        + &with("deployment = \"demo\"\n[aws]\nregion = \"eu-north-1\"\n", "")
            .replace("[[user]]\nlogin = \"app\"\nsecret = \"app_secret\"\n", "");
    let users = "user = [{ login = \"app\", secret = \"app_secret\" }]\n";
    assert_eq!(good(&(users.to_owned() + &inline)), good(LEAST));
    assert_eq!(good(&LEAST.replace('\n', "\r\n")), good(LEAST));
    assert_eq!(good(&format!("\u{feff}{LEAST}")), good(LEAST));
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = |name: &str| {
        let error = load(&folder.path().join(name)).expect_err("a bad file");
        error.to_string().replace(&folder.path().display().to_string(), "FOLDER")
    };
    expect![[r#"
        error[config-unreadable]: the config cannot be read: No such file or directory (os error 2)
         --> FOLDER/missing.toml
        hint: check the path; a first config is written by: pgrotate init
    "#]]
    .assert_eq(&error("missing.toml"));
    expect![[r#"
        error[config-unreadable]: the config cannot be read: Is a directory (os error 21)
         --> FOLDER/
        hint: name a file in it
    "#]]
    .assert_eq(&error(""));
    std::fs::write(folder.path().join("latin.toml"), b"deployment = \"demo\"\n# b\xfcro\n").expect("written");
    expect![[r#"
        error[not-utf-8]: this byte is not UTF-8
         --> FOLDER/latin.toml:2:4
          |
        2 | # b�ro
          |    ^
        hint: save the file as UTF-8
    "#]]
    .assert_eq(&error("latin.toml"));
}

#[test]
fn a_loaded_file_can_be_shown_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("article.toml");
    std::fs::write(&path, ARTICLE).expect("written");
    let (config, source) = load(&path).unwrap_or_else(|errors| panic!("{errors}"));
    let source = Source { name: "article.toml".into(), ..source };
    let error =
        ConfigError::at(crate::code::Code::NotThere, &config.network.vpc.span, "there is no such VPC in eu-north-1")
            .hint("list them: …");
    expect![[r#"
        error[not-there]: there is no such VPC in eu-north-1
          --> article.toml:22:7
           |
        22 | vpc = "vpc-02294c945121da772"
           |       ^^^^^^^^^^^^^^^^^^^^^^^
        hint: list them: …
    "#]]
    .assert_eq(&Errors::new(source, vec![error]).to_string());
}
