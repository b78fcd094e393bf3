//! Weights to the bytes of a safetensors file: the length of the header (8 bytes), the header (JSON), the numbers.
//!
//! Written by hand, since the crate that reads it puts metadata in an order that changes from run to run: here the same
//! weights give the same bytes.

use super::{Example, Weights};
use serde_json::{Map, Value, json};

/// The header is filled up with spaces to a multiple of this, so that numbers are aligned.
const ALIGNMENT: usize = 8;

/// Tensors one after the other, and what the header says of them.
#[derive(Default)]
struct File {
    header: Map<String, Value>,
    data: Vec<u8>,
}

impl File {
    fn add(&mut self, name: &str, kind: &str, dims: &[usize], bytes: impl Iterator<Item = u8>) {
        let from = self.data.len();
        self.data.extend(bytes);
        let entry = json!({"dtype": kind, "shape": dims, "data_offsets": [from, self.data.len()]});
        self.header.insert(name.to_owned(), entry);
    }

    fn add_f64(&mut self, name: &str, values: &[f64]) {
        self.add(name, "F64", &[values.len()], values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn add_f32(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        self.add(name, "F32", dims, values.iter().flat_map(|value| value.to_le_bytes()));
    }
}

impl Weights {
    /// The bytes of a file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { about, lstm, example } = self;
        let shape = lstm.shape();
        let mut texts = about.texts(shape);
        let mut file = File::default();
        if let Some(example) = example {
            let Example { symbol, issued_at, last_price, scales, inputs, bases, quantiles } = example;
            texts.insert("example.symbol", symbol.to_string());
            texts.insert("example.issued_at", issued_at.to_string());
            // The wider numbers first: all are aligned then.
            file.add_f64("example.last_price", &[*last_price]);
            file.add_f64("example.scales", scales);
            file.add_f32("example.inputs", &[shape.steps, shape.inputs], inputs);
            file.add_f32("example.bases", &[bases.len(), 5], bases.as_flattened());
            file.add_f32("example.quantiles", &[quantiles.len(), 5], quantiles.as_flattened());
        }
        for (tensor, values) in lstm.tensors() {
            file.add_f32(&tensor.name, &tensor.dims, values);
        }
        file.header.insert("__metadata__".to_owned(), json!(texts));
        let mut header = Value::Object(file.header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
        let mut bytes = Vec::with_capacity(ALIGNMENT + header.len() + file.data.len());
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.append(&mut header);
        bytes.append(&mut file.data);
        bytes
    }
}
