//! `artifact`: the function's zip, named by its SHA-256, so that what runs can be compared to what was
//! built and an upload is never overwritten.

use super::bucket::{Bucket, PREFIX};
use super::{Live, LiveError};
use crate::aws::{Aws, Look, absent, call};
use crate::drift::DriftCode;
use crate::execute::Applied;
use crate::model::{Address, Facts, Kind, Mark, Ref, Seen, Shown};
use crate::resource::{Diff, Known, NotProduced, OutputOf, Refusal, Resource, Settled, Step, Verb, unobservable};
use aws_sdk_s3::primitives::ByteStream;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Artifact;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    pub bucket: String,
    /// None: the config names a bucket that we neither make nor delete.
    pub bucket_at: Option<Ref<Bucket>>,
    pub zip: Zip,
}

/// A function's zip in memory.
#[derive(Clone)]
pub struct Zip {
    bytes: Arc<[u8]>,
    /// Lower-case hex.
    sha256: String,
}

impl Zip {
    pub fn new(bytes: Vec<u8>) -> Self {
        use sha2::{Digest, Sha256};
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes: bytes.into(), sha256 }
    }

    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The same digest as Lambda writes it.
    pub fn sha256_base64(&self) -> String {
        use base64::Engine;
        use sha2::{Digest, Sha256};
        base64::engine::general_purpose::STANDARD.encode(Sha256::digest(&self.bytes))
    }
}

impl fmt::Debug for Zip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zip({} bytes, {})", self.bytes.len(), self.sha256)
    }
}

impl Desired {
    fn key(&self) -> String {
        format!("{PREFIX}{}.zip", self.zip.sha256)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub bytes: i64,
}

#[derive(Debug, Clone)]
pub enum Change {
    Upload,
    Delete,
}

#[derive(Debug, Clone)]
pub struct Outputs {
    pub place: CodePlace,
}

/// Where Lambda takes the code from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodePlace {
    pub bucket: String,
    pub key: String,
}

impl fmt::Display for CodePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl OutputOf for CodePlace {
    type By = Artifact;
    fn of(outputs: &Outputs) -> Self {
        outputs.place.clone()
    }
}

impl Artifact {
    pub fn at(name: &str) -> Ref<Self> {
        Ref::to(Address { kind: Self::KIND, name: name.to_owned() })
    }

    /// Where the code will lie: the content names it, so that is known before it is uploaded.
    pub fn place(want: &Desired) -> CodePlace {
        CodePlace { bucket: want.bucket.clone(), key: want.key() }
    }
}

impl Resource for Artifact {
    const KIND: Kind = Kind("artifact");
    type Desired = Desired;
    type Observed = Observed;
    type Outputs = Outputs;
    type Change = Change;

    fn address(want: &Desired) -> Address {
        want.mark.address.clone()
    }

    fn needs(want: &Desired) -> Vec<Address> {
        want.bucket_at.iter().map(|bucket| bucket.address().clone()).collect()
    }

    fn diff(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        if let Some(bucket) = &want.bucket_at {
            cx.after(bucket.address());
        }
        match live {
            Seen::Absent => Ok(vec![
                cx.step("upload", Verb::Create, DriftCode::Missing, Change::Upload)
                    .set("place", Shown::text(Artifact::place(want)))
                    .set("size", Shown::text(format!("{} KiB", want.zip.bytes.len().div_ceil(1024)))),
            ]),
            Seen::Unobservable(why) => Err(unobservable(why)),
            // The key is the content's hash: what is there is right.
            Seen::Present(_) => Ok(Vec::new()),
        }
    }

    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        match live {
            Seen::Absent => Ok(Vec::new()),
            Seen::Unobservable(why) => Err(unobservable(why)),
            // Our own bucket goes whole, with the zips of earlier versions too.
            Seen::Present(_) if want.bucket_at.is_some() => Ok(Vec::new()),
            Seen::Present(_) => Ok(vec![cx.step("delete", Verb::Delete, DriftCode::NoLongerDeclared, Change::Delete)]),
        }
    }

    fn settled(want: &Desired, _live: &Observed) -> Settled<Outputs> {
        Settled::Yes(Outputs { place: Artifact::place(want) })
    }

    fn facts(live: &Observed) -> Facts {
        let Observed { bytes } = live;
        Facts::default().with("bytes", bytes)
    }

    fn realised(want: &Desired, _known: &Known) -> Result<Observed, NotProduced> {
        Ok(Observed { bytes: i64::try_from(want.zip.bytes.len()).unwrap_or(i64::MAX) })
    }
}

impl Live for Artifact {
    /// A few MiB over any line that can run a plan at all.
    const PATIENCE: Duration = Duration::from_secs(5 * 60);

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let mut seen = Vec::with_capacity(wants.len());
        for want in wants {
            let head = call("s3", "HeadObject");
            let aws = look.aws;
            let request = aws.s3.head_object().bucket(&want.bucket).key(want.key());
            let answer = request.expected_bucket_owner(&aws.account).send().await.map_err(|error| head.failed(error));
            // A HEAD answer has no body, so no code either: only the status tells. A missing bucket
            // answers as a missing key does.
            let answer = absent(answer, &["NotFound", "NoSuchKey", "NoSuchBucket", "HTTP 404"])?;
            seen.push(match answer {
                None => Seen::Absent,
                Some(answer) => Seen::Present(Observed { bytes: answer.content_length().unwrap_or(0) }),
            });
        }
        Ok(seen)
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, _known: &Known) -> Result<Applied, LiveError> {
        let (bucket, key) = (&want.bucket, want.key());
        match change {
            Change::Upload => {
                let put = call("s3", "PutObject");
                aws.s3
                    .put_object()
                    .bucket(bucket)
                    .key(key)
                    .expected_bucket_owner(&aws.account)
                    .content_type("application/zip")
                    .body(ByteStream::from(want.zip.bytes.to_vec()))
                    .send()
                    .await
                    .map_err(|error| put.failed(error))?;
            }
            Change::Delete => {
                let delete = call("s3", "DeleteObject");
                let request = aws.s3.delete_object().bucket(bucket).key(key).expected_bucket_owner(&aws.account);
                request.send().await.map_err(|error| delete.failed(error))?;
            }
        }
        Ok(Applied::Accepted)
    }
}
