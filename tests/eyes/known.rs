//! Everything that can be on the page of numbers: names, labels, and the values of labels that dashboard and alerts may
//! name.

use std::collections::{BTreeMap, BTreeSet};

use signet::{
    domain::event::EventKind,
    error::code_name,
    metrics::{DatabaseFailure, DatabaseOperation, Form, Metrics, OutboxState},
    proto::{ErrorReason, RPCS},
    rest,
};

/// The page of a process that has all parts and in which everything has happened.
pub(crate) fn page(form: Form) -> String {
    let metrics = Metrics::new();
    let reasons = (1..200).filter_map(|number| ErrorReason::try_from(number).ok()).map(ErrorReason::wire_name);
    let codes = (0..17).map(|number| code_name(tonic::Code::from(number)));
    let outcomes: BTreeSet<&str> = reasons.chain(codes).collect();
    for (rpc, outcome) in RPCS.iter().flat_map(|rpc| outcomes.iter().map(move |outcome| (rpc, outcome))) {
        metrics.rpc_finished(Some(rpc), outcome, 0.01);
    }
    let dialects: BTreeSet<&str> = rest::routes().into_iter().map(|(dialect, _, _)| dialect).collect();
    for (dialect, class) in dialects.into_iter().flat_map(|dialect| (1..6).map(move |class| (dialect, class))) {
        metrics.rest_finished(dialect, class * 100, 0.01);
    }
    let kinds = [
        EventKind::PasswordFailed,
        EventKind::RefreshRepeated,
        EventKind::RefreshReused,
        EventKind::SignedIn,
        EventKind::ThrottleTripped,
    ];
    for kind in kinds {
        metrics.event_recorded(kind.as_str(), "wrong_password");
    }
    metrics.readiness(true, "database", true);
    metrics.readiness(true, "upstream", true);
    lane(&metrics);
    metrics.outbox(OutboxState { waiting: 1, oldest_age_seconds: 1.5, overdue_seconds: 0.5 });
    database(&metrics);
    metrics.event_watches(1);
    metrics.newest_key_age(1.5);
    metrics.keys_overdue(0);
    metrics.clock_offset(-0.5);
    metrics.certificate_expiry(1_800_000_000);
    metrics.encode_as(form)
}

fn lane(metrics: &Metrics) {
    metrics.lane_started(2, 128);
    metrics.lane_kernel("portable");
    metrics.lane_refused("deadline");
    metrics.lane_waited(0.01);
    metrics.hash_finished("argon2id", 0.01);
}

fn database(metrics: &Metrics) {
    metrics.pool_started(10);
    metrics.pool(4, 2);
    metrics.database_waited(0.01);
    metrics.database_finished(DatabaseOperation::Commit, 0.01);
    metrics.database_finished(DatabaseOperation::Statement, 0.01);
    metrics.database_failed(DatabaseFailure::NoConnection);
}

/// Labels and their values, by the name of a series.
pub(crate) type Series = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The series of a page.
pub(crate) fn series(page: &str) -> Series {
    let mut known = Series::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let known = known.entry(name.to_owned()).or_default();
        for label in labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once("=\"").unwrap();
            known.entry(label.to_owned()).or_default().insert(value.trim_end_matches('"').to_owned());
        }
    }
    known
}
