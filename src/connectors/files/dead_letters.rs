//! Records that could not be used, as JSON lines.

use super::lines_file::{LinesFile, Writing, check_writable, trouble};
use crate::delivery::{Batch, Ending, Sink, SinkError, Stop};
use crate::market::DeadLetter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

/// A file of dead letters, one object a line:
/// `{"topic","partition","offset","error","key","value"}`, the last two as `key_base64` and `value_base64` where they
/// are no UTF-8; with `"truncated":true` and `sha256` (of the whole value) where the value was cut.
pub struct DeadLetterFile {
    lines: LinesFile,
    /// The last offset that the file has, by topic and partition: a live job reads from its start again.
    known: BTreeMap<(String, u32), u64>,
}

impl DeadLetterFile {
    /// Finds out whether the file could be written, and changes nothing.
    ///
    /// # Errors
    /// When it cannot, or a live job may not add to it; the message holds its path.
    pub fn check(path: &Path, writing: Writing) -> Result<(), SinkError> {
        check_writable(path)?;
        known(path, writing).map(drop)
    }

    /// Opens the file, and creates its directory.
    ///
    /// # Errors
    /// As [`DeadLetterFile::check`].
    pub fn open(path: &Path, writing: Writing) -> Result<Self, SinkError> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(|error| trouble("cannot create the directory", dir, &error))?;
        }
        let known = known(path, writing)?;
        let lines = match writing {
            Writing::Whole => LinesFile::whole(path)?,
            Writing::Append => LinesFile::append(path)?,
        };
        Ok(Self { lines, known })
    }
}

/// What of a dead letter tells whether it is there already.
#[derive(Deserialize)]
struct Place {
    topic: String,
    partition: u32,
    offset: u64,
}

/// The last offsets that a file has, where it is added to.
fn known(path: &Path, writing: Writing) -> Result<BTreeMap<(String, u32), u64>, SinkError> {
    let mut known = BTreeMap::new();
    if writing == Writing::Whole || !path.is_file() {
        return Ok(known);
    }
    let file = File::open(path).map_err(|error| trouble("cannot read", path, &error))?;
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        lines.read_until(b'\n', &mut line).map_err(|error| trouble("cannot read", path, &error))?;
        // The last line may be torn: it is written anew.
        if line.last() != Some(&b'\n') {
            return Ok(known);
        }
        let place: Place = serde_json::from_slice(&line).map_err(|_| {
            SinkError::Fatal(format!(
                "{} holds what is no dead letter: a live job adds to its own file alone; name another dead_letter.file",
                path.display()
            ))
        })?;
        let last: &mut u64 = known.entry((place.topic, place.partition)).or_default();
        *last = place.offset.max(*last);
    }
}

impl Sink for DeadLetterFile {
    fn name(&self) -> &'static str {
        "dead_letters"
    }

    fn write(&mut self, batch: &Batch, _: &Stop) -> Result<(), SinkError> {
        for letter in &batch.dead_letters {
            let place = (letter.topic.to_string(), letter.partition.number());
            if self.known.get(&place).is_none_or(|last| letter.offset > *last) {
                self.lines.line(|out| write_dead_letter(letter, out))?;
            }
        }
        self.lines.flush()
    }

    fn finish(&mut self, ending: Ending) -> Result<(), SinkError> {
        self.lines.end(ending)
    }
}

/// Puts `bytes` under `name`, or under `name_base64` where they are no text.
fn put_bytes(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert(name.to_owned(), text.into()),
        Err(_) => object.insert(format!("{name}_base64"), STANDARD.encode(bytes).into()),
    };
}

/// Appends a dead letter as the file has it, without its line break.
pub(in crate::connectors) fn write_dead_letter(letter: &DeadLetter, out: &mut Vec<u8>) {
    let DeadLetter { topic, partition, offset, key, value, sha256, error } = letter;
    let mut object = Map::new();
    object.insert("topic".to_owned(), (&**topic).into());
    object.insert("partition".to_owned(), partition.number().into());
    object.insert("offset".to_owned(), (*offset).into());
    object.insert("error".to_owned(), error.as_str().into());
    match key {
        Some(key) => put_bytes(&mut object, "key", key),
        None => {
            object.insert("key".to_owned(), Value::Null);
        }
    }
    put_bytes(&mut object, "value", value);
    if let Some(digest) = sha256 {
        object.insert("truncated".to_owned(), true.into());
        object.insert("sha256".to_owned(), digest.as_str().into());
    }
    // Neither writing to a Vec nor a map of strings and numbers can fail.
    let _ = serde_json::to_writer(out, &object);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::PartitionId;

    fn letter(key: Option<&[u8]>, value: &[u8], sha256: Option<&str>) -> DeadLetter {
        DeadLetter {
            topic: "btc.ticks".into(),
            partition: PartitionId(3),
            offset: 7,
            key: key.map(<[u8]>::to_vec),
            value: value.to_vec(),
            sha256: sha256.map(str::to_owned),
            error: "price \"x\" is no number".to_owned(),
        }
    }

    #[test]
    fn every_byte_can_be_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad/letters.jsonl");
        let mut sink = DeadLetterFile::open(&path, Writing::Whole).unwrap();
        let letters = vec![
            letter(Some(b"BTC"), b"{\"price\":\n\"x\"", None),
            letter(None, &[0xff, 0x00, b'a'], None),
            letter(Some(&[0xc3]), b"cut", Some("ab12")),
            letter(None, b"", None),
        ];
        let batch = Batch { dead_letters: letters, ..Batch::default() };
        sink.write(&batch, &Stop::default()).unwrap();
        sink.finish(Ending::Complete).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(
            lines[0],
            serde_json::json!({"topic": "btc.ticks", "partition": 3, "offset": 7, "error": "price \"x\" is no number",
                "key": "BTC", "value": "{\"price\":\n\"x\""})
        );
        assert_eq!(STANDARD.decode(lines[1]["value_base64"].as_str().unwrap()).unwrap(), [0xff, 0x00, b'a']);
        assert_eq!((&lines[1]["key"], lines[1].get("value")), (&Value::Null, None));
        assert_eq!((&lines[2]["truncated"], &lines[2]["sha256"]), (&true.into(), &"ab12".into()));
        assert_eq!(lines[2]["key_base64"], "ww==");
        assert_eq!(lines[3]["value"], "");
        // A live job that reads it again adds nothing.
        DeadLetterFile::check(&path, Writing::Append).unwrap();
        let mut again = DeadLetterFile::open(&path, Writing::Append).unwrap();
        again.write(&batch, &Stop::default()).unwrap();
        again.finish(Ending::Stopped).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
