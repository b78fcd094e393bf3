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
    /// Another type, by name.
    Other(&'static str),
}

impl<'a> Raw<'a> {
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
            Self::Other(kind) => Err(DecodeError::wrong(name, format_args!("is {kind}; it must be {expected}"))),
        }
    }
}
