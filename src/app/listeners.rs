//! The three listeners.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::BuildError;
use crate::config::{
    Setting,
    listen::{EdgeConfig, ListenConfig},
};

/// Where the service listens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// The gRPC API.
    pub grpc: SocketAddr,
    /// The REST API.
    pub rest: SocketAddr,
    /// Health and metrics.
    pub ops: SocketAddr,
}

/// Bound ports. The system queues connections from now on.
#[derive(Debug)]
pub struct Listeners {
    grpc: TcpListener,
    rest: TcpListener,
    ops: TcpListener,
    addresses: Addresses,
}

impl Listeners {
    /// Binds all three, or none.
    pub async fn bind(config: &ListenConfig) -> Result<Self, BuildError> {
        let (grpc, grpc_addr) = bind("grpc-addr", config.grpc_addr).await?;
        let (rest, rest_addr) = bind("rest-addr", config.edge.rest_addr).await?;
        let (ops, ops_addr) = bind("ops-addr", config.edge.ops_addr).await?;
        Ok(Self { grpc, rest, ops, addresses: Addresses { grpc: grpc_addr, rest: rest_addr, ops: ops_addr } })
    }

    /// Where they listen: with the port that was free, where port 0 was asked for.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// gRPC, REST, operations.
    pub(super) fn into_parts(self) -> (TcpListener, TcpListener, TcpListener) {
        (self.grpc, self.rest, self.ops)
    }
}

/// Binds the listeners of REST and operations, in this order.
pub(super) async fn bind_edge(config: &EdgeConfig) -> Result<(TcpListener, TcpListener), BuildError> {
    let (rest, _) = bind("rest-addr", config.rest_addr).await?;
    let (ops, _) = bind("ops-addr", config.ops_addr).await?;
    Ok((rest, ops))
}

async fn bind(flag: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), BuildError> {
    let fail = |source| BuildError::Bind { setting: Setting::new(flag), address, source };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    Ok((listener, bound))
}
