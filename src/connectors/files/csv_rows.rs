//! The records of a CSV file: what stands above the header, the header, and headers that come again.

use super::lines::Lines;
use super::rows::{Step, is_blank};
use crate::connectors::input::InputError;
use crate::formats::{Decoder, HeaderError, Naming};
use crate::market::Symbol;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The most lines above a header: an address, a title, a few comments. With more it is rather another kind of file.
const ABOVE_HEADER_MAX: usize = 16;

/// The rows of a CSV file.
#[derive(Debug)]
pub(super) struct CsvRows {
    path: PathBuf,
    lines: Lines,
    /// The first record, where there is no header: it had to be read to know that.
    first: Option<Vec<u8>>,
    /// What reads the rows from here on.
    decoder: Decoder,
    naming: Naming,
    row: Row,
    /// How a record began: one that begins so, too, is asked nothing more. No header does.
    begins: Option<[u8; 8]>,
    /// What was said of lines that are no records.
    said: Said,
}

#[derive(Debug)]
enum Row {
    First(Vec<u8>),
    At(Range<usize>),
}

#[derive(Debug, Default)]
struct Said {
    again: bool,
    other: bool,
    comment: bool,
}

impl CsvRows {
    /// Reads up to the header, or to the first record where there is none.
    ///
    /// # Errors
    /// When there is neither, or the file cannot be read.
    pub(super) fn open(
        path: &Path,
        mut lines: Lines,
        naming: &Naming,
        symbol: Option<&Symbol>,
    ) -> Result<Self, InputError> {
        let wrong = |error: &HeaderError| InputError::Failed(format!("{}: {error}", path.display()));
        let decoder_of = |line: &[u8]| Decoder::named_csv(line, naming, symbol.cloned(), None);
        let (mut above, mut first_error, mut shown) = (0, None, String::new());
        let mut two_lines = TwoLines::default();
        let (decoder, first) = loop {
            let Some(range) = lines.advance()? else {
                let error = first_error.unwrap_or_else(|| HeaderError::NoHeader(String::new()));
                return Err(wrong(&error));
            };
            let line = lines.bytes(range);
            if is_blank(line) {
                continue;
            }
            // A header may stand behind the sign of comments.
            let bare = line.strip_prefix(b"#").unwrap_or(line);
            let is_comment = bare.len() < line.len();
            // With names for all columns, a header is one more line above the records.
            if naming.is_list() && is_header(bare) {
                above += 1;
                continue;
            }
            let joined = two_lines.with(line);
            let found = match (decoder_of(bare), joined) {
                (Err(_), Some(joined)) => decoder_of(joined.as_bytes()),
                (found, _) => found,
            };
            match found {
                Ok(decoder) => {
                    let first = decoder.is_record().then(|| line.to_vec());
                    break (decoder, first);
                }
                // A record: what came before should have been the header.
                Err(error @ (HeaderError::Headless { .. } | HeaderError::Count { .. })) if !is_above(line) => {
                    return Err(wrong(&first_error.filter(|error| !error.is_no_header()).unwrap_or(error)));
                }
                Err(error @ (HeaderError::NoSymbol | HeaderError::OrderBook(_))) => return Err(wrong(&error)),
                Err(error) => {
                    if above == 0 {
                        shown = crate::formats::shown(line);
                    }
                    above += 1;
                    let says_more = match &first_error {
                        None => true,
                        Some(first) => first.is_no_header() && !error.is_no_header(),
                    };
                    if says_more && !is_comment {
                        first_error = Some(error);
                    }
                    if above > ABOVE_HEADER_MAX {
                        return Err(wrong(&first_error.unwrap_or(HeaderError::NoHeader(shown))));
                    }
                }
            }
        };
        if above > 0 {
            tracing::info!("{}: passed over what stands above the records: {above} lines, `{shown}`", path.display());
        }
        let naming = naming.clone();
        let (row, said) = (Row::At(0..0), Said::default());
        Ok(Self { path: path.to_owned(), lines, first, decoder, naming, row, begins: None, said })
    }

