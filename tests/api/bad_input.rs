//! Wrong fields: refused by name, with the documented reason, and nothing half-written.

mod out_of_bounds;

use rstest::rstest;
use serde_json::{Map, Value, json};
use signet::proto::{CreateUserRequest, ListProjectsRequest, ListUsersRequest, RPCS};
use tonic::Code;

use crate::support::{Answer, Engine, PASSWORD, RawCall, TestApp, field_violations, message};

/// Calls an RPC as somebody it is open to, with a request in JSON.
async fn call(app: &TestApp, name: &str, request: &Value) -> Answer {
    let rpc = RPCS.iter().find(|rpc| rpc.path.ends_with(&format!("/{name}"))).unwrap();
    let call = RawCall::to(rpc.path).authorization(app.fixture.entitled(rpc.caller));
    call.message(&message(rpc.path, request.clone())).send(&app.routes()).await
}

/// Everything that a refused request could have left behind.
async fn traces(app: &TestApp) -> (usize, usize, Vec<String>, u64) {
    let users = ListUsersRequest { page_size: 100, ..Default::default() };
    let users = app.back_end().users.list_users(users).await.unwrap();
    let projects = app.operator().projects.list_projects(ListProjectsRequest::default()).await.unwrap();
    (
        users.into_inner().users.len(),
        projects.into_inner().projects.len(),
        app.events().await,
        app.mails_waiting().await,
    )
}

