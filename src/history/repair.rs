//! What a market's files lack, asked for at the venue's API, and put in its place; the rest is told, with its reason.

use super::address;
use super::ask::{Asked, ask};
use super::binance::Api;
use super::choose::{Gap, gaps};
use super::content::{Content, Rows};
use super::files::{Archive, digest};
use super::journal::Entry;
use super::market::Market;
use super::mend::{self, Inserts};
use super::period::{Period, periods};
use super::{HistoryError, Request};
use crate::config::HistoryKind;
use crate::connectors::files::index::{Hole, Listed, Point, Series};
use crate::delivery::Stop;
use crate::market::{Span, Timestamp};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How the names of files end that have the venue's rows and what they lacked.
pub const MENDED: &str = ".mended.csv.gz";
/// How the names of files end whose rows are all from the API.
pub const FROM_API: &str = ".api.csv.gz";
/// How the names of files end whose rows a venue without archives has told.
pub const TOLD: &str = ".told.jsonl.gz";
/// Trades of one id behind another may be of a time before it, by so much.
const SLACK: Span = Span::from_millis(60_000);

/// What is known of why something is missing.
type Why = (String, String);

struct Work<'a> {
    market: &'a Market,
    request: &'a Request,
    archive: &'a Archive<'a>,
    api: Option<&'a Api>,
    stop: &'a Stop,
    /// What was said of a gap, by its first missing number.
    whys: BTreeMap<u64, Why>,
    /// What is newer than all files, and was not had.
    tail: Option<Hole>,
}

/// A market's part of the list: its files, with what they lack from the API where it has it, and holes.
///
/// # Errors
/// When it was stopped, or this disk does not take a file.
pub fn whole(
    market: &mut Market,
    request: &Request,
    archive: &Archive<'_>,
    api: Option<&Api>,
    stop: &Stop,
) -> Result<Series, HistoryError> {
    let mut entries = std::mem::take(&mut market.entries);
    let mut work = Work { market, request, archive, api, stop, whys: BTreeMap::new(), tail: None };
    if archive.rows.contiguous {
        entries = work.mended(entries)?;
        entries = work.between(entries)?;
        entries = work.newer(entries)?;
    }
    let begin = work.begin(&entries);
    let begin = begin.map(|gap| {
        let hole = work.hole(&gap);
        let why = format!("{}; or it was not listed yet", hole.why);
        Hole { why, ..hole }
    });
    let between = gaps(&entries).into_iter().map(|gap| work.hole(&gap));
    let mut holes: Vec<Hole> = begin.into_iter().chain(between).chain(work.days_without(&entries)).collect();
    holes.extend(work.tail.take());
    holes.sort_by_key(|hole| hole.after.at);
    let Market { symbol, name, faults, differs, .. } = market;
    let files = entries.into_iter().map(|entry| entry.listed).collect();
    let (symbol, market) = (symbol.clone(), name.clone());
    Ok(Series { symbol, market, files, holes, faults: std::mem::take(faults), differs: std::mem::take(differs) })
}

