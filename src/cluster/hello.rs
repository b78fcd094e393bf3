//! What processes say to each other when they meet, and what is wrong with who does not belong.

use super::hosts::Hosts;
use super::wire::{Until, read_frame, write_frame};
use crate::recovery::Computation;
use crate::recovery::computation::Difference;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

/// The first bytes on each connection.
const MAGIC: &[u8; 8] = b"tickcast";
/// Raised with each change of what processes say to each other.
pub const PROTOCOL: u16 = 1;
/// The longest greeting: a computation has some fifty names.
const GREETING_MAX: usize = 64 << 10;

/// What all processes of a cluster have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Of tickcast.
    pub version: String,
    /// The job.
    pub job: String,
    /// What it computes; ids that only the broker knows are not in it.
    pub computation: Computation,
    /// How many processes there are.
    pub processes: usize,
    /// Worker threads of each.
    pub workers: usize,
}

impl Identity {
    /// What `other`, which calls itself `process`, has otherwise; for people.
    pub fn difference(&self, other: &Self, process: usize) -> Option<String> {
        let differ = |what: &str, theirs: &str, ours: &str| {
            Some(format!("process {process} has {what} {theirs}, process 0 has {ours}: give all processes the same"))
        };
        if self.version != other.version {
            return differ("tickcast", &other.version, &self.version);
        }
        if self.job != other.job {
            return differ("job.id", &format!("`{}`", other.job), &format!("`{}`", self.job));
        }
        if self.processes != other.processes {
            return differ("a list of processes of length", &other.processes.to_string(), &self.processes.to_string());
        }
        if self.workers != other.workers {
            return differ("--workers", &other.workers.to_string(), &self.workers.to_string());
        }
        let Difference { key, was, is } = self.computation.difference(&other.computation)?;
        let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        differ(&key, &shown(is), &shown(was))
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// What process 0 and another say to each other.
    Control,
    /// What workers exchange, of the start with this number.
    Data {
        /// Process 0's number for this start: who still waits for an earlier one does not belong.
        start: u64,
    },
}

/// What the one that connects says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Who it is.
    pub from: usize,
    /// Whom it wants.
    pub to: usize,
    /// What the connection is for.
    pub purpose: Purpose,
    /// What it has in common with the others.
    pub identity: Identity,
}

/// What the other says to that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It belongs here.
    Welcome,
    /// It does not, and why.
    Refused(String),
}

/// Why somebody's greeting is none.
#[derive(Debug, thiserror::Error)]
pub enum NoGreeting {
    #[error("{0}")]
    Broken(#[from] std::io::Error),
    #[error("no tickcast process speaks there")]
    Stranger,
    #[error(
        "a tickcast speaks there that this one does not understand (protocol {0}, this one has {PROTOCOL}): give all processes the same version"
    )]
    OtherProtocol(u16),
}

/// Says something to who is met.
pub fn greet(stream: &mut TcpStream, greeting: &impl Serialize) -> std::io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(PROTOCOL.to_le_bytes());
    let greeting = postcard::to_allocvec(greeting).map_err(std::io::Error::other)?;
    write_frame(&mut bytes, &greeting)?;
    stream.write_all(&bytes)
}

/// Hears what who is met says, until `end`.
pub fn hear<T: DeserializeOwned>(stream: &TcpStream, end: Instant) -> Result<T, NoGreeting> {
    let mut reader = Until::new(stream, end);
    let mut magic = [0; 8];
    reader.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(NoGreeting::Stranger);
    }
    let mut protocol = [0; 2];
    reader.read_exact(&mut protocol)?;
    let protocol = u16::from_le_bytes(protocol);
    if protocol != PROTOCOL {
        return Err(NoGreeting::OtherProtocol(protocol));
    }
    parse(&read_frame(&mut reader, GREETING_MAX)?)
}

