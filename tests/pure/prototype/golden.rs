//! What the prototype said at sampled steps, from `tests/data/prototype`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use tickcast::model::random_features::{RANDOM_FEATURES, RandomFeatures};

/// A step since the first bar, a horizon in steps, what it is of.
type Key = (usize, usize, String);

/// Numbers by step, horizon and item.
pub struct Golden {
    rows: BTreeMap<Key, Vec<f64>>,
    /// The minutes, since 1970, in which the sampled steps end.
    pub minutes: BTreeMap<usize, i64>,
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/prototype").join(file);
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

fn numbers<'a>(fields: impl Iterator<Item = &'a str>) -> Vec<f64> {
    fields.filter(|field| !field.is_empty()).map(|field| field.parse().unwrap()).collect()
}

impl Golden {
    /// Of one file: `step,minute,horizon,item,values...`
    pub fn load(file: &str) -> Self {
        let (mut rows, mut minutes) = (BTreeMap::new(), BTreeMap::new());
        for line in read(file).lines().skip(1) {
            let mut fields = line.split(',');
            let mut integer = || fields.next().unwrap().parse::<i64>().unwrap();
            let (step, minute, horizon) = (integer() as usize, integer(), integer() as usize);
            let item = fields.next().unwrap().to_owned();
            minutes.insert(step, minute);
            rows.insert((step, horizon, item), numbers(fields));
        }
        Self { rows, minutes }
    }

    /// An item at all sampled steps.
    pub fn item<'a>(&'a self, horizon: usize, item: &'a str) -> impl Iterator<Item = (usize, &'a [f64])> {
        let of = move |step: &usize| {
            let values = self.rows.get(&(*step, horizon, item.to_owned()));
            (*step, &values.unwrap_or_else(|| panic!("no {item} at step {step}"))[..])
        };
        self.minutes.keys().map(of)
    }

    /// An item's five quantiles at all sampled steps.
    pub fn quantiles<'a>(&'a self, horizon: usize, item: &'a str) -> impl Iterator<Item = (usize, [f64; 5])> {
        self.item(horizon, item).map(|(step, values)| (step, values.try_into().unwrap()))
    }

    /// The prototype's scale at a sampled step.
    pub fn scale(&self, step: usize, horizon: usize) -> f64 {
        self.rows[&(step, horizon, "scale".to_owned())][0]
    }
}

/// The prototype's random projections.
pub fn random_features() -> RandomFeatures {
    let text = read("random_features.csv.gz");
    let rows: Vec<Vec<f64>> = text.lines().skip(1).map(|line| numbers(line.split(',').skip(1))).collect();
    let (bias, matrix) = rows.split_last().unwrap();
    assert!(matrix.len() == 30 && rows.iter().all(|row| row.len() == RANDOM_FEATURES));
    RandomFeatures::given(&matrix.concat(), bias)
}
