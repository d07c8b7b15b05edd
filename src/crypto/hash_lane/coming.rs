//! Jobs on their way to the lane: what has to be read and written before a hash is not done for one that has no chance,
//! and for the others not long before their turn.
//!
//! If all whom the queue has room for prepared their jobs at once, the database would have them all at once, and
//! whatever else asks it would wait behind them. So a job is prepared when few are left before it, as many as keep the
//! workers busy meanwhile. Clients take turns here as they do before the workers.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    HashLane, LaneError, Ticket,
    admission::{Shared, State},
    lane_trace,
    refusals::{Cause, Refusal},
};

/// What is left of the time of whoever has to wait for a turn: to prepare the job, and for what follows the hash.
const SPARE: Duration = Duration::from_millis(100);

/// How long a worker without work looks on, before one more prepares at a time: whoever prepares may be about to arrive.
const STARVES_AFTER: Duration = Duration::from_millis(10);

/// Whoever waits for a turn.
pub(super) struct Waiter {
    deadline: Instant,
    /// Tells that the turn has come, or that it will not.
    teller: oneshot::Sender<Result<(), LaneError>>,
}

type Told = oneshot::Receiver<Result<(), LaneError>>;

/// A job on its way. It counts behind what waits of its client, until it arrives, is paused or is dropped.
#[must_use = "a job that is dropped comes no more"]
pub struct Coming<'a> {
    lane: &'a HashLane,
    ticket: Ticket,
    /// As the queue knows it; none while it is paused.
    number: Option<u64>,
    /// How long it had to wait for its turn.
    waited: Duration,
}

impl HashLane {
    /// Waits until it is the turn of a job to be prepared. Refuses it at once if it would have no chance if it came
    /// now, behind all that wait and those on their way; and later, as soon as it has none. What it will cost is not
    /// known yet, so it is taken for a hash of today's cost. Whoever waits here should hold nothing that others need.
    ///
    /// The lane still has the last word when the job arrives.
    pub async fn expect(&self, ticket: Ticket) -> Result<Coming<'_>, LaneError> {
        let (mut coming, told) = self.line_up(ticket)?;
        coming.wait(told).await?;
        Ok(coming)
    }

    /// Refuses what [`Self::expect`] would refuse now, and lets nothing come: for callers who say that they are a
    /// client, and of whom it is not known yet whether they are. A lane without work refuses nobody here, as whoever is
    /// refused then makes it measure anew how fast hashes are, which is work.
    ///
    /// The time to come back is that of the whole lane, so that it tells a stranger nothing of the client that was
    /// named. Yes or no remains visible, and with deadlines of several lengths one can find out about how long that
    /// client would wait. To hide it, everybody would have to be known first, which is what a flood makes too dear; it
    /// is about load, and about no user.
    pub fn peek(&self, ticket: Ticket) -> Result<(), LaneError> {
        self.shared.peek(ticket)
    }

    /// Lets a job wait for its turn, or refuses it at once.
    pub(super) fn line_up(&self, ticket: Ticket) -> Result<(Coming<'_>, Told), LaneError> {
        let (teller, told) = oneshot::channel();
        let number = self.shared.line_up(ticket, teller)?;
        Ok((Coming { lane: self, ticket, number: Some(number), waited: Duration::ZERO }, told))
    }
}

