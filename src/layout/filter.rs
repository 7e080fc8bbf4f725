//! Which records are wanted, decided on some of their words.

/// Which records are wanted.
///
/// A filter is asked about words that another process may be changing. So it must have an answer for any words, and must
/// not remember what it has seen: it may be asked again about the same record, and the first answer is then not used.
pub trait Filter {
    /// Whether it accepts every record, and need not be asked.
    const ACCEPTS_ALL: bool = false;

    /// Whether a record is wanted, by what is in its words.
    fn accepts<W: RecordWords>(&mut self, record: W) -> bool;
}

/// The words of a record, padded with zeros to whole words, wherever they are.
pub trait RecordWords: Copy {
    /// The word with this index, which must be inside the record.
    fn word(self, index: usize) -> u64;

    /// Copies words from an index on; all of them must be inside the record.
    fn copy_words(self, first: usize, target: &mut [u64]);
}

/// Accepts every record.
pub struct Everything;

impl Filter for Everything {
    const ACCEPTS_ALL: bool = true;

    #[inline(always)]
    fn accepts<W: RecordWords>(&mut self, _: W) -> bool {
        true
    }
}
