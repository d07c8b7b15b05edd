//! Table `sessions`.

use sea_orm::{
    ActiveValue::Set,
    Condition, ConnectionTrait, EntityTrait as _, FromQueryResult as _, QueryFilter as _, QuerySelect as _,
    QueryTrait as _, Select, Statement, UpdateMany,
    entity::prelude::*,
    sea_query::{ExprTrait as _, LockBehavior, LockType, Query, SelectStatement, Value},
};

use super::{
    StoreError,
    entity::{session, user},
    joined::{Columns, Joined as _, columns_of, user_of, whole_user},
    kept_statement::KeptStatement,
    pages::paged,
};
use crate::{
    clock::Timestamp,
    domain::{
        claims::CustomClaims,
        client::{RefreshTokenFormat, TokenProfile},
        client_context::ClientContext,
        id::{ProjectId, SessionId, UserId},
        page::{Listed, OrderedPage},
        refresh::RefreshState,
        session::{Session, SessionState},
        user::{User, UserStatus},
    },
};

/// Sessions.
#[derive(Debug)]
pub struct Sessions<'c, C>(pub(super) &'c C);

/// The look-up of every token check.
pub(super) fn by_id(project_id: ProjectId, id: SessionId) -> Select<session::Entity> {
    session::Entity::find_by_id(Uuid::from(id)).filter(session::Column::ProjectId.eq(Uuid::from(project_id)))
}

/// The same with its user.
pub(super) fn with_user(project_id: ProjectId, id: SessionId) -> SelectStatement {
    let of = |column| Expr::col((session::Entity, column));
    let mut query = Query::select();
    query
        .from(session::Entity)
        .inner_join(user::Entity, of(session::Column::UserId).equals((user::Entity, user::Column::Id)))
        .and_where(of(session::Column::Id).eq(Uuid::from(id)))
        .and_where(of(session::Column::ProjectId).eq(Uuid::from(project_id)))
        .and_where(Expr::col((user::Entity, user::Column::ProjectId)).eq(Uuid::from(project_id)));
    columns_of::<session::Model>(&mut query);
    whole_user(&mut query);
    query
}

/// A session of whatever project.
pub(super) fn by_id_alone(id: SessionId) -> Select<session::Entity> {
    session::Entity::find_by_id(Uuid::from(id))
}

/// The sessions of a user that have not been revoked.
pub(super) fn of_user(user_id: UserId) -> Select<session::Entity> {
    session::Entity::find()
        .filter(session::Column::UserId.eq(Uuid::from(user_id)))
        .filter(session::Column::RevokedAt.is_null())
}

/// A page of the sessions of a user that can be used.
pub(super) fn page_of(
    project_id: ProjectId,
    user_id: UserId,
    page: &OrderedPage,
    now: Timestamp,
) -> Select<session::Entity> {
    let live = of_user(user_id).filter(session::Column::ProjectId.eq(Uuid::from(project_id))).filter(live_at(now));
    paged(live, session::Column::Id, page)
}

/// So many sessions that were over in any case by then. Of one that was ended the last possible end is when that was
/// done.
pub(super) fn ended(by: Timestamp, limit: u64) -> Select<session::Entity> {
    session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(session::Column::ExpiresAt.lte(by))
        .limit(limit)
}

fn live_at(now: Timestamp) -> Condition {
    Condition::all()
        .add(session::Column::RevokedAt.is_null())
        .add(session::Column::IdleExpiresAt.gt(now))
        .add(session::Column::ExpiresAt.gt(now))
}

/// A generation as it is stored.
fn generation_column(generation: u32) -> i32 {
    i32::try_from(generation).unwrap_or(i32::MAX)
}

/// The values of [`next_generation`], in its order.
fn moving_on(session: &Session, idle_expires_at: Timestamp, from: u32) -> [Value; 7] {
    [
        generation_column(session.refresh.generation).into(),
        session.refresh.rotated_at.into(),
        idle_expires_at.into(),
        session.last_used_at.into(),
        Uuid::from(session.id).into(),
        Uuid::from(session.project_id).into(),
        generation_column(from).into(),
    ]
}

