//! What makes two schemas differ, field by field.

use std::collections::HashMap;
use std::fmt;

use super::Schema;
use super::field_schema::FieldSchema;
use super::text_form::Literal;
use crate::value::field_type::FieldType;
use crate::value::padding::padded;
use crate::value::untyped::Value;

/// One thing that has to be changed in a schema to make another one of it; found by [`Schema::difference`].
///
/// ```
/// use locule::{Difference, Schema};
///
/// let before: Schema = "key id: u64, hits: u32, note: text(40)?".parse()?;
/// let after: Schema = "key id: u64, hits: u64 = 0, user: text(32)".parse()?;
/// let differences: Vec<_> = before.difference(&after).iter().map(Difference::to_string).collect();
/// assert_eq!(
///     differences,
///     [
///         "`note: text(40)?` is gone",
///         "`hits` is u64 instead of u32",
///         "`hits` has the default 0 instead of none",
///         "`user: text(32)` is new, after `hits`",
///     ]
/// );
/// # Ok::<(), locule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Difference {
    /// Only the other schema has a field of this name.
    Added {
        /// The field there.
        field: FieldSchema,
        /// The field before it, unless it is the first.
        after: Option<String>,
    },
    /// Only this schema has a field of this name.
    Dropped {
        /// The field here.
        field: FieldSchema,
    },
    /// The field is at another place among those that both schemas have.
    Moved {
        /// The field.
        name: String,
        /// The field before it in the other schema, unless it is the first.
        after: Option<String>,
    },
    /// The type differs.
    TypeChanged {
        /// The field.
        name: String,
        /// The type in this schema.
        from: FieldType,
        /// The type in the other one.
        to: FieldType,
    },
    /// The field can be null in one schema only.
    NullabilityChanged {
        /// The field.
        name: String,
        /// Whether it can be null in the other one.
        is_nullable: bool,
    },
    /// The field is the key of one schema only.
    KeyChanged {
        /// The field.
        name: String,
        /// Whether it is the key of the other one.
        is_key: bool,
    },
    /// The default differs.
    DefaultChanged {
        /// The field.
        name: String,
        /// The default in this schema, if there is one.
        from: Option<Value>,
        /// The default in the other one, if there is one.
        to: Option<Value>,
    },
    /// The documentation differs.
    DocChanged {
        /// The field.
        name: String,
        /// The documentation in this schema.
        from: String,
        /// The documentation in the other one.
        to: String,
    },
}

impl Difference {
    /// Whether records of the two schemas differ because of this: all that is no default and no documentation.
    ///
    /// ```
    /// use locule::{Difference, Schema};
    /// let schema = |text: &str| text.parse::<Schema>();
    /// let difference = schema("hits: u32")?.difference(&schema("hits: u32 = 0")?);
    /// assert!(!difference.is_empty() && !difference.iter().any(Difference::concerns_records));
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn concerns_records(&self) -> bool {
        !matches!(self, Difference::DefaultChanged { .. } | Difference::DocChanged { .. })
    }
}

/// One line, said of the other schema: `` `hits` is u64 instead of u32``.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Added { field, after } => padded(f, format_args!("`{}` is new, {}", Line(field), Place(after))),
            Difference::Dropped { field } => padded(f, format_args!("`{}` is gone", Line(field))),
            Difference::Moved { name, after } => padded(f, format_args!("`{name}` is {}", Place(after))),
            Difference::TypeChanged { name, from, to } => padded(f, format_args!("`{name}` is {to} instead of {from}")),
            Difference::NullabilityChanged { name, is_nullable } => {
                padded(f, format_args!("`{name}` {} be null", if *is_nullable { "can" } else { "cannot" }))
            }
            Difference::KeyChanged { name, is_key } => {
                padded(f, format_args!("`{name}` is {}the key", if *is_key { "" } else { "not " }))
            }
            Difference::DefaultChanged { name, from, to } => {
                padded(f, format_args!("`{name}` has the default {} instead of {}", Given(to), Given(from)))
            }
            Difference::DocChanged { name, .. } => padded(f, format_args!("`{name}` is documented in other words")),
        }
    }
}

