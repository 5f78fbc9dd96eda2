//! Passwords are made as the secret's tag says: the first one, and each that a rotation makes.

use crate::fake::{CURRENT, PREVIOUS};
use crate::world::{World, token};
use function_contract::{PasswordPolicy, Strategy, error_type, tag};

fn declare(world: &World, arn: &str, tag: &str) {
    world.store.with(arn, |secret| secret.tags.insert(tag::PASSWORDS.to_owned(), tag.to_owned()));
}

/// The password of a label's version, which must be as `policy` says.
fn password(world: &World, arn: &str, label: &str, policy: &PasswordPolicy) -> String {
    let value = world.store.with(arn, |secret| secret.value(label));
    let password = value["password"].as_str().unwrap().to_owned();
    assert_eq!(password.len(), policy.length());
    let symbols = policy.symbols();
    assert!(password.bytes().all(|byte| symbols.contains(&byte)), "a character that is excluded");
    for class in policy.classes() {
        assert!(password.bytes().any(|byte| class.contains(&byte)), "one of each class");
    }
    password
}

#[tokio::test]
async fn a_rotation_keeps_to_the_tag_and_the_next_one_to_the_next() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let world = World::new(strategy).await;
        let default = PasswordPolicy::default();
        for arn in [&world.user_arn, &world.config.admin_secret_arn] {
            // A secret of before there was a choice has no such tag.
            world.rotate(arn).await;
            let mut before = password(&world, arn, CURRENT, &default);
            let mut was = default.clone();
            for policy in [
                PasswordPolicy::url_safe(99).unwrap(),
                PasswordPolicy::new(40, "").unwrap(),
                PasswordPolicy::new(25, "ABCDEFGHIJKLMNOPQRSTUVWXYZ'\\").unwrap(),
                default.clone(),
            ] {
                declare(&world, arn, &policy.tag());
                assert_eq!(password(&world, arn, CURRENT, &was), before, "what is in use stays");
                world.rotate(arn).await;
                assert_eq!(password(&world, arn, PREVIOUS, &was), before);
                before = password(&world, arn, CURRENT, &policy);
                was = policy;
                assert!(world.current_works(arn).await);
            }
        }
    }
}

#[tokio::test]
async fn the_first_password_keeps_to_it_too() {
    let world = World::unprovisioned(Strategy::AlternatingUsers);
    let (admin, user) = (PasswordPolicy::url_safe(22).unwrap(), PasswordPolicy::new(64, "\"'").unwrap());
    declare(&world, &world.config.admin_secret_arn, &admin.tag());
    declare(&world, &world.user_arn, &user.tag());
    world.ensure_all().await;
    for (arn, policy) in [(&world.config.admin_secret_arn, &admin), (&world.user_arn, &user)] {
        let first = password(&world, arn, CURRENT, policy);
        assert!(world.current_works(arn).await);
        // Ensured again after a change, the login keeps the password that it has.
        declare(&world, arn, &PasswordPolicy::default().tag());
        world.ensure_all().await;
        assert_eq!(password(&world, arn, CURRENT, policy), first);
    }
}

#[tokio::test]
async fn a_tag_that_asks_for_weak_passwords_is_refused_before_anything_is_made() {
    let world = World::new(Strategy::SingleUser).await;
    let (arn, pending) = (&world.user_arn, token());
    world.store.start_rotation(arn, &pending).unwrap();
    for bad in ["8:", "32", "100:", "32:=FF", "20:abcdefghijklmnopqrstuvwxyz0123456789"] {
        declare(&world, arn, bad);
        let error = world.step(arn, "createSecret", &pending).await.unwrap_err();
        assert_eq!(error.error_type(), error_type::SECRET_REFUSED, "{bad}");
        assert!(error.to_string().contains(tag::PASSWORDS), "{error}");
        assert!(world.store.with(arn, |secret| secret.values[&pending].is_none()));
        assert!(world.current_works(arn).await);
    }
    // The same rotation goes on once that is mended.
    declare(&world, arn, &PasswordPolicy::default().tag());
    world.steps(arn, &pending).await.unwrap();
    password(&world, arn, CURRENT, &PasswordPolicy::default());

    let world = World::unprovisioned(Strategy::SingleUser);
    let arn = &world.config.admin_secret_arn;
    declare(&world, arn, "8:");
    let error = world.ensure(world.request(function_contract::Duty::Admin)).await.unwrap_err();
    assert_eq!(error.error_type(), error_type::SECRET_REFUSED);
    assert!(world.store.with(arn, |secret| secret.values.is_empty()));
}
