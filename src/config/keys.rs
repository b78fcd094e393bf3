//! The one table of settings: every table and key, its type, default and meaning. What reads the file, `config show`,
//! the example file and the reference all come from here; a test compares it with the structs.

use super::kind::Kind;
use super::kind::Kind::{
    Address, Assets, Choice, Columns, Flag, HostNames, Hosts, HttpUrl, JobId, Markets, MongoUri, Options, Path, Paths,
    Secret, Share, Span, SpanOrNone, SpanOrZero, Spans, Start, Symbol, SymbolNames, SymbolOrNone, Template, Text, Time,
    TimeZone, Topic, Venues, Whole,
};

/// A table of the file.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Dotted name.
    pub name: &'static str,
    /// Whether it is there without being written; the others are off then.
    pub always: bool,
    /// One line for people.
    pub meaning: &'static str,
}

/// What a key is when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// This value, as TOML.
    Default(&'static str),
    /// Nothing; with a value to show in the example file, as TOML.
    Nothing(&'static str),
}

/// A key of the file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted name.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// What it is when nobody sets it.
    pub unset: Unset,
    /// One line for people.
    pub meaning: &'static str,
}

impl Key {
    /// The table that it stands in, and its name there.
    #[must_use]
    pub fn split(&self) -> (&'static str, &'static str) {
        self.name.rsplit_once('.').unwrap_or(("", self.name))
    }
}

const fn table(name: &'static str, always: bool, meaning: &'static str) -> Table {
    Table { name, always, meaning }
}

const fn key(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key { name, kind, unset: Unset::Default(default), meaning }
}

const fn optional(name: &'static str, kind: Kind, example: &'static str, meaning: &'static str) -> Key {
    Key { name, kind, unset: Unset::Nothing(example), meaning }
}

/// All tables, in the order of the example file.
pub const TABLES: &[Table] = &[
    table("job", true, "Who the job is."),
    table(
        "source",
        true,
        "Where records come from: Kafka for `run`; Kafka, files or MongoDB for `backfill`. Files or MongoDB beside Kafka are its history: `backfill --then-live`.",
    ),
    table("source.kafka", false, "From a Kafka topic."),
    table("source.files", false, "From files: CSV, JSON or Parquet, plain, .gz, .zst or .zip; one partition each."),
    table(
        "source.mongodb",
        false,
        "From a MongoDB collection of ticks: what sink.mongodb.ticks wrote, or documents like it.",
    ),
    table("time", true, "Event time: durations read 250ms, 5s, 1m, 1h, 1d."),
    table("model", true, "What learns."),
    table("model.experts", true, "Which parts of the model are on: switch one off to see what it adds."),
    table("sink", true, "Where results go. Any may be given, several, or none: the scores show at the end either way."),
    table("sink.kafka", false, "To Kafka: forecasts, scores and the job's progress, in transactions."),
    table("sink.mongodb", false, "To MongoDB: upserts by id."),
    table("sink.files", false, "To files: features.jsonl, forecasts.jsonl, scores.jsonl."),
    table(
        "dead_letter",
        false,
        "Where records go that cannot be used: a topic or a file. Without it they are counted only.",
    ),
    table(
        "checkpoint",
        false,
        "Where a live job keeps its state, so that a start computes little again; read from Kafka.",
    ),
    table("cluster", true, "Several processes that run one job: `cluster`, or `run --process` on several machines."),
    table("http", false, "A page, an API, metrics and probes of a running job; nothing is served without it."),
    table("collect", true, "Where `collect` gets prices from, to publish them to source.kafka.topic."),
    table(
        "history",
        false,
        "Archives that `history` downloads. `backfill` reads them where source.files and source.mongodb are off.",
    ),
];

const OPTIONS: &str = "any librdkafka option by its own name (TLS, SASL, …); NAME_file reads NAME from a file";

