//! How passwords are made: a length and a set of characters, which a deployment declares, a tag on the secret
//! carries to the functions, and nobody can make weak on the way.

use crate::{decode_tag, encode_tag};
use std::collections::BTreeSet;
use std::fmt;

/// All that a password may be made of, by class: the printable characters of ASCII but the space, which people
/// and shells lose at the ends of a text.
const CLASSES: [&str; 4] =
    ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"];

/// Left out by default, as AWS's rotation functions do (their `EXCLUDE_CHARACTERS`): characters that connection
/// URLs, shells and quoting give a meaning.
const DEFAULT_EXCLUDED: &str = ":/@\"'\\";

/// The marks that a URL takes as they stand (RFC 3986, "unreserved"), beside letters and digits.
const URL_SAFE_MARKS: &str = "-._~";

/// How passwords are made. One that exists is strong: it is checked wherever it is made or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordPolicy {
    length: usize,
    excluded: BTreeSet<char>,
}

/// Why there is no such policy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    #[error(
        "a password has {shortest} to {longest} characters, not {0}",
        shortest = PasswordPolicy::SHORTEST,
        longest = PasswordPolicy::LONGEST
    )]
    Length(usize),
    #[error("{0:?} is in no password anyway: all are made of the printable characters of ASCII, without the space")]
    NotPrintable(char),
    /// `least`: the length that would do, where one would.
    #[error(
        "{length} characters out of {symbols} make {bits} bits, and a password has at least {least_bits}",
        least_bits = PasswordPolicy::LEAST_BITS
    )]
    Weak { length: usize, symbols: usize, bits: u32, least: Option<usize> },
    #[error("it is not written as a password policy is")]
    Unreadable,
}

impl PasswordPolicy {
    /// The least strength, in bits, as NIST's highest commonly asked one (SP 800-57: 128): whoever reads a verifier
    /// from a stolen backup can try passwords as fast as machines allow, and must never get through.
    pub const LEAST_BITS: u32 = 128;

    /// The least length at which any set of characters reaches [`LEAST_BITS`](Self::LEAST_BITS): all 94 make 6.55
    /// bits each. (It is above the 16 that many organisations ask for.)
    pub const SHORTEST: usize = 20;

    /// The most that every client takes: psql, pg_dump and their like read no more than 99 characters at their
    /// prompts before version 14 (`simple_prompt` with a buffer of 100). PostgreSQL itself, Secrets Manager (65,536
    /// characters of a value) and RDS's own limit of a master's password (128) are beyond that.
    pub const LONGEST: usize = 99;

    /// The length where nothing is said; the default of AWS's own rotation functions.
    pub const DEFAULT_LENGTH: usize = 32;

    /// Passwords of `length` characters without any of `excluded`.
    ///
    /// # Errors
    /// A length out of bounds, an excluded character that no password has, or too little left.
    pub fn new(length: usize, excluded: &str) -> Result<Self, PolicyError> {
        if !(Self::SHORTEST..=Self::LONGEST).contains(&length) {
            return Err(PolicyError::Length(length));
        }
        if let Some(other) = excluded.chars().find(|c| !CLASSES.iter().any(|class| class.contains(*c))) {
            return Err(PolicyError::NotPrintable(other));
        }
        let policy = Self { length, excluded: excluded.chars().collect() };
        if policy.bits() >= f64::from(Self::LEAST_BITS) {
            return Ok(policy);
        }
        let least = (length..=Self::LONGEST)
            .find(|length| Self { length: *length, ..policy.clone() }.bits() >= f64::from(Self::LEAST_BITS));
        Err(PolicyError::Weak { length, symbols: policy.symbols().len(), bits: policy.bits().max(0.0) as u32, least })
    }

    /// Passwords of `length` characters that stand in a URL as they are: letters, digits and `-._~`.
    ///
    /// # Errors
    /// A length out of bounds, or too short for 128 bits.
    pub fn url_safe(length: usize) -> Result<Self, PolicyError> {
        Self::new(length, &CLASSES[3].replace(|mark| URL_SAFE_MARKS.contains(mark), ""))
    }

