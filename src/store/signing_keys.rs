//! Table `signing_keys`.

use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select, entity::prelude::*,
};

use super::{StoreError, entity::signing_key};
use crate::{
    clock::Timestamp,
    domain::{
        id::{ProjectId, SigningKeyId},
        signing_key::{KeyUse, StoredKey},
    },
};

/// Signing keys.
#[derive(Debug)]
pub struct SigningKeys<'c, C>(pub(super) &'c C);

/// The keys of a project that have not retired.
pub(super) fn living(project_id: ProjectId, now: Timestamp) -> Select<signing_key::Entity> {
    let living =
        Condition::any().add(signing_key::Column::RetiresAt.is_null()).add(signing_key::Column::RetiresAt.gt(now));
    signing_key::Entity::find()
        .filter(signing_key::Column::ProjectId.eq(Uuid::from(project_id)))
        .filter(living)
        .order_by_asc(signing_key::Column::Id)
}

impl<C: ConnectionTrait> SigningKeys<'_, C> {
    /// Adds a key.
    pub async fn insert(&self, key: &StoredKey) -> Result<(), StoreError> {
        let row = signing_key::ActiveModel {
            id: Set(key.id.into()),
            project_id: Set(key.project_id.into()),
            key_use: Set(key.key_use.as_str().to_owned()),
            sealed: Set(key.sealed.clone()),
            created_at: Set(key.created_at),
            activates_at: Set(key.activates_at),
            replaced_at: Set(key.replaced_at),
            retires_at: Set(key.retires_at),
        };
        signing_key::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// The keys of a project that have not retired, oldest first.
    pub async fn living(&self, project_id: ProjectId, now: Timestamp) -> Result<Vec<StoredKey>, StoreError> {
        living(project_id, now).all(self.0).await?.into_iter().map(TryInto::try_into).collect()
    }

    /// The keys of some projects that have no successor yet. One whose row makes no sense is left out, so that it does not
    /// stand in the way of other projects.
    pub async fn newest(&self, project_ids: &[ProjectId]) -> Result<Vec<StoredKey>, StoreError> {
        let query = signing_key::Entity::find()
            .filter(signing_key::Column::ProjectId.is_in(project_ids.iter().map(|id| Uuid::from(*id))))
            .filter(signing_key::Column::ReplacedAt.is_null());
        Ok(query.all(self.0).await?.into_iter().filter_map(|row| row.try_into().ok()).collect())
    }

    /// All keys of a project, retired ones too, oldest first.
    pub async fn all(&self, project_id: ProjectId) -> Result<Vec<StoredKey>, StoreError> {
        let query = signing_key::Entity::find().filter(signing_key::Column::ProjectId.eq(Uuid::from(project_id)));
        let rows = query.order_by_asc(signing_key::Column::Id).all(self.0).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// A page of the keys of all projects, oldest first: for the check at the start that the master key opens them.
    pub async fn page_of_all(&self, after: Option<SigningKeyId>, limit: u64) -> Result<Vec<StoredKey>, StoreError> {
        let mut query = signing_key::Entity::find().order_by_asc(signing_key::Column::Id).limit(limit);
        if let Some(after) = after {
            query = query.filter(signing_key::Column::Id.gt(Uuid::from(after)));
        }
        query.all(self.0).await?.into_iter().map(TryInto::try_into).collect()
    }

    /// When the newest key of all projects was made. Ids are ordered by time.
    pub async fn newest_created_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let newest = signing_key::Entity::find().order_by_desc(signing_key::Column::Id).one(self.0).await?;
        Ok(newest.map(|row| row.created_at))
    }

    /// Writes when a key stops signing and when it retires.
    pub async fn set_end(&self, key: &StoredKey) -> Result<(), StoreError> {
        let row = signing_key::ActiveModel {
            id: Set(key.id.into()),
            replaced_at: Set(key.replaced_at),
            retires_at: Set(key.retires_at),
            ..Default::default()
        };
        signing_key::Entity::update(row).exec(self.0).await?;
        Ok(())
    }
}

impl TryFrom<signing_key::Model> for StoredKey {
    type Error = StoreError;

    fn try_from(row: signing_key::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            project_id: row.project_id.into(),
            key_use: KeyUse::from_word(&row.key_use).ok_or_else(|| StoreError::corrupt("signing_keys", row.key_use))?,
            sealed: row.sealed,
            created_at: row.created_at,
            activates_at: row.activates_at,
            replaced_at: row.replaced_at,
            retires_at: row.retires_at,
        })
    }
}
