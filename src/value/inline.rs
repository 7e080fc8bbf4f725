//! Text and bytes of bounded length that live inside the record.
//!
//! Encoding: the length as a u16, the content, zeros up to the capacity.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;

use super::bytes::{exactly, is_zero, wrong_length};
use super::padding::padded;
use crate::error::broken_invariant;
use crate::{Error, Result};

/// Up to `N` bytes. Whatever is behind the first `length` of them is zero, so equal contents are equal arrays.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Inline<const N: usize> {
    length: u16,
    bytes: [u8; N],
}

impl<const N: usize> Inline<N> {
    /// `N`, once it is known to be one that a length of 16 bits can reach. All code that makes or reads a value uses
    /// this constant, so another `N` does not compile.
    const CAPACITY_BYTES: u16 = {
        assert!(N >= 1, "Text<0> and Bytes<0> hold nothing: the capacity is 1 to 65,535 bytes");
        assert!(N <= 65_535, "the capacity of Text and Bytes is 1 to 65,535 bytes");
        N as u16
    };

    const EMPTY: Self = {
        let _ = Self::CAPACITY_BYTES;
        Inline { length: 0, bytes: [0; N] }
    };

    fn new(content: &[u8]) -> Result<Self> {
        let too_long =
            || Error::TooLong { capacity_bytes: usize::from(Self::CAPACITY_BYTES), found_bytes: content.len() };
        let mut inline = Self::EMPTY;
        inline.length = u16::try_from(content.len()).map_err(|_| too_long())?;
        let (used, _) = inline.bytes.split_at_mut_checked(content.len()).ok_or_else(too_long)?;
        used.copy_from_slice(content);
        Ok(inline)
    }

    /// `new` for constants. It panics, which stops the compiler, and copies byte by byte, since `copy_from_slice`
    /// cannot be called in a constant before Rust 1.87.
    const fn literal(content: &[u8]) -> Self {
        assert!(content.len() <= Self::CAPACITY_BYTES as usize, "the literal is longer than the field");
        let mut inline = Self::EMPTY;
        inline.length = content.len() as u16;
        let mut source = content;
        let mut target: &mut [u8] = &mut inline.bytes;
        while let ([from, source_rest @ ..], [to, target_rest @ ..]) = (source, target) {
            *to = *from;
            source = source_rest;
            target = target_rest;
        }
        inline
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        // The length never exceeds the capacity.
        self.bytes.get(..usize::from(self.length)).unwrap_or(&self.bytes)
    }

    #[inline]
    fn encode(&self, bytes: &mut [u8]) {
        let (length, content) = bytes.split_at_mut(2);
        length.copy_from_slice(&self.length.to_ne_bytes());
        content.copy_from_slice(&self.bytes);
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Self> {
        match bytes.split_at_checked(2) {
            Some((length, content)) if content.len() == N => {
                let inline = Inline { length: u16::from_ne_bytes(exactly(length)?), bytes: exactly(content)? };
                content_of(bytes)?;
                Ok(inline)
            }
            _ => Err(wrong_length(2 + N, bytes.len())),
        }
    }
}

/// The content of an encoded text or byte string whose capacity is what `bytes` has room for.
///
/// # Errors
///
/// [`Error::Damaged`] if the length exceeds the capacity or the padding is not zero.
#[inline]
pub(super) fn content_of(bytes: &[u8]) -> Result<&[u8]> {
    let (length, content) = bytes.split_at_checked(2).ok_or_else(|| wrong_length(2, bytes.len()))?;
    let length = usize::from(u16::from_ne_bytes(exactly(length)?));
    match content.split_at_checked(length) {
        Some((content, padding)) if is_zero(padding) => Ok(content),
        Some(_) => Err(Error::damaged("expected zeros behind the end of a text or byte string")),
        None => Err(Error::damaged(format!("expected a length of at most {} bytes, found {length}", content.len()))),
    }
}

/// Checks that the content of an encoded text is UTF-8.
///
/// # Errors
///
/// [`Error::Damaged`] if it is not.
#[inline]
pub(super) fn utf8(content: &[u8]) -> Result<&str> {
    std::str::from_utf8(content).map_err(|error| Error::damaged(format!("expected UTF-8 text: {error}")))
}

/// A string of at most `N` bytes of UTF-8 that lives inside the record, `N` from 1 to 65,535. It can be used as a
/// [`str`] everywhere, and is compared, ordered and hashed like one.
///
/// Nothing is ever cut: what does not fit is [`Error::TooLong`]. Zero bytes inside are content like any other.
///
/// The type is `Copy` and as large as its capacity, so a large one is better passed by reference.
///
/// ```
/// use locule::Text;
///
/// let name: Text<8> = "Łukasz".parse()?;
/// assert_eq!(name, "Łukasz");
/// assert_eq!((name.len(), name.chars().count()), (7, 6));
/// assert!(Text::<8>::new("Władysław").is_err());
///
/// const UNKNOWN: Text<8> = Text::literal("unknown");
/// assert!(UNKNOWN.starts_with("un"));
/// # Ok::<(), locule::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<const N: usize>(Inline<N>);

impl<const N: usize> Text<N> {
    pub(super) const CAPACITY_BYTES: u16 = Inline::<N>::CAPACITY_BYTES;

