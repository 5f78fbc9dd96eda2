//! Many deployments at once, for the commands that only look: planned side by side, told in the order of their paths. What
//! is wrong with one hides no other.

use super::output::{print, print_human, print_json};
use super::session::Session;
use super::{CliError, DeploymentArgs, Format, FunctionArgs};
use crate::code::{LOG, exit};
use crate::command::File;
use crate::config;
use crate::render::summary::{self, Commands};
use crate::render::{DeploymentDocument, DeploymentsDocument, OneDocument, human};
use clap::Args;
use futures_util::StreamExt;
use futures_util::stream;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tracing::{Instrument, Span, info_span};

/// So many are looked at at once. Each asks a dozen things of AWS at the same time, and AWS counts the calls of an account.
const AT_ONCE: usize = 8;

/// What the commands take that look at any number of deployments.
#[derive(Debug, Clone, Args)]
pub(super) struct PathsArgs {
    /// The deployment's config file; several, or a directory of them, are told of together
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    functions: FunctionArgs,
}

/// One deployment, told of as it always was, or any number of them, told of together.
pub(super) enum Which {
    One(DeploymentArgs),
    Many(Vec<PathBuf>, FunctionArgs),
}

impl PathsArgs {
    /// Where it is one file.
    pub fn one(&self) -> Option<File> {
        match self.paths.as_slice() {
            [path] if !path.is_dir() => Some(File::of(path)),
            _ => None,
        }
    }

    pub fn which(self) -> Result<Which, CliError> {
        let Self { mut paths, functions } = self;
        match paths.as_slice() {
            [path] if !path.is_dir() => Ok(Which::One(DeploymentArgs { config: paths.remove(0), functions })),
            _ => Ok(Which::Many(files(&paths)?, functions)),
        }
    }
}

/// The config files that `paths` name, each once: those of a directory by name, in the place of the directory.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let (mut all, mut known) = (Vec::new(), BTreeSet::new());
    for path in paths {
        let found = if path.is_dir() { in_folder(path)? } else { vec![path.clone()] };
        for file in found {
            // What cannot be resolved is told of once it is opened.
            if known.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
                all.push(file);
            }
        }
    }
    Ok(all)
}

fn in_folder(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    let folder = config::folder(path).map_err(|source| CliError::FolderUnreadable { path: path.to_owned(), source })?;
    if folder.deployments.is_empty() {
        return Err(CliError::NoDeployment { path: path.to_owned(), others: folder.others });
    }
    // As somebody would write it who names the file.
    let short = |file: PathBuf| file.strip_prefix(".").map(Path::to_owned).unwrap_or(file);
    Ok(folder.deployments.into_iter().map(short).collect())
}

/// What came of one file: its document, an error, or both, where what was found is refused.
pub(super) struct One {
    pub file: PathBuf,
    pub document: Option<OneDocument>,
    pub error: Option<CliError>,
    pub commands: Commands,
}

/// Whose deployment it is, by its name, its account and its region.
type Identity = (String, Option<String>, Option<String>);

/// Opens each of `files` and does `work` with it; answers in their order. A deployment that two of them declare is refused.
pub(super) async fn each(
    files: Vec<PathBuf>,
    functions: &FunctionArgs,
    work: impl AsyncFn(&Session, &Path) -> Result<(OneDocument, Option<CliError>), CliError>,
    commands: impl Fn(&Path, Option<&OneDocument>) -> Commands,
) -> Result<Vec<One>, CliError> {
    // Of no deployment alone: without it there is none.
    let zip = functions.zip()?;
    let open = async |file: PathBuf| {
        let session = Session::open_file(&file, || Ok(zip.clone())).instrument(of(&file)).await;
        (file, session)
    };
    let opened: Vec<_> = stream::iter(files).map(open).buffered(AT_ONCE).collect().await;
    let identity = |session: &Session| {
        let place = session.aws.place();
        (session.config.deployment.clone(), Some(place.account), Some(place.region))
    };
    let known = opened.iter().filter_map(|(file, session)| Some((file.as_path(), identity(session.as_ref().ok()?))));
    let twice = twice(known);
    let done = async |(file, session): (PathBuf, Result<Session, CliError>)| {
        let result = match (session, twice.get(&file)) {
            (Err(error), _) => Err(error),
            (Ok(_), Some(found)) => Err(found.error()),
            (Ok(session), None) => work(&session, &file).instrument(of(&file)).await,
        };
        let (document, error) = match result {
            Ok((document, error)) => (Some(document), error),
            Err(error) => (None, Some(error.about(&File::of(&file)))),
        };
        One { commands: commands(&file, document.as_ref()), file, document, error }
    };
    Ok(stream::iter(opened).map(done).buffered(AT_ONCE).collect().await)
}

