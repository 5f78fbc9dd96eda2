//! `pgrotate status`: how every login stands.

use super::output::{print, print_json};
use super::session::Session;
use super::{CliError, DeploymentArgs, Format};
use crate::code::exit;
use crate::model::{Address, Seen};
use crate::render::{LoginStatus, StatusDocument, human, markdown};
use crate::resource::{Resource, Settled};
use crate::resources::rotation::Rules;
use crate::resources::{self, AnyLive, DbInstance, Login, Rotation, Want};
use clap::Args;
use function_contract::LoginAttempt;
use std::collections::BTreeMap;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// How to print it
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

/// Exits with 2 where a login is not healthy.
pub(super) async fn run(args: StatusArgs) -> Result<u8, CliError> {
    let session = Session::open(&args.deployment).await?;
    let live = resources::observe(&session.aws, &session.wants).await?;
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
        _ => None,
    });
    let logins = session.wants.iter().filter_map(|want| match want {
        Want::Login(want) => Some(login(want, &session.wants, &live)),
        _ => None,
    });
    let document = StatusDocument::new(&session.config.deployment, &session.aws.place(), database, logins.collect());
    match args.format {
        Format::Human => print(&human::status(&document))?,
        Format::Json => print_json(&document)?,
        Format::Markdown => print(&markdown::status(&document))?,
    }
    Ok(if document.logins.iter().all(|login| login.healthy) { exit::CLEAN } else { exit::PENDING })
}

fn login(want: &<Login as Resource>::Desired, wants: &[Want], live: &BTreeMap<Address, Seen<AnyLive>>) -> LoginStatus {
    let mut status = LoginStatus::new(&want.login, want.strategy.as_str());
    match live.get(&Login::address(want)) {
        Some(Seen::Present(AnyLive::Login(live))) => {
            status.current_user = live.current_user.clone();
            status.logs_in = Some(matches!(live.current, Some(LoginAttempt::Succeeded)));
            if let Some(why) = &live.previous_refused {
                status.trouble(format!(
                    "AWSPREVIOUS does not log in any more: {why}; pgrotate recover FILE {} puts it right",
                    want.login
                ));
            }
            match Login::settled(want, live) {
                Settled::Yes(()) => {}
                Settled::NotYet { saying: why } | Settled::Never { because: why } => status.trouble(why),
            }
        }
        Some(Seen::Unobservable(why)) => status.trouble(format!("it cannot be looked at: {why}")),
        _ => status.trouble("it does not exist yet"),
    }
    let rotation = wants.iter().find_map(|other| match other {
        Want::Rotation(rotation) if rotation.login.address() == &want.mark.address => Some(rotation),
        _ => None,
    });
    let Some(rotation) = rotation else { return status };
    status.schedule = Rules::of(&rotation.schedule).to_string();
    match live.get(&Rotation::address(rotation)) {
        Some(Seen::Present(AnyLive::Rotation(live))) => {
            status.last_rotated = live.last_rotated.and_then(day);
            status.next_rotation = live.next_rotation.and_then(day);
            if live.stuck {
                status.trouble(format!("its rotation is stuck: pgrotate recover FILE {}", want.login));
            }
            if live.overdue {
                status.trouble("the next rotation is overdue");
            }
            match Rotation::settled(rotation, live) {
                // One of the schedule's, in good course.
                _ if live.pending && live.rotated && !live.stuck && live.trouble.is_none() => {}
                Settled::Yes(()) => {}
                Settled::NotYet { saying: why } | Settled::Never { because: why } => status.trouble(why),
            }
        }
        Some(Seen::Unobservable(why)) => status.trouble(why.clone()),
        _ => status.trouble("it does not rotate"),
    }
    status
}

/// A moment as people and programs read it: RFC 3339, UTC.
fn day(seconds: i64) -> Option<String> {
    jiff::Timestamp::from_second(seconds).ok().map(|at| at.to_string())
}
