//! Who is offered to pair, and what holds of every ticket, whatever happens to it.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    fixture::{
        NOW, Named, application, assert_complete, device, id, installation, key, mfa_policy,
        mfa_settings, ticket, user,
    },
    mfa_policy::MobileApplication,
};

/// What decides, with everything in favour of an offer until a test changes it.
struct Scene {
    policy: Option<MfaPolicy>,
    application: Application,
    installation: Installation,
    user: User,
    voucher: Voucher,
    devices: Vec<Device>,
    authenticators: Vec<Authenticator>,
    settings: MfaSettings,
}

impl Scene {
    fn new() -> Self {
        Self {
            policy: Some(mfa_policy()),
            application: application(),
            installation: installation(1),
            user: user(),
            voucher: Voucher::SignOn { multi_factor: true },
            devices: Vec::new(),
            authenticators: Vec::new(),
            settings: mfa_settings(),
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut scene = Self::new();
        change(&mut scene);
        scene
    }

    fn rules(&mut self) -> &mut MobileApplication {
        &mut self.policy.as_mut().unwrap().mobile.applications[0]
    }

    /// The phone says that it is rooted, and the application cares.
    fn compromise(&mut self) {
        self.installation.device.rooted = Some(true);
        self.application.mobile.as_mut().unwrap().integrity_detection = true;
    }

    fn check(&self) -> Result<(), NoOffer> {
        check(Facts {
            policy: self.policy.as_ref(),
            application: &self.application,
            installation: &self.installation,
            user: &self.user,
            voucher: self.voucher,
            devices: &self.devices,
            authenticators: &self.authenticators,
            settings: &self.settings,
        })
    }
}

fn in_state(n: u8, state: DeviceState) -> Device {
    Device { state, ..device(n) }
}

const PASSWORD_ALONE: Voucher = Voucher::SignOn { multi_factor: false };
const BLOCKED: DeviceState = DeviceState::Blocked { at: NOW, last_step: 0 };
const LOCKED: DeviceState = DeviceState::Locked { until: NOW, last_step: 0 };

#[test]
fn a_new_phone_is_offered_to_be_paired() {
    assert_eq!(Scene::new().check(), Ok(()));
    assert_eq!(Scene::with(|scene| scene.voucher = PASSWORD_ALONE).check(), Ok(()));
    let others = |n: u8| (2..2 + n).map(device).collect();
    assert_eq!(Scene::with(|scene| scene.devices = others(4)).check(), Ok(()));
}

/// What changes in a scene, and what then speaks against an offer.
type Row = (fn(&mut Scene), NoOffer);

#[test]
fn each_reason_not_to_offer_is_told() {
    let full = NoOffer::LimitReached { maximum: 5 };
    let table: [Row; 17] = [
        (|scene| scene.devices = vec![device(1)], NoOffer::AlreadyPaired),
        (|scene| scene.devices = vec![in_state(1, LOCKED)], NoOffer::AlreadyPaired),
        // A blocked phone must not come back by a new pairing.
        (|scene| scene.devices = vec![in_state(1, BLOCKED)], NoOffer::Disabled),
        (|scene| scene.policy = None, NoOffer::Disabled),
        (|scene| scene.policy.as_mut().unwrap().mobile.enabled = false, NoOffer::Disabled),
        (|scene| scene.rules().application = id(2), NoOffer::Disabled),
        (|scene| scene.rules().auto_enrollment = false, NoOffer::Disabled),
        (|scene| scene.rules().pairing_disabled = true, NoOffer::Disabled),
        (|scene| scene.application.mobile = None, NoOffer::Disabled),
        (|scene| scene.user.mfa_enabled = false, NoOffer::Disabled),
        (|scene| scene.user.enabled = false, NoOffer::Disabled),
        (|scene| scene.application.enabled = false, NoOffer::Disabled),
        // Whoever knows the password of a user with a phone must not add another by it alone.
        (
            |scene| (scene.devices, scene.voucher) = (vec![device(2)], PASSWORD_ALONE),
            NoOffer::Disabled,
        ),
        (Scene::compromise, NoOffer::Compromised),
        (|scene| scene.devices = (2..7).map(device).collect(), full),
        (|scene| scene.devices = (2..7).map(|n| in_state(n, BLOCKED)).collect(), full),
        (|scene| scene.devices = (2..7).map(|n| in_state(n, LOCKED)).collect(), full),
    ];
    for (i, (change, expected)) in table.iter().enumerate() {
        assert_eq!(Scene::with(change).check(), Err(*expected), "row {i}");
    }
    assert_complete(table.iter().map(|(_, reason)| reason));
}

#[test]
fn a_pairing_key_needs_neither_automatic_enrolment_nor_another_phone_and_else_the_same() {
    let by_key = |change: fn(&mut Scene)| {
        Scene::with(|scene| {
            scene.voucher = Voucher::Key { first_only: false };
            scene.rules().auto_enrollment = false;
            change(scene);
        })
        .check()
    };
    assert_eq!(by_key(|scene| scene.devices = (2..6).map(device).collect()), Ok(()));
    let table: [Row; 10] = [
        (|scene| scene.devices = vec![device(1)], NoOffer::AlreadyPaired),
        (|scene| scene.devices = vec![in_state(1, BLOCKED)], NoOffer::Disabled),
        (|scene| scene.policy = None, NoOffer::Disabled),
        (|scene| scene.rules().application = id(2), NoOffer::Disabled),
        (|scene| scene.rules().pairing_disabled = true, NoOffer::Disabled),
        (|scene| scene.user.mfa_enabled = false, NoOffer::Disabled),
        (|scene| scene.user.enabled = false, NoOffer::Disabled),
        (|scene| scene.application.enabled = false, NoOffer::Disabled),
        (Scene::compromise, NoOffer::Compromised),
        (
            |scene| scene.devices = (2..7).map(device).collect(),
            NoOffer::LimitReached { maximum: 5 },
        ),
    ];
    for (i, (change, expected)) in table.iter().enumerate() {
        assert_eq!(by_key(*change), Err(*expected), "row {i}");
    }
    // It was made by a password, and whose it was has a phone by now.
    let voucher = Voucher::Key { first_only: true };
    assert_eq!(Scene::with(|scene| scene.voucher = voucher).check(), Ok(()));
    let late = Scene::with(|scene| (scene.voucher, scene.devices) = (voucher, vec![device(2)]));
    assert_eq!(late.check(), Err(NoOffer::Disabled));
}

#[test]
fn the_most_telling_reason_comes_first() {
    let mut scene = Scene::with(Scene::compromise);
    scene.devices = (1..6).map(device).collect();
    scene.rules().auto_enrollment = false;
    assert_eq!(scene.check(), Err(NoOffer::AlreadyPaired));
    scene.devices = (2..7).map(device).collect();
    assert_eq!(scene.check(), Err(NoOffer::Disabled));
    scene.rules().auto_enrollment = true;
    assert_eq!(scene.check(), Err(NoOffer::Compromised));
    scene.installation.device.rooted = Some(false);
    assert_eq!(scene.check(), Err(NoOffer::LimitReached { maximum: 5 }));
}

#[test]
fn a_rooted_phone_matters_only_where_the_application_cares() {
    let rooted = |rooted| {
        Scene::with(|scene| {
            scene.compromise();
            scene.installation.device.rooted = rooted;
        })
    };
    assert_eq!(rooted(None).check(), Ok(()));
    assert_eq!(rooted(Some(false)).check(), Ok(()));
    let indifferent = Scene::with(|scene| scene.installation.device.rooted = Some(true));
    assert_eq!(indifferent.check(), Ok(()));
}

/// What happened to a ticket, whether it was taken or not.
#[derive(Debug)]
struct Happened {
    before: State,
    event: Event,
    age: i64,
    outcome: Result<Step, Refusal>,
}

fn life(events: Vec<(Event, i64)>) -> Vec<Happened> {
    let (mut ticket, mut age) = (ticket(State::Open), 0);
    let happen = |(event, gap): (Event, i64)| {
        age += gap;
        let before = ticket.state.clone();
        let outcome = apply(&ticket, &event, NOW.plus_seconds(age));
        if let Ok(step) = &outcome {
            ticket.state = step.state.clone();
        }
        Happened { before, event, age, outcome }
    };
    events.into_iter().map(happen).collect()
}

impl Happened {
    fn changes(&self) -> bool {
        self.outcome
            .as_ref()
            .is_ok_and(|step| step.state != self.before || !step.effects.is_empty())
    }

