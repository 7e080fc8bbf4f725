//! Where the decisions of a story come from: a seed, or the bytes of a fuzzer.

/// A source of decisions.
pub struct Choices<'b> {
    bytes: Option<&'b [u8]>,
    state: u64,
}

impl<'b> Choices<'b> {
    pub fn of_seed(seed: u64) -> Self {
        Choices { bytes: None, state: seed }
    }

    /// What the bytes say; behind their end, each decision is the first of the possible ones.
    #[allow(dead_code, reason = "only the fuzz target has bytes")]
    pub fn of_bytes(bytes: &'b [u8]) -> Self {
        Choices { bytes: Some(bytes), state: 0 }
    }

    /// Whether nothing more is decided. A seed decides for ever.
    pub fn is_over(&self) -> bool {
        self.bytes.is_some_and(<[u8]>::is_empty)
    }

    pub fn number(&mut self) -> u64 {
        let Some(bytes) = self.bytes else {
            self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            return mixed ^ mixed >> 31;
        };
        let (taken, rest) = bytes.split_at(bytes.len().min(8));
        self.bytes = Some(rest);
        taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A number below this one, which is small.
    pub fn below(&mut self, count: usize) -> usize {
        let Some(bytes) = self.bytes else { return self.number() as usize % count };
        let Some((first, rest)) = bytes.split_first() else { return 0 };
        self.bytes = Some(rest);
        usize::from(*first) % count
    }

    /// Yes, one time in so many.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    pub fn one_of<T: Clone>(&mut self, possible: &[T]) -> T {
        possible[self.below(possible.len())].clone()
    }
}
