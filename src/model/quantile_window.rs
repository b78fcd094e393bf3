use crate::evaluation::pinball::NORMAL_QUANTILES;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileWindow { n: usize, sym: bool, buf: VecDeque<f64>, cur: [f64; 5] }
impl QuantileWindow {
    pub fn symmetric(n: usize) -> Self { Self { n, sym: true, buf: VecDeque::new(), cur: NORMAL_QUANTILES } }
    pub fn asymmetric(n: usize) -> Self { Self { n, sym: false, buf: VecDeque::new(), cur: NORMAL_QUANTILES } }
    pub fn add(&mut self, z: f64) { if self.buf.len() == self.n { self.buf.pop_front(); } self.buf.push_back(z); }
    pub fn refresh(&mut self) {
        let m = self.buf.len();
        if m <= 50 { return; }
        let mut a: Vec<f64> = self.buf.iter().map(|z| if self.sym { z.abs() } else { *z }).collect();
        a.sort_unstable_by(f64::total_cmp);
        for (j, t) in crate::market::forecast::LEVELS.iter().enumerate() {
            if self.sym {
                let q = (2.0 * t - 1.0f64).abs();
                self.cur[j] = if j == 2 { 0.0 } else { let v = a[((q * m as f64) as usize).min(m - 1)]; if *t > 0.5 { v } else { -v } };
            } else { self.cur[j] = a[((t * m as f64) as usize).min(m - 1)]; }
        }
    }
    pub fn quantiles(&self) -> [f64; 5] { self.cur }
}
