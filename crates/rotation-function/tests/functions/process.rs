//! The process itself, over Lambda's runtime API: what it logs of invocations that never reach a step.

use function_contract::{env, error_type};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

/// Invokes the binary with `event` once; answers with what it told Lambda and what it logged.
fn invoked(variables: &[(&str, &str)], event: &Value) -> (Value, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr().unwrap().to_string())
        .envs([
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
            ("AWS_REGION", "eu-north-1"),
        ])
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = answered(&listener, event);
    process.kill().unwrap();
    process.wait().unwrap();
    let mut logged = String::new();
    process.stdout.take().unwrap().read_to_string(&mut logged).unwrap();
    (told, logged)
}

/// Serves one invocation and waits for its answer. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
fn answered(listener: &TcpListener, event: &Value) -> Value {
    let mut connections = listener.incoming();
    loop {
        let mut connection = connections.next().unwrap().unwrap();
        while let Some((request, body)) = request(&mut connection) {
            if request.starts_with("GET ") {
                let event = event.to_string();
                write!(
                    connection,
                    "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 1\r\nLambda-Runtime-Deadline-Ms: 4102444800000\r\n\
                     Lambda-Runtime-Invoked-Function-Arn: arn:f\r\nContent-Length: {}\r\n\r\n{event}",
                    event.len()
                )
                .unwrap();
            } else {
                assert!(request.contains("/invocation/1/"), "{request}");
                return serde_json::from_str(&body).unwrap();
            }
        }
    }
}

/// One request's first line and body; None at the connection's end.
fn request(connection: &mut TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(connection);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Some((first, String::from_utf8(body).unwrap()))
}

/// The only line, read.
fn only_line(logged: &str) -> Value {
    assert_eq!(logged.lines().count(), 1, "{logged}");
    serde_json::from_str(logged).unwrap()
}

const ROTATION: [(&str, &str); 4] = [
    (env::FUNCTION, "rotation"),
    (env::DEPLOYMENT, "article"),
    (env::ADMIN_SECRET_ARN, "arn:admin"),
    (env::LOCK_DATABASE, "postgres"),
];

#[test]
fn an_environment_that_cannot_be_used_is_logged() {
    let (told, logged) = invoked(&ROTATION[..2], &json!({}));
    assert_eq!(told["errorType"], error_type::CONFIGURATION);
    let line = only_line(&logged);
    let expected = [("function", "rotation"), ("deployment", "article"), ("step", "start"), ("outcome", "failed")];
    for (key, value) in expected.into_iter().chain([("error", error_type::CONFIGURATION)]) {
        assert_eq!(line[key], value, "{key}: {logged}");
    }
    assert!(line["message"].as_str().unwrap().contains(env::ADMIN_SECRET_ARN), "{logged}");
}

#[test]
fn an_event_that_cannot_be_read_is_counted_and_not_repeated() {
    let event = json!({ "Step": "createSecret", "SecretId": "arn:x", "RotationToken": ["the-token"] });
    let (told, logged) = invoked(&ROTATION, &event);
    assert_eq!(told["errorType"], error_type::BAD_EVENT);
    let line = only_line(&logged);
    assert_eq!((&line["step"], &line["outcome"]), (&json!("unreadable"), &json!("failed")));
    assert_eq!((&line["RotationFailed"], &line["LoginRepaired"]), (&json!(1), &json!(0)));
    assert!(line["_aws"]["CloudWatchMetrics"].is_array(), "{logged}");
    assert!(!logged.contains("the-token") && !told.to_string().contains("the-token"), "{logged}");
    // The other functions count nothing: who has asked them is there, and is told.
    let inspection: Vec<_> =
        ROTATION.iter().map(|(n, v)| (*n, if *n == env::FUNCTION { "inspection" } else { v })).collect();
    let line = only_line(&invoked(&inspection, &event).1);
    assert_eq!((&line["function"], &line["_aws"]), (&json!("inspection"), &Value::Null));
}
