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
        self.before.id.saturating_sub(self.after.id + 1)
    }
}

/// What is missing in files and between them, in the order of time.
#[must_use]
pub fn gaps(entries: &[Entry]) -> Vec<Gap> {
    let mut found = Vec::new();
    let mut last: Option<Point> = None;
    for (at, entry) in entries.iter().enumerate() {
        if let (Some(after), Some(before)) = (last, entry.content.first)
            && before.id > after.id + 1
        {
            found.push(Gap { after, before, inside: None });
        }
        let inside = entry.content.breaks.iter();
        found.extend(inside.map(|(after, before)| Gap { after: *after, before: *before, inside: Some(at) }));
        last = entry.content.last.or(last);
    }
    found
}

/// How bad a row of files is: numbers that are missing, then rows that are not in their place.
#[must_use]
pub fn badness(entries: &[Entry]) -> (u64, u64) {
    let missing = gaps(entries).iter().map(Gap::missing).sum();
    (missing, entries.iter().map(|entry| entry.content.repeated + entry.content.displaced).sum())
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

/// Takes a month's days for the month where all is no worse with them.
pub fn prefer_days(entries: &mut Vec<Entry>, month: Period, days: Vec<Entry>) {
    if days.is_empty() {
        return;
    }
    let mut with_days: Vec<Entry> = entries.iter().filter(|entry| entry.period != month).cloned().collect();
    with_days.extend(days);
    with_days.sort_by_key(|entry| entry.period.begin());
    if badness(&with_days) <= badness(entries) {
        *entries = with_days;
    }
}

#[cfg(test)]
mod tests {
    use super::super::content::Content;
    use super::*;
    use crate::connectors::files::index::Listed;

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
}
