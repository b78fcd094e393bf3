//! One market in many formats.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]
#![allow(dead_code, reason = "each test file uses its part")]

use crate::support;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::Arc;

/// Rows of texts, as CSV has them; an empty one is absent. Names are those of CSV's header.
pub struct Market {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

/// Columns that hold no numbers.
const TEXTS: [&str; 3] = ["symbol", "side", "interval"];
/// Rows of a group, so that there are several.
const GROUP_ROWS: usize = 3000;

impl Market {
    pub fn csv(&self) -> Vec<u8> {
        let mut text = self.columns.join(",");
        for row in &self.rows {
            text.push('\n');
            text.push_str(&row.join(","));
        }
        text.into_bytes()
    }

    pub fn json_lines(&self) -> Vec<u8> {
        let mut text = String::new();
        for row in &self.rows {
            let field = |(name, value): (&&str, &String)| match value.as_str() {
                "" => None,
                value if TEXTS.contains(name) => Some(format!("\"{name}\":\"{value}\"")),
                value => Some(format!("\"{name}\":{value}")),
            };
            let fields: Vec<String> = self.columns.iter().zip(row).filter_map(field).collect();
            text.push_str(&format!("{{{}}}\n", fields.join(",")));
        }
        text.into_bytes()
    }

    /// Stamps in milliseconds, numbers as doubles, what is absent as null.
    pub fn parquet(&self) -> Vec<u8> {
        let column = |name: &&str| match *name {
            "timestamp" => "required int64 timestamp (timestamp(millis, true));".to_owned(),
            name if TEXTS.contains(&name) => format!("optional binary {name} (utf8);"),
            name => format!("optional double {name};"),
        };
        let columns: String = self.columns.iter().map(column).collect();
        let schema = parquet::schema::parser::parse_message_type(&format!("message market {{ {columns} }}")).unwrap();
        let compression = parquet::basic::Compression::SNAPPY;
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).unwrap();
        for rows in self.rows.chunks(GROUP_ROWS) {
            let mut group = writer.next_row_group().unwrap();
            for (at, name) in self.columns.iter().enumerate() {
                let mut column = group.next_column().unwrap().unwrap();
                let present = || rows.iter().map(|row| row[at].as_str()).filter(|text| !text.is_empty());
                let levels: Vec<i16> = rows.iter().map(|row| i16::from(!row[at].is_empty())).collect();
                if *name == "timestamp" {
                    let stamps: Vec<i64> = present().map(|text| text.parse().unwrap()).collect();
                    column.typed::<Int64Type>().write_batch(&stamps, None, None).unwrap();
                } else if TEXTS.contains(name) {
                    let texts: Vec<ByteArray> = present().map(ByteArray::from).collect();
                    column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None).unwrap();
                } else {
                    let numbers: Vec<f64> = present().map(|text| text.parse().unwrap()).collect();
                    column.typed::<DoubleType>().write_batch(&numbers, Some(&levels), None).unwrap();
                }
                column.close().unwrap();
            }
            group.close().unwrap();
        }
        writer.into_inner().unwrap()
    }
}

/// Bytes as they are, as `.gz` and as `.zst`, with the end of the name.
pub fn compressed(bytes: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    let gz = encoder.finish().unwrap();
    [("", bytes.to_vec()), (".gz", gz), (".zst", zstd::encode_all(bytes, 1).unwrap())]
}

/// The nine symbols' minute bars of some days, stamps in milliseconds.
pub fn candles(days: f64) -> Option<Market> {
    let path = support::data("multi/multi9_1m_binance_20210610_20210710.csv.gz")?;
    let text = BufReader::new(flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap()));
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut begun = None;
    for line in text.lines().skip(1).map(Result::unwrap) {
        let mut row: Vec<String> = line.split(',').take(7).map(str::to_owned).collect();
        let open: i64 = row[0].parse().unwrap();
        if (open - *begun.get_or_insert(open)) as f64 >= days * 86_400.0 {
            break;
        }
        row[0] = (open * 1000).to_string();
        rows.push(row);
    }
    Some(Market { columns: vec!["timestamp", "symbol", "open", "high", "low", "close", "volume"], rows })
}

/// Their opens and closes as ticks, with sizes and sides, some without.
pub fn ticks(days: f64) -> Option<Market> {
    let candles = candles(days)?;
    let mut rows = Vec::new();
    for (number, row) in candles.rows.iter().enumerate() {
        let open: i64 = row[0].parse().unwrap();
        let symbol = &row[1];
        for (at, price, side) in [(open + 7, &row[2], "buy"), (open + 59_999, &row[5], "sell")] {
            let (size, side) = if number % 5 == 0 { ("", "") } else { (row[6].as_str(), side) };
            rows.push([&at.to_string(), symbol, price, size, side].map(str::to_owned).to_vec());
        }
    }
    rows.sort_by_key(|row| row[0].parse::<i64>().unwrap());
    Some(Market { columns: vec!["timestamp", "symbol", "price", "size", "side"], rows })
}
