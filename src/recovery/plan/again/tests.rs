//! Where a forecast is computed again from, case by case.

use super::*;
use crate::market::{Generation, PartitionId, Sequence};

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);
const MINUTE: i64 = 60_000;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_040_000 + minute * MINUTE)
}

fn computation(numerics: &str) -> Computation {
    Computation::new([
        ("time.slide", "5s".to_owned()),
        (keys::TOPIC, "ticks".to_owned()),
        (keys::NUMERICS, numerics.to_owned()),
    ])
}

fn checkpoint(minute: i64) -> Found {
    let manifest = Manifest {
        version: 2,
        job: "btc".to_owned(),
        generation: Generation(3),
        computation: computation("fma"),
        cut: at(minute),
        offsets: [(P0, 100 + minute), (P1, 200 + minute)].into(),
        partitions: 2,
        parts: PARTS,
        layout: "1".to_owned(),
        sinks: Vec::new(),
        sections: Vec::new(),
    };
    (format!("c{minute}"), Ok(manifest))
}

struct Setup {
    progress: Option<Progress>,
    topic: TopicState,
    start: Option<Offsets>,
    checkpoints: Vec<Found>,
    computation: Computation,
    from_start: bool,
}

impl Setup {
    /// A job with checkpoints of minutes 40, 30, 20, and all of its topic.
    fn new() -> Self {
        let progress = Progress {
            generation: Generation(3),
            sequence: Sequence(40),
            through: at(50),
            computation: computation("fma"),
            start: [(P0, 0), (P1, 0)].into(),
            partitions: 2,
            ..Progress::of("btc")
        };
        let topic = TopicState {
            name: "ticks".to_owned(),
            partitions: [(P0, (0, 500)), (P1, (0, 500))].into(),
            ..TopicState::default()
        };
        Self {
            progress: Some(progress),
            topic,
            start: None,
            checkpoints: [40, 30, 20].map(checkpoint).to_vec(),
            computation: computation("fma"),
            from_start: false,
        }
    }

    /// Of a forecast issued in a minute, made of the 16 before.
    fn of(&self, minute: i64) -> Result<Beginning, Unrepeatable> {
        again(Asked {
            issued_at: at(minute),
            shown_from: at(minute - 16),
            computation: &self.computation,
            progress: self.progress.as_ref(),
            topic: &self.topic,
            start: self.start.as_ref(),
            checkpoints: &self.checkpoints,
            layout: "1",
            from_start: self.from_start,
        })
    }

    fn cut_of(&self, minute: i64) -> Option<i64> {
        let cut = self.of(minute).unwrap().checkpoint.map(|manifest| manifest.cut);
        cut.map(|cut| (cut.millis() - at(0).millis()) / MINUTE)
    }

    fn forget(&mut self, below: i64) {
        self.topic.partitions.insert(P0, (below, 500));
    }
}

#[test]
fn the_newest_checkpoint_that_shows_everything_else_the_oldest_else_the_beginning() {
    let mut setup = Setup::new();
    let cuts: Vec<Option<i64>> =
        [60, 56, 50, 46, 41, 35, 21, 20, 3].iter().map(|minute| setup.cut_of(*minute)).collect();
    let expected = [Some(40), Some(40), Some(30), Some(30), Some(20), Some(20), Some(20), None, None];
    assert_eq!(cuts, expected);
    let of_beginning = setup.of(3).unwrap();
    assert_eq!((of_beginning.starts, of_beginning.passed_over.len()), ([(P0, 0), (P1, 0)].into(), 3));
    assert_eq!(setup.of(60).unwrap().starts, [(P0, 140), (P1, 240)].into());
    setup.from_start = true;
    assert_eq!(setup.cut_of(60), None);
    // A partition that came after all that the job has read.
    setup.topic.partitions.insert(PartitionId(2), (0, 9));
    assert_eq!(setup.of(60).unwrap().starts.len(), 2);
}

#[test]
fn what_is_gone_is_told_with_what_is_needed() {
    let mut setup = Setup::new();
    setup.forget(125);
    let told = setup.of(15).unwrap_err().to_string();
    for part in [
        "inputs_gone: the forecast of 2023-11-14T22:29:00.000Z cannot be computed again",
        "c20: of 2023-11-14T22:34:00.000Z, the forecast is not after it",
        "from the beginning offset 0 of ticks/0 is no longer there",
        "checkpoint.keep",
        "retention",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("--reset"), "{told}");
    // The checkpoint of minute 20 needs offset 120; that of minute 30 is there.
    assert_eq!(setup.cut_of(35), Some(30));
    let told = setup.of(25).unwrap_err().to_string();
    assert!(told.contains("c20: offset 120 of ticks/0 is no longer there"), "{told}");
    setup.checkpoints.clear();
    assert!(setup.of(35).unwrap_err().to_string().contains("no checkpoint is kept"));
    assert_eq!(Fault::from(setup.of(35).unwrap_err()).cause, Cause::NeedsDecision);
}

#[test]
fn what_would_be_something_else_is_not_taken_for_a_difference() {
    let mut setup = Setup::new();
    setup.computation = computation("no fma");
    let told = setup.of(60).unwrap_err().to_string();
    assert!(told.starts_with("other_numerics: ") && told.contains("`fma`") && told.contains("`no fma`"), "{told}");
    // Without a progress record the checkpoints know.
    (setup.progress, setup.start) = (None, None);
    let told = setup.of(60).unwrap_err().to_string();
    assert!(told.contains("numerics was fma, and is no fma") && told.contains("latest"), "{told}");
    setup = Setup::new();
    setup.computation.set("time.slide", Some("1s".to_owned()));
    let told = setup.of(60).unwrap_err().to_string();
    assert!(told.contains("time.slide = 5s, and now it is 1s"), "{told}");
}

#[test]
fn a_checkpoint_is_passed_over_where_a_resume_would_pass_it_over() {
    let reject = |change: fn(&mut Setup), why: &str| {
        let mut setup = Setup::new();
        change(&mut setup);
        let found = setup.of(60).unwrap();
        assert_eq!(found.checkpoint.unwrap().cut, at(30), "{why}");
        assert!(found.passed_over[0].contains(why), "{:?}", found.passed_over);
    };
    reject(|setup| setup.checkpoints[0].1 = Err(Damage::Damaged("c40".to_owned())), "damaged");
    reject(|setup| setup.checkpoints[0].1.as_mut().unwrap().layout = "2".to_owned(), "layout 2");
    reject(|setup| setup.checkpoints[0].1.as_mut().unwrap().computation = computation("x"), "another computation");
    reject(
        |setup| {
            setup.progress.as_mut().unwrap().history = Generation(3);
            setup.checkpoints[0].1.as_mut().unwrap().generation = Generation(2);
        },
        "given up",
    );
    reject(
        |setup| {
            setup.checkpoints[0].1.as_mut().unwrap().offsets.insert(P0, 501);
        },
        "is not there yet",
    );
    // Releases are on record from the offsets of the oldest checkpoint on.
    let mut setup = Setup::new();
    setup.progress.as_mut().unwrap().releases_from = [(P0, 130)].into();
    let told = setup.of(25).unwrap_err().to_string();
    assert!(told.contains("no longer on record") && told.contains("from a later moment on only"), "{told}");
}
