use serde::{Deserialize, Serialize};
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terciles { all: Vec<f64>, a: f64, c: f64 }
impl Terciles {
    pub fn new() -> Self { Self { all: vec![], a: 0.0, c: 0.0 } }
    pub fn add(&mut self, x: f64) { self.all.push(x); let t = self.all.len() - 1; if t >= 240 && t % 60 == 0 { let mut m = self.all.clone(); m.sort_unstable_by(f64::total_cmp); self.a = m[m.len() / 3]; self.c = m[2 * m.len() / 3]; } }
    pub fn tercile(&self) -> usize { if self.all.len() <= 240 { return 1; } let x = self.all[self.all.len() - 1]; if x < self.a { 0 } else if x < self.c { 1 } else { 2 } }
}
