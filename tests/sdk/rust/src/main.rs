//! Everything an application does with the Rust crate `workos`, of which nothing is changed but where it finds the service.

use std::{collections::HashMap, error::Error, io, time::Duration};

use serde_json::{Value, json};
use workos::{
    ApiError, Client, RequestOptions,
    helpers::session::{SessionRefreshOptions, SessionState, seal_session_from_auth_response},
    models::{AuthenticateResponse, CreatePasswordReset, CreatePasswordResetToken, RevokeSession, VerifyEmailAddress},
    resources::user_management::{
        AuthenticateWithEmailVerificationParams, AuthenticateWithPasswordParams, AuthenticateWithRefreshTokenParams,
        ConfirmPasswordResetParams, CreateUserParams, CreateUserParamsBody, ListSessionsParams, ListUsersParams,
        Password, ResetPasswordParams, RevokeSessionParams, UpdateUserParams, UpdateUserParamsBody, UserManagementApi,
        VerifyEmailParams,
    },
};

const PASSWORD: &str = "a nanosecond of wire";
const COOKIE_PASSWORD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

type Done = Result<(), Box<dyn Error>>;

struct Application {
    task: Value,
    client: Client,
}

impl Application {
    fn text(&self, name: &str) -> &str {
        self.task[name].as_str().expect("the task has it")
    }

    fn users(&self) -> UserManagementApi<'_> {
        self.client.user_management()
    }

    /// The code in the last mail to an address.
    async fn code_for(&self, address: &str) -> Result<String, Box<dyn Error>> {
        for _ in 0..200 {
            let mails: Value = reqwest::get(self.text("mails")).await?.json().await?;
            let codes = mails.as_array().into_iter().flatten().filter(|mail| mail["to"] == address);
            if let Some(code) = codes.filter_map(|mail| mail["code"].as_str()).next() {
                return Ok(code.to_owned());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("no mail to {address}").into())
    }

    async fn create(&self, email: &str, verified: bool) -> Result<String, workos::Error> {
        let mut body = new_user(email);
        body.email_verified = Some(verified);
        body.password = Some(Password::Plaintext { password: PASSWORD.into() });
        Ok(self.users().create_user(CreateUserParams::new(body)).await?.id)
    }

    async fn sign_in(&self, email: &str, password: &str) -> Result<AuthenticateResponse, workos::Error> {
        let mut params = AuthenticateWithPasswordParams::new(email, password);
        params.ip_address = Some("192.0.2.1".into());
        params.user_agent = Some("a browser".into());
        self.users().authenticate_with_password(params).await
    }

    async fn verified_locally(&self, sealed: &str) -> SessionState {
        self.client.session(sealed, COOKIE_PASSWORD).authenticate().await
    }
}

fn new_user(email: &str) -> CreateUserParamsBody {
    serde_json::from_value(json!({ "email": email })).expect("only the address is required")
}

fn sealed(answer: &AuthenticateResponse) -> Result<String, workos::Error> {
    let (access, refresh) = (answer.access_token.clone(), answer.refresh_token.clone());
    seal_session_from_auth_response(access, refresh, Some(answer.user.clone()), None, COOKIE_PASSWORD)
}

/// What the service has refused with.
fn refused<T>(answer: Result<T, workos::Error>) -> Box<ApiError> {
    match answer {
        Err(workos::Error::Api(error)) => error,
        Err(other) => panic!("no answer of the service: {other}"),
        Ok(_) => panic!("should have been refused"),
    }
}

fn said(error: &ApiError) -> (u16, &str) {
    (error.status, error.code.as_deref().unwrap_or_default())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    let task: Value = serde_json::from_reader(io::stdin())?;
    let text = |name: &str| task[name].as_str().expect("the task has it").to_owned();
    let client = Client::builder().api_key(text("api_key")).client_id(text("client_id")).base_url(text("url")).build();
    let application = Application { task: task.clone(), client };
    let ada = users(&application).await?;
    let cookie = sign_in(&application, &ada).await?;
    unverified(&application).await?;
    mails(&application).await?;
    password_reset(&application).await?;
    sessions(&application, &ada, &cookie).await?;
    println!("{}", json!({ "done": true }));
    Ok(())
}

