use super::super::open::{Opened, open};
use super::*;
use parquet::basic::Compression;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType,
    Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

/// A file of one row group.
fn file(schema: &str, write: impl Fn(&mut Group<'_>)) -> Vec<u8> {
    file_of(schema, Compression::SNAPPY, 1, write)
}

fn file_of(schema: &str, compression: Compression, groups: usize, write: impl Fn(&mut Group<'_>)) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message rows {{ {schema} }}")).unwrap());
    let properties =
        WriterProperties::builder().set_compression(compression).set_data_page_row_count_limit(100).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for _ in 0..groups {
        let mut group = writer.next_row_group().unwrap();
        write(&mut group);
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

/// Writes the next column; `None` is an absent value.
fn column<T: DataType>(group: &mut Group<'_>, values: &[Option<T::T>]) {
    let mut writer = group.next_column().unwrap().unwrap();
    let present: Vec<T::T> = values.iter().flatten().cloned().collect();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    writer.typed::<T>().write_batch(&present, Some(&levels), None).unwrap();
    writer.close().unwrap();
}

fn text(value: &str) -> Option<ByteArray> {
    Some(ByteArray::from(value.as_bytes().to_vec()))
}

fn rows_of(bytes: &[u8]) -> Result<Vec<String>, InputError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.parquet");
    std::fs::write(&path, bytes).unwrap();
    let Opened::Parquet(file) = open(&path)? else { panic!("taken for lines") };
    let mut rows = ParquetRows::open(&path, file, &Naming::default())?;
    let mut all = Vec::new();
    while rows.step()? == Step::Row {
        all.push(String::from_utf8_lossy(rows.row()).into_owned());
    }
    Ok(all)
}

/// As dataframes hold the archives' columns.
#[test]
fn archives_have_flags_and_times() {
    let schema =
        "optional int64 time (timestamp(millis, true)); optional double price; optional boolean is_buyer_maker;";
    let bytes = file(schema, |group| {
        column::<Int64Type>(group, &[Some(1_611_239_671_964), None]);
        column::<DoubleType>(group, &[Some(31571.74), Some(2.0)]);
        column::<BoolType>(group, &[Some(true), Some(false)]);
    });
    assert_eq!(
        rows_of(&bytes).unwrap(),
        [
            r#"{"timestamp":1611239671964,"price":31571.74,"is_buyer_maker":true}"#,
            r#"{"price":2.0,"is_buyer_maker":false}"#
        ]
    );
    let stamp = "int64 open_time (timestamp(millis, true)); optional int64 close_time (timestamp(millis, true))";
    let prices = "optional double open; optional double high; optional double low; optional double close";
    let bytes = file(&format!("optional {stamp}; {prices}; optional double volume;"), |group| {
        column::<Int64Type>(group, &[Some(1_611_239_640_000)]);
        column::<Int64Type>(group, &[Some(1_611_239_699_999)]);
        (0..5).for_each(|_| column::<DoubleType>(group, &[Some(1.5)]));
    });
    assert_eq!(
        rows_of(&bytes).unwrap(),
        [
            r#"{"timestamp":1611239640000,"close_time":1611239699999,"open":1.5,"high":1.5,"low":1.5,"close":1.5,"volume":1.5}"#
        ]
    );
    let numbers = file("optional int64 ts; optional double price; optional int64 is_buyer_maker;", |group| {
        column::<Int64Type>(group, &[Some(1)]);
        column::<DoubleType>(group, &[Some(1.0)]);
        column::<Int64Type>(group, &[Some(1)]);
    });
    assert!(rows_of(&numbers).unwrap_err().to_string().contains("is_buyer_maker holds numbers"));
}

#[test]
fn every_type_becomes_the_digits_of_csv() {
    let stamps = "optional int64 ts (timestamp(micros, true))";
    let decimals = "optional int64 price (decimal(12, 2)); optional fixed_len_byte_array(5) size (decimal(10, 3))";
    let bytes = file(&format!("{stamps}; {decimals}; optional binary side (utf8); optional binary other;"), |group| {
        column::<Int64Type>(group, &[Some(1_611_239_671_964_034), None, Some(5)]);
        column::<Int64Type>(group, &[Some(3_157_174), Some(-1), None]);
        let fixed = |value: i64| Some(FixedLenByteArray::from(value.to_be_bytes()[3..].to_vec()));
        column::<FixedLenByteArrayType>(group, &[fixed(20), None, fixed(-7)]);
        column::<ByteArrayType>(group, &[text("buy"), text(""), text("se\"ll")]);
        column::<ByteArrayType>(group, &[text("x"), None, None]);
    });
    let rows = rows_of(&bytes).unwrap();
    assert_eq!(
        rows,
        [
            r#"{"timestamp":1611239671964034,"price":31571.74,"size":0.020,"side":"buy"}"#,
            r#"{"price":-0.01}"#,
            r#"{"timestamp":"1970-01-01T00:00:00.000Z","size":-0.007,"side":"se\"ll"}"#,
        ]
    );
    let bytes = file(
        "required int96 time; required float open; required double high; required binary low; required int32 close (integer(32, false)); required int64 volume; optional binary symbol;",
        |group| {
            let mut stamp = Int96::new();
            let nanos: u64 = 52_471_964_034_086;
            stamp.set_data(nanos as u32, (nanos >> 32) as u32, 2_459_236);
            required::<Int96Type>(group, &[stamp]);
            required::<FloatType>(group, &[31571.74]);
            required::<DoubleType>(group, &[0.1 + 0.2]);
            required::<ByteArrayType>(group, &[text(" 1.50 ").unwrap()]);
            required::<Int32Type>(group, &[-1]);
            required::<Int64Type>(group, &[12]);
            column::<ByteArrayType>(group, &[None]);
        },
    );
    let expected = r#"{"timestamp":1611239671964034,"open":31571.74,"high":0.30000000000000004,"low":"1.50","close":4294967295,"volume":12,"symbol":""}"#;
    assert_eq!(rows_of(&bytes).unwrap(), [expected]);
}

fn required<T: DataType>(group: &mut Group<'_>, values: &[T::T]) {
    let mut writer = group.next_column().unwrap().unwrap();
    writer.typed::<T>().write_batch(values, None, None).unwrap();
    writer.close().unwrap();
}

/// Rows of many pages, batches and groups, with holes; as the writer was given them.
fn long(compression: Compression, rows: i64) -> (Vec<u8>, Vec<String>) {
    let price = |row: i64| (row % 3 != 1).then_some(row as f64 / 4.0);
    let schema = "required int64 timestamp; optional double price;";
    let bytes = file_of(schema, compression, 3, |group| {
        required::<Int64Type>(group, &(0..rows).collect::<Vec<_>>());
        column::<DoubleType>(group, &(0..rows).map(price).collect::<Vec<_>>());
    });
    let line = |row: i64| match price(row) {
        Some(price) => format!("{{\"timestamp\":{row},\"price\":{price:?}}}"),
        None => format!("{{\"timestamp\":{row}}}"),
    };
    (bytes, (0..3).flat_map(|_| (0..rows).map(line)).collect())
}

#[test]
fn rows_keep_their_order_over_pages_batches_and_groups() {
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())] {
        let (bytes, expected) = long(compression, 2 * BATCH_ROWS as i64 + 77);
        assert!(rows_of(&bytes).unwrap() == expected, "{compression:?}");
    }
    let (gzip, lz4) = (Compression::GZIP(Default::default()), Compression::LZ4_RAW);
    for compression in [gzip, lz4] {
        let (bytes, expected) = long(compression, 500);
        assert!(rows_of(&bytes).unwrap() == expected, "{compression:?}");
    }
    assert_eq!(rows_of(&file_of("required int64 ts; required double price;", gzip, 0, |_| ())).unwrap(), [""; 0]);
}

#[test]
fn what_cannot_be_read_is_told() {
    let error = |schema: &str| rows_of(&file_of(schema, Compression::SNAPPY, 0, |_| ())).unwrap_err().to_string();
    for (schema, expected) in [
        (
            "required int64 ts; required double size;",
            "rows.parquet: it has no column for the price (price, price_usd, last, rate, …), its columns are ts, size: name it",
        ),
        ("required int64 ts; required int32 price (date);", "the column price holds times"),
        ("required int64 ts; required int64 price (timestamp(millis, true));", "the column price holds times"),
        ("required int64 ts; required double price; required int64 symbol;", "the column symbol holds numbers"),
        ("required int64 ts; required boolean price;", "the column price is"),
        ("required int64 ts; required fixed_len_byte_array(2) price (float16);", "the column price is of the type"),
        ("required int64 ts; required double price; required double PRICE;", "`price` twice"),
        ("required int64 ts; repeated double price;", "no column for the price"),
        ("required int64 ts; required group x { required double price; }", "no column for the price"),
    ] {
        let said = error(schema);
        assert!(said.contains(expected), "{schema}: {said}");
    }
}

/// Whatever is wrong with a file, it is an error or other rows: no panic gets out, and nothing is read for ever.
#[test]
fn damaged_files_are_errors() {
    let (bytes, _) = long(Compression::SNAPPY, 300);
    for keep in [4, 12, bytes.len() / 2, bytes.len() - 1] {
        let error = rows_of(&bytes[..keep]).unwrap_err().to_string();
        assert!(error.contains("rows.parquet") && error.contains("cut or damaged"), "{error}");
    }
    let mut random = 1_u64;
    let mut told = 0;
    for _ in 0..300 {
        let mut damaged = bytes.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = 4 + (random >> 33) as usize % (damaged.len() - 4);
            damaged[at] ^= (random >> 20) as u8 | 1;
        }
        told += usize::from(rows_of(&damaged).is_err());
    }
    assert!(told > 50, "{told} of 300 damaged files were noticed");
}
