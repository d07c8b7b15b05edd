//! Tokens are taken whole, unchanged, and for what they are, or not at all.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Duration;
use rstest::rstest;
use secrecy::SecretBox;
use serde_json::{Value, json};

use super::*;
use crate::{
    crypto::jwt::{self, Expected, TokenError, TokenKind},
    domain::{
        id::{ClientId, SessionId, UserId},
        signing_key::SigningAlgorithm,
    },
};

struct Fixture {
    keys: ProjectKeys,
    now: Timestamp,
    audiences: Vec<String>,
}

impl Fixture {
    fn new(algorithm: SigningAlgorithm) -> Self {
        let (random, now) = (Random::seeded(1), Timestamp::from_timestamp_secs(1_800_000_000).unwrap());
        let master_key = MasterKey::new(&SecretBox::new(Box::new([1; 32])));
        let project = ProjectId::generate(now, &random);
        let key = generate(project, KeyUse::Jwt(algorithm), now, now, &master_key, &random).unwrap();
        let keys = ProjectKeys::open(&master_key, vec![key]);
        Self { keys, now, audiences: vec!["api".into()] }
    }

    fn claims(&self) -> Value {
        let random = Random::seeded(2);
        let now = self.now.timestamp();
        json!({
            "iss": "https://auth.example/p", "aud": "api", "client_id": "client", "jti": "j",
            "sub": UserId::generate(self.now, &random).to_string(),
            "sid": SessionId::generate(self.now, &random).to_string(),
            "iat": now, "nbf": now, "exp": now + 60, "auth_time": now, "amr": ["pwd"], "token_kind": "access",
        })
    }

    fn sign(&self, claims: &Value) -> String {
        jwt::sign(self.keys.signer(self.now).unwrap(), TokenKind::Access, claims).unwrap()
    }

    fn verify(&self, token: &str) -> Result<(), TokenError> {
        let expected = Expected {
            kind: TokenKind::Access,
            issuer: "https://auth.example/p",
            audiences: &self.audiences,
            now: self.now,
            late_by_max: Duration::zero(),
        };
        jwt::verify::<jwt::SessionClaims>(token, &self.keys, &expected).map(drop)
    }

    fn client_token(&self) -> String {
        let (mut claims, id) = (self.claims(), ClientId::generate(self.now, &Random::seeded(3)).to_string());
        claims["sub"] = json!(id);
        claims["client_id"] = json!(id);
        claims["token_kind"] = json!("client");
        jwt::sign(self.keys.signer(self.now).unwrap(), TokenKind::Client, &claims).unwrap()
    }

    fn verify_client(&self, token: &str) -> Result<(), TokenError> {
        let issuer = "https://auth.example/p";
        let (audiences, now) = (&self.audiences, self.now);
        let expected = Expected { kind: TokenKind::Client, issuer, audiences, now, late_by_max: Duration::zero() };
        jwt::verify_client::<jwt::ClientClaims>(token, &self.keys, &expected).map(drop)
    }
}

const ALL: [SigningAlgorithm; 3] = SigningAlgorithm::ALL;

#[test]
fn a_token_verifies_with_every_algorithm() {
    for algorithm in ALL {
        let fixture = Fixture::new(algorithm);
        fixture.verify(&fixture.sign(&fixture.claims())).unwrap();
    }
}

#[test]
fn a_token_cut_anywhere_is_refused() {
    for algorithm in ALL {
        let fixture = Fixture::new(algorithm);
        let (token, of_client) = (fixture.sign(&fixture.claims()), fixture.client_token());
        fixture.verify_client(&of_client).unwrap();
        for cut in 0..token.len() {
            assert!(fixture.verify(&token[..cut]).is_err(), "{algorithm:?} cut at {cut}");
        }
        for cut in 0..of_client.len() {
            assert!(fixture.verify_client(&of_client[..cut]).is_err(), "{algorithm:?} cut at {cut}");
        }
    }
}

