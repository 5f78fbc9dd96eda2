//! The functions against a real PostgreSQL. One test binary, so that one server serves all tests.

mod alternating;
mod clones;
mod crash;
mod events;
mod failover;
mod fake;
mod faults;
mod inspection;
mod provisioning;
mod recovering;
mod removing;
mod security;
mod server;
mod single;
mod world;
