use super::*;
use crate::connectors::input::Payload;
use crate::formats::Decoded;
use crate::market::{Observation, Span};
use std::path::PathBuf;

pub(super) struct Dir(pub tempfile::TempDir);

impl Dir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

pub(super) fn config(paths: Vec<PathBuf>) -> FilesSourceConfig {
    FilesSourceConfig { paths, symbol: Some("BTC".to_owned()), ..FilesSourceConfig::default() }
}

fn open(paths: Vec<PathBuf>) -> Result<FilesInput, InputError> {
    FilesInput::open(&config(paths), Format::Auto, 0, 1)
}

/// Offsets and values of a partition, read `limit` at a time.
fn read_all(input: &mut FilesInput, partition: PartitionId, limit: usize) -> Vec<(u64, Vec<u8>)> {
    let (mut symbols, mut all) = (SymbolTable::default(), Vec::new());
    loop {
        let state = input.read(partition, limit, &mut symbols, &mut |record, _| {
            // Other columns: these tests read values.
            let Payload::Bytes(bytes) = record.value else { return Flow::Continue };
            all.push((record.offset, bytes.to_vec()));
            Flow::Continue
        });
        if state.unwrap() == PartitionState::Ended {
            return all;
        }
    }
}

fn decode_all(input: &mut FilesInput, partition: PartitionId) -> Vec<Result<Observation, &'static str>> {
    let mut decoder = input.decoder(partition).unwrap();
    let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
    let values = read_all(input, partition, 7);
    let decode = |(_, value): (u64, Vec<u8>)| match decoder.decode(None, &value, &mut symbols, &mut out) {
        Ok(Decoded::Used | Decoded::Partly(_)) => Ok(out.pop().unwrap()),
        Ok(Decoded::Ignored(kind)) => Err(kind),
        Err(error) => Err(error.reason),
    };
    values.into_iter().map(decode).collect()
}

const TICK: &str = r#"{"timestamp":1611239671964,"price":2}"#;

#[test]
fn numbers_records_without_headers_and_blank_lines() {
    let dir = Dir::new();
    let csv = dir.file("a.csv", "\u{feff}\n \r\nts,price\r\n\r\n1611239671,2\r\n \nts,price\n1611239672,3");
    let json = dir.file("b", format!("\n{TICK}\n\n{TICK}"));
    let mut input = open(vec![csv, json]).unwrap();
    let [a, b] = [PartitionId(0), PartitionId(1)];
    assert_eq!(input.partitions(), [a, b]);
    assert!(input.topic(a).ends_with("a.csv"));
    let offsets: Vec<u64> = read_all(&mut input, a, 1).into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, [0, 1]);
    assert_eq!(read_all(&mut input, b, 1), [(0, TICK.as_bytes().to_vec()), (1, TICK.as_bytes().to_vec())]);
    assert_eq!(read_all(&mut input, b, 1), [], "the end stays the end");
}

