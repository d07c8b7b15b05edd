//! Look-ups whose cost must not grow with the tables use an index, and the right one.

use rstest::rstest;
use sea_orm::ConnectionTrait as _;

use signet::store::Store;

use super::support::{Engine, TestStore};

/// Every hot query, with the index it is to use on PostgreSQL. SQLite calls that of a primary key by another name.
const INDEXES: [(&str, &str); 33] = [
    ("client by secret", "ix_client_secrets_secret_hash"),
    ("client by id", "clients_pkey"),
    ("public client of a project", "ix_clients_project_id"),
    ("account by identifier", "identifiers_pkey"),
    ("user by identifier", "identifiers_pkey"),
    ("user by id", "users_pkey"),
    ("user with all that is known", "users_pkey"),
    ("page of users", "ix_users_project_id"),
    ("user by external id", "ix_users_external_id"),
    ("session by id", "sessions_pkey"),
    ("session with its user", "sessions_pkey"),
    ("session by id alone", "sessions_pkey"),
    ("sessions of a user", "ix_sessions_user_id"),
    ("page of a user's sessions", "ix_sessions_user_id"),
    ("sessions to clear away", "ix_sessions_expires_at"),
    ("pending authentication by token", "ix_challenges_secret_hash"),
    ("password reset by token", "ix_challenges_secret_hash"),
    ("code by id", "challenges_pkey"),
    ("what waits for a code", "ix_challenges_code_id"),
    ("codes of a user", "ix_challenges_user_id"),
    ("password resets of a user", "ix_challenges_user_id"),
    ("address codes of a user", "ix_challenges_user_id"),
    ("address codes to an address", "ix_challenges_email"),
    ("signing keys of a project", "ix_signing_keys_project_id"),
    ("failures of a subject", "throttles_pkey"),
    ("idempotent call by key", "idempotent_calls_pkey"),
    ("answers to clear away", "ix_idempotent_calls_expires_at"),
    ("events without a place", "ix_events_unnumbered"),
    ("event at a place", "ix_events_position"),
    ("events of all projects", "ix_events_position"),
    ("events of a project", "ix_events_project_position"),
    ("events of a request", "ix_events_request_id"),
    ("mails that are due", "ix_outbox_next_attempt_at"),
];

#[rstest]
#[tokio::test]
async fn every_hot_query_uses_its_index(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    assert_eq!(flawed(engine, &test.store).await, [] as [&str; 0]);
}

/// What the test above is worth: it finds each index that is missing.
#[rstest]
#[tokio::test]
async fn a_query_without_its_index_is_found(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let raw = test.raw().await;
    let mut without = Vec::new();
    // Queries that share an index stand side by side.
    for users in INDEXES.chunk_by(|(_, one), (_, next)| one == next).filter(|users| users[0].1.starts_with("ix_")) {
        let index = users[0].1;
        raw.execute_unprepared(&format!("DROP INDEX {index}")).await.unwrap();
        without.extend(users.iter().map(|(query, _)| *query));
        // A connection that was open before would plan with the schema it remembers.
        let store = Store::connect(&test.settings()).await.unwrap();
        assert_eq!(flawed(engine, &store).await, without, "without {index}");
        store.close().await.unwrap();
    }
    assert!(!without.is_empty());
}

/// The hot queries whose plan is not what it should be.
async fn flawed(engine: Engine, store: &Store) -> Vec<&'static str> {
    let plans = store.hot_query_plans().await.unwrap();
    let names: Vec<_> = plans.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, INDEXES.map(|(name, _)| name), "every hot query is listed above");
    let flawed = plans.iter().zip(INDEXES).filter(|((_, plan), (_, index))| !is_fine(engine, plan, index));
    flawed.map(|((name, _), _)| *name).collect()
}

/// Holds nothing but what is looked for, in the order in which it is wanted: it is read from its beginning, without a condition.
const WHOLE: &str = "ix_events_unnumbered";

fn is_fine(engine: Engine, plan: &str, index: &str) -> bool {
    if index == WHOLE {
        return match engine {
            // Sorted afterwards, as long as the table is small.
            Engine::Postgres => plan.contains(&format!(" on {index} ")) || plan.contains(&format!(" using {index} ")),
            Engine::Sqlite => plan == format!("SCAN events USING INDEX {index}"),
        };
    }
    // The planner may take any of several that are as good.
    let as_good = ["users_pkey", "ix_users_project_id", "ix_users_external_id"];
    let indexes = if index == "users_pkey" { &as_good[..] } else { &[index] };
    match engine {
        Engine::Postgres => {
            let uses =
                |index: &str| plan.contains(&format!(" using {index} ")) || plan.contains(&format!(" on {index} "));
            !plan.contains("Seq Scan") && plan.contains("Index Cond") && indexes.iter().any(|index| uses(index))
        }
        Engine::Sqlite => {
            let uses = |index: &str| {
                let index = match index.strip_suffix("_pkey") {
                    Some(table) => format!("sqlite_autoindex_{table}_1"),
                    None => index.to_owned(),
                };
                ["INDEX", "COVERING INDEX"].iter().any(|word| plan.contains(&format!("USING {word} {index} (")))
            };
            !plan.contains("SCAN") && indexes.iter().any(|index| uses(index))
        }
    }
}
