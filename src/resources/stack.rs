//! `stack`: CloudFormation's stack of the three functions, their roles, permission, log groups, alarms and rule.
//! It is made beside the instance; the instance's address follows in an update of its own, so that the
//! slow instance does not hold up the stack.

use super::artifact::{Artifact, CodePlace};
use super::functions::FunctionLook;
use super::database::{Database, MasterSecretArn, Servers};
use super::secret::{Secret, SecretArn};
use super::security_group::{GroupId, SecurityGroup};
use super::template::{self, Inputs};
use super::tagging::{Lack, declared};
use crate::code::Code;
use crate::drift::DriftCode;
use crate::model::{Address, Facts, Kind, Mark, Ref, Seen, Shown, Tags, Val};
use crate::resource::{
    AWAIT, Adoption, Diff, Known, NotProduced, Refusal, Resource, Risk, Settled, Step, Verb, claim, unobservable,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub mod behind;
mod live;
mod parameters;
use behind::{Behind, Part};
pub(super) use live::{ownership, tagged};

#[derive(Debug, Clone)]
pub struct Stack;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    pub name: String,
    pub inputs: Inputs,
    pub group: Ref<SecurityGroup>,
    pub admin_secret: Ref<Secret>,
    pub artifact: Ref<Artifact>,
    /// SHA-256 of the artifact in Base64, as Lambda tells it of a function's code.
    pub code: String,
    /// The instance, or the cluster.
    pub instance: Ref<Database>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub id: String,
    pub status: String,
    pub reason: Option<String>,
    pub template: Value,
    pub parameters: BTreeMap<String, String>,
    pub tags: Tags,
    /// By name, of those that exist.
    pub functions: BTreeMap<String, FunctionLook>,
    /// What else was changed behind it.
    pub behind: Behind,
}

#[derive(Debug, Clone)]
pub enum Change {
    Create(Values),
    Update(Values),
    /// Only the parameters that come from the instance.
    SetHosts(Instance),
    /// Other code was put behind the stack: an update with an unchanged template would mend nothing.
    PutCode(BTreeMap<String, CodePlace>),
    /// A function's environment or limits were changed behind the stack.
    Configure(BTreeMap<String, FunctionLook>),
    /// Something else was changed or deleted behind the stack.
    RevertDrift,
    Await,
    Delete,
}

/// The parameters, as far as this change sets them.
#[derive(Debug, Clone)]
pub struct Values {
    pub group: Val<GroupId>,
    pub admin_secret: Val<SecretArn>,
    pub code: Val<CodePlace>,
    /// None: not known yet, and set by a later step.
    pub instance: Option<Instance>,
    /// Parameters that stay as the stack has them until then: an update that leaves one out gives it the template's
    /// default (docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Parameter.html), which is no server.
    pub kept: BTreeSet<&'static str>,
}

#[derive(Debug, Clone)]
pub struct Instance {
    pub servers: Val<Servers>,
    pub master_secret: Val<MasterSecretArn>,
}

impl Observed {
    /// With the functions as template and parameters make them.
    pub fn with_functions(mut self, code: &str) -> Self {
        self.functions = template::functions(&self.template, &self.parameters, code);
        self
    }
}

impl Desired {
    /// The template that the stack is to have.
    pub fn template(&self) -> Value {
        template::build(&self.inputs)
    }
}

impl Stack {
    pub fn at(name: &str) -> Ref<Self> {
        Ref::to(Address { kind: Self::KIND, name: name.to_owned() })
    }
}

impl Resource for Stack {
    const KIND: Kind = Kind("stack");
    type Desired = Desired;
    type Observed = Observed;
    type Outputs = ();
    type Change = Change;

    fn address(want: &Desired) -> Address {
        want.mark.address.clone()
    }

    fn needs(want: &Desired) -> Vec<Address> {
        vec![
            want.group.address().clone(),
            want.admin_secret.address().clone(),
            want.artifact.address().clone(),
            want.instance.address().clone(),
        ]
    }