#[test]
fn a_token_with_any_bit_flipped_is_refused() {
    for algorithm in ALL {
        let fixture = Fixture::new(algorithm);
        let (token, of_client) = (fixture.sign(&fixture.claims()), fixture.client_token());
        for (token, is_client) in [(token, false), (of_client, true)] {
            for bit in 0..token.len() * 8 {
                let mut bytes = token.clone().into_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let Ok(flipped) = String::from_utf8(bytes) else { continue };
                let outcome = if is_client { fixture.verify_client(&flipped) } else { fixture.verify(&flipped) };
                assert!(outcome.is_err(), "{algorithm:?} bit {bit}");
            }
        }
    }
}

#[rstest]
#[case::expiry_as_text("exp", json!("1900000000"))]
#[case::expiry_as_fraction("exp", json!(1_900_000_000.5))]
#[case::expiry_null("exp", Value::Null)]
#[case::expiry_huge("exp", json!(u64::MAX))]
#[case::expired("exp", json!(1_800_000_000))]
#[case::not_yet("nbf", json!(1_800_000_061))]
#[case::issuer("iss", json!("https://other.example"))]
#[case::audience("aud", json!("other"))]
#[case::kind("token_kind", json!("session"))]
#[case::kind_of_an_id_token("token_kind", json!("id"))]
#[case::kind_of_a_client_token("token_kind", json!("client"))]
#[case::unknown_kind("token_kind", json!("other"))]
#[case::session("sid", json!("session_x"))]
#[case::user("sub", json!(7))]
fn a_signed_token_with_a_wrong_claim_is_refused(#[case] claim: &str, #[case] value: Value) {
    let fixture = Fixture::new(SigningAlgorithm::EdDsa);
    let mut claims = fixture.claims();
    claims[claim] = value;
    assert!(fixture.verify(&fixture.sign(&claims)).is_err());
}

#[rstest]
#[case("exp")]
#[case("iss")]
#[case("aud")]
#[case("sub")]
#[case("token_kind")]
fn a_signed_token_without_a_claim_is_refused(#[case] claim: &str) {
    let fixture = Fixture::new(SigningAlgorithm::EdDsa);
    let mut claims = fixture.claims();
    claims.as_object_mut().unwrap().remove(claim);
    assert!(fixture.verify(&fixture.sign(&claims)).is_err());
}

#[rstest]
#[case::none("none", "")]
#[case::none_capital("None", "")]
#[case::hmac_with_the_public_key("HS256", "hmac")]
#[case::another_algorithm("ES256", "original")]
fn a_token_that_chooses_its_algorithm_is_refused(#[case] alg: &str, #[case] signature: &str) {
    let fixture = Fixture::new(SigningAlgorithm::Rs256);
    let key = &fixture.keys.signer(fixture.now).unwrap().json_web_key;
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": alg, "typ": "at+jwt", "kid": key.kid});
    let body = format!("{}.{}", encode(&header), encode(&fixture.claims()));
    let crate::crypto::json_web_key::PublicKey::Rsa { n, .. } = &key.public else { panic!("an RSA key") };
    let signature = match signature {
        "hmac" => {
            let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, n.as_bytes());
            URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&secret, body.as_bytes()))
        }
        "original" => fixture.sign(&fixture.claims()).rsplit('.').next().unwrap().to_owned(),
        _ => String::new(),
    };
    assert!(fixture.verify(&format!("{body}.{signature}")).is_err());
}

#[test]
fn a_token_of_a_replica_whose_clock_runs_early_is_taken() {
    let mut fixture = Fixture::new(SigningAlgorithm::EdDsa);
    let token = fixture.sign(&fixture.claims());
    // So is its key, which became active just then.
    fixture.now -= CLOCK_SKEW_MAX;
    fixture.verify(&token).unwrap();
    fixture.keys.signer(fixture.now).expect("a new project can be used at once");
    fixture.now -= Duration::microseconds(1);
    assert!(fixture.verify(&token).is_err());
    assert!(fixture.keys.signer(fixture.now).is_err());
}