/// A request that is wrong in one field: RPC, request, the field as it has to be named.
type Wrong = (&'static str, Value, String);

fn wrong(rpc: &'static str, request: Value, field: &str) -> Wrong {
    (rpc, request, field.to_owned())
}

/// Fails unless each request is refused for its field, without a trace.
async fn assert_refused(engine: Engine, requests: impl FnOnce(&TestApp) -> Vec<Wrong>) {
    let Some(app) = TestApp::start(engine).await else { return };
    let before = traces(&app).await;
    for (rpc, request, field) in requests(&app) {
        let shown: String = request.to_string().chars().take(200).collect();
        let answer = call(&app, rpc, &request).await;
        let seen = (answer.status.code(), answer.reason());
        assert_eq!(seen, (Code::InvalidArgument, "INVALID_FIELD".into()), "{rpc} {shown}: {:?}", answer.status);
        assert_eq!(field_violations(&answer.status), [field], "{rpc} {shown}");
    }
    assert_eq!(traces(&app).await, before);
}

/// The object with those members, too.
fn with(object: &Value, members: Value) -> Value {
    let (Value::Object(mut object), Value::Object(members)) = (object.clone(), members) else { panic!("two objects") };
    object.extend(members);
    Value::Object(object)
}

fn wrong_identifiers() -> Vec<(&'static str, String)> {
    let emails = ["", " ", "ada", "@example.com", "ada@", "a da@example.com", "ada@exa mple.com", "ada@-.example"];
    let more = ["ada\0@example.com", "ada@example.com\r\nBcc: eve@example.com", "ada@evil.example@example.com", "@"];
    let usernames = ["", "\t", "ada lovelace", "ada\0", "a\u{200B}da", "ada\nb", "\u{2028}a\u{2028}b"];
    let phones = ["", "2025550123", "+0123456789", "+123", "+1234567890123456", "+1202555O123", "+١٢٠٢٥٥٥٠١٢٣", "++"];
    let mut wrong: Vec<(&str, String)> = emails.iter().chain(&more).map(|text| ("email", (*text).to_owned())).collect();
    wrong.extend(usernames.map(|text| ("username", text.to_owned())));
    wrong.extend(phones.map(|text| ("phone_number", text.to_owned())));
    wrong.push(("email", format!("{}@example.com", "a".repeat(309))));
    wrong.push(("email", format!("{}@example.com", "a".repeat(65))));
    wrong.push(("email", format!("ada@{}.example", "a".repeat(64))));
    wrong.push(("username", "u".repeat(321)));
    wrong.push(("username", "u".repeat(60_000)));
    wrong.push(("phone_number", format!("+1 202 555 0123{}", " ".repeat(320))));
    wrong
}

#[rstest]
#[tokio::test]
async fn wrong_identifiers_are_named(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let requests = |app: &TestApp| {
        let mut all = Vec::new();
        for (kind, text) in wrong_identifiers() {
            let one = json!({kind: text});
            all.push(wrong("AuthenticatePassword", with(&one, json!({"password": PASSWORD})), kind));
            all.push(wrong("CreateUser", with(&one, json!({"password": PASSWORD})), kind));
            let new = with(&one, json!({"password": PASSWORD}));
            all.push(wrong("SignUp", json!({"user": new}), &format!("user.{kind}")));
            all.push(wrong("ListUsers", one.clone(), kind));
            let list = format!("{kind}s");
            all.push(wrong("ListUsers", json!({"filter": {&list: [text]}}), &format!("filter.{list}")));
            let mask = kind.replace("_n", "N");
            let update = json!({"user_id": app.fixture.ada.to_string(), "user": one, "update_mask": mask});
            all.push(wrong("UpdateUser", update, &format!("user.{kind}")));
        }
        for login_id in ["", " ", "a b", "@", "ada@", "+", "+1", "a\0", &"u".repeat(321)] {
            all.push(wrong("SignIn", json!({"login_id": login_id, "password": PASSWORD}), "login_id"));
            let replacement = json!({"login_id": login_id, "current_password": PASSWORD, "new_password": PASSWORD});
            all.push(wrong("ReplacePassword", replacement, "login_id"));
            if !login_id.is_empty() {
                let change = json!({"login_id": login_id, "refresh_token": "x", "new_password": PASSWORD});
                all.push(wrong("ChangePassword", change, "login_id"));
            }
            all.push(wrong("AuthenticateEmailCode", json!({"login_id": login_id, "code": "123456"}), "login_id"));
        }
        for (kind, text) in wrong_identifiers() {
            if kind == "email" {
                all.push(wrong("CreatePasswordReset", json!({"email": text}), "email"));
                all.push(wrong("StartEmailVerification", json!({"refresh_token": "x", "email": text}), "email"));
                all.push(wrong("StartPasswordReset", json!({"email": text}), "email"));
            }
        }
        all.push(wrong("AuthenticatePassword", json!({"password": PASSWORD}), "identifier"));
        all.push(wrong("CreateUser", json!({"password": PASSWORD}), "email"));
        all.push(wrong("CreateUser", json!({"username": "x", "email_verified": true}), "email_verified"));
        all.push(wrong("CreateUser", json!({"username": "x", "phone_number_verified": true}), "phone_number_verified"));
        all
    };
    assert_refused(engine, requests).await;
}

#[rstest]
#[tokio::test]
async fn passwords_that_cannot_be_are_named(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let requests = |app: &TestApp| {
        let user_id = app.fixture.ada.to_string();
        let mut all = Vec::new();
        for password in [String::new(), "p".repeat(1025), "p".repeat(60_000)] {
            let given = json!({"password": password});
            all.push(wrong("AuthenticatePassword", with(&given, json!({"username": "ada"})), "password"));
            all.push(wrong("SignIn", with(&given, json!({"login_id": "ada"})), "password"));
            all.push(wrong("CreateUser", with(&given, json!({"username": "new"})), "password"));
            all.push(wrong("SetPassword", with(&given, json!({"user_id": user_id})), "password"));
            let reset = json!({"password_reset_token": "x", "new_password": password});
            all.push(wrong("CompletePasswordReset", reset, "new_password"));
            all.push(wrong("SignUp", json!({"user": with(&given, json!({"username": "new"}))}), "user.password"));
            let change = json!({"refresh_token": "x", "new_password": password});
            all.push(wrong("ChangePassword", change, "new_password"));
            for (field, other) in [("current_password", "new_password"), ("new_password", "current_password")] {
                let replacement = json!({"login_id": "ada", field: password, other: PASSWORD});
                all.push(wrong("ReplacePassword", replacement, field));
            }
        }
        all
    };
    assert_refused(engine, requests).await;
}

#[rstest]
#[tokio::test]
async fn malformed_ids_and_empty_tokens_are_named(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let requests = |app: &TestApp| {
        let mut all = Vec::new();
        let project_id = app.fixture.project_id.to_string();
        let client_id = crate::support::credentials(&app.fixture.confidential).0;
        let settled = json!({
            "user_id": app.fixture.ada.to_string(), "project_id": project_id, "client_id": client_id, "password": PASSWORD,
            "name": "n", "client_type": 1, "user": {"given_name": "x"}, "update_mask": "givenName",
        });
        let places = [
            (
                "user_id",
                "GetUser UpdateUser DeleteUser DisableUser EnableUser SetPassword SendEmailVerification ConfirmEmailVerification",
            ),
            ("user_id", "ListSessions RevokeAllSessions"),
            ("session_id", "AuthenticateSession SignOut GetSession RevokeSession ResumeSession EndSession"),
            ("project_id", "GetProviderMetadata GetProject CreateClient ListClients DeleteClient"),
            ("client_id", "DeleteClient CreateClientSecret DeleteClientSecret"),
            ("client_secret_id", "DeleteClientSecret"),
            ("email_verification_id", "GetEmailVerification"),
            ("password_reset_id", "GetPasswordReset"),
        ];
        let other_kind = "mail_01K0000000000000000000000Z";
        let bad = ["", "x", "user_", "\0", "user_8ZZZZZZZZZZZZZZZZZZZZZZZZZ", other_kind, &"9".repeat(60_000)];
        for (field, rpcs) in places {
            for rpc in rpcs.split(' ') {
                // Without an id these two mean the only project there is.
                let may_be_empty = rpc == "GetProviderMetadata";
                for id in bad.into_iter().filter(|id| !(id.is_empty() && may_be_empty)) {
                    let members: Map<String, Value> = crate::support::method(&path_of(rpc))
                        .input()
                        .fields()
                        .filter_map(|field| Some((field.name().to_owned(), settled.get(field.name())?.clone())))
                        .collect();
                    all.push(wrong(rpc, with(&Value::Object(members), json!({field: id})), field));
                }
            }
        }
        // Empty is for none.
        for id in &bad[1..] {
            let request = json!({"user_id": settled["user_id"], "except_session_id": id});
            all.push(wrong("RevokeAllSessions", request.clone(), "except_session_id"));
            all.push(wrong("SetPassword", with(&request, json!({"password": PASSWORD})), "except_session_id"));
            all.push(wrong("GetJsonWebKeySet", json!({"project_id": id}), "project_id"));
            all.push(wrong("GetJsonWebKeySet", json!({"client_id": id}), "client_id"));
        }
        let both = json!({"project_id": settled["project_id"], "client_id": settled["client_id"]});
        all.push(wrong("GetJsonWebKeySet", both, "client_id"));
        for rpc in ["AuthenticateSession", "SignOut"] {
            all.push(wrong(rpc, json!({}), "credential"));
            all.push(wrong(rpc, json!({"access_token": ""}), "access_token"));
            all.push(wrong(rpc, json!({"session_token": ""}), "session_token"));
            all.push(wrong(rpc, json!({"refresh_token": ""}), "refresh_token"));
        }
        let start = json!({"refresh_token": "", "email": "new@example.com"});
        all.push(wrong("StartEmailVerification", start, "refresh_token"));
        for lifetime in ["299s", "604801s", "300.5s", "-300s"] {
            let reset = json!({"email": "ada@example.com", "without_mail": true, "lifetime": lifetime});
            all.push(wrong("CreatePasswordReset", reset, "lifetime"));
        }
        all.push(wrong("GetUserInfo", json!({"access_token": ""}), "access_token"));
        let pending = "pending_authentication_token";
        all.push(wrong("AuthenticateEmailVerification", json!({pending: "", "code": "123456"}), pending));
        for code in ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", &"1".repeat(60_000)] {
            all.push(wrong("AuthenticateEmailVerification", json!({pending: "x", "code": code}), "code"));
            all.push(wrong("AuthenticateEmailCode", json!({"login_id": "ada", "code": code}), "code"));
            let confirmation = json!({"user_id": settled["user_id"], "code": code});
            all.push(wrong("ConfirmEmailVerification", confirmation, "code"));
            if !code.is_empty() {
                let reset = json!({"password_reset_token": "x", "code": code, "new_password": PASSWORD});
                all.push(wrong("CompletePasswordReset", reset, "code"));
            }
        }
        all.push(wrong("ChangePassword", json!({"refresh_token": "", "new_password": PASSWORD}), "refresh_token"));
        for id in bad {
            let options = json!({"session_options": {"session_id": id}});
            for (rpc, request) in sign_ins() {
                all.push(wrong(rpc, with(&request, options.clone()), "session_options.session_id"));
            }
        }
        let reset = "password_reset_token";
        all.push(wrong("CompletePasswordReset", json!({reset: "", "new_password": PASSWORD}), reset));
        all
    };
    assert_refused(engine, requests).await;
}

