//! Patterns that texts are compared with.

use regex_lite::{Regex, RegexBuilder};
use std::fmt;

/// A compiled pattern takes no more memory than this.
const PATTERN_BYTES_MAX: usize = 1 << 18;

/// Groups and repetitions inside of each other.
const PATTERN_DEPTH_MAX: u32 = 100;

/// A regular expression, in the syntax that RE2 has, compiled when it is made. Looking for it takes time that grows with
/// its length times that of the text, and no faster.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    /// What is wrong with the text, if it is no pattern.
    regex: Result<Regex, String>,
}

impl Pattern {
    pub fn new(text: String) -> Self {
        let regex = RegexBuilder::new(&text).size_limit(PATTERN_BYTES_MAX).nest_limit(PATTERN_DEPTH_MAX).build();
        Pattern { text, regex: regex.map_err(|error| error.to_string()) }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with it, if it is none.
    pub fn mistake(&self) -> Option<&str> {
        self.regex.as_ref().err().map(String::as_str)
    }

    /// Whether it is found somewhere in a text.
    pub fn is_found_in(&self, text: &str) -> bool {
        self.regex.as_ref().is_ok_and(|regex| regex.is_match(text))
    }
}

/// The same text is the same pattern.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_found_anywhere_unless_it_says_where() {
        let found = |pattern: &str, text: &str| Pattern::new(pattern.to_owned()).is_found_in(text);
        assert!(found("o", "bob") && !found("^o", "bob") && found("^b.b$", "bob") && found("", ""));
        assert!(found(r"\d{2}|x+", "a42") && found("(?i)BO", "bob") && found("[äö]", "Łódźö"));
    }

    #[test]
    fn what_is_no_pattern_or_too_large_says_so_and_is_found_nowhere() {
        for text in ["(", "a**b[", "\\", "(?=a)", "(a{1000}){1000}", &"(".repeat(200), &"(?:".repeat(10_000)] {
            let pattern = Pattern::new((*text).to_owned());
            assert!(pattern.mistake().is_some_and(|mistake| !mistake.is_empty()), "{text}");
            assert!(!pattern.is_found_in("a"));
        }
        let nested = format!("{}a{}", "(".repeat(50), ")".repeat(50));
        assert_eq!(Pattern::new(nested).mistake(), None);
    }

    #[test]
    fn patterns_are_compared_by_their_text() {
        let pattern = |text: &str| Pattern::new(text.to_owned());
        assert!(pattern("a") == pattern("a") && pattern("a") != pattern("b"));
        assert_eq!(format!("{:?}", pattern("a")), "Pattern(\"a\")");
    }
}
