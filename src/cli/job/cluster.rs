//! One process of a cluster: meets the others, and runs its share of the job. Process 0 alone looks at what is there, makes the
//! plan and takes over; the others do as it says.

use super::prepare::{self, Source};
use super::{Place, Plan, hooks, takeover};
use crate::cli::face::Face;
use crate::cli::output;
use crate::cluster::{Event, Identity, Leaving, Link, Meeting, Member};
use crate::config::Config;
use crate::connectors::kafka;
use crate::dataflows::cluster::{Cluster, Part, Wanted, Word, reads, tell_failure};
use crate::dataflows::job::{self, Job, JobError, Summary};
use crate::dataflows::model::initial_weights;
use crate::delivery::Stop;
use crate::model::weights::InitialWeights;
use crate::operators::support::stats::Stats;
use crate::recovery::restored::Restored;
use crate::recovery::{Fault, Offsets};
use anyhow::Context as _;
use crossbeam_channel::Receiver;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How often a process that waits looks whether somebody wants it to end.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The others, once they are met.
#[derive(Default)]
struct Company {
    links: RefCell<BTreeMap<usize, Link>>,
    events: RefCell<Option<Receiver<(usize, Event)>>>,
    /// What happened, and nobody has looked at yet.
    happened: RefCell<VecDeque<(usize, Event)>>,
}

/// See [`Company::leave`].
type Left = (BTreeMap<usize, Link>, Vec<(usize, Event)>, Receiver<(usize, Event)>);

/// Runs one process of a cluster.
///
/// # Errors
/// As [`super::run`]; and when not everybody comes, or somebody is lost.
pub fn run(
    config: &Config,
    plan: &Plan,
    place: &Place,
    stop: &Stop,
    stats: &Arc<Stats>,
    face: Option<&Face>,
) -> anyhow::Result<Summary> {
    let initial = initial_weights(config)?;
    let company = Company::default();
    // Who waits for sockets has to hear that somebody is lost, or cannot go on.
    let is_given_up = || stop.requested() || company.is_in_trouble();
    let meeting = Meeting::open(member(config, plan, place, initial.as_deref()), &is_given_up).map_err(JobError)?;
    let name = place.hosts.name(place.index);
    tracing::info!("{name} of {} processes: waits for the others", place.hosts.count());
    company.join(meeting.meet().map_err(JobError)?, config)?;
    let job = if place.index == 0 {
        lead(config, plan, place, &meeting, &company, stop, stats, face)
    } else {
        follow(config, plan, place, &meeting, &company, initial, stop, stats)
    };
    let mut job = match job {
        Ok(job) => job,
        Err(error) => {
            let cause = crate::cli::cause(&error);
            tell_failure(&company.links.borrow(), &Fault { cause, text: format!("{error:#}") });
            return Err(error);
        }
    };
    if let Some(cluster) = &mut job.cluster {
        (cluster.links, cluster.happened, cluster.events) = company.leave();
    }
    if let Some(path) = &place.up_file {
        std::fs::write(path, b"").with_context(|| format!("cannot write {}", path.display()))?;
    }
    tracing::info!("{name}: all {} processes are there", place.hosts.count());
    Ok(job::run(job)?)
}

fn member(config: &Config, plan: &Plan, place: &Place, initial: Option<&InitialWeights>) -> Member {
    let identity = Identity {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        job: config.job.id.clone(),
        computation: prepare::computation(config, initial),
        processes: place.hosts.count(),
        workers: plan.workers,
    };
    Member {
        index: place.index,
        hosts: place.hosts.clone(),
        identity,
        start_timeout: config.cluster.start_timeout.to_std(),
        stall_timeout: config.cluster.stall_timeout.to_std(),
    }
}

