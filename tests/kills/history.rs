//! History, then the topic, through deaths before, at and after the seam.

use crate::exactly_once::{assert_exact, random};
use crate::live::Setup;
use crate::simulated;
use crate::support::{Process, Services, Signal, eventually, run_to_end, tickcast};
use rand_chacha::rand_core::Rng as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(300);

/// The lines of a file whose stamps lie in `[from, to)`, in another.
fn part(whole: &Path, name: &str, from: i64, to: i64) -> PathBuf {
    let path = whole.with_file_name(name);
    let text = std::fs::read_to_string(whole).unwrap();
    let at = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["timestamp"].as_i64().unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| (from..to).contains(&at(line))).collect();
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    path
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn killed_before_at_and_after_the_seam() {
    let services = Services::shared();
    let (store, files) = (crate::support::temp_dir(), crate::support::temp_dir());
    let checkpoint = format!("[checkpoint]\nurl = \"file://{}\"\ninterval = \"1s\"\n", store.path().display());
    let setup =
        Setup::new(&services, true, &format!("[time]\nallowed_lateness = \"0s\"\nslide = \"1s\"\n{checkpoint}"));
    let (whole, _) = simulated::files(setup.dir.path(), 9);
    let hour = |hours: i64| simulated::START.millis() + hours * 3_600_000;
    let backfilled = setup.backfill(&whole, None);
    // The topic has the last hour of the history, too.
    let history = part(&whole, "history.jsonl", hour(0), hour(6));
    let before = part(&whole, "before.jsonl", hour(5), hour(7));
    let later = part(&whole, "later.jsonl", hour(7), hour(9));
    let paths = format!("source.files.paths=[\"{}\"]", history.display());
    let out = format!("sink.files.dir={}", files.path().display());
    let then_live = |workers: usize| {
        let workers = workers.to_string();
        let arguments = ["backfill", "-c", setup.config(), "--then-live", "--workers", &workers, "--json"];
        Process::spawn(tickcast(arguments.into_iter().chain(["--set", &paths, "--set", &out])))
    };
    let run = || Process::spawn(tickcast(["run", "-c", setup.config(), "--workers", "2", "--json", "--set", &out]));

    // Without its history it cannot go on until a checkpoint is beyond.
    let mut rng = random();
    let mut reached = Vec::new();
    for turn in 0..6 {
        if turn == 3 {
            // Until now the topic was empty, and nothing but the history told how far it is.
            setup.replay(&before, None);
        }
        let mut job = then_live(1 + turn % 2);
        let pause = Duration::from_millis(1_000 + rng.next_u64() % 3_000);
        let begun = Instant::now();
        eventually("the moment", Duration::from_secs(10), || (begun.elapsed() >= pause).then_some(()));
        job.signal(Signal::Kill);
        job.wait(Duration::from_secs(10));
        reached.push(setup.through());
        let has_checkpoint = || {
            let list = tickcast(["checkpoint", "list", "-c", setup.config()]);
            !run_to_end(list, Duration::from_secs(60)).stdout.is_empty()
        };
        if turn == 0 && reached[0] > 0 && !has_checkpoint() {
            let refused = run().wait(Duration::from_secs(60)).expect_code(5);
            assert!(refused.stderr.contains("history_needed: "), "{}", refused.stderr);
        }
    }
    println!("published through, after each kill: {reached:?}");
    let mut job = then_live(2);
    setup.await_through(hour(7) - 120_000, WITHIN);
    eventually("a checkpoint from after the seam", WITHIN, || {
        let list = run_to_end(tickcast(["checkpoint", "list", "-c", setup.config()]), Duration::from_secs(60));
        (!list.stdout.is_empty()).then_some(())
    });
    job.signal(Signal::Kill);
    let told = job.wait(Duration::from_secs(10)).stderr;
    assert!(told.contains("no hole in between") && !told.contains("hole: "), "{told}");

    // From here on the history may be gone.
    std::fs::remove_file(&history).unwrap();
    let mut job = run();
    setup.replay(&later, None);
    setup.await_through(backfilled.last_but_one(), WITHIN);
    job.signal(Signal::Term);
    let ended = job.wait(Duration::from_secs(10)).expect_code(0);
    assert!(ended.stderr.contains("goes on from the checkpoint of "), "{}", ended.stderr);
    let summary: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    let lines = std::fs::read_to_string(&whole).unwrap().lines().count() as u64;
    println!("{}", summary["records"]);
    assert_eq!(summary["records"]["used"].as_u64(), Some(lines), "of history and topic");
    assert_exact(&setup, &backfilled);
    let (forecasts, _) = backfilled.up_to(setup.through());
    let written = std::fs::read_to_string(files.path().join("forecasts.jsonl")).unwrap();
    assert!(written.lines().eq(forecasts.iter().map(|line| line.as_str())), "forecasts.jsonl");
}
