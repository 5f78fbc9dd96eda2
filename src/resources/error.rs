//! Why observing or changing failed, and what to do about it.

use super::functions::FunctionError;
use crate::aws::AwsError;
use crate::code::{Code, Coded, REPORT_IT};
use crate::command::FILE;
use crate::resource::NotProduced;
use function_contract::error_type;

/// Why observing or changing failed.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(transparent)]
    Function(#[from] FunctionError),
    #[error(transparent)]
    NotProduced(#[from] NotProduced),
    /// A rotation of `login` was begun and does not end; nothing can be rotated before it has been given up.
    #[error("an earlier rotation of {login} has not finished{said}")]
    RotationStuck { login: String, said: String },
}

impl Coded for LiveError {
    fn code(&self) -> Code {
        match self {
            Self::Aws(error) => error.code(),
            Self::Function(error) => error.code(),
            Self::NotProduced(_) => Code::Internal,
            Self::RotationStuck { .. } => Code::RotationFailed,
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Aws(error) => error.hint(),
            Self::Function(error) => error.hint(),
            Self::NotProduced(_) => REPORT_IT.to_owned(),
            Self::RotationStuck { login, .. } => {
                format!("pgrotate recover {FILE} {login} tells why, and mends it; then apply")
            }
        }
    }
}

impl Coded for FunctionError {
    fn code(&self) -> Code {
        match self.error_type.as_str() {
            error_type::NOT_UNDERSTOOD => Code::FunctionOutdated,
            error_type::BAD_EVENT => Code::FunctionRefused,
            error_type::SECRET_REFUSED => Code::SecretRefused,
            error_type::ROLE_NOT_OURS => Code::RoleNotOurs,
            error_type::UNREACHABLE => Code::DatabaseUnreachable,
            error_type::DATABASE_REFUSED => Code::DatabaseRefused,
            error_type::SECRETS_MANAGER => Code::SecretsManagerRefused,
            error_type::CONFIGURATION => Code::FunctionMisconfigured,
            error_type::BUSY => Code::LoginBusy,
            error_type::MOVED => Code::Stale,
            error_type::IN_USE => Code::RoleInUse,
            // What Lambda itself says: Sandbox.Timedout, Runtime.ExitError and others.
            _ => Code::FunctionCrashed,
        }
    }

    fn hint(&self) -> String {
        let log = format!("aws logs tail /aws/lambda/{} --since 15m", self.function);
        match self.code() {
            Code::FunctionOutdated => "the function is of another version than this pgrotate: make function (or name \
                the zip of this version by --function-zip), and apply"
                .to_owned(),
            // Functions of before RequestNotUnderstood call it a bad event too.
            Code::FunctionRefused => format!(
                "correct what it says, and apply; if it does not understand the request, it is of another version: \
                 make function, and apply. Its log: {log}"
            ),
            Code::SecretRefused => format!(
                "undo what was changed by hand in the secret, or put right in its value what it says, and apply. Its log: {log}"
            ),
            Code::RoleNotOurs => "hand the role over as it says, or declare another login, and apply".to_owned(),
            Code::DatabaseUnreachable => {
                format!("see that the instance is available and lets the functions in, and apply. Its log: {log}")
            }
            Code::DatabaseRefused => format!("do in the database what it says, and apply. Its log: {log}"),
            Code::SecretsManagerRefused | Code::FunctionMisconfigured => {
                format!("pgrotate drift {FILE} tells what was changed, apply puts it back. Its log: {log}")
            }
            Code::Stale => "look again: the same command again".to_owned(),
            Code::RoleInUse => {
                "do in the database what it says, and apply; or on_remove = \"keep\" in [rotation]".to_owned()
            }
            Code::LoginBusy => "wait a minute and apply again: another run is at this login".to_owned(),
            _ => format!("see its log: {log}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// What a function says of itself, as a person gets to read it.
    #[test]
    fn every_error_type_of_the_functions_has_its_code() {
        let mut told = String::new();
        for error_type in error_type::ALL.iter().chain(&["Sandbox.Timedout"]) {
            let error = LiveError::from(FunctionError {
                function: "pgpasslambda-provisioning".to_owned(),
                error_type: (*error_type).to_owned(),
                message: "why".to_owned(),
            });
            assert_eq!(error.code() == Code::FunctionCrashed, error_type.contains('.'), "{error_type}");
            writeln!(told, "{}: {error}\nhint: {}", error.code().heading(), error.hint()).unwrap();
        }
        expect_test::expect![[r#"
            error[function-outdated]: the function pgpasslambda-provisioning failed: RequestNotUnderstood: why
            hint: the function is of another version than this pgrotate: make function (or name the zip of this version by --function-zip), and apply
            error[function-refused]: the function pgpasslambda-provisioning failed: BadEvent: why
            hint: correct what it says, and apply; if it does not understand the request, it is of another version: make function, and apply. Its log: aws logs tail /aws/lambda/pgpasslambda-provisioning --since 15m
            error[secret-refused]: the function pgpasslambda-provisioning failed: SecretRefused: why
            hint: undo what was changed by hand in the secret, or put right in its value what it says, and apply. Its log: aws logs tail /aws/lambda/pgpasslambda-provisioning --since 15m
            error[role-not-ours]: the function pgpasslambda-provisioning failed: RoleNotOurs: why
            hint: hand the role over as it says, or declare another login, and apply
            error[database-unreachable]: the function pgpasslambda-provisioning failed: DatabaseUnreachable: why
            hint: see that the instance is available and lets the functions in, and apply. Its log: aws logs tail /aws/lambda/pgpasslambda-provisioning --since 15m
            error[database-refused]: the function pgpasslambda-provisioning failed: DatabaseRefused: why
            hint: do in the database what it says, and apply. Its log: aws logs tail /aws/lambda/pgpasslambda-provisioning --since 15m
            error[secrets-manager-refused]: the function pgpasslambda-provisioning failed: SecretsManagerError: why
            hint: pgrotate drift shop.toml tells what was changed, apply puts it back. Its log: aws logs tail /aws/lambda/pgpasslambda-provisioning --since 15m
            error[function-misconfigured]: the function pgpasslambda-provisioning failed: BadConfiguration: why
            hint: pgrotate drift shop.toml tells what was changed, apply puts it back. Its log: aws logs tail /aws/lambda/pgpasslambda-provisioning --since 15m
            error[login-busy]: the function pgpasslambda-provisioning failed: LoginBusy: why
            hint: wait a minute and apply again: another run is at this login
            error[stale]: the function pgpasslambda-provisioning failed: LoginMoved: why
            hint: look again: the same command again
            error[role-in-use]: the function pgpasslambda-provisioning failed: RoleInUse: why
            hint: do in the database what it says, and apply; or on_remove = "keep" in [rotation]
            error[function-crashed]: the function pgpasslambda-provisioning failed: Sandbox.Timedout: why
            hint: see its log: aws logs tail /aws/lambda/pgpasslambda-provisioning --since 15m
        "#]].assert_eq(&crate::command::File::of(std::path::Path::new("shop.toml")).fill(&told));
    }
}
