//! Several files at once, as far as it can be told without AWS.

use crate::snapshot::{bare, check};
use crate::support::{ARTICLE, fits};
use pgrotate::schema::Subject;
use std::path::Path;

/// A folder of files, each with its text.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    folder
}

fn run(folder: &Path, arguments: &[&str], name: &str) {
    check(&bare(folder, arguments).output().unwrap(), &[], name);
}

fn named(deployment: &str) -> String {
    ARTICLE.replace("deployment = \"article\"", &format!("deployment = \"{deployment}\""))
}

fn broken() -> String {
    named("broken").replace("identifier = ", "identifer = ").replace("203.0.113.7/32", "203.0.113.7/33")
}

#[test]
fn a_directory_without_any() {
    let folder = folder(&[("base.toml", "[network]\nvpc = \"vpc-02294c945121da772\"\n"), ("below/shop.toml", ARTICLE)]);
    run(folder.path(), &["plan", "."], "a-directory-without-deployments");
    run(&folder.path().join("below"), &["status", "shop.toml/"], "a-file-as-a-directory");
    std::fs::remove_file(folder.path().join("base.toml")).unwrap();
    run(folder.path(), &["validate", "."], "a-directory-without-files");
}

/// What changes something is done with one deployment at a time.
#[test]
fn a_directory_for_a_command_of_one() {
    let folder = folder(&[("app.toml", &named("app")), ("shop.toml", &named("shop"))]);
    for arguments in [&["apply", "."][..], &["destroy", "."], &["rotate", ".", "app"], &["recover", ".", "app"]] {
        run(folder.path(), arguments, "a-directory-for-one-deployment");
    }
}

#[test]
fn some_are_valid() {
    let (lints, broken) = (named("lints").replace("every = \"10 days\"", "every = \"200 days\""), broken());
    let folder = folder(&[
        ("all/app.toml", &named("app")),
        ("all/base.toml", "[network]\n"),
        ("all/broken.toml", &broken),
        ("all/lints.toml", &lints),
        ("one.toml", &named("one")),
    ]);
    // In the order of the paths, each once.
    let paths = ["one.toml", "all", "all/app.toml"];
    run(folder.path(), &[&["validate"], &paths[..]].concat(), "several-validated");
    let json = [&["validate", "--format", "json"], &paths[..]].concat();
    let done = bare(folder.path(), &json).output().unwrap();
    fits(Subject::Deployments, &serde_json::from_slice(&done.stdout).unwrap());
    check(&done, &[], "several-validated-json");
}

#[test]
fn a_validation_as_json() {
    let above = "extends = \"broken.toml\"\n[database]\nclass = \"micro\"\n";
    let folder = folder(&[("app.toml", &named("app")), ("broken.toml", &broken()), ("above.toml", above)]);
    for (file, name) in [
        ("app.toml", "a-valid-config-json"),
        ("broken.toml", "a-bad-config-json"),
        ("above.toml", "a-bad-config-below-json"),
    ] {
        let done = bare(folder.path(), &["validate", "--format", "json", file]).output().unwrap();
        fits(Subject::Validation, &serde_json::from_slice(&done.stdout).unwrap());
        check(&done, &[], name);
    }
}

/// Each apply of one would undo the other's.
#[test]
fn declared_by_two_files() {
    let folder = folder(&[("app.toml", ARTICLE), ("copy.toml", ARTICLE), ("other.toml", &named("other"))]);
    run(folder.path(), &["validate", "."], "declared-twice");
}

/// Where a deployment is, as far as its file says it.
#[test]
fn targets() {
    let role = "assume_role = \"arn:aws:iam::123456789012:role/ci/pgrotate\"\n";
    let shop = named("shop").replace("[aws]\n", &format!("[aws]\n{role}"));
    let folder = folder(&[("all/app.toml", &named("app")), ("all/shop.toml", &shop), ("base.toml", "[network]\n")]);
    run(folder.path(), &["targets", "all"], "targets");
    let json = bare(folder.path(), &["targets", "all", "--format", "json"]).output().unwrap();
    fits(Subject::Targets, &serde_json::from_slice(&json.stdout).unwrap());
    check(&json, &[], "targets-json");
    // One line, as a step's output is.
    run(folder.path(), &["targets", "all", "--format", "github-matrix"], "targets-github-matrix");
}

/// Nothing is printed that would start a job for the others and none for it.
#[test]
fn targets_of_which_one_is_broken() {
    let folder = folder(&[("app.toml", ARTICLE), ("broken.toml", &broken()), ("copy.toml", ARTICLE)]);
    run(folder.path(), &["targets", ".", "--format", "github-matrix"], "targets-of-which-one-is-broken");
}

#[test]
fn more_targets_than_a_matrix_has() {
    let folder = tempfile::tempdir().unwrap();
    let write = |number: usize| {
        std::fs::write(folder.path().join(format!("{number}.toml")), named(&format!("app{number}"))).unwrap();
    };
    (0..256).for_each(write);
    let matrix = ["targets", ".", "--format", "github-matrix"];
    let done = bare(folder.path(), &matrix).output().unwrap();
    let parsed: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(parsed["include"].as_array().unwrap().len(), 256);
    write(256);
    run(folder.path(), &matrix, "too-many-jobs");
    assert_eq!(bare(folder.path(), &["targets", "."]).output().unwrap().status.code(), Some(0));
}
