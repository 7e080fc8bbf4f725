//! A condition becomes a predicate.
//!
//! The parts of a condition are gone through from the last to the first, so each combination before what it is made of, and
//! of that the last first. What comes after a part is known by then: of one that all have to be true with, the part behind
//! it if it is true; of one of which any is enough, the part behind it if it is false. An opposite is handed down to what it
//! is the opposite of. So is a question about a field that holds nothing: it is not true, and neither is its opposite, since
//! there are no opposites left but those of single tests, each of which first asks whether there is a value.

use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::query::condition::{Comparison, Condition, Fragment, Part, Question, Test};
use crate::query::content::{ContentQuestion, ContentTest};
use crate::query::interval::{Comparable, FixedType, Interval, comparable};
use crate::query::literal::Literal;
use crate::query::place::{Key, LongKey, RangeTest, SetTest, ShortKey};
use crate::query::predicate::{Next, Predicate, Step, StepTest};
use crate::schema::{FieldSchema, Schema};
use crate::value::field_type::FieldType;
use crate::value::untyped::Value;

/// Errors show at most so many characters of a value.
const LITERAL_COUNT_MAX: usize = 80;

impl Predicate {
    /// Checks a condition against a schema, and compiles it.
    pub fn compile(condition: &Condition, schema: &Schema) -> Result<Self> {
        let mut emitter = Emitter { schema, steps: Vec::new() };
        let mut around = vec![Combination::of_the_whole()];
        let mut is_opposite_asked = false;
        for part in condition.parts_backwards() {
            if *part == Part::Not {
                is_opposite_asked = !is_opposite_asked;
                continue;
            }
            let Some(combination) = around.last() else { break };
            let is_opposite = std::mem::take(&mut is_opposite_asked) != combination.is_opposite;
            let after = combination.after_next();
            let mut entry = match part {
                Part::Test(test) => emitter.test(test, is_opposite, after)?,
                Part::All(0) => after.known(!is_opposite),
                Part::Any(0) => after.known(is_opposite),
                Part::All(count) | Part::Any(count) => {
                    let are_all_needed = matches!(part, Part::All(_)) != is_opposite;
                    around.push(Combination::new(are_all_needed, is_opposite, *count, after));
                    continue;
                }
                Part::Not => continue,
            };
            // This part is done, and so may be those that it is the first of.
            let mut depth = around.len();
            while let Some(combination) = around.last_mut() {
                combination.entry = entry;
                combination.left_count -= 1;
                depth -= 1;
                if combination.left_count > 0 || depth == 0 {
                    break;
                }
                entry = combination.entry;
                around.truncate(depth);
            }
        }
        let entry = around.first().map_or(Next::Accept, |whole| whole.entry);
        let (entry, steps) = in_order(entry, emitter.steps);
        Ok(Predicate::of_steps(entry, steps))
    }
}

/// What comes after a part.
#[derive(Clone, Copy)]
struct After {
    if_true: Next,
    if_false: Next,
}

impl After {
    /// What comes after a part of which the answer is known.
    fn known(self, is_true: bool) -> Next {
        if is_true { self.if_true } else { self.if_false }
    }
}

/// Parts that are combined, of which some have been gone through.
struct Combination {
    /// Whether all of them must be true, and not just any.
    are_all_needed: bool,
    /// Whether it is their opposites that are combined.
    is_opposite: bool,
    left_count: usize,
    after: After,
    /// Where the parts begin that have been gone through; what comes after them if there are none yet.
    entry: Next,
}

impl Combination {
    fn new(are_all_needed: bool, is_opposite: bool, left_count: usize, after: After) -> Self {
        Combination { are_all_needed, is_opposite, left_count, after, entry: after.known(are_all_needed) }
    }

    /// What the whole condition is the only part of.
    fn of_the_whole() -> Self {
        Combination::new(true, false, 1, After { if_true: Next::Accept, if_false: Next::Refuse })
    }

    /// What comes after the part that is gone through next.
    fn after_next(&self) -> After {
        if self.are_all_needed {
            After { if_true: self.entry, ..self.after }
        } else {
            After { if_false: self.entry, ..self.after }
        }
    }
}

