//! The order of actions: a directed graph that is acyclic or is not built at all.

use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An acyclic order over the actions `0..len`.
#[derive(Debug, Clone)]
pub struct Order {
    graph: DiGraph<usize, ()>,
    sorted: Vec<usize>,
}

/// Actions that wait for each other, each for the next and the last for the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("actions wait for each other in a circle: {}", path.join(" → "))]
pub struct Cycle {
    pub path: Vec<String>,
}

impl Order {
    /// `edges` are (first, then). `label` names an action where a cycle has to be shown.
    pub fn build(
        len: usize,
        edges: impl IntoIterator<Item = (usize, usize)>,
        label: impl Fn(usize) -> String,
    ) -> Result<Self, Cycle> {
        let mut graph = DiGraph::with_capacity(len, 0);
        let nodes: Vec<NodeIndex> = (0..len).map(|action| graph.add_node(action)).collect();
        // Each edge once, without asking the graph: it would look through all that wait for the instance, for each
        // one of them.
        let edges: BTreeSet<_> = edges.into_iter().collect();
        for (first, then) in edges {
            graph.add_edge(nodes[first], nodes[then], ());
        }
        if toposort(&graph, None).is_err() {
            return Err(Cycle { path: cycle(&graph, label) });
        }
        let sorted = stable_sort(&graph);
        Ok(Self { graph, sorted })
    }

    /// All actions, every one after those it waits for; among equals the lower number first.
    pub fn sorted(&self) -> &[usize] {
        &self.sorted
    }

    /// The actions that wait for `action`, in ascending order.
    pub fn dependents(&self, action: usize) -> Vec<usize> {
        self.neighbours(action, petgraph::Outgoing)
    }

    /// The actions that `action` waits for, in ascending order.
    pub fn prerequisites(&self, action: usize) -> Vec<usize> {
        self.neighbours(action, petgraph::Incoming)
    }

    /// The prerequisites that no other prerequisite already waits for: enough to say what `action` waits
    /// for.
    pub fn nearest_prerequisites(&self, action: usize) -> Vec<usize> {
        let all = self.prerequisites(action);
        let mut implied = BTreeSet::new();
        let mut queue: Vec<_> = all.iter().flat_map(|&first| self.prerequisites(first)).collect();
        while let Some(first) = queue.pop() {
            if implied.insert(first) {
                queue.extend(self.prerequisites(first));
            }
        }
        all.into_iter().filter(|first| !implied.contains(first)).collect()
    }

    fn neighbours(&self, action: usize, direction: petgraph::Direction) -> Vec<usize> {
        let mut found: Vec<_> =
            self.graph.neighbors_directed(NodeIndex::new(action), direction).map(NodeIndex::index).collect();
        found.sort_unstable();
        found
    }

    /// The chain of actions that takes longest, and how long, where action `n` takes `durations[n]`.
    pub fn critical_path(&self, durations: &[Duration]) -> (Vec<usize>, Duration) {
        let mut finish: BTreeMap<usize, (Duration, Option<usize>)> = BTreeMap::new();
        for &action in &self.sorted {
            let before = self
                .prerequisites(action)
                .into_iter()
                .map(|first| (finish[&first].0, first))
                .max_by_key(|&(at, first)| (at, std::cmp::Reverse(first)));
            let start = before.map_or(Duration::ZERO, |(at, _)| at);
            finish.insert(action, (start + durations[action], before.map(|(_, first)| first)));
        }
        let Some((&last, &(total, _))) =
            finish.iter().max_by_key(|&(&action, &(at, _))| (at, std::cmp::Reverse(action)))
        else {
            return (Vec::new(), Duration::ZERO);
        };
        let mut path = vec![last];
        while let Some(first) = finish[&path[path.len() - 1]].1 {
            path.push(first);
        }
        path.reverse();
        (path, total)
    }
}

