//! Which web pages may call.

use url::Url;

use super::{Call, Error, Services};
use crate::domain::caller::Caller;

/// What a browser sends for pages that have no origin to speak of: sandboxed ones, local files, redirected requests.
const OPAQUE: &str = "null";

/// Refuses a call from a web page that may not make it. A browser names the page's origin where a script could not, so that a page
/// of somebody else cannot use what the browser holds. Whoever calls without a browser can say what they like; that is no harm.
pub fn check_origin(services: &Services, call: &Call, origin: &str) -> Result<(), Error> {
    let is_own = || Url::parse(&services.public_url).is_ok_and(|own| own.origin().ascii_serialization() == origin);
    let is_allowed = match &call.caller {
        // What is open to everybody is open to every page.
        Caller::Anonymous => return Ok(()),
        Caller::Client(caller) => caller.project.settings.allows_origin(origin) || is_own(),
        Caller::Operator(_) | Caller::OperatorOf(_) => is_own(),
    };
    if is_allowed && origin != OPAQUE { Ok(()) } else { Err(Error::OriginNotAllowed) }
}
