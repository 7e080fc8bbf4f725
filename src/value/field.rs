//! What a field of a record can hold, and how each of these is encoded.
//!
//! An encoding has a fixed width, is in native byte order, and is canonical: equal values have equal bytes (floats with
//! equal bits, that is), and `decode` accepts no bytes that `encode` does not write. So keys can be compared and hashed
//! as bytes, and a record that was read and written back is the same bytes.

use std::any::Any;
use std::fmt;
use std::hash::Hash;

use super::bytes::{exactly, split_presence, wrong_length};
use super::field_type::FieldType;
use super::inline::{Bytes, Text};
use super::time::{Date, Timestamp};
use crate::{Error, Result};

pub(crate) mod sealed {
    /// Restricts [`Field`](super::Field) to the types whose encoding the file format describes.
    pub trait Sealed {}

    /// The field types that are not options, so that there is no option of an option: it would have two kinds of none.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is stored as an option already, and an option of that cannot be a field of a record",
        note = "the file has one kind of none"
    )]
    pub trait Present: super::Field {}
}

/// A type that a field of a [`record!`](crate::record) can have. Implement it for a type of your own to say as which
/// field type the file stores it; for an enumeration, [`field_enum!`](crate::field_enum) does that.
///
/// It is implemented for each [`Field`], which is stored as it is; for `[u8; N]`, which is stored as
/// [`Bytes<N>`](Bytes); for [`RecordId`](crate::RecordId); and for an `Option` of each type that has it, unless that is
/// stored as an option already. Other arrays have no implementation: the format has no type that could tell a dump what
/// their bytes mean, so give each number a field, or write a type of your own for the array that says how it becomes
/// [`Bytes`].
///
/// ```
/// use locule::{FieldValue, Text};
///
/// /// An address that was checked when it was made.
/// #[derive(Clone, Debug, PartialEq)]
/// pub struct Email(String);
///
/// impl Email {
///     const BYTES_MAX: usize = 64;
///
///     pub fn new(address: &str) -> Option<Self> {
///         let is_good = address.contains('@') && address.len() <= Self::BYTES_MAX;
///         is_good.then(|| Email(address.to_owned()))
///     }
/// }
///
/// impl FieldValue for Email {
///     type Stored = Text<{ Email::BYTES_MAX }>;
///
///     fn to_stored(&self) -> Self::Stored {
///         Text::new(&self.0).expect("no longer than BYTES_MAX, as `new` saw to")
///     }
///
///     fn from_stored(stored: Self::Stored) -> locule::Result<Self> {
///         // What another program wrote need not be an address.
///         Email::new(&stored).ok_or_else(|| locule::Error::InvalidValue { reason: format!("{stored:?} is no address") })
///     }
/// }
///
/// locule::record! {
///     struct User {
///         key email: Email,
///         invited_by: Option<Email>,
///     }
/// }
///
/// // A user can be looked up by an `Email`; and by a `str`, if that is said.
/// impl locule::Key<Email> for str {
///     fn encode_key(&self, bytes: &mut [u8]) -> bool {
///         locule::Key::<Text<{ Email::BYTES_MAX }>>::encode_key(self, bytes)
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("users.loc");
/// let table = locule::Table::<User>::options().capacity(100).create(&path)?;
/// let ada = Email::new("ada@example.org").ok_or("no address")?;
/// table.insert(&User { email: ada.clone(), invited_by: None })?;
/// assert_eq!(table.find(&ada)?.map(|row| row.email.clone()), Some(ada));
/// assert!(table.find("ada@example.org")?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Changing the stored type makes another record, and a file of the old one is refused. The file knows nothing about
/// this type, so `locule dump` and programs that use the stored type directly can read it too.
///
/// # Rules
///
/// `from_stored` should give back the value from which `to_stored` made what is stored. Values that are equal should be
/// stored as equal values, and if they are keys, values that are not equal should not: the file compares what is
/// stored. If this is broken, records are not found or have other values than were written, and nothing worse.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a record",
    note = "a field is a bool, an integer from i8 to i128 or u8 to u128, f32, f64, Text<N>, Bytes<N>, [u8; N], \
            Timestamp, Date, a type that implements `locule::FieldValue`, or an Option of one of these"
)]
pub trait FieldValue: Clone + PartialEq + fmt::Debug + 'static {
    /// The field type that the file has.
    type Stored: Field;

    /// What is stored for this value.
    ///
    /// ```
    /// use locule::{Bytes, FieldValue};
    /// assert_eq!([7, 8].to_stored(), Bytes::<2>::literal(&[7, 8]));
    /// ```
    fn to_stored(&self) -> Self::Stored;

    /// The value for which this is stored.
    ///
    /// ```
    /// use locule::{Bytes, FieldValue};
    /// assert_eq!(<[u8; 2]>::from_stored(Bytes::literal(&[7, 8]))?, [7, 8]);
    /// assert!(<[u8; 2]>::from_stored(Bytes::literal(&[7])).is_err());
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Any error if no value is stored like this, such as [`Error::InvalidValue`]; the name of the field is put in
    /// front of its reason. The read that met it returns the error.
    fn from_stored(stored: Self::Stored) -> Result<Self>;
}

