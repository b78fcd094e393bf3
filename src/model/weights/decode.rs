//! The bytes of a safetensors file to weights. They come from outside: nothing is taken on trust, and no more memory is used
//! than some times the bytes.

use super::{About, Example, FILE_BYTES_MAX, HEADER_BYTES_MAX, Weights, WeightsError};
use crate::market::{Symbol, Timestamp};
use crate::model::lstm::Lstm;
use crate::model::shape::LstmShape;
use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensors};

const LENGTH_BYTES: usize = 8;

impl Weights {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// When they are something else, are damaged, or hold a number that is not finite.
    pub fn read(bytes: &[u8]) -> Result<Self, WeightsError> {
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(WeightsError::Foreign(format!("larger than {} MiB", FILE_BYTES_MAX >> 20)));
        }
        // Looked at before the header is parsed, which takes several times its length.
        let told = bytes.first_chunk::<LENGTH_BYTES>().map(|length| u64::from_le_bytes(*length));
        if let Some(length) = told.filter(|length| *length > HEADER_BYTES_MAX) {
            return Err(WeightsError::Foreign(format!("its header claims {length} bytes: at most {HEADER_BYTES_MAX}")));
        }
        let (length, header) =
            SafeTensors::read_metadata(bytes).map_err(|error| WeightsError::Foreign(error.to_string()))?;
        let no_texts = std::collections::HashMap::new();
        let texts = header.metadata().as_ref().unwrap_or(&no_texts);
        let (about, shape) = About::read(texts)?;
        let file = File { header: &header, data: bytes.get(LENGTH_BYTES + length..).unwrap_or_default() };
        let lstm = file.lstm(shape)?;
        let tensors = 4 * shape.layers + 2;
        let example = match header.tensors().len().checked_sub(tensors) {
            Some(0) => None,
            Some(EXAMPLE_TENSORS) => {
                let text = |name: &'static str| {
                    let what = || WeightsError::About { name, what: "is missing".to_owned() };
                    texts.get(name).ok_or_else(what)
                };
                let symbol = Symbol::new(text("example.symbol")?)
                    .map_err(|error| WeightsError::About { name: "example.symbol", what: error.to_string() })?;
                let issued_at = Timestamp::parse(text("example.issued_at")?.as_bytes()).map_err(|error| {
                    WeightsError::About { name: "example.issued_at", what: format!("is no time: {error}") }
                })?;
                Some(file.example(symbol, issued_at, shape, about.horizons.len())?)
            }
            _ => {
                let what =
                    format!("holds {} tensors, not {tensors} or {}", header.tensors().len(), tensors + EXAMPLE_TENSORS);
                return Err(WeightsError::Foreign(what));
            }
        };
        Ok(Self { about, lstm, example })
    }
}

/// Tensors of an [`Example`].
const EXAMPLE_TENSORS: usize = 5;

struct File<'a> {
    header: &'a Metadata,
    data: &'a [u8],
}

impl File<'_> {
    /// The bytes of a tensor, which has to be of this type and these dimensions.
    fn tensor(&self, name: &str, kind: Dtype, dims: &[usize]) -> Result<&[u8], WeightsError> {
        let wrong = |what: String| WeightsError::Tensor { name: name.to_owned(), what };
        let info = self.header.info(name).ok_or_else(|| wrong("is missing".to_owned()))?;
        if info.dtype != kind || info.shape != dims {
            return Err(wrong(format!("is {:?} {:?} where {kind:?} {dims:?} is expected", info.dtype, info.shape)));
        }
        // The crate has compared them with type, shape and the length of the data.
        let (from, to) = info.data_offsets;
        self.data.get(from..to).ok_or_else(|| wrong("lies outside of the file".to_owned()))
    }

    fn f32s(&self, name: &str, dims: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let (chunks, _) = self.tensor(name, Dtype::F32, dims)?.as_chunks();
        let values: Vec<f32> = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        finite(name, values.iter().all(|value| value.is_finite()))?;
        Ok(values)
    }

    fn f64s(&self, name: &str, count: usize) -> Result<Vec<f64>, WeightsError> {
        let (chunks, _) = self.tensor(name, Dtype::F64, &[count])?.as_chunks();
        let values: Vec<f64> = chunks.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        finite(name, values.iter().all(|value| value.is_finite()))?;
        Ok(values)
    }

    fn lstm(&self, shape: LstmShape) -> Result<Lstm, WeightsError> {
        // In the order of the flat weights; grows with the tensors that are there, not with what the metadata claims.
        let mut weights = Vec::new();
        for tensor in shape.tensors() {
            weights.extend(self.f32s(&tensor.name, &tensor.dims)?);
        }
        Lstm::of_weights(shape, weights)
            .map_err(|error| WeightsError::Tensor { name: "head.weight".to_owned(), what: error.to_string() })
    }

    fn example(
        &self,
        symbol: Symbol,
        issued_at: Timestamp,
        shape: LstmShape,
        horizons: usize,
    ) -> Result<Example, WeightsError> {
        let fives = |values: Vec<f32>| values.as_chunks::<5>().0.to_vec();
        Ok(Example {
            symbol,
            issued_at,
            last_price: self.f64s("example.last_price", 1)?.first().copied().unwrap_or_default(),
            scales: self.f64s("example.scales", horizons)?,
            inputs: self.f32s("example.inputs", &[shape.steps, shape.inputs])?,
            bases: fives(self.f32s("example.bases", &[horizons, 5])?),
            quantiles: fives(self.f32s("example.quantiles", &[horizons, 5])?),
        })
    }
}

fn finite(name: &str, all: bool) -> Result<(), WeightsError> {
    if all {
        return Ok(());
    }
    Err(WeightsError::Tensor { name: name.to_owned(), what: "holds a number that is not finite".to_owned() })
}
