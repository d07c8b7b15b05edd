//! Looking at a password that somebody thinks of setting.

use super::{Call, Error};
use crate::domain::{
    identifier::Identifier,
    password::{ParsePasswordError, Password, PasswordWeakness},
};

/// What a password that was typed falls short of.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Shortcoming {
    /// Longer than a password may be.
    #[error("{}", ParsePasswordError::TooLong)]
    TooLong,
    /// Against the project's policy.
    #[error(transparent)]
    Weak(PasswordWeakness),
}

/// Says which rules a password breaks; none if it would be taken.
pub fn check_new_password(call: &Call, text: &str, identifiers: &[Identifier]) -> Result<Vec<Shortcoming>, Error> {
    let policy = call.project()?.settings.password_policy;
    Ok(match Password::parse(text) {
        Ok(password) => policy.weaknesses(&password, identifiers).into_iter().map(Shortcoming::Weak).collect(),
        Err(error @ ParsePasswordError::Empty) => return Err(Error::field("password", error)),
        Err(ParsePasswordError::TooLong) => vec![Shortcoming::TooLong],
    })
}
