//! The functions against a real PostgreSQL. One test binary, so that one server serves all tests.

mod alternating;
mod bugs;
mod crash;
mod desk;
mod events;
mod explore;
mod failover;
mod fake;
mod faults;
mod inspection;
mod matrix;
mod memory;
mod provisioning;
mod sandbox;
mod security;
mod server;
mod single;
mod soak;
mod world;
