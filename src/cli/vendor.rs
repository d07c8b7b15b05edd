//! What an application that comes from another vendor is given: credentials in that vendor's form, and the lines in which its client
//! library takes them.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use url::Url;

use super::{Usage, explain::explain, output::Record};
use crate::{
    config::listen::PublicUrl,
    domain::{
        client::{Client, ClientType, RefreshTokenFormat, TokenDelivery, TokenProfile},
        id::ProjectId,
    },
    id_form,
    usecase::{
        Call, Services,
        clients::{NewClient, create_client, oldest_public_client},
    },
};

/// A vendor whose client libraries this service answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum Vendor {
    /// Descope
    Descope,
    /// Stytch (Consumer)
    Stytch,
    /// Transmit Security (Mosaic)
    Transmit,
    /// `WorkOS` `AuthKit`
    #[value(name = "workos")]
    WorkOs,
}

impl Vendor {
    pub(super) const fn profile(self) -> TokenProfile {
        match self {
            Self::Descope => TokenProfile::Descope,
            Self::Stytch => TokenProfile::Stytch,
            Self::Transmit => TokenProfile::Transmit,
            Self::WorkOs => TokenProfile::WorkOs,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Descope => "Descope",
            Self::Stytch => "Stytch",
            Self::Transmit => "Transmit",
            Self::WorkOs => "WorkOS",
        }
    }

    /// True if applications in browsers call as well, with a client of their own that has no secret.
    pub(super) const fn has_applications(self) -> bool {
        matches!(self, Self::Descope | Self::Stytch)
    }
}

/// Credentials in the form of the vendor.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Credentials {
    Descope { project_id: String, management_key: String },
    Stytch { project_id: String, secret: String, public_token: String },
    Transmit { client_id: String, client_secret: String },
    WorkOs { client_id: String, api_key: String },
}

impl Record for Credentials {
    const HEADINGS: &'static [&'static str] =
        &["project_id", "client_id", "api_key", "secret", "client_secret", "management_key", "public_token"];

    fn cells(&self) -> Vec<String> {
        let json = serde_json::to_value(self).unwrap_or_default();
        let cell = |name: &&str| json[*name].as_str().unwrap_or_default().to_owned();
        Self::HEADINGS.iter().map(cell).collect()
    }
}

/// A back end's client with its secret, and the client of the applications if the vendor has them.
pub(super) struct VendorClients<'a> {
    pub(super) project_id: ProjectId,
    pub(super) back_end: &'a Client,
    pub(super) secret: &'a SecretString,
    pub(super) application: Option<&'a Client>,
}

impl VendorClients<'_> {
    pub(super) fn credentials(&self, vendor: Vendor) -> Credentials {
        let (project, client_id) = (self.project_id, self.back_end.id.to_string());
        let secret = self.secret.expose_secret().to_owned();
        match vendor {
            Vendor::Descope => {
                Credentials::Descope { project_id: id_form::descope('P', project.into()), management_key: secret }
            }
            Vendor::Stytch => Credentials::Stytch {
                project_id: id_form::stytch("project", project.into()),
                secret,
                public_token: self
                    .application
                    .map(|application| id_form::stytch("public-token", application.id.into()))
                    .unwrap_or_default(),
            },
            Vendor::Transmit => Credentials::Transmit { client_id, client_secret: secret },
            Vendor::WorkOs => Credentials::WorkOs { client_id, api_key: format!("sk_{secret}") },
        }
    }
}

/// What to create.
pub(super) struct VendorOrder {
    pub(super) project_id: ProjectId,
    pub(super) vendor: Vendor,
    pub(super) name: String,
    pub(super) token_delivery: TokenDelivery,
}

