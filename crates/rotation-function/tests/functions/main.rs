//! The functions against a real PostgreSQL. One test binary, so that one server serves all tests; `make majors` runs
//! it on 15, 16, 17 and 18. What 15 has not, and the tests ask the server's version for: `scram_iterations`, and
//! ADMIN OPTION as what limits CREATEROLE, so that on 15 an admin login reaches every role that is no superuser.

mod alternating;
mod bugs;
mod clones;
mod connections;
mod crash;
mod desk;
mod events;
mod explore;
mod explored;
mod failover;
mod fake;
mod faults;
mod inspection;
mod listener;
mod matrix;
mod matrix_apply;
mod memory;
mod names;
mod passwords;
mod plaintext;
mod privileges;
mod process;
mod provisioning;
mod recovering;
mod refusals;
mod removing;
mod replica;
mod sandbox;
mod security;
mod server;
mod single;
mod soak;
mod world;
