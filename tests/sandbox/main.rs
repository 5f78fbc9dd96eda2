//! End to end: the real binary against the sandbox's AWS and a real PostgreSQL. One sandbox for all, an
//! account of its own for each test.

mod again;
mod article;
mod changes;
mod drifting;
mod faltering;
mod lives;
mod logins;
mod recovering;
mod rotations;
#[path = "../scenarios/mod.rs"]
mod scenarios;
mod stopping;
mod support;
