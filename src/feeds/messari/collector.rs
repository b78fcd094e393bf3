//! The loop: asks when the pace says so, publishes what is new, tells what it does.

use super::asker::{Answer, Asker, Gone};
use super::client::{Client, ClientError, Failure, FailureKind};
use super::counters::{Counters, Outcome, Tally};
use super::history;
use super::market_data::MarketData;
use super::pace::{Pace, Verdict};
use super::seen::{Novelty, Seen};
use crate::config::{CollectConfig, KafkaSourceConfig};
use crate::connectors::kafka::{PublishError, Publisher};
use crate::delivery::Stop;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait for the broker at the end.
pub const FLUSH_WAIT: Duration = Duration::from_secs(10);
/// The longest time between two looks at what else there is to do.
const TICK: Duration = Duration::from_millis(50);
/// How often to tell what was done.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Partitions of a topic that is missing, and so is created: as many as `replay` makes.
const PARTITIONS: u32 = 4;

/// Why collecting ended early.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A mistake in the configuration.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The topic cannot be written.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The system refuses a thread, or it is gone.
    #[error("the thread that asks: {0}")]
    Thread(String),
}

impl From<Gone> for CollectError {
    fn from(_: Gone) -> Self {
        Self::Thread("it has ended".to_owned())
    }
}

/// Asks for assets and publishes what is new.
pub struct Collector {
    assets: Vec<String>,
    asker: Asker,
    publisher: Publisher,
    pace: Pace,
    seen: Seen,
    counters: Arc<Counters>,
    sent: u64,
    stop: Stop,
    begun: Instant,
    told: Duration,
}

impl Collector {
    /// Opens the topic, which is created where it is missing, and reads from its end what was published before.
    ///
    /// # Errors
    /// When the key's file cannot be read, or no broker answers.
    pub fn open(
        config: &CollectConfig,
        kafka: &KafkaSourceConfig,
        counters: &Arc<Counters>,
        stop: &Stop,
    ) -> Result<Self, CollectError> {
        let client = Client::new(config)?;
        let publisher = Publisher::open(kafka, Some(PARTITIONS), stop)?;
        let mut seen = Seen::default();
        match history::read(kafka, &mut seen, stop) {
            Ok(records) => tracing::debug!("looked at the last {records} records of {}", kafka.topic),
            Err(error) => tracing::warn!(
                "topic {} cannot be read ({error}): an observation that was published before may be so again",
                kafka.topic
            ),
        }
        let asker = Asker::start(client, config.assets.clone()).map_err(|e| CollectError::Thread(e.to_string()))?;
        let every = Duration::from_millis(u64::try_from(config.every.millis()).unwrap_or(0));
        Ok(Self {
            pace: Pace::new(config.assets.len(), every),
            assets: config.assets.clone(),
            asker,
            publisher,
            seen,
            counters: Arc::clone(counters),
            sent: 0,
            stop: stop.clone(),
            begun: Instant::now(),
            told: Duration::ZERO,
        })
    }

    /// Asks until it is stopped, then waits a while for the broker.
    ///
    /// # Errors
    /// When the broker refuses what is published. That it is away is no error.
    pub fn run(&mut self) -> Result<Tally, CollectError> {
        let mut asked = false;
        while !self.stop.requested() {
            self.serve_publisher()?;
            if asked {
                if let Some(answer) = self.asker.answer(TICK)? {
                    asked = false;
                    self.publish_answer(answer)?;
                }
                continue;
            }
            let Some((asset, due)) = self.pace.next() else { break };
            let left = due.saturating_sub(self.begun.elapsed());
            if left.is_zero() {
                self.asker.ask(asset)?;
                asked = true;
            } else {
                // Whether somebody asked to stop, the loop looks itself.
                let _ = self.stop.sleep(left.min(TICK));
            }
        }
        self.finish()
    }

