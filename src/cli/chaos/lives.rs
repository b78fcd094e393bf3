//! A cluster's lives: each is ended in one of the ways in which machines end them.

use crate::cluster::supervisor::{Launch, Running};
use crate::recovery::point;
use anyhow::Context as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a cluster may take until all processes are there.
const UP_TIME: Duration = Duration::from_secs(60);
/// A life is ended within this time after that, or before all are there.
const LIFE_MAX_MS: u64 = 1_500;
/// How long a named moment may be waited for.
const POINT_TIME: Duration = Duration::from_secs(6);
/// How long the others may take to end when one is gone; a process that hangs is seen after `cluster.stall_timeout`.
const FOLLOW_TIME: Duration = Duration::from_secs(5);
/// One life in so many is ended before all processes are there.
const EARLY_ONE_IN: u64 = 8;
/// The variable that says to `examples/stops_at` where to die.
const STOPS_AT: &str = "STOPS_AT";

/// How often lives were ended in each way.
#[derive(Debug, Default)]
pub struct Lives {
    /// By what was done.
    pub ways: BTreeMap<String, usize>,
    /// The longest that a start took until all processes were there.
    pub slowest_start: Duration,
    /// How often a process did not see that another was gone, and had to be ended.
    pub left_behind: usize,
}

/// What is done to a process.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Kill,
    Hang,
}

impl Lives {
    /// One life.
    ///
    /// # Errors
    /// When the processes do not meet, or end by themselves.
    pub fn live(&mut self, launch: &mut Launch, rng: &mut ChaCha8Rng, stall: Duration) -> anyhow::Result<()> {
        let below = |rng: &mut ChaCha8Rng, end: u64| rng.next_u64() % end.max(1);
        let point = (point::is_watched() && below(rng, 3) == 0)
            .then(|| (point::POINTS[below(rng, point::POINTS.len() as u64) as usize], 1 + below(rng, 3)));
        let victim = below(rng, launch.processes as u64) as usize;
        let blow = if below(rng, 3) == 0 { Blow::Hang } else { Blow::Kill };
        let early = below(rng, EARLY_ONE_IN) == 0;
        let moment = Duration::from_millis(below(rng, LIFE_MAX_MS));
        launch.variables =
            point.iter().map(|(name, count)| (0, STOPS_AT.to_owned(), format!("{name}:{count}"))).collect();
        let mut running = launch.start(false).context("a process cannot be started")?;
        let begun = Instant::now();
        if let Some((name, _)) = point {
            while !running.has_ended() && begun.elapsed() < POINT_TIME {
                std::thread::sleep(Duration::from_millis(10));
            }
            if running.has_ended() {
                return self.end(running, FOLLOW_TIME, format!("death at {name}"));
            }
        } else if !early {
            while !running.is_up() {
                anyhow::ensure!(!running.has_ended(), "the processes end by themselves: {}", running.shown());
                anyhow::ensure!(begun.elapsed() < UP_TIME, "the processes do not meet within {UP_TIME:?}");
                std::thread::sleep(Duration::from_millis(10));
            }
            self.slowest_start = self.slowest_start.max(begun.elapsed());
        }
        std::thread::sleep(moment);
        let pid = running.ids().get(victim).and_then(|id| rustix::process::Pid::from_raw(i32::try_from(*id).ok()?));
        let (signal, patience, name) = match blow {
            Blow::Kill => (rustix::process::Signal::KILL, FOLLOW_TIME, "kill"),
            Blow::Hang => (rustix::process::Signal::STOP, stall + FOLLOW_TIME, "hang"),
        };
        // Where it ended by itself just now, the next line says so.
        let _ = pid.map(|pid| rustix::process::kill_process(pid, signal));
        let others = (0..launch.processes).filter(|index| *index != victim).collect::<Vec<_>>();
        let end = Instant::now() + patience;
        while !others.iter().all(|index| running.ended(*index)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Before all are there, it waits for the one that is missing.
        self.left_behind += if early && !running.is_up() { 0 } else { 1 }
            * others.iter().filter(|index| !running.ended(**index)).count();
        self.end(running, Duration::ZERO, format!("{name}{}", if early { " before all were there" } else { "" }))
    }

    fn end(&mut self, mut running: Running, patience: Duration, way: String) -> anyhow::Result<()> {
        running.end(patience);
        *self.ways.entry(way).or_default() += 1;
        match running.given_up() {
            Some(code) => anyhow::bail!("exit code {code}, which no supervisor starts again: {}", running.shown()),
            None => Ok(()),
        }
    }
}
