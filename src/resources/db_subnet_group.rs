//! `db_subnet_group`: where the instance may stand.

use super::tagging::{Lack, declared};
use super::{Live, LiveError};
use crate::aws::{self, Aws, Look, NO_SUBNET_GROUP, absent, call};
use crate::code::Code;
use crate::drift::DriftCode;
use crate::execute::Applied;
use crate::model::{Address, Facts, Kind, Mark, Ref, Seen, Shown, Tags};
use crate::resource::{
    Adoption, Claim, Diff, Known, NotProduced, Refusal, Resource, Settled, Step, Verb, claim, unobservable,
};
use aws_sdk_rds::types::Tag;
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct DbSubnetGroup;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    pub name: String,
    /// It is there, is only referred to and never changed.
    pub existing: bool,
    /// Whether one that others have made is taken over.
    pub adopt: bool,
    pub subnets: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub arn: String,
    pub subnets: BTreeSet<String>,
    pub tags: Tags,
}

#[derive(Debug, Clone)]
pub enum Change {
    Create,
    SetSubnets,
    SetTags { arn: String },
    Delete,
}

impl DbSubnetGroup {
    pub fn at(name: &str) -> Ref<Self> {
        Ref::to(Address { kind: Self::KIND, name: name.to_owned() })
    }
}

impl Resource for DbSubnetGroup {
    const KIND: Kind = Kind("db_subnet_group");
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
            Seen::Absent if want.existing => {
                return Err(Refusal::new(
                    Code::NoSuchResource,
                    format!("there is no DB subnet group `{}`", want.name),
                    "correct its name; or write `subnet_group = \"NAME\"` to have it made",
                ));
            }
            Seen::Present(_) if want.existing => return Ok(Vec::new()),
            Seen::Absent => {
                return Ok(vec![
                    cx.step("create", Verb::Create, DriftCode::Missing, Change::Create)
                        .set("name", Shown::text(&want.name))
                        .set("subnets", Shown::list(&want.subnets))
                        .set("declared_tags", declared(&want.mark)),
                ]);
            }
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => live,
        };
        let subnets: Vec<_> = live.subnets.iter().map(String::as_str).collect();
        let what = format!("the DB subnet group `{}` ({}: {})", want.name, live.arn, subnets.join(", "));
        let how = Adoption::By { table: "[database]", declared: want.adopt };
        let claim = claim(&want.mark, &live.tags, how, &what)?;
        let mut steps = Vec::new();
        if claim == Claim::ToAdopt {
            let change = Change::SetTags { arn: live.arn.clone() };
            steps.push(cx.adopt(change, &live.arn, &want.mark.tags()));
        }
        if live.subnets != want.subnets {
            steps.push(cx.step("set-subnets", Verb::Update, DriftCode::Changed, Change::SetSubnets).attribute(
                "subnets",
                Shown::list(&live.subnets),
                Shown::list(&want.subnets),
            ));
        }
        if claim == Claim::Ours {
            steps.extend(Lack::of(&want.mark, &live.tags).step(cx, || Change::SetTags { arn: live.arn.clone() }));
        }
        Ok(steps)
    }

    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        if want.existing {
            return Ok(Vec::new());
        }
        let Some(_) = cx.to_remove(&want.mark, live, |live| &live.tags)? else { return Ok(Vec::new()) };
        Ok(vec![cx.step("delete", Verb::Delete, DriftCode::NoLongerDeclared, Change::Delete)])
    }

    fn settled(_want: &Desired, _live: &Observed) -> Settled<()> {
        Settled::Yes(())
    }

    fn facts(live: &Observed) -> Facts {
        let Observed { arn, subnets, tags } = live;
        Facts::default().with("arn", arn).list("subnets", subnets).tags(tags)
    }

    fn realised(want: &Desired, _known: &Known) -> Result<Observed, NotProduced> {
        Ok(Observed {
            arn: format!("arn:aws:rds:::subgrp:{}", want.name),
            subnets: want.subnets.clone(),
            tags: want.mark.tags(),
        })
    }
}

