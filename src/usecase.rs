//! What the service does, one operation a file. Everything that decides anything is here.

mod attempt;
pub mod authenticate_caller;
pub mod authenticate_email_code;
pub mod authenticate_email_verification;
pub mod authenticate_session;
pub mod change_password;
pub mod check_new_password;
pub mod check_origin;
mod check_password;
pub mod clients;
pub mod complete_password_reset;
mod complete_sign_in;
pub mod confirm_email_verification;
mod counters;
pub mod create_password_reset;
mod email_code;
pub mod end_session_by_link;
mod end_sessions;
mod error;
pub mod explain_request;
mod finish_sign_in;
pub mod gates;
pub mod idempotency;
pub mod issue_client_token;
mod join_session;
pub mod json_web_keys;
pub mod key_ring;
pub mod key_rotation;
mod mint_tokens;
mod new_password_reset;
pub mod number_events;
pub mod operators;
mod post_mail;
pub mod projects;
pub mod read_events;
pub mod refresh_tokens;
pub mod replace_own_password;
mod replace_password;
pub mod reseal;
pub mod resume_session;
pub mod send_email_verification;
pub mod sessions;
pub mod set_password;
pub mod set_user_status;
pub mod shared_reads;
pub mod sign_in;
pub mod sign_in_settings;
pub mod sign_out;
pub mod sign_up;
pub mod signing_keys;
mod stand_in;
pub mod start_email_change;
pub mod start_password_reset;
pub mod sweep;
mod token_forms;
pub mod update_user;
pub mod user_info;
pub mod users;
pub mod watch_events;

use std::{sync::Arc, time::Instant};

use tokio::sync::Notify;

use self::{authenticate_caller::Wanted, shared_reads::SharedReads};
pub use self::{
    complete_sign_in::SignedIn,
    error::{Error, PendingSignIn},
    mint_tokens::{IssuedToken, Tokens},
};
use crate::{
    clock::{Clock, Timestamp},
    crypto::{
        hash_lane::{HashLane, Ticket},
        master_key::MasterKey,
    },
    domain::{
        caller::{Caller, ClientCaller},
        event::Event,
        id::{ClientId, EventId, ProjectId},
        limits::Limits,
        project::Project,
    },
    random::Random,
    store::{RecordedBy, Store, Tx},
};

/// What use cases work with.
pub struct Services {
    /// The database.
    pub store: Store,
    /// Looks for who calls.
    pub callers: SharedReads<Wanted>,
    /// Where passwords are hashed.
    pub lane: HashLane,
    /// Keys that are ready for use.
    pub key_ring: key_ring::KeyRing,
    /// Encrypts what has to be read again.
    pub master_key: Arc<MasterKey>,
    /// Time of day.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Wakes the outbox worker after a commit.
    pub mail_waits: Arc<Notify>,
    /// The bounds that an operator can move.
    pub limits: Limits,
    /// Where attempts wait for their turn.
    pub gates: gates::Gates,
    /// Who follows the audit trail.
    pub watches: Arc<watch_events::Watches>,
    /// Base of the issuers, without a slash at the end.
    pub public_url: String,
}

/// A call, whatever it asks for.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// Names the call in logs and events.
    pub request_id: String,
    /// The answer is worthless from then on.
    pub deadline: Instant,
}

impl Call {
    /// The client that calls; an error if it is somebody else.
    pub fn client(&self) -> Result<&ClientCaller, Error> {
        match &self.caller {
            Caller::Client(client) => Ok(client),
            Caller::Anonymous => Err(Error::CallerUnauthenticated),
            Caller::Operator(_) | Caller::OperatorOf(_) => Err(Error::CallerNotPermitted),
        }
    }

    /// The project whose users the caller manages: nothing outside of it can be seen or touched.
    pub fn project(&self) -> Result<&Project, Error> {
        match &self.caller {
            Caller::Client(client) => Ok(&client.project),
            Caller::OperatorOf(project) => Ok(project),
            Caller::Anonymous => Err(Error::CallerUnauthenticated),
            Caller::Operator(_) => Err(Error::CallerNotPermitted),
        }
    }

    /// The operator that calls, `None` on the command line; an error if it is somebody else.
    pub fn operator(&self) -> Result<Option<ClientId>, Error> {
        match &self.caller {
            Caller::Operator(id) => Ok(*id),
            Caller::Anonymous => Err(Error::CallerUnauthenticated),
            Caller::Client(_) | Caller::OperatorOf(_) => Err(Error::CallerNotPermitted),
        }
    }

    /// A place in the hash lane's queue.
    fn ticket(&self) -> Ticket {
        let client = match &self.caller {
            Caller::Client(client) => client.client.id.into(),
            Caller::Anonymous | Caller::Operator(_) | Caller::OperatorOf(_) => uuid::Uuid::nil(),
        };
        Ticket { client, deadline: self.deadline }
    }
}

impl Services {
    /// The issuer of a project's tokens.
    pub fn issuer(&self, project: &Project) -> String {
        match project.settings.issuer.as_str() {
            "" => format!("{}/projects/{}", self.public_url, project.id),
            issuer => issuer.to_owned(),
        }
    }

    /// Reads a project that an operator named.
    async fn project(&self, id: ProjectId) -> Result<Project, Error> {
        self.store.view().projects().find(id).await?.ok_or(Error::ProjectNotFound)
    }

    /// Records an event that stands for itself: of a call that is refused, whose unit of work is given up.
    async fn record_alone(&self, call: &Call, event: Event) -> Result<(), Error> {
        let tx = self.store.begin().await?;
        self.record(&tx, call, self.clock.now(), [event]).await?;
        Ok(tx.commit().await?)
    }

    /// Records events in the transaction of what they tell about.
    async fn record(
        &self,
        tx: &Tx,
        call: &Call,
        now: Timestamp,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<(), Error> {
        record(&self.random, tx, call, now, events).await
    }
}

/// Records events in the transaction of what they tell about.
async fn record(
    random: &Random,
    tx: &Tx,
    call: &Call,
    now: Timestamp,
    events: impl IntoIterator<Item = Event>,
) -> Result<(), Error> {
    let recorded = events.into_iter().map(|event| recorded(random, call, now, event));
    tx.events().push_all(&recorded.collect::<Vec<_>>()).await?;
    Ok(())
}

/// An event as it is recorded: who made it happen, where and when.
fn recorded<'a>(random: &Random, call: &'a Call, now: Timestamp, mut event: Event) -> (Event, RecordedBy<'a>) {
    match &call.caller {
        Caller::Client(caller) => event.client_id = event.client_id.or(Some(caller.client.id)),
        Caller::Operator(id) => event.operator_id = *id,
        Caller::Anonymous | Caller::OperatorOf(_) => {}
    }
    let id = EventId::generate(now, random);
    (event, RecordedBy { id, request_id: Some(&call.request_id), now })
}
