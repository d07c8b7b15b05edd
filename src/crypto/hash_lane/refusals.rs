//! Refusals as the log tells of them: in sum. In a flood a line each would be thousands a second.

use std::time::{Duration, Instant};

/// Time from one line to the next, at least.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Why a password is refused before a worker looks at it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cause {
    /// The queue has no room.
    QueueFull,
    /// Behind the others it would not be done in the caller's time.
    Deadline,
    /// It would not be done in the caller's time, even if nobody else was there.
    Hopeless,
}

impl Cause {
    /// As the numbers call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Deadline | Self::Hopeless => "deadline",
        }
    }
}

/// That a password is refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) cause: Cause,
    /// When to come back.
    pub(super) retry_after: Duration,
}

/// What was refused, and is not told yet.
pub(super) struct Refusals {
    untold: Sum,
    /// Until then nothing is told. None before the first line, which is told at once.
    next_line: Option<Instant>,
    /// Time from one line to the next, at least.
    pub(super) line_interval: Duration,
}

/// Several refusals together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Sum {
    /// For want of room.
    pub(super) queue_full: u64,
    /// For want of time.
    pub(super) deadline: u64,
    /// The longest that anybody was told to wait.
    pub(super) retry_after: Duration,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { untold: Sum::default(), next_line: None, line_interval: LINE_INTERVAL }
    }
}

impl Refusals {
    /// One more; true if it is the first that is not told yet. Who left too little time for any hash is not told of: no
    /// lane could help, and strangers could fill the log so.
    pub(super) fn add(&mut self, refusal: Refusal) -> bool {
        let (first, untold) = (self.untold.is_empty(), &mut self.untold);
        match refusal.cause {
            Cause::QueueFull => untold.queue_full += 1,
            Cause::Deadline => untold.deadline += 1,
            Cause::Hopeless => return false,
        }
        untold.retry_after = untold.retry_after.max(refusal.retry_after);
        first
    }

    /// How long until there is something to tell; none if there is nothing.
    pub(super) fn due_in(&self, now: Instant) -> Option<Duration> {
        let wait = self.next_line.map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
        (!self.untold.is_empty()).then_some(wait)
    }

    /// What is to be told now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Sum> {
        self.due_in(now).filter(Duration::is_zero)?;
        self.next_line = Some(now + self.line_interval);
        self.take()
    }

    /// What is not told yet: the last occasion.
    pub(super) fn take(&mut self) -> Option<Sum> {
        Some(std::mem::take(&mut self.untold)).filter(|untold| !untold.is_empty())
    }
}

impl Sum {
    const fn is_empty(&self) -> bool {
        self.queue_full == 0 && self.deadline == 0
    }

    /// Writes the line. Not under the lock of the lane, and in no request.
    pub(super) fn tell(self) {
        let retry_after_seconds = self.retry_after.as_secs_f64();
        tracing::warn!(
            queue_full = self.queue_full,
            deadline = self.deadline,
            retry_after_seconds,
            "passwords were refused: no room or no time in the hash lane; see SignetPasswordsRefused in \
             docs/operations.md"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fmt::{self, Write as _},
        sync::{Arc, Mutex},
    };

    use tracing::{Event, Subscriber, field::Field, subscriber::with_default};
    use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _, registry::Registry};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn refusal(cause: Cause, seconds: u32) -> Refusal {
        Refusal { cause, retry_after: seconds * SECOND }
    }

    #[test]
    fn a_flood_makes_a_line_in_ten_seconds_and_none_is_left_out() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        assert_eq!((refusals.due_in(start), refusals.take_due(start)), (None, None));
        assert!(refusals.add(refusal(Cause::QueueFull, 2)));
        let told = Sum { queue_full: 1, deadline: 0, retry_after: 2 * SECOND };
        assert_eq!(refusals.take_due(start), Some(told), "the first at once");
        for (cause, seconds, is_first) in
            [(Cause::QueueFull, 3, true), (Cause::Deadline, 5, false), (Cause::QueueFull, 4, false)]
        {
            assert_eq!(refusals.add(refusal(cause, seconds)), is_first);
        }
        let soon = start + 4 * SECOND;
        assert_eq!((refusals.take_due(soon), refusals.due_in(soon)), (None, Some(6 * SECOND)));
        let told = Sum { queue_full: 2, deadline: 1, retry_after: 5 * SECOND };
        assert_eq!(refusals.take_due(start + LINE_INTERVAL), Some(told));
        let late = start + 5 * LINE_INTERVAL;
        assert_eq!((refusals.due_in(late), refusals.take_due(late)), (None, None), "nothing happened since");
        refusals.add(refusal(Cause::Deadline, 1));
        assert_eq!(refusals.take(), Some(Sum { queue_full: 0, deadline: 1, retry_after: SECOND }));
        assert_eq!(refusals.take(), None);
    }

    #[test]
    fn who_left_no_time_for_any_hash_is_not_told_of() {
        let mut refusals = Refusals::default();
        assert!(!refusals.add(refusal(Cause::Hopeless, 60)));
        assert_eq!((refusals.due_in(Instant::now()), refusals.take()), (None, None));
        refusals.add(refusal(Cause::Deadline, 1));
        refusals.add(refusal(Cause::Hopeless, 60));
        assert_eq!(refusals.take(), Some(Sum { queue_full: 0, deadline: 1, retry_after: SECOND }));
    }

    /// What is written to the log.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<String>>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut lines = self.0.lock().unwrap();
            *lines += event.metadata().level().as_str();
            event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
                write!(lines, " {field}={value:?}").unwrap();
            });
        }
    }

    #[test]
    fn the_line_says_how_many_and_how_long() {
        let lines = Lines::default();
        let sum = Sum { queue_full: 4711, deadline: 12, retry_after: Duration::from_millis(1500) };
        with_default(Registry::default().with(lines.clone()), || sum.tell());
        let line = lines.0.lock().unwrap().clone();
        for said in ["WARN", "passwords were refused", "queue_full=4711", "deadline=12", "retry_after_seconds=1.5"] {
            assert!(line.contains(said), "{line}");
        }
    }
}
