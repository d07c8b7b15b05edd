//! A client never sees or touches what belongs to another project: every RPC, with everything a stranger could know.

mod tokens;

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use prost_types::Struct;
use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use signet::{
    domain::{id::ProjectId, signing_key::KeyPurpose},
    proto::{
        AuthenticateSessionRequest, CallerKind, ClientType, CreateClientRequest, CreatePasswordResetRequest,
        CreateProjectRequest, CreateUserRequest, DeleteUserRequest, GetJsonWebKeySetRequest, GetUserRequest,
        ListClientsRequest, ListEventsRequest, ListUsersRequest, ProjectSettings, RPCS, SignInRequest, SignOutRequest,
        SigningAlgorithm, UpdateUserRequest, User, UserUpdate, authenticate_session_request::Credential,
        sign_out_request,
    },
    usecase::signing_keys::{Activation, rotate_signing_key},
};

use crate::{
    email_changes,
    email_verification::{pending, redeem},
    password_reset::start_by_code,
    sign_in::{email, try_password, with_password},
    support::{Engine, PASSWORD, RawCall, Refused, TestApp, basic, contains, method, object, operator_call, reason},
};

/// RPCs that a stranger may well call with these requests: they answer with nothing of the victim's.
const MAY_SUCCEED: [&str; 13] = [
    "CheckNewPassword",
    "CreateUser",
    "GetJsonWebKeySet",
    "GetProviderMetadata",
    "GetSignInSettings",
    "GetUserInfo",
    "IssueClientToken",
    "ListEvents",
    "ListUsers",
    "SignOut",
    "SignUp",
    "StartPasswordReset",
    "WatchEvents",
];

/// Everything a stranger could have got hold of.
struct Victim {
    user_ids: Vec<String>,
    session_ids: Vec<String>,
    access_tokens: Vec<String>,
    session_token: String,
    pending_token: String,
    code: String,
    reset_token: String,
    reset_code: String,
    project_id: String,
    client_ids: Vec<String>,
    client_secret_id: String,
    page_token: String,
    refresh_token: String,
    change_code: String,
    email_verification_id: String,
    password_reset_id: String,
    device_token: String,
    event_cursor: String,
}

impl Victim {
    async fn of(app: &TestApp) -> Self {
        let fixture = &app.fixture;
        let metadata = serde_json::json!({"secret": "Victim-Metadata"});
        let user = UserUpdate {
            given_name: Some("Victim-Given-Name".into()),
            external_id: Some("victims-external-id".into()),
            metadata: Some(object(metadata.as_object().unwrap())),
            ..Default::default()
        };
        let mask = prost_types::FieldMask { paths: ["given_name", "metadata", "external_id"].map(Into::into).into() };
        let request = UpdateUserRequest { user_id: fixture.ada.to_string(), user: Some(user), update_mask: Some(mask) };
        app.back_end().users.update_user(request).await.unwrap();

        let by_back_end = try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap();
        let login = SignInRequest { login_id: "ada".into(), password: PASSWORD.into(), ..Default::default() };
        let by_app = app.public().auth.sign_in(login).await.unwrap().into_inner();
        let (first, second) = (by_back_end.tokens.unwrap(), by_app.tokens.unwrap());
        let pending = pending(&try_password(&app.back_end(), email("grace@example.com"), PASSWORD).await.unwrap_err());
        email_changes::start(&app.back_end(), &first.refresh_token, email_changes::NEW).await.unwrap();
        let reset =
            CreatePasswordResetRequest { email: "ada@example.com".into(), without_mail: true, ..Default::default() };
        let reset = app.back_end().users.create_password_reset(reset).await.unwrap().into_inner();
        let (reset_token, reset_code) = start_by_code(app, "ada@example.com").await;
        let request = ListClientsRequest { project_id: fixture.project_id.to_string(), ..Default::default() };
        let clients = app.operator().projects.list_clients(request).await.unwrap().into_inner().clients;
        let page = ListUsersRequest { page_size: 1, ..Default::default() };
        let page = app.back_end().users.list_users(page).await.unwrap().into_inner();
        let events = ListEventsRequest { page_size: 1, ..Default::default() };
        let events = app.back_end().events.list_events(events).await.unwrap().into_inner();
        Self {
            event_cursor: events.cursor,
            user_ids: vec![fixture.ada.to_string(), fixture.grace.to_string()],
            session_ids: vec![by_back_end.session.unwrap().session_id, by_app.session.unwrap().session_id],
            access_tokens: vec![first.access_token, second.access_token],
            session_token: second.session_token.unwrap(),
            pending_token: pending.pending_authentication_token,
            email_verification_id: pending.email_verification_id,
            password_reset_id: reset.password_reset.unwrap().password_reset_id,
            change_code: app.last_code_to(email_changes::NEW).await,
            code: app.last_code_to("grace@example.com").await,
            reset_token,
            reset_code,
            project_id: fixture.project_id.to_string(),
            client_secret_id: clients
                .iter()
                .find_map(|client| client.secrets.first())
                .unwrap()
                .client_secret_id
                .clone(),
            client_ids: clients.into_iter().map(|client| client.client_id).collect(),
            page_token: page.next_page_token,
            refresh_token: first.refresh_token,
            device_token: by_back_end.device_token,
        }
    }

