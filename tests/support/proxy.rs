//! A TCP proxy that a test can switch off, or make slow.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes handed on at once.
const PIECE: usize = 16 << 10;

/// Stands between the sink and the server, and can be as if it were away or far.
pub struct Proxy {
    /// Where it listens.
    pub address: String,
    away: Arc<AtomicBool>,
    cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    upstream: Arc<Upstream>,
    accepting: Option<JoinHandle<()>>,
    over: Arc<AtomicBool>,
}

impl Drop for Proxy {
    /// The address is free when it returns.
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        let _ = self.accepting.take().map(JoinHandle::join);
        self.set_away(true);
    }
}

/// The way to the server, shared by all connections.
#[derive(Default)]
struct Upstream {
    /// Bytes a second; 0 for as fast as it goes.
    rate: AtomicU64,
    passed: AtomicU64,
    /// When it is free again.
    free: Mutex<Option<Instant>>,
}

impl Upstream {
    fn pass(&self, bytes: usize) {
        self.passed.fetch_add(bytes as u64, Ordering::Relaxed);
        let rate = self.rate.load(Ordering::Relaxed);
        if rate > 0 {
            let now = Instant::now();
            let mut free = self.free.lock().unwrap();
            let end = free.unwrap_or(now).max(now) + Duration::from_secs_f64(bytes as f64 / rate as f64);
            *free = Some(end);
            drop(free);
            std::thread::sleep(end.saturating_duration_since(now));
        }
    }
}

impl Proxy {
    /// A proxy in front of `server`.
    pub fn before(server: String) -> Self {
        Self::at("127.0.0.1:0", server)
    }

    /// A proxy in front of `server` that listens at `address`.
    pub fn at(address: &str, server: String) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (away, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let cut = Arc::<AtomicBool>::default();
        let upstream = Arc::new(Upstream::default());
        let over = Arc::new(AtomicBool::new(false));
        let mut proxy = Self {
            address,
            away: Arc::clone(&away),
            cut: Arc::clone(&cut),
            open: Arc::clone(&open),
            upstream: Arc::clone(&upstream),
            accepting: None,
            over: Arc::clone(&over),
        };
        proxy.accepting = Some(std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                if away.load(Ordering::SeqCst) {
                    continue; // dropped: the connection closes at once
                }
                let Ok(server) = TcpStream::connect(&server) else { continue };
                for (mut from, mut to, upstream) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap(), Some(Arc::clone(&upstream))),
                    (server.try_clone().unwrap(), client.try_clone().unwrap(), None),
                ] {
                    let cut = Arc::clone(&cut);
                    std::thread::spawn(move || {
                        let mut bytes = [0; PIECE];
                        while let Ok(1..) = from.read(&mut bytes).inspect(|&n| {
                            if let Some(upstream) = &upstream {
                                upstream.pass(n);
                            }
                            while cut.load(Ordering::SeqCst) {
                                std::thread::sleep(Duration::from_millis(10));
                            }
                            let _ = to.write_all(&bytes[..n]);
                        }) {}
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                open.lock().unwrap().extend([client, server]);
            }
        }));
        proxy
    }

    /// Lets so many bytes a second through to the server, of all connections together; 0 for as fast as it goes.
    pub fn set_rate(&self, bytes_per_second: u64) {
        self.upstream.rate.store(bytes_per_second, Ordering::Relaxed);
    }

    /// As if the wire were cut: connections stay open, and nothing gets through.
    pub fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    /// Bytes that went to the server.
    pub fn passed(&self) -> u64 {
        self.upstream.passed.load(Ordering::Relaxed)
    }

    /// Closes every connection and takes no more, or is well again.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
        if away {
            for stream in self.open.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}
