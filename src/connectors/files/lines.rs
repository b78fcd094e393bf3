//! Lines of a text in flat memory. What is overlong is cut; nothing seeks, so that pipes work.

use super::open::{BUFFER_BYTES, Opened, open, unreadable};
use crate::connectors::input::InputError;
use crate::formats::VALUE_BYTES_MAX;
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The longest line that is handed on. A longer one is cut to this, which is one byte more than a record may have.
pub const LINE_BYTES_MAX: usize = VALUE_BYTES_MAX + 1;

/// The lines of one file.
pub struct Lines {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    /// Doubled while a line does not fit.
    buffer: Vec<u8>,
    /// Where the bytes begin that are read but not handed on.
    start: usize,
    /// Where they end.
    end: usize,
    /// Up to where there is no line feed for sure.
    searched: usize,
    at_end: bool,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Lines {
    /// The lines of `reader`; `path` is for messages.
    pub(super) fn new(path: &Path, reader: Box<dyn Read + Send>) -> Self {
        let buffer = vec![0; BUFFER_BYTES];
        Self { path: path.to_owned(), reader, buffer, start: 0, end: 0, searched: 0, at_end: false }
    }

    /// The lines of a file, decompressed where it is.
    ///
    /// # Errors
    /// When it cannot be opened, or is Parquet.
    pub(super) fn open(path: &Path) -> Result<Self, InputError> {
        match open(path)? {
            Opened::Text(text) => Ok(Self::new(path, text.reader)),
            Opened::Parquet(_) => {
                Err(InputError::Failed(format!("{} is Parquet; JSON lines are needed", path.display())))
            }
        }
    }

    /// The next line, without its line feed (and with the carriage return before it, if there is one); none at the end.
    /// The last line needs no line feed.
    ///
    /// # Errors
    /// When the file cannot be read on: an I/O error, or compressed data that are cut or damaged. A line before that is
    /// handed on only when it is complete.
    #[inline]
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, InputError> {
        Ok(self.advance()?.map(|line| &self.buffer[line]))
    }

    /// As [`Lines::next_line`], but where the line lies: for [`Lines::bytes`], until this reads on.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<Option<Range<usize>>, InputError> {
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.buffer[self.searched..self.end]) {
                let (from, to) = (self.start, self.searched + length);
                self.start = to + 1;
                self.searched = self.start;
                return Ok(Some(from..to.min(from + LINE_BYTES_MAX)));
            }
            self.searched = self.end;
            if self.end - self.start >= LINE_BYTES_MAX {
                return self.cut_line().map(Some);
            }
            if self.at_end {
                let (from, to) = (self.start, self.end);
                self.start = to;
                return Ok((from < to).then_some(from..to));
            }
            self.fill()?;
        }
    }

    /// What lies there.
    #[inline]
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// Where the bytes lie that are read and not handed on.
    pub(super) fn unread(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Goes past bytes that are read.
    pub(super) fn pass(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
        self.searched = self.searched.max(self.start);
    }

    /// Reads more behind what is not handed on, which may move; false at the end.
    ///
    /// # Errors
    /// As [`Lines::next_line`].
    pub(super) fn read_more(&mut self) -> Result<bool, InputError> {
        if !self.at_end {
            self.fill()?;
        }
        Ok(!self.at_end)
    }

    /// The next line, which stays the next one, and whether a line feed ends it; none where it is overlong, or there is none.
    ///
    /// # Errors
    /// As [`Lines::next_line`].
    pub(super) fn peek(&mut self) -> Result<Option<(&[u8], bool)>, InputError> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.start..self.end];
            if let Some(length) = memchr::memchr(b'\n', &unread[searched..]) {
                let line = self.start..self.start + searched + length;
                return Ok(Some((&self.buffer[line], true)));
            }
            searched = unread.len();
            if searched >= LINE_BYTES_MAX {
                return Ok(None);
            }
            if self.at_end {
                let line = self.start..self.end;
                return Ok((!line.is_empty()).then(|| (&self.buffer[line], false)));
            }
            self.fill()?;
        }
    }

    /// The first [`LINE_BYTES_MAX`] bytes of a line; goes past the rest of it.
    #[cold]
    fn cut_line(&mut self) -> Result<Range<usize>, InputError> {
        let kept = self.start..self.start + LINE_BYTES_MAX;
        // The rest is read into what lies behind the kept bytes, over and over.
        if self.buffer.len() < kept.end + BUFFER_BYTES {
            self.buffer.resize(kept.end + BUFFER_BYTES, 0);
        }
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.buffer[kept.end..self.end]) {
                self.start = kept.end + length + 1;
                break;
            }
            self.end = kept.end;
            let read = self.read_some()?;
            if read == 0 {
                self.start = self.end;
                break;
            }
        }
        self.searched = self.start;
        Ok(kept)
    }

    /// Makes room behind the bytes that are left, and reads into it.
    fn fill(&mut self) -> Result<(), InputError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched = self.searched.saturating_sub(self.start);
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        self.read_some().map(drop)
    }

    fn read_some(&mut self) -> Result<usize, InputError> {
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.at_end = read == 0;
                    self.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&self.path, &error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::open::{Opened, open};
    use super::*;
    use std::io::Write;

    fn open_lines(path: &Path) -> Result<Lines, InputError> {
        match open(path)? {
            Opened::Text(text) => Ok(Lines::new(path, text.reader)),
            Opened::Parquet(_) => panic!("{} is no Parquet", path.display()),
        }
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zst(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    /// All lines of a file of that name with these bytes, or what went wrong after how many.
    fn lines(name: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, (usize, String)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let mut lines = open_lines(&path).map_err(|error| (0, error.to_string()))?;
        let mut all = Vec::new();
        loop {
            match lines.next_line() {
                Ok(Some(line)) => all.push(line.to_vec()),
                Ok(None) => return Ok(all),
                Err(error) => return Err((all.len(), error.to_string())),
            }
        }
    }

    #[test]
    fn reads_every_kind_by_magic_and_by_name() {
        let text = b"a\n\nbc\r\nlast";
        let expected: Vec<Vec<u8>> = [&b"a"[..], b"", b"bc\r", b"last"].map(<[u8]>::to_vec).to_vec();
        let two_members = [gz(&text[..4]), gz(&text[4..])].concat();
        let two_frames = [zst(&text[..4]), zst(&text[4..])].concat();
        for (name, bytes) in [
            ("plain.csv", text.to_vec()),
            ("a.gz", gz(text)),
            ("nameless", gz(text)),
            ("two.gz", two_members),
            ("a.zst", zst(text)),
            ("nameless2", zst(text)),
            ("two.zst", two_frames),
        ] {
            assert_eq!(lines(name, &bytes), Ok(expected.clone()), "{name}");
        }
        assert_eq!(lines("empty", b""), Ok(vec![]));
        assert_eq!(lines("empty.gz", &gz(b"")), Ok(vec![]));
        assert_eq!(lines("one", b"\n"), Ok(vec![vec![]]));
    }

    #[test]
    fn a_cut_or_damaged_file_is_an_error_that_names_it() {
        let text: Vec<u8> = (0..200_000).flat_map(|i| format!("{i},{}\n", i * 7919 % 1000).into_bytes()).collect();
        for (name, whole) in [("cut.gz", gz(&text)), ("cut.zst", zst(&text))] {
            for keep in [0, 1, 3, 10, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
                let (_, error) = lines(name, &whole[..keep]).expect_err(&format!("{name} cut to {keep}"));
                assert!(error.contains(name), "{error}");
            }
        }
        let second_cut = [gz(b"a\n"), gz(&text)[..100].to_vec()].concat();
        assert!(lines("second.gz", &second_cut).is_err());
        let mut damaged = gz(&text);
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0x55;
        assert!(lines("damaged.gz", &damaged).is_err());
        assert!(lines("text.gz", b"a,b\n1,2\n").is_err());
        assert!(lines("text.zst", b"a,b\n1,2\n").is_err());
    }

    /// A frame of zstd with a window of this power of two, and one block of plain bytes.
    fn zst_frame(window_log: u8, text: &[u8]) -> Vec<u8> {
        let block = (text.len() as u32) << 3 | 1;
        [&b"\x28\xb5\x2f\xfd\0"[..], &[(window_log - 10) << 3], &block.to_le_bytes()[..3], text].concat()
    }

    #[test]
    fn large_windows_of_zstd_are_read_up_to_a_limit() {
        assert_eq!(lines("usual.zst", &zst_frame(23, b"a\n")), Ok(vec![b"a".to_vec()]));
        assert_eq!(lines("long.zst", &zst_frame(27, b"a\n")), Ok(vec![b"a".to_vec()]));
        let (_, error) = lines("longer.zst", &zst_frame(28, b"a\n")).unwrap_err();
        assert!(error.contains("a window above 128 MiB") && error.contains("zstd -dk --long=31"), "{error}");
    }

    #[test]
    fn gzip_may_be_padded_with_zeros() {
        let padded = |padding: &[u8]| lines("a.gz", &[gz(b"a\n"), padding.to_vec()].concat());
        assert_eq!(padded(&[0; 100_000]), Ok(vec![b"a".to_vec()]));
        assert!(padded(&[0, 0, 1]).unwrap_err().1.contains("neither gzip nor zeros"));
    }

    #[test]
    fn a_peek_leaves_the_line_where_it_is() {
        let long = "x".repeat(200_000);
        let text = format!("first\n{long}\nlast");
        let mut lines = Lines::new(Path::new("a"), Box::new(std::io::Cursor::new(text.into_bytes())));
        assert_eq!(lines.peek().unwrap(), Some((&b"first"[..], true)));
        assert_eq!(lines.next_line().unwrap(), Some(&b"first"[..]));
        assert_eq!(lines.peek().unwrap().map(|(line, ended)| (line.len(), ended)), Some((200_000, true)));
        assert_eq!(lines.next_line().unwrap().map(<[u8]>::len), Some(200_000));
        assert_eq!(lines.peek().unwrap(), Some((&b"last"[..], false)));
        assert_eq!(lines.next_line().unwrap(), Some(&b"last"[..]));
        assert_eq!(lines.peek().unwrap(), None);
        assert_eq!(lines.next_line().unwrap(), None);
    }

    #[test]
    fn an_overlong_line_is_cut_and_the_next_one_whole() {
        for length in [LINE_BYTES_MAX - 1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, 2 * LINE_BYTES_MAX + 12345] {
            let mut bytes = b"first\n".to_vec();
            bytes.resize(6 + length, b'x');
            bytes.extend_from_slice(b"\nnext\nlast");
            let found = lines("long", &bytes).unwrap();
            let lengths: Vec<usize> = found.iter().map(Vec::len).collect();
            assert_eq!(lengths, [5, length.min(LINE_BYTES_MAX), 4, 4]);
            assert_eq!(found[2], b"next");
            let unended = lines("unended", &bytes[..6 + length]).unwrap();
            assert_eq!(unended.iter().map(Vec::len).collect::<Vec<_>>(), [5, length.min(LINE_BYTES_MAX)]);
        }
    }

    #[test]
    fn what_is_no_file_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let error = |path: &Path| open_lines(path).unwrap_err().to_string();
        assert!(error(dir.path()).contains("directory"));
        assert!(error(&dir.path().join("absent.csv")).contains("absent.csv: there is no such file"));
    }
}
