//! Routes: which handler answers which method and path.

use std::{future::Future, pin::Pin};

use http::Method;
use percent_encoding::percent_decode_str;

use super::{
    api::Api,
    failure::Refusal,
    incoming::{Head, Incoming},
    reply::Reply,
};

/// The answer of a handler, on its way.
pub(super) type Answering<'a> = Pin<Box<dyn Future<Output = Result<Reply, Refusal>> + Send + 'a>>;

/// What a path holds at the places that a pattern names, decoded.
pub(super) type Parameters = Vec<(&'static str, String)>;

/// A method and a path with the handler that answers them. The tables of routes are what `docs/compatibility` is held against.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) method: Method,
    /// Whole segments; one in braces takes any segment and names it.
    pub(super) path: &'static str,
    pub(super) handler: for<'a> fn(&'a Api, &'a Incoming) -> Answering<'a>,
}

/// A table of routes: `routes![POST "/v1/users" => users::create, ...]`. After `also below "/prefix";` every path stands there a second
/// time, with that in front.
macro_rules! routes {
    (@one $method:ident, $path:expr, $handler:path) => {
        $crate::rest::route::Route {
            method: http::Method::$method,
            path: $path,
            handler: |api, incoming| Box::pin($handler(api, incoming)),
        }
    };
    (also below $prefix:literal; $($method:ident $path:literal => $handler:path),* $(,)?) => {
        &[$(
            $crate::rest::route::routes!(@one $method, $path, $handler),
            $crate::rest::route::routes!(@one $method, concat!($prefix, $path), $handler),
        )*]
    };
    ($($method:ident $path:literal => $handler:path),* $(,)?) => {
        &[$($crate::rest::route::routes!(@one $method, $path, $handler)),*]
    };
}
pub(super) use routes;

/// The parameters of a path, if it fits the pattern.
pub(super) fn matched(pattern: &'static str, path: &str) -> Option<Parameters> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut parameters = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parameters),
            (Some(wanted), Some(given)) => match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) => {
                    parameters.push((name, percent_decode_str(given).decode_utf8().ok()?.into_owned()));
                }
                None if wanted == given => {}
                None => return None,
            },
            _ => return None,
        }
    }
}

/// True for a path with a segment `.` or `..`, also percent-encoded: whoever resolves those sees another path than we do, so nothing
/// is there.
fn is_ambiguous(path: &str) -> bool {
    path.split('/').any(|segment| {
        let segment: Vec<u8> = percent_decode_str(segment).collect();
        segment == b"." || segment == b".."
    })
}

/// The methods that a path takes, for `Allow`; none for a path that is in no route.
pub(super) fn methods(routes: &'static [Route], path: &str) -> String {
    let taken = routes.iter().filter(|route| matched(route.path, path).is_some());
    let mut methods: Vec<&str> = taken.map(|route| route.method.as_str()).collect();
    methods.sort_unstable();
    methods.join(", ")
}

/// True if some route of the table has this path: with that method, or with any if none is given.
pub(super) fn knows(routes: &'static [Route], method: Option<&Method>, path: &str) -> bool {
    let fits = |route: &Route| method.is_none_or(|method| route.method == *method);
    routes.iter().any(|route| fits(route) && matched(route.path, path).is_some())
}

/// Finds the route of a request. Of two that fit, the one with a literal segment where the other has a parameter comes first in its table.
pub(super) fn find(routes: &'static [Route], head: &Head) -> Result<(&'static Route, Parameters), Refusal> {
    if is_ambiguous(&head.path) {
        return Err(Refusal::NotFound);
    }
    let mut is_known = false;
    for route in routes {
        if let Some(parameters) = matched(route.path, &head.path) {
            if route.method == head.method {
                return Ok((route, parameters));
            }
            is_known = true;
        }
    }
    Err(if is_known { Refusal::MethodNotAllowed } else { Refusal::NotFound })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_fits_segment_by_segment() {
        assert_eq!(matched("/v1/users", "/v1/users"), Some(vec![]));
        assert_eq!(matched("/v1/users/{id}", "/v1/users/a%40b"), Some(vec![("id", "a@b".to_owned())]));
        assert_eq!(matched("/v1/users/{id}", "/v1/users"), None);
        assert_eq!(matched("/v1/users/{id}", "/v1/users/a/b"), None);
        assert_eq!(matched("/v1/users/{id}", "/v1/users/%FF"), None);
        assert_eq!(matched("/v1/users/{id}", "/v1/users/a%2Fb"), Some(vec![("id", "a/b".to_owned())]));
    }
}
