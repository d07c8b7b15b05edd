//! The operations listener: `/livez`, `/readyz` and `/metrics`, plain HTTP for the people and machines that run the
//! service. It says nothing that a stranger in the same network could use.

use std::{
    collections::BTreeMap,
    fmt::Display,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde::Serialize;
use tokio::{net::TcpListener, time};
use tokio_util::sync::CancellationToken;

use crate::{
    listener::{self, ListenerSettings},
    metrics::{Form, Metrics},
};

/// How long what the service needs has to answer before it counts as gone.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection may take to come to its first request.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take to send the headers of a request, and lie idle between two: longer than Prometheus' default
/// interval, so that it need not connect anew each time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(90);
/// Most connections at the same time. Probes, a few collectors and a person with a browser are meant to come here.
pub const CONNECTIONS_MAX: u32 = 256;
/// How often readiness is shown in the metrics.
const SHOW_INTERVAL: Duration = Duration::from_secs(5);

type CheckResult = Result<(), String>;
type Check = Box<dyn Fn() -> Pin<Box<dyn Future<Output = CheckResult> + Send>> + Send + Sync>;

/// Whether requests should be sent here. Clones share one state.
#[derive(Clone)]
pub struct Readiness(Arc<ReadinessState>);

struct ReadinessState {
    stop: CancellationToken,
    /// What the service cannot do without: its name, and whether it answers.
    need: (&'static str, Check),
    /// What the last check said, so that only changes are logged.
    need_was_ok: AtomicBool,
}

impl Readiness {
    /// Ready as long as `database` answers within a second and `stop` is not cancelled.
    pub fn new<F, E>(stop: CancellationToken, database: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        Self::needing("database", stop, database)
    }

    /// The same for something else that the service cannot do without.
    pub fn needing<F, E>(
        name: &'static str,
        stop: CancellationToken,
        need: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let need: Check = Box::new(move || {
            let check = need();
            Box::pin(async move { check.await.map_err(|error| error.to_string()) })
        });
        Self(Arc::new(ReadinessState { stop, need: (name, need), need_was_ok: AtomicBool::new(true) }))
    }

    /// Shows in `metrics` whether the service is ready, every few seconds until `stop` is cancelled: nobody else may be asking.
    pub async fn show_in(self, metrics: Metrics, stop: CancellationToken) {
        let showing = async {
            let mut rounds = time::interval(SHOW_INTERVAL);
            rounds.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
            loop {
                rounds.tick().await;
                let checks = self.checks().await;
                let is_up = checks.need.values().all(|word| *word == "ok");
                metrics.readiness(checks.are_fine(), self.0.need.0, is_up);
            }
        };
        stop.run_until_cancelled(showing).await;
    }

    async fn checks(&self) -> Checks {
        Checks {
            serving: if self.0.stop.is_cancelled() { "draining" } else { "ok" },
            need: BTreeMap::from([(self.0.need.0, self.check_need().await)]),
        }
    }

    /// The error is logged, not shown: it can hold host names and the like.
    async fn check_need(&self) -> &'static str {
        let (word, error) = match time::timeout(CHECK_TIMEOUT, (self.0.need.1)()).await {
            Ok(Ok(())) => ("ok", String::new()),
            Ok(Err(error)) => ("failed", error),
            Err(_) => ("timed out", format!("no answer within {CHECK_TIMEOUT:?}")),
        };
        let was_ok = self.0.need_was_ok.swap(word == "ok", Ordering::SeqCst);
        match (was_ok, word) {
            (true, "failed" | "timed out") => {
                tracing::error!(error, "not ready: the {} does not answer", self.0.need.0);
            }
            (false, "ok") => tracing::info!("ready again: the {} answers", self.0.need.0),
            _ => {}
        }
        word
    }
}

#[derive(Serialize)]
struct Checks {
    serving: &'static str,
    #[serde(flatten)]
    need: BTreeMap<&'static str, &'static str>,
}

impl Checks {
    fn are_fine(&self) -> bool {
        self.serving == "ok" && self.need.values().all(|word| *word == "ok")
    }
}

#[derive(Serialize)]
struct ReadinessReport {
    ready: bool,
    checks: Checks,
}

/// The routes of the listener, and `extra` ones beside them.
pub fn router(metrics: Metrics, readiness: Readiness, extra: Router) -> Router {
    Router::new()
        .route("/livez", get(async || Json(serde_json::json!({ "live": true }))))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(numbers).with_state(metrics))
        .merge(extra)
        .fallback(async || refusal(StatusCode::NOT_FOUND, "not found"))
        .method_not_allowed_fallback(async || refusal(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"))
}

/// Serves until `stop` is cancelled and the requests that are running then are answered.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let settings = ListenerSettings {
        name: "operations",
        start_timeout: START_TIMEOUT,
        header_timeout: HEADER_TIMEOUT,
        connections_max: usize::try_from(CONNECTIONS_MAX).unwrap_or(usize::MAX),
        ..ListenerSettings::default()
    };
    listener::serve(listener, router, settings, stop).await;
}

