//! A directory that `tickcast history` wrote: which files each market's records are in, in the order of time.
//!
//! The list is `history.json` in it. It is replaced as a whole when a download has ended, so that a directory is read as it was at
//! the end of one; a file that is not as the list says is an error.

use crate::connectors::input::InputError;
use crate::market::{Symbol, Timestamp};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The list's name.
pub const INDEX: &str = "history.json";
/// What this program reads and writes.
pub const VERSION: u32 = 1;

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// [`VERSION`].
    pub version: u32,
    /// What all its records are, for people and for telling one directory from another: `binance spot klines 1m`.
    pub holds: String,
    /// One per market.
    pub series: Vec<Series>,
}

/// The records of one market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// As the job knows it.
    pub symbol: String,
    /// The venue's spelling.
    pub market: String,
    /// In the order of time: each begins where the one before has ended.
    pub files: Vec<Listed>,
    /// What is missing between them, and in them.
    pub holes: Vec<Hole>,
    /// The venue's files that were no good, or not given.
    #[serde(default)]
    pub faults: Vec<Faulty>,
    /// Months whose file is not as their days' files have it, where both were compared.
    #[serde(default)]
    pub differs: Vec<Differs>,
}

/// A month's file that is not as its days' files have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differs {
    /// The month.
    pub period: String,
    /// Whose rows are in the list: `days` or `month`.
    pub taken: String,
    /// Where they differ; the month's file is the one, its days' are the other.
    #[serde(flatten)]
    pub difference: Difference,
}

/// Where the rows of one file are not those of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Rows that both have, and that say different things.
    pub changed: u64,
    /// Rows that only the one has, and rows that only the other has.
    pub only: [u64; 2],
    /// The first row that differs.
    pub first: Option<Point>,
    /// The last one.
    pub last: Option<Point>,
    /// The first row of each sort.
    pub examples: Vec<Example>,
}

/// A row as the one and the other have it, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Its id.
    pub id: u64,
    /// None where one lacks it.
    pub rows: [Option<String>; 2],
}

impl Difference {
    /// How many rows differ.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.changed.saturating_add(self.only[0]).saturating_add(self.only[1])
    }

    /// The same for people, by what the one and the other are called.
    #[must_use]
    pub fn text(&self, one: &str, other: &str) -> String {
        let Self { changed, only, first, last, examples } = self;
        let place = |point: &Option<Point>| {
            point.map_or_else(String::new, |Point { id, at }| format!("id {id} of {}", Timestamp::from_millis(at)))
        };
        let mut text = format!(
            "{} rows, {} to {}: {changed} have other values, {} are in {one} only, {} in {other} only",
            self.rows(),
            place(first),
            place(last),
            only[0],
            only[1]
        );
        for Example { id, rows: [of_one, of_other] } in examples {
            let shown =
                |row: &Option<String>| row.as_ref().map_or_else(|| "nothing".to_owned(), |row| format!("`{row}`"));
            text += &format!("; of {id} {one} has {}, {other} {}", shown(of_one), shown(of_other));
        }
        text
    }
}

/// A file of the venue's that is not in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faulty {
    /// The day or month that it should hold.
    pub period: String,
    /// One word.
    pub reason: String,
    /// The same for people.
    pub why: String,
}

/// A file of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// From the directory.
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Of these.
    pub sha256: String,
    /// Records in it.
    pub rows: u64,
    /// The first one's id (of a candle the number of its interval since 1970), and its time.
    pub first: Option<Point>,
    /// The last one's.
    pub last: Option<Point>,
    /// Where it comes from; of a file that was put together here, the one that it was made from.
    pub url: String,
    /// The venue's mark of this version of it.
    pub etag: Option<String>,
    /// Whether the venue's own checksum was there, and agreed.
    pub checked: bool,
}

/// A record's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Its id; of a candle the number of its interval since 1970.
    pub id: u64,
    /// Its event time, in milliseconds; of a candle when it opens.
    pub at: i64,
}

/// Records that are not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// The last record before, or where the history was to begin.
    pub after: Point,
    /// The first record behind.
    pub before: Point,
    /// How many ids are missing.
    pub missing: u64,
    /// Why, as far as is known: one word.
    pub reason: String,
    /// The same for people.
    pub why: String,
}

impl Hole {
    /// When it begins and ends.
    #[must_use]
    pub const fn times(&self) -> (Timestamp, Timestamp) {
        (Timestamp::from_millis(self.after.at), Timestamp::from_millis(self.before.at))
    }
}

impl Index {
    /// Reads the list of a directory; none where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or another version wrote it.
    pub fn read(dir: &Path) -> Result<Option<Self>, String> {
        let path = dir.join(INDEX);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        Self::parse(&text, &path).map(Some)
    }

    /// Reads a list; `path` is for messages.
    ///
    /// # Errors
    /// When it is none, or another version wrote it.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self, String> {
        let index: Self = serde_json::from_slice(text)
            .map_err(|error| format!("{}: {error}; remove it, and run `tickcast history` again", path.display()))?;
        if index.version != VERSION {
            return Err(format!(
                "{} is of version {}, this program reads version {VERSION}: use the one that wrote it, or another directory",
                path.display(),
                index.version
            ));
        }
        Ok(index)
    }
}

/// The files of one market, there and as long as the list says.
pub(super) struct Chain {
    /// What its records are of.
    pub symbol: Symbol,
    /// For people.
    pub name: String,
    /// In the order of time.
    pub paths: Vec<PathBuf>,
}

/// What a directory holds; none where `history` did not write it.
pub(super) fn chains(dir: &Path) -> Result<Option<Vec<Chain>>, InputError> {
    let failed = InputError::Failed;
    let Some(index) = Index::read(dir).map_err(failed)? else { return Ok(None) };
    let mut chains = Vec::new();
    for series in index.series.into_iter().filter(|series| !series.files.is_empty()) {
        let symbol = Symbol::new(&series.symbol)
            .map_err(|why| failed(format!("{}: the symbol {why}", dir.join(INDEX).display())))?;
        let mut paths = Vec::new();
        for file in &series.files {
            let path = dir.join(&file.path);
            let length = std::fs::metadata(&path).map(|found| found.len());
            if length.as_ref().ok() != Some(&file.bytes) {
                let found = length.map_or_else(|error| error.to_string(), |length| format!("it has {length} bytes"));
                return Err(failed(format!(
                    "{} is not the file of {} bytes that {INDEX} lists ({found}): run `tickcast history` again",
                    path.display(),
                    file.bytes
                )));
            }
            paths.push(path);
        }
        chains.push(Chain { symbol, name: format!("{} {}", dir.display(), series.market), paths });
    }
    if chains.is_empty() {
        return Err(failed(format!("{}: {INDEX} lists no file: run `tickcast history` again", dir.display())));
    }
    Ok(Some(chains))
}
