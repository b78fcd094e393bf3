//! A strict JSON reader that borrows and never allocates: values stay text, so that numbers are read from their digits.

use super::error::DecodeError;
use super::raw::Raw;

/// The deepest nesting that is read.
const DEPTH_MAX: u32 = 128;

/// Where a text stops being JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    /// Byte offset.
    pub at: usize,
    /// What should stand there.
    pub expected: &'static str,
}

impl From<Syntax> for DecodeError {
    #[cold]
    fn from(error: Syntax) -> Self {
        Self::new("not_json", format_args!("not JSON: at byte {} there should be {}", error.at, error.expected))
    }
}

/// A place in a JSON text, which must be UTF-8.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[cold]
    fn wrong<T>(&self, expected: &'static str) -> Result<T, Syntax> {
        Err(Syntax { at: self.at, expected })
    }

    /// Goes past white space.
    #[inline(always)]
    pub fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// Goes past `byte`, if it stands here.
    #[inline(always)]
    pub fn take(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    /// Whether `byte` stands here.
    #[inline(always)]
    pub fn is_at(&self, byte: u8) -> bool {
        self.peek() == Some(byte)
    }

    /// Only white space may follow.
    pub fn end(&mut self) -> Result<(), Syntax> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { self.wrong("the end") }
    }

    /// An object whose `{` has been taken: calls `field` at the value of each key, which must read that value.
    #[inline]
    pub fn object(&mut self, mut field: impl FnMut(&mut Self, &[u8]) -> Result<(), Syntax>) -> Result<(), Syntax> {
        self.space();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            let (key, escaped) = self.key()?;
            if escaped {
                let key = unescape(key).unwrap_or_default();
                field(self, key.as_bytes())?;
            } else {
                field(self, &key[1..key.len() - 1])?;
            }
            self.space();
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return self.wrong("`,` or `}`");
            }
        }
    }

    /// An array whose `[` has been taken: calls `element` at each of its values, which must read that value.
    #[inline]
    pub fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), Syntax>) -> Result<(), Syntax> {
        self.space();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.space();
            element(self)?;
            self.space();
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return self.wrong("`,` or `]`");
            }
        }
    }

    /// A value that should be an object: reads its fields into a new `T`. None where it is of another type.
    #[inline]
    pub fn fields_of<T: Default>(
        &mut self,
        mut field: impl FnMut(&mut T, &mut Self, &[u8]) -> Result<(), Syntax>,
    ) -> Result<Option<T>, Syntax> {
        if !self.take(b'{') {
            return self.value().map(|_| None);
        }
        let mut value = T::default();
        self.object(|cursor, key| field(&mut value, cursor, key))?;
        Ok(Some(value))
    }

    /// Reads one value. Objects and arrays are checked and passed over.
    #[inline(always)]
    pub fn value(&mut self) -> Result<Raw<'a>, Syntax> {
        match self.peek() {
            Some(b'"') => {
                let (quoted, escaped) = self.string()?;
                Ok(if escaped { Raw::Escaped(quoted) } else { Raw::Text(&quoted[1..quoted.len() - 1]) })
            }
            Some(b'-' | b'0'..=b'9') => self.number().map(Raw::Number),
            Some(b'{') => self.pass_container().map(Raw::Object),
            Some(b'[') => self.pass_container().map(Raw::Array),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Result<Raw<'a>, Syntax> {
        let rest = &self.text[self.at.min(self.text.len())..];
        for (word, raw) in [("null", Raw::Null), ("true", Raw::Bool(true)), ("false", Raw::Bool(false))] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(raw);
            }
        }
        self.wrong("a value")
    }

    /// A key with its quotes, and whether it holds escapes; and the `:` behind it.
    #[inline(always)]
    fn key(&mut self) -> Result<(&'a [u8], bool), Syntax> {
        if self.peek() != Some(b'"') {
            return self.wrong("a key");
        }
        let key = self.string()?;
        self.space();
        if !self.take(b':') {
            return self.wrong("`:`");
        }
        self.space();
        Ok(key)
    }

    /// A string with its quotes, and whether it holds escapes.
    #[inline(always)]
    fn string(&mut self) -> Result<(&'a [u8], bool), Syntax> {
        let start = self.at;
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at += plain_prefix(&self.text[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((&self.text[start..self.at], escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.wrong("no control character in a string"),
                None => return self.wrong("the closing quote of a string"),
            }
        }
    }

    #[cold]
    fn escape(&mut self) -> Result<(), Syntax> {
        let length = match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u')
                if self.text.get(self.at + 2..self.at + 6).is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) =>
            {
                6
            }
            _ => return self.wrong("an escape that JSON knows"),
        };
        self.at += length;
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self) -> Result<&'a [u8], Syntax> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    #[inline(always)]
    fn digits(&mut self) -> Result<(), Syntax> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { self.wrong("a digit") } else { Ok(()) }
    }

    /// Checks an object or array and goes past it; gives its text. No recursion: a bit per
    /// open level says which of the two it is.
    #[inline(never)]
    fn pass_container(&mut self) -> Result<&'a [u8], Syntax> {
        let start = self.at;
        let mut depth = 0;
        let mut objects = 0_u128;
        loop {
            if let Some(open @ (b'{' | b'[')) = self.peek() {
                if depth == DEPTH_MAX {
                    return self.wrong("no more than 128 levels");
                }
                self.at += 1;
                self.space();
                let is_object = open == b'{';
                if !self.take(if is_object { b'}' } else { b']' }) {
                    depth += 1;
                    objects = objects << 1 | u128::from(is_object);
                    if is_object {
                        self.key()?;
                    }
                    continue;
                }
            } else {
                self.value()?;
            }
            loop {
                if depth == 0 {
                    return Ok(&self.text[start..self.at]);
                }
                let is_object = objects & 1 == 1;
                self.space();
                if self.take(b',') {
                    self.space();
                    if is_object {
                        self.key()?;
                    }
                    break;
                }
                if !self.take(if is_object { b'}' } else { b']' }) {
                    return self.wrong("`,` or the end of an object or array");
                }
                depth -= 1;
                objects >>= 1;
            }
        }
    }
}

