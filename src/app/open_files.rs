//! How many files, and so connections, the system lets this process open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// What is open beside connections of callers and of the database: standard streams, listeners, epoll, certificates, mail.
const OTHERS: u64 = 64;

/// Raises the limit to the most the process may have, as it is often much lower for the sake of programs of old, and warns if it
/// is too low for that many connections.
pub(super) fn allow(connections: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // It stays what it was, which is looked at now.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let needed = connections.saturating_add(OTHERS);
    if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < needed) {
        tracing::warn!(
            allowed,
            needed,
            "the system allows fewer open files than there may be connections, so some may not be accepted; raise the limit \
             (ulimit -n, LimitNOFILE) or lower --grpc-connections and --rest-connections"
        );
    }
}