/// Process 0: connects everybody, looks, plans, takes over, and tells the others.
#[expect(clippy::too_many_arguments, reason = "one call, of what is at hand")]
fn lead(
    config: &Config,
    plan: &Plan,
    place: &Place,
    meeting: &Meeting<'_>,
    company: &Company,
    stop: &Stop,
    stats: &Arc<Stats>,
    face: Option<&Face>,
) -> anyhow::Result<Job> {
    let number = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos() as u64 ^ u64::from(std::process::id());
    company.say_to_all(&Word::Mesh(number));
    let sockets = company.in_company(place, stop, meeting.mesh(number))?;
    // While the others look at the topic; nothing is touched yet.
    let prepared = prepare::prepare(config, plan, stop)?;
    let mut waited_for: BTreeSet<usize> = company.links.borrow().keys().copied().collect();
    // Whoever cannot connect to the others, or to the broker, says so.
    while !waited_for.is_empty() {
        if let Some((peer, Word::Meshed)) = company.hear(place, None, stop)? {
            waited_for.remove(&peer);
        }
    }
    let Source::Kafka { config: source, starts, topic_id, .. } = &prepared.source else {
        anyhow::bail!("a cluster reads from source.kafka");
    };
    let (topic, starts, topic_id) = (source.topic.clone(), starts.clone(), topic_id.clone());
    let mut job = takeover::take_over(config, plan, prepared, stop, stats, face)?;
    name_partitions(stats, &topic, &starts);
    let wanted = Wanted::by(&job.sinks, config.dead_letter.is_some());
    let (threads, workers) = (plan.workers, plan.workers * place.hosts.count());
    for (&peer, link) in &*company.links.borrow() {
        let of = peer * threads..(peer + 1) * threads;
        let share =
            |restored: &Arc<Restored>| restored.share(of.clone(), workers, |partition| reads(partition, &of, workers));
        let part = Part {
            topic: topic.clone(),
            topic_id: topic_id.clone(),
            starts: starts.clone(),
            releases: job.releases.clone(),
            symbol_shares: job.symbol_shares,
            wanted,
            keeps: job.checkpoints.is_some(),
            writes_weights: config.model.weights.is_some(),
            restored: job.restored.as_ref().map(share),
        };
        link.carry(Word::Plan(Box::new(part)).to_bytes());
    }
    job.cluster = Some(cluster(place, sockets, None));
    Ok(job)
}

/// Another process: does what process 0 says.
#[expect(clippy::too_many_arguments, reason = "one call, of what is at hand")]
fn follow(
    config: &Config,
    plan: &Plan,
    place: &Place,
    meeting: &Meeting<'_>,
    company: &Company,
    initial: Option<Arc<InitialWeights>>,
    stop: &Stop,
    stats: &Arc<Stats>,
) -> anyhow::Result<Job> {
    let source = config.source.kafka.clone().context("a cluster reads from source.kafka")?;
    let (mut sockets, mut topic) = (None, None);
    let part = loop {
        // Who has met everybody waits for as long as process 0 needs to look and to take over.
        let end = sockets.is_none().then_some(meeting.end());
        match company.hear(place, end, stop)? {
            Some((_, Word::Mesh(number))) => {
                sockets = Some(company.in_company(place, stop, meeting.mesh(number))?);
                // Before anything is touched: this machine reads the topic, too.
                topic = kafka::topic_state(&source)?.topic_id;
                company.say_to_all(&Word::Meshed);
            }
            Some((_, Word::Plan(part))) => break *part,
            Some(_) => {}
            None => {
                let text = format!("{} waits for others that did not come in time", place.hosts.name(0));
                return Err(JobError(Fault::failed(text)).into());
            }
        }
    };
    let sockets = sockets.context("process 0 has a plan before everybody is there")?;
    anyhow::ensure!(
        source.topic == part.topic,
        "source.kafka.topic is {} here and {} in process 0: give all processes the same",
        source.topic,
        part.topic
    );
    if let (Some(here), Some(there)) = (&topic, &part.topic_id) {
        anyhow::ensure!(
            here == there,
            "source.kafka.brokers lead to another topic {} here than in process 0: give all processes the same cluster",
            part.topic
        );
    }
    name_partitions(stats, &part.topic, &part.starts);
    let restored = part.restored.map(Restored::from_share).transpose()?;
    let decoder = prepare::topic_decoder(&config.source)?;
    let source = Source::Kafka {
        config: source,
        decoder,
        starts: part.starts,
        ends: None,
        topic_id: part.topic_id,
        history: None,
    };
    let mut own = cluster(place, sockets, Some(part.wanted));
    (own.keeps, own.writes_weights) = (part.keeps, part.writes_weights);
    Ok(Job {
        config: config.clone(),
        workers: plan.workers,
        cluster: Some(own),
        serialised: false,
        input: hooks::apply(source.into_factory(config, stop)),
        sinks: Vec::new(),
        bounded: false,
        range: plan.range,
        releases: part.releases,
        history: None,
        symbol_shares: part.symbol_shares,
        checkpoints: None,
        restored: restored.map(Arc::new),
        initial,
        trace: None,
        stop: stop.clone(),
        stats: Arc::clone(stats),
    })
}

