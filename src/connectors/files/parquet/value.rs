//! What a column's values mean, and their JSON text: the digits that CSV would have for them.

use crate::market::Timestamp;
use crate::market::time::{TIMESTAMP_END, TIMESTAMP_MIN};
use parquet::basic::{ConvertedType, IntType, LogicalType, TimeUnit, Type as Physical};
use parquet::schema::types::ColumnDescriptor;

/// Bytes of the widest decimal: 38 digits.
const DECIMAL_BYTES_MAX: usize = 16;

/// What a column's values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Text,
    /// True or false.
    Flag,
    Integer,
    Unsigned32,
    Unsigned64,
    /// An integer of 10 to the power of minus this.
    Decimal(usize),
    Float,
    /// Seconds, milliseconds and so on since 1970, as a float.
    EpochFloat,
    /// A stamp; the units in a millisecond.
    Stamp(i64),
    /// Days since 1970.
    Date,
}

const MILLIS: Meaning = Meaning::Stamp(1);
const MICROS: Meaning = Meaning::Stamp(1000);
const NANOS: Meaning = Meaning::Stamp(1_000_000);

impl Meaning {
    /// What the values of a column mean that is to be `field`.
    ///
    /// # Errors
    /// Why they cannot be that, to go behind the column's name.
    pub(super) fn of(field: &str, column: &ColumnDescriptor) -> Result<Self, String> {
        let kind = column.physical_type();
        let meaning = match column.logical_type_ref() {
            Some(logical) => Self::logical(logical, kind, column),
            None => Self::converted(column.converted_type(), kind, column),
        };
        let meaning = meaning.ok_or_else(|| {
            let logical = column.logical_type_ref().map_or_else(String::new, |logical| format!(" ({logical:?})"));
            format!("is of the type {kind}{logical}, which cannot be read as {field}")
        })?;
        let is_text = meaning == Self::Text;
        let is_stamp = matches!(meaning, Self::Stamp(_) | Self::Date);
        match field {
            "symbol" | "side" | "interval" if !is_text => Err("holds numbers; it must hold texts".to_owned()),
            "is_buyer_maker" if meaning == Self::Flag || is_text => Ok(meaning),
            "is_buyer_maker" => Err("holds numbers; it must hold true or false".to_owned()),
            _ if meaning == Self::Flag => Err(format!("is of the type {kind}, which cannot be read as {field}")),
            "timestamp" | "close_time" if meaning == Self::Float => Ok(Self::EpochFloat),
            "timestamp" | "close_time" | "symbol" | "side" | "interval" => Ok(meaning),
            _ if is_stamp => Err("holds times; it must hold numbers".to_owned()),
            _ => Ok(meaning),
        }
    }

    fn logical(logical: &LogicalType, kind: Physical, column: &ColumnDescriptor) -> Option<Self> {
        match logical {
            LogicalType::Timestamp(stamp) if kind == Physical::INT64 => Some(match stamp.unit {
                TimeUnit::MILLIS => MILLIS,
                TimeUnit::MICROS => MICROS,
                TimeUnit::NANOS => NANOS,
            }),
            LogicalType::Date if kind == Physical::INT32 => Some(Self::Date),
            LogicalType::Decimal(decimal) => Self::decimal(decimal.scale, kind, column),
            LogicalType::Integer(IntType { bit_width, is_signed }) => match (is_signed, bit_width) {
                (true, _) => Some(Self::Integer),
                (false, 64) => Some(Self::Unsigned64),
                (false, _) => Some(Self::Unsigned32),
            },
            LogicalType::String | LogicalType::Enum if kind == Physical::BYTE_ARRAY => Some(Self::Text),
            _ => None,
        }
    }

    /// Of files that older writers made.
    fn converted(converted: ConvertedType, kind: Physical, column: &ColumnDescriptor) -> Option<Self> {
        match converted {
            ConvertedType::NONE => match kind {
                Physical::INT32 | Physical::INT64 => Some(Self::Integer),
                Physical::INT96 => Some(MICROS),
                Physical::FLOAT | Physical::DOUBLE => Some(Self::Float),
                Physical::BYTE_ARRAY => Some(Self::Text),
                Physical::BOOLEAN => Some(Self::Flag),
                Physical::FIXED_LEN_BYTE_ARRAY => None,
            },
            ConvertedType::UTF8 | ConvertedType::ENUM => Some(Self::Text),
            ConvertedType::DATE => Some(Self::Date),
            ConvertedType::DECIMAL => Self::decimal(column.type_scale(), kind, column),
            ConvertedType::TIMESTAMP_MILLIS => Some(MILLIS),
            ConvertedType::TIMESTAMP_MICROS => Some(MICROS),
            ConvertedType::INT_8 | ConvertedType::INT_16 | ConvertedType::INT_32 | ConvertedType::INT_64 => {
                Some(Self::Integer)
            }
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 => Some(Self::Unsigned32),
            ConvertedType::UINT_64 => Some(Self::Unsigned64),
            _ => None,
        }
    }

