//! Sends passcodes to mail addresses and phone numbers: what is written with the flow, and what goes out once it is committed.

use countersign_domain::{
    audit::{Action, Event},
    authenticator::{Authenticator, Kind, Sending},
    device::Device,
    environment::Environment,
    flow::Flow,
    id::Id,
    mfa_policy::Messages,
    outbox::{Content, Message, Outcome},
};
use countersign_store::{StoreError, Tx, Versioned, Work, authenticator, environment};
use serde_json::json;

use super::{App, Call, Fault, check_passcode::policy_of};
use crate::{
    hook::{Hook, HookError},
    mail::{Mail, MailError},
};

/// Sends a passcode for a flow that asks for one, unless too many were sent lately.
pub(super) async fn send(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &Flow,
    device: Id<Device>,
) -> Result<(), Fault> {
    let policy = policy_of(tx, flow).await?;
    let Some(old) = authenticator::load(tx, flow.environment, device).await? else { return Ok(()) };
    let Some(rules) = policy.authenticators.messages(&old.kind) else { return Ok(()) };
    let begun = begin(tx, call, (&old, rules), flow.id).await?;
    let event = if let Some(kind) = begun {
        authenticator::swap(tx, &old, &Authenticator { kind, ..(*old).clone() }).await?;
        Event::of(Action::NotificationCreated, Some("passcode"))
    } else {
        Event::of(Action::NotificationRejected, Some("too_many_passcodes"))
    };
    let event = event.about(old.user).on(&*old).within(flow.id);
    Ok(call.audit(tx, event.through(flow.request.application)).await?)
}

/// Leaves a passcode in the outbox. What the authenticator is with it; nothing if too many were sent lately.
pub(super) async fn begin(
    tx: &mut Tx<'_>,
    call: &Call,
    (of, rules): (&Authenticator, Messages),
    flow: Id<Flow>,
) -> Result<Option<Kind>, StoreError> {
    let Some(target) = of.kind.target() else { return Ok(None) };
    let id = call.new_id();
    let sending = Sending { id, flow, digits: rules.digits, sent_at: call.now, spent: false };
    let Some(target) = target.after(sending) else { return Ok(None) };
    let until = call.now.plus_seconds(rules.life_seconds.into());
    call.send(tx, Content::Passcode { device: of.id, sending: id, until }).await?;
    Ok(Some(of.kind.with_target(target)))
}

impl App {
    /// One attempt to deliver a passcode, which is made here and is in no table.
    pub(super) async fn deliver_passcode(
        &self,
        message: &Message,
        (device, sending): (Id<Device>, Id<Sending>),
    ) -> Result<Outcome, Fault> {
        let found = Find { environment: message.environment, device };
        let Some(Found { of, issuer }) = self.store.read(found).await? else {
            return Ok(Outcome::Unwanted);
        };
        let wanted = |known: &&Sending| known.id == sending && !known.spent;
        let target = of.kind.target();
        let Some((target, sending)) =
            target.and_then(|target| Some((target, target.sendings.iter().find(wanted)?)))
        else {
            return Ok(Outcome::Unwanted);
        };
        let Some(realm) = self.realm(message.environment).await? else {
            return Ok(Outcome::Unwanted);
        };
        let passcode = realm.sent_passcode(sending);
        let text = format!("{} is your passcode for {issuer}.", passcode.expose());
        match &of.kind {
            Kind::Totp { .. } | Kind::RecoveryCodes { .. } => Ok(Outcome::Unwanted),
            Kind::Email(_) => {
                let mail = Mail {
                    to: &target.address,
                    subject: format!("Your passcode for {issuer}"),
                    text: format!("{text}\n\n{WARNING}\n"),
                };
                Ok(told(self.mailer.send(mail, self.now()).await))
            }
            Kind::Sms(_) | Kind::Voice(_) => {
                let body = json!({
                    "type": "passcode",
                    "channel": of.kind.name(),
                    "to": target.address,
                    "passcode": passcode.expose(),
                    "text": text,
                    "environment": { "id": of.environment },
                    "user": { "id": of.user },
                });
                let (id, now) = (sending.id.to_string(), self.now());
                let hook = Hook { id: &id, body: body.to_string(), now };
                Ok(hooked(self.hooks.call(&self.outbound, hook).await))
            }
        }
    }
}

/// What whoever has not asked for it should know.
const WARNING: &str = "It can be used once. If you did not ask for it, somebody else knows your password: \
     give the passcode to nobody, and tell your administrator.";

fn told(sent: Result<(), MailError>) -> Outcome {
    match sent {
        Ok(()) => Outcome::Delivered,
        Err(error) => {
            tracing::info!(%error, "a mail cannot be sent");
            if error.is_final() { Outcome::Refused } else { Outcome::Failed }
        }
    }
}

fn hooked(called: Result<u16, HookError>) -> Outcome {
    match called {
        Ok(200..=299) => Outcome::Delivered,
        Ok(status @ (408 | 429 | 500..=599)) => {
            tracing::info!(status, "the hook for passcodes has trouble");
            Outcome::Failed
        }
        Ok(status) => {
            tracing::warn!(status, "the hook for passcodes does not take a passcode");
            Outcome::Refused
        }
        Err(error) => {
            tracing::warn!(%error, "the hook for passcodes cannot be called");
            if error.is_forbidden() { Outcome::Forbidden } else { Outcome::Failed }
        }
    }
}

struct Find {
    environment: Id<Environment>,
    device: Id<Device>,
}

struct Found {
    of: Authenticator,
    /// What the environment is called, as people know it.
    issuer: String,
}

impl Work for Find {
    type Output = Option<Found>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Found>, StoreError> {
        let of = authenticator::load(tx, self.environment, self.device).await?;
        let environment = environment::load(tx, self.environment).await?;
        let found = of.zip(environment).map(|(of, environment)| Found {
            of: Versioned::into_value(of),
            issuer: environment.name.clone(),
        });
        Ok(found)
    }
}
