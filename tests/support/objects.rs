//! An object store that speaks S3 (moto's server, in memory), and what stands between it and who asks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]
#![allow(dead_code, reason = "each test file uses its part")]

use crate::support::{Process, Services, eventually};
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const BUCKET: &str = "state";

/// What becomes of a request that writes.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is refused with this status, and does not get there.
    Refused(u16),
    /// It gets there, and is answered with this status.
    Denied(u16),
    /// It gets there, and is not answered.
    Unanswered,
    /// It does not get there, and is not answered.
    Lost,
}

pub struct Objects {
    /// Of the way that leads through faults.
    pub endpoint: String,
    server: Process,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    away: Arc<AtomicBool>,
}

impl Objects {
    /// Starts it, with an empty bucket.
    pub fn start(services: &Services) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(services.python());
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let server = Process::spawn(command);
        let upstream = format!("127.0.0.1:{port}");
        eventually("the object store", Duration::from_secs(60), || TcpStream::connect(&upstream).ok());
        let created =
            ask(&upstream, format!("PUT /{BUCKET} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").as_bytes());
        assert!(created.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&created));
        let (faults, away) = (Arc::<Mutex<VecDeque<Fault>>>::default(), Arc::<AtomicBool>::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (of_faults, is_away) = (Arc::clone(&faults), Arc::clone(&away));
        // Ends with the process of the tests.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (upstream, faults, away) = (upstream.clone(), Arc::clone(&of_faults), Arc::clone(&is_away));
                std::thread::spawn(move || serve(client, &upstream, &faults, &away));
            }
        });
        Self { endpoint, server, faults, away }
    }

    /// What a process has to know to get there.
    pub fn settings(&self) -> Vec<(String, String)> {
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            of("AWS_ENDPOINT_URL", &self.endpoint),
            of("AWS_ACCESS_KEY_ID", "test"),
            of("AWS_SECRET_ACCESS_KEY", "test"),
            of("AWS_REGION", "us-east-1"),
        ]
    }

    /// What becomes of the next requests that write, one after the other.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.faults.lock().unwrap() = faults.into_iter().collect();
    }

    /// Whether all of them happened.
    pub fn faults_are_over(&self) -> bool {
        self.faults.lock().unwrap().is_empty()
    }

    /// Whether it can be reached.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }
}

/// One request, and the answer to its end.
fn ask(upstream: &str, request: &[u8]) -> Vec<u8> {
    // This server looks whether a name is there, and then writes: two at the same time both do. A real store does both at once.
    static WRITES: Mutex<()> = Mutex::new(());
    let _one = (!request.starts_with(b"GET ")).then(|| WRITES.lock());
    let mut server = TcpStream::connect(upstream).unwrap();
    let text = request.splitn(2, |byte| *byte == b'\n').collect::<Vec<_>>();
    // Each connection has one request: its answer ends where the connection does.
    server.write_all(text[0]).unwrap();
    server.write_all(b"\nConnection: close\r\n").unwrap();
    server.write_all(text[1]).unwrap();
    let mut answer = Vec::new();
    let _ = server.read_to_end(&mut answer);
    answer
}

fn serve(mut client: TcpStream, upstream: &str, faults: &Mutex<VecDeque<Fault>>, away: &AtomicBool) {
    let Some(request) = request(&mut client) else { return };
    if away.load(Ordering::SeqCst) {
        return;
    }
    let fault = if request.starts_with(b"PUT ") { faults.lock().unwrap().pop_front() } else { None };
    let status =
        |status: u16| format!("HTTP/1.1 {status} Fault\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes();
    let answer = match fault {
        None => ask(upstream, &request),
        Some(Fault::Refused(code)) => status(code),
        Some(Fault::Denied(code)) => {
            ask(upstream, &request);
            status(code)
        }
        Some(Fault::Unanswered) => {
            ask(upstream, &request);
            return;
        }
        Some(Fault::Lost) => return,
    };
    let _ = client.write_all(&answer);
}

/// One request, with its body.
fn request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    let mut piece = [0; 65_536];
    loop {
        if let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if all.len() >= whole {
                return Some(all);
            }
        }
        match client.read(&mut piece) {
            Ok(read) if read > 0 => all.extend_from_slice(&piece[..read]),
            _ => return None,
        }
    }
}