    /// What must not stand in an answer to a stranger, unless they said it themselves.
    fn traits(&self) -> Vec<&str> {
        let mut all = vec!["ada@example.com", "grace@example.com", "+12025550123", "Victim-Given-Name"];
        all.extend([
            "Victim-Metadata",
            &self.session_token,
            &self.pending_token,
            &self.refresh_token,
            &self.reset_token,
            &self.device_token,
        ]);
        let lists = [&self.user_ids, &self.session_ids, &self.access_tokens, &self.client_ids];
        all.extend(lists.into_iter().flatten().map(String::as_str));
        all
    }

    /// What a stranger would put into a field, the `variant`th of several things they know. A field that is not here has to
    /// be thought about.
    fn value(&self, field: &FieldDescriptor, variant: usize) -> Value {
        let of = |known: &[String]| known[variant % known.len()].clone();
        let one = |text: &str| text.to_owned();
        let text = match field.name() {
            "access_token" => of(&self.access_tokens),
            "client_id" => of(&self.client_ids),
            "client_secret_id" => self.client_secret_id.clone(),
            "code" if field.parent_message().name() == "CompletePasswordResetRequest" => self.reset_code.clone(),
            "code" if field.parent_message().name() == "AuthenticateEmailCodeRequest" => self.change_code.clone(),
            "code" => self.code.clone(),
            "email_verification_id" => self.email_verification_id.clone(),
            "password_reset_id" => self.password_reset_id.clone(),
            "cursor" => of(&[self.event_cursor.clone(), String::new()]),
            "default_audience" | "issuer" | "resource" => one("https://api.example/"),
            "device_token" => self.device_token.clone(),
            "email" => of(&[one("ada@example.com"), one("grace@example.com")]),
            "given_name" | "family_name" | "middle_name" | "display_name" | "name" | "user_agent" => one("Stranger"),
            "external_id" => one("victims-external-id"),
            "picture_url" => one("https://stranger.example/"),
            "text" => of(&[one("ada"), one("example.com"), String::new()]),
            "ip_address" => one("192.0.2.1"),
            "locale" => one("en"),
            "login_id" => of(&[one("ada@example.com"), one("ada"), one("+12025550123")]),
            "invitation_token" | "organization_id" | "reset_url" | "return_to" => String::new(),
            "page_token" => of(&[String::new(), self.page_token.clone()]),
            "current_password" | "new_password" | "password" => one(PASSWORD),
            "password_reset_token" => self.reset_token.clone(),
            "pending_authentication_token" => self.pending_token.clone(),
            "phone_number" => one("+12025550123"),
            "project_id" => self.project_id.clone(),
            "refresh_token" => self.refresh_token.clone(),
            "after_session_id" | "before_session_id" | "except_session_id" | "session_id" => of(&self.session_ids),
            "session_token" => self.session_token.clone(),
            "after_user_id" | "before_user_id" | "user_id" => of(&self.user_ids),
            "username" => one("ada"),
            _ => return self.other_value(field, variant),
        };
        Value::String(text)
    }

