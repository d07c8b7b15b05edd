//! Everything secret that the service gives out opens the one place it belongs into, and no other: all pairs, from the
//! descriptors.

use chrono::Duration;
use prost_reflect::{Kind, MessageDescriptor};
use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use signet::proto::{RPCS, Rpc, SignInRequest, TokenOptions};

use crate::{
    client_token::client_token,
    email_changes,
    email_verification::{begin, redeem},
    guessing::{WRONG, guess},
    known_devices::known_but_unverified,
    password_reset::{self, start_by_code},
    refresh::{first_token, jwt_app},
    sessions::sign_in,
    sign_in::{email, with_password},
    support::{Answer, Engine, PASSWORD, RawCall, TestApp, credentials, message, method},
};

/// Kinds of secrets, each with one.
type Secrets = Vec<(&'static str, String)>;

/// Everything secret that the service gives out, by the name of the field it belongs into. What Ada has belongs to her, codes
/// and what comes with them to Grace.
pub(crate) async fn all_secrets(app: &TestApp) -> Secrets {
    let signed_in = sign_in(app).await;
    let tokens = signed_in.tokens.unwrap();
    let mut request = with_password(email("ada@example.com"), PASSWORD);
    request.token_options = Some(TokenOptions { include_id_token: true, ..Default::default() });
    let with_id = app.back_end().auth.authenticate_password(request).await.unwrap().into_inner();
    let pending = begin(&app.back_end()).await;
    let code = app.last_code_to("grace@example.com").await;
    let (reset_token, reset_code) = start_by_code(app, "grace@example.com").await;
    email_changes::start(&app.public(), &tokens.refresh_token, email_changes::NEW).await.unwrap();
    let change_code = app.last_code_to(email_changes::NEW).await;
    let secret = |authorization| secrecy::ExposeSecret::expose_secret(&credentials(authorization).1).to_owned();
    vec![
        ("access_token", tokens.access_token),
        ("session_token", tokens.session_token.unwrap()),
        ("id_token", with_id.tokens.unwrap().id_token.unwrap()),
        ("refresh_token", tokens.refresh_token),
        ("jwt_refresh_token", first_token(&jwt_app(app).await).await),
        ("device_token", signed_in.device_token),
        ("session_id", signed_in.session.unwrap().session_id),
        ("pending_authentication_token", pending),
        ("code", code),
        ("change_code", change_code),
        ("password_reset_token", reset_token),
        ("reset_code", reset_code),
        ("client_secret", secret(&app.fixture.confidential)),
        ("operator_secret", secret(&app.fixture.operator)),
        ("client_token", client_token(&app.back_end(), "").await),
        ("password", PASSWORD.into()),
    ]
}

fn secret<'s>(secrets: &'s Secrets, kind: &str) -> &'s str {
    secrets.iter().find_map(|(known, secret)| (*known == kind).then_some(secret)).unwrap()
}

/// Where a request can hold a secret: the names of the fields that lead there.
type Place = Vec<String>;

/// All places in a message, nested ones too.
fn places(message: &MessageDescriptor) -> Vec<Place> {
    let mut places = Vec::new();
    for field in message.fields().filter(|field| !field.is_list() && !field.is_map()) {
        match field.kind() {
            Kind::String if own_kinds(field.name(), "").is_some() => places.push(vec![field.name().to_owned()]),
            Kind::Message(nested) if nested.full_name().starts_with("auth.v1.") => {
                let within = |place| [vec![field.name().to_owned()], place].concat();
                places.extend(self::places(&nested).into_iter().map(within));
            }
            _ => {}
        }
    }
    places
}

/// The kinds of secrets that belong into a field of that name; none if the field is for something else.
fn own_kinds(field: &str, rpc: &str) -> Option<&'static [&'static str]> {
    Some(match field {
        "access_token" => &["access_token"],
        "session_token" => &["session_token"],
        "refresh_token" => &["refresh_token", "jwt_refresh_token"],
        "device_token" => &["device_token"],
        "session_id" | "except_session_id" => &["session_id"],
        "pending_authentication_token" => &["pending_authentication_token"],
        "password_reset_token" => &["password_reset_token"],
        // RPCs call different things a code.
        "code" if rpc.ends_with("CompletePasswordReset") => &["reset_code"],
        "code" if rpc.ends_with("AuthenticateEmailCode") => &["change_code"],
        "code" => &["code"],
        "current_password" | "password" => &["password"],
        "client_secret" => &["client_secret"],
        "operator_secret" => &["operator_secret"],
        "id_token" => &["id_token"],
        // No secret belongs here, nor into a token that a later RPC brings: it has to be named here first.
        name if name.ends_with("_token") => &[],
        _ => return None,
    })
}

