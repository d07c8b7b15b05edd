//! What `signet dev` has ready: a project, clients of each kind and two users, the same ones at each start.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::ValueEnum as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    cli::{
        database::{each_page, operator_call, operator_call_in},
        explain::explain,
        vendor::{Credentials, Vendor, VendorClients},
    },
    crypto::hash_lane::Ticket,
    domain::{
        client::{Client, ClientType, RefreshTokenFormat, TokenDelivery, TokenProfile},
        id::{ClientId, ProjectId},
        identifier::{Identifier, IdentifierKind},
        page::Page,
        password::Password,
        project::{Project, ProjectSettings},
        user::{Profile, User, UserStatus},
    },
    usecase::{
        Call, Services,
        clients::{NewClient, create_client, list_clients, replace_client_secrets},
        projects::{create_project, list_projects, update_project},
        set_password::set_password,
        set_user_status::set_user_status,
        update_user::{UserChanges, update_user},
        users::{NewUser, VouchedIdentifier, create_user, list_users},
    },
};

const PROJECT: &str = "Demo";
const BACK_END: &str = "Demo back end";
const APP: &str = "Demo app";

/// A user of the demo. Everybody knows the password.
pub(super) struct DemoUser {
    pub(super) email: &'static str,
    pub(super) username: Option<&'static str>,
    pub(super) password: &'static str,
    given_name: &'static str,
    family_name: &'static str,
    verified: bool,
}

/// Can sign in.
pub(super) const VERIFIED: DemoUser = DemoUser {
    email: "ada@example.com",
    username: Some("ada"),
    password: "analytical engine 1843",
    given_name: "Ada",
    family_name: "Lovelace",
    verified: true,
};

/// Has to verify the email address first, again after each start.
pub(super) const UNVERIFIED: DemoUser = DemoUser {
    email: "grace@example.com",
    username: None,
    password: "a nanosecond of wire",
    given_name: "Grace",
    family_name: "Hopper",
    verified: false,
};

/// What was made, or found again.
pub(super) struct Demo {
    pub(super) project_id: ProjectId,
    pub(super) client_id: ClientId,
    /// A new one at each start: the old ones are only known as hashes.
    pub(super) client_secret: SecretString,
    pub(super) public_client_id: ClientId,
    /// For the client libraries of each vendor.
    pub(super) vendors: Vec<(Vendor, Credentials)>,
}

impl Demo {
    /// What a back end sends as `authorization`.
    pub(super) fn authorization(&self) -> String {
        basic(self.client_id, self.client_secret.expose_secret())
    }

    /// What an application sends as `authorization`.
    pub(super) fn public_authorization(&self) -> String {
        basic(self.public_client_id, "")
    }
}

/// Makes the demo, or brings it back into the state that the welcome describes.
pub(super) async fn prepare(services: &Services) -> anyhow::Result<Demo> {
    let operator = operator_call(services);
    let project_id = project(services, &operator).await?.id;
    let standard = TokenProfile::Standard;
    let back_end = client(services, &operator, project_id, BACK_END, ClientType::Confidential, standard).await?;
    let app = client(services, &operator, project_id, APP, ClientType::Public, standard).await?;
    let secret = replace_client_secrets(services, &operator, project_id, back_end.id).await.map_err(explain)?;

    let mut vendors = Vec::new();
    for vendor in Vendor::value_variants() {
        vendors.push((*vendor, prepare_vendor(services, &operator, project_id, *vendor).await?));
    }
    let call = operator_call_in(services, project_id).await?;
    for user in [&VERIFIED, &UNVERIFIED] {
        prepare_user(services, &call, user).await?;
    }
    let (client_id, public_client_id) = (back_end.id, app.id);
    Ok(Demo { project_id, client_id, client_secret: secret.plain, public_client_id, vendors })
}

/// The clients for the libraries of a vendor.
async fn prepare_vendor(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
    vendor: Vendor,
) -> anyhow::Result<Credentials> {
    let (name, profile) = (format!("Demo {}", vendor.name()), vendor.profile());
    let back_end = client(services, call, project_id, &name, ClientType::Confidential, profile).await?;
    let application = if vendor.has_applications() {
        Some(client(services, call, project_id, &format!("{name} app"), ClientType::Public, profile).await?)
    } else {
        None
    };
    let secret = replace_client_secrets(services, call, project_id, back_end.id).await.map_err(explain)?.plain;
    let clients = VendorClients { project_id, back_end: &back_end, secret: &secret, application: application.as_ref() };
    Ok(clients.credentials(vendor))
}

