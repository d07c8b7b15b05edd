//! `signet client`.

mod records;

use std::io::{self, Write as _};

use secrecy::ExposeSecret as _;

use self::records::{ClientRecord, DeletedClient, NewClient, OperatorRecord};
use super::{
    Usage,
    database::{DatabaseArgs, each_page, operator_call},
    explain::explain,
    output::Output,
    vendor::{self, Vendor, VendorOrder},
};
use crate::{
    config::listen::PublicUrl,
    domain::{
        client::{ClientType, RefreshTokenFormat, TokenDelivery, TokenProfile},
        id::{ClientId, ProjectId},
    },
    usecase::{
        Call, Error, Services,
        clients::{self, create_client, create_client_secret, delete_client, list_clients, replace_client_secrets},
        operators::{create_operator, delete_operator, list_operators, replace_operator_secret},
        projects::get_project,
    },
};

const CREATE_EXAMPLES: &str = "\
Examples:
  signet client create --project PROJECT --name 'Shop back end'
  signet client create --project PROJECT --name 'Shop app' --public
  signet client create --project PROJECT --name 'Old SDK' --public --jwt-refresh-tokens
  signet client create --project PROJECT --name 'Web shop' --for workos --public-url https://auth.example.com
  signet client create --operator --name 'Deploy pipeline'

A back end calls with its id and secret: `authorization: Basic base64(ID:SECRET)`. The secret is shown this once; only its \
hash is stored.";

const ROTATE_EXAMPLES: &str = "\
Examples:
  signet client rotate-secret --project PROJECT --client CLIENT
  signet client rotate-secret --project PROJECT --client CLIENT --revoke-others
  signet client rotate-secret --operator --client CLIENT

Without --revoke-others the older secrets keep working, so that callers can be moved one by one. Delete an older one over \
gRPC, by `ProjectService.DeleteClientSecret`. An operator has one secret: the old one works no more at once.";

const LIST_EXAMPLES: &str = "\
Examples:
  signet client list --project PROJECT
  signet client list --project PROJECT --json | jq -r .client_id
  signet client list --operator";

const DELETE_EXAMPLES: &str = "\
Examples:
  signet client delete --project PROJECT --client CLIENT
  signet client delete --operator --client CLIENT

Its secrets work no more, and the sessions that were opened through it end. There is no way back.";

const KEEP_SECRET: &str = "Keep the secret now: only its hash is stored, so it cannot be shown again.";

/// Clients: the back ends and applications that may call the API
#[derive(clap::Subcommand, Debug)]
pub(super) enum ClientCommand {
    Create(CreateArgs),
    RotateSecret(RotateArgs),
    List(ListArgs),
    Delete(DeleteArgs),
}

/// Where a client belongs.
#[derive(clap::Args, Debug)]
struct Owner {
    /// Project of the client
    #[arg(long, value_parser = ProjectId::parse, required_unless_present = "operator")]
    project: Option<ProjectId>,
    /// Not a client of a project, but an operator
    #[arg(long, conflicts_with = "project")]
    operator: bool,
}