    /// The text as a field value.
    ///
    /// ```
    /// use locule::{Error, Text};
    /// assert!(matches!(Text::<4>::new("Łódź"), Err(Error::TooLong { capacity_bytes: 4, found_bytes: 7 })));
    /// assert_eq!(Text::<7>::new("Łódź")?, "Łódź");
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if it has more than `N` bytes.
    #[inline]
    pub fn new(text: &str) -> Result<Self> {
        Inline::new(text.as_bytes()).map(Text)
    }

    /// The text as a field value, in a constant: a text that is too long does not compile there.
    ///
    /// ```
    /// const GREETING: locule::Text<8> = locule::Text::literal("hello");
    /// assert_eq!(GREETING, "hello");
    /// ```
    ///
    /// ```compile_fail
    /// const GREETING: locule::Text<4> = locule::Text::literal("hello");
    /// ```
    ///
    /// # Panics
    ///
    /// If the text has more than `N` bytes and this is not in a constant. Use [`new`](Self::new) there.
    #[must_use]
    pub const fn literal(text: &str) -> Self {
        Text(Inline::literal(text.as_bytes()))
    }

    /// The text.
    ///
    /// ```
    /// assert_eq!(locule::Text::<8>::new("ada")?.as_str(), "ada");
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Every constructor takes UTF-8. To check it again costs a few nanoseconds and keeps this file free of unsafe.
        match std::str::from_utf8(self.0.as_bytes()) {
            Ok(text) => text,
            Err(_) => broken_invariant("a text is UTF-8"),
        }
    }

    #[inline]
    pub(super) fn encode_inline(&self, bytes: &mut [u8]) {
        self.0.encode(bytes);
    }

    #[inline]
    pub(super) fn decode_inline(bytes: &[u8]) -> Result<Self> {
        let inline = Inline::decode(bytes)?;
        utf8(inline.as_bytes())?;
        Ok(Text(inline))
    }
}

/// A byte string of at most `N` bytes that lives inside the record, `N` from 1 to 65,535. It can be used as a `[u8]`
/// everywhere, and is compared, ordered and hashed like one.
///
/// Nothing is ever cut: what does not fit is [`Error::TooLong`]. Trailing zero bytes are kept.
///
/// The type is `Copy` and as large as its capacity, so a large one is better passed by reference.
///
/// ```
/// use locule::Bytes;
///
/// let token = Bytes::<4>::new(&[0xca, 0xfe, 0])?;
/// assert_eq!(token, [0xca, 0xfe, 0]);
/// assert_eq!(token.to_string(), "cafe00");
/// assert!(Bytes::<4>::new(b"12345").is_err());
/// # Ok::<(), locule::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bytes<const N: usize>(Inline<N>);

impl<const N: usize> Bytes<N> {
    pub(super) const CAPACITY_BYTES: u16 = Inline::<N>::CAPACITY_BYTES;

    /// The bytes as a field value.
    ///
    /// ```
    /// use locule::{Bytes, Error};
    /// assert_eq!(Bytes::<4>::new(b"abc")?, b"abc");
    /// assert!(matches!(Bytes::<4>::new(b"abcde"), Err(Error::TooLong { capacity_bytes: 4, found_bytes: 5 })));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if there are more than `N` of them.
    #[inline]
    pub fn new(bytes: &[u8]) -> Result<Self> {
        Inline::new(bytes).map(Bytes)
    }

