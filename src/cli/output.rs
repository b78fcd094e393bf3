//! stdout for results, stderr for everything else. Nothing here panics when a pipe is closed.

use crate::operators::support::gauges::wall_clock;
use anyhow::Context;
use clap::ValueEnum;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

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

/// Whether stderr holds a JSON object a line instead of text.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// What stderr holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// A JSON object a line: timestamp, level, target, message, and the fields of the event beside them.
    Json,
}

/// From here on.
pub fn set_format(format: LogFormat) {
    IS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
}

/// What it is.
pub fn format() -> LogFormat {
    if IS_JSON.load(Ordering::Relaxed) { LogFormat::Json } else { LogFormat::Text }
}

/// Tells a person something, on stderr.
pub fn tell(text: &str) {
    say("", "INFO", text);
}

/// Says on stderr what went wrong.
pub fn complain(problem: &str) {
    say("error: ", "ERROR", problem);
}

fn say(lead: &str, level: &str, text: &str) {
    let line = match format() {
        LogFormat::Text => format!("{lead}{text}"),
        LogFormat::Json => serde_json::json!({
            "timestamp": wall_clock().to_string(), "level": level, "target": "tickcast", "message": text,
        })
        .to_string(),
    };
    // Without a stderr there is nobody to tell.
    let _ = Lines.write_all(format!("{line}\n").as_bytes());
}

/// Lines of the picture that the end of the terminal holds.
static PICTURE: Mutex<usize> = Mutex::new(0);

/// Writes a picture of so many lines to stderr in place of the one that is there; `draw` is told how many lines that has.
pub fn picture(lines: usize, draw: impl FnOnce(usize) -> String) {
    let mut drawn = PICTURE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stderr = io::stderr().lock();
    // What cannot be shown is not shown.
    let _ = stderr.write_all(draw(*drawn).as_bytes()).and_then(|()| stderr.flush());
    *drawn = lines;
}

/// A picture that is there stays as it is.
pub fn leave_picture() {
    *PICTURE.lock().unwrap_or_else(PoisonError::into_inner) = 0;
}

/// stderr for whole lines: a picture makes room for them, and is drawn below them next time.
#[derive(Clone, Copy, Debug)]
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut drawn = PICTURE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stderr = io::stderr().lock();
        let lines = std::mem::take(&mut *drawn);
        if lines > 0 {
            write!(stderr, "\x1b[{lines}A\r\x1b[J")?;
        }
        stderr.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