/// All keys, in the order of the example file.
pub const KEYS: &[Key] = &[
    key("job.id", JobId, "\"btc\"", "names the transactional.id, the consumer group, and the forecasts' ids"),
    key(
        "source.format",
        Choice(&["auto", "tick", "messari", "trade", "candle"]),
        "\"auto\"",
        "how values are read; auto: found out per message",
    ),
    key(
        "source.symbol",
        SymbolOrNone,
        "\"\"",
        "where neither value nor key says one: files without a symbol column, keys that are ids",
    ),
    key("source.interval", SpanOrNone, "\"\"", "of candles that do not say; in files else inferred from their spacing"),
    key("source.timezone", TimeZone, "\"UTC\"", "of stamps without a zone, an IANA name"),
    key(
        "source.symbols_max",
        Whole(1, crate::market::symbol::SYMBOLS_MAX as i64),
        "10000",
        "the most symbols; ticks of more are dead letters, reason too_many_symbols",
    ),
    key(
        "source.forget_after",
        Span,
        "\"14d\"",
        "event time without a tick after which a symbol's state is given up; if it returns, it begins anew",
    ),
    key("source.kafka.brokers", Text, "\"localhost:9092\"", "bootstrap addresses, with commas between"),
    key("source.kafka.topic", Topic, "\"btc.ticks\"", "topic to read, and to publish to with `replay`"),
    key("source.kafka.start", Start, "\"earliest\"", "where to begin when there is no progress yet"),
    key("source.kafka.options", Options, "{}", OPTIONS),
    optional(
        "source.files.paths",
        Paths,
        "[\"ticks.csv\", \"more.jsonl.gz\", \"rest.parquet\"]",
        "files to read, from the working directory",
    ),
    optional("source.files.symbol", Symbol, "\"BTC\"", "source.symbol, for files"),
    optional("source.files.interval", Span, "\"1m\"", "source.interval, for files"),
    optional(
        "source.files.columns",
        Columns,
        "[\"timestamp\", \"price\", \"size\"]",
        "what the columns are: a list for files without a header; { timestamp = \"Open time\" } for ones with odd words",
    ),
    key(
        "source.mongodb.uri",
        MongoUri,
        "\"mongodb://localhost:27017\"",
        "connection string; never shown with its password",
    ),
    optional(
        "source.mongodb.uri_file",
        Path,
        "\"/run/secrets/mongodb_uri\"",
        "file that holds the connection string instead",
    ),
    key("source.mongodb.database", Text, "\"bitcoin\"", "database"),
    key("source.mongodb.collection", Text, "\"data\"", "collection of ticks"),
    optional("source.mongodb.symbol", Symbol, "\"BTC\"", "source.symbol, for documents"),
    optional("source.mongodb.from", Time, "\"2021-01-01T00:00:00Z\"", "event time to begin with"),
    optional("source.mongodb.to", Time, "\"2021-02-01T00:00:00Z\"", "event time to end before"),
    key("time.slide", Span, "\"5s\"", "length of a pane: one feature row each; divides the windows and model.step"),
    key("time.windows", Spans, "[\"1m\", \"5m\", \"1h\"]", "sliding windows, multiples of slide"),
    key("time.allowed_lateness", SpanOrZero, "\"2s\"", "how far behind its partition's latest a tick may be"),
    key(
        "time.idle_timeout",
        Span,
        "\"30s\"",
        "a caught-up partition that is quiet this long no longer holds the others up",
    ),
    key("time.epoch", Span, "\"5m\"", "the LSTM is trained once per this much event time; a multiple of model.step"),
    key(
        "time.late",
        Choice(&["dead_letter", "drop"]),
        "\"dead_letter\"",
        "what becomes of late ticks; they are counted either way",
    ),
    key(
        "time.max_ahead",
        SpanOrZero,
        "\"1h\"",
        "a tick further ahead of its broker timestamp is quarantined; one that jumps further waits for the next",
    ),
    key(
        "model.preset",
        Choice(&["default", "seed", "none"]),
        "\"default\"",
        "seed: the student project's LSTM, docs/seed.md; none: windows and features only",
    ),
    key("model.scope", Choice(&["symbol", "pooled"]), "\"symbol\"", "symbol: an LSTM per symbol; pooled: one for all"),
    key("model.hidden", Whole(1, 1024), "32", "hidden units of the LSTM"),
    key("model.layers", Whole(1, 4), "1", "layers of the LSTM"),
    key("model.steps", Whole(2, 1024), "16", "sequence length in steps"),
    key("model.step", Span, "\"1m\"", "distance between sequence steps, a multiple of time.slide"),
    key("model.minibatches", Whole(0, 1000), "1", "minibatches per epoch; 0: never trained"),
    key(
        "model.horizons",
        Spans,
        "[\"1m\", \"5m\", \"15m\", \"1h\"]",
        "how far ahead to forecast, multiples of step; preset seed: one step",
    ),
    key("model.coverage", Share, "0.9", "share of outcomes that the interval is meant to hold"),
    key("model.random_seed", Whole(0, i64::MAX), "42", "seeds initial weights, batches and dropout"),
    key("model.prior", Flag, "true", "scale and shape start from what other series taught, not from nothing"),
    optional(
        "model.weights",
        Path,
        "\"weights\"",
        "directory that the LSTM's weights are written to; a job starts from what `model import` put there",
    ),
    key("model.experts.gaussian", Flag, "true", "EWMA volatility (half-life 60 steps), Gaussian quantiles"),
    key("model.experts.empirical", Flag, "true", "the same volatility, empirical quantiles"),
    key("model.experts.range_scale", Flag, "true", "layers 1 and 2: regressed range, empirical quantiles"),
    key("model.experts.location", Flag, "true", "layers 1 and 2 around a location by least squares"),
    key("model.experts.window_range", Flag, "true", "regressed range of the whole window, quantiles of either side"),
    key("model.experts.geometric_range", Flag, "true", "geometric mean of a fast and a slow mean range"),
    key("model.experts.slow", Flag, "true", "EWMA volatility (half-life 1,440 steps), quantiles of either side"),
    key("model.experts.quantile_regression", Flag, "true", "layer 3: online quantile regression"),
    key("model.experts.random_features", Flag, "true", "layer 3 with random features, up to 5 steps ahead"),
    key("model.experts.lstm", Flag, "true", "layer 4: the LSTM, which corrects layer 3"),
    key(
        "model.experts.median_gate",
        Flag,
        "true",
        "layer 6: no median but the last price while it has not proven better",
    ),
    key("model.experts.interval_control", Flag, "true", "layer 7: outer quantiles follow what they cover"),
    key("model.experts.flow", Flag, "true", "inputs of layer 3: which side took more, where trades say so"),
    key("model.experts.market", Flag, "true", "inputs of layer 3: the mean return of all symbols"),
    key("sink.kafka.brokers", Text, "\"localhost:9092\"", "bootstrap addresses, with commas between"),
    key(
        "sink.kafka.topic",
        Topic,
        "\"btc.forecasts\"",
        "topic of forecasts; scores go to TOPIC.scores, progress to TOPIC.progress",
    ),
    key(
        "sink.kafka.delivery",
        Choice(&["exactly_once", "at_least_once"]),
        "\"exactly_once\"",
        "at_least_once: without transactions, a restart may publish again",
    ),
    key("sink.kafka.create_topics", Flag, "true", "whether missing output topics are created"),
    key("sink.kafka.options", Options, "{}", OPTIONS),
    key(
        "sink.mongodb.uri",
        MongoUri,
        "\"mongodb://localhost:27017\"",
        "connection string; never shown with its password",
    ),
    optional(
        "sink.mongodb.uri_file",
        Path,
        "\"/run/secrets/mongodb_uri\"",
        "file that holds the connection string instead",
    ),
    key("sink.mongodb.database", Text, "\"bitcoin\"", "database"),
    key("sink.mongodb.forecasts", Text, "\"predictions\"", "collection of forecasts"),
    key("sink.mongodb.scores", Text, "\"scores\"", "collection of scores"),
    optional("sink.mongodb.ticks", Text, "\"data\"", "collection of used ticks, written only when named"),
    optional("sink.mongodb.features", Text, "\"features\"", "collection of feature rows, written only when named"),
    optional("sink.mongodb.ttl", Span, "\"30d\"", "forecasts and scores are removed this long after their target"),
    key("sink.files.dir", Path, "\"out\"", "directory, from the working directory; created when missing"),
    key("sink.files.format", Choice(&["jsonl"]), "\"jsonl\"", "JSON, one object a line"),
    optional("dead_letter.topic", Topic, "\"btc.dead\"", "Kafka topic, at the Kafka sink's brokers, else the source's"),
    optional("dead_letter.file", Path, "\"dead.jsonl\"", "file of JSON lines"),
    optional(
        "checkpoint.url",
        Text,
        "\"file:///var/lib/tickcast\"",
        "directory, as file:///DIRECTORY (created when missing), or bucket, as s3://BUCKET/PREFIX",
    ),
    key(
        "checkpoint.interval",
        Span,
        "\"1m\"",
        "of event time between two, a multiple of time.slide; of wall time, where event time runs faster",
    ),
    key("checkpoint.keep", Whole(1, 1000), "3", "how many are kept"),
    key("cluster.processes", Whole(1, 64), "2", "how many processes `cluster` starts"),
    optional(
        "cluster.hosts",
        Hosts,
        "[\"a:2101\", \"b:2101\"]",
        "where each process listens, by its index; `cluster` finds ports by itself without it",
    ),
    key("cluster.start_timeout", Span, "\"60s\"", "how long processes wait for each other at the start"),
    key(
        "cluster.stall_timeout",
        Span,
        "\"10s\"",
        "a process that says nothing for so long is lost, and all are started again; at least 1s",
    ),
    key(
        "http.listen",
        Address,
        "\"127.0.0.1:8080\"",
        "address and port; others than this machine can ask only where it is not 127.0.0.1",
    ),
    optional(
        "http.hosts",
        HostNames,
        "[\"tickcast.example.com\"]",
        "names that it is asked for by, besides localhost and its addresses",
    ),
    optional(
        "http.store",
        Path,
        "\"/var/lib/tickcast/results.db\"",
        "SQLite file that keeps results for the page and the API, for `serve` too; without it, and without sink.mongodb, they are in memory",
    ),
    key("http.retention", Span, "\"2d\"", "event time that the store keeps"),
    key(
        "http.store_bytes_max",
        Whole(1_000_000, i64::MAX),
        "1000000000",
        "bytes that its file may have, more or less; what is oldest goes. In memory: a twentieth of it",
    ),
    key("http.connections_max", Whole(1, 100_000), "1024", "open connections"),
    key("http.streams_max", Whole(1, 100_000), "512", "open event streams"),
    key("http.streams_per_client", Whole(1, 100_000), "64", "of one address"),
    key("collect.url", HttpUrl, "\"https://data.messari.io\"", "where Messari's market-data API is"),
    key("collect.assets", Assets, "[\"bitcoin\"]", "assets to ask for, by the API's names"),
    key("collect.every", Span, "\"10s\"", "how often each asset is asked for, spread evenly; at least 100ms"),
    key("collect.timeout", Span, "\"10s\"", "how long one answer may take, connecting included; at most 5m"),
    optional("collect.key", Secret, "\"your-key\"", "the API's key; better in TICKCAST_COLLECT__KEY or key_file"),
    optional(
        "collect.venues",
        Venues,
        "[{ venue = \"binance\", symbols = [\"BTCUSDT\"] }]",
        "exchanges whose public trades are collected by their streams, instead of url and assets",
    ),
    optional(
        "collect.markets",
        SymbolNames,
        "{ BTC = [\"BTCUSDT\", \"BTC-USD\", \"BTC/USD\"] }",
        "one name for several markets of venues; a market that is in none keeps its own",
    ),
    key("collect.repair_wait", Span, "\"1m\"", "how long trades of venues wait for those before them that are missing"),
    optional("collect.key_file", Path, "\"/run/secrets/messari\"", "file that holds the key instead"),
    optional(
        "collect.ca_file",
        Path,
        "\"/etc/ssl/certs/company.pem\"",
        "PEM file of roots that are trusted besides those that are built in, as of a proxy or a relay of your own",
    ),
    key("history.dir", Path, "\"history\"", "directory for the files, and for the list of them that `backfill` reads"),
    key(
        "history.venue",
        Choice(&["binance", "coinbase", "kraken", "okx", "tardis"]),
        "\"binance\"",
        "whose: the archives of binance, free days of tardis, and of the others what their APIs tell",
    ),
    key(
        "history.market",
        Text,
        "\"spot\"",
        "of binance: spot, futures/um or futures/cm; of tardis its word for the exchange, as in bitmex",
    ),
    key(
        "history.kind",
        Choice(&["klines", "trades", "aggTrades"]),
        "\"klines\"",
        "candles, trades, or (of binance) trades of one order at one price together",
    ),
    key("history.interval", Span, "\"1m\"", "how long candles are"),
    optional(
        "history.symbols",
        Markets,
        "[\"BTCUSDT\"]",
        "markets, as the venue spells them; collect.markets names them",
    ),
    optional("history.from", Time, "\"2024-01-01T00:00:00Z\"", "the first moment"),
    optional("history.to", Time, "\"2024-07-01T00:00:00Z\"", "the moment to end before; without it, now"),
    optional(
        "history.url",
        Template,
        "\"https://data.binance.vision/data\"",
        "where files are instead: what comes before the venue's own paths, or a whole template with {symbol} and {date} in it",
    ),
    optional(
        "history.api_url",
        HttpUrl,
        "\"https://data-api.binance.vision\"",
        "where the venue's HTTP API is instead",
    ),
    key(
        "history.files",
        Choice(&["auto", "both", "daily"]),
        "\"auto\"",
        "auto: of a month that is over its own file, and its days' where that is faulty; both: both, compared row by row; daily: \
         those of days alone",
    ),
    key(
        "history.repair",
        Flag,
        "true",
        "asks the venue's API for what its archives lack, and for what is newer than they are",
    ),
    key("history.parallel", Whole(1, 32), "4", "files that are downloaded at the same time"),
    key(
        "history.timeout",
        Span,
        "\"1m\"",
        "how long one answer may take; what has come by then is not asked for again",
    ),
    optional(
        "history.ca_file",
        Path,
        "\"/etc/ssl/certs/company.pem\"",
        "PEM file of roots that are trusted besides those that are built in, as of a proxy or a mirror of your own",
    ),
];

