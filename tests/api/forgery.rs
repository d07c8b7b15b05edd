//! Tokens that nobody may take, made from a good one. What each test holds against the service is here, for all kinds.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    signature::KeyPair as _,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rstest::rstest;
use serde_json::{Value, json};
use signet::{
    crypto::{
        jwt::{self, TokenKind},
        project_keys::JwtKey,
        signing_key::SigningKey,
    },
    domain::id::ProjectId,
    proto::{
        ClientType, CreateClientRequest, ProjectSettings, RefreshTokenFormat, SignInRequest, SigningAlgorithm,
        authenticate_session_request::Credential, sign_out_request,
    },
};

use crate::{
    client_token::{self, client_token},
    projects::{project_with, quick},
    refresh::{self, jwt_app},
    sessions::{self, sign_out},
    sign_in::claims_of,
    support::{Caller, Engine, PASSWORD, TestApp, basic, reason},
};

/// The token cut and changed at every `step`th place, each with a word for what was done to it.
pub(crate) fn damaged(token: &str, step: usize) -> Vec<(String, String)> {
    let mut damaged = Vec::new();
    for at in (0..token.len()).step_by(step) {
        if at > 0 {
            damaged.push((format!("cut at {at}"), token[..at].to_owned()));
        }
        // One bit of each byte; the unit tests of the tokens flip them all.
        let mut bytes = token.to_owned().into_bytes();
        bytes[at] ^= 1 << (at % 7);
        damaged.push((format!("changed at {at}"), String::from_utf8(bytes).unwrap()));
    }
    let longer = [format!("{token}A"), format!("{token}."), format!("{token}=="), format!("{token}\u{7e}")];
    damaged.extend(longer.map(|longer| ("longer".to_owned(), longer)));
    damaged
}

/// The token signed again by its own key, but with a header, or a claim, that is not right: those that every kind has, and
/// those of `more`. Each claim is also left out.
pub(crate) async fn forged(
    app: &TestApp,
    token: &str,
    kind: TokenKind,
    more: &[(&str, Value)],
) -> Vec<(String, String)> {
    assert_eq!(header_of(token)["typ"], kind.typ());
    forged_in(app, app.fixture.project_id, token, more).await
}

/// The same for a token of any project and form. A change that leaves the token as it was is left out.
pub(crate) async fn forged_in(
    app: &TestApp,
    project_id: ProjectId,
    token: &str,
    more: &[(&str, Value)],
) -> Vec<(String, String)> {
    let claims = claims_of(token);
    let now = app.services.clock.now();
    let keys = app.services.key_ring.keys(&app.services.store, project_id, now).await.unwrap();
    let key = keys.signer(now).unwrap();
    let (header, mut forged) = (header_of(token), unsigned(key, token));
    forged.extend(with_other_headers(key, token));
    let every_kind = [
        ("exp", json!("1900000000")),
        ("exp", json!([1_900_000_000])),
        ("exp", json!(null)),
        ("exp", json!(1.9e300)),
        ("exp", json!(true)),
        ("exp", json!(now.timestamp())),
        ("nbf", json!(now.timestamp() + 61)),
        ("nbf", json!("0")),
        ("iss", json!("https://other.example/")),
        ("iss", json!(["https://auth.example/"])),
        ("aud", json!("https://elsewhere.example/")),
        ("aud", json!([project_id.to_string(), "other"])),
        ("sub", json!("user_x")),
    ];
    let other_kinds = ["access", "client", "id", "refresh", "session"].map(|kind| json!(kind));
    let other_kinds = other_kinds.into_iter().filter(|kind| *kind != claims["token_kind"]);
    let every_kind = every_kind.into_iter().chain(other_kinds.map(|kind| ("token_kind", kind)));
    for (claim, value) in every_kind.chain(more.iter().cloned()) {
        let mut changed = claims.clone();
        let sign = |claims: &Value| jwt::sign_as(key, header["typ"].as_str().unwrap(), claims).unwrap();
        changed[claim] = value.clone();
        forged.push((format!("{claim} = {value}"), sign(&changed)));
        changed.as_object_mut().unwrap().remove(claim);
        if changed != claims {
            forged.push((format!("no {claim}"), sign(&changed)));
        }
    }
    forged
}

/// The token as somebody writes it who has the public key only: with no signature, with the old one, and with one that takes
/// the public key, in any form it comes in, for a secret that both sides share.
pub(crate) fn unsigned(key: &JwtKey, token: &str) -> Vec<(String, String)> {
    let mut forged = Vec::new();
    for alg in ["none", "None", "NONE", "", "HS256", "HS384", "HS512", "ES256", "RS256", "PS256"] {
        let body = body(&[("alg", json!(alg))], token);
        let original = token.rsplit('.').next().unwrap();
        forged.push((format!("{alg}, no signature"), format!("{body}.")));
        forged.push((format!("{alg}, the old signature"), format!("{body}.{original}")));
        let algorithm = match alg {
            "HS384" => hmac::HMAC_SHA384,
            "HS512" => hmac::HMAC_SHA512,
            _ => hmac::HMAC_SHA256,
        };
        for (form, secret) in public_forms(key) {
            let mac = hmac::sign(&hmac::Key::new(algorithm, &secret), body.as_bytes());
            forged.push((format!("{alg} with {form}"), format!("{body}.{}", URL_SAFE_NO_PAD.encode(mac))));
        }
    }
    forged
}