    #[expect(clippy::too_many_lines, reason = "a table, one row a field")]
    fn other_value(&self, field: &FieldDescriptor, variant: usize) -> Value {
        match field.name() {
            "additional_factor"
            | "all_sessions"
            | "allow_sign_up"
            | "application_sends_mail"
            | "must_change"
            | "password_must_change"
            | "require_email_verification"
            | "step_up"
            | "without_session" => Value::Bool(false),
            "email_verified"
            | "has_password"
            | "only_new"
            | "include_id_token"
            | "include_session_token"
            | "include_total"
            | "phone_number_verified"
            | "renew_session_token"
            | "revoke_other_sessions"
            | "without_mail"
            | "rotate_refresh_tokens" => Value::Bool(true),
            "allowed_origins" => Value::List(vec![Value::String("https://app.example".into())]),
            "password_reset_urls" | "sign_out_urls" => {
                Value::List(vec![Value::String("https://app.example/reset".into())])
            }
            "allowed_resources" => Value::List(vec![Value::String("https://api.example/".into())]),
            "client_type"
            | "method"
            | "order"
            | "password_policy"
            | "refresh_token_format"
            | "signing_algorithm"
            | "token_delivery"
            | "token_profile" => Value::EnumNumber(1),
            // That there is a password.
            "expectation" => Value::EnumNumber(2),
            "statuses" => Value::List(vec![Value::EnumNumber(1)]),
            "user_ids" => Value::List(self.user_ids.iter().cloned().map(Value::String).collect()),
            "emails" | "identifiers" | "login_ids" => Value::List(vec![Value::String("ada@example.com".into())]),
            "usernames" => Value::List(vec![Value::String("ada".into())]),
            "phone_numbers" => Value::List(vec![Value::String("+12025550123".into())]),
            "external_ids" => Value::List(vec![Value::String("victims-external-id".into())]),
            "created_from" | "created_before" => {
                let mut time = DynamicMessage::new(field.kind().as_message().unwrap().clone());
                let seconds = if field.name() == "created_from" { 0 } else { 4_000_000_000 };
                time.set_field_by_name("seconds", Value::I64(seconds));
                Value::Message(time)
            }
            "skip" => Value::I32(0),
            "page_size" => Value::I32(100),
            "claims"
            | "custom_claims"
            | "metadata"
            | "untrusted_metadata"
            | "metadata_merge"
            | "untrusted_metadata_merge" => {
                let claims = serde_json::json!({"id_token": {"email": null, "given_name": null, "phone_number": null}});
                let mut message = DynamicMessage::new(field.kind().as_message().unwrap().clone());
                message.transcode_from::<Struct>(&object(claims.as_object().unwrap())).unwrap();
                Value::Message(message)
            }
            "update_mask" => {
                let paths: &[&str] = match field.parent_message().name() {
                    "UpdateProjectRequest" => &["name"],
                    _ => &["given_name", "metadata"],
                };
                let paths = paths.iter().map(|path| Value::String((*path).into())).collect();
                let mut mask = DynamicMessage::new(field.kind().as_message().unwrap().clone());
                mask.set_field_by_name("paths", Value::List(paths));
                Value::Message(mask)
            }
            "refresh_grace_period" => duration(field, 30),
            "key_rotation_interval" => duration(field, 604_800),
            name if name.ends_with("lifetime") || name == "session_duration" || name == "duration" => {
                duration(field, 3600)
            }
            "session_options" => {
                let mut options = self.request(field.kind().as_message().unwrap(), variant);
                // There is no session to join.
                if ["AuthenticateEmailCodeRequest", "CompletePasswordResetRequest", "SignUpRequest"]
                    .contains(&field.parent_message().name())
                {
                    for name in ["session_id", "session_token", "refresh_token"] {
                        options.clear_field_by_name(name);
                    }
                }
                Value::Message(options)
            }
            "client_context" | "filter" | "options" | "settings" | "token_options" | "user" => {
                let Kind::Message(inner) = field.kind() else { panic!("{} is a message", field.full_name()) };
                Value::Message(self.request(&inner, variant))
            }
            _ => panic!(
                "{} is new: say in tests/api/isolation.rs what a stranger would put there, or a leak through it goes unseen",
                field.full_name()
            ),
        }
    }