    /// Passwords of `length` characters without AWS's default exclusions, `:/@"'\`.
    ///
    /// # Errors
    /// A length out of bounds.
    pub fn without_default_exclusions(length: usize) -> Result<Self, PolicyError> {
        Self::new(length, DEFAULT_EXCLUDED)
    }

    /// How many characters a password has.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The characters by class, as far as any of a class is left: a password has at least one of each.
    pub fn classes(&self) -> Vec<Vec<u8>> {
        let left = |class: &&str| class.bytes().filter(|byte| !self.excluded.contains(&char::from(*byte))).collect();
        CLASSES.iter().map(left).filter(|class: &Vec<u8>| !class.is_empty()).collect()
    }

    /// All characters that are left, each as likely as any other.
    pub fn symbols(&self) -> Vec<u8> {
        self.classes().concat()
    }

    /// The strength in bits: the logarithm of how many different passwords there are, those without one of each
    /// class not counted.
    pub fn bits(&self) -> f64 {
        let sizes: Vec<f64> = self.classes().iter().map(|class| class.len() as f64).collect();
        let all: f64 = sizes.iter().sum();
        if all == 0.0 {
            return 0.0;
        }
        let length = self.length as f64;
        // Inclusion and exclusion over the classes that a random text may miss.
        let with_each: f64 = (0..1u32 << sizes.len())
            .map(|missed| {
                let gone: f64 = sizes.iter().enumerate().filter(|(at, _)| missed >> at & 1 == 1).map(|(_, n)| n).sum();
                let sign = if missed.count_ones() % 2 == 0 { 1.0 } else { -1.0 };
                sign * ((all - gone) / all).powf(length)
            })
            .sum();
        length * all.log2() + with_each.max(f64::MIN_POSITIVE).log2()
    }

    /// The value of the secret's tag: the length, and the excluded characters, [`encode_tag`]ged. At most 160 of
    /// the 256 characters of a tag's value.
    pub fn tag(&self) -> String {
        format!("{}:{}", self.length, encode_tag(&self.excluded.iter().collect::<String>()))
    }

    /// Reads what [`tag`](Self::tag) wrote. Whoever may tag a secret may not make its passwords weak.
    ///
    /// # Errors
    /// [`PolicyError::Unreadable`], and those of [`new`](Self::new).
    pub fn read_tag(text: &str) -> Result<Self, PolicyError> {
        let (length, excluded) = text.split_once(':').ok_or(PolicyError::Unreadable)?;
        let length = length.parse().map_err(|_| PolicyError::Unreadable)?;
        Self::new(length, &decode_tag(excluded).ok_or(PolicyError::Unreadable)?)
    }
}

impl Default for PasswordPolicy {
    /// What AWS's rotation functions do by default: 32 characters without `:/@"'\`.
    fn default() -> Self {
        Self { length: Self::DEFAULT_LENGTH, excluded: DEFAULT_EXCLUDED.chars().collect() }
    }
}