/// What the demo's pages need, wherever on this machine they are served.
fn for_demo(settings: ProjectSettings) -> ProjectSettings {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    ProjectSettings {
        allow_sign_up: true,
        allowed_origins: texts(&["http://localhost:*", "http://127.0.0.1:*"]),
        password_reset_urls: texts(&[
            "http://localhost:3000/reset-password",
            // As pages with the library of Stytch ask for it.
            "http://localhost:3000/reset-password?stytch_token_type=reset_password",
        ]),
        sign_out_urls: texts(&["http://localhost:3000/"]),
        ..settings
    }
}

async fn project(services: &Services, call: &Call) -> anyhow::Result<Project> {
    let mut found = None;
    each_page(
        async |page| list_projects(services, call, page).await,
        |projects| {
            found = found.take().or_else(|| projects.into_iter().find(|project| project.name == PROJECT));
            Ok(())
        },
    )
    .await?;
    let Some(project) = found else {
        let settings = for_demo(ProjectSettings::default());
        return create_project(services, call, PROJECT.to_owned(), settings).await.map_err(explain);
    };
    let settings = for_demo(project.settings.clone());
    if settings == project.settings {
        return Ok(project);
    }
    let change = |project: &mut Project| {
        project.settings = settings;
        Ok(())
    };
    update_project(services, call, project.id, change).await.map_err(explain)
}

async fn client(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
    name: &str,
    client_type: ClientType,
    token_profile: TokenProfile,
) -> anyhow::Result<Client> {
    let mut found = None;
    each_page(
        async |page| list_clients(services, call, project_id, page).await,
        |clients| {
            let mut clients = clients.into_iter().map(|known| known.client);
            let wanted = |client: &Client| {
                (client.name.as_str(), client.client_type, client.token_profile) == (name, client_type, token_profile)
            };
            found = found.take().or_else(|| clients.find(wanted));
            Ok(())
        },
    )
    .await?;
    if let Some(client) = found {
        return Ok(client);
    }
    let new = NewClient {
        name: name.to_owned(),
        client_type,
        refresh_token_format: RefreshTokenFormat::default(),
        token_profile,
        token_delivery: TokenDelivery::default(),
    };
    let created = create_client(services, call, project_id, new).await;
    Ok(created.map_err(explain)?.0)
}

async fn prepare_user(services: &Services, call: &Call, demo: &DemoUser) -> anyhow::Result<()> {
    let email = Identifier::parse(IdentifierKind::Email, demo.email)?;
    let page = Page { size: 1, after: None };
    let found = list_users(services, call, page, &email.clone().into()).await.map_err(explain)?.items.pop();
    let password = Password::parse(demo.password)?;
    let Some(user) = found else {
        return create(services, call, demo, email, password).await;
    };
    let is_verified = user.unverified_email().is_none();
    if is_verified != demo.verified {
        let changes = UserChanges { verified: vec![(IdentifierKind::Email, demo.verified)], ..UserChanges::default() };
        update_user(services, call, user.id, changes).await.map_err(explain)?;
    }
    set_user_status(services, call, user.id, UserStatus::Active).await.map_err(explain)?;
    // Setting a password ends the sessions, which would be a nuisance at each start.
    if !has_password(services, call, &user, password.clone()).await? {
        set_password(services, call, user.id, password.into()).await.map_err(explain)?;
    }
    Ok(())
}

async fn create(
    services: &Services,
    call: &Call,
    demo: &DemoUser,
    email: Identifier,
    password: Password,
) -> anyhow::Result<()> {
    let mut identifiers = vec![VouchedIdentifier { identifier: email, verified: demo.verified }];
    if let Some(username) = demo.username {
        let identifier = Identifier::parse(IdentifierKind::Username, username)?;
        identifiers.push(VouchedIdentifier { identifier, verified: false });
    }
    let profile = Profile {
        given_name: Some(demo.given_name.to_owned()),
        family_name: Some(demo.family_name.to_owned()),
        ..Profile::default()
    };
    let new =
        NewUser { identifiers, password: Some(password), password_must_change: false, external_id: None, profile };
    create_user(services, call, new).await.map_err(explain)?;
    Ok(())
}

async fn has_password(services: &Services, call: &Call, user: &User, password: Password) -> anyhow::Result<bool> {
    let stored = services.store.view().credentials().find(user.project_id, user.id).await?;
    let ticket = Ticket { client: user.project_id.into(), deadline: call.deadline };
    let stored = stored.map(|credential| credential.password_hash);
    Ok(services.lane.verify(ticket, password, stored, false).await?.matches)
}

fn basic(client_id: ClientId, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{client_id}:{secret}")))
}
