//! Every way to end a session, and what is left of it: nothing, at once, on every replica.

use chrono::Duration;
use rstest::rstest;
use signet::proto::{
    CreateUserRequest, DeleteUserRequest, DisableUserRequest, RevokeAllSessionsRequest, RevokeSessionRequest,
    SetPasswordRequest, SignInRequest, authenticate_session_request::Credential, sign_out_request,
};

use crate::{
    password_reset::{complete, start_by_code},
    refresh::{refusal, successor},
    sessions::{self, sign_out},
    support::{Caller, Engine, PASSWORD, TestApp},
};

/// A session that has been refreshed, with everything that stands for it.
struct Held {
    session_id: String,
    access_token: String,
    session_token: String,
    /// The first refresh token, which has been used.
    used: String,
    refresh_token: String,
}

impl Held {
    /// Signs a user in at one replica, and refreshes at another.
    async fn open(login_id: &str, at: &Replica, then: &Replica) -> Self {
        let request = SignInRequest { login_id: login_id.into(), password: PASSWORD.into(), ..Default::default() };
        let signed_in = at.public.auth.clone().sign_in(request).await.unwrap().into_inner();
        let (session, tokens) = (signed_in.session.unwrap(), signed_in.tokens.unwrap());
        let refresh_token = successor(&then.public, &tokens.refresh_token).await;
        Self {
            session_id: session.session_id,
            access_token: tokens.access_token,
            session_token: tokens.session_token.unwrap(),
            used: tokens.refresh_token,
            refresh_token,
        }
    }

    /// Why it is refused at a replica, by each credential; empty where it is not.
    async fn refusals(&self, at: &Replica) -> [String; 3] {
        [
            sessions::refusal(&at.back_end, Credential::AccessToken(self.access_token.clone())).await,
            sessions::refusal(&at.back_end, Credential::SessionToken(self.session_token.clone())).await,
            sessions::refusal(&at.back_end, Credential::SessionId(self.session_id.clone())).await,
        ]
    }
}

/// A replica, and who calls it.
struct Replica {
    public: Caller,
    back_end: Caller,
}

async fn three_replicas(app: &TestApp) -> [Replica; 3] {
    let routes = [app.routes(), app.replica().await, app.replica().await];
    routes.map(|routes| Replica {
        public: Caller::new(routes.clone(), Some(&app.fixture.public)),
        back_end: Caller::new(routes, Some(&app.fixture.confidential)),
    })
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    RevokeSession,
    RevokeAllSessions,
    RevokeAllSessionsButAnother,
    SignOutByAccessToken,
    SignOutBySessionToken,
    SignOutByRefreshToken,
    SignOutByUsedRefreshToken,
    SignOutById,
    DisableUser,
    DeleteUser,
    SetPassword,
    SetPasswordButKeepAnother,
    CompletePasswordReset,
    RefreshTokenReuse,
}

impl Way {
    /// True if the user's other session ends, too.
    fn ends_all(self) -> bool {
        matches!(
            self,
            Self::RevokeAllSessions
                | Self::DisableUser
                | Self::DeleteUser
                | Self::SetPassword
                | Self::CompletePasswordReset
        )
    }