/// Repeats are counted where their symbol is, whoever reads their partition.
fn name_partitions(stats: &Stats, topic: &str, starts: &Offsets) {
    let topic: Arc<str> = topic.into();
    starts.keys().for_each(|partition| stats.name_partition(*partition, &topic));
}

/// A place whose links come with the rest.
fn cluster(place: &Place, sockets: Vec<Option<TcpStream>>, wanted: Option<Wanted>) -> Cluster {
    Cluster {
        index: place.index,
        hosts: place.hosts.clone(),
        sockets,
        links: BTreeMap::new(),
        happened: Vec::new(),
        events: crossbeam_channel::never(),
        leaving: Leaving::new(Arc::new(|fault: &Fault| {
            output::complain(&fault.text);
            std::process::exit(i32::from(fault.cause.exit_code()));
        })),
        wanted,
        keeps: false,
        writes_weights: false,
    }
}

impl Company {
    fn join(&self, streams: BTreeMap<usize, TcpStream>, config: &Config) -> anyhow::Result<()> {
        let (sender, events) = crossbeam_channel::unbounded();
        let stall = config.cluster.stall_timeout.to_std();
        let link = |(peer, stream)| Ok((peer, Link::spawn(stream, peer, stall, sender.clone())?));
        let links: std::io::Result<BTreeMap<usize, Link>> = streams.into_iter().map(link).collect();
        *self.links.borrow_mut() = links.context("cannot talk to the other processes")?;
        *self.events.borrow_mut() = Some(events);
        Ok(())
    }

    /// The links, what has happened on them and nobody has looked at, and what happens from now on.
    fn leave(&self) -> Left {
        let links = std::mem::take(&mut *self.links.borrow_mut());
        let happened = self.happened.borrow_mut().drain(..).collect();
        (links, happened, self.events.borrow_mut().take().unwrap_or_else(crossbeam_channel::never))
    }

    fn gather(&self) {
        if let Some(events) = &*self.events.borrow() {
            self.happened.borrow_mut().extend(events.try_iter());
        }
    }

    /// Whether somebody is lost, or has said that it cannot go on.
    fn is_in_trouble(&self) -> bool {
        self.gather();
        let is_trouble = |(_, event): &(usize, Event)| match event {
            Event::Lost(_) => true,
            Event::Word(bytes) => matches!(Word::read(bytes), Ok(Word::Failed(_))),
        };
        self.happened.borrow().iter().any(is_trouble)
    }

    fn say_to_all(&self, word: &Word) {
        let bytes = word.to_bytes();
        self.links.borrow().values().for_each(|link| link.say(bytes.clone()));
    }

    /// What came of a wait; where it was given up because of somebody, what they say.
    fn in_company<T>(&self, place: &Place, stop: &Stop, waited: Result<T, Fault>) -> Result<T, JobError> {
        match waited {
            Err(_) if self.is_in_trouble() => loop {
                self.hear(place, None, stop)?;
            },
            other => other.map_err(JobError),
        }
    }

    /// What somebody says; none where nobody did by `end`.
    fn hear(&self, place: &Place, end: Option<Instant>, stop: &Stop) -> Result<Option<(usize, Word)>, JobError> {
        loop {
            if stop.requested() {
                return Err(JobError(Fault::failed("stopped before all processes were there")));
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                return Ok(None);
            }
            self.gather();
            let Some((peer, event)) = self.happened.borrow_mut().pop_front() else {
                std::thread::sleep(LOOK_EVERY);
                continue;
            };
            let name = || place.hosts.name(peer);
            return match event {
                Event::Lost(why) => Err(JobError(Fault::peer_lost(format!("{} is lost: {why}", name())))),
                Event::Word(bytes) => match Word::read(&bytes).map_err(JobError)? {
                    Word::Failed(Fault { cause, text }) => {
                        Err(JobError(Fault { cause, text: format!("{}: {text}", name()) }))
                    }
                    word => Ok(Some((peer, word))),
                },
            };
        }
    }
}
