//! What an operator can do about an event.

use crate::domain::event::{Cause, EventKind, RecordedEvent};

/// What to do next, if there is anything to do.
pub(super) fn advice(kind: EventKind, cause: Option<Cause>, event: &RecordedEvent) -> Option<String> {
    let project = event.project_id;
    let text = match (kind, cause) {
        (EventKind::PasswordFailed | EventKind::PasswordResetFailed, Some(Cause::UnknownUser)) => {
            format!(
                "Look whether the user is there under another name, or in another project: `signet user list --project {project}`. \
                 What was typed is not recorded."
            )
        }
        (_, Some(Cause::UserDisabled)) if kind != EventKind::SessionRevoked => {
            "The user signs in again after the RPC `EnableUser`.".to_owned()
        }
        (EventKind::PasswordFailed, Some(Cause::NoPassword)) => {
            format!(
                "Give the user a password: `signet user set-password --project {project} --user {}`.",
                event.user_id.map_or_else(|| "USER".to_owned(), |id| id.to_string())
            )
        }
        (EventKind::PasswordFailed, Some(Cause::WrongPassword | Cause::CallerLeft)) => {
            "The user may reset the password. Many of these for one user or address are guesses; docs/security.md says how they \
             are slowed down."
                .to_owned()
        }
        (_, Some(Cause::Throttled)) => {
            "Wait: what is slowed down, and until when, stands below as long as it lasts. Attempts meanwhile do not prolong it. A new \
             password forgets the failures at the old one."
                .to_owned()
        }
        (EventKind::ThrottleTripped, _) => {
            "If it was the user, nothing: it passes. If not, look where the attempts come from.".to_owned()
        }
        (EventKind::EmailCodeFailed | EventKind::PasswordResetFailed | EventKind::PendingAuthenticationFailed, _) => {
            "The user starts again; the code or link of the last mail is the one that counts.".to_owned()
        }
        (EventKind::MailGivenUp, _) => {
            "Look for `gave up a mail` in the log; check --smtp-url and the mail server's own log.".to_owned()
        }
        (EventKind::EmailCodeSent | EventKind::PasswordResetStarted, _) => {
            "If the mail did not arrive: its state stands below for seven days after it was sent or given up. Nothing below means \
             that the project's back ends mail it themselves, or that it is longer ago."
                .to_owned()
        }
        (EventKind::PendingAuthenticationStarted, Some(Cause::PasswordChange)) => {
            "The user sets a new password with the token of the answer, within five minutes.".to_owned()
        }
        (EventKind::PendingAuthenticationStarted, _) => {
            "The user types the code that was mailed: look at the event of the mail.".to_owned()
        }
        (EventKind::RefreshReused, _) => {
            "The user signs in again. Either a token was stolen, or the client repeated a refresh later than the grace period."
                .to_owned()
        }
        _ => return None,
    };
    Some(text)
}