    fn diff(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let live = match live {
            Seen::Absent => return Ok(create(cx, want)),
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => live,
        };
        claim(&want.mark, &live.tags, Adoption::Never(NEVER_ADOPTED), &format!("the stack `{}`", want.name))?;
        match live.status.as_str() {
            // Such a stack holds nothing and can only be deleted; or somebody is at it, an apply that was stopped for
            // one. To delete it again changes nothing and waits for its end.
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "DELETE_FAILED" | "DELETE_IN_PROGRESS" => {
                let why = if live.status == "DELETE_IN_PROGRESS" { "is being" } else { "can only be" };
                let why = format!("it is {}: it {why} deleted", live.status);
                let drift = DriftCode::StackUnusable.found(&why);
                let mut steps = vec![cx.step("delete", Verb::Delete, drift, Change::Delete).because(why)];
                steps.extend(create(cx, want));
                return Ok(steps);
            }
            status => {
                if let Some(command) = way_out(status) {
                    let cause = format!("the stack `{}` is {status}: {}", want.name, reason(live));
                    let hint = format!("aws cloudformation {command} --stack-name {}; then plan again", want.name);
                    return Err(Refusal::new(Code::StackStuck, cause, hint));
                }
            }
        }
        let mut steps = Vec::new();
        if live.status.ends_with("_IN_PROGRESS") {
            let why = format!("it is {}", live.status);
            let drift = DriftCode::UnderWay.found(&why);
            steps.push(cx.step(AWAIT, Verb::Ensure, drift, Change::Await).because(why));
        }
        let missing: Vec<_> =
            want.inputs.names.all().into_iter().filter(|name| !live.functions.contains_key(*name)).collect();
        if steps.is_empty() && !missing.is_empty() {
            // The template still says that they exist, so no update would make them again.
            let why = format!("{} was deleted behind the stack", missing.join(", "));
            let drift = DriftCode::FunctionDeleted.found(&why);
            steps.push(cx.step("delete", Verb::Delete, drift, Change::Delete).risk(Risk::Interrupts).because(why));
            steps.extend(create(cx, want));
            return Ok(steps);
        }
        let updates = update(cx, want, live);
        if steps.is_empty() && updates.is_empty() {
            steps.extend(repair(cx, want, live));
        }
        steps.extend(updates);
        steps.extend(revert(cx, live));
        if let Some(why) = &live.behind.unseen {
            let what = format!("what was changed behind the stack cannot be told: {why}");
            cx.drift(DriftCode::Unobservable.found(what), READ_THE_STACK);
        }
        Ok(steps)
    }

    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let Some(_) = cx.to_remove(&want.mark, live, |live| &live.tags)? else { return Ok(Vec::new()) };
        Ok(vec![cx.step("delete", Verb::Delete, DriftCode::NoLongerDeclared, Change::Delete)])
    }

    fn settled(_want: &Desired, live: &Observed) -> Settled<()> {
        match live.status.as_str() {
            // Somebody may have had resources taken into it.
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Settled::Yes(()),
            // An update that failed has been undone: what was wanted is not there.
            "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED"
            | "CREATE_FAILED" | "DELETE_FAILED" => {
                Settled::Never { because: format!("the stack is {}: {}", live.status, reason(live)) }
            }
            status if way_out(status).is_some() => {
                Settled::Never { because: format!("the stack is {status}: {}", reason(live)) }
            }
            status => Settled::NotYet { saying: format!("the stack is {status}") },
        }
    }

    /// A stack whose last update was undone is as good as another once nothing is left to update.
    fn outputs(want: &Desired, live: &Observed) -> Option<()> {
        match Self::settled(want, live) {
            Settled::Yes(()) => Some(()),
            _ => ["UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"].contains(&live.status.as_str()).then_some(()),
        }
    }

    fn leaving(_want: &Desired, live: &Observed) -> Settled<()> {
        if live.status == "DELETE_FAILED" {
            Settled::Never { because: format!("the stack is DELETE_FAILED: {}", reason(live)) }
        } else {
            Settled::NotYet { saying: format!("the stack is {}", live.status) }
        }
    }

    fn facts(live: &Observed) -> Facts {
        // A finished state is as good as another: another apply may have updated it to the same.
        let Observed { id, status, reason: _, template, parameters, tags, functions, behind } = live;
        // Its objects come in any order.
        let mut sorted = template.clone();
        sorted.sort_all_objects();
        let facts = Facts::default()
            .with("id", id)
            .digest("template", sorted.to_string().as_bytes())
            .list("parameters", parameters.iter().map(|(name, value)| format!("{name}={value}")))
            .tags(tags);
        if status.starts_with("DELETE_") {
            // They go one by one.
            return facts;
        }
        // Somebody may have put into their environment what nobody should read.
        // Whether all of it could be told is no fact about the stack.
        let Behind { moved, unseen: _ } = behind;
        let facts = facts.list("changed behind it", moved.iter().map(|(id, moved)| format!("{id} {moved}")));
        facts.list("functions", functions.iter().map(|(name, look)| format!("{name} {}", look.digest())))
    }

    fn realised(want: &Desired, known: &Known) -> Result<Observed, NotProduced> {
        let code: CodePlace = known.output(&want.artifact)?;
        let parameters = [
            (template::FUNCTION_GROUP, known.output::<GroupId>(&want.group)?.0),
            (template::ADMIN_SECRET_ARN, known.output::<SecretArn>(&want.admin_secret)?.0),
            (template::CODE_BUCKET, code.bucket),
            (template::CODE_KEY, code.key),
            (template::HOSTS, known.output::<Servers>(&want.instance)?.to_string()),
            (template::MASTER_SECRET_ARN, known.output::<MasterSecretArn>(&want.instance)?.0),
        ];
        Ok(Observed {
            id: format!("arn:aws:cloudformation:::stack/{}", want.name),
            status: "CREATE_COMPLETE".to_owned(),
            reason: None,
            template: want.template(),
            parameters: parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            tags: want.mark.tags(),
            functions: BTreeMap::new(),
            behind: Behind::default(),
        }
        .with_functions(&want.code))
    }
}

