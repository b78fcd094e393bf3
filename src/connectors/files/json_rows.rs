//! The records of a JSON file: a value a line, or values however they stand.
//!
//! The first line says which. If it is one whole value, each line is a record. If not, the file is a list over several lines or
//! in one, or has values without line feeds between them, or over several lines: then each value is a record, and each element
//! of a list of objects or lists. A value is cut at 16 MiB as a line is; behind what is no JSON the next line begins anew.

use super::lines::{LINE_BYTES_MAX, Lines};
use super::rows::Step;
use super::scan::{Found, Scan};
use crate::connectors::input::InputError;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The rows of a JSON file.
#[derive(Debug)]
pub(super) struct JsonRows {
    path: PathBuf,
    lines: Lines,
    /// None where each line is a record.
    values: Option<Values>,
    row: Range<usize>,
}

/// Where it stands among values.
#[derive(Debug, Default)]
struct Values {
    in_list: bool,
    /// An overlong value that was cut.
    cut: Vec<u8>,
    /// Whether the current row is that.
    is_cut: bool,
}

impl JsonRows {
    /// Looks at the first line.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn open(path: &Path, mut lines: Lines) -> Result<Self, InputError> {
        let values = if is_values(&mut lines)? {
            tracing::info!("{}: it is read value by value, not line by line", path.display());
            Some(Values::default())
        } else {
            None
        };
        Ok(Self { path: path.to_owned(), lines, values, row: 0..0 })
    }

    #[inline]
    pub(super) fn row(&self) -> &[u8] {
        match &self.values {
            Some(Values { is_cut: true, cut, .. }) => cut,
            _ => self.lines.bytes(self.row.clone()),
        }
    }

    #[inline]
    pub(super) fn step(&mut self) -> Result<Step, InputError> {
        if self.values.is_some() {
            return self.next_value();
        }
        match self.lines.advance()? {
            Some(row) => {
                self.row = row;
                Ok(Step::Row)
            }
            None => Ok(Step::End),
        }
    }

    fn next_value(&mut self) -> Result<Step, InputError> {
        if let Some(values) = &mut self.values
            && std::mem::take(&mut values.is_cut)
        {
            values.cut = Vec::new();
        }
        let in_list = |this: &Self| this.values.as_ref().is_some_and(|values| values.in_list);
        let set_in_list = |this: &mut Self, is: bool| this.values.iter_mut().for_each(|values| values.in_list = is);
        loop {
            match self.next_byte()? {
                None if in_list(self) => {
                    return Err(InputError::Failed(format!(
                        "{} ends before its list does: it may be cut; get it again, or end the list with ]",
                        self.path.display()
                    )));
                }
                None => return Ok(Step::End),
                Some(b']') if in_list(self) => {
                    set_in_list(self, false);
                    self.lines.pass(1);
                }
                Some(b'[') if !in_list(self) && self.is_list()? => {
                    set_in_list(self, true);
                    self.lines.pass(1);
                }
                Some(_) => return self.value().map(|()| Step::Row),
            }
        }
    }

    /// The next byte that belongs to a value or a list. What stands between values goes: blanks, commas, and the mark that JSON
    /// text sequences have.
    fn next_byte(&mut self) -> Result<Option<u8>, InputError> {
        loop {
            let unread = self.lines.bytes(self.lines.unread());
            let between = |b: &u8| b.is_ascii_whitespace() || matches!(b, b',' | 0x1e);
            let blanks = unread.iter().take_while(|b| between(b)).count();
            let next = unread.get(blanks).copied();
            self.lines.pass(blanks);
            if next.is_some() || !self.lines.read_more()? {
                return Ok(next);
            }
        }
    }

    /// Whether the `[` here begins a list of records: of objects or lists. One of numbers is a record itself.
    fn is_list(&mut self) -> Result<bool, InputError> {
        loop {
            let unread = self.lines.bytes(self.lines.unread());
            if let Some(next) = unread.iter().skip(1).find(|b| !b.is_ascii_whitespace()) {
                return Ok(matches!(next, b'{' | b'[' | b']'));
            }
            if unread.len() > LINE_BYTES_MAX || !self.lines.read_more()? {
                return Ok(false);
            }
        }
    }

    /// Takes the value that begins here as the row.
    fn value(&mut self) -> Result<(), InputError> {
        while self.lines.unread().len() < 2 && self.lines.read_more()? {}
        let mut scan = Scan::new();
        // The seed's documents begin with a plus sign.
        let mut seen = usize::from(self.lines.bytes(self.lines.unread()).starts_with(b"+{"));
        loop {
            let unread = self.lines.unread();
            let bytes = self.lines.bytes(unread.clone());
            match scan.take(&bytes[seen..]) {
                Found::End(end) => {
                    self.row = unread.start..unread.start + (seen + end).min(LINE_BYTES_MAX);
                    self.lines.pass(seen + end);
                    return Ok(());
                }
                Found::Wrong(at) => return self.wrong_value(seen + at),
                Found::More => seen = bytes.len(),
            }
            if seen >= LINE_BYTES_MAX {
                return self.cut_value(scan);
            }
            if !self.lines.read_more()? {
                // What is not whole is a record that does not decode.
                self.row = self.lines.unread();
                self.lines.pass(seen);
                return Ok(());
            }
        }
    }

    /// What is no JSON from this byte on: it ends with the line before, where it has several, else with its own.
    fn wrong_value(&mut self, at: usize) -> Result<(), InputError> {
        let unread = self.lines.unread();
        if let Some(end) = memchr::memrchr(b'\n', &self.lines.bytes(unread.clone())[..at]) {
            self.row = unread.start..unread.start + end;
            self.lines.pass(end + 1);
            return Ok(());
        }
        self.row = self.lines.advance()?.unwrap_or(0..0);
        Ok(())
    }

    /// Keeps the beginning of an overlong value, and goes past the rest of it.
    fn cut_value(&mut self, mut scan: Scan) -> Result<(), InputError> {
        let unread = self.lines.unread();
        let cut = self.lines.bytes(unread.clone())[..LINE_BYTES_MAX].to_vec();
        self.lines.pass(unread.len());
        while self.lines.read_more()? {
            let unread = self.lines.unread();
            match scan.take(self.lines.bytes(unread.clone())) {
                Found::More => self.lines.pass(unread.len()),
                Found::End(end) => {
                    self.lines.pass(end);
                    break;
                }
                Found::Wrong(at) => {
                    self.lines.pass(at);
                    self.lines.advance()?;
                    break;
                }
            }
        }
        if let Some(values) = &mut self.values {
            (values.cut, values.is_cut) = (cut, true);
        }
        Ok(())
    }
}

