//! A realm: an environment as an issuer, with its addresses and its keys in memory.

use aws_lc_rs::constant_time;
use countersign_domain::{
    authentication_code::AuthenticationCode,
    authenticator::{RecoveryCode, Sending},
    challenge::Challenge,
    device::Device,
    device_code::DeviceCode,
    environment::Environment,
    flow::Flow,
    grant::Grant,
    id::Id,
    pairing::Ticket,
    pairing_key::PairingKey,
    pushed_request::PushedRequest,
    session::Session,
};
use countersign_protocol::{
    authentication_code::Code, encoding, pairing_key::Key, push::PushNonce, secret::Secret,
};

use super::access_token::AccessToken;
use crate::keys::{EnvironmentKeys, Purpose};

/// An environment as an issuer.
pub struct Realm {
    /// The environment.
    pub environment: Id<Environment>,
    /// `iss` of its tokens.
    pub issuer: String,
    /// Address of its device API.
    pub device_base: String,
    /// Address at which people type the codes of their devices.
    pub device_page: String,
    /// Address of the page of the own account.
    pub account_page: String,
    /// Address of the platform API, which all environments share.
    pub platform_base: String,
    /// What it signs and hashes with.
    pub keys: EnvironmentKeys,
    /// Which version of its signing keys that is.
    pub(super) keys_version: i64,
}

/// How the `request_uri` of a pushed request begins.
pub(super) const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

/// Bytes of an id, which every handle begins with.
const ID_BYTES: usize = 16;

impl Realm {
    /// Whether an access token is for the OpenID provider or the platform itself, and not for a resource.
    pub(super) fn is_audience_of(&self, token: &AccessToken) -> bool {
        token.aud.contains(&self.issuer)
    }

    /// Who a client may say that its assertion is for: the issuer, or an endpoint at which it proves itself (RFC 7523,
    /// section 3; RFC 9126, section 2).
    #[must_use]
    pub fn audiences_of_clients(&self) -> Vec<String> {
        let endpoints = ["token", "par", "introspect", "revoke", "device_authorization"];
        let at = |endpoint| format!("{}/{endpoint}", self.issuer);
        std::iter::once(self.issuer.clone()).chain(endpoints.map(at)).collect()
    }

    /// The code of a grant. Asking for the result of a flow again gives the same one.
    #[must_use]
    pub fn code(&self, grant: Id<Grant>) -> Secret<String> {
        self.handle(Purpose::Code, grant)
    }

    /// The grant that a code names, if this realm made the code.
    #[must_use]
    pub fn grant_of(&self, code: &str) -> Option<Id<Grant>> {
        self.named(Purpose::Code, code)
    }

    /// The value of the cookie of a session.
    #[must_use]
    pub fn session_cookie(&self, session: Id<Session>) -> Secret<String> {
        self.handle(Purpose::Session, session)
    }

    /// The session that a cookie names, if this realm made the cookie.
    #[must_use]
    pub fn session_of(&self, cookie: &str) -> Option<Id<Session>> {
        self.named(Purpose::Session, cookie)
    }

    /// The cookie of a browser whose session has come to the console.
    #[must_use]
    pub fn console_cookie(&self, session: Id<Session>) -> Secret<String> {
        self.handle(Purpose::Console, session)
    }

    /// The session that has come to the console, if this realm made the cookie.
    #[must_use]
    pub fn console_of(&self, cookie: &str) -> Option<Id<Session>> {
        self.named(Purpose::Console, cookie)
    }

    /// The token that forms of the console carry, so that another site cannot post them (CSRF).
    #[must_use]
    pub fn console_form(&self, console_cookie: &str) -> String {
        encoding::encode(self.keys.mac(Purpose::Console, console_cookie.as_bytes()))
    }

    /// Whether a form of the console carries its token, in constant time.
    #[must_use]
    pub fn owns_console_form(&self, console_cookie: &str, token: &str) -> bool {
        let token = encoding::decode(token).unwrap_or_default();
        self.keys.verify_mac(Purpose::Console, console_cookie.as_bytes(), &token)
    }

    /// The token of the page that asks the browser of a session whether to sign off.
    #[must_use]
    pub fn sign_off_form(&self, session_cookie: &str) -> String {
        encoding::encode(self.keys.mac(Purpose::SignOff, session_cookie.as_bytes()))
    }

    /// Whether that page was sent back, in constant time.
    #[must_use]
    pub fn owns_sign_off_form(&self, session_cookie: &str, token: &str) -> bool {
        let token = encoding::decode(token).unwrap_or_default();
        self.keys.verify_mac(Purpose::SignOff, session_cookie.as_bytes(), &token)
    }