    /// The bytes as a field value, in a constant: too many of them do not compile there.
    ///
    /// ```
    /// const MAGIC: locule::Bytes<4> = locule::Bytes::literal(b"\x7fELF");
    /// assert_eq!(MAGIC.len(), 4);
    /// ```
    ///
    /// # Panics
    ///
    /// If there are more than `N` bytes and this is not in a constant. Use [`new`](Self::new) there.
    #[must_use]
    pub const fn literal(bytes: &[u8]) -> Self {
        Bytes(Inline::literal(bytes))
    }

    /// The bytes.
    ///
    /// ```
    /// assert_eq!(locule::Bytes::<8>::new(&[1, 2])?.as_slice(), [1, 2]);
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_bytes()
    }

    #[inline]
    pub(super) fn encode_inline(&self, bytes: &mut [u8]) {
        self.0.encode(bytes);
    }

    #[inline]
    pub(super) fn decode_inline(bytes: &[u8]) -> Result<Self> {
        Inline::decode(bytes).map(Bytes)
    }
}

/// What [`Text`] and [`Bytes`] share: each behaves like the slice that it holds.
macro_rules! like_its_slice {
    ($inline:ident, $slice:ty, $owned:ty, $get:ident) => {
        impl<const N: usize> Default for $inline<N> {
            #[inline]
            fn default() -> Self {
                $inline(Inline::EMPTY)
            }
        }

        impl<const N: usize> Deref for $inline<N> {
            type Target = $slice;

            #[inline]
            fn deref(&self) -> &$slice {
                self.$get()
            }
        }

        impl<const N: usize> AsRef<$slice> for $inline<N> {
            fn as_ref(&self) -> &$slice {
                self
            }
        }

        impl<const N: usize> Borrow<$slice> for $inline<N> {
            fn borrow(&self) -> &$slice {
                self
            }
        }

        impl<const N: usize> TryFrom<&$slice> for $inline<N> {
            type Error = Error;

            /// # Errors
            ///
            /// [`Error::TooLong`] if it is longer than `N` bytes.
            fn try_from(value: &$slice) -> Result<Self> {
                Self::new(value)
            }
        }

        impl<const N: usize> TryFrom<$owned> for $inline<N> {
            type Error = Error;

            /// # Errors
            ///
            /// [`Error::TooLong`] if it is longer than `N` bytes.
            fn try_from(value: $owned) -> Result<Self> {
                Self::new(&value)
            }
        }

        impl<const N: usize> TryFrom<&$owned> for $inline<N> {
            type Error = Error;

            /// # Errors
            ///
            /// [`Error::TooLong`] if it is longer than `N` bytes.
            fn try_from(value: &$owned) -> Result<Self> {
                Self::new(value)
            }
        }

        impl<const N: usize> From<$inline<N>> for $owned {
            fn from(value: $inline<N>) -> $owned {
                (*value).to_owned()
            }
        }

        impl<const N: usize> From<&$inline<N>> for $owned {
            fn from(value: &$inline<N>) -> $owned {
                (**value).to_owned()
            }
        }

        impl<const N: usize> fmt::Debug for $inline<N> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&**self, f)
            }
        }

        // UTF-8 is ordered like its bytes, so both types can compare these.
        impl<const N: usize> Ord for $inline<N> {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.as_bytes().cmp(other.0.as_bytes())
            }
        }

        impl<const N: usize> PartialOrd for $inline<N> {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl<const N: usize> Hash for $inline<N> {
            fn hash<H: Hasher>(&self, state: &mut H) {
                (**self).hash(state);
            }
        }
    };
}

like_its_slice!(Text, str, String, as_str);
like_its_slice!(Bytes, [u8], Vec<u8>, as_slice);

