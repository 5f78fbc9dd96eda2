//! The words everything else is written in: addresses, values that may not be known yet, what was seen,
//! and what a renderer may show.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// A kind of resource, named as in addresses: `secret`, `security_group`. Each lives in one file under
/// `resources/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub &'static str);

/// A name that nobody has checked, such as that of a file, on one line: it can begin none of its own, nor move a cursor.
pub fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What a deployment calls one of its resources: `kind.name`. Stable across runs, written into tags and
/// role comments, and what every output is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub kind: Kind,
    pub name: String,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind, self.name)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What a deployment calls one of its resources: `kind.name`, such as `secret.test_user1`.",
            "type": "string",
            "pattern": r"^[a-z_]+\.[\s\S]+$",
        })
    }
}

/// A typed reference to a resource of kind `R`: what one desired resource holds of another.
pub struct Ref<R> {
    address: Address,
    kind: PhantomData<fn() -> R>,
}

impl<R> Ref<R> {
    /// Only a resource kind's own constructor calls this, so that the address really is of kind `R`.
    pub(crate) fn to(address: Address) -> Self {
        Self { address, kind: PhantomData }
    }

    pub fn address(&self) -> &Address {
        &self.address
    }
}

// Written out because a derive would ask the same of `R`.
impl<R> Clone for Ref<R> {
    fn clone(&self) -> Self {
        Self::to(self.address.clone())
    }
}

impl<R> fmt::Debug for Ref<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "&{}", self.address)
    }
}

impl<R> PartialEq for Ref<R> {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

/// The output of type `T` of an action that has yet to run. `T` alone says which output: every output
/// type belongs to one kind ([`crate::resource::OutputOf`]), so no name is looked up at run time.
pub struct Output<T> {
    from: Address,
    of: PhantomData<fn() -> T>,
}

impl<T> Output<T> {
    pub(crate) fn of(from: Address) -> Self {
        Self { from, of: PhantomData }
    }

    pub fn from(&self) -> &Address {
        &self.from
    }
}

impl<T> Clone for Output<T> {
    fn clone(&self) -> Self {
        Self::of(self.from.clone())
    }
}

impl<T> fmt::Debug for Output<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {}", self.from)
    }
}

/// A value known now, or the output of an action that has yet to run. Never a placeholder text.
#[derive(Debug, Clone)]
pub enum Val<T> {
    Known(T),
    After(Output<T>),
}

impl<T: fmt::Display> Val<T> {
    /// What a renderer may show of it.
    pub fn shown(&self) -> Shown {
        match self {
            Self::Known(value) => Shown::Text(value.to_string()),
            Self::After(output) => Shown::AfterApply(output.from.clone()),
        }
    }
}

/// All that a renderer can get of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// The attribute has no value.
    Unset,
    /// As it reads.
    Text(String),
    /// Known once the action at this address has run.
    AfterApply(Address),
    /// It exists and is nobody's business.
    Withheld,
}

impl Shown {
    pub fn text(value: impl fmt::Display) -> Self {
        Self::Text(value.to_string())
    }

    /// The text, where there is one to show.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Unset | Self::AfterApply(_) | Self::Withheld => None,
        }
    }

    pub fn list<T: fmt::Display>(values: impl IntoIterator<Item = T>) -> Self {
        let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
        if values.is_empty() { Self::Unset } else { Self::Text(values.join(", ")) }
    }
}

/// What observation found of a resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen<T> {
    Present(T),
    Absent,
    /// It could not be looked at, and why. Never to be taken for absent.
    Unobservable(String),
}

impl<T> Seen<T> {
    pub fn as_ref(&self) -> Seen<&T> {
        match self {
            Self::Present(value) => Seen::Present(value),
            Self::Absent => Seen::Absent,
            Self::Unobservable(why) => Seen::Unobservable(why.clone()),
        }
    }

    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Present(value) => Seen::Present(f(value)),
            Self::Absent => Seen::Absent,
            Self::Unobservable(why) => Seen::Unobservable(why),
        }
    }

    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unobservable(_) => None,
        }
    }
}

/// What a plan goes by of one live resource: name to text. What AWS or a rotation changes by itself is not in it, and
/// nothing that is nobody's business: what may hold a secret is there as its digest.
///
/// Two looks at one resource are the same to a plan if all facts are that both tell. A look tells less of what is
/// just being deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Facts(BTreeMap<String, String>);

impl Facts {
    /// Names of the facts that a thing keeps as long as it stands, and that no later one of its name has.
    const IDENTITY: &[&str] = &["arn", "id", "resource id"];

    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.0.insert(name.to_owned(), value.to_string());
        self
    }

    /// Several values, in their order.
    pub fn list<T: fmt::Display>(self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
        self.with(name, values.join(", "))
    }

    /// A value that may be missing.
    pub fn maybe<T: fmt::Display>(self, name: &str, value: Option<T>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self.with(name, "none"),
        }
    }

    pub fn tags(self, tags: &Tags) -> Self {
        self.list("tags", tags.iter().map(|(key, value)| format!("{key}={value}")))
    }

    /// Of what is long, or might hold what nobody should read: SHA-256, the first 16 hexadecimal digits.
    pub fn digest(self, name: &str, value: &[u8]) -> Self {
        self.with(name, digest(value))
    }

    pub fn same(&self, other: &Self) -> bool {
        self.moved_to(other).is_empty()
    }

    /// Whether `other` is another thing under the same name, by what AWS gives to one alone.
    pub fn is_another(&self, other: &Self) -> bool {
        self.moved_to(other).iter().any(|(name, ..)| Self::IDENTITY.contains(name))
    }

    /// What has moved from this look to `other`: name, before, after.
    pub fn moved_to<'a>(&'a self, other: &'a Self) -> Vec<(&'a str, &'a str, &'a str)> {
        let both =
            self.0.iter().filter_map(|(name, was)| Some((name.as_str(), was.as_str(), other.0.get(name)?.as_str())));
        both.filter(|(_, was, is)| was != is).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// What was seen of one resource, as far as a plan goes by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    Present(Facts),
    Absent,
    Unobservable,
}

