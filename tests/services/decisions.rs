//! What a start, and a running job, make of a topic or a configuration that is no longer what it was: each has a named outcome,
//! a refusal ends with 5 and touches nothing, and `--reset` begins anew.

use crate::live::Setup;
use crate::support::{
    self, Finished, Process, Record, Services, Signal, eventually, read_committed, run_to_end, tickcast,
};
use std::collections::BTreeSet;
use std::time::Duration;

const BEGIN: i64 = 1_700_000_040;
const WITHIN: Duration = Duration::from_secs(60);
const SETTINGS: &str = "[time]\nidle_timeout = \"1s\"\n[model]\nhorizons = [\"1m\", \"2m\"]\nstep = \"1m\"\n[dead_letter]\nfile = \"/dev/null\"\n";

/// Ticks of a made-up price, one a second, of the seconds `[from, to)`.
fn ticks(symbol: &str, partition: i32, from: i64, to: i64) -> Vec<Record> {
    let record = |second: i64| Record {
        partition: Some(partition),
        key: Some(symbol.to_owned()),
        value: format!(
            "{{\"symbol\":\"{symbol}\",\"timestamp\":{},\"price\":{:.1}}}",
            BEGIN + second,
            30_000.0 + (second * 7919 % 1013) as f64 / 10.0
        )
        .into_bytes(),
    };
    (from..to).map(record).collect()
}

/// A job that has published ten minutes of BTC and runs.
fn running<'a>(services: &'a Services) -> (Setup<'a>, Process) {
    let setup = Setup::new(services, false, SETTINGS);
    support::produce(services.kafka(), &setup.ticks, ticks("BTC", 0, 0, 660));
    let job = setup.start();
    setup.await_through((BEGIN + 600) * 1000, WITHIN);
    (setup, job)
}

/// The same, and it was stopped.
fn stopped<'a>(services: &'a Services) -> Setup<'a> {
    let (setup, mut job) = running(services);
    job.signal(Signal::Term);
    job.wait(WITHIN).expect_code(0);
    setup
}

fn run(setup: &Setup<'_>, more: &[&str]) -> Finished {
    let mut command = tickcast(["run", "-c", setup.config(), "--workers", "1", "--json"]);
    command.args(more);
    run_to_end(command, WITHIN)
}

/// All that the job has written to Kafka.
fn written(setup: &Setup<'_>) -> Vec<support::Message> {
    let topics = ["", ".scores", ".progress"].map(|name| format!("{}{name}", setup.forecasts));
    topics.iter().flat_map(|topic| read_committed(setup.services.kafka(), topic)).collect()
}

/// The ids of all forecasts, in their order; none comes twice.
fn ids(setup: &Setup<'_>) -> Vec<String> {
    let values = read_committed(setup.services.kafka(), &setup.forecasts);
    let id = |message: &support::Message| {
        serde_json::from_slice::<serde_json::Value>(&message.value).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let ids: Vec<String> = values.iter().map(id).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "a forecast twice");
    ids
}

