//! `stack`: CloudFormation's stack of the three functions, their roles, permission, log groups, alarms and rule.
//! It is made beside the instance; the instance's address follows in an update of its own, so that the
//! slow instance does not hold up the stack.

use super::artifact::{Artifact, CodePlace};
use super::functions::{self, FunctionLook, put_code};
use super::db_instance::{DbInstance, MasterSecretArn, Servers};
use super::secret::{Secret, SecretArn};
use super::security_group::{GroupId, SecurityGroup};
use super::template::{self, Inputs};
use super::{Live, LiveError, missing_tags};
use crate::aws::{self, Aws, AwsError, Look, absent, call};
use crate::code::Code;
use crate::execute::Applied;
use crate::model::{Address, Facts, Kind, Mark, Owner, Ref, Seen, Shown, Tags, Val, address_of};
use crate::resource::{
    AWAIT, Adoption, Diff, Known, NotProduced, Refusal, Resource, Risk, Settled, Step, Verb, claim, unobservable,
};
use aws_sdk_cloudformation::types::{Capability, OnFailure, Parameter, Tag};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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
    pub instance: Ref<DbInstance>,
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
}

#[derive(Debug, Clone)]
pub enum Change {
    Create(Values),
    Update(Values),
    /// Only the parameters that come from the instance.
    SetHosts(Instance),
    /// What was changed behind the stack: an update with an unchanged template would mend nothing.
    Repair { configure: BTreeMap<String, FunctionLook>, code: BTreeMap<String, CodePlace> },
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
                let delete = cx
                    .step("delete", Verb::Delete, Change::Delete)
                    .because(format!("it is {}: it {why} deleted", live.status));
                let mut steps = vec![delete];
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
            steps.push(cx.step(AWAIT, Verb::Ensure, Change::Await).because(format!("it is {}", live.status)));
        }
        let missing: Vec<_> =
            want.inputs.names.all().into_iter().filter(|name| !live.functions.contains_key(*name)).collect();
        if steps.is_empty() && !missing.is_empty() {
            // The template still says that they exist, so no update would make them again.
            let why = format!("{} was deleted behind the stack", missing.join(", "));
            steps.push(cx.step("delete", Verb::Delete, Change::Delete).risk(Risk::Interrupts).because(why));
            steps.extend(create(cx, want));
            return Ok(steps);
        }
        let updates = update(cx, want, live);
        if steps.is_empty() && updates.is_empty() {
            steps.extend(repair(cx, want, live));
        }
        steps.extend(updates);
        Ok(steps)
    }

    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let Some(_) = cx.to_remove(&want.mark, live, |live| &live.tags)? else { return Ok(Vec::new()) };
        Ok(vec![cx.step("delete", Verb::Delete, Change::Delete)])
    }

    fn settled(_want: &Desired, live: &Observed) -> Settled<()> {
        match live.status.as_str() {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" => Settled::Yes(()),
            // An update that failed has been undone: what was wanted is not there.
            "UPDATE_ROLLBACK_COMPLETE" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED"
            | "DELETE_FAILED" => {
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
            _ => (live.status == "UPDATE_ROLLBACK_COMPLETE").then_some(()),
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
        let Observed { id, status, reason: _, template, parameters, tags, functions } = live;
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
        }
        .with_functions(&want.code))
    }
}