#[test]
fn tells_json_lines_from_csv_by_name_or_first_byte() {
    let dir = Dir::new();
    for (name, bytes, expected) in [
        ("a.jsonl", format!("rubbish\n{TICK}\n"), vec![Err("not_json"), Ok(())]),
        ("b", format!("{TICK}\nts,price\n"), vec![Ok(()), Err("not_json")]),
        ("c.txt", "price,ts\n2,1611239671\n".to_owned(), vec![Ok(())]),
        ("d.csv", "\"ts\",price\n1611239671,2\n".to_owned(), vec![Ok(())]),
    ] {
        let path = dir.file(name, bytes);
        let found: Vec<_> =
            decode_all(&mut open(vec![path]).unwrap(), PartitionId(0)).into_iter().map(|r| r.map(|_| ())).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn pauses_where_it_is_told_to() {
    let dir = Dir::new();
    let mut input = open(vec![dir.file("a.jsonl", format!("{TICK}\n").repeat(10))]).unwrap();
    let mut seen = Vec::new();
    let state = input.read(PartitionId(0), 100, &mut SymbolTable::default(), &mut |record, _| {
        seen.push(record.offset);
        if seen.len() == 4 { Flow::Pause } else { Flow::Continue }
    });
    assert_eq!(state.unwrap(), PartitionState::Behind);
    seen.extend(read_all(&mut input, PartitionId(0), 100).into_iter().map(|(offset, _)| offset));
    assert_eq!(seen, (0..10).collect::<Vec<u64>>());
}

#[test]
fn each_file_belongs_to_one_worker() {
    let dir = Dir::new();
    let paths: Vec<PathBuf> = (0..5).map(|i| dir.file(&format!("{i}.jsonl"), format!("{i}"))).collect();
    let mut found = Vec::new();
    for worker in 0..3 {
        let mut input = FilesInput::open(&config(paths.clone()), Format::Auto, worker, 3).unwrap();
        for partition in input.partitions() {
            found.push((worker, partition.0, read_all(&mut input, partition, 9)[0].1.clone()));
        }
        assert!(input.read(PartitionId(5), 1, &mut SymbolTable::default(), &mut |_, _| Flow::Continue).is_err());
    }
    let value = |i: u32| i.to_string().into_bytes();
    assert_eq!(found, [(0, 0, value(0)), (0, 3, value(3)), (1, 1, value(1)), (1, 4, value(4)), (2, 2, value(2))]);
    assert_eq!(FilesInput::open(&config(paths), Format::Auto, 6, 7).unwrap().partitions(), []);
}

#[test]
fn the_first_line_of_an_archive_without_a_header_is_a_record() {
    let dir = Dir::new();
    let trades = "1,5,2,10,1617321600123,True,True\n2,6,2,12,1617321600124123,False,True\n";
    for name in ["trades.csv", "trades.txt"] {
        let mut input = open(vec![dir.file(name, trades)]).unwrap();
        let seen = decode_all(&mut input, PartitionId(0));
        let stamps: Vec<i64> = seen.iter().map(|seen| seen.as_ref().unwrap().at.millis()).collect();
        assert_eq!(stamps, [1_617_321_600_123, 1_617_321_600_124]);
    }
}

#[test]
fn what_cannot_be_read_is_told_at_the_start() {
    let dir = Dir::new();
    let error = |paths: Vec<PathBuf>| open(paths).unwrap_err().to_string();
    assert!(error(vec![]).contains("source.files.paths is empty"));
    assert!(error(vec!["-".into(), "-".into()]).contains("more than once"));
    assert!(error(vec![dir.0.path().join("absent")]).contains("no such file"));
    assert!(error(vec![dir.0.path().to_owned()]).contains("directory"));
    let headless = error(vec![dir.file("headless.csv", "1617321600,5,6,7\n")]);
    assert!(headless.contains("headless.csv: the first line `1617321600,5,6,7` is no header"), "{headless}");
    let ticks = dir.file("ticks.csv", "ts,price\n");
    let mut nameless = config(vec![ticks.clone()]);
    nameless.symbol = None;
    let told = FilesInput::open(&nameless, Format::Auto, 0, 1).unwrap_err().to_string();
    assert!(told.contains("source.symbol"), "{told}");
    let told = FilesInput::open(&config(vec![ticks.clone()]), Format::Candle, 0, 1).unwrap_err().to_string();
    assert!(told.contains("set it to auto"), "{told}");
    let mut empty_symbol = config(vec![ticks]);
    empty_symbol.symbol = Some(String::new());
    assert!(FilesInput::open(&empty_symbol, Format::Auto, 0, 1).unwrap_err().to_string().contains("is empty"));
}

#[test]
fn empty_files_end_at_once() {
    let dir = Dir::new();
    let paths = vec![dir.file("a.csv", ""), dir.file("b.jsonl", "\n \n"), dir.file("c.csv", "ts,price\n")];
    let mut input = open(paths).unwrap();
    for partition in input.partitions() {
        assert_eq!(read_all(&mut input, partition, 5), []);
    }
}

#[test]
fn a_cut_file_fails_while_it_is_read() {
    let dir = Dir::new();
    let lines: String = (0..100_000).map(|i| format!("{},{}\n", 1_611_239_671 + i, i * 7919 % 997 + 1)).collect();
    let whole = zstd::encode_all(format!("ts,price\n{lines}").as_bytes(), 1).unwrap();
    let mut input = open(vec![dir.file("cut.csv.zst", &whole[..whole.len() - 1000])]).unwrap();
    let error = loop {
        match input.read(PartitionId(0), 1000, &mut SymbolTable::default(), &mut |_, _| Flow::Continue) {
            Ok(state) => assert_ne!(state, PartitionState::Ended),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("cut.csv.zst"), "{error}");
}

#[cfg(unix)]
#[test]
fn reads_a_pipe() {
    let dir = Dir::new();
    let path = dir.0.path().join("pipe.csv");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let writer = std::thread::spawn({
        let path = path.clone();
        move || std::fs::write(path, "ts,price\n1611239671,2\n").unwrap()
    });
    let mut input = open(vec![path]).unwrap();
    assert_eq!(read_all(&mut input, PartitionId(0), 5), [(0, b"1611239671,2".to_vec())]);
    writer.join().unwrap();
}

#[test]
fn an_overlong_line_becomes_a_record_that_does_not_decode() {
    let dir = Dir::new();
    let mut bytes = format!("{TICK}\n{{\"timestamp\":1611239671964,\"price\":3}}").into_bytes();
    bytes.resize(bytes.len() + (17 << 20), b' ');
    bytes.extend_from_slice(format!("\n{TICK}").as_bytes());
    let found = decode_all(&mut open(vec![dir.file("long.jsonl", bytes)]).unwrap(), PartitionId(0));
    let found: Vec<_> = found.into_iter().map(|r| r.map(|o| o.quote.price().to_string())).collect();
    assert_eq!(found, [Ok("2".to_owned()), Err("too_long"), Ok("2".to_owned())]);
}

#[test]
fn candles_take_the_configured_interval() {
    let dir = Dir::new();
    let path = dir.file("c.csv", "timestamp,open,high,low,close,volume\n1617321600,1,2,1,2,0\n");
    let error = open(vec![path.clone()]).unwrap_err().to_string();
    assert!(error.contains("set source.interval"), "{error}");
    let config = FilesSourceConfig { interval: Some(Span::from_millis(300_000)), ..config(vec![path]) };
    let mut input = FilesInput::open(&config, Format::Auto, 0, 1).unwrap();
    let seen = decode_all(&mut input, PartitionId(0));
    assert_eq!(seen[0].as_ref().unwrap().at.to_string(), "2021-04-02T00:04:59.999Z");
}

/// Two ticks as Parquet.
fn parquet(symbol: bool) -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
    let columns = "required int64 ts_ms; required double price; ";
    let schema = format!("message m {{ {columns}{} }}", if symbol { "optional binary pair (utf8);" } else { "" });
    let schema = Arc::new(parquet::schema::parser::parse_message_type(&schema).unwrap());
    let mut writer = parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[1_611_239_671_964, 1_611_239_671_965], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<DoubleType>().write_batch(&[31571.74, -1.0], None, None).unwrap();
    column.close().unwrap();
    if symbol {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&[ByteArray::from("ETH")], Some(&[0, 1]), None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn parquet_is_read_whatever_its_name_and_wrapping() {
    let dir = Dir::new();
    let bytes = parquet(false);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &bytes).unwrap();
    let paths = vec![
        dir.file("a.parquet", &bytes),
        dir.file("a.parquet.gz", encoder.finish().unwrap()),
        dir.file("a.parquet.zst", zstd::encode_all(&bytes[..], 1).unwrap()),
        dir.file("nameless", &bytes),
    ];
    let mut input = open(paths).unwrap();
    for partition in input.partitions() {
        let found = decode_all(&mut input, partition);
        let observation = found[0].as_ref().unwrap();
        assert_eq!(
            (observation.at.millis(), observation.quote.price().to_string()),
            (1_611_239_671_964, "31571.74".into())
        );
        assert_eq!(found[1], Err("wrong_field"));
        assert_eq!(found.len(), 2);
    }
    // A row without a symbol is wrong where there is a column for it, as in CSV.
    let mut input = open(vec![dir.file("b.parquet", parquet(true))]).unwrap();
    assert_eq!(decode_all(&mut input, PartitionId(0))[0], Err("wrong_field"));
}

#[test]
fn parquet_that_does_not_fit_is_told() {
    let dir = Dir::new();
    let path = dir.file("a.parquet", parquet(false));
    let said = |config: &FilesSourceConfig, format| FilesInput::open(config, format, 0, 1).unwrap_err().to_string();
    let nameless = FilesSourceConfig { symbol: None, ..config(vec![path.clone()]) };
    assert!(said(&nameless, Format::Auto).contains("set source.symbol"));
    assert!(said(&config(vec![path]), Format::Candle).contains("its lines are ticks, but source.format is candle"));
    let csv = dir.file("b.parquet", "ts,price\n1611239671,2\n");
    assert!(said(&config(vec![csv]), Format::Auto).contains("named as a Parquet file"));
    let cut = zstd::encode_all(&parquet(false)[..], 1).unwrap();
    let cut = dir.file("c.parquet.zst", &cut[..cut.len() - 5]);
    assert!(said(&config(vec![cut]), Format::Auto).contains("c.parquet.zst"));
}
