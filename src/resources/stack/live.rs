//! The live half of `stack`.

use super::behind::{self, AT_REST, Behind};
use super::parameters::{all_parameters, as_before, instance_parameters};
use super::{Change, Desired, Observed, Stack};
use crate::aws::{self, Aws, AwsError, Look, absent, call};
use crate::execute::Applied;
use crate::model::{Mark, Owner, Seen, Tags, address_of};
use crate::resource::Known;
use crate::resources::{Live, LiveError, functions, template};
use aws_sdk_cloudformation::types::{Capability, OnFailure, Tag};
use serde_json::Value;
use std::time::Duration;

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
                    .set_tags(Some(written(&want.mark.tags())))
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
                    .set_tags(Some(with_others(aws, want).await?))
                    .client_request_token(uuid::Uuid::new_v4().to_string());
                return updated(aws, want, request.send().await.map_err(|error| update.failed(error))).await;
            }
            Change::SetHosts(instance) => {
                let update = call("cloudformation", "UpdateStack");
                let mut parameters = instance_parameters(instance, known)?;
                for name in
                    [template::FUNCTION_GROUP, template::ADMIN_SECRET_ARN, template::CODE_BUCKET, template::CODE_KEY]
                {
                    parameters.push(as_before(name));
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
            Change::PutCode(code) => {
                for (function, place) in code {
                    if let Applied::NotYet { saying } = functions::put_code(aws, function, place).await? {
                        return Ok(Applied::NotYet { saying });
                    }
                }
            }
            Change::Configure(configure) => {
                for (function, look) in configure {
                    if let Applied::NotYet { saying } = functions::configure(aws, function, look).await? {
                        return Ok(Applied::NotYet { saying });
                    }
                }
            }
            Change::RevertDrift => return behind::revert(aws, want).await,
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
pub(super) async fn updated<T>(aws: &Aws, want: &Desired, answer: Result<T, AwsError>) -> Result<Applied, LiveError> {
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

fn written(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// The stack's tags as an update gives them: it puts them in the place of all that are there, and what others added
/// stays. Those of AWS are not for us to give.
pub(super) async fn with_others(aws: &Aws, want: &Desired) -> Result<Vec<Tag>, LiveError> {
    let live = Look::new(aws).stack(&want.name).await?;
    let mut all = live.map(|stack| read_tags(stack.tags())).unwrap_or_default();
    all.retain(|key, _| !key.starts_with("aws:"));
    all.extend(want.mark.tags());
    Ok(written(&all))
}

/// All that the template takes.
pub(super) fn parameter_names() -> [&'static str; 6] {
    [
        template::FUNCTION_GROUP,
        template::ADMIN_SECRET_ARN,
        template::CODE_BUCKET,
        template::CODE_KEY,
        template::HOSTS,
        template::MASTER_SECRET_ARN,
    ]
}

/// Names of all stacks that are this deployment's by their tags, and whose address gives their name.
pub(in crate::resources) async fn tagged(aws: &Aws, deployment: &str) -> Result<Vec<String>, LiveError> {
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
pub(in crate::resources) async fn ownership(look: &Look<'_>, name: &str, mark: &Mark) -> Result<Option<Owner>, LiveError> {
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
    let looks = async { futures_util::future::try_join_all(looks).await.map_err(|error: LiveError| error) };
    // It reads the functions as well, and both take their time.
    let detection = async {
        if AT_REST.contains(&status.as_str()) { behind::detect(aws, name).await } else { Ok(Behind::default()) }
    };
    let (functions, behind) = futures_util::future::try_join(looks, detection).await?;
    Ok(Seen::Present(Observed {
        behind,
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
