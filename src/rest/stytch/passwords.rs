//! Passwords, as both surfaces ask for them (contract, sections 4.1 and 6.4).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    errors::said,
    outcome::Outcome,
    session_fields::{SessionFields, minutes},
    site::Site,
};
use crate::{
    proto::{
        CompletePasswordResetRequest, CreateUserRequest, ReplacePasswordRequest, SessionOptions, SignInOptions,
        SignInRequest, SignUpRequest, session_options::ExistingSession,
    },
    rest::{api::Api, connection::Attributes, failure::Refusal, incoming::Head, text::filled, value::struct_of},
};

/// The parameter by which a page tells what a link has brought.
const TOKEN_TYPE: &str = "stytch_token_type";

/// A user's names.
#[expect(clippy::struct_field_names, reason = "the vendor's names")]
#[derive(Clone, Default, Deserialize)]
pub(super) struct NameFields {
    pub(super) first_name: Option<String>,
    pub(super) middle_name: Option<String>,
    pub(super) last_name: Option<String>,
}

/// Body of `POST /v1/passwords`.
#[derive(Deserialize)]
pub(super) struct Create {
    email: String,
    password: String,
    name: Option<NameFields>,
    trusted_metadata: Option<Map<String, Value>>,
    untrusted_metadata: Option<Map<String, Value>>,
    #[serde(flatten)]
    session: SessionFields,
}

/// Body of `POST /v1/passwords/authenticate`.
#[derive(Deserialize)]
pub(super) struct Authenticate {
    email: String,
    password: String,
    #[serde(flatten)]
    pub(super) session: SessionFields,
}

/// Body of `POST /v1/passwords/email/reset`.
#[derive(Deserialize)]
pub(super) struct EmailReset {
    token: String,
    password: String,
    code_verifier: Option<String>,
    attributes: Option<Attributes>,
    options: Option<MatchOptions>,
    #[serde(flatten)]
    session: SessionFields,
}

/// What the end user's connection shall have in common with the one that the mail was asked from.
#[derive(Deserialize)]
pub(super) struct MatchOptions {
    ip_match_required: Option<bool>,
    user_agent_match_required: Option<bool>,
}

/// Body of `POST /v1/passwords/existing_password/reset`.
#[derive(Deserialize)]
pub(super) struct ExistingPasswordReset {
    email: String,
    existing_password: String,
    new_password: String,
    #[serde(flatten)]
    session: SessionFields,
}

/// Body of `POST /v1/passwords/email/reset/start`.
#[derive(Deserialize)]
pub(super) struct StartReset {
    pub(super) email: String,
    pub(super) reset_password_redirect_url: Option<String>,
    reset_password_expiration_minutes: Option<i64>,
    pub(super) locale: Option<String>,
    code_challenge: Option<String>,
    pub(super) attributes: Option<Attributes>,
}

/// An address, which this dialect means by `email`: what has no `@` would be looked up as a name of another kind.
pub(super) fn email(head: &Head, email: String) -> Result<String, Refusal> {
    if email.contains('@') { Ok(email) } else { Err(said(head, 400, "invalid_email", "this is no email address")) }
}

/// Creates a user with a password.
pub(super) async fn create(api: &Api, site: &Site<'_>, body: Create) -> Result<Outcome, Refusal> {
    let name = body.name.unwrap_or_default();
    let user = CreateUserRequest {
        email: Some(body.email),
        password: Some(body.password),
        given_name: filled(name.first_name),
        middle_name: filled(name.middle_name),
        family_name: filled(name.last_name),
        metadata: body.trusted_metadata.as_ref().map(struct_of),
        untrusted_metadata: body.untrusted_metadata.as_ref().map(struct_of),
        ..CreateUserRequest::default()
    };
    let session_options = body.session.options(None);
    let request = SignUpRequest {
        user: Some(user),
        options: options(site, &body.session, &session_options)?,
        client_context: site.connection.clone(),
        session_options: Some(session_options),
        ..SignUpRequest::default()
    };
    Ok(api.auth.clone().sign_up(site.call(request)).await?.into_inner().into())
}