    fn creates(&self) -> bool {
        let creates = |effect: &Effect| matches!(effect, Effect::CreateDevice(_));
        self.outcome.as_ref().is_ok_and(|step| step.effects.iter().any(creates))
    }

    fn is_by(&self, phone: Thumbprint) -> bool {
        match &self.event {
            Event::Approve { thumbprint, .. } | Event::Deny { thumbprint } => *thumbprint == phone,
            Event::Tick => false,
        }
    }
}

/// Events of the phone that the ticket was made for, and of another.
fn events() -> impl Strategy<Value = Event> {
    let (own, other) = (key(1).thumbprint(), key(2).thumbprint());
    let phone = move || prop_oneof![3 => Just(own), 1 => Just(other)];
    prop_oneof![
        (phone(), 1_u8..9).prop_map(|(thumbprint, n)| Event::Approve { thumbprint, device: id(n) }),
        phone().prop_map(|thumbprint| Event::Deny { thumbprint }),
        Just(Event::Tick),
    ]
}

fn lives() -> impl Strategy<Value = Vec<Happened>> {
    vec((events(), 0_i64..200), 0..12).prop_map(life)
}

proptest! {
    #[test]
    fn a_ticket_makes_one_device_at_most_in_time_and_never_after_a_refusal(life in lives()) {
        prop_assert!(life.iter().filter(|happened| happened.creates()).count() <= 1);
        for happened in life.iter().filter(|happened| happened.creates()) {
            prop_assert_eq!(&happened.before, &State::Open);
            prop_assert!(happened.age < TICKET_SECONDS);
        }
    }

    #[test]
    fn a_ticket_is_answered_once(life in lives()) {
        prop_assert!(life.iter().filter(|happened| happened.changes()).count() <= 1);
    }

    #[test]
    fn another_phone_never_changes_anything(life in lives()) {
        for happened in life.iter().filter(|happened| happened.is_by(key(2).thumbprint())) {
            prop_assert_eq!(&happened.outcome, &Err(Refusal::OtherInstallation));
        }
    }

    #[test]
    fn the_same_answer_again_is_taken_within_the_ticket_s_life_and_changes_nothing(
        approve: bool, again in 0_i64..1_000, n in 2_u8..9
    ) {
        let thumbprint = key(1).thumbprint();
        let answer = |n| {
            if approve { Event::Approve { thumbprint, device: id(n) } } else { Event::Deny { thumbprint } }
        };
        let life = life(vec![(answer(1), 0), (answer(n), again)]);
        let kept = life[0].outcome.clone().map(|step| Step { effects: Vec::new(), ..step });
        // After ten minutes a ticket gives no answer that carries a seed.
        let expected = if approve && again >= TICKET_SECONDS { Err(Refusal::Expired) } else { kept };
        prop_assert_eq!(&life[1].outcome, &expected);
    }
}

#[test]
fn the_other_answer_afterwards_is_refused() {
    let thumbprint = key(1).thumbprint();
    let approve = Event::Approve { thumbprint, device: id(1) };
    let deny = Event::Deny { thumbprint };
    for answers in [[approve.clone(), deny.clone()], [deny, approve]] {
        let life = life(answers.map(|answer| (answer, 0)).into());
        assert_eq!(life[1].outcome, Err(Refusal::Spent));
    }
}

#[test]
fn a_ticket_expires_at_the_end_of_its_life_whether_or_not_somebody_noticed() {
    let approve = || Event::Approve { thumbprint: key(1).thumbprint(), device: id(1) };
    let outcome = |events| life(events).pop().unwrap().outcome;
    assert_eq!(outcome(vec![(approve(), TICKET_SECONDS)]), Err(Refusal::Expired));
    assert_eq!(outcome(vec![(Event::Tick, TICKET_SECONDS), (approve(), 0)]), Err(Refusal::Expired));
    let claimed = outcome(vec![(approve(), TICKET_SECONDS - 1)]).unwrap();
    assert_eq!(claimed.state.name(), "Claimed");
    assert!(claimed.effects.contains(&Effect::CreateDevice(id(1))));
}
