//! Colours for what `human` writes, line by line: what is painted is what was written, so that a terminal and a file
//! hold the same words. Whether anything is painted is not decided here.

use console::Style;

/// The text with its colours, as escape sequences.
pub fn paint(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            let (text, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
            painted(text) + end
        })
        .collect()
}

fn painted(line: &str) -> String {
    let style = Style::new().force_styling(true);
    let of_line = match line.chars().next() {
        _ if line.starts_with("+ ") => Some(style.clone().green()),
        _ if line.starts_with("~ ") || line.starts_with("↻ ") => Some(style.clone().yellow()),
        _ if line.starts_with("- ") => Some(style.clone().red()),
        _ if line.starts_with("No changes: ") || line.starts_with("None: ") => Some(style.clone().green()),
        _ if line.starts_with("  ! irreversible: ") => Some(style.clone().red().bold()),
        _ if line.starts_with("  ! interrupts: ") => Some(style.clone().yellow().bold()),
        // Lines of a text that changed.
        _ if line.starts_with("        -") => Some(style.clone().red()),
        _ if line.starts_with("        +") => Some(style.clone().green()),
        // A heading.
        Some(first) if first.is_alphabetic() && line.ends_with(':') => Some(style.clone().bold()),
        _ => None,
    };
    if let Some(style) = of_line {
        return style.apply_to(line).to_string();
    }
    // The first word alone: the rest is for reading.
    let words: [(&str, Style); 15] = [
        ("critical", style.clone().red().bold()),
        ("warning", style.clone().yellow().bold()),
        ("info", style.clone().cyan().bold()),
        ("error", style.clone().red().bold()),
        ("refused", style.clone().red().bold()),
        ("  failed", style.clone().red().bold()),
        ("  stale", style.clone().yellow().bold()),
        ("  skipped", style.clone().yellow()),
        ("  cancelled", style.clone().yellow()),
        ("  done", style.clone().green()),
        ("hint:", style.clone().cyan()),
        ("    hint:", style.clone().cyan()),
        ("    fix:", style.clone().cyan()),
        ("      hint:", style.clone().cyan()),
        ("      fix:", style.clone().cyan()),
    ];
    for (word, style) in words {
        let Some(rest) = line.strip_prefix(word) else { continue };
        // With its code: `critical[login-broken]: …`.
        let code = rest.split_once("]:").filter(|_| rest.starts_with('[')).map_or(0, |(code, _)| code.len() + 2);
        if code > 0 || word.ends_with(':') || rest.starts_with(' ') {
            let (head, rest) = line.split_at(word.len() + code);
            return format!("{}{rest}", style.apply_to(head));
        }
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No word is lost or added, whatever the text.
    #[test]
    fn the_words_stay() {
        let text = "Plan for deployment x in account 1, y\n\nRisks:\n  ! interrupts: create a.b: why\n\n+ create a.b\n      \
                    name  - not a removal\n- delete c.d\ncritical[login-broken]: e.f: it\n      fix: pgrotate apply x\n  done  a.b (0.1 s)\n\
                    error: gone\n\nno newline at the end: [31m";
        assert_eq!(console::strip_ansi_codes(&paint(text)), text);
        assert_eq!(paint(""), "");
    }

    #[test]
    fn what_is_painted() {
        let shown = |line: &str| paint(line).replace('\u{1b}', "^");
        assert_eq!(shown("+ create a.b"), "^[32m+ create a.b^[0m");
        assert_eq!(shown("critical[login-broken]: e.f: it"), "^[31m^[1mcritical[login-broken]:^[0m e.f: it");
        assert_eq!(shown("      fix: pgrotate apply x"), "^[36m      fix:^[0m pgrotate apply x");
        // Neither a word that only begins so, nor a name.
        for plain in ["informally", "      name  - not a removal", "done", "erroneous: x"] {
            assert_eq!(shown(plain), plain);
        }
    }
}
