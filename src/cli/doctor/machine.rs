//! This machine and the cluster's others.

use super::Findings;
use crate::config::Config;
use std::net::ToSocketAddrs as _;

/// What a symbol with four horizons takes once its memory is full: measured, docs/forecasts.md.
const SYMBOL_BYTES: u64 = 1_000_000;

/// `[cluster]`
pub(super) fn cluster(config: &Config, found: &mut Findings) {
    let Some(hosts) = &config.cluster.hosts else { return };
    for (index, host) in hosts.iter().enumerate() {
        match host.to_socket_addrs().map(|mut addresses| addresses.next()) {
            Ok(Some(address)) => found.good("cluster", format!("process {index}: {host} is {}", address.ip())),
            Ok(None) => found.bad("cluster", format!("process {index}: {host} has no address"), "mend cluster.hosts, or the name's record"),
            Err(error) => found.bad(
                "cluster",
                format!("process {index}: {host} cannot be found: {error}"),
                "mend cluster.hosts, or the name's record; on Kubernetes the headless service has to publish addresses that are not ready",
            ),
        }
    }
}

/// Memory, beside what a job may take.
pub(super) fn memory(config: &Config, found: &mut Findings) {
    let Ok(text) = std::fs::read_to_string("/proc/meminfo") else { return };
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let Some(kilobytes) = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()) else {
        return;
    };
    let free = kilobytes.saturating_mul(1024);
    let room = free / SYMBOL_BYTES;
    let what = format!(
        "{:.1} GB of memory are free: enough for some {room} symbols with models of their own (about 1 MB each)",
        free as f64 / 1e9
    );
    let max = config.source.symbols_max as u64;
    if room < 100 {
        found.warn("memory", what, "free some, or give the job another machine");
    } else if room < max {
        found.warn(
            "memory",
            format!("{what}; source.symbols_max lets in {max}"),
            format!("set source.symbols_max to {room} or less, unless the market has fewer anyway"),
        );
    } else {
        found.good("memory", what);
    }
}
