//! `Retry-After`: how long a server asks to be left alone.

use std::time::Duration;

/// The longest wait that is honoured: beyond it, a wrong header would silence us for good.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Reads the header's value: seconds, or an HTTP date (RFC 9110, 10.2.3). A date counts from the answer's own `Date`, so
/// that our clock plays no part in it; without one, and where the value is neither, there is no wait.
///
/// ```
/// use std::time::Duration;
/// use tickcast::feeds::retry_after::retry_after;
///
/// assert_eq!(retry_after("7", None), Some(Duration::from_secs(7)));
/// let (until, now) = ("Thu, 21 Jan 2021 14:35:00 GMT", "Thu, 21 Jan 2021 14:34:30 GMT");
/// assert_eq!(retry_after(until, Some(now)), Some(Duration::from_secs(30)));
/// ```
#[must_use]
pub fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are a long time too.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)).min(RETRY_AFTER_MAX));
    }
    let seconds = http_date(value)?.saturating_sub(http_date(date?)?);
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).min(RETRY_AFTER_MAX))
}

/// Seconds since the epoch.
fn http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_bounded() {
        let now = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let table = [
            ("0", now, Some(0)),
            (" 120 ", None, Some(120)),
            ("3601", None, Some(3600)),
            ("99999999999999999999999", None, Some(3600)),
            ("Sun, 06 Nov 1994 08:50:00 GMT", now, Some(23)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", now, Some(0)),
            ("Mon, 07 Nov 1994 08:50:00 GMT", now, Some(3600)),
            ("Sun, 06 Nov 1994 08:50:00 GMT", None, None),
            ("Sun, 06 Nov 1994 08:50:00 GMT", Some("now"), None),
            ("-1", now, None),
            ("1.5", now, None),
            ("soon", now, None),
            ("", now, None),
        ];
        for (value, date, expected) in table {
            assert_eq!(retry_after(value, date), expected.map(Duration::from_secs), "{value:?} at {date:?}");
        }
    }
}
