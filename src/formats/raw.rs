//! A field's value as it came, before anybody knows what it means.

use super::error::{DecodeError, shown};
use super::json::Cursor;

/// A field's value as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Raw<'a> {
    /// There is no such field, or an empty cell.
    #[default]
    Absent,
    /// `null`.
    Null,
    /// A string without escapes, or a cell: its text.
    Text(&'a [u8]),
    /// A string with escapes: its text with the quotes.
    Escaped(&'a [u8]),
    /// A JSON number.
    Number(&'a [u8]),
    /// `true` or `false`.
    Bool(bool),
    /// An object, from its `{` to its `}`.
    Object(&'a [u8]),
    /// An array, from its `[` to its `]`.
    Array(&'a [u8]),
}

impl<'a> Raw<'a> {
    /// The type, for errors.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Null => "null",
            Self::Text(_) | Self::Escaped(_) => "a string",
            Self::Number(_) => "a number",
            Self::Bool(_) => "a boolean",
            Self::Object(_) => "an object",
            Self::Array(_) => "an array",
        }
    }

    #[inline]
    pub fn is_absent(self) -> bool {
        matches!(self, Self::Absent | Self::Null)
    }

    /// This, or `other` where this is absent.
    pub fn or(self, other: Self) -> Self {
        if self.is_absent() { other } else { self }
    }

    /// The text of a number or a string.
    #[inline(always)]
    pub fn text(self, name: &'static str, expected: &'static str) -> Result<&'a [u8], DecodeError> {
        match self {
            Self::Text(text) | Self::Number(text) => Ok(text),
            Self::Absent | Self::Null => Err(DecodeError::missing(name)),
            Self::Escaped(text) => {
                Err(DecodeError::wrong(name, format_args!("`{}` has escapes; it must be {expected}", shown(text))))
            }
            Self::Bool(_) | Self::Object(_) | Self::Array(_) => match self.extended().text_only() {
                Some(text) => Ok(text),
                None => Err(DecodeError::wrong(name, format_args!("is {}; it must be {expected}", self.kind()))),
            },
        }
    }

    fn text_only(self) -> Option<&'a [u8]> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            _ => None,
        }
    }

    /// What MongoDB's extended JSON says, `{"$date":"2023-01-01T00:00:00Z"}`, `{"$date":{"$numberLong":"1672531200000"}}`,
    /// `{"$numberDouble":"1.5"}`; any other value is itself.
    #[cold]
    pub fn extended(self) -> Self {
        /// A date holds a number at the most.
        const DEPTH_MAX: usize = 2;
        let mut value = self;
        for _ in 0..DEPTH_MAX {
            let Self::Object(object) = value else { break };
            let (mut inner, mut count) = (Self::Absent, 0);
            let mut cursor = Cursor::new(object);
            cursor.take(b'{');
            let read = cursor.object(|cursor, key| {
                count += 1;
                let value = cursor.value()?;
                if matches!(
                    key,
                    b"$date" | b"$numberDouble" | b"$numberLong" | b"$numberInt" | b"$numberDecimal" | b"$oid"
                ) {
                    inner = value;
                }
                Ok(())
            });
            if read.is_err() || count != 1 || matches!(inner, Self::Absent) {
                break;
            }
            value = inner;
        }
        value
    }
}