/// The rest of a request: as right as can be.
fn rest(app: &TestApp, rpc: &Rpc, secrets: &Secrets) -> Value {
    let mut request = json!({});
    for field in method(rpc.path).input().fields().filter(|field| field.containing_oneof().is_none()) {
        let value = match field.name() {
            "code" | "current_password" | "password" | "password_reset_token" | "pending_authentication_token" => {
                secret(secrets, own_kinds(field.name(), rpc.path).unwrap()[0])
            }
            "new_password" => "an entirely new one",
            "login_id" => "ada",
            "user_id" if rpc.path.ends_with("ConfirmEmailVerification") => &app.fixture.grace.to_string(),
            "user_id" => &app.fixture.ada.to_string(),
            "project_id" => &app.fixture.project_id.to_string(),
            "email" if rpc.path.ends_with("PasswordReset") || rpc.path.ends_with("StartEmailVerification") => {
                "ada@example.com"
            }
            _ => continue,
        };
        request[field.name()] = json!(value);
    }
    match method(rpc.path).name() {
        "AuthenticatePassword" => request["username"] = json!("ada"),
        "CreateUser" => request["username"] = json!("eve"),
        "SignUp" => request["user"] = json!({"username": "eve", "password": PASSWORD}),
        _ => {}
    }
    request
}

fn put(request: &mut Value, place: &Place, secret: &str) {
    let slot = place.iter().fold(request, |message, name| &mut message[name.as_str()]);
    *slot = json!(secret);
}

async fn call(app: &TestApp, rpc: &Rpc, request: Value) -> Answer {
    let call = RawCall::to(rpc.path).authorization(app.fixture.entitled(rpc.caller));
    call.message(&message(rpc.path, request)).send(&app.routes()).await
}

/// How often something was done that a secret opens.
async fn done(app: &TestApp) -> usize {
    let done = ["session.revoked", "user.signed_in", "user.created", "email.verified", "password.set"];
    app.events().await.iter().filter(|event| done.iter().any(|done| event.starts_with(done))).count()
}

/// Puts every secret into one place. All but its own are refused; then its own is taken, by the same service in the same
/// state: nothing was refused for another reason. Gives how many were refused.
async fn try_all(app: &TestApp, rpc: &Rpc, place: &Place, own_kind: Option<&str>) -> usize {
    let secrets = all_secrets(app).await;
    if rpc.path.ends_with("/EndSession") {
        // Of clients whose applications sign out by a link.
        app.database().await.execute_unprepared("UPDATE sessions SET token_profile = 'workos'").await.unwrap();
    }
    let (name, own) = (place.last().unwrap(), own_kinds(place.last().unwrap(), rpc.path).unwrap());
    // Whatever is long enough may become somebody's password.
    let takes_anything = name == "password"
        && ["CheckNewPassword", "CreateUser", "SetPassword", "SignUp"].contains(&method(rpc.path).name());
    let (before, mut refused) = (done(app).await, 0);
    for (kind, secret) in secrets.iter().filter(|(kind, _)| !own.contains(kind) && !takes_anything) {
        let mut request = rest(app, rpc, &secrets);
        put(&mut request, place, secret);
        let answer = call(app, rpc, request).await;
        assert!(!answer.is_ok(), "{} takes a {kind} as {place:?}", rpc.path);
        refused += 1;
    }
    assert_eq!(done(app).await, before, "{} {place:?}", rpc.path);
    // Into a place of no secret belongs nothing.
    // Wrong passwords have slowed the user down, and there has just been a mail.
    app.clock.advance(Duration::seconds(31));
    let good = own_kind.map_or("", |kind| secret(&secrets, kind));
    let mut request = rest(app, rpc, &secrets);
    put(&mut request, place, good);
    let answer = call(app, rpc, request).await;
    assert!(answer.is_ok(), "{} refuses what belongs into {place:?}: {:?}", rpc.path, answer.status);
    refused
}

/// True if nothing at all belongs into the place: where a session is always a new one, there is none to join.
fn is_shut(rpc: &Rpc, place: &Place) -> bool {
    let opens_new_ones =
        ["AuthenticateEmailCode", "CompletePasswordReset", "SignUp"].contains(&method(rpc.path).name());
    opens_new_ones && place.first().is_some_and(|name| name == "session_options")
}

