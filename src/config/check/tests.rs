use super::*;
use crate::config::{
    DeadLetterConfig, FilesSourceConfig, KafkaSinkConfig, KafkaSourceConfig, MongoSinkConfig, MongoSourceConfig,
};
use crate::market::Timestamp;

fn span(text: &str) -> Span {
    text.parse().unwrap()
}

fn files(interval: Option<&str>) -> FilesSourceConfig {
    FilesSourceConfig { paths: vec!["a.csv".into()], interval: interval.map(span), ..FilesSourceConfig::default() }
}

/// What is changed, and what the problem must say.
type Case = (fn(&mut Config), &'static str);

const WRONG: &[Case] = &[
    (|c| c.time.slide = span("7s"), "time.slide = 7s does not divide time.windows: 1m: make 1m a multiple of 7s"),
    (|c| c.time.slide = Span::from_millis(0), "time.slide = 0s does not divide"),
    (|c| c.time.windows = vec![span("0s")], "time.slide = 5s does not divide time.windows: 0s"),
    (|c| c.model.step = span("61s"), "time.slide = 5s does not divide model.step: 61s"),
    (|c| c.model.step = span("2m"), "model.step = 2m does not divide time.epoch: 5m"),
    (
        |c| {
            c.source.forget_after = span("125m");
        },
        "source.forget_after = 125m is too short: a symbol is in use until its longest window, its longest horizon and 6 steps are over; make it at least 126m",
    ),
    (|c| c.time.windows = vec![span("10s")], "is shorter than model.step = 1m"),
    (|c| c.model.step = span("5m"), "model.step = 5m does not divide model.horizons: 1m"),
    (|c| c.model.preset = Preset::Seed, "model.horizons does not fit model.preset = seed"),
    (
        |c| {
            c.model.preset = Preset::Seed;
            c.model.horizons = vec![c.model.step];
            c.model.hidden = 64;
        },
        "model.hidden has no part in model.preset = seed",
    ),
    (|c| c.model.horizons = vec![span("90s")], "model.step = 1m does not divide model.horizons: 90s"),
    (
        |c| c.model.horizons = vec![span("3000d")],
        "model.horizons: 3000d is 4320000 times model.step = 1m: at most 20160",
    ),
    (
        |c| c.time.windows = vec![span("3000d")],
        "time.windows: 3000d is 51840000 times time.slide = 5s: at most 10000000",
    ),
    (
        |c| c.source.files = Some(files(Some("1m"))),
        "time.slide = 5s is below the candles' interval, source.files.interval = 1m",
    ),
    (|c| c.dead_letter = Some(DeadLetterConfig::default()), "dead_letter has neither topic nor file"),
    (
        |c| c.dead_letter = Some(DeadLetterConfig { topic: Some("x".into()), file: Some("y".into()) }),
        "dead_letter.topic and dead_letter.file are both given",
    ),
    (
        |c| c.dead_letter = Some(DeadLetterConfig { topic: Some("x".into()), file: None }),
        "dead_letter.topic needs a broker",
    ),
    (
        |c| {
            c.source.kafka = Some(KafkaSourceConfig::default());
            c.sink.kafka = Some(KafkaSinkConfig { topic: "btc.ticks".into(), ..KafkaSinkConfig::default() });
        },
        "source.kafka.topic and sink.kafka.topic both use the topic btc.ticks",
    ),
    (
        |c| {
            c.sink.kafka = Some(KafkaSinkConfig::default());
            c.dead_letter = Some(DeadLetterConfig { topic: Some("btc.forecasts.scores".into()), file: None });
        },
        "sink.kafka.topic and dead_letter.topic both use the topic btc.forecasts.scores",
    ),
    (
        |c| {
            let uri = "mongodb://other".to_owned();
            c.sink.mongodb = Some(MongoSinkConfig { uri, uri_file: Some("x".into()), ..MongoSinkConfig::default() });
        },
        "sink.mongodb.uri and sink.mongodb.uri_file are both given",
    ),
    (
        |c| {
            let uri = "mongodb://other".to_owned();
            let source = MongoSourceConfig { uri, uri_file: Some("x".into()), ..MongoSourceConfig::default() };
            c.source.mongodb = Some(source);
        },
        "source.mongodb.uri and source.mongodb.uri_file are both given",
    ),
    (
        |c| {
            let at = Some(Timestamp::from_millis(0));
            c.source.mongodb = Some(MongoSourceConfig { from: at, to: at, ..MongoSourceConfig::default() });
        },
        "source.mongodb.from = 1970-01-01T00:00:00.000Z is not before source.mongodb.to",
    ),
    (
        |c| {
            c.source.mongodb = Some(MongoSourceConfig::default());
            c.sink.mongodb = Some(MongoSinkConfig { ticks: Some("data".into()), ..MongoSinkConfig::default() });
        },
        "sink.mongodb.ticks and source.mongodb.collection are both bitcoin.data",
    ),
];

#[test]
fn every_contradiction_is_named() {
    assert_eq!(check(&Config::default()), []);
    for (change, expected) in WRONG {
        let mut config = Config::default();
        change(&mut config);
        let problems = check(&config);
        assert!(problems.iter().any(|problem| problem.message.contains(expected)), "{expected}: {problems:?}");
    }
}

#[test]
fn what_fits_passes() {
    let fits: [fn(&mut Config); 4] = [
        |c| c.source.files = Some(files(Some("5s"))),
        |c| {
            c.source.files = Some(files(Some("1m")));
            c.source.format = Format::Tick;
        },
        |c| c.sink.mongodb = Some(MongoSinkConfig { uri_file: Some("x".into()), ..MongoSinkConfig::default() }),
        |c| {
            c.source.kafka = Some(KafkaSourceConfig::default());
            c.sink.kafka = Some(KafkaSinkConfig::default());
            c.dead_letter = Some(DeadLetterConfig { topic: Some("dead".into()), file: None });
        },
    ];
    for change in fits {
        let mut config = Config::default();
        change(&mut config);
        assert_eq!(check(&config), []);
    }
}

#[test]
fn each_command_asks_for_its_source() {
    let config = |kafka: bool, with_files: Option<FilesSourceConfig>| {
        let mut config = Config::default();
        config.source.kafka = kafka.then(KafkaSourceConfig::default);
        config.source.files = with_files;
        config
    };
    let given = || Some(files(None));
    let history = |mut config: Config| {
        config.source.mongodb = Some(MongoSourceConfig::default());
        config
    };
    for (purpose, config, expected) in [
        (Purpose::Run, config(true, None), ""),
        (Purpose::Run, config(false, given()), "source.files is bounded, and run never ends: use backfill"),
        (Purpose::Run, config(false, None), "no source: give source.kafka"),
        // A history before the topic.
        (Purpose::Run, config(true, given()), ""),
        (Purpose::Run, history(config(true, None)), ""),
        (Purpose::Run, history(config(true, given())), "leave one of the last two out"),
        (Purpose::Run, config(true, Some(FilesSourceConfig::default())), "names no file"),
        (Purpose::ThenLive, config(true, given()), ""),
        (Purpose::ThenLive, config(true, None), ""),
        (Purpose::ThenLive, config(false, given()), "no topic to go on with: give source.kafka"),
        (Purpose::ThenLive, history(config(true, given())), "leave one of the last two out"),
        (Purpose::Backfill, config(true, None), ""),
        (Purpose::Backfill, config(false, given()), ""),
        (Purpose::Backfill, config(false, Some(FilesSourceConfig::default())), "names no file"),
        (Purpose::Backfill, config(false, None), "no source: give source.kafka, source.files or source.mongodb"),
        (Purpose::Backfill, config(true, given()), "let the topic go on from the history with --then-live"),
        (Purpose::Run, history(config(false, None)), "source.mongodb is history, and run never ends: use backfill"),
        (Purpose::Backfill, history(config(false, None)), ""),
        (Purpose::Backfill, history(config(false, given())), "source.files and source.mongodb are both given"),
        (Purpose::Backfill, history(config(true, given())), "source.kafka, source.files, source.mongodb are all given"),
        (Purpose::Replay, config(true, given()), ""),
        (Purpose::Replay, config(false, given()), "no topic to publish to"),
        (Purpose::Replay, history(config(false, None)), "no topic to publish to"),
        (Purpose::Collect, config(true, None), ""),
        (Purpose::Collect, config(false, None), "no topic to publish to"),
    ] {
        let said: Vec<String> = check_for(&config, purpose).into_iter().map(|problem| problem.message).collect();
        assert_eq!(said.is_empty(), expected.is_empty(), "{purpose:?}: {said:?}");
        assert!(said.join("\n").contains(expected), "{purpose:?}: {said:?}");
    }
}