/// A field without its documentation, which would take lines of its own.
struct Line<'a>(&'a FieldSchema);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.clone().with_doc(""), f)
    }
}

struct Place<'a>(&'a Option<String>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "after `{name}`"),
            None => f.write_str("at the beginning"),
        }
    }
}

struct Given<'a>(&'a Option<Value>);

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => fmt::Display::fmt(&Literal(value), f),
            None => f.write_str("none"),
        }
    }
}

impl Schema {
    /// What has to be changed in this schema to make `other` of it: first the fields that go, then, in the order of
    /// `other`, what becomes of each of its fields. There is no difference exactly if the schemas are equal. As few
    /// fields as possible are said to have moved.
    ///
    /// ```
    /// use locule::Schema;
    /// let before: Schema = "key id: u64, hits: u32, user: text(32)".parse()?;
    /// let after: Schema = "hits: u32, user: text(32), key id: u64".parse()?;
    /// assert_eq!(before.difference(&before), []);
    /// assert_eq!(before.difference(&after)[0].to_string(), "`id` is after `user`");
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn difference(&self, other: &Schema) -> Vec<Difference> {
        let own: HashMap<&str, usize> =
            self.fields.iter().enumerate().map(|(position, field)| (field.name(), position)).collect();
        let theirs: HashMap<&str, &FieldSchema> = other.fields.iter().map(|field| (field.name(), field)).collect();
        let dropped = self.fields.iter().filter(|field| !theirs.contains_key(field.name()));
        let mut differences: Vec<_> = dropped.map(|field| Difference::Dropped { field: field.clone() }).collect();

        let common: Vec<usize> = other.fields.iter().filter_map(|field| own.get(field.name()).copied()).collect();
        let mut has_stayed = has_stayed(&common).into_iter();
        let mut before: Option<&FieldSchema> = None;
        for field in &other.fields {
            let after = before.map(|field| field.name().to_owned());
            match own.get(field.name()).and_then(|position| self.fields.get(*position)) {
                None => differences.push(Difference::Added { field: field.clone(), after }),
                Some(own) => {
                    if has_stayed.next() == Some(false) {
                        differences.push(Difference::Moved { name: field.name().to_owned(), after });
                    }
                    differences.extend(changes(own, field));
                }
            }
            before = Some(field);
        }
        differences
    }
}

/// What differs between two fields of the same name.
fn changes(own: &FieldSchema, other: &FieldSchema) -> impl Iterator<Item = Difference> {
    let name = || own.name().to_owned();
    let (from, to) = (own.field_type(), other.field_type());
    let (is_nullable, is_key) = (other.is_nullable(), other.is_key());
    let found = [
        (from != to).then(|| Difference::TypeChanged { name: name(), from, to }),
        (own.is_nullable() != is_nullable).then(|| Difference::NullabilityChanged { name: name(), is_nullable }),
        (own.is_key() != is_key).then(|| Difference::KeyChanged { name: name(), is_key }),
        has_another_default(own, other).then(|| Difference::DefaultChanged {
            name: name(),
            from: own.default_value(),
            to: other.default_value(),
        }),
        (own.doc() != other.doc()).then(|| Difference::DocChanged {
            name: name(),
            from: own.doc().to_owned(),
            to: other.doc().to_owned(),
        }),
    ];
    found.into_iter().flatten()
}

/// Whether the defaults are other values. In fields of one type, other values are other bytes, which tells one NaN from
/// another, too. Where the type or the nullability differs, so do the bytes of the same value.
fn has_another_default(own: &FieldSchema, other: &FieldSchema) -> bool {
    if (own.field_type(), own.is_nullable()) == (other.field_type(), other.is_nullable()) {
        return own.default() != other.default();
    }
    own.default_value().map(|value| Literal(&value).to_string())
        != other.default_value().map(|value| Literal(&value).to_string())
}

