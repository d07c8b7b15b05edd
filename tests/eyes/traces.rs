//! One trace from a REST request to its mail, as a real collector gets it.

use rstest::rstest;
use signet_test_support::{
    Engine,
    mail_peer::{Peer, reserve_port},
};

use crate::{
    collector::Collector,
    installation::{Installation, PASSWORD, UNVERIFIED, VERIFIED, gateway},
    process::wait_for,
    spans::Span,
};

const CALLER: &str = "00f067aa0ba902b7";
const SIGN_IN: &str = "auth.v1.AuthService/AuthenticatePassword";

/// A trace of the caller, who collects it or does not.
fn traceparent(trace_id: &str, is_collected: bool) -> String {
    format!("00-{trace_id}-{CALLER}-0{}", u8::from(is_collected))
}

fn smtp(port: u16) -> Vec<(&'static str, String)> {
    vec![("SIGNET_SMTP_URL", format!("smtp://127.0.0.1:{port}"))]
}

/// The only span with that name.
#[track_caller]
fn only<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let named: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    let [span] = named[..] else { panic!("not one {name:?} but {} in {spans:#?}", named.len()) };
    span
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_is_one_trace_from_rest_to_the_mail_that_another_replica_sends(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let Some(collector) = Collector::start() else { return };
    let Some(installation) = Installation::on(engine).await else { return };
    let Some(peer) = Peer::start::<&str>([]) else { return };

    // The mail server is away at first.
    let (_nobody_listens, port) = reserve_port();
    let first = installation.serve(&[collector.settings(), smtp(port)].concat());
    let (status, answer) = installation.sign_in(&first.rest, UNVERIFIED, PASSWORD, &traceparent(TRACE, true));
    assert_eq!(status, 403, "{answer}");
    let tried = collector.spans_of(TRACE, |spans| spans.iter().any(|span| span.name == "send mail"));
    let tried = only(&tried, "send mail");
    assert!(tried.is_error && tried.attribute("mail.outcome") == "retried", "{tried:?}");
    first.process.kill();

    let _second = installation.serve(&[collector.settings(), smtp(peer.port)].concat());
    let mail = peer.next("accepted");
    let is_whole = |spans: &[Span]| {
        let sent = spans.iter().find(|span| span.attribute("mail.outcome") == "sent");
        // A span is sent when it ends, and one ends after those in it.
        sent.is_some()
            && spans.iter().any(|span| span.name.starts_with("POST "))
            && spans.iter().any(|s| s.name == SIGN_IN)
    };
    let spans = collector.spans_of(TRACE, is_whole);
    check_request(&spans, engine);
    check_mail(&spans);

    let text = mail["text"].as_str().unwrap();
    let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
    let code = text.split_whitespace().find(is_code).expect("six digits in the mail");
    let (_, basic) = installation.authorization.split_once(' ').unwrap();
    let said = collector.text();
    for secret in [PASSWORD, UNVERIFIED, &installation.client_secret, basic, code, "signet_pa_", "$argon2"] {
        assert!(!said.contains(secret), "{secret} in a trace");
    }
    assert!(said.contains("deployment.environment.name"));
}

/// REST, RPC, the lane and the database.
fn check_request(spans: &[Span], engine: Engine) {
    let rest = only(spans, "POST /api/v1/auth/password/authenticate");
    assert_eq!((rest.parent.as_str(), rest.is_error), (CALLER, false), "{rest:?}");
    assert_eq!(rest.attribute("http.route"), "/api/v1/auth/password/authenticate");
    assert_eq!(rest.attribute("http.request.method"), "POST");
    assert_eq!(rest.attribute("http.response.status_code"), "403");
    assert_eq!(rest.resource["service.name"], "signet");
    assert_eq!(rest.resource["service.instance.id"].len(), 36);

    let rpc = only(spans, SIGN_IN);
    assert_eq!((&rpc.parent, rpc.is_error), (&rest.id, false), "{rpc:?}");
    let rpc_attributes = ["rpc.system", "rpc.service", "rpc.method", "rpc.grpc.status_code", "error.type"];
    let expected = ["grpc", "auth.v1.AuthService", "AuthenticatePassword", "9", "EMAIL_VERIFICATION_REQUIRED"];
    assert_eq!(rpc_attributes.map(|name| rpc.attribute(name)), expected);

    for name in ["hash_lane.wait", "hash_lane.work"] {
        assert_eq!(only(spans, name).parent, rpc.id, "{name}");
    }
    let outbox = only(spans, "INSERT outbox");
    assert_eq!(outbox.parent, rpc.id);
    let system = if engine == Engine::Postgres { "postgresql" } else { "sqlite" };
    let attributes = ["db.system.name", "db.operation.name", "db.collection.name"].map(|name| outbox.attribute(name));
    assert_eq!(attributes, [system, "INSERT", "outbox"]);
    for name in ["BEGIN", "COMMIT", "SELECT identifiers"] {
        assert!(spans.iter().any(|span| span.name == name && span.parent == rpc.id), "{name} in {spans:#?}");
    }
}

