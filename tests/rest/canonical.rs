//! The canonical API: RPCs as HTTP calls.

use http::Method;
use serde_json::{Value, json};
use signet::{
    domain::{
        caller::Caller,
        client::{ClientType, TokenProfile},
        identifier::{Identifier, IdentifierKind},
        user::{Metadata, Profile},
    },
    usecase::{
        Call,
        projects::get_project,
        users::{NewUser, VouchedIdentifier, create_user},
    },
};

use crate::{
    rest_app::{Answer, RestApp},
    support::{ADA, Engine, GRACE, PASSWORD, operator_call},
    vendor_app::VendorApp,
};

async fn start() -> RestApp {
    RestApp::start(Engine::Sqlite).await.unwrap()
}

/// The detail of a refusal of that type.
fn detail<'a>(answer: &'a Answer, name: &str) -> &'a Value {
    let details = answer.json["details"].as_array().unwrap_or_else(|| panic!("no details: {}", answer.text()));
    let wanted = format!("type.googleapis.com/{name}");
    details.iter().find(|detail| detail["@type"] == wanted).unwrap_or_else(|| panic!("no {name}: {}", answer.text()))
}

fn reason(answer: &Answer) -> &str {
    detail(answer, "google.rpc.ErrorInfo")["reason"].as_str().unwrap()
}

fn fields(answer: &Answer) -> Vec<&str> {
    let violations = detail(answer, "google.rpc.BadRequest")["fieldViolations"].as_array().unwrap();
    violations.iter().map(|violation| violation["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn headers_that_go_on_are_judged_by_the_api_repeated_and_unreadable_ones_too() {
    let app = VendorApp::start(TokenProfile::WorkOs).await;
    let listed = "https://app.example";
    let call = || {
        let call = app.post("/api/v1/auth/password/authenticate").basic(&app.client_id, &app.secret);
        call.json(&json!({"email": ADA, "password": PASSWORD}))
    };
    assert_eq!(call().header("origin", listed).header("idempotency-key", "a").await.status, 200);
    for answer in [
        call().header("origin", listed).header("origin", "https://evil.example").await,
        call().header("origin", listed).header("origin", listed).await,
        call().header("origin", "https://äpp.example").await,
    ] {
        assert_eq!(reason(&answer), "ORIGIN_NOT_ALLOWED");
    }
    for answer in [
        call().header("idempotency-key", "b").header("idempotency-key", "c").await,
        call().header("idempotency-key", "ä").await,
    ] {
        assert_eq!((reason(&answer), fields(&answer)), ("INVALID_FIELD", vec!["idempotency-key"]));
    }
}

/// Users whose data is small as JSON, and large as messages.
#[tokio::test]
async fn a_page_of_users_with_much_data_is_listed() {
    let app = VendorApp::start(TokenProfile::WorkOs).await;
    let project = get_project(&app.services, &operator_call(), app.project_id).await.unwrap();
    let call = Call { caller: Caller::OperatorOf(Box::new(project)), ..operator_call() };
    let data: Metadata = serde_json::from_value(json!({"a": vec![0; 8000]})).unwrap();
    for number in 0..26 {
        let identifier = Identifier::parse(IdentifierKind::Email, &format!("user{number}@example.com")).unwrap();
        let new = NewUser {
            identifiers: vec![VouchedIdentifier { identifier, verified: false }],
            password: None,
            password_must_change: false,
            external_id: None,
            profile: Profile { metadata: data.clone(), untrusted_metadata: data.clone(), ..Profile::default() },
        };
        create_user(&app.services, &call, new).await.unwrap();
    }
    let list = app.get("/api/v1/users?pageSize=100").basic(&app.client_id, &app.secret).await;
    assert_eq!((list.status, list.json["users"].as_array().map(Vec::len)), (200, Some(28)));
    let list = app.get("/user_management/users?limit=100").bearer(&format!("sk_{}", app.secret)).await;
    assert_eq!((list.status, list.json["data"].as_array().map(Vec::len)), (200, Some(28)));
}

#[tokio::test]
async fn a_sign_in_by_the_canonical_api() {
    let app = start().await;
    let answer = app
        .post("/api/v1/auth/password/authenticate")
        .header("authorization", &app.fixture.confidential)
        .json(&json!({"email": ADA, "password": PASSWORD, "client_context": {"userAgent": "a", "ip_address": "192.0.2.1"}}))
        .await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json["user"]["email"], ADA);
    assert_eq!(answer.json["tokens"]["tokenType"], "Bearer");
    assert_eq!(answer.json["user"]["emailVerified"], true);
    assert!(answer.json["user"].get("disabledAt").is_none(), "what is not set is left out");

    let session = answer.json["session"]["sessionId"].as_str().unwrap();
    let path = format!("/api/v1/sessions/{session}");
    let session = app.get(&path).header("authorization", &app.fixture.confidential).await;
    assert_eq!(
        (session.status, &session.json["session"]["clientContext"]["userAgent"]),
        (200, &json!("a")),
        "{}",
        session.text()
    );
}

#[tokio::test]
async fn users_are_made_listed_changed_and_deleted() {
    let app = start().await;
    let (id, secret) = app.client(ClientType::Confidential, TokenProfile::Standard).await;
    let made =
        app.post("/api/v1/users").basic(&id, &secret).json(&json!({"username": "eve", "givenName": "Eve"})).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let path = format!("/api/v1/users/{}", made.json["user"]["userId"].as_str().unwrap());
    let list = app.get("/api/v1/users?pageSize=1").basic(&id, &secret).await;
    assert_eq!(list.json["users"].as_array().unwrap().len(), 1);
    let next = list.json["nextPageToken"].as_str().unwrap();
    let list = app.get(&format!("/api/v1/users?page_size=100&page_token={next}")).basic(&id, &secret).await;
    assert_eq!(list.json["users"].as_array().unwrap().len(), 3);

    let token = app.post("/api/v1/auth/client_token").basic(&id, &secret).await;
    let token = token.json["accessToken"].as_str().unwrap();
    let changed =
        app.patch(&path).bearer(token).json(&json!({"user": {"given_name": "Eva"}, "update_mask": "givenName"})).await;
    assert_eq!((changed.status, &changed.json["user"]["givenName"]), (200, &json!("Eva")), "{}", changed.text());
    let set = app.put(&format!("{path}/password")).bearer(token).json(&json!({"password": "a lamp, a horse"})).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let deleted = app.delete(&path).bearer(token).await;
    assert_eq!((deleted.status, deleted.text()), (200, "{}"));
    let gone = app.get(&path).bearer(token).await;
    assert_eq!((gone.status, &gone.json["code"], reason(&gone)), (404, &json!(5), "USER_NOT_FOUND"));
}

#[tokio::test]
async fn a_refusal_is_a_status_with_its_details() {
    let app = start().await;
    let body = json!({"email": ADA, "password": "another"});
    let wrong = app.post("/api/v1/auth/password/authenticate").header("authorization", &app.fixture.confidential);
    let wrong = wrong.json(&body).await;
    assert_eq!((wrong.status, &wrong.json["code"], reason(&wrong)), (401, &json!(16), "INVALID_CREDENTIALS"));
    assert_eq!(detail(&wrong, "google.rpc.RequestInfo")["requestId"], wrong.header("x-request-id"));
    assert_eq!(wrong.headers.get_all("www-authenticate").iter().count(), 1);

    let nobody = app.post("/api/v1/auth/password/authenticate").json(&body).await;
    assert_eq!((nobody.status, reason(&nobody)), (401, "CALLER_UNAUTHENTICATED"));
    let challenges: Vec<_> = nobody.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, ["Basic realm=\"signet\", charset=\"UTF-8\"", "Bearer realm=\"signet\""]);

    let unverified = app.post("/api/v1/auth/password/authenticate").header("authorization", &app.fixture.confidential);
    let unverified = unverified.json(&json!({"email": GRACE, "password": PASSWORD})).await;
    assert_eq!((unverified.status, &unverified.json["code"]), (403, &json!(9)));
    let pending = detail(&unverified, "auth.v1.PendingAuthentication");
    assert!(pending["pendingAuthenticationToken"].as_str().unwrap().starts_with("signet_pa_"), "{pending}");
}

