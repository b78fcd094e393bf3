//! The connection between process 0 and another while they run: words both ways, and a sign of life where there are none.
//!
//! What is long goes in pieces, so that nothing that is urgent waits behind a checkpoint.

use super::wire::{read_frame, write_frame};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use std::io::{self, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The longest word that goes as one.
const WORD_MAX: usize = 16 << 20;
/// How long the pieces are of what is longer or can wait.
const PIECE: usize = 256 << 10;
/// The longest of those: the state of a worker.
const BULK_MAX: usize = 16 << 30;

/// What a frame begins with.
mod kind {
    pub const ALIVE: u8 = 0;
    pub const WORD: u8 = 1;
    pub const PIECE: u8 = 2;
    pub const LAST_PIECE: u8 = 3;
}

/// What happens on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The other said something.
    Word(Vec<u8>),
    /// It is gone, and how that was seen. Nothing comes after it.
    Lost(String),
}

/// Our end of a connection.
#[derive(Clone, Debug)]
pub struct Link {
    words: Sender<Vec<u8>>,
    bulk: Sender<Vec<u8>>,
}

impl Link {
    /// Serves the connection to process `peer`; who is silent for `stall` is lost. What happens goes to `events`.
    ///
    /// # Errors
    /// When the socket or the system refuses.
    pub fn spawn(stream: TcpStream, peer: usize, stall: Duration, events: Sender<(usize, Event)>) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(stall))?;
        stream.set_write_timeout(Some(stall))?;
        let (words, to_say) = crossbeam_channel::unbounded();
        let (bulk, to_carry) = crossbeam_channel::unbounded();
        let writer = stream.try_clone()?;
        let pause = (stall / 10).clamp(Duration::from_millis(10), Duration::from_secs(1));
        std::thread::Builder::new().name(format!("to process {peer}")).spawn(move || {
            // Should that fail, the reader sees it, too.
            let _ = Writer { stream: &writer, to_say, to_carry, carrying: None, pause }.run();
            let _ = writer.shutdown(Shutdown::Write);
        })?;
        std::thread::Builder::new().name(format!("from process {peer}")).spawn(move || {
            let why = match read_all(&stream, peer, &events) {
                Err(error) if is_silence(&error) => format!("it said nothing for {:.1} s", stall.as_secs_f64()),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => "it closed its connection".to_owned(),
                Err(error) => error.to_string(),
                // Nobody listens any more.
                Ok(()) => return,
            };
            let _ = stream.shutdown(Shutdown::Both);
            let _ = events.send((peer, Event::Lost(why)));
        })?;
        Ok(Self { words, bulk })
    }

    /// Says something; never waits.
    pub fn say(&self, word: Vec<u8>) {
        if word.len() > WORD_MAX {
            self.carry(word);
            return;
        }
        // Where the other is gone, an event says so.
        let _ = self.words.send(word);
    }

    /// Whether something that is long has not been taken up yet.
    #[must_use]
    pub fn is_carrying(&self) -> bool {
        !self.bulk.is_empty()
    }

    /// Sends something that is long, or can wait; it does not keep what is said up.
    pub fn carry(&self, word: Vec<u8>) {
        let _ = self.bulk.send(word);
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn read_all(mut stream: &TcpStream, peer: usize, events: &Sender<(usize, Event)>) -> io::Result<()> {
    let mut pieces = Vec::new();
    loop {
        let mut frame = read_frame(&mut stream, WORD_MAX + 1)?;
        let word = match frame.pop() {
            Some(kind::ALIVE) => continue,
            Some(kind::WORD) => frame,
            Some(kind @ (kind::PIECE | kind::LAST_PIECE)) if pieces.len() + frame.len() <= BULK_MAX => {
                pieces.append(&mut frame);
                if kind == kind::PIECE {
                    continue;
                }
                std::mem::take(&mut pieces)
            }
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "it said something that nobody understands")),
        };
        if events.send((peer, Event::Word(word))).is_err() {
            return Ok(());
        }
    }
}

struct Writer<'a> {
    stream: &'a TcpStream,
    to_say: Receiver<Vec<u8>>,
    to_carry: Receiver<Vec<u8>>,
    /// What is being carried, and how much of it is gone.
    carrying: Option<(Vec<u8>, usize)>,
    pause: Duration,
}

