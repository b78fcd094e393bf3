//! One forecast and its score, as the sinks of a configuration have them.

use super::Output;
use crate::config::Config;
use crate::connectors::input::InputError;
use crate::connectors::{files, kafka, mongodb};
use crate::delivery::Stop;
use crate::market::{Span, Timestamp};
use crate::recovery::compare::{Content, Kind, Scalar};

/// What one sink has of an id.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The sink, for people.
    pub place: String,
    /// Its forecasts of this id, the last one last: more than one where it was published again.
    pub forecasts: Vec<Content>,
    /// Its scores.
    pub scores: Vec<Content>,
}

/// Clocks of machines are not further apart.
const CLOCKS_APART: Span = Span::from_millis(3_600_000);

/// Looks for a forecast in every sink that the configuration names; changes nothing. A topic is read from where it was when the
/// forecast was `issued_at`: it cannot have been written before. Where it is not there, the market may be ahead of the clock, and all of
/// the topic is read.
///
/// # Errors
/// When one of them cannot be read, or it was stopped.
pub fn find(config: &Config, id: &str, issued_at: Timestamp, stop: &Stop) -> Result<Vec<Published>, InputError> {
    let mut places = Vec::new();
    if let Some(sink) = &config.sink.kafka {
        let topics = kafka::outputs::find(&sink.brokers, &sink.options, &sink.topic)?;
        let output = Output::Topics { brokers: sink.brokers.clone(), topics };
        let since = Some(issued_at.minus(CLOCKS_APART));
        let place = || format!("topic {}", sink.topic);
        let mut published = look(place(), &output, config, id, since, stop)?;
        if published.forecasts.is_empty() {
            published = look(place(), &output, config, id, None, stop)?;
        }
        places.push(published);
    }
    if let Some(sink) = &config.sink.files {
        let paths =
            files::sink::paths(sink).into_iter().filter(|path| path.is_file() && !path.ends_with("features.jsonl"));
        let output = Output::Files { paths: paths.collect(), kinds: [].into() };
        places.push(look(sink.dir.display().to_string(), &output, config, id, None, stop)?);
    }
    if let Some(sink) = &config.sink.mongodb {
        let place = format!("database {}: {}", sink.database, sink.forecasts);
        let mut published = Published { place, forecasts: Vec::new(), scores: Vec::new() };
        mongodb::outputs::find(sink, id, &mut |content| published.take(content))?;
        places.push(published);
    }
    Ok(places)
}

fn look(
    place: String,
    output: &Output,
    config: &Config,
    id: &str,
    since: Option<Timestamp>,
    stop: &Stop,
) -> Result<Published, InputError> {
    let mut published = Published { place, forecasts: Vec::new(), scores: Vec::new() };
    // Most records need not be understood.
    let needle = serde_json::Value::from(id).to_string();
    output.visit_since(config, since, stop, &mut |content| {
        let may_be =
            matches!(&content, Content::Json(bytes) if memchr::memmem::find(bytes, needle.as_bytes()).is_some());
        if may_be && content.fields().is_some_and(|fields| fields.get("id") == Some(&Scalar::Text(id.to_owned()))) {
            published.take(content);
        }
    })?;
    Ok(published)
}

impl Published {
    fn take(&mut self, content: Content) {
        match content.place().0 {
            Kind::Forecasts => self.forecasts.push(content),
            Kind::Scores => self.scores.push(content),
            // The last line of a file that is being written to.
            Kind::Features | Kind::DeadLetters | Kind::Other => {}
        }
    }
}
