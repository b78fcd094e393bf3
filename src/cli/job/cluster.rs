//! One process of a cluster: meets the others, and runs its share of the job. Process 0 alone looks at what is there, makes the
//! plan and takes over; the others do as it says.

use super::prepare::{self, Source};
use super::{Place, Plan, hooks, takeover};
use crate::cli::output;
use crate::cluster::{Event, Identity, Leaving, Link, Meeting, Member};
use crate::config::Config;
use crate::dataflows::cluster::{Cluster, Part, Wanted, Word, reads, tell_failure};
use crate::dataflows::job::{self, Job, JobError, Summary};
use crate::dataflows::model::initial_weights;
use crate::delivery::Stop;
use crate::model::weights::InitialWeights;
use crate::operators::support::stats::Stats;
use crate::recovery::Fault;
use crate::recovery::restored::Restored;
use anyhow::Context as _;
use crossbeam_channel::Receiver;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How often a process that waits looks whether somebody wants it to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The others, met.
struct Company {
    links: BTreeMap<usize, Link>,
    events: Receiver<(usize, Event)>,
}

/// Runs one process of a cluster.
///
/// # Errors
/// As [`super::run`]; and when not everybody comes, or somebody is lost.
pub fn run(config: &Config, plan: &Plan, place: &Place, stop: &Stop, stats: &Arc<Stats>) -> anyhow::Result<Summary> {
    let initial = initial_weights(config)?;
    let is_given_up = || stop.requested();
    let meeting = Meeting::open(member(config, plan, place, initial.as_deref()), &is_given_up).map_err(JobError)?;
    let name = place.hosts.name(place.index);
    tracing::info!("{name} of {} processes: waits for the others", place.hosts.count());
    let company = Company::of(meeting.meet().map_err(JobError)?, config)?;
    let job = if place.index == 0 {
        lead(config, plan, place, &meeting, &company, stop, stats)
    } else {
        follow(config, plan, place, &meeting, &company, initial, stop, stats)
    };
    let mut job = match job {
        Ok(job) => job,
        Err(error) => {
            let cause = crate::cli::cause(&error);
            tell_failure(&company.links, &Fault { cause, text: format!("{error:#}") });
            return Err(error);
        }
    };
    if let Some(cluster) = &mut job.cluster {
        (cluster.links, cluster.events) = (company.links, company.events);
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
fn lead(
    config: &Config,
    plan: &Plan,
    place: &Place,
    meeting: &Meeting<'_>,
    company: &Company,
    stop: &Stop,
    stats: &Arc<Stats>,
) -> anyhow::Result<Job> {
    let number = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos() as u64 ^ u64::from(std::process::id());
    company.say_to_all(&Word::Mesh(number));
    let sockets = meeting.mesh(number).map_err(JobError)?;
    let mut waited_for: BTreeSet<usize> = company.links.keys().copied().collect();
    while let Some(first) = waited_for.first() {
        let Some((peer, word)) = company.hear(place, Some(meeting.end()), stop)? else {
            let name = place.hosts.name(*first);
            return Err(JobError(Fault::failed(format!("{name} did not reach the others in time"))).into());
        };
        if matches!(word, Word::Meshed) {
            waited_for.remove(&peer);
        }
    }
    let prepared = prepare::prepare(config, plan, stop)?;
    let Source::Kafka { config: source, starts, topic_id, .. } = &prepared.source else {
        anyhow::bail!("a cluster reads from source.kafka");
    };
    let (topic, starts, topic_id) = (source.topic.clone(), starts.clone(), topic_id.clone());
    let mut job = takeover::take_over(config, plan, prepared, stop, stats)?;
    let wanted = Wanted::by(&job.sinks, config.dead_letter.is_some());
    let (threads, workers) = (plan.workers, plan.workers * place.hosts.count());
    for (&peer, link) in &company.links {
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
    let mut sockets = None;
    let part = loop {
        // Who has met everybody waits for as long as process 0 needs to look and to take over.
        let end = sockets.is_none().then_some(meeting.end());
        match company.hear(place, end, stop)? {
            Some((_, Word::Mesh(number))) => {
                sockets = Some(meeting.mesh(number).map_err(JobError)?);
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
    let source = config.source.kafka.clone().context("a cluster reads from source.kafka")?;
    anyhow::ensure!(
        source.topic == part.topic,
        "source.kafka.topic is {} here and {} in process 0: give all processes the same",
        source.topic,
        part.topic
    );
    let restored = part.restored.map(Restored::from_share).transpose()?;
    let decoder = prepare::topic_decoder(&config.source)?;
    let source = Source::Kafka { config: source, decoder, starts: part.starts, ends: None, topic_id: part.topic_id };
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
        symbol_shares: part.symbol_shares,
        checkpoints: None,
        restored: restored.map(Arc::new),
        initial,
        stop: stop.clone(),
        stats: Arc::clone(stats),
    })
}

/// A place whose links come with the rest.
fn cluster(place: &Place, sockets: Vec<Option<TcpStream>>, wanted: Option<Wanted>) -> Cluster {
    Cluster {
        index: place.index,
        hosts: place.hosts.clone(),
        sockets,
        links: BTreeMap::new(),
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
    fn of(streams: BTreeMap<usize, TcpStream>, config: &Config) -> anyhow::Result<Self> {
        let (sender, events) = crossbeam_channel::unbounded();
        let stall = config.cluster.stall_timeout.to_std();
        let link = |(peer, stream)| Ok((peer, Link::spawn(stream, peer, stall, sender.clone())?));
        let links: std::io::Result<BTreeMap<usize, Link>> = streams.into_iter().map(link).collect();
        Ok(Self { links: links.context("cannot talk to the other processes")?, events })
    }

    fn say_to_all(&self, word: &Word) {
        let bytes = word.to_bytes();
        self.links.values().for_each(|link| link.say(bytes.clone()));
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
            let Ok((peer, event)) = self.events.recv_timeout(LOOK_EVERY) else { continue };
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
