//! Forgets what has ended: flows, grants, tickets and proofs that no longer count.

use std::{pin::pin, sync::Arc};

use countersign_domain::{
    flow::Flow, grant::Grant, pairing::Ticket, pushed_request::PushedRequest, session::Session,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{StoreError, Tx, Work, lockout, machine, spent_proof};
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;

/// Sweeps every interval until `stopped`. A sweep that fails is told and tried again at the next.
pub(crate) async fn run(app: Arc<App>, stopped: impl Future<Output = ()>) {
    let mut stopped = pin!(stopped);
    let mut ticks = interval(app.settings().expiry_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            _ = ticks.tick() => {}
        }
        match sweep(&app).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "forgot what has ended"),
            Err(error) => tracing::warn!(%error, "could not forget what has ended"),
        }
    }
}

/// The most batches of one sweep, so that it ends even while rows come as fast as they go.
const MAX_BATCHES: u32 = 1_000;

/// One sweep over every table, in small transactions that leave room for others between them.
pub(crate) async fn sweep(app: &App) -> Result<u64, StoreError> {
    let (now, batch) = (app.now(), i64::from(app.settings().expiry_batch));
    let mut rows = 0;
    for _ in 0..MAX_BATCHES {
        let forgotten = app.store().write(Sweep { now, batch }).await?;
        rows += forgotten.rows;
        if !forgotten.full {
            break;
        }
    }
    Ok(rows)
}

/// What one batch has deleted, and whether there may be more.
struct Forgotten {
    rows: u64,
    full: bool,
}

struct Sweep {
    now: Timestamp,
    batch: i64,
}

impl Work for Sweep {
    type Output = Forgotten;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Forgotten, StoreError> {
        let Self { now, batch } = *self;
        let flows = machine::delete_expired::<Flow>(tx, now, batch).await?;
        let grants = machine::delete_expired::<Grant>(tx, now, batch).await?;
        let sessions = machine::delete_expired::<Session>(tx, now, batch).await?;
        let pushed = machine::delete_expired::<PushedRequest>(tx, now, batch).await?;
        let tickets = machine::delete_expired::<Ticket>(tx, now, batch).await?;
        let proofs = spent_proof::delete_expired(tx, now, batch).await?;
        let lockouts = lockout::delete_expired(tx, now, batch).await?;
        let all = [flows, grants, sessions, pushed, tickets, proofs, lockouts];
        let full = all.iter().any(|rows| i64::try_from(*rows).is_ok_and(|rows| rows >= batch));
        Ok(Forgotten { rows: all.iter().sum(), full })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use countersign_domain::{
        application::{GrantType, Kind, Oidc, TokenEndpointAuthMethod},
        authorization::Parameters,
    };
    use countersign_protocol::{
        entropy::SystemEntropy, jose::Algorithm, secret::Secret, time::Clock,
    };

    use super::*;
    use crate::{
        Parts, Settings,
        app::{NewApplication, StartFlow},
        open,
    };

    struct SetClock(AtomicI64);

    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_seconds(self.0.load(Ordering::Relaxed))
        }
    }

    #[tokio::test]
    async fn what_has_ended_is_forgotten_batch_by_batch_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let clock = Arc::new(SetClock(AtomicI64::new(1_700_000_000)));
        let app = open(Parts {
            store: countersign_store::Settings::new(file.display().to_string()),
            key_encryption_key: Secret::new([1; 32]),
            clock: Arc::<SetClock>::clone(&clock),
            entropy: Arc::new(SystemEntropy),
            settings: Settings { expiry_batch: 2, ..Settings::new("https://id.example") },
        })
        .await
        .unwrap();
        let environment = app.create_environment("e").await.unwrap().id;
        let realm = app.realm(environment).await.unwrap().unwrap();
        let new = NewApplication {
            name: "a".to_owned(),
            kind: Kind::Web,
            token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
            grant_types: vec![GrantType::AuthorizationCode],
            redirect_uris: vec![],
            id_token_algorithm: Algorithm::Es256,
            oidc: Oidc::default(),
            mobile: None,
        };
        let application = app.create_application(environment, new).await.unwrap().application;
        let request = StartFlow {
            parameters: Parameters {
                client_id: Some(application.id.to_string()),
                response_type: Some("code".to_owned()),
                response_mode: Some("pi.flow".to_owned()),
                scope: Some("openid".to_owned()),
                code_challenge: Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned()),
                code_challenge_method: Some("S256".to_owned()),
                ..Parameters::default()
            },
            cookie: None,
            session: None,
            correlation: String::new(),
        };
        for _ in 0..5 {
            app.start_flow(&realm, request.clone()).await.unwrap();
        }
        clock.0.fetch_add(900, Ordering::Relaxed);
        app.start_flow(&realm, request).await.unwrap();
        assert_eq!(sweep(&app).await.unwrap(), 5);
        assert_eq!(sweep(&app).await.unwrap(), 0);
    }
}
