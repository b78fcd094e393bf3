//! Random variates that come out the same on every machine: `ChaCha8` for the bits, and only IEEE arithmetic, square
//! roots and [`libm`] behind them (the standard library's transcendental functions differ between platforms).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of variates; streams of one seed with different numbers are independent.
pub struct Variates(ChaCha8Rng);

impl Variates {
    /// Stream `stream` of `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        // Spelled out, since what `seed_from_u64` does may change between versions.
        let mut bytes = [0_u8; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut bits = ChaCha8Rng::from_seed(bytes);
        bits.set_stream(stream);
        Self(bits)
    }

    /// Uniform in (0, 1): never 0, so that its logarithm is finite.
    pub fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    /// A point in the unit disc but for its centre: one coordinate, and the squared distance from the centre.
    fn disc(&mut self) -> (f64, f64) {
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let squared = x * x + y * y;
            if squared > 0.0 && squared < 1.0 {
                return (x, squared);
            }
        }
    }

    /// Standard normal, by Marsaglia's polar method.
    pub fn normal(&mut self) -> f64 {
        let (x, squared) = self.disc();
        x * (-2.0 * libm::log(squared) / squared).sqrt()
    }

    /// Student's t with 4 degrees of freedom, scaled to variance 1, by Bailey's polar method: with 4 degrees its power
    /// is a square root.
    pub fn student_t4(&mut self) -> f64 {
        let (x, squared) = self.disc();
        let t = x * (4.0 * (1.0 / squared.sqrt() - 1.0) / squared).sqrt();
        t * std::f64::consts::FRAC_1_SQRT_2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean, variance, and share of |x| > 3.
    fn moments(mut draw: impl FnMut(&mut Variates) -> f64) -> (f64, f64, f64) {
        let mut variates = Variates::new(7, 1);
        let values: Vec<f64> = (0..200_000).map(|_| draw(&mut variates)).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        (mean, variance, values.iter().filter(|v| v.abs() > 3.0).count() as f64 / n)
    }

    #[test]
    fn variates_have_their_moments() {
        let (mean, variance, tail) = moments(Variates::normal);
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "normal: {mean} {variance}");
        assert!((0.002..0.0035).contains(&tail), "normal beyond 3: {tail}, should be 0.0027");
        let (mean, variance, tail) = moments(Variates::student_t4);
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.15, "t4: {mean} {variance}");
        assert!((0.011..0.015).contains(&tail), "t4 beyond 3: {tail}, should be 0.0132");
        let (mean, variance, _) = moments(Variates::exponential);
        assert!((mean - 1.0).abs() < 0.01 && (variance - 1.0).abs() < 0.03, "exponential: {mean} {variance}");
        let (mean, variance, _) = moments(Variates::uniform);
        assert!((mean - 0.5).abs() < 0.005 && (variance - 1.0 / 12.0).abs() < 0.001, "uniform: {mean} {variance}");
    }

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |seed, stream| Variates::new(seed, stream).uniform();
        assert_eq!(draw(1, 1).to_bits(), draw(1, 1).to_bits());
        assert_ne!(draw(1, 1).to_bits(), draw(1, 2).to_bits());
        assert_ne!(draw(1, 1).to_bits(), draw(2, 1).to_bits());
    }
}