impl<const N: usize> FromStr for Text<N> {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::TooLong`] if it is longer than `N` bytes.
    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

/// As many bytes as the field holds, which cannot be too many.
impl<const N: usize> From<[u8; N]> for Bytes<N> {
    fn from(bytes: [u8; N]) -> Self {
        Bytes(Inline { length: Self::CAPACITY_BYTES, bytes })
    }
}

impl<const N: usize, const M: usize> TryFrom<&[u8; M]> for Bytes<N> {
    type Error = Error;

    /// # Errors
    ///
    /// [`Error::TooLong`] if there are more than `N` of them.
    fn try_from(value: &[u8; M]) -> Result<Self> {
        Self::new(value)
    }
}

/// The bytes of the UTF-8.
impl<const N: usize> AsRef<[u8]> for Text<N> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<'a, const N: usize> IntoIterator for &'a Bytes<N> {
    type Item = &'a u8;
    type IntoIter = std::slice::Iter<'a, u8>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Reads what `Display` writes: two hexadecimal digits per byte, lower or upper case.
///
/// ```
/// let token: locule::Bytes<4> = "cafe00".parse()?;
/// assert_eq!(token, [0xca, 0xfe, 0]);
/// assert!("coffee".parse::<locule::Bytes<4>>().is_err());
/// # Ok::<(), locule::Error>(())
/// ```
impl<const N: usize> FromStr for Bytes<N> {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::InvalidValue`] if these are not hexadecimal digits, or not two per byte; [`Error::TooLong`].
    fn from_str(text: &str) -> Result<Self> {
        Self::new(&read_hexadecimal(text)?)
    }
}

/// Two hexadecimal digits per byte.
impl<const N: usize> fmt::Display for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hexadecimal(self, f)
    }
}

/// Two lower-case hexadecimal digits per byte, and `0x` before them if the format has a `#`.
///
/// ```
/// let token = locule::Bytes::<4>::new(&[0xca, 0xfe])?;
/// assert_eq!(format!("{token:x} {token:#x}"), "cafe 0xcafe");
/// # Ok::<(), locule::Error>(())
/// ```
impl<const N: usize> fmt::LowerHex for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        padded(f, format_args!("{}{}", prefix(f), Hexadecimal(self)))
    }
}

/// Two upper-case hexadecimal digits per byte, and `0x` before them if the format has a `#`.
///
/// ```
/// let token = locule::Bytes::<4>::new(&[0xca, 0xfe])?;
/// assert_eq!(format!("{token:X} {token:#X}"), "CAFE 0xCAFE");
/// # Ok::<(), locule::Error>(())
/// ```
impl<const N: usize> fmt::UpperHex for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        padded(f, format_args!("{}{}", prefix(f), Hexadecimal(self).to_string().to_uppercase()))
    }
}

/// What is before the digits: with a `#`, the same as before those of an integer.
fn prefix(f: &fmt::Formatter<'_>) -> &'static str {
    if f.alternate() { "0x" } else { "" }
}

pub(super) fn write_hexadecimal(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    padded(f, format_args!("{}", Hexadecimal(bytes)))
}

struct Hexadecimal<'a>(&'a [u8]);

impl fmt::Display for Hexadecimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

