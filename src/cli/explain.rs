//! Why a use case did not do what it was asked for, with what to do next.

use super::Usage;
use crate::usecase::Error;

/// The error of a use case as a person at the command line wants to read it.
pub(super) fn explain(error: Error) -> anyhow::Error {
    match error {
        Error::InvalidFields(violations) => {
            let fault = |fault: &crate::domain::violation::Violation| format!("{} {}", fault.field, fault.description);
            Usage(violations.iter().map(fault).collect::<Vec<_>>().join("; ")).into()
        }
        Error::PasswordRejected { weaknesses, .. } => {
            let faults: Vec<_> = weaknesses.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the password is not good enough: it {}; choose another one", faults.join(", and it "))
        }
        Error::ClientNotFound => anyhow::anyhow!("{error} in that project; `signet client list` shows them"),
        Error::ProjectNotFound => anyhow::anyhow!("{error}; `signet project list` shows them"),
        Error::SessionNotFound => {
            anyhow::anyhow!("{error} in that project; `signet session list` shows the live ones of a user")
        }
        Error::UserNotFound => anyhow::anyhow!("{error} in that project; `signet user list` shows them"),
        Error::IdentifierTaken { what, .. } => {
            anyhow::anyhow!("another user of the project has that {what}; see `signet user list`")
        }
        other => other.into(),
    }
}
