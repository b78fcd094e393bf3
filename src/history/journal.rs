//! What was fetched and found good, a line a file: a start after a death does not look at it again.

use super::content::Content;
use super::period::Period;
use crate::connectors::files::index::{Difference, Listed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Its name.
const NAME: &str = "fetched.jsonl";

/// A good file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// As the list has it.
    pub listed: Listed,
    /// What it should hold.
    pub period: Period,
    /// What it holds.
    pub content: Content,
}

/// Files that were compared, by what was in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// The digest of the one.
    pub one: String,
    /// The digests of the others, in their order.
    pub others: Vec<String>,
    /// Where their rows differ.
    pub difference: Option<Difference>,
}

/// A line of the journal.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Entry(Entry),
    Compared(Compared),
}

/// All of them.
pub struct Journal {
    known: Mutex<BTreeMap<String, Entry>>,
    compared: Mutex<Vec<Compared>>,
    file: Mutex<File>,
}

impl Journal {
    /// Reads a directory's, and goes on with it; of a last line that has no end, what there is goes.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(dir: &Path) -> std::io::Result<Self> {
        let path = dir.join(NAME);
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
        let text = std::fs::read(&path)?;
        let whole = memchr::memrchr(b'\n', &text).map_or(0, |at| at + 1);
        if whole < text.len() {
            file.set_len(whole as u64)?;
        }
        let (known, compared) = read(&text[..whole]);
        file.flush()?;
        Ok(Self { known: Mutex::new(known), compared: Mutex::new(compared), file: Mutex::new(file) })
    }

    /// What came of comparing files of these digests.
    pub fn compared(&self, one: &str, others: &[String]) -> Option<Compared> {
        let compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        compared.iter().find(|known| known.one == one && known.others == others).cloned()
    }

    /// Notes what came of comparing files.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_compared(&self, compared: Compared) -> std::io::Result<()> {
        self.write(&Line::Compared(compared.clone()))?;
        self.compared.lock().unwrap_or_else(PoisonError::into_inner).push(compared);
        Ok(())
    }

    fn write(&self, line: &Line) -> std::io::Result<()> {
        // A structure as JSON cannot fail.
        let mut line = serde_json::to_vec(line).unwrap_or_default();
        line.push(b'\n');
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }

    /// What is known of a path, where the file is there and as long.
    pub fn known(&self, dir: &Path, path: &str) -> Option<Entry> {
        // Nothing in it can panic half way through a change.
        let entry = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()?;
        let length = std::fs::metadata(dir.join(path)).ok()?.len();
        (length == entry.listed.bytes).then_some(entry)
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&self, entry: &Entry) -> std::io::Result<()> {
        self.write(&Line::Entry(entry.clone()))?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.listed.path.clone(), entry.clone());
        Ok(())
    }
}

/// What a journal's lines say; what another version wrote is fetched again.
pub fn read(text: &[u8]) -> (BTreeMap<String, Entry>, Vec<Compared>) {
    let (mut known, mut compared) = (BTreeMap::new(), Vec::new());
    for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Line::Entry(entry)) => drop(known.insert(entry.listed.path.clone(), entry)),
            Ok(Line::Compared(one)) => compared.push(one),
            Err(_) => {}
        }
    }
    (known, compared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_outlives_a_torn_line_and_believes_no_file_of_another_length() {
        let dir = tempfile::tempdir().unwrap();
        let entry = |path: &str, bytes| Entry {
            listed: Listed { path: path.to_owned(), bytes, ..Listed::default() },
            period: Period::Day(3),
            content: Content::default(),
        };
        let journal = Journal::open(dir.path()).unwrap();
        journal.add(&entry("a", 2)).unwrap();
        journal.add(&entry("b", 3)).unwrap();
        drop(journal);
        let path = dir.path().join(NAME);
        let mut text = std::fs::read(&path).unwrap();
        text.truncate(text.len() - 5);
        std::fs::write(&path, text).unwrap();
        std::fs::write(dir.path().join("a"), "xy").unwrap();
        std::fs::write(dir.path().join("b"), "xyz").unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.known(dir.path(), "a"), Some(entry("a", 2)));
        assert_eq!(journal.known(dir.path(), "b"), None);
        journal.add(&entry("b", 4)).unwrap();
        assert_eq!(journal.known(dir.path(), "b"), None, "of another length");
        journal.add(&entry("b", 3)).unwrap();
        assert_eq!(Journal::open(dir.path()).unwrap().known(dir.path(), "b"), Some(entry("b", 3)));
    }
}
