//! Servers on loopback that play an exchange: a stream of trades over WebSockets, what was traded over HTTP, and failures of both
//! by a script. The trades are made up, numbered one by one, and all of them are known.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(dead_code, reason = "each test file uses its part")]

mod api;
pub mod authority;
pub mod candles;
mod confirm;
pub mod connect;
mod pace;
mod player;
pub mod words;

pub use pace::Pace;
use player::{Player, wait};
use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Whose words it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Binance,
    /// The same by its stream of aggregate trades, of which each is made of three.
    BinanceAggregates,
    Bitstamp,
    Bybit,
    Coinbase,
    CoinbaseAdvanced,
    Kraken,
    Okx,
}

/// What becomes of a connection. After the last of a script each plays well.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers the handshake with this status and these headers.
    Status(u16, &'static str),
    /// Answers it with something else.
    Garbage,
    /// Takes the subscription, and says nothing.
    NoAnswer,
    /// Confirms it, and says nothing any more.
    Silent,
    /// Plays, and after so many messages does these.
    Play(Vec<(usize, Then)>),
}

/// What happens while it plays.
#[derive(Clone, Debug)]
pub enum Then {
    /// Half a frame, and the end.
    CutMidFrame,
    /// The end, without a word.
    Cut,
    /// No more bytes, and no end.
    HalfOpen,
    Close(u16),
    /// A message of so many bytes.
    Big(usize),
    NotUtf8,
    /// A text that is none of its.
    Text(&'static str),
    /// So many trades are left out.
    Skip(usize),
    /// So many messages are lost on their way.
    Lose(usize),
    /// So many trades are in a message that nobody can read.
    Garble(usize),
    /// The next ones come backwards.
    Backwards(usize),
    /// The last ones come again.
    Again(usize),
    /// The next ones come in one message.
    Packed(usize),
    /// It says that it will end.
    Announce,
}

/// What is answered to a call; after the last of a script all is well.
#[derive(Clone, Debug)]
pub enum Call {
    Well,
    Status(u16, &'static str),
    Slow(Duration),
    Cut,
    Text(&'static str),
}

struct Shared {
    kind: Kind,
    markets: Vec<&'static str>,
    pace: Pace,
    /// So many trades of each market have been made.
    made: AtomicU64,
    acts: Mutex<VecDeque<Act>>,
    calls: Mutex<VecDeque<Call>>,
    /// Until then the API is in trouble.
    away_until: Mutex<Option<Instant>>,
    /// Ids that it cannot tell of any more.
    forgotten: Mutex<BTreeSet<u64>>,
    opened: Mutex<Vec<Instant>>,
    asked: Mutex<Vec<Instant>>,
    open: AtomicU64,
    is_over: AtomicBool,
    is_making: AtomicBool,
}

/// A running one; its threads end with the process.
pub struct Exchange {
    shared: Arc<Shared>,
    stream: SocketAddr,
    api: SocketAddr,
}

/// A trade's price and size, as texts.
pub fn trade(market: &str, id: u64) -> (String, String) {
    let salt = market.bytes().map(u64::from).sum::<u64>();
    (
        format!("{}.{:08}", 1000 + salt + id % 97, id * 7919 % 100_000_000),
        format!("0.{:08}", 1 + id * 104_729 % 99_999_999),
    )
}

pub fn is_sell(id: u64) -> bool {
    id.is_multiple_of(3)
}

impl Exchange {
    pub fn start(kind: Kind, markets: &[&'static str], acts: impl IntoIterator<Item = Act>) -> Self {
        Self::start_at(kind, markets, acts, Pace { begin_ms: 1_700_000_000_000, every_ms: 10 })
    }

    pub fn start_at(kind: Kind, markets: &[&'static str], acts: impl IntoIterator<Item = Act>, pace: Pace) -> Self {
        let shared = Arc::new(Shared {
            kind,
            markets: markets.to_vec(),
            pace,
            made: AtomicU64::new(0),
            acts: Mutex::new(acts.into_iter().collect()),
            calls: Mutex::default(),
            away_until: Mutex::default(),
            forgotten: Mutex::default(),
            opened: Mutex::default(),
            asked: Mutex::default(),
            open: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            is_making: AtomicBool::new(false),
        });
        let (one, other) = (Arc::clone(&shared), Arc::clone(&shared));
        let stream = listen(move |stream| drop(play(stream, &one)));
        let api = listen(move |stream| drop(api::answer(stream, &other)));
        Self { shared, stream, api }
    }

    /// As an entry of `collect.venues`.
    pub fn setting(&self, more: &[&str]) -> String {
        let venue = match self.shared.kind {
            Kind::Binance | Kind::BinanceAggregates => "binance",
            Kind::Bitstamp => "bitstamp",
            Kind::Bybit => "bybit",
            Kind::Coinbase => "coinbase",
            Kind::CoinbaseAdvanced => "coinbase_advanced",
            Kind::Kraken => "kraken",
            Kind::Okx => "okx",
        };
        let symbols: Vec<&str> = self.shared.markets.iter().chain(more).copied().collect();
        let stream = if self.shared.kind == Kind::BinanceAggregates { "stream = \"aggTrade\", " } else { "" };
        format!(
            "{{ venue = \"{venue}\", {stream}symbols = {symbols:?}, stream_url = \"ws://{}\", api_url = \"http://{}\" }}",
            self.stream, self.api
        )
    }

    /// Where its API is.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    pub fn stream_address(&self) -> SocketAddr {
        self.stream
    }

    pub fn api_address(&self) -> SocketAddr {
        self.api
    }

    pub fn kind(&self) -> Kind {
        self.shared.kind
    }

    /// So many more trades of each market are made.
    pub fn make(&self, count: u64) {
        self.shared.made.fetch_add(count, Relaxed);
    }

    /// Trades are made one by one at this pace.
    pub fn make_slowly(&self, count: u64, every: Duration) {
        let shared = Arc::clone(&self.shared);
        shared.is_making.store(true, Relaxed);
        std::thread::spawn(move || {
            for _ in 0..count {
                if !shared.is_making.load(Relaxed) {
                    break;
                }
                shared.made.fetch_add(1, Relaxed);
                std::thread::sleep(every);
            }
            shared.is_making.store(false, Relaxed);
        });
    }

    /// Trades are made when it is time for them; those of before have been.
    pub fn make_by_clock(&self) {
        let shared = Arc::clone(&self.shared);
        shared.is_making.store(true, Relaxed);
        let due = |shared: &Shared| {
            let now = jiff::Timestamp::now().as_millisecond() as u64;
            shared.made.store(shared.pace.id_at(now + 1).saturating_sub(1), Relaxed);
        };
        due(&shared);
        std::thread::spawn(move || {
            while shared.is_making.load(Relaxed) {
                due(&shared);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
    }

    /// No more are made than the next few.
    pub fn stop_making(&self) {
        self.shared.is_making.store(false, Relaxed);
    }

    pub fn made(&self) -> u64 {
        self.shared.made.load(Relaxed)
    }

    pub fn act(&self, acts: impl IntoIterator<Item = Act>) {
        self.shared.acts.lock().unwrap().extend(acts);
    }

    pub fn calls(&self, calls: impl IntoIterator<Item = Call>) {
        self.shared.calls.lock().unwrap().extend(calls);
    }

    /// The API answers no call for so long.
    pub fn api_is_away(&self, time: Duration) {
        *self.shared.away_until.lock().unwrap() = Some(Instant::now() + time);
    }

    pub fn forget(&self, ids: impl IntoIterator<Item = u64>) {
        self.shared.forgotten.lock().unwrap().extend(ids);
    }

    /// When connections were tried.
    pub fn opened(&self) -> Vec<Instant> {
        self.shared.opened.lock().unwrap().clone()
    }

    /// When the API was asked.
    pub fn asked(&self) -> Vec<Instant> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// How many connections are subscribed.
    pub fn open(&self) -> u64 {
        self.shared.open.load(Relaxed)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Relaxed);
        self.shared.is_making.store(false, Relaxed);
    }
}

fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Takes its place among the open ones.
struct Open<'a>(&'a Shared);

impl<'a> Open<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.open.fetch_add(1, Relaxed);
        Self(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

fn play(mut stream: TcpStream, shared: &Shared) -> Result<(), Box<dyn std::error::Error>> {
    shared.opened.lock().unwrap().push(Instant::now());
    let act = shared.acts.lock().unwrap().pop_front().unwrap_or(Act::Play(vec![]));
    match act {
        Act::Status(status, headers) => {
            head(&stream)?;
            write!(stream, "HTTP/1.1 {status} No\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n")?;
            return Ok(());
        }
        Act::Garbage => {
            head(&stream)?;
            write!(stream, "220 mail.example.com ESMTP\r\n")?;
            return Ok(());
        }
        _ => {}
    }
    stream.set_nodelay(true)?;
    let mut socket = tungstenite::accept(stream)?;
    let asked = confirm::subscription(&mut socket)?;
    if matches!(act, Act::NoAnswer) {
        return wait(&mut socket, shared);
    }
    let mut player = Player::new(socket, shared);
    confirm::confirm(&mut player, &asked)?;
    let _place = Open::new(shared);
    let Act::Play(then) = act else { return wait(&mut player.socket, shared) };
    player.then = then.into();
    player.run()
}

fn head(stream: &TcpStream) -> std::io::Result<String> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            break;
        }
    }
    Ok(head)
}
