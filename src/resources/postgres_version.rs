//! Versions of PostgreSQL, as RDS writes them.

use std::fmt;

/// A PostgreSQL version: the major, and the minor where one is known or asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: Option<u32>,
}

impl Version {
    /// Reads `16` and `16.8`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('.') {
            None => Some(Self { major: text.parse().ok()?, minor: None }),
            Some((major, minor)) => Some(Self { major: major.parse().ok()?, minor: Some(minor.parse().ok()?) }),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            None => write!(f, "{}", self.major),
            Some(minor) => write!(f, "{}.{minor}", self.major),
        }
    }
}
