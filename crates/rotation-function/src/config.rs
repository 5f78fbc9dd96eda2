//! The environment a function runs in, read once.

use function_contract::env;
use std::path::PathBuf;

/// Which of the three functions this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Rotation,
    Provisioning,
    Inspection,
}

impl Function {
    /// The spelling in the environment and in log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rotation => "rotation",
            Self::Provisioning => "provisioning",
            Self::Inspection => "inspection",
        }
    }
}

/// What the environment lacks or spells wrong.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    #[error("{0} is not set")]
    Missing(&'static str),
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
    #[error("{name}={0:?} is none of rotation, provisioning, inspection", name = env::FUNCTION)]
    Function(String),
    #[error("{name}: {0:?} is not host:port", name = env::HOSTS)]
    Host(String),
    #[error("{}: {because}", path.display())]
    CaBundle { path: PathBuf, because: String },
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    #[error("this is not the function that answers {0}")]
    WrongFunction(&'static str),
}

/// The servers a function may talk to.
///
/// A secret's JSON can be written by whoever may write secrets; without this list its `host` could point
/// the admin login's password at a server of theirs.
///
/// The first is the writer; the others, replicas of it, are read from and logged in to, never written to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<(String, u16)>);

impl Hosts {
    /// Reads `host:port,…`; an IPv6 address stands in brackets. Empty text is an empty list.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut hosts = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let parts = entry.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
            let Some((host, port)) = parts.filter(|(host, _)| !host.is_empty()) else {
                return Err(ConfigError::Host(entry.to_owned()));
            };
            let server = (normal(host), port);
            if !hosts.contains(&server) {
                hosts.push(server);
            }
        }
        Ok(Self(hosts))
    }

    /// Whether the function may connect there. Names are compared as DNS does, ignoring case.
    pub fn allow(&self, host: &str, port: u16) -> bool {
        self.0.contains(&(normal(host), port))
    }

    /// Where what is written goes, and where locks are taken: a replica has no part in either.
    pub fn writer(&self) -> Option<(&str, u16)> {
        self.iter().next()
    }

    /// All of them, the writer first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u16)> {
        self.0.iter().map(|(host, port)| (host.as_str(), *port))
    }
}

fn normal(host: &str) -> String {
    unbracketed(host).to_ascii_lowercase()
}

/// A host as a resolver and a certificate know it: an IPv6 address without the brackets that set it off from
/// a port.
pub(crate) fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// `host:port`, an IPv6 address in brackets.
pub(crate) fn address(host: &str, port: u16) -> String {
    let host = unbracketed(host);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The environment, typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub function: Function,
    pub deployment: String,
    pub hosts: Hosts,
    pub admin_secret_arn: String,
    /// Set exactly for [`Function::Provisioning`].
    pub master_secret_arn: Option<String>,
    pub lock_database: String,
}

impl Config {
    /// Reads the variables of [`function_contract::env`] of this process.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(|name| match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(ConfigError::NotText(name)),
        })
    }

    fn read(get: impl Fn(&'static str) -> Result<Option<String>, ConfigError>) -> Result<Self, ConfigError> {
        let need = |name| get(name)?.filter(|value| !value.is_empty()).ok_or(ConfigError::Missing(name));
        let function = match need(env::FUNCTION)?.as_str() {
            "rotation" => Function::Rotation,
            "provisioning" => Function::Provisioning,
            "inspection" => Function::Inspection,
            other => return Err(ConfigError::Function(other.to_owned())),
        };
        Ok(Self {
            function,
            deployment: need(env::DEPLOYMENT)?,
            // Empty is meant: until the CLI knows the servers, every one of them is refused.
            hosts: Hosts::parse(&get(env::HOSTS)?.unwrap_or_default())?,
            admin_secret_arn: need(env::ADMIN_SECRET_ARN)?,
            master_secret_arn: match function {
                Function::Provisioning => Some(need(env::MASTER_SECRET_ARN)?),
                Function::Rotation | Function::Inspection => None,
            },
            lock_database: need(env::LOCK_DATABASE)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: &[(&'static str, Option<&str>)]) -> Result<Config, ConfigError> {
        Config::read(|name| {
            if let Some((_, value)) = change.iter().find(|(changed, _)| *changed == name) {
                return Ok(value.map(str::to_owned));
            }
            Ok(Some(match name {
                env::FUNCTION => "rotation".to_owned(),
                env::HOSTS => "Db.example:5432, [::1]:5433".to_owned(),
                other => format!("value of {other}"),
            }))
        })
    }

    #[test]
    fn hosts_are_compared_as_dns_does() {
        let hosts = read(&[]).unwrap().hosts;
        assert!(hosts.allow("db.EXAMPLE", 5432));
        assert!(hosts.allow("::1", 5433));
        assert!(!hosts.allow("db.example", 5433));
        assert!(!hosts.allow("db.example.evil", 5432));
        assert!(!read(&[(env::HOSTS, None)]).unwrap().hosts.allow("db.example", 5432));
    }

    #[test]
    fn the_first_server_is_the_writer() {
        let hosts = Hosts::parse("z.example:5432,a.example:5432,Z.example:5432").unwrap();
        assert_eq!(hosts.writer(), Some(("z.example", 5432)));
        assert_eq!(hosts.iter().collect::<Vec<_>>(), [("z.example", 5432), ("a.example", 5432)]);
        assert_eq!(Hosts::default().writer(), None);
    }

    #[test]
    fn ipv6_addresses_are_bracketed_beside_a_port_and_nowhere_else() {
        for host in ["fd00::1", "[fd00::1]"] {
            assert_eq!(address(host, 5432), "[fd00::1]:5432");
            assert_eq!(unbracketed(host), "fd00::1");
            assert!(Hosts::parse("[FD00::1]:5432").unwrap().allow(host, 5432));
        }
        assert_eq!(address("db.example", 1), "db.example:1");
        // Half a bracket is part of a name that nobody has.
        assert_eq!(unbracketed("[fd00::1"), "[fd00::1");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!(read(&[(env::DEPLOYMENT, Some(""))]).unwrap_err(), ConfigError::Missing(env::DEPLOYMENT));
        assert_eq!(read(&[(env::FUNCTION, Some("x"))]).unwrap_err(), ConfigError::Function("x".into()));
        assert_eq!(read(&[(env::HOSTS, Some("db"))]).unwrap_err(), ConfigError::Host("db".into()));
        assert_eq!(read(&[(env::HOSTS, Some(":5432"))]).unwrap_err(), ConfigError::Host(":5432".into()));
    }

    #[test]
    fn only_provisioning_knows_the_master_secret() {
        assert_eq!(read(&[]).unwrap().master_secret_arn, None);
        let provisioning = [(env::FUNCTION, Some("provisioning"))];
        assert!(read(&provisioning).unwrap().master_secret_arn.is_some());
        let without = [provisioning[0], (env::MASTER_SECRET_ARN, None)];
        assert_eq!(read(&without).unwrap_err(), ConfigError::Missing(env::MASTER_SECRET_ARN));
    }
}
