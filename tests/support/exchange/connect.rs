//! A proxy on loopback that connects by `CONNECT`, or does what a script says, and notes who wanted to go where.

use super::{head, listen};
use std::collections::VecDeque;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a call. After the last of a script each is connected.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Connect,
    Status(u16),
    Garbage,
    /// The end, without a word.
    Close,
    /// No word, and no end.
    Silence,
}

/// One call: where to, and what was said of who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub target: String,
    pub who: Option<String>,
}

/// A running one; its threads end with the process.
pub struct ConnectProxy {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl ConnectProxy {
    pub fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Arc<Mutex<VecDeque<Answer>>> = Arc::new(Mutex::new(answers.into_iter().collect()));
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let noted = Arc::clone(&asked);
        let address = listen(move |stream| drop(serve(stream, &answers, &noted)));
        Self { address, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, answers: &Mutex<VecDeque<Answer>>, asked: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let head = head(&stream)?;
    let mut words = head.split_whitespace();
    assert_eq!(words.next(), Some("CONNECT"), "{head}");
    let target = words.next().unwrap().to_owned();
    let who = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: ")).map(str::to_owned);
    asked.lock().unwrap().push(Asked { target: target.clone(), who });
    let answer = answers.lock().unwrap().pop_front().unwrap_or(Answer::Connect);
    match answer {
        Answer::Connect => {
            let other = TcpStream::connect(&target)?;
            write!(stream, "HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")?;
            let (mut from, mut to) = (stream.try_clone()?, other.try_clone()?);
            std::thread::spawn(move || hand_on(&mut from, &mut to));
            let (mut from, mut to) = (other, stream);
            hand_on(&mut from, &mut to);
            Ok(())
        }
        Answer::Status(status) => write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n"),
        Answer::Garbage => write!(stream, "220 mail.example.com ESMTP\r\n\r\n"),
        Answer::Close => Ok(()),
        Answer::Silence => {
            std::thread::sleep(Duration::from_secs(3600));
            Ok(())
        }
    }
}

fn hand_on(from: &mut TcpStream, to: &mut TcpStream) {
    let _ = std::io::copy(from, to);
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
