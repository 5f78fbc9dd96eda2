//! A stack's parameters, as requests give them.

use super::{Instance, Values};
use crate::resource::Known;
use crate::resources::{LiveError, template};
use aws_sdk_cloudformation::types::Parameter;

fn parameter(name: &str, value: impl Into<String>) -> Parameter {
    Parameter::builder().parameter_key(name).parameter_value(value).build()
}

pub(super) fn as_before(name: &str) -> Parameter {
    Parameter::builder().parameter_key(name).use_previous_value(true).build()
}

pub(super) fn all_parameters(values: &Values, known: &Known) -> Result<Vec<Parameter>, LiveError> {
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
    parameters.extend(values.kept.iter().map(|name| as_before(name)));
    Ok(parameters)
}

pub(super) fn instance_parameters(instance: &Instance, known: &Known) -> Result<Vec<Parameter>, LiveError> {
    Ok(vec![
        parameter(template::HOSTS, known.get(&instance.servers)?.to_string()),
        parameter(template::MASTER_SECRET_ARN, known.get(&instance.master_secret)?.0),
    ])
}
