//! End to end: the real binary against the sandbox's AWS and a real PostgreSQL. One sandbox for all, an
//! account of its own for each test.

mod adopting;
mod again;
mod alerts;
mod article;
mod changes;
mod copies;
mod drifting;
mod faltering;
mod faults;
mod journal;
mod limiting;
mod lives;
mod logins;
mod mutations;
mod passwords;
mod recovering;
mod rotations;
mod saving;
#[path = "../scenarios/mod.rs"]
mod scenarios;
mod stopping;
mod support;
mod watching;
