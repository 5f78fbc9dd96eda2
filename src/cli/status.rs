//! `pgrotate status`: how every login stands.

use super::many::{self, PathsArgs, Which};
use super::output::{print, print_human, print_json};
use super::session::Session;
use super::{CliError, Format};
use crate::code::exit;
use crate::model::{Address, Seen};
use crate::render::summary::Commands;
use crate::render::{LoginStatus, OneDocument, StatusDocument, Trouble, human, markdown};
use crate::resource::{Diff, Family, Resource, Standing};
use crate::resources::rotation::Rules;
use crate::resources::{self, AnyLive, DbCluster, DbInstance, Kinds, Login, Rotation, Want};
use clap::Args;
use function_contract::LoginAttempt;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    deployments: PathsArgs,
    /// How to print it
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

/// Exits with 2 where a login is not healthy.
pub(super) async fn run(args: StatusArgs) -> Result<u8, CliError> {
    let StatusArgs { deployments, format } = args;
    let pending = |status: &StatusDocument| status.logins.iter().any(|login| !login.healthy);
    match deployments.which()? {
        Which::One(deployment) => {
            let session = Session::open(&deployment).await?;
            let document = looked_at(&session).await?;
            match format {
                Format::Human => print_human(&human::status(&document))?,
                Format::Json => print_json(&document)?,
                Format::Markdown => print(&markdown::status(&document))?,
            }
            Ok(if pending(&document) { exit::PENDING } else { exit::CLEAN })
        }
        Which::Many(files, functions) => {
            let found = async |session: &Session, _: &Path| Ok((OneDocument::Status(looked_at(session).await?), None));
            let commands = |file: &Path, _: Option<&OneDocument>| {
                let file = file.display();
                Commands { again: format!("pgrotate status {file}"), apply: format!("pgrotate apply {file}") }
            };
            let all = many::each(files, &functions, found, commands).await?;
            many::tell("status", format, all, |document| match document {
                OneDocument::Status(status) => pending(status),
                OneDocument::Plan(_) | OneDocument::Drift(_) | OneDocument::Validation(_) => false,
            })
        }
    }
}

async fn looked_at(session: &Session) -> Result<StatusDocument, CliError> {
    let live = resources::observe(&session.aws, &of_logins(&session.wants)).await?;
    Ok(document(session, &live))
}

/// What tells how logins stand; whatever else there is does not.
fn of_logins(wants: &[Want]) -> Vec<Want> {
    let tells =
        |want: &&Want| matches!(want, Want::DbCluster(_) | Want::DbInstance(_) | Want::Login(_) | Want::Rotation(_));
    wants.iter().filter(tells).cloned().collect()
}

/// How every login stands, by what was seen.
pub(super) fn document(session: &Session, live: &BTreeMap<Address, Seen<AnyLive>>) -> StatusDocument {
    let wants = of_logins(&session.wants);
    let stands = |want: &Want| {
        let at = Kinds::address(want);
        let outputs = Kinds::outputs(want, live.get(&at)?.present()?)?;
        Some((at, Standing::Settled(outputs)))
    };
    let standings = wants.iter().filter_map(stands).collect();
    let database = session.wants.iter().find_map(|want| match want {
        Want::DbInstance(want) => Some(match live.get(&DbInstance::address(want)) {
            Some(Seen::Present(AnyLive::DbInstance(live))) => format!(
                "{}: PostgreSQL {}, {}{}",
                want.identifier,
                live.version,
                live.status,
                live.server.as_ref().map(|server| format!(", {server}")).unwrap_or_default()
            ),
            _ => format!("{}: not there", want.identifier),
        }),
        Want::DbCluster(want) => Some(match live.get(&DbCluster::address(want)) {
            Some(Seen::Present(AnyLive::DbCluster(live))) => {
                let writer = live.members.iter().find(|member| member.is_writer);
                format!(
                    "{}: {} {}, {}{}{}",
                    want.identifier,
                    live.engine,
                    live.version,
                    live.status,
                    live.writer.as_ref().map(|server| format!(", {server}")).unwrap_or_default(),
                    writer.map(|member| format!(" (the writer is {})", member.identifier)).unwrap_or_default(),
                )
            }
            _ => format!("{}: not there", want.identifier),
        }),
        _ => None,
    });
    let logins = session.wants.iter().filter_map(|want| match want {
        Want::Login(want) => Some(login(want, &session.wants, live, &standings)),
        _ => None,
    });
    StatusDocument::new(&session.config.deployment, &session.aws.place(), database, logins.collect())
}

/// What was seen of one address; what was not looked at is not there.
fn seen<T: Clone>(
    live: &BTreeMap<Address, Seen<AnyLive>>,
    at: &Address,
    of: impl Fn(&AnyLive) -> Option<T>,
) -> Seen<T> {
    match live.get(at) {
        Some(Seen::Present(found)) => of(found).map_or(Seen::Absent, Seen::Present),
        Some(Seen::Unobservable(why)) => Seen::Unobservable(why.clone()),
        Some(Seen::Absent) | None => Seen::Absent,
    }
}

/// What `drift` tells of one resource.
fn troubles<R: Resource>(
    want: &R::Desired,
    live: &Seen<R::Observed>,
    standings: &BTreeMap<Address, Standing>,
) -> Vec<Trouble> {
    let mut cx = Diff::new(R::address(want), standings);
    match R::diff(&mut cx, want, live.as_ref()) {
        Ok(steps) => Trouble::of(&steps, &cx.finish().0),
        Err(refusal) => vec![refusal.into()],
    }
}

fn login(
    want: &<Login as Resource>::Desired,
    wants: &[Want],
    live: &BTreeMap<Address, Seen<AnyLive>>,
    standings: &BTreeMap<Address, Standing>,
) -> LoginStatus {
    let mut status = LoginStatus::new(&want.login, want.strategy.as_str());
    let found = seen(live, &want.mark.address, |live| match live {
        AnyLive::Login(live) => Some(live.clone()),
        _ => None,
    });
    if let Seen::Present(live) = &found {
        status.current_user = live.current_user.clone();
        status.logs_in = Some(matches!(live.current, Some(LoginAttempt::Succeeded)));
    }
    status.trouble(troubles::<Login>(want, &found, standings));
    let rotation = wants.iter().find_map(|other| match other {
        Want::Rotation(rotation) if rotation.login.address() == &want.mark.address => Some(rotation),
        _ => None,
    });
    let Some(rotation) = rotation else { return status };
    status.schedule = Rules::of(&rotation.schedule).to_string();
    let found = seen(live, &rotation.mark.address, |live| match live {
        AnyLive::Rotation(live) => Some(live.clone()),
        _ => None,
    });
    if let Seen::Present(live) = &found {
        status.last_rotated = live.last_rotated.and_then(day);
        status.next_rotation = live.next_rotation.and_then(day);
    }
    status.trouble(troubles::<Rotation>(rotation, &found, standings));
    status
}

/// A moment as people and programs read it: RFC 3339, UTC.
fn day(seconds: i64) -> Option<String> {
    jiff::Timestamp::from_second(seconds).ok().map(|at| at.to_string())
}
