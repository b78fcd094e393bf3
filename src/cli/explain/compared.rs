//! Whether what was computed again is what was published.

use crate::cli::job::again::Replayed;
use crate::connectors::outputs::sinks::Published;
use crate::market::json::{write_forecast, write_score};
use crate::market::{Forecast, Score};
use crate::recovery::compare::{Content, first_field};
use serde::Serialize;

/// What came of the comparison.
pub struct Compared {
    /// The forecast as it was computed again.
    pub forecast: Vec<u8>,
    /// Its score, where the source reaches so far.
    pub score: Option<Vec<u8>>,
    /// What is not the same; none where all is.
    pub difference: Option<Difference>,
}

/// The first thing that is not as it was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The sink.
    pub place: String,
    /// `forecast` or `score`.
    pub record: &'static str,
    /// Its first field that differs; none where the values are the same and the bytes are not.
    pub field: Option<String>,
    /// As it was published.
    pub published: Option<String>,
    /// As it was computed again.
    pub computed: Option<String>,
}

impl Difference {
    /// In words.
    pub fn said(&self, id: &str, replayed: &Replayed) -> String {
        let Self { place, record, field, published, computed } = self;
        let found = match (field, published, computed) {
            (Some(field), Some(published), Some(computed)) => {
                format!("{field} is {published} as published, and {computed} as computed again")
            }
            _ => "the values are the same, the bytes are not".to_owned(),
        };
        let doubt = if replayed.is_beginning_uncertain {
            ". The topic has lost its first records, and nothing says whether the job had read them"
        } else if replayed.is_on_record {
            ""
        } else {
            ". Nothing is on record of the configuration, the range (--from, --to), the initial weights and the kind of \
             processor that it was made with: are they the same?"
        };
        format!("{id}: the {record} in {place} differs: {found}{doubt}")
    }
}

/// Compares with what each sink holds: bytes, or values where it keeps no bytes.
pub fn compare(published: &[Published], forecast: &Forecast, score: Option<&Score>) -> Compared {
    let mut again = Vec::new();
    write_forecast(forecast, &mut again);
    let score = score.map(|score| {
        let mut bytes = Vec::new();
        write_score(score, &mut bytes);
        bytes
    });
    let differs = |place: &str, record, found: Option<&Content>, again: Option<&Vec<u8>>| {
        let (found, again) = (found?, Content::Json(again?.clone()));
        difference(place, record, found, &again)
    };
    let forecasts = published.iter().find_map(|of| differs(&of.place, "forecast", of.forecasts.last(), Some(&again)));
    let scores = || published.iter().find_map(|of| differs(&of.place, "score", of.scores.last(), score.as_ref()));
    let difference = forecasts.or_else(scores);
    Compared { forecast: again, score, difference }
}

fn difference(place: &str, record: &'static str, found: &Content, again: &Content) -> Option<Difference> {
    let of = |field, published, computed| Difference { place: place.to_owned(), record, field, published, computed };
    match first_field(found, again) {
        Some((field, published, computed)) => Some(of(Some(field), Some(published), Some(computed))),
        None if matches!(found, Content::Json(_)) && found != again => Some(of(None, None, None)),
        None => None,
    }
}
