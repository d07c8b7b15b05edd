//! Complaints about a request, each naming its field.

use std::fmt::Display;

/// What is wrong with one field of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Path of the field in the request, as in the proto: `token_options.resource`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub description: String,
}

impl Violation {
    /// A complaint about `field`.
    pub fn new(field: impl Into<String>, description: impl Display) -> Self {
        Self { field: field.into(), description: description.to_string() }
    }
}

/// Adds the name of the field to the error of a parser.
pub trait InField<T> {
    /// Names the field the value came from.
    fn in_field(self, field: &str) -> Result<T, Violation>;
}

impl<T, E: Display> InField<T> for Result<T, E> {
    fn in_field(self, field: &str) -> Result<T, Violation> {
        self.map_err(|error| Violation::new(field, error))
    }
}
