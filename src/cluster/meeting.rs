//! How the processes of a cluster meet: everybody comes to process 0, then each pair gets a socket for what workers exchange.
//!
//! Whoever does not belong is turned away within [`HELLO_TIME`] and harms nobody; whoever is missing at the deadline is named.

use super::hello::{Answer, Hello, Identity, NoGreeting, Purpose, greet, hear};
use super::hosts::Hosts;
use crate::recovery::Fault;
use crossbeam_channel::{Receiver, Sender};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a visitor may take to say who it is.
const HELLO_TIME: Duration = Duration::from_millis(500);
/// The most visitors at once that have not said so.
const VISITORS_MAX: usize = 64;
/// How often is looked whether somebody came, or left again.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long one attempt to connect may take.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(100);

/// A process, and the cluster that it belongs to.
#[derive(Clone, Debug)]
pub struct Member {
    /// Which one it is.
    pub index: usize,
    /// Where all are.
    pub hosts: Hosts,
    /// What it has in common with the others.
    pub identity: Identity,
    /// How long the others may take to come.
    pub start_timeout: Duration,
    /// How long another may be silent.
    pub stall_timeout: Duration,
}

/// A process that waits for the others, or is on its way to them.
pub struct Meeting<'a> {
    member: Arc<Member>,
    visitors: Receiver<(Hello, TcpStream)>,
    /// Who has come for what is not on yet.
    early: RefCell<Vec<(Hello, TcpStream)>>,
    door: Door,
    end: Instant,
    is_given_up: &'a dyn Fn() -> bool,
}

