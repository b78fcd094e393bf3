//! What stands at the axes: times in the largest unit that fits, and as many decimals as labels need.

use crate::market::Timestamp;

/// An axis of time in the largest unit that gives it labels at whole numbers.
pub(super) struct Clock {
    unit_ms: f64,
    from: usize,
    to: usize,
}

impl Clock {
    pub fn of(first_ms: i64, last_ms: i64) -> Self {
        let length = last_ms - first_ms;
        let (unit_ms, from, to) = match length {
            l if l >= 4 * 86_400_000 => (86_400_000, 5, 10),
            l if l >= 4 * 3_600_000 => (3_600_000, 11, 16),
            l if l >= 4 * 60_000 => (60_000, 11, 16),
            _ => (1000, 11, 19),
        };
        Self { unit_ms: f64::from(unit_ms), from, to }
    }

    pub fn at(&self, ms: i64) -> f64 {
        ms as f64 / self.unit_ms
    }

    /// `06-15`, `14:30` or `14:30:05`.
    pub fn format(&self, value: f64) -> String {
        let text = Timestamp::from_millis((value * self.unit_ms).round() as i64).to_string();
        text.get(self.from..self.to).unwrap_or_default().to_owned()
    }

    /// From the first to the last, and never of no length.
    pub fn range(&self, first_ms: i64, last_ms: i64) -> (f64, f64) {
        (self.at(first_ms), self.at(last_ms.max(first_ms + 1)))
    }

    pub fn label(&self, what: &str, first_ms: i64) -> String {
        let day = Timestamp::from_millis(first_ms).to_string();
        let part = if self.from == 5 { &day[..4] } else { &day[..10] };
        format!("{what} (UTC, {part})")
    }
}

/// A range with some room around the values, and never of no length.
pub(super) fn around(values: impl Iterator<Item = f64>, room: f64) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let length = (high - low).max(high.abs().max(low.abs()) * 1e-6).max(1e-9);
    (low - room * length, high + room * length)
}

/// As many decimals as tell the labels of an axis apart.
pub(super) fn digits(range: (f64, f64)) -> usize {
    let step = (range.1 - range.0) / 6.0;
    if step <= 0.0 { 0 } else { (-step.log10()).ceil().clamp(0.0, 6.0) as usize }
}
