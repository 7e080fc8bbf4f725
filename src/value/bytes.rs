//! The bytes of one field: how many there must be, and whether an optional one holds anything.

use crate::{Error, Result};

/// Takes `bytes` for an array, whose length the compiler knows.
///
/// # Errors
///
/// [`Error::Damaged`] if the length is another.
#[inline]
pub fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    <[u8; N]>::try_from(bytes).map_err(|_| wrong_length(N, bytes.len()))
}

#[cold]
pub fn wrong_length(expected_bytes: usize, found_bytes: usize) -> Error {
    Error::damaged(format!("expected a value of {expected_bytes} bytes, found {found_bytes}"))
}

#[inline]
pub fn is_zero(bytes: &[u8]) -> bool {
    // Not `all`: without the early return the compiler compares many bytes at a time.
    bytes.iter().fold(0, |seen, byte| seen | byte) == 0
}

/// The value of a nullable field without its presence byte, or none.
///
/// # Errors
///
/// [`Error::Damaged`] if the presence byte is neither 0 nor 1, or bytes follow a 0 that are not zero.
#[inline]
pub fn split_presence(bytes: &[u8]) -> Result<Option<&[u8]>> {
    match bytes {
        [1, value @ ..] => Ok(Some(value)),
        [0, value @ ..] if is_zero(value) => Ok(None),
        [0, ..] => Err(Error::damaged("expected zeros after the presence byte of an absent value")),
        [other, ..] => Err(Error::damaged(format!("expected a presence byte, 0 or 1, found {other}"))),
        [] => Err(Error::damaged("expected a presence byte, found nothing")),
    }
}
