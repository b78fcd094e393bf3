//! A start that fails leaves the instance that runs alone: it is not fenced, and goes on publishing.

use crate::live::Setup;
use crate::support::{self, Services, Signal, read_committed, run_to_end, tickcast};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const RETENTION: &str = "offsets that are gone";
const BEGIN: i64 = 1_700_000_040;

/// Ticks of a made-up price, one a second, of the seconds `[from, to)`.
fn ticks(dir: &Path, from: i64, to: i64) -> PathBuf {
    let mut text = String::from("symbol,timestamp,price\n");
    for second in from..to {
        let price = 30_000.0 + (second * 7919 % 1013) as f64 / 10.0;
        let _ = writeln!(text, "BTC,{},{price:.1}", BEGIN + second);
    }
    let path = dir.join(format!("ticks-{from}.csv"));
    std::fs::write(&path, text).unwrap();
    path
}

/// Weights that a job has learnt, as those that another one starts from.
fn learnt_weights(dir: &Path, ticks: &Path) -> String {
    let (weights, learnt) = (dir.join("weights"), dir.join("learnt"));
    let mut command = tickcast(["backfill", "--workers", "1"]);
    for set in [format!("source.files.paths={}", ticks.display()), format!("model.weights={}", learnt.display())] {
        command.args(["--set", &set]);
    }
    run_to_end(command, Duration::from_secs(120)).expect_code(0);
    std::fs::create_dir_all(&weights).unwrap();
    std::fs::rename(&learnt, weights.join("initial")).unwrap();
    weights.display().to_string()
}

fn generation(setup: &Setup<'_>) -> u64 {
    let records = read_committed(setup.services.kafka(), &format!("{}.progress", setup.forecasts));
    let last: serde_json::Value = serde_json::from_slice(&records.last().unwrap().value).unwrap();
    last["generation"].as_u64().unwrap()
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_start_that_fails_does_not_disturb_the_instance_that_runs() {
    let services = Services::shared();
    let setup = Setup::new(&services, true, "[time]\nidle_timeout = \"1s\"\n");
    let first = ticks(setup.dir.path(), 0, 1200);
    setup.replay(&first, None);
    let weights = learnt_weights(setup.dir.path(), &first);
    let mut running = setup.start();
    let mut published = BEGIN * 1000 + 1_140_000;
    setup.await_through(published, Duration::from_secs(60));
    let mine = generation(&setup);

    let a_file = first.display().to_string();
    for (turn, (what, sets, code, part)) in [
        ("other weights", vec![format!("model.weights={weights}")], 5, "other_computation: "),
        ("a topic that is not there", vec![format!("source.kafka.topic={}.other", setup.ticks)], 1, "does not exist"),
        ("a place that is a file", vec![format!("sink.files.dir={a_file}")], 1, "ticks-0.csv"),
        ("nobody at the database", vec!["sink.mongodb.uri=mongodb://127.0.0.1:1".to_owned()], 1, "no MongoDB answers"),
        (RETENTION, vec![], 5, "offsets_expired: "),
    ]
    .into_iter()
    .enumerate()
    {
        if what == RETENTION {
            support::forget_records(services.kafka(), &setup.ticks, 10);
        }
        let mut command = tickcast(["run", "-c", setup.config(), "--workers", "1"]);
        sets.iter().for_each(|set| {
            command.args(["--set", set]);
        });
        let finished = run_to_end(command, Duration::from_secs(60)).expect_code(code);
        assert!(finished.stderr.contains(part), "{what}: {}", finished.stderr);
        assert_eq!(generation(&setup), mine, "{what}: the running instance was fenced");
        // It goes on as if nothing had been.
        let from = 1200 + 300 * turn as i64;
        setup.replay(&ticks(setup.dir.path(), from, from + 300), None);
        published += 300_000;
        setup.await_through(published, Duration::from_secs(60));
        assert!(running.is_running(), "{what}: {}", running.stderr());
    }
    running.signal(Signal::Term);
    running.wait(Duration::from_secs(20)).expect_code(0);
}
