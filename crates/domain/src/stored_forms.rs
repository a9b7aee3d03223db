//! What is stored, pinned: a change of it is a change of every database there is.

use std::fmt::Debug;

use countersign_protocol::mobile_payload::PushService;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    access_control::{AccessControl, Groups},
    application::{
        AttributeMapping, ClientKeys, DeviceGrantRules, GrantType, Kind, Oidc, Pkce,
        PushedRequestRules, RefreshRules, RequestObjectRules, ResourceGrant, ResponseType,
        TokenEndpointAuthMethod,
    },
    audit::{self, Mentionable},
    authentication_code,
    authenticator::{self, Authenticator},
    authorization::{Answer, Prompt, Scope},
    challenge,
    device::{self, Device},
    device_code,
    fixture::{
        MFA, NOW, Named, application, assert_complete, authentication_code, authenticator,
        challenge, device, device_code, environment, flow, grant, group, id, identity, key,
        message, mfa_policy, mfa_settings, pairing_key, participant, population,
        protected_resource, record, session, sign_on_policy, signing_key as signing_key_of,
        subscription, ticket, user,
    },
    flow::{self, Failure, Flow, Method},
    grant,
    lockout::{Limit, Lockout},
    mfa::Reason,
    mfa_policy::{DeviceAuthorization, DeviceSelection, ExtraVerification},
    outbox::Content,
    pairing, pairing_key,
    password::{Password, PasswordHash},
    push_credentials::PushCredentials,
    push_health::PushHealth,
    push_limit::{PushLimit, PushLimitRules},
    role::Role,
    sealed::Sealed,
    session,
    sign_on_policy::{ActionKind, NoDevicesMode, SignOnPolicyAssignment},
    signing_key,
    subscription::{
        Delivery, Encoding, FilterOptions, Format, Payload, PayloadLimit, Subscription, Tag,
    },
};

/// The value is stored as the snapshot says, and read back as it was.
fn assert_pinned<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    assert_read_back(value);
    insta::assert_json_snapshot!(name, value);
}

fn assert_read_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let stored = serde_json::to_string(value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&stored).unwrap(), *value, "{stored}");
}

/// How all the values of an enum are stored.
fn words<T>(values: &[T]) -> serde_json::Value
where
    T: Named + Serialize + DeserializeOwned + PartialEq + Debug,
{
    assert_complete(values);
    values.iter().for_each(assert_read_back);
    json!(values)
}

#[test]
fn flows_are_stored_as_ever() {
    use flow::State;
    let named =
        |user, proved| State::Password { step: 0, username: "ann".to_owned(), user, proved };
    let only_named = flow::Identity::named(id(1));
    let states = vec![
        State::Identifier { step: 0 },
        State::Login { step: 0 },
        named(None, None),
        named(Some(id(1)), Some(identity())),
        State::AuthenticationCode { step: 0, code: id(5) },
        State::PasswordChange { step: 0, identity: identity() },
        State::Deciding { step: 1, identity: only_named },
        State::DeviceSelection { step: 1, identity: identity() },
        State::Passcode { step: 1, identity: identity(), device: id(2) },
        State::Verification {
            step: 1,
            identity: identity(),
            device: id(2),
            challenge: id(3),
            until: NOW,
            mode: ExtraVerification::Restrictive,
        },
        State::Push { step: 1, identity: identity(), device: id(2), challenge: id(3), until: NOW },
        State::PushTimedOut { step: 1, identity: identity(), device: id(2) },
        State::Completed { identity: identity() },
        State::Failed { user: None, why: Failure::Cancelled },
        State::Failed { user: Some(id(1)), why: Failure::Mfa(Reason::DeviceLocked) },
    ];
    assert_complete(&states);
    for state in &states {
        assert_read_back(&flow(state.clone()));
    }
    assert_pinned("flow", &flow(State::Login { step: 0 }));
    assert_pinned("flow_states", &states);
    let first = flow(State::Login { step: 0 });
    assert_read_back(&Flow { installation: None, ..first.clone() });
    assert_read_back(&Flow { notice: Some(flow::Notice::DeviceGone), ..first });
    insta::assert_json_snapshot!("flow_notices", words(&[flow::Notice::DeviceGone]));
}

