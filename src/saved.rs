//! A saved plan: what was reviewed, and what was seen for it. `apply` of one runs exactly that, or nothing.
//!
//! The file is the plan's document with the config whole, the functions' digest and the facts of every address. Nothing
//! in it is read back as an instruction: `apply` plans again from the same config, which is pure, and compares. What is
//! still as it was seen must be planned as it was; what has become what the plan was to make it is done, so that a
//! file whose apply was stopped can be applied again; all else has moved.

use crate::code::{Code, Coded};
use crate::model::{Place, Sight};
use crate::plan::{Goal, Plan};
use crate::render::PlanDocument;
use crate::render::document::FORMAT;
use crate::resource::{AWAIT, Family};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::Path;

/// Raised when a file of before can no longer be understood.
const SCHEMA: u32 = 1;

/// A plan of ten thousand logins has some 40 MiB. A path can name anything, also what has no end.
const LONGEST: u64 = 256 << 20;

/// Verbs as the document writes them.
const CREATE: &str = "create";
const UPDATE: &str = "update";
const ENSURE: &str = "ensure";
const ADOPT: &str = "adopt";

/// The digest of a file; it does not stand within itself.
const DIGEST: &str = "sha256";

/// A saved plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    /// Also what tells such a file from any other JSON.
    pgrotate_plan: u32,
    /// Of the pgrotate that made it: another one may plan otherwise.
    version: String,
    pub config: SavedConfig,
    /// SHA-256 of the functions' zip, certificate authorities included, lower-case hex.
    function_zip: String,
    /// The document that `plan --format json` prints, without what is only told: what exceeds a limit, and lints.
    plan: Value,
    /// What of the network was found by its tags: what it is, and its ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    found: BTreeMap<String, String>,
    /// What was seen of every address.
    seen: BTreeMap<String, Sight>,
    /// The document, read.
    #[serde(skip)]
    reviewed: Reviewed,
}

/// The config that a plan was made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedConfig {
    /// As it was named on the command line; shown in errors.
    name: String,
    text: String,
    /// The files that it extends, each extended by the one before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bases: Vec<SavedFile>,
    /// The variables of the environment that it uses, with their values: what was reviewed was planned with these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<String, String>,
}

/// A file that a config extends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedFile {
    name: String,
    text: String,
}

impl SavedConfig {
    /// All that a config was read from: name and text of each file, and the variables that they use.
    pub fn of<'f>(files: impl Iterator<Item = (&'f str, &'f str)>, variables: &BTreeMap<String, String>) -> Self {
        let mut files = files.map(|(name, text)| SavedFile { name: name.to_owned(), text: text.to_owned() });
        let (name, text) = files.next().map(|SavedFile { name, text }| (name, text)).unwrap_or_default();
        Self { name, text, bases: files.collect(), variables: variables.clone() }
    }

    /// Name and text of each file: the named one's, then those that it extends.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        let bases = self.bases.iter().map(|SavedFile { name, text }| (name.as_str(), text.as_str()));
        std::iter::once((self.name.as_str(), self.text.as_str())).chain(bases)
    }

    /// The variables that they use, with their values.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }
}

/// Why a saved plan is not applied, or could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    #[error("cannot write the plan to {path}")]
    Unwritable { path: String, source: std::io::Error },
    #[error("cannot read the plan {path}")]
    Unreadable { path: String, source: std::io::Error },
    /// Not a saved plan, cut short, or changed by hand.
    #[error("{path} is not a whole saved plan: {because}")]
    Damaged { path: String, because: String },
    #[error("the plan was saved by pgrotate {saved}, and this is {}", env!("CARGO_PKG_VERSION"))]
    OtherVersion { saved: String },
    #[error("the plan was made for other functions than those of this pgrotate")]
    OtherFunctions,
    #[error("the plan was made for {what} {saved}, and this is {actual}")]
    Elsewhere { what: &'static str, saved: String, actual: String },
    #[error("the plan in the file is one of {}", if *destroys { "destroy" } else { "apply" })]
    OtherGoal { destroys: bool },
    /// What has moved since, a line each.
    #[error("what the plan was made for has moved since:\n{}", .0.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))]
    Moved(Vec<String>),
}

