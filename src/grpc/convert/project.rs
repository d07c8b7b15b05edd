//! Projects, settings, clients.

use prost_types::Duration;

use super::{timestamp, unknown_path};
use crate::{
    domain::{
        client::{Client, ClientSecret, ClientType, RefreshTokenFormat, TokenDelivery, TokenProfile},
        password::PasswordPolicy,
        project::{Project, ProjectSettings},
        signing_key::SigningAlgorithm,
    },
    proto,
    usecase::{Error, clients::ClientWithSecrets},
};

/// A project as a message.
pub(in crate::grpc) fn project_message(project: Project) -> proto::Project {
    proto::Project {
        project_id: project.id.to_string(),
        name: project.name,
        settings: Some(settings_message(project.settings)),
        created_at: Some(timestamp(project.created_at)),
        updated_at: Some(timestamp(project.updated_at)),
    }
}

fn settings_message(settings: ProjectSettings) -> proto::ProjectSettings {
    let seconds = |seconds: u32| Some(Duration { seconds: seconds.into(), nanos: 0 });
    let algorithm = match settings.signing_algorithm {
        SigningAlgorithm::EdDsa => proto::SigningAlgorithm::Eddsa,
        SigningAlgorithm::Es256 => proto::SigningAlgorithm::Es256,
        SigningAlgorithm::Rs256 => proto::SigningAlgorithm::Rs256,
    };
    let policy = match settings.password_policy {
        PasswordPolicy::Compatible => proto::PasswordPolicy::Compatible,
        PasswordPolicy::Nist80063b4 => proto::PasswordPolicy::Nist80063b4,
    };
    proto::ProjectSettings {
        signing_algorithm: algorithm.into(),
        password_policy: policy.into(),
        require_email_verification: Some(settings.require_email_verification),
        access_token_lifetime: seconds(settings.access_token_lifetime_seconds),
        session_token_lifetime: seconds(settings.session_token_lifetime_seconds),
        session_idle_lifetime: seconds(settings.session_idle_lifetime_seconds),
        session_absolute_lifetime: seconds(settings.session_absolute_lifetime_seconds),
        default_audience: settings.default_audience,
        allowed_resources: settings.allowed_resources,
        issuer: settings.issuer,
        rotate_refresh_tokens: Some(settings.rotate_refresh_tokens),
        refresh_grace_period: seconds(settings.refresh_grace_seconds),
        key_rotation_interval: seconds(settings.key_rotation_interval_seconds),
        password_reset_urls: settings.password_reset_urls,
        allowed_origins: settings.allowed_origins,
        allow_sign_up: Some(settings.allow_sign_up),
        sign_out_urls: settings.sign_out_urls,
        application_sends_mail: Some(settings.application_sends_mail),
    }
}

/// Every setting, by its name in the proto.
const SETTINGS: [&str; 18] = [
    "signing_algorithm",
    "password_policy",
    "require_email_verification",
    "access_token_lifetime",
    "session_token_lifetime",
    "session_idle_lifetime",
    "session_absolute_lifetime",
    "default_audience",
    "allowed_resources",
    "issuer",
    "rotate_refresh_tokens",
    "refresh_grace_period",
    "key_rotation_interval",
    "password_reset_urls",
    "allowed_origins",
    "allow_sign_up",
    "sign_out_urls",
    "application_sends_mail",
];

/// The settings of a new project: what the message leaves out has its default.
pub(in crate::grpc) fn settings_from(message: Option<&proto::ProjectSettings>) -> Result<ProjectSettings, Error> {
    let mut settings = ProjectSettings::default();
    if let Some(message) = message {
        SETTINGS.into_iter().try_for_each(|name| set_setting(&mut settings, name, message))?;
    }
    Ok(settings)
}

/// Takes one setting from the message; left out there, it takes its default.
pub(in crate::grpc) fn set_setting(
    settings: &mut ProjectSettings,
    name: &str,
    message: &proto::ProjectSettings,
) -> Result<(), Error> {
    let default = ProjectSettings::default();
    let unknown = |name: &str| Error::field(&format!("settings.{name}"), "is not a value this version knows");
    match name {
        "signing_algorithm" => {
            settings.signing_algorithm = match proto::SigningAlgorithm::try_from(message.signing_algorithm) {
                Ok(proto::SigningAlgorithm::Unspecified) => default.signing_algorithm,
                Ok(proto::SigningAlgorithm::Rs256) => SigningAlgorithm::Rs256,
                Ok(proto::SigningAlgorithm::Es256) => SigningAlgorithm::Es256,
                Ok(proto::SigningAlgorithm::Eddsa) => SigningAlgorithm::EdDsa,
                Err(_) => return Err(unknown(name)),
            }
        }
        "password_policy" => {
            settings.password_policy = match proto::PasswordPolicy::try_from(message.password_policy) {
                Ok(proto::PasswordPolicy::Unspecified) => default.password_policy,
                Ok(proto::PasswordPolicy::Compatible) => PasswordPolicy::Compatible,
                Ok(proto::PasswordPolicy::Nist80063b4) => PasswordPolicy::Nist80063b4,
                Err(_) => return Err(unknown(name)),
            }
        }
        "require_email_verification" => {
            settings.require_email_verification =
                message.require_email_verification.unwrap_or(default.require_email_verification);
        }
        "rotate_refresh_tokens" => {
            settings.rotate_refresh_tokens = message.rotate_refresh_tokens.unwrap_or(default.rotate_refresh_tokens);
        }
        "default_audience" => settings.default_audience.clone_from(&message.default_audience),
        "allowed_resources" => settings.allowed_resources.clone_from(&message.allowed_resources),
        "issuer" => settings.issuer.clone_from(&message.issuer),
        "password_reset_urls" => settings.password_reset_urls.clone_from(&message.password_reset_urls),
        "allowed_origins" => settings.allowed_origins.clone_from(&message.allowed_origins),
        "allow_sign_up" => settings.allow_sign_up = message.allow_sign_up.unwrap_or(default.allow_sign_up),
        "sign_out_urls" => settings.sign_out_urls.clone_from(&message.sign_out_urls),
        "application_sends_mail" => {
            settings.application_sends_mail = message.application_sends_mail.unwrap_or(default.application_sends_mail);
        }
        _ => return set_duration(settings, name, message),
    }
    Ok(())
}