impl Sight {
    /// Whether both were there, and are not the same thing.
    pub fn is_another(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Present(one), Self::Present(other)) if one.is_another(other))
    }

    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Present(one), Self::Present(other)) => one.same(other),
            // A role is absent while there is no instance, and out of sight once there is one that nobody has
            // logged in to: not seeing it is no sign that it came to be.
            (Self::Absent | Self::Unobservable, Self::Absent | Self::Unobservable) => true,
            _ => false,
        }
    }
}

/// SHA-256 of `value`, its first 16 hexadecimal digits: enough to see that something is another.
pub fn digest(value: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let hex: String = Sha256::digest(value).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Tags of a resource, key to value.
pub type Tags = BTreeMap<String, String>;

/// Who a resource belongs to, by its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This deployment, under this very address.
    Us,
    /// This deployment's tag, but another resource's address: a copy, or a renamed thing.
    OtherAddress(String),
    OtherDeployment(String),
    Nobody,
}

/// The mark this deployment puts on what it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub deployment: String,
    pub address: Address,
    /// What the config tags everything with beside: nothing is known by these.
    pub declared: Tags,
}

impl Mark {
    pub fn new(deployment: impl Into<String>, address: Address) -> Self {
        Self { deployment: deployment.into(), address, declared: Tags::new() }
    }

    /// The same, with tags that the config declares.
    #[must_use]
    pub fn declaring(mut self, tags: &Tags) -> Self {
        self.declared.clone_from(tags);
        self
    }

    /// All tags of what is made: those declared, and over them the ownership tags. Characters that some AWS service forbids in tag values are encoded.
    pub fn tags(&self) -> Tags {
        use function_contract::{encode_tag, tag};
        let mut tags = self.declared.clone();
        tags.insert(tag::DEPLOYMENT.to_owned(), encode_tag(&self.deployment));
        tags.insert(tag::ADDRESS.to_owned(), encode_tag(&self.address.to_string()));
        tags
    }

    /// Whether `tags` are whole and this deployment's, under whatever address.
    pub fn is_ours(&self, tags: &Tags) -> bool {
        address_of(&self.deployment, tags).is_some()
    }

    pub fn owner(&self, tags: &Tags) -> Owner {
        use function_contract::tag;
        let get = |key: &str| tags.get(key).map(|value| decoded(value));
        match (get(tag::DEPLOYMENT), get(tag::ADDRESS)) {
            (Some(deployment), _) if deployment != self.deployment => Owner::OtherDeployment(deployment),
            (_, Some(address)) if address != self.address.to_string() => Owner::OtherAddress(address),
            // A missing address, under a name that we derive, is drift and comes back. A missing deployment is
            // not: two deployments can have equal addresses, and one must not take over from the other.
            (Some(_), _) => Owner::Us,
            (None, Some(_) | None) => Owner::Nobody,
        }
    }
}

/// The address that `tags` name, where they are `deployment`'s: what is removed for no longer being declared
/// carries both tags.
pub fn address_of(deployment: &str, tags: &Tags) -> Option<String> {
    use function_contract::tag;
    let get = |key: &str| tags.get(key).map(|value| decoded(value));
    (get(tag::DEPLOYMENT)? == deployment).then(|| get(tag::ADDRESS)).flatten()
}

/// A tag's value as it was meant; what `encode_tag` did not write stands for itself.
fn decoded(value: &str) -> String {
    function_contract::decode_tag(value).unwrap_or_else(|| value.to_owned())
}

/// Where a deployment stands in AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// `aws`, `aws-cn` or `aws-us-gov`: the second part of every ARN.
    pub partition: String,
    /// Such as `eu-north-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

impl Place {
    /// The ARN of a regional resource whose name is ours to choose.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        let Self { partition, region, account } = self;
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use function_contract::tag;

    #[test]
    fn ownership_is_told_by_tags() {
        let mark = Mark::new("a", Address { kind: Kind("login"), name: "x/y".to_owned() });
        let without = |key: &str| {
            let mut tags = mark.tags();
            tags.remove(key);
            tags
        };
        let with = |key: &str, value: &str| {
            let mut tags = mark.tags();
            tags.insert(key.to_owned(), value.to_owned());
            tags
        };
        assert_eq!(mark.owner(&mark.tags()), Owner::Us);
        assert_eq!(mark.owner(&without(tag::ADDRESS)), Owner::Us);
        assert_eq!(mark.owner(&without(tag::DEPLOYMENT)), Owner::Nobody);
        assert_eq!(mark.owner(&Tags::new()), Owner::Nobody);
        assert_eq!(mark.owner(&with(tag::DEPLOYMENT, "b")), Owner::OtherDeployment("b".to_owned()));
        assert_eq!(mark.owner(&with(tag::ADDRESS, "login.z")), Owner::OtherAddress("login.z".to_owned()));
    }
}
