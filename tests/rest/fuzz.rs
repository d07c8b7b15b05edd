//! Any request at all: an answer in JSON with a request id, never a panic, and never a fault of ours.

use std::sync::LazyLock;

use axum::{Router, body::Body};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::BodyExt as _;
use proptest::{collection::vec, option, prelude::*, sample::select};
use prost_reflect::DescriptorPool;
use serde_json::{Map, Value};
use signet::{
    proto::DESCRIPTORS,
    random::Random,
    rest::{self, RestSettings},
};
use tower::ServiceExt as _;

use crate::{
    rest_app::RestApp,
    support::{ADA, Engine, PASSWORD},
};

/// Names that fields and parameters of some dialect have.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let messages = pool.all_messages().filter(|message| message.package_name() == "auth.v1");
    let fields: Vec<_> = messages.flat_map(|message| message.fields().collect::<Vec<_>>()).collect();
    let known = fields.iter().flat_map(|field| [field.name().to_owned(), field.json_name().to_owned()]);
    let vendors =
        ["loginId", "grant_type", "client_id", "client_secret", "session_jwt", "result", "user", "token", "code"];
    known.chain(vendors.map(str::to_owned)).collect()
});

#[derive(Clone, Debug)]
struct Any {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

fn method() -> impl Strategy<Value = String> {
    let common = select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]).prop_map(str::to_owned);
    prop_oneof![20 => common, 1 => "[A-Z]{1,8}"]
}

/// A segment as it may stand in a path: any bytes, mostly encoded.
fn segment() -> impl Strategy<Value = String> {
    let encoded = vec(any::<u8>(), 0..12)
        .prop_map(|bytes| percent_encoding::percent_encode(&bytes, percent_encoding::NON_ALPHANUMERIC).to_string());
    prop_oneof![
        encoded,
        "[a-zA-Z0-9_.~:@;=%-]{0,30}",
        select(vec!["..", ".", "%2e%2e", "user_01M7ZZMBNVEP7TMCP4KZTGWZT8", "me"]).prop_map(str::to_owned),
    ]
}

/// The method and the path of a route with anything at its parameters, or anything at all.
fn called() -> impl Strategy<Value = (String, String)> {
    let routes: Vec<_> = rest::routes().into_iter().map(|(_, method, path)| (method, path)).collect();
    let of_route = (select(routes), vec(segment(), 4))
        .prop_map(|((method, pattern), segments)| {
            let mut segments = segments.into_iter();
            let filled = pattern
                .split('/')
                .map(|part| if part.starts_with('{') { segments.next().unwrap_or_default() } else { part.to_owned() });
            (method.to_owned(), filled.collect::<Vec<_>>().join("/"))
        })
        .boxed();
    let mutated = (of_route.clone(), method(), 0..80_usize, "[ -~]").prop_map(|((_, mut path), method, at, with)| {
        let at = at.min(path.len());
        if path.is_char_boundary(at) {
            path.insert_str(at, &with);
        }
        (method, path)
    });
    let prefixes = vec!["/api/v1", "/v1", "/v2", "/sdk/v1", "/user_management", "/cis", "/oidc", "/projects", "", "/"];
    let anything = (method(), select(prefixes), vec(segment(), 0..4))
        .prop_map(|(method, prefix, segments)| (method, format!("{prefix}/{}", segments.join("/"))));
    prop_oneof![6 => of_route, 2 => mutated, 2 => anything]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        select(vec![ADA, PASSWORD, "", "\0", "2026-01-01T00:00:00Z", "90s", "eyJ.eyJ.x", "signet_rt_x"])
            .prop_map(Value::from),
        (1000..3000_usize).prop_map(|length| "x".repeat(length).into()),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        let name = prop_oneof![9 => select(NAMES.clone()), 1 => ".{0,10}"];
        prop_oneof![
            1 => vec(inner.clone(), 0..5).prop_map(Value::from),
            3 => vec((name, inner), 0..6).prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// JSON, JSON that is cut off or has another byte somewhere, a form, or anything.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let whole = json().prop_map(|json| json.to_string().into_bytes()).boxed();
    let cut = (whole.clone(), any::<prop::sample::Index>()).prop_map(|(mut body, at)| {
        body.truncate(at.index(body.len() + 1));
        body
    });
    let flipped = (whole.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut body, at, with)| {
        let at = at.index(body.len());
        body[at] = with;
        body
    });
    let form = vec((select(NAMES.clone()), ".{0,12}"), 0..4).prop_map(|pairs| {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes()
    });
    prop_oneof![4 => whole, 1 => cut, 1 => flipped, 1 => form, 1 => vec(any::<u8>(), 0..200), 1 => Just(Vec::new())]
}

