//! The end of a file of JSON lines, read backwards.

use std::fs::File;
use std::io::{Read as _, Result, Seek as _, SeekFrom};
use std::path::Path;

/// Read at once.
const PIECE_BYTES: u64 = 64 * 1024;

/// The position behind the last line feed; 0 where there is none.
pub(super) fn whole_lines_end(path: &Path) -> Result<u64> {
    let mut file = File::open(path)?;
    let mut end = file.metadata()?.len();
    let mut piece = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(PIECE_BYTES);
        read_piece(&mut file, begin, end, &mut piece)?;
        if let Some(at) = memchr::memrchr(b'\n', &piece) {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

fn read_piece(file: &mut File, begin: u64, end: u64, piece: &mut Vec<u8>) -> Result<()> {
    piece.clear();
    file.seek(SeekFrom::Start(begin))?;
    file.take(end - begin).read_to_end(piece)?;
    Ok(())
}

/// Hands over the whole lines of a file, the last one first, until `visit` gives false.
pub(super) fn lines_from_end(path: &Path, mut visit: impl FnMut(&[u8]) -> bool) -> Result<()> {
    let mut file = File::open(path)?;
    let mut end = whole_lines_end(path)?;
    // What is read and not handed over: whole lines at its end, the first of them perhaps not from its beginning.
    let mut held: Vec<u8> = Vec::new();
    let mut piece = Vec::new();
    loop {
        // Without its own line feed, which is the last byte.
        while let Some(at) = held.len().checked_sub(1).and_then(|last| memchr::memrchr(b'\n', &held[..last])) {
            if !visit(&held[at + 1..held.len() - 1]) {
                return Ok(());
            }
            held.truncate(at + 1);
        }
        if end == 0 {
            if let Some((_, line)) = held.split_last() {
                visit(line);
            }
            return Ok(());
        }
        let begin = end.saturating_sub(PIECE_BYTES);
        read_piece(&mut file, begin, end, &mut piece)?;
        piece.extend_from_slice(&held);
        std::mem::swap(&mut piece, &mut held);
        end = begin;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_backwards_whatever_their_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        for lengths in [vec![], vec![0], vec![3, 0, 5], vec![70_000, 1, 65_535, 65_536, 200_000], vec![1; 100_000]] {
            let mut lines: Vec<Vec<u8>> =
                lengths.iter().zip(0_u8..).map(|(length, at)| vec![b'a' + at % 26; *length]).collect::<Vec<_>>();
            if lengths.len() > 255 {
                lines = (0..lengths.len()).map(|at| at.to_string().into_bytes()).collect();
            }
            let mut text = lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect::<Vec<u8>>();
            let whole = text.len() as u64;
            text.extend_from_slice(b"torn");
            std::fs::write(&path, &text).unwrap();
            assert_eq!(whole_lines_end(&path).unwrap(), whole);
            let mut seen = Vec::new();
            lines_from_end(&path, |line| {
                seen.push(line.to_vec());
                true
            })
            .unwrap();
            seen.reverse();
            assert!(seen == lines, "{} lines", lines.len());
        }
    }
}
