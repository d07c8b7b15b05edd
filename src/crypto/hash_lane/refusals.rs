//! Refusals as the log tells of them: in sum. In a flood a line each would be thousands a second.

use std::time::{Duration, Instant};

/// Time from one line to the next, at least.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// What was refused, and is not told yet.
#[derive(Default)]
pub(super) struct Refusals {
    untold: Sum,
    /// Nothing is told before.
    next_line: Option<Instant>,
}

/// Several refusals together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Sum {
    count: u64,
    /// The longest that anybody was told to wait.
    retry_after: Duration,
}

impl Refusals {
    /// One more; true if it is the first that is not told yet.
    pub(super) fn add(&mut self, retry_after: Duration) -> bool {
        self.untold.count += 1;
        self.untold.retry_after = self.untold.retry_after.max(retry_after);
        self.untold.count == 1
    }

    /// How long until there is something to tell; none if there is nothing.
    pub(super) fn due_in(&self, now: Instant) -> Option<Duration> {
        let wait = self.next_line.map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
        (self.untold.count > 0).then_some(wait)
    }

    /// What is to be told now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Sum> {
        self.due_in(now).filter(Duration::is_zero)?;
        self.next_line = Some(now + LINE_INTERVAL);
        self.take()
    }

    /// What is not told yet: the last occasion.
    pub(super) fn take(&mut self) -> Option<Sum> {
        Some(std::mem::take(&mut self.untold)).filter(|untold| untold.count > 0)
    }
}

impl Sum {
    /// Writes the line. Not under the lock of the lane, and in no request.
    pub(super) fn tell(self) {
        let retry_after_seconds = self.retry_after.as_secs_f64();
        tracing::warn!(
            refused = self.count,
            retry_after_seconds,
            "passwords were refused: the hash lane is full; see SignetPasswordsRefused in docs/operations.md"
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

    #[test]
    fn a_flood_makes_a_line_in_ten_seconds_and_none_is_left_out() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        assert_eq!((refusals.due_in(start), refusals.take_due(start)), (None, None));
        refusals.add(2 * SECOND);
        assert_eq!(refusals.take_due(start), Some(Sum { count: 1, retry_after: 2 * SECOND }), "the first at once");
        for wait in [3, 5, 4] {
            refusals.add(wait * SECOND);
        }
        let soon = start + 4 * SECOND;
        assert_eq!((refusals.take_due(soon), refusals.due_in(soon)), (None, Some(6 * SECOND)));
        assert_eq!(refusals.take_due(start + LINE_INTERVAL), Some(Sum { count: 3, retry_after: 5 * SECOND }));
        let late = start + 5 * LINE_INTERVAL;
        assert_eq!((refusals.due_in(late), refusals.take_due(late)), (None, None), "nothing happened since");
        refusals.add(SECOND);
        assert_eq!(refusals.take(), Some(Sum { count: 1, retry_after: SECOND }));
        assert_eq!(refusals.take(), None);
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
        let sum = Sum { count: 4711, retry_after: Duration::from_millis(1500) };
        with_default(Registry::default().with(lines.clone()), || sum.tell());
        let line = lines.0.lock().unwrap().clone();
        for said in ["WARN", "passwords were refused", "refused=4711", "retry_after_seconds=1.5"] {
            assert!(line.contains(said), "{line}");
        }
    }
}
