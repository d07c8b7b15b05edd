//! Tables `clients` and `client_secrets`.

pub(super) mod callers;

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    entity::prelude::*,
};

use super::{
    StoreError,
    entity::{client, client_secret},
};
use crate::{
    crypto::secret_token::SecretHash,
    domain::{
        client::{Client, ClientSecret, ClientType, RefreshTokenFormat, TokenDelivery, TokenProfile},
        id::{ClientId, ClientSecretId, ProjectId},
        page::{Listed, Page},
    },
};

/// Clients and their secrets.
#[derive(Debug)]
pub struct Clients<'c, C>(pub(super) &'c C);

impl<C: ConnectionTrait> Clients<'_, C> {
    /// Adds a client.
    pub async fn insert(&self, client: &Client) -> Result<(), StoreError> {
        let row = client::ActiveModel {
            id: Set(client.id.into()),
            project_id: Set(client.project_id.into()),
            name: Set(client.name.clone()),
            client_type: Set(client.client_type.as_str().to_owned()),
            refresh_token_format: Set(client.refresh_token_format.as_str().to_owned()),
            token_profile: Set(client.token_profile.as_str().to_owned()),
            token_delivery: Set(client.token_delivery.as_str().to_owned()),
            created_at: Set(client.created_at),
        };
        client::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Reads a client by its id alone: the caller proves by its secret that the id is its own.
    pub async fn find_for_authentication(&self, id: ClientId) -> Result<Option<Client>, StoreError> {
        client::Entity::find_by_id(Uuid::from(id)).one(self.0).await?.map(TryInto::try_into).transpose()
    }

    /// Reads a client of a project.
    pub async fn find(&self, project_id: ProjectId, id: ClientId) -> Result<Option<Client>, StoreError> {
        let query = client::Entity::find_by_id(Uuid::from(id));
        let row = query.filter(client::Column::ProjectId.eq(Uuid::from(project_id))).one(self.0).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Lists the clients of a project, oldest first.
    pub async fn list(&self, project_id: ProjectId, page: Page) -> Result<Listed<Client>, StoreError> {
        let mut query = client::Entity::find()
            .filter(client::Column::ProjectId.eq(Uuid::from(project_id)))
            .order_by_asc(client::Column::Id)
            .limit(u64::from(page.size) + 1);
        if let Some(after) = page.after {
            query = query.filter(client::Column::Id.gt(after));
        }
        let rows = query.all(self.0).await?;
        let clients = rows.into_iter().map(TryInto::try_into).collect::<Result<_, StoreError>>()?;
        Ok(Listed::from_rows(clients, page, |client: &Client| client.id.into()))
    }

    /// True if refresh tokens of some client of the project are JWTs.
    pub async fn any_with_jwt_refresh_tokens(&self, project_id: ProjectId) -> Result<bool, StoreError> {
        let query = client::Entity::find()
            .filter(client::Column::ProjectId.eq(Uuid::from(project_id)))
            .filter(client::Column::RefreshTokenFormat.eq(RefreshTokenFormat::Jwt.as_str()));
        Ok(query.limit(1).one(self.0).await?.is_some())
    }

    /// True if tokens of some client of the project have to be signed with RS256.
    pub async fn any_that_needs_rs256(&self, project_id: ProjectId) -> Result<bool, StoreError> {
        let profiles = TokenProfile::ALL.into_iter().filter(|profile| profile.needs_rs256());
        let query = client::Entity::find()
            .filter(client::Column::ProjectId.eq(Uuid::from(project_id)))
            .filter(client::Column::TokenProfile.is_in(profiles.map(TokenProfile::as_str)));
        Ok(query.limit(1).one(self.0).await?.is_some())
    }

    /// Deletes a client with all that hangs on it; false if there is none.
    pub async fn delete(&self, project_id: ProjectId, id: ClientId) -> Result<bool, StoreError> {
        let query = client::Entity::delete_by_id(Uuid::from(id));
        let deleted = query.filter(client::Column::ProjectId.eq(Uuid::from(project_id))).exec(self.0).await?;
        Ok(deleted.rows_affected > 0)
    }

    /// Adds a secret to a client.
    pub async fn insert_secret(
        &self,
        project_id: ProjectId,
        secret: &ClientSecret,
        hash: &SecretHash,
    ) -> Result<(), StoreError> {
        let row = client_secret::ActiveModel {
            id: Set(secret.id.into()),
            project_id: Set(project_id.into()),
            client_id: Set(secret.client_id.into()),
            secret_hash: Set(hash.0.to_vec()),
            created_at: Set(secret.created_at),
        };
        client_secret::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// The secrets of some clients, oldest first.
    pub async fn secrets(&self, clients: &[Client]) -> Result<Vec<ClientSecret>, StoreError> {
        let ids = clients.iter().map(|client| Uuid::from(client.id));
        let query = client_secret::Entity::find().filter(client_secret::Column::ClientId.is_in(ids));
        let rows = query.order_by_asc(client_secret::Column::Id).all(self.0).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Deletes a secret; false if there is none.
    pub async fn delete_secret(&self, client_id: ClientId, id: ClientSecretId) -> Result<bool, StoreError> {
        let query = client_secret::Entity::delete_by_id(Uuid::from(id));
        let deleted = query.filter(client_secret::Column::ClientId.eq(Uuid::from(client_id))).exec(self.0).await?;
        Ok(deleted.rows_affected > 0)
    }
}

impl TryFrom<client::Model> for Client {
    type Error = StoreError;

    fn try_from(row: client::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            project_id: row.project_id.into(),
            name: row.name,
            client_type: ClientType::from_word(&row.client_type)
                .ok_or_else(|| StoreError::corrupt("clients", row.client_type))?,
            refresh_token_format: RefreshTokenFormat::from_word(&row.refresh_token_format)
                .ok_or_else(|| StoreError::corrupt("clients", row.refresh_token_format))?,
            token_profile: TokenProfile::from_word(&row.token_profile)
                .ok_or_else(|| StoreError::corrupt("clients", row.token_profile))?,
            token_delivery: TokenDelivery::from_word(&row.token_delivery)
                .ok_or_else(|| StoreError::corrupt("clients", row.token_delivery))?,
            created_at: row.created_at,
        })
    }
}

impl From<client_secret::Model> for ClientSecret {
    fn from(row: client_secret::Model) -> Self {
        Self { id: row.id.into(), client_id: row.client_id.into(), created_at: row.created_at }
    }
}