/// Whether a file is to be read value by value: its first line is not one value, or is a list and the only line.
fn is_values(lines: &mut Lines) -> Result<bool, InputError> {
    let Some((line, has_end)) = lines.peek()? else {
        // Overlong, or nothing at all.
        return Ok(!lines.unread().is_empty());
    };
    let begins = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii_start();
    let value = begins.strip_prefix(b"+").unwrap_or(begins);
    if !matches!(value.first(), Some(b'{' | b'[')) {
        return Ok(false);
    }
    let is_list = value.first() == Some(&b'[')
        && matches!(value[1..].trim_ascii_start().first(), Some(b'{' | b'[' | b']') | None);
    match Scan::new().take(value) {
        Found::More => Ok(true),
        Found::Wrong(_) => Ok(false),
        Found::End(end) => match value[end..].trim_ascii_start().first() {
            Some(b'{' | b'[' | b',') => Ok(true),
            Some(_) => Ok(value[end..].trim_ascii_start().starts_with(b"+{")),
            None if is_list => {
                let length = line.len() + usize::from(has_end);
                is_last_line(lines, length)
            }
            None => Ok(false),
        },
    }
}

/// Whether only blanks follow the first bytes.
fn is_last_line(lines: &mut Lines, mut length: usize) -> Result<bool, InputError> {
    loop {
        let unread = lines.bytes(lines.unread());
        let blanks = unread[length..].iter().take_while(|b| b.is_ascii_whitespace()).count();
        length += blanks;
        if length < unread.len() || length > 2 * LINE_BYTES_MAX {
            return Ok(false);
        }
        if !lines.read_more()? && lines.unread().len() == length {
            return Ok(true);
        }
    }
}

#[cfg(test)]
#[path = "json_rows_tests.rs"]
mod tests;
