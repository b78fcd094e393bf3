//! JSON arrays whose elements have names: `[1672531200000, 20000.0, 20002.5, 19991.9, 19994.2, 1.35]`, as `source.files.columns`
//! says.

use super::DecodeError;
use super::csv::Columns;
use super::fields::Fields;
use super::json::Cursor;
use super::raw::Raw;

/// Takes an array apart: an element for each column. Elements of columns that are passed over may be anything.
///
/// # Errors
/// When it is no array, or one of another length.
pub(super) fn split<'a>(columns: &Columns, value: &'a [u8], record: &mut Fields<'a>) -> Result<(), DecodeError> {
    let mut cursor = Cursor::new(value);
    cursor.space();
    if !cursor.take(b'[') {
        return Err(DecodeError::new("not_json", format_args!("not JSON: an array should begin with `[`")));
    }
    record.ids = columns.ids;
    let (mut slots, mut count) = (columns.slots(), 0_usize);
    cursor.array(|cursor| {
        let value = cursor.value()?;
        if let Some(field) = slots.next().flatten() {
            record.set(field, value);
        }
        count += 1;
        Ok(())
    })?;
    cursor.end()?;
    let expected = columns.slots().count();
    if count == expected {
        return Ok(());
    }
    Err(DecodeError::new(
        "wrong_columns",
        format_args!("the array has {count} elements, source.files.columns names {expected}"),
    ))
}

/// The elements of an array that has only texts, numbers, true, false and null.
pub(super) fn scalars(value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut cursor = Cursor::new(value);
    cursor.space();
    let (mut cells, mut is_flat) = (Vec::new(), cursor.take(b'['));
    if !is_flat {
        return None;
    }
    let read = cursor.array(|cursor| {
        match cursor.value()? {
            Raw::Text(text) | Raw::Number(text) => cells.push(text),
            Raw::Bool(is) => cells.push(if is { b"true" } else { b"false" }),
            Raw::Null | Raw::Absent => cells.push(b""),
            Raw::Escaped(_) | Raw::Object(_) | Raw::Array(_) => is_flat = false,
        }
        Ok(())
    });
    (read.is_ok() && cursor.end().is_ok() && is_flat).then_some(cells)
}
