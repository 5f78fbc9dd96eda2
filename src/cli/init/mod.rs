//! `pgrotate init`: a first config, from what an account has and what is answered. It writes that one file and changes
//! nothing else.

mod ask;
mod survey;

use super::output::print;
use super::session::Session;
use super::stop::Stops;
use super::{CliError, output};
use crate::aws::{self, Aws};
use crate::code::{Code, exit};
use crate::config::{self, Config, Errors, SecretsManagerPath, Source};
use crate::function_zip;
use crate::init::{self, Answers, Obstacle, Place, Question, SCHEMA};
use crate::plan::{Goal, PlanError};
use crate::resource::Verb;
use crate::saved::{write_new, write_whole};
use ask::Asker;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Where the config goes unless another file is named; what is printed speaks of itself as that one.
const BY_DEFAULT: &str = "pgrotate.toml";

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Where to write the config; - prints it
    #[arg(long, value_name = "FILE", default_value = BY_DEFAULT)]
    out: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
    /// Ask nothing: what no flag says gets its default
    #[arg(long)]
    yes: bool,
    /// The region; by default the one that the AWS CLI would use
    #[arg(long)]
    region: Option<String>,
    /// Make a new DB instance of this identifier
    #[arg(long, value_name = "ID", conflicts_with_all = ["from_instance", "from_cluster"])]
    identifier: Option<String>,
    /// Refer to this DB instance, which is there already and stays as it is
    #[arg(long, value_name = "ID", conflicts_with = "from_cluster")]
    from_instance: Option<String>,
    /// Refer to this DB cluster, which is there already and stays as it is
    #[arg(long, value_name = "ID")]
    from_cluster: Option<String>,
    /// A login whose password is to rotate; may be given several times
    #[arg(long, value_name = "LOGIN", value_delimiter = ',')]
    user: Vec<String>,
    /// How often, such as "10 days" (the default) or "12 hours"
    #[arg(long, value_name = "PERIOD")]
    every: Option<String>,
    /// What names the whole; by default the database's identifier
    #[arg(long, value_name = "NAME")]
    deployment: Option<String>,
    /// The VPC of a new instance
    #[arg(long, value_name = "ID", conflicts_with_all = ["from_instance", "from_cluster"])]
    vpc: Option<String>,
    /// A subnet for the functions, and for a new instance; by default two of two zones. May be given several times
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    subnet: Vec<String>,
    /// How the functions reach Secrets Manager; by default what the VPC has, or else an endpoint that is made
    #[arg(long, value_enum, value_name = "HOW")]
    secrets_manager: Option<Reach>,
    /// Which of the existing database's security groups lets the functions in
    #[arg(long, value_name = "NAME", conflicts_with = "identifier")]
    security_group: Option<String>,
    /// Who else may reach the database: CIDR=DESCRIPTION or GROUP-ID=DESCRIPTION; may be given several times
    #[arg(long, value_name = "CLIENT")]
    allow: Vec<String>,
    /// PostgreSQL's version in a new instance; by default the latest major
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["from_instance", "from_cluster"])]
    engine_version: Option<String>,
    /// The class of a new instance; by default db.t4g.micro
    #[arg(long, conflicts_with_all = ["from_instance", "from_cluster"])]
    class: Option<String>,
    /// The storage of a new instance, in GiB; by default 20
    #[arg(long, value_name = "GIB", conflicts_with_all = ["from_instance", "from_cluster"])]
    storage: Option<u32>,
    /// A zip of the functions to use instead of the one in this binary
    #[arg(long, env = "PGROTATE_FUNCTION_ZIP", value_name = "FILE")]
    function_zip: Option<PathBuf>,
}

/// The config's words for [`SecretsManagerPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reach {
    /// An interface endpoint is made
    Endpoint,
    /// The VPC has an endpoint with private DNS
    ExistingEndpoint,
    /// The subnets lead out through a NAT gateway
    Nat,
}