/// Steps in the order in which they are taken, of those that were emitted from the last to the first, without those that
/// nothing leads to.
fn in_order(entry: Next, emitted: Vec<Step>) -> (Next, Vec<Step>) {
    let mut positions: Vec<Option<usize>> = vec![None; emitted.len()];
    let mut is_reached = vec![false; emitted.len()];
    let mark = |is_reached: &mut Vec<bool>, next: Next| {
        if let Next::Step(number) = next {
            is_reached.get_mut(number).into_iter().for_each(|is_reached| *is_reached = true);
        }
    };
    mark(&mut is_reached, entry);
    let mut reached_count = 0;
    for (number, step) in emitted.iter().enumerate().rev() {
        if is_reached.get(number) == Some(&true) {
            positions.get_mut(number).into_iter().for_each(|position| *position = Some(reached_count));
            reached_count += 1;
            mark(&mut is_reached, step.if_true);
            mark(&mut is_reached, step.if_false);
        }
    }
    let moved = |next: Next| match next {
        Next::Step(number) => positions.get(number).copied().flatten().map_or(Next::Refuse, Next::Step),
        known => known,
    };
    let steps = emitted.into_iter().zip(&positions).rev().filter(|(_, position)| position.is_some());
    let steps = steps.map(|(step, _)| Step { if_true: moved(step.if_true), if_false: moved(step.if_false), ..step });
    (moved(entry), steps.collect())
}

/// Makes steps, from the last to the first.
struct Emitter<'a> {
    schema: &'a Schema,
    steps: Vec<Step>,
}

/// What a test of a value that is there amounts to.
enum Outcome {
    Known(bool),
    Test(StepTest),
}

impl Emitter<'_> {
    fn push(&mut self, test: StepTest, After { if_true, if_false }: After) -> Next {
        self.steps.push(Step { test, if_true, if_false });
        Next::Step(self.steps.len() - 1)
    }

    /// Emits a test, or the opposite of one. Returns where it begins.
    fn test(&mut self, test: &Test, is_opposite: bool, after: After) -> Result<Next> {
        let field = self.schema.field(&test.field).ok_or_else(|| self.unknown(&test.field))?;
        let presence = |is_some: bool| StepTest::Range(RangeTest::of_byte(field.offset_bytes(), u8::from(is_some)));
        if let Question::IsNone | Question::IsSome = test.question {
            let is_some_asked = (test.question == Question::IsSome) != is_opposite;
            return Ok(match field.is_nullable() {
                true => self.push(presence(is_some_asked), after),
                false => after.known(is_some_asked),
            });
        }
        let entry = match outcome(field, &test.question, is_opposite)? {
            Outcome::Known(is_true) => after.known(is_true),
            Outcome::Test(test) => self.push(test, after),
        };
        if !field.is_nullable() || entry == after.if_false {
            return Ok(entry);
        }
        Ok(self.push(presence(true), After { if_true: entry, ..after }))
    }

    #[cold]
    fn unknown(&self, name: &str) -> Error {
        let names = self.schema.fields().iter().map(FieldSchema::name);
        Error::UnknownField { name: name.to_owned(), suggestion: nearest(name, names).map(str::to_owned) }
    }
}

/// What a question about a value that is there amounts to, or its opposite.
fn outcome(field: &FieldSchema, question: &Question, is_opposite: bool) -> Result<Outcome> {
    match FixedType::of(field.field_type()) {
        Some(fixed) => outcome_of_fixed(field, fixed, question, is_opposite),
        None => content_question(field, question).map(|question| {
            let offset_bytes = field.offset_bytes() + usize::from(field.is_nullable());
            let capacity_bytes = field.field_type().capacity_bytes();
            let test = ContentTest::new(offset_bytes, capacity_bytes, question, is_opposite);
            Outcome::Test(StepTest::Content(Box::new(test)))
        }),
    }
}

fn outcome_of_fixed(field: &FieldSchema, fixed: FixedType, question: &Question, is_opposite: bool) -> Result<Outcome> {
    let interval = |comparison: Comparison, value: &Value| match comparable(field.field_type(), value) {
        Some(Comparable::Number(number)) => Ok(fixed.interval(comparison, number)),
        Some(Comparable::NotANumber) => Ok(None),
        None => Err(mismatch(field, value)),
    };
    let (intervals, is_outside) = match question {
        Question::Is(comparison, value) => {
            let interval = interval(*comparison, value)?;
            (Vec::from_iter(interval), (*comparison == Comparison::NotEqual) != is_opposite)
        }
        Question::IsIn(values) => {
            let intervals = values.iter().map(|value| interval(Comparison::Equal, value));
            let intervals: Result<Vec<Option<Interval>>> = intervals.collect();
            (intervals?.into_iter().flatten().collect(), is_opposite)
        }
        Question::Has(fragment, _) => return Err(no_content(field, *fragment)),
        #[cfg(feature = "filter")]
        Question::Matches(_) => return Err(no_text(field)),
        Question::IsNone | Question::IsSome => return Ok(Outcome::Known(false)),
    };
    let value_bytes = field.field_type().value_bytes();
    let offset_bytes = field.offset_bytes() + usize::from(field.is_nullable());
    Ok(match *intervals {
        [] => Outcome::Known(is_outside),
        [interval] if interval == fixed.all() && !fixed.is_float() => Outcome::Known(!is_outside),
        [interval] if value_bytes <= 8 => {
            let key = ShortKey::new(fixed, offset_bytes, value_bytes);
            Outcome::Test(StepTest::Range(RangeTest::new(key, interval, is_outside)))
        }
        _ => {
            let key = match value_bytes {
                0..=8 => Key::Short(ShortKey::new(fixed, offset_bytes, value_bytes)),
                _ => Key::Long(LongKey::new(fixed, offset_bytes)),
            };
            Outcome::Test(StepTest::Set(SetTest::new(key, intervals, is_outside)))
        }
    })
}

