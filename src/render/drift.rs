//! Drift: a plan's document read the other way round. A plan says what will be done and why; who asks for drift
//! wants to know what has become of what was declared.

use super::document::{ActionDocument, FORMAT, PlanDocument};
use crate::model::{Address, Place, Shown};
use crate::resource::{AWAIT, Note, Verb};
use serde::Serialize;

/// What has moved away from the config.
#[derive(Debug, Clone, Serialize)]
pub struct DriftDocument {
    pub format: u32,
    pub deployment: String,
    #[serde(flatten)]
    pub place: Place,
    pub findings: Vec<Finding>,
    /// How many resources are as declared.
    pub unchanged: usize,
}

/// One thing that is not as declared.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub address: Address,
    /// What is wrong, in a few words.
    pub what: String,
    /// Whether nothing of it is there: `moved` then tells all that was declared of it.
    pub missing: bool,
    /// What is otherwise than declared, where it can be said by attributes.
    pub moved: Vec<Moved>,
    /// The command, or the act, that mends it.
    pub fix: String,
}

/// One attribute's way from what was declared to what there is.
#[derive(Debug, Clone, Serialize)]
pub struct Moved {
    pub name: &'static str,
    pub declared: Shown,
    pub is: Shown,
}

impl DriftDocument {
    /// `apply` is the command that carries the plan out.
    pub fn of(plan: &PlanDocument, apply: &str) -> Self {
        let of_action = |action: &ActionDocument| Finding {
            address: action.address.clone(),
            what: what(action),
            missing: action.verb == Verb::Create,
            moved: moved(action),
            fix: apply.to_owned(),
        };
        let of_note = |note: &Note| {
            let fix = note.fix.clone()?;
            Some(Finding {
                address: note.address.clone(),
                what: note.text.clone(),
                missing: false,
                moved: Vec::new(),
                fix,
            })
        };
        let mut findings: Vec<_> = plan.actions.iter().filter(|action| !is_told(plan, action)).map(of_action).collect();
        findings.extend(plan.notes.iter().filter_map(of_note));
        findings.sort_by(|a, b| a.address.cmp(&b.address));
        Self {
            format: FORMAT,
            deployment: plan.deployment.clone(),
            place: plan.place.clone(),
            findings,
            unchanged: plan.unchanged.len(),
        }
    }
}

/// Whether another action of the address says all: what is missing is not otherwise than declared as well, and what
/// must be deleted to be made anew is not missing.
fn is_told(plan: &PlanDocument, action: &ActionDocument) -> bool {
    let has = |verb| plan.actions.iter().any(|other| other.address == action.address && other.verb == verb);
    match action.verb {
        Verb::Create => has(Verb::Delete),
        Verb::Update => has(Verb::Create),
        Verb::Adopt | Verb::Ensure | Verb::Rotate | Verb::Delete => false,
    }
}

/// What was found. A plan's `because` is that only in part: it may as well say why it does a thing.
fn what(action: &ActionDocument) -> String {
    let because = action.because.as_deref().unwrap_or("for no reason that was told");
    let words = match (action.address.kind.0, action.change, action.verb) {
        ("rotation", _, Verb::Create) => "it does not rotate",
        (_, _, Verb::Create) => "it is missing",
        (_, _, Verb::Adopt) => "it is there, and is not yet this deployment's",
        ("security_group", "revoke-default-egress", _) => "it lets everything out: AWS's own rule is back",
        ("security_group", "revoke-unmanaged", _) => "it has rules that pgrotate did not make",
        ("secret", "restore", _) => "it was deleted, and can still be restored",
        ("stack", "set-hosts", _) => "its functions talk to other servers than the database's",
        ("stack", "repair", _) => {
            let what: Vec<_> = action.attributes.iter().filter_map(|attribute| attribute.before.as_text()).collect();
            return format!("it was changed behind CloudFormation: {}", what.join(", "));
        }
        (_, "set-tags", _) => "it lacks tags by which it is known as this deployment's",
        ("login", _, Verb::Delete) => "it is no longer declared, and may log in",
        ("rotation", _, Verb::Delete) => "it is no longer declared, and rotates",
        (_, AWAIT, _) | ("login", _, Verb::Update) | (_, _, Verb::Rotate) => because,
        (_, _, Verb::Ensure) => return format!("it cannot be looked at: {because}"),
        // It is made anew.
        ("stack", _, Verb::Delete) if action.because.is_some() => because,
        (_, _, Verb::Delete) => "it is no longer declared",
        (_, _, Verb::Update) => "it is not as declared",
    };
    words.to_owned()
}

fn moved(action: &ActionDocument) -> Vec<Moved> {
    match (action.address.kind.0, action.change, action.verb) {
        // A login's attributes are all that is declared of it, whatever of them has moved: `what` says which. It says
        // all of these too.
        ("login", _, _) | ("stack", "repair", _) | ("security_group", "revoke-default-egress", _) => return Vec::new(),
        (_, _, Verb::Create | Verb::Update) => {}
        (_, _, Verb::Adopt | Verb::Ensure | Verb::Rotate | Verb::Delete) => return Vec::new(),
    }
    // What is known only once something else is made tells nothing of what was there.
    let told = |shown: &Shown| !matches!(shown, Shown::AfterApply(_) | Shown::Withheld);
    let moved = action.attributes.iter().filter(|attribute| action.verb == Verb::Update || told(&attribute.after));
    moved
        .map(|attribute| Moved {
            name: attribute.name,
            declared: attribute.after.clone(),
            is: attribute.before.clone(),
        })
        .collect()
}
