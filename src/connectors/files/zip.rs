//! A zip archive as one text: its members in their order, one after the other; or one of them.
//!
//! Folders, empty members and what macOS adds to an archive are passed over. Members are unpacked as they are read, in flat
//! memory, and checked against the sums of the archive's table; nothing is unpacked to a disk.

use super::kinds::{BEGIN_BYTES, unreadable_kind};
use crate::connectors::guard;
use crate::connectors::input::InputError;
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, FileReader, RangeReader, ZipArchive, ZipVerification};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The most members of an archive: as many as a source may have files.
const MEMBERS_MAX: usize = 10_000;
/// What is read of the archive's table at once: more than the longest name, extra field and comment that it may hold.
const TABLE_BYTES: usize = 256 * 1024;
/// What is read of a member at once.
const BUFFER_BYTES: usize = 64 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A member that is to be read.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    is_deflated: bool,
    /// Where its compressed bytes are.
    range: Range<u64>,
    /// What it has to be.
    expected: ZipVerification,
}

/// The text of all members. Where one does not end with a line feed, one is put behind it; a byte order mark goes.
pub(super) struct Members {
    archive: Arc<FileReader>,
    left: VecDeque<Member>,
    current: Option<Unpacked>,
    last_byte: u8,
}

impl Members {
    /// Reads the archive's table, and the first bytes of each member: of all, or of the one that is `wanted`, by its name or the end of it
    /// behind a folder.
    ///
    /// # Errors
    /// When it is damaged, there is no such member or several, or one cannot be read: it is encrypted, packed in a way that is not known, or
    /// no text.
    pub(super) fn open(path: &Path, file: File, wanted: Option<&str>) -> Result<Self, InputError> {
        let shown = path.display();
        let table = guard::guarded(|| table(file)).unwrap_or_else(|| Err(Error::other("its table contradicts itself")));
        let (archive, entries) = table.map_err(|error| {
            InputError::Failed(format!(
                "cannot read {shown}: {error}; it should be a zip archive, and may be cut or damaged"
            ))
        })?;
        if entries.len() > MEMBERS_MAX {
            return Err(InputError::Failed(format!(
                "{shown} is a zip archive of more than {MEMBERS_MAX} members: unpack it, and give the files in parts"
            )));
        }
        if let Some(what) = office(&entries) {
            return Err(InputError::Failed(format!("{shown} is {what}")));
        }
        let entries = match wanted {
            Some(name) => vec![only(path, entries, name)?],
            None => entries.into_iter().filter(Entry::is_data).collect(),
        };
        let mut left = VecDeque::new();
        for entry in entries {
            let refuse = |why: String| {
                Err(InputError::Failed(format!(
                    "{shown}: its member {} {why}: unpack it first, as with 7z x {shown}",
                    entry.name
                )))
            };
            if entry.is_encrypted {
                return refuse("is encrypted".to_owned());
            }
            let is_deflated = entry.method == CompressionMethod::DEFLATE;
            if !is_deflated && entry.method != CompressionMethod::STORE {
                return refuse(format!("is packed by method {}, which is not read", entry.method));
            }
            let Entry { name, range, expected, .. } = entry;
            left.push_back(Member { name, is_deflated, range, expected });
        }
        let members = Self { archive, left, current: None, last_byte: b'\n' };
        members.check_kinds(path)?;
        if let (Some(first), count @ 2..) = (members.first_name(), members.left.len()) {
            tracing::info!(
                "{shown}: its {count} members are read one after the other, as one file; {} is one alone",
                path.join(first).display()
            );
        }
        Ok(members)
    }

    /// The name of the first member.
    pub(super) fn first_name(&self) -> Option<&str> {
        self.left.front().map(|member| member.name.as_str())
    }

    fn check_kinds(&self, path: &Path) -> Result<(), InputError> {
        for member in &self.left {
            let mut begins = Vec::new();
            let read = self.unpack(member).take(BEGIN_BYTES as u64).read_to_end(&mut begins);
            let name = path.join(&member.name);
            read.map_err(|error| {
                InputError::Failed(format!("cannot read {}: {error}; the archive may be damaged", name.display()))
            })?;
            if begins.starts_with(b"PAR1") {
                return Err(InputError::Failed(format!(
                    "{} is Parquet within a zip archive, which has to be unpacked to be read: unzip {}",
                    name.display(),
                    path.display()
                )));
            }
            if let Some(what) = unreadable_kind(&name, &begins) {
                return Err(InputError::Failed(what));
            }
        }
        Ok(())
    }

    fn unpack(&self, member: &Member) -> Unpacked {
        let bytes =
            BufReader::with_capacity(BUFFER_BYTES, RangeReader::new(Arc::clone(&self.archive), member.range.clone()));
        let bytes: Box<dyn Read + Send> =
            if member.is_deflated { Box::new(DeflateDecoder::new(bytes)) } else { Box::new(bytes) };
        Unpacked { bytes, sum: Crc::new(), size: 0, expected: member.expected, name: member.name.clone() }
    }
}

