//! No text, however broken, is met with a panic.

use super::super::{error, parse};
use super::{ARTICLE, LEAST, with};
use proptest::prelude::*;

#[test]
fn nesting_without_end_is_refused() {
    let deep = 200_000;
    for text in [
        format!("{}x = 1", "a.".repeat(deep)),
        format!("[{}x]", "a.".repeat(deep)),
        format!("a = {}", "[".repeat(deep)),
        format!("a = {}", "{a=".repeat(deep)),
        format!("a = {{ {}x = 1 }}", "a.".repeat(deep)),
    ] {
        assert!(parse("deep.toml", &text).is_err());
    }
}

/// Told or read, but shown without a panic.
fn survives(text: &str) {
    if let Err(errors) = parse("any.toml", text) {
        assert!(errors.count() > 0);
        let shown = errors.to_string();
        assert!(!shown.contains(|c| c != '\n' && error::is_unprintable(c)), "{shown:?}");
    }
}

/// Pieces that get further into the checks than noise does.
const PIECES: [&str; 24] = [
    "",
    "\"",
    "[",
    "]",
    "{",
    "}",
    "=",
    "\n",
    "0",
    "-1",
    "99999999999999999999",
    "1.5",
    "true",
    "1979-05-27",
    "\\u0000",
    "ü",
    "_clone",
    "cron(",
    "/",
    "cron(0 4 ? * SUN *)",
    "[[user]]\n",
    "[rotation]\n",
    "\u{202e}",
    "\r",
];

proptest! {
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn any_damage_to_the_article_is_answered(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, 0..PIECES.len()), 1..8),
    ) {
        // Without its comments, where damage does nothing.
        let lines = ARTICLE.lines().filter(|line| !line.starts_with('#'));
        let mut text: Vec<char> = lines.flat_map(|line| line.chars().chain(['\n'])).collect();
        for (at, length, piece) in cuts {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, PIECES[piece].chars());
        }
        survives(&text.into_iter().collect::<String>());
    }

    #[test]
    fn any_value_anywhere_is_answered(line in any::<prop::sample::Index>(), value in any::<String>(), piece in 0..PIECES.len()) {
        let mut lines: Vec<String> = LEAST.lines().map(str::to_owned).collect();
        let line = line.index(lines.len());
        if let Some((key, _)) = lines[line].split_once(" = ") {
            let plain = format!("{key} = {}", PIECES[piece]);
            lines[line] = format!("{key} = '''\n{}'''", value.replace("'''", ""));
            survives(&lines.join("\n"));
            lines[line] = plain;
            survives(&lines.join("\n"));
        }
    }

    #[test]
    fn any_schedule_is_answered(every in "[0-9]{0,12} ?(day|hour|week)?s?", cron in "cron\\([0-9A-Z*?#,/L -]{0,40}\\)", window in "[0-9]{0,3}h?") {
        survives(&with("every = \"10 days\"", &format!("every = \"{every}\"\nwindow = \"{window}\"")));
        survives(&with("every = \"10 days\"", &format!("cron = \"{cron}\"\nwindow = \"{window}\"")));
        survives(&with("every = \"10 days\"", &format!("cron = \"cron(0 {} ? *)\"", cron.trim_start_matches("cron(").trim_end_matches(')'))));
    }
}
