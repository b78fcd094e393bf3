//! Checkpoints in an object store: it never replaces, says what is wrong, and a job lives through whatever it answers.

use crate::live::Setup;
use crate::objects::{BUCKET, Fault, Objects};
use crate::support::{self, Process, Services, Signal, eventually, run_to_end, tickcast};
use crate::{live, simulated};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickcast::connectors::checkpoints::Bucket;
use tickcast::recovery::store::{Store as _, StoreError, put_once};

const WITHIN: Duration = Duration::from_secs(180);

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_bucket_keeps_what_was_put_and_never_replaces_it() {
    let services = Services::shared();
    let objects = Objects::start(&services);
    let store = Bucket::open(BUCKET, "deep/down", objects.settings()).unwrap();
    assert!(store.list("").unwrap().is_empty());
    store.check().unwrap();
    assert!(store.list("").unwrap().is_empty(), "a check leaves nothing");
    store.create("job/a", b"12345").unwrap();
    store.create("job/b/c", b"").unwrap();
    assert!(matches!(store.create("job/a", b"other"), Err(StoreError::Exists(_))));
    // Beside the prefix.
    Bucket::open(BUCKET, "", objects.settings()).unwrap().create("deep/downer/x", b"x").unwrap();
    assert_eq!(store.list("").unwrap(), ["job/a", "job/b/c"]);
    assert_eq!((store.list("job/b").unwrap(), store.list("job/").unwrap().len()), (vec!["job/b/c".to_owned()], 2));
    assert_eq!(
        (store.get("job/a").unwrap(), store.get_range("job/a", 1, 3).unwrap()),
        (b"12345".into(), b"234".into())
    );
    assert_eq!(store.get_range("job/a", 4, 100).unwrap(), b"5");
    assert!(matches!(store.get("job/x"), Err(StoreError::Missing(_))));
    // More than goes up in one piece.
    let large: Vec<u8> = (0..40_000_000_u32).map(|number| (number % 251) as u8).collect();
    store.create("job/large", &large).unwrap();
    assert!(store.get("job/large").unwrap() == large);
    assert!(matches!(store.create("job/large", &large), Err(StoreError::Exists(_))));
    for name in store.list("job/").unwrap() {
        store.remove(&name).unwrap();
        store.remove(&name).unwrap();
    }
    assert!(store.list("").unwrap().is_empty());

    // One of many gets there.
    let racers: Vec<Arc<Bucket>> =
        (0..6).map(|_| Arc::new(Bucket::open(BUCKET, "race", objects.settings()).unwrap())).collect();
    for round in 0..10 {
        let name = format!("round-{round}");
        let racing = racers.iter().enumerate().map(|(number, store)| {
            let (store, name) = (Arc::clone(store), name.clone());
            std::thread::spawn(move || put_once(store.as_ref(), &name, format!("of {number}").as_bytes()).is_ok())
        });
        let won: Vec<bool> = racing.collect::<Vec<_>>().into_iter().map(|racer| racer.join().unwrap()).collect();
        let winner = won.iter().position(|won| *won).unwrap();
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "round {round}");
        assert_eq!(racers[0].get(&name).unwrap(), format!("of {winner}").as_bytes());
    }
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn answers_that_are_wrong_or_missing() {
    let services = Services::shared();
    let objects = Objects::start(&services);
    let store = Bucket::open(BUCKET, "job", objects.settings()).unwrap();
    let faults = [
        vec![Fault::Refused(409)],
        vec![Fault::Denied(409)],
        vec![Fault::Denied(412)],
        vec![Fault::Denied(500)],
        vec![Fault::Refused(503)],
        vec![Fault::Unanswered],
        vec![Fault::Lost, Fault::Refused(409), Fault::Unanswered],
    ];
    for (number, faults) in faults.into_iter().enumerate() {
        let name = format!("of-{number}");
        objects.set_faults(faults.clone());
        let put = put_once(&store, &name, b"mine");
        assert!(put.is_ok() && objects.faults_are_over(), "{faults:?}: {put:?}");
        assert_eq!(store.get(&name).unwrap(), b"mine", "{faults:?}");
    }
    // It says that somebody was there, always, and nobody was.
    objects.set_faults([Fault::Refused(412); 3]);
    assert!(put_once(&store, "never", b"mine").unwrap_err().contains("said to be there, and is not"));
    // Somebody was.
    store.create("taken", b"theirs").unwrap();
    assert!(put_once(&store, "taken", b"mine").unwrap_err().contains("another instance"));
    objects.set_faults([Fault::Refused(403)]);
    let error = store.create("forbidden", b"x").unwrap_err().to_string();
    assert!(error.starts_with("not allowed to write s3://state/job/forbidden: give AWS_ACCESS_KEY_ID"), "{error}");
    let nowhere = Bucket::open("nobodys", "job", objects.settings()).unwrap();
    assert!(nowhere.check().unwrap_err().to_string().contains("is there no bucket `nobodys`?"));
    let listed = nowhere.list("");
    assert!(listed.as_ref().unwrap_err().to_string().contains("is there no bucket `nobodys`?"), "{listed:?}");
    objects.set_away(true);
    let begun = Instant::now();
    let error = store.check().unwrap_err().to_string();
    assert!(error.starts_with("checkpoint.url: cannot write s3://state/job/check-"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}

/// Killed twice; the store is away for a while in between: for a minute where `TICKCAST_TEST_LONG` is set.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_job_with_its_state_in_a_bucket() {
    let services = Services::shared();
    let objects = Objects::start(&services);
    let setup = Setup::new(
        &services,
        false,
        "[time]\nallowed_lateness = \"0s\"\nslide = \"1s\"\n[checkpoint]\nurl = \"s3://state/jobs\"\ninterval = \"1s\"\n",
    );
    let (whole, _) = simulated::files(setup.dir.path(), 8);
    let backfilled = setup.backfill(&whole, None);
    let with = |arguments: &[&str]| {
        let mut command = tickcast(arguments.iter().copied());
        command.args(["-c", setup.config()]).envs(objects.settings());
        command
    };
    let store = Bucket::open(BUCKET, "jobs", objects.settings()).unwrap();
    let manifests = || {
        let names = store.list("").unwrap_or_default();
        names.into_iter().filter(|name| name.ends_with("/manifest")).collect::<Vec<_>>()
    };
    // Without credentials for it.
    let mut refused = tickcast(["run", "-c", setup.config()]);
    refused
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .env("AWS_ACCESS_KEY_ID", "a")
        .env("AWS_SECRET_ACCESS_KEY", "b");
    let refused = run_to_end(refused, WITHIN).expect_code(1);
    assert!(refused.stderr.contains("checkpoint.url: cannot write s3://state/jobs/check-"), "{}", refused.stderr);

    let is_long = std::env::var_os("TICKCAST_TEST_LONG").is_some();
    // It has to go on when the store is back.
    let speed = if is_long { "150" } else { "500" };
    let mut feed =
        Process::spawn(tickcast(["replay", whole.to_str().unwrap(), "-c", setup.config(), "--speed", speed]));
    let mut job = Process::spawn(with(&["run", "--workers", "2"]));
    let begun = Instant::now();
    eventually("three checkpoints", WITHIN, || (manifests().len() >= 3).then_some(()));
    println!("three checkpoints after {:.1} s", begun.elapsed().as_secs_f64());
    let before = manifests().pop();
    objects.set_away(true);
    let through = setup.through();
    eventually("a word that the store is away", WITHIN, || job.stderr().contains("no checkpoint of ").then_some(()));
    setup.await_through(through + 60_000, WITHIN);
    if is_long {
        std::thread::sleep(Duration::from_secs(60));
        assert!(job.is_running(), "{}", job.stderr());
    }
    objects.set_away(false);
    eventually("another checkpoint", WITHIN, || (manifests().pop() > before).then_some(()));
    job.signal(Signal::Kill);
    job.wait(WITHIN);
    let verified = run_to_end(with(&["checkpoint", "verify"]), WITHIN).expect_code(0).stdout_text();
    assert!(verified.lines().count() >= 3 && verified.lines().all(|line| line.ends_with("whole")), "{verified}");
    let mut job = Process::spawn(with(&["run", "--workers", "1"]));
    eventually("all is published to the topic", WITHIN, || (!feed.is_running()).then_some(()));
    setup.await_through(backfilled.last_but_one(), WITHIN);
    job.signal(Signal::Term);
    let ended = job.wait(WITHIN).expect_code(0);
    assert!(ended.stderr.contains("goes on from the checkpoint of "), "{}", ended.stderr);
    let (forecasts, _) = backfilled.up_to(setup.through());
    live::assert_same(&support::read_committed(services.kafka(), &setup.forecasts), &forecasts, "forecasts");
}
