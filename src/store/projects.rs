//! Table `projects`.

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    entity::prelude::*, sea_query::LockType,
};

use super::{StoreError, entity::project};
use crate::domain::{
    id::ProjectId,
    page::{Listed, Page},
    project::Project,
};

/// Projects.
#[derive(Debug)]
pub struct Projects<'c, C>(pub(super) &'c C);

impl<C: ConnectionTrait> Projects<'_, C> {
    /// Adds a project.
    pub async fn insert(&self, project: &Project) -> Result<(), StoreError> {
        project::Entity::insert(row(project)?).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Reads a project.
    pub async fn find(&self, id: ProjectId) -> Result<Option<Project>, StoreError> {
        let row = project::Entity::find_by_id(Uuid::from(id)).one(self.0).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Reads a project and holds the row until the unit of work ends, so that of two changes none is lost. Rows that refer to
    /// the project, such as new users, need not wait.
    pub async fn lock(&self, id: ProjectId) -> Result<Option<Project>, StoreError> {
        let row = project::Entity::find_by_id(Uuid::from(id)).lock(LockType::NoKeyUpdate).one(self.0).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Lists projects, oldest first.
    pub async fn list(&self, page: Page) -> Result<Listed<Project>, StoreError> {
        let mut query = project::Entity::find().order_by_asc(project::Column::Id).limit(u64::from(page.size) + 1);
        if let Some(after) = page.after {
            query = query.filter(project::Column::Id.gt(after));
        }
        let rows = query.all(self.0).await?;
        let projects = rows.into_iter().map(TryInto::try_into).collect::<Result<_, StoreError>>()?;
        Ok(Listed::from_rows(projects, page, |project: &Project| project.id.into()))
    }

    /// Writes a project that was read before.
    pub async fn update(&self, project: &Project) -> Result<(), StoreError> {
        project::Entity::update(row(project)?).exec(self.0).await?;
        Ok(())
    }
}

fn row(project: &Project) -> Result<project::ActiveModel, StoreError> {
    Ok(project::ActiveModel {
        id: Set(project.id.into()),
        name: Set(project.name.clone()),
        settings: Set(serde_json::to_value(&project.settings).map_err(|error| StoreError::corrupt("projects", error))?),
        created_at: Set(project.created_at),
        updated_at: Set(project.updated_at),
    })
}

impl TryFrom<project::Model> for Project {
    type Error = StoreError;

    fn try_from(row: project::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            settings: serde_json::from_value(row.settings).map_err(|error| StoreError::corrupt("projects", error))?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