#[test]
fn of_two_keys_that_become_active_together_every_replica_takes_the_same() {
    let (mut one, mut other) = (Fixture::new(SigningAlgorithm::EdDsa), Fixture::new(SigningAlgorithm::Es256));
    other.keys.jwt[0].stored.id = uuid::Uuid::from_u128(u128::MAX).into();
    let (older, newer) = (one.keys.jwt.remove(0), other.keys.jwt.remove(0));
    one.keys.jwt = vec![older, newer];
    let chosen = one.keys.signer(one.now).unwrap().signing.algorithm();
    one.keys.jwt.reverse();
    assert_eq!(one.keys.signer(one.now).unwrap().signing.algorithm(), chosen);
    assert_eq!(chosen, SigningAlgorithm::Es256, "the newer one");
    // One that is pending does not sign as long as another does.
    one.keys.jwt[0].stored.activates_at += Duration::seconds(1);
    assert_eq!(one.keys.signer(one.now).unwrap().signing.algorithm(), SigningAlgorithm::EdDsa);
}

#[test]
fn a_key_that_cannot_be_read_is_replaced_by_the_one_before_and_says_nothing_of_what_it_made() {
    let (random, now) = (Random::seeded(1), Timestamp::from_timestamp_secs(1_800_000_000).unwrap());
    let master_key = MasterKey::new(&SecretBox::new(Box::new([1; 32])));
    let project = ProjectId::generate(now, &random);
    let make = |key_use, minute| {
        let at = now + Duration::minutes(minute);
        generate(project, key_use, at, at, &master_key, &random).unwrap()
    };
    for key_use in [KeyUse::RefreshTokenMac, KeyUse::Jwt(SigningAlgorithm::EdDsa)] {
        let (mut first, mut second, mut third) = (make(key_use, 0), make(key_use, 1), make(key_use, 2));
        first.end_with(&second, Duration::hours(1));
        second.end_with(&third, Duration::hours(1));
        third.sealed.truncate(20);
        let keys = ProjectKeys::open(&master_key, vec![first.clone(), second.clone(), third.clone()]);
        let can_sign = |keys: &ProjectKeys, now| match key_use {
            KeyUse::RefreshTokenMac => keys.refresh_token_key(now).is_ok(),
            KeyUse::Jwt(_) => keys.signer(now).is_ok(),
        };
        assert!(can_sign(&keys, now + Duration::minutes(62) - Duration::microseconds(1)));
        assert!(!can_sign(&keys, now + Duration::minutes(62)), "the last one that can be read has retired");
        assert!(keys.know(second.id).unwrap());
        assert!(!keys.know(make(key_use, 3).id).unwrap());
        assert!(matches!(keys.know(third.id), Err(ProjectKeysError::Unreadable(_))));
        if let KeyUse::Jwt(_) = key_use {
            let signer = keys.signer(now + Duration::minutes(3)).unwrap();
            assert_eq!(signer.json_web_key.kid, second.id.to_string(), "the one right before");
        }
        let only = ProjectKeys::open(&master_key, vec![third]);
        assert!(!can_sign(&only, now + Duration::minutes(3)));
        let retired = ProjectKeys::open(&master_key, vec![first, second]);
        assert!(!can_sign(&retired, now + Duration::minutes(3)), "without a successor that is lost nothing is overdue");
    }
}

#[test]
fn a_project_without_a_key_for_refresh_tokens_says_so() {
    let fixture = Fixture::new(SigningAlgorithm::EdDsa);
    let error = fixture.keys.refresh_token_key(fixture.now).err().unwrap();
    assert!(matches!(error, ProjectKeysError::NoActiveKey("refresh tokens")));
}

#[test]
fn a_key_verifies_from_its_activation_until_it_retires() {
    let mut fixture = Fixture::new(SigningAlgorithm::EdDsa);
    let token = fixture.sign(&fixture.claims());
    let stored = &mut fixture.keys.jwt[0].stored;
    stored.replaced_at = Some(fixture.now);
    stored.retires_at = Some(fixture.now + Duration::seconds(30));
    fixture.verify(&token).unwrap();
    assert!(fixture.keys.signer(fixture.now).is_err(), "a retiring key does not sign");
    fixture.now += Duration::seconds(30);
    assert!(fixture.verify(&token).is_err());
    assert!(fixture.keys.json_web_keys(fixture.now).is_empty());
}
