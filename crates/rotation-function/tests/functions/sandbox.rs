//! The sandbox's Secrets Manager, for tests that take the steps of a rotation themselves.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_secretsmanager::types::Tag;
use function_contract::{encode_tag, tag};
use rotation_function::store::AwsStore;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

struct Sandbox {
    /// `127.0.0.1:PORT`.
    address: String,
}

/// One for all tests of this process; it ends with it.
fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
        let pid = std::process::id().to_string();
        let folder = target.join("sandbox-of-tests").join(&pid);
        let mut up = Command::new(root.join("sandbox/ctl"));
        let done = up.args(["up", "--parent", &pid, "--dir"]).arg(&folder).output().expect("sandbox/ctl runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let state = std::fs::read(folder.join("state.json")).expect("the sandbox tells where it is");
        let state: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
        let endpoint = state["endpoint"].as_str().expect("a URL");
        Sandbox { address: endpoint.trim_start_matches("http://").to_owned() }
    })
}

/// An account's secrets.
pub struct Manager {
    account: String,
    client: Client,
}

impl Manager {
    /// Of a new account.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(300_000_000_001);
        let account = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-north-1"))
            .endpoint_url(format!("http://{}", sandbox().address))
            .credentials_provider(Credentials::new(&account, "x", None, None, "tests"))
            .build();
        Self { account, client: Client::from_conf(config) }
    }

    /// As the function uses it.
    pub fn store(&self) -> AwsStore {
        AwsStore::new(self.client.clone())
    }

    /// Makes a secret, without a value if `value` is None. Gives its ARN.
    pub async fn create(&self, name: &str, deployment: &str, login: &str, value: Option<&str>) -> String {
        let tags = [(tag::DEPLOYMENT, deployment.to_owned()), (tag::LOGIN, encode_tag(login))];
        let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build());
        let call = self.client.create_secret().name(name).set_tags(Some(tags.to_vec()));
        let made = call.set_secret_string(value.map(str::to_owned)).send().await.expect("a secret is made");
        made.arn.expect("it has an ARN")
    }

    /// The value of a version; None where it has none.
    pub async fn value(&self, arn: &str, version: &str) -> Option<String> {
        match self.client.get_secret_value().secret_id(arn).version_id(version).send().await {
            Ok(found) => found.secret_string,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// What RotateSecret does before it invokes the function. False where a rotation is outstanding.
    pub fn begin(&self, arn: &str, token: &str) -> bool {
        let body = serde_json::json!({"account": self.account, "secret": arn, "token": token}).to_string();
        let address = &sandbox().address;
        let mut stream = TcpStream::connect(address).expect("the sandbox listens");
        let head = format!(
            "POST /_sandbox/rotations HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status == "200" || answer.contains("isn't complete"), "{answer}");
        status == "200"
    }

    /// What an operator does about a rotation that does not end.
    pub async fn cancel(&self, arn: &str, token: &str) {
        let call = self.client.update_secret_version_stage().secret_id(arn).version_stage("AWSPENDING");
        call.remove_from_version_id(token).send().await.expect("the label is there");
    }
}
