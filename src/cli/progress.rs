//! How far a job is, on the terminal while it runs: a bar where the end is known, a line where it is not.

use super::output::{self, LogFormat};
use crate::market::Timestamp;
use crate::operators::support::stats::Stats;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the terminal is brought up to date.
const EVERY: Duration = Duration::from_millis(250);

/// A bar on stderr; shows nothing where stderr is no terminal, or holds JSON. Ends when it is dropped.
pub struct JobBar {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl JobBar {
    /// Shows `stats` until it is dropped; `total` records where the end is known.
    #[must_use]
    pub fn show(stats: &Arc<Stats>, total: Option<u64>) -> Self {
        let bar = match output::format() {
            LogFormat::Text => ProgressBar::new(total.unwrap_or(0)),
            LogFormat::Json => ProgressBar::hidden(),
        };
        let known = "{elapsed_precise} [{bar:30}] {pos}/{len} records, {per_sec}, {msg}";
        let unknown = "{elapsed_precise} {spinner} {pos} records, {per_sec}, {msg}";
        // A template of ours that does not parse leaves the default look.
        if let Ok(style) = ProgressStyle::with_template(if total.is_some() { known } else { unknown }) {
            bar.set_style(style.progress_chars("=> "));
        }
        let stats = Arc::clone(stats);
        let (end, ended) = channel::<()>();
        let draw = move || {
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                bar.set_position(stats.records().total());
                let through = stats.published_through();
                if through > 0 {
                    let at = Timestamp::from_millis(through);
                    bar.set_message(format!("{} forecasts, published through {at}", stats.forecasts()));
                }
            }
            bar.finish_and_clear();
        };
        // Without the thread nothing is shown, and the job runs all the same.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(draw).ok();
        Self { end: Some(end), thread }
    }
}

impl Drop for JobBar {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