/// The states that CloudFormation leaves only when somebody asks it to, and the AWS CLI's command that does: an
/// update that could not even be undone; one that failed and was told not to be undone; a change set for a new
/// stack that nobody has executed; an import that could not be undone, whose events tell what stands in its way
/// (docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html).
fn way_out(status: &str) -> Option<&'static str> {
    match status {
        "UPDATE_ROLLBACK_FAILED" => Some("continue-update-rollback"),
        "UPDATE_FAILED" => Some("rollback-stack"),
        "REVIEW_IN_PROGRESS" => Some("delete-stack"),
        "IMPORT_ROLLBACK_FAILED" => Some("describe-stack-events"),
        _ => None,
    }
}

fn reason(live: &Observed) -> &str {
    live.reason.as_deref().unwrap_or("see its events in the CloudFormation console")
}

fn values(cx: &mut Diff<'_>, want: &Desired) -> Values {
    Values {
        group: cx.output(&want.group),
        admin_secret: cx.output(&want.admin_secret),
        code: cx.output(&want.artifact),
        instance: None,
        kept: BTreeSet::new(),
    }
}

fn instance(cx: &mut Diff<'_>, want: &Desired) -> Instance {
    Instance { servers: cx.output(&want.instance), master_secret: cx.output(&want.instance) }
}

fn create(cx: &mut Diff<'_>, want: &Desired) -> Vec<Step<Change>> {
    let mut values = values(cx, want);
    // A settled instance is asked now; one on its way must not hold up the stack.
    if cx.is_settled(want.instance.address()) {
        values.instance = Some(instance(cx, want));
    }
    let later = values.instance.is_none();
    let (group, code) = (values.group.shown(), values.code.shown());
    let hosts = values.instance.as_ref().map_or(Shown::Unset, |instance| instance.servers.shown());
    let topic = want.inputs.topic.as_deref();
    let create = cx
        .step("create", Verb::Create, DriftCode::Missing, Change::Create(values))
            .set("functions", Shown::list([
                &want.inputs.names.rotation,
                &want.inputs.names.provisioning,
                &want.inputs.names.inspection,
            ]))
            .set("code", code)
            .set("subnets", Shown::list(&want.inputs.subnets))
            .set("group", group)
            .set("hosts", hosts)
            .set("alerts", topic.map_or(Shown::Unset, Shown::text))
            .set("declared_tags", declared(&want.mark));
    let mut steps = vec![if topic.is_some() { create.because(TOPIC_POLICY) } else { create }];
    if later {
        steps.push(set_hosts(cx, want, ""));
    }
    steps
}