/// Two tries of two replicas, each in the trace of the request.
fn check_mail(spans: &[Span]) {
    let rpc = only(spans, SIGN_IN);
    let tries: Vec<_> = spans.iter().filter(|span| span.name == "send mail").collect();
    assert_eq!(tries.len(), 2, "{tries:#?}");
    assert!(tries.iter().all(|span| span.parent == rpc.id), "{tries:#?}");
    let sent = tries.iter().find(|span| span.attribute("mail.outcome") == "sent").unwrap();
    assert!(!sent.is_error && sent.attribute("mail.attempt") == "2", "{sent:?}");
    assert_ne!(sent.resource["service.instance.id"], rpc.resource["service.instance.id"], "another process");
    let noted = spans.iter().any(|span| span.name == "UPDATE outbox" && span.parent == sent.id);
    assert!(noted, "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_crowd_a_trace_tells_of_the_wait_for_a_turn() {
    const TRACE: &str = "8bf92f3577b34da6a3ce929d0e0e4736";
    const CROWD: usize = 8;
    let Some(collector) = Collector::start() else { return };
    let installation = Installation::on(Engine::Sqlite).await.unwrap();
    // Two prepare at a time.
    let one_worker = ("SIGNET_HASH_WORKERS", "1".to_owned());
    let service = installation.serve(&[collector.settings(), vec![one_worker]].concat());
    std::thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(|| installation.sign_in(&service.rest, VERIFIED, PASSWORD, &traceparent(TRACE, true)));
        }
    });
    let is_whole = |spans: &[Span]| spans.iter().filter(|span| span.name == SIGN_IN).count() == CROWD;
    let spans = collector.spans_of(TRACE, is_whole);
    let turns: Vec<_> = spans.iter().filter(|span| span.name == "hash_lane.turn").collect();
    assert!(!turns.is_empty(), "{spans:#?}");
    for turn in turns {
        assert!(spans.iter().any(|span| span.name == SIGN_IN && span.id == turn.parent), "{turn:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_hands_the_trace_on_and_a_caller_who_does_not_collect_makes_nobody_collect() {
    let (trace, quiet) = ("5bf92f3577b34da6a3ce929d0e0e4736", "6bf92f3577b34da6a3ce929d0e0e4736");
    let Some(collector) = Collector::start() else { return };
    let installation = Installation::on(Engine::Sqlite).await.unwrap();
    let behind = installation.serve(&collector.settings());
    let mut settings = collector.settings();
    settings.push(("SIGNET_UPSTREAM", format!("http://{}", behind.grpc)));
    settings.push(("OTEL_SERVICE_NAME", "edge".to_owned()));
    let gateway = gateway(&settings);

    assert_eq!(installation.sign_in(&gateway.rest, VERIFIED, PASSWORD, &traceparent(quiet, false)).0, 200);
    assert_eq!(installation.sign_in(&gateway.rest, VERIFIED, PASSWORD, &traceparent(trace, true)).0, 200);
    let is_whole = |spans: &[Span]| {
        ["POST /api/v1/auth/password/authenticate", SIGN_IN]
            .iter()
            .all(|name| spans.iter().any(|span| span.name == *name))
    };
    let spans = collector.spans_of(trace, is_whole);
    let (rest, rpc) = (only(&spans, "POST /api/v1/auth/password/authenticate"), only(&spans, SIGN_IN));
    assert_eq!((rest.parent.as_str(), &rpc.parent), (CALLER, &rest.id));
    assert_eq!((rest.resource["service.name"].as_str(), rpc.resource["service.name"].as_str()), ("edge", "signet"));
    // It was there before.
    assert_eq!(collector.spans(quiet).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_do_not_mind_a_collector_that_is_away_and_traces_go_on_when_it_is_back() {
    let Some(mut collector) = Collector::start() else { return };
    let installation = Installation::on(Engine::Sqlite).await.unwrap();
    let service = installation.serve(&collector.settings());
    collector.stop();
    for _ in 0..3 {
        assert_eq!(installation.sign_in(&service.rest, VERIFIED, PASSWORD, "").0, 200);
    }
    service.process.log_line("traces are lost");
    assert_eq!(installation.sign_in(&service.rest, VERIFIED, PASSWORD, "").0, 200);

    collector.start_again();
    let trace = "7bf92f3577b34da6a3ce929d0e0e4736";
    // What is collected before the connection is made again may be lost.
    wait_for(|| {
        assert_eq!(installation.sign_in(&service.rest, VERIFIED, PASSWORD, &traceparent(trace, true)).0, 200);
        collector.spans(trace).iter().any(|span| span.name == SIGN_IN).then_some(())
    });
    service.process.log_line("the collector takes traces again");
}
