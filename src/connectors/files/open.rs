//! Opens a file of any kind: decompresses it, and tells Parquet from text.
//!
//! `.gz` (of any number of members), `.zst` (of any number of frames) and `.zip` are known by their first bytes or by their
//! name, Parquet by its first bytes. Text is never sought in, so that pipes work; `-` is the standard input. Parquet and zip
//! have their table of contents at the end: what comes from a pipe, and Parquet that is compressed, is first written to an
//! unnamed temporary file, which goes when it is closed, whatever happens.

use super::gzip::Gzip;
use super::kinds::{BEGIN_BYTES, unreadable_kind};
use super::zip::Members;
use crate::connectors::input::InputError;
use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind, Read, Seek as _, Write as _};
use std::path::Path;

/// What is read at once.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;
/// How every Parquet file begins.
const PARQUET_MAGIC: &[u8] = b"PAR1";
/// How one begins whose table of contents is encrypted.
const PARQUET_ENCRYPTED_MAGIC: &[u8] = b"PARE";
const GZIP_MAGIC: &[u8] = b"\x1f\x8b";
const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";
/// A member, or the end of an archive without any.
const ZIP_MAGICS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// The largest window of zstd that is kept in memory, as a power of two: 128 MiB, which `zstd --long` asks for. A file may ask for
/// 2 GiB, and a source may have many.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// The most that is written to a temporary file: 64 GiB. A bomb ends there, where the disk has not ended before.
const SPOOLED_BYTES_MAX: u64 = 64 << 30;

/// What a compressed file may unpack to without a question: 1 GiB. Beyond it, so many times what it is. Records of a market are
/// seldom packed to less than a thirtieth; a bomb of zeros is to a thousandth, of zstd to any part.
const UNPACKED_BYTES_FREE: u64 = 1 << 30;
const UNPACKED_RATIO_MAX: u64 = 256;

/// An opened file.
pub(super) enum Opened {
    /// Text, decompressed.
    Text(Text),
    /// A Parquet file that can be sought in.
    Parquet(File),
}

/// A text that is read from its beginning to its end.
pub(super) struct Text {
    pub reader: Box<dyn Read + Send>,
    /// What the text is called, without the ends that its compression added: they say what kind it is.
    pub name: String,
}

/// Opens a file, or with `-` the standard input; of a pipe, waits for its first bytes.
///
/// # Errors
/// When there is no such file, it is a directory, it cannot be read, or there is no room for a temporary file.
pub(super) fn open(path: &Path) -> Result<Opened, InputError> {
    let wrong = |error: &dyn std::fmt::Display| InputError::Failed(format!("cannot open {}: {error}", path.display()));
    if path == Path::new("-") {
        return decompress(path, Box::new(std::io::stdin()), None);
    }
    let found = File::open(path);
    if let (Err(error), Some((archive, member))) = (&found, within(path))
        && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
    {
        return open_member(path, archive, &member);
    }
    let file = found.map_err(|error| match error.kind() {
        ErrorKind::NotFound => wrong(&"there is no such file; check the path"),
        ErrorKind::PermissionDenied => wrong(&"permission denied; check the file's owner and mode"),
        _ => wrong(&error),
    })?;
    let metadata = file.metadata().map_err(|error| wrong(&error))?;
    if metadata.is_dir() {
        return Err(wrong(&"it is a directory that `tickcast history` did not write; name the files in it"));
    }
    // A second handle for what can be sought in.
    let again = if metadata.is_file() { Some(File::open(path).map_err(|error| wrong(&error))?) } else { None };
    decompress(path, Box::new(file), again)
}

/// The archive that a path leads into, and the member's name; none where no file stands in its way.
fn within(path: &Path) -> Option<(&Path, String)> {
    let archive = path.ancestors().skip(1).find(|above| above.is_file())?;
    let member = path.strip_prefix(archive).ok()?;
    Some((archive, member.to_str()?.to_owned()))
}

