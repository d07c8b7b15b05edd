//! Who calls: `Bearer <project id>[:<credential>[:<key>]]` (contract, section 2).

use std::fmt;

use http::StatusCode;

use super::refusals::said;
use crate::{
    id_form,
    proto::{ClientContext, ErrorReason},
    rest::{
        failure::{Failure, Refusal},
        incoming::Head,
        reply::Reply,
    },
};

/// The cookie that holds the refresh token, where the client wants it there.
pub(super) const REFRESH_COOKIE: &str = "DSR";
/// Where the web library says which device it is; see `ClientContext.device_token`.
const KNOWN_DEVICE: &str = "x-descope-known-device-token";

/// What a call proves itself with.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Caller<'a> {
    /// The project's id in its own form.
    project: &'a str,
    /// A token of the end user.
    jwt: Option<&'a str>,
    /// The secret of a confidential client.
    key: Option<&'a str>,
    /// The refresh token of the cookie.
    cookie: Option<&'a str>,
}

/// All but the project is secret.
impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("project", &self.project).finish_non_exhaustive()
    }
}

impl<'a> Caller<'a> {
    pub(super) fn of(head: &'a Head) -> Result<Self, Refusal> {
        let mut parts = head.bearer().unwrap_or_default().splitn(3, ':');
        let project = parts.next().unwrap_or_default();
        if canonical_project(project).is_none() {
            return Err(said(StatusCode::UNAUTHORIZED, "E011005", "send the project id as bearer token").into());
        }
        let credential = parts.next().filter(|part| !part.is_empty());
        let key = parts.next().filter(|part| !part.is_empty());
        let cookie = head.cookie(REFRESH_COOKIE).filter(|value| !value.is_empty());
        Ok(match credential {
            Some(jwt) if is_compact_jws(jwt) => Self { project, jwt: Some(jwt), key, cookie },
            other => Self { project, jwt: None, key: key.or(other), cookie },
        })
    }

    /// The id of the project as the API knows it.
    pub(super) fn project_id(&self) -> String {
        canonical_project(self.project).unwrap_or_default()
    }

    /// What a management call proves itself with at the API.
    pub(super) fn management(&self) -> Result<String, Refusal> {
        let missing = || said(StatusCode::UNAUTHORIZED, "E111119", "this call needs a management key");
        Ok(self.with_key(self.key.ok_or_else(missing)?))
    }

    /// Makes a call on behalf of an application. Libraries that have a key send it with each call, so that it says nothing of who
    /// opened the session: it only counts where an application alone gets nowhere.
    pub(super) async fn as_application<T, A>(&self, call: impl Fn(String) -> A) -> Result<T, Refusal>
    where
        A: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        let failure = match call(format!("Bearer {}", self.project)).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => Failure::from(status),
        };
        match self.key {
            Some(key) if a_key_may_help(failure.reason) => Ok(call(self.with_key(key)).await?.into_inner()),
            _ => Err(Refusal::Api(Box::new(failure))),
        }
    }

    fn with_key(&self, key: &str) -> String {
        format!("Bearer {}:{key}", self.project)
    }

    /// The end user's token of the bearer.
    pub(super) fn jwt(&self) -> Result<String, Refusal> {
        Ok(self.jwt.ok_or_else(no_token)?.to_owned())
    }

    /// The refresh token: of the bearer, or else of the cookie.
    pub(super) fn refresh_token(&self) -> Result<String, Refusal> {
        Ok(self.jwt.or(self.cookie).ok_or_else(no_token)?.to_owned())
    }
}

fn no_token() -> Reply {
    said(StatusCode::UNAUTHORIZED, "E061005", "this call needs a token of the user")
}

/// The id of a project as the API knows it, if it has the form of one.
pub(super) fn canonical_project(text: &str) -> Option<String> {
    id_form::parse_descope('P', text).map(|id| id_form::canonical("project", id))
}

const fn a_key_may_help(reason: ErrorReason) -> bool {
    matches!(
        reason,
        ErrorReason::CallerUnauthenticated
            | ErrorReason::CallerNotPermitted
            | ErrorReason::SignUpNotAllowed
            // Of a session that was opened with the key.
            | ErrorReason::TokenInvalid
    )
}

/// True for three parts of base64url (RFC 7515, section 7.1). Our keys hold no dot.
fn is_compact_jws(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.split('.').count() == 3 && text.split('.').all(is_part)
}

/// What is known of the end user's connection. Only a browser tells of the end user; the `user-agent` of a back end is its own.
pub(super) fn client_context(head: &Head) -> ClientContext {
    let user_agent = head.header("origin").and_then(|_| head.header("user-agent")).unwrap_or_default();
    ClientContext {
        ip_address: String::new(),
        user_agent: user_agent.to_owned(),
        device_token: head.header(KNOWN_DEVICE).unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, header};

    use super::*;

    const PROJECT: &str = "P000000000000000000000000007";
    const JWT: &str = "eyJ.eyJ_-.c2ln";

    fn head(bearer: &str, cookie: &str) -> Head {
        let request = Request::builder().header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        let request = request.header(header::COOKIE, cookie).body(()).unwrap();
        Head::new(request.into_parts().0, String::new())
    }

    #[test]
    fn the_bearer_has_up_to_three_parts() {
        let table = [
            (PROJECT.to_owned(), None, None),
            (format!("{PROJECT}:"), None, None),
            (format!("{PROJECT}::"), None, None),
            (format!("{PROJECT}:{JWT}"), Some(JWT), None),
            (format!("{PROJECT}:key"), None, Some("key")),
            (format!("{PROJECT}:a.b"), None, Some("a.b")),
            (format!("{PROJECT}:{JWT}:key"), Some(JWT), Some("key")),
            (format!("{PROJECT}:{JWT}:"), Some(JWT), None),
            (format!("{PROJECT}::key"), None, Some("key")),
            (format!("{PROJECT}:one:two"), None, Some("two")),
        ];
        for (bearer, jwt, key) in table {
            let head = head(&bearer, "");
            let caller = Caller::of(&head).unwrap();
            assert_eq!(caller, Caller { project: PROJECT, jwt, key, cookie: None }, "{bearer}");
        }
        for bearer in ["", "project_00000000000000000000000007", "P7:key", JWT] {
            assert!(Caller::of(&head(bearer, "")).is_err(), "{bearer}");
        }
    }

    #[test]
    fn no_credential_is_printed() {
        let head = head(&format!("{PROJECT}:{JWT}:hushkey"), "DSR=hushcookie");
        let printed = format!("{:?}", Caller::of(&head).unwrap());
        assert!(printed.contains(PROJECT) && !printed.contains("hush") && !printed.contains(JWT), "{printed}");
    }

    #[test]
    fn the_token_of_the_bearer_wins_over_the_cookie() {
        let both = head(&format!("{PROJECT}:{JWT}"), "DSR=of-the-cookie");
        assert_eq!(Caller::of(&both).unwrap().refresh_token().unwrap(), JWT);
        let cookie = head(PROJECT, "other=1; DSR=of-the-cookie");
        assert_eq!(Caller::of(&cookie).unwrap().refresh_token().unwrap(), "of-the-cookie");
        assert!(Caller::of(&cookie).unwrap().jwt().is_err());
        assert!(Caller::of(&head(PROJECT, "DSR=")).unwrap().refresh_token().is_err());
    }
}
