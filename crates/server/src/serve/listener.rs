//! Takes connections, as many as may be, and counts them.

use std::{
    collections::HashMap,
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use super::{
    Stage,
    connection::{self, Caller, Shared},
};
use crate::http::{
    peer::{network, trusts},
    socket::Held,
};

/// How long to wait when the operating system has no more descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// The open connections of a listener.
pub(super) struct Crowd {
    count: watch::Sender<usize>,
    by_network: Mutex<HashMap<IpAddr, usize>>,
}

impl Crowd {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { count: watch::Sender::new(0), by_network: Mutex::default() })
    }

    /// Waits until there are none.
    pub async fn gone(&self) {
        // The sender is part of `self`.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// A place for one more connection from this network, if it has fewer than `most`.
    fn enter(self: &Arc<Self>, network: IpAddr, most: usize) -> Option<Member> {
        let mut by_network = self.by_network.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_network.entry(network).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(by_network);
        self.count.send_modify(|count| *count += 1);
        Some(Member { crowd: Arc::clone(self), network })
    }
}

/// The place of one connection among those from its network, and among all of the listener.
struct Place {
    _member: Member,
    _permit: Option<OwnedSemaphorePermit>,
}

/// The place of one connection among those from its network.
struct Member {
    crowd: Arc<Crowd>,
    network: IpAddr,
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut by_network = self.crowd.by_network.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_network.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                by_network.remove(&self.network);
            }
        }
        drop(by_network);
        self.crowd.count.send_modify(|count| *count -= 1);
    }
}

/// Takes connections until the server no longer listens, those too that the operating system has taken by then.
pub(super) async fn run(listener: TcpListener, shared: Arc<Shared>, crowd: Arc<Crowd>) {
    let mut stage = shared.stage.clone();
    let ending = async move {
        let _ = stage.wait_for(|stage| matches!(stage, Stage::Draining | Stage::Over)).await;
    };
    let mut ending = pin!(ending);
    let places = Arc::new(Semaphore::new(shared.app.settings().connections.most));
    loop {
        let next = async {
            // An error would mean that the semaphore is closed, which nobody does.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        tokio::select! {
            (place, accepted) = next => match accepted {
                Ok((stream, socket)) => admit(&shared, &crowd, (stream, socket), place),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            () = &mut ending => break,
        }
    }
    while let Some(accepted) = accept_now(&listener).await {
        let place = Arc::clone(&places).try_acquire_owned().ok();
        admit(&shared, &crowd, accepted, place);
    }
}

/// A connection that the operating system has taken already.
async fn accept_now(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    poll_fn(|context| {
        Poll::Ready(match listener.poll_accept(context) {
            Poll::Ready(accepted) => accepted.ok(),
            Poll::Pending => None,
        })
    })
    .await
}

fn admit(
    shared: &Arc<Shared>,
    crowd: &Arc<Crowd>,
    (stream, socket): (TcpStream, SocketAddr),
    place: Option<OwnedSemaphorePermit>,
) {
    let settings = shared.app.settings();
    let is_proxy = trusts(&settings.trusted_proxies, socket.ip());
    let most = if is_proxy { usize::MAX } else { settings.connections.most_per_address };
    let Some(member) = crowd.enter(network(socket.ip()), most) else {
        tracing::debug!(%socket, "a connection was closed: there are too many from its address");
        return;
    };
    let held = Held(Arc::new(Place { _member: member, _permit: place }));
    let shared = Arc::clone(shared);
    tokio::spawn(connection::serve(stream, Caller { socket, held }, shared));
}
