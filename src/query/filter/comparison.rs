//! A field and what it is compared with, checked against the schema.

use super::advice;
use super::mistake::{Mistake, Parsed};
use super::operand::{Kind, Operand, close, operand};
use super::token::{Token, Tokens};
use crate::error::{Error, shortened};
use crate::query::condition::Condition;
use crate::query::field_name::{FieldName, field};
use crate::query::literal::Literal;
use crate::query::predicate::Predicate;
use crate::schema::{FieldSchema, Schema};
use crate::value::field_type::FieldType;
use crate::value::untyped::Value;
use std::ops::Range;

const OPERATORS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

/// Reads a comparison, a method of a field, a field that is a condition by itself, or `true` or `false`. `opposite_of` is
/// where the `!` before it is.
pub fn comparison(tokens: &mut Tokens<'_>, schema: &Schema, opposite_of: Option<Range<usize>>) -> Parsed<Condition> {
    let left = operand(tokens, schema, true)?;
    let next = tokens.peek()?.clone();
    let condition = match next {
        Token::Symbol(".") => return method(tokens, schema, &left),
        Token::Word("in") => {
            tokens.take()?;
            one_of(tokens, schema, &left)?
        }
        Token::Symbol(operator) if OPERATORS.contains(&operator) => {
            let operator_range = tokens.range();
            tokens.take()?;
            let right = operand(tokens, schema, false)?;
            compared(schema, &left, operator, operator_range, &right)?
        }
        _ => return alone(tokens, &left),
    };
    match opposite_of {
        None => Ok(condition),
        Some(mark) => {
            let whole = shortened(tokens.text(left.range.start..tokens.end()));
            Err(Mistake::new(mark, format!("`!` comes before a whole condition in parentheses: write `!({whole})`")))
        }
    }
}

/// A field that is a condition by itself, or `true` or `false`.
fn alone(tokens: &mut Tokens<'_>, operand: &Operand<'_>) -> Parsed<Condition> {
    let field_schema = match &operand.kind {
        Kind::Value(Value::Bool(true)) => return Ok(Condition::all([])),
        Kind::Value(Value::Bool(false)) => return Ok(Condition::any([])),
        Kind::Value(_) => return Err(no_condition(tokens, operand)),
        Kind::Field(field_schema) => field_schema,
    };
    if field_schema.field_type() == FieldType::Bool && !begins_operand(tokens.peek()?) {
        return Ok(field(field_schema.name().to_owned()).eq(true));
    }
    let name = field_schema.name();
    Err(match tokens.peek()?.clone() {
        Token::Word(word) => match advice::for_operator(word, name) {
            Some(message) if !is_combination(word) => Mistake::new(tokens.range(), message),
            Some(_) => no_condition(tokens, operand),
            None => tokens.expected(&format!("a comparison such as `{name} {}`", advice::comparison_of(field_schema))),
        },
        token if begins_operand(&token) || token == Token::Symbol("[") => {
            tokens.expected("an operator such as `==`, `<` or `in`")
        }
        _ => no_condition(tokens, operand),
    })
}

fn is_combination(word: &str) -> bool {
    word.eq_ignore_ascii_case("and") || word.eq_ignore_ascii_case("or")
}

fn begins_operand(token: &Token<'_>) -> bool {
    match token {
        Token::Value(_) | Token::Name(_) => true,
        Token::Word(word) => !is_combination(word),
        Token::Symbol(symbol) => *symbol == "(",
        Token::End => false,
    }
}

fn no_condition(tokens: &Tokens<'_>, operand: &Operand<'_>) -> Mistake {
    let message = match &operand.kind {
        Kind::Field(field_schema) => {
            let (name, field_type) = (field_schema.name(), field_schema.field_type());
            let comparison = advice::comparison_of(field_schema);
            format!(
                "`{name}` is {field_type}, and only a bool is a condition by itself: expected `{name} {comparison}`"
            )
        }
        Kind::Value(_) => {
            let found = shortened(tokens.text(operand.range.clone()));
            format!("expected a condition such as `hits > 3`, found the value `{found}` alone")
        }
    };
    Mistake::new(operand.range.clone(), message)
}

/// A comparison of two sides, of which one is a field, and the other one a value.
fn compared(
    schema: &Schema,
    left: &Operand<'_>,
    operator: &'static str,
    operator_range: Range<usize>,
    right: &Operand<'_>,
) -> Parsed<Condition> {
    let whole = left.range.start..right.range.end;
    let (field_schema, value, value_range, operator) = match (&left.kind, &right.kind) {
        (Kind::Field(field), Kind::Value(value)) => (*field, value, &right.range, operator),
        (Kind::Value(value), Kind::Field(field)) => (*field, value, &left.range, mirrored(operator)),
        (Kind::Field(left_field), Kind::Field(right_field)) => {
            let (left, other) = (left_field.name(), right_field.name());
            let message = format!("a field is compared with a value, and both `{left}` and `{other}` are fields");
            return Err(Mistake::new(right.range.clone(), message));
        }
        (Kind::Value(_), Kind::Value(_)) => {
            return Err(Mistake::new(whole, "expected a field on one side of the comparison, found two values"));
        }
    };
    let name: FieldName = field(field_schema.name().to_owned());
    let condition = match (operator, value) {
        ("==", Value::Null) => name.is_none(),
        ("!=", Value::Null) => name.is_some(),
        (_, Value::Null) => {
            let message = "nothing is less or greater than null: whether there is a value is asked by `==` and `!=`";
            return Err(Mistake::new(operator_range, message));
        }
        ("==", _) => name.eq(value.clone()),
        ("!=", _) => name.ne(value.clone()),
        ("<", _) => name.lt(value.clone()),
        ("<=", _) => name.le(value.clone()),
        (">", _) => name.gt(value.clone()),
        _ => name.ge(value.clone()),
    };
    check(condition, schema, field_schema, value, value_range)
}