    /// Asks for each asset once, then waits a while for the broker. Ends early where the API asks to be left alone:
    /// then the number of polls is less than that of assets.
    ///
    /// # Errors
    /// As [`Collector::run`].
    pub fn run_once(&mut self) -> Result<Tally, CollectError> {
        for asset in 0..self.assets.len() {
            self.asker.ask(asset)?;
            let answer = loop {
                if self.stop.requested() {
                    return self.finish();
                }
                self.serve_publisher()?;
                if let Some(answer) = self.asker.answer(TICK)? {
                    break answer;
                }
            };
            if matches!(self.publish_answer(answer)?, Verdict::Limited(_)) {
                break;
            }
        }
        self.finish()
    }

    /// Publishes an answer that is new, and notes what came of the call.
    fn publish_answer(&mut self, Answer { asset, result }: Answer) -> Result<Verdict, CollectError> {
        let name = self.assets.get(asset).cloned().unwrap_or_default();
        let failures = self.pace.failures(asset);
        let read = result.and_then(|body| match MarketData::read(&body) {
            Ok(data) => Ok((body, data)),
            Err(why) => Err(Failure::new(FailureKind::Unusable, format!("the answer cannot be used: {why}"))),
        });
        let verdict = match read {
            Ok((body, data)) => {
                if failures > 0 {
                    tracing::info!("{name}: answers again, after {failures} failures");
                }
                let outcome = self.publish(&body, data)?;
                self.counters.count(outcome);
                Verdict::Answered
            }
            Err(failure) => {
                self.counters.count(Outcome::Failed(failure.kind));
                let Failure { kind, message, .. } = &failure;
                // Somebody has to mend a refusal; of other failures the first says it all.
                if failures == 0 || *kind == FailureKind::Refused {
                    tracing::warn!("{name}: {message}");
                } else {
                    tracing::debug!("{name}: {message}");
                }
                failure.verdict()
            }
        };
        self.pace.after(asset, self.begun.elapsed(), verdict, crate::feeds::chance());
        Ok(verdict)
    }

    fn publish(&mut self, body: &[u8], data: MarketData) -> Result<Outcome, CollectError> {
        let novelty = self.seen.judge(&data);
        if let Some(trade) = data.trade_at.filter(|_| novelty != Novelty::Outdated) {
            let lag = data.answered_at.millis() - trade.millis();
            self.counters.set_lag_ms(u64::try_from(lag).unwrap_or(0));
        }
        match novelty {
            Novelty::New => {
                // While the broker is away the client's queue fills, up to some 32 MB: then this waits, and nobody is
                // asked. What was not taken was not seen.
                self.publisher.send(Some(data.symbol.as_str().as_bytes()), body, &self.stop)?;
                self.sent += 1;
                self.seen.remember(data);
                Ok(Outcome::Published)
            }
            Novelty::Unchanged => Ok(Outcome::Unchanged),
            Novelty::Outdated => Ok(Outcome::Outdated),
        }
    }

    /// Looks at what the broker acknowledged, and tells what was done once a minute.
    fn serve_publisher(&mut self) -> Result<(), CollectError> {
        self.publisher.serve()?;
        self.counters.set_unacknowledged(self.unacknowledged());
        let now = self.begun.elapsed();
        if now >= self.told + TELL_EVERY {
            self.told = now;
            tracing::info!("{}", self.counters.tally());
        }
        Ok(())
    }

    fn unacknowledged(&self) -> u64 {
        self.sent.saturating_sub(self.publisher.acknowledged())
    }

    /// Waits for what the broker has not acknowledged, within [`FLUSH_WAIT`].
    fn finish(&mut self) -> Result<Tally, CollectError> {
        let begun = Instant::now();
        self.serve_publisher()?;
        while self.unacknowledged() > 0 && begun.elapsed() < FLUSH_WAIT {
            std::thread::sleep(Duration::from_millis(5));
            self.serve_publisher()?;
        }
        Ok(self.counters.tally())
    }
}
