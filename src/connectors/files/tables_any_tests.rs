//! Tables of any form, made at random and damaged at random.

use super::tables_tests::{START, names, read, read_text, words};
use super::tests::{Dir, config};
use super::*;
use proptest::prelude::*;

/// A header's words in other spellings.
fn spelled(name: &str, way: u8) -> String {
    match way % 5 {
        0 => name.to_owned(),
        1 => name.to_uppercase(),
        2 => name.replace('_', " "),
        3 => format!("\"{}\"", name.replace('_', "-")),
        _ => format!(" {}. ", name.replace('_', ".")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Files joined from parts, each with its own order of columns, spelling and delimiter, against the rows that they were made of.
    #[test]
    fn any_order_spelling_and_delimiter_is_the_same_file(
        parts in prop::collection::vec(
            (Just(vec![0_usize, 1, 2, 3]).prop_shuffle(), any::<u8>(), prop::sample::select(vec![',', ';', '\t', '|']), 1_usize..5),
            1..5,
        ),
        above in prop::sample::select(vec!["", "# x\n", "https://x\n", "\u{feff}"]),
    ) {
        let fields = ["time_stamp", "last_price", "base_volume", "note"];
        let (mut text, mut expected) = (above.to_owned(), Vec::new());
        for (order, way, delimiter, rows) in parts {
            let join = |cells: Vec<String>| cells.join(&delimiter.to_string()) + "\n";
            text += &join(order.iter().map(|at| spelled(fields[*at], way)).collect());
            for _ in 0..rows {
                let at = expected.len() as i64;
                let cells = [(START + at).to_string(), (at + 1).to_string(), "2".to_owned(), "a b".to_owned()];
                text += &join(order.iter().map(|column| cells[*column].clone()).collect());
                expected.push((at as u64, Ok((at, (at + 1).to_string(), "2".to_owned()))));
            }
        }
        prop_assert_eq!(read_text(&text), Ok(expected), "{}", text);
    }
}

/// Whatever a file holds, it is answered: by an error or by records that have their numbers in order.
#[test]
fn any_file_is_answered() {
    let seeds: [&[u8]; 8] = [
        b"ts,price\n1672531200,1\nprice,ts\n2,1672531201\n",
        b"https://x\n# y\nunix;date;open;high;low;close;Volume BTC\n1672531200;x;1;1;1;1;5\n1672531260;x;1;1;1;1;5\n",
        b"[[1672531200000,1,1,1,1,5],[1672531260000,1,1,1,1,5]]",
        b"[{\"timestamp\":1672531200,\"price\":1},\n{\"timestamp\":1672531201,\"price\":2}]",
        b"{\"timestamp\":1672531200,\"price\":1}{\"timestamp\":1672531201,\"price\":2}",
        b"1672531200000,1,1,1,1,2,1672531200999,2,3,1,1,0\n",
        b"Price,Close,High,Low,Open\nTicker,A,A,A,A\nDate,,,,\n2023-01-01,3,4,1,2\n",
        b"\xef\xbb\xbftimestamp\tprice\n1672531200\t1,5\n",
    ];
    let mut random = 1_u64;
    let mut next = move |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below.max(1)
    };
    let dir = Dir::new();
    let (mut read_all, mut told) = (0, 0);
    for _ in 0..10_000 {
        let mut bytes = seeds[next(seeds.len())].to_vec();
        for _ in 0..next(4) {
            let at = next(bytes.len());
            match next(5) {
                0 => bytes[at] = next(256) as u8,
                1 => bytes.truncate(at),
                2 => drop(bytes.drain(at..(at + next(9)).min(bytes.len()))),
                3 => {
                    let other = seeds[next(seeds.len())];
                    let from = next(other.len());
                    drop(bytes.splice(at..at, other[from..].iter().copied()));
                }
                _ => drop(bytes.splice(at..at, b"\n\",;{[}]#\t"[next(10)..].iter().copied().take(1))),
            }
            if bytes.is_empty() {
                break;
            }
        }
        let name = ["a", "a.csv", "a.json", "a.tsv"][next(4)];
        let columns = match next(4) {
            0 => names(&["timestamp", "open", "high", "low", "close", "volume"]),
            1 => words(&[("price", "price")]),
            _ => None,
        };
        let path = dir.file(name, &bytes);
        match read(&FilesSourceConfig { columns, ..config(vec![path]) }) {
            Ok(seen) => {
                read_all += 1;
                assert!(seen.iter().enumerate().all(|(at, (offset, _))| *offset == at as u64));
            }
            Err(error) => {
                told += 1;
                assert!(error.contains(name) && error.len() < 2000, "{error}");
            }
        }
    }
    assert!(read_all > 300 && told > 300, "{read_all} read, {told} told");
}
