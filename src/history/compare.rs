//! Files of the same rows, compared row by row as the job reads them, in flat memory: how a number or a stamp is written is no
//! difference, and what the job does not read is none.

use super::content::{Order, Reader, Rows, Taken};
use super::journal::Entry;
use crate::connectors::files::index::{Difference, Example, Point};
use crate::delivery::Stop;
use crate::market::{Observation, Quote};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

/// Of a row that is shown.
const SHOWN_CHARS_MAX: usize = 160;

/// Why it is not known whether files differ.
#[derive(Debug, PartialEq, Eq)]
pub enum Incomparable {
    /// Somebody asked to stop.
    Stopped,
    /// One of them cannot be read.
    Unreadable(String),
}

/// A row, and what is read in it.
struct Row {
    point: Point,
    quote: Quote,
    text: Vec<u8>,
}

impl Row {
    fn new(point: Point, seen: &Observation, text: &[u8]) -> Self {
        Self { point, quote: seen.quote.clone(), text: text.to_vec() }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.text).trim_end().chars().take(SHOWN_CHARS_MAX).collect()
    }
}

/// Files that follow one another, as rows in the order of their numbers, each once.
pub struct Rising<'a> {
    rows: Rows,
    left: VecDeque<(PathBuf, bool)>,
    stop: &'a Stop,
    reader: Option<Reader>,
    read: VecDeque<Row>,
    /// Rows of the file that is read which stand behind greater ones.
    moved: BTreeMap<u64, Row>,
    last: Option<u64>,
}

impl<'a> Rising<'a> {
    /// The rows of files in a directory.
    pub fn new<'b>(rows: Rows, dir: &Path, entries: impl IntoIterator<Item = &'b Entry>, stop: &'a Stop) -> Self {
        let left = entries.into_iter().map(|entry| (dir.join(&entry.listed.path), entry.content.displaced == 0));
        Self::of(rows, left.collect(), stop)
    }

    /// The rows of one file; whether they are known to be in their order.
    pub fn file(rows: Rows, path: &Path, is_rising: bool, stop: &'a Stop) -> Self {
        Self::of(rows, VecDeque::from([(path.to_owned(), is_rising)]), stop)
    }

    fn of(rows: Rows, left: VecDeque<(PathBuf, bool)>, stop: &'a Stop) -> Self {
        Self { rows, left, stop, reader: None, read: VecDeque::new(), moved: BTreeMap::new(), last: None }
    }

    fn next(&mut self) -> Result<Option<Row>, Incomparable> {
        loop {
            self.fill()?;
            let moved = self.moved.first_entry();
            let row = match (self.read.front(), moved) {
                (Some(row), Some(moved)) if *moved.key() < row.point.id => Some(moved.remove()),
                (None, Some(moved)) => Some(moved.remove()),
                _ => self.read.pop_front(),
            };
            match row {
                Some(row) if self.last.is_some_and(|last| row.point.id <= last) => {}
                Some(row) => {
                    self.last = Some(row.point.id);
                    return Ok(Some(row));
                }
                None if !self.open_next()? => return Ok(None),
                None => {}
            }
        }
    }

    /// Reads on in the file that is open, where nothing is left of what was read.
    fn fill(&mut self) -> Result<(), Incomparable> {
        while self.read.is_empty()
            && let Some(reader) = &mut self.reader
        {
            if self.stop.requested() {
                return Err(Incomparable::Stopped);
            }
            let read = &mut self.read;
            let mut take = |point, seen: &Observation, text: &[u8]| read.push_back(Row::new(point, seen, text));
            if !reader.next(&mut take).map_err(Incomparable::Unreadable)? {
                self.reader = None;
            }
        }
        Ok(())
    }

    fn open_next(&mut self) -> Result<bool, Incomparable> {
        let Some((path, is_rising)) = self.left.pop_front() else { return Ok(false) };
        let wrong = |why| Incomparable::Unreadable(format!("{}: {why}", path.display()));
        if !is_rising {
            let mut order = Order::default();
            let mut reader = self.rows.open(&path).map_err(wrong)?;
            let mut take = |point: Point, seen: &Observation, text: &[u8]| {
                if order.take(point) == Taken::Displaced {
                    self.moved.insert(point.id, Row::new(point, seen, text));
                }
            };
            while reader.next(&mut take).map_err(wrong)? {
                if self.stop.requested() {
                    return Err(Incomparable::Stopped);
                }
            }
        }
        self.reader = Some(self.rows.open(&path).map_err(wrong)?);
        Ok(true)
    }
}

