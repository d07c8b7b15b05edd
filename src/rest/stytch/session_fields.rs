//! What a request says about the session that it wants (contract, section 3.4).

use prost_types::{Duration, Struct};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::errors::said;
use crate::{
    proto::{SessionOptions, session_options::ExistingSession},
    rest::{failure::Refusal, incoming::Head, value::struct_of},
};

/// Names that tokens have other uses for. The dialect leaves them out silently.
const RESERVED_CLAIMS: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];
/// Names that the dialect keeps for itself.
const OWN_CLAIMS: &str = "https://stytch.com/";

/// The members about a session that many requests have.
#[expect(clippy::struct_field_names, reason = "the vendor's names")]
#[derive(Clone, Default, Deserialize)]
pub(super) struct SessionFields {
    session_duration_minutes: Option<i64>,
    pub(super) session_token: Option<String>,
    pub(super) session_jwt: Option<String>,
    session_custom_claims: Option<Map<String, Value>>,
}

/// A number of minutes as the API takes it, which also says whether it is in range.
pub(super) fn minutes(minutes: i64) -> Duration {
    Duration { seconds: minutes.saturating_mul(60), nanos: 0 }
}

impl SessionFields {
    /// How long the session shall last from now on.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.session_duration_minutes.map(minutes)
    }

    /// The session that the request names, to be joined.
    pub(super) fn existing(&self, head: &Head) -> Result<Option<ExistingSession>, Refusal> {
        match (self.session_token.clone(), self.session_jwt.clone()) {
            (Some(_), Some(_)) => Err(too_many(head)),
            (Some(token), None) => Ok(Some(ExistingSession::RefreshToken(token))),
            (None, Some(jwt)) => Ok(Some(ExistingSession::SessionToken(jwt))),
            (None, None) => Ok(None),
        }
    }

    /// How the session shall be opened: without a duration, and with none to join, there will be none.
    pub(super) fn options(&self, existing_session: Option<ExistingSession>) -> SessionOptions {
        let duration = self.duration();
        let without_session = duration.is_none() && existing_session.is_none();
        SessionOptions { duration, without_session, existing_session }
    }

    /// The claims for the session that `options` describe.
    pub(super) fn claims(&self, head: &Head, options: &SessionOptions) -> Result<Option<Struct>, Refusal> {
        if options.without_session {
            return Ok(None);
        }
        let claims = self.claims_to_merge(head)?;
        // A new session has nothing that a null could take away.
        Ok(if options.existing_session.is_none() { claims.map(without_nulls) } else { claims }
            .map(|map| struct_of(&map)))
    }

    /// The claims as they were given, less the names that are not theirs to set.
    pub(super) fn claims_to_merge(&self, head: &Head) -> Result<Option<Map<String, Value>>, Refusal> {
        let Some(mut claims) = self.session_custom_claims.clone() else { return Ok(None) };
        if claims.keys().any(|name| name.starts_with(OWN_CLAIMS)) {
            let message = format!("names of custom claims may not begin with {OWN_CLAIMS}");
            return Err(said(head, 400, "stytch_claims_in_custom_claims", &message));
        }
        claims.retain(|name, _| !RESERVED_CLAIMS.contains(&name.as_str()));
        Ok(Some(claims))
    }
}

/// A session is named by one thing.
pub(super) fn too_many(head: &Head) -> Refusal {
    said(head, 400, "too_many_session_arguments", "name the session by session_token or by session_jwt, not by both")
}

fn without_nulls(claims: Map<String, Value>) -> Map<String, Value> {
    let kept = claims.into_iter().filter(|(_, value)| !value.is_null());
    kept.map(|(name, value)| match value {
        Value::Object(object) => (name, Value::Object(without_nulls(object))),
        other => (name, other),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rest::value::object_of;

    fn head() -> Head {
        Head::new(http::Request::new(()).into_parts().0, "a-request".to_owned())
    }

    fn fields(value: Value) -> SessionFields {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn without_a_duration_there_is_no_session() {
        assert!(fields(json!({})).options(None).without_session);
        let wanted = fields(json!({"session_duration_minutes": 60})).options(None);
        assert_eq!((wanted.without_session, wanted.duration), (false, Some(Duration { seconds: 3600, nanos: 0 })));
        let joined = fields(json!({"session_token": "t"}));
        let existing = joined.existing(&head()).unwrap();
        assert!(!joined.options(existing).without_session, "an existing one is joined");
    }

    #[test]
    fn reserved_claims_are_left_out_and_those_of_the_dialect_refused() {
        let given = json!({"session_duration_minutes": 5, "session_custom_claims":
            {"iss": "me", "exp": 1, "role": "admin", "gone": null, "nested": {"kept": 1, "gone": null}}});
        let fields_given = fields(given);
        let claims = fields_given.claims(&head(), &fields_given.options(None)).unwrap();
        assert_eq!(Value::Object(object_of(claims.as_ref())), json!({"role": "admin", "nested": {"kept": 1}}));
        let own =
            fields(json!({"session_duration_minutes": 5, "session_custom_claims": {"https://stytch.com/session": {}}}));
        assert!(own.claims(&head(), &own.options(None)).is_err());
    }
}