    fn decimal(scale: i32, kind: Physical, column: &ColumnDescriptor) -> Option<Self> {
        let fits = match kind {
            Physical::INT32 | Physical::INT64 | Physical::BYTE_ARRAY => true,
            Physical::FIXED_LEN_BYTE_ARRAY => usize::try_from(column.type_length()).ok()? <= DECIMAL_BYTES_MAX,
            _ => false,
        };
        // More places than the widest decimal has digits are no decimal's.
        let scale = usize::try_from(scale).ok().filter(|scale| *scale <= 38)?;
        fits.then_some(Self::Decimal(scale))
    }
}

/// Appends an integer, of whatever meaning. True: it was not absent.
pub(super) fn integer(value: i64, meaning: Meaning, out: &mut Vec<u8>) -> bool {
    let mut digits = itoa::Buffer::new();
    match meaning {
        Meaning::Decimal(scale) => decimal(i128::from(value), scale, out),
        Meaning::Stamp(per_ms) => stamp(value, per_ms, out),
        Meaning::Date => date(value, out),
        // Unsigned numbers are stored in the bits of signed ones.
        Meaning::Unsigned32 => out.extend_from_slice(digits.format(value as u32).as_bytes()),
        Meaning::Unsigned64 => out.extend_from_slice(digits.format(value as u64).as_bytes()),
        _ => out.extend_from_slice(digits.format(value).as_bytes()),
    }
    true
}

/// In range, the unit shows from the size, as in CSV; else the text keeps it from being taken for another one.
fn stamp(value: i64, per_ms: i64, out: &mut Vec<u8>) {
    let at = Timestamp::from_millis(value.div_euclid(per_ms));
    if (TIMESTAMP_MIN..TIMESTAMP_END).contains(&at) {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    } else {
        string(at.to_string().as_bytes(), out);
    }
}

/// A date without a time, as a text: a number would be a moment.
fn date(days: i64, out: &mut Vec<u8>) {
    const DATE_BYTES: usize = "2021-01-21".len();
    let at = Timestamp::from_millis(days.saturating_mul(86_400_000));
    let text = at.to_string();
    let is_in_range = (TIMESTAMP_MIN..TIMESTAMP_END).contains(&at);
    string(text.get(..DATE_BYTES).filter(|_| is_in_range).unwrap_or(&text).as_bytes(), out);
}

/// Appends the shortest decimal that reads as `value`.
pub(super) fn double(value: f64, meaning: Meaning, out: &mut Vec<u8>) -> bool {
    /// Below, all whole doubles are exact as `i64`.
    const WHOLE_MAX: f64 = 9e18;
    if meaning == Meaning::EpochFloat && value.fract() == 0.0 && value.abs() < WHOLE_MAX {
        // Without an exponent, which no stamp has.
        return integer(value as i64, Meaning::Integer, out);
    }
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        string(value.to_string().as_bytes(), out);
    }
    true
}

/// The same of a single-precision number: the shortest decimal that reads as it in its own precision.
pub(super) fn float(value: f32, meaning: Meaning, out: &mut Vec<u8>) -> bool {
    if meaning == Meaning::EpochFloat || !value.is_finite() {
        return double(f64::from(value), meaning, out);
    }
    out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    true
}

/// Appends `true` or `false`.
pub(super) fn flag(value: bool, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(if value { b"true" } else { b"false" });
    true
}

/// Appends a text, or a decimal from its bytes. False: it is an empty text.
pub(super) fn bytes(value: &[u8], meaning: Meaning, out: &mut Vec<u8>) -> bool {
    if let Meaning::Decimal(scale) = meaning {
        match big_endian(value) {
            Some(value) => decimal(value, scale, out),
            None => string(b"more than 38 digits", out),
        }
        return true;
    }
    let text = value.trim_ascii();
    if text.is_empty() {
        return false;
    }
    string(text, out);
    true
}

fn decimal(value: i128, scale: usize, out: &mut Vec<u8>) {
    let text = value.unsigned_abs().to_string();
    if value < 0 {
        out.push(b'-');
    }
    let whole = text.len().saturating_sub(scale);
    out.extend_from_slice(if whole == 0 { b"0" } else { &text.as_bytes()[..whole] });
    if scale > 0 {
        out.push(b'.');
        out.resize(out.len() + scale.saturating_sub(text.len()), b'0');
        out.extend_from_slice(&text.as_bytes()[whole..]);
    }
}

