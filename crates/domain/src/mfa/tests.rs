//! The table of the MFA step, and that losing a phone never helps.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    authenticator::{self, Kind, Target},
    device::AddressState,
    fixture::{
        LIMIT, NOW, application, assert_complete, authenticator, device, id, identity,
        installation, mfa_policy, user,
    },
    lockout::{Limit, Lockout},
    mfa_policy::{Authenticators, DeviceAuthorization, Messages, RecoveryCodes, Totp},
};

/// What decides. Ann has given her password on her first phone, which is paired, until a test changes it.
#[derive(Clone, Debug)]
struct Scene {
    policy: MfaPolicy,
    no_devices_mode: NoDevicesMode,
    authenticated: bool,
    scanned: Option<Id<Device>>,
    resumed: Option<Identity>,
    application: Application,
    installation: Option<Installation>,
    user: User,
    named: Option<Id<Device>>,
    devices: Vec<Device>,
    authenticators: Vec<Authenticator>,
    reach: Reach,
}

impl Scene {
    /// On the paired phone.
    fn on_the_phone() -> Self {
        Self {
            policy: mfa_policy(),
            no_devices_mode: NoDevicesMode::Bypass,
            authenticated: true,
            scanned: None,
            resumed: None,
            application: application(),
            installation: Some(installation(1)),
            user: user(),
            named: None,
            devices: vec![device(1)],
            authenticators: Vec::new(),
            reach: Reach::default(),
        }
    }

