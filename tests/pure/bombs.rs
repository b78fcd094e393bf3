//! Files that unpack to far more than they hold: read in flat memory, however they are packed and whatever is in them.

use crate::allocations::asked_by;
use std::io::Write as _;
use std::path::Path;
use tickcast::config::{FilesSourceConfig, Format};
use tickcast::connectors::files::input::FilesInput;
use tickcast::connectors::input::{Flow, Input as _, PartitionState};
use tickcast::market::{PartitionId, SymbolTable};

/// What they unpack to.
const BYTES: usize = 160 << 20;
/// Room for lines that are cut at 16 MiB: the buffer that a line is read into is doubled, and what is cut is kept once.
const MEMORY_MAX: usize = 100 << 20;

fn deflated(begin: &[u8], fill: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(begin).unwrap();
    let block = fill.repeat((1 << 20) / fill.len());
    for _ in 0..BYTES / block.len() {
        encoder.write_all(&block).unwrap();
    }
    encoder.finish().unwrap()
}

fn gz(begin: &[u8], fill: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(begin).unwrap();
    let block = fill.repeat((1 << 20) / fill.len());
    for _ in 0..BYTES / block.len() {
        encoder.write_all(&block).unwrap();
    }
    encoder.finish().unwrap()
}

/// An archive whose table says that its member is small.
fn lying_zip(begin: &[u8], fill: &[u8]) -> Vec<u8> {
    let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
    let (mut entry, config) =
        archive.new_file("a.csv").compression_method(rawzip::CompressionMethod::DEFLATE).start().unwrap();
    entry.write_all(&deflated(begin, fill)).unwrap();
    let mut writer = config.wrap(std::io::sink());
    writer.write_all(b"small").unwrap();
    let (_, descriptor) = writer.finish().unwrap();
    entry.finish(descriptor).unwrap();
    archive.finish().unwrap()
}

/// Reads a file to its end; how many records, or what it said.
fn read(path: &Path) -> Result<u64, String> {
    let config = FilesSourceConfig {
        paths: vec![path.to_owned()],
        symbol: Some("X".to_owned()),
        ..FilesSourceConfig::default()
    };
    let mut input = FilesInput::open(&config, Format::Auto, 0, 1).map_err(|error| error.to_string())?;
    let (mut symbols, mut count) = (SymbolTable::default(), 0);
    loop {
        let state = input.read(PartitionId(0), 100, &mut symbols, &mut |_, _| {
            count += 1;
            Flow::Continue
        });
        if state.map_err(|error| error.to_string())? == PartitionState::Ended {
            return Ok(count);
        }
    }
}

#[test]
fn what_unpacks_to_much_is_read_in_flat_memory() {
    let dir = tempfile::tempdir().unwrap();
    let header = b"ts,price\n";
    for (name, bytes) in [
        ("one_line.csv.gz", gz(header, b"x")),
        ("no_header.csv.gz", gz(b"", b"x")),
        ("blank_lines.csv.gz", gz(header, b"\n")),
        ("blanks.json.gz", gz(b"", b" ")),
        ("open_list.json.gz", gz(b"[", b"[")),
        ("open_text.json.gz", gz(b"{\"a\":1}{\"b\":\"", b"x")),
        ("commas.json.gz", gz(b"[{\"a\":1},", b",")),
        ("cells.csv.gz", gz(header, b",")),
        ("lying.zip", lying_zip(header, b"x")),
        ("zeros.gz", gz(b"", b"\0")),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let (answer, asked) = asked_by(|| read(&path));
        println!("{name}: {answer:?}, {} MB", asked.most_bytes / 1_000_000);
        assert!(asked.most_bytes < MEMORY_MAX, "{name}: {} bytes", asked.most_bytes);
        std::fs::remove_file(&path).unwrap();
    }
}
