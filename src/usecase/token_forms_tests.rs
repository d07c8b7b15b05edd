//! What stands in the tokens of each form.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretBox;
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    crypto::{master_key::MasterKey, project_keys},
    domain::{
        client::{ClientType, RefreshTokenFormat, TokenDelivery},
        client_context::ClientContext,
        id::{ProjectId, SessionId, UserId},
        identifier::{Identifier, IdentifierKind},
        project::ProjectSettings,
        refresh::RefreshState,
        session::{AuthenticationMethod, SessionState},
        signing_key::{KeyUse, SigningAlgorithm},
        user::{PasswordState, Profile, UserIdentifier, UserStatus},
    },
};

const PUBLIC_URL: &str = "https://auth.example";

struct Fixture {
    keys: ProjectKeys,
    project: Project,
    client: Client,
    user: User,
    session: Session,
    now: Timestamp,
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

impl Fixture {
    fn new(profile: TokenProfile) -> Self {
        let (random, now) = (Random::seeded(1), Timestamp::from_timestamp_secs(1_800_000_000).unwrap());
        let master_key = MasterKey::new(&SecretBox::new(Box::new([1; 32])));
        let project = Project {
            id: ProjectId::generate(now, &random),
            name: "Shop".into(),
            settings: ProjectSettings::default(),
            created_at: now,
            updated_at: now,
        };
        let rs256 = KeyUse::Jwt(SigningAlgorithm::Rs256);
        let key = project_keys::generate(project.id, rs256, now, now, &master_key, &random).unwrap();
        let client = Client {
            id: ClientId::generate(now, &random),
            project_id: project.id,
            name: "Web shop".into(),
            client_type: ClientType::Confidential,
            refresh_token_format: profile.refresh_token_format(RefreshTokenFormat::Opaque),
            token_profile: profile,
            token_delivery: TokenDelivery::Body,
            created_at: now,
        };
        let user = ada(&project, now, &random);
        let session = Session {
            id: SessionId::generate(now, &random),
            project_id: project.id,
            user_id: user.id,
            client_id: client.id,
            methods: vec![AuthenticationMethod::Password],
            authenticated_at: now,
            client_context: ClientContext::parse("192.0.2.1", "Browser/1").unwrap(),
            custom_claims: CustomClaims::parse(object(json!({"plan": "pro"}))).unwrap(),
            resource: None,
            refresh: RefreshState::FIRST,
            refresh_token_format: client.refresh_token_format,
            token_profile: profile,
            last_used_at: now,
            created_at: now,
            state: SessionState::Active {
                idle_expires_at: now + Duration::days(14),
                expires_at: now + Duration::days(28),
            },
        };
        Self { keys: ProjectKeys::open(&master_key, vec![key]), project, client, user, session, now }
    }

    fn subject(&self) -> Subject<'_> {
        let Self { project, client, user, session, .. } = self;
        let issuer = format!("{PUBLIC_URL}/projects/{}", project.id);
        Subject { project, client, user, session, issuer, public_url: PUBLIC_URL }
    }

    fn key(&self) -> &JwtKey {
        self.keys.signer(self.now).unwrap()
    }

    fn stamp(&self) -> Stamp {
        // A moment later, so that it shows which claims are about the sign-in.
        let now = self.now + Duration::seconds(60);
        Stamp { now, expires_at: now + Duration::seconds(300), jti: "01K0000000000000000000000A".into() }
    }

    /// Header and claims, with the ids that are made by chance under their names.
    fn named(&self, token: &str) -> (Value, Value) {
        let part = |at: usize| -> Value {
            let part = URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap();
            let mut text = String::from_utf8(part).unwrap();
            for (id, name) in [
                (self.project.id.to_string(), "PROJECT"),
                (self.client.id.to_string(), "CLIENT"),
                (self.user.id.to_string(), "USER"),
                (self.session.id.to_string(), "SESSION"),
                (uuid::Uuid::from(self.project.id).to_string(), "PROJECT-UUID"),
                (uuid::Uuid::from(self.user.id).to_string(), "USER-UUID"),
                (uuid::Uuid::from(self.session.id).to_string(), "SESSION-UUID"),
                (crate::id_form::descope('P', self.project.id.into()), "PROJECT-P"),
                (crate::id_form::descope('U', self.user.id.into()), "USER-U"),
                (self.key().json_web_key.kid.clone(), "KEY"),
            ] {
                text = text.replace(&id, name);
            }
            serde_json::from_str(&text).unwrap()
        };
        (part(0), part(1))
    }
}

fn ada(project: &Project, now: Timestamp, random: &Random) -> User {
    let email = Identifier::parse(IdentifierKind::Email, "ada@example.com").unwrap();
    User {
        id: UserId::generate(now, random),
        project_id: project.id,
        identifiers: vec![UserIdentifier { identifier: email, verified_at: Some(now) }],
        profile: Profile { given_name: Some("Ada".into()), family_name: Some("Lovelace".into()), ..Profile::default() },
        status: UserStatus::Active,
        external_id: None,
        password: Some(PasswordState { version: 1, must_change: false, updated_at: now }),
        created_at: now,
        updated_at: now,
        last_signed_in_at: Some(now),
    }
}