    /// Ends a session of Ada's at a replica.
    async fn end(self, app: &TestApp, at: &Replica, ended: &Held, other: &Held) {
        let (session_id, user_id, mut caller) =
            (ended.session_id.clone(), app.fixture.ada.to_string(), at.back_end.clone());
        let except_session_id = match self {
            Self::RevokeAllSessionsButAnother | Self::SetPasswordButKeepAnother => other.session_id.clone(),
            _ => String::new(),
        };
        match self {
            Self::RevokeSession => {
                drop(caller.sessions.revoke_session(RevokeSessionRequest { session_id }).await.unwrap());
            }
            Self::RevokeAllSessions | Self::RevokeAllSessionsButAnother => {
                let request = RevokeAllSessionsRequest { user_id, except_session_id };
                caller.sessions.revoke_all_sessions(request).await.unwrap();
            }
            Self::DisableUser => drop(caller.users.disable_user(DisableUserRequest { user_id }).await.unwrap()),
            Self::DeleteUser => drop(caller.users.delete_user(DeleteUserRequest { user_id }).await.unwrap()),
            Self::SetPassword | Self::SetPasswordButKeepAnother => {
                let request =
                    SetPasswordRequest { user_id, password: PASSWORD.into(), except_session_id, ..Default::default() };
                caller.users.set_password(request).await.unwrap();
            }
            Self::CompletePasswordReset => {
                let (token, code) = start_by_code(app, "ada@example.com").await;
                complete(&at.public, &token, &code, "an entirely new one").await.unwrap();
            }
            Self::RefreshTokenReuse => {
                app.clock.advance(Duration::seconds(30));
                assert_eq!(refusal(&at.public, &ended.used).await, "REFRESH_TOKEN_REUSED");
            }
            signing_out => sign_out(&caller, signing_out.credential(ended)).await.unwrap(),
        }
    }

    fn credential(self, ended: &Held) -> sign_out_request::Credential {
        use sign_out_request::Credential;
        match self {
            Self::SignOutByAccessToken => Credential::AccessToken(ended.access_token.clone()),
            Self::SignOutBySessionToken => Credential::SessionToken(ended.session_token.clone()),
            Self::SignOutByRefreshToken => Credential::RefreshToken(ended.refresh_token.clone()),
            Self::SignOutByUsedRefreshToken => Credential::RefreshToken(ended.used.clone()),
            Self::SignOutById => Credential::SessionId(ended.session_id.clone()),
            _ => panic!("{self:?} is no sign-out"),
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_session_that_ended_in_any_way_is_refused_at_once_at_each_replica_and_refreshed_at_none(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(
        Way::RevokeSession,
        Way::RevokeAllSessions,
        Way::RevokeAllSessionsButAnother,
        Way::SignOutByAccessToken,
        Way::SignOutBySessionToken,
        Way::SignOutByRefreshToken,
        Way::SignOutByUsedRefreshToken,
        Way::SignOutById,
        Way::DisableUser,
        Way::DeleteUser,
        Way::SetPassword,
        Way::SetPasswordButKeepAnother,
        Way::CompletePasswordReset,
        Way::RefreshTokenReuse
    )]
    way: Way,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let replicas = three_replicas(&app).await;
    let eve = CreateUserRequest { username: Some("eve".into()), password: Some(PASSWORD.into()), ..Default::default() };
    app.back_end().users.create_user(eve).await.unwrap();
    let ended = Held::open("ada", &replicas[0], &replicas[1]).await;
    let other = Held::open("ada", &replicas[1], &replicas[2]).await;
    let mut bystander = Held::open("eve", &replicas[2], &replicas[0]).await;
    for replica in &replicas {
        assert_eq!(ended.refusals(replica).await, ["", "", ""], "each replica has seen it live");
    }

    way.end(&app, &replicas[0], &ended, &other).await;
    for (number, replica) in replicas.iter().enumerate() {
        let over = "SESSION_NOT_ACTIVE";
        assert_eq!(refusal(&replica.public, &ended.refresh_token).await, over, "at replica {number}");
        assert_eq!(refusal(&replica.public, &ended.used).await, over, "at replica {number}");
        assert_eq!(ended.refusals(replica).await, [over, over, over], "at replica {number}");

        let others = if way.ends_all() { over } else { "" };
        assert_eq!(other.refusals(replica).await, [others, others, others], "the user's other one at {number}");
        assert_eq!(refusal(&replica.public, &other.refresh_token).await, others, "the user's other one at {number}");
        assert_eq!(bystander.refusals(replica).await, ["", "", ""], "another user's at {number}");
        bystander.refresh_token = successor(&replica.public, &bystander.refresh_token).await;
    }
}
