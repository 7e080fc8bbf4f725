//! What is refused: one mistake is one error, at its place, in words that help.

use super::schema;
use crate::error::Error;
use crate::query::condition::Condition;
use crate::query::filter::mistake::FilterError;
use crate::schema::Schema;

fn refusal(text: &str) -> FilterError {
    Condition::parse(text, &schema()).err().unwrap_or_else(|| panic!("{text} is read"))
}

/// Each text has a mark `«…»` around what is wrong.
#[test]
fn each_mistake_is_named_at_its_place() {
    let mut wrong = Vec::new();
    for (marked, message) in MISTAKES {
        let start = marked.find('«').unwrap();
        let end = marked.find('»').unwrap() - "«".len();
        let text = marked.replace(['«', '»'], "");
        match Condition::parse(&text, &schema()) {
            Err(error) if (error.message(), error.range()) == (*message, start..end) => {}
            other => wrong.push(format!("{marked}: expected {start}..{end} {message}\n{other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const NO_CONDITION: &str = "expected a condition such as `hits > 3`, found";
const LIKE: &str =
    "expected `user.startsWith(\"…\")`, `.endsWith(\"…\")`, `.contains(\"…\")` or `.matches(\"…\")`, found";

#[rustfmt::skip]
const MISTAKES: &[(&str, &str)] = &[
    // Nothing, or not enough.
    ("«»", "expected a condition such as `hits > 3`, found the end"),
    (" // all «»", "expected a condition such as `hits > 3`, found the end"),
    ("hits >«»", "expected a value, found the end"),
    ("hits > 3 &&«»", "expected a condition such as `hits > 3`, found the end"),
    ("hits > 3 && «||» is_new", "expected a condition such as `hits > 3`, found `||`"),
    ("!«»", "expected a condition such as `hits > 3`, found the end"),
    ("(«)»", "expected a condition such as `hits > 3`, found `)`"),
    ("«in» == 3", "expected a condition such as `hits > 3`, found `in`"),
    // Brackets and quotes.
    ("«(»hits > 3", "expected a `)` for this `(`, found the end"),
    ("is_new && («(»hits > 3 || is_old && is_new", "expected a `)` for this `(`, found the end"),
    ("hits > 3«)»", "expected a `(` before this `)`"),
    ("(hits > 3«]»", "expected `&&`, `||` or `)`, found `]`"),
    ("hits in «[»1, 2", "expected a `]` for this `[`, found the end"),
    ("hits in [1«)»", "expected `,` or `]`, found `)`"),
    ("hits in [«,»]", "expected a value, found `,`"),
    ("user == «'»bob", "expected another ' behind this one, found the end"),
    ("user == «'»bob\n'", "expected another ' behind this one, found the end of the line"),
    ("digest == «b\"\"\"»bob\"", "expected another \"\"\" behind this one, found the end"),
    ("user.startsWith«(»'bo'", "expected a `)` for this `(`, found the end"),
    ("born == date«(»'2024-02-29'", "expected a `)` for this `(`, found the end"),
    ("«`»hits == 3", "expected another ` behind the name of the field, found the end"),
    // Operators of other languages.
    ("hits «=» 3", "expected `==`, found `=`"),
    ("hits «===» 3", "expected `==`, found `===`"),
    ("hits «<>» 3", "expected `!=`, found `<>`"),
    ("hits «=>» 3", "expected `>=`, found `=>`"),
    ("hits «=<» 3", "expected `<=`, found `=<`"),
    ("is_new «&» is_old", "expected `&&`, found `&`"),
    ("is_new «|» is_old", "expected `||`, found `|`"),
    ("user «=~» 'bo'", "expected `.matches(\"…\")`, found `=~`"),
    ("user == «“»bob”", "expected `\"`, found `“`"),
    ("hits > 3 «and» is_new", "expected `&&`, found `and`"),
    ("is_new «AND» hits > 3", "expected `&&`, found `AND`"),
    ("is_new «or» hits > 3", "expected `||`, found `or`"),
    ("(is_new) «or» hits > 3", "expected `||`, found `or`"),
    ("«not» is_new", "expected `!`, found `not`"),
    ("«NOT»(is_new)", "expected `!`, found `NOT`"),
    ("hits «not» in [1]", "expected `!(hits in […])`, found `not`"),
    ("note «is» null", "expected `note == null` or `note != null`, found `is`"),
    ("note «IS» NOT NULL", "expected `note == null` or `note != null`, found `IS`"),
    ("is_old «is» null", "expected `is_old == null` or `is_old != null`, found `is`"),
    ("hits «eq» 3", "expected `==`, found `eq`"),
    ("hits «between» 3 and 5", "expected `hits >= 3 && hits <= 5`, found `between`"),
    ("user «contains» 'bo'", "expected `user.contains(\"…\")`, found `contains`"),
    ("user «starts_with» 'bo'", "expected `user.startsWith(\"…\")`, found `starts_with`"),
    ("user «near» 'bo'", "expected a comparison such as `user == \"bob\"`, found `near`"),
    ("hits «3»", "expected an operator such as `==`, `<` or `in`, found `3`"),
    ("hits «-3»", "expected an operator such as `==`, `<` or `in`, found `-3`"),
    ("hits > 3 «is_new»", "expected `&&`, `||` or the end, found `is_new`"),
    ("hits > 3«,» hits < 5", "expected `&&`, `||` or the end, found `,`"),
    ("hits > 3«;»", "there is only one condition, and no `;` behind it: conditions are combined by `&&` and `||`"),
    ("hits «+» 1 > 3", "there is no arithmetic: a field is compared with a value"),
    ("«-»hits > 3", "there is no arithmetic: a field is compared with a value"),
    ("is_new «?» is_old : true", "there is no choice by `? :`: conditions are combined by `&&` and `||`"),
    ("hits in «{»1, 2}", "there are no maps: a list is written as `hits in [1, 2]`"),
    ("hits «@» 3", "`@` has no meaning outside of quotes"),
    ("«❤»", "`❤` has no meaning outside of quotes"),
    // What binds closely.
    ("«!»hits > 3", "`!` comes before a whole condition in parentheses: write `!(hits > 3)`"),
    ("is_new && «!»hits in [1, 2] && is_old", "`!` comes before a whole condition in parentheses: write `!(hits in [1, 2])`"),
    ("1 < hits «<» 5", "a condition is not compared, and `<` comes behind one: combine two with `&&`"),
    ("(hits > 3) «==» true", "a condition is not compared, and `==` comes behind one: combine two with `&&`"),
    ("user == «(»'bob')", "expected a value, found `(`: values are written without parentheses"),
    // Fields and values.
    ("«hit» > 3", "there is no field `hit`: did you mean `hits`?"),
    ("3 < «hit»", "there is no field `hit`: did you mean `hits`?"),
    ("«colour» > 3", "there is no field `colour`"),
    ("«`a b`» > 3", "there is no field `a b`"),
    ("«`a\nb`» > 3", "there is no field `a\\nb`"),
    ("user == «bob»", "there is no field `bob`: text is put in quotes, \"bob\""),
    ("is_new == «True»", "expected `true`, found `True`"),
    ("note == «NULL»", "expected `null`, found `NULL`"),
    ("note == «None»", "expected `null`, found `None`"),
    ("score == «NaN»", "expected `double(\"NaN\")`, found `NaN`"),
    ("hits == «wide»", "a field is compared with a value, and both `hits` and `wide` are fields"),
    ("«3 == 3»", "expected a field on one side of the comparison, found two values"),
    ("«3»", "expected a condition such as `hits > 3`, found the value `3` alone"),
    ("is_new && «null»", "expected a condition such as `hits > 3`, found the value `null` alone"),
    ("«hits» && is_new", "`hits` is u32, and only a bool is a condition by itself: expected `hits > 0`"),
    ("«hits» and is_new", "`hits` is u32, and only a bool is a condition by itself: expected `hits > 0`"),
    ("!(«note»)", "`note` is text(40), and only a bool is a condition by itself: expected `note == \"bob\"`"),
    ("«3» in [1, 2]", "expected a field before `in`, found a value"),
    ("hits in «(»1, 2)", "expected `[`, found `(`: a list is written as `[1, 2]`"),
    ("hits in «3»", "expected a list such as `[1, 2]`, found `3`"),
    ("hits == «[»1, 2]", "expected a value, found `[`: a list comes only after `in`"),
    ("note in ['a', «null»]", "a list has no null: expected `note == null || note in […]`"),
    ("hits in [1, «wide»]", "a list has only values, and `wide` is a field"),
    ("note «<» null", "nothing is less or greater than null: whether there is a value is asked by `==` and `!=`"),
    // Values of another kind.
    ("hits > «'3'»", "`hits` is u32, and is compared with the text \"3\": expected a number, such as 3"),
    ("hits > «'x'»", "`hits` is u32, and is compared with the text \"x\": expected a number"),
    ("«'x'» == hits", "`hits` is u32, and is compared with the text \"x\": expected a number"),
    ("hits in [1, «true»]", "`hits` is u32, and is compared with the bool true: expected a number"),
    ("user == «3»", "`user` is text(32), and is compared with the number 3: expected text, such as \"3\""),
    ("user.contains(«3»)", "`user` is text(32), and is compared with the number 3: expected text, such as \"3\""),
    ("digest == «'ab'»", "`digest` is bytes(8), and is compared with the text \"ab\": expected bytes, such as b\"\\x61\\x62\""),
    ("is_new == «1»", "`is_new` is bool, and is compared with the number 1: expected a bool"),
    ("is_new == «'true'»", "`is_new` is bool, and is compared with the text \"true\": expected a bool, such as true"),
    ("seen > «'2024-02-29T00:00:00Z'»", "`seen` is timestamp, and is compared with the text \"2024-02-29T00:00:00Z\": expected a timestamp, such as timestamp(\"2024-02-29T00:00:00.000000Z\")"),
    ("born > «'2024-02-29'»", "`born` is date, and is compared with the text \"2024-02-29\": expected a date, such as date(\"2024-02-29\")"),
    ("hits == «100000000000000000000000000000000000000000»", "expected an integer from -2^127 to 2^128 - 1, found one out of that range: a float is written as 1e40"),
    ("hits == «-170141183460469231731687303715884105729»", "expected an integer from -2^127 to 2^128 - 1, found one out of that range: a float is written as 1e40"),
    ("score == «1e999»", "expected a number that a double can hold, at most 1.7976931348623157e308"),
    ("hits == «-5u»", "expected a number without `-` before the `u`"),
    ("hits == «1_000»", "expected a number such as 3, -2.5, 1e9 or 0xff, found `1_000`: digits are written without `_`"),
    ("hits == «1.»", "expected a number such as 3, -2.5, 1e9 or 0xff, found `1.`: a digit follows the point, as in 1.0"),
    ("hits == «0XFF»", "expected a number such as 3, -2.5, 1e9 or 0xff, found `0XFF`: hexadecimal digits follow `0x`, as in 0xff"),
    ("hits == «0x»", "expected a number such as 3, -2.5, 1e9 or 0xff, found `0x`"),
    ("hits == «3px»", "expected a number such as 3, -2.5, 1e9 or 0xff, found `3px`"),
    ("user == '«\\ü»'", "expected one of the escapes \\n, \\r, \\t, \\a, \\b, \\f, \\v, \\\\, \\\", \\', \\`, \\?, \\x41, \\101, \\u0041 and \\U0001f980: in front of any other character, a backslash is written \\\\"),
    ("user == '«\\u»d800'", "there is no character with the number 0xd800"),
    ("digest == b'«\\u»0041'", "bytes have no such escape: a byte is written as \\xff, and a character as it is"),
    ("born == date(«'2024-02-30'»)", "expected a date such as 2024-02-29, found \"2024-02-30\""),
    ("seen == timestamp(«'yesterday'»)", "expected a time such as 2024-02-29T23:59:59.999999Z, found \"yesterday\""),
    ("seen == timestamp(«3»)", "expected a text in quotes, such as \"2024-02-29T23:59:59Z\", found `3`"),
    ("score == double(«'x'»)", "expected a number, Infinity, -Infinity or NaN, found \"x\""),
    ("score == double(«'1e999'»)", "expected a number that a double can hold, at most 1.7976931348623157e308"),
    ("score == «1e-400»", "expected a number that a double can hold, 0 or at least 5e-324"),
    ("score == double(«'-1e-400'»)", "expected a number that a double can hold, 0 or at least 5e-324"),
    ("score == float(«1e39»)", "expected a number that a float can hold, at most 3.4028235e38"),
    ("score == float(«'-1e39'»)", "expected a number that a float can hold, at most 3.4028235e38"),
    ("score == float(«1e-50»)", "expected a number that a float can hold, 0 or at least 1e-45"),
    ("score == double(«hits»)", "expected a number, or a text such as \"NaN\", found `hits`"),
    // Functions and methods.
    ("user.«beginsWith»('bo')", "there is no method `beginsWith`: there are `startsWith`, `endsWith`, `contains` and `matches`"),
    ("user.«startwith»('bo')", "there is no method `startwith`: did you mean `startsWith`?"),
    ("user.«size»() > 3", "there is no method `size`: there are `startsWith`, `endsWith`, `contains` and `matches`"),
    ("user.startsWith«»", "expected `(\"…\")` behind `startsWith`, found the end"),
    ("user.startsWith(«)»", "expected a value, found `)`"),
    ("user.startsWith('b'«,» 'o')", "expected `)`, found `,`"),
    ("user.startsWith(«note»)", "`startsWith` is given a value, and not a field"),
    ("«'bo'».startsWith('b')", "expected a field before `.startsWith`, found a value"),
    ("user.«'bo'»", "expected a method such as `startsWith`, found `'bo'`"),
    ("hits.«startsWith»('3')", "`hits` is u32, and only text and bytes can be asked for `startsWith`"),
    ("digest.«matches»('3')", "`digest` is bytes(8), and only text can be asked for `matches`"),
    ("user.contains(«null»)", "`contains` is asked for no null: whether there is a value is asked by `user == null` and `user != null`"),
    ("hits.«contains»(null)", "`hits` is u32, and only text and bytes can be asked for `contains`"),
    ("user.matches(«null»)", "expected a pattern in quotes, such as \"^bo+b$\""),
    ("user.matches(«3»)", "expected a pattern in quotes, such as \"^bo+b$\""),
    ("user.startsWith('b') «==» true", "a condition is not compared, and `==` comes behind one: combine two with `&&`"),
    ("«size»(user) > 3", "there is no function `size`: there are `timestamp`, `date`, `double` and `float`"),
    ("born > «dat»('2024-02-29')", "there is no function `dat`: did you mean `date`?"),
    ("«startsWith»(user, 'bo')", "`startsWith` is asked of a field, as in `user.startsWith(\"…\")`"),
    ("«has»(note)", "there is no function `has`: whether a field holds a value is asked by `note != null`"),
];

#[test]
fn sql_is_answered_with_what_there_is_here() {
    for word in ["LIKE", "like", "ilike"] {
        assert_eq!(refusal(&format!("user {word} 'bo%'")).message(), format!("{LIKE} `{word}`"));
    }
    assert_eq!(refusal("&& hits > 3").message(), format!("{NO_CONDITION} `&&`"));
}

#[test]
fn what_is_no_pattern_is_refused() {
    for pattern in ["(", "[", "a{1000}{1000}{1000}", r"\\p{Greek}", "(?=a)"] {
        let error = refusal(&format!("user.matches('{pattern}')"));
        assert!(error.message().contains("is no pattern: "), "{error}");
        assert_eq!(error.range(), 13..15 + pattern.len());
    }
}

/// Three thousand patterns took a gigabyte.
#[test]
fn a_filter_has_no_more_patterns_than_it_may() {
    let with_patterns = |count: usize| vec!["user.matches('bo')"; count].join(" || ");
    assert!(Condition::parse(&with_patterns(100), &schema()).is_ok());
    let error = refusal(&with_patterns(3_000));
    assert_eq!(error.message(), "expected at most 100 patterns: two can be one, as in \"^bo|b$\"");
    let start = with_patterns(100).len() + " || user.matches(".len();
    assert_eq!(error.range(), start..start + "'bo'".len());
}

const PAGE: &str = include_str!("../../../../docs/filter-language.md");

/// The rows of the table in a section of the page, cell by cell.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let section = PAGE.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = |row: &str| {
        let row = row.replace("\\|", "¦");
        row.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('¦', "|")).collect()
    };
    rows.map(cells).collect()
}

/// The schema that the examples of the page are about.
fn schema_of_the_page() -> Schema {
    PAGE.split("```text\n").nth(1).and_then(|rest| rest.split("\n```").next()).unwrap().parse().unwrap()
}

#[test]
fn the_errors_of_the_page_are_those_that_are_returned() {
    let rows = rows("Errors");
    assert!(rows.len() > 20, "the rows are found");
    for row in rows {
        let text = row[0].strip_prefix('`').and_then(|text| text.strip_suffix('`')).unwrap();
        let error = Condition::parse(text, &schema_of_the_page()).expect_err(text);
        assert_eq!(error.message(), row[1]);
    }
}

#[test]
fn the_conditions_of_the_page_are_read() {
    let rows = rows("Conditions");
    assert!(rows.len() > 10, "the rows are found");
    for text in rows.iter().flat_map(|row| row[0].trim_matches('`').split("`, `")) {
        assert!(Condition::parse(text, &schema_of_the_page()).is_ok(), "{text}");
    }
}

#[test]
fn an_error_shows_the_line_and_the_place() {
    for (text, shown) in [
        ("hits = 3", "expected `==`, found `=`\n    hits = 3\n         ^"),
        ("hits >", "expected a value, found the end\n    hits >\n          ^"),
        ("", "expected a condition such as `hits > 3`, found the end\n    \n    ^"),
        (
            "is_new &&\n\tuser == 'Łódź\u{1b}' and is_new &&\nis_old",
            "expected `&&`, found `and`\n     user == 'Łódź\u{fffd}' and is_new &&\n                     ^^^",
        ),
        // A terminal shows these in two columns, in none, and would turn the line around.
        ("user == '漢字' and 漢字", "expected `&&`, found `and`\n    user == '漢字' and 漢字\n                   ^^^"),
        ("user == 'e\u{301}' and", "expected `&&`, found `and`\n    user == 'e\u{301}' and\n                ^^^"),
        ("漢字", "`漢` has no meaning outside of quotes\n    漢字\n    ^^"),
        ("user == '\u{202e}' and", "expected `&&`, found `and`\n    user == '\u{fffd}' and\n                ^^^"),
        (
            "hits == '\u{202e}3'",
            "`hits` is u32, and is compared with the text \"\\u202e3\": expected a number\n    \
             hits == '\u{fffd}3'\n            ^^^^",
        ),
    ] {
        assert_eq!(refusal(text).to_string(), shown);
    }
    let long = format!("{} and {}", "is_new && ".repeat(50) + "is_new", "is_new && ".repeat(50));
    let shown = refusal(&long).to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[1].starts_with("    …") && lines[1].ends_with('…') && lines[1].chars().count() == 4 + 122, "{shown}");
    assert_eq!(lines[1].chars().skip(lines[2].find('^').unwrap()).take(3).collect::<String>(), "and");
}

#[test]
fn an_error_of_the_library_has_the_same_text() {
    let error = refusal("hits = 3");
    assert_eq!(Error::from(error.clone()).to_string(), error.to_string());
}

/// However long a text is, its error is short.
#[test]
fn no_error_is_long() {
    let long = "x".repeat(100_000);
    for text in [
        long.clone(),
        format!("hits == '{long}'"),
        format!("hits == b'{long}'"),
        format!("hits == {long}"),
        format!("`{long}` == 1"),
        format!("{long}()"),
        format!("user.{long}()"),
        format!("user {long}"),
        format!("user.matches('({long}')"),
        format!("hits == 1{long}"),
        format!("born == date('{long}')"),
        format!("score == double('{long}')"),
        format!("!hits == {}", "1".repeat(30)),
        format!("hits == {}", "1".repeat(100_000)),
        format!("user == '{long}"),
        format!("user == '\\{long}"),
        format!("hits == \"{}\"", "\\\"".repeat(100_000)),
        "(".repeat(100_000),
        "❤".repeat(100_000),
    ] {
        let error = refusal(&text);
        assert!(error.message().chars().count() <= 400 && !error.message().contains('\n'), "{}", error.message());
        assert!(error.to_string().len() < 2_000, "{error}");
        assert!(text.get(error.range()).is_some());
    }
}
