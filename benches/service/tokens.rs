//! Calls that hash nothing, against a bare echo of the same framework: what the service itself costs, and its database.

use std::time::Duration;

use crate::{
    caller::Caller,
    echo::Echo,
    numbers::{Figure, Rounds},
    orders::{Kind, Order, Pace, Stream},
    proc,
    replica::Replica,
    run::{Run, Table, in_turn},
};

/// Calls under way: enough that no CPU waits for the next one.
const IN_FLIGHT: usize = 16;
const CONNECTIONS: usize = 4;
/// The echo first: the others are measured by it.
const KINDS: [(Kind, &str); 4] = [
    (Kind::Echo, "bare tonic echo"),
    (Kind::Check, "`AuthenticateSession`"),
    (Kind::Refresh, "`RefreshTokens`"),
    (Kind::ClientToken, "`IssueClientToken`"),
];

/// Calls of one kind in one round; CPU time in seconds a call.
struct Calls {
    per_second: f64,
    server: f64,
    database: f64,
    client: f64,
}

#[derive(Default)]
struct Results {
    per_second: Rounds,
    speed: Rounds,
    server_us: Rounds,
    server: Rounds,
    per_core: Rounds,
    database_us: Rounds,
    client_us: Rounds,
}

pub(crate) fn measure(run: &Run) {
    let services = run.services();
    let replicas: Vec<_> = services.iter().map(|service| service.replica()).collect();
    let mut benches: Vec<_> = replicas.iter().map(Bench::begin).collect();
    for round in run.rounds("tokens") {
        for bench in in_turn(round, &mut benches) {
            bench.round(round, run.seconds);
        }
    }
    for bench in &benches {
        bench.print();
    }
}

/// What measures one database.
struct Bench<'a> {
    replica: &'a Replica<'a>,
    echo: Echo,
    caller: Caller,
    results: [Results; KINDS.len()],
}

impl<'a> Bench<'a> {
    fn begin(replica: &'a Replica<'a>) -> Self {
        let mut first = replica.caller(1);
        first.prepare(&Order::OpenSessions);
        let echo = Echo::start(&first.answer_to_check());
        let mut caller = replica.caller_beside_echo(CONNECTIONS, &echo.address);
        caller.prepare(&Order::OpenSessions);
        Self { replica, echo, caller, results: Default::default() }
    }

    fn round(&mut self, round: u32, seconds: f64) {
        let mut calls: Vec<_> = in_turn(round, KINDS.iter().enumerate())
            .map(|(place, (kind, _))| (place, self.calls(*kind, seconds)))
            .collect();
        calls.sort_by_key(|(place, _)| *place);
        for ((_, calls_of_kind), results) in calls.iter().zip(&mut self.results) {
            results.note(calls_of_kind, &calls[0].1);
        }
    }

    fn calls(&mut self, kind: Kind, seconds: f64) -> Calls {
        let Self { replica, echo, caller, .. } = self;
        let used = |caller: &Caller| -> [Duration; 3] {
            let server = if kind == Kind::Echo { echo.cpu() } else { proc::cpu(replica.pid()) };
            [server, replica.service.database_cpu(), proc::cpu(caller.pid())]
        };
        let pace = Pace::InFlight(IN_FLIGHT);
        caller.call(seconds, vec![Stream { kind, client: 0, pace, deadline_seconds: 20.0 }]);
        caller.begun();
        let before = used(caller);
        caller.ended();
        let after = used(caller);
        let outcome = &caller.outcomes()[0];
        assert!(outcome.refused.is_empty(), "a call was refused: {:?}", outcome.refused);
        let each =
            |index: usize| after[index].saturating_sub(before[index]).as_secs_f64() / f64::from(outcome.succeeded);
        Calls { per_second: outcome.per_second(), server: each(0), database: each(1), client: each(2) }
    }

    fn print(&self) {
        let mut table = Table::new(&[
            "Call",
            "Server's CPU ÷ echo's",
            "Rounds",
            "Calls a second ÷ echo's",
            "Rounds",
            "Calls per second per core of the server",
            "Server's CPU, µs",
            "Database's CPU, µs",
            "Client's CPU, µs",
            "Calls a second",
        ]);
        for ((_, name), results) in KINDS.iter().zip(&self.results) {
            table.row(&[
                name,
                &Figure(results.server.median()),
                &results.server.spread(),
                &Figure(results.speed.median()),
                &results.speed.spread(),
                &Figure(results.per_core.median()),
                &Figure(results.server_us.median()),
                &Figure(results.database_us.median()),
                &Figure(results.client_us.median()),
                &Figure(results.per_second.median()),
            ]);
        }
        let kind = self.replica.service.kind;
        table.print(&format!(
            "Tokens on {kind}, {IN_FLIGHT} calls under way (no goal is set: the echo is the yardstick)"
        ));
    }
}

impl Results {
    fn note(&mut self, calls: &Calls, echo: &Calls) {
        self.per_second.push(calls.per_second);
        self.speed.push(calls.per_second / echo.per_second);
        self.server_us.push(calls.server * 1e6);
        self.server.push(calls.server / echo.server);
        self.per_core.push(1.0 / calls.server);
        self.database_us.push(calls.database * 1e6);
        self.client_us.push(calls.client * 1e6);
    }
}