fn parse<T: DeserializeOwned>(frame: &[u8]) -> Result<T, NoGreeting> {
    match postcard::take_from_bytes(frame) {
        Ok((greeting, [])) => Ok(greeting),
        _ => Err(NoGreeting::Stranger),
    }
}

impl Hello {
    /// Why it does not belong to the process `to` of a cluster; none where it does.
    pub fn refusal(&self, to: usize, hosts: &Hosts, identity: &Identity) -> Option<String> {
        if let Some(difference) = identity.difference(&self.identity, self.from) {
            return Some(difference);
        }
        if self.to != to {
            return Some(format!(
                "process {} is looked for here, and this is {}: give all the same hosts",
                self.to,
                hosts.name(to)
            ));
        }
        // The higher one connects.
        if self.from <= to || self.from >= hosts.count() {
            return Some(format!("process {} has nothing to ask of {}", self.from, hosts.name(to)));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let computation = Computation::new([("time.slide", "5s".to_owned()), ("model.random_seed", "42".to_owned())]);
        Identity { version: "0.1.0".to_owned(), job: "btc".to_owned(), computation, processes: 3, workers: 2 }
    }

    #[test]
    fn who_does_not_belong_is_told_why() {
        let ours = identity();
        let hosts = Hosts::new(["a:1", "b:1", "c:1"].map(str::to_owned)).unwrap();
        let hello = |change: fn(&mut Hello)| {
            let mut hello = Hello { from: 1, to: 0, purpose: Purpose::Control, identity: identity() };
            change(&mut hello);
            hello.refusal(0, &hosts, &ours)
        };
        assert_eq!(hello(|_| ()), None);
        for (change, expected) in [
            (
                (|hello| hello.identity.version = "0.2.0".to_owned()) as fn(&mut Hello),
                "process 1 has tickcast 0.2.0, process 0 has 0.1.0",
            ),
            (|hello| hello.identity.job = "eth".to_owned(), "process 1 has job.id `eth`, process 0 has `btc`"),
            (|hello| hello.identity.processes = 2, "process 1 has a list of processes of length 2"),
            (|hello| hello.identity.workers = 4, "process 1 has --workers 4, process 0 has 2"),
            (
                |hello| hello.identity.computation.set("model.random_seed", Some("7".to_owned())),
                "process 1 has model.random_seed 7, process 0 has 42",
            ),
            (|hello| hello.to = 2, "process 2 is looked for here, and this is process 0 (a:1)"),
            (|hello| hello.from = 0, "process 0 has nothing to ask of process 0"),
            (|hello| hello.from = 3, "process 3 has nothing to ask of process 0"),
        ] {
            let refusal = hello(change).unwrap();
            assert!(refusal.starts_with(expected), "{refusal}");
        }
    }

    /// `TICKCAST_TEST_FUZZ` says how many.
    #[test]
    fn any_bytes_are_a_greeting_or_none() {
        use rand_chacha::rand_core::{Rng, SeedableRng};
        let count = std::env::var("TICKCAST_TEST_FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let hello = Hello { from: 1, to: 0, purpose: Purpose::Data { start: 7 }, identity: identity() };
        let whole = postcard::to_allocvec(&hello).unwrap();
        assert_eq!(parse::<Hello>(&whole).unwrap(), hello);
        for _ in 0..count {
            let mut bytes = whole.clone();
            for _ in 0..=random.next_u32() % 4 {
                let at = random.next_u32() as usize % bytes.len();
                bytes[at] = random.next_u32() as u8;
            }
            bytes.truncate(1 + random.next_u32() as usize % (2 * bytes.len()));
            if let Ok(other) = parse::<Hello>(&bytes) {
                let _ = other.refusal(0, &Hosts::new(["a:1".to_owned()]).unwrap(), &hello.identity);
            }
            let _ = parse::<Answer>(&bytes);
            assert!(bytes.len() >= whole.len() || parse::<Hello>(&whole[..bytes.len()]).is_err());
        }
    }
}
