//! stdout for results, stderr for everything else. Nothing here panics when a pipe is closed.

use anyhow::Context;
use std::io::{ErrorKind, Write};

/// Writes a result to stdout as it is. A reader that closed the pipe (`| head`) has what it wanted: no error.
///
/// # Errors
/// When stdout cannot be written.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("stdout cannot be written"),
        _ => Ok(()),
    }
}

/// Tells a person something, on stderr.
pub fn tell(text: &str) {
    // Without a stderr there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Says on stderr what went wrong.
pub fn complain(problem: &str) {
    // Without a stderr there is nobody left to tell.
    let _ = writeln!(std::io::stderr().lock(), "error: {problem}");
}
