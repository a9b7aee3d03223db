//! Forgets what has ended: flows, grants, tickets, proofs and revoked tokens that no longer count.

use std::{pin::pin, sync::Arc};

use countersign_domain::{
    authentication_code::AuthenticationCode, device_code::DeviceCode, flow::Flow, grant::Grant,
    pairing::Ticket, pairing_key::PairingKey, pushed_request::PushedRequest, session::Session,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    StoreError, Tx, Work, challenge, device_log, grant as grants, lockout, machine, push_health,
    push_limit, revoked_token, spent_jwt, spent_proof, wakes,
};
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;

/// Sweeps every interval until `stopped`. A sweep that fails is told and tried again at the next.
pub(crate) async fn run(app: Arc<App>, stopped: impl Future<Output = ()>) {
    let mut stopped = pin!(stopped);
    let meter = app.metrics().worker("expiry");
    let mut ticks = interval(app.settings().expiry_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            _ = ticks.tick() => {}
        }
        match sweep(&app).await {
            Ok(Forgotten { rows, full }) => {
                meter.ran(app.now(), rows);
                meter.left(if full { app.settings().expiry_batch.into() } else { 0 });
                tracing::debug!(rows, "forgot what has ended");
            }
            Err(error) => {
                meter.failed();
                tracing::warn!(%error, "could not forget what has ended");
            }
        }
    }
}

/// How long it is kept what other nodes may wait for, in seconds; they look several times a second.
const WAKES_SECONDS: i64 = 60;

/// The most batches of one sweep, so that it ends even while rows come as fast as they go.
const MAX_BATCHES: u32 = 1_000;

/// One sweep over every table, in small transactions that leave room for others between them.
pub(crate) async fn sweep(app: &App) -> Result<Forgotten, StoreError> {
    let (now, batch) = (app.now(), i64::from(app.settings().expiry_batch));
    let mut all = Forgotten { rows: 0, full: false };
    for _ in 0..MAX_BATCHES {
        let forgotten = app.store().write(Sweep { now, batch }).await?;
        all = Forgotten { rows: all.rows + forgotten.rows, full: forgotten.full };
        if !all.full {
            break;
        }
    }
    Ok(all)
}

/// What was deleted, and whether there may be more.
pub(crate) struct Forgotten {
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
        let all = [
            machine::delete_expired::<Flow>(tx, now, batch).await?,
            machine::delete_expired::<Grant>(tx, now, batch).await?,
            grants::delete_expired_lasting(tx, now, batch).await?,
            machine::delete_expired::<Session>(tx, now, batch).await?,
            machine::delete_expired::<PushedRequest>(tx, now, batch).await?,
            machine::delete_expired::<DeviceCode>(tx, now, batch).await?,
            machine::delete_expired::<Ticket>(tx, now, batch).await?,
            machine::delete_expired::<PairingKey>(tx, now, batch).await?,
            spent_proof::delete_expired(tx, now, batch).await?,
            spent_jwt::delete_expired(tx, now, batch).await?,
            revoked_token::delete_expired(tx, now, batch).await?,
            lockout::delete_expired(tx, now, batch).await?,
            challenge::delete_expired(tx, now, batch).await?,
            machine::delete_expired::<AuthenticationCode>(tx, now, batch).await?,
            push_limit::delete_expired(tx, now, batch).await?,
            device_log::delete_expired(tx, now, batch).await?,
            push_health::delete_expired(tx, now, batch).await?,
            wakes::delete_before(tx, now.minus_seconds(WAKES_SECONDS), batch).await?,
        ];
        let full = all.iter().any(|rows| i64::try_from(*rows).is_ok_and(|rows| rows >= batch));
        Ok(Forgotten { rows: all.iter().sum(), full })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::atomic::{AtomicI64, Ordering},
    };

    use countersign_domain::{
        application::{GrantType, Kind, Oidc, TokenEndpointAuthMethod},
        authorization::Parameters,
        device_code,
        environment::Environment,
        flow::Identity,
        grant::State,
        id::Id,
    };
    use countersign_protocol::{
        entropy::SystemEntropy, jose::Algorithm, secret::Secret, time::Clock,
    };

    use countersign_store::device_code as device_codes;

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

    async fn app_in(folder: &Path, clock: &Arc<SetClock>) -> Arc<App> {
        let file = folder.join("x.db");
        open(Parts {
            store: countersign_store::Settings::new(file.display().to_string()),
            key_encryption_key: Secret::new([1; 32]),
            clock: Arc::<SetClock>::clone(clock),
            entropy: Arc::new(SystemEntropy),
            settings: Settings { expiry_batch: 2, ..Settings::new("https://id.example") },
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn what_has_ended_is_forgotten_batch_by_batch_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SetClock(AtomicI64::new(1_700_000_000)));
        let app = app_in(folder.path(), &clock).await;
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
        assert_eq!(sweep(&app).await.unwrap().rows, 5);
        assert_eq!(sweep(&app).await.unwrap().rows, 0);
    }

    /// Something of each kind that lives for its own time, one of which has ended.
    struct Leave {
        environment: Id<Environment>,
        now: Timestamp,
    }

    impl Work for Leave {
        type Output = ();
        type Error = StoreError;

        async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
            for (n, until) in [(1, self.now), (2, self.now.plus_seconds(1))] {
                let grant = grant(self.environment, n, until);
                grants::insert_redeemed(tx, &grant).await?;
                let token_id = n.to_string();
                let key = revoked_token::Key {
                    environment: self.environment,
                    expires_at: until,
                    token_id: &token_id,
                };
                revoked_token::insert(tx, key).await?;
                let code = DeviceCode {
                    id: Id::from_bytes([n; 16]),
                    environment: self.environment,
                    application: grant.application,
                    scopes: vec![],
                    access: None,
                    issued_at: self.now,
                    expires_at: until,
                    state: device_code::State::Denied,
                };
                device_codes::insert(tx, &code, &[n; 32]).await?;
            }
            Ok(())
        }
    }

    /// A grant whose refresh tokens end then.
    fn grant(environment: Id<Environment>, n: u8, refresh_until: Timestamp) -> Grant {
        let identity = Identity::named(Id::from_bytes([1; 16]));
        let at = refresh_until;
        Grant {
            id: Id::from_bytes([n; 16]),
            environment,
            application: Id::from_bytes([1; 16]),
            identity,
            scopes: vec![],
            access: None,
            acr: String::new(),
            nonce: None,
            redirect_uri: None,
            code_challenge: None,
            installation: None,
            session: None,
            confirmation: None,
            issued_at: at,
            state: State::Refreshable {
                generation: 1,
                rotated_at: at,
                access_until: at,
                refresh_until,
            },
        }
    }

    #[tokio::test]
    async fn refresh_tokens_revocations_and_device_codes_are_forgotten_each_in_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SetClock(AtomicI64::new(1_700_000_000)));
        let app = app_in(folder.path(), &clock).await;
        let environment = app.create_environment("e").await.unwrap().id;
        app.store().write(Leave { environment, now: app.now() }).await.unwrap();
        assert_eq!(sweep(&app).await.unwrap().rows, 3);
        assert_eq!(sweep(&app).await.unwrap().rows, 0);
        clock.0.fetch_add(1, Ordering::Relaxed);
        assert_eq!(sweep(&app).await.unwrap().rows, 3);
    }
}
