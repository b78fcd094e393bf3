use super::super::store::Directory;
use super::*;
use crate::market::PartitionId;
use crate::recovery::store::StoreError;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

const P0: PartitionId = PartitionId(0);
const MINUTE: i64 = 60_000;

/// A job that is told how far it is.
#[derive(Default)]
struct Told {
    latest: AtomicI64,
    published: AtomicI64,
    kept_from: Mutex<Offsets>,
}

impl Watched for Arc<Told> {
    fn latest(&self) -> Option<Timestamp> {
        Some(Timestamp::from_millis(self.latest.load(Ordering::SeqCst)))
    }

    fn watermark(&self) -> Option<Timestamp> {
        self.latest()
    }

    fn published(&self) -> Timestamp {
        Timestamp::from_millis(self.published.load(Ordering::SeqCst))
    }

    fn kept_from(&self, oldest: &Manifest) {
        self.kept_from.lock().unwrap().clone_from(&oldest.offsets);
    }

    fn sync(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A directory whose disk may be full before a manifest.
struct Full {
    dir: Directory,
    full: AtomicBool,
}

impl Store for Full {
    fn place(&self) -> String {
        self.dir.place()
    }

    fn check(&self) -> Result<(), StoreError> {
        self.dir.check()
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.dir.list(prefix)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        if self.full.load(Ordering::SeqCst) && name.ends_with("/manifest") {
            return Err(StoreError::Failed("no space left".to_owned()));
        }
        self.dir.create(name, bytes)
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.dir.get(name)
    }

    fn get_range(&self, name: &str, from: u64, bytes: u64) -> Result<Vec<u8>, StoreError> {
        self.dir.get_range(name, from, bytes)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.dir.remove(name)
    }
}

struct Rig {
    work: Work,
    told: Arc<Told>,
    store: Arc<Full>,
}

impl Rig {
    fn new(dir: &Path, generation: u64, history: u64) -> Self {
        let store = Arc::new(Full { dir: Directory::new(dir), full: AtomicBool::new(false) });
        let told = Arc::new(Told::default());
        let subject = Subject {
            job: "btc".to_owned(),
            generation: Generation(generation),
            computation: Computation::default(),
            partitions: 1,
            history: Generation(history),
            layout: "1".to_owned(),
            sinks: Vec::new(),
            keepers: [(Keeper::Source(P0), 0), (Keeper::Windows, 0)].into(),
        };
        let pace = Pace {
            interval: Span::from_millis(MINUTE),
            pause: Duration::ZERO,
            keep: 2,
            stragglers: Duration::from_secs(1),
        };
        let watched = Box::new(Arc::clone(&told));
        let work = Work::new(Arc::clone(&store) as Arc<dyn Store>, subject, pace, Cuts::new().0, watched);
        Self { work, told, store }
    }

    /// Event time goes on to `at`; gives the cut that is announced then.
    fn announce_at(&mut self, at: i64) -> Timestamp {
        self.told.latest.store(at, Ordering::SeqCst);
        self.work.look();
        self.work.cuts.wanted().unwrap()
    }

    /// Everybody gives a part, and everything through the cut is published.
    fn complete(&mut self, cut: Timestamp) {
        for keeper in [Keeper::Source(P0), Keeper::Windows] {
            let offset = Some(cut.millis() as u64 / 1000);
            self.work.take(Note::Given(Piece { cut, keeper, worker: 0, offset, states: vec![(None, vec![7; 100])] }));
        }
        self.told.latest.store(cut.millis(), Ordering::SeqCst);
        self.told.published.store(cut.millis(), Ordering::SeqCst);
        self.work.look();
    }

    fn cuts(&self) -> Vec<i64> {
        let found = kept::found(self.store.as_ref(), "btc").unwrap();
        found.into_iter().rev().map(|(_, manifest)| manifest.unwrap().cut.millis()).collect()
    }

    fn objects(&self) -> Vec<String> {
        self.store.list("").unwrap()
    }
}

#[test]
fn the_newest_stay_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(dir.path(), 3, 2);
    // Of a history that was given up, of an instance that has taken over, and of a write that was cut.
    for name in
        ["btc/00000000000030000-1/manifest", "btc/00000000000000002-3/state-0", "btc/00000000000000003-4/state-0"]
    {
        rig.store.create(name, b"x").unwrap();
    }
    for minute in 1..=4 {
        let cut = rig.announce_at(minute * MINUTE - 5_000);
        assert_eq!(cut.millis(), minute * MINUTE, "the next multiple");
        rig.complete(cut);
        assert!(rig.objects().iter().all(|name| !name.contains("-1/")), "of a history that was given up");
    }
    let objects: Vec<String> = rig.objects().into_iter().filter(|name| name.contains("-4/")).collect();
    assert_eq!(objects, ["btc/00000000000000003-4/state-0"], "another instance's");
    rig.store.remove("btc/00000000000000003-4/state-0").unwrap();
    assert_eq!((rig.cuts(), rig.objects().len()), (vec![3 * MINUTE, 4 * MINUTE], 4));
    assert_eq!(*rig.told.kept_from.lock().unwrap(), [(P0, 180)].into(), "the oldest that stays");
}

#[test]
fn what_is_not_whole_is_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(dir.path(), 1, 1);
    // Somebody is past it: the next lies further ahead.
    let cut = rig.announce_at(MINUTE / 2);
    rig.work.take(Note::Missed(cut));
    assert_eq!((rig.work.cuts.wanted(), rig.work.ahead), (None, Span::from_millis(2_000)));
    // Closed by the end of the input, not by time.
    let cut = rig.announce_at(MINUTE + 1);
    rig.complete(cut);
    assert_eq!(rig.cuts(), [cut.millis()]);
    let next = rig.announce_at(cut.millis() + 1);
    rig.told.latest.store(next.millis() - 1, Ordering::SeqCst);
    rig.told.published.store(next.millis(), Ordering::SeqCst);
    for keeper in [Keeper::Source(P0), Keeper::Windows] {
        rig.work.take(Note::Given(Piece { cut: next, keeper, worker: 0, offset: Some(1), states: Vec::new() }));
    }
    rig.work.look();
    assert_eq!(rig.cuts(), [cut.millis()]);
}

#[test]
fn a_disk_that_is_full_is_not_filled_further() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(dir.path(), 1, 1);
    let cut = rig.announce_at(1);
    rig.complete(cut);
    let before = rig.objects();
    rig.store.full.store(true, Ordering::SeqCst);
    let cut = rig.announce_at(cut.millis() + 1);
    rig.complete(cut);
    assert_eq!(rig.objects(), before, "the one before is as it was, and nothing of the other is left");
    assert!(!rig.work.is_due(), "it is left alone for a while");
}

#[test]
fn a_cut_that_is_far_ahead_is_brought_nearer() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(dir.path(), 1, 1);
    rig.work.ahead = Span::from_millis(100 * MINUTE);
    assert_eq!(rig.announce_at(1).millis(), 101 * MINUTE);
    rig.work.gathering.as_mut().unwrap().begun -= PATIENCE;
    assert_eq!(rig.announce_at(MINUTE + 1).millis(), 2 * MINUTE);
    rig.complete(Timestamp::from_millis(2 * MINUTE));
    assert_eq!(rig.cuts(), [2 * MINUTE]);
}
