//! One file of an archive: fetched, compared with the venue's checksum, looked into, and only then given its name.

use super::address::Template;
use super::compare::{Incomparable, Rising, compare};
use super::content::{Content, Rows};
use super::fetch::{Client, Got, part_of};
use super::journal::{Entry, Journal};
use super::period::Period;
use crate::config::HistoryKind;
use crate::connectors::files::index::Listed;
use crate::delivery::Stop;
use crate::feeds::streams::Fault;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// What is behind the name of a checksum's file.
const CHECKSUM: &str = ".CHECKSUM";
/// A file that does not agree with its checksum is fetched so often.
const FETCHES: usize = 2;

/// The reason of a file that the venue was to be asked about, and did not give.
pub const NOT_RECHECKED: &str = "not_rechecked";

/// What there is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A good file.
    Good(Box<Entry>),
    /// The one that was fetched before: the venue's version of now is no good, or it does not say what it has.
    Kept {
        /// The file.
        entry: Box<Entry>,
        /// One word.
        reason: &'static str,
        /// For people.
        why: String,
    },
    /// The venue has none.
    Absent,
    /// The venue has one that is no good, or does not give it.
    Faulty {
        /// One word.
        reason: &'static str,
        /// For people.
        why: String,
    },
}

/// Where files come from and go to.
pub struct Archive<'a> {
    /// How they are asked for.
    pub client: &'a Client,
    /// Where they are.
    pub template: &'a Template,
    /// Where they go.
    pub dir: &'a Path,
    /// What their rows are.
    pub rows: Rows,
    /// Whether checksums are beside them.
    pub has_checksums: bool,
    /// What is known.
    pub journal: &'a Journal,
    /// Whether the venue is asked about files that are there, too.
    pub recheck: bool,
    /// Whether to stop.
    pub stop: &'a Stop,
}

