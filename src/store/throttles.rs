//! Table `throttles`: rows are read under a lock and written back; what they mean is `domain::throttle`'s business
//! alone.

use std::{borrow::Cow, collections::HashMap, net::IpAddr};

use sea_orm::{
    ActiveValue::Set,
    Condition, ConnectionTrait, EntityTrait as _, FromQueryResult as _, Iterable as _, QueryFilter as _,
    QuerySelect as _, QueryTrait as _, Select,
    entity::prelude::*,
    sea_query::{
        DeleteStatement, ExprTrait as _, InsertStatement, LockBehavior, LockType, OnConflict, Order, Query, Value,
        ValueTuple,
    },
};
use sha2::{Digest as _, Sha256};

use super::{
    StoreError,
    entity::throttle,
    kept_statement::{KeptByCount, values_of},
};
use crate::{
    clock::Timestamp,
    domain::{
        bucket::{Bucket, Subject},
        id::ProjectId,
        throttle::{Failures, PlainRoom, Reservations, Throttle},
    },
};

/// What names a row.
const KEYS: [throttle::Column; 3] = [throttle::Column::ProjectId, throttle::Column::Kind, throttle::Column::Subject];

/// What names one within its project.
const NAME: [throttle::Column; 2] = [throttle::Column::Kind, throttle::Column::Subject];

/// An attempt is counted on so many at most; statements over more are not kept.
const BUCKETS_KEPT: usize = 2;

/// Counted attempts.
#[derive(Debug)]
pub struct Throttles<'c, C>(pub(super) &'c C);

/// Subjects are stored as a hash: the table tells nobody who does not have an account.
fn hash(subject: &Subject) -> Vec<u8> {
    let hash = match subject {
        Subject::Device(user, device) => {
            let device = Uuid::from(*device);
            Sha256::new().chain_update("device").chain_update(Uuid::from(*user)).chain_update(device)
        }
        Subject::Ip(IpAddr::V4(address)) => Sha256::new().chain_update("ipv4").chain_update(address.octets()),
        Subject::Ip(IpAddr::V6(address)) => Sha256::new().chain_update("ipv6").chain_update(address.octets()),
        Subject::Unknown(nobody) => {
            let kind = Sha256::new().chain_update("identifier").chain_update(nobody.kind.as_str());
            kind.chain_update([0]).chain_update(&nobody.canonical)
        }
        Subject::User(id) => Sha256::new().chain_update("user").chain_update(Uuid::from(*id)),
    };
    hash.finalize().to_vec()
}