/// For people.
impl fmt::Display for PasswordPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} characters", self.length)?;
        if Self::url_safe(self.length).as_ref() == Ok(self) {
            f.write_str(", URL-safe")
        } else if self.excluded.is_empty() {
            f.write_str(" of any kind")
        } else {
            write!(f, " without {}", self.excluded.iter().collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_aws_s() {
        let policy = PasswordPolicy::default();
        assert_eq!(policy, PasswordPolicy::new(32, ":/@\"'\\").unwrap());
        assert_eq!(policy, PasswordPolicy::without_default_exclusions(32).unwrap());
        assert_eq!((policy.length(), policy.symbols().len(), policy.classes().len()), (32, 88, 4));
        assert!((205.0..206.8).contains(&policy.bits()), "{}", policy.bits());
        assert_eq!(policy.to_string(), "32 characters without \"'/:@\\");
    }

    #[test]
    fn what_is_url_safe_needs_no_escape() {
        let policy = PasswordPolicy::url_safe(32).unwrap();
        let symbols = policy.symbols();
        assert_eq!(symbols.len(), 26 + 26 + 10 + 4);
        assert!(symbols.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(b)));
        assert_eq!(policy.to_string(), "32 characters, URL-safe");
    }

    #[test]
    fn the_bounds_are_where_they_say() {
        // All 94: the shortest there is.
        let all = PasswordPolicy::new(PasswordPolicy::SHORTEST, "").unwrap();
        assert_eq!((all.symbols().len(), all.to_string().as_str()), (94, "20 characters of any kind"));
        assert!(bits_of(PasswordPolicy::SHORTEST - 1, "") < 128.0);
        for length in [0, 1, PasswordPolicy::SHORTEST - 1, PasswordPolicy::LONGEST + 1, usize::MAX] {
            assert_eq!(PasswordPolicy::new(length, ""), Err(PolicyError::Length(length)));
        }
        assert!(PasswordPolicy::new(PasswordPolicy::LONGEST, "").is_ok());
        for other in ['é', ' ', '\n', '\0', '\u{1F600}'] {
            let error = PasswordPolicy::new(32, &format!("a{other}b")).unwrap_err();
            assert_eq!(error, PolicyError::NotPrintable(other));
        }
    }

    /// Of a policy that `new` may refuse.
    fn bits_of(length: usize, excluded: &str) -> f64 {
        PasswordPolicy { length, excluded: excluded.chars().collect() }.bits()
    }

    #[test]
    fn too_little_left_is_refused_with_what_would_do() {
        let letters = CLASSES[0].to_owned() + CLASSES[1] + CLASSES[3];
        let error = PasswordPolicy::new(32, &letters).unwrap_err();
        // Digits: 3.32 bits each.
        assert_eq!(error, PolicyError::Weak { length: 32, symbols: 10, bits: 106, least: Some(39) });
        assert!(PasswordPolicy::new(39, &letters).is_ok());
        let but_one = format!("{letters}012345678");
        let error = PasswordPolicy::new(99, &but_one).unwrap_err();
        assert_eq!(error, PolicyError::Weak { length: 99, symbols: 1, bits: 0, least: None });
        let error = PasswordPolicy::new(99, &(letters + CLASSES[2])).unwrap_err();
        assert_eq!(error, PolicyError::Weak { length: 99, symbols: 0, bits: 0, least: None });
        assert!(error.to_string().contains("at least 128"), "{error}");
    }

    #[test]
    fn strength_counts_only_what_has_one_of_each_class() {
        // Two classes of one character each: 2^20 texts, less the two that are all one letter.
        let excluded = CLASSES.concat().replace(['a', '7'], "");
        let bits = bits_of(20, &excluded);
        assert!((bits - f64::from((1u32 << 20) - 2).log2()).abs() < 1e-9, "{bits}");
    }

    #[test]
    fn tags_are_read_back_and_fit() {
        for policy in [
            PasswordPolicy::default(),
            PasswordPolicy::url_safe(99).unwrap(),
            PasswordPolicy::new(20, "").unwrap(),
            PasswordPolicy::new(64, CLASSES[3]).unwrap(),
            PasswordPolicy::new(99, &(CLASSES[0].to_owned() + CLASSES[1] + CLASSES[3])).unwrap(),
        ] {
            let tag = policy.tag();
            assert!(
                tag.len() <= 160 && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:=-".contains(&b)),
                "{tag}"
            );
            assert_eq!(PasswordPolicy::read_tag(&tag), Ok(policy));
        }
        assert_eq!(PasswordPolicy::default().tag(), "32:=22=27=2F=3A=40=5C");
        for bad in ["", "32", ":", "x:", "-1:", "32:=", "32:=FF", "32:=2", "99999999999999999999999:"] {
            assert_eq!(PasswordPolicy::read_tag(bad), Err(PolicyError::Unreadable), "{bad:?}");
        }
        // Somebody who may tag the secret makes nothing weak by it.
        for weak in ["8:", "100:", "20:abcdefghijklmnopqrstuvwxyz0123456789"] {
            assert!(PasswordPolicy::read_tag(weak).is_err(), "{weak:?}");
        }
    }
}