/// Kahn's algorithm taking the lowest ready number, so that the order does not depend on how edges were
/// entered. The graph is known to be acyclic.
fn stable_sort(graph: &DiGraph<usize, ()>) -> Vec<usize> {
    let mut waiting: Vec<usize> =
        graph.node_indices().map(|node| graph.neighbors_directed(node, petgraph::Incoming).count()).collect();
    let mut ready: BTreeSet<usize> =
        waiting.iter().enumerate().filter(|&(_, &count)| count == 0).map(|(action, _)| action).collect();
    let mut sorted = Vec::with_capacity(waiting.len());
    while let Some(action) = ready.pop_first() {
        sorted.push(action);
        for then in graph.neighbors_directed(NodeIndex::new(action), petgraph::Outgoing) {
            waiting[then.index()] -= 1;
            if waiting[then.index()] == 0 {
                ready.insert(then.index());
            }
        }
    }
    sorted
}

/// One shortest-named way round a cycle, its first action repeated at the end.
fn cycle(graph: &DiGraph<usize, ()>, label: impl Fn(usize) -> String) -> Vec<String> {
    let component = kosaraju_scc(graph)
        .into_iter()
        .find(|nodes| nodes.len() > 1 || nodes.iter().any(|&node| graph.contains_edge(node, node)))
        .unwrap_or_default();
    let Some(&start) = component.iter().min() else { return Vec::new() };
    // Walking inside the component from its lowest member must come round; the first repeated node
    // closes a cycle.
    let mut path = vec![start];
    loop {
        let next = graph
            .neighbors_directed(path[path.len() - 1], petgraph::Outgoing)
            .filter(|node| component.contains(node))
            .min()
            .unwrap_or(start);
        if let Some(at) = path.iter().position(|&node| node == next) {
            path.drain(..at);
            path.push(next);
            return path.into_iter().map(|node| label(node.index())).collect();
        }
        path.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(len: usize, edges: &[(usize, usize)]) -> Result<Order, Cycle> {
        Order::build(len, edges.iter().copied(), |action| format!("a{action}"))
    }

    #[test]
    fn sorts_after_prerequisites_lowest_first() {
        let order = order(4, &[(3, 0), (2, 0), (0, 1)]).unwrap();
        assert_eq!(order.sorted(), [2, 3, 0, 1]);
        assert_eq!(order.prerequisites(0), [2, 3]);
        assert_eq!(order.dependents(0), [1]);
    }

    #[test]
    fn what_others_wait_for_need_not_be_said() {
        let order = order(4, &[(0, 1), (1, 2), (0, 2), (0, 3), (2, 3)]).unwrap();
        assert_eq!(order.prerequisites(3), [0, 2]);
        assert_eq!(order.nearest_prerequisites(3), [2]);
        assert_eq!(order.nearest_prerequisites(2), [1]);
    }

    #[test]
    fn shows_a_cycle_as_a_path() {
        let cycle = order(5, &[(0, 1), (1, 2), (2, 3), (3, 1), (0, 4)]).unwrap_err();
        assert_eq!(cycle.to_string(), "actions wait for each other in a circle: a1 → a2 → a3 → a1");
        assert_eq!(order(1, &[(0, 0)]).unwrap_err().path, ["a0", "a0"]);
    }

    #[test]
    fn finds_the_longest_chain() {
        let order = order(4, &[(0, 1), (0, 2), (1, 3), (2, 3)]).unwrap();
        let seconds = [1, 10, 2, 1].map(Duration::from_secs);
        assert_eq!(order.critical_path(&seconds), (vec![0, 1, 3], Duration::from_secs(12)));
    }

    proptest::proptest! {
        /// Edges that only point forwards can never make a cycle, whatever their number or order, and
        /// the order found puts each first before its then.
        #[test]
        fn forward_edges_are_always_ordered(edges in proptest::collection::vec((0usize..30, 0usize..30), 0..200)) {
            let edges: Vec<_> = edges.into_iter().filter(|(a, b)| a != b).map(|(a, b)| (a.min(b), a.max(b))).collect();
            let order = order(30, &edges).unwrap();
            let at: BTreeMap<_, _> = order.sorted().iter().enumerate().map(|(at, &action)| (action, at)).collect();
            for (first, then) in edges {
                proptest::prop_assert!(at[&first] < at[&then]);
            }
        }
    }
}