/// Create a client and show its secret, this once
#[derive(clap::Args, Debug)]
#[command(after_help = CREATE_EXAMPLES)]
pub(super) struct CreateArgs {
    /// Project whose users the client works with
    #[arg(long, value_parser = ProjectId::parse, required_unless_present = "operator")]
    project: Option<ProjectId>,
    /// Name of the client
    #[arg(long)]
    name: String,
    /// An application that cannot keep a secret: it has none, and may call only what an end user may
    #[arg(long)]
    public: bool,
    /// Its refresh tokens are JWTs, for client libraries that read their claims
    #[arg(long)]
    jwt_refresh_tokens: bool,
    #[command(flatten)]
    vendor: VendorArgs,
    /// A client that manages projects, and stands outside of all of them
    #[arg(long, conflicts_with_all = ["jwt_refresh_tokens", "project", "public"])]
    operator: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// What is asked for an application that comes from another vendor.
#[derive(clap::Args, Debug)]
struct VendorArgs {
    /// For an application that comes from that vendor, with its client library: its tokens look as that library wants them, and the credentials are shown in that vendor's form
    #[arg(long = "for", value_name = "VENDOR", conflicts_with_all = ["jwt_refresh_tokens", "operator", "public"])]
    vendor: Option<Vendor>,
    /// Its applications in browsers keep the refresh token in a cookie that scripts cannot read
    #[arg(long, requires = "vendor")]
    refresh_token_cookie: bool,
    /// URL under which the service is reached, for the lines that the application needs
    #[arg(long, env = "SIGNET_PUBLIC_URL", value_name = "URL", default_value = "http://localhost:8080")]
    public_url: PublicUrl,
}

/// Give a client a new secret and show it, this once
#[derive(clap::Args, Debug)]
#[command(after_help = ROTATE_EXAMPLES)]
pub(super) struct RotateArgs {
    #[command(flatten)]
    owner: Owner,
    /// The client
    #[arg(long, value_parser = ClientId::parse)]
    client: ClientId,
    /// Delete all older secrets in the same moment
    #[arg(long, conflicts_with = "operator")]
    revoke_others: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// List the clients of a project, or the operators; never their secrets
#[derive(clap::Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
pub(super) struct ListArgs {
    #[command(flatten)]
    owner: Owner,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Delete a client or an operator, with its secrets
#[derive(clap::Args, Debug)]
#[command(after_help = DELETE_EXAMPLES)]
pub(super) struct DeleteArgs {
    #[command(flatten)]
    owner: Owner,
    /// The client
    #[arg(long, value_parser = ClientId::parse)]
    client: ClientId,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(command: ClientCommand) -> anyhow::Result<()> {
    match command {
        ClientCommand::Create(args) => create(args).await,
        ClientCommand::RotateSecret(args) => rotate_secret(args).await,
        ClientCommand::List(args) => list(args).await,
        ClientCommand::Delete(args) => delete(args).await,
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let call = operator_call(&services);
    // clap has seen to it that the project is missing for operators only.
    let Some(project_id) = args.project else {
        let (id, secret) = create_operator(&services, &call, args.name.clone()).await.map_err(explain)?;
        let created = NewClient {
            client_id: id.to_string(),
            client_secret: Some(secret.expose_secret().to_owned()),
            client_type: "operator",
            name: Some(args.name),
            project_id: None,
        };
        return Ok(args.output.record(&created, KEEP_SECRET)?);
    };
    if let Some(vendor) = args.vendor.vendor {
        return create_for(&services, &call, args, project_id, vendor).await;
    }
    let client_type = if args.public { ClientType::Public } else { ClientType::Confidential };
    let refresh_token_format =
        if args.jwt_refresh_tokens { RefreshTokenFormat::Jwt } else { RefreshTokenFormat::Opaque };
    let new = clients::NewClient {
        name: args.name,
        client_type,
        refresh_token_format,
        token_profile: TokenProfile::default(),
        token_delivery: TokenDelivery::default(),
    };
    let created = create_client(&services, &call, project_id, new).await;
    let (client, secret) = created.map_err(explain)?;
    let note =
        if secret.is_some() { KEEP_SECRET } else { "A public client has no secret: it calls with its id alone." };
    let created = NewClient {
        client_id: client.id.to_string(),
        client_secret: secret.map(|secret| secret.plain.expose_secret().to_owned()),
        client_type: client.client_type.as_str(),
        name: Some(client.name),
        project_id: Some(project_id.to_string()),
    };
    Ok(args.output.record(&created, note)?)
}

async fn create_for(
    services: &Services,
    call: &Call,
    args: CreateArgs,
    project_id: ProjectId,
    vendor: Vendor,
) -> anyhow::Result<()> {
    if args.vendor.refresh_token_cookie && !vendor.has_applications() {
        let problem = format!("--refresh-token-cookie: the applications of {} get no tokens themselves", vendor.name());
        return Err(Usage(problem).into());
    }
    let token_delivery = if args.vendor.refresh_token_cookie { TokenDelivery::Cookie } else { TokenDelivery::Body };
    let order = VendorOrder { project_id, vendor, name: args.name, token_delivery };
    let credentials = vendor::create(services, call, order).await?;
    let settings = get_project(services, call, project_id).await.map_err(explain)?.settings;
    if settings.require_email_verification && !vendor.profile().asks_for_verified_email() {
        let name = vendor.name();
        // Nowhere to say so if standard error is closed.
        let _ = writeln!(
            io::stderr(),
            "note: the project requires verified email addresses; applications of {name} sign users in without one"
        );
    }
    let note = format!("{KEEP_SECRET}\n\n{}", credentials.recipe(&args.vendor.public_url));
    Ok(args.output.record(&credentials, &note)?)
}

async fn rotate_secret(args: RotateArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let call = operator_call(&services);
    // clap has seen to it that the project is missing for operators only.
    let (secret, others) = match args.owner.project {
        None => {
            let secret = replace_operator_secret(&services, &call, args.client).await.map_err(explain_operator)?;
            (secret, "The older secret works no more.")
        }
        Some(project) if args.revoke_others => {
            let new = replace_client_secrets(&services, &call, project, args.client).await.map_err(explain)?;
            (new.plain, "The older secrets work no more.")
        }
        Some(project) => {
            let new = create_client_secret(&services, &call, project, args.client).await.map_err(explain)?;
            let others = "The older secrets still work; see `signet client rotate-secret --help` for how to end that.";
            (new.plain, others)
        }
    };
    let rotated = NewClient {
        client_id: args.client.to_string(),
        client_secret: Some(secret.expose_secret().to_owned()),
        client_type: args.owner.project.map_or("operator", |_| ClientType::Confidential.as_str()),
        name: None,
        project_id: args.owner.project.map(|project| project.to_string()),
    };
    Ok(args.output.record(&rotated, &format!("{KEEP_SECRET}\n{others}"))?)
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let call = operator_call(&services);
    let mut table = args.output.table();
    let Some(project) = args.owner.project else {
        return each_page(
            async |page| list_operators(&services, &call, page).await,
            |operators| Ok(table.page(&operators.into_iter().map(OperatorRecord::from).collect::<Vec<_>>())?),
        )
        .await;
    };
    each_page(
        async |page| list_clients(&services, &call, project, page).await,
        |clients| Ok(table.page(&clients.into_iter().map(ClientRecord::from).collect::<Vec<_>>())?),
    )
    .await
}

async fn delete(args: DeleteArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let call = operator_call(&services);
    match args.owner.project {
        None => delete_operator(&services, &call, args.client).await.map_err(explain_operator)?,
        Some(project) => delete_client(&services, &call, project, args.client).await.map_err(explain)?,
    }
    let deleted = DeletedClient { client_id: args.client.to_string() };
    Ok(args.output.record(&deleted, "It is deleted; its secrets work no more.")?)
}

fn explain_operator(error: Error) -> anyhow::Error {
    match error {
        Error::ClientNotFound => {
            anyhow::anyhow!("no operator with that id; `signet client list --operator` shows them")
        }
        other => explain(other),
    }
}
