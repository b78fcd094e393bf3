//! One column: its values in batches, each as the text that a JSON record has for it.

use super::value::{self, Meaning};
use parquet::basic::Type as Physical;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType,
    Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;
use parquet::schema::types::ColumnDescriptor;

/// A column that is read.
pub(super) struct Column {
    /// Its place among the file's columns.
    at: usize,
    /// `"price":`
    head: Vec<u8>,
    is_symbol: bool,
    meaning: Meaning,
    /// Whether values may be absent.
    optional: bool,
    values: Values,
    /// Of the current batch, for each row 1 where it has a value; empty where all must have.
    levels: Vec<i16>,
    /// The next row of the batch.
    row: usize,
    /// The next value of the batch: rows without one take no place.
    next: usize,
}

/// A batch, in the type that the file has.
enum Values {
    Int32(Typed<Int32Type>, Vec<i32>),
    Int64(Typed<Int64Type>, Vec<i64>),
    Int96(Typed<Int96Type>, Vec<Int96>),
    Float(Typed<FloatType>, Vec<f32>),
    Double(Typed<DoubleType>, Vec<f64>),
    Bytes(Typed<ByteArrayType>, Vec<ByteArray>),
    Fixed(Typed<FixedLenByteArrayType>, Vec<FixedLenByteArray>),
    Flag(Typed<BoolType>, Vec<bool>),
}

/// A reader of the current row group.
type Typed<T> = Option<ColumnReaderImpl<T>>;

impl Column {
    /// A column for `field`, number `at` of the file.
    ///
    /// # Errors
    /// Why values of its type cannot stand for the field, to go behind the column's name.
    pub(super) fn new(at: usize, field: &'static str, column: &ColumnDescriptor) -> Result<Self, String> {
        let meaning = Meaning::of(field, column)?;
        let values = match column.physical_type() {
            Physical::INT32 => Values::Int32(None, Vec::new()),
            Physical::INT64 => Values::Int64(None, Vec::new()),
            Physical::INT96 => Values::Int96(None, Vec::new()),
            Physical::FLOAT => Values::Float(None, Vec::new()),
            Physical::DOUBLE => Values::Double(None, Vec::new()),
            Physical::BYTE_ARRAY => Values::Bytes(None, Vec::new()),
            Physical::FIXED_LEN_BYTE_ARRAY => Values::Fixed(None, Vec::new()),
            Physical::BOOLEAN => Values::Flag(None, Vec::new()),
        };
        Ok(Self {
            at,
            head: format!("\"{field}\":").into_bytes(),
            is_symbol: field == "symbol",
            meaning,
            optional: column.max_def_level() > 0,
            values,
            levels: Vec::new(),
            row: 0,
            next: 0,
        })
    }

    /// Goes to the beginning of a row group.
    pub(super) fn begin(&mut self, group: &dyn RowGroupReader) -> Result<(), ParquetError> {
        let reader = group.get_column_reader(self.at)?;
        match &mut self.values {
            Values::Int32(typed, _) => *typed = typed_reader(reader)?,
            Values::Int64(typed, _) => *typed = typed_reader(reader)?,
            Values::Int96(typed, _) => *typed = typed_reader(reader)?,
            Values::Float(typed, _) => *typed = typed_reader(reader)?,
            Values::Double(typed, _) => *typed = typed_reader(reader)?,
            Values::Bytes(typed, _) => *typed = typed_reader(reader)?,
            Values::Fixed(typed, _) => *typed = typed_reader(reader)?,
            Values::Flag(typed, _) => *typed = typed_reader(reader)?,
        }
        Ok(())
    }

    /// Reads the next `rows` rows.
    pub(super) fn fill(&mut self, rows: usize) -> Result<(), ParquetError> {
        let Self { values, levels, optional, row, next, .. } = self;
        (*row, *next) = (0, 0);
        levels.clear();
        let levels = optional.then_some(levels);
        match values {
            Values::Int32(reader, values) => fill(reader, values, levels, rows),
            Values::Int64(reader, values) => fill(reader, values, levels, rows),
            Values::Int96(reader, values) => fill(reader, values, levels, rows),
            Values::Float(reader, values) => fill(reader, values, levels, rows),
            Values::Double(reader, values) => fill(reader, values, levels, rows),
            Values::Bytes(reader, values) => fill(reader, values, levels, rows),
            Values::Fixed(reader, values) => fill(reader, values, levels, rows),
            Values::Flag(reader, values) => fill(reader, values, levels, rows),
        }
    }

    /// Appends the next row's field and a comma; nothing where it is absent. [`Column::fill`] has counted the rows.
    pub(super) fn write_next(&mut self, out: &mut Vec<u8>) {
        let present = !self.optional || self.levels.get(self.row) == Some(&1);
        self.row += 1;
        let before = out.len();
        out.extend_from_slice(&self.head);
        let mut written = false;
        if present {
            let (at, meaning) = (self.next, self.meaning);
            self.next += 1;
            written = match &self.values {
                Values::Int32(_, values) => value::integer(i64::from(values[at]), meaning, out),
                Values::Int64(_, values) => value::integer(values[at], meaning, out),
                Values::Int96(_, values) => value::integer(values[at].to_micros(), meaning, out),
                Values::Float(_, values) => value::float(values[at], meaning, out),
                Values::Double(_, values) => value::double(values[at], meaning, out),
                Values::Bytes(_, values) => value::bytes(values[at].data(), meaning, out),
                Values::Fixed(_, values) => value::bytes(values[at].data(), meaning, out),
                Values::Flag(_, values) => value::flag(values[at], out),
            };
        }
        if written {
            out.push(b',');
        } else if self.is_symbol {
            // As an empty cell of CSV: no other symbol stands in for it.
            out.extend_from_slice(b"\"\",");
        } else {
            out.truncate(before);
        }
    }
}

/// The reader in its type, which the file's schema gave: what says otherwise is damaged.
fn typed_reader<T: DataType>(reader: ColumnReader) -> Result<Typed<T>, ParquetError> {
    T::get_column_reader(reader)
        .map(Some)
        .ok_or_else(|| ParquetError::General("a column's type differs from the schema".to_owned()))
}

/// Reads exactly `rows` rows.
fn fill<T: DataType>(
    reader: &mut Typed<T>,
    values: &mut Vec<T::T>,
    mut levels: Option<&mut Vec<i16>>,
    rows: usize,
) -> Result<(), ParquetError> {
    values.clear();
    let general = |what: String| ParquetError::General(what);
    let reader = reader.as_mut().ok_or_else(|| general("a column has no pages".to_owned()))?;
    let mut done = 0;
    while done < rows {
        let (records, _, _) = reader.read_records(rows - done, levels.as_deref_mut(), None, values)?;
        if records == 0 {
            return Err(general(format!("a column ends {} rows before its row group", rows - done)));
        }
        done += records;
    }
    let expected = levels.map_or(rows, |levels| levels.iter().filter(|level| **level == 1).count());
    if values.len() != expected {
        return Err(general(format!("a column has {} values for {expected} rows", values.len())));
    }
    Ok(())
}
