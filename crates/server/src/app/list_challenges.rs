//! The challenges that wait for an installation: what a phone pulls, with or without a push message before.

use std::sync::Arc;

use countersign_domain::{
    challenge::{Challenge, Question},
    device::Device,
    environment::Environment,
    id::Id,
};
use countersign_protocol::{
    challenge::{
        ChallengesRequest, ChallengesResponse, MAX_KNOWN, MAX_WAIT_SECONDS, PendingChallenge,
        Statement,
    },
    jose::Algorithm,
    jwk::Thumbprint,
    mobile_payload::PushService,
    pairing::{Reference, UserFacts},
    push::{Hint, PushMessage},
};
use countersign_store::{StoreError, Tx, Versioned, Work, challenge, device};
use tokio::time::{Duration, Instant};

use super::{
    App, DeviceCall, DeviceCallError, Fault, Realm,
    challenge::phone_topic,
    installation::{Proved, answer, peek_at, spend},
    pair_installation::name,
};

/// What waits for an installation.
#[derive(Default)]
pub(super) struct Waiting {
    /// Questions to the person.
    visible: Vec<Challenge>,
    /// Silent questions, for phones that the platform reaches without a push service.
    silent: Vec<Challenge>,
}

impl Waiting {
    /// The questions of both kinds, by their ids.
    pub fn ids(&self) -> Vec<Id<Challenge>> {
        self.visible.iter().chain(&self.silent).map(|challenge| challenge.id).collect()
    }
}

impl App {
    /// What waits for an installation: what `POST D/challenges` answers, as soon as there is something that the phone does not
    /// know, or what it knows waits no more.
    pub async fn list_challenges(
        &self,
        realm: &Arc<Realm>,
        request: DeviceCall,
    ) -> Result<String, DeviceCallError> {
        let peeked = peek_at::<ChallengesRequest>(realm, &request, self.now())?;
        let key = self.key_of(realm, &peeked).await?;
        let proof = self.verify(realm, peeked, &key)?;
        let ChallengesRequest { wait, mut known } = proof.body().clone();
        known.truncate(MAX_KNOWN);
        let thumbprint = proof.thumbprint();
        let waiter = self.store.waiter(phone_topic(thumbprint));
        let most = Duration::from_secs(wait.min(MAX_WAIT_SECONDS).into());
        let deadline = Instant::now() + most.min(self.settings.longest_wait());
        let mut woken = waiter.woken();
        let call = self.call(realm.environment, &request.correlation);
        let proved = Proved { realm: Arc::clone(realm), call, proof };
        let (mut waiting, is_new) = self.store.write(First(proved)).await?;
        let environment = realm.environment;
        while is_new && is_known(&waiting, &known) && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(left.min(LONGEST_WAIT)) => {}
                () = self.drained() => break,
            }
            woken = waiter.woken();
            waiting = self.store.read(Look { environment, thumbprint }).await?;
        }
        Ok(response(realm, &waiting)?)
    }
}

/// Whoever waits looks again after this long, in case a wake was lost with the node that should have sent it.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Whether the phone knows all that waits, and all that it knows waits.
fn is_known(waiting: &Waiting, known: &[String]) -> bool {
    let ids: Vec<String> = waiting.ids().iter().map(ToString::to_string).collect();
    ids.iter().all(|id| known.contains(id)) && known.iter().all(|id| ids.contains(id))
}

struct First(Proved<ChallengesRequest>);

impl Work for First {
    /// What waits, and whether this is the first time that the proof is seen. One that is sent again, since its answer was
    /// lost, tells what waits now, but nobody waits for it.
    type Output = (Waiting, bool);
    type Error = DeviceCallError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, DeviceCallError> {
        let Self(proved) = self;
        let is_new = spend(tx, &proved.key()).await?.is_none();
        if is_new {
            answer(tx, &proved.key(), &ChallengesResponse::default()).await?;
        }
        let waiting = look(tx, proved.realm.environment, proved.proof.thumbprint()).await?;
        Ok((waiting, is_new))
    }
}

struct Look {
    environment: Id<Environment>,
    thumbprint: Thumbprint,
}

impl Work for Look {
    type Output = Waiting;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Waiting, StoreError> {
        look(tx, self.environment, self.thumbprint).await
    }
}

/// Reads what waits for an installation.
pub(super) async fn look(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    thumbprint: Thumbprint,
) -> Result<Waiting, StoreError> {
    let mut waiting = Waiting::default();
    let pending = challenge::list_of_installation(tx, environment, thumbprint).await?;
    if pending.is_empty() {
        return Ok(waiting);
    }
    let devices = device::list_of_installation(tx, environment, thumbprint).await?;
    for challenge in pending {
        let asked = devices.iter().find(|device| device.id == challenge.device);
        match (&challenge.question, asked) {
            (Question::Silent, Some(device)) if is_direct(device) => {
                waiting.silent.push(challenge.into_value());
            }
            // Nobody is asked on a device that is gone, and a push service brings what is silent.
            (_, None) | (Question::Silent, Some(_)) => {}
            (Question::Visible(_), Some(_)) => {
                waiting.visible.push(challenge.into_value());
            }
        }
    }
    Ok(waiting)
}

fn is_direct(device: &Versioned<Device>) -> bool {
    let push = device.installation.push.as_ref().filter(|push| push.enabled);
    push.is_some_and(|push| push.service == PushService::Direct)
}

/// A [`ChallengesResponse`] as JSON.
pub(super) fn response(realm: &Realm, waiting: &Waiting) -> Result<String, Fault> {
    let mut challenges = Vec::with_capacity(waiting.visible.len());
    for challenge in &waiting.visible {
        let Some(claims) = statement(realm, challenge) else { continue };
        let statement = realm.keys.sign(Algorithm::Es256, Statement::TYP, &claims)?;
        challenges.push(PendingChallenge { id: challenge.id.to_string(), statement });
    }
    let silent = waiting.silent.iter().map(|challenge| {
        let nonce = realm.push_nonce(challenge.id);
        PushMessage::new(Hint::Silent { id: challenge.id.to_string(), nonce })
    });
    let response = ChallengesResponse { challenges, hints: silent.collect() };
    serde_json::to_string(&response).map_err(|_| Fault::broken("an answer has no JSON"))
}

/// What the platform signs of a visible challenge. It is the same every time: an approval repeats its hash.
pub(super) fn statement(realm: &Realm, challenge: &Challenge) -> Option<Statement> {
    let shown = challenge.shown()?;
    Some(Statement {
        iss: realm.issuer.clone(),
        aud: challenge.installation,
        jti: challenge.id.to_string(),
        iat: challenge.created_at,
        exp: challenge.answer_until,
        user: UserFacts {
            id: challenge.user.to_string(),
            username: Some(shown.person.username.clone()),
            name: name(&shown.person.name),
        },
        device: Reference { id: challenge.device.to_string() },
        application: shown.application.clone(),
        title: shown.title.clone(),
        message: shown.message.clone(),
        client_context: shown.client_context.clone(),
        number_matching: shown.number.as_ref().map(|number| number.matching.clone()),
        origin: shown.origin.clone(),
    })
}