impl From<Reach> for SecretsManagerPath {
    fn from(path: Reach) -> Self {
        match path {
            Reach::Endpoint => Self::Endpoint,
            Reach::ExistingEndpoint => Self::ExistingEndpoint,
            Reach::Nat => Self::Nat,
        }
    }
}

pub(super) async fn run(args: InitArgs) -> Result<u8, CliError> {
    let target = Target::of(&args)?;
    let asker = Asker::new(args.yes);
    // Nothing is written before the last answer.
    let mut stops = Stops::listen()?;
    tokio::select! {
        // Before the next question is put, which hears no signal.
        biased;
        () = stops.next() => Err(ask::stopped()),
        done = work(&args, &target, asker) => done,
    }
}

async fn work(args: &InitArgs, target: &Target, asker: Asker) -> Result<u8, CliError> {
    let region = region(args, asker).await?;
    if !asker.asks() {
        nothing_missing(args, region.as_deref())?;
    }
    let region = match region {
        Some(region) => region,
        None => asker.text("Region", None, |answer| init::check(Question::Region, answer)).await?,
    };
    let aws = Aws::connect(&region, None).await?;
    let answers = survey::Survey { aws: &aws, args, asker }.answers().await?;

    let (place, name) = (target.place(), target.name());
    let text = init::render(&answers, &place, &[]);
    // What cannot be read is no config.
    let config = config::parse(&format!("{name} (not written)"), &text)?;
    let (text, checked) = match checked(&aws, args, config, Source::new(name.clone(), text.clone())).await {
        Err(error @ CliError::NoStart { .. }) => return Err(error),
        Err(error) => {
            let told = init::render(&answers, &place, &obstacles(&error));
            let error = moved(error, &name, &text, &told);
            (told, Err(error))
        }
        Ok(()) => (text, Ok(())),
    };
    target.write(&text)?;
    target.tell(&answers, checked.is_err())?;
    checked.map(|()| exit::CLEAN)
}

/// As the flag says, as is answered with the environment's for a default, or as the environment says.
async fn region(args: &InitArgs, asker: Asker) -> Result<Option<String>, CliError> {
    if args.region.is_some() {
        return Ok(args.region.clone());
    }
    match aws::default_region().await {
        Some(region) if asker.asks() => {
            let check = |answer: &str| init::check(Question::Region, answer);
            asker.text("Region", Some(&region), check).await.map(Some)
        }
        region => Ok(region),
    }
}

/// All that nobody is asked for and that has no default.
fn nothing_missing(args: &InitArgs, region: Option<&str>) -> Result<(), CliError> {
    let mut missing = Vec::new();
    if region.is_none() {
        missing.push(("--region REGION", "where it is to stand"));
    }
    let existing = args.from_instance.is_some() || args.from_cluster.is_some();
    if !existing && args.identifier.is_none() {
        missing.push((
            "--from-instance ID, --from-cluster ID or --identifier ID",
            "a database that is there already, or a new one",
        ));
    }
    if !existing && args.vpc.is_none() {
        missing.push(("--vpc ID", "where a new one is to stand; one that is there already has its own"));
    }
    if args.user.is_empty() {
        missing.push(("--user LOGIN", "whose password is to rotate"));
    }
    if missing.is_empty() { Ok(()) } else { Err(CliError::Unanswered { missing }) }
}

/// Asks of the text what `plan` would ask of the file.
async fn checked(aws: &Aws, args: &InitArgs, config: Config, source: Source) -> Result<(), CliError> {
    let zip = function_zip::load(args.function_zip.as_deref(), None)?;
    let session = Session::with(aws.clone(), config, source, zip).await?;
    let plan = session.plan(Goal::Converge).await?;
    let taken: Vec<_> = plan.actions.iter().filter(|action| action.verb == Verb::Delete).collect();
    match taken.first() {
        None => Ok(()),
        // A first config takes nothing away: what is there is of a deployment of that name.
        Some(first) => Err(CliError::NoStart {
            code: Code::NotOurs,
            cause: format!(
                "there is a deployment `{}` already, and this config would take away {} of its things, {} among them",
                session.config.deployment,
                taken.len(),
                first.address
            ),
            hint: "name another by --deployment, or change the config of that one".to_owned(),
        }),
    }
}

