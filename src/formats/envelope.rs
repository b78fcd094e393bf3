//! What stands around records on their way: each message is looked at by its first byte, so that a plain object costs nothing.
//!
//! | around the record | begins with |
//! |---|---|
//! | a byte order mark | `EF BB BF` |
//! | a schema registry's frame before JSON | `00`, and four bytes of schema id |
//! | JSON text in a JSON string | `"` |
//! | a list of records | `[{` |
//! | Kafka Connect: `{"schema":…,"payload":{…}}` | `{` |
//! | Debezium: `{"before":…,"after":{…},"op":"c"}` | `{` |
//!
//! They may stand in one another. A value that is `null` is a deletion, ignored as [`TOMBSTONE`]. Behind a registry's frame Avro
//! and Protobuf are not read: both need the schema.
//!
//! ```
//! use tickcast::config::Format;
//! use tickcast::formats::{Decoded, Decoder};
//! use tickcast::market::SymbolTable;
//!
//! let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
//! let mut decoder = Decoder::json(Format::Auto, None, None);
//! let value = br#"{"schema":{},"payload":{"before":null,"after":{"symbol":"BTC","timestamp":1611239671964,"price":3}}}"#;
//! assert_eq!(decoder.decode(None, value, &mut symbols, &mut out), Ok(Decoded::Used));
//! assert_eq!(decoder.decode(None, b"null", &mut symbols, &mut out), Ok(Decoded::Ignored("tombstone")));
//! ```

use super::error::{self, DecodeError};
use super::fields::Names;
use super::json::{Cursor, unescape};
use super::raw::Raw;
use super::trade::{self, Batch, Sink};
use super::{Decoded, Json, check_utf8, decode_object};
use crate::market::Observation;

/// The kind of a value that is `null`: a deletion.
pub const TOMBSTONE: &str = "tombstone";

/// How many envelopes may stand in one another.
const DEPTH_MAX: u8 = 8;

/// How a registry's frame begins.
const FRAME: u8 = 0;
/// The frame's length: that byte and the schema's id.
const FRAME_BYTES: usize = 5;

/// Appends the observations of a value that is no plain object.
pub(super) fn open(
    json: Json,
    value: &[u8],
    depth: u8,
    names: &mut Names<'_>,
    out: &mut Vec<Observation>,
) -> Result<Decoded, DecodeError> {
    if depth > DEPTH_MAX {
        return Err(error::unknown(format_args!("more than {DEPTH_MAX} envelopes stand in one another")));
    }
    match value.trim_ascii_start() {
        [b'{' | b'+', ..] => decode_object(json, value.trim_ascii_start(), depth, names, out),
        [0xef, 0xbb, 0xbf, rest @ ..] => open(json, rest, depth + 1, names, out),
        [FRAME, ..] => open_frame(json, value.trim_ascii_start(), depth, names, out),
        [b'"', ..] => {
            check_utf8(value)?;
            let mut cursor = Cursor::new(value.trim_ascii_start());
            let text = cursor.value()?;
            cursor.end()?;
            open_text(json, text, depth, names, out)
        }
        [b'[', ..] => open_list(json, value.trim_ascii_start(), depth, names, out),
        rest if rest.trim_ascii_end() == b"null" => Ok(Decoded::Ignored(TOMBSTONE)),
        rest => decode_object(json, rest, depth, names, out),
    }
}

/// What an object holds that is an envelope.
pub(super) fn open_content(
    json: Json,
    content: Raw<'_>,
    depth: u8,
    names: &mut Names<'_>,
    out: &mut Vec<Observation>,
) -> Result<Decoded, DecodeError> {
    match content {
        Raw::Null => Ok(Decoded::Ignored(TOMBSTONE)),
        Raw::Object(text) | Raw::Array(text) => open(json, text, depth + 1, names, out),
        Raw::Text(_) | Raw::Escaped(_) => open_text(json, content, depth, names, out),
        other => Err(error::unknown(format_args!("the envelope's payload is {}", other.kind()))),
    }
}

