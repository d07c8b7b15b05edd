//! Who calls: a client with its project, in one statement, because every call begins with it.

use sea_orm::{
    ConnectionTrait, Order, Statement,
    entity::prelude::*,
    sea_query::{ExprTrait as _, Query, SelectStatement},
};

use super::{
    super::{
        StoreError,
        entity::{client, client_secret, project},
        joined::{Columns, columns_of},
        kept_statement::KeptStatement,
    },
    Clients,
};
use crate::{
    crypto::secret_token::SecretHash,
    domain::{
        client::{Client, ClientType, TokenProfile},
        id::{ClientId, ProjectId},
        project::Project,
    },
};

fn with_projects() -> SelectStatement {
    let mut query = Query::select();
    columns_of::<client::Model>(&mut query);
    columns_of::<project::Model>(&mut query);
    query.from(client::Entity).inner_join(
        project::Entity,
        Expr::col((client::Entity, client::Column::ProjectId)).equals((project::Entity, project::Column::Id)),
    );
    query
}

/// The look-up of every call that is made with a secret.
pub(in crate::store) fn by_secret(hash: &SecretHash) -> SelectStatement {
    let mut query = with_projects();
    query
        .inner_join(
            client_secret::Entity,
            Expr::col((client_secret::Entity, client_secret::Column::ClientId))
                .equals((client::Entity, client::Column::Id)),
        )
        .and_where(Expr::col((client_secret::Entity, client_secret::Column::SecretHash)).eq(hash.0.to_vec()));
    query
}

/// The look-up of every call of a public client, or with a client's token.
pub(in crate::store) fn by_id(id: ClientId) -> SelectStatement {
    let mut query = with_projects();
    query.and_where(Expr::col((client::Entity, client::Column::Id)).eq(Uuid::from(id)));
    query
}

/// The look-up of every call of an application that names its project instead of itself.
pub(in crate::store) fn public_of_profile(project_id: ProjectId, profile: TokenProfile) -> SelectStatement {
    let of = |column| Expr::col((client::Entity, column));
    let mut query = with_projects();
    query
        .and_where(of(client::Column::ProjectId).eq(Uuid::from(project_id)))
        .and_where(of(client::Column::ClientType).eq(ClientType::Public.as_str()))
        .and_where(of(client::Column::TokenProfile).eq(profile.as_str()))
        .order_by((client::Entity, client::Column::Id), Order::Asc)
        .limit(1);
    query
}

impl<C: ConnectionTrait> Clients<'_, C> {
    /// The client whose secret has that hash, and its project.
    pub async fn caller_with_secret(&self, hash: &SecretHash) -> Result<Option<(Client, Project)>, StoreError> {
        static QUERY: KeptStatement = KeptStatement::new();
        self.caller(QUERY.with(self.0, [hash.0.to_vec().into()], || by_secret(hash))).await
    }

    /// The client of that id, in whatever project: the caller proves by something else that it is its own.
    pub async fn caller_named(&self, id: ClientId) -> Result<Option<(Client, Project)>, StoreError> {
        static QUERY: KeptStatement = KeptStatement::new();
        self.caller(QUERY.with(self.0, [Uuid::from(id).into()], || by_id(id))).await
    }

    /// The oldest public client of a project whose tokens have that profile.
    pub async fn oldest_public(
        &self,
        project_id: ProjectId,
        profile: TokenProfile,
    ) -> Result<Option<(Client, Project)>, StoreError> {
        static QUERY: KeptStatement = KeptStatement::new();
        let values =
            [Uuid::from(project_id).into(), ClientType::Public.as_str().into(), profile.as_str().into(), 1_u64.into()];
        self.caller(QUERY.with(self.0, values, || public_of_profile(project_id, profile))).await
    }

    async fn caller(&self, query: Statement) -> Result<Option<(Client, Project)>, StoreError> {
        let Some(row) = self.0.query_one_raw(query).await? else { return Ok(None) };
        let mut columns = Columns::after(0, &row);
        let (client, project): (client::Model, project::Model) = (columns.joined()?, columns.joined()?);
        Ok(Some((client.try_into()?, project.try_into()?)))
    }
}
