use super::whole::part_of;
use super::*;
use crate::delivery::reader::{Line, Range, Reader as _};
use crate::delivery::test_records::{forecast, score};
use crate::delivery::{Batch, Sink as _, Stop};
use crate::market::{Span, Symbol, Timestamp};

fn open(place: &Place, job: &str, limits: Limits) -> Result<(SqliteSink, SqliteReader), StoreFault> {
    let store = SqliteStore::open(place.clone(), job, limits)?;
    Ok((store.sink(&[])?, store.reader()?))
}

const MINUTE: i64 = 60_000;
const PLENTY: Limits = Limits { retention: Span::from_millis(1_000 * MINUTE), bytes_max: 1 << 30 };

fn batch(minute: i64) -> Batch {
    Batch {
        through: Timestamp::from_millis(minute * MINUTE),
        forecasts: vec![forecast("BTC", minute * MINUTE), forecast("ETH", minute * MINUTE)],
        scores: vec![score("BTC", minute * MINUTE, true)],
        ..Batch::default()
    }
}

fn read(reader: &SqliteReader, kind: Kind, from: Option<i64>, to: Option<i64>, limit: usize) -> Vec<i64> {
    let at = |minute: i64| Timestamp::from_millis(minute * MINUTE);
    let range = Range { from: from.map(at), to: to.map(at), limit };
    let lines = reader.read(kind, &Symbol::new("BTC").unwrap(), Span::from_millis(MINUTE), range).unwrap();
    lines.iter().map(|Line { at, .. }| at.millis() / MINUTE).collect()
}

#[test]
fn what_was_written_is_read_in_order_by_range_and_beside_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    for place in [Place::Memory, Place::File(dir.path().join("store.db"))] {
        let (mut sink, reader) = open(&place, "job", PLENTY).unwrap();
        for minute in 1..=5 {
            sink.write(&batch(minute), &Stop::default()).unwrap();
        }
        // A recomputation overwrites.
        sink.write(&batch(3), &Stop::default()).unwrap();
        // Forecasts are kept by their targets, a minute after their issue.
        let all: Vec<i64> = read(&reader, Kind::Forecasts, None, None, 100);
        assert!(all.is_sorted() && all.len() == 5, "{all:?}");
        let (first, last) = (all[0], all[4]);
        assert_eq!(read(&reader, Kind::Forecasts, None, None, 2), [last - 1, last]);
        assert_eq!(read(&reader, Kind::Forecasts, Some(first), None, 2), [first, first + 1]);
        assert_eq!(read(&reader, Kind::Forecasts, Some(first + 1), Some(first + 2), 9), [first + 1]);
        assert_eq!(read(&reader, Kind::Forecasts, None, Some(last), 1), [last - 1]);
        assert_eq!(read(&reader, Kind::Scores, None, None, 9), [1, 2, 3, 4, 5]);
        let symbols: Vec<String> =
            reader.series(Kind::Forecasts).unwrap().iter().map(|(symbol, span)| format!("{symbol}/{span}")).collect();
        assert_eq!(symbols, ["BTC/1m", "ETH/1m"]);
        assert_eq!(reader.through().unwrap(), Some(Timestamp::from_millis(5 * MINUTE)), "it never goes back");
    }
}

#[test]
fn a_file_of_something_else_or_of_another_job_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    drop(open(&Place::File(path.clone()), "mine", PLENTY).unwrap());
    let refused = |path: &Path, job: &str| open(&Place::File(path.to_owned()), job, PLENTY).err().unwrap().to_string();
    assert!(refused(&path, "other").contains("it is the store of job `mine`, not of `other`"));
    assert!(check(&path, "mine").is_ok() && check(&path, "other").is_err());
    assert!(check(&dir.path().join("new.db"), "mine").is_ok());
    assert!(check(&dir.path().join("nowhere/new.db"), "mine").unwrap_err().to_string().contains("make it first"));
    let text = dir.path().join("text");
    std::fs::write(&text, "no database, but long enough to be looked at as one: ".repeat(20)).unwrap();
    let before = std::fs::read(&text).unwrap();
    assert!(check(&text, "mine").is_err() && open(&Place::File(text.clone()), "mine", PLENTY).is_err());
    assert_eq!(std::fs::read(&text).unwrap(), before);
    let foreign = dir.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(refused(&foreign, "mine").contains("no store of tickcast"), "{}", refused(&foreign, "mine"));
}