pub(super) fn read_hexadecimal(text: &str) -> Result<Vec<u8>> {
    let byte = |digits: &[u8]| match digits {
        [high, low] => Some(hexadecimal_digit(*high)? << 4 | hexadecimal_digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect::<Option<_>>().ok_or_else(|| Error::InvalidValue {
        reason: format!("expected hexadecimal digits, two for each byte, found {text:?}"),
    })
}

fn hexadecimal_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use super::*;

    #[test]
    fn nothing_is_ever_cut() {
        assert_eq!(Text::<4>::new("abcd").unwrap(), "abcd");
        let error = Text::<4>::new("abcdé").unwrap_err();
        assert!(matches!(error, Error::TooLong { capacity_bytes: 4, found_bytes: 6 }), "{error:?}");
        assert!(matches!("abcde".parse::<Text<4>>(), Err(Error::TooLong { .. })));
        assert!(matches!(Text::<4>::try_from("abcde".to_owned()), Err(Error::TooLong { .. })));
        assert!(matches!(Bytes::<4>::try_from(&b"abcde"[..]), Err(Error::TooLong { .. })));
        let long = "x".repeat(65_536 + 1);
        assert!(matches!(Text::<65_535>::new(&long), Err(Error::TooLong { found_bytes: 65_537, .. })));
        assert!(matches!(Text::<1>::new(&long), Err(Error::TooLong { found_bytes: 65_537, .. })));
    }

    #[test]
    fn text_behaves_like_the_str_that_it_holds() {
        let texts = ["", "\0", "a", "a\0", "ab", "b", "zebra", "Łódź", "ł"];
        for left in texts {
            let text = Text::<8>::new(left).unwrap();
            assert_eq!((&*text, text.as_ref(), text.as_str()), (left, left, left));
            assert_eq!((text.to_string(), format!("{text:?}")), (left.to_owned(), format!("{left:?}")));
            assert_eq!(format!("{text:>9}|"), format!("{left:>9}|"));
            for right in texts {
                let other = Text::<8>::new(right).unwrap();
                assert_eq!(text.cmp(&other), left.cmp(right));
                assert_eq!(text == other, left == right);
                assert_eq!(text == right, left == right);
            }
        }
        let by_name = HashMap::from([(Text::<8>::new("ab").unwrap(), 1)]);
        assert_eq!(by_name.get("ab"), Some(&1));
        let ordered: BTreeSet<_> = texts.iter().map(|text| Text::<8>::new(text).unwrap()).collect();
        assert!(ordered.contains("zebra"));
        assert_eq!(Text::<8>::default(), "");
    }

    #[test]
    fn bytes_behave_like_the_slice_that_they_hold() {
        let bytes = Bytes::<4>::new(&[0, 255, 0]).unwrap();
        assert_eq!((&*bytes, bytes.len()), (&[0, 255, 0][..], 3));
        assert_ne!(bytes, Bytes::new(&[0, 255]).unwrap());
        assert!(bytes > Bytes::new(&[0, 255]).unwrap());
        assert_eq!(format!("{bytes} {bytes:?}"), "00ff00 [0, 255, 0]");
        assert_eq!(Bytes::<4>::try_from(&[0, 255, 0]).unwrap(), bytes);
        let (same, other) = (&[0, 255, 0], &[0, 255, 1]);
        assert!(bytes == same && bytes == *same && bytes != other && bytes != *other && bytes != [0, 255]);
        assert_eq!(HashMap::from([(bytes, 1)]).get(&[0, 255, 0][..]), Some(&1));
    }

    #[test]
    fn hexadecimal_digits_are_bytes_and_come_back() {
        for bytes in [&[][..], &[0], &[0xab, 0x0c, 0xff]] {
            let value = Bytes::<3>::new(bytes).unwrap();
            assert_eq!(value.to_string().parse::<Bytes<3>>().unwrap(), value);
            assert_eq!(format!("{value:x} {value:X}"), format!("{value} {}", value.to_string().to_uppercase()));
            assert_eq!(format!("{value:X}").parse::<Bytes<3>>().unwrap(), value);
        }
        let value = Bytes::<3>::literal(&[0xab, 0xc]);
        assert_eq!(format!("{value:#x} {value:#X} {value:#}"), "0xab0c 0xAB0C ab0c");
        assert_eq!(format!("{value:#x}, {:#x}", 0xab0c), "0xab0c, 0xab0c");
        assert_eq!(format!("{value:>8x}{value:>8X}{value:>8}"), "    ab0c    AB0C    ab0c");
        assert_eq!(format!("{value:>#8x}{value:<#8X}|{:#x}", Bytes::<3>::default()), "  0xab0c0xAB0C  |0x");
        for text in ["a", "abc", "0g", "0x", " 00", "+1", "é"] {
            assert!(matches!(text.parse::<Bytes<3>>(), Err(Error::InvalidValue { .. })), "{text:?}");
        }
        assert!(matches!("00000000".parse::<Bytes<3>>(), Err(Error::TooLong { capacity_bytes: 3, found_bytes: 4 })));
    }

    #[test]
    fn what_they_hold_can_be_taken_out_and_put_in() {
        let text = Text::<4>::try_from(&"abc".to_owned()).unwrap();
        assert_eq!((String::from(text), String::from(&text)), ("abc".to_owned(), "abc".to_owned()));
        assert_eq!(AsRef::<[u8]>::as_ref(&text), b"abc");
        let bytes = Bytes::<3>::from([1, 0, 0]);
        assert_eq!((Vec::from(bytes), Vec::from(&bytes), bytes.len()), (vec![1, 0, 0], vec![1, 0, 0], 3));
        assert_eq!(bytes, Bytes::try_from(&vec![1, 0, 0]).unwrap());
        assert_eq!((&bytes).into_iter().map(|byte| u32::from(*byte)).sum::<u32>(), 1);
    }

    #[test]
    fn literals_are_what_new_gives() {
        const TEXT: Text<7> = Text::literal("Łódź");
        const BYTES: Bytes<300> = Bytes::literal(&[7; 300]);
        assert_eq!(TEXT, Text::new("Łódź").unwrap());
        assert_eq!(BYTES, Bytes::new(&[7; 300]).unwrap());
        assert!(std::panic::catch_unwind(|| Text::<2>::literal("abc")).is_err());
    }
}
