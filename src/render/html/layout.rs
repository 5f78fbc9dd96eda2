//! Where the boxes of a graph stand: in layers from left to right, each box behind all that it waits for, and edges that
//! cross as little as some sweeps can bring about (the method is Sugiyama's: layers, order within them, places).
//!
//! Our own, for no crate does what makes these graphs legible: a fleet's is a thousand equal chains, which have to be
//! drawn as one and bounded (`graph.rs`) before anything is placed. What is left to place is small.

/// Sizes and distances are in CSS pixels of an unscaled drawing.
pub(super) const WIDTH: i32 = 182;
pub(super) const HEIGHT: i32 = 38;
/// Between two columns: room for curves that do not look like stairs.
const ACROSS: i32 = 38;
/// Between two boxes of a column, and what an edge takes that passes by.
const BETWEEN: i32 = 14;
const PASSING: i32 = 6;
/// Right and below: what a box that stands for several shows of those behind it.
const EDGE: i32 = 7;
/// More of them no longer change anything in the graphs that there are.
const SWEEPS: usize = 8;

/// Boxes by their upper left corner, and edges by the points that they pass.
pub(super) struct Laid {
    pub boxes: Vec<(i32, i32)>,
    /// In the order of the edges given.
    pub routes: Vec<Vec<(i32, i32)>>,
    pub width: i32,
    pub height: i32,
}

/// The layer of each of `len` nodes: behind all that it waits for, and one that waits for nothing right before what waits
/// for it. `edges` are (first, then); one that would go round in a circle counts for nothing.
pub(super) fn ranks(len: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let (mut waits, mut then) = (vec![0; len], vec![Vec::new(); len]);
    for &(first, last) in edges {
        waits[last] += 1;
        then[first].push(last);
    }
    let sources: Vec<_> = (0..len).filter(|&node| waits[node] == 0).collect();
    let (mut ranks, mut ready) = (vec![0usize; len], sources.clone());
    while let Some(node) = ready.pop() {
        for &next in &then[node] {
            ranks[next] = ranks[next].max(ranks[node] + 1);
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.push(next);
            }
        }
    }
    for node in sources {
        if let Some(first) = then[node].iter().map(|&next| ranks[next]).min() {
            ranks[node] = first.saturating_sub(1);
        }
    }
    ranks
}

/// A box, or where an edge passes a layer on its way.
struct Place {
    /// Its height.
    tall: i32,
    before: Vec<usize>,
    after: Vec<usize>,
    /// Its middle.
    y: f64,
}

pub(super) fn lay(len: usize, edges: &[(usize, usize)]) -> Laid {
    let mut ranks = ranks(len, edges);
    let mut places: Vec<Place> =
        (0..len).map(|_| Place { tall: HEIGHT, before: Vec::new(), after: Vec::new(), y: 0.0 }).collect();
    let mut chains = Vec::with_capacity(edges.len());
    for &(first, last) in edges {
        let mut chain = vec![first];
        for rank in ranks[first] + 1..ranks[last] {
            ranks.push(rank);
            places.push(Place { tall: PASSING, before: Vec::new(), after: Vec::new(), y: 0.0 });
            chain.push(places.len() - 1);
        }
        chain.push(last);
        for pair in chain.windows(2) {
            places[pair[0]].after.push(pair[1]);
            places[pair[1]].before.push(pair[0]);
        }
        chains.push(chain);
    }
    let mut layers = vec![Vec::new(); ranks.iter().max().map_or(0, |last| last + 1)];
    for (node, &rank) in ranks.iter().enumerate() {
        layers[rank].push(node);
    }
    order(&mut layers, &places);
    settle(&layers, &mut places);

    let top = places.iter().map(|place| place.y - f64::from(place.tall) / 2.0).fold(f64::INFINITY, f64::min);
    let whole = |y: f64| (y - top).round() as i32 + 2;
    let left = |rank: usize| 2 + i32::try_from(rank).unwrap_or(i32::MAX / 1000) * (WIDTH + ACROSS);
    let height = places.iter().map(|place| whole(place.y) + place.tall / 2).max().unwrap_or(0) + EDGE;
    let boxes = (0..len).map(|node| (left(ranks[node]), whole(places[node].y) - HEIGHT / 2)).collect();
    let route = |chain: &Vec<usize>| {
        let mut points = Vec::with_capacity(chain.len() * 2);
        for (at, &node) in chain.iter().enumerate() {
            let (x, y) = (left(ranks[node]), whole(places[node].y));
            if at > 0 {
                points.push((x, y));
            }
            if at + 1 < chain.len() {
                points.push((x + WIDTH, y));
            }
        }
        points
    };
    let routes = chains.iter().map(route).collect();
    Laid { boxes, routes, width: left(layers.len()) - ACROSS + EDGE, height }
}

