use super::*;

fn assert_has(page: &str, line: &str) {
    assert!(page.lines().any(|each| each == line), "no line {line:?} in\n{page}");
}

#[test]
fn what_is_recorded_is_in_the_text() {
    let (metrics, sign_in) = (Metrics::new(), Rpc::by_path("/auth.v1.AuthService/SignIn"));
    metrics.clone().rpc_finished(sign_in, "OK", 0.25);
    metrics.rpc_finished(sign_in, "INVALID_CREDENTIALS", 0.5);
    metrics.lane_queued(7);
    metrics.lane_running_add(2);
    metrics.lane_running_add(-1);
    metrics.lane_refused("queue_full");
    metrics.lane_waited(0.001);
    metrics.hash_finished("argon2id", 0.03);
    metrics.mail_finished("given_up");
    metrics.outbox(OutboxState { waiting: 3, oldest_age_seconds: 61.5, overdue_seconds: 0.0 });
    metrics.rest_finished("canonical", 503, 0.25);
    metrics.event_recorded("password.failed", "wrong_password");
    metrics.database_waited(0.001);
    metrics.database_finished(DatabaseOperation::Commit, 0.001);
    metrics.database_failed(DatabaseFailure::NoConnection);
    metrics.readiness(true, "database", false);
    metrics.pool(10, 4);
    metrics.event_watches(3);
    metrics.newest_key_age(86_400.5);
    metrics.clock_offset(-1.5);

    let page = metrics.encode();
    for line in [
        "signet_rpcs_total{rpc=\"auth.v1.AuthService/SignIn\",outcome=\"OK\"} 1",
        "signet_rpcs_total{rpc=\"auth.v1.AuthService/SignIn\",outcome=\"INVALID_CREDENTIALS\"} 1",
        "signet_rpc_duration_seconds_sum{rpc=\"auth.v1.AuthService/SignIn\"} 0.75",
        "signet_lane_queued 7",
        "signet_lane_running 1",
        "signet_lane_refused_total{cause=\"queue_full\"} 1",
        "signet_lane_wait_seconds_count 1",
        "signet_hash_duration_seconds_bucket{le=\"0.032\",scheme=\"argon2id\"} 1",
        "signet_mails_total{outcome=\"given_up\"} 1",
        "signet_mails_waiting 3",
        "signet_mails_oldest_age_seconds 61.5",
        "signet_rest_requests_total{dialect=\"canonical\",status=\"5xx\"} 1",
        "signet_rest_duration_seconds_sum{dialect=\"canonical\"} 0.25",
        "signet_events_total{kind=\"password.failed\",cause=\"wrong_password\"} 1",
        "signet_database_wait_seconds_count 1",
        "signet_database_duration_seconds_count{operation=\"commit\"} 1",
        "signet_database_failures_total{cause=\"no_connection\"} 1",
        "signet_ready 1",
        "signet_dependency_up{dependency=\"database\"} 0",
        "signet_database_connections{state=\"idle\"} 4",
        "signet_event_watches 3",
        "signet_database_connections{state=\"used\"} 6",
        "signet_signing_key_age_seconds 86400.5",
        "signet_clock_offset_seconds -1.5",
        "# EOF",
    ] {
        assert_has(&page, line);
    }
    assert!(page.contains(&format!("signet_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))), "{page}");
}

#[test]
fn a_path_that_is_no_rpc_makes_no_label() {
    let metrics = Metrics::new();
    metrics.rpc_finished(Rpc::by_path("/made.up/By.A.Stranger"), "UNIMPLEMENTED", 0.0);
    let page = metrics.encode();
    assert_has(&page, "signet_rpcs_total{rpc=\"other\",outcome=\"UNIMPLEMENTED\"} 1");
    assert!(!page.contains("made.up"), "{page}");
}

#[test]
fn numbers_that_are_read_are_fresh_in_every_text() {
    let metrics = Metrics::new();
    let reads = Counter::<u64>::default();
    let counted = reads.clone();
    metrics.refresh_with(move |metrics| metrics.lane_queued(usize::try_from(counted.inc() + 1).unwrap()));
    assert_has(&metrics.encode(), "signet_lane_queued 1");
    assert_has(&metrics.encode(), "signet_lane_queued 2");
}

#[test]
fn numbers_of_parts_that_a_process_has_not_are_not_shown() {
    let page = Metrics::new().encode();
    let numbers: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
    for number in &numbers {
        // What is counted may begin at zero; what is measured has no value before it was.
        let may_be_zero = ["signet_build_info", "signet_lane_wait_seconds_", "signet_database_wait_seconds_"];
        assert!(may_be_zero.iter().any(|name| number.starts_with(name)), "{number}");
    }
    assert!(!numbers.is_empty());
}

#[test]
fn what_will_be_counted_begins_at_zero() {
    let metrics = Metrics::new();
    metrics.lane_started(2, 64);
    metrics.lane_kernel("portable");
    metrics.pool_started(10);
    metrics.events_started([("refresh.reused", ""), ("throttle.tripped", "sign_in")]);
    metrics.outbox(OutboxState::default());
    let page = metrics.encode();
    for line in [
        "signet_lane_workers 2",
        "signet_lane_info{kernel=\"portable\"} 1",
        "signet_lane_queue_max 64",
        "signet_lane_running 0",
        "signet_lane_refused_total{cause=\"deadline\"} 0",
        "signet_database_connections_max 10",
        "signet_database_failures_total{cause=\"unavailable\"} 0",
        "signet_events_total{kind=\"refresh.reused\",cause=\"\"} 0",
        "signet_events_total{kind=\"throttle.tripped\",cause=\"sign_in\"} 0",
        "signet_mails_total{outcome=\"given_up\"} 0",
    ] {
        assert_has(&page, line);
    }
}

#[test]
fn the_classic_form_names_counters_and_infos_as_their_numbers() {
    let metrics = Metrics::new();
    metrics.mail_finished("sent");
    metrics.lane_queued(7);
    metrics.lane_waited(0.001);
    let page = metrics.encode_as(Form::Classic);
    for line in [
        "# HELP signet_mails_total Attempts to send a mail, by outcome.",
        "# TYPE signet_mails_total counter",
        "signet_mails_total{outcome=\"sent\"} 1",
        "# TYPE signet_build_info gauge",
        "# TYPE signet_lane_queued gauge",
        "signet_lane_queued 7",
        "# TYPE signet_lane_wait_seconds histogram",
        "signet_lane_wait_seconds_count 1",
    ] {
        assert_has(&page, line);
    }
    assert!(!page.contains("# UNIT") && !page.contains("# EOF"), "{page}");
}

#[rstest::rstest]
#[case("", Form::Classic)]
#[case("*/*", Form::Classic)]
#[case("text/plain", Form::Classic)]
#[case("application/openmetrics-text", Form::OpenMetrics)]
#[case("application/openmetrics-text;q=0", Form::Classic)]
#[case("application/openmetrics-text;version=0.0.1", Form::Classic)]
#[case("text/plain, application/openmetrics-text; q=0.5", Form::Classic)]
#[case("Application/OpenMetrics-Text; version=1.0.0; q=0.5, text/plain;q=0.4", Form::OpenMetrics)]
#[case("application/openmetrics-text;q=nonsense", Form::Classic)]
// What Prometheus 2.42 and 3 send.
#[case(
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    Form::OpenMetrics
)]
#[case(
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    Form::OpenMetrics
)]
fn the_form_follows_from_what_is_accepted(#[case] accept: &str, #[case] form: Form) {
    assert_eq!(Form::wanted(accept), form, "{accept}");
}
