//! Reading the caller's credentials from the `authorization` metadata, and holding them against what an RPC asks for.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::AUTHORIZATION};
use secrecy::ExposeSecret as _;

use crate::{
    crypto::{
        jwt,
        secret_token::{PlainSecret, SecretKind},
    },
    domain::{
        caller::Caller,
        client::{ClientType, TokenProfile},
        id::{ClientId, ProjectId},
    },
    id_form,
    proto::CallerKind,
    usecase::{
        Error, Services,
        authenticate_caller::{CallerCredentials, authenticate_caller},
    },
};

/// Longest id and secret that are looked at, encoded, in bytes.
const BASIC_BYTES_MAX: usize = 1024;
/// Longest token of a client that is looked at, in bytes. With an issuer and an audience of 512 bytes each and an RSA
/// signature one comes to less than 3 KiB; an audience that JSON has to escape makes it longer.
const TOKEN_BYTES_MAX: usize = 4096;

/// Finds out who is calling an RPC that is open to `kind`, and refuses those it is not open to.
pub(super) async fn caller_for(services: &Services, kind: CallerKind, headers: &HeaderMap) -> Result<Caller, Error> {
    if kind == CallerKind::Anyone {
        return Ok(Caller::Anonymous);
    }
    let credentials = credentials(headers).ok_or(Error::CallerUnauthenticated)?;
    let caller = authenticate_caller(services, &credentials).await?;
    if is_open_to(kind, &caller) { Ok(caller) } else { Err(Error::CallerNotPermitted) }
}

/// The client that the caller says it is, by an id with a secret or by a token; none of whoever says it in another way,
/// or is no client. Nothing of it was verified.
pub(super) fn claimed_client(headers: &HeaderMap) -> Option<ClientId> {
    match credentials(headers)? {
        CallerCredentials::Secret { client_id, .. } => ClientId::parse(&client_id).ok(),
        CallerCredentials::Token(token) => jwt::named_client(token.expose_secret()),
        // These name none: only the database knows whose they are.
        CallerCredentials::SecretAlone(_) | CallerCredentials::Project { .. } => None,
    }
}

/// True if such a caller may make such a call. What is not listed is refused.
fn is_open_to(kind: CallerKind, caller: &Caller) -> bool {
    match (kind, caller) {
        (CallerKind::Anyone, _)
        | (CallerKind::PublicClient, Caller::Client(_))
        | (CallerKind::Operator | CallerKind::ConfidentialClientOrOperator, Caller::Operator(_)) => true,
        (CallerKind::ConfidentialClient | CallerKind::ConfidentialClientOrOperator, Caller::Client(caller)) => {
            caller.client.client_type == ClientType::Confidential
        }
        _ => false,
    }
}

/// What the `authorization` header holds. Exactly one header, or none counts.
fn credentials(headers: &HeaderMap) -> Option<CallerCredentials> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("basic") {
        basic(credentials)
    } else if scheme.eq_ignore_ascii_case("bearer") {
        let is_short = credentials.len() <= TOKEN_BYTES_MAX;
        is_short.then(|| bearer(credentials.trim_start_matches(' ')))
    } else {
        None
    }
}

/// A secret alone, a project with a secret or without, or a token (RFC 6750): no text can be two of them.
fn bearer(text: &str) -> CallerCredentials {
    let (name, secret) = text.split_once(':').unwrap_or((text, ""));
    if let Some((project_id, profile)) = project(name) {
        return CallerCredentials::Project { project_id, profile, client_secret: secret.into() };
    }
    match PlainSecret::parse(SecretKind::ClientSecret, text) {
        Some(_) => CallerCredentials::SecretAlone(text.into()),
        None => CallerCredentials::Token(text.into()),
    }
}

/// A project by its id, and the profile that the form of the id belongs to.
fn project(id: &str) -> Option<(ProjectId, TokenProfile)> {
    if let Ok(id) = ProjectId::parse(id) {
        return Some((id, TokenProfile::Standard));
    }
    id_form::parse_descope('P', id).map(|id| (id.into(), TokenProfile::Descope))
}

/// `base64(id:secret)` (RFC 7617).
fn basic(encoded: &str) -> Option<CallerCredentials> {
    if encoded.len() > BASIC_BYTES_MAX {
        return None;
    }
    let decoded = zeroize::Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let (client_id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(CallerCredentials::Secret { client_id: client_id.to_owned(), client_secret: secret.to_owned().into() })
}
