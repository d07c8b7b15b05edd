//! Every counter there is trips by itself, and the audit trail says which it was, whose, and where from. With bounds other than the
//! usual ones: one failure is free, or one mail, and all others are out of the way.

use chrono::Duration;
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, Statement};
use signet::{
    domain::{
        bucket::Guarded::{
            self, AuthenticatePassword, CodeMail, EmailChange, EmailCode, PasswordReset, PasswordResetMail, SignIn,
        },
        limits::Limits,
    },
    proto::{AuthenticateEmailCodeRequest, CompletePasswordResetRequest, SignInRequest, StartPasswordResetRequest},
};
use uuid::Uuid;

use crate::{
    guessing::{WRONG, context, try_from},
    known_devices::{begin_on, device_of_ada, known_but_unverified, redeem_on},
    password_reset::{by_code, start, start_by_code},
    sign_in::email,
    support::{ADA, Engine, TestApp},
};

const ADDRESS: &str = "192.0.2.77";
const NOBODY: &str = "nobody@example.com";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Who {
    User,
    Unknown,
    Device,
    Address,
}

use Who::{Address, Device, Unknown, User};

impl Who {
    /// One is free of what this one is counted on, and fifty of anything else.
    fn limits(self) -> Limits {
        let (own, address) = if self == Address { (50, 1) } else { (1, 50) };
        Limits {
            free_failures: own,
            free_mails: own,
            free_failures_per_ip: address,
            free_mails_per_ip: address,
            ..Limits::default()
        }
    }

    const fn identifier(self) -> &'static str {
        if matches!(self, Unknown) { NOBODY } else { ADA }
    }
}

/// Fails twice, or asks for two mails.
async fn twice(app: &TestApp, guarded: Guarded, who: Who) {
    let is_code = matches!(guarded, EmailCode | CodeMail);
    let device = match who {
        Device if is_code => known_but_unverified(app).await,
        Device => device_of_ada(app).await,
        _ => String::new(),
    };
    let client_context = Some(context(ADDRESS, &device));
    let graces = email("grace@example.com");
    let pending = if guarded == EmailCode { begin_on(app, &device).await } else { String::new() };
    let (token, code) = if guarded == PasswordReset { start_by_code(app, ADA).await } else { Default::default() };
    for _ in 0..2 {
        match guarded {
            AuthenticatePassword => {
                let whom = email(who.identifier());
                try_from(&app.back_end(), whom, WRONG, (ADDRESS, &device)).await.unwrap_err();
            }
            SignIn => {
                let (login_id, password) = (who.identifier().into(), WRONG.into());
                let request =
                    SignInRequest { login_id, password, client_context: client_context.clone(), ..Default::default() };
                app.public().auth.sign_in(request).await.unwrap_err();
            }
            CodeMail => {
                let right = crate::support::PASSWORD;
                try_from(&app.back_end(), graces.clone(), right, (ADDRESS, &device)).await.unwrap_err();
                app.clock.advance(Duration::seconds(31));
            }
            EmailChange => {
                let (login_id, code) = (who.identifier().into(), "000000".into());
                let client_context = client_context.clone();
                let request = AuthenticateEmailCodeRequest { login_id, code, client_context, ..Default::default() };
                app.back_end().auth.authenticate_email_code(request).await.unwrap_err();
            }
            EmailCode => {
                let code = app.last_code_to("grace@example.com").await;
                let wrong = if code == "000000" { "000001" } else { "000000" };
                redeem_on(app, &pending, wrong, (ADDRESS, &device)).await.unwrap_err();
            }
            PasswordReset => {
                let request = CompletePasswordResetRequest {
                    password_reset_token: token.clone(),
                    code: if code == "00000000" { "00000001" } else { "00000000" }.into(),
                    new_password: "an entirely new one".into(),
                    client_context: client_context.clone(),
                    ..Default::default()
                };
                app.back_end().auth.complete_password_reset(request).await.unwrap_err();
            }
            PasswordResetMail => {
                let client_context = client_context.clone();
                let request = StartPasswordResetRequest { client_context, ..by_code(who.identifier()) };
                start(&app.back_end(), request).await.unwrap();
            }
        }
    }
}

#[rstest]
#[case(AuthenticatePassword, User, "authenticate_password")]
#[case(AuthenticatePassword, Unknown, "authenticate_password")]
#[case(AuthenticatePassword, Device, "authenticate_password_device")]
#[case(AuthenticatePassword, Address, "authenticate_password_ip")]
// Applications sign in, and what they report is not counted on an address. Mails are never counted by device.
#[case(SignIn, User, "sign_in")]
#[case(SignIn, Unknown, "sign_in")]
#[case(SignIn, Device, "sign_in_device")]
#[case(CodeMail, User, "code_mail")]
#[case(CodeMail, Address, "code_mail_ip")]
#[case(EmailChange, User, "email_change")]
#[case(EmailChange, Unknown, "email_change")]
// Whoever signs in can make devices at will, so they do not count here.
#[case(EmailChange, Device, "email_change")]
#[case(EmailChange, Address, "email_change_ip")]
#[case(EmailCode, User, "email_code")]
#[case(EmailCode, Device, "email_code_device")]
#[case(EmailCode, Address, "email_code_ip")]
#[case(PasswordReset, User, "password_reset")]
#[case(PasswordReset, Device, "password_reset_device")]
#[case(PasswordReset, Address, "password_reset_ip")]
#[case(PasswordResetMail, User, "password_reset_mail")]
#[case(PasswordResetMail, Unknown, "password_reset_mail")]
#[case(PasswordResetMail, Address, "password_reset_mail_ip")]
#[tokio::test]
async fn each_counter_trips_and_says_so(
    #[case] guarded: Guarded,
    #[case] who: Who,
    #[case] cause: &str,
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start_limited(engine, who.limits()).await else { return };
    twice(&app, guarded, who).await;
    // Getting there has taken mails, too.
    let is_other = |event: &str| guarded == EmailCode && event.contains("code_mail");
    let tripped = |event: &String| event.starts_with("throttle.tripped") && !is_other(event);
    let events: Vec<_> = app.events().await.into_iter().filter(tripped).collect();
    assert_eq!(events, [format!("throttle.tripped ({cause})")]);

    let user = match (guarded, who) {
        (_, Unknown) => None,
        (CodeMail | EmailCode, _) => Some(app.fixture.grace),
        _ => Some(app.fixture.ada),
    };
    let database = app.database().await;
    let whose = format!("SELECT user_id, ip_address FROM events WHERE kind = 'throttle.tripped' AND cause = '{cause}'");
    let whose = Statement::from_string(database.get_database_backend(), whose);
    let row = database.query_one_raw(whose).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<Option<Uuid>>(0).unwrap(), user.map(Uuid::from));
    assert_eq!(row.try_get_by_index::<Option<String>>(1).unwrap().as_deref(), Some(ADDRESS));
}