/// JSON text in a JSON string.
fn open_text(
    json: Json,
    text: Raw<'_>,
    depth: u8,
    names: &mut Names<'_>,
    out: &mut Vec<Observation>,
) -> Result<Decoded, DecodeError> {
    let inner = match text {
        Raw::Text(text) => std::borrow::Cow::Borrowed(text),
        Raw::Escaped(quoted) => match unescape(quoted) {
            Some(text) => text.into_bytes().into(),
            None => return Err(error::unknown(format_args!("the value is a string with half of a surrogate pair"))),
        },
        other => return Err(error::unknown(format_args!("the value is {}", other.kind()))),
    };
    match inner.trim_ascii_start().first() {
        Some(b'{' | b'[' | b'"') => open(json, &inner, depth + 1, names, out),
        _ => Err(error::unknown(format_args!("the value is a string, and no JSON in it"))),
    }
}

fn open_frame(
    json: Json,
    value: &[u8],
    depth: u8,
    names: &mut Names<'_>,
    out: &mut Vec<Observation>,
) -> Result<Decoded, DecodeError> {
    let Some((frame, rest)) = value.split_first_chunk::<FRAME_BYTES>() else {
        return Err(DecodeError::new("not_json", format_args!("not JSON: it begins with a byte 0")));
    };
    if matches!(rest.trim_ascii_start().first(), Some(b'{' | b'[' | b'"')) {
        return open(json, rest, depth + 1, names, out);
    }
    let schema = u32::from_be_bytes([frame[1], frame[2], frame[3], frame[4]]);
    // Protobuf's frame goes on with the place of its message in the schema, mostly 0 for the first; then comes a field's tag.
    let is_protobuf = matches!(rest, [0, tag, ..] if *tag >> 3 > 0 && matches!(*tag & 7, 0 | 1 | 2 | 5));
    let name = if is_protobuf { "Protobuf" } else { "Avro" };
    let reason = if check_utf8(value).is_ok() { "not_json" } else { "not_utf8" };
    Err(DecodeError::new(
        reason,
        format_args!(
            "not JSON, but {name} by its looks, of schema id {schema} in a schema registry: only JSON is read; let its producer or a connector write JSON"
        ),
    ))
}

/// A list of records, or a message of an exchange that is a list.
fn open_list(
    json: Json,
    value: &[u8],
    depth: u8,
    names: &mut Names<'_>,
    out: &mut Vec<Observation>,
) -> Result<Decoded, DecodeError> {
    check_utf8(value)?;
    let mut cursor = Cursor::new(value);
    let list = cursor.value()?;
    cursor.end()?;
    let Raw::Array(text) = list else {
        return Err(error::unknown(format_args!("the value is {}", list.kind())));
    };
    if !matches!(text[1..].trim_ascii_start().first(), Some(b'{' | b'"' | b'n')) {
        let mut sink = Sink { wanted: json.wanted(), interval: json.interval, names, out };
        return trade::observe_array(text, &mut sink);
    }
    // If no element has a price, the first one's kind is the list's.
    let (mut batch, mut kind) = (Batch::default(), None);
    let mut cursor = Cursor::new(text);
    cursor.take(b'[');
    cursor.array(|cursor| {
        let read = match cursor.value()? {
            Raw::Null => Ok(Decoded::Ignored(TOMBSTONE)),
            Raw::Object(element) => open(json, element, depth + 1, names, out),
            element @ (Raw::Text(_) | Raw::Escaped(_)) => open_text(json, element, depth, names, out),
            element => Err(error::unknown(format_args!("an element of the list is {}", element.kind()))),
        };
        match read {
            Ok(Decoded::Ignored(ignored)) => drop(kind.get_or_insert(ignored)),
            Ok(Decoded::Used) => batch.used(),
            Ok(Decoded::Partly(reason)) => {
                batch.used();
                batch.fail(DecodeError::new(reason, format_args!("an element of the list is used in part")));
            }
            Err(error) => batch.fail(error),
        }
        Ok(())
    })?;
    match (batch.finish()?, kind) {
        (Decoded::Ignored(_), Some(kind)) => Ok(Decoded::Ignored(kind)),
        (decoded, _) => Ok(decoded),
    }
}