/// A type that a field of the file can have: `bool`, the integers from `i8` to `i128` and `u8` to `u128`, `f32`, `f64`,
/// [`Text`], [`Bytes`], [`Timestamp`], [`Date`], and `Option` of each of these.
///
/// The trait is sealed: the file format describes the encoding of each of these types, and of no other. A type of a
/// program's own is stored as one of them, by [`FieldValue`].
///
/// ```
/// use locule::{Field, Text};
///
/// let mut bytes = [0; <Option<Text<4>> as Field>::FIELD_BYTES];
/// Some(Text::<4>::new("ab")?).encode(&mut bytes);
/// assert_eq!(Option::<Text<4>>::decode(&bytes)?.as_deref(), Some("ab"));
/// # Ok::<(), locule::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type of the file format",
    note = "these are bool, the integers from i8 to i128 and u8 to u128, f32, f64, Text<N>, Bytes<N>, Timestamp, Date, \
            and an Option of one of them; other types are stored as one of them by `locule::FieldValue`"
)]
pub trait Field: sealed::Sealed + FieldValue<Stored = Self> + Copy + Default + Send + Sync {
    /// The type as the schema names it, without the option.
    const TYPE: FieldType;
    /// Whether the field can hold nothing: whether this is an `Option`.
    const NULLABLE: bool = false;
    /// The width of the encoding, in bytes.
    const FIELD_BYTES: usize;

    /// Writes the value. Bytes that it does not need become zero.
    ///
    /// ```
    /// use locule::Field;
    /// let mut bytes = [9; <Option<u8> as Field>::FIELD_BYTES];
    /// None::<u8>.encode(&mut bytes);
    /// assert_eq!(bytes, [0, 0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If `bytes` is not exactly [`FIELD_BYTES`](Self::FIELD_BYTES) long.
    fn encode(&self, bytes: &mut [u8]);

    /// Reads a value that [`encode`](Self::encode) wrote.
    ///
    /// ```
    /// use locule::Field;
    /// assert_eq!(bool::decode(&[1])?, true);
    /// assert!(bool::decode(&[2]).is_err());
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] for any bytes that `encode` does not write.
    fn decode(bytes: &[u8]) -> Result<Self>;
}

/// A type that a key in the file can have: any [`Field`] but floats, which are not equal to themselves when they are
/// not a number, and options. The key of a record has such a type, or one that is stored as such a type
/// ([`FieldValue`]).
///
/// ```
/// use locule::{KeyField, Keyed, Text};
///
/// locule::record! { struct User { key name: Text<32>, age: u8 } }
///
/// fn is_key<K: KeyField>() {}
/// is_key::<<User as Keyed>::Key>();
/// ```
///
/// ```compile_fail
/// locule::record! { struct Measurement { key celsius: f64 } }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    note = "a key is a bool, an integer, Text<N>, Bytes<N>, [u8; N], Timestamp, Date, or a type that is stored as one \
            of these: neither nullable nor a float"
)]
pub trait KeyField: Field + Eq + Ord + Hash {}

