//! The states of the whole, and the steps between them.

use stateright::{Model, Property};

use crate::{
    claims::{self, Claim},
    owner::{Duties, Owner, Tab},
    service::{Answer, GENERATION, NOW, Row, Service, Step, Tick, Write},
    thief::{Decided, Thief},
};

/// What is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    pub(crate) service: Service,
    pub(crate) duties: Duties,
    pub(crate) has_thief: bool,
    /// How much the clocks of some replicas are ahead of those of others.
    pub(crate) skew: Tick,
    /// Whether the database may once lose the rotation that it committed last.
    pub(crate) fails_over: bool,
    pub(crate) claims: &'static [Claim],
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct State {
    pub(crate) row: Row,
    pub(crate) owner: Owner,
    pub(crate) thief: Thief,
    /// The row before the last rotation, as long as a failover can bring it back.
    before_rotation: Option<Row>,
    pub(crate) has_failed_over: bool,
    pub(crate) seen: Seen,
}

/// What must never be, and was seen at a step.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Seen {
    /// The owner was refused, though no thief had shown itself.
    pub(crate) owner_refused: bool,
    /// Somebody got another token than the next one, or a rotation did not move the row on by one.
    pub(crate) second_successor: bool,
    /// Somebody got a token of a revoked session.
    pub(crate) token_of_revoked: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// Time passes, by a tick.
    Tick,
    /// A tab sends the stored token.
    Send(usize),
    /// A replica reads and decides. Its clock is ahead by so much.
    Decide(usize, Tick),
    /// The replica writes what was decided.
    Write(usize),
    /// The tab gets its reply.
    Receive(usize),
    /// The request is lost, its replica is killed before the write or after it, or the reply is lost.
    Lose(usize),
    ThiefCopies,
    /// The thief presents a token, and a replica reads and decides.
    ThiefPresents(u32),
    ThiefWrites,
    /// The replica that handles the thief's request is killed.
    ThiefLoses,
    /// The standby takes over, without the last rotation.
    FailOver,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            row: Row::NEW,
            owner: Owner::NEW,
            thief: Thief::default(),
            before_rotation: None,
            has_failed_over: false,
            seen: Seen::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // What comes after a broken promise proves nothing.
        if !self.claims.iter().all(|claim| claims::is_possible(claim, self, state)) {
            return;
        }
        for (index, tab) in state.owner.tabs.into_iter().enumerate() {
            match tab {
                Tab::Idle if state.owner.may_send() => actions.push(Action::Send(index)),
                Tab::Idle => {}
                Tab::Sent { .. } => {
                    actions.extend((0..=self.skew).map(|ahead| Action::Decide(index, ahead)));
                    actions.push(Action::Lose(index));
                }
                Tab::Decided { .. } => actions.extend([Action::Write(index), Action::Lose(index)]),
                Tab::Answered { .. } => actions.extend([Action::Receive(index), Action::Lose(index)]),
            }
        }
        if self.has_thief {
            state.thief_actions(actions);
        }
        if state.before_rotation.is_some() {
            actions.push(Action::FailOver);
        }
        actions.push(Action::Tick);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.grow_older(self.service),
            Action::Send(tab) => state.owner.send(tab, self.duties),
            Action::Decide(tab, ahead) => state.decide_for_tab(self.service, tab, NOW + ahead),
            Action::Write(tab) => state.write_for_tab(self, tab),
            Action::Receive(tab) => state.owner.receive(tab, self.duties),
            Action::Lose(tab) => state.owner.tabs[tab] = Tab::Idle,
            Action::ThiefCopies => state.thief.copy(state.owner.stored),
            Action::ThiefPresents(token) => {
                state.thief.has_presented = true;
                state.decide_for_thief(self.service, token, NOW);
            }
            Action::ThiefWrites => state.write_for_thief(self),
            Action::ThiefLoses => state.thief.decided = None,
            Action::FailOver => {
                state.row = state.before_rotation.take()?;
                state.has_failed_over = true;
            }
        }
        state.renumber();
        state.owner.tabs.sort_unstable();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.claims.iter().copied().map(claims::property).collect()
    }
}

