//! The functions against a real PostgreSQL. One test binary, so that one server serves all tests; `make majors` runs
//! it on 15, 16, 17 and 18. What 15 has not, and the tests ask the server's version for: `scram_iterations`, and
//! ADMIN OPTION as what limits CREATEROLE, so that on 15 an admin login reaches every role that is no superuser.

mod alternating;
mod connections;
mod crash;
mod events;
mod failover;
mod fake;
mod faults;
mod inspection;
mod listener;
mod names;
mod plaintext;
mod provisioning;
mod refusals;
mod replica;
mod security;
mod server;
mod single;
mod world;
