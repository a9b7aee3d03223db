//! Whom the tests are about: Ann, her phone, her bank and the policies that bind them.

use countersign_domain::{
    application::{
        Application, GrantType, Kind, Mobile, Oidc, Pkce, RefreshRules, ResponseType,
        TokenEndpointAuthMethod,
    },
    audit,
    authentication_code::{self, AuthenticationCode},
    authenticator::{self, Authenticator},
    authorization::{Answer, AuthorizationRequest, Prompt, Scope},
    challenge::{self, Challenge},
    device::{self, Device},
    device_code::{self, DeviceCode},
    environment::{self, Environment},
    flow::{self, Failure, Flow, Identity, Method},
    grant::{self, Grant},
    group::Group,
    id::Id,
    installation::Installation,
    lockout::{Limit, Lockout},
    mfa::{self, Reason},
    mfa_policy::{
        self, CodeRules, DeviceAuthorization, DeviceSelection, ExtraVerification, MfaPolicy,
        MobileApplication, PushRules,
    },
    mfa_settings::MfaSettings,
    outbox::{Content, Message},
    pairing::{self, Ticket},
    pairing_key::{self, PairingKey},
    population::Population,
    protected_resource::{self, ProtectedResource},
    role::Role,
    sealed::Sealed,
    session::{self, Session},
    sign_on_policy::{Action, ActionKind, NoDevicesMode, SignOnPolicy},
    signing_key::{self, SigningKey},
    subscription::{self, Delivery, Subscription},
    user::{Name, Profile, User},
};
use countersign_protocol::{
    challenge::{NumberMatching, Origin},
    jose::Algorithm,
    jwk::{EcPublicKey, PublicJwk, PublicKey},
    mobile_payload::{DeviceFacts, Platform, PushAddress, PushService},
    pairing_key::KeyFormat,
    private_key::EcPrivateKey,
    time::Timestamp,
};

#[path = "fixture/named.rs"]
mod named;
#[path = "fixture/table.rs"]
mod table;

pub use self::{
    named::Named,
    table::{assert_complete, assert_told},
};

/// 2026-01-05T09:00:00Z.
pub const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_603_600);

/// Locks after three wrong passcodes for two minutes.
pub const LIMIT: Limit = Limit { failures: 3, lock_seconds: 120 };

/// The MFA step of most sign-ons here.
pub const MFA: ActionKind = ActionKind::MultiFactorAuthentication {
    mfa_policy: None,
    no_devices_mode: NoDevicesMode::Block,
};

/// The `n`th id of its kind. Ann, the bank, its policies and the environment are all the first of theirs.
pub const fn id<T>(n: u8) -> Id<T> {
    Id::from_bytes([n; 16])
}

/// The possession key of the `n`th phone.
pub fn key(n: u8) -> EcPublicKey {
    EcPrivateKey::from_scalar(&[n; 32]).unwrap().public()
}

