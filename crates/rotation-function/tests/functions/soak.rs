//! Clients that keep logging in while rotations run: who refreshes the secret within one interval is never refused
//! under alternating users; a single user has a gap, which is measured. `make soak` takes 200 rotations and twenty
//! clients, the tests a few of both.

use crate::matrix::Site;
use crate::world::token;
use function_contract::Strategy;
use rotation_function::store::{SecretStore, Which, label};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;

/// Set for all of them.
const WHOLE: &str = "PGROTATE_SOAK";

/// Clients, rotations of alternating users, and rotations of a single user.
fn amount() -> (usize, usize, usize) {
    if std::env::var_os(WHOLE).is_some() { (20, 200, 20) } else { (5, 4, 2) }
}

/// From the end of one rotation to the beginning of the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a client uses what it has read. An interval less the time of reading and logging in on a busy machine.
const REFRESH: Duration = Duration::from_millis(400);

/// Between two logins of a client.
const PAUSE: Duration = Duration::from_millis(150);

struct Value {
    username: String,
    password: String,
    read: Instant,
}

async fn read(site: &Site) -> Value {
    // Its age counts from before the call: what it returns may have been true then and no longer.
    let read = Instant::now();
    let stored = site.store.get(&site.user_arn, Which::Label(label::CURRENT)).await.unwrap().unwrap();
    let value: serde_json::Value = serde_json::from_str(stored.text.expose()).unwrap();
    let text = |key: &str| value[key].as_str().unwrap().to_owned();
    Value { username: text("username"), password: text("password"), read }
}

#[derive(Default)]
struct Tally {
    logins: AtomicUsize,
    refused: AtomicUsize,
    /// Logins that took so long that the value was older than an interval in the end: nothing is promised of them.
    late: AtomicUsize,
}

async fn client(site: Arc<Site>, tally: Arc<Tally>, stop: Arc<AtomicBool>) {
    let mut value = read(&site).await;
    while !stop.load(Ordering::Relaxed) {
        if value.read.elapsed() > REFRESH {
            value = read(&site).await;
        }
        let login = site.server.application(&value.username, &value.password).await;
        let counted = match login {
            _ if value.read.elapsed() > INTERVAL => &tally.late,
            Ok(_) => &tally.logins,
            Err(error) => {
                println!("refused: {error:?}");
                &tally.refused
            }
        };
        counted.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_refused_under_alternating_users() {
    let (clients, rotations, _) = amount();
    let site = Arc::new(Site::rotated(Strategy::AlternatingUsers, 1).await);
    let (tally, stop) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
    let running: Vec<_> =
        (0..clients).map(|_| tokio::spawn(client(site.clone(), tally.clone(), stop.clone()))).collect();
    for _ in 0..rotations {
        tokio::time::sleep(INTERVAL).await;
        let token = token();
        site.begin(&token).await;
        site.rotate_unwatched(&token).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in running {
        client.await.unwrap();
    }
    let [logins, refused, late] =
        [&tally.logins, &tally.refused, &tally.late].map(|count| count.load(Ordering::Relaxed));
    println!("{rotations} rotations, {clients} clients: {logins} logins, {refused} refused, {late} too late to count");
    assert_eq!(refused, 0);
    assert!(logins > rotations * clients && late * 10 < logins, "the clients hardly ran: {logins} logins, {late} late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_users_gap() {
    let (_, _, rotations) = amount();
    let site = Arc::new(Site::rotated(Strategy::SingleUser, 1).await);
    let stop = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn({
        let (site, stop) = (site.clone(), stop.clone());
        async move {
            let mut gaps = Vec::new();
            let mut since: Option<Instant> = None;
            while !stop.load(Ordering::Relaxed) {
                let value = read(&site).await;
                let refused = match site.server.application(&value.username, &value.password).await {
                    Ok(_) => false,
                    Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => true,
                    Err(error) => panic!("{error:?}"),
                };
                match (refused, since) {
                    (true, None) => since = Some(value.read),
                    (false, Some(began)) => {
                        gaps.push(began.elapsed().as_millis());
                        since = None;
                    }
                    (false, None) | (true, Some(_)) => {}
                }
            }
            assert_eq!(since, None, "the gap after the last rotation never ended");
            gaps
        }
    });
    for _ in 0..rotations {
        tokio::time::sleep(INTERVAL).await;
        let token = token();
        site.begin(&token).await;
        site.rotate_unwatched(&token).await;
    }
    tokio::time::sleep(INTERVAL).await;
    stop.store(true, Ordering::Relaxed);
    let mut gaps = watch.await.unwrap();
    gaps.sort_unstable();
    // On a machine with much else to do, the one client may look past a gap or two.
    let whole = std::env::var_os(WHOLE).is_some();
    assert!(gaps.len() <= rotations && (!whole || gaps.len() * 2 > rotations), "{gaps:?}");
    let Some(longest) = gaps.last() else {
        println!("single user, {rotations} rotations: no gap was seen");
        return;
    };
    println!(
        "single user, {rotations} rotations: a client that always reads the secret anew was refused for {} ms \
         (median), {} ms at most",
        gaps[gaps.len() / 2],
        longest
    );
}
