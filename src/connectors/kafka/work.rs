//! What of a batch goes into the next transaction.

use super::budget::Budget;
use crate::delivery::Batch;
use crate::delivery::batch::RESULT_BYTES;
use crate::market::{DeadLetter, Forecast, Release, Score, Timestamp};
use crate::recovery::{Progress, Within};

/// What of a batch is not published yet and fits, and the record that goes with it.
pub(super) struct Work<'a> {
    pub scores: Vec<&'a Score>,
    pub forecasts: Vec<&'a Forecast>,
    pub dead_letters: Vec<&'a DeadLetter>,
    pub progress: Progress,
    /// How large it is.
    pub size: Budget,
}

impl Work<'_> {
    /// A progress record alone.
    pub fn of(progress: Progress) -> Self {
        let size = Budget { records: 0, bytes: 0 };
        Self { scores: Vec::new(), forecasts: Vec::new(), dead_letters: Vec::new(), progress, size }
    }
}

/// Fills a transaction, record by record.
struct Filling<'a> {
    work: Work<'a>,
    left: Budget,
}

impl<'a> Filling<'a> {
    fn take(&mut self, bytes: usize) -> bool {
        let fits = self.left.take(bytes, self.work.size.records == 0);
        if fits {
            self.work.size.records += 1;
            self.work.size.bytes += bytes;
        }
        fits
    }

    /// Dead letters, up to the first that does not fit: false then.
    fn take_letters(&mut self, letters: impl Iterator<Item = &'a DeadLetter>) -> bool {
        for letter in letters {
            if !self.take(letter.bytes()) {
                return false;
            }
            let next = i64::try_from(letter.offset).map_or(i64::MAX, |offset| offset + 1);
            let known = self.work.progress.dead_letters.entry(letter.partition).or_default();
            *known = next.max(*known);
            self.work.dead_letters.push(letter);
        }
        true
    }

    /// Scores and forecasts, pane by pane, up to the first that does not fit: false then.
    fn take_results(&mut self, batch: &'a Batch) -> bool {
        let known = self.work.progress.clone();
        let mut scores = batch.scores.iter().filter(|score| score.target_at > known.through).peekable();
        let mut forecasts = batch.forecasts.iter().filter(|forecast| forecast.issued_at > known.through).peekable();
        loop {
            let ends = scores.peek().map(|s| s.target_at).into_iter().chain(forecasts.peek().map(|f| f.issued_at));
            let Some(end) = ends.min() else { return true };
            let published = known.within.filter(|within| within.end == end).map_or(0, |within| within.records);
            let mut records = 0;
            while let Some(score) = scores.next_if(|score| score.target_at == end) {
                if records >= published {
                    if !self.take(RESULT_BYTES) {
                        return self.stop_within(end, records);
                    }
                    self.work.scores.push(score);
                }
                records += 1;
            }
            while let Some(forecast) = forecasts.next_if(|forecast| forecast.issued_at == end) {
                if records >= published {
                    if !self.take(RESULT_BYTES) {
                        return self.stop_within(end, records);
                    }
                    self.work.forecasts.push(forecast);
                }
                records += 1;
            }
            self.work.progress.pass(end);
        }
    }

    fn stop_within(&mut self, end: Timestamp, records: usize) -> bool {
        self.work.progress.within = (records > 0).then_some(Within { end, records });
        false
    }
}

impl Progress {
    /// Everything of all panes that end by `end` is published.
    fn pass(&mut self, end: Timestamp) {
        self.through = self.through.max(end);
        self.within = self.within.filter(|within| within.end > end);
    }

