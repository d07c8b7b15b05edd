//! `UserService`.

mod fields;
mod list;
mod verification;

use std::sync::Arc;

use tonic::{Request, Response, Status};

pub(super) use self::fields::new_user;
use self::{
    fields::{user_changes, user_id},
    list::{filter_from, page_from},
};
use super::{
    convert::{locale, timestamp, user_message},
    respond::{answer, open},
    sessions::except_session,
};
use crate::{
    domain::{password::Password, user::UserStatus, violation::InField as _},
    proto::{
        self, CreateUserRequest, CreateUserResponse, DeleteUserRequest, DeleteUserResponse, DisableUserRequest,
        DisableUserResponse, EnableUserRequest, EnableUserResponse, GetUserRequest, GetUserResponse, ListUsersRequest,
        ListUsersResponse, SendEmailVerificationRequest, SendEmailVerificationResponse, SetPasswordRequest,
        SetPasswordResponse, UpdateUserRequest, UpdateUserResponse, user_service_server::UserService,
    },
    usecase::{
        Error, Services,
        send_email_verification::send_email_verification,
        set_password::{NewPassword, PasswordExpectation, set_password},
        set_user_status::set_user_status,
        update_user::update_user,
        users::{count_users, create_user, delete_user, get_user, list_users},
    },
};

pub(super) struct UserApi(pub(super) Arc<Services>);

#[tonic::async_trait]
impl UserService for UserApi {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<CreateUserResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let user = create_user(&self.0, &call, new_user("", body)?).await?;
            Ok(CreateUserResponse { user: Some(user_message(user)) })
        };
        answer(&call, operation).await
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let user = get_user(&self.0, &call, user_id(&body.user_id)?).await?;
            Ok(GetUserResponse { user: Some(user_message(user)) })
        };
        answer(&call, operation).await
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let (page, include_total) = (page_from(&body)?, body.include_total);
            let filter = filter_from(body)?;
            let listed = list_users(&self.0, &call, page, &filter).await?.map(user_message);
            let total = if include_total { Some(count_users(&self.0, &call, &filter).await?) } else { None };
            Ok(ListUsersResponse {
                users: listed.items,
                next_page_token: listed.next_page_token,
                total: total.map(|total| i32::try_from(total).unwrap_or(i32::MAX)),
            })
        };
        answer(&call, operation).await
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<UpdateUserResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let paths = body.update_mask.unwrap_or_default().paths;
            let changes = user_changes(&paths, &body.user.unwrap_or_default())?;
            let user = update_user(&self.0, &call, user_id(&body.user_id)?, changes).await?;
            Ok(UpdateUserResponse { user: Some(user_message(user)) })
        };
        answer(&call, operation).await
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<DeleteUserResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            delete_user(&self.0, &call, user_id(&body.user_id)?).await?;
            Ok(DeleteUserResponse {})
        };
        answer(&call, operation).await
    }

    async fn disable_user(
        &self,
        request: Request<DisableUserRequest>,
    ) -> Result<Response<DisableUserResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let user = set_user_status(&self.0, &call, user_id(&body.user_id)?, UserStatus::Disabled).await?;
            Ok(DisableUserResponse { user: Some(user_message(user)) })
        };
        answer(&call, operation).await
    }

    async fn enable_user(&self, request: Request<EnableUserRequest>) -> Result<Response<EnableUserResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let user = set_user_status(&self.0, &call, user_id(&body.user_id)?, UserStatus::Active).await?;
            Ok(EnableUserResponse { user: Some(user_message(user)) })
        };
        answer(&call, operation).await
    }

    async fn set_password(
        &self,
        request: Request<SetPasswordRequest>,
    ) -> Result<Response<SetPasswordResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let new = NewPassword {
                password: Password::parse(&body.password).in_field("password")?,
                must_change: body.must_change,
                expectation: expectation_from(body.expectation)?,
                except: except_session(&body.except_session_id)?,
            };
            let user = set_password(&self.0, &call, user_id(&body.user_id)?, new).await?;
            Ok(SetPasswordResponse { user: Some(user_message(user)) })
        };
        answer(&call, operation).await
    }

    async fn send_email_verification(
        &self,
        request: Request<SendEmailVerificationRequest>,
    ) -> Result<Response<SendEmailVerificationResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let (user_id, locale) = (user_id(&body.user_id)?, locale("locale", Some(&body.locale))?);
            let sent = send_email_verification(&self.0, &call, user_id, locale).await?;
            Ok(SendEmailVerificationResponse {
                user: Some(user_message(sent.user)),
                code_expires_at: Some(timestamp(sent.expires_at)),
                email_verification_id: sent.id.to_string(),
            })
        };
        answer(&call, operation).await
    }

    async fn confirm_email_verification(
        &self,
        request: Request<proto::ConfirmEmailVerificationRequest>,
    ) -> Result<Response<proto::ConfirmEmailVerificationResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, verification::confirm_email_verification(&self.0, &call, body)).await
    }

    async fn get_email_verification(
        &self,
        request: Request<proto::GetEmailVerificationRequest>,
    ) -> Result<Response<proto::GetEmailVerificationResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, verification::get_email_verification(&self.0, &call, body)).await
    }

    async fn create_password_reset(
        &self,
        request: Request<proto::CreatePasswordResetRequest>,
    ) -> Result<Response<proto::CreatePasswordResetResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, verification::create_password_reset(&self.0, &call, body)).await
    }

    async fn get_password_reset(
        &self,
        request: Request<proto::GetPasswordResetRequest>,
    ) -> Result<Response<proto::GetPasswordResetResponse>, Status> {
        let (call, body) = open(request);
        answer(&call, verification::get_password_reset(&self.0, &call, body)).await
    }
}

fn expectation_from(expectation: i32) -> Result<PasswordExpectation, Error> {
    match proto::PasswordExpectation::try_from(expectation) {
        Ok(proto::PasswordExpectation::Unspecified) => Ok(PasswordExpectation::Anything),
        Ok(proto::PasswordExpectation::None) => Ok(PasswordExpectation::None),
        Ok(proto::PasswordExpectation::One) => Ok(PasswordExpectation::One),
        Err(_) => Err(Error::field("expectation", "is none of the expectations")),
    }
}
