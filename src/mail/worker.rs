//! The outbox worker: sends what use cases have put into the outbox.
//!
//! A mail is claimed by a lease in the database, in a transaction that ends before the mail is sent, so that of several
//! replicas one at a time sends it and no transaction waits for a mail server. A mail is sent twice only if the process or
//! the database dies between the mail server's "accepted" and our note of it; the `Message-ID` is then the same.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, field::Empty};

use self::verdict::{Failure, Verdict};
use super::{
    template,
    transport::{OutgoingMail, Transport},
};
use crate::{
    clock::{Clock, Timestamp},
    crypto::master_key::{MasterKey, OpenError, Purpose},
    domain::{
        event::{Cause, Event, EventKind},
        id::EventId,
        message::{DueMail, Message},
    },
    random::Random,
    store::{RecordedBy, Store, StoreError},
    trace_context,
};

mod verdict;

/// Most mails that one worker sends at a time.
pub const CONCURRENCY: usize = 4;
/// How long a mail can lie unseen: between two looks into the outbox when nobody calls.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How much longer than the sending the lease lasts: time to note the outcome, also in a database that is away for a moment.
const LEASE_MARGIN: Duration = Duration::from_mins(1);
/// Pauses between attempts to note an outcome. Far less than [`LEASE_MARGIN`] in all.
const NOTE_PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(10)];

/// What became of one try to send a mail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It will not be tried again.
    GivenUp,
    /// It will be tried again.
    Retried,
    /// It is in other hands.
    Sent,
}

impl Outcome {
    /// The word for it in `Metrics::mail_finished`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GivenUp => "given_up",
            Self::Retried => "retried",
            Self::Sent => "sent",
        }
    }
}

/// Sends what the outbox holds.
#[derive(Clone)]
pub struct OutboxWorker {
    /// Where the outbox is.
    pub store: Store,
    /// Opens the mails.
    pub master_key: Arc<MasterKey>,
    /// How mails go out.
    pub transport: Transport,
    /// The time.
    pub clock: Clock,
    /// Spreads the retries.
    pub random: Random,
    /// Notified, after the commit, by whoever put a mail into the outbox of this process.
    pub mail_waits: Arc<Notify>,
    /// Is told what became of each try. For metrics: it must not block.
    pub observer: Arc<dyn Fn(Outcome) + Send + Sync>,
}

impl fmt::Debug for OutboxWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxWorker").finish_non_exhaustive()
    }
}

