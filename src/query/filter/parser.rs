//! Conditions combined by `&&`, `||`, `!` and parentheses.

use super::advice;
use super::comparison::comparison;
use super::mistake::{Mistake, Parsed};
use super::token::{Token, Tokens};
use crate::query::condition::Condition;
use crate::schema::Schema;
use std::ops::Range;

/// At most this many parentheses are inside of each other.
const DEPTH_MAX: usize = 100;

pub struct Parser<'t, 's> {
    tokens: Tokens<'t>,
    schema: &'s Schema,
    /// The parentheses that are open, from the outside to the inside.
    groups: Vec<Group>,
}

/// What is between two parentheses, as far as it was read.
struct Group {
    opening: Range<usize>,
    /// Whether a `!` is before it.
    is_opposite: bool,
    /// What is before the last `||`.
    any: Option<Condition>,
    /// What is behind that.
    all: Option<Condition>,
}

impl Group {
    fn new(opening: Range<usize>, is_opposite: bool) -> Self {
        Group { opening, is_opposite, any: None, all: None }
    }

    fn and(&mut self, condition: Condition) {
        self.all = Some(match self.all.take() {
            Some(before) => before & condition,
            None => condition,
        });
    }

    /// Begins anew behind an `||`.
    fn or(&mut self) {
        self.any = match (self.any.take(), self.all.take()) {
            (Some(before), Some(condition)) => Some(before | condition),
            (before, condition) => before.or(condition),
        };
    }

    fn whole(mut self) -> Condition {
        self.or();
        let condition = self.any.unwrap_or_else(|| Condition::all([]));
        if self.is_opposite { !condition } else { condition }
    }
}

impl<'t, 's> Parser<'t, 's> {
    pub fn new(text: &'t str, schema: &'s Schema) -> Self {
        Parser { tokens: Tokens::new(text), schema, groups: Vec::new() }
    }

    /// The condition that the whole text is.
    pub fn condition(mut self) -> Parsed<Condition> {
        let mut outermost = Group::new(0..0, false);
        loop {
            let condition = self.one()?;
            self.groups.last_mut().unwrap_or(&mut outermost).and(condition);
            while self.tokens.takes(")")? {
                let Some(group) = self.groups.pop() else {
                    let end = self.tokens.end();
                    return Err(Mistake::new(end - 1..end, "expected a `(` before this `)`"));
                };
                self.groups.last_mut().unwrap_or(&mut outermost).and(group.whole());
            }
            if self.tokens.takes("||")? {
                self.groups.last_mut().unwrap_or(&mut outermost).or();
            } else if !self.tokens.takes("&&")? {
                break;
            }
        }
        match (self.groups.pop(), self.tokens.peek()?) {
            (None, Token::End) => Ok(outermost.whole()),
            (Some(group), Token::End) => Err(Mistake::new(group.opening, "expected a `)` for this `(`, found the end")),
            (group, _) => Err(self.unexpected(group.is_some())),
        }
    }

    /// Opens the parentheses that come next, and reads the first condition inside of them.
    fn one(&mut self) -> Parsed<Condition> {
        loop {
            let mut is_opposite = false;
            let mut mark = None;
            while *self.tokens.peek()? == Token::Symbol("!") {
                mark = Some(self.tokens.range());
                is_opposite = !is_opposite;
                self.tokens.take()?;
            }
            let place = self.tokens.range();
            if !self.tokens.takes("(")? {
                let condition = comparison(&mut self.tokens, self.schema, mark)?;
                return Ok(if is_opposite { !condition } else { condition });
            }
            if self.groups.len() == DEPTH_MAX {
                let message = format!("expected at most {DEPTH_MAX} parentheses inside of each other");
                return Err(Mistake::new(place, message));
            }
            self.groups.push(Group::new(place, is_opposite));
        }
    }

    /// What is wrong with what comes behind a condition.
    fn unexpected(&self, is_inside: bool) -> Mistake {
        let range = self.tokens.range();
        let found = self.tokens.text(range.clone());
        if let Some(message) = advice::for_operator(found, "") {
            return Mistake::new(range, message);
        }
        match found {
            "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "." => Mistake::new(
                range,
                format!("a condition is not compared, and `{found}` comes behind one: combine two with `&&`"),
            ),
            _ if is_inside => self.tokens.expected("`&&`, `||` or `)`"),
            _ => self.tokens.expected("`&&`, `||` or the end"),
        }
    }
}
