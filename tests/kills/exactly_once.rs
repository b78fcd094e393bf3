//! Each forecast once, equal to the backfill's: after kill -9 at random moments, after a broker or a database that was away.

use crate::live::{Setup, assert_same};
use crate::support::{
    Process, Record, Service, Services, Signal, documents, eventually, produce, read_committed, tickcast, tickcast_of,
};
use crate::{live, simulated};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::time::Duration;
use tickcast::recovery::point::POINTS;

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

/// A death at each named moment, once when the job first comes there and once later; another start after each. Bad records, too:
/// their dead letters come once.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn dead_at_each_named_moment() {
    let services = Services::shared();
    let (store, files) = (crate::support::temp_dir(), crate::support::temp_dir());
    let dead = crate::support::unique("dead");
    let checkpoint =
        format!("[checkpoint]\nurl = \"file://{}\"\ninterval = \"1s\"\nkeep = 2\n", store.path().display());
    let extra = format!("[time]\nallowed_lateness = \"0s\"\nslide = \"1s\"\n{checkpoint}");
    let setup = Setup::new(&services, true, &extra);
    let (whole, _) = simulated::files(setup.dir.path(), 14);
    let backfilled = setup.backfill(&whole, None);
    let kafka = services.kafka();
    let mut feed =
        Process::spawn(tickcast(["replay", whole.to_str().unwrap(), "-c", setup.config(), "--speed", "400"]));
    let program = crate::support::example("stops_at");
    let arguments = ["run", "-c", setup.config(), "--workers", "2", "--json", "--set"].map(str::to_owned).into_iter();
    let arguments = arguments.chain([format!("dead_letter.topic={dead}"), "--set".to_owned()]);
    let arguments = arguments.chain([format!("sink.files.dir={}", files.path().display())]);
    let (mut died, mut bad) = (0, 0);
    for (point, count) in POINTS.into_iter().flat_map(|point| [(point, 1), (point, 3)]) {
        let more = bad..bad + 10;
        bad = more.end;
        // In the partition of a symbol: one without ticks would hold all of them up.
        let record = |number| {
            let key = Some("BTC.SIM".to_owned());
            Record { key, value: format!("{{\"bad\":{number}").into_bytes(), ..Record::default() }
        };
        produce(kafka, &setup.ticks, more.map(record));
        let mut command = tickcast_of(&program, arguments.clone());
        command.env("STOPS_AT", format!("{point}:{count}"));
        let mut job = Process::spawn(command);
        let begun = std::time::Instant::now();
        // Each takeover comes to its moments once.
        let patience = Duration::from_secs(if point.starts_with("takeover") && count > 1 { 3 } else { 15 });
        while job.is_running() && begun.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(20));
        }
        let there = !job.is_running();
        died += usize::from(there);
        println!(
            "{point}, time {count}: {} after {:.1} s",
            if there { "died" } else { "not reached" },
            begun.elapsed().as_secs_f64()
        );
        if !there {
            println!("{}", job.stderr());
        }
        job.signal(Signal::Kill);
        let ended = job.wait(Duration::from_secs(10));
        assert!(ended.code().is_none(), "{point} {count}: {}", ended.stderr);
    }
    assert!(died >= 2 * POINTS.len() - 2, "{died}");
    let mut job = Process::spawn(tickcast(arguments));
    eventually("all is published to the topic", WITHIN, || (!feed.is_running()).then_some(()));
    setup.await_through(backfilled.last_but_one(), WITHIN);
    job.signal(Signal::Term);
    job.wait(Duration::from_secs(10)).expect_code(0);
    assert_exact(&setup, &backfilled);
    let mut letters: Vec<Vec<u8>> = read_committed(kafka, &dead).into_iter().map(|letter| letter.value).collect();
    letters.sort();
    let mut expected: Vec<Vec<u8>> = (0..bad).map(|number| format!("{{\"bad\":{number}").into_bytes()).collect();
    expected.sort();
    assert_eq!(letters, expected, "each dead letter once");
    // The files, whose last line may have been torn each time.
    let (forecasts, _) = backfilled.up_to(setup.through());
    let written = std::fs::read_to_string(files.path().join("forecasts.jsonl")).unwrap();
    assert!(written.lines().eq(forecasts.iter().map(|line| line.as_str())), "forecasts.jsonl");
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

/// `kill -9` of the broker and of the database, in turns, each started again; then both are away. Three times each and for a minute
/// where `TICKCAST_TEST_LONG` is set.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn broker_and_database_are_killed_and_then_both_are_away() {
    let is_long = std::env::var_os("TICKCAST_TEST_LONG").is_some();
    let (turns, away) = if is_long { (3, Duration::from_secs(60)) } else { (1, Duration::from_secs(5)) };
    let services = Services::own();
    let setup = Setup::new(&services, true, "");
    let Some((whole, parts)) = live::trades(setup.dir.path(), &[200_000, 250_000]) else { return };
    let backfilled = setup.backfill(&whole, SYMBOL);
    setup.replay(&parts[0], SYMBOL);
    // From the moment when it has begun to take over: a start that finds nobody there is another matter.
    let mut job = setup.start();
    eventually("the job begins", WITHIN, || job.stderr().contains(" reads topic ").then_some(()));
    let mut rng = random();
    let wait = |time: Duration| {
        let end = std::time::Instant::now() + time;
        eventually("time passes", time + Duration::from_secs(5), || (std::time::Instant::now() >= end).then_some(()));
    };
    for turn in 0..turns {
        for service in [Service::Kafka, Service::MongoDb] {
            wait(Duration::from_millis(rng.next_u64() % 2_500));
            let pid = services.pid(service).to_string();
            let killed = std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap();
            assert!(killed.success(), "turn {turn}, {service:?}");
            wait(Duration::from_millis(rng.next_u64() % 3_000));
            services.start(service);
            assert!(job.is_running(), "turn {turn}, {service:?}: {}", job.stderr());
        }
    }
    services.stop(Service::Kafka);
    services.stop(Service::MongoDb);
    wait(away);
    assert!(job.is_running(), "the job waits: {}", job.stderr());
    let peak = job.peak_memory_bytes().unwrap();
    services.start(Service::MongoDb);
    services.start(Service::Kafka);
    setup.replay(&parts[1], SYMBOL);
    setup.await_through(backfilled.last_but_one(), WITHIN);
    println!("peak memory {} MB", peak / 1_000_000);
    assert!(peak < 300_000_000, "memory stays bounded: {peak}");
    job.signal(Signal::Term);
    job.wait(Duration::from_secs(10)).expect_code(0);
    assert_exact(&setup, &backfilled);
}