impl Coded for SavedError {
    fn code(&self) -> Code {
        match self {
            Self::Unwritable { .. } => Code::Io,
            Self::Unreadable { .. } => Code::FileUnreadable,
            Self::Damaged { .. } => Code::PlanDamaged,
            Self::OtherVersion { .. } | Self::OtherFunctions | Self::OtherGoal { .. } => Code::PlanUnfit,
            Self::Elsewhere { .. } => Code::WrongAccount,
            Self::Moved(_) => Code::Stale,
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Unwritable { .. } => "name a file that you may write, on a disk that has room",
            Self::Unreadable { .. } => "check the path, and that you may read it",
            Self::Damaged { .. } => "save it again: pgrotate plan CONFIG --out FILE; nothing was changed",
            Self::OtherVersion { .. } | Self::OtherFunctions => {
                "apply it with the pgrotate, zip and CA bundle that saved it, or plan again: pgrotate plan CONFIG --out \
                 FILE; nothing was changed"
            }
            Self::OtherGoal { destroys: true } => "pgrotate destroy FILE; nothing was changed",
            Self::OtherGoal { destroys: false } => "pgrotate apply FILE; nothing was changed",
            Self::Elsewhere { .. } => "use credentials of that account; nothing was changed",
            Self::Moved(_) => "plan again, and have that reviewed: pgrotate plan CONFIG --out FILE; nothing was changed",
        }
        .to_owned()
    }
}

impl SavedPlan {
    /// `function_zip` is the zip's SHA-256 in lower-case hex.
    pub fn of<F: Family>(
        plan: &Plan<F>,
        config: SavedConfig,
        function_zip: &str,
        place: &Place,
        deployment: &str,
    ) -> Self {
        let plan_document = document(plan, deployment, place);
        Self {
            pgrotate_plan: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config,
            function_zip: function_zip.to_owned(),
            reviewed: own(&plan_document),
            plan: plan_document,
            found: BTreeMap::new(),
            seen: plan.sights.iter().map(|(address, sight)| (address.to_string(), sight.clone())).collect(),
        }
    }

    /// The same, of a config that means its network by tags: for what they have led to.
    #[must_use]
    pub fn for_what_was_found(mut self, found: &BTreeMap<String, String>) -> Self {
        self.found.clone_from(found);
        self
    }

    /// Whether tags lead to the same network again: otherwise what was reviewed would be made somewhere else.
    pub fn found_again(&self, found: &BTreeMap<String, String>) -> Result<(), SavedError> {
        let ids = |of: &BTreeMap<String, String>, what: &String| of.get(what).cloned().unwrap_or_default();
        let all: BTreeSet<_> = self.found.keys().chain(found.keys()).collect();
        let moved: Vec<_> = all
            .into_iter()
            .map(|what| (what, ids(&self.found, what), ids(found, what)))
            .filter(|(_, was, is)| was != is)
            .map(|(what, was, is)| format!("{what} by tags: {was} → {is}"))
            .collect();
        if moved.is_empty() { Ok(()) } else { Err(SavedError::Moved(moved)) }
    }

