//! How the database means to run the hot queries, so that a test can see that each uses an index.

use sea_orm::{ConnectionTrait as _, DbBackend, QueryTrait as _, Statement};
use uuid::Uuid;

use super::{
    Store, StoreError, challenges, clients::callers, credentials, event_stream, idempotent_calls, outbox, sessions,
    signing_keys, throttles, users,
};
use crate::{
    clock::Timestamp,
    crypto::secret_token::SecretHash,
    domain::{
        bucket::{Bucket, Guarded, Subject},
        client::TokenProfile,
        identifier::{Identifier, IdentifierKind},
        page::{ListOrder, OrderedPage, Place},
        user_filter::UserFilter,
    },
};

/// Name and statement of every query whose cost must not grow with the tables.
fn hot_queries(backend: DbBackend) -> Vec<(&'static str, Statement)> {
    let (id, hash, now) = (Uuid::nil(), SecretHash([0; 32]), Timestamp::UNIX_EPOCH);
    let identifier = Identifier::from_stored(IdentifierKind::Email, "a@b.example".into(), String::new());
    let call = idempotent_calls::CallKey { client_id: id.into(), hash: [0; 32] };
    let bucket = Bucket { guarded: Guarded::SignIn, subject: Subject::User(id.into()) };
    let page = OrderedPage { size: 20, order: ListOrder::NewestFirst, place: Place::After(id), skip: 0 };
    vec![
        ("client by secret", backend.build(&callers::by_secret(&hash))),
        ("client by id", backend.build(&callers::by_id(id.into()))),
        ("public client of a project", backend.build(&callers::public_of_profile(id.into(), TokenProfile::Standard))),
        ("account by identifier", backend.build(&credentials::account_by_identifier(id.into(), &identifier))),
        ("user by identifier", users::by_identifier(id.into(), &identifier).build(backend)),
        ("user by id", users::by_id(id.into(), id.into()).build(backend)),
        ("user with all that is known", backend.build(&users::whole_by_id(id.into(), id.into()))),
        ("page of users", users::page_of(id.into(), &UserFilter::default(), &page).build(backend)),
        ("user by external id", users::by_external_id(id.into(), "crm-42").build(backend)),
        ("session by id", sessions::by_id(id.into(), id.into()).build(backend)),
        ("session with its user", backend.build(&sessions::with_user(id.into(), id.into()))),
        ("session by id alone", sessions::by_id_alone(id.into()).build(backend)),
        ("sessions of a user", sessions::of_user(id.into()).build(backend)),
        ("page of a user's sessions", sessions::page_of(id.into(), id.into(), &page, now).build(backend)),
        ("sessions to clear away", sessions::ended(now, 10).build(backend)),
        ("pending authentication by token", challenges::pending_by_secret(id.into(), &hash).build(backend)),
        ("password reset by token", challenges::password_resets::reset_by_secret(id.into(), &hash).build(backend)),
        ("code by id", challenges::code_by_id(id.into()).build(backend)),
        ("what waits for a code", challenges::waiting_for(id.into()).build(backend)),
        ("codes of a user", challenges::codes_of_user(id.into()).build(backend)),
        ("password resets of a user", challenges::password_resets::resets_of_user(id.into()).build(backend)),
        ("address codes of a user", challenges::email_changes::changes_of_user(id.into()).build(backend)),
        ("address codes to an address", challenges::email_changes::changes_to(id.into(), &identifier).build(backend)),
        ("signing keys of a project", signing_keys::living(id.into(), now).build(backend)),
        ("failures of a subject", throttles::by_bucket(id.into(), &bucket).build(backend)),
        ("idempotent call by key", idempotent_calls::by_key(&call).build(backend)),
        ("answers to clear away", idempotent_calls::expired(now, 10).build(backend)),
        ("events without a place", event_stream::unnumbered(10).build(backend)),
        ("event at a place", event_stream::at(7).build(backend)),
        ("events of all projects", event_stream::behind(None, 7, 10).build(backend)),
        ("events of a project", event_stream::behind(Some(id.into()), 7, 10).build(backend)),
        ("events of a request", event_stream::of_request("request", 10).build(backend)),
        ("mails that are due", outbox::due(now, 10).build(backend)),
    ]
}

impl Store {
    /// The query plan of each hot query, as the database words it. For tests and diagnosis.
    pub async fn hot_query_plans(&self) -> Result<Vec<(&'static str, String)>, StoreError> {
        let tx = self.begin().await?;
        let connection = &tx.connection;
        let backend = connection.get_database_backend();
        let explain = if backend == DbBackend::Postgres {
            // On empty tables a scan is always cheapest: ask what it would do if it could not scan.
            connection.execute_unprepared("SET LOCAL enable_seqscan = off").await?;
            "EXPLAIN "
        } else {
            "EXPLAIN QUERY PLAN "
        };
        let mut plans = Vec::new();
        for (name, query) in hot_queries(backend) {
            let statement = Statement { sql: format!("{explain}{}", query.sql), ..query };
            let column = if backend == DbBackend::Postgres { 0 } else { 3 };
            let rows = connection.query_all_raw(statement).await?;
            let lines: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get_by_index(column)).collect();
            plans.push((name, lines?.join("\n")));
        }
        Ok(plans)
    }
}
