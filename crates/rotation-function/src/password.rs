//! Passwords: how they are made, and the type that keeps them.

use zeroize::Zeroizing;

/// Length of a generated password, in characters; the default of AWS's own rotation functions.
pub const LENGTH: usize = 32;

/// Left out of generated passwords, as AWS's rotation functions do by default: characters that
/// connection URLs, shells and quoting give a meaning.
pub const EXCLUDED: &str = ":/@\"'\\";

const CLASSES: [&[u8]; 4] = [
    b"abcdefghijklmnopqrstuvwxyz",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"0123456789",
    // ASCII punctuation less EXCLUDED.
    b"!#$%&()*+,-.;<=>?[]^_`{|}~",
];

/// A password. It cannot be printed, compared, copied or serialised, and its memory is overwritten when
/// it is dropped.
///
/// ```
/// fn owned<T: Send + Sync>() {}
/// owned::<rotation_function::password::Password>();
/// ```
///
/// ```compile_fail
/// fn printable<T: std::fmt::Debug>() {}
/// printable::<rotation_function::password::Password>();
/// ```
///
/// ```compile_fail
/// fn printable<T: std::fmt::Display>() {}
/// printable::<rotation_function::password::Password>();
/// ```
///
/// ```compile_fail
/// fn serialisable<T: serde::Serialize>() {}
/// serialisable::<rotation_function::password::Password>();
/// ```
///
/// ```compile_fail
/// fn copied<T: Clone>() {}
/// copied::<rotation_function::password::Password>();
/// ```
pub struct Password(Zeroizing<String>);

impl Password {
    /// Makes a password of [`LENGTH`] characters from the operating system's generator, each drawn
    /// uniformly, with at least one lower-case letter, one upper-case letter, one digit and one mark.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let symbols: Vec<u8> = CLASSES.concat();
        // Bytes from here on are drawn again, since a plain remainder would favour the first symbols.
        let limit = 256 - 256 % symbols.len();
        loop {
            let mut text = Zeroizing::new(String::with_capacity(LENGTH));
            let mut bytes = Zeroizing::new([0u8; 2 * LENGTH]);
            while text.len() < LENGTH {
                getrandom::fill(bytes.as_mut_slice())?;
                let usable = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < limit);
                let missing = LENGTH - text.len();
                text.extend(usable.take(missing).map(|byte| char::from(symbols[byte % symbols.len()])));
            }
            // Drawing all of it again, rather than repairing it, keeps every admissible password equally likely.
            if CLASSES.iter().all(|class| text.bytes().any(|byte| class.contains(&byte))) {
                return Ok(Self(text));
            }
        }
    }

    pub(crate) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The password itself, for the one who logs in with it, stores it or derives a verifier.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_class_is_in_and_nothing_else() {
        for _ in 0..500 {
            let password = Password::generate().unwrap();
            let text = password.expose();
            assert_eq!(text.len(), LENGTH);
            for class in CLASSES {
                assert!(text.bytes().any(|byte| class.contains(&byte)), "{text}");
            }
            assert!(!text.contains(|c: char| EXCLUDED.contains(c) || !c.is_ascii_graphic()), "{text}");
        }
    }

    #[test]
    fn all_printable_characters_but_the_excluded_are_used_evenly() {
        let mut seen: BTreeMap<u8, u32> = BTreeMap::new();
        for _ in 0..2_000 {
            for byte in Password::generate().unwrap().expose().bytes() {
                *seen.entry(byte).or_default() += 1;
            }
        }
        let expected: Vec<u8> = (b'!'..=b'~').filter(|byte| !EXCLUDED.contains(char::from(*byte))).collect();
        assert_eq!(seen.keys().copied().collect::<Vec<_>>(), expected);
        // 64,000 draws over 88 symbols: 727 each, a standard deviation of 27; digits are a little above
        // because a password without one is drawn again.
        assert!(seen.values().all(|count| (550..=950).contains(count)), "{seen:?}");
    }
}
