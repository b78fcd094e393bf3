//! What end-to-end tests share: services, processes, topics, deadlines, data.

// Each test file compiles its own copy and uses a part of it; these are test helpers, so they may panic and print.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod admin;
mod kafka;
mod mongodb;
mod process;
mod services;

pub use admin::{configure_topic, create_anew, delete_topic, forget_records, grow_topic};
pub use kafka::{
    Message, Record, console_consumer, create_topic, end_offsets, produce, read_committed, visit_committed,
};
pub use mongodb::{documents, set_number};
pub use process::{Finished, Process, Signal, example, run_to_end, tickcast, tickcast_of};
pub use services::{Service, Services};

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What `#[ignore]` says, for reference: `#[ignore = "needs services: run ./deploy/test"]`.
pub const NEEDS_SERVICES: &str = "needs services: run ./deploy/test";

/// Polls until `probe` gives something, and panics with `what` when it does not within the time.
pub fn eventually<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + within;
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "not within {within:?}: {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// A name that no other test, process or run has: `prefix-<pid>-<start>-<n>`. For topics, databases, jobs.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis());
    format!("{prefix}-{}-{now}-{n}", std::process::id())
}

/// A directory that goes when it is dropped.
pub fn temp_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("tickcast-").tempdir().expect("a temporary directory")
}

/// The project's top folder.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the real market data (`TICKCAST_DATA`, else `../shared/data`). `None`, said loudly, where there is none:
/// then the test returns. Where data is required (`CI=true` or `TICKCAST_REQUIRE_DATA=1`) that is a failure.
pub fn data(file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TICKCAST_DATA").map_or_else(|| project().join("../shared/data"), PathBuf::from);
    let path = root.join(file);
    if path.exists() {
        return Some(path);
    }
    let required = |name: &str, value: &str| std::env::var(name).is_ok_and(|is| is == value);
    assert!(
        !required("CI", "true") && !required("TICKCAST_REQUIRE_DATA", "1"),
        "{} is missing: point TICKCAST_DATA at the market data",
        path.display()
    );
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("LEFT OUT: {test} needs {}: point TICKCAST_DATA at the market data", path.display());
    None
}

/// JSON whose numbers are what their text says to the last bit, which `serde_json` alone may miss.
pub fn exact_json(text: &str) -> serde_json::Value {
    use serde_json::Value;
    use serde_json::value::RawValue;
    let text = text.trim();
    let inner = |raw: &RawValue| exact_json(raw.get());
    match text.as_bytes().first() {
        Some(b'{') => {
            let fields: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
            Value::Object(fields.iter().map(|(name, raw)| (name.clone(), inner(raw))).collect())
        }
        Some(b'[') => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
            Value::Array(items.iter().map(|raw| inner(raw)).collect())
        }
        Some(b'-' | b'0'..=b'9') if text.contains(['.', 'e', 'E']) => Value::from(text.parse::<f64>().unwrap()),
        _ => serde_json::from_str(text).unwrap(),
    }
}
