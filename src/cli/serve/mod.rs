//! `tickcast serve`: a page and an API over what a job has written, beside it or after it.

mod follow;

use super::args::ConfigFile;
use super::explain::served::explains;
use super::face::{self, Doorway};
use super::{Usage, signals};
use crate::config::{Config, FilesSinkConfig, HttpConfig, MongoSinkConfig, Settings};
use crate::connectors::files::results::ResultFiles;
use crate::connectors::mongodb::MongoReader;
use crate::connectors::sqlite::{self as store, Limits, SqliteReader, SqliteStore};
use crate::delivery::{Reader, Stop};
use crate::serving::app::Results;
use crate::serving::{Live, StoredWatch, Watch};
use clap::{Args, ValueEnum};
use follow::{Followed, Follower};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often it looks for what is new.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  tickcast serve -c tickcast.toml\n  tickcast serve -c tickcast.toml --from mongodb\n  \
                        tickcast serve --set http.store=results.db --listen 127.0.0.1:9000\n\n\
                        Reads what `run` and `backfill` write where their configuration says: http.store, else [sink.mongodb],\n\
                        else [sink.files]."
)]
pub struct ServeArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    /// Where to listen; without it http.listen counts.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Which of the places that the configuration names is read.
    #[arg(long, value_name = "PLACE")]
    pub from: Option<From>,
}

/// Where results are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// The embedded store: http.store.
    Store,
    /// The database of [sink.mongodb].
    Mongodb,
    /// The files of [sink.files].
    Files,
}

/// Serves until it is stopped.
///
/// # Errors
/// When there is nothing to serve, it cannot be read, or the address is taken.
pub fn run(args: &ServeArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut config = face::listening(&settings.config, args.listen);
    let http = config.http.get_or_insert_default().clone();
    let place = place(&config, &http, args.from)?;
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    let mut followed = None;
    let (doorway, reader): (Doorway, Arc<dyn Reader>) = match place {
        Place::Store(path) => {
            let store = SqliteReader::open(path, None)?;
            config.job.id = store.job()?;
            (Doorway::listen(&http)?, Arc::new(store))
        }
        Place::Mongodb(sink) => {
            let reader = MongoReader::open(&config, &sink, &stop)?;
            (Doorway::listen(&http)?, Arc::new(reader))
        }
        Place::Files(sink) => {
            let files = ResultFiles::open(&sink, http.retention)?;
            if let Some(job) = files.job() {
                config.job.id = job;
            }
            let doorway = Doorway::listen(&http)?;
            let limits = Limits { retention: http.retention, bytes_max: http.store_bytes_max };
            let store = SqliteStore::open(store::Place::Temporary, &config.job.id, limits)?;
            let mut all = Followed::new(files, store.importer()?);
            all.take_in()?;
            followed = Some(all);
            let reader = store.reader_named(format!("files in {}", sink.dir.display()));
            (doorway, Arc::new(reader))
        }
    };
    serve(&config, doorway, &reader, followed, &stop)
}

/// What is read.
enum Place<'a> {
    Store(&'a Path),
    Mongodb(Box<MongoSinkConfig>),
    Files(FilesSinkConfig),
}

/// Which place is read.
fn place<'a>(config: &Config, http: &'a HttpConfig, wanted: Option<From>) -> anyhow::Result<Place<'a>> {
    let places = [
        (From::Store, "http.store", http.store.as_deref().map(Place::Store)),
        (From::Mongodb, "[sink.mongodb]", config.sink.mongodb.clone().map(|sink| Place::Mongodb(Box::new(sink)))),
        (From::Files, "[sink.files]", config.sink.files.clone().map(Place::Files)),
    ];
    for (from, name, place) in places {
        match (wanted, place) {
            (None, Some(place)) => return Ok(place),
            (Some(wanted), Some(place)) if wanted == from => return Ok(place),
            (Some(wanted), None) if wanted == from => {
                let text = format!("the configuration has no {name}: give the job's, or leave --from away");
                return Err(Usage(text).into());
            }
            _ => {}
        }
    }
    let text =
        "serve reads http.store, [sink.mongodb] or [sink.files]: give it the job's configuration, with one of them";
    Err(Usage(text.to_owned()).into())
}

fn serve(
    config: &Config,
    doorway: Doorway,
    reader: &Arc<dyn Reader>,
    mut followed: Option<Followed>,
    stop: &Stop,
) -> anyhow::Result<()> {
    let live = Live::default();
    face::prime(&live, reader.as_ref())?;
    let explains = explains(config, reader);
    let watch = Arc::new(StoredWatch::new(face::info(config, None, reader.name(), explains.is_some())));
    let watched: Arc<dyn Watch> = Arc::clone(&watch) as Arc<dyn Watch>;
    let server = doorway.serve(watched, Some(Results { live: live.clone(), reader: Arc::clone(reader), explains }))?;
    tracing::info!("http://{} has a page and an API of what job `{}` has written", server.address(), config.job.id);
    let mut follower = Follower::new(&live, reader.as_ref())?;
    while stop.sleep(LOOK_EVERY) {
        // It may be locked for a moment, or away: what is shown stays.
        let taken_in = followed.as_mut().map_or(Ok(()), Followed::take_in);
        let looked = follower.look(reader.as_ref(), &live);
        watch.set_state(follower.through(), taken_in.and(looked).err().map(|error| error.0));
    }
    server.finish();
    Ok(())
}
