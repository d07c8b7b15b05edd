//! A few connections to the mail server, used again while they are warm.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lettre::transport::smtp::{authentication::DEFAULT_MECHANISMS, client::AsyncSmtpConnection};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use super::{
    reply,
    server::{Security, Server},
};
use crate::mail::transport::SendError;

/// Most connections at a time. Mail servers limit them per client, many to ten.
pub(super) const CONNECTIONS_MAX: usize = 4;
/// How long an unused connection is kept. Servers close them after a while, and a warm one only pays off within a burst.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// How long to wait for the answer to `QUIT`, which is a courtesy.
const QUIT_MAX: Duration = Duration::from_secs(1);

/// The connections to one server.
pub(super) struct Connections {
    server: Server,
    slots: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// A connection in use. Closed when dropped, unless it is put back.
pub(super) struct Connection<'a> {
    inner: AsyncSmtpConnection,
    home: &'a Connections,
    _slot: SemaphorePermit<'a>,
}

impl Connections {
    pub(super) const fn new(server: Server) -> Self {
        Self { server, slots: Semaphore::const_new(CONNECTIONS_MAX), idle: Mutex::new(Vec::new()) }
    }

    /// A connection that is ready for a mail: a warm one if it still answers, else a new one. Waits while all are in use.
    pub(super) async fn take(&self) -> Result<Connection<'_>, SendError> {
        let slot = self.slots.acquire().await.expect("the semaphore is never closed");
        while let Some(mut idle) = self.pop() {
            if idle.since.elapsed() < IDLE_MAX && idle.connection.test_connected().await {
                return Ok(Connection { inner: idle.connection, home: self, _slot: slot });
            }
        }
        let inner = self.server.connect().await?;
        Ok(Connection { inner, home: self, _slot: slot })
    }

    /// Closes connections that nobody has used for a while.
    pub(super) async fn close_idle(&self) {
        let old: Vec<Idle> = self.lock().extract_if(.., |idle| idle.since.elapsed() >= IDLE_MAX).collect();
        quit(old).await;
    }

    /// Closes all connections that are not in use.
    pub(super) async fn close_all(&self) {
        let all = std::mem::take(&mut *self.lock());
        quit(all).await;
    }

    fn pop(&self) -> Option<Idle> {
        self.lock().pop()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn quit(connections: Vec<Idle>) {
    for mut idle in connections {
        // Nothing depends on it: the connection is dropped either way.
        drop(timeout(QUIT_MAX, idle.connection.quit()).await);
    }
}

impl Connection<'_> {
    /// Keeps the connection for the next mail. Only after a mail was accepted: then nothing is pending on it.
    pub(super) fn put_back(self) {
        self.home.lock().push(Idle { connection: self.inner, since: Instant::now() });
    }
}

impl Deref for Connection<'_> {
    type Target = AsyncSmtpConnection;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for Connection<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}

impl Server {
    /// Connects, encrypts and signs in, as the settings say. Nothing secret is sent before the connection is encrypted.
    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let Self { host, port, security, credentials, hello_name, timeout } = self;
        let implicit = match security {
            Security::Implicit(tls) => Some(tls.clone()),
            Security::None | Security::StartTls(_) => None,
        };
        let address = (host.as_str(), *port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(address, Some(*timeout), hello_name, implicit, None)
            .await
            .map_err(turned_away)?;
        if let Security::StartTls(tls) = security {
            if !connection.can_starttls() {
                return Err(SendError::NoStartTls);
            }
            connection.starttls(tls.clone(), hello_name).await.map_err(turned_away)?;
        }
        if let Some(credentials) = credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await.map_err(not_signed_in)?;
        }
        Ok(connection)
    }
}

fn turned_away(error: lettre::transport::smtp::Error) -> SendError {
    match reply(&error) {
        Some(reply) => SendError::NotAdmitted(reply),
        None if error.is_response() => SendError::Protocol,
        None => SendError::Connection(error),
    }
}

fn not_signed_in(error: lettre::transport::smtp::Error) -> SendError {
    match reply(&error) {
        Some(reply) => SendError::SignIn(reply),
        None if error.is_client() => SendError::NoSignIn,
        None => turned_away(error),
    }
}
