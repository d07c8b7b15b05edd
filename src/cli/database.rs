//! What commands need to work on the database.

use std::time::{Duration, Instant};

use ulid::Ulid;

use super::explain::explain;
use crate::{
    app,
    config::{
        self, ConfigError,
        database::DatabaseConfig,
        keys::{KeyConfig, PREVIOUS_MASTER_KEY},
        passwords::PasswordConfig,
    },
    domain::{
        caller::Caller,
        id::ProjectId,
        page::{Listed, PAGE_SIZE_MAX, Page},
    },
    usecase::{Call, Error, Services, projects::get_project},
};

/// How long a command may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// Where the database is, and what opens what is encrypted in it.
#[derive(clap::Args, Debug)]
pub(super) struct DatabaseArgs {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    keys: KeyConfig,
}

impl DatabaseArgs {
    /// Opens the database. Refuses one that is not migrated or belongs to another master key, as `serve` does.
    pub(super) async fn open(&self) -> anyhow::Result<Services> {
        self.open_to_hash(&config::defaults()).await
    }

    /// Opens the database to encrypt anew what is in it. Refuses keys that everybody knows, as `serve` does.
    pub(super) async fn open_to_reseal(&self) -> anyhow::Result<Services> {
        self.keys.refuse_development_key()?;
        if self.keys.previous_bytes()?.is_none() {
            let hint = "is needed: the master key from before, which opens what it encrypted; \
                        `signet master-key status` tells whether there is still something";
            return Err(ConfigError::Missing { setting: PREVIOUS_MASTER_KEY, hint }.into());
        }
        self.open().await
    }

    /// Opens the database for a command that hashes a password.
    pub(super) async fn open_to_hash(&self, passwords: &PasswordConfig) -> anyhow::Result<Services> {
        // There is one password at most.
        let passwords = PasswordConfig { workers: 1, ..passwords.clone() };
        Ok(app::services(&self.database, &self.keys, &passwords).await?)
    }
}

/// A call by whoever has the database and the master key: they may do anything.
pub(super) fn operator_call(services: &Services) -> Call {
    call(services, Caller::Operator(None))
}

/// A call by an operator who works on the users of a project.
pub(super) async fn operator_call_in(services: &Services, project_id: ProjectId) -> anyhow::Result<Call> {
    let project = get_project(services, &operator_call(services), project_id).await.map_err(explain)?;
    Ok(call(services, Caller::OperatorOf(Box::new(project))))
}

fn call(services: &Services, caller: Caller) -> Call {
    let request_id = format!("cli-{}", Ulid::from_bytes(services.random.bytes()));
    Call { caller, request_id, deadline: Instant::now() + DEADLINE }
}

/// Hands all pages of a list to `show`, one after the other.
pub(super) async fn each_page<T>(
    mut read: impl AsyncFnMut(Page) -> Result<Listed<T>, Error>,
    mut show: impl FnMut(Vec<T>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let listed = read(Page { size: PAGE_SIZE_MAX, after }).await.map_err(explain)?;
        show(listed.items)?;
        after = Page::parse_token(&listed.next_page_token)?;
        if after.is_none() {
            return Ok(());
        }
    }
}
