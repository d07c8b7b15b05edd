//! What callers prove themselves with, put into the words of the gRPC API.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{id_form, rest::incoming::Head};

/// What an API key starts with; the client's secret follows.
const KEY_PREFIX: &str = "sk_";

/// The `authorization` of a call with an API key, which is the client's secret. Empty without one: the API refuses that.
pub(super) fn of_api_key(head: &Head) -> String {
    // A project alone, which the API takes too, is no key: everybody knows it.
    let key = head.bearer().filter(|key| !names_a_project(key));
    key.map(|key| format!("Bearer {}", secret_of(key))).unwrap_or_default()
}

fn names_a_project(key: &str) -> bool {
    let project = key.split(':').next().unwrap_or_default();
    id_form::parse_canonical("project", project).is_some() || id_form::parse_descope('P', project).is_some()
}

/// The `authorization` of a client that says who it is in the body, or may leave its secret to the header (contract section 2).
/// Without any secret it is a public client. `None` if body and header contradict each other.
pub(super) fn of_client(head: &Head, client_id: &str, client_secret: Option<&str>) -> Option<String> {
    let secret = match (client_secret.map(secret_of), head.bearer().map(secret_of)) {
        (Some(in_body), Some(in_header)) if in_body != in_header => return None,
        (in_body, in_header) => in_body.or(in_header).unwrap_or_default(),
    };
    Some(format!("Basic {}", STANDARD.encode(format!("{client_id}:{secret}"))))
}

fn secret_of(key: &str) -> &str {
    key.strip_prefix(KEY_PREFIX).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use http::{Request, header};

    use super::*;

    fn head(authorization: Option<&str>) -> Head {
        let mut request = Request::builder().uri("/user_management/authenticate");
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        Head::new(request.body(()).unwrap().into_parts().0, "request".into())
    }

    fn decoded(authorization: &str) -> String {
        String::from_utf8(STANDARD.decode(authorization.strip_prefix("Basic ").unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn an_api_key_is_the_secret_with_a_prefix() {
        assert_eq!(of_api_key(&head(Some("Bearer sk_abc"))), "Bearer abc");
        assert_eq!(of_api_key(&head(Some("bearer abc"))), "Bearer abc");
        assert_eq!(of_api_key(&head(Some("Basic YTpi"))), "");
        assert_eq!(of_api_key(&head(None)), "");
        let project = uuid::Uuid::from_u128(7);
        for known in [id_form::canonical("project", project), id_form::descope('P', project)] {
            assert_eq!(of_api_key(&head(Some(&format!("Bearer {known}")))), "");
            assert_eq!(of_api_key(&head(Some(&format!("Bearer {known}:abc")))), "");
        }
    }

    #[test]
    fn a_client_shows_its_secret_in_the_body_or_in_the_header_and_not_two_of_them() {
        let table = [
            (Some("sk_abc"), None, Some("client_x:abc")),
            (None, Some("Bearer sk_abc"), Some("client_x:abc")),
            (Some("sk_abc"), Some("Bearer sk_abc"), Some("client_x:abc")),
            (Some("sk_abc"), Some("Bearer sk_other"), None),
            (None, None, Some("client_x:")),
        ];
        for (in_body, in_header, expected) in table {
            let found = of_client(&head(in_header), "client_x", in_body).map(|found| decoded(&found));
            assert_eq!(found.as_deref(), expected, "{in_body:?} {in_header:?}");
        }
    }
}
