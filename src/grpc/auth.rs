//! `AuthService`.

mod email_codes;
mod passwords;
mod sessions;
mod settings;
mod sign_up;

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use tonic::{Request, Response, Status};

use super::{
    convert::{
        self, complete_password_reset_from, cookie_hints, end_user, id, locale, object_from, seconds_until,
        session_message, start_password_reset_from, timestamp, token_set, user_message,
    },
    respond::{answer, open},
};
use crate::{
    crypto::{
        json_web_key::{JsonWebKey, PublicKey},
        jwt::TokenKind,
    },
    domain::{
        bucket::Guarded,
        challenge::{SignInWishes, TokenWishes},
        claims::{ClaimsRequest, CustomClaims},
        client::TokenDelivery,
        code::{Code, VERIFICATION_DIGITS},
        id::SessionId,
        identifier::{Identifier, IdentifierKind},
        password::Password,
        project::parse_resource,
        session::SessionDuration,
        violation::InField as _,
    },
    proto::{
        self, AuthenticateEmailVerificationRequest, AuthenticateEmailVerificationResponse, AuthenticatePasswordRequest,
        AuthenticatePasswordResponse, AuthenticateSessionRequest, AuthenticateSessionResponse,
        CompletePasswordResetRequest, CompletePasswordResetResponse, GetJsonWebKeySetRequest, GetJsonWebKeySetResponse,
        IssueClientTokenRequest, IssueClientTokenResponse, RefreshTokensRequest, RefreshTokensResponse, SignInRequest,
        SignInResponse, SignOutRequest, SignOutResponse, StartPasswordResetRequest, StartPasswordResetResponse,
        auth_service_server::AuthService, authenticate_password_request, authenticate_session_request,
        sign_out_request,
    },
    usecase::{
        Call, Error, Services,
        authenticate_email_verification::{EmailVerification, authenticate_email_verification},
        authenticate_session::{SessionCredential, SessionWishes, authenticate_session},
        complete_password_reset::complete_password_reset,
        issue_client_token::issue_client_token,
        json_web_keys::json_web_keys,
        refresh_tokens::{Refresh, refresh_tokens},
        sign_in::{PasswordSignIn, sign_in},
        sign_out::sign_out,
        start_password_reset::start_password_reset,
    },
};

pub(super) struct AuthApi(pub(super) Arc<Services>);

