//! What is new where somebody else writes.

use crate::connectors::files::results::{News, ResultFiles};
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
    history: i64,
    through: Option<Timestamp>,
    /// The last target of each series.
    last: BTreeMap<(Symbol, Span), Timestamp>,
    /// What there is, and where the next look goes on.
    round: Vec<(Symbol, Span)>,
    next: usize,
}

impl Follower {
    /// Of what shows already.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(live: &Live, reader: &dyn Reader) -> Result<Self, ReadError> {
        let last = live.latest().into_iter().map(|f| ((f.symbol, f.horizon), f.target_at)).collect();
        Ok(Self { history: reader.history()?, through: None, last, round: vec![], next: 0 })
    }

    /// Up to where what is shown is complete, as far as that is known.
    pub const fn through(&self) -> Option<Timestamp> {
        self.through
    }

    /// Shows what is new. Where nothing tells up to where there is something, some series are asked each time. One that cannot be
    /// read does not keep the others from being shown.
    pub fn look(&mut self, reader: &dyn Reader, live: &Live) -> Result<(), ReadError> {
        let history = reader.history()?;
        if history != self.history {
            live.forget();
            *self = Self { history, through: None, last: BTreeMap::new(), round: vec![], next: 0 };
        }
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
        let (mut news, mut trouble): (Vec<Forecast>, _) = (Vec::new(), None);
        for key in &self.round[self.next..end] {
            self.next += 1;
            let last = self.last.get(key).copied();
            // Of a series that is new the latest is enough.
            let range = Range {
                from: last.map(|at| at.plus(Span::from_millis(1))),
                to: None,
                limit: if last.is_some() { NEWS_MAX } else { 1 },
            };
            match reader.read(Kind::Forecasts, &key.0, key.1, range) {
                Ok(lines) => {
                    if let Some(line) = lines.last() {
                        self.last.insert(key.clone(), line.at);
                    }
                    news.extend(lines.iter().filter_map(|line| whole_forecast(&line.json)));
                }
                Err(error) => {
                    // The next look goes on behind it: nobody may answer, and this series may be the only one that is wrong.
                    trouble = Some(error);
                    break;
                }
            }
        }
        news.sort_by(|a, b| (a.issued_at, &a.symbol, a.horizon).cmp(&(b.issued_at, &b.symbol, b.horizon)));
        let newest = news.iter().map(|forecast| forecast.issued_at).max();
        self.through = match through {
            None => self.through.max(newest),
            Some(through) if trouble.is_none() => Some(through),
            Some(_) => self.through,
        };
        if trouble.is_none() && through.is_some() || !news.is_empty() {
            live.publish(&news, &[], &[], self.through.unwrap_or_default());
        }
        trouble.map_or(Ok(()), Err)
    }
}

/// Takes what is new in files into a store.
pub(super) struct Followed {
    files: ResultFiles,
    importer: Importer,
    /// What was read and not yet taken in.
    waits: News,
}

impl Followed {
    /// Of files that were opened, into a store that is empty.
    pub fn new(files: ResultFiles, importer: Importer) -> Self {
        Self { files, importer, waits: News::default() }
    }

    /// Until there is nothing more for now.
    pub fn take_in(&mut self) -> Result<(), ReadError> {
        loop {
            if self.waits.is_empty() {
                self.waits = self.files.news();
            }
            let news = &mut self.waits;
            if !news.anew.is_empty() {
                self.importer.clear(&news.anew)?;
                news.anew.clear();
            }
            if !news.records.is_empty() {
                self.importer.take_in(&news.records, news.through)?;
            }
            let News { trouble, has_more, .. } = std::mem::take(news);
            match trouble {
                Some(trouble) => return Err(trouble),
                None if has_more => {}
                None => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::reader::Line;
    use crate::delivery::test_records::forecast;
    use crate::market::json::write_forecast;

    /// One forecast of each of three symbols; that of A cannot be read.
    struct Partly {
        through: Option<Timestamp>,
    }

    impl Reader for Partly {
        fn name(&self) -> &str {
            "partly"
        }

        fn read(&self, _: Kind, symbol: &Symbol, _: Span, _: Range) -> Result<Vec<Line>, ReadError> {
            if symbol.as_str() == "A" {
                return Err(ReadError("A is damaged".to_owned()));
            }
            let one = forecast(symbol.as_str(), 1_611_239_640_000);
            let mut json = Vec::new();
            write_forecast(&one, &mut json);
            Ok(vec![Line { at: one.target_at, json: String::from_utf8(json).unwrap() }])
        }

        fn series(&self, _: Kind) -> Result<Vec<(Symbol, Span)>, ReadError> {
            Ok(["A", "B", "C"].map(|name| (Symbol::new(name).unwrap(), Span::from_millis(60_000))).into())
        }

        fn through(&self) -> Result<Option<Timestamp>, ReadError> {
            Ok(self.through)
        }
    }

    #[test]
    fn what_cannot_be_read_keeps_nothing_else_from_being_shown() {
        for through in [None, Some(Timestamp::from_millis(1_611_239_640_000))] {
            let (live, reader) = (Live::default(), Partly { through });
            let mut follower = Follower::new(&live, &reader).unwrap();
            assert!(follower.look(&reader, &live).unwrap_err().to_string().contains("damaged"));
            follower.look(&reader, &live).unwrap();
            let shown: Vec<String> = live.latest().iter().map(|forecast| forecast.symbol.to_string()).collect();
            assert_eq!(shown, ["B", "C"], "{through:?}");
        }
    }
}
