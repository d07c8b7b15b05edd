//! The exchange of the master key: what the one before has encrypted is encrypted anew, beside replicas that serve.
//!
//! Nothing has to be stopped, and nothing is remembered: what is left to do is what still bears the other key's fingerprint. So it
//! can be broken off at any point and run again, also by several at a time.

use std::str;

use uuid::Uuid;

use super::{Error, Services};
use crate::{
    clock::Timestamp,
    crypto::master_key::{OpenError, Purpose},
    store::{Resealed, SealedOtherwise, SealedTable, SealedValue},
};

/// Rows that are changed in one unit of work, so that nobody waits long for the writer of SQLite or for locks.
pub const PAGE: u64 = 100;
/// How often a table is gone through for rows that somebody else held the time before.
const PASSES_MAX: u32 = 5;

/// How many values were encrypted anew.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Signing keys.
    pub signing_keys: u64,
    /// Codes and links on their way.
    pub challenges: u64,
    /// Mails that wait.
    pub mails: u64,
}

/// What the key that seals today has not sealed, and that still matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Left {
    /// Signing keys. They do not expire here: whoever takes the other key away before they are resealed loses them.
    pub signing_keys: SealedOtherwise,
    /// Codes and links on their way.
    pub challenges: SealedOtherwise,
    /// Mails that wait.
    pub mails: SealedOtherwise,
    /// Answers that are kept for repetitions of their call. They are not resealed: none is kept for longer than a day.
    pub answers: SealedOtherwise,
    /// Codes of which there is a hash alone. It does not tell which key made it, so those of today's key are among them.
    pub codes_as_hash: SealedOtherwise,
}

/// Until when a second master key is needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// No longer.
    Over,
    /// Until then, when the last of what is left expires.
    Until(Timestamp),
    /// As long as there are signing keys that the master key of today has not sealed.
    WithoutEnd,
}

impl Left {
    /// Until when the second key is needed.
    pub fn need(&self) -> Need {
        if self.signing_keys.rows > 0 {
            return Need::WithoutEnd;
        }
        let expiring = [self.challenges, self.mails, self.answers, self.codes_as_hash];
        expiring.into_iter().filter_map(|left| left.until).max().map_or(Need::Over, Need::Until)
    }
}

/// Encrypts under today's master key what the second one opens: signing keys, then codes and links, then mails. `progress` is told
/// after each full page how many values of that table are done.
///
/// What somebody else holds all the while, and what cannot be read, is left: [`left`] tells. If it fails, what is done is done.
pub async fn reseal(services: &Services, mut progress: impl FnMut(SealedTable, u64)) -> Result<Counts, Error> {
    let mut done = async |table| reseal_table(services, table, &mut progress).await;
    Ok(Counts {
        signing_keys: done(SealedTable::SigningKeys).await?,
        challenges: done(SealedTable::Challenges).await?,
        mails: done(SealedTable::Outbox).await?,
    })
}

/// What today's master key has not sealed.
pub async fn left(services: &Services) -> Result<Left, Error> {
    let (now, key, view) = (services.clock.now(), services.master_key.fingerprint(), services.store.view());
    let values = view.sealed_values();
    Ok(Left {
        signing_keys: values.signing_keys_not_under(key).await?,
        challenges: values.challenges_not_under(key, now).await?,
        mails: values.mails_not_under(key, now).await?,
        answers: values.answers_not_under(key, now).await?,
        codes_as_hash: values.codes_as_hash(now).await?,
    })
}

async fn reseal_table(
    services: &Services,
    table: SealedTable,
    progress: &mut impl FnMut(SealedTable, u64),
) -> Result<u64, Error> {
    let mut done = 0;
    for _ in 0..PASSES_MAX {
        let (before, mut after) = (done, None);
        loop {
            let page = reseal_page(services, table, after).await?;
            done += page.resealed;
            let Some(last) = page.last else { break };
            progress(table, done);
            after = Some(last);
        }
        if done == before {
            break;
        }
    }
    Ok(done)
}

struct PageDone {
    resealed: u64,
    /// Where the next page begins; none if this was the last one.
    last: Option<Uuid>,
}

async fn reseal_page(services: &Services, table: SealedTable, after: Option<Uuid>) -> Result<PageDone, Error> {
    let tx = services.store.begin().await?;
    let page = tx.sealed_values().page(table, services.master_key.fingerprint(), after, PAGE).await?;
    let mut resealed = 0;
    for value in &page {
        match anew(services, value) {
            Ok(new) => resealed += u64::from(tx.sealed_values().replace(table, value, &new).await?),
            Err(error) => tracing::warn!(%error, ?table, row = %value.id, "cannot be encrypted anew, and is left"),
        }
    }
    tx.commit().await?;
    let is_full = page.len() as u64 == PAGE;
    Ok(PageDone { resealed, last: page.last().filter(|_| is_full).map(|value| value.id) })
}

fn anew(services: &Services, value: &SealedValue) -> Result<Resealed, OpenError> {
    let plain = services.master_key.open(value.purpose, value.id, &value.sealed)?;
    let code_hash = match value.purpose {
        Purpose::EmailCode => {
            let code = str::from_utf8(&plain).map_err(|_| OpenError::Damaged)?;
            Some(services.master_key.hash_code(value.id, code))
        }
        Purpose::Answer | Purpose::Mail | Purpose::PasswordReset | Purpose::SigningKey => None,
    };
    let sealed = services.master_key.seal(value.purpose, value.id, &plain, &services.random);
    Ok(Resealed { sealed, code_hash })
}
