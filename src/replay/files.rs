//! Recorded files as a source: one file, row by row, in flat memory.
//!
//! A JSON row is published as it is, byte for byte; a CSV row as the `tick` or `candle` message that says the same, digit
//! for digit. Rows that cannot be used (and messages without a price, which have no event time to be replayed at) are
//! left out and counted: the job would not use them either.

use super::{RecordSource, ReplayError, ReplayRecord};
use crate::config::{FilesSourceConfig, Format};
use crate::connectors::files::input::FilesInput;
use crate::connectors::input::{Flow, Input, InputError, PartitionState, Payload, Record};
use crate::formats::{Decoded, Decoder};
use crate::market::encode;
use crate::market::{Observation, PartitionId, Quote, Span, SymbolTable};
use std::path::{Path, PathBuf};

/// The one partition of an input of one file.
const PARTITION: PartitionId = PartitionId(0);

/// What became of a file's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Rows handed on.
    pub used: u64,
    /// Well-formed rows without a price, which were left out.
    pub ignored: u64,
    /// Rows that could not be read, which were left out.
    pub undecodable: u64,
    /// The first of them: its number, from 1, headers and blank lines not counted, and what is wrong with it.
    pub first_error: Option<String>,
}

impl From<InputError> for ReplayError {
    fn from(error: InputError) -> Self {
        Self::Fatal(error.to_string())
    }
}

/// One recorded file.
pub struct FileSource {
    input: FilesInput,
    rows: Rows,
    symbols: SymbolTable,
}

/// Turns rows into records; apart from the input, which lends the row while it is turned.
struct Rows {
    decoder: Decoder,
    partition: Option<u32>,
    observations: Vec<Observation>,
    report: FileReport,
}

impl FileSource {
    /// Opens a file. `like` gives the symbol of files without a symbol column, and the interval of candles that do not
    /// say; its paths do not count. `partition` is noted in each record.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn open(
        path: &Path,
        format: Format,
        like: &FilesSourceConfig,
        partition: Option<u32>,
    ) -> Result<Self, InputError> {
        if path.is_dir() {
            let path = path.display();
            return Err(InputError::Failed(format!(
                "{path} is a directory: name files; what `history` wrote is for backfill"
            )));
        }
        let config = FilesSourceConfig { paths: vec![path.to_owned()], ..like.clone() };
        let input = FilesInput::open(&config, format, 0, 1)?;
        let rows = Rows {
            decoder: input.decoder(PARTITION)?,
            partition,
            observations: Vec::new(),
            report: FileReport { path: path.to_owned(), ..FileReport::default() },
        };
        Ok(Self { input, rows, symbols: SymbolTable::default() })
    }

    /// What became of its rows so far.
    #[must_use]
    pub fn report(&self) -> &FileReport {
        &self.rows.report
    }
}

impl RecordSource for FileSource {
    fn read_into(&mut self, record: &mut ReplayRecord) -> Result<bool, ReplayError> {
        let Self { input, rows, symbols } = self;
        loop {
            let mut filled = false;
            let mut visit = |row: Record<'_>, symbols: &mut SymbolTable| {
                filled = rows.turn(&row, symbols, record);
                Flow::Pause
            };
            let state = input.read(PARTITION, 1, symbols, &mut visit)?;
            if filled {
                return Ok(true);
            }
            if state == PartitionState::Ended {
                return Ok(false);
            }
        }
    }
}

