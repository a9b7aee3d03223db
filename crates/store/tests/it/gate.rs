//! A gate inside a body: it stops there until the test lets it go on. No test waits for a while, but for an event.

use std::sync::{
    Arc, Mutex,
    mpsc::{Receiver, Sender, channel},
};

/// The side of the body.
#[derive(Clone)]
pub struct Gate(Arc<Ends>);

struct Ends {
    arrived: Sender<()>,
    opened: Mutex<Receiver<()>>,
}

/// The side of the test.
pub struct Keeper {
    arrived: Arc<Mutex<Receiver<()>>>,
    opened: Sender<()>,
}

pub fn gate() -> (Gate, Keeper) {
    let (arrived, arrivals) = channel();
    let (opened, openings) = channel();
    let ends = Ends { arrived, opened: Mutex::new(openings) };
    (Gate(Arc::new(ends)), Keeper { arrived: Arc::new(Mutex::new(arrivals)), opened })
}

impl Gate {
    /// Stops the thread, as a slow statement would; a body on `SQLite` could not await.
    pub fn pass(&self) {
        self.0.arrived.send(()).unwrap();
        self.0.opened.lock().unwrap().recv().unwrap();
    }
}

impl Keeper {
    /// Waits until a body stops at the gate.
    pub async fn arrival(&self) {
        let arrived = Arc::clone(&self.arrived);
        let arrival = tokio::task::spawn_blocking(move || arrived.lock().unwrap().recv().unwrap());
        arrival.await.unwrap();
    }

    /// Lets one body go on, now or when it arrives.
    pub fn open(&self) {
        self.opened.send(()).unwrap();
    }
}