/// What [`NAME`] is of a bucket.
type Name = (Cow<'static, str>, Vec<u8>);

/// In which order buckets are locked.
fn order(bucket: &Bucket) -> Name {
    (bucket.kind().into(), hash(&bucket.subject))
}

/// Rows of [`NAME`], to be looked up by [`order`].
fn names_of(rows: &[QueryResult]) -> Result<Vec<Name>, DbErr> {
    let name = |row: &QueryResult| Ok((row.try_get_by_index::<String>(0)?.into(), row.try_get_by_index(1)?));
    rows.iter().map(name).collect()
}

/// The values of a bucket's room.
fn bounds_of(room: PlainRoom) -> [Value; 2] {
    [stored_count(room.bound).into(), room.reserved_after.into()]
}

/// A count as the table has it.
fn stored_count(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The row of a bucket.
fn of(project_id: ProjectId, bucket: &Bucket) -> Condition {
    KEYS.into_iter()
        .zip(keys_of(project_id, bucket))
        .fold(Condition::all(), |all, (column, value)| all.add(column.eq(value)))
}

/// What [`KEYS`] are of a bucket.
fn keys_of(project_id: ProjectId, bucket: &Bucket) -> [Value; 3] {
    [Uuid::from(project_id).into(), bucket.kind().into(), hash(&bucket.subject).into()]
}

/// The rows of buckets.
fn any_of<'b, T: 'b>(project_id: ProjectId, buckets: impl IntoIterator<Item = &'b (Bucket, T)>) -> Condition {
    buckets.into_iter().fold(Condition::any(), |any, (bucket, _)| any.add(of(project_id, bucket)))
}

/// The look-up before a secret is checked.
pub(super) fn by_bucket(project_id: ProjectId, bucket: &Bucket) -> Select<throttle::Entity> {
    throttle::Entity::find().filter(of(project_id, bucket))
}

/// Writes rows where there are none, locks those that are there, and gives all back.
fn locking(rows: &[throttle::ActiveModel]) -> InsertStatement {
    let mut on_conflict = OnConflict::columns(KEYS);
    // Writes what is there already: an insert that meets a row locks it, and gives it back, in one statement.
    on_conflict.value(throttle::Column::Failures, Expr::col((throttle::Entity, throttle::Column::Failures)));
    let mut insert = throttle::Entity::insert_many(rows.to_vec()).on_conflict(on_conflict).into_query();
    insert.returning(Query::returning().columns(throttle::Column::iter()));
    insert
}

/// Writes rows over those that are there.
fn writing_back(rows: &[throttle::ActiveModel]) -> InsertStatement {
    let mut on_conflict = OnConflict::columns(KEYS);
    on_conflict.update_columns([
        throttle::Column::Failures,
        throttle::Column::LastFailureAt,
        throttle::Column::InFlight,
        throttle::Column::ReservedAt,
    ]);
    throttle::Entity::insert_many(rows.to_vec()).on_conflict(on_conflict).into_query()
}

/// Holds places: writes rows, or counts one more in those that are there.
fn reserving(
    rows: &[throttle::ActiveModel],
    project_id: ProjectId,
    buckets: &[(Bucket, PlainRoom)],
) -> InsertStatement {
    let known = |column: throttle::Column| Expr::col((throttle::Entity, column));
    let has_room = || {
        buckets.iter().fold(Condition::any(), |any, (bucket, room)| {
            let reserved_at = || known(throttle::Column::ReservedAt);
            let held = known(throttle::Column::Failures).add(known(throttle::Column::InFlight));
            let is_fresh = Condition::any().add(reserved_at().is_null()).add(reserved_at().gt(room.reserved_after));
            any.add(of(project_id, bucket).add(held.lt(stored_count(room.bound))).add(is_fresh))
        })
    };
    let full = throttle::Entity::find()
        .select_only()
        .column(throttle::Column::Kind)
        .filter(any_of(project_id, buckets))
        .filter(has_room().not());
    // Both databases call the columns of such a list so.
    let names = (1..=throttle::Column::iter().count()).map(|number| format!("column{number}"));
    let values = rows.iter().map(|row| ValueTuple::Many(values_of(row).collect()));
    let mut new = Query::select();
    new.columns(names).from_values(values, "new").and_where(Expr::exists(full.into_query()).not());
    let excluded = |column| Expr::col(("excluded", column));
    let newest = Expr::case(
        known(throttle::Column::ReservedAt).gt(excluded(throttle::Column::ReservedAt)),
        known(throttle::Column::ReservedAt),
    )
    .finally(excluded(throttle::Column::ReservedAt));
    let mut on_conflict = OnConflict::columns(KEYS);
    on_conflict
        .value(throttle::Column::InFlight, known(throttle::Column::InFlight).add(excluded(throttle::Column::InFlight)))
        .value(throttle::Column::ReservedAt, newest)
        // Once more: the row may have changed while its lock was waited for.
        .action_cond_where(has_room());
    let mut insert = Query::insert();
    insert.into_table(throttle::Entity).columns(throttle::Column::iter());
    insert.select_from(new).expect("as many values as columns");
    insert.on_conflict(on_conflict).returning(Query::returning().columns(NAME));
    insert
}

/// Deletes those of some rows that are so. All are locked first, in their order: whoever wants the others after this
/// holds them by then.
fn forgetting(which: Condition, are_so: Condition) -> DeleteStatement {
    let mut locked = throttle::Entity::find().select_only().columns(KEYS).filter(which).into_query();
    locked.order_by_columns(KEYS.map(|column| (column, Order::Asc))).lock_exclusive();
    let mut delete = Query::delete();
    delete
        .from_table(throttle::Entity)
        .and_where(Expr::tuple(KEYS.map(Expr::col)).in_subquery(locked))
        .cond_where(are_so)
        .returning(Query::returning().columns(NAME));
    delete
}

impl<C: ConnectionTrait> Throttles<'_, C> {
    /// Reads a bucket, without a lock.
    pub async fn find(&self, project_id: ProjectId, bucket: &Bucket) -> Result<Throttle, StoreError> {
        let row = by_bucket(project_id, bucket).one(self.0).await?;
        Ok(row.map(|row| throttle_from(&row)).unwrap_or_default())
    }

    /// Reads buckets and locks them until the unit of work ends, also those that have no row yet. Always in the same
    /// order, whatever the order they are named in, so that no two units of work wait for each other.
    pub async fn lock(
        &self,
        project_id: ProjectId,
        mut buckets: Vec<Bucket>,
        now: Timestamp,
    ) -> Result<Vec<(Bucket, Throttle)>, StoreError> {
        static INSERT: KeptByCount<BUCKETS_KEPT> = KeptByCount::new();
        // Not a statement each: they would be most of what a sign-in asks. The rows of one are locked in the order it
        // names them.
        buckets.sort_by_cached_key(order);
        let empty: Vec<_> = buckets.iter().map(|bucket| row(project_id, bucket, &Throttle::default(), now)).collect();
        if empty.is_empty() {
            return Ok(Vec::new());
        }
        let insert = INSERT.with(self.0, empty.len(), empty.iter().flat_map(values_of), || locking(&empty));
        let mut rows = HashMap::with_capacity(empty.len());
        for row in self.0.query_all_raw(insert).await? {
            let row = throttle::Model::from_query_result(&row, "")?;
            let state = throttle_from(&row);
            rows.insert((row.kind, row.subject), state);
        }
        // They come back in any order.
        let state = |bucket: Bucket| {
            let key = (bucket.kind().to_owned(), hash(&bucket.subject));
            rows.remove(&key).map(|state| (bucket, state))
        };
        let locked: Option<Vec<_>> = buckets.into_iter().map(state).collect();
        locked.ok_or_else(|| StoreError::corrupt("throttles", "a row that was written did not come back"))
    }

    /// Gives buckets back that are locked and were not changed: those with nothing to remember have no row. One
    /// statement, whatever they remember, or the time it takes would tell.
    pub async fn release(&self, project_id: ProjectId, buckets: &[(Bucket, Throttle)]) -> Result<(), StoreError> {
        let empty = Condition::all()
            .add(throttle::Column::Failures.eq(0))
            .add(throttle::Column::InFlight.eq(0))
            .add(any_of(project_id, buckets));
        throttle::Entity::delete_many().filter(empty).exec(self.0).await?;
        Ok(())
    }

    /// Writes buckets back that are locked. Those with nothing left to remember have no row. One statement where all
    /// have something to remember, as after a failure, or none has; only a success may leave both kinds, and make it
    /// two.
    pub async fn save(
        &self,
        project_id: ProjectId,
        buckets: &[(Bucket, Throttle)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        static DELETE: KeptByCount<BUCKETS_KEPT> = KeptByCount::new();
        static INSERT: KeptByCount<BUCKETS_KEPT> = KeptByCount::new();
        let (empty, kept): (Vec<_>, Vec<_>) = buckets.iter().partition(|(_, state)| state.is_empty());
        if !empty.is_empty() {
            let values = empty.iter().flat_map(|(bucket, _)| keys_of(project_id, bucket));
            let build =
                || throttle::Entity::delete_many().filter(any_of(project_id, empty.iter().copied())).into_query();
            self.0.execute_raw(DELETE.with(self.0, empty.len(), values, build)).await?;
        }
        if !kept.is_empty() {
            let rows: Vec<_> = kept.iter().map(|(bucket, state)| row(project_id, bucket, state, now)).collect();
            let insert = INSERT.with(self.0, rows.len(), rows.iter().flat_map(values_of), || writing_back(&rows));
            self.0.execute_raw(insert).await?;
        }
        Ok(())
    }

    /// Holds a place in each bucket, in one statement, if in each of them its room is plain to see. Gives the buckets in
    /// which one is held: all of them, or none. Only if somebody else takes the room at the same time it may be some.
    ///
    /// What is there and is not seen to leave room stays as it is.
    pub async fn reserve(
        &self,
        project_id: ProjectId,
        mut buckets: Vec<(Bucket, PlainRoom)>,
        now: Timestamp,
    ) -> Result<Vec<Bucket>, StoreError> {
        static INSERT: KeptByCount<BUCKETS_KEPT> = KeptByCount::new();
        if buckets.is_empty() {
            return Ok(Vec::new());
        }
        // Two of these that meet must not wait for each other.
        buckets.sort_by_cached_key(|(bucket, _)| order(bucket));
        let first = Throttle::first(now);
        let rows: Vec<_> = buckets.iter().map(|(bucket, _)| row(project_id, bucket, &first, now)).collect();
        let rooms = || buckets.iter().map(|(bucket, room)| (keys_of(project_id, bucket), *room));
        let bounds = || rooms().flat_map(|(keys, room)| keys.into_iter().chain(bounds_of(room)));
        let keys = rooms().flat_map(|(keys, _)| keys);
        let values = rows.iter().flat_map(values_of).chain(keys).chain(bounds()).chain(bounds());
        let insert = INSERT.with(self.0, rows.len(), values, || reserving(&rows, project_id, &buckets));
        let held = names_of(&self.0.query_all_raw(insert).await?)?;
        Ok(buckets.into_iter().map(|(bucket, _)| bucket).filter(|bucket| held.contains(&order(bucket))).collect())
    }

    /// Forgets those buckets in which the only place held was reserved at that time and that have no failures, or may
    /// have some, which are forgotten then, too. Gives the others, of which nothing is written.
    pub async fn forget(
        &self,
        project_id: ProjectId,
        buckets: Vec<(Bucket, bool)>,
        reserved_at: Timestamp,
    ) -> Result<Vec<Bucket>, StoreError> {
        static DELETE: KeptByCount<BUCKETS_KEPT> = KeptByCount::new();
        if buckets.is_empty() {
            return Ok(Vec::new());
        }
        let at_most = |may_have_failures: bool| if may_have_failures { i32::MAX } else { 0 };
        let keys = buckets.iter().flat_map(|(bucket, _)| keys_of(project_id, bucket));
        let values = keys.chain(buckets.iter().flat_map(|(bucket, may_have_failures)| {
            let rest = [at_most(*may_have_failures).into(), 1_i32.into(), reserved_at.into()];
            keys_of(project_id, bucket).into_iter().chain(rest)
        }));
        let delete = DELETE.with(self.0, buckets.len(), values, || {
            let sole = buckets.iter().fold(Condition::any(), |any, (bucket, may_have_failures)| {
                any.add(
                    of(project_id, bucket)
                        .add(throttle::Column::Failures.lte(at_most(*may_have_failures)))
                        .add(throttle::Column::InFlight.eq(1))
                        .add(throttle::Column::ReservedAt.eq(reserved_at)),
                )
            });
            forgetting(any_of(project_id, &buckets), sole)
        });
        let forgotten = names_of(&self.0.query_all_raw(delete).await?)?;
        let buckets = buckets.into_iter().map(|(bucket, _)| bucket);
        Ok(buckets.filter(|bucket| !forgotten.contains(&order(bucket))).collect())
    }

    /// Clears away buckets that nothing was added to since then, so many at most; says how many.
    pub async fn delete_forgotten(&self, since: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let forgotten = || {
            let reserved = throttle::Column::ReservedAt;
            Condition::all()
                .add(throttle::Column::LastFailureAt.lte(since))
                .add(Condition::any().add(reserved.is_null()).add(reserved.lte(since)))
        };
        // What an attempt holds is left alone: it locks its rows in another order, and each would wait for the other.
        let batch = throttle::Entity::find()
            .select_only()
            .columns(KEYS)
            .filter(forgotten())
            .limit(limit)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        let mut delete = Query::delete();
        delete
            .from_table(throttle::Entity)
            .and_where(Expr::tuple(KEYS.map(Expr::col)).in_subquery(batch.into_query()))
            // Once more: a row may have changed while its lock was waited for.
            .cond_where(forgotten());
        Ok(self.0.execute(&delete).await?.rows_affected())
    }
}

fn row(project_id: ProjectId, bucket: &Bucket, state: &Throttle, now: Timestamp) -> throttle::ActiveModel {
    throttle::ActiveModel {
        project_id: Set(project_id.into()),
        kind: Set(bucket.kind().to_owned()),
        subject: Set(hash(&bucket.subject)),
        failures: Set(state.failures.map_or(0, |failures| stored_count(failures.count))),
        // Without a failure it says how old the row is.
        last_failure_at: Set(state.failures.map_or(now, |failures| failures.last_at)),
        in_flight: Set(state.reservations.map_or(0, |held| stored_count(held.count))),
        reserved_at: Set(state.reservations.map(|held| held.newest_at)),
    }
}

fn throttle_from(row: &throttle::Model) -> Throttle {
    let positive = |count: i32| u32::try_from(count).ok().filter(|count| *count > 0);
    Throttle {
        failures: positive(row.failures).map(|count| Failures { count, last_at: row.last_failure_at }),
        reservations: positive(row.in_flight)
            .zip(row.reserved_at)
            .map(|(count, newest_at)| Reservations { count, newest_at }),
    }
}