    /// The same as another version would have saved it: a test's way to one.
    #[doc(hidden)]
    pub fn of_version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self
    }

    /// The same with another document in it: a test's way to one of another format.
    #[doc(hidden)]
    pub fn with_plan(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.plan);
        self
    }

    /// The file's text; the same plan gives the same.
    pub fn text(&self) -> String {
        let mut whole =
            serde_json::to_value(self).unwrap_or_else(|error| unreachable!("it has only text keys: {error}"));
        whole[DIGEST] = Value::from(sha256(&whole.to_string()));
        format!("{whole:#}\n")
    }

    /// Reads a text; `path` is shown as its file.
    pub fn parse(path: &str, text: &str) -> Result<Self, SavedError> {
        let damaged = |because: String| SavedError::Damaged { path: path.to_owned(), because };
        let mut whole: Value =
            serde_json::from_str(text).map_err(|error| damaged(format!("it is not JSON, or cut short: {error}")))?;
        let object = whole.as_object_mut().ok_or_else(|| damaged("it holds no object".to_owned()))?;
        match object.get("pgrotate_plan").map(Value::as_u64) {
            Some(Some(schema)) if schema == u64::from(SCHEMA) => {}
            Some(Some(schema)) => {
                return Err(damaged(format!("it is written in form {schema}, and this pgrotate knows form {SCHEMA}")));
            }
            _ => return Err(damaged("it is other JSON".to_owned())),
        }
        let said = object.shift_remove(DIGEST);
        if said.as_ref().and_then(Value::as_str) != Some(sha256(&whole.to_string()).as_str()) {
            return Err(damaged("it was changed after it was saved".to_owned()));
        }
        let mut saved: Self = serde_json::from_value(whole).map_err(|error| damaged(error.to_string()))?;
        // Of another release the rest may be otherwise; `fits` says which release it is of.
        if saved.version != env!("CARGO_PKG_VERSION") {
            return Ok(saved);
        }
        // Before the rest of it is read, which another format may have changed.
        match saved.plan.get("format").and_then(Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            format => {
                let format = format.map_or("none".to_owned(), |format| format.to_string());
                return Err(damaged(format!(
                    "its plan is of format {format}, and this pgrotate knows format {FORMAT}"
                )));
            }
        }
        saved.reviewed = Reviewed::deserialize(&saved.plan).map_err(|error| damaged(error.to_string()))?;
        Ok(saved)
    }

    /// Reads a file; None where it is no saved plan but, as its first byte tells, a config.
    pub fn load(path: &Path) -> Result<Option<Self>, SavedError> {
        let name = path.display().to_string();
        let failed = |source| SavedError::Unreadable { path: name.clone(), source };
        // A pipe can be read only once, and what comes through one is a config: its first byte must not be lost.
        if !std::fs::metadata(path).is_ok_and(|found| found.is_file()) {
            return Ok(None);
        }
        // What cannot be opened is told as a config would be: that is what most of them are.
        let Ok(file) = std::fs::File::open(path) else { return Ok(None) };
        let mut file = file.take(LONGEST);
        let mut first = [0u8; 1];
        // TOML cannot begin with a brace, and our JSON always does.
        if !matches!(file.read(&mut first), Ok(1)) || first != *b"{" {
            return Ok(None);
        }
        let mut text = "{".to_owned();
        match file.read_to_string(&mut text) {
            Ok(_) => Self::parse(&name, &text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(SavedError::Damaged { path: name.clone(), because: "it is not UTF-8".to_owned() })
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes the file whole or not at all: whoever applies it must not find a half.
    pub fn write(&self, path: &Path) -> Result<(), SavedError> {
        let failed = |source| SavedError::Unwritable { path: path.display().to_string(), source };
        write_whole(path, &self.text()).map_err(failed)
    }

    /// Whether this pgrotate, with these functions, may carry it out for `goal`.
    pub fn fits(&self, goal: Goal, function_zip: &str) -> Result<(), SavedError> {
        if self.version != env!("CARGO_PKG_VERSION") {
            return Err(SavedError::OtherVersion { saved: self.version.clone() });
        }
        let destroys = self.reviewed.goal == Goal::Destroy;
        if destroys != (goal == Goal::Destroy) {
            return Err(SavedError::OtherGoal { destroys });
        }
        if self.function_zip != function_zip {
            return Err(SavedError::OtherFunctions);
        }
        Ok(())
    }

    /// Whether it was made for this account and region, and this deployment.
    pub fn made_for(&self, place: &Place, deployment: &str) -> Result<(), SavedError> {
        let Place { partition, region, account } = place;
        let was = &self.reviewed.place;
        for (what, saved, actual) in [
            ("account", &was.account, account.as_str()),
            ("region", &was.region, region),
            ("partition", &was.partition, partition),
            ("deployment", &self.reviewed.deployment, deployment),
        ] {
            if saved != actual {
                return Err(SavedError::Elsewhere { what, saved: saved.clone(), actual: actual.to_owned() });
            }
        }
        Ok(())
    }

    /// Whether it was made for where `now` would be applied, and `now` is what is left of it to do.
    pub fn check<F: Family>(&self, now: &Plan<F>, place: &Place, deployment: &str) -> Result<(), SavedError> {
        self.made_for(place, deployment)?;
        let is = own(&document(now, deployment, place));
        let (then, is) = (self.reviewed.by_address(), is.by_address());
        let sights: BTreeMap<String, &Sight> = now.sights.iter().map(|(at, sight)| (at.to_string(), sight)).collect();
        let none = Vec::new();
        // An address that has nothing to do has not moved away from the plan, whatever it was: unless it is another
        // one, which the plan was not to make.
        let moved = sights.iter().filter_map(|(address, sees)| {
            let address = address.as_str();
            let (then, now) = (then.get(address).unwrap_or(&none), is.get(address).unwrap_or(&none));
            let why = moved(self.seen.get(address), sees, then, now)?;
            Some(format!("{address}: {why}"))
        });
        let moved: Vec<_> = moved.collect();
        if moved.is_empty() { Ok(()) } else { Err(SavedError::Moved(moved)) }
    }
}

/// A document that was just made.
fn own(document: &Value) -> Reviewed {
    Reviewed::deserialize(document).unwrap_or_else(|error| unreachable!("a document is read as it is written: {error}"))
}

fn document<F: Family>(plan: &Plan<F>, deployment: &str, place: &Place) -> Value {
    serde_json::to_value(PlanDocument::of(plan, deployment, place))
        .unwrap_or_else(|error| unreachable!("a document has only text keys: {error}"))
}

/// Writes a file whole or not at all; what stood there before is replaced at once.
pub fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    written(path, text)?.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The same, where nothing of that name is there.
pub fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    written(path, text)?.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

/// A file beside `path`, whole on the disk.
fn written(path: &Path, text: &str) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Asked first: told of the temporary file, a missing folder would be hard to recognise.
    std::fs::metadata(folder)?;
    let mut file = new_file(folder)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all())?;
    Ok(file)
}

