//! The event Secrets Manager invokes the rotation function with.

use crate::error::FunctionError;
use serde::Deserialize;
use zeroize::Zeroizing;

/// One of the four steps of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    Create,
    Set,
    Test,
    Finish,
}

impl Step {
    /// The steps in the order Secrets Manager takes them.
    pub const ALL: [Self; 4] = [Self::Create, Self::Set, Self::Test, Self::Finish];

    /// The spelling in events and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "createSecret",
            Self::Set => "setSecret",
            Self::Test => "testSecret",
            Self::Finish => "finishSecret",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        // One page of AWS's documentation spells them with underscores.
        Some(match text {
            "createSecret" | "create_secret" => Self::Create,
            "setSecret" | "set_secret" => Self::Set,
            "testSecret" | "test_secret" => Self::Test,
            "finishSecret" | "finish_secret" => Self::Finish,
            _ => return None,
        })
    }
}

/// The token that a rotation across accounts carries for `PutSecretValue`. It grants a write, so it is
/// kept like a password: no Debug, no Display, no Serialize.
///
/// ```compile_fail
/// fn printable<T: std::fmt::Debug>() {}
/// printable::<rotation_function::event::RotationToken>();
/// ```
pub struct RotationToken(Zeroizing<String>);

impl RotationToken {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// A rotation event, checked.
pub struct RotationEvent {
    pub step: Step,
    /// ARN (or name) of the secret.
    pub secret: String,
    /// The version that is to become current; 32 to 64 characters. AWS calls it ClientRequestToken.
    pub token: String,
    pub rotation_token: Option<RotationToken>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    step: String,
    secret_id: String,
    client_request_token: String,
    rotation_token: Option<String>,
}

impl RotationEvent {
    /// Reads an event. Keys it does not know are left alone: AWS has added some before.
    pub fn parse(event: serde_json::Value) -> Result<Self, FunctionError> {
        // serde_json's own message would quote a value of the wrong type, which may be the rotation token.
        let raw: Raw = serde_json::from_value(event).map_err(|_| {
            FunctionError::BadEvent(
                "a rotation event has the keys Step, SecretId and ClientRequestToken, all text: this function is invoked \
                 by Secrets Manager only"
                    .to_owned(),
            )
        })?;
        let rotation_token = raw.rotation_token.map(|token| RotationToken(Zeroizing::new(token)));
        let Some(step) = Step::parse(&raw.step) else {
            return Err(FunctionError::BadEvent(format!("unknown step {:?}", raw.step)));
        };
        if raw.secret_id.is_empty() || !(32..=64).contains(&raw.client_request_token.len()) {
            return Err(FunctionError::BadEvent(
                "SecretId must not be empty and ClientRequestToken has 32 to 64 characters".to_owned(),
            ));
        }
        Ok(Self { step, secret: raw.secret_id, token: raw.client_request_token, rotation_token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TOKEN: &str = "11111111-2222-3333-4444-555555555555";

    fn parse(event: serde_json::Value) -> Result<RotationEvent, String> {
        RotationEvent::parse(event).map_err(|error| {
            assert_eq!(error.error_type(), function_contract::error_type::BAD_EVENT);
            error.to_string()
        })
    }

    #[test]
    fn both_spellings_of_every_step_are_known() {
        for (index, [camel, snake]) in [
            ["createSecret", "create_secret"],
            ["setSecret", "set_secret"],
            ["testSecret", "test_secret"],
            ["finishSecret", "finish_secret"],
        ]
        .into_iter()
        .enumerate()
        {
            for spelling in [camel, snake] {
                let event = json!({"Step": spelling, "SecretId": "arn", "ClientRequestToken": TOKEN, "New": 1});
                assert_eq!(parse(event).ok().unwrap().step, Step::ALL[index]);
            }
            assert_eq!(Step::ALL[index].as_str(), camel);
        }
    }

    #[test]
    fn what_is_no_rotation_event_is_refused_without_quoting_it() {
        for event in [
            json!(null),
            json!([]),
            json!({}),
            json!({"Step": "createSecret", "SecretId": "arn"}),
            json!({"Step": "createSecret", "SecretId": "", "ClientRequestToken": TOKEN}),
            json!({"Step": "createSecret", "SecretId": "arn", "ClientRequestToken": "short"}),
            json!({"Step": "dropSecret", "SecretId": "arn", "ClientRequestToken": TOKEN}),
            json!({"Step": 1, "SecretId": "arn", "ClientRequestToken": TOKEN, "RotationToken": "hidden"}),
            json!({"Step": "createSecret", "SecretId": "arn", "ClientRequestToken": TOKEN, "RotationToken": {"a": "hidden"}}),
        ] {
            let message = parse(event).err().unwrap();
            assert!(!message.contains("hidden"), "{message}");
        }
    }

    #[test]
    fn the_rotation_token_is_kept() {
        let event =
            json!({"Step": "createSecret", "SecretId": "arn", "ClientRequestToken": TOKEN, "RotationToken": "t"});
        assert_eq!(parse(event).ok().unwrap().rotation_token.unwrap().expose(), "t");
    }
}
