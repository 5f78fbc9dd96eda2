//! Tags of what we make: those by which it is known as ours, and those that the config declares for all of it. What others
//! added is left alone, and so is a declared tag that the config no longer names: nothing tells it from theirs.

use crate::drift::DriftCode;
use crate::model::{Mark, Shown, Tags};
use crate::resource::{Diff, Step, Verb};

/// What a thing lacks of its tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lack {
    /// Keys of those by which it is known, missing or of another value.
    own: Vec<String>,
    /// Declared ones: key, value as it is, value as declared.
    declared: Vec<(String, Option<String>, String)>,
}

impl Lack {
    /// What `live` lacks of `mark`'s tags.
    pub fn of(mark: &Mark, live: &Tags) -> Self {
        Self::of_all(mark, &mark.tags(), live)
    }

    /// What `live` lacks of `want`, which are `mark`'s tags and others by which the thing is known.
    pub fn of_all(mark: &Mark, want: &Tags, live: &Tags) -> Self {
        let mut lack = Self::default();
        for (key, value) in want.iter().filter(|(key, value)| live.get(*key) != Some(*value)) {
            if mark.declared.contains_key(key) {
                lack.declared.push((key.clone(), live.get(key).cloned(), value.clone()));
            } else {
                lack.own.push(key.clone());
            }
        }
        lack
    }

    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.declared.is_empty()
    }

    /// Takes one of the tags by which it is known out, and answers whether it was lacking.
    pub fn take(&mut self, key: &str) -> bool {
        let before = self.own.len();
        self.own.retain(|own| own != key);
        self.own.len() < before
    }

    /// Which drift it is, the worse first.
    pub fn drift(&self) -> Vec<DriftCode> {
        let of = [(&DriftCode::TagsMissing, self.own.is_empty()), (&DriftCode::TagsChanged, self.declared.is_empty())];
        of.into_iter().filter(|(_, nothing)| !nothing).map(|(code, _)| *code).collect()
    }

    /// A step that makes it good, with what it shows.
    pub fn shown<C>(&self, step: Step<C>) -> Step<C> {
        let before = self.declared.iter().filter_map(|(key, value, _)| Some(format!("{key}={}", value.as_ref()?)));
        let after = self.declared.iter().map(|(key, _, value)| format!("{key}={value}"));
        step.set("tags", Shown::list(&self.own)).attribute("declared_tags", Shown::list(before), Shown::list(after))
    }

    /// The step that makes good no more than this, by `change`; None where nothing is lacking.
    pub fn step<C>(&self, cx: &mut Diff<'_>, change: impl FnOnce() -> C) -> Option<Step<C>> {
        let mut drift = self.drift().into_iter();
        let step = cx.step("set-tags", Verb::Update, drift.next()?, change());
        Some(self.shown(drift.fold(step, Step::and)))
    }
}

/// What a new thing is tagged with, as its plan shows it.
pub(super) fn declared(mark: &Mark) -> Shown {
    Shown::list(mark.declared.iter().map(|(key, value)| format!("{key}={value}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Address, Kind};

    fn mark() -> Mark {
        let mark = Mark::new("shop", Address { kind: Kind("secret"), name: "app".to_owned() });
        let tags = [("team", "payments"), ("cost-center", "4711")];
        mark.declaring(&tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
    }

    #[test]
    fn what_is_lacking_and_which_drift_it_is() {
        let mark = mark();
        let mut live = mark.tags();
        live.insert("of-others".to_owned(), "stays".to_owned());
        assert_eq!(Lack::of(&mark, &live), Lack::default());
        live.insert("team".to_owned(), "search".to_owned());
        live.remove("cost-center");
        let lack = Lack::of(&mark, &live);
        assert_eq!(lack.drift(), [DriftCode::TagsChanged]);
        assert_eq!(
            lack.declared,
            [
                ("cost-center".to_owned(), None, "4711".to_owned()),
                ("team".to_owned(), Some("search".to_owned()), "payments".to_owned())
            ]
        );
        live.remove(function_contract::tag::ADDRESS);
        assert_eq!(Lack::of(&mark, &live).drift(), [DriftCode::TagsMissing, DriftCode::TagsChanged]);
        let mut lack = Lack::of(&mark, &live);
        assert!(lack.take(function_contract::tag::ADDRESS) && !lack.take(function_contract::tag::ADDRESS));
        assert_eq!(lack.drift(), [DriftCode::TagsChanged]);
    }
}
