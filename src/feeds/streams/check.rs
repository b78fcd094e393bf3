//! Whether each market can be collected: connects, subscribes, waits for a trade; publishes nothing.

use super::counters::Counters;
use super::error::HubError;
use super::hub::{Event, WAITING_MAX};
use super::plan::Plan;
use crate::delivery::Stop;
use crossbeam_channel::bounded;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What was seen of one market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The venue.
    pub venue: &'static str,
    /// The venue's spelling.
    pub market: String,
    /// Whether the venue says that it tells of it.
    pub acknowledged: bool,
    /// Its words where it does not.
    pub refused: Option<String>,
    /// Its first trade: its price. None may have been made meanwhile.
    pub price: Option<String>,
    /// How old that was when it came, by our clock and the venue's.
    pub delay_ms: Option<i64>,
}

/// All that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// By venue and market, in the order of the configuration.
    pub markets: Vec<Checked>,
    /// How often a connection of a venue ended or was not made, by kind.
    pub faults: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
}

/// Looks until each market has told of a trade, or for so long.
///
/// # Errors
/// When the system has no thread.
pub fn check(plan: &Plan, within: Duration, stop: &Stop) -> Result<Check, HubError> {
    let counters = Arc::new(Counters::new(plan));
    let of = |(place, names): &(usize, super::record::Names)| Checked {
        venue: plan.venues[*place].0.name(),
        market: names.market.clone(),
        acknowledged: false,
        refused: None,
        price: None,
        delay_ms: None,
    };
    let mut markets: Vec<Checked> = plan.books.iter().map(of).collect();
    let (sender, events) = bounded(WAITING_MAX);
    let ends = Stop::default();
    plan.connect(&sender, &counters, &ends)?;
    let end = Instant::now() + within;
    let answered = |checked: &Checked| checked.price.is_some() || checked.refused.is_some();
    while !stop.requested() && Instant::now() < end && !markets.iter().all(answered) {
        match events.recv_timeout(Duration::from_millis(50)) {
            Ok(Event::Acknowledged(book)) => {
                markets.get_mut(book).into_iter().for_each(|checked| checked.acknowledged = true);
            }
            Ok(Event::Refused(book, why)) => {
                markets.get_mut(book).into_iter().for_each(|checked| checked.refused = Some(why.clone()));
            }
            Ok(Event::Trades(trades)) => {
                // The newest: a venue may begin with some of before.
                for trade in trades.into_iter().rev() {
                    let Some(checked) = markets.get_mut(trade.market) else { continue };
                    checked.acknowledged = true;
                    if checked.price.is_none() {
                        checked.delay_ms = trade.delay_ms();
                        checked.price = Some(trade.price.into());
                    }
                }
            }
            _ => {}
        }
    }
    ends.request();
    let tally = counters.tally();
    let faults = tally
        .venues
        .into_iter()
        .map(|(name, venue)| (name, venue.faults.into_iter().filter(|(_, count)| *count > 0).collect()));
    Ok(Check { markets, faults: faults.collect() })
}

impl Check {
    /// Whether each market is told of.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.markets.iter().all(|checked| checked.acknowledged)
    }
}