/// The same for a setting that is a length of time.
fn set_duration(settings: &mut ProjectSettings, name: &str, message: &proto::ProjectSettings) -> Result<(), Error> {
    // Only where none at all means something is zero more than a message that was left empty.
    let (given, seconds, zero_counts): (_, fn(&mut ProjectSettings) -> &mut u32, _) = match name {
        "access_token_lifetime" => {
            (&message.access_token_lifetime, |settings| &mut settings.access_token_lifetime_seconds, false)
        }
        "session_token_lifetime" => {
            (&message.session_token_lifetime, |settings| &mut settings.session_token_lifetime_seconds, false)
        }
        "session_idle_lifetime" => {
            (&message.session_idle_lifetime, |settings| &mut settings.session_idle_lifetime_seconds, false)
        }
        "session_absolute_lifetime" => {
            (&message.session_absolute_lifetime, |settings| &mut settings.session_absolute_lifetime_seconds, false)
        }
        "refresh_grace_period" => (&message.refresh_grace_period, |settings| &mut settings.refresh_grace_seconds, true),
        "key_rotation_interval" => {
            (&message.key_rotation_interval, |settings| &mut settings.key_rotation_interval_seconds, true)
        }
        _ => return Err(unknown_path("setting", name)),
    };
    let complain = |problem: &str| Error::field(&format!("settings.{name}"), problem);
    *seconds(settings) = match given {
        Some(Duration { seconds: 0, nanos: 0 }) if zero_counts => 0,
        None | Some(Duration { seconds: 0, nanos: 0 }) => *seconds(&mut ProjectSettings::default()),
        Some(Duration { seconds, nanos: 0 }) => u32::try_from(*seconds).map_err(|_| complain("is out of range"))?,
        Some(_) => return Err(complain("must be whole seconds")),
    };
    Ok(())
}

/// A client as a message.
pub(in crate::grpc) fn client_message(client: Client, secrets: &[ClientSecret]) -> proto::Client {
    let client_type = match client.client_type {
        ClientType::Confidential => proto::ClientType::Confidential,
        ClientType::Public => proto::ClientType::Public,
    };
    let refresh_token_format = match client.refresh_token_format {
        RefreshTokenFormat::Jwt => proto::RefreshTokenFormat::Jwt,
        RefreshTokenFormat::Opaque => proto::RefreshTokenFormat::Opaque,
    };
    proto::Client {
        refresh_token_format: refresh_token_format.into(),
        token_profile: profile_message(client.token_profile).into(),
        token_delivery: delivery_message(client.token_delivery).into(),
        client_id: client.id.to_string(),
        project_id: client.project_id.to_string(),
        name: client.name,
        client_type: client_type.into(),
        secrets: secrets.iter().map(secret_message).collect(),
        created_at: Some(timestamp(client.created_at)),
    }
}

const fn profile_message(profile: TokenProfile) -> proto::TokenProfile {
    match profile {
        TokenProfile::Descope => proto::TokenProfile::Descope,
        TokenProfile::Standard => proto::TokenProfile::Standard,
        TokenProfile::Stytch => proto::TokenProfile::Stytch,
        TokenProfile::Transmit => proto::TokenProfile::Transmit,
        TokenProfile::WorkOs => proto::TokenProfile::Workos,
    }
}

/// Where tokens are found, as a message.
pub(in crate::grpc) const fn delivery_message(delivery: TokenDelivery) -> proto::TokenDelivery {
    match delivery {
        TokenDelivery::Body => proto::TokenDelivery::Body,
        TokenDelivery::Cookie => proto::TokenDelivery::Cookie,
    }
}

impl From<ClientWithSecrets> for proto::Client {
    fn from(known: ClientWithSecrets) -> Self {
        client_message(known.client, &known.secrets)
    }
}

/// A secret as a message, without its value.
pub(in crate::grpc) fn secret_message(secret: &ClientSecret) -> proto::ClientSecret {
    proto::ClientSecret { client_secret_id: secret.id.to_string(), created_at: Some(timestamp(secret.created_at)) }
}
