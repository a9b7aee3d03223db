//! The open sockets of this node: as many as may be, and one an installation.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_domain::{environment::Environment, id::Id};
use countersign_protocol::jwk::Thumbprint;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Whose a socket is.
type Owner = (Id<Environment>, Thumbprint);

/// The open sockets.
pub(crate) struct Sockets {
    most: usize,
    free: Arc<Semaphore>,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    taken: HashMap<Owner, (u64, oneshot::Sender<()>)>,
    /// Tells the sockets of one installation apart.
    last: u64,
}

/// The place of one socket, whoever has opened it.
pub(crate) struct Place(#[expect(dead_code, reason = "it is held, not read")] OwnedSemaphorePermit);

/// The socket of an installation that has said who it is.
pub(crate) struct Seat {
    sockets: Arc<Sockets>,
    owner: Owner,
    serial: u64,
    /// Ends when the other half is dropped: with the next socket of the same installation.
    until: oneshot::Receiver<()>,
}

impl Sockets {
    /// Places for so many, and nobody there.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, free: Arc::new(Semaphore::new(most)), seats: Mutex::default() })
    }

    /// A place for one more, if there is one.
    pub fn enter(&self) -> Option<Place> {
        Arc::clone(&self.free).try_acquire_owned().ok().map(Place)
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.most - self.free.available_permits()
    }

    /// How many may be open.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// Makes this the socket of an installation. The one that it had until now learns of it.
    pub fn take_seat(self: &Arc<Self>, owner: Owner) -> Seat {
        let (kept, until) = oneshot::channel();
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.last += 1;
        let serial = seats.last;
        seats.taken.insert(owner, (serial, kept));
        Seat { sockets: Arc::clone(self), owner, serial, until }
    }
}

impl Seat {
    /// Waits until a newer socket has taken its place.
    pub async fn taken(&mut self) {
        let _ = (&mut self.until).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.sockets.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if seats.taken.get(&self.owner).is_some_and(|(serial, _)| *serial == self.serial) {
            seats.taken.remove(&self.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use countersign_protocol::{
        entropy::SystemEntropy, private_key::EcPrivateKey, time::Timestamp,
    };

    use super::*;

    fn owner() -> Owner {
        let id = Id::new(Timestamp::from_unix_seconds(0), &SystemEntropy);
        (id, EcPrivateKey::generate(&SystemEntropy).public().thumbprint())
    }

    fn is_taken(seat: &mut Seat) -> bool {
        let mut taken = std::pin::pin!(seat.taken());
        taken.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn there_are_so_many_places_and_one_that_is_left_is_free() {
        let sockets = Sockets::new(2);
        let places = [sockets.enter().unwrap(), sockets.enter().unwrap()];
        assert!(sockets.enter().is_none());
        assert_eq!(sockets.open(), 2);
        drop(places);
        assert!(sockets.enter().is_some());
        assert_eq!(sockets.open(), 0);
    }

    #[test]
    fn a_newer_socket_takes_the_seat_of_its_installation_and_of_no_other() {
        let sockets = Sockets::new(9);
        let (ann, bob) = (owner(), owner());
        let (mut first, mut other) = (sockets.take_seat(ann), sockets.take_seat(bob));
        let mut second = sockets.take_seat(ann);
        assert!(is_taken(&mut first));
        // The end of the old one is not the end of the new one.
        drop(first);
        assert!(!is_taken(&mut second));
        assert!(!is_taken(&mut other));
        drop((second, other));
        assert!(sockets.seats.lock().unwrap().taken.is_empty());
    }
}