impl OutboxWorker {
    /// Sends mails until told to stop; then finishes those it has in hand, for which the caller sets the deadline: whatever
    /// is cut off there is sent by another worker once its lease is over.
    pub async fn run(self, cancel: CancellationToken) {
        let mut in_hand = JoinSet::new();
        while !cancel.is_cancelled() {
            // Cut off in the middle this leaves a lease at worst.
            if cancel.run_until_cancelled(self.take_in_hand(&mut in_hand)).await.is_none() {
                break;
            }
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(done) = in_hand.join_next() => report(done),
                // While all hands are full a new mail cannot be helped.
                () = self.mail_waits.notified(), if in_hand.len() < CONCURRENCY => {}
                () = sleep(POLL_INTERVAL) => self.transport.close_idle().await,
            }
        }
        while let Some(done) = in_hand.join_next().await {
            report(done);
        }
        self.transport.close().await;
    }

    /// Sends the mails that are due, at most [`CONCURRENCY`] of them, and tells how many they were.
    ///
    /// # Errors
    ///
    /// The store failed. Mails that were sent, but could not be marked so, are sent again after their lease.
    pub async fn run_once(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mails = self.claim(now, CONCURRENCY).await?;
        let count = mails.len();
        let mut in_hand: JoinSet<_> = mails
            .into_iter()
            .map(|mail| (span_of(&mail), mail))
            .map(|(span, mail)| self.clone().handle(mail, now).instrument(span))
            .collect();
        let mut noted = Ok(());
        // Also after an error: whoever lets go of the others cuts them off.
        while let Some(done) = in_hand.join_next().await {
            match done {
                Ok(done) => noted = noted.and(done),
                Err(error) => report(Err(error)),
            }
        }
        noted.map(|()| count)
    }

    /// Claims as many mails as there are free hands, and starts to send them.
    async fn take_in_hand(&self, in_hand: &mut JoinSet<Result<(), StoreError>>) {
        let free = CONCURRENCY - in_hand.len();
        if free == 0 {
            return;
        }
        let now = self.clock.now();
        match self.claim(now, free).await {
            Ok(mails) => {
                for mail in mails {
                    let span = span_of(&mail);
                    in_hand.spawn(self.clone().handle(mail, now).instrument(span));
                }
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn Error, "cannot look into the outbox; will try again");
            }
        }
    }

    async fn claim(&self, now: Timestamp, limit: usize) -> Result<Vec<DueMail>, StoreError> {
        let limit = u64::try_from(limit).expect("a handful fits into 64 bits");
        let tx = self.store.begin().await?;
        let mails = tx.outbox().claim_due(now, now + self.transport.send_duration_max() + LEASE_MARGIN, limit).await?;
        tx.commit().await?;
        Ok(mails)
    }

    /// Sends one mail and notes what became of it.
    async fn handle(self, mail: DueMail, claimed_at: Timestamp) -> Result<(), StoreError> {
        let tried = self.send(&mail, claimed_at).await;
        // Sending may have taken a while.
        let now = self.clock.now().max(claimed_at);
        let verdict = Verdict::of(tried, &mail, now, &self.random);
        verdict.log(&mail);
        verdict.show_in(&Span::current());
        (self.observer)(verdict.outcome());

        let mut pauses = NOTE_PAUSES.into_iter();
        loop {
            match (self.note(&mail, &verdict, now).await, pauses.next()) {
                (Ok(()), _) => return Ok(()),
                (Err(error), None) => return Err(error),
                (Err(_), Some(pause)) => sleep(pause).await,
            }
        }
    }

    async fn send(&self, mail: &DueMail, now: Timestamp) -> Result<(), Failure> {
        verdict::check_worth_sending(mail, now)?;
        let content = template::render(&self.open(mail)?);
        let outgoing = OutgoingMail { id: mail.id, recipient: mail.recipient.clone(), sent_at: now, content };
        self.transport.send(&outgoing).await.map_err(|error| {
            if error.is_permanent() { Failure::hopeless(Cause::Refused, &error) } else { Failure::transient(&error) }
        })
    }

    fn open(&self, mail: &DueMail) -> Result<Message, Failure> {
        let opened = self.master_key.open(Purpose::Mail, mail.id.into(), &mail.sealed);
        let plain = opened.map_err(|error| match error {
            OpenError::Damaged => Failure::hopeless(Cause::Unreadable, &error),
            // A replica with the other key may be there while keys are changed. If there is none, the mail expires.
            OpenError::OtherKey => Failure::transient(&error),
        })?;
        // The error of serde could quote the message.
        serde_json::from_slice(&plain)
            .map_err(|_| Failure::hopeless(Cause::Unreadable, &"the mail is of a kind that this version does not know"))
    }

    async fn note(&self, mail: &DueMail, verdict: &Verdict, now: Timestamp) -> Result<(), StoreError> {
        let tx = self.store.begin().await?;
        match verdict {
            Verdict::Sent => tx.outbox().mark_sent(mail.id, now).await?,
            Verdict::Postponed { until, error } => tx.outbox().retry_at(mail.id, *until, error).await?,
            Verdict::GivenUp { cause, error } => {
                tx.outbox().give_up(mail.id, now, error).await?;
                let event = Event::new(EventKind::MailGivenUp, mail.project_id).cause(*cause);
                let id = EventId::generate(now, &self.random);
                tx.events().push(&event, RecordedBy { id, request_id: None, now }).await?;
            }
        }
        tx.commit().await
    }
}

/// The span of a try to send a mail, in the trace of the request that the mail comes from. It is made for a collector alone.
fn span_of(mail: &DueMail) -> Span {
    let span = tracing::debug_span!(
        "mail",
        otel.name = "send mail",
        otel.kind = "client",
        messaging.operation.r#type = "send",
        mail.attempt = mail.attempts,
        mail.outcome = Empty,
        otel.status_code = Empty,
        error.r#type = Empty,
    );
    trace_context::continue_from(&span, mail.traceparent.as_deref());
    span
}

fn report(done: Result<Result<(), StoreError>, JoinError>) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(error = &error as &dyn Error, "cannot note what became of a mail: it may be sent again");
        }
        Err(error) => tracing::error!(%error, "sending a mail panicked"),
    }
}