/// What signs in with a password, with requests that would.
fn sign_ins() -> [(&'static str, Value); 3] {
    let replacement = json!({"login_id": "grace@example.com", "current_password": PASSWORD, "new_password": PASSWORD});
    [
        ("AuthenticatePassword", json!({"email": "grace@example.com", "password": PASSWORD})),
        ("SignIn", json!({"login_id": "grace@example.com", "password": PASSWORD})),
        ("ReplacePassword", replacement),
    ]
}

fn path_of(name: &str) -> String {
    RPCS.iter().find(|rpc| rpc.path.ends_with(&format!("/{name}"))).unwrap().path.to_owned()
}

/// Objects that no application may hand over, each with the bytes of JSON it must stay within.
fn wrong_objects(bytes_max: usize) -> Vec<Value> {
    let many: Map<String, Value> = (0..101).map(|n| (format!("{n}"), json!("x".repeat(bytes_max / 100)))).collect();
    vec![
        json!({"a": "x".repeat(bytes_max)}),
        Value::Object(many),
        json!({"a": "nul\0"}),
        json!({"nul\0": 1}),
        json!({"a": [{"b": ["\0"]}]}),
    ]
}

#[rstest]
#[tokio::test]
async fn profiles_out_of_bounds_are_named(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let requests = |app: &TestApp| {
        let mut bad: Vec<(&str, Value)> = Vec::new();
        for name in ["given_name", "family_name", "middle_name", "display_name"] {
            bad.extend(
                [json!("n".repeat(201)), json!("é".repeat(101)), json!("a\0b"), json!("a\nb")].map(|v| (name, v)),
            );
        }
        bad.extend(
            [json!("de-12345678-12345678-12345678-123456"), json!("en_GB"), json!("e\0"), json!("\u{85}")]
                .map(|value| ("locale", value)),
        );
        for field in ["metadata", "untrusted_metadata"] {
            bad.extend(wrong_objects(16 * 1024).into_iter().map(|object| (field, object)));
        }
        bad.extend(["", "é", "a\nb", "a\0", &"x".repeat(129)].map(|text| ("external_id", json!(text))));
        let long = format!("https://a.example/{}", "x".repeat(2048));
        bad.extend(
            ["x", "javascript:alert(1)", "//a.example/", "https://a.example/\0", &long]
                .map(|text| ("picture_url", json!(text))),
        );
        let mut all = Vec::new();
        for (field, value) in bad {
            let one = json!({field: value});
            all.push(wrong("CreateUser", with(&one, json!({"username": "new"})), field));
            let mask = camel(field);
            let update = json!({"user_id": app.fixture.ada.to_string(), "user": one, "update_mask": mask});
            all.push(wrong("UpdateUser", update, &format!("user.{field}")));
            if field.ends_with("metadata") {
                let field = format!("{field}_merge");
                let user = json!({&field: one[field.trim_end_matches("_merge")]});
                let update =
                    json!({"user_id": app.fixture.ada.to_string(), "user": user, "update_mask": camel(&field)});
                all.push(wrong("UpdateUser", update, &format!("user.{field}")));
            }
        }
        all.push(wrong("CreateUser", json!({"username": "x", "password_must_change": true}), "password_must_change"));
        let expectation = json!({"user_id": app.fixture.ada.to_string(), "password": PASSWORD, "expectation": 3});
        all.push(wrong("SetPassword", expectation, "expectation"));
        all
    };
    assert_refused(engine, requests).await;
}

/// The name of a field as masks in JSON spell it.
fn camel(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

#[rstest]
#[tokio::test]
async fn filters_and_places_out_of_bounds_are_named(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let requests = |app: &TestApp| {
        let mut all = Vec::new();
        let lists = ["user_ids", "emails", "usernames", "phone_numbers", "external_ids", "login_ids", "statuses"];
        let user_id = app.fixture.ada.to_string();
        let fine =
            [json!(user_id), json!("a@b.example"), json!("a"), json!("+12025550123"), json!("x"), json!("a"), json!(1)];
        for (list, value) in lists.into_iter().zip(fine) {
            let filter = json!({"filter": {list: vec![value.clone(); 101]}});
            all.push(wrong("ListUsers", filter, &format!("filter.{list}")));
        }
        for (list, value) in [
            ("user_ids", json!("user_x")),
            ("external_ids", json!("é")),
            ("login_ids", json!("a b")),
            ("statuses", json!(0)),
            ("statuses", json!(9)),
        ] {
            all.push(wrong("ListUsers", json!({"filter": {list: [value]}}), &format!("filter.{list}")));
        }
        for text in ["x".repeat(101), "é".repeat(51), "a\0".into(), "a\nb".into()] {
            all.push(wrong("ListUsers", json!({"filter": {"text": text}}), "filter.text"));
        }
        all.push(wrong("ListUsers", json!({"username": "ada", "filter": {}}), "filter"));
        all.push(wrong("ListUsers", json!({"external_id": ""}), "external_id"));
        for skip in [-1, 10_001, i32::MIN, i32::MAX] {
            all.push(wrong("ListUsers", json!({"skip": skip}), "skip"));
        }
        let token = "AAAAAAAAAAAAAAAAAAAAAA";
        let session_id = "session_01K0000000000000000000000Z";
        for (rpc, id, kind, base) in [
            ("ListUsers", user_id.as_str(), "user", json!({})),
            ("ListSessions", session_id, "session", json!({"user_id": user_id})),
        ] {
            let [after, before] = ["after", "before"].map(|edge| format!("{edge}_{kind}_id"));
            for order in [-1, 3, i32::MAX] {
                all.push(wrong(rpc, with(&base, json!({"order": order})), "order"));
            }
            for edge in [&after, &before] {
                all.push(wrong(rpc, with(&base, json!({edge: id, "page_token": token})), "page_token"));
                for bad in ["x", "\0", "project_01K0000000000000000000000Z"] {
                    all.push(wrong(rpc, with(&base, json!({edge: bad})), edge));
                }
            }
            all.push(wrong(rpc, with(&base, json!({&after: id, &before: id})), &before));
        }
        all
    };
    assert_refused(engine, requests).await;
}