impl Work<'_> {
    /// Files whose rows are not all in their place, or lack some, written anew.
    fn mended(&mut self, entries: Vec<Entry>) -> Result<Vec<Entry>, HistoryError> {
        let mut found = Vec::new();
        for entry in entries {
            if self.stop.requested() {
                return Err(HistoryError::Stopped);
            }
            let is_whole = entry.content.is_tidy() && (entry.content.breaks.is_empty() || self.api.is_none());
            found.push(if is_whole { entry } else { self.mend(entry)? });
        }
        Ok(found)
    }

    fn mend(&mut self, entry: Entry) -> Result<Entry, HistoryError> {
        let Self { archive, market, .. } = *self;
        let path = address::path(&market.name, self.what(), &entry.period.to_string()) + MENDED;
        let of = format!("of {}", entry.listed.sha256);
        if let Some(known) =
            archive.journal.known(archive.dir, &path).filter(|known| known.listed.etag.as_ref() == Some(&of))
        {
            return Ok(known);
        }
        let failed = HistoryError::Failed;
        let from = archive.dir.join(&entry.listed.path);
        let mut inserts = if entry.content.displaced > 0 {
            mend::displaced(archive.rows, &from).map_err(failed)?
        } else {
            Inserts::new()
        };
        let mut is_final = true;
        for (after, before) in &entry.content.breaks {
            let Some(asked) = self.asked((after.id + 1, before.id), self.around(after, before))? else { continue };
            is_final &= asked.failed.is_none();
            inserts.extend(asked.rows);
        }
        if inserts.is_empty() && entry.content.is_tidy() {
            return Ok(entry);
        }
        let added = inserts.len() as u64 - entry.content.displaced.min(inserts.len() as u64);
        let to = archive.dir.join(&path);
        mend::write(Some((archive.rows, &from)), inserts, &to).map_err(failed)?;
        let times = (entry.period.begin(), entry.period.end());
        let made = match self.entry(&to, path, times, entry.listed.url.clone(), Some(of)) {
            Ok(made) => made,
            Err(why) if entry.content.is_tidy() => {
                self.unusable(&to, entry.content.breaks.iter().map(|(after, _)| after.id + 1), &why);
                return Ok(entry);
            }
            Err(why) => return Err(failed(why)),
        };
        let repeated = entry.content.repeated + entry.content.displaced;
        tracing::info!("{}: of its rows {repeated} were out of place, {added} are added", from.display());
        if is_final {
            archive.journal.add(&made).map_err(|error| failed(format!("{}: {error}", archive.dir.display())))?;
        }
        Ok(made)
    }

    /// When rows between two may be.
    fn around(&self, after: &Point, before: &Point) -> (Timestamp, Timestamp) {
        let slack = if self.archive.rows.kind == HistoryKind::Klines { Span::from_millis(0) } else { SLACK };
        (Timestamp::from_millis(after.at).minus(slack), Timestamp::from_millis(before.at + 1).plus(slack))
    }

    /// What the API says is nothing that a job could read.
    fn unusable(&mut self, made: &Path, firsts: impl IntoIterator<Item = u64>, why: &str) {
        tracing::warn!("{}: {why}", self.market.name);
        // It is in nobody's list.
        let _ = std::fs::remove_file(made);
        self.whys.extend(firsts.into_iter().map(|first| (first, ("not_repaired".to_owned(), why.to_owned()))));
    }

    /// Looks at a file that was put together here.
    fn entry(
        &self,
        to: &Path,
        path: String,
        times: (Timestamp, Timestamp),
        url: String,
        etag: Option<String>,
    ) -> Result<Entry, String> {
        let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", to.display());
        let around = (times.0.minus(SLACK), times.1.plus(SLACK));
        // What is made is looked at to its end: it is no more than was asked for.
        let content = self.archive.rows.look(to, around, &Stop::default()).map_err(|why| failed(&why))?;
        let sha256 = digest(to).map_err(|error| failed(&error))?;
        let bytes = std::fs::metadata(to).map_err(|error| failed(&error))?.len();
        let Content { rows, first, last, .. } = content;
        let listed = Listed { path, bytes, sha256, rows, first, last, url, etag, checked: false };
        Ok(Entry { listed, period: Period::day_of(times.0), content })
    }

    /// Asks the API, and notes what it says; nothing where there is none to ask.
    fn asked(
        &mut self,
        (first, end): (u64, u64),
        times: (Timestamp, Timestamp),
    ) -> Result<Option<Asked>, HistoryError> {
        let Some(api) = self.api else { return Ok(None) };
        let asked = ask(api, self.archive.client, &self.market.name, (first, end), times, self.stop)?;
        // Of what is left a gap begins behind some row that was had, or here.
        let why: Why = match &asked.failed {
            Some(why) => ("not_repaired".to_owned(), why.clone()),
            None => (
                "not_at_the_venue".to_owned(),
                "the venue's API has nothing there either: it stood still, or nobody traded".to_owned(),
            ),
        };
        for number in asked.rows.keys().copied().map(|number| number + 1).chain([first]) {
            if !asked.rows.contains_key(&number) {
                self.whys.insert(number, why.clone());
            }
        }
        Ok(Some(asked))
    }

    /// What is missing between files, as files of their own.
    fn between(&mut self, mut entries: Vec<Entry>) -> Result<Vec<Entry>, HistoryError> {
        let begin = self.begin(&entries);
        for gap in begin.into_iter().chain(gaps(&entries)).filter(|gap| gap.inside.is_none()) {
            let (first, end) = (gap.after.id + 1, gap.before.id);
            let times = self.around(&gap.after, &gap.before);
            let path = self.path(&format!("{first}-{}", end - 1));
            if let Some(known) = self.archive.journal.known(self.archive.dir, &path) {
                insert(&mut entries, known);
                continue;
            }
            let Some(asked) = self.asked((first, end), times)? else { continue };
            let is_final = asked.failed.is_none();
            if let Some(made) = self.made(asked, first, path, times)? {
                if is_final {
                    let wrong = |error: std::io::Error| HistoryError::Failed(error.to_string());
                    self.archive.journal.add(&made).map_err(wrong)?;
                }
                insert(&mut entries, made);
            }
        }
        Ok(entries)
    }

    /// What is newer than the last file, in one of its own: made anew each time.
    fn newer(&mut self, mut entries: Vec<Entry>) -> Result<Vec<Entry>, HistoryError> {
        let Request { to, now, config, from, .. } = self.request;
        let interval = config.interval.millis().max(1);
        let is_candle = config.kind == HistoryKind::Klines;
        let last = entries.iter().filter_map(|entry| entry.content.last).next_back();
        // Candles are known at their close; the venue may still write one for moments.
        let end = if is_candle {
            Timestamp::from_millis((to.millis()).min(now.millis() - 5_000).div_euclid(interval) * interval)
        } else {
            *to
        };
        let first = match last {
            Some(last) => last.id + 1,
            None if is_candle => (from.millis().max(0) as u64).div_ceil(interval as u64),
            // Nothing says which id was when.
            None => return Ok(entries),
        };
        let reaches = |last: Point| last.at + if is_candle { interval } else { 0 } >= end.millis();
        if last.is_some_and(reaches) || self.api.is_none() {
            return Ok(entries);
        }
        // Of trades, only what the files of days will not have.
        let begin = last.map_or(*from, |last| Timestamp::from_millis(last.at).minus(SLACK));
        let Some(asked) = self.asked((first, u64::MAX), (begin, end))? else { return Ok(entries) };
        let (failed, rows) = (asked.failed.clone(), asked.rows.len() as u64);
        let path = self.path(&format!("from-{first}"));
        // An API that fails takes nothing away that it has said before.
        let kept = failed.is_some().then(|| self.kept(&path, (begin, end))).flatten();
        let made = match kept.filter(|kept| kept.listed.rows > rows) {
            Some(kept) => Some(kept),
            None => self.made(asked, first, path, (begin, end))?,
        };
        let why = match (&made, failed) {
            (_, Some(why)) => Some(why),
            (None, None) if rows > 0 => Some("what the API says cannot be read by a job".to_owned()),
            _ => None,
        };
        let newest = made.as_ref().and_then(|made| made.content.last).or(last);
        if let Some(why) = why.filter(|_| !newest.is_some_and(reaches)) {
            tracing::warn!("{}: what is newer than its archives is not all there: {why}", self.market.name);
            let after = newest.unwrap_or(Point { id: first.saturating_sub(1), at: from.millis() });
            let before = Point { id: after.id.saturating_add(1), at: end.millis() };
            // Nobody knows how many they are.
            self.tail = Some(Hole { after, before, missing: 0, reason: "not_repaired".to_owned(), why });
        }
        if let Some(made) = made {
            tracing::info!("{}: {} rows behind its archives are the API's", self.market.name, made.listed.rows);
            insert(&mut entries, made);
        }
        Ok(entries)
    }

    /// A file that an earlier start has put together.
    fn kept(&self, path: &str, times: (Timestamp, Timestamp)) -> Option<Entry> {
        let to = self.archive.dir.join(path);
        let mut kept = self.entry(&to, path.to_owned(), times, String::new(), None).ok()?;
        kept.listed.url = self.api?.url(&self.market.name, kept.content.first?.id, times.1);
        Some(kept)
    }

    fn made(
        &mut self,
        asked: Asked,
        first: u64,
        path: String,
        times: (Timestamp, Timestamp),
    ) -> Result<Option<Entry>, HistoryError> {
        if asked.rows.is_empty() {
            return Ok(None);
        }
        let to: PathBuf = self.archive.dir.join(&path);
        if let Some(parent) = to.parent() {
            let wrong = |error: std::io::Error| HistoryError::Failed(format!("{}: {error}", parent.display()));
            std::fs::create_dir_all(parent).map_err(wrong)?;
        }
        let url = self.api.map_or_else(String::new, |api| {
            api.url(&self.market.name, asked.first.map_or(0, |first| first.id), times.1)
        });
        mend::whole(asked.rows, &to).map_err(HistoryError::Failed)?;
        let made = self.entry(&to, path, times, url, None);
        Ok(made.map_err(|why| self.unusable(&to, [first], &why)).ok())
    }

    fn what(&self) -> &str {
        let Rows { kind, .. } = self.archive.rows;
        if kind == HistoryKind::Klines { "klines" } else { kind.name() }
    }

    fn path(&self, when: &str) -> String {
        address::path(&self.market.name, self.what(), when) + FROM_API
    }

    /// Of candles, what is missing before the first one.
    fn begin(&self, entries: &[Entry]) -> Option<Gap> {
        let Rows { kind, interval, .. } = self.archive.rows;
        let before = entries.first()?.content.first?;
        let interval = interval.millis().max(1);
        let first = u64::try_from(self.request.from.millis()).ok()?.div_ceil(interval as u64);
        let after = Point { id: first.checked_sub(1)?, at: first as i64 * interval - interval };
        (kind == HistoryKind::Klines && before.id > first).then_some(Gap { after, before, inside: None })
    }

    /// Where rows are not numbered, days that have none.
    fn days_without(&self, entries: &[Entry]) -> Vec<Hole> {
        if self.archive.rows.contiguous {
            return Vec::new();
        }
        let day = |period: &Period| {
            let [after, before] = [period.begin(), period.end()].map(|at| Point { id: 0, at: at.millis() });
            (!entries.iter().any(|entry| entry.period == *period)).then_some(Gap { after, before, inside: None })
        };
        let wanted = periods(self.request.from, self.request.to, false);
        let asked = wanted.iter().filter(|period| {
            self.market.absent.contains(period)
                || self.market.faults.iter().any(|fault| fault.period == period.to_string())
        });
        asked.filter_map(day).map(|gap| self.hole(&gap)).collect()
    }

    /// A gap as it is told.
    fn hole(&self, gap: &Gap) -> Hole {
        let Gap { after, before, .. } = *gap;
        let (reason, why) = self.whys.get(&(after.id + 1)).cloned().unwrap_or_else(|| self.why(gap));
        let missing = if self.archive.rows.contiguous { gap.missing() } else { 0 };
        Hole { after, before, missing, reason, why }
    }

    fn why(&self, gap: &Gap) -> Why {
        let lies_in = |period: Period| period.begin().millis() <= gap.before.at && period.end().millis() > gap.after.at;
        let days = || periods(Timestamp::from_millis(gap.after.at), Timestamp::from_millis(gap.before.at + 1), false);
        let fault = self.market.faults.iter().find(|fault| days().iter().any(|day| day.to_string() == fault.period));
        if let Some(fault) = fault {
            return (fault.reason.clone(), fault.why.clone());
        }
        if self.market.absent.iter().any(|period| matches!(period, Period::Day(_)) && lies_in(*period)) {
            return ("not_published".to_owned(), "the archive has no file of that day".to_owned());
        }
        let not_asked = match self.request.config.repair {
            _ if self.api.is_some() => "",
            false => "; nobody else was asked, as history.repair = false says",
            true => "; the venue's API wants a key for trades of futures, and was not asked",
        };
        ("in_the_archive".to_owned(), format!("the archive's files lack it{not_asked}"))
    }
}

/// Puts an entry where its first row belongs.
fn insert(entries: &mut Vec<Entry>, entry: Entry) {
    let first = entry.content.first.map(|first| first.id);
    let at = entries.partition_point(|known| known.content.first.map(|first| first.id) < first);
    entries.insert(at, entry);
}
