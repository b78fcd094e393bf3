//! What is said of weights: texts by name, as the format's metadata has them.

use super::{FORMAT_VERSION, WeightsError};
use crate::features::INPUT_NAMES;
use crate::market::{ModelInfo, Span, Symbol, Timestamp};
use crate::model::head::OUTPUTS;
use crate::model::shape::LstmShape;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::str::FromStr;

/// Sizes beyond these are none of a network that the settings allow.
const HIDDEN_MAX: usize = 1024;
const LAYERS_MAX: usize = 4;
const STEPS_MAX: usize = 1024;
const HORIZONS_MAX: usize = 32;
/// Trainings of a file: far more than there can be, and counting on overflows nothing.
const VERSION_MAX: u64 = 1 << 53;
/// The most characters of a wrong value that an error shows.
const SHOWN_CHARS_MAX: usize = 60;

/// Where weights come from, and what else a reader has to know.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// Of which symbol; none where all symbols share the network.
    pub symbol: Option<Symbol>,
    /// The id of the job that learnt them.
    pub job: String,
    /// Distance between steps.
    pub step: Span,
    /// In the order of the outputs.
    pub horizons: Vec<Span>,
    /// What multiplies the outputs of each horizon.
    pub head_gains: Vec<f32>,
    /// Number of trainings, the last one's time and loss. No label later than `trained_through` was learnt from.
    pub model: ModelInfo,
    /// No record earlier than the step that ends here was learnt from; none before the first training.
    pub trained_from: Option<Timestamp>,
    /// Of the job that learnt them.
    pub random_seed: u64,
    /// The version of tickcast that wrote them.
    pub tickcast_version: String,
}

impl About {
    /// All of it as texts, the network's sizes among them.
    pub(super) fn texts(&self, shape: &LstmShape) -> BTreeMap<&'static str, String> {
        let Self { symbol, job, step, horizons, head_gains, model, trained_from, random_seed, tickcast_version } = self;
        let ModelInfo { version, trained_through, loss } = model;
        let mut texts = BTreeMap::from([
            ("format_version", FORMAT_VERSION.to_owned()),
            ("scope", if symbol.is_some() { "symbol" } else { "pooled" }.to_owned()),
            ("job", job.clone()),
            ("hidden", shape.hidden.to_string()),
            ("layers", shape.layers.to_string()),
            ("steps", shape.steps.to_string()),
            ("step", step.to_string()),
            ("horizons", join(horizons)),
            ("head_gains", join(head_gains)),
            ("inputs", join(&INPUT_NAMES)),
            ("version", version.to_string()),
            ("random_seed", random_seed.to_string()),
            ("tickcast_version", tickcast_version.clone()),
        ]);
        let mut maybe = |name, text: Option<String>| texts.extend(text.map(|text| (name, text)));
        maybe("symbol", symbol.as_ref().map(Symbol::to_string));
        maybe("trained_from", trained_from.as_ref().map(Timestamp::to_string));
        maybe("trained_through", trained_through.as_ref().map(Timestamp::to_string));
        maybe("loss", loss.as_ref().map(f64::to_string));
        texts
    }

    /// Back from texts, with the network's shape, of which no size is beyond what the settings allow.
    pub(super) fn read(texts: &HashMap<String, String>) -> Result<(Self, LstmShape), WeightsError> {
        let texts = Texts(texts);
        let found = texts.text("format_version")?;
        if found != FORMAT_VERSION {
            return Err(WeightsError::Format { found: found.chars().take(SHOWN_CHARS_MAX).collect() });
        }
        let symbol = match texts.text("scope")? {
            "symbol" => Some(Symbol::new(texts.text("symbol")?).map_err(|error| wrong("symbol", error.to_string()))?),
            "pooled" => None,
            other => return Err(wrong_value("scope", other, "symbol or pooled")),
        };
        let horizons = texts.list::<Span>("horizons")?;
        let head_gains = texts.list::<f32>("head_gains")?;
        if head_gains.len() != horizons.len() || head_gains.iter().any(|gain| !gain.is_finite()) {
            return Err(wrong("head_gains", "must be one finite number per horizon".to_owned()));
        }
        if texts.text("inputs")? != join(&INPUT_NAMES) {
            return Err(wrong("inputs", format!("must be {}: others are not known here", join(&INPUT_NAMES))));
        }
        let shape = LstmShape {
            inputs: INPUT_NAMES.len(),
            hidden: texts.size("hidden", HIDDEN_MAX)?,
            layers: texts.size("layers", LAYERS_MAX)?,
            steps: texts.size("steps", STEPS_MAX)?,
            outputs: OUTPUTS * horizons.len(),
        };
        let model = ModelInfo {
            version: texts.parsed("version").and_then(|version| {
                if version <= VERSION_MAX {
                    Ok(version)
                } else {
                    Err(wrong("version", format!("is above {VERSION_MAX}")))
                }
            })?,
            trained_through: texts.time("trained_through")?,
            loss: texts.0.contains_key("loss").then(|| texts.finite("loss")).transpose()?,
        };
        let about = Self {
            symbol,
            job: texts.text("job")?.to_owned(),
            step: texts.parsed("step")?,
            horizons,
            head_gains,
            model,
            trained_from: texts.time("trained_from")?,
            random_seed: texts.parsed("random_seed")?,
            tickcast_version: texts.text("tickcast_version")?.to_owned(),
        };
        Ok((about, shape))
    }
}

