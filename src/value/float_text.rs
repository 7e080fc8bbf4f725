//! Floats as text, so that each comes back with the bits that it had.
//!
//! A NaN has bits that mean nothing to arithmetic and yet are part of the value: they are compared, hashed and synced
//! like all others. The usual NaN is `NaN`; any other is written with its bits, `NaN(0x7fc00001)`.

use std::fmt;

use super::padding::padded;

macro_rules! float_text {
    ($write:ident, $read:ident, $float:ty, $bits:ty, usual NaN: $usual:literal) => {
        /// Writes the text that its counterpart reads, in as few digits as it takes.
        pub fn $write(value: $float, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            const WIDTH: usize = "0x".len() + 2 * size_of::<$float>();
            if value.is_nan() && value.to_bits() != $usual {
                return padded(f, format_args!("NaN({:#0WIDTH$x})", value.to_bits()));
            }
            // `Display` of floats writes no exponent, so 1e300 would be 301 digits.
            fmt::Debug::fmt(&value, f)
        }

        /// Reads a number in decimal digits, which is rounded to the nearest float, an infinity, or a NaN. Digits that
        /// mean more than the greatest float are not read as infinity, and those that do not mean 0 are not read as 0.
        pub fn $read(text: &str) -> Option<$float> {
            if let Some(bits) = nan_bits(text) {
                let value = <$float>::from_bits(<$bits>::try_from(bits).ok()?);
                return value.is_nan().then_some(value);
            }
            let value: $float = text.parse().ok()?;
            if value.is_nan() {
                return Some(<$float>::from_bits($usual));
            }
            let is_too_large = value.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit());
            let mut mantissa = text.bytes().take_while(|byte| !byte.eq_ignore_ascii_case(&b'e'));
            let is_too_small = value == 0.0 && mantissa.any(|byte| matches!(byte, b'1'..=b'9'));
            (!is_too_large && !is_too_small).then_some(value)
        }
    };
}

float_text!(write_f32, read_f32, f32, u32, usual NaN: 0x7fc0_0000);
float_text!(write_f64, read_f64, f64, u64, usual NaN: 0x7ff8_0000_0000_0000);

/// The bits in `NaN(0x7fc00001)`.
fn nan_bits(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("NaN(0x")?.strip_suffix(')')?;
    // Else a sign would be taken for a part of the number.
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u64::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::field::tests::Random;
    use crate::value::untyped::Value;

    #[test]
    fn every_float_comes_back_with_its_bits() {
        let mut random = Random(11);
        let special_32 = [0, 1, 0x8000_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0xffc0_0000, 0x7f80_0001, u32::MAX];
        let special_64 =
            [0, 1 << 63, 0x7ff0 << 48, 0xfff0 << 48, 0x7ff8 << 48, 0xfff8 << 48, 0x7ff0 << 48 | 1, u64::MAX];
        for round in 0..if cfg!(miri) { 50 } else { 20_000 } {
            // Every second one is not finite.
            let not_finite = if round % 2 == 0 { (0x7f80_0000, 0x7ff0 << 48) } else { (0, 0) };
            let bits = special_32.get(round).copied().unwrap_or_else(|| random.next() as u32 | not_finite.0);
            let text = Value::Float32(f32::from_bits(bits)).to_string();
            assert_eq!(read_f32(&text).map(f32::to_bits), Some(bits), "{text}");
            let bits = special_64.get(round).copied().unwrap_or_else(|| random.next() | not_finite.1);
            let text = Value::Float64(f64::from_bits(bits)).to_string();
            assert_eq!(read_f64(&text).map(f64::to_bits), Some(bits), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_written_with_its_bits_unless_they_are_the_usual_ones() {
        let shown = |bits| Value::Float32(f32::from_bits(bits)).to_string();
        assert_eq!([shown(0x7fc0_0000), shown(0xffc0_0000)], ["NaN", "NaN(0xffc00000)"]);
        assert_eq!(Value::Float64(f64::from_bits(0x7ff0 << 48 | 1)).to_string(), "NaN(0x7ff0000000000001)");
        assert_eq!(format!("{:>17}|", Value::Float32(f32::from_bits(0x7fc0_0001))), "  NaN(0x7fc00001)|");
    }

    #[test]
    fn what_is_no_float_of_this_width_is_not_read() {
        for text in [
            "",
            " 1",
            "1 ",
            "one",
            "1e39",
            "-1e39",
            "1e-50",
            "-0.01E-50",
            "0x10",
            "NaN()",
            "NaN(0x)",
            "NaN(0x+7fc00001)",
            "NaN(0x1)",
        ] {
            assert_eq!(read_f32(text), None, "{text:?}");
        }
        // Infinity has the same exponent, and is another value.
        for text in ["NaN(0x7f800000)", "NaN(0x7ff8000000000000)", "NaN(7fc00001)"] {
            assert_eq!(read_f32(text), None, "{text:?}");
        }
        assert_eq!((read_f64("1e39"), read_f64("1e309"), read_f64("inf")), (Some(1e39), None, Some(f64::INFINITY)));
        // What is not 0 is not read as 0.
        assert_eq!((read_f64("1e-50"), read_f64("1e-400"), read_f64("-1e-400")), (Some(1e-50), None, None));
        assert_eq!((read_f32("1e-45"), read_f32("0.00e-99"), read_f32("-0")), (Some(1e-45), Some(0.0), Some(-0.0)));
        assert_eq!((read_f64("-Infinity"), read_f64("7")), (Some(f64::NEG_INFINITY), Some(7.0)));
    }
}