pub fn environment() -> Environment {
    Environment {
        id: id(1),
        name: "Bank".to_owned(),
        description: None,
        kind: environment::Kind::default(),
        deleted_at: None,
        told: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

pub fn group() -> Group {
    Group {
        id: id(1),
        environment: id(1),
        name: "Clerks".to_owned(),
        description: None,
        population: None,
        external_id: None,
        told: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// The payments of the bank.
pub fn protected_resource() -> ProtectedResource {
    ProtectedResource {
        id: id(1),
        environment: id(1),
        kind: protected_resource::Kind::Custom,
        name: "Payments".to_owned(),
        description: None,
        audience: Some("https://payments.bank.example".to_owned()),
        access_token_seconds: 600,
        scopes: vec![protected_resource::ResourceScope {
            id: id(1),
            name: "payments:pay".to_owned(),
            description: None,
            created_at: NOW,
            updated_at: NOW,
        }],
        attributes: vec![protected_resource::ResourceAttribute {
            id: id(1),
            name: "branch".to_owned(),
            value: "${user.title}".to_owned(),
        }],
        told: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

pub fn population() -> Population {
    Population {
        id: id(1),
        environment: id(1),
        name: "Customers".to_owned(),
        default: true,
        description: None,
        preferred_language: None,
        told: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// Who wants to hear of devices.
pub fn subscription() -> Subscription {
    Subscription {
        id: id(1),
        environment: id(1),
        name: "SIEM".to_owned(),
        enabled: true,
        verify_tls_certificates: true,
        format: subscription::Format::Activity,
        url: "https://siem.example/in".to_owned(),
        headers: None,
        filter: subscription::FilterOptions {
            action_types: vec!["DEVICE.CREATED".to_owned()],
            ..subscription::FilterOptions::default()
        },
        payload: subscription::Payload::default(),
        told: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// How far they were told: not at all.
pub fn delivery() -> Delivery {
    Delivery::of(&subscription())
}

/// Ann.
pub fn user() -> User {
    User {
        id: id(1),
        environment: id(1),
        population: id(1),
        username: "ann".to_owned(),
        email: "ann@bank.example".to_owned(),
        name: Name {
            given: Some("Ann".to_owned()),
            family: Some("Lee".to_owned()),
            ..Name::default()
        },
        enabled: true,
        mfa_enabled: true,
        mfa_lockout: Lockout::cleared(),
        profile: Profile::default(),
        locked_at: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// The bank's app.
pub fn application() -> Application {
    Application {
        id: id(1),
        environment: id(1),
        name: "Bank".to_owned(),
        kind: Kind::Native,
        enabled: true,
        token_endpoint_auth_method: TokenEndpointAuthMethod::None,
        secret: None,
        grant_types: vec![GrantType::AuthorizationCode],
        redirect_uris: vec!["org.bank.app:/cb".to_owned()],
        pkce: Pkce::Required,
        id_token_algorithm: Algorithm::Rs256,
        oidc: Oidc::default(),
        mobile: Some(Mobile { package_name: Some("org.bank.app".to_owned()), ..Mobile::default() }),
        previous_secret: None,
        description: None,
        told: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// The `n`th phone, with the bank's app.
pub fn installation(n: u8) -> Installation {
    let key = key(n);
    Installation {
        thumbprint: key.thumbprint(),
        key,
        application: id(1),
        platform: Platform::Android,
        package: Some("org.bank.app".to_owned()),
        version: Some("5.1".to_owned()),
        device: DeviceFacts {
            manufacturer: Some("Acme".to_owned()),
            model: None,
            os_version: Some("16".to_owned()),
            locale: Some("en-GB".to_owned()),
            sdk_version: "0.1.0".to_owned(),
            screen_lock: Some(true),
            rooted: Some(false),
        },
        push: Some(PushAddress {
            service: PushService::Fcm,
            address: "token".to_owned(),
            environment: None,
            enabled: true,
        }),
    }
}

/// The `n`th phone, paired to Ann.
pub fn device(n: u8) -> Device {
    Device {
        id: id(n),
        environment: id(1),
        user: id(1),
        installation: installation(n),
        verification: Some(key(n + 100)),
        address: device::AddressState::Live,
        contact_at: None,
        nickname: None,
        seed: Sealed::new(vec![n; 4]),
        passcode_step_seconds: 30,
        place: None,
        logs: None,
        updated_at: None,
        created_at: NOW,
        state: device::State::paired(100),
    }
}

/// Ann's authenticator app, which counts.
pub fn authenticator(n: u8) -> Authenticator {
    Authenticator {
        id: id(n),
        environment: id(1),
        user: id(1),
        kind: authenticator::Kind::Totp { seed: Sealed::new(vec![n; 4]) },
        nickname: None,
        place: None,
        created_at: NOW,
        state: authenticator::State::paired(100),
    }
}

/// Lets phones with the bank's app pass by themselves, be paired at the first sign-on, and show passcodes.
pub fn mfa_policy() -> MfaPolicy {
    MfaPolicy {
        id: id(1),
        environment: id(1),
        name: "Phones".to_owned(),
        default: true,
        mobile: mfa_policy::Mobile {
            enabled: true,
            passcode_limit: LIMIT,
            applications: vec![MobileApplication {
                application: id(1),
                passcode_enabled: true,
                device_authorization: Some(DeviceAuthorization { extra_verification: None }),
                auto_enrollment: true,
                codes: CodeRules::default(),
                pairing_disabled: false,
                pairing_key_life_seconds: 600,
                push: PushRules::default(),
            }],
        },
        authenticators: mfa_policy::Authenticators::default(),
        device_selection: DeviceSelection::DefaultToFirst,
        ignore_user_lock: false,
        block_users_with_disabled_mfa: false,
        block_disabled_users: true,
        told: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

pub fn mfa_settings() -> MfaSettings {
    let lockout = Some(Limit { failures: 10, lock_seconds: 600 });
    MfaSettings { lockout, ..MfaSettings::default() }
}

/// A password, then a device.
pub fn sign_on_policy() -> SignOnPolicy {
    let actions = [ActionKind::Login, MFA].into_iter().zip(1..);
    SignOnPolicy {
        id: id(1),
        environment: id(1),
        name: "Multi_Factor".to_owned(),
        default: true,
        description: None,
        actions: actions.map(|(kind, n)| Action::new(id(n), n.into(), kind)).collect(),
        told: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// Ann, by her password and her phone.
pub fn identity() -> Identity {
    Identity {
        user: id(1),
        methods: vec![Method::Pwd, Method::Swk, Method::Mfa],
        authenticated_at: Some(NOW),
        mfa_policy: Some(id(1)),
        signed_on_at: None,
        possession: None,
        scanned: None,
    }
}

/// Ann's browser, in which the bank's app takes part.
pub fn session(state: session::State) -> Session {
    let expires_at = NOW.plus_seconds(3_600);
    Session { id: id(1), environment: id(1), created_at: NOW, expires_at, state }
}

/// The bank's app in a session.
pub fn participant() -> session::Participant {
    session::Participant { application: id(1), grant: id(1) }
}

/// A sign-on of Ann in the bank's app.
pub fn flow(state: flow::State) -> Flow {
    Flow {
        id: id(1),
        environment: id(1),
        request: AuthorizationRequest {
            application: id(1),
            answer: Answer::Query { redirect_uri: "org.bank.app:/cb".to_owned() },
            response_types: vec![ResponseType::Code],
            scopes: vec![Scope::OpenId],
            access: None,
            state: Some("xyz".to_owned()),
            nonce: None,
            code_challenge: Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned()),
            login_hint: None,
            user: None,
            device: None,
            prompt: Prompt::AsNeeded,
            max_age: None,
            acr_values: Vec::new(),
            template: None,
            client_context: None,
            dpop_jkt: None,
        },
        acr: "Multi_Factor".to_owned(),
        actions: vec![ActionKind::Login, MFA],
        conditions: None,
        required_claims: Vec::new(),
        access_control: None,
        installation: Some(installation(1)),
        session: None,
        resumed: None,
        browser: "browser".to_owned(),
        created_at: NOW,
        updated_at: NOW,
        expires_at: Flow::expiry(NOW, NOW),
        state,
        notice: None,
    }
}

/// The offer to pair the first phone to Ann.
pub fn ticket(state: pairing::State) -> Ticket {
    Ticket {
        id: id(1),
        environment: id(1),
        user: id(1),
        application: id(1),
        key: key(1),
        mfa_policy: id(1),
        multi_factor: true,
        secret_hash: "secret".to_owned(),
        issued_at: NOW,
        state,
    }
}

/// A key with which a phone with the bank's app is paired to Ann.
pub fn pairing_key(state: pairing_key::State) -> PairingKey {
    PairingKey {
        id: id(1),
        environment: id(1),
        user: id(1),
        applications: vec![id(1)],
        mfa_policy: id(1),
        format: KeyFormat::Numeric,
        first_only: false,
        life_seconds: 600,
        created_at: NOW,
        updated_at: NOW,
        state,
    }
}

/// A request of a device with the bank's app, good for ten minutes.
pub fn device_code(state: device_code::State) -> DeviceCode {
    DeviceCode {
        id: id(1),
        environment: id(1),
        application: id(1),
        scopes: vec![Scope::OpenId],
        access: None,
        issued_at: NOW,
        expires_at: NOW.plus_seconds(600),
        state,
    }
}

/// What a sign-on of Ann gave to the bank's app.
pub fn grant(state: grant::State) -> Grant {
    Grant {
        id: id(1),
        environment: id(1),
        application: id(1),
        identity: identity(),
        scopes: vec![Scope::OpenId],
        access: None,
        acr: "Multi_Factor".to_owned(),
        nonce: Some("nonce".to_owned()),
        redirect_uri: Some("org.bank.app:/cb".to_owned()),
        code_challenge: Some("challenge".to_owned()),
        installation: Some(installation(1)),
        session: Some(id(1)),
        confirmation: None,
        issued_at: NOW,
        state,
    }
}

/// The bank's app redeems that grant as it should.
pub fn redemption() -> grant::Event {
    let grant = grant(grant::State::Issued);
    grant::Event::Redeem {
        application: grant.application,
        redirect_uri: grant.redirect_uri,
        code_challenge: grant.code_challenge,
        terms: TERMS,
    }
}

/// The `n`th signing key of the bank, an ES256 one.
pub fn signing_key(n: u8, state: signing_key::State) -> SigningKey {
    SigningKey {
        id: id(n),
        environment: id(1),
        public: PublicJwk::of(PublicKey::Ec(key(n))),
        created_at: NOW,
        state,
    }
}

/// Tokens of an hour, and no refresh tokens.
pub const TERMS: grant::Terms = grant::Terms { access_seconds: 3_600, refresh: None };

/// Refresh tokens that may rest for ten minutes and live for an hour, with half a minute of grace.
pub const REFRESH: RefreshRules = RefreshRules {
    idle_seconds: 600,
    life_seconds: Some(3_600),
    grace_seconds: 30,
    replay_protection: true,
};

/// The bank's app presents a refresh token as it should.
pub fn refreshing(generation: u32) -> grant::Event {
    let terms = grant::Terms { refresh: Some(REFRESH), ..TERMS };
    grant::Event::Refresh { application: id(1), generation, terms }
}

/// A grant whose refresh token was rotated this often, now for the last time.
pub fn refreshable(generation: u32) -> Grant {
    grant(grant::State::Refreshable {
        generation,
        rotated_at: NOW,
        access_until: NOW.plus_seconds(3_600),
        refresh_until: NOW.plus_seconds(600),
    })
}

pub fn record() -> audit::Record {
    audit::Record {
        id: id(1),
        environment: id(1),
        entry: audit::Entry {
            recorded_at: NOW,
            correlation: "correlation".to_owned(),
            source: audit::Source::of(Some([192, 0, 2, 7].into()), Some("Bank/5.1")),
            by: None,
            event: audit::Event::of(audit::Action::DeviceAuthorized, Some("device_authorized"))
                .through(&application())
                .about(&user())
                .on(&Device { nickname: Some("Ann's phone".to_owned()), ..device(1) })
                .within(id(1)),
        },
    }
}

/// A code for the bank's app, which asks the person.
pub fn authentication_code(state: authentication_code::State) -> AuthenticationCode {
    AuthenticationCode {
        id: id(1),
        environment: id(1),
        application: id(1),
        flow: None,
        approval: authentication_code::Approval::Required,
        client_context: None,
        site: "Bank site".to_owned(),
        origin: Origin::default(),
        number: None,
        life_seconds: 60,
        created_at: NOW,
        updated_at: NOW,
        state,
    }
}

/// Ann is asked on her phone whether she signs on to the bank.
pub fn challenge(state: challenge::State) -> Challenge {
    let person = challenge::Person { username: "ann".to_owned(), name: user().name };
    let matching = NumberMatching::SelectNumber { options: vec![17, 42, 86] };
    let shown = challenge::Shown {
        person,
        application: "Bank".to_owned(),
        title: "Sign in?".to_owned(),
        message: "Somebody signs in to Bank.".to_owned(),
        client_context: None,
        origin: Origin { address: Some("192.0.2.7".to_owned()), browser: None },
        number: Some(challenge::Number { value: 42, matching }),
    };
    Challenge {
        id: id(1),
        environment: id(1),
        user: id(1),
        device: id(1),
        installation: key(1).thumbprint(),
        application: id(1),
        policy: id(1),
        flow: id(1),
        question: challenge::Question::Visible(Box::new(shown)),
        created_at: NOW,
        answer_until: NOW.plus_seconds(40),
        state,
    }
}

pub fn message() -> Message {
    let content = Content::LogoutToken { application: id(1), user: id(1), session: id(1) };
    Message {
        id: id(1),
        environment: id(1),
        correlation: "correlation".to_owned(),
        created_at: NOW,
        content,
    }
}