/// A signed integer, most significant byte first; none where it has more bytes than fit.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut whole = [if negative { 0xff } else { 0 }; DECIMAL_BYTES_MAX];
    let start = DECIMAL_BYTES_MAX.checked_sub(bytes.len())?;
    whole[start..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(whole))
}

/// Appends a JSON string. What is no UTF-8 stays as it is: the record says so when it is decoded.
fn string(text: &[u8], out: &mut Vec<u8>) {
    let plain = |byte: &u8| *byte >= 0x20 && !matches!(byte, b'"' | b'\\');
    match std::str::from_utf8(text) {
        // Writing to a Vec cannot fail, and neither can a str's serialisation.
        Ok(text) if !text.bytes().all(|byte| plain(&byte)) => drop(serde_json::to_writer(out, text)),
        _ => {
            out.push(b'"');
            out.extend_from_slice(text);
            out.push(b'"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> bool) -> String {
        let mut out = Vec::new();
        let present = write(&mut out);
        assert_eq!(present, !out.is_empty());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_keep_their_digits() {
        for (value, scale, text) in [
            (3_157_174_i64, 2, "31571.74"),
            (-5, 3, "-0.005"),
            (0, 2, "0.00"),
            (100, 2, "1.00"),
            (7, 0, "7"),
            (i64::MIN, 8, "-92233720368.54775808"),
        ] {
            assert_eq!(written(|out| integer(value, Meaning::Decimal(scale), out)), text);
            let mut wide = i128::from(value).to_be_bytes().to_vec();
            assert_eq!(written(|out| bytes(&wide, Meaning::Decimal(scale), out)), text);
            assert_eq!(written(|out| bytes(&wide[8..], Meaning::Decimal(scale), out)), text);
            wide.insert(0, 0);
            assert_eq!(written(|out| bytes(&wide, Meaning::Decimal(scale), out)), "\"more than 38 digits\"");
        }
        assert_eq!(written(|out| bytes(&[0xff, 0x38], Meaning::Decimal(2), out)), "-2.00");
        assert_eq!(written(|out| bytes(&[], Meaning::Decimal(2), out)), "0.00");
    }

    #[test]
    fn numbers_are_the_shortest_that_read_as_them() {
        let double = |value| written(|out| double(value, Meaning::Float, out));
        assert_eq!((double(31571.74), double(1e-9), double(1e22)), ("31571.74".into(), "1e-9".into(), "1e22".into()));
        assert_eq!((double(f64::NAN), double(f64::NEG_INFINITY)), ("\"NaN\"".into(), "\"-inf\"".into()));
        assert_eq!(written(|out| float(31571.74, Meaning::Float, out)), "31571.74");
        assert_eq!(written(|out| integer(-1, Meaning::Unsigned32, out)), "4294967295");
        assert_eq!(written(|out| integer(-1, Meaning::Unsigned64, out)), "18446744073709551615");
        let epoch = |value| written(|out| super::double(value, Meaning::EpochFloat, out));
        assert_eq!(
            (epoch(1.611239671e18), epoch(1611239671.964)),
            ("1611239671000000000".into(), "1611239671.964".into())
        );
    }

    #[test]
    fn a_stamp_out_of_range_is_not_taken_for_another_unit() {
        let stamp = |value, per_ms| written(|out| integer(value, Meaning::Stamp(per_ms), out));
        assert_eq!(stamp(1_611_239_671_964, 1), "1611239671964");
        assert_eq!(stamp(1_611_239_671_964_034, 1000), "1611239671964034");
        assert_eq!(stamp(1_611_239_671, 1), "\"1970-01-19T15:33:59.671Z\"");
        assert_eq!(stamp(1_611_239_671_964, 1000), "\"1970-01-19T15:33:59.671Z\"");
        assert_eq!(stamp(i64::MIN, 1), format!("\"{} ms\"", i64::MIN));
    }

    #[test]
    fn texts_are_json() {
        let text = |bytes: &[u8]| {
            let mut out = Vec::new();
            (super::bytes(bytes, Meaning::Text, &mut out), out)
        };
        assert_eq!(text(b" BTC "), (true, b"\"BTC\"".to_vec()));
        assert_eq!(text(b"a\"\\\n"), (true, br#""a\"\\""#.to_vec()));
        assert_eq!(text(b"  "), (false, vec![]));
        assert_eq!(text(b"\xff"), (true, b"\"\xff\"".to_vec()));
    }
}
