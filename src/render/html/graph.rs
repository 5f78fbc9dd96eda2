//! What a plan does and what waits for what, drawn: each action a box that leads to its details. Equal ones are drawn as
//! one, and what is still too much is cut layer by layer.

use super::super::document::ActionDocument;
use super::super::human;
use super::layout::{self, HEIGHT, WIDTH};
use super::out::{Grouped, Out, counted};
use super::verb_class;
use crate::resource::{Risk, Verb};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// So many actions are drawn one by one, whatever they are.
const ONE_BY_ONE: usize = 40;
/// From this many on, equal ones are drawn as one.
const EQUAL: usize = 4;
/// Boxes of a layer at most: what fits on a screen.
const IN_A_LAYER: usize = 14;
/// Letters of a name at most: what fits into a box.
const LETTERS: usize = 24;

/// Actions that are drawn as one.
struct Drawn {
    /// In the plan's order; one at least.
    actions: Vec<usize>,
    /// Whether they are all of one kind and do the same.
    alike: bool,
}

pub(super) fn graph(out: &mut Out, actions: &[ActionDocument]) {
    let number = numbers(actions);
    let edges: BTreeSet<(usize, usize)> = actions
        .iter()
        .enumerate()
        .flat_map(|(then, action)| action.after.iter().map(move |first| (first, then)))
        .filter_map(|(first, then)| Some((*number.get(first.as_str())?, then)))
        .collect();
    let (boxes, left_out) = boxes(actions, &edges);
    let box_of: BTreeMap<usize, usize> =
        boxes.iter().enumerate().flat_map(|(at, each)| each.actions.iter().map(move |&action| (action, at))).collect();
    let drawn = between(&edges, &box_of);
    let laid = layout::lay(boxes.len(), &drawn);

    let told = if boxes.len() == actions.len() {
        format!("Each of {} behind what it waits for.", counted(actions.len(), "action", "actions"))
    } else {
        format!(
            "{} actions in {}: equal ones are drawn as one{}. All are listed below.",
            Grouped(actions.len()),
            counted(boxes.len(), "box", "boxes"),
            if left_out {
                format!(", and what goes beyond {IN_A_LAYER} in a column is drawn together")
            } else {
                String::new()
            }
        )
    };
    out.raw("<p class=\"quiet\">").text(told).raw("</p>");
    out.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Graph of the actions\">");
    out.raw("<svg class=\"graph\" width=\"").text(laid.width).raw("\" height=\"").text(laid.height);
    out.raw("\" viewBox=\"0 0 ").text(laid.width).raw(" ").text(laid.height).raw("\"><g class=\"edges\">");
    for route in &laid.routes {
        out.raw("<path d=\"");
        path(out, route);
        out.raw("\"/>");
    }
    out.raw("</g>");
    for (each, &(x, y)) in boxes.iter().zip(&laid.boxes) {
        draw(out, actions, each, (x, y));
    }
    out.raw("</svg></div>");
}

/// Actions by what others call them.
pub(super) fn numbers(actions: &[ActionDocument]) -> HashMap<String, usize> {
    let mut numbers = HashMap::new();
    for (number, action) in actions.iter().enumerate() {
        // The first of an address goes by the address alone, the later ones by their change as well.
        numbers.entry(action.address.to_string()).or_insert(number);
        numbers.insert(format!("{} ({})", action.address, action.change), number);
    }
    numbers
}

/// What is drawn as one, and whether layers had to be cut.
fn boxes(actions: &[ActionDocument], edges: &BTreeSet<(usize, usize)>) -> (Vec<Drawn>, bool) {
    let mut boxes: Vec<Drawn> = if actions.len() <= ONE_BY_ONE {
        (0..actions.len()).map(|action| Drawn { actions: vec![action], alike: true }).collect()
    } else {
        alike(actions, edges)
    };
    let box_of: BTreeMap<usize, usize> =
        boxes.iter().enumerate().flat_map(|(at, each)| each.actions.iter().map(move |&action| (action, at))).collect();
    let ranks = layout::ranks(boxes.len(), &between(edges, &box_of));
    let mut layers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, &rank) in ranks.iter().enumerate() {
        layers.entry(rank).or_default().push(at);
    }
    let (mut kept, mut cut) = (Vec::new(), false);
    for mut layer in layers.into_values() {
        let rest = if layer.len() > IN_A_LAYER {
            // The riskiest stay.
            layer.sort_by_key(|&at| (std::cmp::Reverse(risk(actions, &boxes[at])), at));
            layer.split_off(IN_A_LAYER - 1)
        } else {
            Vec::new()
        };
        cut |= !rest.is_empty();
        let mut together: Vec<usize> = rest.iter().flat_map(|&at| std::mem::take(&mut boxes[at].actions)).collect();
        together.sort_unstable();
        for at in layer {
            kept.push(Drawn { actions: std::mem::take(&mut boxes[at].actions), alike: boxes[at].alike });
        }
        if !together.is_empty() {
            kept.push(Drawn { actions: together, alike: false });
        }
    }
    kept.sort_by_key(|each| each.actions[0]);
    (kept, cut)
}