#[tonic::async_trait]
impl AuthService for AuthApi {
    async fn authenticate_password(
        &self,
        request: Request<AuthenticatePasswordRequest>,
    ) -> Result<Response<AuthenticatePasswordResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let signed_in = sign_in(&self.0, &call, password_sign_in(body)?).await?;
            Ok(AuthenticatePasswordResponse {
                tokens: Some(token_set(&signed_in.tokens)),
                user: Some(user_message(signed_in.user)),
                session: Some(session_message(signed_in.session)),
                first_seen: signed_in.first_seen,
                device_token: signed_in.device_token.expose_secret().into(),
            })
        };
        answer(&call, operation).await
    }

    async fn authenticate_email_verification(
        &self,
        request: Request<AuthenticateEmailVerificationRequest>,
    ) -> Result<Response<AuthenticateEmailVerificationResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            if body.pending_authentication_token.is_empty() {
                return Err(Error::field("pending_authentication_token", "must not be empty"));
            }
            let step = EmailVerification {
                code: Code::parse(&body.code, VERIFICATION_DIGITS).in_field("code")?,
                pending_token: body.pending_authentication_token.into(),
                end_user: end_user(body.client_context)?,
            };
            let signed_in = authenticate_email_verification(&self.0, &call, step).await?;
            Ok(AuthenticateEmailVerificationResponse {
                tokens: Some(token_set(&signed_in.tokens)),
                refresh_token_cookie: Some(cookie_hints(&signed_in.tokens, delivery(&call))),
                user: Some(user_message(signed_in.user)),
                session: Some(session_message(signed_in.session)),
                first_seen: signed_in.first_seen,
                device_token: signed_in.device_token.expose_secret().into(),
            })
        };
        answer(&call, operation).await
    }

    async fn sign_in(&self, request: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let signed_in = sign_in(&self.0, &call, login_sign_in(body)?).await?;
            Ok(SignInResponse {
                tokens: Some(token_set(&signed_in.tokens)),
                refresh_token_cookie: Some(cookie_hints(&signed_in.tokens, delivery(&call))),
                user: Some(user_message(signed_in.user)),
                session: Some(session_message(signed_in.session)),
                first_seen: signed_in.first_seen,
                device_token: signed_in.device_token.expose_secret().into(),
            })
        };
        answer(&call, operation).await
    }

    async fn refresh_tokens(
        &self,
        request: Request<RefreshTokensRequest>,
    ) -> Result<Response<RefreshTokensResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            if body.refresh_token.is_empty() {
                return Err(Error::field("refresh_token", "must not be empty"));
            }
            let wishes = TokenWishes { session_token: body.include_session_token, ..token_wishes(body.token_options)? };
            let request = Refresh { token: body.refresh_token.into(), wishes };
            let refreshed = refresh_tokens(&self.0, &call, request).await?;
            Ok(RefreshTokensResponse {
                tokens: Some(token_set(&refreshed.tokens)),
                refresh_token_cookie: Some(cookie_hints(&refreshed.tokens, delivery(&call))),
                user: Some(user_message(refreshed.user)),
                session: Some(session_message(refreshed.session)),
            })
        };
        answer(&call, operation).await
    }

    async fn issue_client_token(
        &self,
        request: Request<IssueClientTokenRequest>,
    ) -> Result<Response<IssueClientTokenResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let issued_at = self.0.clock.now();
            let issued = issue_client_token(&self.0, &call, resource("resource", body.resource)?).await?;
            Ok(IssueClientTokenResponse {
                access_token: issued.token.expose_secret().to_owned(),
                expires_in_seconds: convert::seconds_until(issued_at, issued.expires_at),
                token_type: "Bearer".into(),
            })
        };
        answer(&call, operation).await
    }

    async fn start_password_reset(
        &self,
        request: Request<StartPasswordResetRequest>,
    ) -> Result<Response<StartPasswordResetResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let started = start_password_reset(&self.0, &call, start_password_reset_from(body)?).await?;
            Ok(StartPasswordResetResponse {
                password_reset_token: started.token.map(|token| token.expose_secret().to_owned()).unwrap_or_default(),
                expires_at: Some(timestamp(started.expires_at)),
            })
        };
        answer(&call, operation).await
    }

    async fn complete_password_reset(
        &self,
        request: Request<CompletePasswordResetRequest>,
    ) -> Result<Response<CompletePasswordResetResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let user = complete_password_reset(&self.0, &call, complete_password_reset_from(body)?).await?;
            Ok(CompletePasswordResetResponse { user: Some(user_message(user)), ..Default::default() })
        };
        answer(&call, operation).await
    }

    async fn authenticate_session(
        &self,
        request: Request<AuthenticateSessionRequest>,
    ) -> Result<Response<AuthenticateSessionResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let credential = session_credential(body.credential.map(Into::into))?;
            let duration = body.session_duration.map(|given| SessionDuration::parse(given.seconds, given.nanos));
            let wishes = SessionWishes {
                duration: duration.transpose().in_field("session_duration")?,
                renew_session_token: body.renew_session_token,
            };
            let live = authenticate_session(&self.0, &call, credential, wishes).await?;
            let (now, fresh) = (live.checked_at, live.session_token);
            Ok(AuthenticateSessionResponse {
                user: Some(user_message(live.user)),
                session: Some(session_message(live.session)),
                token_expires_in: live.token_expires_at.map(|end| convert::duration(now, end)),
                session_token_expires_in_seconds: fresh.as_ref().map_or(0, |t| seconds_until(now, t.expires_at)),
                session_token: fresh.map(|fresh| fresh.token.expose_secret().into()),
            })
        };
        answer(&call, operation).await
    }

    async fn sign_out(&self, request: Request<SignOutRequest>) -> Result<Response<SignOutResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let credential = session_credential(body.credential.map(Into::into))?;
            sign_out(&self.0, &call, credential).await?;
            Ok(SignOutResponse::default())
        };
        answer(&call, operation).await
    }

    async fn get_json_web_key_set(
        &self,
        request: Request<GetJsonWebKeySetRequest>,
    ) -> Result<Response<GetJsonWebKeySetResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let project_id = settings::project_or_only(&body.project_id)?;
            let keys = json_web_keys(&self.0, project_id).await?;
            Ok(GetJsonWebKeySetResponse { keys: keys.into_iter().map(Into::into).collect() })
        };
        answer(&call, operation).await
    }

    async fn sign_up(&self, request: Request<proto::SignUpRequest>) -> Result<Response<proto::SignUpResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, sign_up::sign_up(&self.0, &call, body)).await
    }

    async fn replace_password(
        &self,
        request: Request<proto::ReplacePasswordRequest>,
    ) -> Result<Response<proto::ReplacePasswordResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, passwords::replace_password(&self.0, &call, body)).await
    }

    async fn change_password(
        &self,
        request: Request<proto::ChangePasswordRequest>,
    ) -> Result<Response<proto::ChangePasswordResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, passwords::change_password(&self.0, &call, body)).await
    }

    async fn check_new_password(
        &self,
        request: Request<proto::CheckNewPasswordRequest>,
    ) -> Result<Response<proto::CheckNewPasswordResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, passwords::check_new_password(&self.0, &call, body)).await
    }

    async fn start_email_verification(
        &self,
        request: Request<proto::StartEmailVerificationRequest>,
    ) -> Result<Response<proto::StartEmailVerificationResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, email_codes::start_email_verification(&self.0, &call, body)).await
    }

    async fn authenticate_email_code(
        &self,
        request: Request<proto::AuthenticateEmailCodeRequest>,
    ) -> Result<Response<proto::AuthenticateEmailCodeResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, email_codes::authenticate_email_code(&self.0, &call, body)).await
    }

    async fn get_sign_in_settings(
        &self,
        request: Request<proto::GetSignInSettingsRequest>,
    ) -> Result<Response<proto::GetSignInSettingsResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, settings::get_sign_in_settings(&self.0, &call, body)).await
    }

    async fn resume_session(
        &self,
        request: Request<proto::ResumeSessionRequest>,
    ) -> Result<Response<proto::ResumeSessionResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, sessions::resume_session(&self.0, &call, body)).await
    }

    async fn end_session(
        &self,
        request: Request<proto::EndSessionRequest>,
    ) -> Result<Response<proto::EndSessionResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, sessions::end_session(&self.0, &call, body)).await
    }

    async fn get_user_info(
        &self,
        request: Request<proto::GetUserInfoRequest>,
    ) -> Result<Response<proto::GetUserInfoResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, sessions::get_user_info(&self.0, &call, body)).await
    }

    async fn get_provider_metadata(
        &self,
        request: Request<proto::GetProviderMetadataRequest>,
    ) -> Result<Response<proto::GetProviderMetadataResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, settings::get_provider_metadata(&self.0, &body)).await
    }
}

