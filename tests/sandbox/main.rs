//! End to end: the real binary against the sandbox's AWS and a real PostgreSQL. One sandbox for all, an
//! account of its own for each test.

mod adopting;
mod again;
mod alerts;
mod article;
mod assuming;
mod beginning;
mod changes;
mod clusters;
mod codes;
mod copies;
#[path = "../documentation/mod.rs"]
mod documentation;
mod documented;
mod documents;
mod drifting;
mod faltering;
mod faults;
mod fleet;
mod halfway;
mod journal;
mod kinds;
mod limiting;
mod linting;
mod lives;
mod logging;
mod logins;
mod mending;
mod mutations;
mod passwords;
mod picture;
mod recovering;
mod reporting;
mod reviewing;
mod rotations;
mod saving;
#[path = "../scenarios/mod.rs"]
mod scenarios;
mod stopping;
mod support;
mod tagged_network;
mod tags;
mod watching;