impl<'a> Meeting<'a> {
    /// Opens the process's own port. `is_given_up`: whether nobody wants it any more.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn open(member: Member, is_given_up: &'a dyn Fn() -> bool) -> Result<Self, Fault> {
        let name = member.hosts.name(member.index);
        let address = member.hosts.address(member.index);
        let listener = TcpListener::bind(address).map_err(|error| {
            let why = match error.kind() {
                std::io::ErrorKind::AddrInUse => "is another process running there, or one with the same --process?",
                _ => "is that an address of this machine?",
            };
            Fault::failed(format!("{name}: cannot listen at {address}: {error}: {why}"))
        })?;
        let member = Arc::new(member);
        let (sender, visitors) = crossbeam_channel::bounded(VISITORS_MAX);
        let door = Door::open(listener, Arc::clone(&member), sender);
        let door = door.map_err(|error| Fault::failed(format!("{name}: cannot listen: {error}")))?;
        let end = Instant::now() + member.start_timeout;
        Ok(Self { member, visitors, early: RefCell::default(), door, end, is_given_up })
    }

    /// When everybody has to be there.
    #[must_use]
    pub const fn end(&self) -> Instant {
        self.end
    }

    /// In process 0: waits for all others. In another: goes to process 0.
    ///
    /// # Errors
    /// Who is missing, or why this one does not belong.
    pub fn meet(&self) -> Result<BTreeMap<usize, TcpStream>, Fault> {
        if self.member.index == 0 {
            let all: Vec<usize> = (1..self.member.hosts.count()).collect();
            self.receive(&all, Purpose::Control)
        } else {
            Ok(BTreeMap::from([(0, self.connect(0, Purpose::Control)?)]))
        }
    }

    /// A socket for each other process, for the start with this number; none for this one.
    ///
    /// # Errors
    /// Who is missing.
    pub fn mesh(&self, start: u64) -> Result<Vec<Option<TcpStream>>, Fault> {
        let Member { index, hosts, stall_timeout, .. } = self.member.as_ref();
        let purpose = Purpose::Data { start };
        let mut sockets: Vec<Option<TcpStream>> = (0..hosts.count()).map(|_| None).collect();
        for (peer, socket) in sockets.iter_mut().enumerate().take(*index) {
            *socket = Some(self.connect(peer, purpose)?);
        }
        let later: Vec<usize> = (index + 1..hosts.count()).collect();
        for (peer, stream) in self.receive(&later, purpose)? {
            sockets[peer] = Some(stream);
        }
        for (peer, stream) in sockets.iter().enumerate().filter_map(|(peer, stream)| Some((peer, stream.as_ref()?))) {
            let prepared = prepare_for_data(stream, *stall_timeout);
            prepared.map_err(|error| Fault::peer_lost(format!("{}: {error}", hosts.name(peer))))?;
        }
        self.door.close();
        Ok(sockets)
    }

    /// Waits until all of `peers` have come for `purpose`.
    fn receive(&self, peers: &[usize], purpose: Purpose) -> Result<BTreeMap<usize, TcpStream>, Fault> {
        let mut here: BTreeMap<usize, TcpStream> = BTreeMap::new();
        let mut refused: Option<String> = None;
        while here.len() < peers.len() {
            if (self.is_given_up)() {
                return Err(Fault::failed("stopped while it waited for the other processes"));
            }
            if Instant::now() >= self.end {
                let missing = peers.iter().filter(|peer| !here.contains_key(peer));
                return Err(self.missing(missing.copied(), refused));
            }
            here.retain(|peer, stream| {
                let stays = is_there(stream);
                if !stays {
                    tracing::warn!("{} came and left again", self.member.hosts.name(*peer));
                }
                stays
            });
            let Some((hello, mut stream)) = self.next_visitor(purpose) else { continue };
            let answer = if hello.purpose != purpose || !peers.contains(&hello.from) {
                Answer::Refused("that was for another start: start all again".to_owned())
            } else if here.contains_key(&hello.from) {
                let name = self.member.hosts.name(hello.from);
                Answer::Refused(format!("{name} is here already: two processes have the same --process"))
            } else {
                Answer::Welcome
            };
            let told = greet(&mut stream, &answer);
            match answer {
                Answer::Welcome if told.is_ok() => {
                    here.insert(hello.from, stream);
                }
                Answer::Welcome => {}
                Answer::Refused(why) => refused = Some(why),
            }
        }
        Ok(here)
    }

    /// Who has come; whoever is earlier than others are waits for the next purpose.
    fn next_visitor(&self, purpose: Purpose) -> Option<(Hello, TcpStream)> {
        if purpose != Purpose::Control
            && let Some(early) = self.early.borrow_mut().pop()
        {
            return Some(early);
        }
        let visitor = self.visitors.recv_timeout(LOOK_EVERY).ok()?;
        if purpose == Purpose::Control && visitor.0.purpose != purpose {
            self.early.borrow_mut().push(visitor);
            return None;
        }
        Some(visitor)
    }

    fn missing(&self, missing: impl Iterator<Item = usize>, refused: Option<String>) -> Fault {
        let names: Vec<String> = missing.map(|peer| self.member.hosts.name(peer)).collect();
        let refused = refused.or_else(|| self.door.refused());
        let last = refused.map(|why| format!("; somebody was turned away: {why}")).unwrap_or_default();
        let waited = self.member.start_timeout.as_secs_f64();
        Fault::failed(format!(
            "{} did not come within {waited} s: start it, or look at its log; cluster.start_timeout says how long{last}",
            names.join(", ")
        ))
    }

    /// Connects to another process.
    fn connect(&self, peer: usize, purpose: Purpose) -> Result<TcpStream, Fault> {
        let Member { index, hosts, identity, start_timeout, .. } = self.member.as_ref();
        let hello = Hello { from: *index, to: peer, purpose, identity: identity.clone() };
        loop {
            let why = match self.attempt(hosts.address(peer), &hello) {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(refusal)) => return Err(Fault::failed(format!("{} refuses: {refusal}", hosts.name(peer)))),
                Err(error) => error,
            };
            if (self.is_given_up)() {
                return Err(Fault::failed("stopped while it looked for the other processes"));
            }
            if Instant::now() + AGAIN >= self.end {
                let (name, waited) = (hosts.name(peer), start_timeout.as_secs_f64());
                return Err(Fault::failed(format!(
                    "{name} cannot be reached within {waited} s: {why}: start it, or mend its address in cluster.hosts or --hosts"
                )));
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// Waits until the other says something: it may look for others first.
    fn await_answer(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(LOOK_EVERY))?;
        while Instant::now() < self.end && !(self.is_given_up)() {
            match stream.peek(&mut [0]) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                other => return other.map(drop),
            }
        }
        Err(ErrorKind::TimedOut.into())
    }

    fn attempt(&self, address: &str, hello: &Hello) -> Result<Result<TcpStream, String>, NoGreeting> {
        let left = || self.end.saturating_duration_since(Instant::now()).max(LOOK_EVERY);
        let mut last = None;
        for resolved in address.to_socket_addrs()?.collect::<Vec<SocketAddr>>() {
            match TcpStream::connect_timeout(&resolved, left().min(CONNECT_TIME)) {
                Ok(mut stream) => {
                    stream.set_write_timeout(Some(CONNECT_TIME))?;
                    greet(&mut stream, hello)?;
                    self.await_answer(&stream)?;
                    return Ok(match hear(&stream, Instant::now() + CONNECT_TIME)? {
                        Answer::Welcome => Ok(stream),
                        Answer::Refused(why) => Err(why),
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| std::io::Error::other("it has no address")).into())
    }
}

/// Whether the other end is still open. Nobody reads from it now.
fn is_there(stream: &TcpStream) -> bool {
    let peek = || {
        stream.set_nonblocking(true)?;
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        peeked
    };
    match peek() {
        Ok(bytes) => bytes > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

/// Timely reads and writes without time-outs: where the other end does not answer for so long, the system says so.
fn prepare_for_data(stream: &TcpStream, stall: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    let socket = socket2::SockRef::from(stream);
    let pause = (stall / 4).max(Duration::from_secs(1));
    socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(pause).with_interval(pause).with_retries(3))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(stall))?;
    Ok(())
}

/// The port, open until everybody is there.
struct Door {
    closed: Arc<AtomicBool>,
    refused: Arc<std::sync::Mutex<Option<String>>>,
}

impl Door {
    fn open(listener: TcpListener, member: Arc<Member>, sender: Sender<(Hello, TcpStream)>) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (closed, refused) = (Arc::<AtomicBool>::default(), Arc::<std::sync::Mutex<Option<String>>>::default());
        let (is_closed, last_refused) = (Arc::clone(&closed), Arc::clone(&refused));
        let visiting = Arc::new(AtomicUsize::new(0));
        std::thread::Builder::new().name("door".to_owned()).spawn(move || {
            while !is_closed.load(Ordering::SeqCst) {
                let Ok((stream, from)) = listener.accept() else {
                    std::thread::sleep(LOOK_EVERY);
                    continue;
                };
                if visiting.load(Ordering::SeqCst) >= VISITORS_MAX {
                    continue;
                }
                visiting.fetch_add(1, Ordering::SeqCst);
                let (member, sender) = (Arc::clone(&member), sender.clone());
                let (refused, mine) = (Arc::clone(&last_refused), Arc::clone(&visiting));
                let visit = move || {
                    if let Err(why) = receive_visitor(&member, stream, &sender) {
                        tracing::warn!("turned {from} away: {why}");
                        *refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(why);
                    }
                    mine.fetch_sub(1, Ordering::SeqCst);
                };
                if std::thread::Builder::new().name("visitor".to_owned()).spawn(visit).is_err() {
                    visiting.fetch_sub(1, Ordering::SeqCst);
                }
            }
        })?;
        Ok(Self { closed, refused })
    }

    fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.close();
    }
}

/// Hears who comes; hands on who belongs here.
fn receive_visitor(member: &Member, mut stream: TcpStream, sender: &Sender<(Hello, TcpStream)>) -> Result<(), String> {
    let prepare = || {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(HELLO_TIME))
    };
    prepare().map_err(|error| error.to_string())?;
    let hello: Hello = match hear(&stream, Instant::now() + HELLO_TIME) {
        Ok(hello) => hello,
        Err(NoGreeting::Stranger) => return Err("it is no tickcast process".to_owned()),
        Err(NoGreeting::Broken(error)) => return Err(format!("it did not say who it is: {error}")),
        Err(other @ NoGreeting::OtherProtocol(_)) => {
            // It understands so much of ours.
            let _ = greet(&mut stream, &Answer::Refused(other.to_string()));
            return Err(other.to_string());
        }
    };
    if let Some(why) = hello.refusal(member.index, &member.hosts, &member.identity) {
        let _ = greet(&mut stream, &Answer::Refused(why.clone()));
        return Err(why);
    }
    // Full only where nobody meets anybody any more.
    let _ = sender.try_send((hello, stream));
    Ok(())
}

#[cfg(test)]
mod tests;