/// Where the calling client wants its tokens.
fn delivery(call: &Call) -> proto::TokenDelivery {
    let delivery = call.client().map_or(TokenDelivery::Body, |caller| caller.client.token_delivery);
    convert::delivery_message(delivery)
}

fn password_sign_in(body: AuthenticatePasswordRequest) -> Result<PasswordSignIn, Error> {
    use authenticate_password_request::Identifier as Given;
    let (kind, text) = match body.identifier {
        Some(Given::Email(text)) => (IdentifierKind::Email, text),
        Some(Given::Username(text)) => (IdentifierKind::Username, text),
        Some(Given::PhoneNumber(text)) => (IdentifierKind::Phone, text),
        None => return Err(Error::field("identifier", "set one of email, username and phone_number")),
    };
    Ok(PasswordSignIn {
        identifier: Identifier::parse(kind, &text).in_field(kind.as_str())?,
        password: Password::parse(&body.password).in_field("password")?,
        wishes: SignInWishes { tokens: token_wishes(body.token_options)?, ..SignInWishes::default() },
        end_user: end_user(body.client_context)?,
        guarded: Guarded::AuthenticatePassword,
    })
}

fn token_wishes(options: Option<proto::TokenOptions>) -> Result<TokenWishes, Error> {
    let options = options.unwrap_or_default();
    let resource = resource("token_options.resource", options.resource)?;
    let field = "token_options.claims";
    let claims = ClaimsRequest::parse(object_from(field, options.claims)?).in_field(field)?;
    Ok(TokenWishes { id_token: options.include_id_token, session_token: false, resource, claims })
}

