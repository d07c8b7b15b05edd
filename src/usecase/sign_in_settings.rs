//! What a sign-in page has to know of its project.

use super::{Call, Error};
use crate::domain::{
    id::ProjectId,
    password::{PASSWORD_BYTES_MAX, PasswordPolicy},
};

/// What a sign-in page has to know of its project.
#[derive(Debug)]
pub struct SignInSettings {
    /// The project.
    pub project_id: ProjectId,
    /// Its name.
    pub project_name: String,
    /// Rules for new passwords.
    pub password_policy: PasswordPolicy,
    /// Longest password, in bytes.
    pub password_bytes_max: usize,
    /// Whether public clients may sign users up.
    pub allow_sign_up: bool,
    /// Whether an unverified email address stops a sign-in by this client.
    pub require_email_verification: bool,
}

/// The settings as they hold for the client that calls.
pub fn sign_in_settings(call: &Call) -> Result<SignInSettings, Error> {
    let caller = call.client()?;
    let settings = &caller.project.settings;
    Ok(SignInSettings {
        project_id: caller.project.id,
        project_name: caller.project.name.clone(),
        password_policy: settings.password_policy,
        password_bytes_max: PASSWORD_BYTES_MAX,
        allow_sign_up: settings.allow_sign_up,
        require_email_verification: settings.require_email_verification
            && caller.client.token_profile.asks_for_verified_email(),
    })
}
