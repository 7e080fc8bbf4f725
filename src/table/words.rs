//! Keys and rows as the words that the engine knows.

use super::content::Content;
use super::record::Keyed;
use super::row::Row;
use crate::engine::Store;
use crate::engine::read::Meta;
use crate::error::Result;
use crate::value::field::Key;

/// A record of which only the key is filled in; `None` if no record can have this key.
pub fn key_words<T: Keyed, Q: Key<T::Key> + ?Sized>(key: &Q) -> Option<<T as Content>::Words> {
    let mut words = T::ZEROED;
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(words.as_mut());
    let bytes = bytes.get_mut(T::KEY_OFFSET_BYTES..T::KEY_OFFSET_BYTES + T::KEY_BYTES)?;
    key.encode_key(bytes).then_some(words)
}

/// The row that these words encode.
#[inline(always)]
pub fn row_of<T: Content>(store: &Store, meta: Option<Meta>, words: &T::Words) -> Result<Option<Row<T>>> {
    let Some(meta) = meta else { return Ok(None) };
    Ok(Some(Row::new(meta, T::from_words(words, store.schema())?)))
}
