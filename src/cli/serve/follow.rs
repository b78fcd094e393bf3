//! What is new where somebody else writes.

use crate::connectors::files::results::ResultFiles;
use crate::connectors::published::whole_forecast;
use crate::connectors::sqlite::Importer;
use crate::delivery::Reader;
use crate::delivery::reader::{Kind, Range, ReadError};
use crate::market::{Forecast, Span, Symbol, Timestamp};
use crate::serving::Live;
use std::collections::BTreeMap;

/// New forecasts of one symbol and horizon that are taken at a look.
const NEWS_MAX: usize = 1000;
/// Series that a look asks for, where nothing tells that there is nothing new.
const SERIES_PER_LOOK: usize = 256;

/// Finds what is new of what a reader reads.
pub(super) struct Follower {
    through: Option<Timestamp>,
    /// The last target of each series.
    last: BTreeMap<(Symbol, Span), Timestamp>,
    /// What there is, and where the next look goes on.
    round: Vec<(Symbol, Span)>,
    next: usize,
}

impl Follower {
    /// Of what shows already.
    pub fn new(live: &Live) -> Self {
        let last = live.latest().into_iter().map(|f| ((f.symbol, f.horizon), f.target_at)).collect();
        Self { through: None, last, round: vec![], next: 0 }
    }

    /// Up to where what is shown is complete, as far as that is known.
    pub const fn through(&self) -> Option<Timestamp> {
        self.through
    }

    /// Shows what is new. Where nothing tells up to where there is something, some series are asked each time.
    pub fn look(&mut self, reader: &dyn Reader, live: &Live) -> Result<(), ReadError> {
        let through = reader.through()?;
        if through.is_some() && through == self.through {
            return Ok(());
        }
        if self.next >= self.round.len() {
            self.round = reader.series(Kind::Forecasts)?;
            self.next = 0;
        }
        let share = if through.is_some() { self.round.len() } else { SERIES_PER_LOOK };
        let end = self.round.len().min(self.next + share);
        let mut news: Vec<Forecast> = Vec::new();
        for key in &self.round[self.next..end] {
            let last = self.last.get(key).copied();
            // Of a series that is new the latest is enough.
            let range = Range {
                from: last.map(|at| at.plus(Span::from_millis(1))),
                to: None,
                limit: if last.is_some() { NEWS_MAX } else { 1 },
            };
            let lines = reader.read(Kind::Forecasts, &key.0, key.1, range)?;
            if let Some(line) = lines.last() {
                self.last.insert(key.clone(), line.at);
            }
            news.extend(lines.iter().filter_map(|line| whole_forecast(&line.json)));
        }
        self.next = end;
        news.sort_by(|a, b| (a.issued_at, &a.symbol, a.horizon).cmp(&(b.issued_at, &b.symbol, b.horizon)));
        let newest = news.iter().map(|forecast| forecast.issued_at).max();
        self.through = through.or_else(|| self.through.max(newest));
        if through.is_some() || !news.is_empty() {
            live.publish(&news, &[], &[], self.through.unwrap_or_default());
        }
        Ok(())
    }
}

/// Takes what is new in files into a store.
pub(super) struct Followed {
    pub files: ResultFiles,
    pub importer: Importer,
}

impl Followed {
    /// Until there is nothing more for now.
    pub fn take_in(&mut self) -> Result<(), ReadError> {
        loop {
            let news = self.files.news();
            for kind in news.anew {
                self.importer.clear(kind)?;
            }
            if !news.records.is_empty() {
                self.importer.take_in(&news.records, news.through)?;
            }
            match news.trouble {
                Some(trouble) => return Err(trouble),
                None if news.has_more => {}
                None => return Ok(()),
            }
        }
    }
}