    /// In a browser, which carries no payload.
    fn in_a_browser() -> Self {
        Self { installation: None, ..Self::on_the_phone() }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn rules(&mut self) -> &mut MobileApplication {
        &mut self.policy.mobile.applications[0]
    }

    fn verify(&mut self, extra_verification: Option<ExtraVerification>) {
        self.rules().device_authorization = Some(DeviceAuthorization { extra_verification });
    }

    /// The application has push credentials.
    fn reach(&mut self) {
        self.reach.services = vec![(id(1), PushService::Fcm)];
    }

    /// The policy asks by push, and messages arrive.
    fn push(&mut self) {
        self.rules().push.enabled = true;
        self.reach();
    }

    /// The phone says that it is rooted, and the application cares.
    fn compromise(&mut self) {
        self.installation.as_mut().unwrap().device.rooted = Some(true);
        self.application.mobile.as_mut().unwrap().integrity_detection = true;
    }

    fn lock_user(&mut self) {
        let limit = Limit { failures: 1, ..LIMIT };
        self.user.mfa_lockout = Lockout::default().failed(limit, NOW);
    }

    fn decide(&self) -> Decision {
        decide(
            Facts {
                policy: &self.policy,
                no_devices_mode: self.no_devices_mode,
                authenticated: self.authenticated,
                vouched: false,
                scanned: self.scanned,
                resumed: self.resumed.as_ref(),
                application: &self.application,
                installation: self.installation.as_ref(),
                user: &self.user,
                named: self.named,
                devices: &self.devices,
                authenticators: &self.authenticators,
                reach: &self.reach,
            },
            NOW,
        )
    }
}

const BLOCKED: DeviceState = DeviceState::Blocked { at: NOW, last_step: 0 };
const LOCKED: DeviceState = DeviceState::Locked { until: NOW.plus_seconds(1), last_step: 0 };
const SUSPECT: AddressState = AddressState::Suspect { since: NOW, remove_at: None };
const NO_LONGER_LOCKED: DeviceState = DeviceState::Locked { until: NOW, last_step: 0 };

fn in_state(n: u8, state: DeviceState) -> Device {
    Device { state, ..device(n) }
}

/// A device of Ann's with the app of somebody else's.
fn of_other_application(n: u8) -> Device {
    let mut device = device(n);
    device.installation.application = id(2);
    device
}

fn passcode(n: u8) -> Decision {
    Decision::Passcode { device: id(n) }
}

fn authorized(verification: Verification) -> Decision {
    Decision::Authorize { device: id(1), verification }
}

/// What changes in a scene, and what then comes of it.
type Row = (fn(&mut Scene), Decision);

fn assert_table(scene: &Scene, table: &[Row]) {
    for (i, (change, expected)) in table.iter().enumerate() {
        assert_eq!(scene.clone().with(change).decide(), *expected, "row {i}");
    }
}

#[test]
fn the_paired_phone_passes_as_the_policy_says() {
    use ExtraVerification::{Permissive, Restrictive};
    let table: [Row; 8] = [
        (|_| {}, authorized(Verification::NotAsked)),
        (|scene| scene.verify(Some(Permissive)), authorized(Verification::Impossible)),
        (|scene| scene.verify(Some(Restrictive)), Decision::Block(Reason::ExtraVerificationFailed)),
        (|scene| scene.rules().device_authorization = None, passcode(1)),
        // It needs neither passcodes nor an earlier step.
        (|scene| scene.rules().passcode_enabled = false, authorized(Verification::NotAsked)),
        (|scene| scene.authenticated = false, authorized(Verification::NotAsked)),
        (
            |scene| scene.devices = vec![in_state(1, NO_LONGER_LOCKED)],
            authorized(Verification::NotAsked),
        ),
        (|scene| scene.devices = vec![device(2), device(1)], authorized(Verification::NotAsked)),
    ];
    assert_table(&Scene::on_the_phone(), &table);
}

#[test]
fn a_silent_push_is_asked_for_where_one_can_arrive() {
    use ExtraVerification::{Permissive, Restrictive};
    let verify = |mode| Decision::Verify { device: id(1), mode };
    let scene = Scene::on_the_phone().with(|scene| {
        scene.reach();
        scene.verify(Some(Permissive));
    });
    let table: [Row; 8] = [
        (|_| {}, verify(Permissive)),
        (|scene| scene.verify(Some(Restrictive)), verify(Restrictive)),
        // A silent push asks nobody, so nobody needs to be verified, and nothing counts against it.
        (|scene| scene.devices[0].verification = None, verify(Permissive)),
        (|scene| scene.reach.stopped = vec![id(1)], verify(Permissive)),
        (|scene| scene.devices[0].installation.push = None, authorized(Verification::Impossible)),
        (
            |scene| scene.devices[0].installation.push.as_mut().unwrap().enabled = false,
            authorized(Verification::Impossible),
        ),
        (|scene| scene.devices[0].address = SUSPECT, authorized(Verification::Impossible)),
        (
            |scene| {
                scene.verify(Some(Restrictive));
                scene.reach.services.clear();
            },
            Decision::Block(Reason::ExtraVerificationFailed),
        ),
    ];
    assert_table(&scene, &table);
}

#[test]
fn the_person_is_asked_on_the_phone_where_the_policy_says_so_and_a_message_arrives() {
    let asked = Decision::Push { device: id(1), seconds: 40 };
    let scene = Scene::in_a_browser().with(Scene::push);
    let table: [Row; 9] = [
        (|_| {}, asked.clone()),
        (|scene| scene.rules().passcode_enabled = false, asked),
        (
            |scene| scene.rules().push.timeout_seconds = 90,
            Decision::Push { device: id(1), seconds: 90 },
        ),
        // Otherwise by passcode.
        (|scene| scene.rules().push.enabled = false, passcode(1)),
        (|scene| scene.reach.services.clear(), passcode(1)),
        (|scene| scene.reach.services = vec![(id(1), PushService::Apns)], passcode(1)),
        (|scene| scene.devices[0].verification = None, passcode(1)),
        (|scene| scene.devices[0].address = SUSPECT, passcode(1)),
        (|scene| scene.reach.stopped = vec![id(1)], passcode(1)),
    ];
    assert_table(&scene, &table);
}

#[test]
fn stopped_pushes_do_not_let_anybody_pass() {
    let scene = Scene::in_a_browser().with(|scene| {
        scene.push();
        scene.rules().passcode_enabled = false;
        scene.reach.stopped = vec![id(1)];
    });
    assert_eq!(scene.decide(), Decision::Block(Reason::PushesStopped));
}

#[test]
fn the_platform_itself_needs_no_credentials() {
    let scene = Scene::in_a_browser().with(|scene| {
        scene.rules().push.enabled = true;
        let push = scene.devices[0].installation.push.as_mut().unwrap();
        push.service = PushService::Direct;
    });
    assert_eq!(scene.decide(), Decision::Push { device: id(1), seconds: 40 });
}

#[test]
fn a_phone_that_is_not_this_users_does_not_pass() {
    let table: [Row; 5] = [
        (|scene| scene.installation = None, passcode(1)),
        // A device of another user is a phone that is not in the list.
        (|scene| scene.installation = Some(installation(2)), passcode(1)),
        (|scene| scene.installation.as_mut().unwrap().application = id(2), passcode(1)),
        (|scene| scene.devices = vec![of_other_application(1), device(2)], passcode(2)),
        (|scene| scene.devices = Vec::new(), Decision::Bypass),
    ];
    assert_table(&Scene::on_the_phone(), &table);
}

#[test]
fn a_rooted_phone_is_refused_where_the_application_cares() {
    let compromised = Decision::Block(Reason::Compromised);
    let table: [Row; 4] = [
        (Scene::compromise, compromised.clone()),
        (
            |scene| {
                scene.compromise();
                scene.verify(Some(ExtraVerification::Restrictive));
            },
            compromised,
        ),
        (
            |scene| scene.installation.as_mut().unwrap().device.rooted = Some(true),
            authorized(Verification::NotAsked),
        ),
        (
            |scene| scene.application.mobile.as_mut().unwrap().integrity_detection = true,
            authorized(Verification::NotAsked),
        ),
    ];
    assert_table(&Scene::on_the_phone(), &table);
}

#[test]
fn blocked_and_locked_devices_neither_pass_nor_let_pass() {
    let (blocked, locked) =
        (Decision::Block(Reason::DeviceBlocked), Decision::Block(Reason::DeviceLocked));
    let table: [Row; 6] = [
        (|scene| scene.devices = vec![in_state(1, BLOCKED)], blocked.clone()),
        (|scene| scene.devices = vec![in_state(1, LOCKED)], locked.clone()),
        (|scene| scene.devices = vec![in_state(1, LOCKED), in_state(2, BLOCKED)], locked),
        (|scene| scene.devices = vec![in_state(1, BLOCKED), device(2)], passcode(2)),
        (|scene| scene.devices = vec![in_state(1, LOCKED), device(2)], passcode(2)),
        (
            |scene| {
                scene.rules().passcode_enabled = false;
                scene.devices = vec![in_state(1, BLOCKED), device(2)];
            },
            blocked,
        ),
    ];
    assert_table(&Scene::on_the_phone(), &table);
    assert_table(&Scene::in_a_browser(), &table);
}

#[test]
fn a_device_is_chosen_as_the_policy_says() {
    use DeviceSelection::{AlwaysDisplayDevices, DefaultToFirst, PromptToSelect};
    let choose = |ids: &[u8]| Decision::Select { devices: ids.iter().map(|n| id(*n)).collect() };
    let table = [
        (DefaultToFirst, 1, passcode(1)),
        (DefaultToFirst, 3, passcode(1)),
        (PromptToSelect, 1, passcode(1)),
        (PromptToSelect, 3, choose(&[1, 2, 3])),
        (AlwaysDisplayDevices, 1, choose(&[1])),
        (AlwaysDisplayDevices, 3, choose(&[1, 2, 3])),
    ];
    for (device_selection, n, expected) in table {
        let scene = Scene::in_a_browser().with(|scene| {
            scene.policy.device_selection = device_selection;
            scene.devices = (1..=n).map(device).collect();
        });
        assert_eq!(scene.decide(), expected, "{device_selection:?} of {n}");
        // Devices that cannot be used are not offered.
        let scene = scene.with(|scene| {
            scene.devices.insert(0, in_state(7, BLOCKED));
            scene.devices.push(of_other_application(8));
        });
        assert_eq!(scene.decide(), expected, "{device_selection:?} of {n} among others");
    }
}

#[test]
fn a_device_that_the_application_names_goes_before_the_policys_choice_and_nothing_else() {
    use DeviceSelection::{AlwaysDisplayDevices, PromptToSelect};
    let scene = Scene::in_a_browser().with(|scene| {
        scene.devices = vec![device(1), device(2)];
        scene.named = Some(id(2));
    });
    let table: [Row; 7] = [
        (|_| {}, passcode(2)),
        (|scene| scene.policy.device_selection = PromptToSelect, passcode(2)),
        (|scene| scene.policy.device_selection = AlwaysDisplayDevices, passcode(2)),
        // One that cannot be used is as good as none.
        (|scene| scene.devices[1] = in_state(2, LOCKED), passcode(1)),
        (|scene| scene.named = Some(id(3)), passcode(1)),
        // It gets nobody around what comes first.
        (Scene::lock_user, Decision::Block(Reason::UserLocked)),
        (
            |scene| scene.devices = vec![in_state(1, BLOCKED), in_state(2, BLOCKED)],
            Decision::Block(Reason::DeviceBlocked),
        ),
    ];
    assert_table(&scene, &table);
    let on_the_phone = scene.with(|scene| scene.installation = Some(installation(1)));
    assert_eq!(on_the_phone.decide(), authorized(Verification::NotAsked));
}

#[test]
fn a_user_without_a_device_that_counts_passes_only_by_policy_and_password() {
    let none = Decision::Block(Reason::NoUsableDevice);
    let without: [fn(&mut Scene); 6] = [
        |scene| scene.devices = Vec::new(),
        |scene| scene.devices = vec![of_other_application(1)],
        |scene| scene.devices = vec![Device { state: BLOCKED, ..of_other_application(1) }],
        |scene| scene.policy.mobile.enabled = false,
        |scene| scene.policy.mobile.applications = Vec::new(),
        |scene| scene.rules().passcode_enabled = false,
    ];
    for (i, change) in without.into_iter().enumerate() {
        let scene = Scene::in_a_browser().with(change);
        assert_eq!(scene.decide(), Decision::Bypass, "row {i}");
        let named = scene.clone().with(|scene| scene.authenticated = false);
        assert_eq!(named.decide(), none, "row {i}, only named");
        let strict = scene.with(|scene| scene.no_devices_mode = NoDevicesMode::Block);
        assert_eq!(strict.decide(), none, "row {i}, with blocking policy");
    }
}

#[test]
fn disabled_mfa_counts_as_no_device_or_is_refused() {
    let disabled = Scene::on_the_phone().with(|scene| scene.user.mfa_enabled = false);
    let table: [Row; 4] = [
        (|_| {}, Decision::Bypass),
        (|scene| scene.authenticated = false, Decision::Block(Reason::NoUsableDevice)),
        (
            |scene| scene.no_devices_mode = NoDevicesMode::Block,
            Decision::Block(Reason::NoUsableDevice),
        ),
        (
            |scene| scene.policy.block_users_with_disabled_mfa = true,
            Decision::Block(Reason::MfaDisabled),
        ),
    ];
    assert_table(&disabled, &table);
}

#[test]
fn a_locked_user_is_refused_before_all_else() {
    let locked = Decision::Block(Reason::UserLocked);
    let table: [Row; 4] = [
        (|_| {}, locked.clone()),
        (|scene| scene.devices = Vec::new(), locked.clone()),
        (|scene| scene.user.mfa_enabled = false, locked),
        (|scene| scene.policy.ignore_user_lock = true, authorized(Verification::NotAsked)),
    ];
    assert_table(&Scene::on_the_phone().with(Scene::lock_user), &table);
}

#[test]
fn a_session_passes_the_step_that_it_has_passed_before_and_no_other() {
    let resumed = Scene::in_a_browser().with(|scene| scene.resumed = Some(identity()));
    let passcode = Decision::Passcode { device: id(1) };
    let known = |scene: &mut Scene| scene.resumed.as_mut().unwrap().methods.clear();
    let other = |scene: &mut Scene| scene.resumed.as_mut().unwrap().mfa_policy = Some(id(2));
    let table: [Row; 6] = [
        (|_| {}, Decision::Continue),
        (known, passcode.clone()),
        (other, passcode),
        // What bars the user bars the session too.
        (Scene::lock_user, Decision::Block(Reason::UserLocked)),
        (|scene| scene.user.enabled = false, Decision::Block(Reason::UserLocked)),
        (|scene| scene.user.mfa_enabled = false, Decision::Bypass),
    ];
    assert_table(&resumed, &table);
}

#[test]
fn every_decision_and_reason_can_be_reached() {
    let scenes: [fn(&mut Scene); 12] = [
        |scene| scene.resumed = Some(identity()),
        |_| {},
        |scene| scene.verify(Some(ExtraVerification::Permissive)),
        |scene| scene.verify(Some(ExtraVerification::Restrictive)),
        |scene| scene.devices = Vec::new(),
        |scene| scene.installation = None,
        |scene| {
            scene.devices = Vec::new();
            scene.authenticated = false;
        },
        |scene| scene.devices = vec![in_state(1, BLOCKED)],
        |scene| scene.devices = vec![in_state(1, LOCKED)],
        Scene::lock_user,
        |scene| {
            scene.user.mfa_enabled = false;
            scene.policy.block_users_with_disabled_mfa = true;
        },
        Scene::compromise,
    ];
    let mut decisions: Vec<_> =
        scenes.into_iter().map(|change| Scene::on_the_phone().with(change).decide()).collect();
    let choosing = Scene::in_a_browser()
        .with(|scene| scene.policy.device_selection = DeviceSelection::AlwaysDisplayDevices);
    decisions.push(choosing.decide());
    decisions.push(Scene::in_a_browser().with(Scene::push).decide());
    let verified = Scene::on_the_phone().with(|scene| {
        scene.reach();
        scene.verify(Some(ExtraVerification::Permissive));
    });
    decisions.push(verified.decide());
    let mailed = Scene::in_a_browser().with(|scene| {
        let kind = Kind::Email(Target::new("ann@example.org".to_owned()));
        scene.devices.clear();
        scene.authenticators = vec![Authenticator { kind, ..authenticator(1) }];
        scene.policy.authenticators.email = Some(Messages::USUAL);
    });
    decisions.push(mailed.decide());
    assert_complete(&decisions);
    let mut reasons = Vec::new();
    let mut verifications = Vec::new();
    for decision in decisions {
        match decision {
            Decision::Block(reason) => reasons.push(reason),
            Decision::Authorize { verification, .. } => verifications.push(verification),
            Decision::Continue
            | Decision::Bypass
            | Decision::Verify { .. }
            | Decision::Push { .. }
            | Decision::Passcode { .. }
            | Decision::Message { .. }
            | Decision::Select { .. } => {}
        }
    }
    // These follow from an answer.
    reasons.extend([Reason::PushDenied, Reason::PushesStopped]);
    verifications.extend([Verification::Acknowledged, Verification::Unanswered]);
    assert_complete(&reasons);
    assert_complete(&verifications);
}

fn device_states() -> impl Strategy<Value = DeviceState> {
    let active = DeviceState::Active { failures: 0, last_step: 0 };
    prop_oneof![
        2 => Just(active),
        1 => Just(BLOCKED),
        1 => Just(LOCKED),
        1 => Just(NO_LONGER_LOCKED),
    ]
}

/// Up to four devices, some of which may be the same phone.
fn device_lists() -> impl Strategy<Value = Vec<Device>> {
    let device =
        (1_u8..4, device_states(), prop::bool::weighted(0.2)).prop_map(|(n, state, other)| {
            let device = if other { of_other_application(n) } else { device(n) };
            Device { state, ..device }
        });
    vec(device, 0..5).prop_map(|mut devices| {
        for (device, n) in devices.iter_mut().zip(1..) {
            device.id = id(n);
        }
        devices
    })
}

fn policies() -> impl Strategy<Value = MfaPolicy> {
    use DeviceSelection::{AlwaysDisplayDevices, DefaultToFirst, PromptToSelect};
    let extra = prop_oneof![
        Just(None),
        Just(Some(ExtraVerification::Permissive)),
        Just(Some(ExtraVerification::Restrictive)),
    ];
    let authorization = prop::option::weighted(
        0.8,
        extra.prop_map(|extra_verification| DeviceAuthorization { extra_verification }),
    );
    let selection =
        prop::sample::select(vec![DefaultToFirst, PromptToSelect, AlwaysDisplayDevices]);
    let often = || prop::bool::weighted(0.8);
    (authorization, selection, often(), often(), any::<bool>()).prop_map(
        |(device_authorization, device_selection, enabled, passcode_enabled, refuse_disabled)| {
            let mut policy = mfa_policy();
            policy.mobile.enabled = enabled;
            policy.mobile.applications[0].device_authorization = device_authorization;
            policy.mobile.applications[0].passcode_enabled = passcode_enabled;
            policy.mobile.applications[0].push.enabled = enabled && refuse_disabled;
            MfaPolicy { device_selection, block_users_with_disabled_mfa: refuse_disabled, ..policy }
        },
    )
}

/// An authenticator app and recovery codes, as far as the user has them, in any state.
fn authenticator_lists() -> impl Strategy<Value = Vec<Authenticator>> {
    let active = DeviceState::paired(0);
    let state = prop_oneof![Just(active), Just(BLOCKED), Just(LOCKED), Just(NO_LONGER_LOCKED)];
    let state = prop::option::weighted(0.8, state).prop_map(|state| match state {
        Some(state) => authenticator::State::Paired { state },
        None => authenticator::State::new(NOW),
    });
    vec((state, any::<bool>(), 0_usize..2), 0..3).prop_map(|found| {
        let authenticator = |(n, (state, is_app, left)): (u8, (_, bool, usize))| {
            let known = authenticator(n);
            let hashes = vec!["hash".to_owned(); left];
            let target = Target::new("ann@example.org".to_owned());
            let kind = match (is_app, left) {
                (true, 0) => Kind::Email(target),
                (true, _) => known.kind,
                (false, _) => Kind::RecoveryCodes { hashes },
            };
            Authenticator { kind, state, ..known }
        };
        (201..).zip(found).map(authenticator).collect()
    })
}

/// What a policy says of authenticators.
fn accepted() -> impl Strategy<Value = Authenticators> {
    let totp = Totp {
        passcode_limit: LIMIT,
        grace_steps: 5,
        pairing_disabled: false,
        uri_parameters: BTreeMap::new(),
    };
    let recovery_codes = RecoveryCodes { passcode_limit: LIMIT };
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(move |(apps, codes, mails)| {
        Authenticators {
            email: mails.then_some(Messages::USUAL),
            sms: None,
            voice: None,
            totp: apps.then(|| totp.clone()),
            recovery_codes: codes.then_some(recovery_codes),
        }
    })
}

fn scenes() -> impl Strategy<Value = Scene> {
    let phone = prop::option::weighted(0.8, (1_u8..4).prop_map(installation));
    let flags =
        (any::<bool>(), any::<bool>(), prop::bool::weighted(0.8), prop::bool::weighted(0.2));
    let others = (authenticator_lists(), accepted());
    (policies(), device_lists(), others, phone, flags).prop_map(
        |(policy, devices, others, installation, (bypass, authenticated, mfa_enabled, rooted))| {
            let mut scene = Scene { policy, installation, devices, ..Scene::on_the_phone() };
            (scene.authenticators, scene.policy.authenticators) = others;
            scene.no_devices_mode =
                if bypass { NoDevicesMode::Bypass } else { NoDevicesMode::Block };
            scene.authenticated = authenticated;
            scene.user.mfa_enabled = mfa_enabled;
            if rooted && scene.installation.is_some() {
                scene.compromise();
            }
            if bypass != mfa_enabled {
                scene.reach();
            }
            if rooted {
                scene.reach.stopped = vec![id(1)];
            }
            scene
        },
    )
}

fn is_authorized(scene: &Scene) -> bool {
    matches!(scene.decide(), Decision::Authorize { .. } | Decision::Verify { .. })
}

proptest! {
    #[test]
    fn losing_a_device_never_makes_a_phone_pass(scene in scenes(), n: prop::sample::Index) {
        if is_authorized(&scene) || scene.devices.is_empty() {
            return Ok(());
        }
        let n = n.index(scene.devices.len());
        let removed = scene.clone().with(|scene| drop(scene.devices.remove(n)));
        prop_assert!(!is_authorized(&removed));
        let blocked = scene.clone().with(|scene| scene.devices[n].state = BLOCKED);
        prop_assert!(!is_authorized(&blocked));
        let locked = scene.with(|scene| scene.devices[n].state = LOCKED);
        prop_assert!(!is_authorized(&locked));
    }

    #[test]
    fn nobody_passes_as_a_phone_without_its_payload(scene in scenes()) {
        prop_assert!(!is_authorized(&scene.with(|scene| scene.installation = None)));
    }

    #[test]
    fn the_phone_that_passes_is_the_one_that_signed_and_may_vouch(scene in scenes()) {
        if let Decision::Authorize { device, .. } = scene.decide() {
            let device = scene.devices.iter().find(|known| known.id == device).unwrap();
            prop_assert!(device.is_usable(NOW));
            let signed = scene.installation.map(|installation| installation.thumbprint);
            prop_assert_eq!(signed, Some(device.installation.thumbprint));
        }
    }

    #[test]
    fn only_usable_devices_are_asked_for(scene in scenes()) {
        let asked = match scene.decide() {
            Decision::Passcode { device }
            | Decision::Message { device }
            | Decision::Push { device, .. }
            | Decision::Verify { device, .. } => vec![device],
            Decision::Select { devices } => devices,
            Decision::Continue
            | Decision::Authorize { .. }
            | Decision::Bypass
            | Decision::Block(_) => Vec::new(),
        };
        for device in asked {
            let all = AnyDevice::all(&scene.devices, &scene.authenticators);
            prop_assert!(all.iter().any(|known| known.id() == device && known.counts() && known.is_usable(NOW)));
        }
    }

    #[test]
    fn stopping_pushes_never_opens_a_bypass(scene in scenes()) {
        if scene.decide() == Decision::Bypass {
            return Ok(());
        }
        let stopped = scene.with(|scene| scene.reach.stopped = vec![id(1)]);
        prop_assert_ne!(stopped.decide(), Decision::Bypass);
    }

    #[test]
    fn what_push_services_and_credentials_say_never_opens_a_bypass(scene in scenes(), gone: bool) {
        if scene.decide() == Decision::Bypass {
            return Ok(());
        }
        let silent = scene.with(|scene| {
            if gone {
                scene.reach.services.clear();
            } else {
                scene.devices.iter_mut().for_each(|device| device.address = SUSPECT);
            }
        });
        prop_assert_ne!(silent.decide(), Decision::Bypass);
    }

    #[test]
    fn blocking_or_locking_a_device_never_opens_a_bypass(
        scene in scenes(), n: prop::sample::Index, lock: bool
    ) {
        let state = if lock { LOCKED } else { BLOCKED };
        if scene.decide() == Decision::Bypass {
            return Ok(());
        }
        if !scene.devices.is_empty() {
            let n = n.index(scene.devices.len());
            let barred = scene.clone().with(|scene| scene.devices[n].state = state.clone());
            prop_assert_ne!(barred.decide(), Decision::Bypass);
        }
        if !scene.authenticators.is_empty() {
            let n = n.index(scene.authenticators.len());
            let paired = scene.authenticators[n].device_state().is_some();
            prop_assume!(paired);
            let state = authenticator::State::Paired { state };
            let barred = scene.with(|scene| scene.authenticators[n].state = state);
            prop_assert_ne!(barred.decide(), Decision::Bypass);
        }
    }

    #[test]
    fn what_is_decided_at_once_does_not_change_with_what_else_there_is(scene in scenes()) {
        let without = scene.clone().with(|scene| scene.authenticators.clear());
        let passes = |decision: &Decision| matches!(decision, Decision::Authorize { .. } | Decision::Verify { .. } | Decision::Continue);
        prop_assert_eq!(passes(&scene.decide()), passes(&without.decide()));
    }
}

#[test]
fn a_device_that_has_approved_a_code_passes_where_the_policy_accepts_it() {
    let mut scene = Scene::in_a_browser();
    scene.devices = vec![device(1)];
    scene.scanned = Some(id(1));
    assert_eq!(scene.decide(), Decision::Continue);
    scene.devices[0].state = BLOCKED;
    assert_ne!(scene.decide(), Decision::Continue, "it was blocked since");
    scene.devices = vec![device(2)];
    assert_ne!(scene.decide(), Decision::Continue, "it is gone");
    scene.devices = vec![device(1)];
    scene.policy.mobile.applications.clear();
    assert_ne!(scene.decide(), Decision::Continue, "the policy knows nothing of it");
}