/// Whose line it is that is logged.
fn of(file: &Path) -> Span {
    info_span!(target: LOG, "deployment", file = %file.display())
}

/// A deployment that several files declare.
#[derive(Debug, Clone)]
pub(super) struct Twice {
    identity: Identity,
    files: Vec<PathBuf>,
}

impl Twice {
    pub fn error(&self) -> CliError {
        let (deployment, account, region) = self.identity.clone();
        CliError::DeclaredTwice { deployment, account, region, files: self.files.clone() }
    }
}

/// Those of the files whose deployment another declares as well: each apply of one would undo the other's.
pub(super) fn twice<'a>(known: impl Iterator<Item = (&'a Path, Identity)>) -> BTreeMap<PathBuf, Twice> {
    let mut by_identity: BTreeMap<Identity, Vec<PathBuf>> = BTreeMap::new();
    for (file, identity) in known {
        by_identity.entry(identity).or_default().push(file.to_owned());
    }
    let several = by_identity.into_iter().filter(|(_, files)| files.len() > 1);
    let each = several.flat_map(|(identity, files)| {
        let twice = Twice { identity, files };
        twice.files.clone().into_iter().map(move |file| (file, twice.clone()))
    });
    each.collect()
}

/// Prints all of them by `format`; `doing` is the command's name. Answers with the exit code where `pending` is that of a
/// document: the worst of them all.
pub(super) fn tell(
    doing: &str,
    format: Format,
    all: Vec<One>,
    pending: impl Fn(&OneDocument) -> bool,
) -> Result<u8, CliError> {
    let codes = all.iter().map(|one| match (&one.error, &one.document) {
        (Some(error), _) => error.exit_code(),
        (None, Some(document)) if pending(document) => exit::PENDING,
        (None, _) => exit::CLEAN,
    });
    let exit = worst(codes);
    let (mut commands, mut documents, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for One { file, document, error, commands: own } in all {
        let errors = error.as_ref().map(CliError::documents).unwrap_or_default();
        documents.push(DeploymentDocument { file: file.display().to_string(), document, errors });
        commands.push(own);
        failed.push(error);
    }
    let document = DeploymentsDocument::new(documents);
    match format {
        Format::Json => print_json(&document)?,
        Format::Markdown => print(&summary::markdown(&document, doing, &commands))?,
        Format::Human => {
            for (one, error) in document.deployments.iter().zip(failed) {
                if let Some(found) = &one.document {
                    print_human(&format!("{}{}\n", summary::heading(&one.file), told(found)))?;
                }
                // Where the errors of one deployment go, under a heading of their own there.
                if let Some(error) = error {
                    error.print_below(&summary::heading(&one.file));
                }
            }
            print_human(&summary::table(&document))?;
        }
    }
    Ok(exit)
}

fn told(document: &OneDocument) -> String {
    match document {
        OneDocument::Plan(plan) => human::plan(plan),
        OneDocument::Drift(drift) => human::drift(drift),
        OneDocument::Status(status) => human::status(status),
        OneDocument::Validation(validation) => human::validation(validation),
    }
}

/// An error is worse than a refusal, that than what is stale, and all of them than what is only pending.
pub(super) fn worst(codes: impl Iterator<Item = u8>) -> u8 {
    let ranked = [exit::ERROR, exit::REFUSED, exit::STALE, exit::PENDING];
    let codes: BTreeSet<u8> = codes.collect();
    ranked.into_iter().find(|code| codes.contains(code)).unwrap_or(exit::CLEAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_all_exit_codes() {
        for (codes, of_all) in [
            (&[][..], exit::CLEAN),
            (&[0, 0], exit::CLEAN),
            (&[0, 2, 0], exit::PENDING),
            (&[2, 3], exit::STALE),
            (&[3, 4, 2], exit::REFUSED),
            (&[4, 1, 2, 0], exit::ERROR),
        ] {
            assert_eq!(worst(codes.iter().copied()), of_all, "{codes:?}");
        }
    }

    #[test]
    fn only_the_same_name_in_the_same_place_is_the_same() {
        let known = [("a", "one", "1"), ("b", "one", "2"), ("c", "two", "1"), ("d", "one", "1")];
        let known = known.map(|(file, name, account)| {
            (Path::new(file), (name.to_owned(), Some(account.to_owned()), Some("eu-north-1".to_owned())))
        });
        let twice = twice(known.into_iter());
        assert_eq!(twice.keys().collect::<Vec<_>>(), [Path::new("a"), Path::new("d")]);
        assert_eq!(twice[Path::new("a")].files, [Path::new("a"), Path::new("d")]);
    }
}