/// The token with a header that is not right, well signed by its own key.
fn with_other_headers(key: &JwtKey, token: &str) -> Vec<(String, String)> {
    let kid = key.json_web_key.kid.as_str();
    let other_typ = if header_of(token)["typ"] == "JWT" { "at+jwt" } else { "JWT" };
    let changes = [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES256")),
        ("kid", json!(null)),
        ("kid", json!("")),
        ("kid", json!(format!("{kid}x"))),
        ("kid", json!("key_01K0000000000000000000000Z")),
        ("kid", json!([kid])),
        ("typ", json!(null)),
        ("typ", json!(other_typ)),
    ];
    let signed = |change: (&'static str, Value)| {
        let body = body(std::slice::from_ref(&change), token);
        let signature = key.signing.sign(body.as_bytes()).unwrap();
        (format!("header {} = {}", change.0, change.1), format!("{body}.{}", URL_SAFE_NO_PAD.encode(signature)))
    };
    changes.into_iter().map(signed).collect()
}

pub(crate) fn header_of(token: &str) -> Value {
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

/// The signed part of the token, with some of its header changed.
fn body(changes: &[(&str, Value)], token: &str) -> String {
    let mut header = header_of(token);
    for (name, value) in changes {
        header[*name] = value.clone();
    }
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), token.split('.').nth(1).unwrap())
}

/// The public half of a key as an attacker may have it, with a word for each form. The first is no key at all.
fn public_forms(key: &JwtKey) -> Vec<(String, Vec<u8>)> {
    let (raw, subject_public_key_info) = match &key.signing {
        SigningKey::EdDsa(pair) => (pair.public_key().as_ref().to_vec(), pair.public_key().as_der()),
        SigningKey::Es256(pair) => (pair.public_key().as_ref().to_vec(), pair.public_key().as_der()),
        SigningKey::Rs256(pair) => (pair.public_key().as_ref().to_vec(), pair.public_key().as_der()),
    };
    let der: PublicKeyX509Der<'_> = subject_public_key_info.unwrap();
    let json = signet::proto::JsonWebKey::from(key.json_web_key.clone());
    let member = json.n.or(json.x).unwrap();
    let mut forms = vec![
        ("zeros".to_owned(), vec![0; 32]),
        ("the key, bare".to_owned(), raw.clone()),
        ("its member of the key set".to_owned(), member.clone().into_bytes()),
        ("that member, decoded".to_owned(), URL_SAFE_NO_PAD.decode(member).unwrap()),
        ("the key as DER".to_owned(), der.as_ref().to_vec()),
    ];
    for (label, der) in [("PUBLIC KEY", der.as_ref()), ("RSA PUBLIC KEY", raw.as_slice())] {
        let text = pem(label, der);
        forms.push((format!("{label} as PEM, without the last line break"), text.trim_end().as_bytes().to_vec()));
        forms.push((format!("{label} as PEM, with CRLF"), text.replace('\n', "\r\n").into_bytes()));
        forms.push((format!("{label} as PEM"), text.into_bytes()));
    }
    forms
}

/// DER in the textual form of RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let lines: Vec<_> = encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The token signed again by its own key, as it was: the forgeries above differ in nothing else.
pub(crate) async fn signed_again(app: &TestApp, token: &str, kind: TokenKind) -> String {
    let now = app.services.clock.now();
    let keys = app.services.key_ring.keys(&app.services.store, app.fixture.project_id, now).await.unwrap();
    jwt::sign(keys.signer(now).unwrap(), kind, &claims_of(token)).unwrap()
}

/// Why a token is refused where one of its kind opens something; empty if it is not.
async fn refusal(app: &TestApp, caller: &Caller, kind: TokenKind, token: &str) -> String {
    match kind {
        TokenKind::Access => sessions::refusal(caller, Credential::AccessToken(token.into())).await,
        TokenKind::Client => client_token::refusal(&app.routes(), token).await,
        TokenKind::Refresh => refresh::refusal(caller, token).await,
        TokenKind::Session => sessions::refusal(caller, Credential::SessionToken(token.into())).await,
        TokenKind::Id => panic!("opens nothing"),
    }
}

/// Why it ends no session; empty if it does.
async fn refusal_to_sign_out(caller: &Caller, kind: TokenKind, token: &str) -> String {
    let credential = match kind {
        TokenKind::Access => sign_out_request::Credential::AccessToken(token.into()),
        TokenKind::Refresh => sign_out_request::Credential::RefreshToken(token.into()),
        TokenKind::Session => sign_out_request::Credential::SessionToken(token.into()),
        TokenKind::Client | TokenKind::Id => panic!("ends nothing"),
    };
    sign_out(caller, credential).await.err().map(|status| reason(&status)).unwrap_or_default()
}