/// Makes the clients that an application of that vendor needs.
pub(super) async fn create(services: &Services, call: &Call, order: VendorOrder) -> anyhow::Result<Credentials> {
    let VendorOrder { project_id, vendor, name, token_delivery } = order;
    let new = |name: String, client_type| NewClient {
        name,
        client_type,
        refresh_token_format: RefreshTokenFormat::default(),
        token_profile: vendor.profile(),
        token_delivery,
    };
    let known = match vendor {
        // All that such an application knows of its client is the project.
        Vendor::Descope => oldest_public_client(services, call, project_id, vendor.profile()).await.map_err(explain)?,
        Vendor::Stytch | Vendor::Transmit | Vendor::WorkOs => None,
    };
    if known.as_ref().is_some_and(|known| known.token_delivery != token_delivery) {
        let problem = "--refresh-token-cookie: the project has a client for applications of Descope already, which is \
                       used by all of them, and it says otherwise; delete that one first, or leave this as it is";
        return Err(Usage(problem.to_owned()).into());
    }
    let application = match known {
        Some(known) => Some(known),
        None if vendor.has_applications() => {
            let new = new(format!("{name} app"), ClientType::Public);
            Some(create_client(services, call, project_id, new).await.map_err(explain)?.0)
        }
        None => None,
    };
    let new = new(name, ClientType::Confidential);
    let (back_end, secret) = create_client(services, call, project_id, new).await.map_err(explain)?;
    let secret = secret.map(|secret| secret.plain).unwrap_or_default();
    let application = application.as_ref();
    Ok(VendorClients { project_id, back_end: &back_end, secret: &secret, application }.credentials(vendor))
}

impl Credentials {
    /// The lines in which the vendor's libraries take them, for a service that is reached there.
    pub(super) fn recipe(&self, server: &PublicUrl) -> String {
        match self {
            Self::Descope { project_id, management_key } => format!(
                "  node    DescopeClient({{ projectId: '{project_id}', managementKey: '{management_key}', baseUrl: '{server}' }})
  python  DescopeClient(project_id='{project_id}', management_key='{management_key}', base_url='{server}')
  web     createSdk({{ projectId: '{project_id}', baseUrl: '{server}' }})"
            ),
            Self::Stytch { project_id, secret, public_token } => {
                // Each library has an option of its own for servers it cannot reach encrypted.
                let is_plain = server.as_str().starts_with("http://");
                let (node, python) =
                    if is_plain { ("env", "environment") } else { ("custom_base_url", "custom_base_url") };
                let app = if is_plain {
                    format!("{{ endpoints: {{ testAPIURL: '{server}', liveAPIURL: '{server}' }} }}")
                } else {
                    format!("{{ customBaseUrl: '{server}' }}")
                };
                format!(
                    "  node    new stytch.Client({{ project_id: '{project_id}', secret: '{secret}', {node}: '{server}/' }})
  python  stytch.Client(project_id='{project_id}', secret='{secret}', {python}='{server}/')
  web     new StytchClient('{public_token}', {app})"
                )
            }
            Self::Transmit { client_id, client_secret } => format!(
                "  curl -s {server}/oidc/token -d grant_type=client_credentials \\
    -d client_id={client_id} -d client_secret={client_secret}"
            ),
            Self::WorkOs { client_id, api_key } => format!(
                "  node    new WorkOS({{ apiKey: '{api_key}', clientId: '{client_id}', {parts} }})
  python  WorkOSClient(api_key='{api_key}', client_id='{client_id}', base_url='{server}')
  rust    Client::builder().api_key(\"{api_key}\").client_id(\"{client_id}\").base_url(\"{server}\").build()",
                parts = parts(server),
            ),
        }
    }
}

/// A server as the library for node takes it, which knows no URL.
fn parts(server: &PublicUrl) -> String {
    let Ok(url) = Url::parse(server.as_str()) else { return String::new() };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(", port: {port}")).unwrap_or_default();
    let https = if url.scheme() == "https" { "" } else { ", https: false" };
    format!("apiHostname: '{host}'{port}{https}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_fit_the_server() {
        let credentials = Credentials::WorkOs { client_id: "client_1".into(), api_key: "sk_1".into() };
        let recipe = |server: &str| credentials.recipe(&server.parse().unwrap());
        assert!(recipe("http://localhost:8080").contains("apiHostname: 'localhost', port: 8080, https: false }"));
        assert!(recipe("https://auth.example.com").contains("apiHostname: 'auth.example.com' }"));
        let credentials = Credentials::Stytch { project_id: "p".into(), secret: "s".into(), public_token: "t".into() };
        let recipe = |server: &str| credentials.recipe(&server.parse().unwrap());
        assert!(recipe("http://localhost:8080").contains("env: 'http://localhost:8080/'"));
        assert!(recipe("https://auth.example.com").contains("custom_base_url: 'https://auth.example.com/'"));
    }
}