/// A value by which a record with keys of type `K` can be looked up: the key itself, or what can stand for it, such as
/// `str` for [`Text`] and `[u8]` for [`Bytes`]. Implement it to say what can stand for a key of your own type: see the
/// example of [`FieldValue`].
///
/// ```
/// use locule::{Field, Key, Text};
///
/// let mut bytes = [0; Text::<4>::FIELD_BYTES];
/// assert!(Key::<Text<4>>::encode_key("ab", &mut bytes));
/// assert_eq!(Text::<4>::decode(&bytes)?, "ab");
/// assert!(!Key::<Text<4>>::encode_key("too long", &mut bytes));
/// # Ok::<(), locule::Error>(())
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be looked up where keys are `{K}`")]
pub trait Key<K> {
    /// Writes the bytes that the key of the record has, and returns true. Returns false if no record can have this key,
    /// since it does not fit the field: then it is absent, and what is in `bytes` means nothing.
    ///
    /// ```
    /// use locule::{Bytes, Field, Key};
    /// let mut bytes = [0; Bytes::<2>::FIELD_BYTES];
    /// assert!(Key::<Bytes<2>>::encode_key(b"ab", &mut bytes));
    /// assert!(!Key::<Bytes<2>>::encode_key(b"abc", &mut bytes));
    /// ```
    ///
    /// # Panics
    ///
    /// If `bytes` is not exactly as long as the field of the key: [`Keyed::KEY_BYTES`](crate::Keyed::KEY_BYTES).
    #[must_use]
    fn encode_key(&self, bytes: &mut [u8]) -> bool;
}

impl<K: FieldValue<Stored: KeyField>> Key<K> for K {
    #[inline]
    fn encode_key(&self, bytes: &mut [u8]) -> bool {
        encode_stored(self, bytes);
        true
    }
}

/// Writes what is stored for a value.
///
/// # Panics
///
/// If `bytes` is not exactly as long as the stored type's encoding.
#[inline(always)]
pub(crate) fn encode_stored<T: FieldValue>(value: &T, bytes: &mut [u8]) {
    // A value that is stored as it is need not be copied first, which would take as long as encoding it. The compiler
    // knows the types, so nothing is checked when the program runs.
    match (value as &dyn Any).downcast_ref::<T::Stored>() {
        Some(stored) => stored.encode(bytes),
        None => value.to_stored().encode(bytes),
    }
}

impl<const N: usize> Key<Text<N>> for str {
    #[inline]
    fn encode_key(&self, bytes: &mut [u8]) -> bool {
        Text::<N>::new(self).map(|text| text.encode(bytes)).is_ok()
    }
}

impl<const N: usize> Key<Text<N>> for &str {
    #[inline]
    fn encode_key(&self, bytes: &mut [u8]) -> bool {
        Key::<Text<N>>::encode_key(*self, bytes)
    }
}

impl<const N: usize> Key<Text<N>> for String {
    #[inline]
    fn encode_key(&self, bytes: &mut [u8]) -> bool {
        Key::<Text<N>>::encode_key(self.as_str(), bytes)
    }
}

impl<const N: usize> Key<Bytes<N>> for [u8] {
    #[inline]
    fn encode_key(&self, bytes: &mut [u8]) -> bool {
        Bytes::<N>::new(self).map(|value| value.encode(bytes)).is_ok()
    }
}

impl<const N: usize> Key<Bytes<N>> for &[u8] {
    #[inline]
    fn encode_key(&self, bytes: &mut [u8]) -> bool {
        Key::<Bytes<N>>::encode_key(*self, bytes)
    }
}

impl<const N: usize, const M: usize> Key<Bytes<N>> for [u8; M] {
    #[inline]
    fn encode_key(&self, bytes: &mut [u8]) -> bool {
        Key::<Bytes<N>>::encode_key(self.as_slice(), bytes)
    }
}

impl<const N: usize> Key<Bytes<N>> for Vec<u8> {
    #[inline]
    fn encode_key(&self, bytes: &mut [u8]) -> bool {
        Key::<Bytes<N>>::encode_key(self.as_slice(), bytes)
    }
}

macro_rules! number_fields {
    ($($number:ty: $type:ident),+) => {$(
        impl sealed::Sealed for $number {}
        impl sealed::Present for $number {}
        impl Field for $number {
            const TYPE: FieldType = FieldType::$type;
            const FIELD_BYTES: usize = size_of::<$number>();

            #[inline(always)]
            fn encode(&self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_ne_bytes());
            }

            #[inline(always)]
            fn decode(bytes: &[u8]) -> Result<Self> {
                exactly(bytes).map(Self::from_ne_bytes)
            }
        }
    )+};
}