/// Texts by name, each asked for by what it has to be.
struct Texts<'a>(&'a HashMap<String, String>);

impl Texts<'_> {
    fn text(&self, name: &'static str) -> Result<&str, WeightsError> {
        self.0.get(name).map(String::as_str).ok_or_else(|| wrong(name, "is missing".to_owned()))
    }

    fn parsed<T: FromStr>(&self, name: &'static str) -> Result<T, WeightsError> {
        let text = self.text(name)?;
        text.parse().map_err(|_| wrong_value(name, text, "another kind of value"))
    }

    fn finite(&self, name: &'static str) -> Result<f64, WeightsError> {
        let number: f64 = self.parsed(name)?;
        if number.is_finite() { Ok(number) } else { Err(wrong(name, format!("is {number}, no finite number"))) }
    }

    fn size(&self, name: &'static str, max: usize) -> Result<usize, WeightsError> {
        let size = self.parsed(name)?;
        if (1..=max).contains(&size) { Ok(size) } else { Err(wrong(name, format!("is {size}, not 1 to {max}"))) }
    }

    fn list<T: FromStr>(&self, name: &'static str) -> Result<Vec<T>, WeightsError> {
        let text = self.text(name)?;
        let items: Vec<T> = text
            .split(',')
            .take(HORIZONS_MAX + 1)
            .map(|item| item.parse().map_err(|_| wrong_value(name, item, "another kind of value")))
            .collect::<Result<_, _>>()?;
        if items.len() > HORIZONS_MAX {
            return Err(wrong(name, format!("has more than {HORIZONS_MAX} items")));
        }
        Ok(items)
    }

    fn time(&self, name: &'static str) -> Result<Option<Timestamp>, WeightsError> {
        let Some(text) = self.0.get(name) else { return Ok(None) };
        let time = Timestamp::parse(text.as_bytes()).map_err(|error| wrong(name, format!("is no time: {error}")))?;
        Ok(Some(time))
    }
}

fn join<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

fn wrong(name: &'static str, what: String) -> WeightsError {
    WeightsError::About { name, what }
}

fn wrong_value(name: &'static str, value: &str, expected: &str) -> WeightsError {
    let shown: String = value.chars().take(SHOWN_CHARS_MAX).collect();
    wrong(name, format!("is {shown:?} where {expected} is expected"))
}