/// What an operator is if its sides are exchanged.
fn mirrored(operator: &'static str) -> &'static str {
    match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        same => same,
    }
}

/// The list behind `in`.
fn one_of(tokens: &mut Tokens<'_>, schema: &Schema, left: &Operand<'_>) -> Parsed<Condition> {
    let opening = tokens.range();
    match tokens.peek()? {
        Token::Symbol("[") => tokens.take()?,
        Token::Symbol("(") => {
            return Err(Mistake::new(opening, "expected `[`, found `(`: a list is written as `[1, 2]`"));
        }
        _ => return Err(tokens.expected("a list such as `[1, 2]`")),
    };
    let Kind::Field(field_schema) = left.kind else {
        return Err(Mistake::new(left.range.clone(), "expected a field before `in`, found a value"));
    };
    let name = field(field_schema.name().to_owned());
    let mut values = Vec::new();
    while !tokens.takes("]")? {
        let element = operand(tokens, schema, false)?;
        let value = match element.kind {
            Kind::Value(Value::Null) => {
                let message = format!("a list has no null: expected `{0} == null || {0} in […]`", field_schema.name());
                return Err(Mistake::new(element.range, message));
            }
            Kind::Value(value) => value,
            Kind::Field(other) => {
                let message = format!("a list has only values, and `{}` is a field", other.name());
                return Err(Mistake::new(element.range, message));
            }
        };
        check(name.eq(value.clone()), schema, field_schema, &value, &element.range)?;
        values.push(value);
        if tokens.takes(",")? || *tokens.peek()? == Token::Symbol("]") {
            continue;
        }
        return Err(match tokens.peek()? {
            Token::End => Mistake::new(opening, "expected a `]` for this `[`, found the end"),
            _ => tokens.expected("`,` or `]`"),
        });
    }
    Ok(name.is_in(values))
}

/// A question to a field, such as `.startsWith("bo")`.
fn method(tokens: &mut Tokens<'_>, schema: &Schema, left: &Operand<'_>) -> Parsed<Condition> {
    tokens.take()?;
    let method_range = tokens.range();
    let Token::Word(method) = *tokens.peek()? else {
        return Err(tokens.expected("a method such as `startsWith`"));
    };
    tokens.take()?;
    if !advice::METHODS.contains(&method) {
        return Err(Mistake::new(method_range, advice::for_method(method)));
    }
    let Kind::Field(field_schema) = left.kind else {
        return Err(Mistake::new(left.range.clone(), format!("expected a field before `.{method}`, found a value")));
    };
    let opening = tokens.range();
    if !tokens.takes("(")? {
        return Err(tokens.expected(&format!("`(\"…\")` behind `{method}`")));
    }
    let argument = operand(tokens, schema, false)?;
    close(tokens, &opening)?;
    let Kind::Value(value) = argument.kind else {
        let message = format!("`{method}` is given a value, and not a field");
        return Err(Mistake::new(argument.range, message));
    };
    let name = field(field_schema.name().to_owned());
    // What the field cannot be asked at all is wrong at the method, and all else at the value.
    let has_content = matches!(field_schema.field_type(), FieldType::Text(_) | FieldType::Bytes(_));
    if has_content && value == Value::Null && method != "matches" {
        let (place, name) = (argument.range.clone(), field_schema.name());
        let message = format!(
            "`{method}` is asked for no null: whether there is a value is asked by `{name} == null` and `{name} != null`"
        );
        return Err(Mistake::new(place, message));
    }
    let mut place = &argument.range;
    let condition = match (method, &value) {
        ("startsWith", _) => name.starts_with(value.clone()),
        ("endsWith", _) => name.ends_with(value.clone()),
        ("contains", _) => name.contains(value.clone()),
        (_, Value::Text(pattern)) => {
            tokens.count_pattern(&argument.range)?;
            name.matches(pattern.clone())
        }
        _ => return Err(Mistake::new(argument.range, "expected a pattern in quotes, such as \"^bo+b$\"")),
    };
    let is_text = matches!(field_schema.field_type(), FieldType::Text(_));
    if !has_content || (method == "matches" && !is_text) {
        place = &method_range;
    }
    check(condition, schema, field_schema, &value, place)
}

/// Checks a comparison of a field with a value, which is here.
fn check(
    condition: Condition,
    schema: &Schema,
    field_schema: &FieldSchema,
    value: &Value,
    range: &Range<usize>,
) -> Parsed<Condition> {
    let Err(error) = Predicate::compile(&condition, schema) else { return Ok(condition) };
    let mut message = error.to_string();
    let is_other_kind = matches!(error, Error::InvalidArgument { .. }) && message.contains(": expected ");
    if let Some(meant) = advice::for_value(field_schema, value).filter(|_| is_other_kind) {
        let meant = Literal(&meant).to_string();
        if meant.len() <= 60 {
            message = format!("{message}, such as {meant}");
        }
    }
    Err(Mistake::new(range.clone(), message))
}