/// What a dotted name stands for.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// A key.
    Key(&'static Key),
    /// A librdkafka option, below an [`Options`] key.
    Option(&'static Key, &'a str),
    /// A table.
    Table(&'static Table),
}

/// Looks up a dotted name.
#[must_use]
pub fn find(name: &str) -> Option<Found<'_>> {
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return Some(Found::Key(key));
    }
    if let Some(table) = TABLES.iter().find(|table| table.name == name) {
        return Some(Found::Table(table));
    }
    KEYS.iter().filter(|key| key.kind == Options).find_map(|key| {
        let option = name.strip_prefix(key.name)?.strip_prefix('.')?.trim_matches('"');
        (!option.is_empty()).then_some(Found::Option(key, option))
    })
}

/// Says that a name is unknown, and which was perhaps meant: `unknown key time.slid, did you mean time.slide?`.
#[must_use]
pub fn unknown(name: &str) -> String {
    // The first part that is unknown says most: of `tim.slide` it is `tim`.
    let ends = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
    let name = ends.map(|end| &name[..end]).find(|prefix| find(prefix).is_none()).unwrap_or(name);
    let names = || TABLES.iter().map(|table| table.name).chain(KEYS.iter().map(|key| key.name));
    let nearest = names()
        .map(|known| (likeness(name, known), known))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, nearest)) = nearest {
        return format!("unknown key {name}, did you mean {nearest}?");
    }
    let parent = name.rsplit_once('.').map_or("", |(parent, _)| parent);
    let siblings: Vec<&str> = names()
        .filter_map(|known| if parent.is_empty() { Some(known) } else { known.strip_prefix(parent)?.strip_prefix('.') })
        .filter(|rest| !rest.contains('.'))
        .collect();
    let place = if parent.is_empty() { "there are" } else { "allowed there:" };
    format!("unknown key {name}; {place} {}", siblings.join(", "))
}

