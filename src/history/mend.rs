//! A file with what it lacks put in its place: written anew beside the venue's own, which stays as it is.

use super::content::{Order, Rows, Taken};
use crate::connectors::files::index::Point;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Rows by their number.
pub type Inserts = BTreeMap<u64, Vec<u8>>;

/// The rows of a file that come later than their place, each once.
///
/// # Errors
/// When it cannot be read.
pub fn displaced(rows: Rows, path: &Path) -> Result<Inserts, String> {
    let (mut order, mut found) = (Order::default(), Inserts::new());
    rows.each(path, |point, row| {
        if order.take(point) == Taken::Displaced {
            found.insert(point.id, row.to_vec());
        }
    })?;
    Ok(found)
}

/// Writes rows in the order of their numbers; `.gz`, as a whole.
///
/// # Errors
/// When `to` cannot be written.
pub fn whole(rows: Inserts, to: &Path) -> Result<(), String> {
    write(None, rows, to)
}

/// Writes the rows of `from`, each number once and in its place, and those of `inserts` among them; `.gz`, as a whole.
///
/// # Errors
/// When `from` cannot be read, or `to` cannot be written.
pub fn write(from: Option<(Rows, &Path)>, mut inserts: Inserts, to: &Path) -> Result<(), String> {
    let part = super::fetch::part_of(to);
    let wrong = |error: &std::io::Error| format!("cannot write {}: {error}", part.display());
    let file = File::create(&part).map_err(|error| wrong(&error))?;
    let mut out = GzEncoder::new(BufWriter::new(file), Compression::default());
    let mut failed = None;
    let mut last: Option<u64> = None;
    let mut line = |row: &[u8], out: &mut GzEncoder<BufWriter<File>>| {
        if let Err(error) = out.write_all(row).and_then(|()| out.write_all(b"\n")) {
            failed.get_or_insert(error);
        }
    };
    if let Some((rows, from)) = from {
        rows.each(from, |Point { id, .. }, row| {
            if last.is_some_and(|last| id <= last) {
                return;
            }
            while let Some(entry) = inserts.first_entry().filter(|entry| *entry.key() <= id) {
                let (number, row) = entry.remove_entry();
                // The file's own row counts.
                if number < id && last.is_none_or(|last| number > last) {
                    line(&row, &mut out);
                }
            }
            line(row, &mut out);
            last = Some(id);
        })?;
    }
    for (number, row) in inserts {
        if last.is_none_or(|last| number > last) {
            line(&row, &mut out);
        }
    }
    if let Some(error) = failed {
        return Err(wrong(&error));
    }
    let ended = out.finish().and_then(|out| out.into_inner().map_err(std::io::IntoInnerError::into_error));
    ended.and_then(|file| file.sync_all()).map_err(|error| wrong(&error))?;
    std::fs::rename(&part, to).map_err(|error| format!("cannot replace {}: {error}", to.display()))
}
