//! What a running job has published to Kafka and into a database is explained without disturbing it.

use crate::live::{Setup, assert_same, epoch_ms};
use crate::simulated;
use crate::support::{
    Finished, Services, Signal, end_offsets, forget_records, read_committed, run_to_end, set_number, tickcast,
};
use serde_json::Value;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(120);

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The id of a forecast, and when it was issued.
fn about(line: &Value) -> (&str, i64) {
    (line["id"].as_str().unwrap(), epoch_ms(line["issued_at"].as_str().unwrap()))
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_running_job_is_not_disturbed_and_its_forecasts_come_out_from_both_places() {
    let services = Services::shared();
    let setup = Setup::new(&services, true, "[time]\nallowed_lateness = \"0s\"\nidle_timeout = \"5m\"\n");
    let (whole, _) = simulated::files(setup.dir.path(), 2);
    let backfilled = setup.backfill(&whole, None);
    let explain = |id: &str| -> Finished {
        run_to_end(tickcast(["explain", id, "-c", setup.config(), "--json", "--workers", "1"]), WITHIN)
    };
    let progress =
        || json(&read_committed(services.kafka(), &format!("{}.progress", setup.forecasts)).pop().unwrap().value);
    // One hour, and another one later.
    let (text, hour) = (std::fs::read_to_string(&whole).unwrap(), simulated::START.millis() + 3_600_000);
    let parts: [Vec<&str>; 2] = [true, false].map(|first| {
        text.lines().filter(|line| (json(line.as_bytes())["timestamp"].as_i64() < Some(hour)) == first).collect()
    });
    let parts = [0, 1].map(|number| {
        let path = setup.dir.path().join(format!("hour-{number}.jsonl"));
        std::fs::write(&path, parts[number].join("\n") + "\n").unwrap();
        path
    });
    setup.replay(&parts[0], None);
    let mut job = setup.start_with(2);
    setup.await_through(hour - 120_000, WITHIN);
    let lines: Vec<Value> = read_committed(services.kafka(), &setup.forecasts).iter().map(|m| json(&m.value)).collect();
    let (before, ends) = (progress(), end_offsets(services.kafka(), &setup.ticks));
    for line in lines.iter().step_by(lines.len() / 4) {
        let told = json(&explain(about(line).0).expect_code(0).stdout);
        assert!(told["same"] == true && told["forecast"] == *line, "{told}");
        let places = told["published"].as_array().unwrap();
        let compared: Vec<&str> = places.iter().map(|of| of["compared_by"].as_str().unwrap()).collect();
        assert_eq!(compared, ["bytes", "values"], "{told}");
    }
    assert!(job.is_running(), "{}", job.stderr());
    let after = progress();
    assert_eq!((&after["generation"], &after["computation"]), (&before["generation"], &before["computation"]));
    assert_eq!(end_offsets(services.kafka(), &setup.ticks), ends);
    // It goes on to publish: nobody has fenced it.
    setup.replay(&parts[1], None);
    setup.await_through(backfilled.last_but_one(), WITHIN);
    job.signal(Signal::Term);
    job.wait(WITHIN).expect_code(0);

    let (forecasts, _) = backfilled.up_to(setup.through());
    assert_same(&read_committed(services.kafka(), &setup.forecasts), &forecasts, "forecasts");

    // Another number in the database alone.
    let (id, _) = about(&lines[0]);
    set_number(services.mongodb(), setup.database.as_ref().unwrap(), "predictions", id, "interval.upper", 1.5);
    let told = explain(id).expect_code(1).stderr;
    assert!(told.contains("database ") && told.contains("differs: interval.upper is 1.5 as published"), "{told}");
    // The broker has forgotten what the job began with, and it kept no checkpoint.
    forget_records(services.kafka(), &setup.ticks, 5);
    let told = explain(about(&lines[lines.len() / 2]).0).expect_code(5).stderr;
    assert!(told.contains("inputs_gone: ") && told.contains("no checkpoint is kept"), "{told}");
}