const NEVER_ADOPTED: &str =
    "a stack is never taken over, for apply would replace all that is in it: set another `name` in [function]";

/// Said where a topic is named anew. Whether its policy lets them is the topic's owner's affair, and to look would
/// take more leave than all the rest.
const TOPIC_POLICY: &str = "the topic's own policy must let events.amazonaws.com and cloudwatch.amazonaws.com publish, \
                            and a CloudTrail trail must be logging: pgrotate sees to neither";

fn set_hosts(cx: &mut Diff<'_>, want: &Desired, before: &str) -> Step<Change> {
    let instance = instance(cx, want);
    let shown = instance.servers.shown();
    let before = if before.is_empty() { Shown::Unset } else { Shown::text(before) };
    cx.step("set-hosts", Verb::Update, DriftCode::HostsChanged, Change::SetHosts(instance))
        .attribute("hosts", before, shown)
        .because("the functions talk to no other server than these")
}

fn update(cx: &mut Diff<'_>, want: &Desired, live: &Observed) -> Vec<Step<Change>> {
    let parameter = |name: &str| live.parameters.get(name).cloned().unwrap_or_default();
    let mut values = values(cx, want);
    let template = want.template();
    let group_changes = differs(&values.group, &parameter(template::FUNCTION_GROUP));
    let secret_changes = differs(&values.admin_secret, &parameter(template::ADMIN_SECRET_ARN));
    let before = CodePlace { bucket: parameter(template::CODE_BUCKET), key: parameter(template::CODE_KEY) };
    let code_changes = differs(&values.code, &before.to_string());
    let template_changes = live.template != template;
    let lack = Lack::of(&want.mark, &live.tags);

    let mut steps = Vec::new();
    if group_changes || secret_changes || code_changes || template_changes || !lack.is_empty() {
        if cx.is_settled(want.instance.address()) {
            values.instance = Some(instance(cx, want));
        } else {
            // One that the stack never had cannot be kept.
            let of_instance = [template::HOSTS, template::MASTER_SECRET_ARN];
            values.kept = of_instance.into_iter().filter(|name| live.parameters.contains_key(*name)).collect();
        }
        let (group, secret, code) = (values.group.shown(), values.admin_secret.shown(), values.code.shown());
        let hosts = values.instance.as_ref().map(|instance| instance.servers.shown());
        let done = hosts.is_some();
        let otherwise = group_changes || secret_changes || code_changes || template_changes;
        let changed = otherwise.then_some(DriftCode::TemplateChanged);
        let mut drift = changed.into_iter().chain(lack.drift());
        let first = drift.next().unwrap_or(DriftCode::TemplateChanged);
        let step = cx
            .step("update", Verb::Update, first, Change::Update(values))
            .attribute("group", Shown::text(parameter(template::FUNCTION_GROUP)), group)
            .attribute("admin_secret", Shown::text(parameter(template::ADMIN_SECRET_ARN)), secret)
            .attribute("code", Shown::text(before), code);
        let mut step = lack.shown(drift.fold(step, Step::and));
        if let Some(hosts) = hosts {
            let before = parameter(template::HOSTS);
            step = step.attribute("hosts", if before.is_empty() { Shown::Unset } else { Shown::text(before) }, hosts);
        }
        if template_changes {
            let (before, after) = (template::topic(&live.template), want.inputs.topic.as_deref());
            let shown = |topic: Option<&str>| topic.map_or(Shown::Unset, Shown::text);
            step = step
                .attribute("alerts", shown(before), shown(after))
                .attribute("template", pretty(&live.template), pretty(&template));
            if after.is_some() && before != after {
                step = step.because(TOPIC_POLICY);
            }
        }
        steps.push(step);
        if done {
            return steps;
        }
    }
    let instance = instance(cx, want);
    if differs(&instance.servers, &parameter(template::HOSTS))
        || differs(&instance.master_secret, &parameter(template::MASTER_SECRET_ARN))
    {
        steps.push(set_hosts(cx, want, &parameter(template::HOSTS)));
    }
    steps
}

