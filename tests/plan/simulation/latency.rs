//! How long things take.

use std::time::Duration;

/// Seconds of simulated time, those of the sandbox's preset `aws` (sandbox/plugin/delays.py) where both have
/// them.
#[derive(Debug, Clone, Copy)]
pub struct Latencies {
    /// Assumed: a call that reads.
    pub look: f64,
    /// Assumed: a call of the control plane that writes.
    pub change: f64,
    /// Assumed: an invocation of a warm function that hashes a password and waits for its locks.
    pub invoke: f64,
    /// Assumed, from AWS's eventual consistency: what is made is not seen for so long.
    pub unseen: f64,
    /// Assumed: the smallest instances take five to ten minutes.
    pub instance_create: f64,
    /// Assumed: after the instance is available.
    pub master_secret: f64,
    /// Assumed: RDS says `available` for so long after it has taken a change.
    pub instance_idle: f64,
    /// Assumed.
    pub instance_modify: f64,
    /// Assumed.
    pub instance_delete: f64,
    /// Assumed.
    pub stack_create: f64,
    /// Assumed.
    pub stack_update: f64,
    /// Assumed.
    pub stack_delete: f64,
    /// Assumed.
    pub endpoint_create: f64,
    /// Assumed.
    pub endpoint_delete: f64,
    /// Assumed: create, set, test, finish, with a pause between two.
    pub rotation: f64,
}

/// As on AWS.
pub const AWS: Latencies = Latencies {
    look: 0.05,
    change: 0.2,
    invoke: 1.0,
    unseen: 2.0,
    instance_create: 400.0,
    master_secret: 30.0,
    instance_idle: 5.0,
    instance_modify: 60.0,
    instance_delete: 240.0,
    stack_create: 90.0,
    stack_update: 60.0,
    stack_delete: 60.0,
    endpoint_create: 60.0,
    endpoint_delete: 60.0,
    rotation: 3.0,
};

pub fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