/// Those that do the same to the same kind, at the same risk, after the same.
fn alike(actions: &[ActionDocument], edges: &BTreeSet<(usize, usize)>) -> Vec<Drawn> {
    type Key<'a> = (&'a str, &'a str, Verb, Risk, Vec<usize>);
    let mut firsts = vec![Vec::new(); actions.len()];
    for &(first, then) in edges {
        firsts[then].push(first);
    }
    let (mut classes, mut class_of): (BTreeMap<Key<'_>, usize>, Vec<usize>) = (BTreeMap::new(), Vec::new());
    for (number, action) in actions.iter().enumerate() {
        // A document's actions stand behind what they wait for.
        let mut after: Vec<_> = firsts[number].iter().filter_map(|&first| class_of.get(first).copied()).collect();
        after.sort_unstable();
        after.dedup();
        let next = classes.len();
        let key = (action.address.kind.0, action.change, action.verb, action.risk, after);
        class_of.push(*classes.entry(key).or_insert(next));
    }
    let mut members = vec![Vec::new(); classes.len()];
    for (action, &class) in class_of.iter().enumerate() {
        members[class].push(action);
    }
    let apart = |actions: Vec<usize>| {
        if actions.len() < EQUAL { actions.into_iter().map(|action| vec![action]).collect() } else { vec![actions] }
    };
    members.into_iter().flat_map(apart).map(|actions| Drawn { actions, alike: true }).collect()
}

/// Edges between boxes.
fn between(edges: &BTreeSet<(usize, usize)>, box_of: &BTreeMap<usize, usize>) -> Vec<(usize, usize)> {
    let all: BTreeSet<_> = edges
        .iter()
        .filter_map(|(first, then)| Some((*box_of.get(first)?, *box_of.get(then)?)))
        .filter(|(first, then)| first != then)
        .collect();
    all.into_iter().collect()
}

fn risk(actions: &[ActionDocument], each: &Drawn) -> Risk {
    each.actions.iter().map(|&action| actions[action].risk).max().unwrap_or(Risk::None)
}

/// Straight through a layer, curved between two.
fn path(out: &mut Out, route: &[(i32, i32)]) {
    for (at, &(x, y)) in route.iter().enumerate() {
        match at {
            0 => out.raw("M").text(x).raw(" ").text(y),
            _ if at % 2 == 1 => {
                let (before, from) = route[at - 1];
                let middle = i32::midpoint(before, x);
                out.raw("C").text(middle).raw(" ").text(from).raw(" ").text(middle).raw(" ").text(y);
                out.raw(" ").text(x).raw(" ").text(y)
            }
            _ => out.raw("H").text(x),
        };
    }
}

fn draw(out: &mut Out, actions: &[ActionDocument], each: &Drawn, (x, y): (i32, i32)) {
    let first = &actions[each.actions[0]];
    let (kind, verb) = (first.address.kind, human::verb(first.verb));
    let risk = risk(actions, each);
    let (above, name) = match (each.actions.len(), each.alike) {
        (1, _) => (format!("{} {verb} {kind}", human::sign(first.verb)), first.address.name.clone()),
        (many, true) => (format!("{} {verb} {kind}", human::sign(first.verb)), format!("{} of them", Grouped(many))),
        (many, false) => ("of several kinds".to_owned(), format!("{} more", Grouped(many))),
    };
    let risky = match risk {
        Risk::None => "",
        Risk::Interrupts => ", interrupts",
        Risk::Irreversible => ", irreversible",
    };
    out.raw("<a href=\"#a").text(each.actions[0]).raw("\" class=\"box ");
    out.raw(if each.alike { verb_class(first.verb) } else { "ensure" });
    out.raw(if risk == Risk::None { "" } else { " risky" }).raw("\"><title>");
    out.text(format_args!("{above} {name}{risky}")).raw("</title>");
    if each.actions.len() > 1 {
        rect(out, (x + 4, y + 4));
    }
    rect(out, (x, y));
    out.raw("<text class=\"kind\" x=\"").text(x + 10).raw("\" y=\"").text(y + 15).raw("\">").text(above).raw("</text>");
    out.raw("<text x=\"").text(x + 10).raw("\" y=\"").text(y + 30).raw("\">").text(short(&name)).raw("</text>");
    if risk != Risk::None {
        out.raw("<text class=\"mark\" x=\"").text(x + WIDTH - 16).raw("\" y=\"").text(y + 16).raw("\">!</text>");
    }
    out.raw("</a>");
}

fn rect(out: &mut Out, (x, y): (i32, i32)) {
    out.raw("<rect x=\"").text(x).raw("\" y=\"").text(y).raw("\" width=\"").text(WIDTH).raw("\" height=\"");
    out.text(HEIGHT).raw("\" rx=\"5\"/>");
}

/// A name that fits into a box: its beginning and its end, which tells it from its neighbours.
fn short(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= LETTERS {
        return name.to_owned();
    }
    let end = LETTERS / 2;
    letters[..LETTERS - 1 - end].iter().chain(['…'].iter()).chain(&letters[letters.len() - end..]).collect()
}