/// A question about a field that holds text or bytes.
fn content_question(field: &FieldSchema, question: &Question) -> Result<ContentQuestion> {
    let content = |value: &Value| -> Result<Box<[u8]>> {
        match (field.field_type(), value) {
            (FieldType::Text(_), Value::Text(text)) => Ok(text.as_bytes().into()),
            (FieldType::Bytes(_), Value::Bytes(bytes)) => Ok(bytes.as_slice().into()),
            _ => Err(mismatch(field, value)),
        }
    };
    Ok(match question {
        Question::Is(comparison, value) => ContentQuestion::Is(*comparison, content(value)?),
        Question::IsIn(values) => {
            let mut contents = values.iter().map(content).collect::<Result<Vec<_>>>()?;
            contents.sort_unstable();
            ContentQuestion::IsIn(contents.into())
        }
        Question::Has(Fragment::Anywhere, Value::Text(text)) if matches!(field.field_type(), FieldType::Text(_)) => {
            ContentQuestion::HasText(text.as_str().into())
        }
        Question::Has(fragment, value) => ContentQuestion::Has(*fragment, content(value)?),
        #[cfg(feature = "filter")]
        Question::Matches(_) if !matches!(field.field_type(), FieldType::Text(_)) => return Err(no_text(field)),
        #[cfg(feature = "filter")]
        Question::Matches(pattern) => match pattern.mistake() {
            None => ContentQuestion::Matches(pattern.clone()),
            Some(mistake) => return Err(no_pattern(pattern.text(), mistake)),
        },
        Question::IsNone | Question::IsSome => ContentQuestion::IsIn(Box::default()),
    })
}

#[cold]
fn mismatch(field: &FieldSchema, value: &Value) -> Error {
    let name = field.name();
    let reason = match value {
        Value::Null => format!(
            "`{name}` is compared with none, which is true of no record: ask whether it is there with `is_none` or \
             `is_some`"
        ),
        _ => {
            let (expected, found) = (kind_of_field(field.field_type()), kind_of_value(value));
            let field_type = field.field_type();
            format!("`{name}` is {field_type}, and is compared with {found}: expected {expected}")
        }
    };
    Error::InvalidArgument { reason }
}

#[cold]
fn no_content(field: &FieldSchema, fragment: Fragment) -> Error {
    let (name, field_type, function) = (field.name(), field.field_type(), fragment.function());
    Error::InvalidArgument {
        reason: format!("`{name}` is {field_type}, and only text and bytes can be asked for `{function}`"),
    }
}

#[cfg(feature = "filter")]
#[cold]
fn no_text(field: &FieldSchema) -> Error {
    let (name, field_type) = (field.name(), field.field_type());
    Error::InvalidArgument { reason: format!("`{name}` is {field_type}, and only text can be asked for `matches`") }
}

#[cfg(feature = "filter")]
#[cold]
fn no_pattern(text: &str, mistake: &str) -> Error {
    let text: String = text.chars().take(40).collect();
    Error::InvalidArgument { reason: format!("{text:?} is no pattern: {mistake}") }
}

fn kind_of_field(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Bool => "a bool",
        FieldType::Text(_) => "text",
        FieldType::Bytes(_) => "bytes",
        FieldType::Timestamp => "a timestamp",
        FieldType::Date => "a date",
        _ => "a number",
    }
}

fn kind_of_value(value: &Value) -> String {
    let kind = match value {
        Value::Null => "none",
        Value::Bool(_) => "the bool",
        Value::Signed(_) | Value::Unsigned(_) | Value::Float32(_) | Value::Float64(_) => "the number",
        Value::Text(_) => "the text",
        Value::Bytes(_) => "the bytes",
        Value::Timestamp(_) => "the timestamp",
        Value::Date(_) => "the date",
    };
    let shown = Literal(value).to_string();
    match shown.char_indices().nth(LITERAL_COUNT_MAX) {
        Some((end, _)) => format!("{kind} {}…", shown.get(..end).unwrap_or_default()),
        None => format!("{kind} {shown}"),
    }
}
