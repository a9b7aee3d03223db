//! Follows the audit log of the bank: which things were done, and what happened last.

use std::{
    collections::{BTreeSet, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use countersign_domain::{
    audit::{Action, Record},
    flow::Flow,
    id::Id,
};
use countersign_protocol::time::Timestamp;
use countersign_server::app::{App, Fault};
use serde::{Deserialize, Serialize};

use crate::{
    Bank, DemoError,
    feed::Feed,
    file,
    handset::Handset,
    mode::Mode,
    thing::{Scene, shown_by},
};

const FILE: &str = "progress.json";

/// Time between two looks at the log.
const TICK: Duration = Duration::from_millis(300);

/// Records of one look.
const PAGE: u32 = 500;

/// The most happenings that are shown.
const LATEST: usize = 8;

/// The most questions of the back end that are known by their flows.
const PAYMENTS: usize = 100;

/// How far the log was read, and what it has shown.
pub struct Progress {
    /// Tells open pages that there is something new.
    pub feed: Feed,
    app: Arc<App>,
    bank: Arc<Bank>,
    path: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    kept: Kept,
    latest: VecDeque<Happening>,
    payments: VecDeque<Id<Flow>>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Kept {
    after: Option<Id<Record>>,
    done: BTreeSet<String>,
}

/// A line of the log, for people.
#[derive(Clone)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// The action, as the log has it.
    pub action: &'static str,
    /// What that means.
    pub meaning: &'static str,
    /// The reason, if one is given.
    pub reason: Option<String>,
    /// Whose it is.
    pub user: Option<String>,
    /// Whether it succeeded.
    pub good: bool,
}

impl Progress {
    /// Goes on where the last start has ended.
    pub fn open(folder: &Path, app: &Arc<App>, bank: &Arc<Bank>) -> Result<Self, DemoError> {
        let path = folder.join(FILE);
        let kept = file::read(&path)?.unwrap_or_default();
        let (app, bank, feed) = (Arc::clone(app), Arc::clone(bank), Feed::new());
        let seen = Mutex::new(Seen { kept, ..Seen::default() });
        Ok(Self { feed, app, bank, path, seen })
    }

    /// The things that were done, and what happened last, newest first.
    pub fn told(&self) -> (BTreeSet<String>, Vec<Happening>) {
        self.with(|seen| (seen.kept.done.clone(), seen.latest.iter().rev().cloned().collect()))
    }

    /// Reads the log for as long as the program runs.
    pub async fn follow(&self, phones: &[Arc<Handset>]) {
        loop {
            match self.look().await {
                Ok(false) => {}
                Ok(true) => {
                    self.feed.bump();
                    // A device may have changed.
                    for phone in phones {
                        phone.feed.bump();
                    }
                    continue;
                }
                Err(error) => tracing::warn!(%error, "the audit log cannot be read"),
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Reads what is new, and says whether there was anything.
    async fn look(&self) -> Result<bool, DemoError> {
        let after = self.with(|seen| seen.kept.after);
        let records = self.app.list_audit(self.bank.environment, after, PAGE).await?;
        if records.is_empty() {
            return Ok(false);
        }
        let mode = Mode::read(&self.app, &self.bank).await?;
        for record in &records {
            let devices = self.devices_of(record).await?;
            self.with(|seen| seen.read(record, mode, devices));
        }
        let kept = self.with(|seen| seen.kept.clone());
        file::write(&self.path, &kept)?;
        Ok(true)
    }

    async fn devices_of(&self, record: &Record) -> Result<usize, Fault> {
        let event = &record.entry.event;
        match &event.user {
            Some(user) if event.action == Action::DeviceCreated => {
                Ok(self.app.list_devices(self.bank.environment, user.id).await?.len())
            }
            _ => Ok(0),
        }
    }

    fn with<T>(&self, read: impl FnOnce(&mut Seen) -> T) -> T {
        read(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen {
    fn read(&mut self, record: &Record, mode: Mode, devices: usize) {
        let event = &record.entry.event;
        if let (Action::AuthenticationCreated, Some(flow)) = (event.action, event.flow) {
            keep(&mut self.payments, flow, PAYMENTS);
        }
        let payment = event.flow.is_some_and(|flow| self.payments.contains(&flow));
        let things = shown_by(event, Scene { mode, devices, payment });
        self.kept.done.extend(things.into_iter().map(str::to_owned));
        self.kept.after = Some(record.id);
        let happening = Happening {
            at: record.entry.recorded_at,
            action: event.action.name(),
            meaning: event.action.meaning(),
            reason: event.reason.clone(),
            user: event.user.as_ref().and_then(|user| user.name.clone()),
            good: event.succeeded,
        };
        keep(&mut self.latest, happening, LATEST);
    }
}

/// Keeps the last so many.
fn keep<T>(kept: &mut VecDeque<T>, one: T, most: usize) {
    if kept.len() == most {
        kept.pop_front();
    }
    kept.push_back(one);
}
