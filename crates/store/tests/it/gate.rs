//! A gate inside a body: it stops there until the test lets it go on. No test waits for a while, but for an event.

use std::sync::Arc;

use countersign_store::Engine;
use tokio::sync::{
    Mutex,
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// The side of the body.
#[derive(Clone)]
pub struct Gate {
    arrived: UnboundedSender<()>,
    opened: Arc<Mutex<UnboundedReceiver<()>>>,
}

/// The side of the test.
pub struct Keeper {
    arrived: UnboundedReceiver<()>,
    opened: UnboundedSender<()>,
}

pub fn gate() -> (Gate, Keeper) {
    let (arrived, arrivals) = unbounded_channel();
    let (opened, openings) = unbounded_channel();
    let gate = Gate { arrived, opened: Arc::new(Mutex::new(openings)) };
    (gate, Keeper { arrived: arrivals, opened })
}

impl Gate {
    /// Stops the body as a slow statement of its engine would: on `SQLite` with the thread.
    pub async fn pass(&self, engine: Engine) {
        self.arrived.send(()).unwrap();
        let opening = match engine {
            Engine::Sqlite => self.opened.blocking_lock().blocking_recv(),
            Engine::Postgres => self.opened.lock().await.recv().await,
        };
        opening.unwrap();
    }
}

impl Keeper {
    /// Waits until a body stops at the gate.
    pub async fn arrival(&mut self) {
        self.arrived.recv().await.unwrap();
    }

    /// Lets one body go on, now or when it arrives.
    pub fn open(&self) {
        self.opened.send(()).unwrap();
    }
}
