//! What AWS may answer, from an endpoint that says nothing else: each answer told by its code, with AWS's own.

use crate::snapshot::{bare, check};
use crate::support::ARTICLE;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Answers every request with one status and body, for as long as the tests run; its URL.
fn endpoint(status: &'static str, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that has gone is no concern of the test's.
            let _ = answer(stream, status, &body);
        }
    });
    url
}

fn answer(mut stream: TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    reader.take(length).read_to_end(&mut Vec::new())?;
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: text/xml\r\nconnection: close\r\n");
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len())
}

fn plan_with(url: &str, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("article.toml"), ARTICLE).unwrap();
    let done = bare(folder.path(), &["plan", "article.toml"])
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_ACCESS_KEY_ID", "111122223333")
        .env("AWS_SECRET_ACCESS_KEY", "no-credentials")
        .output()
        .unwrap();
    check(&done, &[(url, "[URL]")], name);
}

fn refusal(status: &'static str, code: &str, name: &str) {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no, for a reason</Message></Error>\
         <RequestId>11111111-2222-3333-4444-555555555555</RequestId></ErrorResponse>"
    );
    plan_with(&endpoint(status, body), name);
}

#[test]
fn an_expired_session() {
    refusal("403 Forbidden", "ExpiredToken", "an-expired-session");
}

#[test]
fn an_unknown_key() {
    refusal("403 Forbidden", "InvalidClientTokenId", "an-unknown-access-key");
}

#[test]
fn no_permission() {
    refusal("403 Forbidden", "AccessDenied", "no-permission");
}

/// After five attempts: that takes some seconds.
#[test]
fn too_many_calls() {
    refusal("400 Bad Request", "Throttling", "too-many-calls");
}

#[test]
fn a_region_that_is_off() {
    refusal("403 Forbidden", "RegionDisabledException", "a-region-that-is-off");
}

#[test]
fn something_that_is_not_aws() {
    let nothing = "<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>";
    plan_with(&endpoint("200 OK", nothing.to_owned()), "something-that-is-not-aws");
}
