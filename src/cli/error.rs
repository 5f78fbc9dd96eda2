//! What goes wrong, told with its code, its causes and the next thing to do.

use super::output::{columns, print_error};
use crate::aws::AwsError;
use crate::code::{Code, Coded, REPORT_IT};
use crate::command::{FILE, File};
use crate::config::{Errors, LintCode};
use crate::function_zip::ZipError;
use crate::model::{Address, one_line};
use crate::plan::PlanError;
use crate::render::ErrorDocument;
use crate::render::document::chain;
use crate::render::run::RunError;
use crate::resource::Refusal;
use crate::resources::LiveError;
use crate::saved::SavedError;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error(transparent)]
    Config(#[from] Errors),
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Zip(#[from] ZipError),
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// Whoever mistakes the two names would lose the config, or a saved plan.
    #[error("{flag} names the file that the command reads: {}", path.display())]
    OverConfig { path: PathBuf, flag: &'static str },
    #[error("{} is a directory, and this command is for one deployment", path.display())]
    OneDeployment { path: PathBuf, files: Vec<PathBuf> },
    #[error("{} holds no deployment: {}", path.display(), match others { 0 => "it has no *.toml file".to_owned(), others => format!("none of its *.toml files ({others}) has a key `deployment` of its own") })]
    NoDeployment { path: PathBuf, others: usize },
    #[error("the directory {} cannot be read", path.display())]
    FolderUnreadable { path: PathBuf, source: std::io::Error },
    /// Each apply of one file would undo the other's.
    #[error("the deployment `{deployment}`{} is declared by {}", at(account.as_deref(), region.as_deref()), files.iter().map(|file| one_line(&file.display().to_string())).collect::<Vec<_>>().join(" and "))]
    DeclaredTwice { deployment: String, account: Option<String>, region: Option<String>, files: Vec<PathBuf> },
    #[error("a matrix of GitHub's has at most {most} jobs, and there are {count} deployments")]
    TooManyJobs { count: usize, most: usize },
    #[error("{} is a file, and of several deployments each is saved to one of its own", path.display())]
    NotAFolder { path: PathBuf },
    #[error("the credentials are of account {actual}, the config allows only {declared}")]
    WrongAccount { declared: String, actual: String },
    /// A login with its secret and its rotation is one thing.
    #[error("the plan removes {} things, and may remove {allowed} unsaid:\n{}", things.len(), things.iter().map(listed).collect::<Vec<_>>().join("\n"))]
    TooManyDeletes { things: Vec<BTreeSet<Address>>, allowed: usize, file: PathBuf },
    /// A number is not enough to say that it is meant.
    #[error("what the plan takes away has to be named:\n{}", reasons(unnamed))]
    MustBeNamed { unnamed: Vec<(Address, String)>, file: PathBuf },
    /// What would be lost by a plan to converge; one to destroy loses all.
    #[error("the config has `prevent_destroy`, and the plan would take away {}", if lost.is_empty() { "all of it".to_owned() } else { listed(lost).trim_start().to_owned() })]
    Prevented { lost: Vec<Address> },
    /// Whoever wants none of them.
    #[error("the config does not allow {}", listed_once(lints))]
    Linted { lints: Vec<LintCode> },
    /// Nobody could be asked, or the answer was no.
    #[error("{because}")]
    NotConfirmed { because: &'static str, hint: String },
    #[error("the deployment has no login `{login}`; it has {}", known.join(", "))]
    NoSuchLogin { login: String, known: Vec<String> },
    #[error("the deployment has no `{address}`; it has:\n{}", listed(known))]
    NoSuchAddress { address: String, known: Vec<Address> },
    #[error("{address} cannot be taken over by its address")]
    NeverAdopted { address: Address, instead: &'static str },
    #[error("the rotation of `{login}` has not finished: {why}")]
    RotationFailed { login: String, why: String, function: String },
    /// What stands in the way of a login is not for pgrotate to change.
    #[error("`{login}` cannot be recovered: {cause}")]
    NotRecoverable { login: String, cause: String, hint: String },
    /// `init` never writes over what it did not write.
    #[error("{} is there already", path.display())]
    InTheWay { path: PathBuf },
    /// Each a flag, and what it says.
    #[error("nobody can be asked, and this has no default:\n{}", missing.iter().map(|(flag, what)| format!("  {flag}: {what}")).collect::<Vec<_>>().join("\n"))]
    Unanswered { missing: Vec<(&'static str, &'static str)> },
    /// No config can be made of what was named.
    #[error("{cause}")]
    NoStart { code: Code, cause: String, hint: String },
    #[error("the config {} cannot be written", path.display())]
    ConfigUnwritable { path: PathBuf, source: std::io::Error },
    /// Told before anything is changed.
    #[error("the journal {} cannot be written", path.display())]
    JournalUnwritable { path: PathBuf, source: std::io::Error },
    #[error("the journal {} cannot be read", path.display())]
    JournalUnreadable { path: PathBuf, source: std::io::Error },
    #[error("the journal {} tells of no run", path.display())]
    NoRun { path: PathBuf, source: RunError },
    #[error("the page {} cannot be written", path.display())]
    PageUnwritable { path: PathBuf, source: std::io::Error },
    /// One of the above, of a deployment whose file is known: it stands in all its commands.
    #[error("{error}")]
    About { error: Box<CliError>, file: File },
    #[error("cannot {doing}")]
    Io { doing: &'static str, source: std::io::Error },
}

impl From<AwsError> for CliError {
    fn from(error: AwsError) -> Self {
        Self::Live(error.into())
    }
}

impl Coded for CliError {
    /// Of several errors the first one's.
    fn code(&self) -> Code {
        match self {
            Self::Config(errors) => errors.iter().next().map_or(Code::Internal, |error| error.code),
            Self::Live(error) => error.code(),
            Self::Plan(PlanError::Refused(refusals)) => {
                refusals.first().map_or(Code::Internal, |(_, refusal)| refusal.code)
            }
            Self::Plan(PlanError::Cycle(_) | PlanError::OutOfOrder { .. } | PlanError::Stranded(_)) => Code::Internal,
            Self::Zip(error) => error.code(),
            Self::Saved(error) => error.code(),
            Self::OverConfig { .. } | Self::InTheWay { .. } | Self::Unanswered { .. } => Code::Usage,
            Self::NoStart { code, .. } => *code,
            Self::NotAFolder { .. } => Code::Usage,
            Self::OneDeployment { .. } | Self::FolderUnreadable { .. } => Code::ConfigUnreadable,
            Self::NoDeployment { .. } => Code::NoDeployment,
            Self::DeclaredTwice { .. } => Code::DeclaredTwice,
            Self::TooManyJobs { .. } => Code::TooManyJobs,
            Self::WrongAccount { .. } => Code::WrongAccount,
            Self::TooManyDeletes { .. } => Code::TooManyDeletes,
            Self::MustBeNamed { .. } => Code::MustBeNamed,
            Self::Prevented { .. } => Code::Protected,
            Self::Linted { .. } => Code::Linted,
            Self::NotConfirmed { .. } => Code::NotConfirmed,
            Self::NoSuchLogin { .. } => Code::NoSuchLogin,
            Self::NoSuchAddress { .. } => Code::NoSuchAddress,
            Self::NeverAdopted { .. } => Code::NeverAdopted,
            Self::RotationFailed { .. } => Code::RotationFailed,
            Self::NotRecoverable { .. } => Code::NotRecoverable,
            Self::JournalUnwritable { .. } => Code::JournalUnwritable,
            Self::JournalUnreadable { .. } | Self::NoRun { .. } => Code::JournalUnreadable,
            Self::PageUnwritable { .. } | Self::ConfigUnwritable { .. } | Self::Io { .. } => Code::Io,
            Self::About { error, .. } => error.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Live(error) => error.hint(),
            Self::Zip(error) => error.hint(),
            Self::Saved(error) => error.hint(),
            Self::OverConfig { flag, .. } => format!("name another file by {flag}; nothing was written"),
            Self::OneDeployment { files, .. } => {
                let file = |file: &PathBuf| file.strip_prefix(".").unwrap_or(file).display().to_string();
                let files: Vec<_> = files.iter().map(file).collect();
                let these = if files.is_empty() { String::new() } else { format!(": {}", files.join(", ")) };
                format!("name a file in it{these}. plan, drift, status and validate take all of them at once")
            }
            Self::NoDeployment { .. } => {
                "name a directory whose *.toml files declare deployments; those below it are not looked for".to_owned()
            }
            Self::FolderUnreadable { path, .. } => format!("ls -ld {}", path.display()),
            Self::DeclaredTwice { .. } => "give each file a deployment of its own, or name only one of them".to_owned(),
            Self::TooManyJobs { most, .. } => {
                format!("name directories of at most {most} deployments, in a workflow of its own each")
            }
            Self::NotAFolder { .. } => "name a directory by --out; nothing was written".to_owned(),
            Self::WrongAccount { .. } => "use credentials of that account, or correct `account` in [aws]".to_owned(),
            Self::TooManyDeletes { things, file, .. } => format!(
                "where all of them are meant: pgrotate apply {} --allow-deletes {}; nothing was changed",
                File::of(file),
                things.len()
            ),
            Self::MustBeNamed { unnamed, file } => {
                let flags: Vec<_> = unnamed.iter().map(|(address, _)| format!("--allow-delete {address}")).collect();
                format!("where it is meant: pgrotate apply {} {}; nothing was changed", File::of(file), flags.join(" "))
            }
            Self::Prevented { .. } => {
                "where it is meant, take `prevent_destroy` out of [limits]; nothing was changed".to_owned()
            }
            Self::Linted { .. } => {
                "mend each as its hint says, or allow it in [lint] with the reason why it is meant (docs/lint.md)"
                    .to_owned()
            }
            Self::NotConfirmed { hint, .. } | Self::NotRecoverable { hint, .. } => hint.clone(),
            Self::InTheWay { .. } => {
                "--out FILE names another, and --force writes over this one; nothing was written".to_owned()
            }
            Self::Unanswered { .. } => {
                "give these flags, or run it in a terminal without --yes, which asks; pgrotate init --help tells all of them"
                    .to_owned()
            }
            Self::NoStart { hint, .. } => format!("{hint}; nothing was written"),
            Self::NoSuchLogin { .. } => "declare it as a [[user]] in the config, and apply".to_owned(),
            Self::NoSuchAddress { address, known } => {
                let near = nearest(address, known).map(|near| format!("did you mean {near}? "));
                format!("{}name one of these, as plan names it", near.unwrap_or_default())
            }
            Self::NeverAdopted { instead, .. } => format!("{instead}; nothing was changed"),
            Self::RotationFailed { login, function, .. } => format!(
                "Secrets Manager repeats it by itself; for the cause: pgrotate logs {FILE} {login}, or \
                 aws logs tail /aws/lambda/{function} --since 15m. If it stays so: pgrotate recover {FILE} {login}"
            ),
            Self::JournalUnwritable { path, .. } => {
                let path = path.display();
                format!("nothing was changed; ls -ld {path}, or name another file by --journal")
            }
            Self::JournalUnreadable { .. } | Self::NoRun { .. } => {
                format!(
                    "name what `pgrotate apply {FILE} --journal` of this deployment has written, or leave --journal out"
                )
            }
            Self::PageUnwritable { .. } | Self::ConfigUnwritable { .. } => {
                "name a file that you may write, on a disk that has room".to_owned()
            }
            Self::About { error, file } => file.fill(&error.hint()),
            Self::Io { .. } => "give it a terminal, or a file on a disk that has room".to_owned(),
            // Each of these is told with its own.
            Self::Config(_) | Self::Plan(PlanError::Refused(_)) => String::new(),
            Self::Plan(PlanError::Cycle(_) | PlanError::OutOfOrder { .. } | PlanError::Stranded(_)) => {
                REPORT_IT.to_owned()
            }
        }
    }
}

impl CliError {
    /// With the file's name in all its commands. Whose error it is, is known best where it is known first.
    pub fn about(self, file: &File) -> Self {
        match self {
            Self::About { .. } => self,
            error => Self::About { error: Box::new(error), file: file.clone() },
        }
    }

    pub fn exit_code(&self) -> u8 {
        self.code().exit()
    }

    /// Writes the error, its causes and hints to standard error.
    pub fn print(&self) {
        self.print_below("");
    }

    /// The same below a heading that says whose it is.
    pub fn print_below(&self, heading: &str) {
        let after = if heading.is_empty() { "" } else { "\n" };
        print_error(&format!("{heading}{}{after}", self.told()));
    }

    /// As programs read it: each error of a config and each refusal for itself. Never empty.
    pub fn documents(&self) -> Vec<ErrorDocument> {
        let of = |code, message: String, hint| ErrorDocument {
            code,
            message,
            because: Vec::new(),
            hint,
            file: None,
            line: None,
            column: None,
            address: None,
        };
        match self {
            Self::About { error, file } => {
                let mut all = error.documents();
                for ErrorDocument { message, because, hint, .. } in &mut all {
                    because.iter_mut().chain(hint).chain([message]).for_each(|text| file.fill_in(text));
                }
                all
            }
            Self::Config(errors) => {
                let each = errors.iter().map(|error| {
                    let place = error.span.as_ref().map(|span| errors.file().position(span.start));
                    let base = error.span.as_ref().and_then(|span| errors.file().line(span.start).base);
                    ErrorDocument {
                        file: base.map(str::to_owned),
                        line: place.map(|(line, _)| line),
                        column: place.map(|(_, column)| column),
                        ..of(error.code, error.message.clone(), error.hint.clone())
                    }
                });
                each.collect()
            }
            Self::Plan(PlanError::Refused(refusals)) => {
                let each = refusals.iter().map(|(address, Refusal { code, cause, hint })| ErrorDocument {
                    address: Some(address.clone()),
                    ..of(*code, cause.clone(), Some(hint.clone()))
                });
                each.collect()
            }
            error => {
                let mut lines = chain(error).into_iter();
                let message = lines.next().unwrap_or_default();
                vec![ErrorDocument { because: lines.collect(), ..of(self.code(), message, Some(self.hint())) }]
            }
        }
    }

    fn told(&self) -> String {
        match self {
            Self::About { error, file } => file.fill(&error.told()),
            // Its own display has excerpts and hints.
            Self::Config(errors) => match columns() {
                // No terminal is wider, and a width is at most a u16.
                Some(columns) => format!("{errors:0$}", columns.min(usize::from(u16::MAX))),
                None => errors.to_string(),
            },
            Self::Plan(PlanError::Refused(refusals)) => refused(refusals),
            error => {
                let mut lines = chain(error).into_iter();
                let mut out = format!("{}: {}\n", self.code().heading(), lines.next().unwrap_or_default());
                for cause in lines {
                    out.push_str(&format!("  because: {cause}\n"));
                }
                out.push_str(&format!("hint: {}\n", self.hint()));
                out
            }
        }
    }
}

/// Where a deployment is, as far as it is known.
fn at(account: Option<&str>, region: Option<&str>) -> String {
    let account = account.map(|account| format!(" of account {account}")).unwrap_or_default();
    let region = region.map(|region| format!(" in {region}")).unwrap_or_default();
    format!("{account}{region}")
}

fn reasons(named: &[(Address, String)]) -> String {
    let lines: Vec<_> = named.iter().map(|(address, why)| format!("  {address} {why}")).collect();
    lines.join("\n")
}

fn listed<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> String {
    format!("  {}", addresses.into_iter().map(Address::to_string).collect::<Vec<_>>().join(", "))
}

/// The address that a misspelled one was probably meant to be: at most a third of it wrong.
fn nearest<'a>(address: &str, known: &'a [Address]) -> Option<&'a Address> {
    let wrong = |known: &Address| strsim::osa_distance(address, &known.to_string());
    let near = known.iter().min_by_key(|known| wrong(known))?;
    (wrong(near) <= near.to_string().len() / 3).then_some(near)
}

fn listed_once(lints: &[LintCode]) -> String {
    let codes: BTreeSet<_> = lints.iter().map(|lint| lint.text()).collect();
    codes.into_iter().collect::<Vec<_>>().join(", ")
}

/// Told for every refusal: what stands in the way, and what can be done.
fn refused(refusals: &[(Address, Refusal)]) -> String {
    let mut out = String::new();
    for (address, refusal) in refusals {
        let Refusal { code, cause, hint } = refusal;
        out.push_str(&format!("{}: {address}: {cause}\nhint: {hint}\n", code.heading()));
    }
    out.push_str("nothing was changed\n");
    out
}

/// What is wrong with a command line, in the parser's words.
pub(super) fn usage(error: &clap::Error) -> String {
    let text = error.render().to_string();
    match text.strip_prefix("error: ") {
        Some(rest) => format!("{}: {rest}", Code::Usage.heading()),
        // Help that was not asked for: a command line without a command.
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::resource::NotProduced;

    /// Those that no run without a mistake or a real rotation brings about.
    #[test]
    fn told_with_code_cause_and_next_command() {
        let at = || Address { kind: Kind("login"), name: "app".to_owned() };
        let errors = [
            CliError::RotationFailed {
                login: "app".to_owned(),
                why: "setSecret failed: the database refused".to_owned(),
                function: "pgpasslambda".to_owned(),
            },
            CliError::NotRecoverable {
                login: "app".to_owned(),
                cause: "what was done has not put it right".to_owned(),
                hint: format!("pgrotate logs {FILE} app tells what the functions say"),
            },
            CliError::TooManyDeletes {
                things: vec![BTreeSet::from([at()]), BTreeSet::from([at(), Address { kind: Kind("secret"), ..at() }])],
                allowed: 1,
                file: PathBuf::from("shop.toml"),
            },
            CliError::MustBeNamed {
                unnamed: vec![(
                    Address { kind: Kind("db_instance"), ..at() },
                    "holds the data, and is deleted".to_owned(),
                )],
                file: PathBuf::from("shop.toml"),
            },
            CliError::Prevented { lost: vec![at()] },
            CliError::Prevented { lost: Vec::new() },
            CliError::NoSuchAddress { address: "login.ap".to_owned(), known: vec![at()] },
            CliError::NeverAdopted { address: at(), instead: "take over the secret" },
            CliError::Plan(PlanError::Stranded(at())),
            CliError::Plan(PlanError::OutOfOrder { from: at(), to: at() }),
            CliError::Live(NotProduced(at()).into()),
            CliError::JournalUnwritable {
                path: "/var/log/pgrotate.jsonl".into(),
                source: std::io::ErrorKind::PermissionDenied.into(),
            },
            CliError::Io { doing: "write to standard output", source: std::io::ErrorKind::StorageFull.into() },
        ];
        let file = File::of(&PathBuf::from("my shop.toml"));
        let told: String = errors.into_iter().map(|error| error.about(&file).told()).collect();
        expect_test::expect![[r#"
            error[rotation-failed]: the rotation of `app` has not finished: setSecret failed: the database refused
            hint: Secrets Manager repeats it by itself; for the cause: pgrotate logs 'my shop.toml' app, or aws logs tail /aws/lambda/pgpasslambda --since 15m. If it stays so: pgrotate recover 'my shop.toml' app
            refused[not-recoverable]: `app` cannot be recovered: what was done has not put it right
            hint: pgrotate logs 'my shop.toml' app tells what the functions say
            refused[too-many-deletes]: the plan removes 2 things, and may remove 1 unsaid:
              login.app
              login.app, secret.app
            hint: where all of them are meant: pgrotate apply shop.toml --allow-deletes 2; nothing was changed
            refused[must-be-named]: what the plan takes away has to be named:
              db_instance.app holds the data, and is deleted
            hint: where it is meant: pgrotate apply shop.toml --allow-delete db_instance.app; nothing was changed
            refused[protected]: the config has `prevent_destroy`, and the plan would take away login.app
            hint: where it is meant, take `prevent_destroy` out of [limits]; nothing was changed
            refused[protected]: the config has `prevent_destroy`, and the plan would take away all of it
            hint: where it is meant, take `prevent_destroy` out of [limits]; nothing was changed
            error[no-such-address]: the deployment has no `login.ap`; it has:
              login.app
            hint: did you mean login.app? name one of these, as plan names it
            refused[never-adopted]: login.app cannot be taken over by its address
            hint: take over the secret; nothing was changed
            error[internal]: login.app is not done, and there is nothing to do about it (please report this)
            hint: a mistake of pgrotate's own: please report it, with the command and what it printed
            error[internal]: login.app refers to login.app, which the model does not list before it (please report this)
            hint: a mistake of pgrotate's own: please report it, with the command and what it printed
            error[internal]: the output of login.app was needed before it was there (a missing edge in the plan: please report it)
            hint: a mistake of pgrotate's own: please report it, with the command and what it printed
            error[journal-unwritable]: the journal /var/log/pgrotate.jsonl cannot be written
              because: permission denied
            hint: nothing was changed; ls -ld /var/log/pgrotate.jsonl, or name another file by --journal
            error[io]: cannot write to standard output
              because: no storage space
            hint: give it a terminal, or a file on a disk that has room
        "#]].assert_eq(&told);
    }
}