#[test]
fn authenticators_are_stored_as_ever() {
    use authenticator::{Kind, Sending, State, Target};
    let codes = Kind::RecoveryCodes { hashes: vec!["hash".to_owned()] };
    let sending = Sending { id: id(3), flow: id(4), digits: 6, sent_at: NOW, spent: false };
    let to =
        |address: &str| Target { address: address.to_owned(), sendings: vec![sending.clone()] };
    let kinds = [
        authenticator(1).kind,
        codes,
        Kind::Email(to("ann@example.org")),
        Kind::Sms(to("+4915112345678")),
        Kind::Voice(to("+4915112345678")),
    ];
    let states = [State::new(NOW), State::paired(100)];
    assert_complete(&states);
    for state in &states {
        assert_read_back(&Authenticator { state: state.clone(), ..authenticator(1) });
    }
    let authenticators = kinds.map(|kind| Authenticator { kind, ..authenticator(1) });
    assert_pinned("authenticators", &authenticators.to_vec());
    assert_pinned("authenticator_states", &states.to_vec());
}

#[test]
fn devices_are_stored_as_ever() {
    use device::State;
    let states = vec![
        State::Active { failures: 2, last_step: -1 },
        State::Blocked { at: NOW, last_step: 100 },
        State::Locked { until: NOW, last_step: 100 },
        State::Removed { at: NOW },
    ];
    assert_complete(&states);
    let device = Device { nickname: Some("Ann's phone".to_owned()), ..device(1) };
    for state in &states {
        assert_read_back(&Device { state: state.clone(), ..device.clone() });
    }
    assert_pinned("device", &device);
    assert_pinned("device_states", &states);
}

#[test]
fn what_is_known_of_addresses_is_stored_as_ever() {
    use device::AddressState;
    let states = [
        AddressState::Live,
        AddressState::Suspect { since: NOW, remove_at: None },
        AddressState::Suspect { since: NOW, remove_at: Some(NOW) },
    ];
    for address in &states {
        assert_read_back(&Device { address: address.clone(), contact_at: Some(NOW), ..device(1) });
    }
    insta::assert_json_snapshot!("device_addresses", states);
    let health =
        PushHealth::new(id(1), id(1)).warned(PushService::Apns, "BadDeviceToken", NOW).stopped(NOW);
    assert_pinned("push_health", &health);
    let limit = PushLimit::default().failed(&PushLimitRules::default(), NOW);
    assert_pinned("push_limit", &limit);
    let secret = Sealed::new(vec![1, 2, 3]);
    let credentials = PushCredentials {
        id: id(1),
        environment: id(1),
        application: id(1),
        service: PushService::Apns,
        secret,
        created_at: NOW,
        updated_at: NOW,
    };
    assert_pinned("push_credentials", &credentials);
}

#[test]
fn challenges_are_stored_as_ever() {
    use challenge::{Cancellation, Denial, State};
    let states = vec![
        State::Pending,
        State::Acknowledged { at: NOW },
        State::Approved { at: NOW, method: "fpt".to_owned() },
        State::Denied { at: NOW, why: Denial::Fraud },
        State::TimedOut,
        State::Cancelled { at: NOW, why: Cancellation::Superseded },
    ];
    assert_complete(&states);
    for state in &states {
        assert_read_back(&challenge(state.clone()));
    }
    assert_pinned("challenge", &challenge(State::Pending));
    assert_pinned("challenge_states", &states);
    let silent =
        challenge::Challenge { question: challenge::Question::Silent, ..challenge(State::Pending) };
    assert_read_back(&silent);
}

#[test]
fn authentication_codes_are_stored_as_ever() {
    use authentication_code::{Candidate, State};
    let installation = key(1).thumbprint();
    let by = Candidate { user: id(1), device: id(2) };
    let states = vec![
        State::Unclaimed,
        State::Claimed { installation, candidates: vec![by], at: NOW },
        State::Completed { installation, by, approved: true, at: NOW },
        State::Denied { installation, user: Some(id(1)), at: NOW },
        State::Expired { installation: Some(installation) },
    ];
    assert_complete(&states);
    for state in &states {
        assert_read_back(&authentication_code(state.clone()));
    }
    assert_pinned("authentication_code", &authentication_code(State::Unclaimed));
    assert_pinned("authentication_code_states", &states);
}

