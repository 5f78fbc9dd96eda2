//! `db_cluster`: a cluster of PostgreSQL that others have made (Aurora PostgreSQL, or a Multi-AZ DB cluster of RDS). It is
//! referred to and never changed. Settled means available, its writer too, with the master's secret active.

mod fit;
mod live;

pub use super::database::{MasterSecretArn, Outputs, Server, Servers};
pub use super::db_instance::Certificate;

use super::db_instance::health;
use super::security_group::{GroupId, SecurityGroup};
use crate::code::Code;
use crate::drift::DriftCode;
use crate::model::{Address, Facts, Kind, Mark, Ref, Seen};
use crate::resource::{
    AWAIT, Diff, Known, NotProduced, Refusal, Resource, Settled, Step, Verb, made_up_id, unobservable,
};
use fit::{refuse_the_unfit, standing};
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
pub struct DbCluster;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    pub identifier: String,
    /// The group by which the functions get in.
    pub group: Ref<SecurityGroup>,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub arn: String,
    /// `cluster-…`: unlike the identifier never used twice.
    pub resource_id: String,
    /// `aurora-postgresql`, or `postgres` of a Multi-AZ DB cluster.
    pub engine: String,
    /// `provisioned`, also of Serverless v2; `serverless` is v1.
    pub mode: Option<String>,
    /// As RDS writes it: Aurora has versions that PostgreSQL does not have.
    pub version: String,
    pub status: String,
    /// What it replicates, where it is a cluster of another's data.
    pub source: Option<String>,
    pub port: Option<u16>,
    /// Where whichever member is the writer is reached: it follows a failover.
    pub writer: Option<Server>,
    /// Where readers are reached, and the endpoints that its owner has made: in this order, the latter by name.
    pub others: Vec<Server>,
    /// By identifier, so that a failover leaves their order as it is. Those that Aurora Auto Scaling adds and takes away
    /// are not among them.
    pub members: Vec<Member>,
    pub groups: BTreeSet<GroupId>,
    pub master: String,
    pub master_secret: Option<(MasterSecretArn, String)>,
}

/// A DB instance of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub identifier: String,
    pub is_writer: bool,
    pub status: String,
    /// None while it has no address yet.
    pub server: Option<Server>,
    pub certificate: Option<Certificate>,
}

/// Nothing of a cluster is changed; what others have begun is waited for.
#[derive(Debug, Clone)]
pub enum Change {
    Await,
}

/// Engines of clusters that speak PostgreSQL's protocol: of Aurora, and of a Multi-AZ DB cluster, which RDS describes in
/// the same words (docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBCluster.html).
pub const ENGINES: [&str; 2] = ["aurora-postgresql", "postgres"];

impl DbCluster {
    pub fn at(identifier: &str) -> Ref<Self> {
        Ref::to(Address { kind: Self::KIND, name: identifier.to_owned() })
    }
}

impl Resource for DbCluster {
    const KIND: Kind = Kind("db_cluster");
    type Desired = Desired;
    type Observed = Observed;
    type Outputs = Outputs;
    type Change = Change;

    fn address(want: &Desired) -> Address {
        want.mark.address.clone()
    }

    fn needs(want: &Desired) -> Vec<Address> {
        vec![want.group.address().clone()]
    }

    fn diff(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let what = &want.identifier;
        let live = match live {
            Seen::Absent => {
                return Err(Refusal::new(
                    Code::NoSuchResource,
                    format!("there is no DB cluster `{what}`"),
                    "correct `cluster` in [database]; a single DB instance is named by `identifier`, with `manage = false`",
                ));
            }
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => live,
        };
        for member in &live.members {
            // A Multi-AZ cluster has one for all of its members, which nobody changes one by one
            // (docs.aws.amazon.com/AmazonRDS/latest/UserGuide/modify-multi-az-db-cluster.html).
            let change = match live.engine.as_str() {
                "postgres" => format!("modify-db-cluster --db-cluster-identifier {}", want.identifier),
                _ => health::change_of(&member.identifier),
            };
            health::tell_certificate(cx, member.certificate.as_ref(), &change);
        }
        refuse_the_unfit(cx, want, live)?;
        match standing(live) {
            Settled::Yes(_) => Ok(Vec::new()),
            Settled::NotYet { saying } => {
                let drift = DriftCode::UnderWay.found(&saying);
                Ok(vec![cx.step(AWAIT, Verb::Ensure, drift, Change::Await).because(saying)])
            }
            Settled::Never { because } => {
                Err(Refusal::new(Code::UnfitCluster, because, "mend the cluster, and plan again"))
            }
        }
    }

    /// It is not ours: nothing of it goes.
    fn remove(_cx: &mut Diff<'_>, _want: &Desired, _live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        Ok(Vec::new())
    }

    fn settled(_want: &Desired, live: &Observed) -> Settled<Outputs> {
        standing(live)
    }

    fn outputs(_want: &Desired, live: &Observed) -> Option<Outputs> {
        let (master_secret, _) = live.master_secret.clone()?;
        Some(Outputs { server: live.writer.clone()?, servers: servers(live)?, master_secret })
    }

    fn facts(live: &Observed) -> Facts {
        let Observed {
            arn,
            resource_id,
            engine,
            mode,
            // Upgrades are its owner's affair, and no reason not to rotate its logins.
            version: _,
            // They come and go with maintenance.
            status: _,
            port: _,
            writer: _,
            master_secret: _,
            // Somebody else's, and no reason not to change what is ours.
            others: _,
            members: _,
            source,
            groups,
            master,
        } = live;
        Facts::default()
            .with("arn", arn)
            .with("resource id", resource_id)
            .with("engine", engine)
            .maybe("mode", mode.as_ref())
            .maybe("source", source.as_ref())
            .list("security groups", groups)
            .with("master", master)
    }

    fn realised(want: &Desired, known: &Known) -> Result<Observed, NotProduced> {
        let arn = |service: &str, rest: &str| format!("arn:aws:{service}:::{rest}");
        let at = |name: &str| Server { host: format!("{name}.example.rds.amazonaws.com"), port: want.port };
        let member = |number: u8| {
            let identifier = format!("{}-{number}", want.identifier);
            let server = Some(at(&identifier));
            Member { identifier, is_writer: number == 1, status: "available".to_owned(), server, certificate: None }
        };
        Ok(Observed {
            arn: arn("rds", &format!("cluster:{}", want.identifier)),
            resource_id: made_up_id("cluster", &want.mark.address).to_uppercase(),
            engine: ENGINES[0].to_owned(),
            mode: Some("provisioned".to_owned()),
            version: "16.9".to_owned(),
            status: "available".to_owned(),
            source: None,
            port: Some(want.port),
            writer: Some(at(&format!("{}.cluster", want.identifier))),
            others: vec![at(&format!("{}.cluster-ro", want.identifier))],
            members: vec![member(1), member(2)],
            groups: BTreeSet::from([known.output::<GroupId>(&want.group)?]),
            master: "postgres".to_owned(),
            master_secret: Some((MasterSecretArn(arn("secretsmanager", "secret:rds!cluster-master")), "active".to_owned())),
        })
    }
}

/// All that leads to the cluster; None while it has no address.
fn servers(live: &Observed) -> Option<Servers> {
    let members = live.members.iter().filter_map(|member| member.server.as_ref());
    Some(Servers::of(live.writer.as_ref()?, live.others.iter().chain(members)))
}
