//! What many users and sessions cost those who call: a database for each size, services side by side, and a look at
//! each in turn.

use std::{path::Path, process::Command, time::Duration};

use tokio::runtime::Runtime;

use crate::{
    caller::Caller,
    fill::{Bytes, Filler},
    numbers::{Figure, Rounds, met, quantile},
    orders::{Kind, Order, Pace, Stream},
    proc,
    replica::Replica,
    run::{Run, Table, in_turn, print, say},
    service::{DatabaseKind, Service},
};

/// How much dearer a call may be than with the fewest users.
const GOAL: f64 = 1.2;
/// Users that are created by the service itself; the others are copies of them.
const CREATED: usize = 16;
/// Sessions that are checked and refreshed, from all over the table.
const SESSIONS: usize = 2000;
const KINDS: [(Kind, &str); 3] =
    [(Kind::SignIn, "sign-in"), (Kind::Refresh, "refresh"), (Kind::Check, "`AuthenticateSession`")];
/// For a user with a session: a little more than a million on SQLite take, which are the larger ones.
const BYTES_OF_BOTH_MAX: u64 = 1180;
/// What is left to others.
const DISK_LEFT: u64 = 2_000_000_000;

/// A size on one database.
struct Grown {
    service: Service,
    bytes: Bytes,
    sessions: Vec<String>,
}

/// Calls of one kind in one round, in seconds each.
struct Calls {
    median: f64,
    p99: f64,
    /// Of the service but for its hash workers.
    service_cpu: f64,
    database_cpu: f64,
    /// How many there were.
    count: u32,
}

/// All rounds of a kind of call at one size, in milliseconds; the ratios are to the first size.
#[derive(Default)]
struct Results {
    median: Rounds,
    p99: Rounds,
    cpu: Rounds,
    median_ratio: Rounds,
    cpu_ratio: Rounds,
}

pub(crate) fn measure(run: &Run) {
    // One after the other, because each takes its room.
    for kind in run.databases() {
        if let Some(why) = no_room(&run.sizes, &kind.parent_directory()) {
            print(format!("\ngrowth on {kind} is left out: {why}"));
            continue;
        }
        let grown: Option<Vec<_>> = run.sizes.iter().map(|size| grow(&run.binary, *kind, *size)).collect();
        if let Some(grown) = grown {
            measure_all(run, *kind, &grown);
        }
    }
}

