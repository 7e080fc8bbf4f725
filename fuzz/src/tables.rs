//! The stories of the test `model`, from the bytes of a fuzzer.

#[path = "../../tests/model/alterations.rs"]
mod alterations;
#[path = "../../tests/model/choices.rs"]
mod choices;
#[path = "../../tests/model/conditions.rs"]
mod conditions;
#[path = "../../tests/model/fields.rs"]
mod fields;
#[path = "../../tests/model/operations.rs"]
mod operations;
#[path = "../../tests/model/queries.rs"]
mod queries;
#[path = "../../tests/model/story.rs"]
mod story;
#[path = "../../tests/model/target.rs"]
mod target;
#[path = "../../tests/model/world.rs"]
mod world;

pub use choices::Choices;
pub use story::play;
