//! Hybrid time: the stamp that every write carries.
//!
//! A stamp orders writes; it never says what time it is. Reading a clock is the
//! caller's business.

/// 48 bits of unix milliseconds above a 16-bit counter.
///
/// Stamp zero is that of INITIAL writes, which every other write beats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(u64);

impl Stamp {
    /// The stamp of INITIAL writes.
    pub const ZERO: Self = Self(0);
    /// The greatest stamp there is.
    pub const MAX: Self = Self(u64::MAX);
    /// The latest millisecond that fits: the year 10889.
    pub const MAX_MILLIS: u64 = (1 << 48) - 1;

    /// The stamp at `millis` since the unix epoch (later than
    /// [`Stamp::MAX_MILLIS`] counts as that) with `counter`.
    #[must_use]
    pub const fn new(millis: u64, counter: u16) -> Self {
        let millis = if millis > Self::MAX_MILLIS {
            Self::MAX_MILLIS
        } else {
            millis
        };
        Self((millis << 16) | counter as u64)
    }

    /// The stamp with these 64 bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits: milliseconds above, counter below.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Milliseconds since the unix epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0 >> 16
    }

    /// The counter within the millisecond.
    #[must_use]
    pub const fn counter(self) -> u16 {
        (self.0 & 0xFFFF) as u16
    }

    /// The next greater stamp, or `None` at the end of time.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }
}
