//! A file of lines that is written as a whole or added to, never truncated in silence.
//!
//! A bounded run writes beside the name (`NAME.part`) and renames at its end: what stood there before stays until then, whatever
//! goes wrong. A live run adds to what is there: it computes from its start, so what the file has is left out.

use crate::delivery::{Ending, SinkError};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// A file gets its lines in pieces of at least this many bytes, and whatever is left at the end of each batch.
const PIECE_BYTES: usize = 1 << 20;
/// What is put behind the name of a file that is not whole yet.
const PART: &str = ".part";

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Beside their names; they appear at the end of the run.
    Whole,
    /// Behind what is there.
    Append,
}

/// A file of lines, and what was not yet handed to the system.
pub(super) struct LinesFile {
    /// Where it is in the end.
    path: PathBuf,
    /// Where it is until then; none where it is written in place.
    part: Option<PathBuf>,
    file: File,
    buffer: Vec<u8>,
}

impl LinesFile {
    /// A file that appears whole when [`LinesFile::end`] says so. What is no file (a pipe, a device) is written in place.
    pub(super) fn whole(path: &Path) -> Result<Self, SinkError> {
        if is_special(path) {
            let file = OpenOptions::new().write(true).open(path);
            let file = file.map_err(|error| trouble("cannot write to", path, &error))?;
            return Ok(Self { path: path.to_owned(), part: None, file, buffer: Vec::new() });
        }
        // Through a link: it is the file behind it that is replaced.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let part = part_of(&path);
        let file = File::create(&part).map_err(|error| trouble("cannot create", &part, &error))?;
        Ok(Self { path, part: Some(part), file, buffer: Vec::new() })
    }

    /// A file that is added to. Of a last line that has no end (its writer was killed), what there is goes.
    pub(super) fn append(path: &Path) -> Result<Self, SinkError> {
        let wrong = |error: std::io::Error| trouble("cannot write to", path, &error);
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(wrong)?;
        if !is_special(path) {
            let whole = super::tail::whole_lines_end(path).map_err(wrong)?;
            let length = file.metadata().map_err(wrong)?.len();
            if whole < length {
                tracing::warn!("{}: its last line has no end, as after a kill; it is written anew", path.display());
                file.set_len(whole).map_err(wrong)?;
            }
        }
        Ok(Self { path: path.to_owned(), part: None, file, buffer: Vec::new() })
    }

    /// Appends what `write` appends, and a line feed.
    pub(super) fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SinkError> {
        write(&mut self.buffer);
        self.buffer.push(b'\n');
        if self.buffer.len() >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Hands everything to the system: readers see whole lines.
    pub(super) fn flush(&mut self) -> Result<(), SinkError> {
        if !self.buffer.is_empty() {
            let path = self.part.as_ref().unwrap_or(&self.path);
            self.file.write_all(&self.buffer).map_err(|error| trouble("cannot write to", path, &error))?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Everything outlives a power cut; a file that is whole takes its name.
    pub(super) fn end(&mut self, ending: Ending) -> Result<(), SinkError> {
        if ending == Ending::Failed {
            self.discard();
            return Ok(());
        }
        self.flush()?;
        match self.file.sync_all() {
            // A pipe or a device has nothing to sync.
            Err(error) if error.kind() != ErrorKind::InvalidInput => {
                return Err(trouble("cannot write to", &self.path, &error));
            }
            _ => {}
        }
        let Some(part) = self.part.take() else { return Ok(()) };
        if ending == Ending::Stopped {
            tracing::warn!(
                "stopped before the end: {} is not whole, {} is as it was",
                part.display(),
                self.path.display()
            );
            return Ok(());
        }
        std::fs::rename(&part, &self.path).map_err(|error| trouble("cannot replace", &self.path, &error))
    }

    /// What is not whole goes.
    fn discard(&mut self) {
        self.buffer.clear();
        if let Some(part) = self.part.take() {
            // It is of no use to anybody, and a full disk needs the room.
            let _ = std::fs::remove_file(part);
        }
    }
}

impl Drop for LinesFile {
    /// A run that ends without a word has failed.
    fn drop(&mut self) {
        self.discard();
    }
}

/// Where a file is while it is not whole.
fn part_of(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(PART);
    part.into()
}

/// Whether something is there that is no file: a pipe, a terminal, a device.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Finds out whether a file can be written, and leaves everything as it is: directories that are missing are not made, and a
/// file that was not there is gone again.
pub(in crate::connectors) fn check_writable(path: &Path) -> Result<(), SinkError> {
    if is_special(path) {
        return Ok(());
    }
    if path.is_dir() {
        return Err(SinkError::Fatal(format!("{} is a directory: name a file", path.display())));
    }
    let dir = path.ancestors().skip(1).find(|dir| dir.as_os_str().is_empty() || dir.exists());
    let dir = match dir {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    if !dir.is_dir() {
        return Err(SinkError::Fatal(format!("{} is no directory: name another place", dir.display())));
    }
    // A name of its own in the nearest directory that is there: it goes when it is dropped.
    tempfile::tempfile_in(dir).map_err(|error| trouble("cannot write into", dir, &error))?;
    if path.exists() {
        OpenOptions::new().append(true).open(path).map_err(|error| trouble("cannot write to", path, &error))?;
    }
    Ok(())
}

pub(super) fn trouble(what: &str, path: &Path, error: &std::io::Error) -> SinkError {
    let help = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ": make room, or name another place",
        ErrorKind::PermissionDenied => ": give this user the right to write there, or name another place",
        _ => "",
    };
    SinkError::Fatal(format!("{what} {}: {error}{help}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: &mut LinesFile, text: &str) {
        file.line(|out| out.extend_from_slice(text.as_bytes())).unwrap();
    }

    #[test]
    fn what_was_there_stays_until_the_whole_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "old\n").unwrap();
        let read = || std::fs::read_to_string(&path).unwrap();
        for (ending, after, part) in
            [(Ending::Failed, "old\n", false), (Ending::Stopped, "old\n", true), (Ending::Complete, "new\n", false)]
        {
            let mut file = LinesFile::whole(&path).unwrap();
            write(&mut file, "new");
            file.flush().unwrap();
            assert_eq!(read(), "old\n");
            file.end(ending).unwrap();
            drop(file);
            assert_eq!((read().as_str(), part_of(&path).exists()), (after, part), "{ending:?}");
        }
        let mut file = LinesFile::whole(&path).unwrap();
        write(&mut file, "lost");
        drop(file);
        assert_eq!((read().as_str(), part_of(&path).exists()), ("new\n", false));
    }

    #[test]
    fn a_live_file_is_added_to_and_its_torn_line_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "one\ntw").unwrap();
        let mut file = LinesFile::append(&path).unwrap();
        write(&mut file, "two");
        file.end(Ending::Stopped).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_check_leaves_everything_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("not/there/yet");
        check_writable(&path).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        check_writable(&file).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "x");
        for wrong in [file.join("below"), dir.path().to_owned()] {
            let error = check_writable(&wrong).unwrap_err().to_string();
            assert!(error.contains(&dir.path().display().to_string()), "{error}");
        }
    }

    #[test]
    fn a_full_disk_is_fatal_and_says_so() {
        if !Path::new("/dev/full").exists() {
            eprintln!("left out: this system has no /dev/full");
            return;
        }
        let mut full = LinesFile::whole(Path::new("/dev/full")).unwrap();
        write(&mut full, "x");
        let error = full.flush().unwrap_err().to_string();
        assert!(error.contains("/dev/full") && error.contains("make room"), "{error}");
    }
}
