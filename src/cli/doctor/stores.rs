//! The database, the checkpoints' store, the embedded store.

use super::Findings;
use crate::cli::face;
use crate::config::{CheckpointPlace, Config};
use crate::connectors::checkpoints as door;
use crate::connectors::mongodb::{DatabaseFacts, MongoSink};
use crate::delivery::Stop;
use crate::operators::support::gauges::wall_clock;
use crate::recovery::kept;
use std::path::Path;
use std::time::Instant;

/// A clock that is further away than this is wrong.
const CLOCK_OFF_MS: i64 = 2_000;
/// A store that takes longer to be written to holds checkpoints up.
const SLOW_MS: u128 = 2_000;
/// Less room than this on a checkpoint's disk is little.
const ROOM_MIN: u64 = 1 << 30;

/// `[sink.mongodb]`
pub(super) fn database(config: &Config, found: &mut Findings) {
    let Some(mongodb) = &config.sink.mongodb else { return };
    const AREA: &str = "sink.mongodb";
    match MongoSink::examine(mongodb, &Stop::default()) {
        Err(error) => found.bad(
            AREA,
            error.to_string(),
            "see that the server listens there, and that user and password are right",
        ),
        Ok(DatabaseFacts { version, local_ms, indexes, writable }) => {
            found.good(AREA, format!("database `{}` answers: server {version}", mongodb.database));
            if !writable {
                found.bad(
                    AREA,
                    "the server that answers takes no writes",
                    "name the replica set in the connection string, so that its primary is found",
                );
            }
            for (collection, has_index) in indexes {
                if has_index {
                    found.good(AREA, format!("collection `{collection}` has its index on (symbol, target_at)"));
                } else {
                    found.good(
                        AREA,
                        format!("collection `{collection}` has no index on (symbol, target_at) yet: a start makes it"),
                    );
                }
            }
            if let Some(local) = local_ms {
                let off = local - wall_clock().millis();
                if off.abs() > CLOCK_OFF_MS {
                    found.bad(
                        "clock",
                        format!("the database's clock is {off} ms away from this machine's"),
                        "set both clocks by NTP",
                    );
                } else {
                    found.good("clock", format!("the database's clock is {off} ms away from this machine's"));
                }
            }
        }
    }
}

/// `[checkpoint]`
pub(super) fn checkpoints(config: &Config, found: &mut Findings) {
    const AREA: &str = "checkpoint";
    let Some(checkpoint) = &config.checkpoint else {
        if config.source.kafka.is_some() {
            found.warn(
                AREA,
                "no checkpoints are kept: a start computes again from where the job first began",
                "set checkpoint.url",
            );
        }
        return;
    };
    let begun = Instant::now();
    let looked = door::open(checkpoint).map_err(|error| error.to_string()).and_then(|store| {
        store.check().map_err(|error| error.to_string())?;
        let kept = kept::found(store.as_ref(), &config.job.id).map_err(|error| error.to_string())?;
        Ok((store.place(), kept))
    });
    let took = begun.elapsed().as_millis();
    let (place, kept) = match looked {
        Ok(looked) => looked,
        Err(error) => {
            found.bad(AREA, error, "see that the directory (or bucket) is there and that this user may write it; credentials: docs/operations.md");
            return;
        }
    };
    found.good(AREA, format!("{place} takes writes, once each: {took} ms"));
    if took > SLOW_MS {
        found.warn(
            AREA,
            format!("the store answered after {took} ms"),
            "use a store that is nearer, or a longer checkpoint.interval",
        );
    }
    let damaged: Vec<&str> = kept.iter().filter(|found| found.1.is_err()).map(|found| found.0.as_str()).collect();
    match kept.iter().find_map(|found| found.1.as_ref().ok()) {
        Some(newest) => {
            found.good(AREA, format!("the newest checkpoint reaches to {}, {} bytes", newest.cut, newest.bytes()));
        }
        None => found.good(AREA, "there is no checkpoint of this job yet"),
    }
    if !damaged.is_empty() {
        found.warn(
            AREA,
            format!("damaged, and passed over by a start: {}", damaged.join(", ")),
            "`tickcast checkpoint verify` says how; remove them",
        );
    }
    if let Ok(CheckpointPlace::Directory(directory)) = checkpoint.place() {
        room(&directory, found);
    }
}

/// Room on the disk of a directory, or of where it will be.
fn room(directory: &Path, found: &mut Findings) {
    let existing = directory.ancestors().find(|path| path.exists()).unwrap_or_else(|| Path::new("/"));
    let Ok(disk) = rustix::fs::statvfs(existing) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let text = format!("{:.1} GB are free on the disk of {}", free as f64 / 1e9, directory.display());
    if free < ROOM_MIN {
        found.warn(
            "checkpoint",
            text,
            "make room: a checkpoint of 1,000 symbols takes some 200 MB, and checkpoint.keep of them are kept",
        );
    } else {
        found.good("checkpoint", text);
    }
}

/// `[http]`
pub(super) fn embedded(config: &Config, found: &mut Findings) {
    let Some(http) = &config.http else { return };
    match face::check_store(config) {
        Ok(()) => {
            let store =
                http.store.as_ref().map_or_else(|| "in memory".to_owned(), |path| format!("in {}", path.display()));
            found.good("http", format!("results are kept {store}"));
        }
        Err(error) => found.bad("http", error.to_string(), "name another file in http.store"),
    }
    match face::Doorway::listen(http) {
        Ok(_) => found.good("http", format!("{} is free to listen on", http.listen)),
        Err(error) => found.warn(
            "http",
            error.to_string(),
            "if that is the running job, all is well; else choose another http.listen",
        ),
    }
}