/// A resource indicator, if there is one.
fn resource(field: &'static str, text: String) -> Result<Option<String>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    parse_resource(&text).in_field(field)?;
    Ok(Some(text))
}

fn login_sign_in(body: SignInRequest) -> Result<PasswordSignIn, Error> {
    let options = body.options.unwrap_or_default();
    let unsupported = [
        (options.step_up, "options.step_up"),
        (options.additional_factor, "options.additional_factor"),
        (!options.organization_id.is_empty(), "options.organization_id"),
    ];
    if let Some((_, field)) = unsupported.into_iter().find(|(asked, _)| *asked) {
        return Err(Error::NotSupported(field));
    }
    let field = "options.custom_claims";
    let wishes = SignInWishes {
        tokens: TokenWishes { session_token: true, ..TokenWishes::default() },
        custom_claims: CustomClaims::parse(object_from(field, options.custom_claims)?).in_field(field)?,
        revoke_other_sessions: options.revoke_other_sessions,
        locale: locale("options.locale", Some(&options.locale))?,
    };
    Ok(PasswordSignIn {
        identifier: Identifier::parse_login_id(&body.login_id).in_field("login_id")?,
        password: Password::parse(&body.password).in_field("password")?,
        wishes,
        end_user: end_user(body.client_context)?,
        guarded: Guarded::SignIn,
    })
}

/// What stands for a session, as both messages spell it.
enum Presented {
    RefreshToken(String),
    Token(&'static str, TokenKind, String),
    Id(String),
}

impl From<authenticate_session_request::Credential> for Presented {
    fn from(credential: authenticate_session_request::Credential) -> Self {
        use authenticate_session_request::Credential;
        match credential {
            Credential::AccessToken(token) => Self::Token("access_token", TokenKind::Access, token),
            Credential::SessionToken(token) => Self::Token("session_token", TokenKind::Session, token),
            Credential::SessionId(id) => Self::Id(id),
            Credential::RefreshToken(token) => Self::RefreshToken(token),
        }
    }
}

impl From<sign_out_request::Credential> for Presented {
    fn from(credential: sign_out_request::Credential) -> Self {
        use sign_out_request::Credential;
        match credential {
            Credential::AccessToken(token) => Self::Token("access_token", TokenKind::Access, token),
            Credential::SessionToken(token) => Self::Token("session_token", TokenKind::Session, token),
            Credential::SessionId(id) => Self::Id(id),
            Credential::RefreshToken(token) => Self::RefreshToken(token),
        }
    }
}

fn session_credential(presented: Option<Presented>) -> Result<SessionCredential, Error> {
    match presented {
        None => Err(Error::field("credential", "set one of access_token, session_token and session_id")),
        Some(Presented::RefreshToken(token)) if token.is_empty() => {
            Err(Error::field("refresh_token", "must not be empty"))
        }
        Some(Presented::RefreshToken(token)) => Ok(SessionCredential::RefreshToken(token.into())),
        Some(Presented::Token(field, _, token)) if token.is_empty() => Err(Error::field(field, "must not be empty")),
        Some(Presented::Token(_, kind, token)) => Ok(SessionCredential::Token(kind, token.into())),
        Some(Presented::Id(text)) => Ok(SessionCredential::Id(id("session_id", &text, SessionId::parse)?)),
    }
}

impl From<JsonWebKey> for proto::JsonWebKey {
    fn from(key: JsonWebKey) -> Self {
        let (x5c, x5t_s256) = key.certificate.map(|made| (made.x5c, made.x5t_s256)).unzip();
        let message = Self {
            kid: key.kid,
            alg: key.alg.as_str().into(),
            r#use: key.key_use.into(),
            x5c: x5c.into_iter().collect(),
            x5t_s256,
            ..Self::default()
        };
        match key.public {
            PublicKey::Ec { crv, x, y } => {
                Self { kty: "EC".into(), crv: Some(crv.into()), x: Some(x), y: Some(y), ..message }
            }
            PublicKey::Okp { crv, x } => Self { kty: "OKP".into(), crv: Some(crv.into()), x: Some(x), ..message },
            PublicKey::Rsa { n, e } => Self { kty: "RSA".into(), n: Some(n), e: Some(e), ..message },
        }
    }
}