/// Why there is no room for databases of these sizes in that directory, if so.
fn no_room(sizes: &[usize], directory: &Path) -> Option<String> {
    let needed: u64 = sizes.iter().map(|size| *size as u64 * BYTES_OF_BOTH_MAX).sum();
    let df = Command::new("df").args(["--output=avail", "-B1"]).arg(directory).output().unwrap();
    let free: u64 = String::from_utf8(df.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap();
    let gb = |bytes: u64| Figure(bytes as f64 / 1e9);
    let room = free.saturating_sub(DISK_LEFT);
    (needed > room).then(|| {
        let (needed, left, free) = (gb(needed), gb(DISK_LEFT), gb(free));
        format!(
            "it would take {needed} GB; {free} GB are free in {}, of which {left} GB are left to others",
            directory.display()
        )
    })
}

/// Sets up a service with that many users and sessions.
fn grow(binary: &Path, kind: DatabaseKind, size: usize) -> Option<Grown> {
    let mut service = Service::set_up(binary, kind, CREATED)?;
    service.replica().caller(1).prepare(&Order::OpenSessions);
    let (bytes, sessions) = runtime().block_on(async {
        let filler = Filler::connect(&service.url(), CREATED, size).await;
        filler.fill().await;
        let found = (filler.bytes().await, filler.some_sessions(SESSIONS.min(size)).await);
        filler.close().await;
        found
    });
    service.has_users(size);
    Some(Grown { service, bytes, sessions })
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn measure_all(run: &Run, kind: DatabaseKind, grown: &[Grown]) {
    let replicas: Vec<_> = grown.iter().map(|grown| grown.service.replica()).collect();
    let calling = |(replica, grown): (&Replica<'_>, &Grown)| {
        let mut caller = replica.caller(1);
        // The service takes what was filled in for its own: these are tokens of rows that it never wrote. At once,
        // because it closes connections on which nothing is asked.
        caller.prepare(&Order::ResumeSessions(grown.sessions.clone()));
        caller
    };
    let mut callers: Vec<_> = replicas.iter().zip(grown).map(calling).collect();
    let mut results: Vec<_> = grown.iter().map(|_| <[Results; KINDS.len()]>::default()).collect();
    let (scanned, mut calls_made) = (rows_scanned(grown), vec![0; grown.len()]);
    for round in run.rounds(&format!("growth on {kind}")) {
        for (which, (call, _)) in KINDS.iter().enumerate() {
            let mut calls: Vec<_> = in_turn(round, replicas.iter().zip(&mut callers).enumerate())
                .map(|(index, (replica, caller))| (index, measure_calls(replica, caller, *call, run.seconds)))
                .collect();
            calls.sort_by_key(|(index, _)| *index);
            for (index, calls_of_size) in &calls {
                calls_made[*index] += calls_of_size.count;
                results[*index][which].note(calls_of_size, &calls[0].1);
            }
        }
    }
    print_calls(kind, run, &results);
    let scanned: Vec<_> = rows_scanned(grown)
        .into_iter()
        .zip(scanned)
        .zip(calls_made)
        .map(|((after, before), calls)| Some((after? - before?) / f64::from(calls)))
        .collect();
    print_bytes(kind, run, grown, &scanned);
}

fn rows_scanned(grown: &[Grown]) -> Vec<Option<f64>> {
    let of = async |grown: &Grown| {
        let filler = Filler::connect(&grown.service.url(), CREATED, CREATED).await;
        let rows = filler.rows_scanned().await;
        filler.close().await;
        rows
    };
    grown.iter().map(|grown| runtime().block_on(of(grown))).collect()
}

/// One call at a time: what it takes is its own.
fn measure_calls(replica: &Replica<'_>, caller: &mut Caller, kind: Kind, seconds: f64) -> Calls {
    let used = || -> [Duration; 2] {
        [proc::cpu(replica.pid()).saturating_sub(replica.hash_cpu()), replica.service.database_cpu()]
    };
    let pace = Pace::InFlight(1);
    caller.call(seconds, vec![Stream { kind, client: 0, pace, deadline_seconds: 20.0 }]);
    caller.begun();
    let before = used();
    caller.ended();
    let after = used();
    let outcome = &caller.outcomes()[0];
    assert!(outcome.refused.is_empty(), "a call was refused: {:?}", outcome.refused);
    let each = |index: usize| after[index].saturating_sub(before[index]).as_secs_f64() / f64::from(outcome.succeeded);
    let latency = |share| quantile(&outcome.latencies, share);
    let (service_cpu, database_cpu) = (each(0), each(1));
    Calls { median: latency(0.5), p99: latency(0.99), service_cpu, database_cpu, count: outcome.succeeded }
}

impl Calls {
    fn cpu(&self) -> f64 {
        self.service_cpu + self.database_cpu
    }
}

impl Results {
    fn note(&mut self, calls: &Calls, of_fewest: &Calls) {
        self.median.push(calls.median * 1e3);
        self.p99.push(calls.p99 * 1e3);
        self.cpu.push(calls.cpu() * 1e3);
        self.median_ratio.push(calls.median / of_fewest.median);
        self.cpu_ratio.push(calls.cpu() / of_fewest.cpu());
    }
}

fn print_calls(kind: DatabaseKind, run: &Run, results: &[[Results; KINDS.len()]]) {
    let mut table = Table::new(&[
        "Call",
        "Users and sessions",
        "Goal",
        "Time ÷ the fewest users'",
        "Rounds",
        "",
        "CPU of service and database ÷ the fewest users'",
        "Rounds",
        "",
        "Median, ms",
        "p99, ms",
        "CPU without the hash, ms",
    ]);
    let goal = format!("≤ {GOAL}");
    for (which, (_, name)) in KINDS.iter().enumerate() {
        for (size, results) in run.sizes.iter().zip(results) {
            let results = &results[which];
            let (time, cpu) = (results.median_ratio.median(), results.cpu_ratio.median());
            table.row(&[
                name,
                size,
                &goal,
                &Figure(time),
                &results.median_ratio.spread(),
                &met(time <= GOAL),
                &Figure(cpu),
                &results.cpu_ratio.spread(),
                &met(cpu <= GOAL),
                &Figure(results.median.median()),
                &Figure(results.p99.median()),
                &Figure(results.cpu.median()),
            ]);
        }
    }
    table.print(&format!("Growth on {kind}, one call at a time"));
}

fn print_bytes(kind: DatabaseKind, run: &Run, grown: &[Grown], scanned: &[Option<f64>]) {
    let mut table = Table::new(&[
        "Users and sessions",
        "Bytes a user, with address and password",
        "Bytes a session",
        "Rows a call read by going through whole tables",
    ]);
    for ((size, grown), scanned) in run.sizes.iter().zip(grown).zip(scanned) {
        let scanned = scanned.map_or_else(|| "–".to_owned(), |rows| Figure(rows).to_string());
        table.row(&[size, &Figure(grown.bytes.user), &Figure(grown.bytes.session), &scanned]);
    }
    table.print(&format!("Room on {kind}, indexes included"));
    say("the databases are deleted");
}