/// The states that CloudFormation leaves only when somebody asks it to, and the AWS CLI's command that does: an
/// update that could not even be undone; one that failed and was told not to be undone; a change set for a new
/// stack that nobody has executed (docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html).
fn way_out(status: &str) -> Option<&'static str> {
    match status {
        "UPDATE_ROLLBACK_FAILED" => Some("continue-update-rollback"),
        "UPDATE_FAILED" => Some("rollback-stack"),
        "REVIEW_IN_PROGRESS" => Some("delete-stack"),
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
        .step("create", Verb::Create, Change::Create(values))
            .set("functions", Shown::list([
                &want.inputs.names.rotation,
                &want.inputs.names.provisioning,
                &want.inputs.names.inspection,
            ]))
            .set("code", code)
            .set("subnets", Shown::list(&want.inputs.subnets))
            .set("group", group)
            .set("hosts", hosts)
            .set("alerts", topic.map_or(Shown::Unset, Shown::text));
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
    cx.step("set-hosts", Verb::Update, Change::SetHosts(instance))
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
    let missing = missing_tags(&want.mark.tags(), &live.tags);

    let mut steps = Vec::new();
    if group_changes || secret_changes || code_changes || template_changes || !missing.is_empty() {
        if cx.is_settled(want.instance.address()) {
            values.instance = Some(instance(cx, want));
        }
        let (group, secret, code) = (values.group.shown(), values.admin_secret.shown(), values.code.shown());
        let done = values.instance.is_some();
        let mut step = cx
            .step("update", Verb::Update, Change::Update(values))
            .attribute("group", Shown::text(parameter(template::FUNCTION_GROUP)), group)
            .attribute("admin_secret", Shown::text(parameter(template::ADMIN_SECRET_ARN)), secret)
            .attribute("code", Shown::text(before), code)
            .set("tags", Shown::list(missing.keys()));
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
fn repair(cx: &mut Diff<'_>, want: &Desired, live: &Observed) -> Option<Step<Change>> {
    let (mut configure, mut code, mut names) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let place = CodePlace {
        bucket: live.parameters.get(template::CODE_BUCKET).cloned().unwrap_or_default(),
        key: live.parameters.get(template::CODE_KEY).cloned().unwrap_or_default(),
    };
    for (function, made) in template::functions(&live.template, &live.parameters, &want.code) {
        let Some(is) = live.functions.get(&function) else { continue };
        if is.code != made.code {
            names.insert(format!("{function}: code"));
            code.insert(function.clone(), place.clone());
        }
        let all: BTreeSet<_> = is.environment.keys().chain(made.environment.keys()).collect();
        let differing: Vec<_> =
            all.into_iter().filter(|name| is.environment.get(*name) != made.environment.get(*name)).collect();
        names.extend(differing.iter().map(|name| format!("{function}: environment {name}")));
        for (what, is, made) in [("timeout", is.timeout, made.timeout), ("memory", is.memory, made.memory)] {
            if is != made {
                names.insert(format!("{function}: {what} {is} instead of {made}"));
            }
        }
        if !is.same_settings(&made) {
            configure.insert(function, made);
        }
    }
    (!names.is_empty()).then(|| {
        cx.step("repair", Verb::Update, Change::Repair { configure, code })
            .attribute("changed_behind_the_stack", Shown::list(names), Shown::text("as the stack made it"))
    })
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

impl Live for Stack {
    /// Making it takes two minutes; a function in a VPC that is deleted waits up to 40 minutes for its
    /// network interfaces.
    const PATIENCE: Duration = Duration::from_secs(60 * 60);

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let mut seen = Vec::with_capacity(wants.len());
        for want in wants {
            seen.push(observe(look, want).await?);
        }
        Ok(seen)
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, known: &Known) -> Result<Applied, LiveError> {
        match change {
            Change::Create(values) => {
                let create = call("cloudformation", "CreateStack");
                let request = aws
                    .cloudformation
                    .create_stack()
                    .stack_name(&want.name)
                    .template_body(want.template().to_string())
                    .set_parameters(Some(all_parameters(values, known)?))
                    .capabilities(Capability::CapabilityIam)
                    .set_tags(Some(tags(&want.mark)))
                    // A rolled-back stack keeps its events, which say what failed.
                    .on_failure(OnFailure::Rollback)
                    .client_request_token(uuid::Uuid::new_v4().to_string());
                let answer = request.send().await.map_err(|error| create.failed(error));
                absent(answer, &["AlreadyExistsException", TOKEN_USED])?;
            }
            Change::Update(values) => {
                let update = call("cloudformation", "UpdateStack");
                let request = aws
                    .cloudformation
                    .update_stack()
                    .stack_name(&want.name)
                    .template_body(want.template().to_string())
                    .set_parameters(Some(all_parameters(values, known)?))
                    .capabilities(Capability::CapabilityIam)
                    .set_tags(Some(tags(&want.mark)))
                    .client_request_token(uuid::Uuid::new_v4().to_string());
                return updated(aws, want, request.send().await.map_err(|error| update.failed(error))).await;
            }
            Change::SetHosts(instance) => {
                let update = call("cloudformation", "UpdateStack");
                let mut parameters = instance_parameters(instance, known)?;
                for name in
                    [template::FUNCTION_GROUP, template::ADMIN_SECRET_ARN, template::CODE_BUCKET, template::CODE_KEY]
                {
                    parameters.push(Parameter::builder().parameter_key(name).use_previous_value(true).build());
                }
                let request = aws
                    .cloudformation
                    .update_stack()
                    .stack_name(&want.name)
                    .use_previous_template(true)
                    .set_parameters(Some(parameters))
                    .capabilities(Capability::CapabilityIam)
                    .client_request_token(uuid::Uuid::new_v4().to_string());
                return updated(aws, want, request.send().await.map_err(|error| update.failed(error))).await;
            }
            Change::Repair { configure, code } => {
                for (function, place) in code {
                    if let Applied::NotYet { saying } = put_code(aws, function, place).await? {
                        return Ok(Applied::NotYet { saying });
                    }
                }
                for (function, look) in configure {
                    if let Applied::NotYet { saying } = functions::configure(aws, function, look).await? {
                        return Ok(Applied::NotYet { saying });
                    }
                }
            }
            Change::Await => {}
            Change::Delete => {
                let delete = call("cloudformation", "DeleteStack");
                let request = aws.cloudformation.delete_stack().stack_name(&want.name);
                // One that somebody else is updating is not deleted yet.
                return updated(aws, want, request.send().await.map_err(|error| delete.failed(error))).await;
            }
        }
        Ok(Applied::Accepted)
    }
}

/// The token is each call's own: where it was used already, the answer was lost and the SDK has asked again.
const TOKEN_USED: &str = "TokenAlreadyExistsException";

/// CloudFormation refuses an update of a stack that is changing with the same code as any bad request; the
/// stack's state tells which it was.
async fn updated<T>(aws: &Aws, want: &Desired, answer: Result<T, AwsError>) -> Result<Applied, LiveError> {
    match answer {
        Ok(_) => Ok(Applied::Accepted),
        Err(error) if error.is(&[TOKEN_USED]) => Ok(Applied::Accepted),
        Err(error) if error.is(&["ValidationError"]) => match observe(&Look::new(aws), want).await? {
            Seen::Present(live) if live.status.ends_with("_IN_PROGRESS") => {
                Ok(Applied::NotYet { saying: format!("the stack is {}", live.status) })
            }
            _ => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

fn tags(mark: &Mark) -> Vec<Tag> {
    mark.tags().iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn parameter(name: &str, value: impl Into<String>) -> Parameter {
    Parameter::builder().parameter_key(name).parameter_value(value).build()
}

fn all_parameters(values: &Values, known: &Known) -> Result<Vec<Parameter>, LiveError> {
    let code = known.get(&values.code)?;
    let mut parameters = vec![
        parameter(template::FUNCTION_GROUP, known.get(&values.group)?.0),
        parameter(template::ADMIN_SECRET_ARN, known.get(&values.admin_secret)?.0),
        parameter(template::CODE_BUCKET, code.bucket),
        parameter(template::CODE_KEY, code.key),
    ];
    if let Some(instance) = &values.instance {
        parameters.extend(instance_parameters(instance, known)?);
    }
    Ok(parameters)
}

fn instance_parameters(instance: &Instance, known: &Known) -> Result<Vec<Parameter>, LiveError> {
    Ok(vec![
        parameter(template::HOSTS, known.get(&instance.servers)?.to_string()),
        parameter(template::MASTER_SECRET_ARN, known.get(&instance.master_secret)?.0),
    ])
}

/// Names of all stacks that are this deployment's by their tags, and whose address gives their name.
pub(super) async fn tagged(aws: &Aws, deployment: &str) -> Result<Vec<String>, LiveError> {
    let describe = call("cloudformation", "DescribeStacks");
    let stacks = aws.cloudformation.describe_stacks().into_paginator().items().send();
    let stacks = stacks.try_collect().await.map_err(|error| describe.failed(error))?;
    Ok(stacks
        .iter()
        .filter_map(|stack| {
            let name = stack.stack_name()?;
            let address = address_of(deployment, &read_tags(stack.tags()))?;
            (address == Stack::at(name).address().to_string()).then(|| name.to_owned())
        })
        .collect())
}

fn read_tags(tags: &[Tag]) -> Tags {
    aws::tags(tags.iter().map(|tag| (tag.key(), tag.value())))
}

/// Whether the functions of `name` are `mark`'s: they belong to its stack. None where there is no stack.
pub(super) async fn ownership(look: &Look<'_>, name: &str, mark: &Mark) -> Result<Option<Owner>, LiveError> {
    Ok(look.stack(name).await?.map(|stack| mark.owner(&read_tags(stack.tags()))))
}

async fn observe(look: &Look<'_>, want: &Desired) -> Result<Seen<Observed>, LiveError> {
    let (aws, name) = (look.aws, want.name.as_str());
    let Some(stack) = look.stack(name).await? else { return Ok(Seen::Absent) };
    let status = stack.stack_status().map(|status| status.as_str().to_owned()).unwrap_or_default();
    let get = call("cloudformation", "GetTemplate");
    let answer = aws.cloudformation.get_template().stack_name(name).send().await.map_err(|error| get.failed(error));
    let body = absent(answer, &["ValidationError"])?.and_then(|answer| answer.template_body).unwrap_or_default();
    let looks = want.inputs.names.all().map(|name| async move { Ok((name, functions::look(aws, name).await?)) });
    let functions: Vec<_> = futures_util::future::try_join_all(looks).await.map_err(|error: LiveError| error)?;
    Ok(Seen::Present(Observed {
        functions: functions.into_iter().filter_map(|(name, look)| Some((name.to_owned(), look?))).collect(),
        id: stack.stack_id().unwrap_or_default().to_owned(),
        status,
        reason: stack.stack_status_reason().map(str::to_owned),
        // Somebody may have put YAML there: that is a difference, not an error.
        template: serde_json::from_str(&body).unwrap_or(Value::String(body)),
        parameters: stack
            .parameters()
            .iter()
            .filter_map(|parameter| {
                let value = parameter.resolved_value().or(parameter.parameter_value()).unwrap_or_default();
                Some((parameter.parameter_key()?.to_owned(), value.to_owned()))
            })
            .collect(),
        tags: read_tags(stack.tags()),
    }))
}
