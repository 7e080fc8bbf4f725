//! Records and keys as the words that the engine knows.

use super::record::{Keyed, Record};
use super::row::Row;
use crate::engine::read::Meta;
use crate::error::Result;
use crate::value::field::Key;

/// A record in words, padded with zeros.
#[inline(always)]
pub fn words_of<T: Record>(record: &T) -> T::Words {
    let mut words = T::ZEROED;
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(words.as_mut());
    if let Some(bytes) = bytes.get_mut(..T::RECORD_BYTES) {
        record.encode(bytes);
    }
    words
}

/// A record of which only the key is filled in; `None` if no record can have this key.
pub fn key_words<T: Keyed, Q: Key<T::Key> + ?Sized>(key: &Q) -> Option<T::Words> {
    let mut words = T::ZEROED;
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(words.as_mut());
    let bytes = bytes.get_mut(T::KEY_OFFSET_BYTES..T::KEY_OFFSET_BYTES + T::KEY_BYTES)?;
    key.encode_key(bytes).then_some(words)
}

/// The row that these words encode.
#[inline(always)]
pub fn row_of<T: Record>(meta: Option<Meta>, words: &T::Words) -> Result<Option<Row<T>>> {
    let Some(meta) = meta else { return Ok(None) };
    Ok(Some(Row::new(meta, record_of(words)?)))
}

/// The record that these words encode.
#[inline(always)]
pub fn record_of<T: Record>(words: &T::Words) -> Result<T> {
    let bytes: &[u8] = bytemuck::cast_slice(words.as_ref());
    T::decode(bytes.get(..T::RECORD_BYTES).unwrap_or_default())
}
