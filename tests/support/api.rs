//! A server on loopback that plays the market-data API from a script, and notes who asked for what and when.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(dead_code, reason = "each test file uses its part")]

use crate::support;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What is answered to one request.
#[derive(Clone, Debug)]
pub enum Step {
    /// 200 with this body.
    Body(String),
    /// 200 with the next of the numbered observations of this symbol.
    Fresh(&'static str),
    /// Another status, with these headers.
    Status(u16, Vec<(&'static str, String)>),
    /// Nothing, until the client hangs up.
    Hang,
    /// Half an answer, and the end of the connection.
    Cut,
    /// 200 with a body of so many bytes.
    Long(usize),
}

impl Step {
    pub fn status(status: u16) -> Self {
        Self::Status(status, vec![])
    }

    /// A status with `Retry-After`, and the `Date` of the answer where that is a date.
    pub fn wait(status: u16, retry_after: &str) -> Self {
        let date = ("Date", "Thu, 21 Jan 2021 14:34:30 GMT".to_owned());
        Self::Status(status, vec![date, ("Retry-After", retry_after.to_owned())])
    }
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Request {
    pub asset: String,
    /// All header lines, in lower case.
    pub head: String,
    /// Just before it was answered.
    pub at: Instant,
    pub step: Step,
    /// The body that was sent, of a whole answer with status 200.
    pub sent: Option<String>,
}

/// The server; its threads end with the process.
pub struct Api {
    address: std::net::SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    recorded: String,
    scripts: HashMap<String, Vec<Step>>,
    requests: Vec<Request>,
}

impl Api {
    /// Serves each asset's steps, the last of them again and again; 404 for other assets. None where there is no market data.
    pub fn start(scripts: impl IntoIterator<Item = (&'static str, Vec<Step>)>) -> Option<Self> {
        let recorded = recorded()?;
        let scripts = scripts.into_iter().map(|(asset, steps)| (asset.to_owned(), steps)).collect();
        let state = Arc::new(Mutex::new(State { recorded, scripts, requests: Vec::new() }));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Some(Self { address, state })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What will be answered from now on.
    pub fn script(&self, asset: &str, steps: Vec<Step>) {
        self.state.lock().unwrap().scripts.insert(asset.to_owned(), steps);
    }

    /// All requests for an asset so far.
    pub fn requests(&self, asset: &str) -> Vec<Request> {
        self.all().into_iter().filter(|request| request.asset == asset).collect()
    }

    pub fn all(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Bodies that were sent for an asset, each distinct one once.
    pub fn distinct(&self, asset: &str) -> Vec<String> {
        let mut bodies: Vec<String> = self.requests(asset).into_iter().filter_map(|request| request.sent).collect();
        bodies.dedup();
        bodies
    }
}

/// The seed document's payload, as it was recorded.
pub fn recorded() -> Option<String> {
    let file = support::data("messari/messari_v1_btc_marketdata_20210121_from_seed.json")?;
    Some(std::fs::read_to_string(file).unwrap().trim().to_owned())
}

/// The recorded payload about another trade: of `symbol`, at second `traded` after 14:34, told at second `answered`.
pub fn observation(recorded: &str, symbol: &str, answered: u64, traded: u64, price: f64) -> String {
    // 1,611,239,640 s after 1970 it was 14:34.
    let text = |second: u64| jiff::Timestamp::from_second(1_611_239_640 + second as i64).unwrap().to_string();
    let mut body = recorded.to_owned();
    for (from, to) in [
        ("\"timestamp\":\"2021-01-21T14:34:31.964034086Z\"", format!("\"timestamp\":\"{}\"", text(answered))),
        ("\"last_trade_at\":\"2021-01-21T14:34:29.826Z\"", format!("\"last_trade_at\":\"{}\"", text(traded))),
        ("\"price_usd\":31571.742818217568", format!("\"price_usd\":{price}")),
        ("\"symbol\":\"BTC\"", format!("\"symbol\":\"{symbol}\"")),
    ] {
        assert_eq!(body.matches(from).count(), 1, "{from} in the recorded payload");
        body = body.replace(from, &to);
    }
    body
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let asset = path.strip_prefix("/api/v1/assets/").and_then(|rest| rest.strip_suffix("/metrics/market-data"));
    let asset = asset.unwrap_or("?").to_owned();
    let (step, body) = note(&mut state.lock().unwrap(), asset, head.to_lowercase());
    answer(stream, &step, body)
}

/// Takes the next step of an asset, and notes the request.
fn note(state: &mut State, asset: String, head: String) -> (Step, Option<String>) {
    let n = state.requests.iter().filter(|request| request.asset == asset).count() as u64;
    let step = match state.scripts.get_mut(&asset) {
        Some(steps) if steps.len() > 1 => steps.remove(0),
        Some(steps) => steps[0].clone(),
        None => Step::status(404),
    };
    let sent = match &step {
        Step::Body(body) => Some(body.clone()),
        Step::Fresh(symbol) => Some(observation(&state.recorded, symbol, n + 1, n, 1000.0 + n as f64)),
        Step::Long(bytes) => Some(" ".repeat(*bytes)),
        _ => None,
    };
    let request = Request { asset, head, at: Instant::now(), step: step.clone(), sent: sent.clone() };
    state.requests.push(request);
    (step, sent)
}

fn answer(mut stream: TcpStream, step: &Step, body: Option<String>) -> std::io::Result<()> {
    let close = "Connection: close\r\n";
    match (step, body) {
        (Step::Hang, _) => {
            // The client's patience ends before this, and closes it.
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            stream.read(&mut [0]).map(drop)
        }
        (Step::Cut, _) => write!(stream, "HTTP/1.1 200 OK\r\n{close}Content-Length: 1000\r\n\r\n{{\"status\":"),
        (Step::Status(status, headers), _) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            write!(stream, "HTTP/1.1 {status} Because\r\n{close}{headers}Content-Length: 0\r\n\r\n")
        }
        (_, body) => {
            let body = body.unwrap_or_default();
            let length = body.len();
            write!(stream, "HTTP/1.1 200 OK\r\n{close}Content-Length: {length}\r\n\r\n{body}")
        }
    }
}
