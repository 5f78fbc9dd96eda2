//! What people and programs read. Every format is made from the same document; none looks at a plan
//! itself.

pub mod deployments;
pub mod document;
pub mod drift;
pub mod explanation;
pub mod graph;
pub mod html;
pub mod human;
pub mod journal;
pub mod live;
pub mod markdown;
pub mod paint;
pub mod run;
pub mod summary;

pub use deployments::{
    DeploymentDocument, DeploymentsDocument, ErrorDocument, OneDocument, Target, TargetsDocument, ValidationDocument,
};
pub use document::{GraphDocument, LoginStatus, PlanDocument, ReportDocument, StatusDocument};
pub use drift::{DriftDocument, Finding, Moved, Trouble};
pub use explanation::ExplanationDocument;
