//! Where a JSON value ends, found byte by byte in pieces: brackets, strings and what may follow what. Whether numbers and words
//! are right is left to who reads the value.

/// The deepest nesting that is followed: as deep as a record may be.
const DEPTH_MAX: u32 = 128;

/// How far a value is seen.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    state: State,
    depth: u32,
    /// A bit for each open level: whether it is an object.
    objects: u128,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The value goes on behind these bytes.
    More,
    /// The value ends before this byte.
    End(usize),
    /// This byte cannot stand here.
    Wrong(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value has to come.
    Value,
    /// A value, or the end of the array that has just begun.
    ValueOrEnd,
    /// A key, or the end of the object that has just begun.
    KeyOrEnd,
    Key,
    Colon,
    /// Within a string; whether it is a key.
    Text(bool),
    /// Behind a backslash.
    Escape(bool),
    /// Within a number or a word.
    Word,
    /// Behind a value: a comma or the end.
    After,
}

impl Scan {
    /// At the beginning of a value.
    pub(super) fn new() -> Self {
        Self { state: State::Value, depth: 0, objects: 0 }
    }

    /// Goes on with the bytes that follow those seen so far.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Found {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                State::Text(is_key) => {
                    let Some(next) = memchr::memchr3(b'"', b'\\', b'\n', &bytes[at..]) else { return Found::More };
                    at += next;
                    match bytes[at] {
                        b'"' if is_key => self.state = State::Colon,
                        b'"' => self.state = State::After,
                        b'\\' => self.state = State::Escape(is_key),
                        _ => return Found::Wrong(at),
                    }
                }
                State::Escape(is_key) => self.state = State::Text(is_key),
                State::Word if is_word(byte) => {}
                State::Word => {
                    self.state = State::After;
                    if self.depth == 0 {
                        return Found::End(at);
                    }
                    continue;
                }
                _ if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => {}
                State::KeyOrEnd if byte == b'}' => self.close(),
                State::Key | State::KeyOrEnd if byte == b'"' => self.state = State::Text(true),
                State::Colon if byte == b':' => self.state = State::Value,
                State::ValueOrEnd if byte == b']' => self.close(),
                State::Value | State::ValueOrEnd => {
                    if !self.begins(byte) {
                        return Found::Wrong(at);
                    }
                }
                State::After if byte == b',' => self.state = if self.in_object() { State::Key } else { State::Value },
                State::After if byte == (if self.in_object() { b'}' } else { b']' }) => self.close(),
                _ => return Found::Wrong(at),
            }
            at += 1;
            if self.depth == 0 && self.state == State::After {
                return Found::End(at);
            }
        }
        Found::More
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
        self.state = State::After;
    }

    /// Begins a value with this byte, if one does.
    fn begins(&mut self, byte: u8) -> bool {
        match byte {
            b'"' => self.state = State::Text(false),
            b'{' | b'[' if self.depth < DEPTH_MAX => {
                let is_object = byte == b'{';
                self.depth += 1;
                self.objects = self.objects << 1 | u128::from(is_object);
                self.state = if is_object { State::KeyOrEnd } else { State::ValueOrEnd };
            }
            _ if is_word(byte) => self.state = State::Word,
            _ => return false,
        }
        true
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_they_do() {
        for (text, expected) in [
            ("{} ", Found::End(2)),
            ("{\"a\":1}{", Found::End(7)),
            ("[1, [2], {\"a\":[]}],", Found::End(18)),
            ("\"a\\\"}\" ", Found::End(6)),
            ("{\"}\":\"{[\\\\\"}", Found::End(12)),
            ("12 ", Found::End(2)),
            ("null,", Found::End(4)),
            (" \n{}", Found::End(4)),
            ("12", Found::More),
            ("{\"a\":1", Found::More),
            ("{\"a", Found::More),
            ("", Found::More),
            ("{\"a\":1,{", Found::Wrong(7)),
            ("{\"a\":1,}", Found::Wrong(7)),
            ("{1", Found::Wrong(1)),
            ("{\"a\" 1", Found::Wrong(5)),
            ("[1}", Found::Wrong(2)),
            ("[1 2", Found::Wrong(3)),
            ("[,", Found::Wrong(1)),
            ("{\"a\n", Found::Wrong(3)),
            ("}", Found::Wrong(0)),
            ("'a'", Found::Wrong(0)),
        ] {
            assert_eq!(Scan::new().take(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn pieces_are_seen_as_the_whole() {
        for text in ["{\"a\\\"\":[1,{\"b\":null}],\"c\":\"x\\\\\"} ", "[1,[2,{}]]x", "{\"a\":1,{", "{\"a\n\"", "17 "] {
            let whole = Scan::new().take(text.as_bytes());
            for cut in 0..text.len() {
                let mut scan = Scan::new();
                let found = match scan.take(&text.as_bytes()[..cut]) {
                    Found::More => match scan.take(&text.as_bytes()[cut..]) {
                        Found::More => Found::More,
                        Found::End(at) => Found::End(at + cut),
                        Found::Wrong(at) => Found::Wrong(at + cut),
                    },
                    found => found,
                };
                assert_eq!(found, whole, "{text} cut at {cut}");
            }
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = |levels: usize| Scan::new().take(&b"[".repeat(levels));
        assert_eq!((deep(128), deep(129)), (Found::More, Found::Wrong(128)));
    }
}
