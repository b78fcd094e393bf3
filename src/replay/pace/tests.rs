//! Time is injected: nothing here waits.

use super::super::Ahead;
use super::*;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A clock that moves only when somebody waits, and a wish to stop at a moment.
#[derive(Clone, Default)]
struct FakeClock {
    elapsed: Rc<Cell<Duration>>,
    wall_start_ms: i64,
    stop_at: Option<Duration>,
    /// The longest single wait.
    longest: Rc<Cell<Duration>>,
}

impl Clock for FakeClock {
    fn elapsed(&self) -> Duration {
        self.elapsed.get()
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall_start_ms + self.elapsed.get().as_millis() as i64)
    }

    fn wait(&mut self, pause: Duration, stop: &Stop) -> bool {
        self.elapsed.set(self.elapsed.get() + pause);
        self.longest.set(self.longest.get().max(pause));
        if self.stop_at.is_some_and(|at| self.elapsed.get() >= at) {
            stop.request();
        }
        !stop.requested()
    }
}

struct Stamps(std::vec::IntoIter<i64>);

impl RecordSource for Stamps {
    fn read_into(&mut self, record: &mut ReplayRecord) -> Result<bool, ReplayError> {
        let Some(at) = self.0.next() else { return Ok(false) };
        record.at = Timestamp::from_millis(at);
        record.partition = Some(0);
        record.value.clear();
        record.value.extend_from_slice(&[b'x'; 10]);
        Ok(true)
    }
}

/// Notes the moment of each record, and can make the clock jump, as a broker that is away does.
#[derive(Clone, Default)]
struct Tape {
    clock: FakeClock,
    moments_ms: Rc<RefCell<Vec<u64>>>,
    delay_at: Option<(usize, Duration)>,
}

impl Publish for Tape {
    fn publish(&mut self, _: &[u8], _: &[u8]) -> Result<(), ReplayError> {
        let mut moments = self.moments_ms.borrow_mut();
        moments.push(self.clock.elapsed().as_millis() as u64);
        if let Some((at, delay)) = self.delay_at
            && moments.len() == at
        {
            self.clock.elapsed.set(self.clock.elapsed.get() + delay);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ReplayError> {
        Ok(())
    }
}

fn replayer(stamps: &[i64], tape: &Tape) -> Replayer<Stamps, Tape, FakeClock> {
    Replayer::new(Stamps(Vec::from(stamps).into_iter()), tape.clone(), tape.clock.clone())
}

#[test]
fn keeps_the_recorded_pace_times_a_factor() {
    for (speed, expected) in [(1.0, [0, 1000, 1000, 4000]), (10.0, [0, 100, 100, 400]), (0.5, [0, 2000, 2000, 8000])] {
        let tape = Tape::default();
        let mut replayer = replayer(&[5000, 6000, 6000, 9000], &tape);
        let ended = replayer.run(Pace::Recorded(speed), Until::End, &Stop::default(), &mut |_| {});
        assert_eq!(ended, Ok(Ended::Source));
        assert_eq!(*tape.moments_ms.borrow(), expected, "speed {speed}");
    }
}

#[test]
fn stamps_that_go_back_are_due_at_once() {
    let tape = Tape::default();
    replayer(&[5000, 4000, 6000], &tape).run(Pace::Recorded(1.0), Until::End, &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(*tape.moments_ms.borrow(), [0, 0, 1000]);
}

#[test]
fn after_a_delay_it_goes_on_at_pace_and_not_in_a_burst() {
    let tape = Tape { delay_at: Some((2, Duration::from_secs(60))), ..Tape::default() };
    replayer(&[0, 1000, 2000, 3000], &tape)
        .run(Pace::Recorded(1.0), Until::End, &Stop::default(), &mut |_| {})
        .unwrap();
    assert_eq!(*tape.moments_ms.borrow(), [0, 1000, 61_000, 62_000]);
}

#[test]
fn phases_lose_no_record() {
    let tape = Tape::default();
    let mut replayer = replayer(&[0, 1000, 2000, 3000], &tape);
    let until = Until::Time(Timestamp::from_millis(2000));
    let stop = Stop::default();
    assert_eq!(replayer.run(Pace::Max, Until::Records(1), &stop, &mut |_| {}), Ok(Ended::Until));
    assert_eq!((replayer.replayed().records, replayer.least_latest()), (1, Some(Timestamp::from_millis(0))));
    assert_eq!(replayer.run(Pace::Max, until, &stop, &mut |_| {}), Ok(Ended::Until));
    assert_eq!(replayer.replayed().records, 2);
    assert_eq!(replayer.run(Pace::Recorded(1.0), Until::End, &stop, &mut |_| {}), Ok(Ended::Source));
    assert_eq!(*tape.moments_ms.borrow(), [0, 0, 0, 1000]);
    let done = replayer.replayed();
    assert_eq!((done.records, done.bytes, done.at.millis()), (4, 40, 3000));
}

#[test]
fn never_overtakes_the_wall_clock() {
    let mut tape = Tape::default();
    tape.clock.wall_start_ms = 10_000;
    let mut replayer = replayer(&[9000, 10_000, 10_500, 12_000], &tape).behind_wall_clock();
    replayer.run(Pace::Max, Until::End, &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(*tape.moments_ms.borrow(), [0, 0, 500, 2000]);
}

#[test]
fn stops_within_a_tenth_of_a_second() {
    let mut tape = Tape::default();
    tape.clock.stop_at = Some(Duration::from_millis(3333));
    let stop = Stop::default();
    let mut replayer = replayer(&[0, 86_400_000], &tape);
    assert_eq!(replayer.run(Pace::Recorded(1.0), Until::End, &stop, &mut |_| {}), Ok(Ended::Stopped));
    assert!(tape.clock.longest.get() <= Duration::from_millis(100));
    assert!(tape.clock.elapsed() <= Duration::from_millis(3433));
    assert_eq!(replayer.replayed().records, 1);
}

#[test]
fn waits_for_the_reader() {
    // The reader reads one record whenever it is asked.
    let ahead = Ahead { records_max: 5, bytes_max: 1000 };
    let read = Arc::new(AtomicU64::new(0));
    let reader = Arc::clone(&read);
    let throttle = Throttle::new(ahead, Box::new(move |_| reader.fetch_add(1, Ordering::Relaxed)));
    let tape = Tape::default();
    let mut replayer = replayer(&[0; 1000], &tape).with_throttle(throttle);
    let mut most = 0;
    let mut report = |done: &Replayed| most = most.max(done.records.saturating_sub(read.load(Ordering::Relaxed)));
    assert_eq!(replayer.run(Pace::Max, Until::End, &Stop::default(), &mut report), Ok(Ended::Source));
    assert_eq!(replayer.replayed().records, 1000);
    assert!((1..=5).contains(&most), "{most} records ahead");
}

#[test]
fn a_reader_that_stands_still_does_not_hold_up_a_stop() {
    let mut tape = Tape::default();
    tape.clock.stop_at = Some(Duration::from_secs(1));
    let throttle = Throttle::new(Ahead { records_max: 3, bytes_max: 1000 }, Box::new(|_| 0));
    let mut replayer = replayer(&[0; 10], &tape).with_throttle(throttle);
    assert_eq!(replayer.run(Pace::Max, Until::End, &Stop::default(), &mut |_| {}), Ok(Ended::Stopped));
    assert_eq!(replayer.replayed().records, 3);
}