/// Moves a session on from a generation, if it is still at that one and has not ended.
fn next_generation(session: &Session, idle_expires_at: Timestamp, from: u32) -> UpdateMany<session::Entity> {
    session::Entity::update_many()
        .col_expr(session::Column::RefreshGeneration, Expr::value(generation_column(session.refresh.generation)))
        .col_expr(session::Column::RotatedAt, Expr::value(session.refresh.rotated_at))
        .col_expr(session::Column::IdleExpiresAt, Expr::value(idle_expires_at))
        .col_expr(session::Column::LastUsedAt, Expr::value(session.last_used_at))
        .filter(session::Column::Id.eq(Uuid::from(session.id)))
        .filter(session::Column::ProjectId.eq(Uuid::from(session.project_id)))
        .filter(session::Column::RefreshGeneration.eq(generation_column(from)))
        .filter(session::Column::RevokedAt.is_null())
}

/// The same, if the session ends when it was read to end, its user is active, and nobody holds its row: nor does this wait for it.
fn next_generation_as_read(
    session: &Session,
    idle_expires_at: Timestamp,
    (from, read): (u32, (Timestamp, Timestamp)),
) -> UpdateMany<session::Entity> {
    let of = |column| Expr::col((session::Entity, column));
    let mut as_read = Query::select();
    as_read
        .column((session::Entity, session::Column::Id))
        .from(session::Entity)
        .inner_join(user::Entity, of(session::Column::UserId).equals((user::Entity, user::Column::Id)))
        .and_where(of(session::Column::Id).eq(Uuid::from(session.id)))
        .and_where(of(session::Column::IdleExpiresAt).eq(read.0))
        .and_where(of(session::Column::ExpiresAt).eq(read.1))
        .and_where(Expr::col((user::Entity, user::Column::Status)).eq(UserStatus::Active.as_str()))
        .lock_with_tables_behavior(LockType::Update, [session::Entity], LockBehavior::SkipLocked);
    next_generation(session, idle_expires_at, from).filter(session::Column::Id.in_subquery(as_read))
}

/// Adds a session.
pub(super) fn inserting(connection: &impl ConnectionTrait, session: &Session) -> Result<Statement, StoreError> {
    static INSERT: KeptStatement = KeptStatement::new();
    let json = |value: serde_json::Result<Json>| value.map_err(|error| StoreError::corrupt("sessions", error));
    let (idle_expires_at, expires_at, revoked_at) = match session.state {
        SessionState::Active { idle_expires_at, expires_at } => (idle_expires_at, expires_at, None),
        SessionState::Revoked { revoked_at } => (revoked_at, revoked_at, Some(revoked_at)),
    };
    let row = session::ActiveModel {
        id: Set(session.id.into()),
        project_id: Set(session.project_id.into()),
        user_id: Set(session.user_id.into()),
        client_id: Set(session.client_id.into()),
        methods: Set(json(serde_json::to_value(&session.methods))?),
        authenticated_at: Set(session.authenticated_at),
        ip_address: Set(session.client_context.ip_address.map(|address| address.to_string())),
        user_agent: Set(session.client_context.user_agent.clone()),
        custom_claims: Set(json(serde_json::to_value(&session.custom_claims))?),
        resource: Set(session.resource.clone()),
        refresh_generation: Set(i32::try_from(session.refresh.generation).unwrap_or(i32::MAX)),
        rotated_at: Set(session.refresh.rotated_at),
        refresh_token_format: Set(session.refresh_token_format.as_str().to_owned()),
        token_profile: Set(session.token_profile.as_str().to_owned()),
        last_used_at: Set(Some(session.last_used_at)),
        created_at: Set(session.created_at),
        idle_expires_at: Set(idle_expires_at),
        expires_at: Set(expires_at),
        revoked_at: Set(revoked_at),
    };
    Ok(INSERT.inserting(connection, &row))
}

