//! Where an instance and its replicas listen.

use std::fmt;

/// Where the instance listens.
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

/// All that holds the instance's databases: the writer first, then its replicas. A secret may name any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers(Vec<Server>);

impl Servers {
    pub(super) fn of(writer: &Server, replicas: &[Server]) -> Self {
        Self([writer].into_iter().chain(replicas).cloned().collect())
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