#[test]
fn tickets_are_stored_as_ever() {
    use pairing::State;
    let states = vec![
        State::Open,
        State::Claimed { device: id(2), at: NOW },
        State::Denied { at: NOW },
        State::Expired,
    ];
    assert_complete(&states);
    for state in &states {
        assert_read_back(&ticket(state.clone()));
    }
    assert_pinned("ticket", &ticket(State::Open));
    assert_pinned("ticket_states", &states);
}

#[test]
fn pairing_keys_are_stored_as_ever() {
    use pairing_key::{Refused, State};
    let refused = |why| Some(Refused { why, at: NOW });
    let states = vec![
        State::Unclaimed { refused: None },
        State::Unclaimed { refused: refused(pairing::NoOffer::LimitReached { maximum: 5 }) },
        State::Claimed {
            installation: key(1).thumbprint(),
            application: id(1),
            device: id(2),
            at: NOW,
        },
        State::Expired { refused: None },
        State::Expired { refused: refused(pairing::NoOffer::Compromised) },
    ];
    assert_complete(&states);
    for state in &states {
        assert_read_back(&pairing_key(state.clone()));
    }
    assert_pinned("pairing_key", &pairing_key(State::Unclaimed { refused: None }));
    assert_pinned("pairing_key_states", &states);
}

#[test]
fn device_codes_are_stored_as_ever() {
    use device_code::State;
    let states = vec![
        State::Pending { interval_seconds: 5, polled_at: None },
        State::Approved { identity: identity(), acr: "Multi_Factor".to_owned() },
        State::Denied,
        State::Redeemed { at: NOW },
    ];
    assert_complete(&states);
    for state in &states {
        assert_read_back(&device_code(state.clone()));
    }
    assert_pinned("device_code", &device_code(State::Denied));
    assert_pinned("device_code_states", &states);
}

#[test]
fn grants_are_stored_as_ever() {
    use grant::State;
    let states = vec![
        State::Issued,
        State::Answered { access_until: NOW },
        State::Redeemed { at: NOW, access_until: NOW },
        State::Refreshable {
            generation: 7,
            rotated_at: NOW,
            access_until: NOW,
            refresh_until: NOW,
        },
        State::Revoked { at: NOW },
    ];
    assert_complete(&states);
    for state in &states {
        assert_read_back(&grant(state.clone()));
    }
    assert_pinned("grant", &grant(State::Issued));
    assert_pinned("grant_states", &states);
}

#[test]
fn sessions_are_stored_as_ever() {
    use session::State;
    let active = State::Active { identity: identity(), participants: vec![participant()] };
    let states = vec![active.clone(), State::Ended { user: id(1) }];
    assert_complete(&states);
    for state in &states {
        assert_read_back(&session(state.clone()));
    }
    assert_pinned("session", &session(active));
    assert_pinned("session_states", &states);
}

#[test]
fn what_administrators_make_is_stored_as_ever() {
    let mut application = application();
    application.secret = Some(Sealed::new(vec![1, 2, 3]));
    let mut policy = mfa_policy();
    let extra_verification = Some(ExtraVerification::Restrictive);
    policy.mobile.applications[0].device_authorization =
        Some(DeviceAuthorization { extra_verification });
    let assignment = SignOnPolicyAssignment {
        id: id(1),
        environment: id(1),
        application: id(1),
        sign_on_policy: id(1),
        priority: 1,
    };
    assert_pinned("environment", &environment());
    assert_pinned("population", &population());
    assert_pinned("group", &group());
    assert_pinned("protected_resource", &protected_resource());
    assert_pinned("application", &application);
    assert_pinned("oidc", &oidc());
    assert_pinned("mfa_policy", &policy);
    assert_pinned("mfa_settings", &mfa_settings());
    assert_pinned("sign_on_policy", &sign_on_policy());
    assert_pinned("sign_on_policy_assignment", &assignment);
}

#[test]
fn people_are_stored_as_ever() {
    let lockout = Lockout::default().failed(Limit { failures: 1, lock_seconds: 60 }, NOW);
    let hash = PasswordHash {
        memory_kib: 19_456,
        passes: 2,
        salt: "salt".to_owned(),
        hash: "hash".to_owned(),
    };
    assert_pinned("user", &user());
    assert_pinned("password", &Password { hash, changed_at: NOW, must_change: false });
    assert_pinned("lockout", &lockout);
}

