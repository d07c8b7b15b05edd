//! Projects and their settings.

use chrono::Duration;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{id::ProjectId, password::PasswordPolicy, signing_key::SigningAlgorithm, violation::Violation};
use crate::clock::Timestamp;

/// Longest name of a project or client, in bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// Most resources of a project.
pub const RESOURCES_MAX: usize = 50;
/// Longest audience, issuer or resource, in bytes.
pub const URI_BYTES_MAX: usize = 512;

/// An isolated pool of users.
#[derive(Clone, Debug)]
pub struct Project {
    /// Id.
    pub id: ProjectId,
    /// Name, for people.
    pub name: String,
    /// Settings.
    pub settings: ProjectSettings,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

impl Project {
    /// The audience of access tokens for which no resource was named.
    pub fn default_audience(&self) -> String {
        match self.settings.default_audience.as_str() {
            "" => self.id.to_string(),
            audience => audience.to_owned(),
        }
    }
}

/// Settings of a project. Stored as JSON; a member that an older version wrote without takes its default.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ProjectSettings {
    /// Algorithm of new signing keys.
    pub signing_algorithm: SigningAlgorithm,
    /// Rules for new passwords.
    pub password_policy: PasswordPolicy,
    /// Whether an email address has to be verified before the first tokens.
    pub require_email_verification: bool,
    /// Lifetime of access tokens.
    pub access_token_lifetime_seconds: u32,
    /// Lifetime of session tokens.
    pub session_token_lifetime_seconds: u32,
    /// A session unused this long ends.
    pub session_idle_lifetime_seconds: u32,
    /// A session ends after this long in any case.
    pub session_absolute_lifetime_seconds: u32,
    /// Audience for which no resource was named; empty for the project's id.
    pub default_audience: String,
    /// Resources that may be asked for.
    pub allowed_resources: Vec<String>,
    /// Issuer of the tokens; empty for the one derived from the public URL.
    pub issuer: String,
}

const MINUTE: u32 = 60;
const DAY: u32 = 24 * 60 * MINUTE;

impl Default for ProjectSettings {
    fn default() -> Self {
        Self {
            signing_algorithm: SigningAlgorithm::Rs256,
            password_policy: PasswordPolicy::Compatible,
            require_email_verification: true,
            access_token_lifetime_seconds: 60 * MINUTE,
            session_token_lifetime_seconds: 10 * MINUTE,
            session_idle_lifetime_seconds: 14 * DAY,
            session_absolute_lifetime_seconds: 28 * DAY,
            default_audience: String::new(),
            allowed_resources: Vec::new(),
            issuer: String::new(),
        }
    }
}

impl ProjectSettings {
    /// Everything that is out of range, each with the field of the proto's `ProjectSettings`.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let token_range = MINUTE..=DAY;
        let session_range = 5 * MINUTE..=366 * DAY;
        let ranges = [
            ("access_token_lifetime", self.access_token_lifetime_seconds, &token_range, "1 minute to 24 hours"),
            ("session_token_lifetime", self.session_token_lifetime_seconds, &token_range, "1 minute to 24 hours"),
            ("session_idle_lifetime", self.session_idle_lifetime_seconds, &session_range, "5 minutes to 366 days"),
            (
                "session_absolute_lifetime",
                self.session_absolute_lifetime_seconds,
                &session_range,
                "5 minutes to 366 days",
            ),
        ];
        for (field, seconds, range, words) in ranges {
            if !range.contains(&seconds) {
                found.push(Violation::new(format!("settings.{field}"), format!("must be {words}")));
            }
        }
        if self.allowed_resources.len() > RESOURCES_MAX {
            found.push(Violation::new("settings.allowed_resources", format!("must be at most {RESOURCES_MAX}")));
        }
        if let Some(error) = self.allowed_resources.iter().find_map(|resource| parse_resource(resource).err()) {
            found.push(Violation::new("settings.allowed_resources", error));
        }
        if !self.issuer.is_empty()
            && let Err(error) = parse_resource(&self.issuer)
        {
            found.push(Violation::new("settings.issuer", error));
        }
        if self.default_audience.len() > URI_BYTES_MAX || self.default_audience.chars().any(char::is_control) {
            found.push(Violation::new(
                "settings.default_audience",
                format!("must be at most {URI_BYTES_MAX} bytes without control characters"),
            ));
        }
        found
    }

    /// Lifetime of access tokens.
    pub fn access_token_lifetime(&self) -> Duration {
        Duration::seconds(self.access_token_lifetime_seconds.into())
    }

    /// Lifetime of session tokens.
    pub fn session_token_lifetime(&self) -> Duration {
        Duration::seconds(self.session_token_lifetime_seconds.into())
    }

    /// How long a token of this project can stay valid: how long a key is needed after it stopped signing.
    pub fn longest_token_lifetime(&self) -> Duration {
        self.access_token_lifetime().max(self.session_token_lifetime())
    }
}

/// The text is not a resource of RFC 8707, section 2.
#[derive(Debug, thiserror::Error)]
#[error("must be an absolute URI without a fragment, at most {URI_BYTES_MAX} bytes long")]
pub struct ParseResourceError;

/// Checks a resource indicator: an absolute URI without fragment.
pub fn parse_resource(text: &str) -> Result<(), ParseResourceError> {
    // The parser forgives white space and control characters, but the text itself is what tokens hold.
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    let fine = plain && text.len() <= URI_BYTES_MAX && Url::parse(text).is_ok_and(|url| url.fragment().is_none());
    if fine { Ok(()) } else { Err(ParseResourceError) }
}
