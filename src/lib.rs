//! pgrotate declares, plans and keeps password rotation for PostgreSQL on Amazon RDS.
//!
//! A config file becomes a desired model, observation says what AWS holds, [`plan`] (pure) turns the two
//! into actions, [`execute`] runs them in order. No password passes through any of it: they are born and
//! kept inside the VPC by the deployed functions.

pub mod aws;
pub mod cli;
pub mod code;
pub mod command;
pub mod config;
pub mod desired;
pub mod drift;
pub mod execute;
pub mod explain;
pub mod function_zip;
pub mod graph;
pub mod init;
pub mod lint;
pub mod model;
pub mod plan;
pub mod render;
pub mod resource;
pub mod resources;
pub mod saved;
pub mod schema;
