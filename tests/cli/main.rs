//! The real binary, given what it cannot use: one clear error each, nothing changed, the exit code that
//! is documented. Every run has an environment of its own.

// Shared with the end-to-end tests, which use more of it.
#[allow(dead_code, reason = "shared with the end-to-end tests, which use all of it")]
#[path = "../sandbox/support.rs"]
mod support;

mod arguments;
mod config;
mod credentials;
mod network;
mod not_ours;
mod snapshot;
