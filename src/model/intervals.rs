use serde::{Deserialize, Serialize};
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntervalControl { h: f64, miss: f64, a: [f64; 2], b: [[f64; 3]; 2] }
impl IntervalControl {
    pub fn new(h: usize, miss: f64) -> Self { Self { h: (h as f64).sqrt(), miss, a: [0.0; 2], b: [[0.0; 3]; 2] } }
    pub fn learn(&mut self, y: f64, o: [f64; 2], t: usize) { for (s, m) in [y < o[0], y > o[1]].into_iter().enumerate() { let e = f64::from(u8::from(m)) - self.miss; self.a[s] += 0.003 / self.h * e; self.b[s][t] += 0.008 / self.h * e; } }
    pub fn offset(&self, q: [f64; 2], s: f64, t: usize) -> [f64; 2] { let w = |i: usize| (self.a[i] + self.b[i][t]).clamp(-1.0, 3.0) * s; [q[0] - w(0), q[1] + w(1)] }
    pub fn apply(&self, mut q: [f64; 5], s: f64, t: usize) -> [f64; 5] { let o = self.offset([q[0], q[4]], s, t); q[0] = o[0].min(q[1]); q[4] = o[1].max(q[3]); q }
}
