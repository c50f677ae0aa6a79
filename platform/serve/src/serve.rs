//! Bringing the servers of a node up, and down again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::config::{Listen, Ports};
use crate::http::HttpServer;
use crate::listen::{ListenError, listen};
use crate::node::Node;
use crate::resp::RespServer;

/// How long requests in flight may take after the end has begun.
pub const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Listeners that are open and not served yet.
#[derive(Debug, Default)]
pub struct Listeners {
    http: Option<TcpListener>,
    resp: Option<TcpListener>,
    #[cfg(feature = "zeromq")]
    zeromq: Option<TcpListener>,
}

impl Listeners {
    /// Opens what is not off. All or nothing: with one address taken none is kept.
    ///
    /// # Errors
    /// Names the flag and the address that cannot be listened on.
    pub async fn open(
        http: &Listen,
        resp: &Listen,
        #[cfg_attr(not(feature = "zeromq"), expect(unused_variables, reason = "always off then"))]
        zeromq: &Listen,
    ) -> Result<Self, ListenError> {
        Ok(Self {
            http: open("http", http).await?,
            resp: open("resp", resp).await?,
            #[cfg(feature = "zeromq")]
            zeromq: open("zeromq", zeromq).await?,
        })
    }

    /// The addresses in use; the link's is its driver's to add.
    #[must_use]
    pub fn ports(&self) -> Ports {
        let address = |listener: &Option<TcpListener>| -> Option<SocketAddr> {
            listener.as_ref().and_then(|listener| listener.local_addr().ok())
        };
        Ports {
            http: address(&self.http),
            resp: address(&self.resp),
            link: None,
            #[cfg(feature = "zeromq")]
            zeromq: address(&self.zeromq),
            #[cfg(not(feature = "zeromq"))]
            zeromq: None,
        }
    }

    /// Serves in tasks of the current runtime until the node's shutdown begins.
    pub fn serve(self, node: &Arc<Node>) {
        if let Some(listener) = self.http {
            tokio::spawn(HttpServer::new(Arc::clone(node), listener).run());
        }
        if let Some(listener) = self.resp {
            tokio::spawn(RespServer::new(Arc::clone(node), listener).run());
        }
        #[cfg(feature = "zeromq")]
        if let Some(listener) = self.zeromq {
            tokio::spawn(crate::zeromq::run(Arc::clone(node), listener));
        }
    }
}

async fn open(flag: &'static str, listen_on: &Listen) -> Result<Option<TcpListener>, ListenError> {
    match listen_on {
        Listen::Off => Ok(None),
        Listen::At(address) => listen(flag, address).await.map(Some),
    }
}

/// Ends all connections: each answers what it has read. Returns how many were still at work when
/// the patience ended.
pub async fn stop(node: &Node) -> usize {
    node.shutdown.begin();
    node.shutdown.finished(STOP_PATIENCE).await
}
