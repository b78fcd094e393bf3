//! A server on loopback that plays Binance's archives and its API: files of days and months with their checksums, made up from
//! trades that are all known, with faults of both by a script.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(dead_code, reason = "each test file uses its part")]

mod rows;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use jiff::civil::Date;
pub use rows::{BEGIN, END, Kind};
use rows::{DAY, MINUTE};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is wrong with a file.
#[derive(Clone, Debug)]
pub enum Alter {
    Absent,
    NoChecksum,
    WrongChecksum,
    /// A byte of the zip is another, and the checksum is of that.
    Broken,
    /// These rows are not in it.
    Without(RangeInclusive<u64>),
    /// These come once more at its end.
    Twice(RangeInclusive<u64>),
    /// The two halves of it are in the wrong order.
    Turned,
    /// It ends behind this one.
    Until(u64),
    /// A row of a later day is in it.
    Outside,
    /// It has a header.
    Header,
    /// This row has another value.
    Digit(u64),
    /// All rows are written in another form, below a header.
    Form,
    /// It is a page that says sorry.
    Sorry,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Act {
    Status(u16, &'static str),
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// Says that it begins elsewhere.
    WrongRange,
    /// All of it, though a part was asked for.
    Whole,
    /// So long nothing comes, in the middle of it.
    Slow(Duration),
}

struct Shared {
    kind: Kind,
    alters: Mutex<BTreeMap<String, Alter>>,
    /// Rows that nobody has any more.
    lost: Mutex<Vec<RangeInclusive<u64>>>,
    acts: Mutex<VecDeque<Act>>,
    /// Each so many requests one goes wrong.
    chaos: AtomicUsize,
    asked: Mutex<Vec<String>>,
    made: Mutex<BTreeMap<String, Option<Vec<u8>>>>,
    api_is_away: AtomicBool,
    api_is_wrong: AtomicBool,
    count: AtomicUsize,
}

/// A running one; its threads end with the process.
pub struct Archive {
    shared: Arc<Shared>,
    pub address: SocketAddr,
}

impl Archive {
    pub fn start(kind: Kind) -> Self {
        let shared = Arc::new(Shared {
            kind,
            alters: Mutex::default(),
            lost: Mutex::default(),
            acts: Mutex::default(),
            chaos: AtomicUsize::new(0),
            asked: Mutex::default(),
            made: Mutex::default(),
            api_is_away: AtomicBool::new(false),
            api_is_wrong: AtomicBool::new(false),
            count: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let other = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&other);
                std::thread::spawn(move || drop(answer(stream, &shared)));
            }
        });
        Self { shared, address }
    }

    /// Changes a file, which is named by the end of its period: `2024-01`.
    pub fn alter(&self, period: &str, alter: Alter) -> &Self {
        self.shared.alters.lock().unwrap().insert(period.to_owned(), alter);
        self.shared.made.lock().unwrap().clear();
        self
    }

    /// Has a file of these rows.
    pub fn serve(&self, period: &str, rows: &str) {
        let bytes = zipped(&format!("{period}.csv"), rows.as_bytes());
        self.shared.made.lock().unwrap().insert(period.to_owned(), Some(bytes));
    }

    /// The API does not have them either.
    pub fn lose(&self, rows: RangeInclusive<u64>) -> &Self {
        self.shared.lost.lock().unwrap().push(rows);
        self
    }

    pub fn act(&self, acts: impl IntoIterator<Item = Act>) -> &Self {
        self.shared.acts.lock().unwrap().extend(acts);
        self
    }

    pub fn chaos(&self, each: usize) {
        self.shared.chaos.store(each, Relaxed);
    }

    pub fn api_is_away(&self, is_away: bool) {
        self.shared.api_is_away.store(is_away, Relaxed);
    }

    /// The API's prices are below zero.
    pub fn api_is_wrong(&self, is_wrong: bool) {
        self.shared.api_is_wrong.store(is_wrong, Relaxed);
    }

    /// The paths that were asked for since the last time.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }

