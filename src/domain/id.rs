//! Ids: `UUIDv7` inside, `<prefix>_<26-character ULID>` outside, by a reversible encoding.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

use crate::{clock::Timestamp, id_form, random::Random};

/// The text is not an id of the wanted kind.
#[derive(Debug, thiserror::Error)]
#[error("is not an id: expected `{prefix}_` and 26 characters")]
pub struct ParseIdError {
    prefix: &'static str,
}

fn parse(prefix: &'static str, text: &str) -> Result<Uuid, ParseIdError> {
    id_form::parse_canonical(prefix, text).ok_or(ParseIdError { prefix })
}

fn at(time: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(time.timestamp_millis()).expect("the clock stands after 1970");
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, ordered by time.
            pub fn generate(now: Timestamp, random: &Random) -> Self {
                Self(at(now, random.bytes()))
            }

            /// Reads the outside form.
            pub fn parse(text: &str) -> Result<Self, ParseIdError> {
                parse($prefix, text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&id_form::canonical($prefix, self.0))
            }
        }
    )+};
}

ids! {
    /// Id of a challenge.
    ChallengeId = "challenge";
    /// Id of a client.
    ClientId = "client";
    /// Id of a client's secret.
    ClientSecretId = "secret";
    /// Id of a device that a user signed in on.
    DeviceId = "device";
    /// Id of a code on its way to an email address: a challenge, as its owner's back end knows it.
    EmailVerificationId = "email_verification";
    /// Id of an event.
    EventId = "event";
    /// Id of a mail in the outbox.
    MailId = "mail";
    /// Id of a password reset: a challenge, as its owner's back end knows it.
    PasswordResetId = "password_reset";
    /// Id of a project.
    ProjectId = "project";
    /// Id of a session.
    SessionId = "session";
    /// Id of a signing key, the `kid` of its tokens.
    SigningKeyId = "key";
    /// Id of a user.
    UserId = "user";
}

/// In its outside form.
impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_outside_form_is_reversible(raw: u128) {
            let id = UserId::from(Uuid::from_u128(raw));
            prop_assert_eq!(UserId::parse(&id.to_string()).unwrap(), id);
        }

        #[test]
        fn what_parses_is_the_only_spelling(text in "user_[0-9A-Za-z]{24,28}") {
            if let Ok(id) = UserId::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn ids_are_ordered_by_time() {
        let (random, now) = (Random::seeded(1), Timestamp::from_timestamp_millis(1_800_000_000_123).unwrap());
        let before = now - chrono::Duration::milliseconds(1);
        for _ in 0..1000 {
            assert!(UserId::generate(before, &random) < UserId::generate(now, &random));
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id = UserId::from(Uuid::from_u128(7)).to_string();
        assert!(SessionId::parse(&id).is_err());
        assert!(UserId::parse(&id.to_lowercase()).is_err() || id == id.to_lowercase());
        assert!(UserId::parse("user_8ZZZZZZZZZZZZZZZZZZZZZZZZZ").is_err());
        assert!(UserId::parse("").is_err());
    }
}