impl State {
    fn thief_actions(&self, actions: &mut Vec<Action>) {
        if !self.thief.has_copied() && !self.owner.signed_out {
            actions.push(Action::ThiefCopies);
        }
        if self.thief.decided.is_some() {
            actions.extend([Action::ThiefWrites, Action::ThiefLoses]);
        } else {
            actions.extend(self.thief.tokens().map(Action::ThiefPresents));
        }
    }

    fn grow_older(&mut self, service: Service) {
        self.row.grow_older(service.grace);
        if let Some(row) = &mut self.before_rotation {
            row.grow_older(service.grace);
        }
        self.owner.grow_older(service);
        self.thief.grow_older(service);
    }

    fn renumber(&mut self) {
        let by = self.row.generation.saturating_sub(GENERATION);
        if by > 0 {
            self.row.generation -= by;
            if let Some(row) = &mut self.before_rotation {
                row.generation -= by;
            }
            self.owner.renumber(by);
            self.thief.renumber(by);
        }
    }

    fn decide_for_tab(&mut self, service: Service, tab: usize, clock: Tick) {
        let (token, over_by, lost_update) = match self.owner.tabs[tab] {
            Tab::Sent { token, over_by } => (token, over_by, false),
            Tab::Decided { token, over_by, .. } => (token, over_by, true),
            Tab::Idle | Tab::Answered { .. } => unreachable!("nothing to decide"),
        };
        self.owner.tabs[tab] = match service.read_and_decide(&mut self.row, token, clock) {
            Step::Answer(answer) => {
                self.answer_owner(token, answer);
                Tab::Answered { over_by, answer, lost_update }
            }
            Step::Write(write) => Tab::Decided { token, over_by, clock, write, lost_update },
        };
    }

    fn write_for_tab(&mut self, protocol: &Protocol, tab: usize) {
        let Tab::Decided { token, over_by, clock, write, lost_update } = self.owner.tabs[tab] else { unreachable!() };
        let Some(answer) = self.write(protocol, write, clock) else {
            return self.decide_for_tab(protocol.service, tab, clock);
        };
        self.answer_owner(token, answer);
        self.owner.tabs[tab] = Tab::Answered { over_by, answer, lost_update };
    }

    fn decide_for_thief(&mut self, service: Service, token: u32, clock: Tick) {
        match service.read_and_decide(&mut self.row, token, clock) {
            Step::Answer(answer) => self.answer_thief(service, token, answer),
            Step::Write(write) => self.thief.decided = Some(Decided { token, clock, write }),
        }
    }

    fn write_for_thief(&mut self, protocol: &Protocol) {
        let Some(Decided { token, clock, write }) = self.thief.decided.take() else { unreachable!() };
        match self.write(protocol, write, clock) {
            Some(answer) => self.answer_thief(protocol.service, token, answer),
            None => self.decide_for_thief(protocol.service, token, clock),
        }
    }

    fn write(&mut self, protocol: &Protocol, write: Write, clock: Tick) -> Option<Answer> {
        let before = self.row.clone();
        let answer = protocol.service.write(&mut self.row, write, clock)?;
        if let Answer::Rotated(to) = answer {
            // After a failover an owner may be ahead of the row.
            self.seen.second_successor |= to != before.generation + 1 && !self.has_failed_over;
            if protocol.fails_over && !self.has_failed_over {
                self.before_rotation = Some(before);
            }
        }
        Some(answer)
    }

    fn answer_owner(&mut self, presented: u32, answer: Answer) {
        self.answered(presented, answer);
        match answer.token() {
            Some(token) => self.thief.owner_gets(token),
            None => self.seen.owner_refused |= !self.thief.has_presented,
        }
    }

    fn answer_thief(&mut self, service: Service, presented: u32, answer: Answer) {
        self.answered(presented, answer);
        if let Some(token) = answer.token() {
            self.thief.gets(token, service.grace);
        }
    }

    /// What holds for every answer, whoever gets it.
    fn answered(&mut self, presented: u32, answer: Answer) {
        let Some(token) = answer.token() else { return };
        self.seen.second_successor |= token != presented + 1;
        self.seen.token_of_revoked |= self.row.revoked;
    }
}