/// What differs from what the stack made, where the stack itself is as it should be. Values are not shown:
/// what somebody has put there may be a secret.
fn repair(cx: &mut Diff<'_>, want: &Desired, live: &Observed) -> Vec<Step<Change>> {
    let (mut code, mut other_code) = (BTreeMap::new(), BTreeSet::new());
    let (mut configure, mut otherwise) = (BTreeMap::new(), BTreeSet::new());
    let place = CodePlace {
        bucket: live.parameters.get(template::CODE_BUCKET).cloned().unwrap_or_default(),
        key: live.parameters.get(template::CODE_KEY).cloned().unwrap_or_default(),
    };
    for (function, made) in template::functions(&live.template, &live.parameters, &want.code) {
        let Some(is) = live.functions.get(&function) else { continue };
        if is.code != made.code {
            other_code.insert(format!("{function}: code"));
            code.insert(function.clone(), place.clone());
        }
        let all: BTreeSet<_> = is.environment.keys().chain(made.environment.keys()).collect();
        let differing: Vec<_> =
            all.into_iter().filter(|name| is.environment.get(*name) != made.environment.get(*name)).collect();
        otherwise.extend(differing.iter().map(|name| format!("{function}: environment {name}")));
        for (what, is, made) in [("timeout", is.timeout, made.timeout), ("memory", is.memory, made.memory)] {
            if is != made {
                otherwise.insert(format!("{function}: {what} {is} instead of {made}"));
            }
        }
        if !is.same_settings(&made) {
            configure.insert(function, made);
        }
    }
    let mut repair = |key, code: DriftCode, names: BTreeSet<String>, change| {
        let shown = Shown::list(&names);
        let names: Vec<_> = names.into_iter().collect();
        let drift = code.found(format!("it was changed behind CloudFormation: {}", names.join(", ")));
        let step = cx.step(key, Verb::Update, drift, change);
        step.attribute("changed_behind_the_stack", shown, Shown::text("as the stack made it"))
    };
    let mut steps = Vec::new();
    if !code.is_empty() {
        steps.push(repair("put-code", DriftCode::FunctionCode, other_code, Change::PutCode(code)));
    }
    if !configure.is_empty() {
        steps.push(repair("configure", DriftCode::FunctionConfiguration, otherwise, Change::Configure(configure)));
    }
    steps
}

/// What lets CloudFormation look: it reads with the caller's own leave.
const READ_THE_STACK: &str = "allow these credentials to read what the stack holds (lambda:Get*, iam:Get*, iam:List*, \
                              logs:Describe*, logs:ListTags*, cloudwatch:Describe*, events:Describe*, events:List*), \
                              and run the same command again";

/// One change set for all of it: CloudFormation itself knows what to put back.
fn revert(cx: &mut Diff<'_>, live: &Observed) -> Option<Step<Change>> {
    let moved = &live.behind.moved;
    let told = |part: Part| {
        let what: Vec<_> = moved
            .iter()
            .filter(|(_, moved)| moved.part == part)
            .map(|(id, moved)| format!("{id} {moved}"))
            .collect();
        (!what.is_empty()).then(|| {
            part.code().found(format!("it was changed behind CloudFormation: {}", what.join("; ")))
        })
    };
    let mut drifts = Part::ALL.into_iter().filter_map(told);
    let step = cx.step("revert-drift", Verb::Update, drifts.next()?, Change::RevertDrift);
    let shown = Shown::list(moved.iter().map(|(id, moved)| format!("{id} {moved}")));
    let step = step.attribute("changed_behind_the_stack", shown, Shown::text("as the stack made it"));
    Some(drifts.fold(step, Step::and))
}

/// A value that is yet to come counts as different: only the apply can tell.
fn differs<T: std::fmt::Display>(value: &Val<T>, live: &str) -> bool {
    match value {
        Val::Known(value) => value.to_string() != live,
        Val::After(_) => true,
    }
}

fn pretty(template: &Value) -> Shown {
    Shown::text(serde_json::to_string_pretty(template).unwrap_or_else(|_| template.to_string()))
}
