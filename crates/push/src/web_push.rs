//! Web Push (RFC 8030, encrypted by RFC 8291, VAPID by RFC 8292). `UnifiedPush` is the same with a service of the user's choice.
//!
//! The endpoint is an address that a phone has named, so the rules of [`crate::egress`] hold for it: https, resolved once, not
//! inside, no redirect followed, and what it answers is not shown on.

mod classify;
mod encrypt;
mod subscription;
mod vapid;

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest;
use countersign_protocol::encoding;
use countersign_protocol::entropy::{Entropy, random};
use countersign_protocol::mobile_payload::PushService;
use countersign_protocol::private_key::EcPrivateKey;
use countersign_protocol::time::Clock;
use serde_json::Value;

pub use classify::classify;
use subscription::Subscription;
pub use vapid::Vapid;

use crate::answer::{Answer, Trouble};
use crate::call::{self, Limits};
use crate::egress::Egress;
use crate::fcm::no_client;
use crate::gateway::{Gateway, Push, check_size};
use crate::payload;
use crate::settings::Settings;
use crate::trust::Trust;

const MAX_BODY_BYTES: usize = 4_096;
/// The most characters of `Topic` (RFC 8030 section 5.4).
const TOPIC_CHARACTERS: usize = 32;

/// Sends by one VAPID key to whatever service a phone has chosen.
pub(crate) struct WebPush {
    vapid: Vapid,
    egress: Egress,
    ports: Vec<u16>,
    trust: Arc<Trust>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl WebPush {
    pub fn new(
        vapid: Vapid,
        settings: &Settings,
        trust: &Arc<Trust>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let (egress, ports) = (settings.egress, settings.web_push_ports.clone());
        let limits = Limits { timeout: settings.request_timeout, max_body_bytes: MAX_BODY_BYTES };
        Self { vapid, egress, ports, trust: Arc::clone(trust), limits, clock, entropy }
    }

    async fn deliver(&self, push: &Push<'_>) -> Result<Answer, Answer> {
        push.check(PushService::WebPush)?;
        let subscription = Subscription::read(&push.address.address, self.egress, &self.ports)
            .map_err(Answer::foreign_address)?;
        let body = self.seal(push, &subscription)?;
        let authorization = self.vapid.authorization(&subscription.endpoint, self.clock.now());
        let client = self.trust.client_of_strangers().await.map_err(no_client)?;
        let request = client
            .post(subscription.endpoint)
            .header("authorization", authorization)
            .header("content-encoding", "aes128gcm")
            .header("content-type", "application/octet-stream")
            .header("ttl", push.time_to_live(&*self.clock))
            .header("urgency", if push.style.is_visible() { "high" } else { "normal" })
            .header("topic", topic(push.collapse))
            .body(body);
        let reply = call::call(request, push, &*self.clock, &self.limits).await?;
        Ok(classify(&reply))
    }

    fn seal(&self, push: &Push<'_>, subscription: &Subscription) -> Result<Vec<u8>, Answer> {
        let clear = Value::from(payload::object(push.message, push.style)).to_string();
        check_size(clear.len(), encrypt::MAX_CLEAR_BYTES)?;
        let ephemeral = EcPrivateKey::generate(&*self.entropy);
        let salt = random(&*self.entropy);
        let sealed = encrypt::encrypt(&subscription.keys, &ephemeral, &salt, clear.as_bytes());
        sealed.ok_or_else(|| Answer::rejected(Trouble::Request, "it could not be encrypted"))
    }
}

#[async_trait]
impl Gateway for WebPush {
    async fn send(&self, push: &Push<'_>) -> Answer {
        self.deliver(push).await.unwrap_or_else(|answer| answer)
    }
}

/// A `Topic` of any text, which by itself could be too long and would be shown to the service.
fn topic(collapse: &str) -> String {
    let digest = digest::digest(&digest::SHA256, collapse.as_bytes());
    let mut topic = encoding::encode(digest);
    topic.truncate(TOPIC_CHARACTERS);
    topic
}