    /// What reads the rows from here on.
    pub(super) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    #[inline]
    pub(super) fn row(&self) -> &[u8] {
        match &self.row {
            Row::At(range) => self.lines.bytes(range.clone()),
            Row::First(line) => line,
        }
    }

    #[inline]
    pub(super) fn step(&mut self) -> Result<Step, InputError> {
        if let Some(first) = self.first.take() {
            self.row = Row::First(first);
            return Ok(Step::Row);
        }
        while let Some(range) = self.lines.advance()? {
            let line = self.lines.bytes(range.clone());
            let begins = line.first_chunk().copied();
            let mut is_record = begins.is_some() && begins == self.begins;
            if !is_record && self.decoder.is_surely_record(line) {
                (is_record, self.begins) = (true, begins);
            }
            is_record = is_record || is_blank(line);
            self.row = Row::At(range);
            if is_record {
                return Ok(Step::Row);
            }
            if let Some(step) = self.step_at_words()? {
                return Ok(step);
            }
        }
        Ok(Step::End)
    }

    /// What a line is that begins with no stamp; none of one that is passed over.
    #[cold]
    fn step_at_words(&mut self) -> Result<Option<Step>, InputError> {
        let line = self.row();
        let shown = self.path.display();
        if is_above(line) {
            if !std::mem::replace(&mut self.said.comment, true) {
                tracing::info!("{shown}: passed over lines that are comments or addresses");
            }
            return Ok(None);
        }
        let Some(later) = self.decoder.after_header(line, &self.naming) else { return Ok(Some(Step::Row)) };
        let later = later.map_err(|error| InputError::Failed(format!("{shown}: {error}")))?;
        if later.has_columns_of(&self.decoder) {
            if !std::mem::replace(&mut self.said.again, true) {
                tracing::info!("{shown}: its header comes again, as in files that were joined; passed over");
            }
            return Ok(None);
        }
        if !self.said.other {
            let line = crate::formats::shown(line);
            tracing::info!("{shown}: another header comes, `{line}`: from there on the columns are those");
            self.said.other = true;
        }
        self.decoder = later;
        Ok(Some(Step::Columns))
    }
}

/// Whether a line reads as a header by the usual names.
fn is_header(line: &[u8]) -> bool {
    let anything = Symbol::new("X").ok();
    Decoder::csv(line, anything, None).is_ok_and(|decoder| !decoder.is_record())
}

/// Whether a line among the records is a comment or an address, as above a header.
fn is_above(line: &[u8]) -> bool {
    line.starts_with(b"#") || line.starts_with(b"http://") || line.starts_with(b"https://")
}

/// The longest line that may be a part of a header of two.
const TWO_LINES_BYTES_MAX: usize = 16 * 1024;

/// A header of two lines, as pandas writes one whose index has a name: the words of the columns, and below them a line that has
/// the index's alone.
#[derive(Default)]
struct TwoLines(Option<Vec<String>>);

impl TwoLines {
    /// The header that the words of an earlier line make with this one, if that is such a line.
    fn with(&mut self, line: &[u8]) -> Option<String> {
        if line.len() > TWO_LINES_BYTES_MAX {
            return None;
        }
        let line = std::str::from_utf8(line).ok()?.trim_end_matches('\r');
        let cells: Vec<&str> = line.split(',').collect();
        let is_index = cells.len() > 1 && !cells[0].is_empty() && cells[1..].iter().all(|cell| cell.is_empty());
        match &self.0 {
            Some(words) if is_index && words.len() == cells.len() => {
                let mut words = words.clone();
                words[0] = cells[0].to_owned();
                Some(words.join(","))
            }
            Some(_) => None,
            None => {
                if cells.len() > 1 {
                    self.0 = Some(cells.into_iter().map(str::to_owned).collect());
                }
                None
            }
        }
    }
}
