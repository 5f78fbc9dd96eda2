//! `pgrotate validate`: all that can be said of a config without AWS.

use super::many::{self, One, Twice, files};
use super::output::{columns, print, print_json};
use super::session::denied;
use super::{CliError, Format};
use crate::code::exit;
use crate::config::{self, Config, Source};
use crate::lint::{self, Finding};
use crate::render::document::{FORMAT, Title};
use crate::render::summary::Commands;
use crate::render::{OneDocument, ValidationDocument};
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// The deployment's config file; several, or a directory of them, are told of together
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value = "human")]
    format: ValidateFormat,
    /// Refuse a config with lints that it does not allow
    #[arg(long)]
    deny_lints: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ValidateFormat {
    /// For people
    Human,
    /// For programs
    Json,
}

pub(super) fn run(args: ValidateArgs) -> Result<u8, CliError> {
    match args.paths.as_slice() {
        [path] if !path.is_dir() => one(path, &args),
        paths => several(files(paths)?, &args),
    }
}

fn one(path: &Path, args: &ValidateArgs) -> Result<u8, CliError> {
    let loaded = config::load(path);
    if args.format == ValidateFormat::Json {
        let (document, error) = validated(path, loaded, args.deny_lints);
        print_json(&document)?;
        return Ok(error.map_or(exit::CLEAN, |error| error.exit_code()));
    }
    let (config, source) = loaded?;
    let lints = lint::lint(&config, &source, None);
    print(&told(path, &config, &source, &lints))?;
    denied(&lints, args.deny_lints)?;
    Ok(exit::CLEAN)
}

fn told(path: &Path, config: &Config, source: &Source, lints: &[Finding]) -> String {
    let logins = config.users.len() + 1;
    let head = format!("{}: valid (deployment {}, {logins} logins)\n", path.display(), config.deployment);
    lints.iter().fold(head, |text, lint| text + &paragraph(lint, source))
}

/// What was found, and what that makes the command fail with.
fn validated(
    path: &Path,
    loaded: Result<(Config, Source), config::Errors>,
    deny_lints: bool,
) -> (ValidationDocument, Option<CliError>) {
    let mut document = ValidationDocument {
        format: FORMAT,
        document: Title::Validation,
        config: path.display().to_string(),
        deployment: None,
        account: None,
        region: None,
        logins: None,
        errors: Vec::new(),
        lints: Vec::new(),
    };
    let error = match loaded {
        Ok((config, source)) => {
            document.lints = lint::lint(&config, &source, None);
            document.logins = Some(config.users.len() + 1);
            document.account = config.aws.declared_account().map(str::to_owned);
            document.region = Some(config.aws.region);
            document.deployment = Some(config.deployment);
            denied(&document.lints, deny_lints).err()
        }
        Err(errors) => Some(CliError::Config(errors)),
    };
    document.errors = error.as_ref().map(CliError::documents).unwrap_or_default();
    (document, error)
}

fn several(files: Vec<PathBuf>, args: &ValidateArgs) -> Result<u8, CliError> {
    let mut all = Vec::new();
    for file in &files {
        let (mut document, error) = validated(file, config::load(file), args.deny_lints);
        // Told beside the document, as whatever a command fails with.
        document.errors.clear();
        all.push((file, document.deployment.is_some().then_some(document), error));
    }
    let known = all.iter().filter_map(|(file, document, _)| {
        let ValidationDocument { deployment, account, region, .. } = document.as_ref()?;
        Some((file.as_path(), (deployment.clone()?, account.clone(), region.clone())))
    });
    let twice: BTreeMap<PathBuf, Twice> = many::twice(known);
    let each = all.into_iter().map(|(file, document, error)| One {
        file: file.clone(),
        document: document.map(OneDocument::Validation),
        error: twice.get(file).map(Twice::error).or(error),
        commands: Commands { again: String::new(), apply: String::new() },
    });
    let format = match args.format {
        ValidateFormat::Human => Format::Human,
        ValidateFormat::Json => Format::Json,
    };
    many::tell("validate", format, each.collect(), |_| false)
}

/// A paragraph, as an error of the config is told.
fn paragraph(lint: &Finding, source: &Source) -> String {
    let Finding { code, of: _, file: _, line: _, span, what, why, hint } = lint;
    let place = span.as_ref().map(|span| source.excerpt_within(span, columns())).unwrap_or_default();
    format!("\nlint[{code}]: {what}\n{place}why: {why}\nhint: {hint}\n")
}
