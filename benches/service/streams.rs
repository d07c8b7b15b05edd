//! Calls of a client process at their pace, and what became of them.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::mpsc, time::sleep_until};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    answers::tell,
    calls::BackEnd,
    orders::{Outcome, Pace, Stream, Told},
};

/// Before anything is counted: connections, caches and queues get to where they stay.
const WARM_UP: Duration = Duration::from_secs(1);

/// When it is counted.
#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    begin: Instant,
    end: Instant,
}

/// Makes the calls of all streams at once, and tells when the counting begins and ends.
pub(crate) async fn call(back_end: &Arc<BackEnd>, seconds: f64, streams: Vec<Stream>) -> Vec<Outcome> {
    let start = Instant::now();
    let begin = start + WARM_UP;
    let window = Window { start, begin, end: begin + Duration::from_secs_f64(seconds) };
    let streams: Vec<_> =
        streams.into_iter().map(|stream| Arc::new(Running::new(Arc::clone(back_end), stream, window))).collect();
    let (done, mut all_done) = mpsc::channel::<()>(1);
    for running in &streams {
        match running.stream.pace {
            Pace::InFlight(count) => (0..count).for_each(|_| in_turn(Arc::clone(running), done.clone())),
            Pace::PerSecond(rate) => at_pace(Arc::clone(running), rate, done.clone()),
        }
    }
    drop(done);
    sleep_until(begin.into()).await;
    tell(&Told::Begin);
    sleep_until(window.end.into()).await;
    tell(&Told::End);
    // Nothing is ever sent: it ends when the last call has.
    let _ = all_done.recv().await;
    streams.iter().map(|running| running.outcome(seconds)).collect()
}

/// Calls one after the other, until the end.
fn in_turn(running: Arc<Running>, done: mpsc::Sender<()>) {
    tokio::spawn(async move {
        while Instant::now() < running.window.end {
            running.call(Instant::now()).await;
        }
        drop(done);
    });
}

/// Sends calls at their times from a thread of its own, because the runtime's timers tick in milliseconds.
fn at_pace(running: Arc<Running>, rate: f64, done: mpsc::Sender<()>) {
    let runtime = Handle::current();
    thread::spawn(move || {
        for number in 0_u32.. {
            let due = running.window.start + Duration::from_secs_f64(f64::from(number) / rate);
            if due >= running.window.end {
                break;
            }
            if let Some(early) = due.checked_duration_since(Instant::now()) {
                thread::sleep(early);
            }
            let (running, done) = (Arc::clone(&running), done.clone());
            runtime.spawn(async move {
                running.call(due).await;
                drop(done);
            });
        }
    });
}

/// A stream under way.
struct Running {
    back_end: Arc<BackEnd>,
    stream: Stream,
    deadline: Duration,
    window: Window,
    outcome: Mutex<Outcome>,
}

impl Running {
    fn new(back_end: Arc<BackEnd>, stream: Stream, window: Window) -> Self {
        let deadline = Duration::from_secs_f64(stream.deadline_seconds);
        Self { back_end, stream, deadline, window, outcome: Mutex::default() }
    }

    /// Makes a call that was due then, and notes what becomes of it.
    async fn call(&self, due: Instant) {
        let answer = self.back_end.call(self.stream.kind, self.stream.client, self.deadline).await;
        let answered = Instant::now();
        let counts = |time| self.window.begin <= time && time < self.window.end;
        let mut outcome = self.outcome.lock().unwrap();
        outcome.succeeded += u32::from(answer.is_ok() && counts(answered));
        if counts(due) {
            outcome.note(answer, (answered - due).as_secs_f64());
        }
    }

    fn outcome(&self, seconds: f64) -> Outcome {
        Outcome { seconds, ..self.outcome.lock().unwrap().clone() }
    }
}

impl Outcome {
    fn note(&mut self, answer: Result<(), Status>, seconds: f64) {
        self.offered += 1;
        let Err(status) = answer else { return self.latencies.push(seconds) };
        // What no benchmark may meet: a user who is slowed down, a token that is no good.
        let expected = [Code::Cancelled, Code::DeadlineExceeded, Code::ResourceExhausted, Code::Unavailable];
        assert!(expected.contains(&status.code()), "{status:?}");
        let refused = self.refused.entry(format!("{:?}", status.code())).or_default();
        refused.count += 1;
        refused.with_retry_info += u32::from(status.get_details_retry_info().is_some());
        refused.seconds += seconds;
    }
}
