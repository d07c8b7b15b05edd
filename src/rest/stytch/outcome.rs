//! What a sign-in came to, whichever call it was, and how each surface is told.

use chrono::DateTime;
use http::header;
use prost_types::Timestamp;

use super::{
    answer::{enveloped, success},
    caller::SESSION_COOKIE,
    objects::{Authenticated, end_of},
};
use crate::{
    proto::{
        CompletePasswordResetResponse, CookieHints, ReplacePasswordResponse, Session, SignInResponse, SignUpResponse,
        TokenDelivery, TokenSet, User,
    },
    rest::{incoming::Head, reply::Reply},
};

/// The cookie that holds a session JWT, in both ways of keeping it.
const JWT_COOKIE: &str = "stytch_session_jwt";
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// A sign-in.
pub(super) struct Outcome {
    user: User,
    session: Option<Session>,
    tokens: Option<TokenSet>,
    cookie: Option<CookieHints>,
    /// True if the answer names the address, as the one to a creation does.
    has_email_id: bool,
}

/// Every answer with a sign-in in it has these members.
macro_rules! outcome_of {
    ($($response:ty: $has_email_id:literal),*) => {
        $(impl From<$response> for Outcome {
            fn from(response: $response) -> Self {
                Self {
                    user: response.user.unwrap_or_default(),
                    session: response.session,
                    tokens: response.tokens,
                    cookie: response.refresh_token_cookie,
                    has_email_id: $has_email_id,
                }
            }
        })*
    };
}

outcome_of! {
    CompletePasswordResetResponse: false,
    ReplacePasswordResponse: false,
    SignInResponse: false,
    SignUpResponse: true
}

impl Outcome {
    fn into_body(self) -> Authenticated {
        let body = Authenticated::new(&self.user, self.session.as_ref(), self.tokens);
        if self.has_email_id { body.with_email_id(&self.user) } else { body }
    }

    /// The answer to a back end.
    pub(super) fn for_back_end(self, head: &Head) -> Reply {
        success(head, self.into_body())
    }

    /// The answer to a page. Where its client wants cookies, they hold the tokens and the body does not.
    pub(super) fn for_page(self, head: &Head) -> Reply {
        let wants_cookies = self.cookie.as_ref().is_some_and(|hints| hints.token_delivery() == TokenDelivery::Cookie);
        let ends = self.session.as_ref().and_then(end_of).filter(|_| wants_cookies).copied();
        let mut body = self.into_body();
        let Some(ends) = ends else { return enveloped(head, body) };
        let (token, jwt) = (std::mem::take(&mut body.session_token), std::mem::take(&mut body.session_jwt));
        with_cookies(enveloped(head, body), &token, &jwt, &ends)
    }
}

/// Gives the page its tokens where no script can read them.
pub(super) fn with_cookies(reply: Reply, token: &str, jwt: &str, ends: &Timestamp) -> Reply {
    [(SESSION_COOKIE, token), (JWT_COOKIE, jwt)]
        .into_iter()
        .fold(reply, |reply, (name, value)| reply.and(header::SET_COOKIE, &cookie(name, value, ends)))
}

/// Takes the tokens from the page.
pub(super) fn without_cookies(reply: Reply) -> Reply {
    with_cookies(reply, "", "", &Timestamp::default())
}

/// A cookie of this host alone (RFC 6265, section 4.1), until the session ends.
fn cookie(name: &str, value: &str, ends: &Timestamp) -> String {
    let ends = DateTime::from_timestamp(ends.seconds, 0).unwrap_or_default().format(HTTP_DATE);
    format!("{name}={value}; Path=/; Expires={ends}; Secure; HttpOnly; SameSite=Lax")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_ends_with_its_session() {
        let ends = Timestamp { seconds: 1_445_412_480, nanos: 0 };
        let expected =
            "stytch_session=t; Path=/; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Secure; HttpOnly; SameSite=Lax";
        assert_eq!(cookie(SESSION_COOKIE, "t", &ends), expected);
    }
}
