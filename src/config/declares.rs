//! Which files of a folder declare a deployment.

use super::files::bytes;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// What stands in a folder, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Those of its `*.toml` files that declare a deployment, and those of which nobody can tell: what is wrong with them
    /// is to be told, and not to be left out.
    pub deployments: Vec<PathBuf>,
    /// How many others there are: of other tools, or only to be built upon.
    pub others: usize,
}

/// Looks at the `*.toml` files of a folder itself, and not of those below it. One that has no `deployment` key of its own
/// is no deployment.
pub fn folder(path: &Path) -> std::io::Result<Folder> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension().is_some_and(|ending| ending == "toml") && !file.is_dir() {
            files.push(file);
        }
    }
    files.sort();
    let all = files.len();
    files.retain(|file| may_declare(file));
    Ok(Folder { others: all - files.len(), deployments: files })
}

fn may_declare(path: &Path) -> bool {
    let Ok(found) = bytes(path) else { return true };
    let Ok(text) = String::from_utf8(found) else { return true };
    let (document, syntax) = DeTable::parse_recoverable(&text);
    !syntax.is_empty() || document.get_ref().contains_key("deployment")
}

#[cfg(test)]
mod tests {

    #[test]
    fn what_declares_a_deployment() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("shop.toml", "deployment = \"shop\"\n"),
            ("base.toml", "[network]\nvpc = \"vpc-02294c945121da772\"\n"),
            ("below.toml", "[a]\ndeployment = \"no\"\n"),
            ("broken.toml", "deployment = \n"),
            ("notes.txt", "deployment = \"no\"\n"),
            ("empty.toml", ""),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        std::fs::write(folder.path().join("bytes.toml"), b"\xff\xfe").unwrap();
        std::fs::create_dir(folder.path().join("folder.toml")).unwrap();
        let found = super::folder(folder.path()).unwrap();
        let names: Vec<_> = found.deployments.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!((names, found.others), (vec!["broken.toml", "bytes.toml", "shop.toml"], 3));
    }
}
