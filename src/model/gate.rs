use serde::{Deserialize, Serialize};
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MedianGate { g: f64, v: f64, c: f64, lam: f64 }
impl MedianGate {
    pub fn new(h: usize) -> Self { Self { g: 0.0, v: 0.0, c: (if h <= 5 { 1.0 } else { 2.0 }) * (h as f64).sqrt(), lam: libm::exp2(-1.0 / 20160.0) } }
    pub fn learn(&mut self, y: f64, m: f64, s: f64) { let d = (y.abs() - (y - m).abs()) / s; self.g = self.lam * self.g + d; self.v = self.lam * self.v + d * d; }
    pub fn is_open(&self) -> bool { self.g > self.c * self.v.sqrt() }
}
pub fn closed(mut o: [f64; 5]) -> [f64; 5] { o[2] = 0.0; o[1] = o[1].min(0.0); o[0] = o[0].min(o[1]); o[3] = o[3].max(0.0); o[4] = o[4].max(o[3]); o }