#[test]
fn the_access_token_of_workos() {
    let fixture = Fixture::new(TokenProfile::WorkOs);
    let token =
        access_token(fixture.key(), &fixture.subject(), Some("https://api.example/"), &fixture.stamp()).unwrap();
    let (header, claims) = fixture.named(&token);
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "KEY"}));
    insta::assert_json_snapshot!(claims, @r#"
    {
      "auth_time": 1800000000,
      "client_id": "CLIENT",
      "exp": 1800000360,
      "iat": 1800000060,
      "iss": "https://auth.example/user_management/CLIENT",
      "jti": "01K0000000000000000000000A",
      "sid": "SESSION",
      "sub": "USER",
      "token_kind": "access"
    }
    "#);
}

#[test]
fn the_session_token_of_stytch() {
    let fixture = Fixture::new(TokenProfile::Stytch);
    let (header, claims) = fixture.named(&session_token(fixture.key(), &fixture.subject(), &fixture.stamp()).unwrap());
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "KEY"}));
    insta::assert_json_snapshot!(claims, @r#"
    {
      "aud": [
        "project-live-PROJECT-UUID"
      ],
      "exp": 1800000360,
      "https://stytch.com/session": {
        "attributes": {
          "ip_address": "192.0.2.1",
          "user_agent": "Browser/1"
        },
        "authentication_factors": [
          {
            "created_at": "2027-01-15T08:00:00Z",
            "delivery_method": "knowledge",
            "email_factor": {
              "email_address": "ada@example.com",
              "email_id": "email-live-USER-UUID"
            },
            "last_authenticated_at": "2027-01-15T08:00:00Z",
            "type": "password",
            "updated_at": "2027-01-15T08:00:00Z"
          }
        ],
        "expires_at": "2027-01-29T08:00:00Z",
        "id": "session-live-SESSION-UUID",
        "last_accessed_at": "2027-01-15T08:00:00Z",
        "roles": [
          "stytch_user"
        ],
        "started_at": "2027-01-15T08:00:00Z"
      },
      "iat": 1800000060,
      "iss": "stytch.com/project-live-PROJECT-UUID",
      "nbf": 1800000060,
      "plan": "pro",
      "sub": "user-live-USER-UUID",
      "token_kind": "session"
    }
    "#);
}

#[test]
fn the_session_and_the_refresh_token_of_descope() {
    let mut fixture = Fixture::new(TokenProfile::Descope);
    fixture.session.methods.push(AuthenticationMethod::EmailCode);
    let (header, claims) = fixture.named(&session_token(fixture.key(), &fixture.subject(), &fixture.stamp()).unwrap());
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "KEY"}));
    insta::assert_json_snapshot!(claims, @r#"
    {
      "amr": [
        "pwd",
        "email",
        "mfa"
      ],
      "drn": "DS",
      "exp": 1800000360,
      "iat": 1800000060,
      "iss": "PROJECT-P",
      "nsec": {
        "plan": "pro"
      },
      "permissions": [],
      "rexp": "2027-01-29T08:00:00Z",
      "roles": [],
      "sid": "SESSION",
      "sub": "USER-U",
      "tenants": {},
      "token_kind": "session"
    }
    "#);
    let times = (fixture.now, fixture.now + Duration::days(14));
    let (_, claims) = fixture.named(&refresh_token(fixture.key(), &fixture.subject(), 3, times).unwrap());
    insta::assert_json_snapshot!(claims, @r#"
    {
      "amr": [
        "pwd",
        "email",
        "mfa"
      ],
      "drn": "DSR",
      "exp": 1801209600,
      "iat": 1800000000,
      "iss": "PROJECT-P",
      "refresh_generation": 3,
      "sid": "SESSION",
      "sub": "USER-U",
      "token_kind": "refresh"
    }
    "#);
}

#[test]
fn the_tokens_of_transmit() {
    let fixture = Fixture::new(TokenProfile::Transmit);
    let (key, subject, stamp) = (fixture.key(), fixture.subject(), fixture.stamp());
    let (header, claims) = fixture.named(&access_token(key, &subject, None, &stamp).unwrap());
    assert_eq!(header, json!({"alg": "RS256", "typ": "at+jwt", "kid": "KEY"}));
    insta::assert_json_snapshot!(claims, @r#"
    {
      "app_id": "CLIENT",
      "app_name": "Web shop",
      "aud": "userid-api",
      "client_id": "CLIENT",
      "exp": 1800000360,
      "iat": 1800000060,
      "iss": "https://auth.example/projects/PROJECT",
      "jti": "01K0000000000000000000000A",
      "scope": "openid",
      "sid": "SESSION",
      "sub": "USER",
      "tid": "PROJECT",
      "token_kind": "access"
    }
    "#);
    let for_resource = access_token(key, &subject, Some("https://api.example/"), &stamp).unwrap();
    assert_eq!(fixture.named(&for_resource).1["aud"], "https://api.example/");

    let mut wishes = TokenWishes::default();
    wishes.claims.id_token =
        ["fname", "given_name", "email", "app_name", "tid", "amr", "zodiac"].map(Into::into).into();
    let (header, mut claims) = fixture.named(&id_token(key, &subject, &wishes, "an access token", &stamp).unwrap());
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "KEY"}));
    assert_eq!(claims["at_hash"].take().as_str().map(str::len), Some(22));
    insta::assert_json_snapshot!(claims, @r#"
    {
      "amr": [
        "pwd"
      ],
      "app_name": "Web shop",
      "at_hash": null,
      "aud": "CLIENT",
      "auth_time": 1800000000,
      "email": "ada@example.com",
      "exp": 1800000360,
      "fname": "Ada",
      "given_name": "Ada",
      "iat": 1800000060,
      "iss": "https://auth.example/projects/PROJECT",
      "sid": "SESSION",
      "sub": "USER",
      "tid": "PROJECT",
      "token_kind": "id"
    }
    "#);
}