impl Writer<'_> {
    fn run(mut self) -> io::Result<()> {
        let mut said = Instant::now();
        loop {
            match self.next(said)? {
                Some((kind, mut bytes)) => {
                    bytes.push(kind);
                    write_frame(&mut self.stream, &bytes)?;
                    said = Instant::now();
                }
                None => return self.stream.flush(),
            }
        }
    }

    /// What is to be written next; none at the end.
    fn next(&mut self, said: Instant) -> io::Result<Option<(u8, Vec<u8>)>> {
        let silent = said + self.pause;
        match self.to_say.try_recv() {
            Ok(word) => return Ok(Some((kind::WORD, word))),
            Err(TryRecvError::Disconnected) if self.carrying.is_none() && self.to_carry.is_empty() => return Ok(None),
            Err(_) => {}
        }
        if self.carrying.is_none() {
            self.carrying = self.to_carry.try_recv().ok().map(|bulk| (bulk, 0));
        }
        if let Some((bulk, from)) = &mut self.carrying {
            let to = bulk.len().min(*from + PIECE);
            let piece = bulk[*from..to].to_vec();
            *from = to;
            let is_last = to == bulk.len();
            if is_last {
                self.carrying = None;
            }
            return Ok(Some((if is_last { kind::LAST_PIECE } else { kind::PIECE }, piece)));
        }
        let left = silent.saturating_duration_since(Instant::now());
        crossbeam_channel::select! {
            recv(self.to_say) -> word => match word {
                Ok(word) => Ok(Some((kind::WORD, word))),
                Err(_) => self.last(said),
            },
            recv(self.to_carry) -> bulk => match bulk {
                Ok(bulk) => {
                    self.carrying = Some((bulk, 0));
                    self.next(said)
                }
                Err(_) => self.last(said),
            },
            default(left) => Ok(Some((kind::ALIVE, Vec::new()))),
        }
    }

    /// Both ends of us are gone together: what is left of either, then nothing.
    fn last(&mut self, said: Instant) -> io::Result<Option<(u8, Vec<u8>)>> {
        if self.to_say.is_empty() && self.to_carry.is_empty() { Ok(None) } else { self.next(said) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const STALL: Duration = Duration::from_millis(300);

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (one, listener.accept().unwrap().0)
    }

    #[test]
    fn what_is_long_does_not_keep_words_up() {
        let (stream, _other) = pair();
        let (words, to_say) = crossbeam_channel::unbounded();
        let (bulk, to_carry) = crossbeam_channel::unbounded();
        let mut writer = Writer { stream: &stream, to_say, to_carry, carrying: None, pause: STALL };
        let mut next = || writer.next(Instant::now()).unwrap().map(|(kind, bytes)| (kind, bytes.len()));
        bulk.send(vec![0; 2 * PIECE + 17]).unwrap();
        assert_eq!(next(), Some((kind::PIECE, PIECE)));
        words.send(b"one".to_vec()).unwrap();
        words.send(b"three".to_vec()).unwrap();
        assert_eq!((next(), next()), (Some((kind::WORD, 3)), Some((kind::WORD, 5))));
        assert_eq!((next(), next()), (Some((kind::PIECE, PIECE)), Some((kind::LAST_PIECE, 17))));
        drop((words, bulk));
        assert_eq!(next(), None);
    }

    #[test]
    fn what_is_said_and_carried_arrives_and_silence_is_no_loss() {
        // Long enough for a machine that has much else to do.
        const STALL: Duration = Duration::from_secs(2);
        let (one, other) = pair();
        let (events, happened) = crossbeam_channel::unbounded();
        let (nobody, _unheard) = crossbeam_channel::unbounded();
        let speaker = Link::spawn(one, 1, STALL, nobody).unwrap();
        let _listener = Link::spawn(other, 0, STALL, events).unwrap();
        let long: Vec<u8> = (0..20 * PIECE + 17).map(|at| at as u8).collect();
        speaker.carry(long.clone());
        speaker.say(b"one".to_vec());
        speaker.say(b"two".to_vec());
        let mut heard = Vec::new();
        while heard.len() < 3 {
            match happened.recv_timeout(Duration::from_secs(20)).ok() {
                Some((0, Event::Word(word))) => heard.push(word),
                other => panic!("{other:?}"),
            }
        }
        let at = |word: &[u8]| heard.iter().position(|heard| heard == word).unwrap();
        assert!(at(b"one") < at(b"two") && heard.contains(&long));
        // Silent, but alive.
        assert_eq!(happened.recv_timeout(STALL + STALL / 2).ok(), None);
        drop(speaker);
        let (_, event) = happened.recv_timeout(Duration::from_secs(20)).ok().unwrap();
        assert_eq!(event, Event::Lost("it closed its connection".to_owned()));
    }

    #[test]
    fn who_says_nothing_is_lost_and_so_is_who_talks_rubbish() {
        let (one, mut other) = pair();
        let (events, happened) = crossbeam_channel::unbounded();
        let _link = Link::spawn(one, 3, STALL, events.clone()).unwrap();
        let (peer, event) = happened.recv_timeout(Duration::from_secs(20)).ok().unwrap();
        assert_eq!((peer, event), (3, Event::Lost("it said nothing for 0.3 s".to_owned())));
        let (one, mut stranger) = pair();
        let _link = Link::spawn(one, 4, STALL, events).unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let (_, event) = happened.recv_timeout(Duration::from_secs(20)).ok().unwrap();
        assert!(matches!(event, Event::Lost(why) if why.starts_with("a frame of ")));
        let _ = other.write_all(b"late");
    }
}