/// Where the rows of two differ, among those whose times `counts`; nothing where they do not.
///
/// # Errors
/// When one of them cannot be read, or it was stopped.
pub fn compare(
    mut one: Rising<'_>,
    mut other: Rising<'_>,
    counts: impl Fn(i64) -> bool,
) -> Result<Option<Difference>, Incomparable> {
    let mut found = Difference::default();
    let (mut left, mut right) = (one.next()?, other.next()?);
    loop {
        let id = |row: &Option<Row>| row.as_ref().map_or(u64::MAX, |row| row.point.id);
        let (at_left, at_right) = (id(&left), id(&right));
        let pair = if at_left == at_right {
            [left.take(), right.take()]
        } else if at_left < at_right {
            [left.take(), None]
        } else {
            [None, right.take()]
        };
        let Some(point) = pair.iter().flatten().map(|row| row.point).next() else { break };
        let is_same =
            matches!(&pair, [Some(one), Some(other)] if one.point.at == other.point.at && one.quote == other.quote);
        if !is_same && counts(point.at) {
            note(&mut found, point, &pair);
        }
        if pair[0].is_some() {
            left = one.next()?;
        }
        if pair[1].is_some() {
            right = other.next()?;
        }
    }
    Ok((found.rows() > 0).then_some(found))
}

fn note(found: &mut Difference, point: Point, pair: &[Option<Row>; 2]) {
    let count = match pair {
        [Some(_), Some(_)] => &mut found.changed,
        [Some(_), None] => &mut found.only[0],
        _ => &mut found.only[1],
    };
    *count += 1;
    if *count == 1 {
        // One of each sort.
        let rows = pair.each_ref().map(|row| row.as_ref().map(Row::shown));
        found.examples.push(Example { id: point.id, rows });
    }
    found.first.get_or_insert(point);
    found.last = Some(point);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HistoryKind;
    use crate::market::Span;
    use proptest::prelude::*;

    const DAY: i64 = 1_704_067_200_000;

    fn text(rows: &[(u64, u8)], is_plain: bool) -> String {
        let (unit, zeros) = if is_plain { (1, "") } else { (1000, "00") };
        let row = |(id, size): &(u64, u8)| {
            format!("{id},4.5{zeros},{size}.0{zeros},1.5,{},True,True\n", (DAY + *id as i64) * unit)
        };
        rows.iter().map(row).collect()
    }

    fn first_of_each(rows: &[(u64, u8)]) -> BTreeMap<u64, u8> {
        rows.iter().rev().copied().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        /// Rows in whatever order, some twice, over two files and one: as two maps are compared.
        #[test]
        fn differences_are_those_of_two_maps(
            one in proptest::collection::vec((1_u64..60, 1_u8..4), 1..60),
            mut other in proptest::collection::vec((1_u64..60, 1_u8..4), 1..60),
            cut in 1_u64..60,
        ) {
            let rows = Rows {
                kind: HistoryKind::Trades,
                interval: Span::from_millis(60_000),
                contiguous: true,
                slack: Span::from_millis(0),
            };
            let (dir, stop) = (tempfile::tempdir().unwrap(), Stop::default());
            let file = |name: &str, text: String| {
                let path = dir.path().join(name);
                std::fs::write(&path, text).unwrap();
                path
            };
            // Files follow one another.
            other.sort_by_key(|(id, _)| *id >= cut);
            let at = other.partition_point(|(id, _)| *id < cut);
            let month = file("month.csv", text(&one, true));
            let days = [("a.csv", &other[..at]), ("b.csv", &other[at..])];
            let days = days.into_iter().filter(|(_, rows)| !rows.is_empty()).map(|(name, rows)| (file(name, text(rows, false)), false));
            let month = Rising::file(rows, &month, false, &stop);
            let found = match compare(month, Rising::of(rows, days.collect(), &stop), |_| true) {
                Ok(found) => found,
                // A job does not read what never leads on.
                Err(Incomparable::Unreadable(why)) if why.contains("it runs backwards") => {
                    return Err(TestCaseError::reject("it runs backwards"));
                }
                Err(error) => return Err(TestCaseError::fail(format!("{error:?}"))),
            };
            let (one, other) = (first_of_each(&one), first_of_each(&other));
            let changed: Vec<u64> = one.iter().filter(|(id, size)| other.get(id).is_some_and(|other| other != *size)).map(|(id, _)| *id).collect();
            let lacking = |one: &BTreeMap<u64, u8>, other: &BTreeMap<u64, u8>| one.keys().filter(|id| !other.contains_key(id)).copied().collect::<Vec<_>>();
            let only = [lacking(&one, &other), lacking(&other, &one)];
            let all: Vec<u64> = changed.iter().chain(&only[0]).chain(&only[1]).copied().collect();
            prop_assert_eq!(found.is_none(), all.is_empty());
            let Some(found) = found else { return Ok(()) };
            prop_assert_eq!((found.changed, found.only), (changed.len() as u64, only.each_ref().map(|ids| ids.len() as u64)));
            let ends = (found.first.map(|point| point.id), found.last.map(|point| point.id));
            prop_assert_eq!(ends, (all.iter().min().copied(), all.iter().max().copied()));
            let sorts = [changed.first(), only[0].first(), only[1].first()];
            let mut firsts: Vec<u64> = sorts.into_iter().flatten().copied().collect();
            firsts.sort_unstable();
            prop_assert_eq!(found.examples.iter().map(|example| example.id).collect::<Vec<_>>(), firsts);
        }
    }
}
