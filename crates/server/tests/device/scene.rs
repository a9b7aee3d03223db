//! Every statement ready to be sent, what sending one leaves behind, and the ways of refusing one.

use countersign_domain::{audit::Record, device::Device, user::User};

use crate::{
    draft::{Draft, EVERY, Kind, Phone},
    world::{Answer, World},
};

/// Ann's and bob's phones are paired; gus and dora have just signed in on theirs, and hold a ticket.
pub struct Scene {
    pub world: World,
    pub ann: Phone,
    pub bob: Phone,
    pub gus: Phone,
    pub dora: Phone,
    pub gus_ticket: String,
    pub dora_ticket: String,
    pub nonce: String,
    users: [User; 4],
}

/// All that a statement could have changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Trace {
    pub devices: Vec<Device>,
    pub audit: Vec<Record>,
}

/// What a refusal says: the member at fault and its rule.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fault<'a> {
    /// As the device API names it.
    pub target: &'a str,
    /// A part of the message.
    pub rule: &'a str,
}

impl Scene {
    pub async fn new(world: World) -> Self {
        let users = [
            world.user("ann").await,
            world.user("bob").await,
            world.user("gus").await,
            world.user("dora").await,
        ];
        let (ann, bob) = (world.paired("ann").await, world.paired("bob").await);
        let (gus, dora) = (Phone::new(), Phone::new());
        let gus_ticket = world.ticket("gus", &gus).await;
        let dora_ticket = world.ticket("dora", &dora).await;
        let nonce = world.nonce().await;
        Self { world, ann, bob, gus, dora, gus_ticket, dora_ticket, nonce, users }
    }

    pub async fn restart(self) -> Self {
        Self { world: self.world.restart().await, ..self }
    }

    pub const fn user_gus(&self) -> &User {
        let [_, _, gus, _] = &self.users;
        gus
    }

    /// A good statement.
    pub fn draft(&self, kind: Kind) -> Draft {
        match kind {
            Kind::Payload => self.ann.payload(&self.world),
            Kind::Pairing => self.gus.pairing(&self.world, &self.nonce, &self.gus_ticket),
            Kind::Denial => self.dora.denial(&self.world, &self.nonce, &self.dora_ticket),
            Kind::Info => self.ann.info(&self.world),
            Kind::Unpairing => self.ann.unpairing(&self.world, &self.nonce),
        }
    }

    pub async fn send(&self, kind: Kind, jws: &str) -> Answer {
        match kind {
            Kind::Payload => self.world.authorize(Some(jws)).await,
            Kind::Pairing | Kind::Denial | Kind::Info | Kind::Unpairing => {
                self.world.prove(kind.path(), jws).await
            }
        }
    }

    pub async fn trace(&self) -> Trace {
        let mut devices = Vec::new();
        for user in &self.users {
            devices.extend(self.world.devices(user).await);
        }
        Trace { devices, audit: self.world.audit().await }
    }

    /// Asserts that each of these statements is refused when it is broken in this way, and leaves nothing behind.
    pub async fn refuses(
        &self,
        kinds: &[Kind],
        fault: Fault<'_>,
        break_it: impl Fn(Draft) -> String,
    ) {
        let before = self.trace().await;
        for kind in kinds {
            let answer = self.send(*kind, &break_it(self.draft(*kind))).await;
            fault.assert(*kind, "INVALID_VALUE", &answer);
        }
        assert_eq!(self.trace().await, before, "{}: {}", fault.target, fault.rule);
    }

    /// Asserts that the unbroken statements count, so that whatever was refused before was refused for its fault alone.
    pub async fn accepts_the_rest(self) {
        for kind in EVERY {
            let answer = self.send(kind, &self.draft(kind).sign()).await;
            assert!(answer.status.is_success(), "{kind:?}: {answer:?}");
        }
    }
}

impl Fault<'_> {
    /// Authorize answers for the member that carries the statement, and names the member inside in words.
    #[track_caller]
    pub fn assert(self, kind: Kind, code: &str, answer: &Answer) {
        let Self { target, rule } = self;
        let (found_code, found_target, message) = answer.refusal(400, "INVALID_REQUEST");
        if kind == Kind::Payload {
            assert_eq!((&*found_code, &*found_target), ("INVALID_VALUE", "mobilePayload"));
            assert!(message.starts_with("mobilePayload: proof"), "{message}");
        } else {
            assert_eq!((&*found_code, &*found_target), (code, target), "{kind:?}: {message}");
            assert!(message.starts_with("proof"), "{message}");
        }
        assert!(message.contains(rule), "{kind:?}: {message:?} does not say {rule:?}");
    }
}