/// One member of a zip archive.
fn open_member(path: &Path, archive: &Path, member: &str) -> Result<Opened, InputError> {
    let wrong = |error: &dyn std::fmt::Display| InputError::Failed(format!("cannot open {}: {error}", path.display()));
    let mut file = File::open(archive).map_err(|error| wrong(&error))?;
    let length = file.metadata().map_err(|error| wrong(&error))?.len();
    let begins = first_bytes(archive, &mut file)?;
    if !ZIP_MAGICS.into_iter().any(|magic| begins.starts_with(magic)) {
        return Err(wrong(&format!("{} is a file, and no zip archive", archive.display())));
    }
    let members = Members::open(archive, file, Some(member))?;
    let name = members.first_name().unwrap_or_default().to_lowercase();
    Ok(Opened::Text(Text { reader: Limited::of(members, Some(length)), name }))
}

/// Whether a file is there, or a member of an archive; of a file, nothing is read.
///
/// # Errors
/// Why it is not.
pub fn look_for(path: &Path) -> Result<(), String> {
    match File::open(path) {
        Ok(_) => Ok(()),
        Err(_) if within(path).is_some() => open(path).map(|_| ()).map_err(|error| error.to_string()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn decompress(path: &Path, mut raw: Box<dyn Read + Send>, plain: Option<File>) -> Result<Opened, InputError> {
    let begins = first_bytes(path, &mut raw)?;
    let (name, ending) = plain_name(path);
    let is = |magic: &[u8]| begins.starts_with(magic);
    let is_zip = ZIP_MAGICS.into_iter().any(is);
    let is_gzip = is(GZIP_MAGIC) || (ending == Some("gz") && !is_zip);
    let is_zstd = is(ZSTD_MAGIC) || (ending == Some("zst") && !is_zip);
    if begins.is_empty() && ending.is_some() {
        return Err(unreadable(path, &"it is empty, not even a compressed nothing; was it cut?"));
    }
    // Of a pipe nobody knows how much it will be.
    let length = plain.as_ref().and_then(|file| file.metadata().ok()).map(|found| found.len());
    let whole = Cursor::new(begins.clone()).chain(raw);
    if is_zip || (ending == Some("zip") && !is_gzip && !is_zstd) {
        let file = match plain {
            Some(file) => file,
            None => spool(path, whole, "a zip archive")?,
        };
        let members = Members::open(path, file, None)?;
        let name = members.first_name().map_or(name, str::to_lowercase);
        return Ok(Opened::Text(Text { reader: Limited::of(members, length), name }));
    }
    let mut reader: Box<dyn Read + Send> = if is_gzip {
        Limited::of(Gzip::new(BufReader::with_capacity(BUFFER_BYTES, whole)), length)
    } else if is_zstd {
        let mut decoder = zstd::stream::read::Decoder::new(whole).map_err(|error| unreadable(path, &error))?;
        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|error| unreadable(path, &error))?;
        Limited::of(decoder, length)
    } else if begins.starts_with(PARQUET_MAGIC)
        && let Some(file) = plain
    {
        return Ok(Opened::Parquet(file));
    } else {
        Box::new(whole)
    };
    let begins = first_bytes(path, &mut reader)?;
    let reader = Box::new(Cursor::new(begins.clone()).chain(reader));
    if begins.starts_with(PARQUET_MAGIC) {
        return spool(path, reader, "Parquet").map(Opened::Parquet);
    }
    if begins.starts_with(PARQUET_ENCRYPTED_MAGIC) {
        return Err(InputError::Failed(format!("{} is an encrypted Parquet file: decrypt it first", path.display())));
    }
    if let Some(what) = unreadable_kind(path, &begins) {
        return Err(InputError::Failed(what));
    }
    if name.ends_with(".parquet") {
        return Err(InputError::Failed(format!(
            "{} is named as a Parquet file, but does not begin as one: check what wrote it, or give it its right name",
            path.display()
        )));
    }
    Ok(Opened::Text(Text { reader, name }))
}

/// What a file unpacks to, up to a limit.
struct Limited<R> {
    reader: R,
    left: u64,
}

impl<R: Read + Send + 'static> Limited<R> {
    /// What a file of this length unpacks to.
    fn of(reader: R, length: Option<u64>) -> Box<dyn Read + Send> {
        let Some(length) = length else { return Box::new(reader) };
        let left = length.saturating_mul(UNPACKED_RATIO_MAX).saturating_add(UNPACKED_BYTES_FREE);
        Box::new(Self { reader, left })
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            let free = UNPACKED_BYTES_FREE >> 30;
            let what = format!(
                "it unpacks to more than {free} GiB and {UNPACKED_RATIO_MAX} times what it is, as no records do"
            );
            std::io::Error::new(ErrorKind::InvalidData, format!("{what}: unpack it first, if it is no bomb"))
        })?;
        Ok(read)
    }
}

