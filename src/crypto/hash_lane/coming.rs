//! Jobs on their way to the lane: what has to be read and written before a hash is not done for one that has no chance.

use super::{
    HashLane, LaneError, Ticket,
    admission::{Shared, State},
    refusals::{Cause, Refusal},
};

/// A job on its way. It counts behind what waits of its client, until it arrives, is paused or is dropped.
#[must_use = "a job that is dropped comes no more"]
pub struct Coming<'a> {
    lane: &'a HashLane,
    ticket: Ticket,
    counts: bool,
}

impl HashLane {
    /// Lets a job come. Refuses it as if it came now, behind all that wait and those on their way: of more than the
    /// lane has room for, nobody prepares any. What it will cost is not known yet, so it is taken for a hash of today's
    /// cost.
    ///
    /// The lane still has the last word when the job arrives.
    pub fn expect(&self, ticket: Ticket) -> Result<Coming<'_>, LaneError> {
        let mut coming = Coming { lane: self, ticket, counts: false };
        coming.resume()?;
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
}

impl Coming<'_> {
    /// The job waits for something that may take long, and is in nobody's way meanwhile.
    pub fn pause(&mut self) {
        if std::mem::take(&mut self.counts) {
            self.lane.shared.expect_no_more(self.ticket, self.lane.cost.work_kib());
        }
    }

    /// The job comes again, if it was paused; refused like one that comes anew.
    pub fn resume(&mut self) -> Result<(), LaneError> {
        if !self.counts {
            self.lane.shared.expect(self.ticket, self.lane.cost.work_kib())?;
            self.counts = true;
        }
        Ok(())
    }

    /// The job is there: gives the ticket for it, and counts no more.
    pub fn arrive(self) -> Ticket {
        self.ticket
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.pause();
    }
}

impl Shared {
    fn expect(&self, ticket: Ticket, work_kib: u64) -> Result<(), LaneError> {
        let mut state = self.lock();
        state.check_open()?;
        self.check_coming(&state, ticket).map_err(|refusal| self.turn_away(&mut state, ticket, refusal))?;
        state.queue.expect(ticket.client, work_kib);
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
        let Err(Refusal { cause, .. }) = self.check_coming(&state, ticket) else { return Ok(()) };
        let retry_after = state.retry_after(self.workers);
        Err(self.refused(&mut state, Refusal { cause, retry_after }))
    }

    /// Finds a job that has no chance behind all that wait and are coming.
    fn check_coming(&self, state: &State, ticket: Ticket) -> Result<(), Refusal> {
        state.check_time(state.queue.ahead_of_coming(ticket.client), ticket, self.workers)?;
        // Those for whom a worker is free will not wait.
        let length_max = self.queue_length_max + self.workers.saturating_sub(state.running.items);
        if state.queue.has_room_for_coming(ticket.client, length_max) {
            return Ok(());
        }
        Err(Refusal { cause: Cause::QueueFull, retry_after: state.retry_after(self.workers) })
    }

    fn expect_no_more(&self, ticket: Ticket, work_kib: u64) {
        self.lock().queue.expect_no_more(ticket.client, work_kib);
    }
}
