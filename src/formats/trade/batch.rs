//! The trades of one message: which of them can be used, and what that makes of the message.

use super::super::fields::{self, Names};
use super::super::raw::Raw;
use super::super::{DecodeError, Decoded};
use super::NO_TRADE;
use crate::market::{Observation, Side, TradeId};

/// One trade's fields; `size`: none where a message tells a price only.
pub(super) struct Trade<'a> {
    pub symbol: Raw<'a>,
    pub at: Raw<'a>,
    pub price: Raw<'a>,
    pub size: Option<Raw<'a>>,
    /// Where it is clear.
    pub side: Option<Side>,
    pub identity: Option<TradeId>,
}

/// How an exchange calls symbol, stamp, price and size: for errors.
pub(super) struct Spelling {
    pub symbol: &'static str,
    pub at: &'static str,
    pub price: &'static str,
    pub size: &'static str,
}

impl Trade<'_> {
    /// The observation.
    #[inline]
    pub fn observe(self, spelling: &Spelling, names: &mut Names<'_>) -> Result<Observation, DecodeError> {
        let at = fields::timestamp(spelling.at, self.at, names.zone)?;
        let price = fields::price(spelling.price, self.price)?;
        let quote = match self.size {
            Some(size) if size.is_absent() => return Err(DecodeError::missing(spelling.size)),
            size => fields::tick(spelling.size, price, size.unwrap_or_default(), self.side)?,
        };
        let symbol = names.resolve(spelling.symbol, self.symbol)?;
        Ok(Observation { symbol, at, quote, identity: self.identity, reported: None })
    }
}

/// What became of the trades so far.
#[derive(Default)]
pub(in super::super) struct Batch {
    used: bool,
    /// The first that cannot be used.
    wrong: Option<DecodeError>,
    /// The kind of the first that has no price.
    ignored: Option<&'static str>,
}

impl Batch {
    /// Takes one trade.
    pub fn add(&mut self, trade: Result<Observation, DecodeError>, out: &mut Vec<Observation>) {
        match trade {
            Ok(observation) => {
                out.push(observation);
                self.used = true;
            }
            Err(error) => self.fail(error),
        }
    }

    /// Takes a record of several.
    pub fn take(&mut self, read: Result<Decoded, DecodeError>) {
        match read {
            Ok(Decoded::Used) => self.used = true,
            Ok(Decoded::Partly(reason)) => {
                self.used = true;
                self.fail(DecodeError::new(reason, format_args!("an element of the list is used in part")));
            }
            Ok(Decoded::Ignored(kind)) => drop(self.ignored.get_or_insert(kind)),
            Err(error) => self.fail(error),
        }
    }

    /// Takes what is no trade, but stands where one should.
    pub fn fail(&mut self, error: DecodeError) {
        self.wrong.get_or_insert(error);
    }

    /// What that makes of the message.
    pub fn finish(self) -> Result<Decoded, DecodeError> {
        match (self.used, self.wrong) {
            (true, None) => Ok(Decoded::Used),
            (true, Some(error)) => Ok(Decoded::Partly(error.reason)),
            (false, Some(error)) => Err(error),
            (false, None) => Ok(Decoded::Ignored(self.ignored.unwrap_or(NO_TRADE))),
        }
    }
}
