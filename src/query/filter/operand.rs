//! The sides of a comparison: fields and values.

use super::advice::{self, FUNCTIONS};
use super::mistake::{Mistake, Parsed};
use super::number::{DOUBLE, FLOAT, check_range};
use super::token::{Token, Tokens};
use crate::error::shortened;
use crate::query::literal::Literal;
use crate::schema::{FieldSchema, Schema};
use crate::value::untyped::Value;
use std::ops::Range;

/// One side of a comparison, and where it is.
pub struct Operand<'s> {
    pub kind: Kind<'s>,
    pub range: Range<usize>,
}

pub enum Kind<'s> {
    Field(&'s FieldSchema),
    Value(Value),
}

/// Reads the next field or value. `is_first` says whether nothing of the comparison came before it.
pub fn operand<'s>(tokens: &mut Tokens<'_>, schema: &'s Schema, is_first: bool) -> Parsed<Operand<'s>> {
    let range = tokens.range();
    let expected = if is_first { "a condition such as `hits > 3`" } else { "a value" };
    let kind = match tokens.peek()?.clone() {
        Token::Value(value) => {
            tokens.take()?;
            Kind::Value(value)
        }
        Token::Name(name) => {
            tokens.take()?;
            Kind::Field(field(name, schema, &range)?)
        }
        Token::Word("in") => return Err(tokens.expected(expected)),
        Token::Word(word) => {
            tokens.take()?;
            match word {
                "true" | "false" => Kind::Value(Value::Bool(word == "true")),
                "null" => Kind::Value(Value::Null),
                _ if *tokens.peek()? == Token::Symbol("(") => {
                    let value = call(tokens, word, &range)?;
                    return Ok(Operand { kind: Kind::Value(value), range: range.start..tokens.end() });
                }
                _ => Kind::Field(named(word, schema, &range, is_first, tokens)?),
            }
        }
        Token::Symbol("(") if !is_first => {
            return Err(Mistake::new(range, "expected a value, found `(`: values are written without parentheses"));
        }
        Token::Symbol("[") => {
            return Err(Mistake::new(range, format!("expected {expected}, found `[`: a list comes only after `in`")));
        }
        _ => return Err(tokens.expected(expected)),
    };
    Ok(Operand { kind, range })
}

/// The field of this name.
fn field<'s>(name: &str, schema: &'s Schema, range: &Range<usize>) -> Parsed<&'s FieldSchema> {
    let found = schema.expect_field(name).map(|(_, field)| field);
    found.map_err(|error| Mistake::new(range.clone(), error.to_string()))
}

/// The field of this name, of a word that may have been meant in another way.
fn named<'s>(
    word: &str,
    schema: &'s Schema,
    range: &Range<usize>,
    is_first: bool,
    tokens: &Tokens<'_>,
) -> Parsed<&'s FieldSchema> {
    field(word, schema, range).map_err(|mistake| {
        let message = match advice::for_word(word) {
            Some(meant) => format!("expected `{meant}`, found `{word}`"),
            None if is_first && word.eq_ignore_ascii_case("not") && tokens.found() != "the end" => {
                format!("expected `!`, found `{word}`")
            }
            // Whoever writes a word behind a comparison probably means a text.
            None if !is_first && !mistake.message.contains('?') => {
                let word = shortened(word);
                format!("there is no field `{word}`: text is put in quotes, \"{word}\"")
            }
            None => return mistake,
        };
        Mistake::new(range.clone(), message)
    })
}

/// The value that a function makes of its argument, whose name is read already.
fn call(tokens: &mut Tokens<'_>, name: &str, range: &Range<usize>) -> Parsed<Value> {
    if !FUNCTIONS.contains(&name) {
        return Err(Mistake::new(range.clone(), advice::for_function(name)));
    }
    let opening = tokens.range();
    tokens.take()?;
    let place = tokens.range();
    let is_time = matches!(name, "timestamp" | "date");
    let argument = match tokens.peek()? {
        Token::Value(Value::Text(text)) => Value::Text(text.clone()),
        Token::Value(number @ (Value::Signed(_) | Value::Unsigned(_) | Value::Float64(_))) if !is_time => {
            number.clone()
        }
        _ => {
            let expected = match name {
                "timestamp" => "a text in quotes, such as \"2024-02-29T23:59:59Z\"",
                "date" => "a text in quotes, such as \"2024-02-29\"",
                _ => "a number, or a text such as \"NaN\"",
            };
            return Err(tokens.expected(expected));
        }
    };
    tokens.take()?;
    close(tokens, &opening)?;
    let text = match argument {
        Value::Text(text) => text,
        number => number.to_string(),
    };
    let value = match name {
        "timestamp" => text.parse().map(Value::Timestamp).map_err(|error| error.to_string()),
        "date" => text.parse().map(Value::Date).map_err(|error| error.to_string()),
        "float" => float(&text),
        _ => double(&text),
    };
    value.map_err(|message| Mistake::new(place, message))
}

fn float(text: &str) -> Result<Value, String> {
    let value: f32 = text.parse().map_err(|_| no_float(text))?;
    check_range(text, value.into(), FLOAT)?;
    Ok(Value::Float32(value))
}

fn double(text: &str) -> Result<Value, String> {
    let value = text.parse().map_err(|_| no_float(text))?;
    check_range(text, value, DOUBLE)?;
    Ok(Value::Float64(value))
}

#[cold]
fn no_float(text: &str) -> String {
    format!("expected a number, Infinity, -Infinity or NaN, found {}", Literal(&Value::Text(text.to_owned())))
}

/// Takes a `)`, for the `(` that is here.
pub fn close(tokens: &mut Tokens<'_>, opening: &Range<usize>) -> Parsed<()> {
    if tokens.takes(")")? {
        return Ok(());
    }
    Err(match tokens.peek()? {
        Token::End => Mistake::new(opening.clone(), "expected a `)` for this `(`, found the end"),
        _ => tokens.expected("`)`"),
    })
}
