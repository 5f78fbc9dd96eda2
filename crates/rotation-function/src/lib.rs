//! The Lambda functions of pgrotate: rotation, provisioning and inspection, one binary.

pub mod config;
pub mod error;
pub mod event;
pub mod password;
pub mod scram;
pub mod secret;
pub mod store;
pub mod tls;
pub mod database;
