//! `tickcast`, but it dies at a named moment: for the tests of what a death leaves behind.
//!
//! ```text
//! STOPS_AT=kafka.sent:3 cargo run --example stops_at -- run -c tickcast.toml
//! ```
//!
//! It dies the third time that it comes to `kafka.sent`, as by `kill -9`. The names are `tickcast::recovery::point::POINTS`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use tickcast::recovery::point::{POINTS, install};

static REACHED: AtomicU64 = AtomicU64::new(0);

/// The name, and how often it is passed until then.
fn wanted() -> Option<(String, u64)> {
    let text = std::env::var("STOPS_AT").ok()?;
    let (name, count) = text.split_once(':')?;
    assert!(POINTS.contains(&name), "STOPS_AT: there are {POINTS:?}");
    Some((name.to_owned(), count.parse().ok()?))
}

fn hook(name: &'static str) {
    if wanted().is_some_and(|(wanted, count)| name == wanted && REACHED.fetch_add(1, Ordering::SeqCst) + 1 >= count) {
        // By signal, with nothing closed or said, as when the machine takes it.
        let _ = std::process::Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
        loop {
            std::thread::park();
        }
    }
}

fn main() -> ExitCode {
    install(hook);
    tickcast::cli::main()
}