/// What a string with escapes, given with its quotes, says; none where it has half of a surrogate pair.
pub(super) fn unescape(quoted: &[u8]) -> Option<String> {
    serde_json::from_slice(quoted).ok()
}

/// How many bytes come before the next quote, backslash or control character. Eight bytes at a time: in
/// `x - 0x01…01 & !x & 0x80…80` the lowest mark is that of the first zero byte.
#[inline(always)]
fn plain_prefix(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut at = 0;
    while let Some(chunk) = text[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let hit = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\'))) | control;
        if hit != 0 {
            return at + hit.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = &text[at..];
    at + rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accepts(text: &[u8]) -> bool {
        let mut cursor = Cursor::new(text);
        cursor.space();
        cursor.value().is_ok() && cursor.end().is_ok()
    }

    /// The oracle: serde_json passing over a value.
    fn oracle(text: &[u8]) -> bool {
        serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
    }

    #[test]
    fn agrees_with_serde_json_on_the_edges() {
        for text in [
            "",
            " ",
            "{}",
            "[]",
            "{ }",
            "[ ]",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "[1 2]",
            "[[],{}]",
            "[{\"a\":[1,{\"b\":null}]},2]",
            "0",
            "-0",
            "01",
            "-",
            "1.",
            ".5",
            "1.5e",
            "1e+5",
            "1E-5",
            "1e5.5",
            "+1",
            "NaN",
            "nul",
            "null",
            "nullx",
            "true",
            "false",
            "tru",
            "\"",
            "\"a",
            "\"\\\"",
            "\"\\u12g4\"",
            "\"\\u1234\"",
            "\"\\x\"",
            "\"\u{1}\"",
            "\"é\"",
            "\"0123456789\\n\"",
            "[}",
            "{]",
            "[1}",
            "{\"a\":1]",
            "1 1",
            "\"a\tb\"",
            "[",
            "{",
            "]",
            "}",
            "{\"a\":1,\"a\":2}",
            "\"12345678\u{7f}\"",
        ] {
            assert_eq!(accepts(text.as_bytes()), oracle(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn bounds_the_nesting() {
        let nested = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(accepts(nested(128).as_bytes()));
        assert!(!accepts(nested(129).as_bytes()));
        assert!(!accepts("[".repeat(1_000_000).as_bytes()));
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}:,"\\ 0-9a.eE+\-ntrufls\n]{0,24}"#) {
            prop_assert_eq!(accepts(text.as_bytes()), oracle(text.as_bytes()));
        }

        #[test]
        fn agrees_with_serde_json_on_broken_documents(cut in 0_usize..80, insert in any::<char>(), at in 0_usize..80) {
            let whole = "{\"a\": [1, -2.5e3, \"x\\u00e9\\n\", {\"b\": null}], \"status\":{\"ok\":true},\"z\":\"123456789\"}";
            let mut text: String = whole.chars().take(whole.len() - cut.min(whole.len())).collect();
            text.insert(at.min(text.len()), insert);
            prop_assert_eq!(accepts(text.as_bytes()), oracle(text.as_bytes()));
        }

        #[test]
        fn finds_the_first_special_byte(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let expected = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(bytes.len());
            prop_assert_eq!(plain_prefix(&bytes), expected);
        }
    }
}
