//! What is to be collected.

use super::counters::Counters;
use super::error::HubError;
use super::hub::Event;
use super::link::Link;
use super::record::Names;
use super::venues::{Markets, Venue, venue_by};
use crate::config::CollectConfig;
use crate::delivery::Stop;
use crate::feeds::outbound::Outbound;
use crossbeam_channel::Sender;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What `[collect]` asks for: venues, and the markets of each.
#[derive(Clone)]
pub struct Plan {
    pub(super) venues: Vec<(Arc<dyn Venue>, String, String)>,
    /// Of each venue in turn.
    pub(super) books: Vec<(usize, Names)>,
    pub(super) outbound: Arc<Outbound>,
}

impl Plan {
    /// What the configuration asks for.
    ///
    /// # Errors
    /// When it names a venue that is not known, or roots that are none, or the environment a proxy that is none.
    pub fn new(config: &CollectConfig) -> Result<Self, HubError> {
        let (mut venues, mut asked) = (Vec::new(), Vec::new());
        for wanted in &config.venues {
            let protocol = venue_by(&wanted.venue, wanted.stream);
            let protocol =
                protocol.ok_or_else(|| HubError::Config(format!("no venue `{}` with that stream", wanted.venue)))?;
            for market in &wanted.symbols {
                asked.push((venues.len(), config.name_of(&wanted.venue, market), market.clone()));
            }
            let url =
                |given: &Option<String>, own: &str| given.as_deref().unwrap_or(own).trim_end_matches('/').to_owned();
            let (stream, api) =
                (url(&wanted.stream_url, protocol.stream_url()), url(&wanted.api_url, protocol.api_url()));
            venues.push((protocol, stream, api));
        }
        // Of how many markets of one venue a symbol is made.
        let mut shares: BTreeMap<(String, &str), usize> = BTreeMap::new();
        for (place, symbol, _) in &asked {
            *shares.entry((symbol.clone(), venues[*place].0.name())).or_default() += 1;
        }
        let book = |(place, symbol, market): &(usize, String, String)| {
            let venue = venues[*place].0.name();
            let is_shared = shares.get(&(symbol.clone(), venue)).is_some_and(|share| *share > 1);
            let exchange = if is_shared { format!("{venue}:{market}") } else { venue.to_owned() };
            let names = Names::new(symbol.clone(), exchange, market.clone());
            (*place, names.numbered(venues[*place].0.ids()))
        };
        let books = asked.iter().map(book).collect();
        let outbound = Outbound::new("collect.ca_file", config.ca_file.as_deref())
            .map_err(|error| HubError::Config(error.to_string()))?;
        Ok(Self { venues, books, outbound: Arc::new(outbound) })
    }

    /// Opens the connections of all venues, each in a thread of its own.
    pub(super) fn connect(&self, events: &Sender<Event>, counters: &Arc<Counters>, stop: &Stop) -> std::io::Result<()> {
        for (place, (venue, stream, _)) in self.venues.iter().enumerate() {
            let own: Vec<usize> = (0..self.books.len()).filter(|book| self.books[*book].0 == place).collect();
            for some in own.chunks(venue.markets_max()) {
                let markets = some.iter().map(|book| self.books[*book].1.market.clone()).collect();
                let link = Link {
                    venue: Arc::clone(venue),
                    place,
                    base: stream.clone(),
                    outbound: Arc::clone(&self.outbound),
                    markets: Arc::new(Markets::new(markets)),
                    books: some.into(),
                    events: events.clone(),
                    counters: Arc::clone(counters),
                    stop: stop.clone(),
                };
                link.spawn(None)?;
            }
        }
        Ok(())
    }

    /// The symbols that the markets make.
    #[must_use]
    pub fn symbols(&self) -> BTreeSet<&str> {
        self.books.iter().map(|(_, names)| names.symbol.as_str()).collect()
    }

    /// The venues' names.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.venues.iter().map(|(venue, ..)| venue.name()).collect()
    }
}
