//! Every path of every contract with each form of credentials.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, Request, header};
use uuid::Uuid;

use super::*;
use crate::{id_form, rest::route::matched};

/// The pages of `docs/compatibility`: their rows are all of the calls of the contracts, whether they are served yet or not.
const PAGES: [(&str, &str); 4] = [
    ("workos", include_str!("../../../docs/compatibility/workos.md")),
    ("stytch", include_str!("../../../docs/compatibility/stytch.md")),
    ("descope", include_str!("../../../docs/compatibility/descope.md")),
    ("transmit", include_str!("../../../docs/compatibility/transmit.md")),
];

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

/// A call of a contract: whose, its method, and the pattern of its path.
struct Row {
    dialect: &'static str,
    method: Method,
    path: &'static str,
}

impl Row {
    /// A path that fits.
    fn example(&self) -> String {
        let segments = self.path.split('/').map(|segment| if segment.starts_with('{') { "1" } else { segment });
        segments.collect::<Vec<_>>().join("/")
    }
}

/// The calls of all contracts: the rows of the pages whose first cell is a method and a path.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (dialect, page) in PAGES {
        let calls = page.lines().filter_map(|line| {
            let (method, path) =
                line.strip_prefix('|')?.split('|').next()?.trim().trim_start_matches('`').split_once(' ')?;
            let path = path.split(['`', ' ', '?']).next()?;
            let is_method = method.bytes().all(|byte| byte.is_ascii_uppercase());
            (is_method && path.starts_with('/')).then(|| Row { dialect, method: method.parse().unwrap(), path })
        });
        let before = rows.len();
        rows.extend(calls);
        assert!(rows.len() > before + 20, "the page of {dialect} has lost its calls");
    }
    rows
}

fn named(path: &str, authorization: &str) -> &'static str {
    named_with(&Method::GET, path, authorization)
}

fn named_with(method: &Method, path: &str, authorization: &str) -> &'static str {
    let mut request = Request::builder().method(method).uri(path);
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
fn a_call_of_a_contract_is_its_own_or_belongs_to_whom_the_credentials_say() {
    for row in rows() {
        let path = row.example();
        let reached: Vec<_> = credentials()
            .iter()
            .filter_map(|(authorization, meant)| Some((named_with(&row.method, &path, authorization), (*meant)?)))
            .collect();
        let is_own = reached.iter().all(|(reached, _)| *reached == row.dialect);
        let is_shared = path.starts_with("/v1/") && reached.iter().all(|(reached, meant)| reached == meant);
        assert!(is_own || is_shared, "{} {path} of {}: {reached:?}", row.method, row.dialect);
    }
}

#[test]
fn without_credentials_it_is_who_alone_knows_the_call_and_else_transmit() {
    let rows = rows();
    for row in rows.iter().filter(|row| row.path.starts_with("/v1/")) {
        let path = row.example();
        let knowing: Vec<_> = DIALECTS
            .iter()
            .map(|dialect| dialect())
            .filter(|dialect| knows(dialect.routes, Some(&row.method), &path))
            .map(|dialect| dialect.name)
            .collect();
        for name in &knowing {
            let mut theirs = rows.iter().filter(|row| row.dialect == *name);
            let has_it = theirs.any(|theirs| theirs.method == row.method && matched(theirs.path, &path).is_some());
            assert!(has_it, "{} {path} is in the table of {name}, not in its contract", row.method);
        }
        // What belongs to one whatever the credentials is told by the other tests.
        let is_shared = credentials().iter().all(|(authorization, meant)| {
            meant.is_none_or(|meant| named_with(&row.method, &path, authorization) == meant)
        });
        if let ([only], true) = (&knowing[..], is_shared) {
            for (authorization, _) in credentials().into_iter().filter(|(_, meant)| meant.is_none()) {
                let got = named_with(&row.method, &path, &authorization);
                assert_eq!(got, *only, "{} {path} with {authorization:?}", row.method);
            }
        }
    }
    for (method, path, expected) in [
        // Stytch's alone, though Transmit has other methods of a path that fits.
        (Method::POST, "/v1/sessions/authenticate", "stytch"),
        (Method::GET, "/v1/sessions/authenticate", "transmit"),
        // Nobody takes that method: the path decides.
        (Method::GET, "/v1/passwords/authenticate", "stytch"),
        (Method::PUT, "/v1/auth/password/signin", "descope"),
        // Several have it, or nobody.
        (Method::POST, "/v1/users", "transmit"),
        (Method::GET, "/v1/sessions", "stytch"),
        (Method::GET, "/v1/nowhere", "transmit"),
    ] {
        assert_eq!(named_with(&method, path, ""), expected, "{method} {path}");
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
