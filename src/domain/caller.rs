//! Who is calling.

use super::{
    client::Client,
    id::{ClientId, ProjectId},
    project::Project,
};

/// A caller whose credentials have been checked.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Nobody in particular.
    Anonymous,
    /// A client of a project.
    Client(Box<ClientCaller>),
    /// An operator, who stands outside of every project; without an id whoever has the command line.
    Operator(Option<ClientId>),
    /// An operator who works on the users of one project. Only the command line makes one.
    OperatorOf(Box<Project>),
}

/// How a client has shown who it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientProof {
    /// Not at all: a public client has nothing to show but its id.
    Nothing,
    /// With its secret.
    Secret,
    /// With an access token of its own.
    Token,
}

/// A client that calls, with the project it belongs to.
#[derive(Clone, Debug)]
pub struct ClientCaller {
    /// The client.
    pub client: Client,
    /// Its project. Nothing outside of it can be seen or touched.
    pub project: Project,
    /// How it has shown who it is.
    pub proof: ClientProof,
}

impl ClientCaller {
    /// The scope of every query for this caller.
    pub const fn project_id(&self) -> ProjectId {
        self.project.id
    }
}
