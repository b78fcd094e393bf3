use super::*;
use proptest::prelude::*;
use std::io::Read;

/// Gives its bytes in pieces of these sizes, over and over.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    sizes: Vec<usize>,
    turn: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = self.sizes[self.turn % self.sizes.len()].min(buffer.len()).min(self.bytes.len() - self.at);
        self.turn += 1;
        buffer[..size].copy_from_slice(&self.bytes[self.at..self.at + size]);
        self.at += size;
        Ok(size)
    }
}

fn rows_of(bytes: &[u8], sizes: &[usize]) -> Result<(Vec<Vec<u8>>, bool), String> {
    let reader = Pieces { bytes: bytes.to_vec(), at: 0, sizes: sizes.to_vec(), turn: 0 };
    let path = Path::new("a.json");
    let mut rows = JsonRows::open(path, Lines::new(path, Box::new(reader))).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    while rows.step().map_err(|error| error.to_string())? == Step::Row {
        all.push(rows.row().to_vec());
    }
    Ok((all, rows.values.is_some()))
}

fn texts(text: &str) -> (Vec<String>, bool) {
    let (rows, by_value) = rows_of(text.as_bytes(), &[1 << 16]).unwrap();
    (rows.into_iter().map(|row| String::from_utf8(row).unwrap()).collect(), by_value)
}

fn rows(text: &str) -> Vec<String> {
    texts(text).0
}

#[test]
fn lines_stay_lines() {
    for text in [
        "{\"a\":1}\n{\"b\":2}",
        "[1,2]\n[3,4]\n",
        "rubbish\n{}\n",
        "[{\"e\":1}]\n[{\"e\":2}]",
        "{'a':1}\n{}",
        "[1,\"x\"]",
    ] {
        let (rows, by_value) = texts(text);
        assert_eq!((rows, by_value), (text.lines().map(str::to_owned).collect(), false), "{text}");
    }
    // An exchange's message is one, though it is a list: its first element is no record.
    assert_eq!(rows("[0,[[\"1\",\"2\"]],\"trade\",\"XBT/USD\"]"), ["[0,[[\"1\",\"2\"]],\"trade\",\"XBT/USD\"]"]);
    assert_eq!(texts(""), (vec![], false));
}

#[test]
fn values_are_found_however_they_stand() {
    for text in [
        "[{\"a\":1},{\"b\":[2,{}]}]",
        "[{\"a\":1},\n{\"b\":[2,{}]}]\n",
        "[\n  {\"a\":1},\n  {\"b\":[2,{}]}\n]\n\n",
        "{\"a\":1}{\"b\":[2,{}]}",
        "{\"a\":1} {\"b\":[2,{}]}\n",
        "{\"a\":1},{\"b\":[2,{}]},\n",
        "[{\"a\":1}][{\"b\":[2,{}]}]",
        "[[],\n[{\"a\":1}]]",
    ] {
        let (rows, by_value) = texts(text);
        assert!(by_value, "{text}");
        if !text.starts_with("[[") {
            assert_eq!(rows, ["{\"a\":1}", "{\"b\":[2,{}]}"], "{text}");
        }
    }
    assert_eq!(rows("{\n \"a\": 1\n}\n{\n \"a\": 2\n}\n"), ["{\n \"a\": 1\n}", "{\n \"a\": 2\n}"]);
    assert_eq!(rows("[[1,2],[3,4]]"), ["[1,2]", "[3,4]"]);
    assert_eq!(rows("[[1,2],\n[3,4]]\n[[5,6]]"), ["[1,2]", "[3,4]", "[5,6]"]);
    assert_eq!(rows("[{\"a\":\"]}\\\"[\"},null, 7]"), ["{\"a\":\"]}\\\"[\"}", "null", "7"]);
    assert_eq!(rows("+{\"a\":1}+{\"a\":2}"), ["+{\"a\":1}", "+{\"a\":2}"]);
    assert_eq!(texts("[]"), (vec![], true));
    assert_eq!(rows("[\n]"), [""; 0]);
}

#[test]
fn what_is_no_json_ends_with_its_line() {
    assert_eq!(rows("{\"a\":1,\n{\"b\":2}\n{\"c\":3}\n"), ["{\"a\":1,", "{\"b\":2}", "{\"c\":3}"]);
    assert_eq!(rows("[{\"a\":1},\n{\"b\" 2},\n{\"c\":3}]"), ["{\"a\":1}", "{\"b\" 2},", "{\"c\":3}"]);
    assert_eq!(rows("{\"a\":1}{\"b\n{\"c\":3}"), ["{\"a\":1}", "{\"b", "{\"c\":3}"]);
    assert_eq!(rows("{\"a\":1}{\"b\":"), ["{\"a\":1}", "{\"b\":"]);
    assert_eq!(rows("{\"a\":1}{\"b\":2}rubbish }\n{\"c\":3}"), ["{\"a\":1}", "{\"b\":2}", "rubbish", "}", "{\"c\":3}"]);
    let cut = rows_of(b"[{\"a\":1},\n{\"b\":2}", &[99]).unwrap_err();
    assert!(cut.contains("a.json ends before its list does"), "{cut}");
}