/// A token of that kind, of Ada's or of the back end.
async fn issued(app: &TestApp, kind: TokenKind) -> String {
    let tokens = async |caller: &Caller| refresh::sign_in(caller).await.tokens.unwrap();
    match kind {
        TokenKind::Access => tokens(&app.public()).await.access_token,
        TokenKind::Client => client_token(&app.back_end(), "").await,
        TokenKind::Refresh => tokens(&jwt_app(app).await).await.refresh_token,
        TokenKind::Session => tokens(&app.public()).await.session_token.unwrap(),
        TokenKind::Id => panic!("opens nothing"),
    }
}

#[rstest]
#[case::access_token(TokenKind::Access)]
#[case::session_token(TokenKind::Session)]
#[case::refresh_token(TokenKind::Refresh)]
#[tokio::test]
async fn a_forged_token_of_a_session_is_refused_wherever_one_of_its_kind_opens_something(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] kind: TokenKind,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (token, caller) = (issued(&app, kind).await, app.back_end());
    let mut more = vec![("sid", json!(app.fixture.ada.to_string())), ("sid", json!("")), ("sid", json!(7))];
    match kind {
        TokenKind::Refresh => {
            more.extend(["1".into(), json!(-1), json!(1.5), json!(null)].map(|value| ("refresh_generation", value)));
        }
        _ => more.push(("sub", json!(app.fixture.grace.to_string()))),
    }
    let now = app.services.clock.now().timestamp();
    for (what, forged) in forged(&app, &token, kind, &more).await {
        // How long a refresh token says it lasts does not count: its session does.
        if kind == TokenKind::Refresh && what == format!("exp = {now}") {
            continue;
        }
        assert_eq!(refusal(&app, &caller, kind, &forged).await, "TOKEN_INVALID", "{what}");
        // An expired token may still end its session, which is a test of its own; and whose it is does not matter then.
        if what != format!("exp = {now}") && !what.starts_with("sub = \"user_0") {
            assert_eq!(refusal_to_sign_out(&caller, kind, &forged).await, "TOKEN_INVALID", "{what}");
        }
    }
    assert!(!app.events().await.iter().any(|event| event.starts_with("refresh.")), "nothing was found out about it");
    // Signed again, it is as good: nothing above was refused for another reason.
    let again = signed_again(&app, &token, kind).await;
    assert_eq!(refusal(&app, &caller, kind, &again).await, "");
    assert_eq!(refusal_to_sign_out(&caller, kind, &again).await, "");
}

/// The public key of RSA is what such attacks were first made with: everybody has it, and a verifier that lets the token choose
/// the algorithm takes it for a secret.
#[tokio::test]
async fn nobody_signs_with_the_public_key_of_rsa() {
    let Some(app) = TestApp::start(Engine::Sqlite).await else { return };
    let settings = ProjectSettings { signing_algorithm: SigningAlgorithm::Rs256.into(), ..quick() };
    let (project, caller) = project_with(&app, settings).await;
    let project_id = ProjectId::parse(&project.project_id).unwrap();
    let now = app.services.clock.now();
    let keys = app.services.key_ring.keys(&app.services.store, project_id, now).await.unwrap();
    let key = keys.signer(now).unwrap();
    let new = CreateClientRequest {
        project_id: project.project_id,
        name: "jwt".into(),
        client_type: ClientType::Public.into(),
        refresh_token_format: RefreshTokenFormat::Jwt.into(),
        ..Default::default()
    };
    let client = app.operator().projects.create_client(new).await.unwrap().into_inner().client.unwrap();
    let public = app.caller(Some(&basic(&client.client_id, &String::new().into())));
    let request = SignInRequest { login_id: "ada@example.com".into(), password: PASSWORD.into(), ..Default::default() };
    let tokens = public.auth.clone().sign_in(request).await.unwrap().into_inner().tokens.unwrap();
    let kinds = [
        (TokenKind::Access, tokens.access_token),
        (TokenKind::Session, tokens.session_token.unwrap()),
        (TokenKind::Refresh, tokens.refresh_token),
        (TokenKind::Client, client_token(&caller, "").await),
    ];
    for (kind, token) in &kinds {
        let refused = if *kind == TokenKind::Client { "CALLER_UNAUTHENTICATED" } else { "TOKEN_INVALID" };
        for (what, forged) in unsigned(key, token) {
            assert_eq!(refusal(&app, &caller, *kind, &forged).await, refused, "{kind:?}: {what}");
            if *kind != TokenKind::Client {
                assert_eq!(refusal_to_sign_out(&caller, *kind, &forged).await, refused, "{kind:?}: {what}");
            }
        }
        assert_eq!(refusal(&app, &caller, *kind, token).await, "", "{kind:?}");
    }
}
