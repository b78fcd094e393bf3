//! Query strings, read strictly: a parameter that is unknown, doubled or wrong is an error that says what would be right.

use super::problem::Problem;
use crate::market::{Span, Symbol, Timestamp};

/// The longest query string that is read.
pub const QUERY_BYTES_MAX: usize = 2048;

/// The parameters of one request.
#[derive(Debug)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads the parameters; those in `known` may be there.
    ///
    /// # Errors
    /// Where another is there, one is there twice, or the string is too long.
    pub fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let query = query.unwrap_or_default();
        if query.len() > QUERY_BYTES_MAX {
            return Err(Problem::bad_request(format!("the query is longer than {QUERY_BYTES_MAX} bytes")));
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&&*name) {
                let allowed = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
                return Err(Problem::bad_request(format!("unknown parameter {name:?}: known here: {allowed}")));
            }
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(Problem::bad_request(format!("{name} is given twice")));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self { pairs })
    }

    /// A parameter's text; an empty one counts as not given.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn read<T>(&self, name: &str, read: impl FnOnce(&str) -> Option<T>, right: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let wrong = || Problem::bad_request(format!("{name} = {text:?}: write {right}"));
        read(text).map(Some).ok_or_else(wrong)
    }

    /// A symbol.
    ///
    /// # Errors
    /// Where it cannot be one.
    pub fn symbol(&self, name: &str) -> Result<Option<Symbol>, Problem> {
        self.read(name, |text| Symbol::new(text).ok(), "a symbol, as in BTC")
    }

    /// A horizon or window.
    ///
    /// # Errors
    /// Where it is no duration.
    pub fn span(&self, name: &str) -> Result<Option<Span>, Problem> {
        self.read(name, |text| text.parse().ok().filter(|span: &Span| span.millis() > 0), "a duration, as in 5m")
    }

    /// A time: RFC 3339, or seconds or milliseconds since 1970.
    ///
    /// # Errors
    /// Where it is none.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.read(
            name,
            |text| Timestamp::parse(text.as_bytes()).ok(),
            "a time, as in 2021-01-21T14:00:00Z or 1611237600000",
        )
    }

    /// How many, from 1 to `max`; without it `default`.
    ///
    /// # Errors
    /// Where it is no such number.
    pub fn limit(&self, default: usize, max: usize) -> Result<usize, Problem> {
        let in_range = |text: &str| text.parse().ok().filter(|limit| (1..=max).contains(limit));
        Ok(self.read("limit", in_range, &format!("a number from 1 to {max}"))?.unwrap_or(default))
    }

    /// One of some words; without it the first.
    ///
    /// # Errors
    /// Where it is another.
    pub fn choice(&self, name: &str, words: &[&'static str]) -> Result<&'static str, Problem> {
        let found = self.read(
            name,
            |text| words.iter().copied().find(|word| *word == text),
            &format!("one of {}", words.join(", ")),
        )?;
        Ok(found.unwrap_or(words[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_parameters_are_told() {
        let known = ["symbol", "horizon", "from", "limit"];
        let parse = |text| Query::parse(Some(text), &known);
        let query = parse("symbol=BTC%2FUSD&horizon=5m&from=2021-01-21T14:00:00Z&limit=7").unwrap();
        assert_eq!(query.symbol("symbol").unwrap().unwrap().as_str(), "BTC/USD");
        assert_eq!(query.span("horizon").unwrap(), Some(Span::from_millis(300_000)));
        assert_eq!(query.time("from").unwrap(), Some(Timestamp::from_millis(1_611_237_600_000)));
        assert_eq!((query.limit(1, 10).unwrap(), query.time("to").unwrap()), (7, None));
        for (text, says) in [
            ("symbl=BTC", "unknown parameter \"symbl\": known here: symbol, horizon, from, limit"),
            ("symbol=a&symbol=b", "symbol is given twice"),
        ] {
            assert_eq!(parse(text).unwrap_err().detail, says);
        }
        let wrong = parse("horizon=soon&from=now&limit=0").unwrap();
        assert_eq!(wrong.span("horizon").unwrap_err().detail, "horizon = \"soon\": write a duration, as in 5m");
        assert!(wrong.time("from").unwrap_err().detail.starts_with("from = \"now\": write a time"));
        assert_eq!(wrong.limit(1, 10).unwrap_err().detail, "limit = \"0\": write a number from 1 to 10");
        assert!(parse(&"a".repeat(3000)).unwrap_err().detail.contains("longer than"));
    }
}
