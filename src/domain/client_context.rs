//! The end user's connection, as the caller reports it.

use std::net::IpAddr;

use secrecy::{ExposeSecret as _, SecretString};

/// Longest user agent that is kept, in bytes.
pub const USER_AGENT_BYTES_MAX: usize = 512;
/// Longest device token that is looked at, in bytes: ours are shorter.
pub const DEVICE_TOKEN_BYTES_MAX: usize = 256;

/// The end user, as the caller reports them.
#[derive(Clone, Debug, Default)]
pub struct EndUser {
    /// Their connection: this is what sessions keep.
    pub context: ClientContext,
    /// Proof that they signed in on this device before.
    pub device_token: Option<DeviceToken>,
}

/// A device token as presented. Worth something only once it is verified; never printed, never stored.
#[derive(Clone, Debug)]
pub struct DeviceToken(SecretString);

impl DeviceToken {
    /// Takes what a caller sent; none if it cannot be one.
    pub fn presented(text: String) -> Option<Self> {
        let text = SecretString::from(text);
        (1..=DEVICE_TOKEN_BYTES_MAX).contains(&text.expose_secret().len()).then_some(Self(text))
    }

    /// The text, to be verified.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The end user's connection. Never guessed from the caller's own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientContext {
    /// IP address of the end user.
    pub ip_address: Option<IpAddr>,
    /// `User-Agent` of the end user.
    pub user_agent: Option<String>,
}

impl ClientContext {
    /// Reads the two texts; empty means unknown.
    pub fn parse(ip_address: &str, user_agent: &str) -> Result<Self, std::net::AddrParseError> {
        let ip_address = if ip_address.is_empty() { None } else { Some(ip_address.parse::<IpAddr>()?.to_canonical()) };
        let end = user_agent.floor_char_boundary(USER_AGENT_BYTES_MAX);
        let user_agent: String = user_agent[..end].chars().filter(|c| !c.is_control()).collect();
        Ok(Self { ip_address, user_agent: (!user_agent.is_empty()).then_some(user_agent) })
    }

    /// This one where it knows something, else the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { ip_address: self.ip_address.or(other.ip_address), user_agent: self.user_agent.or(other.user_agent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_address_it_maps() {
        let context = ClientContext::parse("::ffff:192.0.2.1", "").unwrap();
        assert_eq!(context.ip_address.unwrap().to_string(), "192.0.2.1");
    }

    #[test]
    fn a_long_user_agent_is_cut_between_characters() {
        let context = ClientContext::parse("", &"é".repeat(USER_AGENT_BYTES_MAX)).unwrap();
        assert_eq!(context.user_agent.unwrap().len(), USER_AGENT_BYTES_MAX);
        assert!(ClientContext::parse("192.0.2.1:80", "").is_err());
    }

    #[test]
    fn a_device_token_is_bounded_and_not_printed() {
        let token = |length: usize| DeviceToken::presented("s".repeat(length));
        assert!(token(0).is_none() && token(DEVICE_TOKEN_BYTES_MAX + 1).is_none());
        let user = EndUser { device_token: token(DEVICE_TOKEN_BYTES_MAX), ..EndUser::default() };
        assert!(user.device_token.is_some() && !format!("{user:?}").contains("sss"));
    }
}
