//! Starting and stopping: when the parts are told to stop, how long they are waited for, and what a crash means.
//!
//! A stop may be announced some time before it begins, so that requests are sent elsewhere: nobody is told in the same moment. It
//! has two rounds. Parts that serve others finish first; then those that watch over them, such as the operations
//! listener, which says "not ready" until the end. A part that ends before it is told to, or panics, stops the process.

use std::{
    fmt::{self, Debug},
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    time,
};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

/// How long the second round may take: nothing that matters is running any more.
const LAST_ROUND: Duration = Duration::from_secs(1);

/// The parts of the process and the way to stop them.
#[derive(Debug)]
pub struct Shutdown {
    /// A child of the first round's token.
    leaving: CancellationToken,
    first: Round,
    last: Round,
    /// Cuts off what is still running when the drain is over.
    abort: CancellationToken,
    failure: Arc<Mutex<Option<TaskFailure>>>,
}

#[derive(Debug, Default)]
struct Round {
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Why a part ended although it should not have.
#[derive(Debug, thiserror::Error)]
pub enum TaskFailure {
    /// It returned before it was told to stop.
    #[error("{name} ended before it was told to")]
    EndedEarly {
        /// Name of the part.
        name: &'static str,
    },
    /// It returned an error.
    #[error("{name} failed")]
    Failed {
        /// Name of the part.
        name: &'static str,
        /// What it returned.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It panicked.
    #[error("{name} panicked")]
    Panicked {
        /// Name of the part.
        name: &'static str,
    },
}

/// Whether the parts ended in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Drain {
    /// Every part ended by itself.
    Drained,
    /// Some were still running at the deadline and were cut off.
    TimedOut,
}

/// How the process ended.
#[derive(Debug)]
pub struct Ended {
    /// Whether the parts ended in time.
    pub drain: Drain,
    /// The first part that failed, if one did.
    pub failure: Option<TaskFailure>,
}

impl Ended {
    /// The exit code: 0 after a clean stop, 1 when requests were cut off or a part failed.
    pub const fn exit_code(&self) -> u8 {
        match (self.drain, &self.failure) {
            (Drain::Drained, None) => 0,
            _ => 1,
        }
    }
}

impl Shutdown {
    /// Nothing runs yet, and no signal is listened to.
    pub fn new() -> Self {
        let first = Round::default();
        Self {
            leaving: first.stop.child_token(),
            first,
            last: Round::default(),
            abort: CancellationToken::new(),
            failure: Arc::default(),
        }
    }

    /// Stops on the first SIGTERM or SIGINT, `delay` after saying so, and ends the process on the second one, whatever it is doing.
    pub fn listen_to_signals(&self, delay: Duration) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut next = async move || {
            tokio::select! {
                _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
                _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            }
        };
        let (leaving, stop) = (self.leaving(), self.token());
        tokio::spawn(async move {
            next().await;
            tracing::info!(delay_seconds = delay.as_secs_f64(), "stopping; a second signal stops at once");
            leaving.cancel();
            let stopping = async {
                time::sleep(delay).await;
                stop.cancel();
                std::future::pending().await
            };
            let number = tokio::select! { number = next() => number, number = stopping => number };
            tracing::warn!("stopping at once");
            // Whoever sends a second signal does not want to wait for anything, destructors included.
            std::process::exit(128 + number);
        });
        Ok(())
    }

    /// Cancelled when the process was told to stop: at the latest with [`Self::token`], and before it where there is a delay. What
    /// is asked for meanwhile is still done.
    pub fn leaving(&self) -> CancellationToken {
        self.leaving.clone()
    }

    /// Cancelled when the process is to stop. Cancel it to stop the process.
    pub fn token(&self) -> CancellationToken {
        self.first.stop.clone()
    }

    /// Cancelled when all that [`Self::spawn`] started has ended.
    pub fn last_token(&self) -> CancellationToken {
        self.last.stop.clone()
    }

    /// Runs a part of the process until [`Self::token`] is cancelled. Its end before that, its error and its panic stop
    /// the process and make it fail.
    pub fn spawn<E>(&self, name: &'static str, part: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    {
        self.spawn_in(&self.first, name, part);
    }

    /// Like [`Self::spawn`], for a part that runs until [`Self::last_token`] is cancelled.
    pub fn spawn_last<E>(&self, name: &'static str, part: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    {
        self.spawn_in(&self.last, name, part);
    }

    fn spawn_in<E>(&self, round: &Round, name: &'static str, part: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    {
        let task = AbortOnDropHandle::new(tokio::spawn(part));
        let (own_stop, stop, abort, failure) =
            (round.stop.clone(), self.token(), self.abort.clone(), Arc::clone(&self.failure));
        round.tasks.spawn(async move {
            let Some(ended) = abort.run_until_cancelled(task).await else { return };
            let problem = match ended {
                Ok(Ok(())) if own_stop.is_cancelled() => return,
                Ok(Ok(())) => TaskFailure::EndedEarly { name },
                Ok(Err(error)) => TaskFailure::Failed { name, source: error.into() },
                Err(_) => TaskFailure::Panicked { name },
            };
            tracing::error!(error = &problem as &dyn std::error::Error, "a part of the service is gone; stopping");
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(problem);
            stop.cancel();
        });
    }

    /// Waits until the process is to stop, then for its parts, at most `deadline` long.
    pub async fn finish(self, deadline: Duration) -> Ended {
        self.first.stop.cancelled().await;
        let first = self.first.drain(deadline).await;
        if first == Drain::TimedOut {
            tracing::warn!(unfinished = self.first.tasks.len(), "not everything finished in time; cutting it off");
        }
        self.last.stop.cancel();
        // What is left in the last round serves nobody, so being cut off there is no failure.
        let _ = self.last.drain(LAST_ROUND).await;
        self.abort.cancel();
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ended { drain: first, failure }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Round {
    async fn drain(&self, deadline: Duration) -> Drain {
        self.tasks.close();
        match time::timeout(deadline, self.tasks.wait()).await {
            Ok(()) => Drain::Drained,
            Err(_) => Drain::TimedOut,
        }
    }
}

impl fmt::Display for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drained => "everything finished",
            Self::TimedOut => "unfinished requests were cut off",
        })
    }
}

#[cfg(test)]
mod tests;
