//! When an exchange's trades are made.

/// When trades are made: one after the other, so many milliseconds apart.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub begin_ms: u64,
    pub every_ms: u64,
}

impl Pace {
    /// When this one is made.
    pub const fn at_ms(self, id: u64) -> u64 {
        self.begin_ms + id * self.every_ms
    }

    /// The first one that is made then or later.
    pub const fn id_at(self, ms: u64) -> u64 {
        ms.saturating_sub(self.begin_ms).div_ceil(self.every_ms)
    }
}
