//! An app with a project as a vendor's customer has it: RSA keys, clients of one profile, and two users.

use std::ops::Deref;

use secrecy::ExposeSecret as _;
use signet::{
    domain::{
        caller::Caller,
        client::{ClientType, RefreshTokenFormat, TokenDelivery, TokenProfile},
        id::{ProjectId, UserId},
        identifier::{Identifier, IdentifierKind},
        password::Password,
        project::ProjectSettings,
        user::Profile,
    },
    usecase::{
        Call,
        clients::{NewClient, create_client},
        projects::create_project,
        users::{NewUser, VouchedIdentifier, create_user},
    },
};

use crate::{
    rest_app::RestApp,
    support::{ADA, Engine, GRACE, PASSWORD, operator_call},
};

/// The app, and what its customer knows.
pub(crate) struct VendorApp {
    app: RestApp,
    pub(crate) project_id: ProjectId,
    /// Id and secret of a confidential client.
    pub(crate) client_id: String,
    pub(crate) secret: String,
    /// Id of a public client.
    pub(crate) public_client_id: String,
    /// `ada@example.com`, verified, also `ada`; password [`PASSWORD`].
    pub(crate) ada: UserId,
    /// `grace@example.com`, not verified; the same password.
    pub(crate) grace: UserId,
}

impl VendorApp {
    /// A fresh app on SQLite: the dialects know nothing of the database.
    pub(crate) async fn start(profile: TokenProfile) -> Self {
        Self::start_with(profile, TokenDelivery::Body, ProjectSettings::default()).await
    }

    /// The same with other settings, and with the tokens of the public client delivered so.
    pub(crate) async fn start_with(profile: TokenProfile, delivery: TokenDelivery, settings: ProjectSettings) -> Self {
        let app = RestApp::start(Engine::Sqlite).await.unwrap();
        let settings = ProjectSettings {
            allow_sign_up: true,
            password_reset_urls: vec![
                "https://app.example/reset".into(),
                "https://app.example/reset?stytch_token_type=reset_password".into(),
            ],
            sign_out_urls: vec!["https://app.example/bye".into()],
            allowed_origins: vec!["https://app.example".into()],
            ..settings
        };
        let project = create_project(&app.services, &operator_call(), "Shop".into(), settings).await.unwrap();
        let client = async |client_type, token_delivery| {
            let new = NewClient {
                name: "Shop".into(),
                client_type,
                refresh_token_format: match profile {
                    TokenProfile::Descope => RefreshTokenFormat::Jwt,
                    _ => RefreshTokenFormat::Opaque,
                },
                token_profile: profile,
                token_delivery,
            };
            let (client, secret) = create_client(&app.services, &operator_call(), project.id, new).await.unwrap();
            let secret = secret.map(|secret| secret.plain.expose_secret().to_owned()).unwrap_or_default();
            (client.id.to_string(), secret)
        };
        let (client_id, secret) = client(ClientType::Confidential, TokenDelivery::Body).await;
        let (public_client_id, _) = client(ClientType::Public, delivery).await;
        let call = Call { caller: Caller::OperatorOf(Box::new(project.clone())), ..operator_call() };
        let user = async |identifiers: &[(IdentifierKind, &str, bool)]| {
            let vouched = |(kind, text, verified): &(IdentifierKind, &str, bool)| VouchedIdentifier {
                identifier: Identifier::parse(*kind, text).unwrap(),
                verified: *verified,
            };
            let new = NewUser {
                identifiers: identifiers.iter().map(vouched).collect(),
                password: Some(Password::parse(PASSWORD).unwrap()),
                password_must_change: false,
                external_id: None,
                profile: Profile { given_name: Some("Given".into()), ..Profile::default() },
            };
            create_user(&app.services, &call, new).await.unwrap().id
        };
        let ada = user(&[(IdentifierKind::Email, ADA, true), (IdentifierKind::Username, "ada", false)]).await;
        let grace = user(&[(IdentifierKind::Email, GRACE, false)]).await;
        Self { project_id: project.id, client_id, secret, public_client_id, ada, grace, app }
    }

    /// The same app, with the keys of its project at the root.
    pub(crate) fn at_the_root(self) -> Self {
        Self { app: self.app.with_default_project(self.project_id), ..self }
    }
}

impl Deref for VendorApp {
    type Target = RestApp;

    fn deref(&self) -> &RestApp {
        &self.app
    }
}
