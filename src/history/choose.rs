//! Which files make a market's history, and what they lack: pure.

use super::journal::Entry;
use super::period::Period;
use crate::connectors::files::index::Point;

/// Numbers that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The record before.
    pub after: Point,
    /// The record behind.
    pub before: Point,
    /// The file that it lies in; none of one between files.
    pub inside: Option<usize>,
}

impl Gap {
    /// How many are missing.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.before.id.saturating_sub(self.after.id).saturating_sub(1)
    }
}

/// What is missing in files and between them, in the order of time.
#[must_use]
pub fn gaps(entries: &[Entry]) -> Vec<Gap> {
    let mut found = Vec::new();
    let mut last: Option<Point> = None;
    for (at, entry) in entries.iter().enumerate() {
        if let (Some(after), Some(before)) = (last, entry.content.first)
            && before.id > after.id.saturating_add(1)
        {
            found.push(Gap { after, before, inside: None });
        }
        let inside = entry.content.breaks.iter();
        found.extend(inside.map(|(after, before)| Gap { after: *after, before: *before, inside: Some(at) }));
        last = entry.content.last.or(last);
    }
    found
}

/// How bad a row of files is that should hold these numbers: those that are missing, then rows that are not in their place.
#[must_use]
pub fn badness(entries: &[Entry], (low, high): (u64, u64)) -> (u64, u64) {
    let ends = |point: Option<Point>| point.map(|point| point.id);
    let first = entries.iter().find_map(|entry| ends(entry.content.first));
    let last = entries.iter().rev().find_map(|entry| ends(entry.content.last));
    let outside = match (first, last) {
        (Some(first), Some(last)) => first.saturating_sub(low).saturating_add(high.saturating_sub(last)),
        _ => high.saturating_sub(low).saturating_add(1),
    };
    let inside = gaps(entries).iter().fold(0_u64, |sum, gap| sum.saturating_add(gap.missing()));
    let moved = entries.iter().map(|entry| entry.content.repeated.saturating_add(entry.content.displaced));
    (inside.saturating_add(outside), moved.fold(0, u64::saturating_add))
}

/// The least and the greatest number in files.
fn range<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> (u64, u64) {
    let ends = entries.into_iter().flat_map(|entry| [entry.content.first, entry.content.last]).flatten();
    ends.fold((u64::MAX, 0), |(low, high), point| (low.min(point.id), high.max(point.id)))
}

/// The months whose files are not right by themselves: their days' may be better.
#[must_use]
pub fn suspects(entries: &[Entry]) -> Vec<Period> {
    let is_month = |entry: &Entry| matches!(entry.period, Period::Month(_));
    let mut found: Vec<usize> = Vec::new();
    for gap in gaps(entries) {
        match gap.inside {
            Some(at) => found.push(at),
            // Whichever of both breaks off, or begins late.
            None => found.extend((0..entries.len()).filter(|at| {
                let content = &entries[*at].content;
                content.last == Some(gap.after) || content.first == Some(gap.before)
            })),
        }
    }
    found.extend((0..entries.len()).filter(|at| !entries[*at].content.is_tidy()));
    found.sort_unstable();
    found.dedup();
    found.into_iter().filter(|at| is_month(&entries[*at])).map(|at| entries[at].period).collect()
}

/// Takes a month's days for the month where all is no worse with them; whether it did.
pub fn prefer_days(entries: &mut Vec<Entry>, month: Period, days: Vec<Entry>) -> bool {
    if days.is_empty() {
        return false;
    }
    let range = range(entries.iter().chain(&days));
    let mut with_days: Vec<Entry> = entries.iter().filter(|entry| entry.period != month).cloned().collect();
    with_days.extend(days);
    with_days.sort_by_key(|entry| entry.period.begin());
    let is_no_worse = badness(&with_days, range) <= badness(entries, range);
    if is_no_worse {
        *entries = with_days;
    }
    is_no_worse
}

#[cfg(test)]
mod tests {
    use super::super::content::Content;
    use super::*;
    use crate::connectors::files::index::Listed;

    /// How bad they are by themselves.
    fn badness(entries: &[Entry]) -> (u64, u64) {
        super::badness(entries, range(entries))
    }

    fn point(id: u64) -> Point {
        Point { id, at: id as i64 * 1000 }
    }

    fn entry(period: Period, ids: &[(u64, u64)]) -> Entry {
        let breaks = ids.windows(2).map(|pair| (point(pair[0].1), point(pair[1].0))).collect();
        let content = Content {
            first: ids.first().map(|(first, _)| point(*first)),
            last: ids.last().map(|(_, last)| point(*last)),
            breaks,
            ..Content::default()
        };
        Entry { listed: Listed::default(), period, content }
    }

    #[test]
    fn days_count_where_a_month_lacks_what_they_have() {
        let (january, february) = (Period::Month(0), Period::Month(1));
        let days = |all: &[(u64, u64)]| -> Vec<Entry> {
            january.days().zip(all).map(|(day, ids)| entry(day, &[*ids])).collect()
        };
        let mut broken = vec![entry(january, &[(1, 40), (50, 99)]), entry(february, &[(100, 199)])];
        assert_eq!(gaps(&broken), [Gap { after: point(40), before: point(50), inside: Some(0) }]);
        assert_eq!((badness(&broken), suspects(&broken)), ((9, 0), vec![january]));
        // Days that lack more than the month are no better.
        let mut same = broken.clone();
        prefer_days(&mut same, january, days(&[(1, 20), (60, 99)]));
        assert_eq!(same, broken);
        prefer_days(&mut broken, january, days(&[(1, 45), (46, 99)]));
        assert_eq!((broken.len(), badness(&broken)), (3, (0, 0)));
        // A month that ends too early shows where the next begins.
        let mut short = vec![entry(january, &[(1, 40)]), entry(february, &[(100, 199)])];
        assert_eq!(suspects(&short), [january, february]);
        prefer_days(&mut short, january, days(&[(1, 60), (61, 99)]));
        assert_eq!((badness(&short), suspects(&short)), ((0, 0), vec![]));
        // What comes twice is no better than what is missing nowhere.
        let mut twice = vec![entry(january, &[(1, 99)])];
        twice[0].content.repeated = 5;
        assert_eq!(suspects(&twice), [january]);
        prefer_days(&mut twice, january, days(&[(1, 60), (61, 99)]));
        assert_eq!(badness(&twice), (0, 0));
    }

    #[test]
    fn days_that_begin_later_or_end_earlier_are_worse_though_no_file_is_beside_them() {
        let january = Period::Month(0);
        let days = |ids: &[(u64, u64)]| -> Vec<Entry> {
            january.days().zip(ids).map(|(day, ids)| entry(day, &[*ids])).collect()
        };
        let mut month = vec![entry(january, &[(1, 99)])];
        month[0].content.repeated = 1;
        assert!(!prefer_days(&mut month, january, days(&[(2, 60), (61, 99)])));
        assert!(!prefer_days(&mut month, january, days(&[(1, 60), (61, 98)])));
        assert!(prefer_days(&mut month, january, days(&[(1, 60), (61, 99)])));
        // Where there is no month, days with a hole are better than nothing.
        let mut nothing = Vec::new();
        assert!(prefer_days(&mut nothing, january, days(&[(1, 60), (70, 99)])));
        assert_eq!(nothing.len(), 2);
    }
}