    /// A request with all fields set; of alternatives one.
    fn request(&self, descriptor: &MessageDescriptor, variant: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields() {
            let alternatives = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
            let chosen = alternatives.is_none_or(|oneof| {
                let all: Vec<_> = oneof.fields().collect();
                all[variant / VALUES % all.len()] == field
            });
            if chosen && goes_with_the_rest(&field, variant) {
                message.set_field(&field, self.value(&field, variant));
            }
        }
        message
    }
}

/// False for what cannot stand beside other fields of its request, in the variants that are for those.
fn goes_with_the_rest(field: &FieldDescriptor, variant: usize) -> bool {
    let request = field.parent_message().name().to_owned();
    match (request.as_str(), field.name()) {
        ("GetJsonWebKeySetRequest", "project_id")
        | ("ListUsersRequest", "filter")
        | ("WatchEventsRequest", "cursor") => variant.is_multiple_of(2),
        ("GetJsonWebKeySetRequest", "client_id")
        | ("WatchEventsRequest", "only_new")
        | ("ListUsersRequest", "email" | "username" | "phone_number" | "external_id") => !variant.is_multiple_of(2),
        ("ListEventsRequest" | "WatchEventsRequest", "project_id") => !variant.is_multiple_of(3),
        (_, "page_token") if request != "ListClientsRequest" && request != "ListProjectsRequest" => {
            variant.is_multiple_of(3)
        }
        (_, "after_user_id" | "after_session_id") => variant % 3 == 1,
        (_, "before_user_id" | "before_session_id") => variant % 3 == 2,
        _ => true,
    }
}

fn duration(field: &FieldDescriptor, seconds: i64) -> Value {
    let mut duration = DynamicMessage::new(field.kind().as_message().unwrap().clone());
    duration.set_field_by_name("seconds", Value::I64(seconds));
    Value::Message(duration)
}

/// Most things that a stranger knows for one field, and most alternatives of a request.
const VALUES: usize = 3;
const ALTERNATIVES: usize = 4;

#[test]
fn every_alternative_of_every_request_has_a_variant() {
    for rpc in RPCS {
        for oneof in method(rpc.path).input().oneofs() {
            assert!(oneof.fields().count() <= ALTERNATIVES, "{}: raise ALTERNATIVES", oneof.full_name());
        }
    }
}

/// All that the victim has, as their own back end sees it.
async fn belongings(app: &TestApp, victim: &Victim) -> Vec<String> {
    let users = ListUsersRequest { page_size: 100, ..Default::default() };
    let users = app.back_end().users.list_users(users).await.unwrap().into_inner();
    let mut seen = vec![format!("{users:?}")];
    for id in &victim.session_ids {
        let credential = Some(Credential::SessionId(id.clone()));
        let live = app
            .back_end()
            .auth
            .authenticate_session(AuthenticateSessionRequest { credential, ..Default::default() })
            .await;
        seen.push(format!("{:?}", live.expect("the victim's session lives on").into_inner()));
    }
    let request = ListClientsRequest { project_id: victim.project_id.clone(), ..Default::default() };
    seen.push(format!("{:?}", app.operator().projects.list_clients(request).await.unwrap().into_inner()));
    seen
}