/// Puts each layer into the order of what its nodes hang on, from the left and from the right in turn.
fn order(layers: &mut [Vec<usize>], places: &[Place]) {
    let mut at = vec![0; places.len()];
    for layer in layers.iter() {
        for (place, &node) in layer.iter().enumerate() {
            at[node] = place;
        }
    }
    for sweep in 0..SWEEPS {
        let forth = sweep % 2 == 0;
        for step in 0..layers.len() {
            let layer = if forth { step } else { layers.len() - 1 - step };
            let middle = |node: usize| {
                let beside = if forth { &places[node].before } else { &places[node].after };
                let sum: usize = beside.iter().map(|&other| at[other]).sum();
                // Who hangs on nothing stays.
                if beside.is_empty() { at[node] as f64 } else { sum as f64 / beside.len() as f64 }
            };
            let mut sorted: Vec<_> = layers[layer].iter().map(|&node| (middle(node), node)).collect();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            layers[layer] = sorted.into_iter().map(|(_, node)| node).collect();
            for (place, &node) in layers[layer].iter().enumerate() {
                at[node] = place;
            }
        }
    }
}

/// Moves each node towards the middle of what it hangs on, as far as its neighbours leave room.
fn settle(layers: &[Vec<usize>], places: &mut [Place]) {
    for layer in layers {
        let mut y = 0.0;
        for &node in layer {
            places[node].y = y + f64::from(places[node].tall) / 2.0;
            y += f64::from(places[node].tall + BETWEEN);
        }
    }
    for sweep in 0..SWEEPS * 2 {
        let forth = sweep % 2 == 0;
        for step in 0..layers.len() {
            let layer = &layers[if forth { step } else { layers.len() - 1 - step }];
            let wanted: Vec<f64> = layer
                .iter()
                .map(|&node| {
                    let beside = if forth { &places[node].before } else { &places[node].after };
                    let sum: f64 = beside.iter().map(|&other| places[other].y).sum();
                    if beside.is_empty() { places[node].y } else { sum / beside.len() as f64 }
                })
                .collect();
            let apart = |one: usize, other: usize| f64::from((places[one].tall + places[other].tall) / 2 + BETWEEN);
            // As far up and as far down as each is pushed: both keep everybody apart, and so does the middle between them.
            let (mut down, mut up) = (wanted.clone(), wanted);
            for at in 1..layer.len() {
                down[at] = down[at].max(down[at - 1] + apart(layer[at - 1], layer[at]));
            }
            for at in (1..layer.len()).rev() {
                up[at - 1] = up[at - 1].min(up[at] - apart(layer[at - 1], layer[at]));
            }
            for (at, &node) in layer.iter().enumerate() {
                places[node].y = f64::midpoint(down[at], up[at]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_all_that_it_waits_for_and_right_before_what_waits_for_it() {
        // 0 → 1 → 2, and 3 → 2, which nothing holds in the first layer.
        assert_eq!(ranks(4, &[(0, 1), (1, 2), (3, 2)]), [0, 1, 2, 1]);
        assert_eq!(ranks(2, &[]), [0, 0]);
    }

    proptest::proptest! {
        /// No two boxes of whatever graph overlap, and every edge goes to the right.
        #[test]
        fn boxes_stand_apart(edges in proptest::collection::vec((0usize..24, 0usize..24), 0..80)) {
            let edges: Vec<_> = edges.into_iter().filter(|(a, b)| a != b).map(|(a, b)| (a.min(b), a.max(b))).collect();
            let laid = lay(24, &edges);
            for (at, one) in laid.boxes.iter().enumerate() {
                proptest::prop_assert!(one.0 >= 0 && one.1 >= 0);
                proptest::prop_assert!(one.0 + WIDTH <= laid.width && one.1 + HEIGHT <= laid.height);
                for other in &laid.boxes[at + 1..] {
                    proptest::prop_assert!(one.0 != other.0 || (one.1 - other.1).abs() >= HEIGHT, "{one:?} {other:?}");
                }
            }
            for route in &laid.routes {
                proptest::prop_assert!(route.windows(2).all(|pair| pair[0].0 < pair[1].0), "{route:?}");
            }
        }
    }
}