#[test]
fn an_overlong_value_is_cut_and_the_next_one_whole() {
    for length in [LINE_BYTES_MAX - 1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, 2 * LINE_BYTES_MAX + 12_345] {
        let mut bytes = b"[{\"a\":1},{\"long\":\"".to_vec();
        let begin = bytes.len() - 9;
        bytes.resize(begin + length - 2, b'x');
        bytes.extend_from_slice(b"\"},{\"c\":3}]");
        let (rows, _) = rows_of(&bytes, &[1 << 16]).unwrap();
        let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
        assert_eq!(lengths, [7, length.min(LINE_BYTES_MAX), 7]);
        assert_eq!(rows[2], b"{\"c\":3}");
    }
    // Of what is never closed, the rest of the file is one value.
    let mut open = b"{\"a\":1}{\"b\":[".to_vec();
    open.resize(3 * LINE_BYTES_MAX, b' ');
    let lengths: Vec<usize> = rows_of(&open, &[1 << 16]).unwrap().0.iter().map(Vec::len).collect();
    assert_eq!(lengths, [7, LINE_BYTES_MAX]);
}

/// Whatever a file holds, its rows are the same in any pieces, and nothing is read for ever.
#[test]
fn any_bytes_are_answered() {
    let pieces: [&[u8]; 14] =
        [b"{", b"}", b"[", b"]", b"\"", b":", b",", b"\\", b"\n", b"{\"a\":1}", b"null", b" ", b"+{", b"[{\"a\":[]},"];
    let mut random = 7_u64;
    let mut next = move |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let (mut by_value, mut told) = (0, 0);
    for _ in 0..100_000 {
        let count = next(24);
        let mut bytes: Vec<u8> = (0..count).flat_map(|_| pieces[next(pieces.len())].to_vec()).collect();
        if next(8) == 0 && !bytes.is_empty() {
            let at = next(bytes.len());
            bytes[at] = next(256) as u8;
        }
        let whole = rows_of(&bytes, &[1 << 16]);
        assert_eq!(rows_of(&bytes, &[1 + next(5), 1 + next(3)]), whole, "{}", String::from_utf8_lossy(&bytes));
        match whole {
            Ok((rows, values)) => {
                assert!(rows.len() <= bytes.len() + 1);
                by_value += usize::from(values);
            }
            Err(_) => told += 1,
        }
    }
    assert!(by_value > 1000 && told > 1000, "{by_value} by value, {told} told");
}

/// The top-level values of a text, found slowly: the shortest beginnings that `serde_json` reads.
fn slowly(text: &str) -> Vec<String> {
    let mut values = Vec::new();
    for element in serde_json::Deserializer::from_str(text).into_iter::<Box<serde_json::value::RawValue>>() {
        let raw = element.unwrap();
        let is_list = raw.get().starts_with('[') && raw.get()[1..].trim_start().starts_with(['{', '[', ']']);
        if is_list {
            let elements: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(raw.get()).unwrap();
            values.extend(elements.iter().map(|element| element.get().to_owned()));
        } else {
            values.push(raw.get().to_owned());
        }
    }
    values
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\{}\\[\\], \n\u{e9}]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c\"]{0,2}", inner, 0..4).prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

fn object() -> impl Strategy<Value = String> {
    (prop::collection::btree_map("[a-c]{1,2}", value(), 0..3), any::<bool>()).prop_map(|(map, pretty)| {
        let object: serde_json::Value = map.into_iter().collect();
        if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap()
    })
}

proptest! {
    #[test]
    fn values_are_split_as_a_slow_reading_does_at_any_piece(
        objects in prop::collection::vec(object(), 1..6),
        between in prop::sample::select(vec!["", " ", "\n", "\r\n", "\n\n"]),
        is_list in any::<bool>(),
        sizes in prop::collection::vec(1_usize..9, 1..5),
    ) {
        let text = if is_list {
            format!("[{between}{}{between}]", objects.join(&format!(",{between}")))
        } else {
            objects.join(between)
        };
        let (rows, by_value) = rows_of(text.as_bytes(), &sizes).unwrap();
        let rows: Vec<String> = rows.into_iter().map(|row| String::from_utf8(row).unwrap()).collect();
        if by_value {
            prop_assert_eq!(rows, slowly(&text));
        } else {
            let lines: Vec<&str> = text.lines().collect();
            prop_assert_eq!(rows.iter().map(|row| row.trim_end()).collect::<Vec<_>>(), lines);
        }
    }

    #[test]
    fn any_bytes_are_rows_in_their_order(bytes in "[\\[\\]{}\",:\\\\\n a1+]{0,80}", sizes in prop::collection::vec(1_usize..9, 1..5)) {
        let whole = rows_of(bytes.as_bytes(), &[1 << 16]);
        prop_assert_eq!(&rows_of(bytes.as_bytes(), &sizes), &whole);
        if let Ok((rows, _)) = whole {
            // Nothing is lost but what stands between values.
            let kept: usize = rows.iter().map(Vec::len).sum();
            let between = bytes.bytes().filter(|b| b" \n,[]".contains(b)).count();
            prop_assert!(kept + between >= bytes.len(), "{rows:?}");
        }
    }
}