#[test]
fn what_is_too_old_or_too_much_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let limits = Limits { retention: Span::from_millis(100 * MINUTE), bytes_max: 1 << 30 };
    let (mut sink, reader) = open(&Place::File(path.clone()), "job", limits).unwrap();
    for minute in 1..=1_000 {
        sink.write(&batch(minute), &Stop::default()).unwrap();
    }
    let kept = read(&reader, Kind::Scores, None, None, 10_000);
    assert!(kept[0] >= 899 && kept.len() <= 102, "{} from {}", kept.len(), kept[0]);
    drop((sink, reader));
    // By bytes: a store that has grown gives way, and goes on with the newest.
    let limits = Limits { retention: Span::from_millis(100_000 * MINUTE), bytes_max: 200_000 };
    let (mut sink, reader) = open(&Place::File(path.clone()), "job", limits).unwrap();
    for minute in 1_001..=3_000 {
        sink.write(&batch(minute), &Stop::default()).unwrap();
    }
    let kept = read(&reader, Kind::Scores, None, None, 10_000);
    assert_eq!(kept.last(), Some(&3_000));
    assert!(kept.len() > 20 && kept[0] > 1_500, "{} from {}", kept.len(), kept[0]);
    drop((sink, reader));
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size < 600_000, "{size}");
}

/// A bounded run's store takes the place of the one before when it is complete, and not when it is not.
#[test]
fn a_whole_store_takes_its_place_at_the_end() {
    use crate::delivery::Ending;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let run = |minutes: std::ops::Range<i64>, ending: Ending| {
        let store = SqliteStore::part(&path, "job", PLENTY).unwrap();
        let mut sink = store.whole_sink(&[], &path).unwrap();
        minutes.for_each(|minute| sink.write(&batch(minute), &Stop::default()).unwrap());
        sink.finish(ending).unwrap();
    };
    run(1..4, Ending::Complete);
    // Somebody reads it all the time.
    let reader = SqliteReader::open(&path, Some("job")).unwrap();
    let scores = || read(&reader, Kind::Scores, None, None, 9);
    assert_eq!((scores(), reader.through().unwrap()), (vec![1, 2, 3], Some(Timestamp::from_millis(3 * MINUTE))));
    run(7..9, Ending::Failed);
    assert!(!part_of(&path).exists());
    run(5..6, Ending::Stopped);
    assert_eq!(scores(), [1, 2, 3]);
    assert!(part_of(&path).exists());
    let history = reader.history().unwrap();
    run(2..3, Ending::Complete);
    assert_ne!(reader.history().unwrap(), history);
    assert_eq!((scores(), reader.through().unwrap()), (vec![2], Some(Timestamp::from_millis(2 * MINUTE))));
    assert!(!part_of(&path).exists());
}

#[test]
fn what_was_written_elsewhere_is_taken_in() {
    use crate::delivery::reader::Delivered;
    let store =
        SqliteStore::open(Place::Temporary, "job", Limits { retention: Span::from_millis(2 * MINUTE), ..PLENTY });
    let store = store.unwrap();
    let mut importer = store.importer().unwrap();
    let record = |minute: i64| Delivered {
        kind: Kind::Scores,
        symbol: Symbol::new("BTC").unwrap(),
        span: Span::from_millis(MINUTE),
        at: Timestamp::from_millis(minute * MINUTE),
        json: minute.to_string(),
    };
    let all: Vec<Delivered> = (1..=9).map(record).collect();
    importer.take_in(&all, all[8].at).unwrap();
    importer.take_in(&[], all[8].at).unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(read(&reader, Kind::Scores, None, None, 99), [7, 8, 9]);
    assert_eq!(reader.through().unwrap(), Some(all[8].at));
    let before = reader.history().unwrap();
    importer.clear(&[Kind::Scores]).unwrap();
    assert!(read(&reader, Kind::Scores, None, None, 99).is_empty() && reader.through().unwrap().is_none());
    assert_ne!(reader.history().unwrap(), before);
    // Of an earlier time.
    importer.take_in(&all[..2], all[1].at).unwrap();
    assert_eq!(read(&reader, Kind::Scores, None, None, 99), [1, 2]);
}
