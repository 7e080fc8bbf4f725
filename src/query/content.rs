//! Tests of text and bytes.

use crate::layout::filter::RecordWords;
use crate::query::condition::{Comparison, Fragment};
#[cfg(feature = "filter")]
use crate::query::pattern::Pattern;
use crate::query::place::Place;

/// A test of a field that holds text or bytes: its length in two bytes, and then as many bytes as fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentTest {
    length: Place,
    offset_bytes: usize,
    capacity_bytes: usize,
    question: ContentQuestion,
    is_opposite: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentQuestion {
    Is(Comparison, Box<[u8]>),
    /// In order.
    IsIn(Box<[Box<[u8]>]>),
    Has(Fragment, Box<[u8]>),
    /// As `Has(Anywhere)`, where both are text.
    HasText(Box<str>),
    #[cfg(feature = "filter")]
    Matches(Pattern),
}

impl ContentTest {
    /// A test of the field that begins, with its length, at this offset.
    pub fn new(offset_bytes: usize, capacity_bytes: u16, question: ContentQuestion, is_opposite: bool) -> Self {
        ContentTest {
            length: Place::new(offset_bytes, 2),
            offset_bytes: offset_bytes + 2,
            capacity_bytes: capacity_bytes.into(),
            question,
            is_opposite,
        }
    }

    /// `words` is room for what has to be copied.
    pub fn accepts(&self, record: impl RecordWords, words: &mut Vec<u64>) -> bool {
        let length = usize::try_from(self.length.load(record) >> 48).unwrap_or(usize::MAX);
        // No record is longer than its field; what is read while it is written may be.
        length <= self.capacity_bytes && self.answer(record, length, words) != self.is_opposite
    }

    fn answer(&self, record: impl RecordWords, length: usize, words: &mut Vec<u64>) -> bool {
        let whole = |words| self.part(record, 0, length, words);
        match &self.question {
            ContentQuestion::Is(Comparison::Equal, value) => length == value.len() && *whole(words) == **value,
            ContentQuestion::Is(Comparison::NotEqual, value) => length != value.len() || *whole(words) != **value,
            ContentQuestion::Is(comparison, value) => comparison.holds(whole(words).cmp(value)),
            ContentQuestion::IsIn(values) => {
                let content = whole(words);
                values.binary_search_by(|value| (**value).cmp(content)).is_ok()
            }
            ContentQuestion::Has(fragment, value) => {
                let Some(before) = length.checked_sub(value.len()) else { return false };
                match fragment {
                    Fragment::Start => *self.part(record, 0, value.len(), words) == **value,
                    Fragment::End => *self.part(record, before, value.len(), words) == **value,
                    Fragment::Anywhere => {
                        value.is_empty() || whole(words).windows(value.len()).any(|window| window == &**value)
                    }
                }
            }
            // Looks for it in time that is linear. What is no text now is none of a record.
            ContentQuestion::HasText(value) => {
                value.len() <= length && std::str::from_utf8(whole(words)).is_ok_and(|text| text.contains(&**value))
            }
            #[cfg(feature = "filter")]
            ContentQuestion::Matches(pattern) => {
                std::str::from_utf8(whole(words)).is_ok_and(|text| pattern.is_found_in(text))
            }
        }
    }

    /// Some of the bytes, copied into `words`.
    fn part<'w>(&self, record: impl RecordWords, start: usize, part_bytes: usize, words: &'w mut Vec<u64>) -> &'w [u8] {
        let offset_bytes = self.offset_bytes + start;
        let first_word = offset_bytes / 8;
        words.clear();
        words.resize((offset_bytes + part_bytes).div_ceil(8) - first_word, 0);
        record.copy_words(first_word, words);
        let bytes: &[u8] = bytemuck::cast_slice(words);
        bytes.get(offset_bytes % 8..).and_then(|bytes| bytes.get(..part_bytes)).unwrap_or_default()
    }
}
