//! A strict JSON reader that borrows and never allocates: values stay text, so that numbers are read from their digits.

use super::error::DecodeError;
use super::raw::Raw;

/// A one in each byte, and the highest bit of each.
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

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

/// A place in a JSON text. What has been read is UTF-8 but for its strings: those with bytes beyond ASCII are left to
/// be checked ([`Cursor::is_ascii`]).
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether a string may hold bytes beyond ASCII: only then can the text be other than UTF-8.
    non_ascii: bool,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, non_ascii: false }
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
        // Nearly always there is none: one comparison instead of four.
        if self.peek().is_some_and(|byte| byte > b' ') {
            return;
        }
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

    /// Whether all that was read is ASCII for sure.
    pub fn is_ascii(&self) -> bool {
        !self.non_ascii
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

    /// A value that should be an object: reads its fields into `slot`, in place. None where it is of another type.
    #[inline]
    pub fn fields_of<T: Default>(
        &mut self,
        slot: &mut Option<T>,
        mut field: impl FnMut(&mut T, &mut Self, &[u8]) -> Result<(), Syntax>,
    ) -> Result<(), Syntax> {
        *slot = None;
        if !self.take(b'{') {
            return self.value().map(drop);
        }
        let value = slot.insert(T::default());
        self.object(|cursor, key| field(value, cursor, key))
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
            let (plain, high) = plain_prefix(&self.text[self.at..]);
            self.at += plain;
            self.non_ascii |= high;
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
        self.at += digit_prefix(&self.text[self.at..]);
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

/// How many bytes come before the next quote, backslash or control character, and whether any may be beyond ASCII. Eight
/// bytes at a time: in `x - 0x01…01 & !x & 0x80…80` the lowest mark is that of the first zero byte.
#[inline(always)]
fn plain_prefix(text: &[u8]) -> (usize, bool) {
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (mut at, mut seen) = (0, 0);
    while let Some(chunk) = text[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        seen |= word;
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let hit = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\'))) | control;
        if hit != 0 {
            return (at + hit.trailing_zeros() as usize / 8, seen & HIGH != 0);
        }
        at += 8;
    }
    let rest = &text[at..];
    let plain = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len());
    (at + plain, seen & HIGH != 0 || !rest[..plain].is_ascii())
}

/// How many digits come first. Eight bytes at a time: of a byte less `0`, above 9 either adding 0x76 sets the highest
/// bit, or it is set already; nothing is carried out of the bytes before the first of those.
#[inline(always)]
fn digit_prefix(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = text[at..].first_chunk::<8>() {
        let digits = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(b'0'));
        let other = (digits.wrapping_add(ONES * 0x76) | digits) & HIGH;
        if other != 0 {
            return at + other.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = &text[at..];
    at + rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len())
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
