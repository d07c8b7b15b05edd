//! Clients as they are printed.

use serde::Serialize;

use crate::{
    cli::output::{Record, time},
    domain::client::Operator,
    usecase::clients::ClientWithSecrets,
};

/// A client with its new secret.
#[derive(Serialize)]
pub(super) struct NewClient {
    pub(super) client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_secret: Option<String>,
    #[serde(rename = "type")]
    pub(super) client_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) project_id: Option<String>,
}

impl Record for NewClient {
    const HEADINGS: &'static [&'static str] = &["client", "secret", "type", "name", "project"];

    fn cells(&self) -> Vec<String> {
        let optional = |cell: &Option<String>| cell.clone().unwrap_or_default();
        vec![
            self.client_id.clone(),
            optional(&self.client_secret),
            self.client_type.to_owned(),
            optional(&self.name),
            optional(&self.project_id),
        ]
    }
}

/// A client in a list.
#[derive(Serialize)]
pub(super) struct ClientRecord {
    client_id: String,
    name: String,
    #[serde(rename = "type")]
    client_type: &'static str,
    secrets: Vec<SecretRecord>,
    created_at: String,
}

/// A secret without its value.
#[derive(Serialize)]
struct SecretRecord {
    secret_id: String,
    created_at: String,
}

impl From<ClientWithSecrets> for ClientRecord {
    fn from(known: ClientWithSecrets) -> Self {
        let secrets = known.secrets.iter();
        let secrets = secrets
            .map(|secret| SecretRecord { secret_id: secret.id.to_string(), created_at: time(secret.created_at) });
        Self {
            client_id: known.client.id.to_string(),
            secrets: secrets.collect(),
            name: known.client.name,
            client_type: known.client.client_type.as_str(),
            created_at: time(known.client.created_at),
        }
    }
}

impl Record for ClientRecord {
    const HEADINGS: &'static [&'static str] = &["client", "type", "secrets", "created", "name"];

    fn cells(&self) -> Vec<String> {
        let secrets = self.secrets.len().to_string();
        vec![self.client_id.clone(), self.client_type.to_owned(), secrets, self.created_at.clone(), self.name.clone()]
    }
}

/// An operator in a list.
#[derive(Serialize)]
pub(super) struct OperatorRecord {
    client_id: String,
    name: String,
    #[serde(rename = "type")]
    client_type: &'static str,
    created_at: String,
}

impl From<Operator> for OperatorRecord {
    fn from(operator: Operator) -> Self {
        Self {
            client_id: operator.id.to_string(),
            name: operator.name,
            client_type: "operator",
            created_at: time(operator.created_at),
        }
    }
}

impl Record for OperatorRecord {
    const HEADINGS: &'static [&'static str] = &["client", "type", "created", "name"];

    fn cells(&self) -> Vec<String> {
        vec![self.client_id.clone(), self.client_type.to_owned(), self.created_at.clone(), self.name.clone()]
    }
}

/// A client that was deleted.
#[derive(Serialize)]
pub(super) struct DeletedClient {
    pub(super) client_id: String,
}

impl Record for DeletedClient {
    const HEADINGS: &'static [&'static str] = &["client"];

    fn cells(&self) -> Vec<String> {
        vec![self.client_id.clone()]
    }
}
