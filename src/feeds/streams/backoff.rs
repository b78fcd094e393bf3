//! How long to wait before a connection is opened again: pure.

use std::time::Duration;

/// The first wait is of this order.
const BASE: Duration = Duration::from_millis(500);
/// Waits grow no further.
const MOST: Duration = Duration::from_secs(60);
/// So long a connection has to be healthy until what was before is forgotten.
pub const HEALTHY_FOR: Duration = Duration::from_secs(60);

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff(u32);

impl Backoff {
    /// After another failure: a random part of what doubles each time, and never less than `least`. `chance` is even in [0, 1).
    pub fn wait(&mut self, least: Duration, chance: f64) -> Duration {
        let most = BASE.saturating_mul(1 << self.0.min(16)).min(MOST);
        self.0 = self.0.saturating_add(1);
        // Half of it in any case: a server that refuses at once is not asked at once again.
        least + most / 2 + (most / 2).mul_f64(chance.clamp(0.0, 1.0))
    }

    /// It was healthy for so long.
    pub fn was_healthy(&mut self, time: Duration) {
        if time >= HEALTHY_FOR {
            self.0 = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_again_after_a_minute_of_health() {
        let mut backoff = Backoff::default();
        let most = |backoff: &mut Backoff| backoff.wait(Duration::ZERO, 1.0).as_millis();
        let waits: Vec<_> = (0..9).map(|_| most(&mut backoff)).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(backoff.wait(Duration::from_secs(120), 0.0), Duration::from_secs(150));
        backoff.was_healthy(Duration::from_secs(59));
        assert_eq!(most(&mut backoff), 60_000);
        backoff.was_healthy(HEALTHY_FOR);
        assert_eq!(backoff.wait(Duration::ZERO, 0.0).as_millis(), 250);
    }
}