impl Live for DbSubnetGroup {
    /// A subnet group is made in one call; what takes longer is an error.
    const PATIENCE: Duration = Duration::from_secs(5 * 60);

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let mut seen = Vec::with_capacity(wants.len());
        for want in wants {
            seen.push(observe(look.aws, want).await?);
        }
        Ok(seen)
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, _known: &Known) -> Result<Applied, LiveError> {
        match change {
            Change::Create => {
                let create = call("rds", "CreateDBSubnetGroup");
                let answer = aws
                    .rds
                    .create_db_subnet_group()
                    .db_subnet_group_name(&want.name)
                    .db_subnet_group_description(format!("pgrotate deployment {}", want.mark.deployment))
                    .set_subnet_ids(Some(want.subnets.iter().cloned().collect()))
                    .set_tags(Some(rds_tags(&want.mark.tags())))
                    .send()
                    .await
                    .map_err(|error| create.failed(error));
                absent(answer, &["DBSubnetGroupAlreadyExists", "DBSubnetGroupAlreadyExistsFault"])?;
            }
            Change::SetSubnets => {
                let modify = call("rds", "ModifyDBSubnetGroup");
                aws.rds
                    .modify_db_subnet_group()
                    .db_subnet_group_name(&want.name)
                    .set_subnet_ids(Some(want.subnets.iter().cloned().collect()))
                    .send()
                    .await
                    .map_err(|error| modify.failed(error))?;
            }
            Change::SetTags { arn } => add_tags(aws, arn, &want.mark.tags()).await?,
            Change::Delete => {
                let delete = call("rds", "DeleteDBSubnetGroup");
                let answer = aws
                    .rds
                    .delete_db_subnet_group()
                    .db_subnet_group_name(&want.name)
                    .send()
                    .await
                    .map_err(|error| delete.failed(error));
                match answer {
                    // A deleted instance leaves its group a little later than the API says it is gone.
                    Err(error) if error.is(&["InvalidDBSubnetGroupStateFault"]) => {
                        return Ok(Applied::NotYet { saying: "an instance still uses it".to_owned() });
                    }
                    answer => absent(answer, NO_SUBNET_GROUP)?,
                };
            }
        }
        Ok(Applied::Accepted)
    }
}

async fn observe(aws: &Aws, want: &Desired) -> Result<Seen<Observed>, LiveError> {
    let describe = call("rds", "DescribeDBSubnetGroups");
    let answer = aws
        .rds
        .describe_db_subnet_groups()
        .db_subnet_group_name(&want.name)
        .send()
        .await
        .map_err(|error| describe.failed(error));
    let Some(answer) = absent(answer, NO_SUBNET_GROUP)? else { return Ok(Seen::Absent) };
    let Some(group) = answer.db_subnet_groups().first() else { return Ok(Seen::Absent) };
    let arn = describe.expect(group.db_subnet_group_arn(), "DBSubnetGroupArn")?;
    Ok(Seen::Present(Observed {
        arn: arn.to_owned(),
        subnets: group.subnets().iter().filter_map(|subnet| subnet.subnet_identifier()).map(str::to_owned).collect(),
        tags: list_tags(aws, arn).await?,
    }))
}

/// Describe does not return a subnet group's tags.
async fn list_tags(aws: &Aws, arn: &str) -> Result<Tags, LiveError> {
    let list = call("rds", "ListTagsForResource");
    let answer =
        aws.rds.list_tags_for_resource().resource_name(arn).send().await.map_err(|error| list.failed(error))?;
    Ok(read_tags(answer.tag_list()))
}

pub(super) fn read_tags(tags: &[Tag]) -> Tags {
    aws::tags(tags.iter().map(|tag| (tag.key(), tag.value())))
}

pub(super) fn rds_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

pub(super) async fn add_tags(aws: &Aws, arn: &str, tags: &Tags) -> Result<(), LiveError> {
    let add = call("rds", "AddTagsToResource");
    aws.rds
        .add_tags_to_resource()
        .resource_name(arn)
        .set_tags(Some(rds_tags(tags)))
        .send()
        .await
        .map_err(|error| add.failed(error))?;
    Ok(())
}
