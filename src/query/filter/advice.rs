//! What somebody probably meant who wrote what is not part of the language.

use crate::error::shortened;
use crate::nearest::nearest;
use crate::schema::FieldSchema;
use crate::value::field_type::FieldType;
use crate::value::untyped::Value;

/// The questions about a part of a text.
pub const METHODS: [&str; 4] = ["startsWith", "endsWith", "contains", "matches"];

/// What makes a value of a text.
pub const FUNCTIONS: [&str; 4] = ["timestamp", "date", "double", "float"];

/// Symbols of other languages, and what they are here. The longest first.
const SYMBOLS: [(&str, &str); 12] = [
    ("===", "=="),
    ("!==", "!="),
    ("<>", "!="),
    ("=<", "<="),
    ("=>", ">="),
    ("=~", ".matches(\"…\")"),
    ("!~", "!user.matches(\"…\")"),
    ("“", "\""),
    ("”", "\""),
    ("‘", "'"),
    ("’", "'"),
    ("≠", "!="),
];

/// If a text begins with a symbol that has no meaning here: how long it is, and what is wrong with it.
pub fn for_symbol(text: &str) -> Option<(usize, String)> {
    if let Some((symbol, meant)) = SYMBOLS.into_iter().find(|(symbol, _)| text.starts_with(symbol)) {
        return Some((symbol.len(), format!("expected `{meant}`, found `{symbol}`")));
    }
    // These are the beginnings of symbols that there are.
    if let Some(symbol) = ["=", "&", "|"]
        .into_iter()
        .find(|symbol| text.strip_prefix(symbol).is_some_and(|rest| !rest.starts_with(symbol)))
    {
        return Some((1, format!("expected `{symbol}{symbol}`, found `{symbol}`")));
    }
    let reason = match text.chars().next()? {
        '+' | '-' | '*' | '/' | '%' | '^' => "there is no arithmetic: a field is compared with a value",
        '?' | ':' => "there is no choice by `? :`: conditions are combined by `&&` and `||`",
        '{' | '}' => "there are no maps: a list is written as `hits in [1, 2]`",
        ';' => "there is only one condition, and no `;` behind it: conditions are combined by `&&` and `||`",
        _ => return None,
    };
    Some((1, reason.to_owned()))
}

/// What is wrong with a word behind a condition, or behind what might have become one.
pub fn for_operator(word: &str, field: &str) -> Option<String> {
    let field = if field.is_empty() { "user" } else { field };
    let meant = match word.to_ascii_lowercase().as_str() {
        "and" => "`&&`".to_owned(),
        "or" => "`||`".to_owned(),
        "is" | "isnull" | "notnull" => format!("`{field} == null` or `{field} != null`"),
        "eq" | "equals" => "`==`".to_owned(),
        "ne" | "neq" => "`!=`".to_owned(),
        "lt" => "`<`".to_owned(),
        "le" | "lte" => "`<=`".to_owned(),
        "gt" => "`>`".to_owned(),
        "ge" | "gte" => "`>=`".to_owned(),
        "in" => "`in`".to_owned(),
        "not" => format!("`!({field} in […])`"),
        "between" => format!("`{field} >= 3 && {field} <= 5`"),
        "like" | "ilike" | "glob" => {
            format!("`{field}.startsWith(\"…\")`, `.endsWith(\"…\")`, `.contains(\"…\")` or `.matches(\"…\")`")
        }
        "regexp" | "rlike" | "similar" => format!("`{field}.matches(\"…\")`"),
        lower => {
            let method = METHODS.into_iter().find(|method| method.to_ascii_lowercase() == lower.replace('_', ""))?;
            format!("`{field}.{method}(\"…\")`")
        }
    };
    Some(format!("expected {meant}, found `{word}`"))
}

/// What is wrong with a call of a function that there is not.
pub fn for_function(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if lower == "not" {
        return format!("expected `!`, found `{name}`");
    }
    if lower == "has" {
        return format!("there is no function `{name}`: whether a field holds a value is asked by `note != null`");
    }
    if let Some(method) = nearest(name, METHODS) {
        return format!("`{method}` is asked of a field, as in `user.{method}(\"…\")`");
    }
    let meant = match nearest(name, FUNCTIONS) {
        Some(function) => format!("did you mean `{function}`?"),
        None => "there are `timestamp`, `date`, `double` and `float`".to_owned(),
    };
    format!("there is no function `{}`: {meant}", shortened(name))
}

/// What is wrong with a method that there is not.
pub fn for_method(name: &str) -> String {
    let meant = match nearest(name, METHODS) {
        Some(method) => format!("did you mean `{method}`?"),
        None => "there are `startsWith`, `endsWith`, `contains` and `matches`".to_owned(),
    };
    format!("there is no method `{}`: {meant}", shortened(name))
}

/// What a word probably stands for that is the name of no field.
pub fn for_word(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "true" => Some("true"),
        "false" => Some("false"),
        "null" | "none" | "nil" | "undefined" => Some("null"),
        "nan" => Some("double(\"NaN\")"),
        "inf" | "infinity" => Some("double(\"Infinity\")"),
        _ => None,
    }
}

/// A value as a field would have it, of one that is of another kind.
pub fn for_value(field: &FieldSchema, value: &Value) -> Option<Value> {
    let text = match value {
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => String::from_utf8(bytes.clone()).ok()?,
        other => other.to_string(),
    };
    match field.field_type() {
        FieldType::Text(_) => Some(Value::Text(text)),
        FieldType::Bytes(_) => Some(Value::Bytes(text.into_bytes())),
        _ => match value {
            Value::Text(_) => field.parse_value(&text).ok().filter(|value| *value != Value::Null),
            _ => None,
        },
    }
}

/// A comparison of a field that is no condition by itself.
pub fn comparison_of(field: &FieldSchema) -> &'static str {
    match field.field_type() {
        FieldType::Bool => "== true",
        FieldType::Text(_) => "== \"bob\"",
        FieldType::Bytes(_) => "== b\"\\xca\\xfe\"",
        FieldType::Timestamp => "> timestamp(\"2024-02-29T23:59:59Z\")",
        FieldType::Date => "> date(\"2024-02-29\")",
        _ => "> 0",
    }
}
