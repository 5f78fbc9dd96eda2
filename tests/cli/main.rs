//! The real binary, given what it cannot use: one clear error each, nothing changed, the exit code that
//! is documented. Every run has an environment of its own.

// Shared with the end-to-end tests, which use more of it.
#[allow(dead_code, reason = "shared with the end-to-end tests, which use all of it")]
#[path = "../sandbox/support.rs"]
mod support;

mod answers;
mod arguments;
mod beginning;
mod codes;
mod config;
mod credentials;
#[path = "../documentation/mod.rs"]
mod documentation;
mod documented;
mod drift_codes;
mod lints;
mod many;
mod network;
mod not_ours;
mod reference;
mod reports;
mod saved;
mod snapshot;
mod surroundings;

impl support::Account {
    /// Those of the requests since the one of number `before` that change something.
    fn changes_since(&self, before: usize) -> Vec<String> {
        let reads = ["Describe", "Get", "List", "Head", "Filter", "Detect"];
        self.requests()
            .split_off(before)
            .into_iter()
            .map(|(_, what)| what)
            .filter(|what| !reads.iter().any(|read| what.split('.').nth(1).is_some_and(|name| name.starts_with(read))))
            .collect()
    }
}
