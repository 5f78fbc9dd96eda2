//! Looking at many things in few calls. While a plan is carried out, every action looks at its own target; those
//! of one kind that ask while a look is under way go together in the next.

use std::cell::RefCell;
use tokio::sync::{Semaphore, oneshot};

/// Looks of one kind under way at once. One alone would make everybody wait for the slowest login of the look
/// before; each more makes the looks smaller.
const AT_ONCE: usize = 2;

/// Questions of one kind, gathered while their turn has not come.
pub(super) struct Rounds<Q, A> {
    turns: Semaphore,
    waiting: RefCell<Vec<(Q, oneshot::Sender<A>)>>,
}

impl<Q, A> Default for Rounds<Q, A> {
    fn default() -> Self {
        Self { turns: Semaphore::new(AT_ONCE), waiting: RefCell::default() }
    }
}

impl<Q: Clone, A> Rounds<Q, A> {
    /// The answer to `question`, which `answer` gives to all that are asked together, in their order. It is never
    /// older than the question.
    pub async fn ask(&self, question: Q, answer: impl AsyncFn(&[Q]) -> Vec<A>) -> A {
        loop {
            let (mine, answered) = oneshot::channel();
            self.waiting.borrow_mut().push((question.clone(), mine));
            let turn = self.turns.acquire().await;
            // Empty where another round has taken this question along.
            let (questions, askers): (Vec<_>, Vec<_>) = self.waiting.take().into_iter().unzip();
            if !questions.is_empty() {
                for (asker, answer) in askers.into_iter().zip(answer(&questions).await) {
                    // Who has gone away needs no answer.
                    let _ = asker.send(answer);
                }
            }
            drop(turn);
            // It fails only where whoever took the question along was stopped: then it is asked again.
            if let Ok(answer) = answered.await {
                return answer;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    #[tokio::test]
    async fn those_who_wait_go_together() {
        let (rounds, asked) = (Rounds::default(), RefCell::new(Vec::new()));
        let ask = |question: usize| {
            rounds.ask(question, async |questions: &[usize]| {
                asked.borrow_mut().push(questions.len());
                tokio::task::yield_now().await;
                questions.iter().map(|question| question * 10).collect()
            })
        };
        let answers = join_all((0..9).map(ask)).await;
        assert_eq!(answers, (0..9).map(|question| question * 10).collect::<Vec<_>>());
        assert_eq!(*asked.borrow(), [1, 1, 7]);
        assert_eq!(ask(5).await, 50, "nothing is left over");
        assert_eq!(*asked.borrow(), [1, 1, 7, 1]);
    }

    #[tokio::test]
    async fn whoever_is_stopped_stops_no_other() {
        let rounds = Rounds::default();
        let answer = async |questions: &[usize]| {
            tokio::task::yield_now().await;
            questions.to_vec()
        };
        for _ in 0..=AT_ONCE {
            let mut leader = Box::pin(rounds.ask(1, answer));
            let mut follower = Box::pin(rounds.ask(2, answer));
            assert!(futures_util::poll!(&mut leader).is_pending());
            assert!(futures_util::poll!(&mut follower).is_pending());
            drop(leader);
            assert_eq!(follower.await, 2);
        }
    }
}
