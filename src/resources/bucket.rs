//! `bucket`: where the function's zip lies for CloudFormation. One a deployment, account and region.

use super::tagging::{Lack, declared};
use super::{Live, LiveError};
use crate::aws::{Aws, Look, absent, call};
use crate::drift::DriftCode;
use crate::execute::Applied;
use crate::model::{Address, Facts, Kind, Mark, Owner, Ref, Seen, Shown, Tags};
use crate::resource::{Adoption, Diff, Known, NotProduced, Refusal, Resource, Settled, Step, Verb, claim, unobservable};
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, PublicAccessBlockConfiguration, Tag, Tagging,
};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Bucket;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    /// Holds account and region: bucket names are one space for all of AWS.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub tags: Tags,
    pub public_access_blocked: bool,
    /// Looked for only where it has no tag, as what tells one that we have begun to make from somebody's own.
    pub holds_others: bool,
}

#[derive(Debug, Clone)]
pub enum Change {
    Create,
    /// A bucket of ours that lacks its tags or the block: what a stopped apply leaves.
    Protect { tags: Tags },
    Delete,
}

impl Bucket {
    pub fn at(name: &str) -> Ref<Self> {
        Ref::to(Address { kind: Self::KIND, name: name.to_owned() })
    }
}

/// Everything we put into a bucket begins so; nothing else is ever deleted from one.
pub(super) const PREFIX: &str = "function/";

const NEVER_ADOPTED: Adoption =
    Adoption::Never("a bucket is never taken over: to use one that is there, name it as `bucket` in [function]");

impl Resource for Bucket {
    const KIND: Kind = Kind("bucket");
    type Desired = Desired;
    type Observed = Observed;
    type Outputs = ();
    type Change = Change;

    fn address(want: &Desired) -> Address {
        want.mark.address.clone()
    }

    fn needs(_want: &Desired) -> Vec<Address> {
        Vec::new()
    }

    fn diff(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let live = match live {
            Seen::Absent => {
                return Ok(vec![
                    cx.step("create", Verb::Create, DriftCode::Missing, Change::Create)
                        .set("name", Shown::text(&want.name))
                        .set("public_access", Shown::text("blocked"))
                        .set("declared_tags", declared(&want.mark)),
                ]);
            }
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => live,
        };
        // It is tagged once it is made: to create it with its tags would take one more permission, s3:TagResource. An
        // untagged one of this name, in this very account (every call names the expected owner), that holds nothing
        // but what we put there is what an apply leaves that stopped between the two, or what lost its tags.
        if want.mark.owner(&live.tags) != Owner::Nobody || !live.tags.is_empty() || live.holds_others {
            claim(&want.mark, &live.tags, NEVER_ADOPTED, &format!("the bucket `{}`", want.name))?;
        }
        let lack = Lack::of(&want.mark, &live.tags);
        if lack.is_empty() && live.public_access_blocked {
            return Ok(Vec::new());
        }
        let mut tags = live.tags.clone();
        tags.extend(want.mark.tags());
        let exposed = (!live.public_access_blocked).then_some(DriftCode::Exposed);
        let mut drift = exposed.into_iter().chain(lack.drift());
        let first = drift.next().unwrap_or(DriftCode::Exposed);
        let blocked = |yes: bool| Shown::text(if yes { "blocked" } else { "not blocked" });
        let step = cx
            .step("protect", Verb::Update, first, Change::Protect { tags })
            .attribute("public_access", blocked(live.public_access_blocked), blocked(true));
        Ok(vec![lack.shown(drift.fold(step, Step::and))])
    }

    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let Some(_) = cx.to_remove(&want.mark, live, |live| &live.tags)? else { return Ok(Vec::new()) };
        let why = format!("with all objects under {PREFIX}; others make AWS refuse");
        Ok(vec![cx.step("delete", Verb::Delete, DriftCode::NoLongerDeclared, Change::Delete).because(why)])
    }

    fn settled(_want: &Desired, _live: &Observed) -> Settled<()> {
        Settled::Yes(())
    }

    fn facts(live: &Observed) -> Facts {
        let Observed { tags, public_access_blocked, holds_others } = live;
        let facts = Facts::default().tags(tags).with("public access blocked", public_access_blocked);
        facts.with("holds what others put there", holds_others)
    }

    fn realised(want: &Desired, _known: &Known) -> Result<Observed, NotProduced> {
        Ok(Observed { tags: want.mark.tags(), public_access_blocked: true, holds_others: false })
    }
}