impl Archive<'_> {
    /// Has a market's file of a period here.
    ///
    /// # Errors
    /// When it was stopped, or no file can be had at all.
    pub fn have(&self, market: &str, period: Period) -> Result<Outcome, Fault> {
        let path = self.template.path(market, period);
        let known = self.journal.known(self.dir, &path);
        if let (Some(entry), false) = (&known, self.recheck) {
            return Ok(Outcome::Good(Box::new(entry.clone())));
        }
        let url = self.template.url(market, period);
        let outcome = match self.ask(&url, &path, period, known.as_ref()) {
            // One file's trouble.
            // A refusal is the venue's where nothing is known; else it is of this file.
            Err(fault) if !matches!(fault.kind, "stopped" | "disk") && (known.is_some() || fault.kind != "blocked") => {
                Outcome::Faulty { reason: "not_given", why: format!("{url}: {fault}") }
            }
            outcome => outcome?,
        };
        let Some(entry) = known.map(Box::new) else { return Ok(outcome) };
        let kept = |why: String| format!("{why}; the file that was fetched before stays");
        Ok(match outcome {
            Outcome::Faulty { reason: "not_given", why } => {
                Outcome::Kept { entry, reason: NOT_RECHECKED, why: kept(why) }
            }
            Outcome::Faulty { reason, why } => Outcome::Kept { entry, reason, why: kept(why) },
            Outcome::Absent => {
                Outcome::Kept { entry, reason: "absent", why: kept(format!("{url}: it is there no longer")) }
            }
            outcome => outcome,
        })
    }

    fn ask(&self, url: &str, path: &str, period: Period, known: Option<&Entry>) -> Result<Outcome, Fault> {
        let whole = self.dir.join(path);
        if let Some(parent) = whole.parent() {
            std::fs::create_dir_all(parent).map_err(|error| disk(parent, &error))?;
        }
        let checksum = if self.has_checksums { self.client.text(&format!("{url}{CHECKSUM}"))? } else { None };
        let expected = match checksum.as_deref().map(|text| checksum_of(text, url)).transpose() {
            Ok(expected) => expected,
            Err(why) => return Ok(Outcome::Faulty { reason: "checksum", why: format!("{url}{CHECKSUM}: {why}") }),
        };
        let (at, of, checked) = (path.to_owned(), url.to_owned(), expected.is_some());
        let listed = |sha256, etag| Listed { path: at, sha256, url: of, etag, checked, ..Listed::default() };
        if let Some(entry) = known.filter(|entry| expected.as_ref() == Some(&entry.listed.sha256)) {
            return Ok(Outcome::Good(Box::new(entry.clone())));
        }
        if known.is_none() && whole.is_file() && expected.is_some() {
            // A mirror's, or of a start that died behind its last step.
            let sha256 = digest(&whole).map_err(|error| disk(&whole, &error))?;
            if expected.as_ref() == Some(&sha256) {
                return self.judge(&whole, period, listed(sha256, None), None);
            }
        }
        for _ in 0..FETCHES {
            let Got::Whole { etag } = self.client.file(url, &whole)? else {
                Client::forget(&whole);
                return Ok(Outcome::Absent);
            };
            let part = part_of(&whole);
            let sha256 = digest(&part).map_err(|error| disk(&part, &error))?;
            let is_it = expected.as_ref().is_none_or(|expected| *expected == sha256);
            if is_it {
                return self.judge(&part, period, listed(sha256, etag), known);
            }
            Client::forget(&whole);
        }
        let why = format!("{url}: it does not agree with the venue's own checksum");
        Ok(Outcome::Faulty { reason: "checksum", why })
    }

    /// Looks into a file; a good one gets its name, in the place of what was `known` under it.
    fn judge(&self, from: &Path, period: Period, listed: Listed, known: Option<&Entry>) -> Result<Outcome, Fault> {
        let (whole, url) = (&self.dir.join(&listed.path), &listed.url);
        let content = match self.rows.look(from, (period.begin(), period.end()), self.stop) {
            Ok(content) => content,
            Err(_) if self.stop.requested() => return Err(Fault::new("stopped", "stopped")),
            Err(why) => {
                Client::forget(whole);
                // The message names the part, which is gone.
                let why = why.replace(".part", "");
                return Ok(Outcome::Faulty { reason: "content", why: format!("{url}: {why}") });
            }
        };
        if content.rows == 0 {
            Client::forget(whole);
            return Ok(Outcome::Faulty { reason: "empty", why: format!("{url}: it holds no row") });
        }
        let bytes = std::fs::metadata(from).map_err(|error| disk(from, &error))?.len();
        if let Some(known) = known.filter(|known| known.listed.sha256 != listed.sha256) {
            self.tell_change(known, from, &content, url)?;
        }
        let Content { rows, first, last, .. } = content;
        let listed = Listed { bytes, rows, first, last, ..listed };
        let entry = Entry { listed, period, content };
        let note = || self.journal.add(&entry).map_err(|error| disk(self.dir, &error));
        if from == whole.as_path() {
            note()?;
        } else {
            // The note comes before the name, so that a file that has its name has all that is known of it, whenever this dies; and
            // none that is as long may have the name meanwhile.
            match std::fs::remove_file(whole) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(disk(whole, &error)),
                _ => note()?,
            }
            std::fs::rename(from, whole).map_err(|error| disk(whole, &error))?;
            Client::forget(whole);
        }
        Ok(Outcome::Good(Box::new(entry)))
    }

    /// Says which rows of a file that the venue has replaced are others now.
    fn tell_change(&self, known: &Entry, from: &Path, content: &Content, url: &str) -> Result<(), Fault> {
        if !self.rows.contiguous && self.rows.kind != HistoryKind::Klines {
            tracing::warn!(
                "{url}: the venue has replaced it since it was fetched: which rows are others is not known, they have no numbers"
            );
            return Ok(());
        }
        let before = self.dir.join(&known.listed.path);
        let rows = |path, content: &Content| Rising::file(self.rows, path, content.displaced == 0, self.stop);
        let text = match compare(rows(&before, &known.content), rows(from, content), |_| true) {
            Ok(Some(difference)) => difference.text("the file of before", "that of now"),
            Ok(None) => "its rows are the same".to_owned(),
            Err(Incomparable::Stopped) => return Err(Fault::new("stopped", "stopped")),
            Err(Incomparable::Unreadable(why)) => format!("which rows are others is not known: {why}"),
        };
        tracing::warn!("{url}: the venue has replaced it since it was fetched: {text}");
        Ok(())
    }
}

fn disk(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new("disk", format!("{}: {error}", path.display()))
}

/// The SHA-256 of a file, in hexadecimal digits.
pub fn digest(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The sum that `sha256sum` wrote for the last part of an address.
///
/// # Errors
/// When it is another's, or none.
pub fn checksum_of(text: &str, url: &str) -> Result<String, String> {
    let name = url.rsplit('/').next().unwrap_or_default();
    let line = text.lines().find(|line| !line.trim().is_empty()).ok_or("it is empty")?;
    let (sum, named) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), name));
    if sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(format!("{sum:.80?} is no SHA-256"));
    }
    let named = named.trim().trim_start_matches('*');
    let named = PathBuf::from(named);
    if named.file_name().is_none_or(|named| named != name) {
        return Err(format!("it is of {:.80}", named.display().to_string()));
    }
    Ok(sum.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_read_as_sha256sum_writes_them() {
        let sum = "7f3C".repeat(16);
        let read = |text: &str| checksum_of(text, "http://a/b/X.zip");
        for text in [format!("{sum}  X.zip\n"), format!("{sum} *X.zip"), format!("\n{sum}  ./dir/X.zip"), sum.clone()] {
            assert_eq!(read(&text), Ok(sum.to_lowercase()), "{text}");
        }
        for text in [format!("{sum}  Y.zip"), String::new(), "<html>".to_owned(), format!("{}  X.zip", &sum[1..])] {
            assert!(read(&text).is_err(), "{text}");
        }
    }
}
