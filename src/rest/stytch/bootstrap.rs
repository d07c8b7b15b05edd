//! What a page has to know before anything else (contract, section 6.6): every sign-in waits for it.

use serde::Serialize;

use super::{answer::enveloped, site::Site};
use crate::{
    proto::GetSignInSettingsRequest,
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

type Empty = [(); 0];

/// Everything that the vendor's page may do and this service does not is switched off.
#[expect(clippy::struct_excessive_bools, reason = "the vendor's switches")]
#[derive(Serialize)]
struct Bootstrap {
    project_name: String,
    vertical: &'static str,
    disable_sdk_watermark: bool,
    cname_domain: Option<()>,
    email_domains: Empty,
    captcha_settings: Captcha,
    password_config: Option<()>,
    pkce_required_for_email_magic_links: bool,
    pkce_required_for_password_resets: bool,
    pkce_required_for_oauth: bool,
    pkce_required_for_sso: bool,
    slug_pattern: Option<()>,
    create_organization_enabled: bool,
    dfp_protected_auth_enabled: bool,
    dfp_protected_auth_mode: Option<()>,
    opaque_errors: bool,
    rbac_policy: Policy,
    siwe_required_for_crypto_wallets: bool,
}

#[derive(Serialize)]
struct Captcha {
    enabled: bool,
}

#[derive(Serialize)]
struct Policy {
    roles: Empty,
    resources: Empty,
    scopes: Empty,
}

/// `GET /sdk/v1/projects/bootstrap/{public_token}`. The public token stands in the credentials, too, and those count.
pub(super) async fn read(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (site, _) = Site::page(incoming)?;
    let settings = api.auth.clone().get_sign_in_settings(site.call(GetSignInSettingsRequest {})).await?.into_inner();
    let body = Bootstrap {
        project_name: settings.project_name,
        vertical: "CONSUMER",
        disable_sdk_watermark: true,
        cname_domain: None,
        email_domains: [],
        captcha_settings: Captcha { enabled: false },
        password_config: None,
        pkce_required_for_email_magic_links: false,
        pkce_required_for_password_resets: false,
        pkce_required_for_oauth: false,
        pkce_required_for_sso: false,
        slug_pattern: None,
        create_organization_enabled: false,
        dfp_protected_auth_enabled: false,
        dfp_protected_auth_mode: None,
        opaque_errors: false,
        rbac_policy: Policy { roles: [], resources: [], scopes: [] },
        siwe_required_for_crypto_wallets: false,
    };
    Ok(enveloped(&incoming.head, body))
}
