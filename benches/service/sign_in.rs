//! Whole sign-ins against bare hashes: what a sign-in costs beside the hash that it cannot do without.

use std::{sync::LazyLock, time::Duration};

use signet::{crypto::signing_key::SigningKey, domain::signing_key::SigningAlgorithm};

use crate::{
    bare_kernel::{self, Speed},
    caller::Caller,
    numbers::{Figure, Rounds, met},
    orders::{Kind, Pace, Stream},
    proc,
    replica::Replica,
    run::{OTHERS_MAX, Run, Table},
    service::DatabaseKind,
};

/// Sign-ins a second for each hash a second.
const GOAL: f64 = 0.95;
const CONNECTIONS: usize = 4;
/// How many are made in a row.
const SIGNATURES: u32 = 100;

/// Sign-ins of a round, with the CPU time of each in seconds, by whom.
struct SignIns {
    per_second: f64,
    hash_workers: f64,
    rest_of_service: f64,
    /// Of the rest of the service.
    sqlite: f64,
    client: f64,
    database: f64,
    idle: f64,
    stolen: f64,
    /// Whatever else ran.
    others: f64,
}

/// CPU time until now, by whom.
struct Used {
    hash_workers: Duration,
    /// All of it: the hash workers and SQLite, too.
    service: Duration,
    sqlite: Duration,
    client: Duration,
    database: Duration,
    idle: Duration,
    stolen: Duration,
}

impl Used {
    fn until_now(replica: &Replica<'_>, caller: &Caller) -> Self {
        let (idle, stolen) = proc::idle_and_stolen();
        Self {
            hash_workers: replica.hash_cpu(),
            service: proc::cpu(replica.pid()),
            sqlite: replica.sqlite_cpu(),
            client: proc::cpu(caller.pid()),
            database: replica.service.database_cpu(),
            idle,
            stolen,
        }
    }
}

/// Rounds on one database: a sign-in's figures, each in hashes.
#[derive(Default)]
struct Results {
    speed: Rounds,
    hash_workers: Rounds,
    rest_of_service: Rounds,
    sqlite: Rounds,
    signature: Rounds,
    client: Rounds,
    database: Rounds,
    idle: Rounds,
    stolen: Rounds,
    others: Rounds,
    service_alone: Rounds,
    machine: Rounds,
    sign_ins_a_second: Rounds,
}

pub(crate) fn measure(run: &Run) {
    let services = run.services();
    let replicas: Vec<_> = services.iter().map(|service| service.replica()).collect();
    let mut callers: Vec<_> = replicas.iter().map(|replica| replica.caller(CONNECTIONS)).collect();
    let Some(threads) = replicas.first().map(Replica::hash_workers) else { return };
    let mut results: Vec<_> = replicas.iter().map(|_| Results::default()).collect();
    let (mut hashes_a_second, mut cpu_a_hash) = (Rounds::default(), Rounds::default());
    let mut note = |speed: Speed| {
        hashes_a_second.push(speed.per_second);
        cpu_a_hash.push(speed.cpu_seconds * 1e3);
        speed
    };
    let mut before = note(bare_kernel::measure(threads, run.seconds));
    for _ in run.rounds("sign-in") {
        for ((replica, caller), results) in replicas.iter().zip(&mut callers).zip(&mut results) {
            let sign_ins = sign_in(replica, caller, threads, run.seconds);
            run.note_others(sign_ins.others * sign_ins.per_second);
            let after = note(bare_kernel::measure(threads, run.seconds));
            results.note(&sign_ins, signature(), [before, after]);
            before = after;
        }
    }
    for (replica, results) in replicas.iter().zip(&results) {
        results.print(replica.service.kind, threads);
    }
    let mut table = Table::new(&["Bare kernel", "Median", "Rounds"]);
    table.row(&[&"hashes a second", &Figure(hashes_a_second.median()), &hashes_a_second.spread()]);
    table.row(&[&"CPU of a hash, ms", &Figure(cpu_a_hash.median()), &cpu_a_hash.spread()]);
    table.print("The same threads without a service, in the same run");
}