#[rstest]
#[tokio::test]
async fn a_secret_of_each_kind_is_worthless_in_every_place_but_its_own(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let (mut refused, mut taken) = (0, 0);
    for rpc in RPCS {
        // A device token opens nothing by itself: it has a test of its own.
        for place in places(&method(rpc.path).input()).iter().filter(|place| !is_device(place) && !is_shut(rpc, place))
        {
            let own = own_kinds(place.last().unwrap(), rpc.path).unwrap();
            // What one of them opens may be the end of another.
            let kinds = if own.is_empty() { vec![None] } else { own.iter().copied().map(Some).collect() };
            for kind in kinds {
                let Some(app) = TestApp::start(engine).await else { return };
                refused += try_all(&app, rpc, place, kind).await;
                taken += 1;
            }
        }
    }
    assert!(refused > 200 && taken > 20, "only {refused} refused and {taken} taken");
}

fn is_device(place: &Place) -> bool {
    place.last().is_some_and(|name| name == "device_token")
}

/// Makes guesses at everything that belongs to Ada or Grace until nothing of it is checked for unknown devices any more; gives
/// all secrets, and the devices of the two.
async fn shut_out(app: &TestApp) -> (Secrets, String, String) {
    let graces = known_but_unverified(app).await;
    for _ in 0..3 {
        let (pending, code) = (begin(&app.back_end()).await, app.last_code_to("grace@example.com").await);
        let (reset, reset_code) = start_by_code(app, "grace@example.com").await;
        app.clock.advance(Duration::seconds(20));
        for _ in 0..5 {
            redeem(&app.back_end(), &pending, &another(&code)).await.unwrap_err();
            password_reset::refusal(&app.back_end(), &reset, &another(&reset_code)).await;
        }
    }
    // Old enough a code for another mail, while the last guess still slows everything down.
    app.clock.advance(Duration::seconds(15));
    let secrets = all_secrets(app).await;
    guess(app, 11, "").await;
    for _ in 0..11 {
        let request = SignInRequest { login_id: "ada".into(), password: WRONG.into(), ..Default::default() };
        app.back_end().auth.sign_in(request).await.unwrap_err();
        password_reset::start(&app.back_end(), password_reset::by_code("ada@example.com")).await.unwrap();
    }
    let adas = secret(&secrets, "device_token").to_owned();
    (secrets, adas, graces)
}

/// Another code than that, as long.
fn another(code: &str) -> String {
    let zeros = "0".repeat(code.len());
    if code == zeros { "1".repeat(code.len()) } else { zeros }
}

/// RPCs that regard no device: mails and codes for new addresses are not counted by it, whoever signs up has none yet, and who shows a
/// token or names a session is not guessing.
const NO_DEVICE: [&str; 6] = [
    "AuthenticateEmailCode",
    "CreatePasswordReset",
    "ResumeSession",
    "SignUp",
    "StartEmailVerification",
    "StartPasswordReset",
];

#[rstest]
#[tokio::test]
async fn no_secret_but_a_users_own_device_token_makes_a_device_known(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (mut secrets, adas, graces) = shut_out(&app).await;
    secrets.push(("graces_device_token", graces.clone()));
    let mut asked = Vec::new();
    // A new password makes the devices of the old one unknown, so that comes last.
    let replaces = |rpc: &&Rpc| rpc.path.ends_with("/ReplacePassword");
    for rpc in RPCS.iter().filter(|rpc| !replaces(rpc)).chain(RPCS.iter().filter(replaces)) {
        for place in places(&method(rpc.path).input()).into_iter().filter(is_device) {
            let name = method(rpc.path).name().to_owned();
            if NO_DEVICE.contains(&name.as_str()) {
                continue;
            }
            let is_graces = ["AuthenticateEmailVerification", "CompletePasswordReset"].contains(&name.as_str());
            let own = if is_graces { &graces } else { &adas };
            // Its own comes last: it opens.
            let others = secrets.iter().filter(|(_, secret)| secret != own);
            for (kind, secret) in others.chain([&("own", own.clone())]) {
                let mut request = rest(&app, rpc, &secrets);
                put(&mut request, &place, secret);
                let opens = call(&app, rpc, request).await.is_ok();
                assert_eq!(opens, *kind == "own", "{name} with a {kind} as {place:?}");
            }
            asked.push(name);
        }
    }
    asked.sort();
    let expected =
        ["AuthenticateEmailVerification", "AuthenticatePassword", "CompletePasswordReset", "ReplacePassword", "SignIn"];
    assert_eq!(asked, expected);
}
