//! The bank's web site: an OpenID Connect client with sessions of its own, and a back end that asks phones about payments.

mod ledger;
mod payment;
mod sign_on;

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use countersign_protocol::{
    encoding,
    entropy::{SystemEntropy, random},
    secret::Secret,
};
use countersign_server::app::App;
use reqwest::Client;

use self::{ledger::money, payment::Payments, sign_on::Begun};
pub use self::{
    ledger::{Account, Entry, overview},
    payment::{Order, PaymentState},
    sign_on::SignOnError,
};
use crate::{Bank, DemoError, bank::addresses, file};

/// The most visitors that are signed in, and sign-ons that have begun. The oldest is forgotten.
const MOST: usize = 200;

/// The web site.
pub struct Site {
    bank: Arc<Bank>,
    issuer: String,
    callback: String,
    home: String,
    client: Client,
    payments: Arc<Payments>,
    visits: Mutex<Visits>,
}

#[derive(Default)]
struct Visits {
    begun: VecDeque<Begun>,
    sessions: VecDeque<(String, Visitor)>,
}

/// Somebody who is signed in.
#[derive(Clone)]
pub struct Visitor {
    /// The subject of the ID token.
    pub id: String,
    /// What the person is called.
    pub name: String,
    /// How the person was authenticated (RFC 8176).
    pub amr: Vec<String>,
    /// For signing out.
    id_token: Secret<String>,
}

impl Site {
    /// The site of a bank, with the payments of earlier starts.
    pub fn open(folder: &Path, app: &App, bank: Arc<Bank>) -> Result<Self, DemoError> {
        let (callback, home) = addresses(&bank.url);
        let client = Client::builder()
            .timeout(std::time::Duration::from_mins(1))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| DemoError::Network(error.to_string()))?;
        let path: PathBuf = folder.join("payments.json");
        let payments = Arc::new(Payments::new(file::read(&path)?.unwrap_or_default(), path));
        let issuer = bank.issuer(app);
        let visits = Mutex::default();
        Ok(Self { bank, issuer, callback, home, client, payments, visits })
    }

    /// Who has this session.
    pub fn visitor(&self, session: &str) -> Option<Visitor> {
        self.visits(|visits| {
            let found = visits.sessions.iter().find(|(id, _)| id == session);
            found.map(|(_, visitor)| visitor.clone())
        })
    }

    /// The payments of a customer that have been approved, newest first.
    pub fn paid_by(&self, user: &str) -> Vec<Order> {
        self.payments.paid_by(user)
    }

    fn visits<T>(&self, change: impl FnOnce(&mut Visits) -> T) -> T {
        change(&mut self.visits.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A value that nobody guesses.
fn unguessable() -> String {
    encoding::encode(random::<32>(&SystemEntropy))
}

/// Keeps the last so many.
fn keep<T>(kept: &mut VecDeque<T>, one: T) {
    if kept.len() == MOST {
        kept.pop_front();
    }
    kept.push_back(one);
}
