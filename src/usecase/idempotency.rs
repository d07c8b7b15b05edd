//! The same answer for the same request: calls that carry a key of their caller.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tracing::Instrument as _;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Call, Error, Services};
use crate::{
    clock::{Clock, Timestamp},
    crypto::master_key::Purpose,
    domain::{
        caller::ClientCaller,
        client::ClientType,
        idempotency::{ANSWER_BYTES_MAX, IdempotencyKey},
    },
    store::{CallKey, Store},
};

/// When to come back for the answer of a call that is still running.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is to be done with a call.
pub enum Admission {
    /// It has been answered: this is what was said.
    Answered(Zeroizing<Vec<u8>>),
    /// It is to be run, and its answer to be kept.
    Run(Box<Claim>),
}

/// Holds a call's place while it runs. Of its repetitions none runs meanwhile.
///
/// If the caller goes away, or the call ends without an answer that lasts, the place is given up, so that a repetition runs anew.
/// Where that fails too, or the process dies, the claim expires, after longer than any call takes.
pub struct Claim {
    /// None once it is settled.
    held: Option<Held>,
    /// What the answer is bound to.
    seal: Uuid,
}

struct Held {
    store: Store,
    clock: Clock,
    key: CallKey,
    claimed_at: Timestamp,
}

/// Finds out whether a call has been made before; if not, claims it.
pub async fn admit(
    services: &Services,
    call: &Call,
    key: &IdempotencyKey,
    request: &[&[u8]],
) -> Result<Admission, Error> {
    let caller = call.client()?;
    let request_hash = hash(request);
    let key = call_key(caller, key, &request_hash);
    let seal = seal_id(&key, &request_hash);
    let now = services.clock.now();
    let lease = services.limits.reservation_lease;

    let tx = services.store.begin().await?;
    let claimed = tx.idempotent_calls().claim(&key, &request_hash, now, now + lease).await;
    // The client may have been deleted since the call was let in.
    if claimed.map_err(|error| Error::unless_orphan(error, Error::CallerUnauthenticated))? {
        tx.commit().await?;
        let held = Held { store: services.store.clone(), clock: services.clock.clone(), key, claimed_at: now };
        return Ok(Admission::Run(Box::new(Claim { held: Some(held), seal })));
    }
    let known = tx.idempotent_calls().find(&key).await?;
    drop(tx);
    let running = Error::IdempotentCallRunning { retry_after: RETRY_AFTER };
    // Given up in this very moment: whoever comes back may run it.
    let Some(known) = known else { return Err(running) };
    if known.request_hash != request_hash {
        return Err(Error::IdempotencyKeyReused);
    }
    let sealed = known.sealed.ok_or(running)?;
    let answer = services.master_key.open(Purpose::Answer, seal, &sealed);
    Ok(Admission::Answered(answer.map_err(|error| Error::Internal(Box::new(error)))?))
}

impl Claim {
    /// Keeps the answer of the call for its repetitions, that long; without one, or if it is too large, gives the place up. Goes on to
    /// its end if the caller goes away meanwhile: what the call has done is done, and whoever asks again must not do it twice.
    pub async fn settle(mut self, services: &Services, answer: Option<Zeroizing<Vec<u8>>>, kept_for: chrono::Duration) {
        let Some(held) = self.held.take() else { return };
        let answer = answer.filter(|answer| answer.len() <= ANSWER_BYTES_MAX);
        let sealed =
            answer.map(|answer| services.master_key.seal(Purpose::Answer, self.seal, &answer, &services.random));
        let settling = async move {
            match sealed {
                Some(sealed) => held.keep(sealed, kept_for).await,
                None => held.release().await,
            }
        };
        let settled = tokio::spawn(settling.in_current_span());
        // The call has its answer, which counts. A repetition is told to wait until the claim expires, and then runs anew.
        match settled.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "a claim could not be settled"),
            Err(error) => tracing::warn!(%error, "a claim could not be settled"),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = held.release().await {
                tracing::debug!(%error, "a claim is left to its expiry");
            }
        });
    }
}

impl Held {
    async fn keep(self, sealed: Vec<u8>, kept_for: chrono::Duration) -> Result<(), Error> {
        let tx = self.store.begin().await?;
        let expires_at = self.clock.now() + kept_for;
        tx.idempotent_calls().keep(&self.key, self.claimed_at, sealed, expires_at).await?;
        Ok(tx.commit().await?)
    }

    async fn release(self) -> Result<(), Error> {
        let tx = self.store.begin().await?;
        tx.idempotent_calls().release(&self.key, self.claimed_at).await?;
        Ok(tx.commit().await?)
    }
}

/// The key is a client's own. The id of a public client is known to everybody, and whoever presents it has proved nothing: there
/// the request belongs to the key. So nobody is given another's answer, or kept from calling, by guessing a key: the same answer
/// takes the very same request, with its password or its token in it.
fn call_key(caller: &ClientCaller, key: &IdempotencyKey, request_hash: &[u8; 32]) -> CallKey {
    let hash = match caller.client.client_type {
        ClientType::Confidential => hash(&[key.as_bytes()]),
        ClientType::Public => hash(&[key.as_bytes(), request_hash]),
    };
    CallKey { client_id: caller.client.id, hash }
}

/// What the answer is bound to, so that it cannot be moved to another row.
fn seal_id(key: &CallKey, request_hash: &[u8; 32]) -> Uuid {
    let client_id = Uuid::from(key.client_id);
    let hash = hash(&[client_id.as_bytes(), &key.hash, request_hash]);
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    Uuid::from_bytes(id)
}

/// SHA-256 of several parts, each with its length, so that none runs into the next.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