impl<C: ConnectionTrait> Sessions<'_, C> {
    /// Adds a session.
    pub async fn insert(&self, session: &Session) -> Result<(), StoreError> {
        self.0.execute_raw(inserting(self.0, session)?).await?;
        Ok(())
    }

    /// Reads a session.
    pub async fn find(&self, project_id: ProjectId, id: SessionId) -> Result<Option<Session>, StoreError> {
        by_id(project_id, id).one(self.0).await?.map(TryInto::try_into).transpose()
    }

    /// Reads a session and its user.
    pub async fn find_with_user(
        &self,
        project_id: ProjectId,
        id: SessionId,
    ) -> Result<Option<(Session, User)>, StoreError> {
        static QUERY: KeptStatement = KeptStatement::new();
        let project = Uuid::from(project_id);
        let values = [Uuid::from(id).into(), project.into(), project.into()];
        let rows = self.0.query_all_raw(QUERY.with(self.0, values, || with_user(project_id, id))).await?;
        let user = user_of(&rows, session::Model::COLUMNS.len())?;
        let (Some(row), Some(user)) = (rows.first(), user) else { return Ok(None) };
        let session: session::Model = Columns::after(0, row).joined()?;
        Ok(Some((session.try_into()?, user)))
    }

    /// Reads a session of whatever project: for a link that names nothing but the session.
    pub async fn find_in_any_project(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        by_id_alone(id).one(self.0).await?.map(TryInto::try_into).transpose()
    }

    /// Reads a session and holds the row until the unit of work ends.
    pub async fn lock(&self, project_id: ProjectId, id: SessionId) -> Result<Option<Session>, StoreError> {
        static QUERY: KeptStatement = KeptStatement::new();
        // Without a limit, of which an id needs none: SQLite plans a statement anew for each limit that it is given.
        let values = [Uuid::from(id).into(), Uuid::from(project_id).into()];
        let build = || by_id(project_id, id).lock_exclusive().into_query();
        let row = self.0.query_one_raw(QUERY.with(self.0, values, build)).await?;
        row.map(|row| session::Model::from_query_result(&row, "")?.try_into()).transpose()
    }

    /// Writes what a refresh has changed, unless another one or an end came between: `from` is the generation it was
    /// decided on. False if so, and nothing is written then.
    pub async fn refreshed(&self, session: &Session, from: u32) -> Result<bool, StoreError> {
        static UPDATE: KeptStatement = KeptStatement::new();
        let SessionState::Active { idle_expires_at, .. } = session.state else { return Ok(false) };
        let values = moving_on(session, idle_expires_at, from);
        let update = UPDATE.with(self.0, values, || next_generation(session, idle_expires_at, from).into_query());
        Ok(self.0.execute_raw(update).await?.rows_affected() == 1)
    }

    /// Writes what a refresh has changed, in a unit of work by itself, if nobody holds the row and the session is what was read: of
    /// that generation and with these ends, not revoked, its user active. False if not, and nothing is written then.
    pub async fn refreshed_as_read(&self, session: &Session, read: &Session) -> Result<bool, StoreError> {
        static UPDATE: KeptStatement = KeptStatement::new();
        let SessionState::Active { idle_expires_at, .. } = session.state else { return Ok(false) };
        let SessionState::Active { idle_expires_at: read_idle, expires_at: read_end } = read.state else {
            return Ok(false);
        };
        let from = read.refresh.generation;
        let as_read =
            [Uuid::from(session.id).into(), read_idle.into(), read_end.into(), UserStatus::Active.as_str().into()];
        let values = moving_on(session, idle_expires_at, from).into_iter().chain(as_read);
        let build = || next_generation_as_read(session, idle_expires_at, (from, (read_idle, read_end))).into_query();
        Ok(self.0.execute_raw(UPDATE.with(self.0, values, build)).await?.rows_affected() == 1)
    }

    /// Writes what a sign-in that joined a session has changed; false if it was ended, and nothing is written then. The
    /// caller holds the row.
    pub async fn joined(&self, session: &Session) -> Result<bool, StoreError> {
        let SessionState::Active { idle_expires_at, expires_at } = session.state else { return Ok(false) };
        let json = |value: serde_json::Result<Json>| value.map_err(|error| StoreError::corrupt("sessions", error));
        let written = session::Entity::update_many()
            .col_expr(session::Column::RefreshGeneration, Expr::value(generation_column(session.refresh.generation)))
            .col_expr(session::Column::RotatedAt, Expr::value(session.refresh.rotated_at))
            .col_expr(session::Column::Methods, Expr::value(json(serde_json::to_value(&session.methods))?))
            .col_expr(session::Column::AuthenticatedAt, Expr::value(session.authenticated_at))
            .col_expr(session::Column::CustomClaims, Expr::value(json(serde_json::to_value(&session.custom_claims))?))
            .col_expr(session::Column::LastUsedAt, Expr::value(session.last_used_at))
            .col_expr(session::Column::IdleExpiresAt, Expr::value(idle_expires_at))
            .col_expr(session::Column::ExpiresAt, Expr::value(expires_at))
            .filter(session::Column::Id.eq(Uuid::from(session.id)))
            .filter(session::Column::ProjectId.eq(Uuid::from(session.project_id)))
            .filter(session::Column::RevokedAt.is_null())
            .exec(self.0)
            .await?;
        Ok(written.rows_affected == 1)
    }

    /// Lists the sessions of a user that can be used.
    pub async fn list_live(
        &self,
        project_id: ProjectId,
        user_id: UserId,
        page: impl Into<OrderedPage>,
        now: Timestamp,
    ) -> Result<Listed<Session>, StoreError> {
        let page = page.into();
        let rows = page_of(project_id, user_id, &page, now).all(self.0).await?;
        let sessions = rows.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        Ok(Listed::from_rows(sessions, page, |session: &Session| session.id.into()))
    }

    /// Writes the ends and the claims of a session that was read before, and when it was used; false if it can no
    /// longer be used. One statement that asks for a live session: what was ended meanwhile stays ended.
    pub async fn extend(&self, session: &Session, now: Timestamp) -> Result<bool, StoreError> {
        static UPDATE: KeptStatement = KeptStatement::new();
        let SessionState::Active { idle_expires_at, expires_at } = session.state else { return Ok(false) };
        let custom_claims = serde_json::to_value(&session.custom_claims);
        let custom_claims = custom_claims.map_err(|error| StoreError::corrupt("sessions", error))?;
        let values = [
            idle_expires_at.into(),
            expires_at.into(),
            custom_claims.clone().into(),
            session.last_used_at.into(),
            Uuid::from(session.id).into(),
            Uuid::from(session.project_id).into(),
            now.into(),
            now.into(),
        ];
        let build = || {
            session::Entity::update_many()
                .col_expr(session::Column::IdleExpiresAt, Expr::value(idle_expires_at))
                .col_expr(session::Column::ExpiresAt, Expr::value(expires_at))
                .col_expr(session::Column::CustomClaims, Expr::value(custom_claims.clone()))
                .col_expr(session::Column::LastUsedAt, Expr::value(session.last_used_at))
                .filter(session::Column::Id.eq(Uuid::from(session.id)))
                .filter(session::Column::ProjectId.eq(Uuid::from(session.project_id)))
                .filter(live_at(now))
                .into_query()
        };
        Ok(self.0.execute_raw(UPDATE.with(self.0, values, build)).await?.rows_affected() > 0)
    }

    /// Ends a session; says whether it could be used until now.
    pub async fn revoke(&self, project_id: ProjectId, id: SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let which = Condition::all()
            .add(session::Column::Id.eq(Uuid::from(id)))
            .add(session::Column::ProjectId.eq(Uuid::from(project_id)));
        Ok(!self.end(which, now).await?.is_empty())
    }

    /// Ends the sessions of a user, but for one if it is named; says which of them could be used until now.
    pub async fn revoke_all(
        &self,
        user_id: UserId,
        but: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let which = Condition::all()
            .add(session::Column::UserId.eq(Uuid::from(user_id)))
            .add_option(but.map(|but| session::Column::Id.ne(Uuid::from(but))));
        self.end(which, now).await
    }

    /// Ends sessions that have not been ended before; also those that have expired, because clocks may differ. Says
    /// which of them had not. One statement: a user may have more sessions than a statement may have parameters.
    async fn end(&self, which: Condition, now: Timestamp) -> Result<Vec<SessionId>, StoreError> {
        // The sweep goes by the absolute end. Whether a session was live follows from the idle end alone, which is
        // never later.
        let expires_at =
            Expr::case(session::Column::ExpiresAt.gt(now), now).finally(session::Column::ExpiresAt.into_expr());
        let mut update = Query::update();
        update
            .table(session::Entity)
            .value(session::Column::RevokedAt, now)
            .value(session::Column::ExpiresAt, expires_at)
            .cond_where(which.add(session::Column::RevokedAt.is_null()))
            .returning(Query::returning().columns([session::Column::Id, session::Column::IdleExpiresAt]));
        let mut ended = Vec::new();
        for row in self.0.query_all(&update).await? {
            let (id, idle_expires_at): (Uuid, Timestamp) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            if now < idle_expires_at {
                ended.push(id.into());
            }
        }
        Ok(ended)
    }

    /// Clears away sessions that were over in any case by then, so many at most; says how many.
    pub async fn delete_ended(&self, by: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let ids: Vec<Uuid> = ended(by, limit).into_tuple().all(self.0).await?;
        let deleted = session::Entity::delete_many().filter(session::Column::Id.is_in(ids)).exec(self.0).await?;
        Ok(deleted.rows_affected)
    }
}