number_fields!(i8: I8, i16: I16, i32: I32, i64: I64, i128: I128);
number_fields!(u8: U8, u16: U16, u32: U32, u64: U64, u128: U128);
number_fields!(f32: F32, f64: F64);

macro_rules! key_fields {
    ($($type:ty),+) => { $(impl KeyField for $type {})+ };
}

key_fields!(bool, i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, Timestamp, Date);

impl sealed::Sealed for bool {}
impl sealed::Present for bool {}
impl Field for bool {
    const TYPE: FieldType = FieldType::Bool;
    const FIELD_BYTES: usize = 1;

    #[inline]
    fn encode(&self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&[u8::from(*self)]);
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Self> {
        match exactly(bytes)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(Error::damaged(format!("expected a bool, 0 or 1, found {other}"))),
        }
    }
}

impl sealed::Sealed for Timestamp {}
impl sealed::Present for Timestamp {}
impl Field for Timestamp {
    const TYPE: FieldType = FieldType::Timestamp;
    const FIELD_BYTES: usize = i64::FIELD_BYTES;

    #[inline]
    fn encode(&self, bytes: &mut [u8]) {
        self.microseconds().encode(bytes);
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Self> {
        i64::decode(bytes).map(Self::from_microseconds)
    }
}

impl sealed::Sealed for Date {}
impl sealed::Present for Date {}
impl Field for Date {
    const TYPE: FieldType = FieldType::Date;
    const FIELD_BYTES: usize = i32::FIELD_BYTES;

    #[inline]
    fn encode(&self, bytes: &mut [u8]) {
        self.days().encode(bytes);
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Self> {
        i32::decode(bytes).map(Self::from_days)
    }
}

impl<const N: usize> sealed::Sealed for Text<N> {}
impl<const N: usize> sealed::Present for Text<N> {}
impl<const N: usize> KeyField for Text<N> {}
impl<const N: usize> Field for Text<N> {
    const TYPE: FieldType = FieldType::Text(Self::CAPACITY_BYTES);
    const FIELD_BYTES: usize = 2 + Self::CAPACITY_BYTES as usize;

    #[inline]
    fn encode(&self, bytes: &mut [u8]) {
        self.encode_inline(bytes);
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Self> {
        Self::decode_inline(bytes)
    }
}

impl<const N: usize> sealed::Sealed for Bytes<N> {}
impl<const N: usize> sealed::Present for Bytes<N> {}
impl<const N: usize> KeyField for Bytes<N> {}
impl<const N: usize> Field for Bytes<N> {
    const TYPE: FieldType = FieldType::Bytes(Self::CAPACITY_BYTES);
    const FIELD_BYTES: usize = 2 + Self::CAPACITY_BYTES as usize;

    #[inline]
    fn encode(&self, bytes: &mut [u8]) {
        self.encode_inline(bytes);
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Self> {
        Self::decode_inline(bytes)
    }
}

impl<T: sealed::Present> sealed::Sealed for Option<T> {}
impl<T: sealed::Present> Field for Option<T> {
    const TYPE: FieldType = T::TYPE;
    const NULLABLE: bool = true;
    const FIELD_BYTES: usize = 1 + T::FIELD_BYTES;