#[test]
fn the_outbox_is_stored_as_ever() {
    let contents = [
        message().content,
        Content::Challenge { challenge: id(1), until: NOW },
        Content::Cancellation { challenge: id(1) },
        Content::Passcode { device: id(1), sending: id(2), until: NOW },
        Content::Unpairing { device: id(1), since: NOW, at: NOW },
        Content::Unpairings { application: id(1) },
    ];
    assert_complete(&contents);
    assert_pinned("message", &message());
    assert_pinned("message_contents", &contents.to_vec());
}

#[test]
fn subscriptions_are_stored_as_ever() {
    assert_pinned("subscription", &subscription());
    let filter = FilterOptions {
        applications: vec![id(1)],
        populations: vec![id(2)],
        tags: vec![Tag::AdminIdentityEvent],
        ip_address_exposed: true,
        user_agent_exposed: true,
        ..subscription().filter
    };
    let payload = Payload {
        limit: PayloadLimit::Kilobytes(64),
        encoding: Encoding::NdJson,
        pretty_print: true,
    };
    let full = Subscription {
        enabled: false,
        format: Format::NewRelic,
        headers: Some(Sealed::new(vec![1, 2, 3])),
        filter,
        payload,
        told: Some("{}".to_owned()),
        ..subscription()
    };
    assert_pinned("subscription_full", &full);
    assert_pinned("subscription_formats", &[Format::Activity, Format::Splunk].to_vec());
    assert_pinned("delivery", &Delivery::of(&full));
    let failed = Delivery::of(&full).leased(id(1), NOW).succeeded(NOW);
    let failed = failed.failed(NOW, "the answer has status 503".to_owned(), 0);
    let dropped = Delivery { dropped_at: Some(NOW), ..failed };
    assert_pinned("delivery_failed", &dropped);
}

#[test]
fn the_audit_log_is_stored_as_ever() {
    assert_pinned("audit_entry", &record().entry);
    let failed = audit::Event::failed(audit::Action::PasswordCheckFailed, "unknown_user");
    let least = audit::Entry {
        recorded_at: NOW,
        correlation: String::new(),
        source: None,
        by: None,
        event: failed.in_session("session"),
    };
    assert_pinned("audit_entry_least", &least);
    let by = audit::Actors {
        client: (&application()).mention(),
        user: (&user()).mention(),
        platform: Some(audit::Part::Worker),
    };
    let created = audit::Event::succeeded(audit::Action::MfaPolicyCreated)
        .to(&environment())
        .to(&population())
        .to(&application())
        .to(&sign_on_policy())
        .to(&mfa_policy());
    assert_pinned("audit_entry_by_others", &audit::Entry { by: Some(by), event: created, ..least });
    let parts = [audit::Part::Worker, audit::Part::Operator].map(audit::Actors::part);
    insta::assert_json_snapshot!("audit_parts", parts);
}

#[test]
fn the_words_are_stored_as_ever() {
    use DeviceSelection::{AlwaysDisplayDevices, DefaultToFirst, PromptToSelect};
    use TokenEndpointAuthMethod::{
        ClientSecretBasic, ClientSecretJwt, ClientSecretPost, PrivateKeyJwt,
    };
    let methods = [ClientSecretBasic, ClientSecretPost, ClientSecretJwt, PrivateKeyJwt];
    let grant_types = [
        GrantType::AuthorizationCode,
        GrantType::Implicit,
        GrantType::RefreshToken,
        GrantType::ClientCredentials,
        GrantType::DeviceCode,
    ];
    let redirect_uri = "https://bank.example/cb".to_owned();
    let answers = [
        Answer::Query { redirect_uri: redirect_uri.clone() },
        Answer::FormPost { redirect_uri: redirect_uri.clone() },
        Answer::Fragment { redirect_uri },
        Answer::Flow { redirect_uri: None },
        Answer::Device { device_code: id(1) },
        Answer::Worker,
        Answer::Account,
        Answer::Console,
    ];
    insta::assert_json_snapshot!(
        "words",
        json!({
            "flow.method": words(&[
                Method::Pwd,
                Method::Otp,
                Method::Swk,
                Method::Mca,
                Method::User,
                Method::Fpt,
                Method::Face,
                Method::Pin,
                Method::Mfa,
            ]),
            "authorization.answer": words(&answers),
            "authorization.prompt": words(&[Prompt::AsNeeded, Prompt::None, Prompt::Login]),
            "authorization.scope": Scope::ALL,
            "application.kind": words(&[Kind::Web, Kind::Native, Kind::SinglePage, Kind::Worker]),
            "application.token_endpoint_auth_method":
                words(&[&[TokenEndpointAuthMethod::None], methods.as_slice()].concat()),
            "application.grant_type": words(&grant_types),
            "application.pkce": words(&[Pkce::Optional, Pkce::Required, Pkce::S256Required]),
            "application.response_type":
                words(&[ResponseType::Code, ResponseType::Token, ResponseType::IdToken]),
            "mfa_policy.device_selection":
                words(&[DefaultToFirst, PromptToSelect, AlwaysDisplayDevices]),
            "mfa_policy.extra_verification":
                words(&[ExtraVerification::Permissive, ExtraVerification::Restrictive]),
            "role": words(Role::ALL),
            "sign_on_policy.action_kind":
                words(&[ActionKind::Login, ActionKind::IdentifierFirst, MFA]),
            "sign_on_policy.no_devices_mode": words(&[NoDevicesMode::Block, NoDevicesMode::Bypass]),
        })
    );
}

