//! Arguments that several subcommands share.

use super::Usage;
use crate::cluster::Hosts;
use crate::config::Settings;
use crate::market::Timestamp;
use clap::Args;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The most worker threads of one process.
pub const WORKERS_MAX: usize = 64;

/// `-c FILE`
#[derive(Clone, Debug, Args)]
pub struct ConfigFile {
    /// Configuration file; may be left out where the environment and --set say enough.
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigFile {
    /// Where the file is, when one was named.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.config.as_deref()
    }
}

/// `--workers N` of the commands that use the whole machine.
#[derive(Clone, Copy, Debug, Args)]
pub struct Workers {
    /// Worker threads, 1 to 64; without it, one per core (at most 64). Results are the same with any number.
    #[arg(long, value_name = "N", value_parser = parse_workers)]
    pub workers: Option<usize>,
}

impl Workers {
    /// How many threads to use.
    #[must_use]
    pub fn count(self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.workers.unwrap_or_else(cores).clamp(1, WORKERS_MAX)
    }

    /// The same for each of so many processes on this machine.
    #[must_use]
    pub fn count_of(self, processes: usize) -> usize {
        self.workers.unwrap_or_else(|| (self.count() / processes.max(1)).max(1))
    }
}

/// Reads a number of worker threads.
///
/// # Errors
/// When it is no whole number from 1 to [`WORKERS_MAX`].
pub fn parse_workers(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=WORKERS_MAX).contains(count));
    count.ok_or_else(|| format!("write a whole number from 1 to {WORKERS_MAX}"))
}

/// `--speed X|max`: event time per wall-clock time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// This many times the recorded pace.
    Times(f64),
    /// As fast as it goes.
    Max,
}

/// The highest factor of [`Speed::Times`]; what wants more wants [`Speed::Max`].
pub const SPEED_MAX: f64 = 1e6;

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let factor = text.parse().ok().filter(|factor: &f64| *factor > 0.0 && *factor <= SPEED_MAX);
        factor.map(Self::Times).ok_or_else(|| "write a number above 0 and up to 1000000, or max".to_owned())
    }
}

/// Reads `--from` and `--to`.
///
/// # Errors
/// When it is no stamp of the years 2000 to 2099.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text.as_bytes()).map_err(|error| format!("{error}: write it as in 2021-01-21T14:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_positive_numbers_or_max() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        for text in ["", "0", "-1", "NaN", "inf", "fast", "1e7"] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }

    #[test]
    fn workers_are_1_to_64() {
        assert_eq!(parse_workers("64"), Ok(64));
        for text in ["0", "65", "-1", "two"] {
            assert!(parse_workers(text).is_err(), "{text}");
        }
        assert!((1..=WORKERS_MAX).contains(&Workers { workers: None }.count()));
    }
}

/// Which process of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one with this number.
    Number(usize),
    /// The one whose host has this machine's name.
    Auto,
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            number => number.parse().map(Self::Number).map_err(|_| "write a number from 0, or auto".to_owned()),
        }
    }
}

impl Which {
    /// Its number.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn index(self, hosts: &Hosts) -> Result<usize, Usage> {
        match self {
            Self::Number(index) if index < hosts.count() => Ok(index),
            Self::Number(index) => Err(Usage(format!(
                "--process {index}: there are {} hosts, so write 0 to {}",
                hosts.count(),
                hosts.count() - 1
            ))),
            Self::Auto => {
                let system = rustix::system::uname();
                let machine = system.nodename().to_string_lossy();
                hosts.index_of(&machine).map_err(|error| Usage(format!("--process auto: {error}")))
            }
        }
    }
}

/// The addresses of a cluster's processes: of a file, else of the configuration; none where neither gives any.
///
/// # Errors
/// When they cannot be read or used.
pub fn hosts(file: Option<&Path>, settings: &Settings) -> Result<Option<Hosts>, Usage> {
    match (file, &settings.config.cluster.hosts) {
        (Some(path), _) => Hosts::read(path).map(Some).map_err(|error| Usage(format!("--hosts: {error}"))),
        (None, Some(hosts)) => {
            let hosts = Hosts::new(hosts.iter().cloned());
            hosts.map(Some).map_err(|error| Usage(format!("cluster.hosts: {error}")))
        }
        (None, None) => Ok(None),
    }
}