/// Readable as any other file that is written: by whom the umask says.
fn new_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What of a plan's document was reviewed, and is compared.
#[derive(Debug, Clone, Default, Deserialize)]
struct Reviewed {
    deployment: String,
    #[serde(flatten)]
    place: ReviewedPlace,
    goal: Goal,
    actions: Vec<Action>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct ReviewedPlace {
    partition: String,
    region: String,
    account: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Action {
    address: String,
    change: String,
    verb: String,
    risk: String,
    attributes: Vec<Attribute>,
}

/// Values as [`crate::model::Shown`] is written.
#[derive(Debug, Clone, Deserialize)]
struct Attribute {
    name: String,
    before: Value,
    after: Value,
}

impl Reviewed {
    /// By address, each address's in their order.
    fn by_address(&self) -> BTreeMap<&str, Vec<&Action>> {
        let mut all: BTreeMap<&str, Vec<&Action>> = BTreeMap::new();
        for action in &self.actions {
            all.entry(&action.address).or_default().push(action);
        }
        all
    }
}

/// Why what is planned `now` for an address is not what is left of what was planned `then`.
fn moved(saw: Option<&Sight>, sees: &Sight, then: &[&Action], all: &[&Action]) -> Option<String> {
    if all.is_empty() {
        // It is as it was to become, or nobody wanted anything of it and nobody does.
        return saw.filter(|saw| then.is_empty() && saw.is_another(sees)).map(|saw| told(saw, sees));
    }
    let Some(saw) = saw else { return Some(format!("it is new, and wants {}", keys(all))) };
    let changes = |actions: &[&'_ Action]| actions.iter().filter(|action| action.change != AWAIT).count();
    let waits = |actions: &[&Action]| actions.len() > changes(actions);
    // An apply of this file that was stopped has come so far; or a role was out of sight until its function was made.
    let came_further =
        changes(all) < changes(then) || (waits(all) && !waits(then)) || matches!(saw, Sight::Unobservable);
    let as_seen = saw.same(sees);
    if !as_seen && !came_further {
        return Some(told(saw, sees));
    }
    let is_another = saw.is_another(sees);
    // What is left of what was planned, in its order. Where an output is known by now that was not then, one step may
    // do what two were to do.
    let mut left = then.iter();
    for now in all.iter().filter(|action| action.change != AWAIT) {
        let Some(planned) = left.by_ref().find(|planned| planned.change == now.change) else {
            return Some(format!("{}, and wants {} instead of {}", told(saw, sees), keys(all), keys(then)));
        };
        // Of one that the plan was to make anew only what follows its making was reviewed; of any other, nothing.
        let creates = |action: &&Action| action.verb == CREATE;
        let made_anew = then.iter().any(creates) && !creates(planned) && !left.clone().any(creates);
        if is_another && !made_anew {
            return Some(told(saw, sees));
        }
        if let Some(what) = otherwise(now, planned, then, as_seen, *saw == Sight::Unobservable) {
            return Some(format!("it would become otherwise: {what}"));
        }
    }
    None
}

/// What of an action is otherwise than it was reviewed among the address's. What was to be known only after apply may
/// be known now.
fn otherwise(now: &Action, planned: &Action, then: &[&Action], as_seen: bool, unseen: bool) -> Option<String> {
    let Action { address: _, change, verb, risk, attributes } = now;
    // What was to be created is made sure of where it can be there already: no more than that. And what was to be made
    // sure of unseen may turn out to be there, or not.
    let same_verb = *verb == planned.verb
        || (verb == ENSURE && planned.verb == CREATE)
        || (unseen && planned.verb == ENSURE && [CREATE, UPDATE, ADOPT].contains(&verb.as_str()));
    if !same_verb || *risk != planned.risk {
        return Some(format!("{change} is {verb} of risk {risk}, and was {} of risk {}", planned.verb, planned.risk));
    }
    let later = |attribute: &Attribute| attribute.after.get("after_apply").is_some();
    for Attribute { name, before, after } in attributes {
        let mine = planned.attributes.iter().find(|was| was.name == *name);
        let was = mine.or_else(|| then.iter().flat_map(|other| &other.attributes).find(|was| was.name == *name));
        match was {
            Some(was)
                if (later(was) || was.after == *after) && (!as_seen || mine.is_none() || was.before == *before) => {}
            _ => return Some(name.clone()),
        }
    }
    let is: BTreeSet<&str> = attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    let gone = planned.attributes.iter().find(|was| as_seen && !later(was) && !is.contains(was.name.as_str()));
    gone.map(|was| was.name.clone())
}

fn keys(actions: &[&Action]) -> String {
    if actions.is_empty() {
        return "nothing".to_owned();
    }
    actions.iter().map(|action| action.change.as_str()).collect::<Vec<_>>().join(", ")
}

fn told(saw: &Sight, sees: &Sight) -> String {
    let words = |sight: &Sight| match sight {
        Sight::Present(_) => "there",
        Sight::Absent => "absent",
        Sight::Unobservable => "out of sight",
    };
    if let (Sight::Present(was), Sight::Present(is)) = (saw, sees) {
        let moved = was.moved_to(is);
        if !moved.is_empty() {
            return moved
                .into_iter()
                .map(|(name, was, is)| format!("{name} {was} → {is}"))
                .collect::<Vec<_>>()
                .join(", ");
        }
    }
    match (words(saw), words(sees)) {
        (was, is) if was == is => format!("it is {is} as it was"),
        (was, is) => format!("it was {was} and is {is}"),
    }
}
