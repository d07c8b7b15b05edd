//! The dialect of Descope, as the contract has it.

mod bearers;
mod cookies;
mod equal_work;
mod many_users;
mod refusals;
mod shapes;

use serde_json::{Value, json};
use signet::{
    domain::{
        client::{TokenDelivery, TokenProfile},
        project::{Project, ProjectSettings},
    },
    id_form,
    usecase::projects::update_project,
};

use crate::{
    rest_app::{Answer, Call},
    support::{ADA, PASSWORD, operator_call},
    vendor_app::VendorApp,
};

/// An app, and what a customer of the vendor knows of the project.
struct Descope {
    app: VendorApp,
    /// `P` and 27 characters.
    project: String,
}

/// Two tokens.
struct Tokens {
    session: String,
    refresh: String,
}

impl Descope {
    async fn start() -> Self {
        Self::start_with(TokenDelivery::Body, ProjectSettings::default()).await
    }

    async fn start_with(delivery: TokenDelivery, settings: ProjectSettings) -> Self {
        // On the heap: so deep a type is too much for the compiler.
        let app = Box::pin(VendorApp::start_with(TokenProfile::Descope, delivery, settings)).await;
        let id = id_form::parse_canonical("project", &app.project_id.to_string()).unwrap();
        Self { project: id_form::descope('P', id), app }
    }

    fn bearer(&self, credential: &str) -> String {
        format!("{}:{credential}", self.project)
    }

    /// A POST by an application, without more than the project's id.
    async fn post(&self, path: &str, body: Value) -> Answer {
        told(self.app.post(path).bearer(&self.project).json(&body)).await
    }

    /// A POST with a credential.
    async fn post_with(&self, path: &str, credential: &str, body: Value) -> Answer {
        told(self.app.post(path).bearer(&self.bearer(credential)).json(&body)).await
    }

    /// A GET with a credential.
    async fn get_with(&self, path: &str, credential: &str) -> Answer {
        told(self.app.get(path).bearer(&self.bearer(credential))).await
    }

    /// A management call.
    async fn manage(&self, path: &str, body: Value) -> Answer {
        self.post_with(path, &self.app.secret, body).await
    }

    /// A call of an application that has a key as well as a token.
    async fn post_behind(&self, path: &str, token: &str) -> Answer {
        self.post_with(path, &format!("{token}:{}", self.app.secret), json!({})).await
    }

    /// Whether applications may sign users up.
    async fn allow_sign_up(&self, is_allowed: bool) {
        let change = |project: &mut Project| {
            project.settings.allow_sign_up = is_allowed;
            Ok(())
        };
        update_project(&self.app.services, &operator_call(), self.app.project_id, change).await.unwrap();
    }

    async fn sign_in(&self, login_id: &str, password: &str) -> Answer {
        self.post("/v1/auth/password/signin", json!({ "loginId": login_id, "password": password })).await
    }

    /// The tokens of a sign-in.
    async fn signed_in(&self) -> Tokens {
        let answer = self.sign_in(ADA, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Tokens { session: text(&answer, "sessionJwt"), refresh: text(&answer, "refreshJwt") }
    }
}

fn text(answer: &Answer, member: &str) -> String {
    answer.json[member].as_str().unwrap_or_else(|| panic!("{member}: {}", answer.text())).to_owned()
}

/// An answer that the vendor's libraries can read: always with a JSON body, and never one that makes them wait and try again.
async fn told(call: Call<'_>) -> Answer {
    let answer = call.await;
    assert!(answer.json.is_object() || answer.json.is_array(), "{}: {}", answer.status, answer.text());
    assert!(![204, 503].contains(&answer.status), "{}", answer.status);
    if answer.status >= 400 {
        for member in ["errorCode", "errorDescription", "errorMessage"] {
            assert!(answer.json[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {}", answer.text());
        }
    }
    answer
}

/// Status and error code.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, &answer.json["errorCode"]), (status, &json!(code)), "{}", answer.text());
}