impl Read for Members {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(current) = &mut self.current {
                let read = current.read(buffer)?;
                if read > 0 {
                    self.last_byte = buffer[read - 1];
                    return Ok(read);
                }
                self.current = None;
                if self.last_byte != b'\n' {
                    self.last_byte = b'\n';
                    buffer[0] = b'\n';
                    return Ok(1);
                }
            }
            let Some(next) = self.left.pop_front() else { return Ok(0) };
            let mut unpacked = self.unpack(&next);
            let mut begins = Vec::new();
            unpacked.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut begins)?;
            if begins != BYTE_ORDER_MARK {
                unpacked.bytes = Box::new(std::io::Cursor::new(begins.clone()).chain(unpacked.bytes));
                // They come once more.
                (unpacked.sum, unpacked.size) = (Crc::new(), 0);
            }
            self.current = Some(unpacked);
        }
    }
}

/// A member as it is unpacked, checked at its end.
struct Unpacked {
    bytes: Box<dyn Read + Send>,
    sum: Crc,
    size: u64,
    expected: ZipVerification,
    name: String,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wrong = |error: &dyn std::fmt::Display| {
            Error::new(ErrorKind::InvalidData, format!("its member {}: {error}", self.name))
        };
        let read = self.bytes.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::Interrupted => error,
            _ => wrong(&error),
        })?;
        self.sum.update(&buffer[..read]);
        self.size += read as u64;
        if read == 0 && !buffer.is_empty() || self.size > self.expected.uncompressed_size {
            let found = ZipVerification { crc: self.sum.sum(), uncompressed_size: self.size };
            self.expected.valid(found).map_err(|error| wrong(&error))?;
        }
        Ok(read)
    }
}

/// A line of an archive's table.
struct Entry {
    name: String,
    is_folder: bool,
    is_encrypted: bool,
    method: CompressionMethod,
    range: Range<u64>,
    expected: ZipVerification,
}

impl Entry {
    fn is_data(&self) -> bool {
        let last = self.name.rsplit('/').next().unwrap_or_default();
        !self.is_folder
            && self.expected.uncompressed_size > 0
            && !self.name.starts_with("__MACOSX/")
            && !last.starts_with('.')
    }
}

/// The member of this name, or of this end of a name behind a folder.
fn only(path: &Path, entries: Vec<Entry>, name: &str) -> Result<Entry, InputError> {
    let failed = |what: String| InputError::Failed(format!("{}: {what}", path.display()));
    let is_end = |entry: &Entry| entry.name.strip_suffix(name).is_some_and(|folder| folder.ends_with('/'));
    let mut all: Vec<Entry> = entries.into_iter().filter(Entry::is_data).collect();
    let places = |is: &dyn Fn(&Entry) -> bool| -> Vec<usize> {
        all.iter().enumerate().filter(|(_, entry)| is(entry)).map(|(at, _)| at).collect()
    };
    let (whole, ends) = (places(&|entry| entry.name == name), places(&is_end));
    let ends = if whole.is_empty() { ends } else { whole };
    match ends[..] {
        [at] => Ok(all.swap_remove(at)),
        [] => {
            // Those that are spelled most like it.
            all.sort_by_cached_key(|entry| strsim::levenshtein(&entry.name, name));
            let near: Vec<String> = all.into_iter().take(5).map(|entry| entry.name).collect();
            let has = if near.is_empty() { "it has none".to_owned() } else { format!("it has {}", near.join(", ")) };
            Err(failed(format!("there is no member {name} in it: {has}")))
        }
        [first, second, ..] => {
            let (first, second) = (&all[first].name, &all[second].name);
            Err(failed(format!(
                "it has several members {name}, as {first} and {second}: name its folder, or unpack it"
            )))
        }
    }
}

/// The archive's table, up to one member more than is read.
fn table(file: File) -> std::io::Result<(Arc<FileReader>, Vec<Entry>)> {
    let mut buffer = vec![0; TABLE_BYTES];
    let archive = ZipArchive::from_file(file, &mut buffer).map_err(Error::other)?;
    let mut entries = Vec::new();
    let mut lines = archive.entries(&mut buffer);
    while let Some(line) = lines.next_entry().map_err(Error::other)? {
        let entry = archive.get_entry(line.wayfinder()).map_err(Error::other)?;
        let (from, to) = entry.compressed_data_range();
        entries.push(Entry {
            name: String::from_utf8_lossy(line.file_path().as_bytes()).into_owned(),
            is_folder: line.is_dir(),
            is_encrypted: line.flags().is_encrypted(),
            method: line.compression_method(),
            range: from..to,
            expected: ZipVerification { crc: line.crc32(), uncompressed_size: line.uncompressed_size_hint() },
        });
        if entries.len() > MEMBERS_MAX {
            break;
        }
    }
    Ok((Arc::new(archive.into_inner()), entries))
}

/// Documents that are zip archives, too.
fn office(entries: &[Entry]) -> Option<&'static str> {
    let has = |start: &str| entries.iter().any(|entry| entry.name.starts_with(start));
    if has("xl/") {
        return Some("an Excel sheet (xlsx): save it as CSV first");
    }
    if has("[Content_Types].xml") || has("META-INF/manifest.xml") {
        return Some("an Office document: save its sheet as CSV first");
    }
    let is_numpy = !entries.is_empty() && entries.iter().all(|entry| entry.name.ends_with(".npy"));
    is_numpy.then_some("NumPy arrays (npz): write them as CSV or Parquet first")
}

#[cfg(test)]
#[path = "zip_tests.rs"]
pub(super) mod tests;
