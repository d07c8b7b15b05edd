//! What `signet dev` prints when it is ready.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::demo::{self, Demo};
use crate::{
    app::Addresses,
    cli::vendor::{Credentials, Vendor},
    config::{ServeConfig, keys::DEV_MASTER_KEY, listen::PublicUrl},
};

/// Everything a person or a script needs to call the demo.
#[derive(Serialize)]
pub(super) struct Welcome {
    grpc: String,
    rest: String,
    ops: String,
    project_id: String,
    client_id: String,
    client_secret: String,
    public_client_id: String,
    user: VerifiedUser,
    unverified_user: UnverifiedUser,
    /// Each under its profile's name.
    #[serde(flatten)]
    vendors: BTreeMap<&'static str, Credentials>,
    #[serde(skip)]
    recipes: String,
    #[serde(skip)]
    authorization: String,
    #[serde(skip)]
    public_authorization: String,
}

#[derive(Serialize)]
struct VerifiedUser {
    email: &'static str,
    username: &'static str,
    password: &'static str,
}

#[derive(Serialize)]
struct UnverifiedUser {
    email: &'static str,
    password: &'static str,
}

impl Welcome {
    pub(super) fn new(addresses: Addresses, demo: Demo, public_url: &PublicUrl) -> Self {
        let recipe = |(vendor, credentials): &(Vendor, Credentials)| {
            format!("{}:\n\n{}\n", vendor.name(), credentials.recipe(public_url))
        };
        let recipes: Vec<String> = demo.vendors.iter().map(recipe).collect();
        let (verified, unverified) = (demo::VERIFIED, demo::UNVERIFIED);
        Self {
            grpc: addresses.grpc.to_string(),
            rest: addresses.rest.to_string(),
            ops: addresses.ops.to_string(),
            project_id: demo.project_id.to_string(),
            client_id: demo.client_id.to_string(),
            client_secret: demo.client_secret.expose_secret().to_owned(),
            public_client_id: demo.public_client_id.to_string(),
            user: VerifiedUser {
                email: verified.email,
                username: verified.username.unwrap_or_default(),
                password: verified.password,
            },
            unverified_user: UnverifiedUser { email: unverified.email, password: unverified.password },
            authorization: demo.authorization(),
            public_authorization: demo.public_authorization(),
            recipes: recipes.join("\n"),
            vendors: demo
                .vendors
                .into_iter()
                .map(|(vendor, credentials)| (vendor.profile().as_str(), credentials))
                .collect(),
        }
    }

    /// Prints it for people. The blocks can be pasted into one shell, in this order.
    pub(super) fn write(&self, out: &mut impl Write, config: &ServeConfig) -> io::Result<()> {
        let Self { grpc, rest, ops, project_id, user, unverified_user: unverified, .. } = self;
        let (auth, app) = (&self.authorization, &self.public_authorization);
        let database = config.database.url().map(|url| url.secret().expose_secret().to_owned()).unwrap_or_default();
        write!(
            out,
            r#"
Signet is ready, for trying out on this machine only.

  gRPC        {grpc}
  REST        http://{rest}
  operations  http://{ops}   (/livez, /readyz, /metrics, /dev/mails)

  client      {client}   with a new secret at each start
  user        {email} or {username}, password "{password}"
  unverified  {new_email}, password "{new_password}"

Check a password, as a back end does:

  auth='authorization: {auth}'
  grpcurl -plaintext -H "$auth" -d '{{"email":"{email}","password":"{password}"}}' \
    {grpc} auth.v1.AuthService/AuthenticatePassword

The same for a user whose email address is not verified. The call fails, a code is mailed, and the code completes it:

  token=$(grpcurl -plaintext -H "$auth" -d '{{"email":"{new_email}","password":"{new_password}"}}' \
    {grpc} auth.v1.AuthService/AuthenticatePassword 2>&1 | grep -o 'signet_pa_[A-Za-z0-9_-]*'); sleep 1
  code=$(curl -s http://{ops}/dev/mails | grep -o '"code":"[0-9]*"' | head -n 1 | tr -dc 0-9)
  grpcurl -plaintext -H "$auth" -d "{{\"pending_authentication_token\":\"$token\",\"code\":\"$code\"}}" \
    {grpc} auth.v1.AuthService/AuthenticateEmailVerification

Sign in, as an application does, with a client that has no secret:

  app='authorization: {app}'
  grpcurl -plaintext -H "$app" -d '{{"login_id":"{username}","password":"{password}"}}' \
    {grpc} auth.v1.AuthService/SignIn

Get new tokens for the refresh token. Safe to repeat: for half a minute the same token gets the same successor:

  refresh=$(grpcurl -plaintext -H "$app" -d '{{"login_id":"{username}","password":"{password}"}}' \
    {grpc} auth.v1.AuthService/SignIn | grep -o 'signet_rt_[A-Za-z0-9_-]*')
  grpcurl -plaintext -H "$app" -d "{{\"refresh_token\":\"$refresh\"}}" {grpc} auth.v1.AuthService/RefreshTokens

Fetch the keys that verify the tokens:

  curl http://{rest}/projects/{project_id}/.well-known/jwks.json

Use the client library of another vendor. Each takes this service for its own, with these credentials and options:

{recipes}
Use the other commands on this database (signet user list --project {project_id}):

  export SIGNET_DATABASE_URL='{database}'{master_key}

Mails are printed below. Ctrl-C stops.

"#,
            client = self.client_id,
            email = user.email,
            username = user.username,
            password = user.password,
            new_email = unverified.email,
            new_password = unverified.password,
            recipes = self.recipes,
            master_key = master_key_hint(config),
        )?;
        out.flush()
    }
}

/// The master key, where it is the one that everybody knows anyway.
fn master_key_hint(config: &ServeConfig) -> String {
    if config.keys.is_development() { format!(" SIGNET_MASTER_KEY={DEV_MASTER_KEY}") } else { String::new() }
}
