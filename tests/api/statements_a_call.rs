//! How often each RPC of daily load asks the database: exactly so often, so that no call grows dearer unnoticed.

use rstest::rstest;
use signet::proto::{
    AuthenticatePasswordRequest, ClientContext, ConfirmEmailVerificationRequest, CreateUserRequest, GetUserInfoRequest,
    GetUserRequest, IssueClientTokenRequest, ListSessionsRequest, ListUsersRequest, SendEmailVerificationRequest,
    SignInRequest, authenticate_session_request::Credential, list_users_request, sign_out_request,
};

use crate::{
    email_verification::{begin, redeem},
    refresh::refresh,
    session_service::{get, revoke},
    sessions::{authenticate, sign_out},
    sign_in::{email, try_password, with_password},
    support::{ADA, Caller, Engine, GRACE, PASSWORD, RoundTrips, TestApp},
};

/// Call, round trips that it waits for, and why they are no fewer. On PostgreSQL each connection that is given back is
/// asked once more whether it is well, without a caller who waits for that: after each reading outside of a unit of
/// work, and after each unit. Of calls of one client at a time, several share the look-up of their caller.
const TABLE: &[(&str, usize, &str)] = &[
    (
        "AuthenticatePassword",
        9,
        "caller; account; places in two counters, taken and given back in a statement each; a user is read once held",
    ),
    (
        "AuthenticatePassword, wrong password",
        8,
        "counters are locked before they are written, as a failure may trip them",
    ),
    ("AuthenticatePassword, unknown user", 8, "as many as for a wrong password"),
    ("SignIn", 9, "the same with one counter"),
    ("SignIn, known device", 9, "the same"),
    ("AuthenticateSession", 2, "caller; session with its user. A revoked one is refused at once, so neither is kept"),
    ("AuthenticateSession, session id", 2, "the same"),
    ("AuthenticateSession, public client", 2, "the same"),
    ("GetUserInfo", 2, "the same, of the client that the token names"),
    ("RefreshTokens", 3, "caller; session with its user; one statement that writes if they are still what was read"),
    (
        "RefreshTokens, repeated",
        7,
        "decided anew while the row is held; the user is read after that, and an event written",
    ),
    ("IssueClientToken", 1, "caller"),
    ("AuthenticateSession, client token", 2, "the client must still exist"),
    ("GetSession", 2, "caller; session"),
    ("RevokeSession", 6, "one statement ends whichever is live; the row is read for the answer and the event"),
    ("AuthenticateSession, revoked session", 2, "as for a live one"),
    ("SignOut", 6, "like RevokeSession"),
    ("GetUser", 2, "caller; user with all that is known"),
    ("ListUsers, by address", 4, "a page is read by users, then their identifiers and passwords, however many"),
    ("ListUsers", 4, "the same"),
    ("ListSessions", 3, "an unknown user is told from one without sessions"),
    (
        "AuthenticateEmailVerification, first step",
        16,
        "a sign-in of one counter up to the session, then one of mails, a code, a mail, what waits for it, two events",
    ),
    (
        "AuthenticateEmailVerification, wrong code",
        12,
        "the try is taken by one conditional statement under the user's lock",
    ),
    ("AuthenticateEmailVerification", 15, "the same, what the code has done away with, and the end of a sign-in"),
    ("CreateUser", 7, "times and spelling come back as the database holds them"),
    ("SendEmailVerification", 11, "the user is held; a counter of mails, a code, a mail, an event"),
    ("ConfirmEmailVerification", 12, "like AuthenticateEmailVerification without a session"),
];

/// What a back end tells of the end user, so that their address is counted, too.
fn from_somewhere(request: AuthenticatePasswordRequest) -> AuthenticatePasswordRequest {
    let context = ClientContext { ip_address: "192.0.2.7".into(), ..Default::default() };
    AuthenticatePasswordRequest { client_context: Some(context), ..request }
}

/// Calls, and what each asked.
struct Calls {
    trips: RoundTrips,
    made: Vec<(&'static str, Vec<String>)>,
}

impl Calls {
    async fn count<T>(&mut self, name: &'static str, call: impl Future<Output = T>) -> T {
        let mut answer = None;
        let names = self.trips.names_of(async { answer = Some(call.await) }).await;
        self.made.push((name, names));
        answer.unwrap()
    }

    async fn of_sign_ins(&mut self, app: &TestApp) {
        let (back_end, public) = (app.back_end(), app.public());
        let try_one = async |address: &str, password: &str| {
            let request = from_somewhere(with_password(email(address), password));
            back_end.auth.clone().authenticate_password(request).await
        };
        self.count("AuthenticatePassword", try_one(ADA, PASSWORD)).await.unwrap();
        self.count("AuthenticatePassword, wrong password", try_one(ADA, "not it")).await.unwrap_err();
        self.count("AuthenticatePassword, unknown user", try_one("nobody@example.com", "not it")).await.unwrap_err();
        let plain = SignInRequest { login_id: "ada".into(), password: PASSWORD.into(), ..Default::default() };
        let first = self.count("SignIn", public.auth.clone().sign_in(plain.clone())).await.unwrap().into_inner();
        let context = ClientContext { device_token: first.device_token, ..Default::default() };
        let known = SignInRequest { client_context: Some(context), ..plain };
        self.count("SignIn, known device", public.auth.clone().sign_in(known)).await.unwrap();
    }

