//! Text in columns: `{:>12}`.

use std::fmt;

/// Writes a text with the width that the format asks for.
pub fn padded(f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>) -> fmt::Result {
    if f.width().is_none() && f.precision().is_none() {
        return f.write_fmt(text);
    }
    f.pad(&text.to_string())
}

#[cfg(test)]
mod tests {
    use crate::{Bytes, Date, FieldSchema, FieldType, RecordId, Schema, Text, Timestamp, Value};
    use std::fmt::Display;

    #[test]
    fn what_is_shown_fills_its_column() {
        fn check(value: impl Display) {
            let text = value.to_string();
            let columns = text.chars().count() + 5;
            assert_eq!(format!("{value:>columns$}|"), format!("{text:>columns$}|"));
            assert_eq!(format!("{value:-<columns$}|"), format!("{text:-<columns$}|"));
        }
        let moment = Timestamp::from_microseconds(-1);
        check(moment);
        check(moment.date());
        check(Date::MAX);
        check(Text::<4>::literal("Ł"));
        check(Bytes::<4>::literal(&[0, 255]));
        check(RecordId::from_u64(7));
        check(FieldType::I8);
        check(FieldType::Text(3));
        check(FieldType::Bytes(3));
        let field = FieldSchema::new("id", FieldType::U8).key();
        check(&field);
        check(Schema::new(vec![field]).unwrap());
        for value in [Value::Null, true.into(), 5_u8.into(), 1.5.into(), "x".into(), moment.into()] {
            check(value);
        }
        check(Value::Bytes(vec![0, 255]));
    }
}
