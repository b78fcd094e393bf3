//! Where trades go on behind candles: none of a minute that a candle has, none left out after it. Pure.

use super::sequence::Numbering;
use super::trade::Trade;
use crate::market::{Span, Timestamp};

/// Of one market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The end of the last candle.
    from: Timestamp,
    /// So many ids before the first trade that comes are looked through.
    ids: u64,
    /// The first id that is asked for, once that is known.
    asked: Option<u64>,
    /// The first trade that was there: its id, and whether it is of a candle.
    oldest: Option<(u64, bool)>,
    /// The venue could not be asked.
    failed: bool,
    /// A trade was let through.
    passed: bool,
}

/// Stamps of trades that follow each other by their ids run backwards by less.
const UNEVEN: Span = Span::from_millis(60_000);

impl Join {
    /// Behind candles that end there.
    #[must_use]
    pub const fn new(from: Timestamp, ids: u64) -> Self {
        Self { from, ids, asked: None, oldest: None, failed: false, passed: false }
    }

    /// The id behind which to begin, so that what was traded before this one, the first that came, is asked for; and the time of that
    /// id as JSON, for venues that are asked by time.
    pub fn begin(&mut self, first: &Trade, numbering: Numbering) -> (u64, Box<str>) {
        let last = match numbering {
            Numbering::Contiguous => first.id.saturating_sub(self.ids + 1),
            // None tells how far back to look: by time alone.
            Numbering::Ascending => 0,
        };
        self.asked = Some(last + 1);
        (last, format!("\"{}\"", self.from).into())
    }

    /// The venue will not tell.
    pub const fn fail(&mut self) {
        self.failed = true;
    }

    /// Whether a trade is behind the candles; they are told in turn.
    pub fn lets(&mut self, trade: &Trade) -> bool {
        let is_before = at(trade).is_some_and(|at| at < self.from);
        self.oldest.get_or_insert((trade.id, is_before));
        !is_before
    }

    /// Notes that this one, the first of some, was let through; true where it is the first of all.
    pub const fn passes(&mut self) -> bool {
        !std::mem::replace(&mut self.passed, true)
    }

    /// Whether a trade was let through: what is missing from there on is missing among trades.
    #[must_use]
    pub const fn is_passed(&self) -> bool {
        self.passed
    }

    /// Whether a trade is so far behind the candles that none after it is of one.
    #[must_use]
    pub fn ends_with(&self, trade: &Trade) -> bool {
        at(trade).is_some_and(|at| at >= self.from.plus(UNEVEN))
    }

    /// What is not known of the trades between the candles and the first that was let through, for people.
    #[must_use]
    pub fn lack(&self) -> Option<&'static str> {
        match (self.asked, self.oldest) {
            _ if self.failed => Some("the venue did not tell what was traded"),
            // The very first of all, one of a candle's own, or what a venue that is asked by time has first.
            (Some(asked), Some((id, is_before))) if is_before || id > asked || id <= 1 => None,
            _ => Some("more was traded than was asked for"),
        }
    }
}

fn at(trade: &Trade) -> Option<Timestamp> {
    Timestamp::parse(trade.at.trim_matches('"').as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: i64 = 1_700_000_040_000;

    fn trade(id: u64, at: i64) -> Trade {
        let text = |text: &str| text.into();
        let received = Timestamp::from_millis(at);
        Trade {
            market: 0,
            id,
            at: at.to_string().into(),
            price: text("1"),
            size: text("1"),
            side: None,
            parts: None,
            received,
        }
    }

    #[test]
    fn trades_of_candles_are_left_out_and_what_is_not_known_is_told() {
        let begun = || {
            let mut join = Join::new(Timestamp::from_millis(FROM), 100);
            assert_eq!(
                join.begin(&trade(1000, FROM + 5000), Numbering::Contiguous),
                (899, format!("\"{}\"", Timestamp::from_millis(FROM)).into())
            );
            join
        };
        // Asked by id: some of before come, too.
        let mut join = begun();
        assert!(!join.lets(&trade(900, FROM - 1)) && join.lets(&trade(901, FROM)) && join.lack().is_none());
        // More was traded than so many.
        let mut join = begun();
        assert!(join.lets(&trade(900, FROM)));
        assert_eq!(join.lack(), Some("more was traded than was asked for"));
        // Asked by time: what comes first is the first one since then.
        let mut join = begun();
        assert!(join.lets(&trade(950, FROM + 3)) && join.lack().is_none());
        // Nothing came.
        let mut join = begun();
        join.fail();
        assert!(join.lets(&trade(1000, FROM + 5000)));
        assert_eq!(join.lack(), Some("the venue did not tell what was traded"));
        // Stamps that run backwards a little.
        let mut join = begun();
        let lets: Vec<bool> =
            [(901, -1), (902, 1), (903, -1), (904, 2)].map(|(id, ms)| join.lets(&trade(id, FROM + ms))).into();
        assert_eq!(lets, [false, true, false, true]);
        assert!(join.passes() && !join.passes() && join.is_passed());
        assert!(!join.ends_with(&trade(905, FROM + 59_999)) && join.ends_with(&trade(906, FROM + 60_000)));
        // A market that has just begun.
        let mut join = Join::new(Timestamp::from_millis(FROM), 100);
        assert_eq!(join.begin(&trade(7, FROM + 5000), Numbering::Contiguous).0, 0);
        assert!(join.lets(&trade(1, FROM + 1)) && join.lack().is_none());
        // Where ids do not tell, time does.
        let mut join = Join::new(Timestamp::from_millis(FROM), 100);
        assert_eq!(join.begin(&trade(9000, FROM + 5000), Numbering::Ascending).0, 0);
        assert!(!join.lets(&trade(8000, FROM - 1)) && join.lets(&trade(8500, FROM)) && join.lack().is_none());
    }
}