    #[inline]
    fn encode(&self, bytes: &mut [u8]) {
        let (presence, value) = bytes.split_at_mut(1);
        presence.copy_from_slice(&[u8::from(self.is_some())]);
        // None is written as the type's default and then wiped, so that a wrong length panics here as well.
        self.unwrap_or_default().encode(value);
        if self.is_none() {
            value.fill(0);
        }
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() != Self::FIELD_BYTES {
            return Err(wrong_length(Self::FIELD_BYTES, bytes.len()));
        }
        match split_presence(bytes)? {
            Some(value) => T::decode(value).map(Some),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The generator "SplitMix64": the same numbers in every run.
    pub(crate) struct Random(pub(crate) u64);

    impl Random {
        pub(crate) fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }

        pub(crate) fn below(&mut self, limit: usize) -> usize {
            (self.next() % limit as u64) as usize
        }
    }

    fn bytes_of<T: Field>(value: T) -> Vec<u8> {
        // Not zeros, so that a byte that encode leaves out shows.
        let mut bytes = vec![0xa5; T::FIELD_BYTES];
        value.encode(&mut bytes);
        bytes
    }

    /// The value comes back, alone and in an option, and with the same bytes, which also tells 0.0 from -0.0 and one
    /// NaN from another.
    fn round_trip<T: Field + sealed::Present>(value: T) {
        let bytes = bytes_of(value);
        assert_eq!(bytes.len(), T::TYPE.value_bytes());
        assert_eq!(bytes_of(T::decode(&bytes).unwrap()), bytes, "{value:?}");

        let optional = bytes_of(Some(value));
        assert_eq!(optional, [&[1], &bytes[..]].concat());
        assert_eq!(bytes_of(Option::<T>::decode(&optional).unwrap()), optional, "{value:?}");

        let none = bytes_of(None::<T>);
        assert_eq!(none, vec![0; 1 + T::FIELD_BYTES]);
        assert_eq!(Option::<T>::decode(&none).unwrap(), None);
    }

    #[test]
    fn every_value_comes_back_bit_by_bit() {
        macro_rules! integers {
            ($($type:ty),+) => {$(
                for value in [<$type>::MIN, <$type>::MIN + 1, 0, 1, 42, <$type>::MAX - 1, <$type>::MAX] {
                    round_trip(value);
                    assert_eq!(<$type>::decode(&bytes_of(value)).unwrap(), value);
                    assert_eq!(bytes_of(value), value.to_ne_bytes());
                }
            )+};
        }
        integers!(i8, i16, i32, i64, i128, u8, u16, u32, u64, u128);
        round_trip(false);
        round_trip(true);
        for value in [0.0, -0.0, 1.5, -1e-310, f64::MIN, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::EPSILON] {
            round_trip(value);
        }
        for bits in [0x7ff8_0000_0000_0001, 0xfff8_dead_beef_0042, 0x7ff0_0000_0000_0001, (-0.0_f64).to_bits()] {
            assert_eq!(f64::decode(&bytes_of(f64::from_bits(bits))).unwrap().to_bits(), bits);
        }
        for bits in [0x7fc0_0001, 0xffc0_dead, 0x7f80_0001, (-0.0_f32).to_bits(), f32::MIN.to_bits()] {
            assert_eq!(f32::decode(&bytes_of(f32::from_bits(bits))).unwrap().to_bits(), bits);
        }
        for microseconds in [i64::MIN, -1, 0, 1, i64::MAX] {
            round_trip(Timestamp::from_microseconds(microseconds));
        }
        for date in [Date::MIN, Date::new(1815, 12, 10).unwrap(), Date::default(), Date::MAX] {
            round_trip(date);
        }
        for text in ["", "a", "a\0b", "\0\0", "Łódź", "12345678"] {
            round_trip(Text::<8>::new(text).unwrap());
            assert_eq!(Text::<8>::decode(&bytes_of(Text::<8>::new(text).unwrap())).unwrap(), text);
        }
        for bytes in [&b""[..], b"a", b"a\0", b"\xff\xfe", b"12345678"] {
            round_trip(Bytes::<8>::new(bytes).unwrap());
            assert_eq!(Bytes::<8>::decode(&bytes_of(Bytes::<8>::new(bytes).unwrap())).unwrap(), bytes);
        }
        round_trip(Text::<65_535>::new(&"x".repeat(65_535)).unwrap());
    }

    fn refused<T: Field>(bytes: &[u8], phrase: &str) {
        match T::decode(bytes) {
            Err(Error::Damaged { reason }) => assert!(reason.contains(phrase), "{reason:?} does not say {phrase:?}"),
            other => panic!("expected a refusal that says {phrase:?}, found {other:?}"),
        }
    }

    #[test]
    fn bytes_that_encode_does_not_write_are_refused_with_the_reason() {
        refused::<bool>(&[2], "0 or 1, found 2");
        refused::<u32>(&[0; 3], "4 bytes, found 3");
        refused::<u32>(&[], "found 0");
        refused::<Option<u8>>(&[2, 0], "presence byte, 0 or 1, found 2");
        refused::<Option<u8>>(&[0, 9], "zeros after the presence byte");
        refused::<Option<u8>>(&[], "found 0");
        let text = |length: u16, content: [u8; 4]| [&length.to_ne_bytes()[..], &content].concat();
        refused::<Text<4>>(&text(5, [0; 4]), "at most 4 bytes, found 5");
        refused::<Text<4>>(&text(2, [b'a', 0xff, 0, 0]), "UTF-8");
        refused::<Text<4>>(&text(1, *b"ab\0\0"), "zeros behind the end");
        refused::<Bytes<4>>(&text(u16::MAX, [0; 4]), "at most 4 bytes, found 65535");
        refused::<Text<5>>(&text(0, [0; 4]), "7 bytes, found 6");
    }

    #[test]
    fn decoders_are_total_and_accept_only_what_encode_writes() {
        const ROUND_COUNT: usize = if cfg!(miri) { 300 } else { 3_000 };
        fn check<T: Field>(random: &mut Random) -> usize {
            let mut accepted_count = 0;
            for _ in 0..ROUND_COUNT {
                // Small bytes most of the time, since random lengths and presence bytes are nearly always wrong.
                let mut bytes: Vec<u8> = (0..T::FIELD_BYTES)
                    .map(|_| if random.below(8) == 0 { random.next() as u8 } else { random.below(3) as u8 })
                    .collect();
                if random.below(2) == 0 {
                    let kept = random.below(T::FIELD_BYTES + 1);
                    bytes[kept..].fill(0);
                }
                if random.below(50) == 0 {
                    bytes.truncate(random.below(T::FIELD_BYTES));
                }
                match T::decode(&bytes) {
                    Ok(value) => {
                        assert_eq!(bytes_of(value), bytes);
                        accepted_count += 1;
                    }
                    Err(error) => assert!(matches!(error, Error::Damaged { .. })),
                }
            }
            accepted_count
        }
        let mut random = Random(1);
        assert!(check::<bool>(&mut random) > ROUND_COUNT / 30);
        assert!(check::<i128>(&mut random) > ROUND_COUNT / 30);
        assert!(check::<f32>(&mut random) > ROUND_COUNT / 30);
        assert!(check::<Option<f64>>(&mut random) > ROUND_COUNT / 30);
        assert!(check::<Text<3>>(&mut random) > ROUND_COUNT / 30);
        assert!(check::<Option<Text<3>>>(&mut random) > ROUND_COUNT / 30);
        assert!(check::<Bytes<3>>(&mut random) > ROUND_COUNT / 30);
        assert!(check::<Option<Date>>(&mut random) > ROUND_COUNT / 30);
    }

    /// What `Table::find` does with its argument.
    fn find<K: KeyField, Q: Key<K> + ?Sized>(key: &Q) -> Option<K> {
        let mut bytes = vec![0xa5; K::FIELD_BYTES];
        key.encode_key(&mut bytes).then(|| K::decode(&bytes).unwrap())
    }

    #[test]
    fn keys_can_be_looked_up_by_what_stands_for_them() {
        // The integer's type is not written here: it has to follow from the key.
        assert_eq!(find::<u64, _>(&42), Some(42));
        assert_eq!(find::<i8, _>(&-1), Some(-1));
        assert_eq!(find::<u128, _>(&u128::MAX), Some(u128::MAX));
        assert_eq!(find::<bool, _>(&true), Some(true));
        assert_eq!(find::<Date, _>(&Date::MIN), Some(Date::MIN));
        let text = Text::<4>::new("ab").unwrap();
        assert_eq!(find(&text), Some(text));
        assert_eq!(find("ab"), Some(text));
        assert_eq!(find(&"ab"), Some(text));
        assert_eq!(find(&"ab".to_owned()), Some(text));
        assert_eq!(find::<Text<4>, _>("too long"), None);
        let bytes = Bytes::<4>::new(b"ab").unwrap();
        assert_eq!(find(&bytes), Some(bytes));
        assert_eq!(find(b"ab"), Some(bytes));
        assert_eq!(find(&b"ab"[..]), Some(bytes));
        assert_eq!(find(&&b"ab"[..]), Some(bytes));
        assert_eq!(find(&b"ab".to_vec()), Some(bytes));
        assert_eq!(find::<Bytes<4>, _>(&&b"too long"[..]), None);
        assert_eq!(find::<Bytes<4>, _>(b"too long"), None);
    }
}