impl Coming<'_> {
    async fn wait(&mut self, mut told: Told) -> Result<(), LaneError> {
        if let Ok(told) = told.try_recv() {
            return told;
        }
        let (span, started) = (lane_trace::turn(), Instant::now());
        let told = self.wait_in_time(told).await;
        self.waited = started.elapsed();
        told.inspect_err(|_| lane_trace::refused(&span))
    }

    async fn wait_in_time(&self, mut told: Told) -> Result<(), LaneError> {
        while let Some(latest) = self.latest_turn() {
            match tokio::time::timeout_at(latest.into(), &mut told).await {
                Ok(told) => return told.unwrap_or(Err(LaneError::Stopped)),
                Err(_) => self.refuse_if_late()?,
            }
        }
        told.await.unwrap_or(Err(LaneError::Stopped))
    }

    /// When it has to be the turn of the job so that it is done in time; none if it waits no more.
    fn latest_turn(&self) -> Option<Instant> {
        let state = self.lane.shared.lock();
        self.waits(&state).then(|| state.latest_turn(self.ticket.deadline))
    }

    /// Refuses the job if its turn would come too late now.
    fn refuse_if_late(&self) -> Result<(), LaneError> {
        let shared = &self.lane.shared;
        let mut state = shared.lock();
        if !self.waits(&state) || Instant::now() < state.latest_turn(self.ticket.deadline) {
            return Ok(());
        }
        let retry_after = state.retry_after(shared.workers);
        Err(shared.refused(&mut state, Refusal { cause: Cause::Deadline, retry_after }))
    }

    fn waits(&self, state: &State) -> bool {
        self.number.is_some_and(|number| state.queue.waits(self.ticket.client, number))
    }

    /// The job waits for something that may take long, and is in nobody's way meanwhile.
    pub fn pause(&mut self) {
        if let Some(number) = self.number.take() {
            self.lane.shared.forget(self.ticket.client, number);
        }
    }

    /// The job comes again, if it was paused: refused like one that comes anew, but it does not wait for a turn. What
    /// it waited for may be held until it arrives.
    pub fn resume(&mut self) -> Result<(), LaneError> {
        if self.number.is_none() {
            self.number = Some(self.lane.shared.prepare(self.ticket)?);
        }
        Ok(())
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.pause();
    }
}

/// A job that arrives at the lane.
pub struct Arrival<'a> {
    pub(super) ticket: Ticket,
    coming: Option<Coming<'a>>,
}

impl From<Ticket> for Arrival<'_> {
    /// One that needed no preparation.
    fn from(ticket: Ticket) -> Self {
        Self { ticket, coming: None }
    }
}

impl<'a> From<Coming<'a>> for Arrival<'a> {
    fn from(coming: Coming<'a>) -> Self {
        Self { ticket: coming.ticket, coming: Some(coming) }
    }
}

impl Arrival<'_> {
    /// It counts as on its way no more. Whoever says so has the lock already.
    pub(super) fn is_here(&mut self, state: &mut State) {
        if let Some(number) = self.coming.as_mut().and_then(|coming| coming.number.take()) {
            state.queue.forget(self.ticket.client, number);
        }
    }

    /// For its turn to be prepared.
    pub(super) fn waited(&self) -> Duration {
        self.coming.as_ref().map_or(Duration::ZERO, |coming| coming.waited)
    }
}

impl Shared {
    fn line_up(&self, ticket: Ticket, teller: oneshot::Sender<Result<(), LaneError>>) -> Result<u64, LaneError> {
        let mut state = self.lock();
        let spare = state.spare(ticket.client);
        self.let_come(&mut state, ticket, spare)?;
        let (work_kib, waiter) = (state.today_kib, Waiter { deadline: ticket.deadline, teller });
        let number = state.queue.line_up(ticket.client, work_kib, waiter);
        self.give_turns(&mut state);
        if state.queue.waits(ticket.client, number) {
            // A worker that sleeps looks after those who wait.
            self.wake.notify_one();
        }
        Ok(number)
    }

    fn prepare(&self, ticket: Ticket) -> Result<u64, LaneError> {
        let mut state = self.lock();
        self.let_come(&mut state, ticket, Duration::ZERO)?;
        let work_kib = state.today_kib;
        let number = state.queue.prepare(ticket.client, work_kib);
        self.show_queue(&state);
        Ok(number)
    }

    /// Refuses a job that has no chance, and makes room for another one if somebody can go for it.
    fn let_come(&self, state: &mut State, ticket: Ticket, spare: Duration) -> Result<(), LaneError> {
        state.check_open()?;
        self.check_coming(state, ticket, spare).map_err(|refusal| self.turn_away(state, ticket, refusal))?;
        if state.queue.all().items >= self.room(state)
            && let Some(waiter) = state.queue.take_comer_for(ticket.client)
        {
            let retry_after = state.retry_after(self.workers);
            let refused = self.refused(state, Refusal { cause: Cause::QueueFull, retry_after });
            waiter.tell(Err(refused));
        }
        Ok(())
    }