fn headers(known: Vec<String>) -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let value = vec(prop_oneof![32..127_u8, 128..=255_u8], 0..40);
    let authorization = prop_oneof![
        4 => select(known).prop_map(String::into_bytes),
        1 => value.clone(),
        1 => "(Basic|Bearer) [a-zA-Z0-9+/=:._-]{0,60}".prop_map(String::into_bytes),
    ];
    let name = select(vec![
        "content-type",
        "origin",
        "cookie",
        "idempotency-key",
        "x-request-id",
        "traceparent",
        "tracestate",
        "accept-language",
        "access-control-request-method",
        "access-control-request-headers",
        "content-length",
        "grpc-timeout",
        "x-forwarded-for",
        "user-agent",
        "x-descope-project-id",
        "x-sdk-client",
        "authorization",
    ]);
    let kind =
        select(vec!["application/json", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data"]);
    (option::of(authorization), option::of(kind), vec((name, value), 0..4)).prop_map(|(authorization, kind, others)| {
        let authorization = authorization.map(|value| ("authorization".to_owned(), value));
        let kind = kind.map(|kind| ("content-type".to_owned(), kind.as_bytes().to_vec()));
        let others = others.into_iter().map(|(name, value)| (name.to_owned(), value));
        authorization.into_iter().chain(kind).chain(others).collect()
    })
}

fn request(known: Vec<String>) -> impl Strategy<Value = Any> {
    let name = prop_oneof![select(NAMES.clone()), "[a-z.]{0,8}"];
    let query = option::of(vec((name, ".{0,12}"), 0..4));
    (called(), query, headers(known), body()).prop_map(|((method, path), query, headers, body)| {
        let query =
            query.map(|pairs| url::form_urlencoded::Serializer::new("?".to_owned()).extend_pairs(pairs).finish());
        Any { method, target: format!("{path}{}", query.unwrap_or_default()), headers, body }
    })
}

/// What is wrong with the answer.
async fn check(router: Router, any: Any) -> Result<(), String> {
    // What is no HTTP never comes this far.
    let (Ok(method), Ok(target)) = (Method::from_bytes(any.method.as_bytes()), any.target.parse::<Uri>()) else {
        return Ok(());
    };
    let mut request = Request::new(Body::from(any.body));
    (*request.method_mut(), *request.uri_mut()) = (method, target);
    for (name, value) in any.headers {
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            request.headers_mut().append(HeaderName::try_from(name).unwrap(), value);
        }
    }
    let Ok(response) = router.oneshot(request).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    if !head.headers.contains_key("x-request-id") {
        return Err("no request id".into());
    }
    // 501: this version cannot do it, and says so.
    if head.status.is_server_error() && head.status != 501 {
        return Err(format!("{}: {}", head.status, String::from_utf8_lossy(&body)));
    }
    let kind = head.headers.get("content-type").map_or("", |kind| kind.to_str().unwrap());
    match kind.split(';').next().unwrap_or_default() {
        "application/json" => {
            serde_json::from_slice::<Value>(&body).map(drop).map_err(|error| format!("{error}: {body:?}"))
        }
        // Answers for browsers, and those that the contracts want empty.
        "text/html" | "text/css" | "text/javascript" if head.status.is_success() => Ok(()),
        "" if body.is_empty() && (head.status.is_success() || head.status.is_redirection()) => Ok(()),
        other => Err(format!("{} with {other:?}", head.status)),
    }
}

#[test]
fn any_request_is_answered() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = runtime.block_on(RestApp::start(Engine::Sqlite)).unwrap();
    // Whether an RPC declares its reasons is a question for the tests of the gRPC API.
    let upstream = rest::upstream::in_process(app.api.routes.clone());
    let router = rest::router(upstream, Random::System, RestSettings::default());
    let fixture = &app.fixture;
    let known = [&fixture.confidential, &fixture.public, &fixture.stranger, &fixture.operator].map(Clone::clone);
    let bearers = known.iter().map(|basic| {
        let (_, secret) = crate::support::credentials(basic);
        format!("Bearer {}:{}", fixture.project_id, secrecy::ExposeSecret::expose_secret(&secret))
    });
    let known: Vec<String> = bearers.chain(known.iter().cloned()).collect();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) };
    proptest!(config, |(any in request(known))| {
        let shown = format!("{any:?}");
        let checked = runtime.block_on(check(router.clone(), any));
        prop_assert!(checked.is_ok(), "{}: {shown}", checked.unwrap_err());
    });
}
