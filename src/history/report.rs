//! What a directory holds, for people.

use crate::connectors::files::index::{Differs, Faulty, Hole, Index, Listed, Series};
use crate::market::Timestamp;
use std::fmt::Write as _;

/// Holes and faults of a market that are told one by one; all are in the list.
const TOLD_MAX: usize = 20;

/// A line per market, and below it what is missing.
#[must_use]
pub fn text(index: &Index) -> String {
    let mut text = format!("{}\n", index.holds);
    for Series { symbol, market, files, holes, faults, differs } in &index.series {
        let name = if symbol == market { symbol.clone() } else { format!("{symbol} ({market})") };
        let rows = files.iter().map(|file| file.rows).fold(0, u64::saturating_add);
        let bytes = files.iter().map(|file| file.bytes).fold(0, u64::saturating_add);
        let span = |file: Option<&Listed>, point: fn(&Listed) -> Option<i64>| {
            file.and_then(point).map_or_else(|| "nothing".to_owned(), |at| Timestamp::from_millis(at).to_string())
        };
        let from = span(files.first(), |file| file.first.map(|point| point.at));
        let through = span(files.last(), |file| file.last.map(|point| point.at));
        let unchecked = files.iter().filter(|file| !file.checked).count();
        // A text takes everything.
        let _ = writeln!(
            text,
            "{name}: {rows} rows in {} files ({:.1} MB), {from} to {through}; {} agree with the venue's checksum, {unchecked} have none",
            files.len(),
            bytes as f64 / 1e6,
            files.len() - unchecked,
        );
        for Faulty { period, reason, why } in faults.iter().take(TOLD_MAX) {
            let _ = writeln!(text, "  no good: {period}, {reason}: {why}");
        }
        for Differs { period, taken, difference } in differs.iter().take(TOLD_MAX) {
            let (taken, where_) = (taken.as_str(), difference.text("the month's file", "its days'"));
            let _ = writeln!(text, "  differs: {period}, the {taken} counts: {where_}");
        }
        for hole in holes.iter().take(TOLD_MAX) {
            let (after, before) = hole.times();
            let Hole { missing, reason, why, .. } = hole;
            let ids = if *missing > 0 {
                let (first, last) = (hole.after.id.saturating_add(1), hole.before.id.saturating_sub(1));
                format!("{missing} rows ({first} to {last}), ")
            } else {
                String::new()
            };
            let _ = writeln!(text, "  hole: {ids}{after} to {before}, {reason}: {why}");
        }
        let more = holes.len().saturating_sub(TOLD_MAX) + faults.len().saturating_sub(TOLD_MAX);
        if more > 0 {
            let _ = writeln!(text, "  and {more} more: see history.json");
        }
        if holes.is_empty() && !files.is_empty() {
            let _ = writeln!(text, "  no hole");
        }
    }
    text
}