    /// A good file of a period.
    pub fn file(&self, period: &str) -> Vec<u8> {
        self.shared.file(period).unwrap()
    }
}

/// A zip archive of one member.
fn zipped(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
    let (mut entry, config) =
        archive.new_file(name).compression_method(rawzip::CompressionMethod::DEFLATE).start().unwrap();
    let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::fast()));
    writer.write_all(bytes).unwrap();
    let (encoder, descriptor) = writer.finish().unwrap();
    encoder.finish().unwrap();
    entry.finish(descriptor).unwrap();
    archive.finish().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// When a period begins and ends.
fn times(period: &str) -> (i64, i64) {
    let parts: Vec<i16> = period.split('-').map(|part| part.parse().unwrap()).collect();
    let ms = |date: Date| i64::from((date - Date::constant(1970, 1, 1)).get_days()) * DAY;
    let first = Date::new(parts[0], parts[1] as i8, parts.get(2).map_or(1, |day| *day as i8)).unwrap();
    let end = if parts.len() == 3 { first.tomorrow().unwrap() } else { first.last_of_month().tomorrow().unwrap() };
    (ms(first), ms(end))
}

impl Shared {
    fn file(&self, period: &str) -> Option<Vec<u8>> {
        if let Some(made) = self.made.lock().unwrap().get(period) {
            return made.clone();
        }
        let made = self.make(period);
        self.made.lock().unwrap().insert(period.to_owned(), made.clone());
        made
    }

    fn make(&self, period: &str) -> Option<Vec<u8>> {
        let kind = self.kind;
        let (begin, end) = times(period);
        let mut numbers: Vec<u64> = (kind.number_at(begin)..kind.number_at(end)).collect();
        if numbers.is_empty() {
            return None;
        }
        let alter = self.alters.lock().unwrap().get(period).cloned();
        let mut more = Vec::new();
        match &alter {
            Some(Alter::Absent) => return None,
            Some(Alter::Sorry) => return Some(b"<html>sorry</html>".to_vec()),
            Some(Alter::Without(rows)) => numbers.retain(|number| !rows.contains(number)),
            Some(Alter::Twice(rows)) => more.extend(rows.clone()),
            Some(Alter::Turned) => {
                let middle = numbers.len() / 2;
                numbers.rotate_left(middle);
            }
            Some(Alter::Until(last)) => numbers.retain(|number| number <= last),
            Some(Alter::Outside) => more.push(numbers.last().unwrap() + 1500),
            _ => {}
        }
        numbers.extend(more);
        let mut text = String::new();
        if matches!(alter, Some(Alter::Header | Alter::Form)) {
            text += match kind {
                Kind::Klines => {
                    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n"
                }
                Kind::Trades => "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match\n",
                Kind::AggTrades => {
                    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker,is_best_match\n"
                }
            };
        }
        for number in numbers {
            text += &match alter {
                Some(Alter::Digit(other)) if other == number => kind.other(number),
                Some(Alter::Form) => kind.reformed(number),
                _ => kind.row(number),
            };
            text.push('\n');
        }
        let mut bytes = zipped(&format!("BTCUSDT-{period}.csv"), text.as_bytes());
        if matches!(alter, Some(Alter::Broken)) {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x55;
        }
        Some(bytes)
    }

    /// A page of the API.
    fn page(&self, path: &str, query: &BTreeMap<&str, &str>) -> Option<String> {
        let kind = self.kind;
        let number = |name: &str| query.get(name).and_then(|text| text.parse::<i64>().ok());
        let (from, to) = match (path, kind) {
            ("/api/v3/klines", Kind::Klines) => {
                (kind.number_at(number("startTime")?), kind.number_at(number("endTime")? / MINUTE * MINUTE + MINUTE))
            }
            ("/api/v3/historicalTrades", Kind::Trades) | ("/api/v3/aggTrades", Kind::AggTrades) => {
                (number("fromId")?.max(1) as u64, kind.end())
            }
            _ => return None,
        };
        let lost = self.lost.lock().unwrap().clone();
        let has = |number: &u64| !lost.iter().any(|rows| rows.contains(number));
        let rows = (from..to).filter(has).take(number("limit")? as usize);
        Some(format!("[{}]", rows.map(|number| kind.json(number)).collect::<Vec<_>>().join(",")))
    }