async fn users(application: &Application) -> Result<String, Box<dyn Error>> {
    let users = application.users();
    let mut body = new_user(" Rust-Ada@example.com");
    body.first_name = Some("Ada".into());
    body.external_id = Some("rust-ada".into());
    body.email_verified = Some(true);
    body.metadata = Some(HashMap::from([("plan".into(), "pro".into())]));
    body.password = Some(Password::Plaintext { password: PASSWORD.into() });
    let ada = users.create_user(CreateUserParams::new(body)).await?;
    assert_eq!((ada.email.as_str(), ada.first_name.as_deref()), ("rust-ada@example.com", Some("Ada")));
    let taken = refused(application.create("rust-ada@example.com", false).await);
    assert_eq!(said(&taken), (400, "user_creation_error"));

    let options = RequestOptions::new().idempotency_key("rust-once");
    let mut ids = Vec::new();
    for _ in 0..2 {
        let params = CreateUserParams::new(new_user("rust-twice@example.com"));
        ids.push(users.create_user_with_options(params, Some(&options)).await?.id);
    }
    assert_eq!(ids[0], ids[1], "a repetition with the same key is the same user");

    assert_eq!(users.get_user_by_external_id("rust-ada").await?.id, users.get_user(&ada.id).await?.id);
    let change = UpdateUserParamsBody { last_name: Some("Lovelace".into()), ..serde_json::from_value(json!({}))? };
    let changed = users.update_user(&ada.id, UpdateUserParams::new(change)).await?;
    assert_eq!((changed.first_name.as_deref(), changed.last_name.as_deref()), (Some("Ada"), Some("Lovelace")));

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let params = ListUsersParams { limit: Some(2), after: after.take(), ..Default::default() };
        let page = users.list_users(params).await?;
        seen.extend(page.data.into_iter().map(|user| user.id));
        after = page.list_metadata.after;
        if after.is_none() {
            break;
        }
    }
    assert!(seen.contains(&ada.id) && seen.len() >= 4, "{seen:?}");
    seen.sort_unstable();
    seen.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "nobody is listed twice"));

    users.delete_user(&ids[0]).await?;
    assert_eq!(said(&refused(users.get_user(&ids[0]).await)), (404, "entity_not_found"));
    Ok(ada.id)
}

async fn sign_in(application: &Application, ada: &str) -> Result<String, Box<dyn Error>> {
    let answer = application.sign_in("RUST-ADA@example.com", PASSWORD).await?;
    assert_eq!(answer.user.id, ada);
    let wrong = refused(application.sign_in("rust-ada@example.com", "x").await);
    let unknown = refused(application.sign_in("rust-nobody@example.com", "x").await);
    assert_eq!(said(&wrong), (400, "invalid_credentials"));
    let body = |error: &ApiError, name| String::from_utf8_lossy(&error.raw_body).replace(name, "");
    assert_eq!(body(&wrong, "ada"), body(&unknown, "nobody"));

    let cookie = sealed(&answer)?;
    let state = application.verified_locally(&cookie).await;
    assert!(state.authenticated, "{}", state.reason);
    let keys = application.users().get_jwks(application.text("client_id")).await?;
    assert!(keys.keys.iter().all(|key| !key.x_5_c.is_empty() && !key.x_5_t_s_256.is_empty()));

    let session = application.client.session(&cookie, COOKIE_PASSWORD);
    let refreshed = session.refresh(SessionRefreshOptions::default()).await?;
    assert!(refreshed.authenticated, "{}", refreshed.reason);
    let after = application.verified_locally(&refreshed.sealed_session).await;
    assert_eq!((after.authenticated, after.session_id), (true, state.session_id));
    let params = AuthenticateWithRefreshTokenParams::new("made up");
    assert_eq!(
        said(&refused(application.users().authenticate_with_refresh_token(params).await)),
        (400, "invalid_grant")
    );
    Ok(refreshed.sealed_session)
}

