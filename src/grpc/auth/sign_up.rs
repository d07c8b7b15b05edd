//! Sign-up.

use super::{
    sign_in::{Answer, Opening, sign_in_wishes},
    token_wishes,
};
use crate::{
    grpc::{convert::end_user, users::new_user},
    proto::{SignUpRequest, SignUpResponse},
    usecase::{
        Call, Error, Services,
        sign_up::{SignUp, sign_up as sign_somebody_up},
    },
};

pub(super) async fn sign_up(services: &Services, call: &Call, body: SignUpRequest) -> Result<SignUpResponse, Error> {
    let choice = Opening::parse_new(body.session_options)?;
    let request = SignUp {
        wishes: sign_in_wishes(body.options, token_wishes(body.token_options)?, choice)?,
        user: new_user("user.", body.user.unwrap_or_default())?,
        end_user: end_user(body.client_context)?,
    };
    let signed_up = Answer::from(sign_somebody_up(services, call, request).await?, call);
    Ok(SignUpResponse {
        user: signed_up.user,
        session: signed_up.session,
        tokens: signed_up.tokens,
        refresh_token_cookie: signed_up.refresh_token_cookie,
        device_token: signed_up.device_token,
    })
}