    /// What is left of `batch` and fits into one transaction, or `None` where nothing is and `through` stays.
    /// `takes_dead_letters`: whether those are published at all.
    ///
    /// Dead letters come before the results, and idle releases with the first of them: what was read before a pane closed is
    /// published when the pane is, and a tick that a release made late when the release is on record.
    pub(super) fn work<'a>(&self, batch: &'a Batch, takes_dead_letters: bool, budget: Budget) -> Option<Work<'a>> {
        let unpublished = |letter: &&DeadLetter| {
            let next = self.dead_letters.get(&letter.partition).copied().unwrap_or(0);
            takes_dead_letters && i64::try_from(letter.offset).is_ok_and(|offset| offset >= next)
        };
        let mut filling = Filling { work: Work::of(self.clone()), left: budget };
        let is_left_out = |release: &Release| {
            let from = self.releases_from.get(&release.partition);
            from.is_some_and(|from| i64::try_from(release.offset).is_ok_and(|offset| offset < *from))
        };
        let releases =
            batch.releases.iter().filter(|release| !self.releases.contains(release) && !is_left_out(release));
        filling.work.progress.releases.extend(releases.copied());
        if filling.take_letters(batch.dead_letters.iter().filter(unpublished)) && batch.through > self.through {
            // With the first results: a pane that was closed without a partition is closed for it.
            filling.work.progress.idle.clone_from(&batch.idle);
            if filling.take_results(batch) {
                filling.work.progress.pass(batch.through);
            }
        }
        let mut work = filling.work;
        // The others recompute what an earlier run has published, or are idle without closing anything.
        (work.progress != *self).then(|| {
            work.progress.sequence = work.progress.sequence.following();
            work
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{
        Drift, Fixed, Interval, ModelInfo, PartitionId, Reasons, Release, Skill, Span, Status, Symbol,
    };

    fn forecast(issued_at: i64) -> Forecast {
        let horizon = Span::from_millis(60_000);
        let issued_at = Timestamp::from_millis(issued_at);
        Forecast {
            job: "btc".into(),
            symbol: Symbol::new("BTC").unwrap(),
            horizon,
            issued_at,
            target_at: issued_at.plus(horizon),
            last_price: Fixed::from_raw(100),
            price: 1.0,
            interval: Interval { coverage: 0.9, lower: 1.0, upper: 1.0 },
            quantiles: [1.0; 5],
            probability_up: 0.5,
            status: Status::Ok,
            reasons: Reasons::default(),
            skill: Skill::default(),
            drift: Drift::default(),
            model: ModelInfo::default(),
        }
    }

    fn letter(offset: u64) -> DeadLetter {
        let (partition, error) = (PartitionId(1), "no".to_owned());
        DeadLetter { topic: "t".into(), partition, offset, key: None, value: vec![], sha256: None, error }
    }

    fn batch(through: i64, forecasts: &[i64], letters: &[u64]) -> Batch {
        Batch {
            through: Timestamp::from_millis(through),
            forecasts: forecasts.iter().map(|at| forecast(*at)).collect(),
            dead_letters: letters.iter().map(|offset| letter(*offset)).collect(),
            ..Batch::default()
        }
    }

    fn at(through: i64) -> Progress {
        Progress { through: Timestamp::from_millis(through), ..Progress::default() }
    }

    #[test]
    fn what_is_published_is_left_out() {
        let first = at(0);
        let some = batch(200, &[100, 200], &[5, 7]);
        let work = first.work(&some, true, Budget::FULL).unwrap();
        assert_eq!((work.forecasts.len(), work.dead_letters.len()), (2, 2));
        let second = work.progress;
        assert_eq!((second.sequence.0, second.through.millis()), (1, 200));
        assert_eq!(second.dead_letters, [(PartitionId(1), 8)].into());
        assert!(second.work(&some, true, Budget::FULL).is_none(), "the same again");
        let more = batch(300, &[200, 300], &[7, 8]);
        let work = second.work(&more, true, Budget::FULL).unwrap();
        assert_eq!(work.forecasts.iter().map(|f| f.issued_at.millis()).collect::<Vec<_>>(), [300]);
        assert_eq!(work.dead_letters.iter().map(|l| l.offset).collect::<Vec<_>>(), [8]);
    }

    #[test]
    fn through_moves_without_forecasts_and_never_back() {
        let progress = at(200);
        assert_eq!(progress.work(&batch(300, &[], &[]), true, Budget::FULL).unwrap().progress.through.millis(), 300);
        assert!(progress.work(&batch(100, &[], &[]), true, Budget::FULL).is_none());
        let letters_only = batch(100, &[], &[3]);
        assert_eq!(progress.work(&letters_only, true, Budget::FULL).unwrap().progress.through.millis(), 200);
        assert!(progress.work(&letters_only, false, Budget::FULL).is_none(), "no topic for dead letters");
    }

    #[test]
    fn releases_are_kept_once_and_idleness_belongs_to_through() {
        let release = Release { partition: PartitionId(0), offset: 4, before: Timestamp::from_millis(9) };
        let mut some = batch(300, &[], &[]);
        some.releases = vec![release];
        some.idle = [(PartitionId(0), release)].into();
        let first = at(200).work(&some, true, Budget::FULL).unwrap().progress;
        assert_eq!((first.releases.len(), first.idle.len()), (1, 1));
        let mut replayed = batch(250, &[], &[]);
        replayed.releases = vec![release];
        assert!(first.work(&replayed, true, Budget::FULL).is_none());
        assert_eq!(first.work(&batch(400, &[], &[]), true, Budget::FULL).unwrap().progress.idle.len(), 0);
    }

    /// Piece by piece, everything comes once and in order, whatever fits; a crash between two pieces loses and doubles nothing.
    #[test]
    fn a_batch_is_cut_into_pieces_that_fit() {
        let mut whole = batch(300, &[100, 100, 100, 200, 300, 300], &[3, 5, 8]);
        let release = Release { partition: PartitionId(1), offset: 4, before: Timestamp::from_millis(9) };
        (whole.releases, whole.idle) = (vec![release], [(PartitionId(1), release)].into());
        for (number, forecast) in whole.forecasts.iter_mut().enumerate() {
            forecast.symbol = Symbol::new(&format!("S{number}")).unwrap();
        }
        whole.dead_letters.iter_mut().for_each(|letter| letter.value = vec![0; 100_000]);
        for (records, bytes) in [(1, usize::MAX), (2, usize::MAX), (4, usize::MAX), (100, 250_000), (100, 1)] {
            let (mut progress, mut letters, mut issued, mut pieces) = (at(0), Vec::new(), Vec::new(), 0);
            while let Some(work) = progress.work(&whole, true, Budget { records, bytes }) {
                assert!(work.size.records <= records, "{records}");
                assert!(work.size.bytes <= bytes || work.size.records == 1, "{bytes}");
                assert!(issued.is_empty() || work.dead_letters.is_empty(), "dead letters first");
                letters.extend(work.dead_letters.iter().map(|letter| letter.offset));
                issued.extend(work.forecasts.iter().map(|forecast| forecast.symbol.to_string()));
                // As a resume would read it.
                progress = serde_json::from_slice(&serde_json::to_vec(&work.progress).unwrap()).unwrap();
                assert_eq!(progress.releases, [release], "from the first piece on");
                let begun = !issued.is_empty() || progress.through.millis() > 0;
                assert!(progress.idle.len() == 1 || !begun, "with the first results at the latest");
                pieces += 1;
                assert!(pieces < 20);
            }
            assert_eq!(letters, [3, 5, 8]);
            assert_eq!(issued, ["S0", "S1", "S2", "S3", "S4", "S5"]);
            assert_eq!((progress.through.millis(), progress.within), (300, None));
            assert!(pieces > 1, "{records} records, {bytes} bytes");
        }
    }

    #[test]
    fn a_pane_that_is_published_in_part_goes_on_where_it_stopped() {
        let some = batch(200, &[100, 200, 200, 200], &[]);
        let work = at(0).work(&some, true, Budget { records: 3, ..Budget::FULL }).unwrap();
        let progress = work.progress;
        let within = Within { end: Timestamp::from_millis(200), records: 2 };
        assert_eq!((progress.through.millis(), progress.within), (100, Some(within)));
        // A resume computes all of it again, in other batches.
        assert!(progress.work(&batch(100, &[100], &[]), true, Budget::FULL).is_none());
        let closed = progress.work(&batch(150, &[], &[]), true, Budget::FULL).unwrap().progress;
        assert_eq!((closed.through.millis(), closed.within), (150, Some(within)));
        let last = batch(200, &[200, 200, 200], &[]);
        let rest = closed.work(&last, true, Budget::FULL).unwrap();
        assert_eq!((rest.forecasts.len(), rest.progress.within), (1, None));
    }
}
