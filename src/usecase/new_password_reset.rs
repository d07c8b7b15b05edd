//! Writing down a password reset, whoever asked for it.

use std::ops::Range;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Error, Services};
use crate::{
    clock::Timestamp,
    crypto::{master_key::Purpose, secret_token::PlainSecret},
    domain::{
        challenge::{Challenge, PasswordReset, RESETS_MAX},
        code::Code,
        id::ChallengeId,
        identifier::Identifier,
        message::Message,
        project::Project,
        user::User,
    },
    store::Tx,
};

/// A reset to write down. The user's row is held.
pub(super) struct NewReset<'a> {
    pub(super) project: &'a Project,
    pub(super) user: &'a User,
    /// Version of the user's credential.
    pub(super) version: i32,
    pub(super) email: &'a Identifier,
    pub(super) token: &'a PlainSecret,
    /// The page with the token; none if there is a code, or no page.
    pub(super) link: Option<&'a str>,
    /// Belongs to the token, if that is not the whole secret.
    pub(super) code: Option<Code>,
    pub(super) validity: Range<Timestamp>,
}

impl NewReset<'_> {
    /// Writes it; the user's oldest make room.
    pub(super) async fn write(&self, services: &Services, tx: &Tx) -> Result<ChallengeId, Error> {
        let (now, id) = (self.validity.start, ChallengeId::generate(self.validity.start, &services.random));
        let code_hash = self.code.as_ref().map(|code| services.master_key.hash_code(Uuid::from(id), code.expose()));
        let kept = Kept { token: self.token.expose().into(), link: self.link.map(str::to_owned) };
        let reset = Challenge {
            id,
            project_id: self.project.id,
            user_id: self.user.id,
            credential_version: self.version,
            attempts_left: services.limits.code_attempts,
            issued_at: now,
            expires_at: self.validity.end,
            detail: PasswordReset {
                email: Some(self.email.canonical().to_owned()),
                sealed: if code_hash.is_none() { Some(kept.seal(services, id)?) } else { None },
                code_hash,
            },
        };
        tx.challenges().keep_newest_resets(self.user.id, RESETS_MAX - 1, now).await?;
        tx.challenges().insert_reset(&reset, &self.token.hash()).await?;
        Ok(id)
    }

    /// The mail about it.
    pub(super) fn message(&self, locale: Option<String>) -> Message {
        let project_name = self.project.name.clone();
        let valid_minutes = (self.validity.end - self.validity.start).num_minutes();
        let locale = locale.or_else(|| self.user.profile.locale.clone());
        match (self.link, self.code.as_ref().map(|code| code.expose().to_owned()).unwrap_or_default()) {
            (Some(link), _) => {
                Message::PasswordResetLink { link: link.to_owned(), project_name, valid_minutes, locale }
            }
            (None, code) => Message::PasswordResetCode { code, project_name, valid_minutes, locale },
        }
    }
}

/// A page with the token in its query.
pub(super) fn with_token(mut page: Url, token: &PlainSecret) -> String {
    page.query_pairs_mut().append_pair("token", token.expose());
    page.into()
}

/// What a back end may read again of a reset whose token is the whole secret.
pub(super) struct Kept {
    pub(super) token: SecretString,
    pub(super) link: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Sealed<'a> {
    token: &'a str,
    link: Option<&'a str>,
}

impl Kept {
    fn seal(&self, services: &Services, id: ChallengeId) -> Result<Vec<u8>, Error> {
        let sealed = Sealed { token: self.token.expose_secret(), link: self.link.as_deref() };
        let json = serde_json::to_vec(&sealed).map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(services.master_key.seal(Purpose::PasswordReset, id.into(), &Zeroizing::new(json), &services.random))
    }

    pub(super) fn open(services: &Services, id: ChallengeId, sealed: &[u8]) -> Result<Self, Error> {
        let json = services.master_key.open(Purpose::PasswordReset, id.into(), sealed);
        let json = json.map_err(|error| Error::Internal(Box::new(error)))?;
        let sealed: Sealed<'_> = serde_json::from_slice(&json).map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(Self { token: sealed.token.into(), link: sealed.link.map(str::to_owned) })
    }
}
