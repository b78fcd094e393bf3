//! A field's value as it came, before anybody knows what it means.

use super::error::{DecodeError, shown};

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
            Self::Bool(_) | Self::Object(_) | Self::Array(_) => {
                Err(DecodeError::wrong(name, format_args!("is {}; it must be {expected}", self.kind())))
            }
        }
    }
}
