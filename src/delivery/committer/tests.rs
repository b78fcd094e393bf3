//! The committer over sinks in memory.

use super::*;
use crate::delivery::Wants;
use crate::delivery::acknowledged::lock;
use crate::market::{DeadLetter, PartitionId};
use crate::recovery::Fault;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// `(sink, through in ms, records)` of each write; a `through` of -1 is the sink's end.
type Journal = Arc<Mutex<Vec<(&'static str, i64, usize)>>>;
/// What a scripted sink does with a write.
type Script = Box<dyn FnMut(&Batch, &Stop) -> Result<(), SinkError> + Send>;

/// Writes to a shared journal after its script agreed.
struct Scripted {
    name: &'static str,
    records_max: usize,
    journal: Journal,
    script: Script,
}

impl Sink for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }
    fn wants(&self) -> Wants {
        Wants::default()
    }
    fn records_max(&self) -> usize {
        self.records_max
    }
    fn write(&mut self, batch: &Batch, stop: &Stop) -> Result<(), SinkError> {
        (self.script)(batch, stop)?;
        lock(&self.journal).push((self.name, batch.through.millis(), batch.len()));
        Ok(())
    }
    fn finish(&mut self, _: Ending) -> Result<(), SinkError> {
        lock(&self.journal).push((self.name, -1, 0));
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Rig {
    journal: Journal,
    stop: Stop,
    /// Sinks hold still while it is set.
    closed_gate: Arc<AtomicBool>,
    wakes: Arc<AtomicUsize>,
    committed: Arc<Mutex<Vec<usize>>>,
}

impl Rig {
    fn sink(&self, name: &'static str, script: Script) -> Box<dyn Sink> {
        Box::new(Scripted { name, records_max: 10, journal: Arc::clone(&self.journal), script })
    }

    /// A sink that waits for the gate, whatever the stop says.
    fn gated(&self, name: &'static str) -> Box<dyn Sink> {
        let gate = Arc::clone(&self.closed_gate);
        self.sink(
            name,
            Box::new(move |_, _| {
                until("the gate opens", || !gate.load(Ordering::SeqCst));
                Ok(())
            }),
        )
    }

    fn spawn(&self, sinks: Vec<Box<dyn Sink>>) -> CommitterHandle {
        let committed = Arc::clone(&self.committed);
        let on_commit: OnCommit = Box::new(move |batch, _| lock(&committed).push(batch.len()));
        let handle = Committer::spawn(sinks, self.limits(), self.stop.clone(), on_commit).unwrap();
        let wakes = Arc::clone(&self.wakes);
        handle.progress().add_wake(Box::new(move || {
            wakes.fetch_add(1, Ordering::SeqCst);
        }));
        handle
    }

    fn limits(&self) -> Limits {
        // Generous in time, so that a loaded machine cannot split a merge.
        Limits { records_max: 10, bytes_max: 1 << 20, merge_time_max: Duration::from_secs(60), queue_batches_max: 64 }
    }

    fn journal(&self) -> Vec<(&'static str, i64, usize)> {
        lock(&self.journal).clone()
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn batch(through: i64, records: usize) -> Batch {
    let letter = DeadLetter {
        topic: "t".into(),
        partition: PartitionId(0),
        offset: 0,
        key: None,
        value: Vec::new(),
        sha256: None,
        error: "e".to_owned(),
    };
    Batch { through: Timestamp::from_millis(through), dead_letters: vec![letter; records], ..Batch::default() }
}

fn agree() -> Script {
    Box::new(|_, _| Ok(()))
}

#[test]
fn sinks_write_in_order_and_the_dataflow_is_told() {
    let rig = Rig::default();
    let handle = rig.spawn(vec![rig.sink("database", agree()), rig.sink("kafka", agree())]);
    for through in [5, 10] {
        handle.try_send(batch(through, 2)).unwrap();
        until("it is acknowledged", || handle.acknowledged().millis() == through);
    }
    // Nothing but dead letters is ready: what was acknowledged does not go back.
    handle.try_send(batch(0, 1)).unwrap();
    until("all is written", || handle.pending() == 0);
    assert_eq!(handle.acknowledged().millis(), 10);
    handle.finish(Ending::Complete).unwrap();
    let both = |through, records| [("database", through, records), ("kafka", through, records)];
    assert_eq!(rig.journal(), [both(5, 2), both(10, 2), both(0, 1), both(-1, 0)].concat());
    assert_eq!(rig.wakes.load(Ordering::SeqCst), 3);
    assert_eq!(*lock(&rig.committed), [2, 2, 1]);
}

#[test]
fn what_waits_is_merged_up_to_the_limit() {
    let rig = Rig::default();
    rig.closed_gate.store(true, Ordering::SeqCst);
    let handle = rig.spawn(vec![rig.gated("files")]);
    handle.try_send(batch(1, 1)).unwrap();
    until("the first is being written", || handle.sender.queue.is_empty());
    for (through, records) in [(2, 4), (3, 4), (4, 0), (5, 3), (6, 25), (7, 1), (8, 9)] {
        handle.try_send(batch(through, records)).unwrap();
    }
    assert_eq!(handle.pending(), 47);
    rig.closed_gate.store(false, Ordering::SeqCst);
    let progress = handle.progress();
    handle.finish(Ending::Complete).unwrap();
    // 4 + 4 + 0 fit, the next 3 would not; a batch over the limit goes alone and whole.
    let expected = [("files", 1, 1), ("files", 4, 8), ("files", 5, 3), ("files", 6, 25), ("files", 8, 10)];
    assert_eq!(rig.journal()[..5], expected);
    assert_eq!((progress.pending(), progress.acknowledged().millis(), progress.commits()), (0, 8, 5));
}

#[test]
fn bytes_bound_what_is_merged_and_what_may_wait() {
    let rig = Rig::default();
    rig.closed_gate.store(true, Ordering::SeqCst);
    let limits = Limits { bytes_max: 1 << 20, ..rig.limits() };
    let handle = Committer::spawn(vec![rig.gated("files")], limits, Stop::default(), Box::new(|_, _| {})).unwrap();
    let large = |through, bytes| {
        let mut batch = batch(through, 1);
        batch.dead_letters[0].value = vec![0; bytes];
        batch
    };
    handle.try_send(batch(1, 1)).unwrap();
    until("the first is being written", || handle.sender.queue.is_empty());
    for (through, bytes) in [(2, 500 << 10), (3, 500 << 10), (4, 100 << 10), (5, 3 << 20), (6, 10)] {
        handle.try_send(large(through, bytes)).unwrap();
    }
    let progress = handle.progress();
    assert!(!progress.is_behind());
    progress.add_on_the_way(PENDING_BYTES_MAX - (4 << 20));
    assert!(progress.is_behind(), "{progress:?}");
    progress.take_off_the_way(PENDING_BYTES_MAX - (4 << 20));
    rig.closed_gate.store(false, Ordering::SeqCst);
    handle.finish(Ending::Complete).unwrap();
    // Two halves of the limit fit; one over it goes alone.
    let expected = [("files", 1, 1), ("files", 3, 2), ("files", 4, 1), ("files", 5, 1), ("files", 6, 1)];
    assert_eq!(rig.journal()[..5], expected);
    assert_eq!((progress.waiting_bytes(), progress.pending()), (0, 0));
}

#[test]
fn the_smallest_limit_of_the_sinks_holds() {
    let rig = Rig::default();
    assert_eq!(Limits::of(&[rig.sink("database", agree())]).records_max, 10);
    assert_eq!(Limits::of(&[]).records_max, RECORDS_MAX);
}

#[test]
fn a_full_queue_gives_the_batch_back() {
    let rig = Rig::default();
    rig.closed_gate.store(true, Ordering::SeqCst);
    let handle = rig.spawn(vec![rig.gated("files")]);
    handle.try_send(batch(1, 1)).unwrap();
    until("the first is being written", || handle.sender.queue.is_empty());
    for through in 0..64 {
        handle.try_send(batch(through, 1)).unwrap();
    }
    let refused = handle.try_send(batch(99, 3)).unwrap_err();
    assert_eq!((refused.through.millis(), refused.len(), handle.pending()), (99, 3, 65));
    rig.closed_gate.store(false, Ordering::SeqCst);
    until("there is room", || handle.pending() == 0);
    handle.try_send(refused).unwrap();
    handle.finish(Ending::Complete).unwrap();
    assert_eq!(rig.journal().iter().map(|(_, _, records)| records).sum::<usize>(), 68);
}

#[test]
fn a_sink_that_waits_for_its_service_loses_nothing() {
    let rig = Rig::default();
    let mut away = 3;
    let waits: Script = Box::new(move |_, stop| {
        while away > 0 {
            away -= 1;
            if !stop.sleep(Duration::from_millis(5)) {
                return Err(SinkError::Stopped);
            }
        }
        Ok(())
    });
    let handle = rig.spawn(vec![rig.sink("kafka", waits), rig.sink("files", agree())]);
    for through in 1..=30 {
        handle.try_send(batch(through, 1)).unwrap();
    }
    handle.finish(Ending::Complete).unwrap();
    for name in ["kafka", "files"] {
        let records: usize = rig.journal().iter().filter(|entry| entry.0 == name).map(|entry| entry.2).sum();
        assert_eq!(records, 30, "{name}");
    }
}

#[test]
fn a_fatal_error_is_kept_and_wakes_the_dataflow() {
    let rig = Rig::default();
    let fails: Script = Box::new(|_, _| Err(SinkError::Fatal("the disk is full".to_owned())));
    let handle = rig.spawn(vec![rig.sink("database", agree()), rig.sink("kafka", fails), rig.sink("files", agree())]);
    handle.try_send(batch(5, 1)).unwrap();
    until("the failure shows", || handle.failure().is_some());
    assert_eq!(handle.failure(), Some(Fault::failed("the disk is full")));
    until("somebody is woken", || rig.wakes.load(Ordering::SeqCst) > 0);
    assert_eq!(handle.acknowledged(), Timestamp::default());
    until("batches are refused", || handle.try_send(batch(6, 1)).is_err());
    let error = handle.finish(Ending::Complete).unwrap_err();
    assert!(matches!(&error, SinkError::Fatal(message) if message == "the disk is full"), "{error:?}");
    // The sink behind the one that failed saw no batch; the sinks in good order are closed.
    assert_eq!(rig.journal(), [("database", 5, 1), ("database", -1, 0), ("files", -1, 0)]);
    assert!(lock(&rig.committed).is_empty());
}

#[test]
fn a_panic_in_a_sink_is_a_failure_and_no_silence() {
    let rig = Rig::default();
    let handle = rig.spawn(vec![rig.sink("kafka", Box::new(|_, _| panic!("a defect")))]);
    handle.try_send(batch(5, 1)).unwrap();
    until("the failure shows", || handle.failure().is_some());
    assert!(matches!(handle.finish(Ending::Complete), Err(SinkError::Fatal(_))));
}

#[test]
fn a_stop_ends_a_sink_that_waits() {
    let rig = Rig::default();
    let waits: Script = Box::new(|_, stop| {
        while stop.sleep(Duration::from_secs(60)) {}
        Err(SinkError::Stopped)
    });
    let handle = rig.spawn(vec![rig.sink("kafka", waits)]);
    handle.try_send(batch(5, 1)).unwrap();
    until("it is being written", || handle.sender.queue.is_empty());
    rig.stop.request();
    let progress = handle.progress();
    assert!(matches!(handle.finish(Ending::Complete), Err(SinkError::Stopped)));
    assert_eq!((progress.failure(), progress.acknowledged()), (None, Timestamp::default()));
    assert!(rig.journal().is_empty(), "a sink that gave up is not closed as if it were whole");
}

#[test]
fn what_was_handed_over_before_a_stop_is_still_written() {
    let rig = Rig::default();
    rig.closed_gate.store(true, Ordering::SeqCst);
    let handle = rig.spawn(vec![rig.gated("database"), rig.sink("kafka", agree())]);
    handle.try_send(batch(1, 10)).unwrap();
    until("it is being written", || handle.sender.queue.is_empty());
    handle.try_send(batch(2, 10)).unwrap();
    rig.stop.request();
    rig.closed_gate.store(false, Ordering::SeqCst);
    let progress = handle.progress();
    handle.finish(Ending::Complete).unwrap();
    assert_eq!((progress.acknowledged().millis(), progress.pending()), (2, 0));
}

#[test]
fn finish_does_not_wait_for_senders_that_are_still_held() {
    let rig = Rig::default();
    let handle = rig.spawn(vec![rig.sink("kafka", agree())]);
    let sender = handle.sender();
    sender.try_send(batch(1, 1)).unwrap();
    handle.finish(Ending::Complete).unwrap();
    assert_eq!(sender.progress().acknowledged().millis(), 1);
    assert!(sender.try_send(batch(2, 1)).is_err());
}
