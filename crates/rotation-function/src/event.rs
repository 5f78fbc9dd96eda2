//! The event Secrets Manager invokes the rotation function with.

use crate::error::FunctionError;
use serde_json::Value;
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

/// A key of an event that must be text, or None where it is absent.
///
/// The value is never quoted: one of the keys is the rotation token.
fn text(event: &serde_json::Map<String, Value>, key: &str) -> Result<Option<String>, FunctionError> {
    match event.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(bad(format!("its {key} is not text"))),
    }
}

fn bad(because: impl std::fmt::Display) -> FunctionError {
    FunctionError::BadEvent(format!(
        "the event is not one of a rotation: {because}. This function is invoked by Secrets Manager alone; to rotate a \
         login now: pgrotate rotate"
    ))
}

impl RotationEvent {
    /// Reads an event. Keys it does not know are left alone: AWS has added some before.
    pub fn parse(event: Value) -> Result<Self, FunctionError> {
        let Value::Object(event) = event else { return Err(bad("it is no JSON object")) };
        let need = |key: &str| text(&event, key)?.ok_or_else(|| bad(format_args!("it has no {key}")));
        let (step, secret, token) = (need("Step")?, need("SecretId")?, need("ClientRequestToken")?);
        let rotation_token = text(&event, "RotationToken")?.map(|token| RotationToken(Zeroizing::new(token)));
        let Some(step) = Step::parse(&step) else {
            return Err(bad(format_args!("its Step is {step:?}, none of {}", Step::ALL.map(Step::as_str).join(", "))));
        };
        if secret.is_empty() {
            return Err(bad("its SecretId is empty"));
        }
        // What AWS's API allows of an identifier; it goes into a log line whole.
        if secret.len() > 2_048 {
            return Err(bad("its SecretId has more than 2,048 characters"));
        }
        // And for a version's id.
        if !(32..=64).contains(&token.len()) {
            return Err(bad("its ClientRequestToken has not 32 to 64 characters"));
        }
        Ok(Self { step, secret, token, rotation_token })
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
    fn an_identifier_is_no_longer_than_aws_allows() {
        let of = |length| json!({"Step": "createSecret", "SecretId": "a".repeat(length), "ClientRequestToken": TOKEN});
        assert!(parse(of(2_048)).is_ok());
        assert!(parse(of(2_049)).err().unwrap().contains("SecretId"));
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
    fn what_is_no_rotation_event_is_refused_by_field_without_quoting_it() {
        for (event, told) in [
            (json!(null), "no JSON object"),
            (json!([]), "no JSON object"),
            (json!("hidden"), "no JSON object"),
            (json!({}), "no Step"),
            (json!({"step": "createSecret", "SecretId": "arn", "ClientRequestToken": TOKEN}), "no Step"),
            (json!({"Step": "createSecret", "SecretId": "arn"}), "no ClientRequestToken"),
            (json!({"Step": "createSecret", "SecretId": null, "ClientRequestToken": TOKEN}), "no SecretId"),
            (json!({"Step": "createSecret", "SecretId": "", "ClientRequestToken": TOKEN}), "SecretId is empty"),
            (
                json!({"Step": "createSecret", "SecretId": ["hidden"], "ClientRequestToken": TOKEN}),
                "SecretId is not text",
            ),
            (json!({"Step": "createSecret", "SecretId": "arn", "ClientRequestToken": "short"}), "32 to 64"),
            (json!({"Step": "createSecret", "SecretId": "arn", "ClientRequestToken": TOKEN.repeat(2)}), "32 to 64"),
            (json!({"Step": "dropSecret", "SecretId": "arn", "ClientRequestToken": TOKEN}), "Step is \"dropSecret\""),
            (
                json!({"Step": "CreateSecret", "SecretId": "arn", "ClientRequestToken": TOKEN}),
                "Step is \"CreateSecret\"",
            ),
            (
                json!({"Step": 1, "SecretId": "arn", "ClientRequestToken": TOKEN, "RotationToken": "hidden"}),
                "Step is not text",
            ),
            (
                json!({"Step": "createSecret", "SecretId": "arn", "ClientRequestToken": TOKEN, "RotationToken": {"a": "hidden"}}),
                "RotationToken is not text",
            ),
        ] {
            let message = parse(event).err().unwrap();
            assert!(!message.contains("hidden"), "{message}");
            assert!(message.contains(told), "{told}: {message}");
        }
    }

    #[test]
    fn the_rotation_token_is_kept() {
        let event =
            json!({"Step": "createSecret", "SecretId": "arn", "ClientRequestToken": TOKEN, "RotationToken": "t"});
        assert_eq!(parse(event).ok().unwrap().rotation_token.unwrap().expose(), "t");
    }
}