impl Live for Bucket {
    /// A bucket is made in one call; a name just deleted may stay taken for a while.
    const PATIENCE: Duration = Duration::from_secs(10 * 60);

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let mut seen = Vec::with_capacity(wants.len());
        for want in wants {
            seen.push(observe(look.aws, &want.name).await?);
        }
        Ok(seen)
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, _known: &Known) -> Result<Applied, LiveError> {
        match change {
            Change::Create => {
                let create = call("s3", "CreateBucket");
                // us-east-1 is the one region that must not be named.
                let place = (aws.region != "us-east-1").then(|| {
                    CreateBucketConfiguration::builder()
                        .location_constraint(BucketLocationConstraint::from(aws.region.as_str()))
                        .build()
                });
                let request = aws.s3.create_bucket().bucket(&want.name).set_create_bucket_configuration(place);
                let answer = request.send().await.map_err(|error| create.failed(error));
                if let Err(error) = &answer
                    && error.is(&["OperationAborted"])
                {
                    // Another apply is making it, or it was deleted a moment ago
                    // (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
                    return Ok(Applied::NotYet { saying: error.to_string() });
                }
                absent(answer, &["BucketAlreadyOwnedByYou"])?;
                protect(aws, &want.name, &want.mark.tags()).await?;
            }
            Change::Protect { tags } => protect(aws, &want.name, tags).await?,
            Change::Delete => {
                empty(aws, &want.name).await?;
                let delete = call("s3", "DeleteBucket");
                let request = aws.s3.delete_bucket().bucket(&want.name).expected_bucket_owner(&aws.account);
                absent(request.send().await.map_err(|error| delete.failed(error)), &["NoSuchBucket"])?;
            }
        }
        Ok(Applied::Accepted)
    }
}

async fn observe(aws: &Aws, name: &str) -> Result<Seen<Observed>, LiveError> {
    let get = call("s3", "GetBucketTagging");
    let request = aws.s3.get_bucket_tagging().bucket(name).expected_bucket_owner(&aws.account);
    let tags = match request.send().await.map_err(|error| get.failed(error)) {
        Ok(answer) => answer.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect(),
        Err(error) if error.is(&["NoSuchTagSet"]) => Tags::new(),
        Err(error) if error.is(&["NoSuchBucket"]) => return Ok(Seen::Absent),
        Err(error) => return Err(error.into()),
    };
    let get = call("s3", "GetPublicAccessBlock");
    let request = aws.s3.get_public_access_block().bucket(name).expected_bucket_owner(&aws.account);
    let answer = request.send().await.map_err(|error| get.failed(error));
    let answer = absent(answer, &["NoSuchPublicAccessBlockConfiguration"])?;
    let block = answer.as_ref().and_then(|answer| answer.public_access_block_configuration());
    let public_access_blocked = block.is_some_and(|block| {
        [
            block.block_public_acls(),
            block.block_public_policy(),
            block.ignore_public_acls(),
            block.restrict_public_buckets(),
        ]
        .iter()
        .all(|set| *set == Some(true))
    });
    let holds_others = tags.is_empty() && holds_others(aws, name).await?;
    Ok(Seen::Present(Observed { tags, public_access_blocked, holds_others }))
}

/// Whether anything is in it that we do not put there.
async fn holds_others(aws: &Aws, name: &str) -> Result<bool, LiveError> {
    let list = call("s3", "ListObjectsV2");
    // With a delimiter, all of ours are one entry.
    let request = aws.s3.list_objects_v2().bucket(name).delimiter("/").expected_bucket_owner(&aws.account);
    let answer = request.send().await.map_err(|error| list.failed(error));
    let Some(page) = absent(answer, &["NoSuchBucket"])? else { return Ok(false) };
    let folders = page.common_prefixes().iter().filter_map(|folder| folder.prefix());
    Ok(!page.contents().is_empty() || folders.into_iter().any(|folder| folder != PREFIX))
}

async fn protect(aws: &Aws, name: &str, tags: &Tags) -> Result<(), LiveError> {
    let put = call("s3", "PutPublicAccessBlock");
    let block = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .block_public_policy(true)
        .ignore_public_acls(true)
        .restrict_public_buckets(true)
        .build();
    let request = aws.s3.put_public_access_block().bucket(name).expected_bucket_owner(&aws.account);
    let answer = request.public_access_block_configuration(block).send().await;
    answer.map_err(|error| put.failed(error))?;
    let put = call("s3", "PutBucketTagging");
    let mut set = Vec::new();
    for (key, value) in tags {
        let tag = Tag::builder().key(key).value(value).build().map_err(|error| put.unexpected(error.to_string()))?;
        set.push(tag);
    }
    let tagging = Tagging::builder().set_tag_set(Some(set)).build();
    let tagging = tagging.map_err(|error| put.unexpected(error.to_string()))?;
    let request = aws.s3.put_bucket_tagging().bucket(name).expected_bucket_owner(&aws.account).tagging(tagging);
    request.send().await.map_err(|error| put.failed(error))?;
    Ok(())
}

async fn empty(aws: &Aws, name: &str) -> Result<(), LiveError> {
    let list = call("s3", "ListObjectsV2");
    let request = aws.s3.list_objects_v2().bucket(name).prefix(PREFIX).expected_bucket_owner(&aws.account);
    let mut pages = request.into_paginator().send();
    while let Some(page) = pages.next().await {
        let Some(page) = absent(page.map_err(|error| list.failed(error)), &["NoSuchBucket"])? else { return Ok(()) };
        for key in page.contents().iter().filter_map(|object| object.key()) {
            let delete = call("s3", "DeleteObject");
            let request = aws.s3.delete_object().bucket(name).key(key).expected_bucket_owner(&aws.account);
            request.send().await.map_err(|error| delete.failed(error))?;
        }
    }
    Ok(())
}
