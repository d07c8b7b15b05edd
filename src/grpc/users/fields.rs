//! The fields of users, as requests hold them.

use crate::{
    domain::{
        id::UserId,
        identifier::{Identifier, IdentifierKind},
        password::Password,
        text::{parse_external_id, parse_web_url},
        user::{METADATA_BYTES_MAX, Metadata, NAME_BYTES_MAX, Profile},
        violation::InField as _,
    },
    grpc::convert::{id, locale, object_from, short_text, unknown_path},
    proto::{CreateUserRequest, UserUpdate},
    usecase::{
        Error,
        update_user::{MetadataChange, UserChanges},
        users::{NewUser, VouchedIdentifier},
    },
};

/// Masks that would say two things about one field.
const CONTRADICTING: [[&str; 2]; 2] =
    [["metadata", "metadata_merge"], ["untrusted_metadata", "untrusted_metadata_merge"]];

pub(super) fn user_id(text: &str) -> Result<UserId, Error> {
    id("user_id", text, UserId::parse)
}

/// Reads an identifier from the field `prefix` and the name of its kind.
pub(super) fn identifier(prefix: &str, kind: IdentifierKind, text: &str) -> Result<Identifier, Error> {
    Ok(Identifier::parse(kind, text).in_field(&format!("{prefix}{}", kind.as_str()))?)
}

/// Reads a user to create. Complaints name fields with `prefix` in front of them: `user.` where the message is a field itself.
pub(in crate::grpc) fn new_user(prefix: &str, body: CreateUserRequest) -> Result<NewUser, Error> {
    let named = |field: &str| format!("{prefix}{field}");
    let given = [
        (IdentifierKind::Email, &body.email, body.email_verified),
        (IdentifierKind::Username, &body.username, false),
        (IdentifierKind::Phone, &body.phone_number, body.phone_number_verified),
    ];
    let mut identifiers = Vec::new();
    for (kind, text, verified) in given {
        match text {
            Some(text) => {
                identifiers.push(VouchedIdentifier { identifier: identifier(prefix, kind, text)?, verified });
            }
            None if verified => {
                let field = named(&format!("{}_verified", kind.as_str()));
                return Err(Error::field(&field, format!("needs {} beside it", kind.as_str())));
            }
            None => {}
        }
    }
    if body.password_must_change && body.password.is_none() {
        return Err(Error::field(&named("password_must_change"), "needs password beside it"));
    }
    let name = |field: &str, text: Option<String>| short_text(&named(field), text, NAME_BYTES_MAX);
    Ok(NewUser {
        identifiers,
        password: body.password.map(|text| Password::parse(&text).in_field(&named("password"))).transpose()?,
        password_must_change: body.password_must_change,
        external_id: external_id(&named("external_id"), body.external_id.as_deref())?,
        profile: Profile {
            given_name: name("given_name", body.given_name)?,
            family_name: name("family_name", body.family_name)?,
            middle_name: name("middle_name", body.middle_name)?,
            display_name: name("display_name", body.display_name)?,
            picture_url: picture_url(&named("picture_url"), body.picture_url.as_deref())?,
            locale: locale(&named("locale"), body.locale.as_deref())?,
            metadata: metadata(&named("metadata"), body.metadata)?,
            untrusted_metadata: metadata(&named("untrusted_metadata"), body.untrusted_metadata)?,
        },
    })
}

/// An empty one is a mistake, unlike an empty name: a user would silently go without.
fn external_id(field: &str, text: Option<&str>) -> Result<Option<String>, Error> {
    Ok(text.map(parse_external_id).transpose().in_field(field)?)
}

/// The URL of a picture; empty counts as absent.
fn picture_url(field: &str, text: Option<&str>) -> Result<Option<String>, Error> {
    let text = text.filter(|text| !text.is_empty());
    Ok(text.map(parse_web_url).transpose().in_field(field)?)
}

fn metadata(field: &str, object: Option<prost_types::Struct>) -> Result<Metadata, Error> {
    let object = object_from(field, object)?;
    let bytes = serde_json::to_vec(&object).map_or(usize::MAX, |json| json.len());
    if bytes > METADATA_BYTES_MAX {
        return Err(Error::field(field, format!("must be at most {METADATA_BYTES_MAX} bytes of JSON")));
    }
    Ok(object)
}

/// What the mask names, taken from the message.
pub(super) fn user_changes(paths: &[String], user: &UserUpdate) -> Result<UserChanges, Error> {
    let named = |path: &str| paths.iter().any(|named| named == path);
    if paths.is_empty() {
        return Err(Error::field("update_mask", "must name at least one field of user"));
    }
    if let Some([whole, merged]) = CONTRADICTING.into_iter().find(|pair| pair.iter().all(|path| named(path))) {
        return Err(Error::field("update_mask", format!("must not name both {whole} and {merged}")));
    }
    let (vouch_email, vouch_phone) = (named("email_verified"), named("phone_number_verified"));
    let mut changes = UserChanges::default();
    for path in paths {
        let field = format!("user.{path}");
        let name = |text: &Option<String>| short_text(&field, text.clone(), NAME_BYTES_MAX);
        let object = |object: &Option<prost_types::Struct>| metadata(&field, object.clone());
        match path.as_str() {
            "email" => {
                let verified = user.email_verified && vouch_email;
                changes.identifiers.push(replaced(IdentifierKind::Email, user.email.as_deref(), verified)?);
            }
            "username" => {
                changes.identifiers.push(replaced(IdentifierKind::Username, user.username.as_deref(), false)?);
            }
            "phone_number" => {
                let verified = user.phone_number_verified && vouch_phone;
                changes.identifiers.push(replaced(IdentifierKind::Phone, user.phone_number.as_deref(), verified)?);
            }
            "email_verified" => changes.verified.push((IdentifierKind::Email, user.email_verified)),
            "phone_number_verified" => changes.verified.push((IdentifierKind::Phone, user.phone_number_verified)),
            "given_name" => changes.given_name = Some(name(&user.given_name)?),
            "family_name" => changes.family_name = Some(name(&user.family_name)?),
            "middle_name" => changes.middle_name = Some(name(&user.middle_name)?),
            "display_name" => changes.display_name = Some(name(&user.display_name)?),
            "picture_url" => changes.picture_url = Some(picture_url(&field, user.picture_url.as_deref())?),
            "external_id" => changes.external_id = Some(external_id(&field, user.external_id.as_deref())?),
            "locale" => changes.locale = Some(locale(&field, user.locale.as_deref())?),
            "metadata" => changes.metadata = Some(MetadataChange::Replace(object(&user.metadata)?)),
            "metadata_merge" => changes.metadata = Some(MetadataChange::Merge(object(&user.metadata_merge)?)),
            "untrusted_metadata" => {
                changes.untrusted_metadata = Some(MetadataChange::Replace(object(&user.untrusted_metadata)?));
            }
            "untrusted_metadata_merge" => {
                changes.untrusted_metadata = Some(MetadataChange::Merge(object(&user.untrusted_metadata_merge)?));
            }
            _ => return Err(unknown_path("field of user", path)),
        }
    }
    Ok(changes)
}

fn replaced(
    kind: IdentifierKind,
    text: Option<&str>,
    verified: bool,
) -> Result<(IdentifierKind, Option<VouchedIdentifier>), Error> {
    let identifier = text.map(|text| identifier("user.", kind, text)).transpose()?;
    Ok((kind, identifier.map(|identifier| VouchedIdentifier { identifier, verified })))
}
