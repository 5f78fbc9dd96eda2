//! What people and programs read. Every format is made from the same document; none looks at a plan
//! itself.

pub mod document;
pub mod graph;
pub mod human;

pub use document::{DriftDocument, GraphDocument, LoginStatus, PlanDocument, ReportDocument, StatusDocument};
