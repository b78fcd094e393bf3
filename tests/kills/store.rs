//! The embedded store of a job that is killed: it opens each time, holds all that the topic holds, and no more than it may.

use crate::exactly_once::random;
use crate::live::Setup;
use crate::simulated;
use crate::support::{Process, Services, Signal, eventually, tickcast};
use rand_chacha::rand_core::Rng as _;
use std::time::Duration;
use tickcast::connectors::sqlite::SqliteReader;
use tickcast::delivery::Reader as _;
use tickcast::delivery::reader::{Kind, Range};

const WITHIN: Duration = Duration::from_secs(600);
const HOUR: i64 = 3_600_000;
/// Of event time.
const RETENTION_HOURS: i64 = 4;

/// Fifty times where `TICKCAST_TEST_LONG` is set.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_store_outlives_kills_and_stays_as_big_as_it_may_be() {
    let kills = if std::env::var_os("TICKCAST_TEST_LONG").is_some() { 50 } else { 6 };
    let services = Services::shared();
    let setup = Setup::new(&services, false, "[time]\nallowed_lateness = \"0s\"\n");
    let (whole, _) = simulated::files(setup.dir.path(), 24);
    let backfilled = setup.backfill(&whole, None);
    setup.replay(&whole, None);
    let store = setup.dir.path().join("results.db");
    let start = |workers: usize| {
        let mut command = tickcast(["run", "-c", setup.config(), "--listen", "127.0.0.1:0"]);
        command.args(["--workers", &workers.to_string(), "--set", &format!("http.store={}", store.display())]);
        command.args(["--set", &format!("http.retention={RETENTION_HOURS}h")]);
        Process::spawn(command)
    };
    let check = |what: &str| {
        let reader = SqliteReader::open(&store, None).unwrap_or_else(|error| panic!("{what}: {error}"));
        let (kept, published) =
            (reader.through().unwrap().map_or(0, tickcast::market::Timestamp::millis), setup.through());
        assert!(kept >= published, "{what}: the topic is at {published}, the store at {kept}");
        published
    };
    let mut rng = random();
    let mut reached = Vec::new();
    for turn in 0..kills {
        let mut job = start(1 + turn % 2);
        let pause = Duration::from_millis(400 + rng.next_u64() % 2_000);
        let begun = std::time::Instant::now();
        eventually("the moment", Duration::from_secs(10), || (begun.elapsed() >= pause).then_some(()));
        job.signal(Signal::Kill);
        job.wait(Duration::from_secs(10));
        // Killed before it had made one.
        if store.exists() && setup.through() > 0 {
            reached.push(check(&format!("kill {turn}")));
        }
    }
    assert!(reached.is_sorted() && reached.len() > kills / 3, "{reached:?}");
    let mut job = start(2);
    setup.await_through(backfilled.last_but_one(), WITHIN);
    let peak = std::fs::metadata(&store).unwrap().len();
    job.signal(Signal::Term);
    job.wait(Duration::from_secs(10)).expect_code(0);
    let published = check("the end");
    // What is kept is what the backfill has, byte for byte, of the last hours; and nothing of long ago.
    let reader = SqliteReader::open(&store, None).unwrap();
    let all = Range { from: None, to: None, limit: usize::MAX };
    let (forecasts, _) = backfilled.up_to(published);
    let series = reader.series(Kind::Forecasts).unwrap();
    assert_eq!(series.len(), 12, "{series:?}");
    for (symbol, horizon) in series {
        let kept = reader.read(Kind::Forecasts, &symbol, horizon, all).unwrap();
        let of = format!("\"symbol\":\"{symbol}\",\"horizon\":\"{horizon}\",");
        let wanted: Vec<&String> = forecasts.iter().copied().filter(|line| line.contains(&of)).collect();
        let last = &wanted[wanted.len() - kept.len()..];
        assert!(kept.iter().map(|line| &line.json).eq(last.iter().copied()), "{symbol} {horizon}");
        let hours = (kept[kept.len() - 1].at.millis() - kept[0].at.millis()) / HOUR;
        assert!((RETENTION_HOURS - 1..=RETENTION_HOURS + 2).contains(&hours), "{symbol} {horizon}: {hours} h");
    }
    println!("{kills} kills, {} of them with something published; {} kB at the end", reached.len(), peak / 1000);
    assert!(peak < 30_000_000, "{peak}");
}
