//! Users.

use super::timestamp;
use crate::{
    domain::{
        identifier::IdentifierKind,
        password::PasswordWeakness,
        user::{User, UserStatus},
    },
    json_struct::struct_of,
    proto,
};

/// A user as a message.
pub(in crate::grpc) fn user_message(user: User) -> proto::User {
    let display = |kind| user.identifier(kind).map(|known| known.identifier.display().to_owned());
    let verified = |kind| user.identifier(kind).is_some_and(|known| known.verified_at.is_some());
    let status = match user.status {
        UserStatus::Active => proto::UserStatus::Active,
        UserStatus::Disabled => proto::UserStatus::Disabled,
    };
    proto::User {
        user_id: user.id.to_string(),
        email: display(IdentifierKind::Email),
        email_verified: verified(IdentifierKind::Email),
        username: display(IdentifierKind::Username),
        phone_number: display(IdentifierKind::Phone),
        phone_number_verified: verified(IdentifierKind::Phone),
        status: status.into(),
        has_password: user.password.is_some(),
        password_must_change: user.password.is_some_and(|password| password.must_change),
        password_updated_at: user.password.map(|password| timestamp(password.updated_at)),
        external_id: user.external_id,
        created_at: Some(timestamp(user.created_at)),
        updated_at: Some(timestamp(user.updated_at)),
        last_signed_in_at: user.last_signed_in_at.map(timestamp),
        metadata: Some(struct_of(&user.profile.metadata)),
        untrusted_metadata: Some(struct_of(&user.profile.untrusted_metadata)),
        display_name: user.profile.display_name,
        middle_name: user.profile.middle_name,
        picture_url: user.profile.picture_url,
        given_name: user.profile.given_name,
        family_name: user.profile.family_name,
        locale: user.profile.locale,
    }
}

/// The rule that a weak password breaks.
pub(in crate::grpc) const fn password_rule(weakness: &PasswordWeakness) -> proto::PasswordRule {
    match weakness {
        PasswordWeakness::Common => proto::PasswordRule::TooCommon,
        PasswordWeakness::Similar => proto::PasswordRule::ResemblesIdentifier,
        PasswordWeakness::TooShort { .. } => proto::PasswordRule::TooShort,
    }
}
