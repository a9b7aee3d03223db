//! Accepts connections, a bounded number at a time, until its owner is dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::StartError;

/// So many connections are open at a time; the next ones wait to be accepted.
const MAX_CONNECTIONS: usize = 1_024;

/// TLS must be agreed on within this time.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// A socket that is listened on. All its connections end with it.
pub struct Listener {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Listener {
    pub async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
        let refused = |error| StartError::Listen(address, error);
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok((listener, address))
    }

    pub fn start<S>(
        (listener, address): (TcpListener, SocketAddr),
        serve: impl Fn(TcpStream) -> S + Send + 'static,
    ) -> Self
    where
        S: Future<Output = ()> + Send + 'static,
    {
        let accepting = tokio::spawn(async move {
            let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
            let mut connections = JoinSet::new();
            while let Ok(place) = Arc::clone(&room).acquire_owned().await {
                while connections.try_join_next().is_some() {}
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let _ = stream.set_nodelay(true);
                        let served = serve(stream);
                        connections.spawn(async move {
                            served.await;
                            drop(place);
                        });
                    }
                    // The system has no file for it: let others end first.
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        Self { address, accepting }
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
