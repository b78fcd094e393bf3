//! Where the processes of a cluster are.

use crate::config::kind::{HOSTS_MAX, is_host};
use std::path::Path;

/// The most processes.
pub const PROCESSES_MAX: usize = HOSTS_MAX;

/// Each process's address, `host:port`, by its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

/// What is wrong with a list of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HostsError(pub String);

impl Hosts {
    /// Takes addresses in the order of the processes.
    ///
    /// # Errors
    /// When one is no `host:port` or stands there twice, or there are too many or none.
    pub fn new(addresses: impl IntoIterator<Item = String>) -> Result<Self, HostsError> {
        let addresses: Vec<String> = addresses.into_iter().collect();
        if !(1..=PROCESSES_MAX).contains(&addresses.len()) {
            return Err(HostsError(format!("{} addresses: give 1 to {PROCESSES_MAX}", addresses.len())));
        }
        for (at, address) in addresses.iter().enumerate() {
            if !is_host(address) {
                return Err(HostsError(format!("{address:?}: write host:port, as in localhost:2101")));
            }
            if addresses[..at].contains(address) {
                return Err(HostsError(format!("{address} stands there twice: each process has its own")));
            }
        }
        Ok(Self(addresses))
    }

    /// Reads a file with one address in each line; empty lines and what follows a `#` do not count.
    ///
    /// # Errors
    /// When it cannot be read, or as [`Hosts::new`].
    pub fn read(path: &Path) -> Result<Self, HostsError> {
        let name = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| HostsError(format!("cannot read {name}: {error}")))?;
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
        let addresses = lines.filter(|line| !line.is_empty()).map(str::to_owned);
        Self::new(addresses).map_err(|error| HostsError(format!("{name}: {error}")))
    }

    /// How many processes there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The address of a process.
    #[must_use]
    pub fn address(&self, index: usize) -> &str {
        self.0.get(index).map_or("", String::as_str)
    }

    /// `process 1 (host:port)`
    #[must_use]
    pub fn name(&self, index: usize) -> String {
        format!("process {index} ({})", self.address(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_address_in_each_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        std::fs::write(&path, "# the first one writes\na:2101\n\n [::1]:2102 # here\n").unwrap();
        let hosts = Hosts::read(&path).unwrap();
        assert_eq!((hosts.count(), hosts.address(1)), (2, "[::1]:2102"));
        assert_eq!(hosts.name(0), "process 0 (a:2101)");
        assert!(Hosts::read(&dir.path().join("none")).unwrap_err().0.starts_with("cannot read "));
    }

    #[test]
    fn wrong_addresses_are_named() {
        for (addresses, expected) in [
            (vec!["a"], "\"a\": write host:port"),
            (vec![":1"], "\":1\": write"),
            (vec!["a:0"], "\"a:0\": write"),
            (vec!["a:70000"], "\"a:70000\": write"),
            (vec!["a:1 b:2"], "\"a:1 b:2\": write"),
            (vec!["a:1", "b:1", "a:1"], "a:1 stands there twice"),
            (vec![], "0 addresses: give 1 to 64"),
        ] {
            let error = Hosts::new(addresses.into_iter().map(str::to_owned)).unwrap_err().0;
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