#[test]
fn a_vendor_without_such_a_token_gets_the_standard_one() {
    let standard = Fixture::new(TokenProfile::Standard);
    let of = |token: String| standard.named(&token).1;
    let (key, stamp) = (standard.key(), standard.stamp());
    let access = of(access_token(key, &standard.subject(), None, &stamp).unwrap());
    let session = of(session_token(key, &standard.subject(), &stamp).unwrap());
    assert_eq!((&access["aud"], &access["iss"]), (&json!("PROJECT"), &session["iss"]));
    for profile in TokenProfile::ALL {
        let mut fixture = Fixture::new(profile);
        // All but the ids, which are the same ones anyway.
        fixture.keys = Fixture::new(TokenProfile::Standard).keys;
        let (key, subject) = (fixture.key(), fixture.subject());
        let own_access = [TokenProfile::Transmit, TokenProfile::WorkOs].contains(&profile);
        let own_session = [TokenProfile::Descope, TokenProfile::Stytch].contains(&profile);
        let seen = fixture.named(&access_token(key, &subject, None, &stamp).unwrap()).1;
        assert_eq!(seen == access, !own_access, "{profile:?}");
        let seen = fixture.named(&session_token(key, &subject, &stamp).unwrap()).1;
        assert_eq!(seen == session, !own_session, "{profile:?}");
    }
}

/// Its browser library keeps the token in a cookie, which a browser drops if it is too long.
#[test]
fn a_session_token_of_stytch_fits_into_a_cookie_whatever_is_in_it() {
    let mut fixture = Fixture::new(TokenProfile::Stytch);
    let long = format!("{}@{}.example", "a".repeat(64), "b.".repeat(120));
    let email = Identifier::parse(IdentifierKind::Email, &long)
        .unwrap_or_else(|_| Identifier::from_stored(IdentifierKind::Email, long.clone(), long.clone()));
    fixture.user.identifiers[0].identifier = email;
    fixture.session.methods =
        vec![AuthenticationMethod::Password, AuthenticationMethod::EmailCode, AuthenticationMethod::Password];
    fixture.session.client_context = ClientContext::parse("2001:db8::1234:5678:9abc", &"\"".repeat(512)).unwrap();
    let room = TokenProfile::Stytch.custom_claims_bytes_max() - r#"{"a":""}"#.len();
    let claims = |bytes: usize| CustomClaims::parse(object(json!({"a": "x".repeat(bytes)}))).unwrap();
    assert!(check_custom_claims(TokenProfile::Stytch, &claims(room + 1)).is_err());
    assert!(check_custom_claims(TokenProfile::Descope, &claims(room + 1)).is_ok());

    fixture.session.custom_claims = claims(room);
    check_custom_claims(TokenProfile::Stytch, &fixture.session.custom_claims).unwrap();
    let token = session_token(fixture.key(), &fixture.subject(), &fixture.stamp()).unwrap();
    assert!(token.len() < 4000, "{}", token.len());
    let factors = &fixture.named(&token).1["https://stytch.com/session"]["authentication_factors"];
    assert_eq!(factors.as_array().unwrap().len(), 2, "each method once");
}

#[test]
fn a_custom_claim_that_would_pass_for_ours_is_refused_where_it_could() {
    for name in stytch::RESERVED.iter().copied().chain(["https://stytch.com/organization"]) {
        let claims = CustomClaims::parse(object(json!({ name: 1 }))).unwrap();
        assert!(check_custom_claims(TokenProfile::Stytch, &claims).is_err(), "{name}");
        assert!(check_custom_claims(TokenProfile::Descope, &claims).is_ok(), "{name}");
    }
    // All of the token's own names are among them.
    let mut fixture = Fixture::new(TokenProfile::Stytch);
    fixture.session.custom_claims = CustomClaims::default();
    let (_, claims) = fixture.named(&session_token(fixture.key(), &fixture.subject(), &fixture.stamp()).unwrap());
    assert!(claims.as_object().unwrap().keys().all(|name| stytch::RESERVED.contains(&name.as_str())));
}
