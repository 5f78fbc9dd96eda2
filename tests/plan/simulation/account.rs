//! What stands in the simulated account, how it looks while it is on its way, and what changes make of it.

use super::SimulationError;
use super::clock::Clock;
use super::latency::{Latencies, seconds};
use crate::scenario::State;
use pgrotate::execute::Applied;
use pgrotate::model::{Address, Ref, Seen, Tags};
use pgrotate::resource::{Family, Known};
use pgrotate::resources::tagged::Found;
use pgrotate::resources::{
    AnyChange, AnyLive, Kinds, Secret, Want, db_cluster, db_instance, login, rotation, secret, security_group,
    security_group_rule, stack, vpc_endpoint,
};
use std::collections::BTreeMap;
use std::time::Duration;

pub struct Account {
    /// How everything is once all has arrived.
    state: State,
    /// For whom it was made so.
    made_for: BTreeMap<Address, Want>,
    /// How it looks on its way: until when, and what is seen till then.
    stages: BTreeMap<Address, Vec<(Duration, Seen<AnyLive>)>>,
    latencies: Latencies,
    now: Duration,
}

impl Account {
    pub fn new(state: State, latencies: Latencies) -> Self {
        let (made_for, stages) = (BTreeMap::new(), BTreeMap::new());
        Self { state, made_for, stages, latencies, now: Duration::ZERO }
    }

    pub fn settled(&self) -> Self {
        let (state, made_for) = (self.state.clone(), self.made_for.clone());
        Self { made_for, ..Self::new(state, self.latencies) }
    }

    /// What has been made for `wants` so far.
    pub fn made_for(&mut self, wants: &[Want]) {
        self.made_for.extend(wants.iter().map(|want| (Kinds::address(want), want.clone())));
    }