/// That a start is refused by this name, and touches nothing.
fn refused(setup: &Setup<'_>, more: &[&str], name: &str) {
    let before = written(setup);
    let finished = run(setup, more).expect_code(5);
    assert!(finished.stderr.contains(&format!("{name}: ")), "{name}: {}", finished.stderr);
    assert_eq!(written(setup), before, "{name}: something was written");
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn another_computation_is_refused_and_names_its_key() {
    let services = Services::shared();
    let setup = stopped(&services);
    for (set, key) in [
        ("time.slide=10s", "time.slide = 5s, and now it is 10s"),
        ("model.random_seed=7", "model.random_seed = 42, and now it is 7"),
        ("model.horizons=1m", "model.horizons = 1m 2m, and now it is 1m"),
        ("model.experts.flow=false", "model.experts = all, and now it is without flow"),
        ("source.symbols_max=9", "source.symbols_max = 10000"),
    ] {
        let before = written(&setup);
        let finished = run(&setup, &["--set", set]).expect_code(5);
        assert!(
            finished.stderr.contains(key) && finished.stderr.contains("other_computation: "),
            "{}",
            finished.stderr
        );
        assert_eq!(written(&setup), before, "{set}: something was written");
    }
    // What decides nothing may change: the number of workers, what is waited for, where results go.
    let mut free = tickcast(["run", "-c", setup.config(), "--workers", "3"]);
    free.args(["--set", "time.idle_timeout=2s", "--set", &format!("sink.files.dir={}", setup.dir.path().display())]);
    let mut free = Process::spawn(free);
    support::produce(services.kafka(), &setup.ticks, ticks("BTC", 0, 660, 960));
    setup.await_through((BEGIN + 900) * 1000, WITHIN);
    free.signal(Signal::Term);
    free.wait(WITHIN).expect_code(0);
    ids(&setup);
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_topic_that_was_created_anew_is_refused_until_someone_gives_the_old_history_up() {
    let services = Services::shared();
    let setup = stopped(&services);
    support::create_anew(services.kafka(), &setup.ticks, 4);
    support::produce(services.kafka(), &setup.ticks, ticks("BTC", 0, 3600, 4500));
    refused(&setup, &[], "topic_created_anew");
    let before = ids(&setup).len();
    let mut anew = Process::spawn(tickcast(["run", "-c", setup.config(), "--reset"]));
    setup.await_through((BEGIN + 4440) * 1000, WITHIN);
    assert!(anew.stderr().contains("--reset gives up its progress through 2023-11-14T22:"), "{}", anew.stderr());
    anew.signal(Signal::Term);
    anew.wait(WITHIN).expect_code(0);
    assert!(ids(&setup).len() > before, "nothing of the new topic is published");
    // From here on it is a job like any other.
    let mut again = setup.start();
    support::produce(services.kafka(), &setup.ticks, ticks("BTC", 0, 4500, 4800));
    setup.await_through((BEGIN + 4740) * 1000, WITHIN);
    again.signal(Signal::Term);
    again.wait(WITHIN).expect_code(0);
    ids(&setup);
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_topic_that_goes_or_is_created_anew_ends_the_job_that_reads_it() {
    let services = Services::shared();
    for (anew, outcome) in [(true, "topic_created_anew: "), (false, "topic_deleted: ")] {
        let (setup, job) = running(&services);
        let before = ids(&setup);
        if anew {
            support::create_anew(services.kafka(), &setup.ticks, 4);
            support::produce(services.kafka(), &setup.ticks, ticks("BTC", 0, 660, 960));
        } else {
            support::delete_topic(services.kafka(), &setup.ticks);
        }
        let finished = job.wait(Duration::from_secs(20)).expect_code(5);
        assert!(finished.stderr.contains(outcome), "{}", finished.stderr);
        assert_eq!(ids(&setup), before, "nothing of the other topic is published");
    }
}

/// The new partition's ticks of before are late; a resume decides that as the first run did.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn partitions_that_are_new_are_taken_in_where_the_job_stands() {
    let services = Services::shared();
    for while_it_runs in [false, true] {
        let (setup, mut job) = running(&services);
        if !while_it_runs {
            job.signal(Signal::Term);
            job.wait(WITHIN).expect_code(0);
            job = Process::spawn(tickcast(["config", "show"]));
        }
        support::grow_topic(services.kafka(), &setup.ticks, 5);
        // Half of it lies before what is published.
        support::produce(services.kafka(), &setup.ticks, ticks("ETH", 4, 300, 1260));
        support::produce(services.kafka(), &setup.ticks, ticks("BTC", 0, 660, 1260));
        if while_it_runs {
            eventually("the job begins again", WITHIN, || {
                job.stderr().contains("takes in partitions that are new: offsets 4:0").then_some(())
            });
            assert!(job.stderr().contains("partitions_added: "), "{}", job.stderr());
        } else {
            job = setup.start();
        }
        setup.await_through((BEGIN + 1200) * 1000, WITHIN);
        job.signal(Signal::Kill);
        job.wait(WITHIN);
        let before = written(&setup);
        let eth = ids(&setup).into_iter().filter(|id| id.contains("/ETH/")).collect::<Vec<_>>();
        // The first minute that closes after what was published.
        assert!(!eth.is_empty(), "nothing of the new partition is published");
        // All is computed again: what was late stays late, and nothing is published twice.
        let mut again = setup.start();
        support::produce(services.kafka(), &setup.ticks, ticks("ETH", 4, 1260, 1500));
        support::produce(services.kafka(), &setup.ticks, ticks("BTC", 0, 1260, 1500));
        setup.await_through((BEGIN + 1440) * 1000, WITHIN);
        again.signal(Signal::Term);
        let summary = again.wait(WITHIN).expect_code(0);
        let summary: serde_json::Value = serde_json::from_slice(&summary.stdout).unwrap();
        let late = summary["records"]["late"].as_u64().unwrap();
        assert!((300..=660 - 300).contains(&late), "late: {late}");
        let after = written(&setup);
        assert!(before.iter().all(|message| after.contains(message)), "what was published stays");
        ids(&setup);
    }
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_topic_that_lost_what_is_needed_is_refused() {
    let services = Services::shared();
    let setup = stopped(&services);
    support::configure_topic(services.kafka(), &setup.ticks, "cleanup.policy", "compact");
    refused(&setup, &[], "source_compacted");
    support::configure_topic(services.kafka(), &setup.ticks, "cleanup.policy", "delete");
    support::forget_records(services.kafka(), &setup.ticks, 100);
    refused(&setup, &[], "offsets_expired");
    // A backfill would end the live job.
    let backfill = tickcast(["backfill", "-c", setup.config()]);
    let finished = run_to_end(backfill, WITHIN).expect_code(5);
    assert!(finished.stderr.contains("published_before: "), "{}", finished.stderr);
    let mut anew = Process::spawn(tickcast(["run", "-c", setup.config(), "--reset"]));
    eventually("it reads from what is there", WITHIN, || anew.stderr().contains("gives up").then_some(()));
    support::produce(services.kafka(), &setup.ticks, ticks("BTC", 0, 660, 960));
    setup.await_through((BEGIN + 900) * 1000, WITHIN);
    anew.signal(Signal::Term);
    anew.wait(WITHIN).expect_code(0);
}

/// `latest` is resolved once: what comes while the job is down is not passed over, though it has published nothing yet.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn latest_is_what_it_was_at_the_first_start() {
    let services = Services::shared();
    let setup = Setup::new(&services, false, SETTINGS);
    let latest = ["--set", "source.kafka.start=latest"];
    support::produce(services.kafka(), &setup.ticks, ticks("BTC", 0, 0, 100));
    let start = |workers: &str| {
        let mut command = tickcast(["run", "-c", setup.config(), "--workers", workers, "--json"]);
        command.args(latest);
        Process::spawn(command)
    };
    let mut first = start("1");
    eventually("it has begun", WITHIN, || {
        let progress = format!("{}.progress", setup.forecasts);
        std::panic::catch_unwind(|| read_committed(services.kafka(), &progress)).ok().filter(|all| !all.is_empty())
    });
    first.signal(Signal::Kill);
    first.wait(WITHIN);
    support::produce(services.kafka(), &setup.ticks, ticks("BTC", 0, 100, 700));
    let mut second = start("2");
    setup.await_through((BEGIN + 640) * 1000, WITHIN);
    second.signal(Signal::Term);
    let summary = second.wait(WITHIN).expect_code(0);
    let summary: serde_json::Value = serde_json::from_slice(&summary.stdout).unwrap();
    assert_eq!(summary["records"]["used"].as_u64(), Some(600));
}