    async fn of_email_verification(&mut self, app: &TestApp) {
        let back_end = app.back_end();
        let token = self.count("AuthenticateEmailVerification, first step", begin(&back_end)).await;
        let code = app.last_code_to(GRACE).await;
        let wrong = if code == "000000" { "000001" } else { "000000" };
        self.count("AuthenticateEmailVerification, wrong code", redeem(&back_end, &token, wrong)).await.unwrap_err();
        self.count("AuthenticateEmailVerification", redeem(&back_end, &token, &code)).await.unwrap();
    }

    async fn of_sent_codes(&mut self, app: &TestApp) {
        const ADDRESS: &str = "edith@example.com";
        let users = app.back_end().users;
        let new = CreateUserRequest { email: Some(ADDRESS.into()), ..Default::default() };
        let created = self.count("CreateUser", users.clone().create_user(new)).await.unwrap().into_inner();
        let user_id = created.user.unwrap().user_id;
        let send = SendEmailVerificationRequest { user_id: user_id.clone(), ..Default::default() };
        self.count("SendEmailVerification", users.clone().send_email_verification(send)).await.unwrap();
        let confirm = ConfirmEmailVerificationRequest { user_id, code: app.last_code_to(ADDRESS).await };
        self.count("ConfirmEmailVerification", users.clone().confirm_email_verification(confirm)).await.unwrap();
    }

    async fn of_tokens(&mut self, app: &TestApp) {
        let (back_end, public) = (app.back_end(), app.public());
        let signed_in = crate::sessions::sign_in(app).await;
        let (session_id, tokens) = (signed_in.session.unwrap().session_id, signed_in.tokens.unwrap());
        let access = tokens.access_token;
        let by_token = || Credential::AccessToken(access.clone());
        self.count("AuthenticateSession", authenticate(&back_end, by_token())).await.unwrap();
        let by_id = Credential::SessionId(session_id.clone());
        self.count("AuthenticateSession, session id", authenticate(&back_end, by_id)).await.unwrap();
        self.count("AuthenticateSession, public client", authenticate(&public, by_token())).await.unwrap();
        let ask = GetUserInfoRequest { access_token: access.clone() };
        self.count("GetUserInfo", app.anonymous().auth.get_user_info(ask)).await.unwrap();
        self.count("RefreshTokens", refresh(&public, &tokens.refresh_token)).await.unwrap();
        self.count("RefreshTokens, repeated", refresh(&public, &tokens.refresh_token)).await.unwrap();
        let issue = IssueClientTokenRequest::default();
        let issued = self.count("IssueClientToken", back_end.auth.clone().issue_client_token(issue)).await.unwrap();
        let bearer = format!("Bearer {}", issued.into_inner().access_token);
        let by_client_token = app.caller(Some(&bearer));
        self.count("AuthenticateSession, client token", authenticate(&by_client_token, by_token())).await.unwrap();
        self.count("GetSession", get(&back_end, &session_id)).await.unwrap();
        self.count("RevokeSession", revoke(&back_end, &session_id)).await.unwrap();
        let refused = authenticate(&back_end, by_token());
        self.count("AuthenticateSession, revoked session", refused).await.unwrap_err();
        let other = crate::sessions::sign_in(app).await.tokens.unwrap().access_token;
        let credential = sign_out_request::Credential::AccessToken(other);
        self.count("SignOut", sign_out(&public, credential)).await.unwrap();
    }

    async fn of_users(&mut self, app: &TestApp) {
        let (Caller { users, sessions, .. }, user_id) = (app.back_end(), app.fixture.ada.to_string());
        let request = GetUserRequest { user_id: user_id.clone() };
        self.count("GetUser", users.clone().get_user(request)).await.unwrap();
        let identifier = Some(list_users_request::Identifier::Email(ADA.into()));
        let request = ListUsersRequest { identifier, ..Default::default() };
        self.count("ListUsers, by address", users.clone().list_users(request)).await.unwrap();
        self.count("ListUsers", users.clone().list_users(ListUsersRequest::default())).await.unwrap();
        let request = ListSessionsRequest { user_id, ..Default::default() };
        self.count("ListSessions", sessions.clone().list_sessions(request)).await.unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn each_call_of_daily_load_asks_the_database_as_often_as_the_table_says(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    // What is kept from call to call is there.
    try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap();
    let (trips, _guard) = RoundTrips::counted();
    let mut calls = Calls { trips, made: Vec::new() };
    calls.of_sign_ins(&app).await;
    calls.of_tokens(&app).await;
    calls.of_users(&app).await;
    calls.of_email_verification(&app).await;
    calls.of_sent_codes(&app).await;
    let asked: Vec<_> = calls.made.iter().map(|(name, asked)| (*name, asked.len())).collect();
    let wanted: Vec<_> = TABLE.iter().map(|(name, count, _)| (*name, *count)).collect();
    assert_eq!(asked, wanted, "{:#?}", calls.made);
}
