//! Plans as text that a person can read in review, and the executor over a simulated AWS. No network, no
//! process, no clock that matters.

mod adopting;
mod clusters;
mod config_schema;
mod destroying;
mod executing;
mod explaining;
mod facts;
mod formats;
mod golden;
mod laws;
mod limiting;
mod linting;
mod lives;
mod look_alikes;
mod makespan;
mod markdown;
mod mutations;
mod pages;
mod refusing;
mod saving;
mod scenario;
#[path = "../scenarios/mod.rs"]
mod scenarios;
mod schemas;
mod simulation;
mod speed;
mod stopping;
mod telling;
mod watching;
