//! The one source of chance of a run: xoshiro256** filled by splitmix64, so that
//! a seed means the same run on every machine and with every compiler.

use std::ops::Range;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut filler = seed;
        let mut next = || {
            filler = filler.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = filler;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        Self {
            state: [next(), next(), next(), next()],
        }
    }

    /// Another stream, so that one part of a run may draw more or less without
    /// changing what the others draw.
    pub(crate) fn fork(&mut self) -> Self {
        Self::new(self.next())
    }

    /// 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number of a range that is not empty.
    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// A place in something that holds `length` things.
    pub(crate) fn below(&mut self, length: usize) -> usize {
        (self.next() % length as u64) as usize
    }

    /// Whether something happens that does in so many of a thousand cases.
    pub(crate) fn chance(&mut self, per_thousand: u64) -> bool {
        self.next() % 1_000 < per_thousand
    }

    /// One of some things.
    pub(crate) fn pick<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[self.below(things.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_numbers_for_ever() {
        let mut random = Random::new(1);
        let drawn = [random.next(), random.next(), random.next()];
        assert_eq!(
            drawn,
            [
                12_966_619_160_104_079_557,
                9_600_361_134_598_540_522,
                10_590_380_919_521_690_900
            ]
        );
    }

    #[test]
    fn a_range_is_kept() {
        let mut random = Random::new(7);
        assert!((0..1000).all(|_| (3..9).contains(&random.within(3..9))));
        assert!((0..1000).all(|_| !random.chance(0) && random.chance(1_000)));
    }
}
