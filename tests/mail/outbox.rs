//! An outbox in a SQLite file, and a worker for it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};
use secrecy::SecretBox;
use signet::{
    clock::{Clock, ManualClock, Timestamp},
    crypto::master_key::{MasterKey, Purpose},
    domain::{
        id::{MailId, ProjectId},
        project::{Project, ProjectSettings},
    },
    mail::{
        transport::Transport,
        worker::{OutboxWorker, Outcome},
    },
    random::Random,
    store::{DatabaseSettings, NewMail, Store},
};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::message_of;

/// How long a mail is worth sending, in these tests.
pub(crate) const LIFETIME: chrono::Duration = chrono::Duration::minutes(10);

/// A database with one project.
pub(crate) struct Outbox {
    pub(crate) clock: Clock,
    pub(crate) mail_waits: Arc<Notify>,
    pub(crate) store: Store,
    pub(crate) master_key: Arc<MasterKey>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
    project_id: ProjectId,
    settings: DatabaseSettings,
    raw: DatabaseConnection,
    _directory: TempDir,
}

/// What the database knows of a mail.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) attempts: i32,
    pub(crate) error: Option<String>,
    pub(crate) given_up: bool,
    /// It still holds what the mail says.
    pub(crate) sealed: bool,
    pub(crate) sent: bool,
}

pub(crate) fn master_key(byte: u8) -> Arc<MasterKey> {
    Arc::new(MasterKey::new(&SecretBox::new(Box::new([byte; 32]))))
}

impl Outbox {
    /// An outbox whose time stands still, and the clock that moves it.
    pub(crate) async fn at_rest() -> (Self, ManualClock) {
        let clock = ManualClock::starting_at("2026-11-21T20:28:00Z".parse().unwrap());
        (Self::with(Clock::Manual(clock.clone())).await, clock)
    }

    /// An outbox in real time.
    pub(crate) async fn in_real_time() -> Self {
        Self::with(Clock::System).await
    }

    async fn with(clock: Clock) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("signet.db").display());
        let settings =
            DatabaseSettings { url: url.clone().into(), connections_max: 4, acquire_timeout: Duration::from_secs(20) };
        Store::migrate(&settings).await.unwrap();
        let store = Store::connect(&settings).await.unwrap();
        let now = clock.now();
        let project_id = ProjectId::generate(now, &Random::System);
        let project = Project {
            id: project_id,
            name: "Acme".to_owned(),
            settings: ProjectSettings::default(),
            created_at: now,
            updated_at: now,
        };
        let tx = store.begin().await.unwrap();
        tx.projects().insert(&project).await.unwrap();
        tx.commit().await.unwrap();
        Self {
            clock,
            mail_waits: Arc::default(),
            store,
            master_key: master_key(7),
            outcomes: Arc::default(),
            project_id,
            settings,
            raw: Database::connect(url).await.unwrap(),
            _directory: directory,
        }
    }

    /// A worker, with the store as a replica of its own sees it.
    pub(crate) async fn worker(&self, transport: Transport) -> OutboxWorker {
        let outcomes = Arc::clone(&self.outcomes);
        OutboxWorker {
            store: Store::connect(&self.settings).await.unwrap(),
            master_key: Arc::clone(&self.master_key),
            transport,
            clock: self.clock.clone(),
            random: Random::System,
            mail_waits: Arc::clone(&self.mail_waits),
            observer: Arc::new(move |outcome| outcomes.lock().unwrap().push(outcome)),
        }
    }

    /// Puts a mail into the outbox.
    pub(crate) async fn push(&self, recipient: &str) -> MailId {
        let id = MailId::generate(self.clock.now(), &Random::System);
        let message = serde_json::to_vec(&message_of("Acme")).unwrap();
        let sealed = self.master_key.seal(Purpose::Mail, id.into(), &message, &Random::System);
        self.push_sealed(id, recipient, sealed, self.clock.now() + LIFETIME).await;
        id
    }

    pub(crate) async fn push_sealed(&self, id: MailId, recipient: &str, sealed: Vec<u8>, expires_at: Timestamp) {
        let tx = self.store.begin().await.unwrap();
        let recipient = recipient.to_owned();
        let mail = NewMail {
            id,
            project_id: self.project_id,
            user_id: None,
            recipient,
            sealed,
            expires_at,
            now: self.clock.now(),
            traceparent: None,
        };
        tx.outbox().push(mail).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn row(&self, id: MailId) -> Row {
        let query = "SELECT attempts, last_error, given_up_at IS NOT NULL AS given_up, sealed IS NOT NULL AS sealed, \
                     sent_at IS NOT NULL AS sent FROM outbox WHERE id = ?";
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, query, [uuid::Uuid::from(id).into()]);
        let row = self.raw.query_one_raw(statement).await.unwrap().unwrap();
        Row {
            attempts: row.try_get("", "attempts").unwrap(),
            error: row.try_get("", "last_error").unwrap(),
            given_up: row.try_get("", "given_up").unwrap(),
            sealed: row.try_get("", "sealed").unwrap(),
            sent: row.try_get("", "sent").unwrap(),
        }
    }

    /// How many mails have been claimed and not yet sent.
    pub(crate) async fn in_hand(&self) -> usize {
        let query = "SELECT count(*) AS mails FROM outbox WHERE attempts > 0 AND sent_at IS NULL";
        let row = self.raw.query_one_raw(Statement::from_string(DbBackend::Sqlite, query)).await.unwrap().unwrap();
        row.try_get::<i64>("", "mails").unwrap().try_into().unwrap()
    }

    /// Kinds and causes of the events so far.
    pub(crate) async fn events(&self) -> Vec<(String, String)> {
        let events = self.store.view().events().kinds(self.project_id).await.unwrap();
        events.into_iter().map(|(kind, cause)| (kind, cause.unwrap_or_default())).collect()
    }

    /// What the observer was told since it was asked last.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        std::mem::take(&mut *self.outcomes.lock().unwrap())
    }
}
