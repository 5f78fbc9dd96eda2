//! Virtual time: it stands still while anything can go on, and then leaps to whatever is due next. Hours of
//! waiting pass in no time, and the same way each time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::time::Instant;

pub struct Clock {
    began: Instant,
    now: Cell<Duration>,
    /// By when they are due, and among equals by who began to wait first.
    sleepers: RefCell<BTreeMap<(Duration, usize), Waker>>,
    count: Cell<usize>,
}

impl Default for Clock {
    fn default() -> Self {
        let (sleepers, count) = (RefCell::default(), Cell::default());
        Self { began: Instant::now(), now: Cell::default(), sleepers, count }
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Clock {
    /// Since the simulation began.
    pub fn now(&self) -> Duration {
        self.now.get()
    }

    pub fn instant(&self) -> Instant {
        self.began + self.now.get()
    }

    /// Lets others go on, whatever the time.
    pub fn sleep(&self, time: Duration) -> Sleep<'_> {
        let number = self.count.get();
        self.count.set(number + 1);
        Sleep { clock: self, key: (self.now.get() + time, number), slept: false }
    }

    /// Runs `future` to its end. Where it waits for what no sleeper can bring about, the test is wrong.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        let mut future = pin!(future);
        loop {
            while flag.0.swap(false, Ordering::Relaxed) {
                if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return value;
                }
            }
            let due = self.sleepers.borrow_mut().pop_first();
            let Some(((at, _), sleeper)) = due else { panic!("everything waits, and nothing is under way") };
            self.now.set(at);
            sleeper.wake();
        }
    }
}

/// Due at a moment of virtual time.
pub struct Sleep<'a> {
    clock: &'a Clock,
    key: (Duration, usize),
    slept: bool,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut sleepers = self.clock.sleepers.borrow_mut();
        let woken = self.slept && !sleepers.contains_key(&self.key);
        if woken {
            return Poll::Ready(());
        }
        sleepers.insert(self.key, cx.waker().clone());
        drop(sleepers);
        self.slept = true;
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.clock.sleepers.borrow_mut().remove(&self.key);
    }
}
