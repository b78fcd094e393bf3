//! Named moments at which a process may die: a test installs a hook that lets it die exactly there. No hook, no cost but a look;
//! the program that is shipped installs none.

use std::sync::OnceLock;

/// All moments, in the order in which a job comes to them.
pub const POINTS: [&str; 12] = [
    "takeover.decided",
    "takeover.fenced",
    "mongodb.half",
    "mongodb.written",
    "kafka.begun",
    "kafka.sent",
    "kafka.committed",
    "files.half",
    "files.written",
    "checkpoint.half",
    "checkpoint.state",
    "checkpoint.current",
];

static HOOK: OnceLock<fn(&'static str)> = OnceLock::new();

/// Lets `hook` be called at each of [`POINTS`], with its name. The first one stays.
pub fn install(hook: fn(&'static str)) {
    let _ = HOOK.set(hook);
}

/// Whether somebody watches.
#[must_use]
pub fn is_watched() -> bool {
    HOOK.get().is_some()
}

/// A process has come to this moment.
#[inline]
pub fn reach(name: &'static str) {
    debug_assert!(POINTS.contains(&name), "{name}");
    if let Some(hook) = HOOK.get() {
        hook(name);
    }
}