#[tokio::test]
async fn what_is_wrong_in_a_request_is_named() {
    let app = start().await;
    let post = |body: &str| app.post("/api/v1/auth/sign_in").header("authorization", &app.fixture.public).body(body);
    let table = [
        (r#"{"nonsense": 1}"#, "nonsense", "is not a field of this call"),
        (r#"{"options": {"nonsense": 1}}"#, "options.nonsense", "is not a field of this call"),
        (r#"{"password": 7}"#, "password", "expected a string"),
        (r#"{"options": {"revoke_other_sessions": "yes"}}"#, "options.revoke_other_sessions", "expected a boolean"),
        ("{", "", "EOF while parsing"),
        ("[]", "", "expected a map"),
        ("{} {}", "", "trailing characters"),
        ("null", "", "expected a map"),
    ];
    for (body, field, why) in table {
        let answer = post(body).await;
        assert_eq!(
            (answer.status, reason(&answer), &fields(&answer)[..]),
            (400, "INVALID_FIELD", &[field][..]),
            "{body}"
        );
        assert!(answer.json["message"].as_str().unwrap().contains(why), "{body}: {}", answer.text());
    }
    // What only the API itself finds has the same form.
    let empty = post("").await;
    assert_eq!((empty.status, reason(&empty)), (400, "INVALID_FIELD"), "{}", empty.text());

    let get = |path: &str| app.get(path).header("authorization", &app.fixture.confidential);
    for (path, field) in [
        ("/api/v1/users?nonsense=1", "nonsense"),
        ("/api/v1/users?page_size=1&page_size=2", "page_size"),
        ("/api/v1/users?page_size=many", "pageSize"),
    ] {
        let answer = get(path).await;
        assert_eq!((answer.status, &fields(&answer)[..]), (400, &[field][..]), "{path}: {}", answer.text());
    }
    assert_eq!(get("/api/v1/users").body("{\"page_size\": 1}").await.status, 400, "no body where none is read");
    let query = app.post("/api/v1/auth/sign_in?password=x").header("authorization", &app.fixture.public).await;
    assert_eq!(fields(&query), ["password"], "no query where none is read");
}

#[tokio::test]
async fn what_is_not_there_is_refused_in_the_same_form() {
    let app = start().await;
    for path in ["/", "/api", "/api/v1", "/api/v1/nothing", "/nowhere", "/.well-known/acme", "/projects/x"] {
        let answer = app.get(path).await;
        assert_eq!((answer.status, &answer.json["code"]), (404, &json!(5)), "{path}");
        assert!(answer.json["message"].is_string() && answer.json["details"].is_array(), "{path}");
    }
    let answer = app.request(Method::PUT, "/api/v1/users").await;
    assert_eq!((answer.status, answer.header("allow"), &answer.json["code"]), (405, "GET, POST", &json!(12)));
    let large = "x".repeat(256 * 1024 + 1);
    let answer = app.post("/api/v1/users").body(large).await;
    assert_eq!((answer.status, &answer.json["code"], reason(&answer)), (413, &json!(3), "INVALID_FIELD"));
    let fits = app.post("/api/v1/users").body(" ".repeat(256 * 1024)).await;
    assert_eq!(fits.status, 401, "the limit itself is fine");
}