/// Which elements stay when as few as possible are moved to bring them into rising order: those of a longest rising
/// subsequence, which is found by keeping, for each length, the rising subsequence that ends lowest.
fn has_stayed(positions: &[usize]) -> Vec<bool> {
    /// An element, and its place in the list.
    struct End {
        position: usize,
        place: usize,
    }
    let mut ends: Vec<End> = Vec::new();
    let mut predecessors: Vec<Option<usize>> = Vec::with_capacity(positions.len());
    for (place, position) in positions.iter().copied().enumerate() {
        let length = ends.partition_point(|end| end.position < position);
        predecessors.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter)).map(|end| end.place));
        match ends.get_mut(length) {
            Some(end) => *end = End { position, place },
            None => ends.push(End { position, place }),
        }
    }
    let mut has_stayed = vec![false; positions.len()];
    let mut next = ends.last().map(|end| end.place);
    while let Some(place) = next {
        if let Some(stays) = has_stayed.get_mut(place) {
            *stays = true;
        }
        next = predecessors.get(place).copied().flatten();
    }
    has_stayed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::random_schema;
    use crate::value::field::tests::Random;

    fn schema(text: &str) -> Schema {
        text.parse().unwrap()
    }

    fn shown(before: &str, after: &str) -> Vec<String> {
        schema(before).difference(&schema(after)).iter().map(Difference::to_string).collect()
    }

    #[test]
    fn each_kind_of_difference_is_one_line() {
        let before = "key id: u64, hits: u32, note: text(40)?, at: date = 2024-02-29, token: bytes(4)";
        let after = "first: u8 = 1, id: u64, hits: i64?, at: date, note: text(40)? = \"a\nb\",\n/// Secret.\nkey token: bytes(4)";
        assert_eq!(
            shown(before, after),
            [
                "`first: u8 = 1` is new, at the beginning",
                "`id` is not the key",
                "`hits` is i64 instead of u32",
                "`hits` can be null",
                "`at` is after `hits`",
                "`at` has the default none instead of 2024-02-29",
                "`note` has the default \"a\\nb\" instead of none",
                "`token` is the key",
                "`token` is documented in other words",
            ]
        );
        assert_eq!(
            shown("a: u8?, b: u8", "/// Docs.\nb: u8"),
            ["`a: u8?` is gone", "`b` is documented in other words"]
        );
        assert_eq!(shown("a: u8?", "a: u8"), ["`a` cannot be null"]);
        assert_eq!(format!("{:>20}|", schema("a: u8?").difference(&schema("a: u8"))[0]), "  `a` cannot be null|");
    }

    #[test]
    fn a_default_that_is_the_same_value_in_a_wider_type_is_no_difference() {
        assert_eq!(shown("a: u8 = 7", "a: u64? = 7"), ["`a` is u64 instead of u8", "`a` can be null"]);
        assert_eq!(shown("a: f64 = NaN", "a: f64 = NaN"), [""; 0]);
        assert_eq!(
            shown("a: f32 = NaN", "a: f32 = NaN(0x7fc00001)"),
            ["`a` has the default NaN(0x7fc00001) instead of NaN"]
        );
        assert_eq!(shown("a: f64 = 0", "a: f64 = -0.0"), ["`a` has the default -0.0 instead of 0.0"]);
    }

    /// Makes the changes one after the other, by a list of fields.
    fn changed(before: &Schema, differences: &[Difference], after: &Schema) -> Schema {
        fn place_of(fields: &[FieldSchema], name: &str) -> usize {
            fields.iter().position(|field| field.name() == name).unwrap()
        }
        let behind = |fields: &[FieldSchema], after: &Option<String>| {
            after.as_ref().map_or(0, |name| place_of(fields, name) + 1)
        };
        let mut fields = before.fields().to_vec();
        for difference in differences {
            match difference.clone() {
                Difference::Dropped { field } => drop(fields.remove(place_of(&fields, field.name()))),
                Difference::Added { field, after } => fields.insert(behind(&fields, &after), field),
                Difference::Moved { name, after } => {
                    let field = fields.remove(place_of(&fields, &name));
                    fields.insert(behind(&fields, &after), field);
                }
                Difference::TypeChanged { name, from, to } => {
                    let place = place_of(&fields, &name);
                    assert_eq!(std::mem::replace(&mut fields[place].field_type, to), from);
                    fields[place].default = after.field(&name).unwrap().default.clone();
                }
                Difference::NullabilityChanged { name, is_nullable } => {
                    let place = place_of(&fields, &name);
                    assert_ne!(std::mem::replace(&mut fields[place].is_nullable, is_nullable), is_nullable);
                    fields[place].default = after.field(&name).unwrap().default.clone();
                }
                Difference::KeyChanged { name, is_key } => {
                    let place = place_of(&fields, &name);
                    assert_ne!(std::mem::replace(&mut fields[place].is_key, is_key), is_key);
                }
                Difference::DefaultChanged { name, .. } => {
                    let place = place_of(&fields, &name);
                    fields[place].default = after.field(&name).unwrap().default.clone();
                }
                Difference::DocChanged { name, from, to } => {
                    let place = place_of(&fields, &name);
                    assert_eq!(std::mem::replace(&mut fields[place].doc, to), from);
                }
            }
        }
        Schema::new(fields).unwrap()
    }

    #[test]
    fn whoever_makes_the_changes_has_the_other_schema() {
        let mut random = Random(7);
        let mut moved_count = 0;
        for _ in 0..if cfg!(miri) { 20 } else { 10_000 } {
            let before = random_schema(&mut random);
            // Some fields of the one schema among those of another, in any order.
            let mut fields = random_schema(&mut random).fields().to_vec();
            let kept = before.fields().iter().filter(|_| random.below(4) > 0).cloned().collect::<Vec<_>>();
            for mut field in kept {
                fields.retain(|other| other.name() != field.name() && !(field.is_key && other.is_key));
                if random.below(3) == 0 {
                    field = field.with_doc("Changed.");
                }
                fields.insert(random.below(fields.len() + 1), field);
            }
            let after = Schema::new(fields).unwrap();
            let differences = before.difference(&after);
            assert_eq!(changed(&before, &differences, &after), after, "{before}\n{after}\n{differences:?}");
            assert_eq!(differences.is_empty(), before == after);
            assert_eq!(differences.iter().any(Difference::concerns_records), !before.same_records(&after));
            moved_count +=
                differences.iter().filter(|difference| matches!(difference, Difference::Moved { .. })).count();
        }
        assert!(cfg!(miri) || moved_count > 1_000, "{moved_count}");
    }

    /// Tries every choice of what stays.
    fn most_that_can_stay(positions: &[usize]) -> usize {
        let choices = (0_u32..1 << positions.len()).map(|choice| {
            let kept = |place: &usize| choice >> place & 1 == 1;
            (0..positions.len()).filter(kept).map(|place| positions[place]).collect::<Vec<_>>()
        });
        choices.filter(|kept| kept.is_sorted()).map(|kept| kept.len()).max().unwrap()
    }

    #[test]
    fn as_few_as_possible_are_moved() {
        let mut random = Random(8);
        for _ in 0..if cfg!(miri) { 5 } else { 500 } {
            let mut positions: Vec<usize> = (0..1 + random.below(9)).collect();
            for place in (1..positions.len()).rev() {
                positions.swap(place, random.below(place + 1));
            }
            let has_stayed = has_stayed(&positions);
            let kept: Vec<_> =
                positions.iter().zip(&has_stayed).filter(|(_, stays)| **stays).map(|(p, _)| *p).collect();
            assert!(kept.is_sorted(), "{positions:?}: {kept:?}");
            assert_eq!(kept.len(), most_that_can_stay(&positions), "{positions:?}");
        }
        assert_eq!(shown("a: u8, b: u8, c: u8", "c: u8, a: u8, b: u8"), ["`c` is at the beginning"]);
    }
}
