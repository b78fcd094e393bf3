//! Opens a file of any kind: decompresses it, and tells Parquet from lines.
//!
//! `.gz` (of any number of members) and `.zst` (of any number of frames) are known by their first bytes or by their
//! name, Parquet by its first bytes. Lines are never sought in, so that pipes work; `-` is the standard input. Parquet
//! has its table of contents at the end: what is compressed or comes from a pipe is first written to an unnamed
//! temporary file, which goes when it is closed, whatever happens.

use crate::connectors::input::InputError;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind, Read, Seek as _, Write as _};
use std::path::Path;

/// What is read at once.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;
/// How every Parquet file begins.
const PARQUET_MAGIC: &[u8] = b"PAR1";
/// How one begins whose table of contents is encrypted.
const PARQUET_ENCRYPTED_MAGIC: &[u8] = b"PARE";

/// An opened file.
pub(super) enum Opened {
    /// Lines of text, decompressed.
    Lines(Box<dyn Read + Send>),
    /// A Parquet file that can be sought in.
    Parquet(File),
}

/// Opens a file, or with `-` the standard input; of a pipe, waits for its first bytes.
///
/// # Errors
/// When there is no such file, it is a directory, it cannot be read, or there is no room for a temporary file.
pub(super) fn open(path: &Path) -> Result<Opened, InputError> {
    let wrong = |error: &dyn std::fmt::Display| InputError(format!("cannot open {}: {error}", path.display()));
    if path == Path::new("-") {
        return decompress(path, Box::new(std::io::stdin()), None);
    }
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => wrong(&"there is no such file; check the path"),
        ErrorKind::PermissionDenied => wrong(&"permission denied; check the file's owner and mode"),
        _ => wrong(&error),
    })?;
    let metadata = file.metadata().map_err(|error| wrong(&error))?;
    if metadata.is_dir() {
        return Err(wrong(&"it is a directory; name the files in it"));
    }
    // A second handle for what can be sought in.
    let again = if metadata.is_file() { Some(File::open(path).map_err(|error| wrong(&error))?) } else { None };
    decompress(path, Box::new(file), again)
}

fn decompress(path: &Path, mut raw: Box<dyn Read + Send>, plain: Option<File>) -> Result<Opened, InputError> {
    let magic = first_bytes(path, &mut raw)?;
    let named = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let is_gzip = magic.starts_with(&[0x1f, 0x8b]) || named == "gz";
    let is_zstd = magic == [0x28, 0xb5, 0x2f, 0xfd] || named == "zst";
    if magic.is_empty() && (is_gzip || is_zstd) {
        return Err(unreadable(path, &"it is empty, not even a compressed nothing; was it cut?"));
    }
    let whole = Cursor::new(magic.clone()).chain(raw);
    let mut reader: Box<dyn Read + Send> = if is_gzip {
        Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, whole)))
    } else if is_zstd {
        Box::new(zstd::stream::read::Decoder::new(whole).map_err(|error| unreadable(path, &error))?)
    } else if magic == PARQUET_MAGIC
        && let Some(file) = plain
    {
        return Ok(Opened::Parquet(file));
    } else {
        Box::new(whole)
    };
    let begins = first_bytes(path, &mut reader)?;
    let whole = Box::new(Cursor::new(begins.clone()).chain(reader));
    if begins == PARQUET_MAGIC {
        return spool(path, whole).map(Opened::Parquet);
    }
    if begins == PARQUET_ENCRYPTED_MAGIC {
        return Err(InputError(format!("{} is an encrypted Parquet file: decrypt it first", path.display())));
    }
    if is_named_parquet(path) {
        return Err(InputError(format!(
            "{} is named as a Parquet file, but does not begin as one: check what wrote it, or give it its right name",
            path.display()
        )));
    }
    Ok(Opened::Lines(whole))
}

/// The first four bytes, or fewer where there are no more.
fn first_bytes(path: &Path, reader: &mut dyn Read) -> Result<Vec<u8>, InputError> {
    let mut bytes = Vec::with_capacity(4);
    reader.take(4).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    Ok(bytes)
}

fn is_named_parquet(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    [".parquet", ".parquet.gz", ".parquet.zst"].iter().any(|end| name.ends_with(end))
}

/// Writes everything to a temporary file.
fn spool(path: &Path, mut reader: impl Read) -> Result<File, InputError> {
    let folder = std::env::temp_dir();
    let no_room = |error: &std::io::Error| {
        let name = path.display();
        let folder = folder.display();
        InputError(format!(
            "{name}: Parquet has to be unpacked to be read, and {folder} does not take it: {error}; name a folder \
             with room in the variable TMPDIR, or unpack the file yourself"
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
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
    file.rewind().map_err(|error| no_room(&error))?;
    tracing::info!("{}: unpacked {bytes} bytes into a temporary file in {}", path.display(), folder.display());
    Ok(file)
}

pub(super) fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> InputError {
    InputError(format!(
        "cannot read {} to its end: {error}; if it is compressed, it may be cut or damaged",
        path.display()
    ))
}
