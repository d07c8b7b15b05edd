//! The dialect of `WorkOS`.

mod email_verification;
mod password_reset;
mod refusals;
mod sessions;
mod sign_in;
mod users;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use signet::{
    domain::{
        client::{ClientType, RefreshTokenFormat, TokenDelivery, TokenProfile},
        project::ProjectSettings,
    },
    usecase::clients::{NewClient, create_client},
};

use crate::{
    rest_app::{Answer, Call},
    support::{PASSWORD, operator_call},
    vendor_app::VendorApp,
};

const EMAIL_VERIFICATION: &str = "urn:workos:oauth:grant-type:email-verification:code";

/// A customer of `WorkOS` who has moved.
struct Shop(VendorApp);

impl std::ops::Deref for Shop {
    type Target = VendorApp;

    fn deref(&self) -> &VendorApp {
        &self.0
    }
}

impl Shop {
    async fn start() -> Self {
        Self(VendorApp::start(TokenProfile::WorkOs).await)
    }

    async fn start_with(settings: ProjectSettings) -> Self {
        Self(VendorApp::start_with(TokenProfile::WorkOs, TokenDelivery::Body, settings).await)
    }

    /// The client's secret as its owner knows it.
    fn api_key(&self) -> String {
        format!("sk_{}", self.secret)
    }

    /// The secret of another client of the project.
    async fn another_secret(&self) -> String {
        let new = NewClient {
            name: "another".into(),
            client_type: ClientType::Confidential,
            refresh_token_format: RefreshTokenFormat::Opaque,
            token_profile: TokenProfile::WorkOs,
            token_delivery: TokenDelivery::Body,
        };
        let (_, secret) = create_client(&self.services, &operator_call(), self.project_id, new).await.unwrap();
        secret.unwrap().plain.expose_secret().to_owned()
    }

    /// A call with the API key.
    fn keyed<'a>(&self, call: Call<'a>) -> Call<'a> {
        call.bearer(&self.api_key())
    }

    /// A grant of the confidential client, its secret in the body.
    async fn authenticate(&self, grant: Value) -> Answer {
        let client = json!({ "client_id": self.client_id, "client_secret": self.api_key() });
        self.post("/user_management/authenticate").json(&merged(client, grant)).await
    }

    /// A grant of the public client, which has no secret.
    async fn authenticate_publicly(&self, grant: Value) -> Answer {
        let client = json!({ "client_id": self.public_client_id });
        self.post("/user_management/authenticate").json(&merged(client, grant)).await
    }

    /// Signs in, which has to work.
    async fn signed_in(&self, email: &str) -> Value {
        let answer = self.authenticate(by_password(email, PASSWORD)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json
    }

    /// Creates a user, which has to work.
    async fn created(&self, body: Value) -> Value {
        let answer = self.keyed(self.post("/user_management/users")).json(&body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json
    }
}

fn by_password(email: &str, password: &str) -> Value {
    json!({ "grant_type": "password", "email": email, "password": password })
}

fn by_refresh_token(answer: &Value) -> Value {
    json!({ "grant_type": "refresh_token", "refresh_token": answer["refresh_token"] })
}

fn merged(mut all: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("no object: {more}") };
    all.as_object_mut().unwrap().extend(more);
    all
}

/// The claims of an access token, unverified.
fn claims(answer: &Value) -> Value {
    let token = answer["access_token"].as_str().unwrap();
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Status and code of a refusal, whichever family it is of.
fn refusal(answer: &Answer) -> (u16, &str) {
    let code = answer.json["code"].as_str().or_else(|| answer.json["error"].as_str());
    (answer.status, code.unwrap_or_else(|| panic!("a refusal without a code: {}", answer.text())))
}
