//! `UserService`.

mod verification;

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{
    convert::{id, locale, object_from, page, short_text, timestamp, unknown_path, user_message},
    respond::{answer, open},
    sessions::except_session,
};
use crate::{
    domain::{
        id::UserId,
        identifier::{Identifier, IdentifierKind},
        password::Password,
        user::{METADATA_BYTES_MAX, NAME_BYTES_MAX, Profile, UserStatus},
        violation::InField as _,
    },
    proto::{
        self, CreateUserRequest, CreateUserResponse, DeleteUserRequest, DeleteUserResponse, DisableUserRequest,
        DisableUserResponse, EnableUserRequest, EnableUserResponse, GetUserRequest, GetUserResponse, ListUsersRequest,
        ListUsersResponse, SendEmailVerificationRequest, SendEmailVerificationResponse, SetPasswordRequest,
        SetPasswordResponse, UpdateUserRequest, UpdateUserResponse, UserUpdate, list_users_request,
        user_service_server::UserService,
    },
    usecase::{
        Error, Services,
        send_email_verification::send_email_verification,
        set_password::set_password,
        set_user_status::set_user_status,
        update_user::{UserChanges, update_user},
        users::{NewUser, VouchedIdentifier, create_user, delete_user, get_user, list_users},
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
        use list_users_request::Identifier as Given;
        let (call, body) = open(request);
        let operation = async {
            let page = page(body.page_size, &body.page_token)?;
            let identifier = match body.identifier {
                None => None,
                Some(Given::Email(text)) => Some(identifier(IdentifierKind::Email, &text)?),
                Some(Given::Username(text)) => Some(identifier(IdentifierKind::Username, &text)?),
                Some(Given::PhoneNumber(text)) => Some(identifier(IdentifierKind::Phone, &text)?),
                Some(list_users_request::Identifier::ExternalId(_)) => return Err(Error::NotSupported("external_id")),
            };
            let listed = list_users(&self.0, &call, page, identifier.as_ref()).await?.map(user_message);
            Ok(ListUsersResponse { users: listed.items, next_page_token: listed.next_page_token, total: None })
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
            let password = Password::parse(&body.password).in_field("password")?;
            let except = except_session(&body.except_session_id)?;
            let user = set_password(&self.0, &call, user_id(&body.user_id)?, password, except).await?;
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
            let (user, expires_at) = send_email_verification(&self.0, &call, user_id(&body.user_id)?).await?;
            Ok(SendEmailVerificationResponse {
                user: Some(user_message(user)),
                code_expires_at: Some(timestamp(expires_at)),
                email_verification_id: String::new(),
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

fn user_id(text: &str) -> Result<UserId, Error> {
    id("user_id", text, UserId::parse)
}

fn identifier(kind: IdentifierKind, text: &str) -> Result<Identifier, Error> {
    Ok(Identifier::parse(kind, text).in_field(kind.as_str())?)
}

/// Reads a user to create. Complaints name fields with `prefix` in front of them: `user.` where the message is a field itself.
pub(in crate::grpc) fn new_user(prefix: &str, body: CreateUserRequest) -> Result<NewUser, Error> {
    new_user_from(body).map_err(|error| error.within(prefix))
}

fn new_user_from(body: CreateUserRequest) -> Result<NewUser, Error> {
    let given = [
        (IdentifierKind::Email, &body.email, body.email_verified),
        (IdentifierKind::Username, &body.username, false),
        (IdentifierKind::Phone, &body.phone_number, body.phone_number_verified),
    ];
    let mut identifiers = Vec::new();
    for (kind, text, verified) in given {
        match text {
            Some(text) => identifiers.push(VouchedIdentifier { identifier: identifier(kind, text)?, verified }),
            None if verified => {
                let field = format!("{}_verified", kind.as_str());
                return Err(Error::field(&field, format!("needs {} beside it", kind.as_str())));
            }
            None => {}
        }
    }
    Ok(NewUser {
        identifiers,
        password: body.password.map(|text| Password::parse(&text).in_field("password")).transpose()?,
        password_must_change: body.password_must_change,
        profile: Profile {
            given_name: short_text("given_name", body.given_name, NAME_BYTES_MAX)?,
            family_name: short_text("family_name", body.family_name, NAME_BYTES_MAX)?,
            locale: locale("locale", body.locale.as_deref())?,
            metadata: metadata("metadata", body.metadata)?,
            ..Profile::default()
        },
        external_id: None,
    })
}

fn metadata(
    field: &str,
    object: Option<prost_types::Struct>,
) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    let object = object_from(field, object)?;
    let bytes = serde_json::to_vec(&object).map_or(usize::MAX, |json| json.len());
    if bytes > METADATA_BYTES_MAX {
        return Err(Error::field(field, format!("must be at most {METADATA_BYTES_MAX} bytes of JSON")));
    }
    Ok(object)
}

/// What the mask names, taken from the message.
fn user_changes(paths: &[String], user: &UserUpdate) -> Result<UserChanges, Error> {
    let named = |path: &str| paths.iter().any(|named| named == path);
    let mut changes = UserChanges::default();
    let text = |field: &str, text: &Option<String>, max| short_text(&format!("user.{field}"), text.clone(), max);
    if paths.is_empty() {
        return Err(Error::field("update_mask", "must name at least one field of user"));
    }
    for path in paths {
        match path.as_str() {
            "email" => changes.identifiers.push(replaced(
                IdentifierKind::Email,
                user.email.as_ref(),
                user.email_verified && named("email_verified"),
            )?),
            "username" => changes.identifiers.push(replaced(IdentifierKind::Username, user.username.as_ref(), false)?),
            "phone_number" => changes.identifiers.push(replaced(
                IdentifierKind::Phone,
                user.phone_number.as_ref(),
                user.phone_number_verified && named("phone_number_verified"),
            )?),
            "email_verified" => changes.verified.push((IdentifierKind::Email, user.email_verified)),
            "phone_number_verified" => changes.verified.push((IdentifierKind::Phone, user.phone_number_verified)),
            "given_name" => changes.given_name = Some(text(path, &user.given_name, NAME_BYTES_MAX)?),
            "family_name" => changes.family_name = Some(text(path, &user.family_name, NAME_BYTES_MAX)?),
            "locale" => changes.locale = Some(locale("user.locale", user.locale.as_deref())?),
            "metadata" => changes.metadata = Some(metadata("user.metadata", user.metadata.clone())?),
            _ => return Err(unknown_path("field of user", path)),
        }
    }
    Ok(changes)
}

fn replaced(
    kind: IdentifierKind,
    text: Option<&String>,
    verified: bool,
) -> Result<(IdentifierKind, Option<VouchedIdentifier>), Error> {
    let parse = |text: &String| Identifier::parse(kind, text).in_field(&format!("user.{}", kind.as_str()));
    let identifier = text.map(parse).transpose()?;
    Ok((kind, identifier.map(|identifier| VouchedIdentifier { identifier, verified })))
}