async fn numbers(State(metrics): State<Metrics>, headers: HeaderMap) -> impl IntoResponse {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let form = Form::wanted(&accepted.collect::<Vec<_>>().join(","));
    ([(header::CONTENT_TYPE, form.content_type()), (header::VARY, "accept")], metrics.encode_as(form))
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    let checks = readiness.checks().await;
    let ready = checks.are_fine();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadinessReport { ready, checks }))
}

fn refusal(status: StatusCode, error: &str) -> impl IntoResponse + use<> {
    (status, Json(serde_json::json!({ "error": error })))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };
    use tower::ServiceExt as _;

    use super::*;

    fn ready() -> Readiness {
        Readiness::new(CancellationToken::new(), async || Ok::<_, String>(()))
    }

    async fn get(router: &Router, path: &str) -> (StatusCode, String, String) {
        let response = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        let form = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, form, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn readyz(readiness: Readiness) -> (StatusCode, Value) {
        let router = router(Metrics::new(), readiness, Router::new());
        let (status, _, body) = get(&router, "/readyz").await;
        assert_eq!(get(&router, "/livez").await.0, StatusCode::OK, "alive, ready or not");
        (status, serde_json::from_str(&body).unwrap())
    }

    #[tokio::test]
    async fn readyz_turns_503_when_draining() {
        let stop = CancellationToken::new();
        let readiness = Readiness::new(stop.clone(), async || Ok::<_, String>(()));
        let ok = json!({ "ready": true, "checks": { "serving": "ok", "database": "ok" } });
        assert_eq!(readyz(readiness.clone()).await, (StatusCode::OK, ok));
        stop.cancel();
        let draining = json!({ "ready": false, "checks": { "serving": "draining", "database": "ok" } });
        assert_eq!(readyz(readiness).await, (StatusCode::SERVICE_UNAVAILABLE, draining));
    }

    #[tokio::test]
    async fn readyz_tells_that_the_database_fails_but_not_why_and_heals() {
        let broken = Arc::new(AtomicBool::new(true));
        let state = Arc::clone(&broken);
        let readiness = Readiness::new(CancellationToken::new(), move || {
            let broken = state.load(Ordering::SeqCst);
            async move { if broken { Err("no route to db.internal") } else { Ok(()) } }
        });
        let failed = json!({ "ready": false, "checks": { "serving": "ok", "database": "failed" } });
        assert_eq!(readyz(readiness.clone()).await, (StatusCode::SERVICE_UNAVAILABLE, failed));
        broken.store(false, Ordering::SeqCst);
        assert_eq!(readyz(readiness).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn readyz_does_not_wait_for_a_database_that_hangs() {
        let (status, body) =
            readyz(Readiness::new(CancellationToken::new(), std::future::pending::<CheckResult>)).await;
        assert_eq!((status, &body["checks"]["database"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("timed out")));
    }

    #[tokio::test]
    async fn readiness_is_shown_in_the_metrics() {
        let (metrics, stop) = (Metrics::new(), CancellationToken::new());
        let readiness = Readiness::new(stop.clone(), async || Err("no route to db.internal"));
        let shown = tokio::spawn(readiness.show_in(metrics.clone(), stop.clone()));
        let is_shown = || metrics.encode().contains("signet_dependency_up{dependency=\"database\"} 0");
        time::timeout(Duration::from_secs(5), async {
            while !is_shown() {
                time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("it is shown");
        assert!(metrics.encode().contains("signet_ready 0"));
        stop.cancel();
        time::timeout(Duration::from_secs(5), shown).await.expect("ends").unwrap();
    }

    #[tokio::test]
    async fn metrics_are_served_in_the_form_that_is_asked_for_and_extra_routes_beside_them() {
        let metrics = Metrics::new();
        let extra = Router::new().route("/dev/mails", axum::routing::get(async || Json(json!([]))));
        let router = router(metrics.clone(), ready(), extra);
        metrics.mail_finished("sent");
        let (status, form, page) = get(&router, "/metrics").await;
        assert_eq!((status, form.as_str()), (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8"));
        assert!(page.contains("signet_mails_total{outcome=\"sent\"} 1"), "{page}");
        let request = Request::get("/metrics").header(header::ACCEPT, "application/openmetrics-text; version=1.0.0");
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(response.headers()[header::CONTENT_TYPE], form);
        let page = response.into_body().collect().await.unwrap().to_bytes();
        assert!(page.ends_with(b"# EOF\n"));
        assert_eq!(get(&router, "/dev/mails").await.2, "[]");
    }

    #[tokio::test]
    async fn an_unknown_path_or_method_is_refused_as_json() {
        let router = router(Metrics::new(), ready(), Router::new());
        let (status, form, body) = get(&router, "/nothing").await;
        assert_eq!((status, form.as_str()), (StatusCode::NOT_FOUND, "application/json"));
        assert_eq!(body, r#"{"error":"not found"}"#);
        let post = Request::post("/livez").body(Body::empty()).unwrap();
        assert_eq!(router.oneshot(post).await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn the_listener_serves_until_it_is_told_to_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, router(Metrics::new(), ready(), Router::new()), stop.clone()));

        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(b"GET /livez HTTP/1.1\r\nhost: ops\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");

        stop.cancel();
        // The connection is still open, and idle: it must not hold the stop up.
        time::timeout(Duration::from_secs(5), server).await.expect("stops").unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
