//! Names, reading and replacing of weights' files.

use crate::connectors::files::lines_file::check_writable;
use crate::market::Symbol;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// The directory, inside of that of the weights, of what a job starts from.
pub const INITIAL: &str = "initial";
/// The most files of one directory that are looked at: as many as there may be symbols.
pub const FILES_MAX: usize = crate::market::symbol::SYMBOLS_MAX;
/// The most bytes of initial weights: they stay in memory as long as the job runs.
pub const TOTAL_BYTES_MAX: u64 = 1 << 30;

const EXTENSION: &str = ".safetensors";
/// The name of what belongs to all symbols; a symbol of that name is written otherwise.
const POOLED: &str = "pooled";

/// What is wrong with a file or directory. The message names it and says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WeightsFileError(pub String);

/// Where a symbol's weights lie, or those that all symbols share.
#[must_use]
pub fn path(dir: &Path, symbol: Option<&Symbol>) -> PathBuf {
    dir.join(format!("{}{EXTENSION}", symbol.map_or_else(|| POOLED.to_owned(), |symbol| escape(symbol.as_str()))))
}

/// A file name for every symbol, another one for each: what is no letter, digit, `-` or `_` becomes `%` and two digits.
fn escape(symbol: &str) -> String {
    let mut name = String::new();
    for (at, byte) in symbol.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if is_plain && !(at == 0 && symbol == POOLED) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

/// Back from a file name; none where [`escape`] gives no such name.
fn unescape(name: &str) -> Option<Symbol> {
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after.get(2..)?;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    let symbol = Symbol::new(std::str::from_utf8(&bytes).ok()?).ok()?;
    (escape(symbol.as_str()) == name).then_some(symbol)
}

/// Whose weights lie in a directory, in the order of the symbols; those of all symbols first. Other files are passed over. A
/// directory that is missing holds none.
///
/// # Errors
/// When the directory cannot be read.
pub fn names(dir: &Path) -> Result<Vec<Option<Symbol>>, WeightsFileError> {
    let trouble =
        |error: std::io::Error| WeightsFileError(format!("cannot read the directory {}: {error}", dir.display()));
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(trouble)?,
    };
    let mut found = Vec::new();
    for entry in entries.take(FILES_MAX) {
        let name = entry.map_err(trouble)?.file_name();
        match name.to_str().and_then(|name| name.strip_suffix(EXTENSION)) {
            Some(POOLED) => found.push(None),
            Some(name) => match unescape(name) {
                Some(symbol) => found.push(Some(symbol)),
                None => tracing::warn!("{} is not used: its name is no symbol's", dir.join(name).display()),
            },
            None => {}
        }
    }
    found.sort();
    Ok(found)
}

/// The bytes of a file of at most `bytes_max`.
///
/// # Errors
/// When it is missing, cannot be read, or is larger.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, WeightsFileError> {
    let trouble = |error: std::io::Error| WeightsFileError(format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    File::open(path).map_err(trouble)?.take(bytes_max + 1).read_to_end(&mut bytes).map_err(trouble)?;
    if bytes.len() as u64 > bytes_max {
        let what = format!("{} is larger than {} MiB: those are no weights", path.display(), bytes_max >> 20);
        return Err(WeightsFileError(what));
    }
    Ok(bytes)
}

/// Every file of a directory that `wanted` asks for, by whose it is.
///
/// # Errors
/// When one cannot be read, or all together are more than [`TOTAL_BYTES_MAX`].
pub fn read_all(
    dir: &Path,
    bytes_max: u64,
    wanted: impl Fn(Option<&Symbol>) -> bool,
) -> Result<BTreeMap<Option<Symbol>, Vec<u8>>, WeightsFileError> {
    let mut files = BTreeMap::new();
    let mut left = TOTAL_BYTES_MAX;
    for symbol in names(dir)?.into_iter().filter(|symbol| wanted(symbol.as_ref())) {
        let bytes = read(&path(dir, symbol.as_ref()), bytes_max)?;
        left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
            WeightsFileError(format!("{} holds more than {} MiB: take some away", dir.display(), TOTAL_BYTES_MAX >> 20))
        })?;
        files.insert(symbol, bytes);
    }
    Ok(files)
}

/// Finds out whether weights could be written into a directory, and changes nothing.
///
/// # Errors
/// When they could not.
pub fn check(dir: &Path) -> Result<(), WeightsFileError> {
    check_writable(&path(dir, None)).map_err(|error| WeightsFileError(error.to_string()))
}

/// Puts a file in its place as a whole: whoever reads meanwhile sees what was there before. The directory is made where it is
/// missing.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), WeightsFileError> {
    let trouble = |error: std::io::Error| {
        let help = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ": make room, or name another place",
            ErrorKind::PermissionDenied => ": give this user the right to write there, or name another place",
            _ => "",
        };
        WeightsFileError(format!("cannot write {}: {error}{help}", path.display()))
    };
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(trouble)?;
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path)).map_err(trouble)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_symbol_has_a_file_of_its_own_and_is_found_again() {
        let symbols = ["BTC", "pooled", "POOLED", "a/b", "..", ".", "%", "%25", "Ünï \"1\"\\n", "-_x", &"ü".repeat(32)];
        let dir = tempfile::tempdir().unwrap();
        let mut all: Vec<Option<Symbol>> = symbols.iter().map(|name| Some(Symbol::new(name).unwrap())).collect();
        all.push(None);
        for symbol in &all {
            let path = path(dir.path(), symbol.as_ref());
            assert_eq!(path.parent(), Some(dir.path()), "{path:?}");
            write(&path, symbol.as_ref().map_or("all", Symbol::as_str).as_bytes()).unwrap();
        }
        for foreign in ["%2e%2e", "a b", "%4", "%FF", "", "%41"] {
            std::fs::write(dir.path().join(format!("{foreign}{EXTENSION}")), "").unwrap();
        }
        std::fs::write(dir.path().join("notes.txt"), "").unwrap();
        all.sort();
        assert_eq!(names(dir.path()).unwrap(), all);
        let read = read_all(dir.path(), 100, |_| true).unwrap();
        assert!(read.iter().all(|(s, bytes)| bytes == s.as_ref().map_or("all", Symbol::as_str).as_bytes()));
        assert!(names(&dir.path().join("missing")).unwrap().is_empty());
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path(), None);
        write(&path, &[0; 101]).unwrap();
        assert!(read(&path, 100).unwrap_err().to_string().contains("larger"));
        assert_eq!(read(&path, 101).unwrap().len(), 101);
        assert!(!dir.path().join("pooled.safetensors.part").exists());
    }
}
