//! Each forecast once, equal to the backfill's: after kill -9 at random moments, after a broker or a database that was away.

use crate::live::{Setup, assert_same};
use crate::support::{Service, Services, Signal, documents, eventually, read_committed};
use crate::{live, simulated};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(600);
const SYMBOL: Option<&str> = Some("XBTUSD");

/// Compares topic and database with the backfill, after the job was stopped.
pub fn assert_exact(setup: &Setup<'_>, backfilled: &live::Backfilled) {
    let (forecasts, scores) = backfilled.up_to(setup.through());
    let kafka = setup.services.kafka();
    assert_same(&read_committed(kafka, &setup.forecasts), &forecasts, "forecasts");
    assert_same(&read_committed(kafka, &format!("{}.scores", setup.forecasts)), &scores, "scores");
    if let Some(database) = &setup.database {
        assert_eq!(documents(setup.services.mongodb(), database, "predictions").len(), forecasts.len());
        assert_eq!(documents(setup.services.mongodb(), database, "scores").len(), scores.len());
    }
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn killed_ten_times_at_random_moments() {
    let services = Services::shared();
    let setup = Setup::new(&services, false, "");
    let Some((whole, _)) = live::trades(setup.dir.path(), &[300_000]) else { return };
    setup.replay(&whole, SYMBOL);
    kill_again_and_again(&setup, &setup.backfill(&whole, SYMBOL), 10, 300..3300);
}

/// Three symbols in partitions of their own, and a database that has no part in the transactions.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn killed_ten_times_with_several_partitions_and_a_database() {
    let services = Services::shared();
    // Four partitions, one of them empty; windows and the order of symbols are the same as in one file.
    let setup = Setup::new(&services, true, "[time]\nallowed_lateness = \"0s\"\n");
    let (whole, _) = simulated::files(setup.dir.path(), 10);
    setup.replay(&whole, None);
    kill_again_and_again(&setup, &setup.backfill(&whole, None), 10, 300..3300);
}

/// The same with checkpoints, each start with another number of workers.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn killed_with_checkpoints_and_other_workers() {
    let services = Services::shared();
    let store = crate::support::temp_dir();
    let checkpoint = format!("[checkpoint]\nurl = \"file://{}\"\ninterval = \"1s\"\n", store.path().display());
    let setup =
        Setup::new(&services, true, &format!("[time]\nallowed_lateness = \"0s\"\nslide = \"1s\"\n{checkpoint}"));
    let (whole, _) = simulated::files(setup.dir.path(), 10);
    setup.replay(&whole, None);
    let told = kill_again_and_again(&setup, &setup.backfill(&whole, None), 8, 2_000..6_000);
    let gone_on = told.matches("goes on from the checkpoint of ").count();
    println!("went on from a checkpoint {gone_on} times");
    assert!(gone_on >= 2, "{told}");
}

/// Random numbers; a failure says how to have the same again.
pub fn random() -> ChaCha8Rng {
    let seed =
        std::env::var("TICKCAST_TEST_SEED").map_or_else(|_| u64::from(std::process::id()), |s| s.parse().unwrap());
    println!("TICKCAST_TEST_SEED={seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// Kills it so often, each time within so many milliseconds after its start. Gives what all of its instances said.
fn kill_again_and_again(
    setup: &Setup<'_>,
    backfilled: &live::Backfilled,
    times: usize,
    within: std::ops::Range<u64>,
) -> String {
    let mut rng = random();
    let (mut reached, mut told) = (Vec::new(), String::new());
    for turn in 0..times {
        let mut job = setup.start_with(1 + turn % 3);
        let pause = Duration::from_millis(within.start + rng.next_u64() % (within.end - within.start));
        eventually("the moment", Duration::from_secs(10), {
            let begun = std::time::Instant::now();
            move || (begun.elapsed() >= pause).then_some(())
        });
        job.signal(Signal::Kill);
        told += &job.wait(Duration::from_secs(10)).stderr;
        reached.push(setup.through());
    }
    assert!(reached.is_sorted(), "progress never goes back: {reached:?}");
    println!("published through, after each kill: {reached:?}");
    let mut job = setup.start();
    setup.await_through(backfilled.last_but_one(), WITHIN);
    job.signal(Signal::Term);
    told += &job.wait(Duration::from_secs(10)).expect_code(0).stderr;
    assert_exact(setup, backfilled);
    told
}

/// Takes a service away for 30 s while the job works, and brings it back.
fn away(service: Service) {
    let services = Services::own();
    let setup = Setup::new(&services, true, "");
    let Some((whole, parts)) = live::trades(setup.dir.path(), &[150_000, 250_000]) else { return };
    let backfilled = setup.backfill(&whole, SYMBOL);
    setup.replay(&parts[0], SYMBOL);
    let mut job = setup.start();
    setup.await_through(1, WITHIN);
    services.stop(service);
    if service == Service::MongoDb {
        setup.replay(&parts[1], SYMBOL);
    }
    let end = std::time::Instant::now() + Duration::from_secs(30);
    eventually("30 seconds", Duration::from_secs(40), || (std::time::Instant::now() >= end).then_some(()));
    assert!(job.is_running(), "the job waits: {}", job.stderr());
    let peak = job.peak_memory_bytes().unwrap();
    services.start(service);
    if service == Service::Kafka {
        setup.replay(&parts[1], SYMBOL);
    }
    setup.await_through(backfilled.last_but_one(), WITHIN);
    println!("peak memory {} MB while {service:?} was away", peak / 1_000_000);
    assert!(peak < 300_000_000, "memory stays bounded: {peak}");
    job.signal(Signal::Term);
    job.wait(Duration::from_secs(10)).expect_code(0);
    assert_exact(&setup, &backfilled);
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn the_broker_was_away_for_30_seconds() {
    away(Service::Kafka);
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn the_database_was_away_for_30_seconds() {
    away(Service::MongoDb);
}
