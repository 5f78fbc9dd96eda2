//! The functions against a real PostgreSQL. One test binary, so that one server serves all tests.

mod alternating;
mod events;
mod fake;
mod faults;
mod provisioning;
mod server;
mod world;