async fn unverified(application: &Application) -> Done {
    let address = "rust-grace@example.com";
    let grace = application.create(address, false).await?;
    let error = refused(application.sign_in(address, PASSWORD).await);
    assert_eq!(said(&error), (403, "email_verification_required"));
    let body: Value = serde_json::from_slice(&error.raw_body)?;
    let member = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let code = application.code_for(address).await?;
    let verification = application.users().get_email_verification(&member("email_verification_id")).await?;
    assert_eq!((verification.user_id, verification.code.expose()), (grace.clone(), code.as_str()));
    let pending = member("pending_authentication_token");
    let params = AuthenticateWithEmailVerificationParams::new(code, pending);
    let answer = application.users().authenticate_with_email_verification(params).await?;
    assert!(answer.user.id == grace && answer.user.email_verified);
    assert!(application.verified_locally(&sealed(&answer)?).await.authenticated);
    Ok(())
}

async fn mails(application: &Application) -> Done {
    let address = "rust-edsger@example.com";
    let user = application.create(address, false).await?;
    let users = application.users();
    assert_eq!(users.send_verification_email(&user).await?.user.id, user);
    let error = refused(users.send_verification_email(&user).await);
    assert_eq!(said(&error), (429, "rate_limit_exceeded"));
    assert!(error.retry_after.is_some_and(|wait| wait >= Duration::from_secs(1)), "{:?}", error.retry_after);
    let code = application.code_for(address).await?;
    let body: VerifyEmailAddress = serde_json::from_value(json!({ "code": code }))?;
    assert!(users.verify_email(&user, VerifyEmailParams::new(body)).await?.user.email_verified);
    Ok(())
}

async fn password_reset(application: &Application) -> Done {
    let address = "rust-alan@example.com";
    let user = application.create(address, true).await?;
    let users = application.users();
    let body: CreatePasswordResetToken = serde_json::from_value(json!({ "email": address }))?;
    let reset = users.reset_password(ResetPasswordParams::new(body)).await?;
    assert_eq!(users.get_password_reset(&reset.id).await?.user_id, user);
    let confirm = |password: &str| {
        let body = CreatePasswordReset { token: reset.password_reset_token.clone(), new_password: password.into() };
        users.confirm_password_reset(ConfirmPasswordResetParams::new(body))
    };
    assert_eq!(said(&refused(confirm("short").await)), (400, "password_reset_error"));
    assert_eq!(confirm("enigma of bletchley").await?.user.id, user);
    assert_eq!(application.sign_in(address, "enigma of bletchley").await?.user.id, user);
    assert_eq!(said(&refused(application.sign_in(address, PASSWORD).await)), (400, "invalid_credentials"));
    assert_eq!(said(&refused(confirm("enigma of bletchley").await)).0, 404);
    Ok(())
}

async fn sessions(application: &Application, ada: &str, cookie: &str) -> Done {
    let users = application.users();
    let listed = users.list_sessions(ada, ListSessionsParams::default()).await?.data;
    assert!(listed.iter().any(|session| session.ip_address.as_deref() == Some("192.0.2.1")));
    let other = application.sign_in("rust-ada@example.com", PASSWORD).await?;
    let session_id = application.verified_locally(&sealed(&other)?).await.session_id;
    users.revoke_session(RevokeSessionParams::new(RevokeSession { session_id })).await?;
    let params = AuthenticateWithRefreshTokenParams::new(other.refresh_token.clone());
    assert_eq!(said(&refused(users.authenticate_with_refresh_token(params).await)), (400, "invalid_grant"));

    let session = application.client.session(cookie, COOKIE_PASSWORD);
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let status = browser.get(session.logout_url(None).await?).send().await?.status().as_u16();
    assert!([200, 302].contains(&status), "logout: {status}");
    let over = session.refresh(SessionRefreshOptions::default()).await?;
    assert_eq!((over.authenticated, over.reason.as_str()), (false, "refresh_failed"));
    Ok(())
}
