//! `AuthService`.

mod email_codes;
mod passwords;
mod sessions;
mod settings;
mod sign_in;
mod sign_up;

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use tonic::{Request, Response, Status};

use super::{
    convert::{
        self, cookie_hints, id, object_from, session_message, start_password_reset_from, timestamp, token_set,
        user_message,
    },
    respond::{answer, open},
};
use crate::{
    crypto::json_web_key::{JsonWebKey, PublicKey},
    domain::{
        challenge::TokenWishes, claims::ClaimsRequest, client::TokenDelivery, id::ClientId, project::parse_resource,
        violation::InField as _,
    },
    proto::{
        self, AuthenticateEmailVerificationRequest, AuthenticateEmailVerificationResponse, AuthenticatePasswordRequest,
        AuthenticatePasswordResponse, AuthenticateSessionRequest, AuthenticateSessionResponse,
        CompletePasswordResetRequest, CompletePasswordResetResponse, GetJsonWebKeySetRequest, GetJsonWebKeySetResponse,
        IssueClientTokenRequest, IssueClientTokenResponse, RefreshTokensRequest, RefreshTokensResponse, SignInRequest,
        SignInResponse, SignOutRequest, SignOutResponse, StartPasswordResetRequest, StartPasswordResetResponse,
        auth_service_server::AuthService,
    },
    usecase::{
        Call, Error, Services,
        issue_client_token::issue_client_token,
        json_web_keys::{json_web_keys, json_web_keys_of_client},
        refresh_tokens::{Refresh, refresh_tokens},
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
        answer(&call, sign_in::authenticate_password(&self.0, &call, body)).await
    }

    async fn authenticate_email_verification(
        &self,
        request: Request<AuthenticateEmailVerificationRequest>,
    ) -> Result<Response<AuthenticateEmailVerificationResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, sign_in::authenticate_email_verification(&self.0, &call, body)).await
    }

    async fn sign_in(&self, request: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, sign_in::sign_in(&self.0, &call, body)).await
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
        answer(&call, passwords::complete_password_reset(&self.0, &call, body)).await
    }

    async fn authenticate_session(
        &self,
        request: Request<AuthenticateSessionRequest>,
    ) -> Result<Response<AuthenticateSessionResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, sessions::authenticate_session(&self.0, &call, body)).await
    }

    async fn sign_out(&self, request: Request<SignOutRequest>) -> Result<Response<SignOutResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, sessions::sign_out(&self.0, &call, body)).await
    }

    async fn get_json_web_key_set(
        &self,
        request: Request<GetJsonWebKeySetRequest>,
    ) -> Result<Response<GetJsonWebKeySetResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let keys = if body.client_id.is_empty() {
                json_web_keys(&self.0, settings::project_or_only(&body.project_id)?).await?
            } else if body.project_id.is_empty() {
                json_web_keys_of_client(&self.0, id("client_id", &body.client_id, ClientId::parse)?).await?
            } else {
                return Err(Error::field("client_id", "must be empty beside project_id"));
            };
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
        answer(&call, async { passwords::check_new_password(&call, body) }).await
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
        let (call, _) = open(request);
        answer(&call, async { settings::get_sign_in_settings(&call) }).await
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
