//! Tokens that nobody may take, made from a good one. What each test holds against the service is here, for all kinds.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use signet::crypto::jwt::{self, TokenKind};

use crate::{sign_in::claims_of, support::TestApp};

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
    let claims = claims_of(token);
    let now = app.services.clock.now();
    let keys = app.services.key_ring.keys(&app.services.store, app.fixture.project_id, now).await.unwrap();
    let key = keys.signer(now).unwrap();
    let signed = |claims: &Value| jwt::sign(key, kind, claims).unwrap();

    let mut forged: Vec<(String, String)> = Vec::new();
    let public = signet::proto::JsonWebKey::from(key.json_web_key.clone()).x.unwrap();
    for (alg, secret) in
        [("none", ""), ("None", ""), ("HS256", public.as_str()), ("HS256", ""), ("ES256", ""), ("RS256", "")]
    {
        let header = json!({"alg": alg, "typ": "at+jwt", "kid": key.json_web_key.kid});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let body = format!("{}.{}", encode(&header), encode(&claims));
        let secret = if secret.is_empty() { vec![0; 32] } else { URL_SAFE_NO_PAD.decode(secret).unwrap() };
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), body.as_bytes());
        let original = token.rsplit('.').next().unwrap();
        forged.push((alg.into(), format!("{body}.")));
        forged.push((alg.into(), format!("{body}.{}", URL_SAFE_NO_PAD.encode(mac))));
        forged.push((alg.into(), format!("{body}.{original}")));
    }
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
        ("aud", json!([app.fixture.project_id.to_string(), "other"])),
        ("token_kind", json!("session")),
        ("token_kind", json!("id")),
        ("sub", json!(app.fixture.grace.to_string())),
        ("sub", json!("user_x")),
    ];
    for (claim, value) in every_kind.iter().chain(more) {
        let mut changed = claims.clone();
        changed[claim] = value.clone();
        forged.push((format!("{claim} = {value}"), signed(&changed)));
        changed.as_object_mut().unwrap().remove(*claim);
        forged.push((format!("no {claim}"), signed(&changed)));
    }
    forged
}

/// The token signed again by its own key, as it was: the forgeries above differ in nothing else.
pub(crate) async fn signed_again(app: &TestApp, token: &str, kind: TokenKind) -> String {
    let now = app.services.clock.now();
    let keys = app.services.key_ring.keys(&app.services.store, app.fixture.project_id, now).await.unwrap();
    jwt::sign(keys.signer(now).unwrap(), kind, &claims_of(token)).unwrap()
}
