//! One rule for paths: slashes that follow each other count as one, and one at the end as none; nothing else is rewritten. A literal
//! segment is compared as it came, a parameter is decoded once, and a segment that is `.` or `..`, encoded or not, leads nowhere.

use http::Method;
use serde_json::json;

use crate::{rest_app::RestApp, support::Engine};

#[tokio::test]
async fn no_spelling_of_a_path_gets_around_authentication() {
    let app = RestApp::start(Engine::Sqlite).await.unwrap();
    let (user, other) = (app.fixture.ada.to_string(), "user_01M7ZZMBNVEP7TMCP4KZTGWZT8");
    let spellings = [
        ("/api/v1/users", 401),
        ("//api/v1/users", 401),
        ("/api//v1///users/", 401),
        (&format!("/api/v1/users/{user}"), 401),
        (&format!("/api/v1/users/{}", user.replace('_', "%5F")), 401),
        (&format!("/api/v1/users/{user}%2Fsessions"), 401),
        (&format!("/api/v1/users/{user}%00"), 401),
        ("/api/v1/users;a=b", 404),
        ("/api/v1/%75sers", 404),
        ("/api/v1/Users", 404),
        ("/%61pi/v1/users", 404),
        ("/api%2Fv1%2Fusers", 404),
        ("/api/v1/./users", 404),
        ("/api/v1/users/.", 404),
        ("/api/v1/users/..", 404),
        ("/api/v1/users/%2e%2E", 404),
        ("/api/v1/users/%2e", 404),
        (&format!("/api/v1/provider_metadata/../users/{user}"), 404),
        (&format!("/.well-known/..//api/v1/users/{user}"), 404),
        ("/api/v1/users/%ff", 404),
        ("/api/v1/users/%", 401),
        ("/api/v1/users\\x", 404),
    ];
    for (path, status) in spellings {
        let answer = app.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(!answer.text().contains("ada@"), "{path}");
    }
    // The vendors' paths follow the same rule.
    for path in
        ["/v1/users", "//v1/users", "/v1//users/", "/v1/%75sers", "/v1/./users", "/v1/users/..", "/v1/users/%2e%2e"]
    {
        let answer = app.get(path).await;
        assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
    }
    // With credentials a parameter is one id, never a path.
    let get = |path: String| app.request(Method::GET, &path).header("authorization", &app.fixture.confidential);
    assert_eq!(get(format!("/api/v1/users/{}", user.replace('_', "%5F"))).await.json["user"]["userId"], json!(user));
    assert_eq!(get(format!("/api/v1/users/{other}%2F..%2F{user}")).await.status, 400);
}
