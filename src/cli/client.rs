//! `signet client`.

mod records;

use secrecy::ExposeSecret as _;

use self::records::{ClientRecord, NewClient};
use super::{
    database::{DatabaseArgs, each_page, operator_call},
    explain::explain,
    output::Output,
};
use crate::{
    domain::{
        client::ClientType,
        id::{ClientId, ProjectId},
    },
    usecase::clients::{create_client, create_client_secret, create_operator, list_clients, replace_client_secrets},
};

const CREATE_EXAMPLES: &str = "\
Examples:
  signet client create --project PROJECT --name 'Shop back end'
  signet client create --project PROJECT --name 'Shop app' --public
  signet client create --operator --name 'Deploy pipeline'

A back end calls with its id and secret: `authorization: Basic base64(ID:SECRET)`. The secret is shown this once; only its \
hash is stored.";

const ROTATE_EXAMPLES: &str = "\
Examples:
  signet client rotate-secret --project PROJECT --client CLIENT
  signet client rotate-secret --project PROJECT --client CLIENT --revoke-others

Without --revoke-others the older secrets keep working, so that callers can be moved one by one. Delete an older one over \
gRPC, by `ProjectService.DeleteClientSecret`.";

const LIST_EXAMPLES: &str = "\
Examples:
  signet client list --project PROJECT
  signet client list --project PROJECT --json | jq -r .client_id";

const KEEP_SECRET: &str = "Keep the secret now: only its hash is stored, so it cannot be shown again.";

/// Clients: the back ends and applications that may call the API
#[derive(clap::Subcommand, Debug)]
pub(super) enum ClientCommand {
    Create(CreateArgs),
    RotateSecret(RotateArgs),
    List(ListArgs),
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
    /// A client that manages projects, and stands outside of all of them
    #[arg(long, conflicts_with_all = ["project", "public"])]
    operator: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Give a client a new secret and show it, this once
#[derive(clap::Args, Debug)]
#[command(after_help = ROTATE_EXAMPLES)]
pub(super) struct RotateArgs {
    /// Project of the client
    #[arg(long, value_parser = ProjectId::parse)]
    project: ProjectId,
    /// The client
    #[arg(long, value_parser = ClientId::parse)]
    client: ClientId,
    /// Delete all older secrets in the same moment
    #[arg(long)]
    revoke_others: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// List the clients of a project; never their secrets
#[derive(clap::Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
pub(super) struct ListArgs {
    /// The project
    #[arg(long, value_parser = ProjectId::parse)]
    project: ProjectId,
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
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    // clap has seen to it that the project is missing for operators only.
    let Some(project_id) = args.project else {
        let (id, secret) = create_operator(&services, &args.name).await.map_err(explain)?;
        let created = NewClient {
            client_id: id.to_string(),
            client_secret: Some(secret.expose_secret().to_owned()),
            client_type: "operator",
            name: Some(args.name),
            project_id: None,
        };
        return Ok(args.output.record(&created, KEEP_SECRET)?);
    };
    let client_type = if args.public { ClientType::Public } else { ClientType::Confidential };
    let call = operator_call(&services);
    let created = create_client(&services, &call, project_id, args.name, client_type).await;
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

async fn rotate_secret(args: RotateArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let call = operator_call(&services);
    let (secret, others) = if args.revoke_others {
        (replace_client_secrets(&services, &call, args.project, args.client).await, "The older secrets work no more.")
    } else {
        let others = "The older secrets still work; see `signet client rotate-secret --help` for how to end that.";
        (create_client_secret(&services, &call, args.project, args.client).await, others)
    };
    let rotated = NewClient {
        client_id: args.client.to_string(),
        client_secret: Some(secret.map_err(explain)?.plain.expose_secret().to_owned()),
        client_type: ClientType::Confidential.as_str(),
        name: None,
        project_id: Some(args.project.to_string()),
    };
    Ok(args.output.record(&rotated, &format!("{KEEP_SECRET}\n{others}"))?)
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let mut table = args.output.table();
    each_page(
        async |page| list_clients(&services, args.project, page).await,
        |clients| Ok(table.page(&clients.into_iter().map(ClientRecord::from).collect::<Vec<_>>())?),
    )
    .await
}
