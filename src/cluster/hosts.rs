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

    /// Which process a machine runs, by its name: that of a host, or the first part of it, as pods of a StatefulSet have it.
    ///
    /// # Errors
    /// When no host has that name, or several have.
    pub fn index_of(&self, machine: &str) -> Result<usize, HostsError> {
        let first = |name: &str| name.split('.').next().map(str::to_owned);
        let host = |address: &String| address.rsplit_once(':').map(|(host, _)| host.to_owned()).unwrap_or_default();
        let is_it = |address: &String| {
            let host = host(address);
            host.eq_ignore_ascii_case(machine)
                || host.parse::<std::net::IpAddr>().is_err()
                    && first(&host).zip(first(machine)).is_some_and(|(host, own)| host.eq_ignore_ascii_case(&own))
        };
        let found: Vec<usize> = (0..self.count()).filter(|index| is_it(&self.0[*index])).collect();
        match found[..] {
            [index] => Ok(index),
            [] => Err(HostsError(format!(
                "no host has the name of this machine, {machine:?}, among {}: write --process with a number",
                self.0.join(", ")
            ))),
            _ => Err(HostsError(format!(
                "several hosts have the name of this machine, {machine:?}: write --process with a number"
            ))),
        }
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
    fn a_machine_is_known_by_its_name() {
        let of = |hosts: &[&str]| Hosts::new(hosts.iter().map(|host| (*host).to_owned())).unwrap();
        let pods = of(&["tickcast-0.tickcast:2101", "tickcast-1.tickcast:2101", "tickcast-10.tickcast:2101"]);
        assert_eq!(pods.index_of("tickcast-1"), Ok(1));
        assert_eq!(pods.index_of("tickcast-10.tickcast.market.svc"), Ok(2));
        assert!(
            pods.index_of("tickcast").unwrap_err().0.contains("no host has the name of this machine, \"tickcast\"")
        );
        let one = of(&["10.0.0.1:1", "10.0.0.2:1", "A.example:1"]);
        assert_eq!((one.index_of("10.0.0.2"), one.index_of("a")), (Ok(1), Ok(2)));
        assert!(one.index_of("10").is_err());
        assert!(of(&["a:1", "a:2"]).index_of("a").unwrap_err().0.starts_with("several hosts"));
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
