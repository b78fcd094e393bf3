//! Gzip of any number of members, and padded with zeros behind the last one, as tapes and block devices leave it.

use flate2::bufread::GzDecoder;
use std::io::{BufRead, Error, ErrorKind, Read};

/// What a gzip member begins with.
const MEMBER: u8 = 0x1f;

/// The bytes of all members.
pub(super) struct Gzip<R>(State<R>);

enum State<R> {
    Member(Box<GzDecoder<R>>),
    /// Behind a member.
    Between(R),
    /// Behind zeros, which nothing may follow.
    Padding(R),
    End,
}

impl<R: BufRead> Gzip<R> {
    pub(super) fn new(reader: R) -> Self {
        Self(State::Member(Box::new(GzDecoder::new(reader))))
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match &mut self.0 {
                State::Member(member) => {
                    let read = member.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        return Ok(read);
                    }
                    self.0 = match std::mem::replace(&mut self.0, State::End) {
                        State::Member(member) => State::Between(member.into_inner()),
                        other => other,
                    };
                }
                State::Between(reader) => {
                    let next = reader.fill_buf()?.first().copied();
                    let here = std::mem::replace(&mut self.0, State::End);
                    self.0 = match (here, next) {
                        (State::Between(reader), Some(MEMBER)) => State::Member(Box::new(GzDecoder::new(reader))),
                        (State::Between(reader), Some(0)) => State::Padding(reader),
                        (here, Some(_)) => {
                            self.0 = here;
                            return Err(rubbish());
                        }
                        _ => State::End,
                    };
                }
                State::Padding(reader) => {
                    let bytes = reader.fill_buf()?;
                    if bytes.iter().any(|byte| *byte != 0) {
                        return Err(rubbish());
                    }
                    match bytes.len() {
                        0 => self.0 = State::End,
                        zeros => reader.consume(zeros),
                    }
                }
                State::End => return Ok(0),
            }
        }
    }
}

fn rubbish() -> Error {
    Error::new(ErrorKind::InvalidData, "behind its last gzip member stands what is neither gzip nor zeros")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufReader, Write as _};

    fn gz(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(parts: &[&[u8]]) -> std::io::Result<String> {
        let bytes = parts.concat();
        // A small buffer, so that all its ends are met.
        let mut text = String::new();
        Gzip::new(BufReader::with_capacity(7, &bytes[..])).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn members_and_padding_are_read_to_their_end() {
        let (a, b, zeros) = (gz("first\n"), gz("second\n"), vec![0; 100]);
        assert_eq!(read(&[&a]).unwrap(), "first\n");
        assert_eq!(read(&[&a, &b]).unwrap(), "first\nsecond\n");
        assert_eq!(read(&[&a, &b, &zeros]).unwrap(), "first\nsecond\n");
        assert_eq!(read(&[&a, &[0]]).unwrap(), "first\n");
        assert_eq!(read(&[&gz(""), &a, &gz("")]).unwrap(), "first\n");
    }

    #[test]
    fn what_is_no_padding_is_an_error() {
        let (a, zeros) = (gz("first\n"), vec![0; 100]);
        for rest in
            [&[1_u8][..], b"text", &[zeros.clone(), vec![1]].concat(), &[zeros, gz("x")].concat(), &gz("x")[..9]]
        {
            assert!(read(&[&a, rest]).is_err(), "{rest:?}");
        }
        assert!(read(&[b"\x1f\x8btext"]).is_err());
    }

    #[test]
    fn an_error_stays() {
        let bytes = [gz("a"), b"rubbish".to_vec()].concat();
        let mut reader = Gzip::new(&bytes[..]);
        let mut buffer = [0; 10];
        assert_eq!(reader.read(&mut buffer).unwrap(), 1);
        assert!(reader.read(&mut buffer).is_err());
        assert!(reader.read(&mut buffer).is_err());
    }
}
