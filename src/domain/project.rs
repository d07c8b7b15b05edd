//! Projects and their settings.

use chrono::Duration;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    id::ProjectId,
    origin::{is_allowed, is_loopback, parse_allowed_origin},
    password::PasswordPolicy,
    refresh::RefreshPolicy,
    signing_key::SigningAlgorithm,
    violation::Violation,
};
use crate::clock::Timestamp;

/// Longest name of a project or client, in bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// Most resources, and most pages for password resets, of a project.
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

    /// The audience of tokens with which clients call this service itself: the default one, unless that is also a resource
    /// that can be asked for. What was given to a resource must not open this service to it.
    pub fn own_audience(&self) -> String {
        let audience = self.default_audience();
        if self.settings.allowed_resources.contains(&audience) { self.id.to_string() } else { audience }
    }
}

/// Settings of a project. Stored as JSON; a member that an older version wrote without takes its default.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "settings: each is one a project chooses by itself")]
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
    /// Whether a refresh replaces the refresh token.
    pub rotate_refresh_tokens: bool,
    /// How long a replaced refresh token still gets its successor.
    pub refresh_grace_seconds: u32,
    /// How old the newest key may become before its successor is made by itself; 0 for never.
    pub key_rotation_interval_seconds: u32,
    /// Pages that links for a password reset may lead to; the first is the default.
    pub password_reset_urls: Vec<String>,
    /// Web pages whose scripts may call from a browser, by their origins.
    pub allowed_origins: Vec<String>,
    /// Whether public clients may sign users up.
    pub allow_sign_up: bool,
    /// Pages that a browser may be sent to after signing out by a link; the first is the default.
    pub sign_out_urls: Vec<String>,
    /// Whether codes and links are left to the project's back ends to mail.
    pub application_sends_mail: bool,
}

/// Longest lifetime of a token that settings allow: how long a key is needed after it stopped signing.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::hours(24);
/// How long after its end a token still stands for its session, where it opens nothing: to renew a session token, and to sign out.
/// Bounded, so that it does not hang on how long the key it was signed with happens to be kept.
pub const LATE_TOKEN_MAX: Duration = Duration::hours(24);
/// Longest lifetime of a session, and so of a refresh token.
pub const SESSION_LIFETIME_MAX: Duration = Duration::days(366);

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
            rotate_refresh_tokens: true,
            refresh_grace_seconds: 30,
            key_rotation_interval_seconds: 0,
            password_reset_urls: Vec::new(),
            allowed_origins: Vec::new(),
            allow_sign_up: false,
            sign_out_urls: Vec::new(),
            application_sends_mail: false,
        }
    }
}

impl ProjectSettings {
    /// Everything that is out of range, each with the field of the proto's `ProjectSettings`.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = self.durations_out_of_range();
        let mut complain =
            |field: &str, problem: String| found.push(Violation::new(format!("settings.{field}"), problem));
        for (field, list) in [
            ("allowed_resources", &self.allowed_resources),
            ("password_reset_urls", &self.password_reset_urls),
            ("allowed_origins", &self.allowed_origins),
            ("sign_out_urls", &self.sign_out_urls),
        ] {
            if list.len() > RESOURCES_MAX {
                complain(field, format!("must be at most {RESOURCES_MAX}"));
            }
        }
        if let Some(error) = self.allowed_resources.iter().find_map(|resource| parse_resource(resource).err()) {
            complain("allowed_resources", error.to_string());
        }
        if let Some(error) = self.password_reset_urls.iter().find_map(|url| parse_page(url).err()) {
            complain("password_reset_urls", error.to_string());
        }
        if let Some(error) = self.allowed_origins.iter().find_map(|origin| parse_allowed_origin(origin).err()) {
            complain("allowed_origins", error.to_string());
        }
        if let Some(error) = self.sign_out_urls.iter().find_map(|url| parse_page(url).err()) {
            complain("sign_out_urls", error.to_string());
        }
        if !self.issuer.is_empty()
            && let Err(error) = parse_resource(&self.issuer)
        {
            complain("issuer", error.to_string());
        }
        if self.default_audience.len() > URI_BYTES_MAX || self.default_audience.chars().any(char::is_control) {
            complain("default_audience", format!("must be at most {URI_BYTES_MAX} bytes without control characters"));
        }
        found
    }

    fn durations_out_of_range(&self) -> Vec<Violation> {
        let token = (MINUTE..=DAY, "1 minute to 24 hours");
        let session = (5 * MINUTE..=366 * DAY, "5 minutes to 366 days");
        let rotation = self.key_rotation_interval_seconds;
        let durations = [
            ("access_token_lifetime", self.access_token_lifetime_seconds, &token),
            ("session_token_lifetime", self.session_token_lifetime_seconds, &token),
            ("session_idle_lifetime", self.session_idle_lifetime_seconds, &session),
            ("session_absolute_lifetime", self.session_absolute_lifetime_seconds, &session),
            ("refresh_grace_period", self.refresh_grace_seconds, &(0..=10 * MINUTE, "0 to 10 minutes")),
            (
                "key_rotation_interval",
                // 0 is for never.
                if rotation == 0 { 7 * DAY } else { rotation },
                &(7 * DAY..=366 * DAY, "7 to 366 days, or 0 for never"),
            ),
        ];
        let wrong = durations.into_iter().filter(|(_, seconds, (range, _))| !range.contains(seconds));
        wrong
            .map(|(field, _, (_, words))| Violation::new(format!("settings.{field}"), format!("must be {words}")))
            .collect()
    }

    /// True if scripts of pages of that origin may call, as a browser sends it in `Origin`.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.allowed_origins.iter().any(|allowed| is_allowed(allowed, origin))
    }

    /// How refresh tokens are handled.
    pub fn refresh_policy(&self) -> RefreshPolicy {
        RefreshPolicy {
            rotates: self.rotate_refresh_tokens,
            grace: Duration::seconds(self.refresh_grace_seconds.into()),
        }
    }

    /// Lifetime of access tokens.
    pub fn access_token_lifetime(&self) -> Duration {
        Duration::seconds(self.access_token_lifetime_seconds.into())
    }

    /// How long a session may go unused.
    pub fn session_idle_lifetime(&self) -> Duration {
        Duration::seconds(self.session_idle_lifetime_seconds.into())
    }

    /// Lifetime of session tokens.
    pub fn session_token_lifetime(&self) -> Duration {
        Duration::seconds(self.session_token_lifetime_seconds.into())
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

/// The text is not the address of a page that a mail may lead to.
#[derive(Debug, thiserror::Error)]
#[error("must be an absolute https URL without a fragment (http for loopback), at most {URI_BYTES_MAX} bytes long")]
pub struct ParsePageError;

/// Checks the address of a page that secrets are passed to: nobody on the way may read them.
fn parse_page(text: &str) -> Result<(), ParsePageError> {
    parse_resource(text).map_err(|_| ParsePageError)?;
    let url = Url::parse(text).map_err(|_| ParsePageError)?;
    let is_fine = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    if is_fine && url.host().is_some() { Ok(()) } else { Err(ParsePageError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_travel_to_encrypted_pages_only() {
        let fine = [
            "https://app.example/reset",
            "https://app.example/reset?from=mail",
            "http://localhost:3000/reset",
            "http://[::1]/",
        ];
        assert!(fine.into_iter().all(|url| parse_page(url).is_ok()));
        let wrong = [
            "http://app.example/reset",
            "https://app.example/#reset",
            "javascript:alert(1)",
            "/reset",
            "ftp://app.example",
            "",
        ];
        assert!(wrong.into_iter().all(|url| parse_page(url).is_err()));
    }
}
