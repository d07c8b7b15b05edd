//! The dialect of Stytch: the shape of every answer, and what the vendor's libraries cannot show.

mod errors;
mod pages;
mod passwords;
mod resets;
mod sessions;
mod users;

use http::Method;
use serde_json::{Value, json};
use signet::{
    domain::{
        client::{TokenDelivery, TokenProfile},
        project::ProjectSettings,
    },
    id_form,
};

use crate::{
    rest_app::{Answer, Call},
    support::{ADA, PASSWORD},
    vendor_app::VendorApp,
};

/// A customer of that vendor.
struct Shop {
    app: VendorApp,
    project_id: String,
    public_token: String,
}

impl Shop {
    async fn start() -> Self {
        Self::start_with(TokenDelivery::Body).await
    }

    async fn start_with(delivery: TokenDelivery) -> Self {
        let app = VendorApp::start_with(TokenProfile::Stytch, delivery, ProjectSettings::default()).await;
        let project_id = id_form::stytch("project", app.project_id.into());
        let client = id_form::parse_canonical("client", &app.public_client_id).unwrap();
        Self { project_id, public_token: id_form::stytch("public-token", client), app }
    }

    /// A call of the back end.
    fn back_end(&self, method: Method, path: &str) -> Call<'_> {
        self.app.request(method, path).basic(&self.project_id, &self.app.secret)
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.back_end(Method::POST, path).json(&body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.back_end(Method::GET, path).await
    }

    /// A call of a page, which shows `session` if there is one.
    fn page(&self, method: Method, path: &str, session: Option<&str>) -> Call<'_> {
        self.app
            .request(method, path)
            .basic(&self.public_token, session.unwrap_or(&self.public_token))
            .header("origin", "https://app.example")
    }

    async fn post_from_page(&self, path: &str, session: Option<&str>, body: Value) -> Answer {
        self.page(Method::POST, path, session).json(&body).await
    }

    /// Signs ada in for an hour; the answer.
    async fn sign_in(&self) -> Value {
        let body = json!({"email": ADA, "password": PASSWORD, "session_duration_minutes": 60});
        let answer = self.post("/v1/passwords/authenticate", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json
    }
}

/// Fails unless the answer is that error, whole.
#[track_caller]
fn assert_error(answer: &Answer, status: u16, error_type: &str) {
    let body = answer.json.as_object().unwrap_or_else(|| panic!("no JSON: {}", answer.text()));
    let told = (answer.status, &body["status_code"], &body["error_type"]);
    assert_eq!(told, (status, &json!(status), &json!(error_type)), "{}", answer.text());
    let mut members: Vec<_> = body.keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["error_message", "error_type", "error_url", "request_id", "status_code"]);
    for member in ["error_message", "error_type", "error_url", "request_id"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member} is no text: {}", answer.text());
    }
}
