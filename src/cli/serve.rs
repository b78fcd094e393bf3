//! `tickcast serve`: a page and an API over what a job has written, beside it or after it.

use super::args::ConfigFile;
use super::face::{self, Doorway};
use super::{Usage, signals};
use crate::config::{Config, Settings};
use crate::connectors::published::whole_forecast;
use crate::connectors::sqlite::SqliteReader;
use crate::delivery::reader::{Kind, Range, ReadError};
use crate::delivery::{Reader, Stop};
use crate::market::{Forecast, Span, Symbol, Timestamp};
use crate::serving::app::Results;
use crate::serving::{Live, StoredWatch, Watch};
use clap::Args;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often it looks for what is new.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// New forecasts of one symbol and horizon that are taken at a look.
const NEWS_MAX: usize = 1000;

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast serve -c tickcast.toml\n  \
                        tickcast serve --set http.store=results.db --listen 127.0.0.1:9000\n\n\
                        Reads http.store, which `run` and `backfill` write where their configuration names it.")]
pub struct ServeArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    /// Where to listen; without it http.listen counts.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

/// Serves until it is stopped.
///
/// # Errors
/// When there is nothing to serve, it cannot be read, or the address is taken.
pub fn run(args: &ServeArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut config = face::listening(&settings.config, args.listen);
    let http = config.http.get_or_insert_default().clone();
    let Some(path) = &http.store else {
        return Err(Usage("serve reads http.store: name the file that the job's configuration names".to_owned()).into());
    };
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    let store = Arc::new(SqliteReader::open(path, None)?);
    config.job.id = store.job()?;
    serve(&config, Doorway::listen(&http)?, &store, &stop)
}

fn serve(config: &Config, doorway: Doorway, store: &Arc<SqliteReader>, stop: &Stop) -> anyhow::Result<()> {
    let live = Live::default();
    face::prime(&live, store.as_ref())?;
    let watch = Arc::new(StoredWatch::new(face::info(config, None, store.name())));
    let reader: Arc<dyn Reader> = Arc::clone(store) as Arc<dyn Reader>;
    let watched: Arc<dyn Watch> = Arc::clone(&watch) as Arc<dyn Watch>;
    let server = doorway.serve(watched, Some(Results { live: live.clone(), reader }))?;
    tracing::info!("http://{} has a page and an API of what job `{}` has written", server.address(), config.job.id);
    let mut follower = Follower::new(&live);
    while stop.sleep(LOOK_EVERY) {
        // It may be locked for a moment, or away: what is shown stays.
        let looked = follower.look(store.as_ref(), &live, store.through());
        watch.set_state(follower.through, looked.err().map(|error| error.0));
    }
    server.finish();
    Ok(())
}

/// Finds what is new in a store that somebody else writes.
struct Follower {
    through: Option<Timestamp>,
    /// The last target of each series.
    last: BTreeMap<(Symbol, Span), Timestamp>,
}

impl Follower {
    fn new(live: &Live) -> Self {
        let last = live.latest().into_iter().map(|f| ((f.symbol, f.horizon), f.target_at)).collect();
        Self { through: None, last }
    }

    fn look(
        &mut self,
        reader: &dyn Reader,
        live: &Live,
        through: Result<Option<Timestamp>, ReadError>,
    ) -> Result<(), ReadError> {
        let through = through?;
        if through == self.through {
            return Ok(());
        }
        let mut news: Vec<Forecast> = Vec::new();
        for (symbol, horizon) in reader.series(Kind::Forecasts)? {
            let key = (symbol, horizon);
            let last = self.last.get(&key).copied();
            // Of a series that is new the latest is enough.
            let range = Range {
                from: last.map(|at| at.plus(Span::from_millis(1))),
                to: None,
                limit: if last.is_some() { NEWS_MAX } else { 1 },
            };
            let lines = reader.read(Kind::Forecasts, &key.0, horizon, range)?;
            if let Some(line) = lines.last() {
                self.last.insert(key, line.at);
            }
            news.extend(lines.iter().filter_map(|line| whole_forecast(&line.json)));
        }
        news.sort_by(|a, b| (a.issued_at, &a.symbol, a.horizon).cmp(&(b.issued_at, &b.symbol, b.horizon)));
        self.through = through;
        live.publish(&news, &[], &[], through.unwrap_or_default());
        Ok(())
    }
}
