//! Passwords: how they are made, and the type that keeps them.

use function_contract::PasswordPolicy;
use zeroize::Zeroizing;

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
    /// Makes a password as `policy` says, from the operating system's generator: each character drawn uniformly,
    /// with at least one of every class that the policy leaves.
    pub fn generate(policy: &PasswordPolicy) -> Result<Self, getrandom::Error> {
        let (length, classes, symbols) = (policy.length(), policy.classes(), policy.symbols());
        // Bytes from here on are drawn again, since a plain remainder would favour the first symbols. There are
        // 94 at most, so a byte always has room for all of them.
        let limit = 256 - 256 % symbols.len();
        loop {
            let mut text = Zeroizing::new(String::with_capacity(length));
            let mut bytes = Zeroizing::new([0u8; 2 * PasswordPolicy::LONGEST]);
            while text.len() < length {
                getrandom::fill(bytes.as_mut_slice())?;
                let usable = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < limit);
                let missing = length - text.len();
                text.extend(usable.take(missing).map(|byte| char::from(symbols[byte % symbols.len()])));
            }
            // Drawing all of it again, rather than repairing it, keeps every admissible password equally likely. A
            // policy's strength bounds how often: at worst about one in ten is admissible.
            if classes.iter().all(|class| text.bytes().any(|byte| class.contains(&byte))) {
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
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn made(policy: &PasswordPolicy) -> String {
        Password::generate(policy).unwrap().expose().to_owned()
    }

    #[test]
    fn every_class_is_in_and_nothing_else() {
        let policy = PasswordPolicy::default();
        for _ in 0..500 {
            let text = made(&policy);
            assert_eq!(text.len(), 32);
            for class in policy.classes() {
                assert!(text.bytes().any(|byte| class.contains(&byte)), "{text}");
            }
            assert!(!text.contains(|c: char| ":/@\"'\\".contains(c) || !c.is_ascii_graphic()), "{text}");
        }
    }

    /// Of 2,000 passwords, how often each character stands in them.
    fn counts(policy: &PasswordPolicy) -> BTreeMap<u8, usize> {
        let mut seen = BTreeMap::new();
        for byte in (0..2_000).flat_map(|_| made(policy).into_bytes()) {
            *seen.entry(byte).or_default() += 1;
        }
        seen
    }

    #[test]
    fn all_characters_that_are_left_are_used_evenly() {
        for policy in [
            PasswordPolicy::default(),
            PasswordPolicy::url_safe(32).unwrap(),
            PasswordPolicy::new(32, "").unwrap(),
            // 70 symbols: 256 is no multiple of them, nor near one.
            PasswordPolicy::new(32, "!\"#$%&'()*+,-./:;<=>?@[\\").unwrap(),
        ] {
            let seen = counts(&policy);
            let mut symbols = policy.symbols();
            symbols.sort_unstable();
            assert_eq!(seen.keys().copied().collect::<Vec<_>>(), symbols);
            // Over 88 symbols, 727 each with a standard deviation of 27; those of a small class are a little above,
            // because a password without one is drawn again.
            let expected = 2_000 * policy.length() / symbols.len();
            let near = expected * 3 / 4..=expected * 5 / 4;
            assert!(seen.values().all(|count| near.contains(count)), "{expected}: {seen:?}");
        }
    }

    proptest! {
        #[test]
        fn any_policy_is_kept_to(length in 20usize..=99, excluded in "[!-~]{0,90}") {
            // One that is too weak is none.
            let Ok(policy) = PasswordPolicy::new(length, &excluded) else { return Ok(()) };
            prop_assert!(policy.bits() >= 128.0);
            let text = made(&policy);
            prop_assert_eq!(text.len(), length);
            prop_assert!(!text.contains(|c| excluded.contains(c)));
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            for class in policy.classes() {
                prop_assert!(text.bytes().any(|byte| class.contains(&byte)));
            }
            prop_assert_eq!(PasswordPolicy::read_tag(&policy.tag()), Ok(policy));
        }

        #[test]
        fn any_tag_is_read_or_refused_without_panic(text in ".*", length in "[0-9]{0,30}") {
            for tag in [text.clone(), format!("{length}:{text}")] {
                if let Ok(policy) = PasswordPolicy::read_tag(&tag) {
                    prop_assert!(policy.bits() >= 128.0);
                }
            }
        }
    }

    /// The fewest of them that are admissible: three characters that must each be there, beside many others.
    #[test]
    fn a_class_of_one_character_takes_no_time() {
        let all_but_one = |class: &str| class[1..].to_owned();
        let excluded = all_but_one("abcdefghijklmnopqrstuvwxyz")
            + &all_but_one("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
            + &all_but_one("0123456789");
        let policy = PasswordPolicy::new(27, &excluded).unwrap();
        assert_eq!(policy.symbols().len(), 35);
        for _ in 0..200 {
            let text = made(&policy);
            assert!(["a", "A", "0"].iter().all(|one| text.contains(one)), "{text}");
        }
    }
}
