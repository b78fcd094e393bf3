//! A made-up market, row by row in the forms that sources give it.

use std::io::Write as _;

pub const ROWS: i64 = 40;
pub const START: i64 = 1_672_531_200;

/// One bar: open time in seconds, and figures as text.
pub struct Bar {
    pub at: i64,
    pub open: String,
    pub high: String,
    pub low: String,
    pub close: String,
    pub volume: String,
}

pub fn bars(step: i64) -> Vec<Bar> {
    let price = |n: i64| format!("{}.{:02}", 20_000 + n * 7919 % 97, n * 31 % 100);
    let bar = |n: i64| {
        let (open, close) = (price(n), price(n + 1));
        let (low, high) = ("19990.5".to_owned(), "20200.25".to_owned());
        Bar { at: START + n * step, open, high, low, close, volume: format!("{}.5", 1 + n % 7) }
    };
    (0..ROWS).map(bar).collect()
}

/// A header and a line for each bar of a minute.
pub fn minutes(header: &str, line: impl Fn(&Bar) -> String) -> Vec<u8> {
    table(header, &bars(60), line)
}

/// The same of days.
pub fn days(header: &str, line: impl Fn(&Bar) -> String) -> Vec<u8> {
    table(header, &bars(86_400), line)
}

pub fn table(header: &str, bars: &[Bar], line: impl Fn(&Bar) -> String) -> Vec<u8> {
    let lines: Vec<String> = bars.iter().map(line).collect();
    let head = if header.is_empty() { String::new() } else { format!("{header}\n") };
    format!("{head}{}\n", lines.join("\n")).into_bytes()
}

pub fn ohlcv(bar: &Bar, by: &str) -> String {
    [&*bar.open, &bar.high, &bar.low, &bar.close, &bar.volume].join(by)
}

pub fn date(at: i64) -> String {
    time(at)[..10].to_owned()
}

pub fn time(at: i64) -> String {
    jiff::Timestamp::from_second(at).unwrap().to_string()
}

pub fn zip(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
    let (mut entry, config) =
        archive.new_file(name).compression_method(rawzip::CompressionMethod::DEFLATE).start().unwrap();
    let mut writer = config.wrap(flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::fast()));
    writer.write_all(bytes).unwrap();
    let (encoder, descriptor) = writer.finish().unwrap();
    encoder.finish().unwrap();
    entry.finish(descriptor).unwrap();
    archive.finish().unwrap()
}
