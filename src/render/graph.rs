//! Graphs as text for the tools that draw them.

use super::document::GraphDocument;
use super::human::sign;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Graphviz's language.
pub fn dot(graph: &GraphDocument) -> String {
    let mut out = String::from("digraph deployment {\n  rankdir = LR;\n  node [shape = box];\n");
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    for (address, verb) in &graph.resources {
        let label = verb.map_or_else(|| address.clone(), |verb| format!("{} {address}", sign(verb)));
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {} [label = {}];", quoted(address), quoted(&label));
    }
    for (first, then) in &graph.edges {
        let _ = writeln!(out, "  {} -> {};", quoted(first), quoted(then));
    }
    out.push_str("}\n");
    out
}

/// Mermaid's language.
pub fn mermaid(graph: &GraphDocument) -> String {
    let mut out = String::from("flowchart LR\n");
    // Addresses hold characters that Mermaid's own names may not, and quotes are written as entities.
    let numbers: BTreeMap<_, _> =
        graph.resources.iter().enumerate().map(|(number, (address, _))| (address.as_str(), number)).collect();
    for (number, (address, verb)) in graph.resources.iter().enumerate() {
        let label = verb.map_or_else(|| address.clone(), |verb| format!("{} {address}", sign(verb)));
        let label: String = label
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || " ._-/+~:↻".contains(c) {
                    c.to_string()
                } else {
                    format!("#{};", u32::from(c))
                }
            })
            .collect();
        let _ = writeln!(out, "  n{number}[\"{label}\"]");
    }
    for (first, then) in &graph.edges {
        if let (Some(first), Some(then)) = (numbers.get(first.as_str()), numbers.get(then.as_str())) {
            let _ = writeln!(out, "  n{first} --> n{then}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Verb;

    #[test]
    fn names_cannot_break_out() {
        let graph = GraphDocument {
            resources: vec![("login.a\"b]<x>\\".to_owned(), Some(Verb::Create)), ("login.c".to_owned(), None)],
            edges: vec![("login.a\"b]<x>\\".to_owned(), "login.c".to_owned())],
        };
        expect_test::expect![[r#"
            flowchart LR
              n0["+ login.a#34;b#93;#60;x#62;#92;"]
              n1["login.c"]
              n0 --> n1
        "#]]
        .assert_eq(&mermaid(&graph));
        expect_test::expect![[r#"
            digraph deployment {
              rankdir = LR;
              node [shape = box];
              "login.a\"b]<x>\\" [label = "+ login.a\"b]<x>\\"];
              "login.c" [label = "login.c"];
              "login.a\"b]<x>\\" -> "login.c";
            }
        "#]]
        .assert_eq(&dot(&graph));
    }
}