impl TryFrom<session::Model> for Session {
    type Error = StoreError;

    fn try_from(row: session::Model) -> Result<Self, StoreError> {
        let corrupt = |cause: &dyn std::fmt::Display| StoreError::corrupt("sessions", cause);
        let ip_address = row.ip_address.map(|address| address.parse()).transpose().map_err(|error| corrupt(&error))?;
        Ok(Self {
            id: row.id.into(),
            project_id: row.project_id.into(),
            user_id: row.user_id.into(),
            client_id: row.client_id.into(),
            methods: serde_json::from_value(row.methods).map_err(|error| corrupt(&error))?,
            authenticated_at: row.authenticated_at,
            client_context: ClientContext { ip_address, user_agent: row.user_agent },
            custom_claims: serde_json::from_value::<CustomClaims>(row.custom_claims)
                .map_err(|error| corrupt(&error))?,
            resource: row.resource,
            refresh: RefreshState {
                generation: u32::try_from(row.refresh_generation).map_err(|error| corrupt(&error))?,
                rotated_at: row.rotated_at,
            },
            refresh_token_format: RefreshTokenFormat::from_word(&row.refresh_token_format)
                .ok_or_else(|| corrupt(&row.refresh_token_format))?,
            token_profile: TokenProfile::from_word(&row.token_profile).ok_or_else(|| corrupt(&row.token_profile))?,
            last_used_at: row.last_used_at.unwrap_or(row.created_at),
            created_at: row.created_at,
            state: match row.revoked_at {
                Some(revoked_at) => SessionState::Revoked { revoked_at },
                None => SessionState::Active { idle_expires_at: row.idle_expires_at, expires_at: row.expires_at },
            },
        })
    }
}