/// What of an error is for the file to tell: not that AWS could not be asked.
fn obstacles(error: &CliError) -> Vec<Obstacle> {
    match error {
        CliError::Config(errors) => errors
            .iter()
            .map(|error| Obstacle { cause: error.message.clone(), hint: error.hint.clone().unwrap_or_default() })
            .collect(),
        CliError::Plan(PlanError::Refused(refusals)) => refusals
            .iter()
            .map(|(address, refusal)| Obstacle {
                cause: format!("{address}: {}", refusal.cause),
                hint: refusal.hint.clone(),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The same error of a text that has gained lines at its top.
fn moved(error: CliError, name: &str, was: &str, is: &str) -> CliError {
    let CliError::Config(errors) = error else { return error };
    let by = is.len().saturating_sub(was.len());
    let moved = errors.iter().cloned().map(|mut error| {
        error.span = error.span.map(|span| span.start + by..span.end + by);
        error
    });
    CliError::Config(Errors::new(Source::new(name, is), moved.collect()))
}

/// Where the config goes.
enum Target {
    Printed,
    File { path: PathBuf, force: bool },
}

impl Target {
    /// Told before anything is asked: a file that is in the way, and a folder that is not there.
    fn of(args: &InitArgs) -> Result<Self, CliError> {
        if args.out.as_os_str() == "-" {
            return Ok(Self::Printed);
        }
        let path = args.out.clone();
        if path.symlink_metadata().is_ok() && !args.force {
            return Err(CliError::InTheWay { path });
        }
        let folder = folder(&path);
        match std::fs::metadata(folder) {
            Ok(_) if !path.is_dir() => Ok(Self::File { path, force: args.force }),
            Ok(_) => Err(CliError::ConfigUnwritable { path, source: std::io::ErrorKind::IsADirectory.into() }),
            Err(source) => Err(CliError::ConfigUnwritable { path, source }),
        }
    }

    /// As the file itself speaks of it: whoever shares it keeps it elsewhere.
    fn place(&self) -> Place {
        match self {
            Self::Printed => Place { name: BY_DEFAULT.to_owned(), has_schema: false },
            Self::File { path, .. } => Place {
                name: output::for_shell(Path::new(path.file_name().unwrap_or(path.as_os_str()))),
                has_schema: folder(path).join(SCHEMA).is_file(),
            },
        }
    }

    /// As errors speak of it.
    fn name(&self) -> String {
        match self {
            Self::Printed => BY_DEFAULT.to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }

    fn write(&self, text: &str) -> Result<(), CliError> {
        match self {
            Self::Printed => print(text),
            Self::File { path, force } => {
                let written = if *force { write_whole(path, text) } else { write_new(path, text) };
                written.map_err(|source| match source.kind() {
                    std::io::ErrorKind::AlreadyExists => CliError::InTheWay { path: path.clone() },
                    _ => CliError::ConfigUnwritable { path: path.clone(), source },
                })
            }
        }
    }

    /// What was written, and what comes next.
    fn tell(&self, answers: &Answers, is_refused: bool) -> Result<(), CliError> {
        let Self::File { path, .. } = self else { return Ok(()) };
        let Answers { deployment, database, users, .. } = answers;
        let logins: Vec<_> = users.iter().map(|user| user.login.as_str()).collect();
        let (kind, identifier, logins) = (database.kind(), database.identifier(), logins.join(", "));
        let next = if is_refused { "next, once what is told below is mended:" } else { "next:" };
        let file = output::for_shell(path);
        print(&format!(
            "{}: written, for the {kind} {identifier} (deployment {deployment}, logins: {logins})\n{next}\n  \
             pgrotate plan {file}     # shows what would be done, and changes nothing\n  \
             pgrotate apply {file}    # does it, once you have said yes\n",
            path.display()
        ))
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