    /// The `request_uri` of a pushed request (RFC 9126, section 2.2).
    #[must_use]
    pub fn request_uri(&self, request: Id<PushedRequest>) -> String {
        format!("{REQUEST_URI}{}", self.handle(Purpose::PushedRequest, request).expose())
    }

    /// The pushed request that a `request_uri` names, if this realm made it.
    #[must_use]
    pub fn pushed_request_of(&self, request_uri: &str) -> Option<Id<PushedRequest>> {
        self.named(Purpose::PushedRequest, request_uri.strip_prefix(REQUEST_URI)?)
    }

    /// The refresh token of one generation of a grant, made like a code.
    #[must_use]
    pub fn refresh_token(&self, grant: Id<Grant>, generation: u32) -> Secret<String> {
        let named = refresh_bytes(grant, generation);
        let proof = self.keys.mac(Purpose::Refresh, &named);
        Secret::new(encoding::encode([named.as_slice(), &proof].concat()))
    }

    /// Grant and generation that a refresh token names, if this realm made it.
    #[must_use]
    pub fn refresh_of(&self, token: &str) -> Option<(Id<Grant>, u32)> {
        let bytes = encoding::decode(token).ok()?;
        let (id, rest) = bytes.split_first_chunk::<ID_BYTES>()?;
        let (generation, proof) = rest.split_first_chunk::<4>()?;
        let (grant, generation) = (Id::from_bytes(*id), u32::from_be_bytes(*generation));
        let named = refresh_bytes(grant, generation);
        self.keys.verify_mac(Purpose::Refresh, &named, proof).then_some((grant, generation))
    }

    /// The device code that stands for a request of a device, made like a code.
    #[must_use]
    pub fn device_code(&self, id: Id<DeviceCode>) -> Secret<String> {
        self.handle(Purpose::DeviceCode, id)
    }

    /// The request that a device code names, if this realm made the code.
    #[must_use]
    pub fn device_code_of(&self, code: &str) -> Option<Id<DeviceCode>> {
        self.named(Purpose::DeviceCode, code)
    }

    /// What is stored of a user code in its normal form.
    #[must_use]
    pub fn user_code_hash(&self, normalized: &str) -> [u8; 32] {
        self.keys.mac(Purpose::UserCode, normalized.as_bytes())
    }

    /// The nonce of a silent push. It is made when the message is, and is nowhere else.
    #[must_use]
    pub fn push_nonce(&self, challenge: Id<Challenge>) -> PushNonce {
        let mac = self.keys.mac(Purpose::PushNonce, challenge.as_bytes());
        let mut nonce = [0; 16];
        nonce.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        PushNonce::from_bytes(nonce)
    }

    /// The characters of an authentication code: forty bits that nobody can tell from random ones, and that need not be stored.
    #[must_use]
    pub fn authentication_code(&self, id: Id<AuthenticationCode>) -> Code {
        let mac = self.keys.mac(Purpose::AuthenticationCode, id.as_bytes());
        let bits = mac.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Code::from_bits(bits >> 24)
    }

    /// What is stored of an authentication code.
    #[must_use]
    pub fn authentication_code_hash(&self, code: &Code) -> [u8; 32] {
        self.keys.mac(Purpose::AuthenticationCodeHash, code.expose().as_bytes())
    }

    /// The characters of a pairing key, made like those of an authentication code.
    #[must_use]
    pub fn pairing_key(&self, key: &PairingKey) -> Key {
        let mac = self.keys.mac(Purpose::PairingKey, key.id.as_bytes());
        let bits = mac.first_chunk::<16>().map_or(0, |bytes| u128::from_be_bytes(*bytes));
        Key::from_bits(key.format, bits)
    }

    /// A passcode that is sent: digits that nobody can tell from random ones, and that need not be stored.
    #[must_use]
    pub fn sent_passcode(&self, sending: &Sending) -> Secret<String> {
        let mac = self.keys.mac(Purpose::SentPasscode, sending.id.as_bytes());
        let bits = mac.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let (digits, bound) = (usize::from(sending.digits), 10_u64.pow(sending.digits.into()));
        Secret::new(format!("{:0digits$}", bits % bound))
    }

    /// Whether somebody has typed it, in constant time.
    #[must_use]
    pub fn is_sent_passcode(&self, sending: &Sending, text: &str) -> bool {
        let right = self.sent_passcode(sending);
        constant_time::verify_slices_are_equal(right.expose().as_bytes(), text.as_bytes()).is_ok()
    }

    /// What is stored of a recovery code. Nobody else's has the same.
    #[must_use]
    pub fn recovery_code_hash(&self, of: Id<Device>, code: &RecoveryCode) -> String {
        let named = [of.as_bytes().as_slice(), code.expose().as_bytes()].concat();
        encoding::encode(self.keys.mac(Purpose::RecoveryCode, &named))
    }