/// An application of the stranger's that keeps no secret.
async fn strangers_app(app: &TestApp) -> String {
    let request = CreateClientRequest {
        project_id: app.fixture.other_project_id.to_string(),
        name: "app".into(),
        client_type: ClientType::Public.into(),
        ..Default::default()
    };
    let client = app.operator().projects.create_client(request).await.unwrap().into_inner().client.unwrap();
    basic(&client.client_id, &String::new().into())
}

#[rstest]
#[tokio::test]
async fn a_stranger_gets_and_changes_nothing_with_all_that_they_know(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let victim = Victim::of(&app).await;
    let before = belongings(&app, &victim).await;
    let strangers = [app.fixture.stranger.clone(), strangers_app(&app).await];
    for rpc in RPCS {
        let name = method(rpc.path).name().to_owned();
        for variant in 0..VALUES * ALTERNATIVES {
            let request = victim.request(&method(rpc.path).input(), variant);
            let bytes = prost::Message::encode_to_vec(&request);
            for stranger in &strangers {
                let call = RawCall::to(rpc.path).authorization(stranger).message(&bytes);
                let answer = call.send(&app.routes()).await;
                assert!(!answer.is_ok() || MAY_SUCCEED.contains(&name.as_str()), "{name} does what {request} asks for");
                let everything = answer.everything();
                // Who holds a user's token may know what it stands for: it is the only credential there.
                let is_theirs_to_tell = name == "GetUserInfo";
                for told in victim.traits().into_iter().filter(|_| !is_theirs_to_tell) {
                    assert!(
                        !contains(&everything, told) || contains(&bytes, told),
                        "{name} tells a stranger {told}: {request}"
                    );
                }
            }
        }
        assert_eq!(belongings(&app, &victim).await, before, "{name} changed something");
        clear(&app).await;
    }
    // Nothing that the stranger tried has slowed the victim down either.
    try_password(&app.back_end(), email("ada@example.com"), PASSWORD).await.unwrap();
    redeem(&app.back_end(), &victim.pending_token, &victim.code).await.unwrap();
}

/// Deletes what the stranger has made in their own project.
async fn clear(app: &TestApp) {
    let all = ListUsersRequest { page_size: 100, ..Default::default() };
    for user in app.stranger().users.list_users(all).await.unwrap().into_inner().users {
        app.stranger().users.delete_user(DeleteUserRequest { user_id: user.user_id }).await.unwrap();
    }
}

/// The test above would prove nothing if its requests were refused for another reason than the caller.
#[tokio::test]
async fn the_same_requests_by_the_victims_own_clients_succeed() {
    for rpc in RPCS {
        let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
        let victim = Victim::of(&app).await;
        if rpc.path.ends_with("/EndSession") {
            // Of clients whose applications sign out by a link.
            app.database().await.execute_unprepared("UPDATE sessions SET token_profile = 'workos'").await.unwrap();
        }
        let caller = app.fixture.entitled(rpc.caller);
        let mut seen = Vec::new();
        for variant in 0..VALUES * ALTERNATIVES {
            let bytes = prost::Message::encode_to_vec(&victim.request(&method(rpc.path).input(), variant));
            let answer = RawCall::to(rpc.path).authorization(caller).message(&bytes).send(&app.routes()).await;
            seen.push(answer.reason());
        }
        // These, too, show that the request has reached what it is about.
        let reached = ["", "IDENTIFIER_TAKEN", "EMAIL_ALREADY_VERIFIED", "CODE_SENT_RECENTLY"];
        assert!(seen.iter().any(|reason| reached.contains(&reason.as_str())), "{}: {seen:?}", rpc.path);
        assert!(
            rpc.caller == CallerKind::Operator || !seen.contains(&"INVALID_FIELD".into()),
            "{}: {seen:?}",
            rpc.path
        );
    }
}
