//! Every path of every contract with each form of credentials.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Request, header};
use uuid::Uuid;

use super::*;
use crate::id_form;

/// Paths that belong to one dialect, whatever the credentials.
const OWN: [(&str, &[&str]); 5] = [
    (
        "canonical",
        &[
            "/.well-known/jwks.json",
            "/.well-known/openid-configuration",
            "/api/v1/auth/sign_in",
            "/api/v1/openapi.json",
            "/api/v1/users/user_1",
            "/projects/project_1/.well-known/jwks.json",
        ],
    ),
    (
        "workos",
        &[
            "/auth/challenges/1/verify",
            "/auth/factors/1",
            "/auth/factors/enroll",
            "/organizations",
            "/organizations/1",
            "/organizations/external_id/1",
            "/sso/jwks/client_1",
            "/user_management/authenticate",
            "/user_management/email_verification/1",
            "/user_management/invitations/by_token/1",
            "/user_management/magic_auth",
            "/user_management/organization_memberships/1/deactivate",
            "/user_management/password_reset/confirm",
            "/user_management/sessions/logout",
            "/user_management/sessions/revoke",
            "/user_management/users",
            "/user_management/users/1/email_verification/send",
            "/user_management/users/1/sessions",
            "/user_management/users/external_id/1",
        ],
    ),
    (
        "stytch",
        &[
            "/sdk/v1/events",
            "/sdk/v1/passwords/authenticate",
            "/sdk/v1/projects/bootstrap/public-token-live-1",
            "/sdk/v1/sessions/revoke",
            "/sdk/v1/users/me",
            "/v1/sessions/jwks/project-live-1",
        ],
    ),
    (
        "descope",
        &[
            "/v1/keys/P2",
            "/v1/mgmt/license",
            "/v1/mgmt/tenant/create",
            "/v1/mgmt/tests/generate/otp",
            "/v1/mgmt/user",
            "/v1/mgmt/user/create",
            "/v1/mgmt/users/load",
            "/v2/keys/P2",
            "/v2/mgmt/user/search",
            "/v2/mgmt/user/update/role/add",
        ],
    ),
    (
        "transmit",
        &[
            "/cis/oidc/.well-known/openid-configuration",
            "/cis/oidc/jwks",
            "/cis/oidc/me",
            "/cis/v1/auth/password/authenticate",
            "/loginPreferences/1/authMethods",
            "/oidc/session/end",
            "/oidc/token",
            "/oidc/token/introspection",
            "/oidc/token/revocation",
        ],
    ),
];

/// Paths below `/v1`, with the contracts that have them: `s`tytch, `d`escope, `t`ransmit. The credentials decide.
const SHARED: [(&str, &str); 49] = [
    ("/v1/auth/accesskey/exchange", "d"),
    ("/v1/auth/link/email/send", "t"),
    ("/v1/auth/logout", "dt"),
    ("/v1/auth/logoutall", "d"),
    ("/v1/auth/me", "d"),
    ("/v1/auth/me/history", "d"),
    ("/v1/auth/me/tenants", "d"),
    ("/v1/auth/otp/authenticate", "t"),
    ("/v1/auth/otp/send", "t"),
    ("/v1/auth/otp/signin/email", "d"),
    ("/v1/auth/otp/update/email", "d"),
    ("/v1/auth/otp/verify/email", "d"),
    ("/v1/auth/password/authenticate", "t"),
    ("/v1/auth/password/login", "t"),
    ("/v1/auth/password/policy", "d"),
    ("/v1/auth/password/register", "t"),
    ("/v1/auth/password/replace", "d"),
    ("/v1/auth/password/reset", "dt"),
    ("/v1/auth/password/reset/email/link", "t"),
    ("/v1/auth/password/reset/email/otp/validate", "t"),
    ("/v1/auth/password/signin", "d"),
    ("/v1/auth/password/signup", "d"),
    ("/v1/auth/password/update", "d"),
    ("/v1/auth/password/validate", "t"),
    ("/v1/auth/refresh", "d"),
    ("/v1/auth/session/authenticate", "t"),
    ("/v1/auth/session/logout", "t"),
    ("/v1/auth/tenant/select", "d"),
    ("/v1/auth/token/refresh", "t"),
    ("/v1/auth/try-refresh", "d"),
    ("/v1/auth/users/1/sessions", "t"),
    ("/v1/auth/validate", "d"),
    ("/v1/magic_links/authenticate", "s"),
    ("/v1/otps/authenticate", "s"),
    ("/v1/passwords", "s"),
    ("/v1/passwords/authenticate", "s"),
    ("/v1/passwords/email/reset/start", "s"),
    ("/v1/passwords/migrate", "s"),
    ("/v1/passwords/strength_check", "s"),
    ("/v1/sessions", "s"),
    ("/v1/sessions/1", "t"),
    ("/v1/sessions/authenticate", "s"),
    ("/v1/sessions/revoke", "s"),
    ("/v1/users", "st"),
    ("/v1/users/1", "st"),
    ("/v1/users/1/password", "t"),
    ("/v1/users/email/a@example.com", "t"),
    ("/v1/users/search", "s"),
    ("/v1/verification/otp/email/send", "t"),
];