/// A file's name in lower case, without what compression adds to it, and that.
fn plain_name(path: &Path) -> (String, Option<&'static str>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    for ending in ["gz", "zst", "zip"] {
        if let Some(plain) = name.strip_suffix(ending).and_then(|rest| rest.strip_suffix('.')) {
            return (plain.to_owned(), Some(ending));
        }
    }
    (name, None)
}

/// The first bytes, or fewer where there are no more.
fn first_bytes(path: &Path, reader: &mut dyn Read) -> Result<Vec<u8>, InputError> {
    let mut bytes = Vec::with_capacity(BEGIN_BYTES);
    reader.take(BEGIN_BYTES as u64).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    Ok(bytes)
}

/// Writes everything to a temporary file.
fn spool(path: &Path, mut reader: impl Read, what: &str) -> Result<File, InputError> {
    let folder = std::env::temp_dir();
    let no_room = |error: &std::io::Error| {
        let name = path.display();
        let folder = folder.display();
        InputError::Failed(format!(
            "{name}: {what} has to be sought in, and {folder} does not take a copy: {error}; name a folder with room in \
             the variable TMPDIR, or give the unpacked file itself"
        ))
    };
    let mut file = tempfile::tempfile_in(&folder).map_err(|error| no_room(&error))?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0_u64;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                file.write_all(&buffer[..read]).map_err(|error| no_room(&error))?;
                bytes += read as u64;
                if bytes > SPOOLED_BYTES_MAX {
                    return Err(InputError::Failed(format!(
                        "{}: more than {} GiB would be written to {}: give the unpacked file itself",
                        path.display(),
                        SPOOLED_BYTES_MAX >> 30,
                        folder.display()
                    )));
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
    file.rewind().map_err(|error| no_room(&error))?;
    tracing::info!("{}: wrote {bytes} bytes into a temporary file in {}", path.display(), folder.display());
    Ok(file)
}

pub(super) fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> InputError {
    let (error, path) = (error.to_string(), path.display());
    // zstd's own words for a window beyond the limit.
    if error.contains("too much memory") {
        return InputError::Failed(format!(
            "{path} was compressed with a window above {} MiB (zstd --long={} or more): unpack it first: zstd -dk --long=31 {path}",
            1 << (ZSTD_WINDOW_LOG_MAX - 20),
            ZSTD_WINDOW_LOG_MAX + 1
        ));
    }
    InputError::Failed(format!("cannot read {path} to its end: {error}; if it is compressed, it may be cut or damaged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_unpacks_without_end_ends() {
        let all = |left| {
            let mut bytes = Vec::new();
            Limited { reader: std::io::repeat(0).take(1 << 20), left }
                .read_to_end(&mut bytes)
                .map_err(|error| error.to_string())
        };
        assert_eq!(all(1 << 20), Ok(1 << 20));
        assert!(all((1 << 20) - 1).unwrap_err().contains("unpack it first"));
        // One of 100 kB that claims 2^60 bytes.
        let mut endless = Limited::of(std::io::repeat(b'\n').take(1 << 60), Some(100_000));
        let mut buffer = vec![0; 1 << 20];
        let mut read = 0;
        let error = loop {
            match endless.read(&mut buffer) {
                Ok(bytes) => read += bytes as u64,
                Err(error) => break error.to_string(),
            }
        };
        assert!(read <= 25_600_000 + (1 << 30) && error.contains("256 times"), "{read}: {error}");
    }
}
