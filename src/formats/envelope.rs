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
use super::json::{Cursor, unescape};
use super::raw::Raw;
use super::trade::{Batch, Sink, kraken};
use super::{Decoded, check_utf8, decode_object};
use std::borrow::Cow;

/// The kind of a value that is `null`: a deletion.
pub const TOMBSTONE: &str = "tombstone";

/// How many envelopes may stand in one another.
const DEPTH_MAX: u8 = 8;

/// How a registry's frame begins.
const FRAME: u8 = 0;
/// The frame's length: that byte and the schema's id.
const FRAME_BYTES: usize = 5;

/// Appends the observations of a value that is no plain object; `depth`: how many envelopes it stood in.
pub(super) fn open(value: &[u8], depth: u8, sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
    if depth > DEPTH_MAX {
        return Err(error::unknown(format_args!("more than {DEPTH_MAX} envelopes stand in one another")));
    }
    match value.trim_ascii_start() {
        object @ [b'{' | b'+', ..] => decode_object(object, depth, sink),
        [0xef, 0xbb, 0xbf, rest @ ..] => open(rest, depth + 1, sink),
        framed @ [FRAME, ..] => open_frame(framed, depth, sink),
        text @ [b'"', ..] => open_text(whole_value(text)?, depth, sink),
        list @ [b'[', ..] => open_list(whole_value(list)?, depth, sink),
        rest if rest.trim_ascii_end() == b"null" => Ok(Decoded::Ignored(TOMBSTONE)),
        rest => decode_object(rest, depth, sink),
    }
}

/// The one value that a text is.
fn whole_value(text: &[u8]) -> Result<Raw<'_>, DecodeError> {
    check_utf8(text)?;
    let mut cursor = Cursor::new(text);
    let value = cursor.value()?;
    cursor.end()?;
    Ok(value)
}

/// What an object holds that is an envelope.
pub(super) fn open_content(content: Raw<'_>, depth: u8, sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
    match content {
        Raw::Null => Ok(Decoded::Ignored(TOMBSTONE)),
        Raw::Object(text) | Raw::Array(text) => open(text, depth + 1, sink),
        Raw::Text(_) | Raw::Escaped(_) => open_text(content, depth, sink),
        other => Err(error::unknown(format_args!("where a record should stand, there is {}", other.kind()))),
    }
}

/// JSON text in a JSON string.
fn open_text(text: Raw<'_>, depth: u8, sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
    let inner = match text {
        Raw::Text(text) => Cow::Borrowed(text),
        Raw::Escaped(quoted) => match unescape(quoted) {
            Some(text) => text.into_bytes().into(),
            None => return Err(error::unknown(format_args!("the value is a string with half of a surrogate pair"))),
        },
        other => return Err(error::unknown(format_args!("the value is {}", other.kind()))),
    };
    match inner.trim_ascii_start().first() {
        Some(b'{' | b'[' | b'"') => open(&inner, depth + 1, sink),
        _ => Err(error::unknown(format_args!("the value is a string, and no JSON in it"))),
    }
}

fn open_frame(value: &[u8], depth: u8, sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
    let Some((frame, rest)) = value.split_first_chunk::<FRAME_BYTES>() else {
        return Err(DecodeError::new("not_json", format_args!("not JSON: it begins with a byte 0")));
    };
    if matches!(rest.trim_ascii_start().first(), Some(b'{' | b'[' | b'"')) {
        return open(rest, depth + 1, sink);
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
fn open_list(list: Raw<'_>, depth: u8, sink: &mut Sink<'_, '_>) -> Result<Decoded, DecodeError> {
    let Raw::Array(text) = list else {
        return Err(error::unknown(format_args!("the value is {}", list.kind())));
    };
    if !matches!(text[1..].trim_ascii_start().first(), Some(b'{' | b'"' | b'n')) {
        return kraken::observe_array(text, sink);
    }
    let mut batch = Batch::default();
    let mut cursor = Cursor::new(text);
    cursor.take(b'[');
    cursor.array(|cursor| {
        let element = cursor.value()?;
        batch.take(open_content(element, depth, sink));
        Ok(())
    })?;
    batch.finish()
}