/// Paths that nobody has.
const UNKNOWN: [&str; 12] = [
    "/",
    "/%61pi/v1/users",
    "/%76%31/users",
    "/apis",
    "/favicon.ico",
    "/oidcs/token",
    "/sdks/v1",
    "/user_managements",
    "/v1s/users",
    "/v10/users",
    "/v3/users",
    "/well-known",
];

/// Each form of credentials, with the dialect that it stands for where several share a path; none for no credentials.
fn credentials() -> Vec<(String, Option<&'static str>)> {
    let project = id_form::descope('P', Uuid::from_u128(7));
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    vec![
        (basic("project-live-1:secret"), Some("stytch")),
        (basic("public-token-live-1:public-token-live-1"), Some("stytch")),
        (format!("Bearer {project}"), Some("descope")),
        (format!("bearer {project}:eyJ.eyJ.sig"), Some("descope")),
        (format!("Bearer {project}:jwt:key"), Some("descope")),
        (format!("Bearer P{}:key", "z".repeat(27)), Some("descope")),
        ("Bearer eyJhbGciOiJSUzI1NiJ9.eyJ.sig".into(), Some("transmit")),
        ("Bearer project_01M7ZZMBGZEXJTRRC87K87YW5F:secret".into(), Some("transmit")),
        (format!("Bearer {}", &project[..27]), Some("transmit")),
        ("Bearer sk_secret".into(), Some("transmit")),
        ("Basic !".into(), None),
        ("Digest x".into(), None),
        (String::new(), None),
    ]
}

fn named(path: &str, authorization: &str) -> &'static str {
    let mut request = Request::get(path);
    if !authorization.is_empty() {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    dialect_of(&Head::new(request.body(()).unwrap().into_parts().0, String::new())).name
}

#[test]
fn a_path_of_one_dialect_is_its_own_whatever_the_credentials() {
    for (dialect, paths) in OWN {
        for path in paths {
            for (authorization, _) in credentials() {
                assert_eq!(named(path, &authorization), dialect, "{path} with {authorization:?}");
                assert_eq!(named(&format!("/{path}/"), &authorization), dialect, "/{path}/ with {authorization:?}");
            }
        }
    }
}

#[test]
fn a_path_of_several_belongs_to_whom_the_credentials_say() {
    for (path, _) in SHARED {
        for (authorization, dialect) in credentials() {
            if let Some(dialect) = dialect {
                assert_eq!(named(path, &authorization), dialect, "{path} with {authorization:?}");
            }
        }
    }
}

#[test]
fn without_credentials_it_is_who_alone_knows_the_path_and_else_transmit() {
    for (path, contracts) in SHARED {
        let knowing: Vec<_> =
            DIALECTS.iter().map(|dialect| dialect()).filter(|dialect| knows(dialect.routes, path)).collect();
        for dialect in &knowing {
            assert!(
                contracts.contains(&dialect.name[..1]),
                "{path} is in the table of {}, not in its contract",
                dialect.name
            );
        }
        let expected = if let [only] = knowing[..] { only.name } else { "transmit" };
        for (authorization, _) in credentials().into_iter().filter(|(_, dialect)| dialect.is_none()) {
            assert_eq!(named(path, &authorization), expected, "{path} with {authorization:?}");
        }
    }
}

#[test]
fn a_path_that_nobody_has_is_told_in_the_canonical_words() {
    for path in UNKNOWN {
        for (authorization, _) in credentials() {
            assert_eq!(named(path, &authorization), "canonical", "{path} with {authorization:?}");
        }
    }
}

#[test]
fn no_dialect_has_a_route_that_leads_elsewhere() {
    for dialect in DIALECTS {
        let dialect = dialect();
        for route in dialect.routes {
            let path = route.path.replace(['{', '}'], "");
            let reached = credentials().iter().any(|(authorization, _)| named(&path, authorization) == dialect.name);
            assert!(reached, "{} of {} belongs to another dialect", route.path, dialect.name);
        }
    }
}