#[test]
fn the_reasons_of_failures_are_stored_as_ever() {
    let reasons = [
        Reason::NoUsableDevice,
        Reason::DeviceBlocked,
        Reason::DeviceLocked,
        Reason::UserLocked,
        Reason::MfaDisabled,
        Reason::Compromised,
        Reason::ExtraVerificationFailed,
        Reason::PushDenied,
        Reason::PushesStopped,
    ];
    insta::assert_json_snapshot!("mfa_reasons", words(&reasons));
    let failures = reasons.map(Failure::Mfa).into_iter().chain([
        Failure::Cancelled,
        Failure::OtherUser,
        Failure::NoSteps,
        Failure::MissingClaim { place: 0 },
        Failure::NotAdmitted,
    ]);
    insta::assert_json_snapshot!("failures", failures.map(Failure::name).collect::<Vec<_>>());
}

#[test]
fn the_actions_of_the_audit_log_are_stored_as_ever() {
    insta::assert_json_snapshot!("audit_actions", audit::Action::ALL);
}

/// Nothing as it is by default.
fn oidc() -> Oidc {
    let attribute = AttributeMapping {
        id: id(1),
        name: "department".to_owned(),
        value: "${user.population.id}".to_owned(),
        required: true,
        id_token: true,
        user_info: false,
        scopes: vec!["profile".to_owned()],
    };
    let grant = ResourceGrant {
        id: id(1),
        resource: id(1),
        scopes: vec![id(1)],
        created_at: NOW,
        updated_at: NOW,
    };
    Oidc {
        response_types: vec![ResponseType::Code, ResponseType::IdToken],
        wildcard_redirect_uris: true,
        post_logout_redirect_uris: vec!["https://bank.example/out".to_owned()],
        backchannel_logout_uri: Some("https://bank.example/backchannel".to_owned()),
        pushed_requests: PushedRequestRules { required: true, timeout_seconds: 30 },
        request_objects: RequestObjectRules { unsigned_allowed: false, signature_required: true },
        refresh: RefreshRules {
            idle_seconds: 600,
            life_seconds: Some(3_600),
            grace_seconds: 10,
            replay_protection: false,
        },
        device_grant: DeviceGrantRules {
            timeout_seconds: 60,
            interval_seconds: 10,
            verification_uri: Some("https://bank.example/tv".to_owned()),
        },
        phone_sign_on: Some(id(2)),
        access_control: Some(AccessControl {
            administrators_only: true,
            groups: Some(Groups { all: true, of: vec![id(1)] }),
        }),
        keys: Some(ClientKeys::Url("https://bank.example/jwks".to_owned())),
        dpop_required: true,
        access_token_seconds: 600,
        attributes: vec![attribute],
        grants: vec![grant],
    }
}

#[test]
fn signing_keys_are_stored_as_ever() {
    use signing_key::State;
    let private = || Sealed::new(vec![1, 2, 3]);
    let states = [
        State::Next { private: private(), at: NOW },
        State::Current { private: private(), at: NOW },
        State::Retired { until: NOW },
        State::Removed,
    ];
    assert_complete(&states);
    let keys: Vec<_> = states.into_iter().map(|state| signing_key_of(1, state)).collect();
    assert_pinned("signing_keys", &keys);
}
