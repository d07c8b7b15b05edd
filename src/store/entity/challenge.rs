//! Table `challenges`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "challenges")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub project_id: Uuid,
    pub user_id: Uuid,
    pub kind: String,
    pub secret_hash: Vec<u8>,
    pub credential_version: i32,
    pub attempts_left: i32,
    pub issued_at: DateTimeUtc,
    pub expires_at: DateTimeUtc,
    pub client_id: Option<Uuid>,
    pub code_id: Option<Uuid>,
    pub wishes: Option<Json>,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    pub email: Option<String>,
    pub code_hash: Option<Vec<u8>>,
    pub sealed: Option<Vec<u8>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
