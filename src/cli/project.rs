//! `signet project`.

use serde::Serialize;

use super::{
    database::{DatabaseArgs, each_page, operator_call},
    explain::explain,
    output::{Output, Record, time},
};
use crate::{
    domain::project::{Project, ProjectSettings},
    usecase::projects::{create_project, list_projects},
};

const CREATE_EXAMPLES: &str = "\
Examples:
  signet project create --name Shop
  signet project create --name Shop --json | jq -r .project_id

Its settings are changed over gRPC, by `ProjectService.UpdateProject`: lifetimes, the grace period of refresh tokens, the interval at \
which keys rotate, the pages for password resets and more; see `signet client create --operator`.";

const LIST_EXAMPLES: &str = "\
Examples:
  signet project list
  signet project list --json | jq -r .project_id";

/// Projects: isolated pools of users, each with its own clients, settings and keys
#[derive(clap::Subcommand, Debug)]
pub(super) enum ProjectCommand {
    Create(CreateArgs),
    List(ListArgs),
}

/// Create a project with its first signing keys
#[derive(clap::Args, Debug)]
#[command(after_help = CREATE_EXAMPLES)]
pub(super) struct CreateArgs {
    /// Name of the project; its users read it in mails
    #[arg(long)]
    name: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// List the projects
#[derive(clap::Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
pub(super) struct ListArgs {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Serialize)]
struct ProjectRecord {
    project_id: String,
    name: String,
    created_at: String,
}

impl From<Project> for ProjectRecord {
    fn from(project: Project) -> Self {
        Self { project_id: project.id.to_string(), name: project.name, created_at: time(project.created_at) }
    }
}

impl Record for ProjectRecord {
    const HEADINGS: &'static [&'static str] = &["project", "created", "name"];

    fn cells(&self) -> Vec<String> {
        vec![self.project_id.clone(), self.created_at.clone(), self.name.clone()]
    }
}

pub(super) async fn run(command: ProjectCommand) -> anyhow::Result<()> {
    match command {
        ProjectCommand::Create(args) => create(args).await,
        ProjectCommand::List(args) => list(args).await,
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let call = operator_call(&services);
    let project = create_project(&services, &call, args.name, ProjectSettings::default()).await.map_err(explain)?;
    let note = format!("Next, a client for your back end: signet client create --project {} --name NAME", project.id);
    Ok(args.output.record(&ProjectRecord::from(project), &note)?)
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let call = operator_call(&services);
    let mut table = args.output.table();
    each_page(
        async |page| list_projects(&services, &call, page).await,
        |projects| Ok(table.page(&projects.into_iter().map(ProjectRecord::from).collect::<Vec<_>>())?),
    )
    .await
}
