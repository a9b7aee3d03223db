//! What an audit record costs. Prints figures and decides nothing: `cargo test -p countersign-store --release audit_cost -- --ignored --nocapture`.

use std::time::Instant;

use countersign_domain::{
    audit::{Action, Entry, Event, Mention, Record, Source},
    environment::Environment,
    id::Id,
};
use countersign_protocol::entropy::SystemEntropy;
use countersign_store::{Engine, StoreError, Tx, Work, audit, migrate};

use crate::engines::{Database, NOW};

const FLOWS: u32 = 20_000;
const CALLERS: u32 = 64;

/// The two records of one sign-on by a paired phone, and nothing else.
struct SignOn {
    records: [Record; 2],
}

impl Work for SignOn {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        for record in &self.records {
            audit::insert(tx, record).await?;
        }
        Ok(())
    }
}

/// With everything that a record says, or with the least.
fn record(n: u32, environment: Id<Environment>, action: Action, whole: bool) -> Record {
    let now = NOW.plus_seconds(i64::from(n / 5_000));
    let new_id = || Id::<Record>::new(now, &SystemEntropy);
    let mention = |name: &str| whole.then(|| name.to_owned());
    let event = Event::of(action, Some("device_authorized"))
        .through(Mention { id: new_id().cast(), name: mention("Bank app") })
        .about(Mention { id: new_id().cast(), name: mention("ann@bank.example") })
        .on(Mention { id: new_id().cast(), name: mention("Pixel 9") });
    let event = if whole { event.within(new_id().cast()) } else { event };
    let agent = "Bank/5.1 (Android 16; Pixel 9) Countersign/0.1.0";
    let source = Source::of(Some([192, 0, 2, 7].into()), Some(agent)).filter(|_| whole);
    let correlation = new_id().to_string();
    let entry = Entry { recorded_at: now, correlation, source, by: None, event };
    Record { id: new_id(), environment, entry }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
#[expect(clippy::disallowed_methods, reason = "measures")]
async fn audit_cost() {
    for whole in [false, true, false, true] {
        let database = Database::empty(Engine::Sqlite).await;
        migrate::run(&database.store, NOW).await.unwrap();
        let environment = Id::new(NOW, &SystemEntropy);
        let bytes =
            serde_json::to_string(&record(0, environment, Action::AccessAllowed, whole).entry);
        let start = Instant::now();
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            let store = database.store.clone();
            callers.spawn(async move {
                for n in (caller..FLOWS).step_by(64) {
                    let record = |action| record(n, environment, action, whole);
                    let records = [Action::DeviceAuthorized, Action::AccessAllowed].map(record);
                    store.write(SignOn { records }).await.unwrap();
                }
            });
        }
        callers.join_all().await;
        let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(FLOWS);
        println!(
            "whole: {whole}, {} bytes a record, {micros:.1} us for two records",
            bytes.unwrap().len()
        );
        database.remove().await;
    }
}