/// Signs in by a password, and joins `existing` if there is one.
pub(super) async fn authenticate(
    api: &Api,
    site: &Site<'_>,
    body: &Authenticate,
    existing: Option<ExistingSession>,
) -> Result<Outcome, Refusal> {
    let session_options = body.session.options(existing);
    let request = SignInRequest {
        login_id: email(site.head(), body.email.clone())?,
        password: body.password.clone(),
        options: options(site, &body.session, &session_options)?,
        client_context: site.connection.clone(),
        session_options: Some(session_options),
    };
    Ok(api.auth.clone().sign_in(site.call(request)).await?.into_inner().into())
}

/// Sets a new password by the token from a mail. Whatever sessions there were end, so there is none to join.
pub(super) async fn complete_reset(api: &Api, site: &Site<'_>, body: EmailReset) -> Result<Outcome, Refusal> {
    if body.code_verifier.is_some() {
        let message = "this reset was started without a code_challenge";
        return Err(said(site.head(), 400, "pkce_did_not_expect_code_verifier", message));
    }
    let wants = |option: Option<bool>| option.unwrap_or(false);
    if body.options.is_some_and(|options| wants(options.ip_match_required) || wants(options.user_agent_match_required))
    {
        let message = "this service does not compare the connection with the one that the mail was asked from";
        return Err(said(site.head(), 400, "bad_request", message));
    }
    let session_options = body.session.options(None);
    let custom_claims = body.session.claims(site.head(), &session_options)?;
    let request = CompletePasswordResetRequest {
        password_reset_token: body.token,
        new_password: body.password,
        client_context: body.attributes.map(Into::into).or_else(|| site.connection.clone()),
        session_options: Some(session_options).filter(|options| !options.without_session),
        custom_claims,
        ..CompletePasswordResetRequest::default()
    };
    Ok(api.auth.clone().complete_password_reset(site.call(request)).await?.into_inner().into())
}

/// Sets a new password by the one of today. Whatever sessions there were end, so there is none to join.
pub(super) async fn replace(api: &Api, site: &Site<'_>, body: ExistingPasswordReset) -> Result<Outcome, Refusal> {
    let session_options = body.session.options(None);
    let request = ReplacePasswordRequest {
        login_id: email(site.head(), body.email)?,
        current_password: body.existing_password,
        new_password: body.new_password,
        options: options(site, &body.session, &session_options)?,
        client_context: site.connection.clone(),
        session_options: Some(session_options),
        ..ReplacePasswordRequest::default()
    };
    Ok(api.auth.clone().replace_password(site.call(request)).await?.into_inner().into())
}

fn options(
    site: &Site<'_>,
    fields: &SessionFields,
    session_options: &SessionOptions,
) -> Result<Option<SignInOptions>, Refusal> {
    let custom_claims = fields.claims(site.head(), session_options)?;
    Ok(Some(SignInOptions { custom_claims, ..SignInOptions::default() }))
}

impl StartReset {
    /// Where the link leads. The application tells by the parameter what it was sent.
    pub(super) fn page(&self, head: &Head) -> Result<String, Refusal> {
        if self.code_challenge.is_some() {
            return Err(said(head, 400, "bad_request", "code_challenge is not supported for password resets"));
        }
        let Some(page) = self.reset_password_redirect_url.as_deref().filter(|page| !page.is_empty()) else {
            return Ok(String::new());
        };
        let wrong = || said(head, 400, "invalid_password_reset_redirect_url", "the redirect URL is no absolute URL");
        let mut page = url::Url::parse(page).map_err(|_| wrong())?;
        if !page.query_pairs().any(|(name, _)| name == TOKEN_TYPE) {
            page.query_pairs_mut().append_pair(TOKEN_TYPE, "reset_password");
        }
        Ok(page.into())
    }

    /// How long the link is good.
    pub(super) fn lifetime(&self) -> Option<prost_types::Duration> {
        self.reset_password_expiration_minutes.map(minutes)
    }

    /// The refusal of a page, which the dialect names differently where none was given.
    pub(super) fn refused_page(&self, head: &Head, refusal: Refusal) -> Refusal {
        let is_about_the_page = matches!(&refusal, Refusal::Api(failure)
            if failure.reason == crate::proto::ErrorReason::PasswordResetUrlNotAllowed);
        if is_about_the_page && self.reset_password_redirect_url.is_none() {
            let message = "the project has no page for password resets: name one of its password_reset_urls";
            return said(head, 400, "no_password_reset_redirect_url", message);
        }
        refusal
    }
}
