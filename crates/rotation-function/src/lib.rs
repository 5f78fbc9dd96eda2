//! The Lambda functions of pgrotate: rotation, provisioning and inspection, one binary.
//!
//! The library is generic over where secrets are kept ([`store::SecretStore`]) and over what one logs in to
//! ([`database::Database`], [`session::RoleSession`]), so that tests can fail either at any point and can try every
//! order of two runs; the binary has one of each. What a rotation promises, and why it holds, is in
//! `docs/rotation-protocol.md`.

pub mod config;
pub mod context;
pub mod database;
pub mod dependents;
pub mod error;
pub mod event;
pub mod handler;
pub mod inspection;
pub mod logging;
pub mod ownership;
pub mod password;
pub mod provisioning;
pub mod roles;
pub mod rotation;
pub mod scram;
pub mod secret;
pub mod session;
pub mod store;
pub mod tls;
pub mod watch;

mod alternating;
mod lock;
mod single;