impl Rows {
    /// Fills `record` with a row; false where it is left out.
    fn turn(&mut self, row: &Record<'_>, symbols: &mut SymbolTable, record: &mut ReplayRecord) -> bool {
        let bytes = match &row.value {
            Payload::Bytes(bytes) => *bytes,
            Payload::Decoder(decoder) => {
                self.decoder = decoder.clone();
                return false;
            }
            Payload::Observed(_) | Payload::Null => return false,
        };
        self.observations.clear();
        match self.decoder.decode(row.key, bytes, symbols, &mut self.observations) {
            Ok(Decoded::Used | Decoded::Partly(_)) => {}
            Ok(Decoded::Ignored(_)) => {
                self.report.ignored += 1;
                return false;
            }
            Err(error) => {
                self.report.undecodable += 1;
                self.report.first_error.get_or_insert_with(|| format!("row {}: {error}", row.offset + 1));
                return false;
            }
        }
        let Some(observation) = self.observations.first() else {
            return false;
        };
        self.report.used += 1;
        let symbol = symbols.name(observation.symbol).as_str();
        record.at = observation.at;
        record.partition = self.partition;
        record.key.clear();
        record.key.extend_from_slice(symbol.as_bytes());
        record.value.clear();
        // What this file's decoder knows and the topic's may not, how long candles are, has to go along.
        let is_told = !matches!(observation.quote, Quote::Candle { .. }) || self.decoder.interval().is_none();
        if self.decoder.is_json() && is_told {
            record.value.extend_from_slice(bytes.strip_suffix(b"\r").unwrap_or(bytes));
            return true;
        }
        match &observation.quote {
            Quote::Tick { price, size, side } => {
                let trade = encode::Trade {
                    price: *price,
                    size: i128::from(size.raw()),
                    side: *side,
                    identity: observation.identity,
                };
                encode::write_tick(symbol, observation.at, trade, &mut record.value);
            }
            Quote::Large(bar) => {
                let trade = encode::Trade {
                    price: bar.close,
                    size: bar.volume,
                    side: bar.taker(),
                    identity: observation.identity,
                };
                encode::write_tick(symbol, observation.at, trade, &mut record.value);
            }
            Quote::Candle { bar, interval } => {
                let open_at = observation.at.minus(*interval).plus(Span::from_millis(1));
                encode::write_candle(symbol, open_at, *interval, bar, &mut record.value);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::Merge;
    use super::*;

    fn open(dir: &Path, name: &str, text: &str, symbol: Option<&str>) -> FileSource {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        let like = FilesSourceConfig { symbol: symbol.map(str::to_owned), ..FilesSourceConfig::default() };
        FileSource::open(&path, Format::Auto, &like, None).unwrap()
    }

    fn all(source: &mut impl RecordSource) -> Vec<(i64, String, String)> {
        let mut record = ReplayRecord::default();
        let mut out = Vec::new();
        while source.read_into(&mut record).unwrap() {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            out.push((record.at.millis(), text(&record.key), text(&record.value)));
        }
        out
    }

    #[test]
    fn csv_ticks_become_messages_digit_for_digit() {
        let dir = tempfile::tempdir().unwrap();
        let text = "timestamp,side,size,price\n1611239671964,Sell,2,31571.74281822\n1611239671965,Buy,0.5,31571.5\n";
        let rows = all(&mut open(dir.path(), "a.csv", text, Some("BTC")));
        let expected = [
            r#"{"symbol":"BTC","timestamp":1611239671964,"price":31571.74281822,"size":2,"side":"sell"}"#,
            r#"{"symbol":"BTC","timestamp":1611239671965,"price":31571.5,"size":0.5,"side":"buy"}"#,
        ];
        assert_eq!(rows.iter().map(|(_, _, value)| value.as_str()).collect::<Vec<_>>(), expected);
        assert!(rows.iter().all(|(_, key, _)| key == "BTC"));
    }

    #[test]
    fn candles_come_when_they_close() {
        let dir = tempfile::tempdir().unwrap();
        let text = "timestamp,interval,open,high,low,close,volume\n1611239640000,1m,1,4,0.5,2,10\n";
        let rows = all(&mut open(dir.path(), "a.csv", text, Some("ETH")));
        let value = r#"{"symbol":"ETH","timestamp":1611239640000,"interval":"1m","open":1,"high":4,"low":0.5,"close":2,"volume":10}"#;
        assert_eq!(rows, [(1_611_239_699_999, "ETH".to_owned(), value.to_owned())]);
    }

    #[test]
    fn what_a_topic_cannot_know_goes_along() {
        let dir = tempfile::tempdir().unwrap();
        // How long candles are, and what the elements of an array are.
        let bar =
            |at: i64| format!("{{\"timestamp\":{at},\"open\":1,\"high\":4,\"low\":0.5,\"close\":2,\"volume\":10}}\n");
        let rows = all(&mut open(dir.path(), "a.jsonl", &(bar(1_611_239_640) + &bar(1_611_239_940)), Some("A")));
        let value = r#"{"symbol":"A","timestamp":1611239640000,"interval":"5m","open":1,"high":4,"low":0.5,"close":2,"volume":10}"#;
        assert_eq!(rows[0], (1_611_239_939_999, "A".to_owned(), value.to_owned()));
        let path = dir.path().join("b.json");
        std::fs::write(&path, "[[1611239640000,7],[1611239641000,8]]").unwrap();
        let names = vec!["timestamp".to_owned(), "price".to_owned()];
        let columns = Some(crate::config::ColumnsConfig::Names(names));
        let like = FilesSourceConfig { symbol: Some("A".to_owned()), columns, ..FilesSourceConfig::default() };
        let rows = all(&mut FileSource::open(&path, Format::Auto, &like, None).unwrap());
        assert_eq!(rows[1].2, r#"{"symbol":"A","timestamp":1611239641000,"price":8}"#);
        // A second header.
        let text = "timestamp,price\n1611239640,7\nprice,timestamp\n8,1611239641\n";
        let rows = all(&mut open(dir.path(), "c.csv", text, Some("A")));
        assert_eq!(rows[1].2, r#"{"symbol":"A","timestamp":1611239641000,"price":8}"#);
    }

    #[test]
    fn json_rows_stay_as_they_are_and_bad_ones_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let good = r#"{"price": 1.50, "x":null, "timestamp":1611239671964, "symbol":"BTC"}"#;
        let text = format!("{good}\n\n{{\"price\":\n{{}}\n{good}\n");
        let mut source = open(dir.path(), "a.jsonl", &text, None);
        let rows = all(&mut source);
        assert_eq!(rows, vec![(1_611_239_671_964, "BTC".to_owned(), good.to_owned()); 2]);
        let FileReport { used, ignored, undecodable, first_error, .. } = source.report().clone();
        assert_eq!((used, ignored, undecodable), (2, 0, 2));
        assert!(first_error.unwrap().starts_with("row 2: "));
    }

    #[test]
    fn files_merge_by_event_time() {
        let dir = tempfile::tempdir().unwrap();
        let csv = |stamps: [i64; 3]| {
            let rows = stamps.map(|at| format!("{},7\n", 1_611_239_671_000 + at)).concat();
            format!("timestamp,price\n{rows}")
        };
        let one = open(dir.path(), "1.csv", &csv([1, 5, 9]), Some("A"));
        let two = open(dir.path(), "2.csv", &csv([1, 2, 9]), Some("B"));
        let rows = all(&mut Merge::new(vec![two, one]));
        let order: Vec<_> = rows.iter().map(|(at, key, _)| (at % 1000, key.as_str())).collect();
        assert_eq!(order, [(1, "B"), (1, "A"), (2, "B"), (5, "A"), (9, "B"), (9, "A")]);
    }
}
