//! `signet session`.

use serde::Serialize;

use super::{
    database::{DatabaseArgs, each_page, operator_call_in},
    explain::explain,
    output::{Output, Record, time},
};
use crate::{
    domain::{
        id::{ProjectId, SessionId, UserId},
        session::{AuthenticationMethod, Session, SessionState},
    },
    usecase::sessions::{list_sessions, revoke_all_sessions, revoke_session},
};

const LIST_EXAMPLES: &str = "\
Examples:
  signet session list --project PROJECT --user USER
  signet session list --project PROJECT --user USER --json | jq -r .session_id

`signet user list` shows who has which id.";

const REVOKE_EXAMPLES: &str = "\
Examples:
  signet session revoke --project PROJECT --session SESSION
  signet session revoke --project PROJECT --user USER

The session is refused at once, on every replica. Access tokens that services check by themselves, without asking, stay good \
until they expire. The user may sign in again: `--user` is for a lost device, not for locking somebody out.";

/// Sessions of users
#[derive(clap::Subcommand, Debug)]
pub(super) enum SessionCommand {
    List(ListArgs),
    Revoke(RevokeArgs),
}

/// List the live sessions of a user, oldest first
#[derive(clap::Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
pub(super) struct ListArgs {
    /// Project of the user
    #[arg(long, value_parser = ProjectId::parse)]
    project: ProjectId,
    /// The user
    #[arg(long, value_parser = UserId::parse)]
    user: UserId,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// End a session, or all sessions of a user
#[derive(clap::Args, Debug)]
#[command(after_help = REVOKE_EXAMPLES)]
pub(super) struct RevokeArgs {
    /// Project of the user
    #[arg(long, value_parser = ProjectId::parse)]
    project: ProjectId,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// What to end.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct Which {
    /// Only this session
    #[arg(long, value_parser = SessionId::parse)]
    session: Option<SessionId>,
    /// All sessions of this user
    #[arg(long, value_parser = UserId::parse)]
    user: Option<UserId>,
}

/// A session as it is printed.
#[derive(Serialize)]
struct SessionRecord {
    session_id: String,
    user_id: String,
    client_id: String,
    authentication_methods: Vec<AuthenticationMethod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
}

impl From<Session> for SessionRecord {
    fn from(session: Session) -> Self {
        let (idle_expires_at, expires_at, revoked_at) = match session.state {
            SessionState::Active { idle_expires_at, expires_at } => (Some(idle_expires_at), Some(expires_at), None),
            SessionState::Revoked { revoked_at } => (None, None, Some(revoked_at)),
        };
        Self {
            session_id: session.id.to_string(),
            user_id: session.user_id.to_string(),
            client_id: session.client_id.to_string(),
            authentication_methods: session.methods,
            ip_address: session.client_context.ip_address.map(|address| address.to_string()),
            user_agent: session.client_context.user_agent,
            created_at: time(session.created_at),
            idle_expires_at: idle_expires_at.map(time),
            expires_at: expires_at.map(time),
            revoked_at: revoked_at.map(time),
        }
    }
}

impl Record for SessionRecord {
    const HEADINGS: &'static [&'static str] =
        &["session", "client", "since", "ends if idle", "ends", "ended", "address", "user agent"];

    fn cells(&self) -> Vec<String> {
        let optional = |cell: &Option<String>| cell.clone().unwrap_or_default();
        vec![
            self.session_id.clone(),
            self.client_id.clone(),
            self.created_at.clone(),
            optional(&self.idle_expires_at),
            optional(&self.expires_at),
            optional(&self.revoked_at),
            optional(&self.ip_address),
            optional(&self.user_agent),
        ]
    }
}

/// How many sessions of a user were ended.
#[derive(Serialize)]
struct RevokedRecord {
    user_id: String,
    revoked_sessions: usize,
}

impl Record for RevokedRecord {
    const HEADINGS: &'static [&'static str] = &["user", "ended sessions"];

    fn cells(&self) -> Vec<String> {
        vec![self.user_id.clone(), self.revoked_sessions.to_string()]
    }
}

pub(super) async fn run(command: SessionCommand) -> anyhow::Result<()> {
    match command {
        SessionCommand::List(args) => list(args).await,
        SessionCommand::Revoke(args) => revoke(args).await,
    }
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let call = operator_call_in(&services, args.project).await?;
    let mut table = args.output.table();
    each_page(
        async |page| list_sessions(&services, &call, args.user, page).await,
        |sessions| Ok(table.page(&sessions.into_iter().map(SessionRecord::from).collect::<Vec<_>>())?),
    )
    .await
}

async fn revoke(args: RevokeArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let call = operator_call_in(&services, args.project).await?;
    if let Some(id) = args.which.session {
        let session = revoke_session(&services, &call, id).await.map_err(explain)?;
        args.output.record(&SessionRecord::from(session), "The session has ended.")?;
    }
    if let Some(id) = args.which.user {
        let revoked_sessions = revoke_all_sessions(&services, &call, id, None).await.map_err(explain)?;
        let record = RevokedRecord { user_id: id.to_string(), revoked_sessions };
        args.output.record(&record, "All sessions of the user have ended.")?;
    }
    Ok(())
}