    pub fn at(&mut self, clock: &Clock) -> &mut Self {
        self.now = clock.now();
        self
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn put(&mut self, address: &Address, seen: Seen<AnyLive>) {
        self.state.insert(address.clone(), seen);
        self.stages.remove(address);
    }

    /// What is seen on its way, made or changed by somebody before, arrives after a while. An instance then has an
    /// address and a secret, as in `whole`.
    pub fn goes_on(&mut self, whole: &State) {
        let on_its_way: Vec<_> = self
            .state
            .iter()
            .filter_map(|(address, seen)| {
                Some((address.clone(), seen.clone(), arrived(seen.present()?, whole.get(address))?))
            })
            .collect();
        for (address, seen, arrived) in on_its_way {
            self.put(&address, arrived);
            self.stages.insert(address, vec![(self.after(A_WHILE), seen)]);
        }
    }

    pub fn is_deleted(&self, secret: &Ref<Secret>) -> bool {
        matches!(self.state.get(secret.address()), Some(Seen::Present(AnyLive::Secret(live))) if live.deleted)
    }

    fn seen(&self, address: &Address) -> Seen<AnyLive> {
        let stages = self.stages.get(address).map(Vec::as_slice).unwrap_or_default();
        let stage = stages.iter().find(|(until, _)| self.now < *until).map(|(_, seen)| seen);
        stage.or_else(|| self.state.get(address)).cloned().unwrap_or(Seen::Absent)
    }

    /// What a look by tags finds.
    pub fn found(&self) -> Found {
        let there: Vec<_> = self
            .made_for
            .iter()
            .filter(|(address, _)| match self.seen(address) {
                Seen::Present(AnyLive::Secret(live)) => !live.deleted,
                // It has no rule of ours any more, though others' are in the group.
                Seen::Present(AnyLive::SecurityGroupRule(live)) => live.rule.is_some(),
                Seen::Present(_) => true,
                Seen::Absent | Seen::Unobservable(_) => false,
            })
            .map(|(_, want)| want.clone())
            .collect();
        crate::lives::found(&there, &self.state)
    }

    pub fn look(&self, want: &Want) -> Seen<AnyLive> {
        let address = Kinds::address(want);
        match want {
            // As the real ones see them: a role through its instance, its secret and the function; a
            // rotation through its secret.
            Want::Login(login) => {
                let functions = self.seen(login.stack.address());
                let secret = self.seen(login.secret.address());
                if matches!(self.seen(login.instance.address()), Seen::Absent) {
                    Seen::Absent
                } else if !matches!(secret, Seen::Present(AnyLive::Secret(secret)) if !secret.deleted) {
                    Seen::Unobservable("its secret does not exist yet".to_owned())
                } else if !matches!(functions, Seen::Present(AnyLive::Stack(live)) if live.status != CREATING_STACK) {
                    Seen::Unobservable("the inspection function does not exist yet".to_owned())
                } else {
                    self.seen(&address)
                }
            }
            Want::Rotation(rotation) => match self.seen(rotation.secret.address()) {
                Seen::Present(AnyLive::Secret(secret)) if !secret.deleted => self.seen(&address),
                _ => Seen::Absent,
            },
            Want::Artifact(artifact) => match (&artifact.bucket_at, self.made_for.get(&address)) {
                (Some(bucket), _) if matches!(self.seen(bucket.address()), Seen::Absent) => Seen::Absent,
                (_, Some(Want::Artifact(was))) if was.bucket != artifact.bucket => Seen::Absent,
                _ => self.seen(&address),
            },
            _ => self.seen(&address),
        }
    }

    pub fn change(
        &mut self,
        want: &Want,
        change: &AnyChange,
        known: &Known,
        shared: bool,
    ) -> Result<Applied, SimulationError> {
        let address = Kinds::address(want);
        let before = self.seen(&address);
        let exists = matches!(self.state.get(&address), Some(Seen::Present(_)));
        if creates(change) && exists {
            // As the live half does: what another apply of ours was quicker to make is as good.
            return if shared { Ok(Applied::Accepted) } else { Err(SimulationError::Duplicate(address)) };
        }
        if goes(change) {
            if let (Want::SecurityGroup(_), Some(user)) = (want, self.user_of_group(&address)) {
                return Ok(Applied::NotYet { saying: format!("{user} still uses it") });
            }
            if matches!(want, Want::SecurityGroup(_)) {
                // Its own rules go with it.
                for (rule, want) in &self.made_for {
                    if matches!(want, Want::SecurityGroupRule(want) if *want.group.at.address() == address) {
                        self.state.insert(rule.clone(), Seen::Absent);
                    }
                }
            }
            if !matches!(before, Seen::Absent) {
                let stages = self.leaving(before);
                self.put(&address, Seen::Absent);
                self.stages.insert(address, stages);
            }
            return Ok(Applied::Accepted);
        }
        if waits(change) {
            return Ok(Applied::Accepted);
        }
        let secret = match (want, change) {
            (Want::Login(login), AnyChange::Login(login::Change::Ensure { .. })) => Some(&login.secret),
            (Want::Rotation(rotation), _) => Some(&rotation.secret),
            _ => None,
        };
        // A secret pending deletion is neither read, written nor rotated: InvalidRequestException.
        if secret.is_some_and(|secret| self.is_deleted(secret)) {
            return Err(SimulationError::Gone(address));
        }
        // InvalidGroup.NotFound
        if let Want::SecurityGroupRule(rule) = want
            && !matches!(self.state.get(rule.group.at.address()), Some(Seen::Present(_)))
        {
            return Err(SimulationError::NoGroup(address));
        }
        let made = self.made(want, change, known)?;
        let Some(made) = made else { return Ok(Applied::Accepted) };
        let stages = self.arriving(change, before, &made);
        self.put(&address, Seen::Present(made));
        self.stages.insert(address.clone(), stages);
        self.made_for.insert(address, want.clone());
        Ok(Applied::Accepted)
    }

    fn made(&self, want: &Want, change: &AnyChange, known: &Known) -> Result<Option<AnyLive>, SimulationError> {
        let before = self.state.get(&Kinds::address(want)).and_then(Seen::present);
        Ok(Some(match (want, change, before) {
            (Want::Stack(want), AnyChange::Stack(stack::Change::Create(values) | stack::Change::Update(values)), _) => {
                AnyLive::Stack(self.stack(want, values, known)?)
            }
            (Want::Stack(_), AnyChange::Stack(stack::Change::SetHosts(instance)), Some(AnyLive::Stack(live))) => {
                let mut live = live.clone();
                live.parameters.insert("Hosts".to_owned(), known.get(&instance.servers)?.to_string());
                live.parameters.insert("MasterSecretArn".to_owned(), known.get(&instance.master_secret)?.0);
                let code = live.functions.values().next().map(|function| function.code.clone()).unwrap_or_default();
                live.status = "UPDATE_COMPLETE".to_owned();
                AnyLive::Stack(live.with_functions(&code))
            }
            (Want::Secret(_), AnyChange::Secret(secret::Change::Delete), Some(AnyLive::Secret(live))) => {
                AnyLive::Secret(secret::Observed { deleted: true, ..live.clone() })
            }
            // That, and nothing else of it.
            (
                Want::DbInstance(_),
                AnyChange::DbInstance(db_instance::Change::Unprotect),
                Some(AnyLive::DbInstance(live)),
            ) => AnyLive::DbInstance(db_instance::Observed { deletion_protection: false, ..live.clone() }),
            // Tags alone: what else is not as declared, other steps change.
            (Want::DbInstance(want), AnyChange::DbInstance(db_instance::Change::SetTags { .. }), Some(live)) => {
                tagged(live, &want.mark.tags())
            }
            (
                Want::SecurityGroup(want),
                AnyChange::SecurityGroup(security_group::Change::SetTags { .. }),
                Some(live),
            ) => tagged(live, &want.mark.tags()),
            (Want::VpcEndpoint(want), AnyChange::VpcEndpoint(vpc_endpoint::Change::SetTags { .. }), Some(live)) => {
                tagged(live, &want.mark.tags())
            }
            (Want::DbInstance(_), AnyChange::DbInstance(_), Some(AnyLive::DbInstance(before)))
                if before.status == "storage-optimization" =>
            {
                let AnyLive::DbInstance(made) = Kinds::realised(want, known)? else { unreachable!("of its kind") };
                AnyLive::DbInstance(db_instance::Observed {
                    status: before.status.clone(),
                    storage: before.storage,
                    storage_type: before.storage_type.clone(),
                    ..made
                })
            }
            // No role is no login.
            (Want::Login(_), AnyChange::Login(login::Change::Disable), None) => return Ok(None),
            (Want::Login(_), AnyChange::Login(login::Change::Disable), Some(AnyLive::Login(live))) => {
                let mut live = live.clone();
                (live.role.can_login, live.clone_can_login) = (false, false);
                AnyLive::Login(live)
            }
            (Want::Rotation(_), AnyChange::Rotation(rotation::Change::Reschedule), Some(AnyLive::Rotation(before))) => {
                match Kinds::realised(want, known)? {
                    AnyLive::Rotation(live) => {
                        AnyLive::Rotation(rotation::Observed { rotated: before.rotated, ..live })
                    }
                    other => unreachable!("{other:?}"),
                }
            }
            _ => Kinds::realised(want, known)?,
        }))
    }

    fn after(&self, time: f64) -> Duration {
        self.now + seconds(time)
    }

    fn arriving(&self, change: &AnyChange, before: Seen<AnyLive>, made: &AnyLive) -> Vec<(Duration, Seen<AnyLive>)> {
        let Latencies { unseen, .. } = self.latencies;
        let mut stages = Vec::new();
        if creates(change) {
            stages.push((self.after(unseen), before));
            match made.clone() {
                AnyLive::DbInstance(live) => {
                    let ready = self.latencies.instance_create;
                    let creating = db_instance::Observed {
                        status: "creating".to_owned(),
                        server: None,
                        master_secret: None,
                        port: None,
                        ..live.clone()
                    };
                    // RDS tells of the master's secret at once.
                    let master_secret = live.master_secret.clone().map(|(arn, _)| (arn, "creating".to_owned()));
                    let available = db_instance::Observed { master_secret, ..live };
                    stages.push((self.after(ready), Seen::Present(AnyLive::DbInstance(creating))));
                    let then = ready + self.latencies.master_secret;
                    stages.push((self.after(then), Seen::Present(AnyLive::DbInstance(available))));
                }
                AnyLive::Stack(live) => {
                    let live = stack::Observed { status: CREATING_STACK.to_owned(), ..live };
                    stages.push((self.after(self.latencies.stack_create), Seen::Present(AnyLive::Stack(live))));
                }
                AnyLive::VpcEndpoint(live) => {
                    let live = vpc_endpoint::Observed { state: "pending".to_owned(), ..live };
                    stages
                        .push((self.after(self.latencies.endpoint_create), Seen::Present(AnyLive::VpcEndpoint(live))));
                }
                _ => {}
            }
            return stages;
        }
        match (change, before, made.clone()) {
            (
                AnyChange::DbInstance(db_instance::Change::Modify { .. }),
                Seen::Present(AnyLive::DbInstance(before)),
                AnyLive::DbInstance(made),
            ) => {
                let idle = self.latencies.instance_idle;
                // ModifyDBInstance answers with the new groups already, as `adding`
                // (docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_VpcSecurityGroupMembership.html).
                let before = db_instance::Observed { groups: made.groups, ..before };
                stages.push((self.after(idle), Seen::Present(AnyLive::DbInstance(before.clone()))));
                let modifying = db_instance::Observed { status: "modifying".to_owned(), ..before };
                let then = idle + self.latencies.instance_modify;
                stages.push((self.after(then), Seen::Present(AnyLive::DbInstance(modifying))));
            }
            (AnyChange::Stack(_), _, AnyLive::Stack(live)) => {
                let live = stack::Observed { status: "UPDATE_IN_PROGRESS".to_owned(), ..live };
                stages.push((self.after(self.latencies.stack_update), Seen::Present(AnyLive::Stack(live))));
            }
            (AnyChange::Rotation(rotation::Change::Enable | rotation::Change::Rotate), _, AnyLive::Rotation(live)) => {
                let live = rotation::Observed { pending: true, rotated: false, ..live };
                stages.push((self.after(self.latencies.rotation), Seen::Present(AnyLive::Rotation(live))));
            }
            _ => {}
        }
        stages
    }

    fn leaving(&self, before: Seen<AnyLive>) -> Vec<(Duration, Seen<AnyLive>)> {
        let (time, live) = match before {
            Seen::Present(AnyLive::DbInstance(live)) => (
                self.latencies.instance_delete,
                AnyLive::DbInstance(db_instance::Observed { status: "deleting".to_owned(), ..live }),
            ),
            Seen::Present(AnyLive::Stack(live)) => (
                self.latencies.stack_delete,
                AnyLive::Stack(stack::Observed { status: "DELETE_IN_PROGRESS".to_owned(), ..live }),
            ),
            Seen::Present(AnyLive::VpcEndpoint(live)) => (
                self.latencies.endpoint_delete,
                AnyLive::VpcEndpoint(vpc_endpoint::Observed { state: "deleting".to_owned(), ..live }),
            ),
            _ => return Vec::new(),
        };
        vec![(self.after(time), Seen::Present(live))]
    }

    /// Who still uses a security group: AWS deletes none of which this holds.
    fn user_of_group(&self, group: &Address) -> Option<Address> {
        let Seen::Present(AnyLive::SecurityGroup(group_live)) = self.seen(group) else { return None };
        let id = group_live.id;
        self.made_for.iter().find_map(|(address, want)| {
            let uses = match self.seen(address) {
                Seen::Present(AnyLive::DbInstance(live)) => live.groups.iter().any(|live| live.0 == id),
                Seen::Present(AnyLive::VpcEndpoint(live)) => live.groups.iter().any(|live| live.0 == id),
                Seen::Present(AnyLive::Stack(live)) => live.parameters.values().any(|value| *value == id),
                Seen::Present(AnyLive::SecurityGroupRule(_)) => match want {
                    Want::SecurityGroupRule(rule) => {
                        matches!(&rule.peer, security_group_rule::Peer::Group(peer) if peer.at.address() == group)
                    }
                    _ => false,
                },
                _ => false,
            };
            uses.then(|| address.clone())
        })
    }

    /// A stack as far as its parameters are given: the instance's may come later.
    fn stack(
        &self,
        want: &stack::Desired,
        values: &stack::Values,
        known: &Known,
    ) -> Result<stack::Observed, SimulationError> {
        let code = known.get(&values.code)?;
        // What a request leaves out takes the template's default; only what it asks to keep stays.
        let template = want.template();
        let declared = template["Parameters"].as_object().expect("the template has parameters");
        let default = |parameter: &serde_json::Value| parameter["Default"].as_str().map(str::to_owned);
        let mut parameters: BTreeMap<_, _> =
            declared.iter().filter_map(|(name, parameter)| Some((name.clone(), default(parameter)?))).collect();
        let mut set = |name: &str, value: String| drop(parameters.insert(name.to_owned(), value));
        set("FunctionSecurityGroup", known.get(&values.group)?.0);
        set("AdminSecretArn", known.get(&values.admin_secret)?.0);
        set("CodeBucket", code.bucket);
        set("CodeKey", code.key);
        if let Some(Seen::Present(AnyLive::Stack(before))) = self.state.get(&want.mark.address) {
            values.kept.iter().for_each(|name| set(name, before.parameters[*name].clone()));
        }
        if let Some(instance) = &values.instance {
            set("Hosts", known.get(&instance.servers)?.to_string());
            set("MasterSecretArn", known.get(&instance.master_secret)?.0);
        }
        let made = stack::Observed {
            id: format!("arn:aws:cloudformation:::stack/{}", want.name),
            status: "CREATE_COMPLETE".to_owned(),
            reason: None,
            template,
            parameters,
            tags: want.mark.tags(),
            functions: Default::default(),
            behind: Default::default(),
        };
        Ok(made.with_functions(&want.code))
    }
}

/// Seconds.
const A_WHILE: f64 = 100.0;

/// How it is once it has arrived; None where it is not on its way.
fn arrived(live: &AnyLive, whole: Option<&Seen<AnyLive>>) -> Option<Seen<AnyLive>> {
    let arrived = match live.clone() {
        AnyLive::DbInstance(live) if live.pending || ["creating", "modifying"].contains(&live.status.as_str()) => {
            let Some(Seen::Present(AnyLive::DbInstance(whole))) = whole else { panic!("there is an instance") };
            AnyLive::DbInstance(db_instance::Observed {
                status: "available".to_owned(),
                server: whole.server.clone(),
                master_secret: whole.master_secret.clone(),
                pending: false,
                ..live
            })
        }
        AnyLive::DbCluster(live) if live.status != "available" => {
            AnyLive::DbCluster(db_cluster::Observed { status: "available".to_owned(), ..live })
        }
        AnyLive::Stack(live) => match live.status.strip_suffix("_IN_PROGRESS")? {
            "DELETE" => return Some(Seen::Absent),
            what => AnyLive::Stack(stack::Observed { status: format!("{what}_COMPLETE"), ..live.clone() }),
        },
        AnyLive::VpcEndpoint(live) => match live.state.as_str() {
            "deleting" => return Some(Seen::Absent),
            "pending" => AnyLive::VpcEndpoint(vpc_endpoint::Observed { state: "available".to_owned(), ..live }),
            _ => return None,
        },
        AnyLive::Rotation(live) if live.pending && !live.stuck => {
            AnyLive::Rotation(rotation::Observed { pending: false, rotated: true, ..live })
        }
        _ => return None,
    };
    Some(Seen::Present(arrived))
}

fn tagged(live: &AnyLive, tags: &Tags) -> AnyLive {
    let mut live = live.clone();
    match &mut live {
        AnyLive::DbInstance(live) => live.tags.extend(tags.clone()),
        AnyLive::SecurityGroup(live) => live.tags.extend(tags.clone()),
        AnyLive::VpcEndpoint(live) => live.tags.extend(tags.clone()),
        other => unreachable!("{other:?}"),
    }
    live
}

const CREATING_STACK: &str = "CREATE_IN_PROGRESS";

fn creates(change: &AnyChange) -> bool {
    use pgrotate::resources::{bucket, db_subnet_group, secret};
    matches!(
        change,
        AnyChange::Bucket(bucket::Change::Create)
            | AnyChange::DbInstance(db_instance::Change::Create { .. })
            | AnyChange::DbSubnetGroup(db_subnet_group::Change::Create)
            | AnyChange::Secret(secret::Change::Create)
            | AnyChange::SecurityGroup(security_group::Change::Create)
            | AnyChange::SecurityGroupRule(security_group_rule::Change::Authorize { .. })
            | AnyChange::Stack(stack::Change::Create(_))
            | AnyChange::VpcEndpoint(vpc_endpoint::Change::Create { .. })
    )
}

fn goes(change: &AnyChange) -> bool {
    use pgrotate::resources::{artifact, bucket, db_subnet_group, login, rotation};
    matches!(
        change,
        AnyChange::Artifact(artifact::Change::Delete)
            | AnyChange::Bucket(bucket::Change::Delete)
            | AnyChange::DbInstance(db_instance::Change::Delete { .. })
            | AnyChange::DbSubnetGroup(db_subnet_group::Change::Delete)
            | AnyChange::Login(login::Change::Drop)
            | AnyChange::Rotation(rotation::Change::Cancel)
            | AnyChange::SecurityGroup(security_group::Change::Delete { .. })
            | AnyChange::SecurityGroupRule(security_group_rule::Change::Revoke { .. })
            | AnyChange::Stack(stack::Change::Delete)
            | AnyChange::VpcEndpoint(vpc_endpoint::Change::Delete { .. })
    )
}

fn waits(change: &AnyChange) -> bool {
    use pgrotate::resources::rotation;
    matches!(
        change,
        AnyChange::DbCluster(db_cluster::Change::Await)
            | AnyChange::DbInstance(db_instance::Change::Await)
            | AnyChange::Rotation(rotation::Change::Await)
            | AnyChange::Stack(stack::Change::Await)
            | AnyChange::VpcEndpoint(vpc_endpoint::Change::Await)
    )
}