    fn peek(&self, ticket: Ticket) -> Result<(), LaneError> {
        let mut state = self.lock();
        state.check_open()?;
        // Whoever is refused by a lane that measures already makes it do nothing more.
        let would_measure = state.is_idle() && !state.measure;
        if would_measure {
            return Ok(());
        }
        let spare = state.spare(ticket.client);
        let Err(Refusal { cause, .. }) = self.check_coming(&state, ticket, spare) else { return Ok(()) };
        let retry_after = state.retry_after(self.workers);
        Err(self.refused(&mut state, Refusal { cause, retry_after }))
    }

    /// Finds a job that has no chance behind all that wait and are coming.
    fn check_coming(&self, state: &State, ticket: Ticket, spare: Duration) -> Result<(), Refusal> {
        state.check_time(state.queue.ahead_of_coming(ticket.client), ticket, spare, self.workers)?;
        if state.queue.has_room_for_coming(ticket.client, self.room(state)) {
            return Ok(());
        }
        Err(Refusal { cause: Cause::QueueFull, retry_after: state.retry_after(self.workers) })
    }

    /// How many may wait or come. Those for whom a worker is free will not wait.
    const fn room(&self, state: &State) -> usize {
        self.queue_length_max + self.workers.saturating_sub(state.running.items)
    }

    fn forget(&self, client: Uuid, number: u64) {
        let mut state = self.lock();
        state.queue.forget(client, number);
        self.give_turns(&mut state);
    }

    /// Gives turns while few enough are left before whoever is next. If what is there already leaves it too little time,
    /// it is refused instead, before it has asked the database for anything.
    pub(super) fn give_turns(&self, state: &mut State) {
        while let Some((client, waiter)) = state.queue.next_comer() {
            let (ahead, deadline) = (state.queue.ahead_of_preparing(client), waiter.deadline);
            if ahead.items >= state.preparing_max {
                break;
            }
            let has_chance = state.check_time(ahead, Ticket { client, deadline }, Duration::ZERO, self.workers);
            let (waiter, told) = match has_chance {
                Ok(_) => (state.queue.give_turn(client), Ok(())),
                Err(refusal) => (state.queue.refuse_turn(client), Err(self.refused(state, refusal))),
            };
            if let Some(waiter) = waiter {
                waiter.tell(told);
            }
        }
        self.show_queue(state);
    }

    /// For a worker without work: while others wait for a turn, what is prepared at a time is too little. Gives when it
    /// has to look again.
    pub(super) fn give_more_turns(&self, state: &mut State) -> Option<Duration> {
        let now = Instant::now();
        if state.queue.comers() > 0 && now >= state.more_turns_at {
            state.more_turns_at = now + STARVES_AFTER;
            state.preparing_max = self.queue_length_max.min(state.preparing_max + 1);
            self.give_turns(state);
        }
        (state.queue.comers() > 0).then(|| state.more_turns_at - now)
    }

    /// Finds that a job has arrived although one waits for each worker: what is prepared at a time is too much.
    pub(super) fn give_fewer_turns(&self, state: &mut State) {
        if state.queue.len() > self.workers {
            state.preparing_max = State::preparing_min(self.workers).max(state.preparing_max - 1);
        }
    }
}

impl Waiter {
    fn tell(self, what: Result<(), LaneError>) {
        // If it has gone away just now, it is forgotten at once, and another one has its turn.
        let _ = self.teller.send(what);
    }
}

impl State {
    /// One for each worker, which hashes meanwhile, and one in reserve.
    pub(super) const fn preparing_min(workers: usize) -> usize {
        workers + 1
    }

    /// What a job that comes needs beside its hash: nothing if it need not wait for a turn.
    fn spare(&self, client: Uuid) -> Duration {
        let has_turn = self.queue.ahead_of_coming(client).items < self.preparing_max;
        if has_turn { Duration::ZERO } else { SPARE }
    }

    fn latest_turn(&self, deadline: Instant) -> Instant {
        deadline.checked_sub(self.own_time() + SPARE).unwrap_or_else(Instant::now)
    }
}
