use super::*;
use crate::market::{Generation, PartitionId, Sequence, Span};

mod history;

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);

fn computation(values: &[(&'static str, &str)]) -> Computation {
    Computation::new(values.iter().map(|(name, value)| (*name, (*value).to_owned())))
}

const OWN: [(&str, &str); 5] = [
    ("time.slide", "5s"),
    ("model.horizons", "1m 5m"),
    (keys::TOPIC, "ticks"),
    (keys::TOPIC_ID, "t1"),
    (keys::CLUSTER_ID, "c1"),
];

fn mine() -> Computation {
    computation(&OWN)
}

fn topic(partitions: &[(i64, i64)]) -> TopicState {
    TopicState {
        name: "ticks".to_owned(),
        cluster_id: Some("c1".to_owned()),
        topic_id: Some("t1".to_owned()),
        partitions: (0..).map(PartitionId).zip(partitions.iter().copied()).collect(),
        compacted: Some(false),
    }
}

fn published() -> Progress {
    Progress {
        generation: Generation(3),
        sequence: Sequence(40),
        through: Timestamp::from_millis(1_700_000_000_000),
        computation: mine(),
        start: [(P0, 10)].into(),
        partitions: 1,
        dead_letters: [(P0, 12)].into(),
        ..Progress::of("btc")
    }
}

/// A case of the table: what is changed in a healthy resume, and what comes of it.
struct Case {
    what: &'static str,
    change: fn(&mut Setup),
    name: &'static str,
}

struct Setup {
    progress: Option<Progress>,
    topic: Option<TopicState>,
    computation: Computation,
    bounded: bool,
    reset: bool,
    resumes: bool,
    checkpoints: Vec<Found>,
}

impl Setup {
    fn decide(&self) -> Result<RunPlan, Refusal> {
        decide(Known {
            job: "btc",
            forecasts: "btc.forecasts",
            computation: &self.computation,
            progress: self.progress.as_ref(),
            topic: self.topic.as_ref(),
            bounded: self.bounded,
            reset: self.reset,
            resumes: self.resumes,
            checkpoints: &self.checkpoints,
            sinks: &["kafka".to_owned()],
            layout: "1",
        })
    }
}

const fn name(plan: &RunPlan) -> &'static str {
    match plan {
        RunPlan::Fresh => "fresh",
        RunPlan::Anew { .. } => "anew",
        RunPlan::Resume { checkpoint: None, .. } => "resume",
        RunPlan::Resume { checkpoint: Some(_), .. } => "checkpoint",
    }
}

fn edit(setup: &mut Setup, edit: impl FnOnce(&mut Progress)) {
    edit(setup.progress.as_mut().unwrap());
}

/// Adds a checkpoint that can be used, but for what is changed.
fn add(setup: &mut Setup, change: impl FnOnce(&mut Manifest)) {
    let mut manifest = Manifest {
        version: 1,
        job: "btc".to_owned(),
        generation: Generation(3),
        computation: mine(),
        cut: Timestamp::from_millis(1_699_999_980_000),
        offsets: [(P0, 15)].into(),
        partitions: 1,
        parts: 64,
        layout: "1".to_owned(),
        sinks: vec!["kafka".to_owned()],
        sections: Vec::new(),
    };
    change(&mut manifest);
    setup.checkpoints.push(("btc/1699999980000-3".to_owned(), Ok(manifest)));
}

fn unpublish(progress: &mut Progress) {
    progress.through = Timestamp::default();
    progress.dead_letters.clear();
}

const CASES: &[Case] = &[
    Case { what: "nothing is published", change: |s| s.progress = None, name: "fresh" },
    Case {
        what: "an instance was started and published nothing",
        change: |s| s.progress = Some(Progress { generation: Generation(2), ..Progress::of("btc") }),
        name: "fresh",
    },
    Case { what: "it goes on", change: |_| (), name: "resume" },
    Case { what: "nothing but where it begins is on record", change: |s| edit(s, unpublish), name: "resume" },
    Case {
        what: "the same, and now it is to compute something else",
        change: |s| {
            edit(s, unpublish);
            s.computation.set("time.slide", Some("10s".to_owned()));
        },
        name: "fresh",
    },
    Case {
        what: "the same, and it is to end",
        change: |s| {
            edit(s, unpublish);
            s.bounded = true;
        },
        name: "fresh",
    },
    Case {
        what: "another slide",
        change: |s| s.computation.set("time.slide", Some("10s".to_owned())),
        name: "other_computation",
    },
    Case {
        what: "fewer horizons",
        change: |s| s.computation.set("model.horizons", Some("1m".to_owned())),
        name: "other_computation",
    },
    Case {
        what: "other weights to start from",
        change: |s| s.computation.set(keys::INITIAL_WEIGHTS, Some("abc".to_owned())),
        name: "other_computation",
    },
    Case {
        what: "created anew",
        change: |s| s.computation.set(keys::TOPIC_ID, Some("t2".to_owned())),
        name: "topic_created_anew",
    },
    Case {
        what: "a broker that does not tell the topic's id",
        change: |s| s.computation = computation(&OWN[..3]),
        name: "resume",
    },
    Case {
        what: "another cluster",
        change: |s| s.computation.set(keys::CLUSTER_ID, Some("c2".to_owned())),
        name: "other_cluster",
    },
    Case { what: "a partition more", change: |s| s.topic = Some(topic(&[(0, 20), (0, 5)])), name: "resume" },
    Case { what: "no partition left", change: |s| s.topic = Some(topic(&[])), name: "partition_gone" },
    Case { what: "retention has passed", change: |s| s.topic = Some(topic(&[(11, 20)])), name: "offsets_expired" },
    Case { what: "just not yet", change: |s| s.topic = Some(topic(&[(10, 20)])), name: "resume" },
    Case { what: "shorter than before", change: |s| s.topic = Some(topic(&[(0, 9)])), name: "offsets_ahead" },
    Case { what: "without what was read", change: |s| s.topic = Some(topic(&[(0, 11)])), name: "offsets_ahead" },
    Case { what: "compacted", change: |s| s.topic.as_mut().unwrap().compacted = Some(true), name: "source_compacted" },
    Case {
        what: "compacted, before anything is published",
        change: |s| {
            s.topic.as_mut().unwrap().compacted = Some(true);
            s.progress = None;
        },
        name: "source_compacted",
    },
    Case {
        what: "compacted, and nothing depends on it",
        change: |s| {
            s.topic.as_mut().unwrap().compacted = Some(true);
            (s.progress, s.resumes) = (None, false);
        },
        name: "fresh",
    },
    Case { what: "nobody says whether", change: |s| s.topic.as_mut().unwrap().compacted = None, name: "resume" },
    Case { what: "a backfill over it", change: |s| s.bounded = true, name: "published_before" },
    Case { what: "a backfill that begins anew", change: |s| (s.bounded, s.reset) = (true, true), name: "anew" },
    Case {
        what: "--reset, whatever else there is",
        change: |s| {
            s.reset = true;
            s.topic = Some(topic(&[(500, 900)]));
            s.computation.set(keys::TOPIC_ID, Some("t2".to_owned()));
        },
        name: "anew",
    },
    Case { what: "an older format", change: |s| edit(s, |p| p.version = 0), name: "other_format" },
    Case { what: "a newer one", change: |s| edit(s, |p| p.version = PROGRESS_VERSION + 1), name: "other_format" },
    Case { what: "a checkpoint before what is published", change: |s| add(s, |_| ()), name: "checkpoint" },
    Case {
        what: "retention has passed the start, and not the checkpoint",
        change: |s| {
            add(s, |_| ());
            s.topic = Some(topic(&[(14, 20)]));
        },
        name: "checkpoint",
    },
    Case {
        what: "retention has passed both",
        change: |s| {
            add(s, |_| ());
            s.topic = Some(topic(&[(16, 20)]));
        },
        name: "offsets_expired",
    },
    Case {
        what: "a checkpoint of what is not published yet",
        change: |s| add(s, |m| m.cut = m.cut.plus(Span::from_millis(600_000))),
        name: "resume",
    },
    Case {
        what: "a damaged one, and the one before",
        change: |s| {
            s.checkpoints.push(("btc/9-3".to_owned(), Err(Damage::Damaged("btc/9-3/manifest".to_owned()))));
            add(s, |_| ());
        },
        name: "checkpoint",
    },
    Case {
        what: "a newer format, and nothing else",
        change: |s| s.checkpoints.push(("btc/9-3".to_owned(), Err(Damage::Version("btc/9-3/manifest".to_owned(), 2)))),
        name: "resume",
    },
    Case {
        what: "the same, and what was decided is no longer on record",
        change: |s| {
            s.checkpoints.push(("btc/9-3".to_owned(), Err(Damage::Version("btc/9-3/manifest".to_owned(), 2))));
            edit(s, |p| p.releases_from = [(P0, 15)].into());
        },
        name: "checkpoint_needed",
    },
    Case {
        what: "a checkpoint of a generation that is not on record",
        change: |s| add(s, |m| m.generation = Generation(4)),
        name: "checkpoint_ahead",
    },
    Case {
        what: "a checkpoint of a history that was given up",
        change: |s| {
            add(s, |m| m.generation = Generation(1));
            edit(s, |p| p.history = Generation(2));
        },
        name: "resume",
    },
    Case {
        what: "a checkpoint of another computation",
        change: |s| add(s, |m| m.computation.set("time.slide", Some("1s".to_owned()))),
        name: "resume",
    },
    Case { what: "a checkpoint from before there was a sink", change: |s| add(s, |m| m.sinks.clear()), name: "resume" },
    Case { what: "a checkpoint of another layout", change: |s| add(s, |m| m.layout.clear()), name: "resume" },
    Case {
        what: "a checkpoint that is older than what is on record",
        change: |s| {
            add(s, |_| ());
            edit(s, |p| p.releases_from = [(P0, 16)].into());
        },
        name: "checkpoint_needed",
    },
    Case {
        what: "the topic ends before a checkpoint",
        change: |s| {
            add(s, |_| ());
            s.topic = Some(topic(&[(0, 14)]));
        },
        name: "offsets_ahead",
    },
    Case {
        what: "a job that publishes to no topic, and nothing of its checkpoints can be read",
        change: |s| {
            s.checkpoints.push(("btc/9-3".to_owned(), Err(Damage::Version("btc/9-3/manifest".to_owned(), 2))));
            (s.progress, s.resumes) = (None, false);
        },
        name: "checkpoint_needed",
    },
    Case {
        what: "a checkpoint, and the progress is gone",
        change: |s| {
            add(s, |_| ());
            s.progress = None;
        },
        name: "checkpoint_ahead",
    },
    Case {
        what: "a job that publishes to no topic goes on from its checkpoint",
        change: |s| {
            add(s, |_| ());
            (s.progress, s.resumes) = (None, false);
        },
        name: "checkpoint",
    },
    Case {
        what: "the same, and it is to compute something else",
        change: |s| {
            add(s, |_| ());
            (s.progress, s.resumes) = (None, false);
            s.computation.set("time.slide", Some("10s".to_owned()));
        },
        name: "other_computation",
    },
    Case {
        what: "the same, and it is to begin anew",
        change: |s| {
            add(s, |_| ());
            (s.progress, s.resumes, s.reset) = (None, false, true);
        },
        name: "anew",
    },
    Case {
        what: "a partition that came after the checkpoint",
        change: |s| {
            add(s, |_| ());
            edit(s, |p| p.start = [(P0, 10), (P1, 3)].into());
            s.topic = Some(topic(&[(0, 20), (0, 5)]));
        },
        name: "checkpoint",
    },
];

#[test]
fn each_start_has_one_outcome() {
    for Case { what, change, name: expected } in CASES.iter().chain(history::CASES) {
        let mut setup = Setup {
            progress: Some(published()),
            topic: Some(topic(&[(0, 20)])),
            computation: mine(),
            bounded: false,
            reset: false,
            resumes: true,
            checkpoints: Vec::new(),
        };
        change(&mut setup);
        let outcome = setup.decide();
        let found = outcome.as_ref().map_or_else(Refusal::name, name);
        assert_eq!(found, *expected, "{what}: {outcome:?}");
        if let Err(refusal) = outcome {
            let text = refusal.to_string();
            assert!(text.starts_with(&format!("{expected}: ")) && text.len() > 60, "{what}: {text}");
        }
    }
}

#[test]
fn the_first_record_of_a_start() {
    let seen = published();
    let mut found = published();
    // The instance that ran until now has got on.
    (found.sequence, found.through) = (Sequence(50), seen.through.plus(Span::from_millis(60_000)));
    let (starts, added) = ([(P0, 10), (P1, 4)].into(), [(P1, 4)].into());
    let plan = RunPlan::Resume { starts, added, checkpoint: None, skipped: Vec::new() };
    let begin = |plan: &RunPlan, found: Option<&Progress>| {
        plan.begin("btc", &mine(), &[(P0, 10), (P1, 4)].into(), Some(&seen), found)
    };
    let first = begin(&plan, Some(&found)).unwrap();
    assert_eq!((first.generation, first.sequence, first.through), (Generation(4), Sequence(51), found.through));
    assert_eq!((first.partitions, &first.dead_letters), (1, &found.dead_letters));
    let release = Release { partition: P1, offset: 4, before: found.through };
    assert_eq!(first.releases, [release], "what the new partition holds of before is late");
    let anew = begin(&RunPlan::Anew { given_up: seen.through }, Some(&found)).unwrap();
    assert_eq!((anew.generation, anew.through, anew.partitions), (Generation(4), Timestamp::default(), 2));
    assert!(anew.dead_letters.is_empty() && anew.releases.is_empty());
    found.generation = found.generation.following();
    assert_eq!(begin(&plan, Some(&found)).unwrap_err().name(), "another_began");
    assert_eq!(begin(&plan, None).unwrap_err().name(), "another_began");
}

#[test]
fn operators_can_look_each_outcome_up() {
    let (page, plans) = (include_str!("../../../docs/operations.md"), ["fresh", "anew", "resume", "checkpoint"]);
    let named = CASES.iter().chain(history::CASES).map(|case| case.name).filter(|name| !plans.contains(name));
    for name in named.chain(["another_began", "partitions_added", "topic_deleted"]) {
        assert!(page.contains(&format!("| `{name}` |")), "docs/operations.md does not say what {name} is");
    }
}
