//! Where a job with everything in one process is shown: redrawn in place on a terminal, else a plain line now and then. On stderr, since stdout is
//! for results.

pub mod table;

use super::output;
use crate::market::Timestamp;
use console::Term;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};
use table::{Phase, View};

/// Time between two pictures.
const REDRAW_EVERY: Duration = Duration::from_millis(250);
/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Event time between two plain lines while history goes by.
const LINE_EVERY_EVENT_MS: i64 = 6 * 3_600_000;
/// What is assumed of a terminal that does not tell.
const SIZE_DEFAULT: (u16, u16) = (24, 80);

/// The terminal, or what stands in for it.
pub enum Screen {
    /// A picture that is redrawn in place.
    Live(LiveScreen),
    /// One line now and then.
    Plain(PlainLines),
}

/// A terminal, and when it was drawn.
pub struct LiveScreen {
    term: Term,
    last: Option<Instant>,
}

impl Screen {
    /// What stderr is.
    pub fn open() -> Self {
        let term = Term::stderr();
        // `console` counts TERM=dumb as a terminal; it cannot move its cursor.
        let dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb" || name.is_empty());
        if term.is_term() && !(cfg!(unix) && dumb) {
            Self::Live(LiveScreen { term, last: None })
        } else {
            Self::Plain(PlainLines::default())
        }
    }

    /// Shows `view` if it is time to. What cannot be written is not shown: the job goes on.
    pub fn show(&mut self, view: &View<'_>) {
        let now = Instant::now();
        match self {
            Self::Live(LiveScreen { term, last }) => {
                if last.is_none_or(|last| now - last >= REDRAW_EVERY) {
                    *last = Some(now);
                    let (height, width) = term.size_checked().unwrap_or(SIZE_DEFAULT);
                    // The last line stays free: the cursor rests there.
                    let lines = view.lines(usize::from(width), usize::from(height).saturating_sub(1));
                    output::picture(lines.len(), |drawn| redraw(&lines, drawn));
                }
            }
            Self::Plain(lines) => {
                if lines.is_due(view, now) {
                    let _ = writeln!(std::io::stderr().lock(), "{}", view.line());
                }
            }
        }
    }

    /// Shows `view` for the last time.
    pub fn close(&mut self, view: &View<'_>) {
        match self {
            Self::Live(screen) => screen.last = None,
            Self::Plain(lines) => *lines = PlainLines::default(),
        }
        self.show(view);
        output::leave_picture();
    }
}

/// Text that draws `lines` over a picture of `drawn` lines.
fn redraw(lines: &[String], drawn: usize) -> String {
    let mut text = String::new();
    if drawn > 0 {
        let _ = write!(text, "\x1b[{drawn}A");
    }
    text.push('\r');
    for line in lines {
        // Cleared to its end after it is written, which does not flicker.
        let _ = writeln!(text, "{line}\x1b[K");
    }
    text.push_str("\x1b[J");
    text
}

/// When plain lines are due.
#[derive(Default)]
pub struct PlainLines {
    last: Option<Instant>,
    last_through: Option<Timestamp>,
    forecast_shown: bool,
}

impl PlainLines {
    fn is_due(&mut self, view: &View<'_>, now: Instant) -> bool {
        let first_forecast = !self.forecast_shown && !view.latest.is_empty();
        let waited = self.last.is_none_or(|last| now - last >= LINE_EVERY);
        let advanced = match (view.phase, view.through, self.last_through) {
            (Phase::History(_) | Phase::Finishing, Some(through), Some(last)) => {
                through.millis().div_euclid(LINE_EVERY_EVENT_MS) > last.millis().div_euclid(LINE_EVERY_EVENT_MS)
            }
            _ => false,
        };
        let due = first_forecast || waited || advanced;
        if due {
            self.last = Some(now);
            self.last_through = view.through;
            self.forecast_shown |= !view.latest.is_empty();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_drawn_over_the_one_before() {
        let lines = ["one".to_owned(), "two".to_owned()];
        assert_eq!(redraw(&lines, 0), "\rone\x1b[K\ntwo\x1b[K\n\x1b[J");
        assert_eq!(redraw(&lines[..1], 2), "\x1b[2A\rone\x1b[K\n\x1b[J");
    }

    #[test]
    fn plain_lines_are_rare() {
        let start = Instant::now();
        let mut lines = PlainLines::default();
        let mut due = |seconds: u64, phase: Phase, hours: i64| {
            let through = Some(Timestamp::from_millis(hours * 3_600_000));
            let elapsed = Duration::from_secs(seconds);
            let view = View {
                name: "demo",
                label: "SIMULATED MARKET",
                phase,
                records: 0,
                through,
                forecasts: 0,
                elapsed,
                latest: &[],
            };
            lines.is_due(&view, start + elapsed)
        };
        let history = Phase::History(None);
        assert!(due(0, history, 1), "the first");
        assert!(!due(1, history, 5));
        assert!(due(2, history, 6), "six hours of history");
        assert!(!due(3, history, 11));
        assert!(due(32, history, 11), "half a minute");
        assert!(!due(33, Phase::Live(None), 100), "live, the clock alone counts");
    }
}