    /// What is stored of a pairing key.
    #[must_use]
    pub fn pairing_key_hash(&self, key: &Key) -> [u8; 32] {
        self.keys.mac(Purpose::PairingKeyHash, key.expose().as_bytes())
    }

    /// Whether a silent push has brought this nonce, in constant time.
    #[must_use]
    pub fn is_push_nonce(&self, challenge: Id<Challenge>, nonce: &[u8; 16]) -> bool {
        constant_time::verify_slices_are_equal(self.push_nonce(challenge).as_bytes(), nonce).is_ok()
    }

    /// The token of the form that asks this browser for a user code.
    #[must_use]
    pub fn user_code_form(&self, cookie: &str) -> String {
        encoding::encode(self.keys.mac(Purpose::UserCodeForm, cookie.as_bytes()))
    }

    /// Whether that form carries its token, in constant time.
    #[must_use]
    pub fn owns_user_code_form(&self, cookie: &str, token: &str) -> bool {
        let token = encoding::decode(token).unwrap_or_default();
        self.keys.verify_mac(Purpose::UserCodeForm, cookie.as_bytes(), &token)
    }

    /// The value of a ticket: its id and its secret.
    #[must_use]
    pub fn ticket_value(&self, ticket: Id<Ticket>, secret: &[u8; 32]) -> Secret<String> {
        Secret::new(encoding::encode([ticket.as_bytes().as_slice(), secret].concat()))
    }

    /// What is stored of the secret of a ticket.
    #[must_use]
    pub fn ticket_hash(&self, ticket: Id<Ticket>, secret: &[u8]) -> String {
        let bound = [ticket.as_bytes().as_slice(), secret].concat();
        encoding::encode(self.keys.mac(Purpose::Ticket, &bound))
    }

    /// Whether this is the secret of a ticket whose hash is stored, in constant time.
    #[must_use]
    pub fn owns_ticket(&self, ticket: Id<Ticket>, secret: &[u8], stored: &str) -> bool {
        let stored = encoding::decode(stored).unwrap_or_default();
        let bound = [ticket.as_bytes().as_slice(), secret].concat();
        self.keys.verify_mac(Purpose::Ticket, &bound, &stored)
    }

    /// What is stored of the cookie of a browser.
    #[must_use]
    pub fn browser_hash(&self, cookie: &str) -> String {
        encoding::encode(self.keys.mac(Purpose::Browser, cookie.as_bytes()))
    }

    /// Whether this is the cookie whose hash is stored, in constant time.
    #[must_use]
    pub fn owns_browser(&self, cookie: &str, stored: &str) -> bool {
        let stored = encoding::decode(stored).unwrap_or_default();
        self.keys.verify_mac(Purpose::Browser, cookie.as_bytes(), &stored)
    }

    /// The token that forms of a flow carry, so that another site cannot post them (CSRF).
    #[must_use]
    pub fn form_token(&self, flow: Id<Flow>, cookie: &str) -> String {
        encoding::encode(self.keys.mac(Purpose::Form, &form_bytes(flow, cookie)))
    }

    /// Whether a form carries the token of its flow, in constant time.
    #[must_use]
    pub fn owns_form(&self, flow: Id<Flow>, cookie: &str, token: &str) -> bool {
        let token = encoding::decode(token).unwrap_or_default();
        self.keys.verify_mac(Purpose::Form, &form_bytes(flow, cookie), &token)
    }

    /// An id, and a keyed hash of it that nobody else can make: so the secret need not be stored.
    fn handle<T>(&self, purpose: Purpose, id: Id<T>) -> Secret<String> {
        let proof = self.keys.mac(purpose, id.as_bytes());
        Secret::new(encoding::encode([id.as_bytes().as_slice(), &proof].concat()))
    }

    /// The id that a handle names, if this realm made the handle.
    fn named<T>(&self, purpose: Purpose, handle: &str) -> Option<Id<T>> {
        let (id, proof) = split_handle(handle)?;
        self.keys.verify_mac(purpose, &id, &proof).then_some(Id::from_bytes(id))
    }
}

fn refresh_bytes(grant: Id<Grant>, generation: u32) -> Vec<u8> {
    [grant.as_bytes().as_slice(), &generation.to_be_bytes()].concat()
}

fn form_bytes(flow: Id<Flow>, cookie: &str) -> Vec<u8> {
    [flow.as_bytes().as_slice(), cookie.as_bytes()].concat()
}

/// Id and secret of a handle, or nothing if it cannot be one.
pub(super) fn split_handle(handle: &str) -> Option<([u8; ID_BYTES], Vec<u8>)> {
    let bytes = encoding::decode(handle).ok()?;
    let (id, secret) = bytes.split_first_chunk::<ID_BYTES>()?;
    (secret.len() == 32).then(|| (*id, secret.to_vec()))
}