/// 1 for the same name, towards 0 for others. A name in another table counts a little less than one in the same.
fn likeness(name: &str, known: &str) -> f64 {
    let last = |name: &str| name.rsplit_once('.').map_or_else(|| name.to_owned(), |(_, last)| last.to_owned());
    let parent = |name: &str| name.rsplit_once('.').map(|(parent, _)| parent.to_owned());
    let lasts = strsim::normalized_damerau_levenshtein(&last(name), &last(known));
    let same_table = parent(name) == parent(known);
    if same_table { lasts } else { lasts * 0.8 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, layers::default_of};
    use serde::Deserialize;
    use std::collections::BTreeSet;

    /// The fields that serde knows in a table, from what it says about an unknown one.
    fn fields(table: &str) -> BTreeSet<String> {
        let probe = "no_such_field = 1";
        let text = if table.is_empty() { probe.to_owned() } else { format!("[{table}]\n{probe}") };
        let error = Config::deserialize(text.parse::<toml::Table>().unwrap()).unwrap_err();
        let (_, expected) = error.message().split_once("expected").expect("a list of fields");
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_table_of_keys_and_the_structs_have_the_same_fields() {
        for table in std::iter::once("").chain(TABLES.iter().map(|table| table.name)) {
            let inside = |name: &str| {
                name.rsplit_once('.').map_or((String::new(), name.to_owned()), |(a, b)| (a.to_owned(), b.to_owned()))
            };
            let names = TABLES.iter().map(|table| table.name).chain(KEYS.iter().map(|key| key.name));
            let listed: BTreeSet<String> =
                names.map(inside).filter(|(parent, _)| parent == table).map(|(_, name)| name).collect();
            assert_eq!(listed, fields(table), "[{table}]");
        }
        let names: BTreeSet<&str> = TABLES.iter().map(|t| t.name).chain(KEYS.iter().map(|k| k.name)).collect();
        assert_eq!(names.len(), TABLES.len() + KEYS.len(), "a name is there twice");
    }

    #[test]
    fn the_table_of_keys_has_the_structs_defaults() {
        // Every table on, once with the structs' defaults and once with the table's.
        let mut root = toml::Table::new();
        let mut bare = toml::Table::new();
        for table in TABLES {
            let mut full = toml::Table::new();
            for key in KEYS.iter().filter(|key| key.split().0 == table.name) {
                full.extend(default_of(key).map(|value| (key.split().1.to_owned(), value)));
            }
            let place = |root: &mut toml::Table, value: toml::Table| match table.name.split_once('.') {
                Some((outer, inner)) => {
                    root.get_mut(outer).unwrap().as_table_mut().unwrap().insert(inner.to_owned(), value.into());
                }
                None => {
                    root.insert(table.name.to_owned(), value.into());
                }
            };
            place(&mut root, full);
            place(&mut bare, toml::Table::new());
        }
        let (listed, structs) = (Config::deserialize(root).unwrap(), Config::deserialize(bare).unwrap());
        assert_eq!(format!("{listed:?}"), format!("{structs:?}"));
        let (listed, structs) = (listed.sink.mongodb.unwrap(), structs.sink.mongodb.unwrap());
        assert_eq!((listed.uri, listed.forecasts, listed.scores), (structs.uri, structs.forecasts, structs.scores));
    }

    #[test]
    fn defaults_and_examples_are_allowed() {
        for key in KEYS {
            let (Unset::Default(text) | Unset::Nothing(text)) = key.unset;
            let value = toml::from_str::<toml::Table>(&format!("value = {text}")).unwrap().remove("value").unwrap();
            if key.kind != Options {
                key.kind.read(&value).unwrap_or_else(|error| panic!("{}: {error}", key.name));
            }
        }
    }

    #[test]
    fn the_nearest_name_is_offered() {
        for (name, nearest) in [
            ("time.slid", "time.slide"),
            ("time.window", "time.windows"),
            ("sink.kafak", "sink.kafka"),
            ("sink.kafak.topic", "sink.kafka"),
            ("deadletter.topic", "dead_letter"),
            ("model.horizon", "model.horizons"),
            ("job.name.x", "job.id"),
        ] {
            let said = unknown(name);
            if nearest == "job.id" {
                assert_eq!(said, "unknown key job.name; allowed there: id");
            } else {
                assert!(said.ends_with(&format!("did you mean {nearest}?")), "{said}");
            }
        }
    }
}
