//! Where the databases are: an instance, or a cluster of them. Who depends on it need not know which.

use super::db_cluster::DbCluster;
use super::db_instance::DbInstance;
use crate::model::Ref;
use crate::resource::{OutputOf, Producer};
use std::fmt;

/// The `db_instance` or the `db_cluster` of a deployment: both give the same outputs.
#[derive(Debug, Clone)]
pub struct Database;

impl Producer for Database {
    type Outputs = Outputs;
}

impl From<Ref<DbInstance>> for Ref<Database> {
    fn from(instance: Ref<DbInstance>) -> Self {
        Self::to(instance.address().clone())
    }
}

impl From<Ref<DbCluster>> for Ref<Database> {
    fn from(cluster: Ref<DbCluster>) -> Self {
        Self::to(cluster.address().clone())
    }
}

#[derive(Debug, Clone)]
pub struct Outputs {
    pub server: Server,
    pub servers: Servers,
    pub master_secret: MasterSecretArn,
}

/// ARN of the secret in which RDS keeps the master user's password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterSecretArn(pub String);

impl fmt::Display for MasterSecretArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An IPv6 address holds colons; a name or an IPv4 address does not.
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// All that holds the databases: first where they are written, then what else leads to them (replicas, a cluster's other
/// endpoints, its members). A secret may name any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers(Vec<Server>);

impl Servers {
    pub(super) fn of<'a>(writer: &'a Server, others: impl IntoIterator<Item = &'a Server>) -> Self {
        Self([writer].into_iter().chain(others).cloned().collect())
    }

    /// Whether `address` (`host:port`) is one of them; names are told apart by no case.
    pub fn has(&self, address: &str) -> bool {
        self.0.iter().any(|server| server.to_string().eq_ignore_ascii_case(address))
    }
}

impl fmt::Display for Servers {
    /// As the functions read them: `host:port,…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, server) in self.0.iter().enumerate() {
            let before = if number > 0 { "," } else { "" };
            write!(f, "{before}{server}")?;
        }
        Ok(())
    }
}

impl OutputOf for Server {
    type By = Database;
    fn of(outputs: &Outputs) -> Self {
        outputs.server.clone()
    }
}

impl OutputOf for Servers {
    type By = Database;
    fn of(outputs: &Outputs) -> Self {
        outputs.servers.clone()
    }
}

impl OutputOf for MasterSecretArn {
    type By = Database;
    fn of(outputs: &Outputs) -> Self {
        outputs.master_secret.clone()
    }
}