fn sign_in(replica: &Replica<'_>, caller: &mut Caller, threads: usize, seconds: f64) -> SignIns {
    let pace = Pace::full_lane(threads);
    caller.call(seconds, vec![Stream { kind: Kind::SignIn, client: 0, pace, deadline_seconds: 20.0 }]);
    caller.begun();
    let before = Used::until_now(replica, caller);
    caller.ended();
    let after = Used::until_now(replica, caller);
    let outcome = &caller.outcomes()[0];
    assert!(outcome.refused.is_empty(), "a sign-in was refused: {:?}", outcome.refused);
    let each = |time: fn(&Used) -> Duration| {
        time(&after).saturating_sub(time(&before)).as_secs_f64() / f64::from(outcome.succeeded)
    };
    let (hash_workers, service) = (each(|used| used.hash_workers), each(|used| used.service));
    let (client, database) = (each(|used| used.client), each(|used| used.database));
    let (idle, stolen) = (each(|used| used.idle), each(|used| used.stolen));
    let known = service + client + database + idle + stolen;
    SignIns {
        per_second: outcome.per_second(),
        hash_workers,
        rest_of_service: service - hash_workers,
        sqlite: each(|used| used.sqlite),
        client,
        database,
        idle,
        stolen,
        others: (proc::cpus() / outcome.per_second() - known).max(0.0),
    }
}

/// CPU time of the signature of an access token, in seconds: of the key that a project has by default.
fn signature() -> f64 {
    static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
        let pkcs8 = SigningKey::generate(SigningAlgorithm::Rs256).unwrap();
        SigningKey::from_pkcs8(SigningAlgorithm::Rs256, &pkcs8).unwrap()
    });
    let (key, before) = (&*KEY, proc::cpu_of_this_thread());
    for number in 0..SIGNATURES {
        key.sign(&number.to_be_bytes()).unwrap();
    }
    proc::cpu_of_this_thread().saturating_sub(before).as_secs_f64() / f64::from(SIGNATURES)
}

impl Results {
    fn note(&mut self, sign_ins: &SignIns, signature: f64, hashes: [Speed; 2]) {
        let hashes_a_second = hashes[0].per_second.midpoint(hashes[1].per_second);
        let hash = hashes[0].cpu_seconds.midpoint(hashes[1].cpu_seconds);
        self.speed.push(sign_ins.per_second / hashes_a_second);
        self.hash_workers.push(sign_ins.hash_workers / hash);
        self.rest_of_service.push(sign_ins.rest_of_service / hash);
        self.sqlite.push(sign_ins.sqlite / hash);
        self.signature.push(signature / hash);
        self.client.push(sign_ins.client / hash);
        self.database.push(sign_ins.database / hash);
        self.idle.push(sign_ins.idle / hash);
        self.stolen.push(sign_ins.stolen / hash);
        self.others.push(sign_ins.others / hash);
        let service = sign_ins.hash_workers + sign_ins.rest_of_service;
        self.service_alone.push(hash / service);
        self.machine.push(hash / (service + sign_ins.client + sign_ins.database));
        self.sign_ins_a_second.push(sign_ins.per_second);
    }

    fn print(&self, kind: DatabaseKind, threads: usize) {
        let mut table = Table::new(&["Figure", "Goal", "Median", "Rounds", ""]);
        let speed = self.speed.median();
        let row = |table: &mut Table, name: &str, rounds: &Rounds| {
            table.row(&[&name, &"", &Figure(rounds.median()), &rounds.spread(), &""]);
        };
        let goal = format!("≥ {GOAL}");
        let rounds = self.speed.spread();
        // More sign-ins than hashes there cannot be: the hashes had less of the machine.
        let is_met = if speed > 1.0 + OTHERS_MAX { "disturbed" } else { met(speed >= GOAL) };
        table.row(&[&"sign-ins ÷ hashes of the bare kernel", &goal, &Figure(speed), &rounds, &is_met]);
        row(&mut table, "… by CPU time: bare hash ÷ service, client and database", &self.machine);
        row(
            &mut table,
            "… by CPU time: bare hash ÷ service, as if the others had machines of their own",
            &self.service_alone,
        );
        row(&mut table, "CPU of a sign-in, in hashes: the hash workers", &self.hash_workers);
        row(&mut table, "… the rest of the service", &self.rest_of_service);
        if kind == DatabaseKind::Sqlite {
            row(&mut table, "… of it: the threads of SQLite", &self.sqlite);
        }
        row(&mut table, "… of it: an RSA signature, by itself", &self.signature);
        row(&mut table, "… the client process", &self.client);
        row(&mut table, "… the database's processes", &self.database);
        row(&mut table, "… CPUs that had nothing to do", &self.idle);
        row(&mut table, "… CPUs that the hypervisor took away", &self.stolen);
        row(&mut table, "… whatever else ran on the machine", &self.others);
        row(&mut table, "sign-ins a second", &self.sign_ins_a_second);
        table.print(&format!("Sign-ins on {kind}, {threads} hash workers"));
    }
}
