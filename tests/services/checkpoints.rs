//! A live job goes on from its checkpoints: with other workers, past retention, past a damaged one; and `checkpoint` says what
//! there is.

use crate::live::{Setup, assert_same};
use crate::simulated;
use crate::support::{self, Process, Services, Signal, eventually, read_committed, run_to_end, tickcast};
use std::path::{Path, PathBuf};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(120);

/// A job with a checkpoint per second, and the directory of its checkpoints.
fn setup<'a>(services: &'a Services, dir: &Path) -> (Setup<'a>, PathBuf) {
    let store = dir.join("state");
    let extra = format!(
        "[time]\nallowed_lateness = \"0s\"\nslide = \"1s\"\nidle_timeout = \"2s\"\n\
         [checkpoint]\nurl = \"file://{}\"\ninterval = \"1s\"\n",
        store.display()
    );
    let setup = Setup::new(services, false, &extra);
    let job = setup.config().to_owned();
    let id = std::fs::read_to_string(job)
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("id = \"").map(|rest| rest.trim_end_matches('"').to_owned()));
    (setup, store.join(id.unwrap()))
}

/// Checkpoints with a manifest, the oldest first.
fn checkpoints(store: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(store) else { return Vec::new() };
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("manifest").is_file()).collect();
    found.sort();
    found
}

/// Waits until the job has made checkpoints, and as many are there as are kept.
fn await_checkpoints(store: &Path) {
    let before = checkpoints(store).pop();
    eventually("checkpoints", WITHIN, || {
        let found = checkpoints(store);
        (found.len() >= 3 && found.last() > before.as_ref()).then_some(())
    });
}

/// Waits for checkpoints, and ends the job.
fn stop_after(setup: &Setup<'_>, mut job: Process, store: &Path, signal: Signal) -> String {
    await_checkpoints(store);
    job.signal(signal);
    let ended = job.wait(WITHIN);
    assert!(setup.through() > 0, "{}", ended.stderr);
    ended.stderr
}

/// Publishes at a pace at which some checkpoints come about.
fn replay_slowly(setup: &Setup<'_>, file: &Path) -> Process {
    Process::spawn(tickcast(["replay", file.to_str().unwrap(), "-c", setup.config(), "--speed", "2000"]))
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_job_goes_on_from_what_it_kept_whatever_became_of_the_rest() {
    let services = Services::shared();
    let dir = support::temp_dir();
    let (setup, store) = setup(&services, dir.path());
    let (whole, _) = simulated::files(setup.dir.path(), 12);
    let backfilled = setup.backfill(&whole, None);
    let feed = replay_slowly(&setup, &whole);
    let config = setup.config().to_owned();
    let look =
        |what: &str, code: i32| run_to_end(tickcast(["checkpoint", what, "-c", &config]), WITHIN).expect_code(code);

    let job = setup.start_with(1);
    stop_after(&setup, job, &store, Signal::Kill);
    let listed = look("list", 0).stdout_text();
    assert!(listed.contains("a start would go on from the checkpoint of 2023-11-15T"), "{listed}");
    assert!(look("verify", 0).stdout_text().lines().all(|line| line.ends_with("whole")));
    assert!(look("show", 0).stdout_text().contains("  time.slide = 1s"));

    // With more workers; and the newest is damaged: the one before it serves.
    let newest = checkpoints(&store).pop().unwrap();
    let state = newest.join("state-0");
    let mut bytes = std::fs::read(&state).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&state, &bytes).unwrap();
    assert!(look("verify", 1).stdout_text().contains("state-0: damaged"));
    let job = setup.start_with(3);
    let told = stop_after(&setup, job, &store, Signal::Term);
    assert!(told.contains("state-0: damaged: not used") && told.contains("goes on from the checkpoint of "), "{told}");

    // The broker has forgotten what the job began with: a checkpoint needs less.
    support::forget_records(services.kafka(), &setup.ticks, 50);
    let job = setup.start_with(2);
    let told = stop_after(&setup, job, &store, Signal::Kill);
    assert!(told.contains("goes on from the checkpoint of "), "{told}");

    // A store that is gone while the job runs: it goes on without.
    let job = setup.start_with(2);
    await_checkpoints(&store);
    let aside = dir.path().join("aside");
    std::fs::rename(dir.path().join("state"), &aside).unwrap();
    std::fs::write(dir.path().join("state"), "no directory").unwrap();
    feed.wait(Duration::from_secs(300)).expect_code(0);
    setup.await_through(backfilled.last_but_one(), Duration::from_secs(300));
    eventually("a warning", WITHIN, || job.stderr().contains("no checkpoint of ").then_some(()));
    let mut job = job;
    job.signal(Signal::Term);
    job.wait(WITHIN).expect_code(0);

    // All of it, each once, as the run that was never interrupted has it.
    let (forecasts, scores) = backfilled.up_to(setup.through());
    assert_same(&read_committed(services.kafka(), &setup.forecasts), &forecasts, "forecasts");
    assert_same(&read_committed(services.kafka(), &format!("{}.scores", setup.forecasts)), &scores, "scores");

    // Without any checkpoint it cannot go on, and says so; a place that is no directory is told before.
    let run = |code: i32| run_to_end(tickcast(["run", "-c", &config]), WITHIN).expect_code(code).stderr;
    assert!(run(1).contains("is no directory"));
    std::fs::remove_file(dir.path().join("state")).unwrap();
    assert!(run(5).contains("offsets_expired: "));
    std::fs::rename(&aside, dir.path().join("state")).unwrap();
    // Exactly as many as are to be kept, and no litter.
    assert_eq!(std::fs::read_dir(&store).unwrap().count(), 3);
    // A manifest of a newer format is passed over; one that knows more than the progress record is not.
    let newest = checkpoints(&store).pop().unwrap();
    let manifest = std::fs::read_to_string(newest.join("manifest")).unwrap();
    std::fs::write(newest.join("manifest"), manifest.replacen("\"version\":2", "\"version\":9", 1)).unwrap();
    assert!(look("list", 0).stdout_text().contains("format 9, this tickcast reads 2"));
}
