//! Numbers of any type, compared by their values and exactly.

/// An integer of any type. The order of the variants is that of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Integer {
    /// Less than 0.
    Negative(i128),
    Natural(u128),
}

/// An integer, or what is outside of all of them. The order of the variants is that of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    BelowAll,
    Integer(Integer),
    AboveAll,
}

/// Any number that is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Integer(Integer),
    /// Not NaN.
    Float(f64),
}

impl From<i128> for Integer {
    fn from(value: i128) -> Self {
        match u128::try_from(value) {
            Ok(natural) => Integer::Natural(natural),
            Err(_) => Integer::Negative(value),
        }
    }
}

impl From<u128> for Integer {
    fn from(value: u128) -> Self {
        Integer::Natural(value)
    }
}

impl Integer {
    /// The low 128 bits of the number in two's complement.
    #[expect(clippy::cast_sign_loss, reason = "the bits are what is asked for")]
    pub fn bits(self) -> u128 {
        match self {
            Integer::Negative(value) => value as u128,
            Integer::Natural(value) => value,
        }
    }

    /// The nearest `f64`.
    #[expect(clippy::cast_precision_loss, reason = "the nearest is what is asked for")]
    pub fn nearest_f64(self) -> f64 {
        match self {
            Integer::Negative(value) => value as f64,
            Integer::Natural(value) => value as f64,
        }
    }

    /// The nearest `f32`; infinity if that is nearer than the largest one.
    #[expect(clippy::cast_precision_loss, reason = "the nearest is what is asked for")]
    pub fn nearest_f32(self) -> f32 {
        match self {
            Integer::Negative(value) => value as f32,
            Integer::Natural(value) => value as f32,
        }
    }
}

impl Bound {
    /// The integer that a float is, which must have no digits behind the point.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the range is checked before"
    )]
    pub fn of_whole(float: f64) -> Self {
        // The largest u128 is no f64; the nearest one is one more than it.
        const ABOVE_ALL: f64 = u128::MAX as f64;
        const LEAST: f64 = i128::MIN as f64;
        if float >= ABOVE_ALL {
            Bound::AboveAll
        } else if float >= 0.0 {
            Bound::Integer(Integer::Natural(float as u128))
        } else if float >= LEAST {
            Bound::Integer(Integer::from(float as i128))
        } else {
            Bound::BelowAll
        }
    }
}

impl Number {
    /// The least integer that is not less.
    pub fn ceiling(self) -> Bound {
        match self {
            Number::Integer(integer) => Bound::Integer(integer),
            Number::Float(float) => Bound::of_whole(float.ceil()),
        }
    }

    /// The greatest integer that is not greater.
    pub fn floor(self) -> Bound {
        match self {
            Number::Integer(integer) => Bound::Integer(integer),
            Number::Float(float) => Bound::of_whole(float.floor()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_sign_and_width_are_in_order() {
        let ordered = [
            Integer::from(i128::MIN),
            Integer::from(i128::MIN + 1),
            Integer::from(-1_i128),
            Integer::from(0_i128),
            Integer::from(1_u128),
            Integer::from(i128::MAX),
            Integer::from(i128::MAX.unsigned_abs() + 1),
            Integer::from(u128::MAX),
        ];
        assert!(ordered.is_sorted() && Integer::from(0_i128) == Integer::from(0_u128));
        assert_eq!(Integer::from(-1_i128).bits(), u128::MAX);
    }

    #[test]
    fn a_float_becomes_the_integer_that_it_is_or_lies_outside() {
        let integer = |value: i128| Bound::Integer(value.into());
        // Not by `powi`, which need not be exact.
        let two_to_127 = (1_u128 << 127) as f64;
        for (float, floor, ceiling) in [
            (2.0, integer(2), integer(2)),
            (2.5, integer(2), integer(3)),
            (-2.5, integer(-3), integer(-2)),
            (-0.5, integer(-1), integer(0)),
            (0.5, integer(0), integer(1)),
            (-two_to_127, integer(i128::MIN), integer(i128::MIN)),
            (two_to_127, Bound::Integer((1_u128 << 127).into()), Bound::Integer((1_u128 << 127).into())),
            (2.0 * two_to_127, Bound::AboveAll, Bound::AboveAll),
            (-2.0 * two_to_127, Bound::BelowAll, Bound::BelowAll),
            (f64::INFINITY, Bound::AboveAll, Bound::AboveAll),
            (f64::NEG_INFINITY, Bound::BelowAll, Bound::BelowAll),
        ] {
            assert_eq!((Number::Float(float).floor(), Number::Float(float).ceiling()), (floor, ceiling), "{float}");
        }
        assert!(Bound::BelowAll < integer(i128::MIN) && Bound::Integer(u128::MAX.into()) < Bound::AboveAll);
    }
}