    fn act(&self) -> Option<Act> {
        if let Some(act) = self.acts.lock().unwrap().pop_front() {
            return Some(act);
        }
        let each = self.chaos.load(Relaxed);
        let count = self.count.fetch_add(1, Relaxed);
        if each == 0 || !count.is_multiple_of(each) {
            return None;
        }
        Some(match count / each % 6 {
            0 => Act::Cut(20_000),
            1 => Act::Status(503, ""),
            2 => Act::Cut(0),
            3 => Act::WrongRange,
            4 => Act::Whole,
            _ => Act::Cut(200_000),
        })
    }
}

fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut headers) = (String::new(), BTreeMap::new());
    if reader.read_line(&mut line)? == 0 {
        // Who asked is dead.
        return Ok(());
    }
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? <= 2 {
            break;
        }
        let (name, value) = header.split_once(':').unwrap();
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let target = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let act = shared.act();
    shared.asked.lock().unwrap().push(target.clone());
    let mut send = |status: &str, more: &str, body: &[u8], most: usize, pause: Option<Duration>| {
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n")?;
        let body = &body[..length.min(most)];
        let (first, rest) = body.split_at(body.len() / 2);
        stream.write_all(first)?;
        if let Some(pause) = pause {
            stream.flush()?;
            std::thread::sleep(pause);
        }
        stream.write_all(rest)
    };
    let all = usize::MAX;
    if let Some(Act::Status(status, headers)) = act {
        return send(&format!("{status} No"), headers, b"", all, None);
    }
    let most = if let Some(Act::Cut(most)) = act { most } else { all };
    let pause = if let Some(Act::Slow(pause)) = act { Some(pause) } else { None };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    if path.starts_with("/api/") {
        if shared.api_is_away.load(Relaxed) {
            return send("503 Away", "", b"", all, None);
        }
        let query = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        return match shared.page(path, &query) {
            Some(body) if shared.api_is_wrong.load(Relaxed) => {
                send("200 OK", "", body.replace("\"3", "\"-3").as_bytes(), most, pause)
            }
            Some(body) => send("200 OK", "", body.as_bytes(), most, pause),
            None => send("400 Bad", "", b"", all, None),
        };
    }
    let name = path.rsplit('/').next().unwrap();
    let (plain, is_checksum) = name.strip_suffix(".CHECKSUM").map_or((name, false), |plain| (plain, true));
    let period = plain.trim_end_matches(".zip").split('-').skip(2).collect::<Vec<_>>().join("-");
    let Some(bytes) = shared.file(&period) else { return send("404 Not Found", "", b"", all, None) };
    if is_checksum {
        let alter = shared.alters.lock().unwrap().get(&period).cloned();
        let sum = match alter {
            Some(Alter::NoChecksum) => return send("404 Not Found", "", b"", all, None),
            Some(Alter::WrongChecksum) => sha256(b"something else"),
            _ => sha256(&bytes),
        };
        return send("200 OK", "", format!("{sum}  {plain}\n").as_bytes(), most, pause);
    }
    let etag = format!("\"{}\"", &sha256(&bytes)[..16]);
    let begin = headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let is_same = headers.get("if-range") == Some(&etag);
    match begin.filter(|begin: &usize| is_same && *begin < bytes.len() && !matches!(act, Some(Act::Whole))) {
        Some(begin) => {
            let said = if matches!(act, Some(Act::WrongRange)) { begin + 1 } else { begin };
            let range = format!("ETag: {etag}\r\nContent-Range: bytes {said}-{}/{}\r\n", bytes.len() - 1, bytes.len());
            send("206 Partial Content", &range, &bytes[said..], most, pause)
        }
        None => send("200 OK", &format!("ETag: {etag}\r\n"), &bytes, most, pause),
    }
}
