//! The board that a terminal shows, drawn from what is told of an apply.

use crate::scenario::{Scenario, golden};
use pgrotate::execute::{ActionError, Event, Outcome};
use pgrotate::plan::{Goal, Plan};
use pgrotate::render::live::Board;
use pgrotate::resources::Kinds;
use std::collections::BTreeMap;
use std::time::Duration;

/// An apply that goes as a test tells it.
struct Told {
    plan: Plan<Kinds>,
    board: Board,
    outcomes: BTreeMap<usize, Outcome>,
    drawn: String,
}

impl Told {
    fn new() -> Self {
        let article = Scenario::article();
        let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
        let board = Board::new(&plan);
        Self { plan, board, outcomes: BTreeMap::new(), drawn: String::new() }
    }

    fn number(&self, label: &str) -> usize {
        let number = self.plan.actions.iter().position(|action| action.label() == label);
        number.unwrap_or_else(|| panic!("no action {label}"))
    }

    fn event(&mut self, at: u64, event: &Event) {
        self.board.take(event, &self.outcomes, Duration::from_secs(at));
    }

    fn starts(&mut self, at: u64, label: &str) {
        self.event(at, &Event::Started { action: self.number(label) });
    }

    fn says(&mut self, at: u64, label: &str, saying: &str) {
        let saying = saying.to_owned();
        self.event(at, &Event::Waiting { action: self.number(label), saying, since: Duration::ZERO });
    }

    fn ends(&mut self, at: u64, label: &str, outcome: Outcome) {
        let action = self.number(label);
        self.outcomes.insert(action, outcome);
        self.event(at, &Event::Finished { action });
    }

    fn done(&mut self, at: u64, label: &str) {
        self.ends(at, label, Outcome::Done(Duration::ZERO));
    }

    fn draw(&mut self, at: u64, columns: usize, rows: usize) {
        let lines = self.board.lines(Duration::from_secs(at), columns, rows);
        assert!(lines.len() <= rows, "{lines:?}");
        for line in &lines {
            assert!(console::measure_text_width(line) <= columns, "{line:?}");
            assert!(!line.contains(char::is_control), "{line:?}");
        }
        self.drawn.push_str(&format!("--- {columns} columns, {rows} rows\n{}\n", lines.join("\n")));
    }
}

#[test]
fn from_the_first_to_the_last() {
    let mut told = Told::new();
    told.draw(0, 100, 30);
    let (instance, stack) = ("db_instance.my-postgres-instance", "stack.pgpasslambda-stack");
    for label in ["security_group.database", "db_subnet_group.my-db-subnet-group", "secret.test_user1"] {
        told.starts(0, label);
    }
    told.draw(1, 100, 30);
    told.done(2, "security_group.database");
    told.done(2, "db_subnet_group.my-db-subnet-group");
    told.starts(3, instance);
    told.says(4, instance, "the instance is creating");
    told.starts(5, stack);
    told.says(6, stack, "the stack is CREATE_IN_PROGRESS");
    told.draw(70, 100, 30);
    // The same said again is no news; another thing is.
    told.says(80, instance, "the instance is creating");
    told.says(90, stack, "rolled back:\n\u{1b}[31m日本語 \u{7}resource");
    told.draw(200, 100, 30);
    told.draw(200, 40, 30);
    told.draw(200, 100, 3);
    told.draw(200, 12, 2);
    told.draw(200, 100, 1);
    told.draw(200, 0, 30);
    told.draw(200, 100, 0);
    told.event(201, &Event::Stopping);
    told.draw(202, 100, 30);
    told.ends(300, stack, Outcome::Failed(ActionError::Never("it is gone".to_owned())));
    told.ends(300, "login.rotator_admin", Outcome::Stale("it exists".to_owned()));
    told.ends(300, "login.test_user1", Outcome::Cancelled);
    told.draw(7300, 100, 30);
    for action in told.plan.actions.iter().map(pgrotate::plan::Action::label).collect::<Vec<_>>() {
        told.done(7400, &action);
    }
    told.draw(7400, 100, 30);
    golden("live-board", &told.drawn);
}
