//! Many deployments in one document: how each stands, or why nobody can say.

use super::document::{FORMAT, Head, Lint, PlanDocument, StatusDocument, Title};
use super::drift::DriftDocument;
use crate::code::Code;
use crate::model::Address;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

/// What became of each deployment that was named: `plan`, `drift`, `status` and `validate` of several, with `--format json`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeploymentsDocument {
    /// Of all documents: it is raised with every change that a reader could notice.
    pub format: u32,
    /// What it tells.
    pub document: Title,
    /// In the order of the paths that were given; those of a directory by name.
    pub deployments: Vec<DeploymentDocument>,
}

impl DeploymentsDocument {
    pub fn new(deployments: Vec<DeploymentDocument>) -> Self {
        Self { format: FORMAT, document: Title::Deployments, deployments }
    }
}

/// One deployment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(extend("anyOf" = [{ "required": ["document"] }, { "required": ["errors"] }]))]
pub struct DeploymentDocument {
    /// Its config file, as it was named.
    pub file: String,
    /// What the same command prints of it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<OneDocument>,
    /// Where it failed. The exit code goes by the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ErrorDocument>,
}

/// A document of one deployment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum OneDocument {
    Plan(PlanDocument),
    Drift(DriftDocument),
    Status(StatusDocument),
    Validation(ValidationDocument),
}

impl OneDocument {
    /// Whose it is and where; of a config that AWS was not asked about, what the config says of it.
    pub fn whose(&self) -> (&str, Option<&str>, Option<&str>) {
        match self {
            Self::Plan(PlanDocument { head, .. })
            | Self::Drift(DriftDocument { head, .. })
            | Self::Status(StatusDocument { head, .. }) => {
                let Head { deployment, place, .. } = head;
                (deployment, Some(&place.account), Some(&place.region))
            }
            Self::Validation(ValidationDocument { deployment, account, region, .. }) => {
                (deployment.as_deref().unwrap_or_default(), account.as_deref(), region.as_deref())
            }
        }
    }

    /// Whether there is something that a person may want to look at.
    pub fn tells(&self) -> bool {
        match self {
            Self::Plan(plan) => !plan.is_empty() || plan.notes.iter().any(|note| note.remedy.is_some()),
            Self::Drift(drift) => !drift.findings.is_empty(),
            Self::Status(status) => status.logins.iter().any(|login| !login.healthy),
            Self::Validation(validation) => !validation.lints.is_empty(),
        }
    }
}

/// One thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorDocument {
    /// Under which it is documented.
    pub code: Code,
    /// What is wrong, in a sentence.
    pub message: String,
    /// Its causes, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The file it is in, where that is one that the config extends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where the config is to blame: from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// From 1, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Where one resource stands in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// What can be said of a config without AWS: `validate --format json`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ValidationDocument {
    /// Of all documents: it is raised with every change that a reader could notice.
    pub format: u32,
    /// What it tells.
    pub document: Title,
    /// The config file, as it was named.
    pub config: String,
    /// The deployment's name, where the file is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Twelve digits, where the file says it: the guard's, or the role's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Where the file is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// How many there are, the admin login among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logins: Option<usize>,
    /// In the file's order; none of a valid file.
    pub errors: Vec<ErrorDocument>,
    /// What it has that is often regretted, and does not allow.
    pub lints: Vec<Lint>,
}

/// Which deployments there are, and where: `targets --format json`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TargetsDocument {
    /// Of all documents: it is raised with every change that a reader could notice.
    pub format: u32,
    /// What it tells.
    pub document: Title,
    /// In the order of the paths that were given; those of a directory by name.
    pub targets: Vec<Target>,
}

/// One deployment, by its config.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Target {
    /// Its name.
    pub deployment: String,
    /// Its config file, as it was named.
    pub file: String,
    /// Where it is.
    pub region: String,
    /// Twelve digits, where the file says it: the guard's, or the role's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// ARN of the role that is assumed for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

impl TargetsDocument {
    pub fn new(targets: Vec<Target>) -> Self {
        Self { format: FORMAT, document: Title::Targets, targets }
    }

    /// On one line, as a step's output is: `{"include": […]}`. What the file does not say is empty, so that each job has
    /// all of them.
    pub fn github_matrix(&self) -> String {
        let include = self.targets.iter().map(|Target { deployment, file, region, account, role }| {
            json!({
                "deployment": deployment,
                "file": file,
                "region": region,
                "account": account.as_deref().unwrap_or_default(),
                "role": role.as_deref().unwrap_or_default(),
            })
        });
        json!({ "include": include.collect::<Vec<_>>() }).to_string()
    }
}
